//! What a run that did not succeed has undone at other machines: requests that it registered, made
//! after its end.
//!
//! They are entries of its journal until then, and deliveries from its ending on. Never makes one.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::delivery::Destination;

/// The channel that undo requests are owed to; no other one has this name.
pub const UNDO_CHANNEL: &str = "undo";

/// Undo requests of one run, in one generation.
pub const MAX_UNDOS: u32 = 16;

/// A request, with placeholders where secrets go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// In upper case.
    pub method: String,
    /// Where.
    pub url: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// The body, when there is one.
    pub body: Option<String>,
}

impl Undo {
    /// What it is owed to: `undo:HOST`, so that a host which does not answer holds up no other one.
    #[must_use]
    pub fn destination(&self) -> Destination {
        let host = self.url.split('/').nth(2).filter(|host| !host.is_empty());
        Destination { channel: UNDO_CHANNEL.to_owned(), address: host.unwrap_or(&self.url).to_owned() }
    }

    /// The body of the delivery that owes it.
    #[must_use]
    pub fn to_json(&self) -> Arc<str> {
        serde_json::to_string(self).expect("texts serialize").into()
    }
}
