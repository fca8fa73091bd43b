//! A thread that moves pages from the write-ahead log into the file while the writer goes on.
//!
//! A checkpoint takes several syncs. On the writer's own thread whoever writes next would wait for all
//! of them, however idle the store was when it began. This one keeps nobody waiting; the log begins
//! anew with the first commit that finds all of it moved, and where commits come too fast for that,
//! the writer itself moves the little that is left (see [`Session::log_length`]).

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::session::Session;

/// The thread. Dropped, it ends what it is at.
pub(super) struct Checkpointer {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts it on a connection of its own.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new().name("store-checkpoint".into());
        let thread = thread.spawn(move || work(&connection, &woken))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// There is enough in the log for it to be worth while.
    pub(super) fn wake(&self) {
        if let Some(wake) = &self.wake {
            // Full: it was told already.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpointing thread panicked");
        }
    }
}

fn work(connection: &Connection, woken: &Receiver<()>) {
    let mut session = Session::reading(connection);
    while woken.recv().is_ok() {
        session.checkpoint();
    }
}
