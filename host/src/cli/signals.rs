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

/// SIGINT and SIGTERM, caught from the moment this is made.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Catches the signals. Inside a runtime.
    pub(super) fn catch() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next signal, as the exit code that tells of it.
    pub(super) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }

    /// After the first signal, or none: soon another one ends the process at once.
    #[expect(clippy::disallowed_methods, reason = "belongs to the process, and ends it though others hang")]
    pub(super) fn end_at_once(mut self) {
        tokio::spawn(async move {
            let soon = SystemClock.now().after(SAME_REQUEST);
            let mut soon = std::pin::pin!(SystemClock.sleep_until(soon));
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
