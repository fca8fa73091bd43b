//! A few threads that only read, each with a connection of its own.
//!
//! A read sees what was committed last when it begins, all of it in one snapshot,
//! and never waits for the writer.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::job::{Job, job};
use super::session::Session;
use super::statements::Sql;
use super::thread::Thread;
use crate::StoreError;
use crate::backend::Transaction;

/// Reading threads.
pub(super) const READERS: usize = 2;
/// Reads that wait for a thread; a caller beyond it waits for its turn to queue.
const MAX_QUEUED: usize = 256;

/// The threads and their queue. Dropped, they do what is queued and end.
pub(super) struct Readers {
    queue: Arc<Queue>,
    threads: Vec<Thread>,
}

/// What waits for a thread. A read wakes one of them: if they took turns at a channel, each read would
/// wake the other one as well.
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    room: Semaphore,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Box<dyn Job>>,
    is_closed: bool,
}

impl Queue {
    async fn push(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.room.acquire().await.map_err(|_| StoreError::Closed)?.forget();
        self.state.lock().waiting.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// The next one; `None` when there are none and no more come.
    fn pop(&self) -> Option<Box<dyn Job>> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                self.room.add_permits(1);
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }

    fn close(&self) {
        self.state.lock().is_closed = true;
        self.changed.notify_all();
    }
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<Self> {
        let room = Semaphore::new(MAX_QUEUED);
        let queue = Arc::new(Queue { state: Mutex::default(), changed: Condvar::new(), room });
        let mut readers = Self { queue: queue.clone(), threads: Vec::new() };
        for (index, connection) in connections.into_iter().enumerate() {
            let queue = queue.clone();
            let name = format!("store-reader-{index}");
            readers.threads.push(Thread::start(&name, move || work(&connection, &queue))?);
        }
        Ok(readers)
    }

    pub(super) async fn run<T: Send + 'static>(&self, work: impl Transaction<T>) -> Result<T, StoreError> {
        let (job, answer) = job(work);
        self.queue.push(job).await?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn work(connection: &Connection, queue: &Queue) {
    let mut session = Session::reading(connection);
    while let Some(mut job) = queue.pop() {
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
