//! Small durable values in buckets.
//!
//! Buckets belong to the host: two plugins that are granted the same bucket
//! share it. Keys are 1 to 256 bytes, values up to 64 KiB. Needs the grant `kv`
//! for the bucket and the beginning of the key.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::imports::sublane::plugin::kv as raw;
use crate::error::Error;
use crate::json;

/// A value, or `None`.
pub fn get(bucket: &str, key: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(raw::get(bucket, key)?)
}

/// Sets a value, exactly once whatever crashes.
pub fn set(bucket: &str, key: &str, value: &[u8]) -> Result<(), Error> {
    Ok(raw::set(bucket, key, value)?)
}

/// Sets a value only if the right thing is there: `kv::when("films", "turn").is(b"1").set(b"2")`.
pub fn when<'a>(bucket: &'a str, key: &'a str) -> When<'a> {
    When { bucket, key }
}

/// A key of which something is to be said before it is set.
#[derive(Debug, Clone, Copy)]
#[must_use = "nothing is set before `set`"]
pub struct When<'a> {
    bucket: &'a str,
    key: &'a str,
}

impl<'a> When<'a> {
    /// Nothing may be there.
    pub fn is_absent(self) -> Condition<'a> {
        Condition { key: self, held: None }
    }

    /// This must be there, byte for byte.
    pub fn is(self, held: &[u8]) -> Condition<'a> {
        Condition { key: self, held: Some(held.to_vec()) }
    }

    /// What [`get`] gave must still be there.
    pub fn is_still(self, got: Option<&[u8]>) -> Condition<'a> {
        Condition { key: self, held: got.map(<[u8]>::to_vec) }
    }
}

/// What must be there, so that a value is set.
#[derive(Debug, Clone)]
#[must_use = "nothing is set before `set`"]
pub struct Condition<'a> {
    key: When<'a>,
    held: Option<Vec<u8>>,
}

impl Condition<'_> {
    /// Sets the value if the condition holds, in one step and exactly once whatever crashes.
    /// `false` = something else is there, and nothing was changed.
    pub fn set(self, value: &[u8]) -> Result<bool, Error> {
        Ok(raw::set_if(self.key.bucket, self.key.key, self.held.as_deref(), value)?)
    }

    /// As [`Condition::set`], to JSON text.
    pub fn set_json<T: Serialize + ?Sized>(self, value: &T) -> Result<bool, Error> {
        self.set(json::to_text("the value", value)?.as_bytes())
    }
}

/// Removes a value; what is not there is no error.
pub fn delete(bucket: &str, key: &str) -> Result<(), Error> {
    Ok(raw::delete(bucket, key)?)
}

/// A value that [`set_json`] wrote, or `None`. [`Error::Invalid`] when it is of
/// another shape.
pub fn get_json<T: DeserializeOwned>(bucket: &str, key: &str) -> Result<Option<T>, Error> {
    let Some(bytes) = get(bucket, key)? else { return Ok(None) };
    let refused = |why: &str| Error::Invalid(format!("the value of {bucket}/{key} {why}"));
    let text = str::from_utf8(&bytes).map_err(|_| refused("is no text"))?;
    json::from_text(&format!("the value of {bucket}/{key}"), text).map(Some).map_err(Error::Invalid)
}

/// Sets a value to JSON text, exactly once whatever crashes.
pub fn set_json<T: Serialize + ?Sized>(bucket: &str, key: &str, value: &T) -> Result<(), Error> {
    set(bucket, key, json::to_text("the value", value)?.as_bytes())
}

/// Keys that start with `prefix` and come after `after`, in byte order, at
/// most 1,000. Go on with the last one.
pub fn list_keys(bucket: &str, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
    Ok(raw::list_keys(bucket, prefix, after)?)
}
