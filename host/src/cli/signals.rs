//! Signals that ask the process to stop.
//!
//! The first one is a request; a second later the next one ends the process where
//! it stands, which loses nothing either: the next host recovers. What comes in
//! between is the same request: a terminal and a parent may both pass it on.

use std::time::Duration;

use sublane::clock::{Clock as _, SystemClock};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Exit;

/// How long signals count as one.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// SIGINT, SIGTERM and SIGHUP, caught from the moment this is made. A SIGHUP that the process was
/// told to ignore (`nohup`) stays ignored.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    /// Catches the signals. Inside a runtime.
    pub(super) fn catch() -> std::io::Result<Self> {
        let hang_up = SignalKind::hangup();
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: if is_ignored(hang_up) { None } else { Some(signal(hang_up)?) },
        })
    }

    /// The next signal, as the exit code that tells of it.
    pub(super) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            () = received(&mut self.hang_up) => Exit::HungUp,
        }
    }

    /// After the first signal, or none: soon another one ends the process at once.
    #[expect(clippy::disallowed_methods, reason = "belongs to the process, and ends it though others hang")]
    pub(super) fn end_at_once(mut self) {
        tokio::spawn(async move {
            let mut soon = std::pin::pin!(SystemClock.sleep_for(SAME_REQUEST));
            loop {
                tokio::select! {
                    () = &mut soon => break,
                    _ = self.next() => {}
                }
            }
            let exit = self.next().await;
            super::complain("stopped at once; the next host recovers what was under way");
            std::process::exit(exit as i32);
        });
    }
}

/// Ready when the signal comes; never, when it is not caught.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the process was started with this signal ignored. Where the system does not say, it was not.
fn is_ignored(signal: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_in_mask(&status, signal)
}

/// Whether the mask `SigIgn` of a process's status holds the signal.
fn is_in_mask(status: &str, signal: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal.as_raw_value() - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_ignores_stays_ignored() {
        let status = |mask: &str| format!("Name:\tsublane\nSigBlk:\t0\nSigIgn:\t{mask}\n");
        assert!(is_in_mask(&status("0000000000000001"), SignalKind::hangup()));
        assert!(!is_in_mask(&status("0000000000001000"), SignalKind::hangup()));
        assert!(!is_in_mask("", SignalKind::hangup()));
    }

    #[tokio::test]
    async fn a_terminal_that_is_closed_asks_for_a_stop() {
        let mut hang_up = Some(signal(SignalKind::hangup()).expect("it can be caught"));
        let mut signals = Signals::catch().expect("signals can be caught");
        // Under `nohup` nobody would catch it; here it is caught whatever the tests were started with.
        signals.hang_up = hang_up.take();
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::HUP).expect("it is sent");
        assert_eq!(signals.next().await, Exit::HungUp);
    }
}
