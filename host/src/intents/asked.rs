//! The word that somebody may have asked something: another process closes a file in the state
//! directory that it could write. A hint; the sweep finds the same without it.

use std::path::Path;

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use tokio::net::unix::pipe::Receiver;

/// Hears of it. The host itself closes none of its store's files while it runs.
pub struct Asked(Receiver);

impl Asked {
    /// Listens at a state directory, on the runtime that this is called on.
    ///
    /// # Errors
    /// The machine's, such as too many that listen.
    pub fn at(directory: &Path) -> std::io::Result<Self> {
        let watch = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        add_watch(&watch, directory, WatchFlags::CLOSE_WRITE)?;
        // It is no pipe, but is read as one; nothing else of the runtime's waits for a descriptor of
        // ours without `unsafe`.
        Receiver::from_owned_fd_unchecked(watch).map(Self)
    }

    /// Ready when there is something new; what is there once is told once.
    pub(super) async fn comes(&self) {
        // Which files they were says nothing more.
        let mut events = [0; 4 << 10];
        let mut is_heard = false;
        while !is_heard {
            if self.0.readable().await.is_err() {
                return std::future::pending().await;
            }
            while self.0.try_read(&mut events).is_ok_and(|read| read > 0) {
                is_heard = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn comes(asked: &Asked, within: Duration) -> bool {
        tokio::time::timeout(within, asked.comes()).await.is_ok()
    }

    #[tokio::test]
    async fn who_wrote_is_heard_and_who_read_is_not() {
        const SOON: Duration = Duration::from_millis(1);
        let directory = tempfile::tempdir().expect("a directory");
        let asked = Asked::at(directory.path()).expect("inotify is there");
        let file = directory.path().join("sublane.db");
        for _ in 0..2 {
            std::fs::write(&file, "asks").expect("written");
            std::fs::write(&file, "asks again").expect("written");
            assert!(comes(&asked, Duration::from_secs(60)).await);
            std::fs::read(&file).expect("read");
            assert!(!comes(&asked, SOON).await);
        }
    }
}
