//! URLs that somebody outside calls, once, to tell this run something.
//!
//! Open one before you ask anybody to call it: a call that comes before you wait for it is kept.

use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;

use crate::bindings::imports::sublane::plugin::hook as raw;
use crate::error::Error;
use crate::time::{instant, millis};

pub use raw::{Trust, Verification};

/// Where fal's keys are, for [`Verification::Fal`].
pub const FAL_KEYS: &str = "https://rest.alpha.fal.ai/.well-known/jwks.json";

/// A hook that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    id: String,
    url: String,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What its repetitions are known by.
    pub key: String,
    /// When it came.
    pub at: SystemTime,
    /// What it is worth: a hint may have been sent by anybody who knew the URL.
    pub trust: Trust,
    /// The body's media type, as the caller says.
    pub media_type: Option<String>,
    /// The body, at most 256 KiB.
    pub body: Vec<u8>,
}

impl From<raw::Call> for Call {
    fn from(call: raw::Call) -> Self {
        let raw::Call { key, at, trust, media_type, body } = call;
        Self { key, at: instant(at), trust, media_type, body }
    }
}

impl Call {
    /// The body as text; what is no UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// [`Error::Invalid`] when it is none, or another value.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::Invalid(format!("the call's body: {error}")))
    }
}

impl Hook {
    /// Opens a hook. After a crash it is the same one.
    ///
    /// [`Error::Limit`] with 16 that are open; [`Error::Denied`] when a grant for the verification is
    /// missing; [`Error::Unavailable`] when the host has no door for hooks.
    pub fn open(verification: Verification) -> Result<Self, Error> {
        let raw::Opened { id, url } = raw::open(&verification)?;
        Ok(Self { id, url })
    }

    /// What is to be called, by POST. Tell it to nobody else.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The hook's id, which says nothing of the URL.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for the call, as long as the run's deadline allows.
    ///
    /// [`Error::NotFound`] when it is closed, or has told its call already.
    pub fn wait(&self) -> Result<Call, Error> {
        // Without a time-out there is a call, or the run has ended.
        raw::wait(&self.id, None)?.map(Call::from).ok_or(Error::NotFound)
    }

    /// Waits so long for the call. `None`: it has not come, and the hook stays open.
    ///
    /// [`Error::NotFound`] when it is closed, or has told its call already.
    pub fn wait_within(&self, timeout: Duration) -> Result<Option<Call>, Error> {
        wait_within(&self.id, timeout)
    }

    /// Closes it: whoever calls it from now on is told that it is gone.
    pub fn close(self) -> Result<(), Error> {
        close(&self.id)
    }
}

/// Waits so long for the call of a hook of this id, as [`Hook::wait_within`].
pub fn wait_within(id: &str, timeout: Duration) -> Result<Option<Call>, Error> {
    Ok(raw::wait(id, Some(millis(timeout)))?.map(Call::from))
}

/// Closes the hook of this id, as [`Hook::close`]. [`Error::NotFound`] when it is none of this run's.
pub fn close(id: &str) -> Result<(), Error> {
    Ok(raw::close(id)?)
}
