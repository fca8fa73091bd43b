//! The version of the form in which grants are stored.
//!
//! A kind that this version does not know is an error and is never skipped:
//! whoever wrote it meant something by it.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The newest format that this version writes and reads. 2 has the kinds `http`, `files`, `secrets`
/// and `models`; 3 says whose root the grants were cut from.
const NEWEST: u8 = 3;

/// Says of stored grants which kinds they can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format;

impl Format {
    /// Of grants that do not say it: they were written before there was a second.
    pub(super) fn first() -> Self {
        Self
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(NEWEST)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            found if found > u64::from(NEWEST) => Err(serde::de::Error::custom(format!(
                "these grants have format {found}, and this version knows up to {NEWEST}: update the host"
            ))),
            _ => Ok(Self),
        }
    }
}
