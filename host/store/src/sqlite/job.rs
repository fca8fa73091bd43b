//! A transaction on its way to a thread, and its answer on the way back.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::StoreError;
use crate::backend::Transaction;
use crate::rows::Rows;

type Result<T> = std::result::Result<T, StoreError>;

/// A transaction that some task waits for.
pub(super) trait Job: Send {
    /// Runs it once, inside an open transaction. The error is the one that it will answer.
    fn run(&mut self, rows: &mut dyn Rows) -> Result<()>;
    /// Answers what it came to.
    fn answer(self: Box<Self>);
    /// Answers that it came to nothing.
    fn fail(self: Box<Self>, error: StoreError);
}

struct Pending<T, F> {
    work: Option<F>,
    result: Result<T>,
    reply: oneshot::Sender<Result<T>>,
}

/// A job, and where its answer arrives.
pub(super) fn job<T: Send + 'static>(
    work: impl Transaction<T>,
) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Pending { work: Some(work), result: Err(StoreError::Closed), reply }), answer)
}

impl<T: Send + 'static, F: Transaction<T>> Job for Pending<T, F> {
    fn run(&mut self, rows: &mut dyn Rows) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        self.result = catch_unwind(AssertUnwindSafe(|| work(rows))).unwrap_or_else(|panic| {
            let what = message(&*panic);
            tracing::error!(what, "an operation of the store panicked");
            Err(StoreError::Io(format!("an operation panicked: {what}").into()))
        });
        self.result.as_ref().map(drop).map_err(Clone::clone)
    }

    fn answer(self: Box<Self>) {
        // Nobody waits any more: that changes nothing about what was committed.
        let _ = self.reply.send(self.result);
    }

    fn fail(self: Box<Self>, error: StoreError) {
        let _ = self.reply.send(Err(error));
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
