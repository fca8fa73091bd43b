//! A thread that moves pages from the write-ahead log into the file while the writer goes on.
//!
//! A checkpoint takes several syncs. On the writer's own thread whoever writes next would wait for all
//! of them, however idle the store was when it began. This one keeps nobody waiting; the log begins
//! anew with the first commit that finds all of it moved, and where commits come too fast for that,
//! the writer itself moves the little that is left (see [`Session::log_length`]).

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use super::session::Session;
use super::thread::Thread;

/// The thread. Dropped, it ends what it is at.
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    _thread: Thread,
}

impl Checkpointer {
    /// Starts it on a connection of its own.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let thread = Thread::start("store-checkpoint", move || work(&connection, &woken))?;
        Ok(Self { wake, _thread: thread })
    }

    /// There is enough in the log for it to be worth while.
    pub(super) fn wake(&self) {
        // Full: it was told already.
        let _ = self.wake.try_send(());
    }
}

fn work(connection: &Connection, woken: &Receiver<()>) {
    let mut session = Session::reading(connection);
    while woken.recv().is_ok() {
        session.checkpoint();
    }
}
