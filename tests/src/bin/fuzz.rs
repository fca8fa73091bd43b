//! Fuzzes what the host reads from strangers, guided by the edges that the compiler counts when
//! `cargo xtask fuzz` builds it. Exit code 1 when something panicked: the input is a seed from then on.

use std::process::ExitCode;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use sublane_tests::fuzz::{Coverage, Random, TARGETS, directory, fuzz};

/// Fuzzes what the host reads from strangers.
#[derive(Parser)]
struct Args {
    /// Seconds in all; targets share them.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Where the compiler's counters lie, one for each edge.
static COUNTERS: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static EDGES: AtomicUsize = AtomicUsize::new(0);

/// What instrumented crates call at the start, with the place of their counters. All of them lie in one
/// section, so each call names the same place.
#[expect(unsafe_code, reason = "the compiler calls it by this name")]
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    COUNTERS.store(start, Ordering::SeqCst);
    EDGES.store((stop as usize).saturating_sub(start as usize), Ordering::SeqCst);
}

/// Which edges were reached, and how often: once, twice, up to 8, 32, 128 times, or more.
struct Edges {
    seen: Vec<u8>,
}

impl Edges {
    fn counters() -> &'static mut [u8] {
        let (start, edges) = (COUNTERS.load(Ordering::SeqCst), EDGES.load(Ordering::SeqCst));
        if start.is_null() {
            return &mut [];
        }
        #[expect(unsafe_code, reason = "the counters are a section of this program, see the safety comment")]
        // SAFETY: the compiler said that these bytes are its counters. Other threads may count at the
        // same time; a count that is lost costs an input.
        unsafe {
            std::slice::from_raw_parts_mut(start, edges)
        }
    }
}

impl Coverage for Edges {
    fn reset(&mut self) {
        Self::counters().fill(0);
    }

    fn is_new(&mut self) -> bool {
        let mut is_new = false;
        for (seen, count) in self.seen.iter_mut().zip(Self::counters()) {
            let bucket = match *count {
                0 => continue,
                1 => 1,
                2 => 2,
                3..=7 => 4,
                8..=31 => 8,
                32..=127 => 16,
                _ => 32,
            };
            is_new |= *seen & bucket == 0;
            *seen |= bucket;
        }
        is_new
    }
}

fn main() -> ExitCode {
    let Args { seconds, target, seed } = Args::parse();
    let targets: Vec<_> =
        TARGETS.iter().filter(|known| target.as_ref().is_none_or(|name| known.name == name)).collect();
    if targets.is_empty() {
        eprintln!("there is no such target: there are {}", TARGETS.map(|target| target.name).join(", "));
        return ExitCode::FAILURE;
    }
    let each = Duration::from_secs(seconds) / u32::try_from(targets.len()).expect("a handful");
    let edges = EDGES.load(Ordering::SeqCst);
    println!(
        "{edges} edges are counted{}",
        if edges == 0 { ": `cargo xtask fuzz` builds so that they are" } else { "" }
    );
    let mut exit = ExitCode::SUCCESS;
    for target in targets {
        #[expect(clippy::disallowed_methods, reason = "it only says when to stop")]
        let begun = Instant::now();
        let mut reached = Edges { seen: vec![0; edges] };
        match fuzz(target, &mut reached, &mut Random::new(seed), |_| begun.elapsed() < each) {
            Ok(report) => {
                let edges = reached.seen.iter().filter(|seen| **seen != 0).count();
                println!(
                    "{:<14} {:>9} inputs, {edges:>6} edges, {:>5} kept",
                    target.name, report.inputs, report.kept
                );
            }
            Err(found) => {
                exit = ExitCode::FAILURE;
                let name = format!(
                    "found-{:016x}",
                    found.input.iter().fold(7_u64, |hash, b| hash.wrapping_mul(31) ^ u64::from(*b))
                );
                let path = directory(target).join(name);
                std::fs::write(&path, &found.input).expect("the seed is written");
                println!(
                    "{:<14} panicked: {}\n{:<14} the input is {}",
                    target.name,
                    found.said,
                    "",
                    path.display()
                );
            }
        }
    }
    exit
}
