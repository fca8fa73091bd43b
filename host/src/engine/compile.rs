//! Compiling strangers' components, within bounds of size, memory and time.
//!
//! Wasmtime cannot be told to stop, and what it compiles decides how long it takes and how much
//! memory, so a host has it done by a process of its own: the same program, called with
//! [`HELPER`], which takes bounds of the machine upon itself before it reads anything. A crash of
//! the compiler ends that process, and nothing else. Who names no program compiles here, bounded
//! in size alone: tests, and whoever trusts the components.

use std::io::{Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmtime::Engine;

/// The first argument of a program that is to compile what stands on its standard input.
pub const HELPER: &str = "--compile-component";
/// This very program, whatever lies at its path by now, for one that calls [`helper`] at its beginning.
pub const THIS_PROGRAM: &str = "/proc/self/exe";
/// Niceness of the helper: guests and deliveries come first.
const NICE: i32 = 10;
/// Bytes of machine code of one component.
const MAX_CODE_BYTES: u64 = 1 << 30;
/// Bytes of what a helper says of a component that it refuses.
const MAX_SAID_BYTES: u64 = 16 << 10;
/// Exit code of a helper when Wasmtime refuses the component.
const REFUSED: u8 = 3;
/// How the machine ends a process that has used up its processor time: SIGXCPU, SIGKILL.
const OUT_OF_CPU: [i32; 2] = [24, 9];

/// What compiling one component may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of the component. Default 64 MiB.
    pub component_bytes: u64,
    /// Memory, in bytes. Default 2 GiB.
    pub memory_bytes: u64,
    /// Processor time of all threads, in whole seconds. Default 2 min.
    pub cpu: Duration,
    /// Time on the clock. Default 10 min.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            component_bytes: 64 << 20,
            memory_bytes: 2 << 30,
            cpu: Duration::from_secs(120),
            time: Duration::from_secs(600),
        }
    }
}

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Wasmtime refuses it.
    #[error("the component cannot be compiled: {0}")]
    Refused(String),
    /// It has too many bytes.
    #[error(
        "it has {bytes} bytes, and components of more than {limit} bytes are not compiled (`limits.component`)"
    )]
    TooLong {
        /// What it has.
        bytes: u64,
        /// What it may have.
        limit: u64,
    },
    /// It took too much memory.
    #[error("compiling it takes more than {limit_mib} MiB of memory (`limits.compile-memory`)")]
    Memory {
        /// In MiB.
        limit_mib: u64,
    },
    /// It took too much processor time.
    #[error("compiling it takes more than {limit_s} s of processor time (`limits.compile-cpu`)")]
    Cpu {
        /// In seconds.
        limit_s: u64,
    },
    /// It took too long.
    #[error("compiling it takes longer than {limit_s} s (`limits.compile-time`)")]
    Time {
        /// In seconds.
        limit_s: u64,
    },
    /// Its machine code has too many bytes.
    #[error("its machine code has more than {MAX_CODE_BYTES} bytes")]
    Code,
    /// The compiler itself broke down over it.
    #[error("the compiler broke down over it ({how}): {said}")]
    Crashed {
        /// How it ended.
        how: String,
        /// What it said.
        said: String,
    },
    /// The helper cannot be used; not the component's fault.
    #[error("the process that compiles components cannot be used")]
    Helper(#[source] std::io::Error),
}

/// Who compiles, and what that may take.
#[derive(Clone, Debug, Default)]
pub struct Compiler {
    /// The program to call with [`HELPER`]; none: this process does it, bounded in size alone.
    pub program: Option<PathBuf>,
    /// What one component may take.
    pub bounds: Bounds,
}

impl Compiler {
    /// Machine code of a component, for an engine of a host.
    ///
    /// # Errors
    /// [`CompileError`].
    pub(super) fn compile(&self, engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let (bytes, limit) = (wasm.len() as u64, self.bounds.component_bytes);
        if bytes > limit {
            return Err(CompileError::TooLong { bytes, limit });
        }
        match &self.program {
            None => {
                engine.precompile_component(wasm).map_err(|error| CompileError::Refused(format!("{error:#}")))
            }
            Some(program) => {
                let mut command = Command::new(program);
                let (memory, cpu) = (self.bounds.memory_bytes.to_string(), self.cpu_seconds().to_string());
                // Nothing of this process's surroundings is the compiler's matter, secrets least of all.
                command.env_clear().args([HELPER, &memory, &cpu]);
                // The allocator is to take memory as it is used, so that the bound counts what is used.
                command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                self.wait(command.spawn().map_err(CompileError::Helper)?, wasm)
            }
        }
    }

    fn cpu_seconds(&self) -> u64 {
        self.bounds.cpu.as_secs().max(1)
    }

    /// Gives the helper the component and takes the code, or kills it when its time is up.
    fn wait(&self, mut child: Child, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
        let (Some(mut stdin), Some(stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(CompileError::Helper(std::io::Error::other("it has no streams")));
        };
        let (end, ended) = sync_channel(1);
        let (in_time, code, said, status) = std::thread::scope(|scope| {
            // One that has ended reads no more: how it ended says why.
            scope.spawn(move || drop(stdin.write_all(wasm)));
            let said = scope.spawn(move || {
                let mut said = Vec::new();
                let read = stderr.by_ref().take(MAX_SAID_BYTES).read_to_end(&mut said);
                // What is beyond is read all the same, so that it does not wait for a reader.
                let _ = read.and_then(|_| std::io::copy(&mut stderr, &mut std::io::sink()));
                said
            });
            let code = scope.spawn(move || {
                let mut code = Vec::new();
                let read = stdout.take(MAX_CODE_BYTES + 1).read_to_end(&mut code);
                // Nobody listens when its time was up.
                let _ = end.send(());
                read.map(|_| code)
            });
            let in_time = ended.recv_timeout(self.bounds.time).is_ok();
            // Its output is at its end, or it is beyond its bounds: either way it has nothing left to do.
            let is_over = |status: &std::io::Result<Option<ExitStatus>>| matches!(status, Ok(Some(_)));
            if !in_time && !is_over(&child.try_wait()) {
                // It may have ended just now.
                let _ = child.kill();
            }
            let code = code.join();
            if code
                .as_ref()
                .is_ok_and(|code| code.as_ref().is_ok_and(|code| code.len() as u64 > MAX_CODE_BYTES))
            {
                let _ = child.kill();
            }
            (in_time, code, said.join().unwrap_or_default(), child.wait())
        });
        let status = status.map_err(CompileError::Helper)?;
        let said = String::from_utf8_lossy(&said);
        if !in_time {
            return Err(CompileError::Time { limit_s: self.bounds.time.as_secs() });
        }
        let code = match code {
            Ok(code) => code.map_err(CompileError::Helper)?,
            Err(_) => return Err(CompileError::Helper(std::io::Error::other("a thread broke down"))),
        };
        if code.len() as u64 > MAX_CODE_BYTES {
            return Err(CompileError::Code);
        }
        if status.success() { Ok(code) } else { Err(self.failure(status, said.trim())) }
    }

    /// What the end of a helper means.
    fn failure(&self, status: ExitStatus, said: &str) -> CompileError {
        use std::os::unix::process::ExitStatusExt as _;
        // How Rust's allocator, a mapping call and the start of a thread say it.
        let is_memory = ["memory allocation of", "os error 12", "os error 11"];
        if is_memory.iter().any(|words| said.contains(words)) {
            return CompileError::Memory { limit_mib: self.bounds.memory_bytes >> 20 };
        }
        if status.code() == Some(i32::from(REFUSED)) {
            return CompileError::Refused(said.to_owned());
        }
        if status.signal().is_some_and(|signal| OUT_OF_CPU.contains(&signal)) {
            return CompileError::Cpu { limit_s: self.cpu_seconds() };
        }
        let said = said.lines().last().unwrap_or("it said nothing").to_owned();
        CompileError::Crashed { how: status.to_string(), said }
    }
}

/// What a program does that was called as a helper; `None` when it was not. For the very beginning
/// of a process.
#[must_use]
pub fn helper(arguments: &[std::ffi::OsString]) -> Option<ExitCode> {
    let [_, first, rest @ ..] = arguments else { return None };
    if first != HELPER {
        return None;
    }
    Some(match compiled(rest) {
        Ok(code) => match std::io::stdout().write_all(&code) {
            Ok(()) => ExitCode::SUCCESS,
            // Whoever asked is gone.
            Err(_) => ExitCode::FAILURE,
        },
        Err(why) => {
            // The same.
            let _ = write!(std::io::stderr(), "{why}");
            ExitCode::from(REFUSED)
        }
    })
}

/// Takes the bounds upon this process, then compiles its standard input.
fn compiled(arguments: &[std::ffi::OsString]) -> Result<Vec<u8>, String> {
    let words: Vec<_> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let usage = || format!("{HELPER} is for the host itself: MEMORY-BYTES CPU-SECONDS");
    let [memory, cpu] = words[..] else { return Err(usage()) };
    let (Ok(memory), Ok(cpu)) = (memory.parse::<u64>(), cpu.parse::<u64>()) else { return Err(usage()) };
    let bound = |most| Rlimit { current: Some(most), maximum: Some(most) };
    for (resource, most) in [
        // Memory that it writes to; what it only reserves is nobody's loss.
        (Resource::Data, memory),
        (Resource::Cpu, cpu),
        // It writes no files, and leaves none behind when it breaks down.
        (Resource::Fsize, 0),
        (Resource::Core, 0),
    ] {
        setrlimit(resource, bound(most)).map_err(|error| format!("its bounds cannot be set: {error}"))?;
    }
    // Refused: it runs at normal priority.
    let _ = rustix::process::nice(NICE);
    let mut wasm = Vec::new();
    std::io::stdin().read_to_end(&mut wasm).map_err(|error| format!("it cannot be read: {error}"))?;
    let engine = Engine::new(&super::code_config()).map_err(|error| format!("{error:#}"))?;
    engine.precompile_component(&wasm).map_err(|error| format!("{error:#}"))
}
