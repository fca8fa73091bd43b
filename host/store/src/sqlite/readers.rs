//! A few threads that only read, each with a connection of its own.
//!
//! A read sees what was committed last when it begins, all of it in one snapshot,
//! and never waits for the writer.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::job::{Job, job};
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::backend::Transaction;

/// Reading threads.
pub(super) const READERS: usize = 2;
/// Reads that wait for a thread; a caller beyond it waits for its turn to queue.
const MAX_QUEUED: usize = 256;

/// The threads and their queue. Dropped, they do what is queued and end.
pub(super) struct Readers {
    queue: Option<Sender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut readers = Self { queue: Some(sender), threads: Vec::new() };
        for (index, connection) in connections.into_iter().enumerate() {
            let queue = receiver.clone();
            let thread = std::thread::Builder::new().name(format!("store-reader-{index}"));
            readers.threads.push(thread.spawn(move || work(&connection, &queue))?);
        }
        Ok(readers)
    }

    pub(super) async fn run<T: Send + 'static>(&self, work: impl Transaction<T>) -> Result<T, StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        let (job, answer) = job(work);
        queue.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reading thread of the store panicked");
            }
        }
    }
}

fn work(connection: &Connection, queue: &Mutex<Receiver<Box<dyn Job>>>) {
    let mut session = Session::reading(connection);
    loop {
        // One thread waits in the queue, the others for their turn to do so.
        let Some(mut job) = queue.lock().blocking_recv() else { return };
        if let Err(error) = session.begin(Sql::BeginRead) {
            job.fail(error);
            continue;
        }
        // What it came to is its own answer; there is nothing to take back.
        let _ = job.run(&mut session);
        session.rollback();
        job.answer();
    }
}
