//! Messages that others put into the run's mailbox, with
//! [`Child::send`](crate::Child::send) or from outside.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::bindings::imports::sublane::plugin::subagent as raw;
use crate::error::Error;
use crate::json;
use crate::time::millis;

/// The oldest message; waits for one as long as the run's deadline allows.
///
/// [`Error::Invalid`] when it is of another shape; it is taken all the same.
/// Not in a tool call.
pub fn receive<T: DeserializeOwned>() -> Result<T, Error> {
    // Without a time-out the host answers with a message or an error.
    take(None)?.ok_or(Error::Unavailable { retry_after: None })
}

/// The oldest message; waits for one, but no longer than so long.
pub fn receive_within<T: DeserializeOwned>(timeout: Duration) -> Result<Option<T>, Error> {
    take(Some(timeout))
}

fn take<T: DeserializeOwned>(timeout: Option<Duration>) -> Result<Option<T>, Error> {
    let Some(text) = raw::receive(timeout.map(millis))? else { return Ok(None) };
    json::from_text("the message", &text).map(Some).map_err(Error::Invalid)
}
