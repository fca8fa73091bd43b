//! Sleeping without holding anything: a run that sleeps is a row in the store.

use std::time::{Duration, SystemTime};

use crate::bindings::imports::sublane::plugin::timer as raw;
use crate::error::Error;
use crate::time::{instant_ms, millis};

/// Sleeps at least so long, restarts of the host included.
///
/// [`Error::Limit`] (`cap.deadline`) when it would end after the run's deadline.
/// Not in a tool call.
pub fn sleep(duration: Duration) -> Result<(), Error> {
    Ok(raw::sleep(millis(duration))?)
}

/// Sleeps until an instant; over at once if that has passed. As [`sleep`] otherwise.
///
/// It may be a year from now, as long as the run's deadline is later: that is the `timeout` that
/// the manifest asks for and the operator allows.
pub fn until(instant: SystemTime) -> Result<(), Error> {
    Ok(raw::until(instant_ms(instant))?)
}
