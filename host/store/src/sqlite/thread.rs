//! A thread of the store, which ends before its owner is gone.

use std::thread::JoinHandle;

/// Dropped, it is waited for: its owner has told it to end by then, for example by a field before this
/// one, which is dropped first.
pub(super) struct Thread(Option<JoinHandle<()>>);

impl Thread {
    pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(work).map(|thread| Self(Some(thread)))
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        let Some(thread) = self.0.take() else { return };
        let name = thread.thread().name().unwrap_or_default().to_owned();
        if thread.join().is_err() {
            tracing::error!(name, "a thread of the store panicked");
        }
    }
}
