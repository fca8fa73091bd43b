//! Hooks: URLs that a run opens and somebody calls once.
//!
//! Owns what a hook is, who may call it, and which call counts. Never verifies
//! a signature, never stores; the token in the URL is known here by its hash only.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{HookId, RunId};
use crate::journal::base64_bytes;
use crate::time::Timestamp;

/// Hooks that a run may have open at once.
pub const MAX_OPEN: u32 = 16;
/// Hooks that one generation of a run may open in all.
pub const MAX_OPENED: u32 = 256;
/// Bytes of a call's body.
pub const MAX_BODY_BYTES: usize = 256 << 10;
/// Bytes of what a call is known by, and of its media type.
pub const MAX_HEADER_BYTES: usize = 256;

/// Who may call a hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Verification {
    /// Whoever knows the URL.
    Nobody,
    /// Who signs as Standard Webhooks say, with a key that this secret holds.
    StandardWebhooks {
        /// The operator's name of the secret.
        secret: String,
    },
    /// Who signs as fal does, with a key that is found at this URL.
    Fal {
        /// Where the keys are, as a JWKS.
        keys: String,
    },
}

/// What a caller brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCall {
    /// What repetitions of it are known by.
    pub key: Arc<str>,
    /// When it came.
    pub at: Timestamp,
    /// The media type, as the caller says.
    pub media_type: Option<Arc<str>>,
    /// The body.
    pub body: Arc<[u8]>,
    /// Whether the caller was verified.
    pub verified: bool,
}

/// Where a hook stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    /// Nobody has called it.
    Open,
    /// This call came, and its run does not know yet.
    Called(HookCall),
    /// The call of this key came, and its run was told.
    Told {
        /// What repetitions are known by.
        key: Arc<str>,
    },
    /// Its run wants no call any more.
    Closed,
}

impl HookState {
    /// `open`, `called`, `told` or `closed`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Called(_) => "called",
            Self::Told { .. } => "told",
            Self::Closed => "closed",
        }
    }

    /// Whether it counts among those that its run has open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open | Self::Called(_))
    }
}

/// A hook as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Identity, derived from where it was opened.
    pub id: HookId,
    /// The run that opened it.
    pub run: RunId,
    /// In which of its generations.
    pub generation: u32,
    /// The SHA-256 of the token in its URL.
    pub token: [u8; 32],
    /// Who may call it.
    pub verification: Verification,
    /// Where it stands.
    pub state: HookState,
    /// When it was opened.
    pub created: Timestamp,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// It is kept for the run.
    Taken,
    /// It came before, and nothing changes.
    Doubled,
    /// The hook wants no call any more.
    Gone,
}

impl Hook {
    /// Takes a call. `lives`: its run has not ended, and is in the generation that opened it.
    pub fn call(&mut self, call: HookCall, lives: bool) -> Called {
        let known = match &self.state {
            HookState::Called(HookCall { key, .. }) | HookState::Told { key } => Some(key),
            HookState::Open | HookState::Closed => None,
        };
        match &self.state {
            _ if known == Some(&call.key) => Called::Doubled,
            HookState::Open if lives => {
                self.state = HookState::Called(call);
                Called::Taken
            }
            _ => Called::Gone,
        }
    }

    /// Takes the call that has come, for its run.
    pub fn tell(&mut self) -> Option<HookCall> {
        let HookState::Called(call) = &self.state else { return None };
        let (call, key) = (call.clone(), call.key.clone());
        self.state = HookState::Told { key };
        Some(call)
    }
}

/// What a `hook.open` came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAnswer {
    /// The hook.
    pub id: HookId,
    /// The URL, with its token.
    pub url: Arc<str>,
}

/// A call as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAnswer {
    /// What repetitions of it are known by.
    pub key: Arc<str>,
    /// When it came.
    pub at: Timestamp,
    /// The media type, as the caller says.
    pub media_type: Option<Arc<str>>,
    /// Whether the caller was verified.
    pub verified: bool,
    /// The body, in base64.
    #[serde(with = "base64_bytes")]
    pub body: Arc<[u8]>,
}

impl From<HookCall> for CallAnswer {
    fn from(call: HookCall) -> Self {
        let HookCall { key, at, media_type, body, verified } = call;
        Self { key, at, media_type, verified, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(state: HookState) -> Hook {
        Hook {
            id: HookId([1; 16]),
            run: RunId([2; 16]),
            generation: 0,
            token: [3; 32],
            verification: Verification::Nobody,
            state,
            created: Timestamp(0),
        }
    }

    fn call(key: &str) -> HookCall {
        let body = Arc::from(&b"{}"[..]);
        HookCall { key: key.into(), at: Timestamp(1), media_type: None, body, verified: false }
    }

    #[test]
    fn one_call_counts_and_its_repetitions_change_nothing() {
        let mut one = hook(HookState::Open);
        assert_eq!(one.call(call("a"), true), Called::Taken);
        assert_eq!(one.call(call("a"), true), Called::Doubled);
        assert_eq!(one.call(call("b"), true), Called::Gone);
        assert_eq!(one.tell(), Some(call("a")));
        assert_eq!(one.tell(), None, "it is told once");
        assert_eq!(one.call(call("a"), true), Called::Doubled);
        assert_eq!(one.call(call("a"), false), Called::Doubled, "also when its run has ended");
        assert_eq!(one.call(call("b"), true), Called::Gone);
    }

    #[test]
    fn nobody_calls_what_is_closed_or_has_no_run_any_more() {
        assert_eq!(hook(HookState::Closed).call(call("a"), true), Called::Gone);
        let mut late = hook(HookState::Open);
        assert_eq!(late.call(call("a"), false), Called::Gone);
        assert_eq!(late.state, HookState::Open);
    }

    #[test]
    fn a_call_survives_its_stored_form() {
        let answer = CallAnswer::from(HookCall { body: Arc::from(&[0, 255, 7][..]), ..call("a") });
        let text = serde_json::to_string(&answer).expect("string keys");
        assert_eq!(serde_json::from_str::<CallAnswer>(&text).expect("what was written"), answer);
    }
}
