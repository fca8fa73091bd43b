//! Why an import did not do what it was asked.
//!
//! Owns the words that people read; the cases are the contract's.
//! Never adds a case of its own.

use std::time::Duration;

use crate::bindings::imports::sublane::plugin::types::Error as Raw;

/// Why a call was not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The run's grants do not cover it: names the capability.
    #[error("denied: {0}; it must be asked for in plugin.toml and allowed by the operator")]
    Denied(String),
    /// A limit was met. Trying again helps once something was freed.
    #[error("the limit {which} of {value} is reached; wait until something is freed, or ask for less")]
    Limit {
        /// The limit, for example `spawn.active-children`.
        which: String,
        /// Its value, in the unit that its name ends with.
        value: u64,
    },
    /// The arguments are not what the call takes: says which and why.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Within the grants, but there is no such thing.
    #[error("there is no such thing")]
    NotFound,
    /// It cannot be had now.
    #[error("not to be had now; try again {}", later(.retry_after))]
    Unavailable {
        /// How long to wait before trying again, where the host knows it.
        retry_after: Option<Duration>,
    },
    /// The run was cancelled. Everything that it still asks for answers this: end soon.
    #[error("the run was cancelled")]
    Cancelled,
    /// The host failed: the id under which its log has the reason.
    #[error("the host failed; its log has the reason under {0}")]
    Internal(String),
}

impl Error {
    /// Whether the same call may succeed when tried again.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Limit { .. } | Self::Unavailable { .. } => true,
            Self::Denied(_) | Self::Invalid(_) | Self::NotFound | Self::Cancelled | Self::Internal(_) => {
                false
            }
        }
    }
}

impl From<Raw> for Error {
    fn from(raw: Raw) -> Self {
        match raw {
            Raw::Denied(what) => Self::Denied(what),
            Raw::Limit(hit) => Self::Limit { which: hit.which, value: hit.value },
            Raw::Invalid(why) => Self::Invalid(why),
            Raw::NotFound => Self::NotFound,
            Raw::Unavailable(ms) => Self::Unavailable { retry_after: ms.map(Duration::from_millis) },
            Raw::Cancelled => Self::Cancelled,
            Raw::Internal(id) => Self::Internal(id),
        }
    }
}

fn later(retry_after: &Option<Duration>) -> String {
    match retry_after {
        Some(duration) => format!("in {duration:?}"),
        None => "later".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_to_do() {
        let shown = |error: Error| error.to_string();
        assert_eq!(
            shown(Error::Denied("spawn video/render".to_owned())),
            "denied: spawn video/render; it must be asked for in plugin.toml and allowed by the operator"
        );
        let retry_after = Some(Duration::from_millis(1500));
        assert_eq!(shown(Error::Unavailable { retry_after }), "not to be had now; try again in 1.5s");
        assert_eq!(shown(Error::Unavailable { retry_after: None }), "not to be had now; try again later");
    }

    #[test]
    fn only_what_may_change_by_itself_is_retryable() {
        assert!(Error::Limit { which: "spawn.active-children".to_owned(), value: 5 }.is_retryable());
        assert!(Error::Unavailable { retry_after: None }.is_retryable());
        assert!(!Error::Denied(String::new()).is_retryable());
        assert!(!Error::Cancelled.is_retryable());
    }
}
