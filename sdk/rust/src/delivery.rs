//! Sending something to people while the run goes on.
//!
//! How the run ended is delivered by the host: see
//! [`Spawn::deliver_to`](crate::Spawn::deliver_to).

use crate::artifact::Artifact;
use crate::bindings::imports::sublane::plugin::delivery as raw;
use crate::error::Error;

/// What people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// 1 byte to 16 KiB.
    pub text: String,
    /// Files, delivered as links. At most 32.
    pub artifacts: Vec<Artifact>,
}

impl<T: Into<String>> From<T> for Message {
    fn from(text: T) -> Self {
        Self { text: text.into(), artifacts: Vec::new() }
    }
}

/// Owes a message to a destination: `origin`, or `channel:address`. Gives the
/// delivery's id.
///
/// It is owed once, whatever crashes; the host delivers it with retries. Needs
/// the grant `channels` for the destination. [`Error::Limit`]
/// (`delivery.per-run`) beyond 100 in one run.
pub fn send(destination: &str, message: impl Into<Message>) -> Result<String, Error> {
    let Message { text, artifacts } = message.into();
    Ok(raw::send(destination, &raw::Message { text, artifacts })?)
}
