//! Sleeping without holding anything: a run that sleeps is a row in the store.

use std::time::Duration;

use crate::bindings::imports::sublane::plugin::timer as raw;
use crate::error::Error;
use crate::time::millis;

/// Sleeps at least so long, restarts of the host included.
///
/// [`Error::Limit`] (`cap.deadline`) when it would end after the run's deadline.
/// Not in a tool call.
pub fn sleep(duration: Duration) -> Result<(), Error> {
    Ok(raw::sleep(millis(duration))?)
}
