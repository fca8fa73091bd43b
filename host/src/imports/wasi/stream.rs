//! `wasi:io/streams` and stdio: what is written becomes lines of the run's log, and nothing is to be read.
//!
//! A line is logged when it ends, when it gets too long, and when the guest ends. Local: a replay
//! repeats none.

use wasmtime::component::Resource;

use super::poll::Pollable;
use super::{Ctx, trap};
use crate::bindings::sublane::plugin::log::Level;
use crate::bindings::wasi::wasi::cli::{stderr, stdin, stdout};
use crate::bindings::wasi::wasi::io::error;
use crate::bindings::wasi::wasi::io::streams::{self, StreamError};
use crate::imports::{Instance, Live};

/// Bytes that one call may write, as WASI has it for those that flush.
const MAX_WRITE_BYTES: usize = 4 << 10;
/// Bytes of a line; what is longer becomes several.
const MAX_LINE_BYTES: usize = 8 << 10;
/// Bytes of the end of stderr that say why a guest broke down.
const MAX_TOLD_BYTES: usize = 1 << 10;

/// Stdin: it is empty.
#[derive(Debug)]
pub struct Stdin;

/// Where a guest writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Logged as `info`.
    Stdout,
    /// Logged as `warn`. The end of it is why the guest broke down, if it does.
    Stderr,
}

/// An error of a stream. None has any.
#[derive(Debug)]
pub enum Never {}

type Written = wasmtime::Result<Result<(), StreamError>>;

/// The beginnings of lines that have not ended yet, and the end of stderr.
#[derive(Debug, Default)]
pub struct Lines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    told: String,
}

impl Lines {
    fn of(&mut self, output: Output) -> &mut Vec<u8> {
        match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        }
    }

    /// The end of stderr, with this line.
    fn tell(&mut self, line: &str) -> &str {
        self.told.push_str(line);
        self.told.push('\n');
        let over = self.told.len().saturating_sub(MAX_TOLD_BYTES);
        self.told.drain(..self.told.ceil_char_boundary(over));
        self.told.trim_end()
    }
}

impl Live {
    fn print(&mut self, output: Output, bytes: &[u8]) {
        for (number, piece) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if number > 0 {
                // A line costs what `log.write` does.
                self.attempt.meter.call();
            }
            if self.lines.of(output).len() + piece.len() > MAX_LINE_BYTES {
                self.end_line(output);
            }
            self.lines.of(output).extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line(output);
            }
        }
    }

    fn end_line(&mut self, output: Output) {
        let bytes = std::mem::take(self.lines.of(output));
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        match output {
            Output::Stdout => self.say(Level::Info, text),
            Output::Stderr => {
                self.say(Level::Warn, text);
                let told = self.lines.tell(text).to_owned();
                self.last_words(&told);
            }
        }
    }
}

impl Ctx {
    /// The guest has come to its end: lines that it did not end are logged.
    pub fn end_lines(&mut self) {
        let Instance::Live(live) = &mut self.instance else { return };
        for output in [Output::Stdout, Output::Stderr] {
            if !live.lines.of(output).is_empty() {
                live.end_line(output);
            }
        }
    }

    fn print(&mut self, output: &Resource<Output>, bytes: &[u8]) -> Written {
        let output = *self.table.get(output)?;
        if bytes.len() > MAX_WRITE_BYTES {
            return Err(trap(format!(
                "it writes {} bytes at once to a stream that takes {MAX_WRITE_BYTES}",
                bytes.len()
            )));
        }
        if let Some(live) = self.called()? {
            live.print(output, bytes);
        }
        Ok(Ok(()))
    }

    fn print_zeroes(&mut self, output: &Resource<Output>, length: u64) -> Written {
        // One byte more than may be written is enough to be refused.
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(MAX_WRITE_BYTES + 1);
        self.print(output, &vec![0; length])
    }

    /// A handle, or a call that does nothing but count.
    fn ready(&mut self) -> wasmtime::Result<Resource<Pollable>> {
        self.called()?;
        self.handle(Pollable(0))
    }

    fn closed<T>(&mut self) -> wasmtime::Result<Result<T, StreamError>> {
        self.called()?;
        Ok(Err(StreamError::Closed))
    }

    fn done(&mut self) -> Written {
        self.called()?;
        Ok(Ok(()))
    }
}

impl stdin::Host for Ctx {
    fn get_stdin(&mut self) -> wasmtime::Result<Resource<Stdin>> {
        self.called()?;
        self.handle(Stdin)
    }
}

impl stdout::Host for Ctx {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<Output>> {
        self.called()?;
        self.handle(Output::Stdout)
    }
}

impl stderr::Host for Ctx {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<Output>> {
        self.called()?;
        self.handle(Output::Stderr)
    }
}

impl error::Host for Ctx {}

impl error::HostError for Ctx {
    fn to_debug_string(&mut self, error: Resource<Never>) -> wasmtime::Result<String> {
        match *self.table.get(&error)? {}
    }

    fn drop(&mut self, error: Resource<Never>) -> wasmtime::Result<()> {
        match self.table.delete(error)? {}
    }
}

impl streams::Host for Ctx {}

impl streams::HostInputStream for Ctx {
    fn read(&mut self, _: Resource<Stdin>, _: u64) -> wasmtime::Result<Result<Vec<u8>, StreamError>> {
        self.closed()
    }

    fn blocking_read(
        &mut self,
        _: Resource<Stdin>,
        _: u64,
    ) -> wasmtime::Result<Result<Vec<u8>, StreamError>> {
        self.closed()
    }

    fn skip(&mut self, _: Resource<Stdin>, _: u64) -> wasmtime::Result<Result<u64, StreamError>> {
        self.closed()
    }

    fn blocking_skip(&mut self, _: Resource<Stdin>, _: u64) -> wasmtime::Result<Result<u64, StreamError>> {
        self.closed()
    }

    fn subscribe(&mut self, _: Resource<Stdin>) -> wasmtime::Result<Resource<Pollable>> {
        self.ready()
    }

    fn drop(&mut self, stream: Resource<Stdin>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl streams::HostOutputStream for Ctx {
    fn check_write(&mut self, _: Resource<Output>) -> wasmtime::Result<Result<u64, StreamError>> {
        self.called()?;
        Ok(Ok(MAX_WRITE_BYTES as u64))
    }

    fn write(&mut self, stream: Resource<Output>, bytes: Vec<u8>) -> Written {
        self.print(&stream, &bytes)
    }

    fn blocking_write_and_flush(&mut self, stream: Resource<Output>, bytes: Vec<u8>) -> Written {
        self.print(&stream, &bytes)
    }

    fn flush(&mut self, _: Resource<Output>) -> Written {
        self.done()
    }

    fn blocking_flush(&mut self, _: Resource<Output>) -> Written {
        self.done()
    }

    fn subscribe(&mut self, _: Resource<Output>) -> wasmtime::Result<Resource<Pollable>> {
        self.ready()
    }

    fn write_zeroes(&mut self, stream: Resource<Output>, length: u64) -> Written {
        self.print_zeroes(&stream, length)
    }

    fn blocking_write_zeroes_and_flush(&mut self, stream: Resource<Output>, length: u64) -> Written {
        self.print_zeroes(&stream, length)
    }

    fn splice(
        &mut self,
        _: Resource<Output>,
        _: Resource<Stdin>,
        _: u64,
    ) -> wasmtime::Result<Result<u64, StreamError>> {
        self.closed()
    }

    fn blocking_splice(
        &mut self,
        _: Resource<Output>,
        _: Resource<Stdin>,
        _: u64,
    ) -> wasmtime::Result<Result<u64, StreamError>> {
        self.closed()
    }

    fn drop(&mut self, stream: Resource<Output>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
