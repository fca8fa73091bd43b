//! The one thread that writes: what is queued becomes one commit.
//!
//! It never waits for more to come: a single caller pays one commit, and many
//! callers share one. Nobody is answered before the commit is durable.
//!
//! What nobody waits for, like the removal of what is old, goes *beside* others: with the next
//! commit, so that whoever comes then pays for its rows and not for a sync. Where nobody comes
//! for [`COMPANY`], it goes like any other.
//!
//! An operation that fails has written nothing by contract, so the others of
//! its group go on. The thread does not rely on it: an operation that wrote and
//! then failed, or panicked, takes its whole group back, and each of the group
//! is told so. Savepoints around each would confine that, but they copy every
//! page that is touched and cost half of the rate. Instead, the operations
//! after such a fault get a commit of their own each: whatever fails again
//! harms nobody else.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::timeout;

use super::checkpoint::Checkpointer;
use super::job::{Job, job};
use super::session::{LogLength, Session};
use super::statements::Sql;
use super::thread::Thread;
use crate::StoreError;
use crate::backend::Transaction;

/// Operations that wait for the thread; a caller beyond it waits for its turn to queue.
const MAX_QUEUED: usize = 1_024;
/// Operations in one commit. Bounds what a fault takes back, and the time to the first answer.
const MAX_GROUP: usize = 512;
/// Operations that get a commit of their own after a group was taken back.
const CAREFUL_OPERATIONS: u32 = 256;
/// How long an operation that goes beside others waits for them: a commit or two.
const COMPANY: Duration = Duration::from_millis(4);

/// The thread and its queue. Dropped, it does what is queued and ends.
pub(super) struct Writer {
    queue: Sender<Box<dyn Job>>,
    beside: Beside,
    _thread: Thread,
}

/// Operations that go beside others, one with each commit.
type Beside = Arc<Mutex<VecDeque<Box<dyn Job>>>>;

impl Writer {
    /// Starts it on a connection that writes, with another one for checkpoints beside it.
    pub(super) fn start(connection: Connection, beside: Connection) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED);
        let checkpointer = Checkpointer::start(beside)?;
        let beside = Beside::default();
        let waiting = beside.clone();
        let thread = Thread::start("store-writer", move || {
            work(&connection, receiver, &waiting, &checkpointer);
            // The connection that writes is the last one to close, and leaves no log behind.
            drop(checkpointer);
        })?;
        Ok(Self { queue: sender, beside, _thread: thread })
    }

    /// Queues a transaction and waits until it is durable. Once queued it happens,
    /// whether or not anybody still waits.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Transaction<T>) -> Result<T, StoreError> {
        let (job, answer) = job(work);
        self.queue.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// As [`Self::run`], for what nobody waits for. Dropped while it waits for company, it happens
    /// with the next commit, if there is one.
    pub(super) async fn run_beside<T: Send + 'static>(
        &self,
        work: impl Transaction<T>,
    ) -> Result<T, StoreError> {
        let (job, mut answer) = job(work);
        self.beside.lock().push_back(job);
        if let Ok(answer) = timeout(COMPANY, &mut answer).await {
            return answer.unwrap_or(Err(StoreError::Closed));
        }
        // Perhaps another's, which waited for longer; or its own is on its way.
        let waits = self.beside.lock().pop_front();
        if let Some(job) = waits {
            self.queue.send(job).await.map_err(|_| StoreError::Closed)?;
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }
}

fn work(
    connection: &Connection,
    mut queue: Receiver<Box<dyn Job>>,
    beside: &Beside,
    checkpointer: &Checkpointer,
) {
    let mut session = Session::writing(connection);
    let mut group = Vec::with_capacity(MAX_GROUP);
    let mut careful = 0_u32;
    while let Some(first) = queue.blocking_recv() {
        let done = if careful > 0 {
            run_group(&mut session, first, || None, &mut group)
        } else {
            let mut beside = Some(beside);
            let more = || {
                let job = queue.try_recv().ok();
                job.or_else(|| beside.take().and_then(|beside| beside.lock().pop_front()))
            };
            run_group(&mut session, first, more, &mut group)
        };
        match done {
            Ok(()) => {
                careful = careful.saturating_sub(1);
                group.drain(..).for_each(Job::answer);
            }
            Err(fault) => {
                careful = CAREFUL_OPERATIONS;
                tell(fault, &mut group);
            }
        }
        match session.log_length() {
            LogLength::Short => {}
            LogLength::Long => checkpointer.wake(),
            LogLength::TooLong => session.checkpoint(),
        }
    }
}

/// Why nothing of a group was committed.
enum Fault {
    /// The last operation of the group wrote and then failed.
    Operation(StoreError),
    /// The transaction could not begin or not commit.
    Transaction(StoreError),
}

/// Tells a group that nothing of it was committed.
fn tell(fault: Fault, group: &mut Vec<Box<dyn Job>>) {
    let error = match fault {
        Fault::Operation(error) => {
            let others = format!("it was taken back together with another operation that failed: {error}");
            let is_full = matches!(error, StoreError::Full(_));
            if let Some(culprit) = group.pop() {
                culprit.fail(error);
            }
            if is_full { StoreError::Full(others.into()) } else { StoreError::Io(others.into()) }
        }
        Fault::Transaction(error) => error,
    };
    // That the disk is full is said once, by whoever looks at it, and not for each commit.
    if matches!(error, StoreError::Full(_)) {
        tracing::debug!(%error, others = group.len(), "a commit of the store was taken back");
    } else {
        tracing::error!(%error, others = group.len(), "a commit of the store was taken back");
    }
    for job in group.drain(..) {
        job.fail(error.clone());
    }
}

/// Runs `first` and, up to [`MAX_GROUP`], what `more` gives, and commits.
fn run_group(
    session: &mut Session<'_>,
    first: Box<dyn Job>,
    mut more: impl FnMut() -> Option<Box<dyn Job>>,
    group: &mut Vec<Box<dyn Job>>,
) -> Result<(), Fault> {
    group.push(first);
    session.begin(Sql::Begin).map_err(Fault::Transaction)?;
    let mut next = 0;
    while let Some(job) = group.get_mut(next) {
        let done = job.run(session);
        let wrote = session.take_wrote();
        // Some errors make SQLite end the transaction by itself.
        if let Err(error) = done
            && (wrote || !session.in_transaction())
        {
            session.rollback();
            return Err(Fault::Operation(error));
        }
        next += 1;
        if next < MAX_GROUP {
            group.extend(more());
        }
    }
    session.commit().map_err(Fault::Transaction)
}
