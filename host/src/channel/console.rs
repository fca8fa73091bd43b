//! The console: what people are told, on a terminal, in a file or as JSON lines.
//!
//! Owns the order of what is written and the line of progress at the end. A
//! thread of its own writes, so that a terminal that is held up (`Ctrl-S`, a full
//! pipe) stalls neither the host nor a guest. What comes from plugins is
//! scrubbed: it cannot move the cursor, rename the window or hide text.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sublane_core::Delivery;
use sublane_core::delivery::AttemptResult;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::{Channel, Class, RunLabel};

mod paint;
#[cfg(test)]
mod tests;

use paint::Painter;
pub use paint::{Colour, ConsoleStyle, size};

/// Where a console writes. Whoever else writes there takes the lock for whole lines.
pub type Sink = Arc<Mutex<dyn Write + Send>>;

/// How long a delivery may wait for a console that is held up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Deliveries and progress that may wait to be written. More progress is dropped.
const MAX_WAITING: usize = 256;

/// The console channel. Any address is the same console.
pub struct Console {
    events: mpsc::Sender<Event>,
}

enum Event {
    Deliver { delivery: Box<Delivery>, done: oneshot::Sender<AttemptResult> },
    Progress { address: Arc<str>, run: RunLabel, percent: u8, note: Arc<str> },
    Close { done: oneshot::Sender<()> },
}

impl Console {
    /// A console that writes to `sink`, on a thread that lives as long as the channel.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(sink: Sink, style: ConsoleStyle) -> io::Result<Self> {
        let (events, waiting) = mpsc::channel(MAX_WAITING);
        std::thread::Builder::new()
            .name("console".to_owned())
            .spawn(move || write_all(waiting, &sink, style))?;
        Ok(Self { events })
    }

    /// A console on the standard output.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn stdout(style: ConsoleStyle) -> io::Result<Self> {
        Self::new(Arc::new(Mutex::new(io::stdout())), style)
    }
}

#[async_trait]
impl Channel for Console {
    fn class(&self) -> Class {
        Class::Blind
    }

    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        let (done, written) = oneshot::channel();
        let event = Event::Deliver { delivery: Box::new(delivery.clone()), done };
        let attempt = async {
            self.events.send(event).await.ok()?;
            written.await.ok()
        };
        match timeout(WRITE_TIMEOUT, attempt).await {
            Ok(Some(result)) => result,
            Ok(None) => retry("the console is closed", false),
            Err(_) => retry("the console is held up", true),
        }
    }

    fn progress(&self, address: &str, run: &RunLabel, percent: u8, note: &str) {
        let event = Event::Progress {
            address: address.into(),
            run: run.clone(),
            percent: percent.min(100),
            note: note.into(),
        };
        // Full: the next one says more.
        let _ = self.events.try_send(event);
    }

    async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.events.send(Event::Close { done }).await.is_ok() {
            let _ = closed.await;
        }
    }
}

fn retry(note: &str, ambiguous: bool) -> AttemptResult {
    AttemptResult::Retry { note: note.to_owned(), retry_after: None, ambiguous }
}

/// The console's thread: one event after the other, until the channel is gone.
fn write_all(mut events: mpsc::Receiver<Event>, sink: &Sink, style: ConsoleStyle) {
    let mut painter = Painter::new(style);
    while let Some(event) = events.blocking_recv() {
        match event {
            // Nobody waits for it any more: the attempt was given up before it began.
            Event::Deliver { done, .. } if done.is_closed() => {}
            Event::Deliver { delivery, done } => {
                let result = match painter.delivery(&delivery) {
                    Err(error) => {
                        AttemptResult::Permanent { note: format!("the body cannot be shown: {error}") }
                    }
                    Ok(text) => match write(sink, &text) {
                        Ok(()) => AttemptResult::Delivered { note: String::new() },
                        // A part of it may be there.
                        Err(error) => retry(&format!("the console cannot be written: {error}"), true),
                    },
                };
                let _ = done.send(result);
            }
            Event::Progress { address, run, percent, note } => {
                // Only a hint: where it cannot be written, a delivery will say so.
                let _ = write(sink, &painter.progress(&address, &run, percent, &note));
            }
            Event::Close { done } => {
                let _ = write(sink, &painter.close());
                let _ = done.send(());
            }
        }
    }
}

fn write(sink: &Sink, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut sink = sink.lock();
    sink.write_all(text.as_bytes())?;
    sink.flush()
}
