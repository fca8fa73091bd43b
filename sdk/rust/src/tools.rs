//! Calling the tools of other plugins.
//!
//! The tools that a plugin offers itself are functions with
//! [`#[tool]`](macro@crate::tool).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::imports::sublane::plugin::tools as raw;
use crate::error::Error;
use crate::json;

pub use raw::Tool as Description;

/// Why a tool gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The call was not made, or not finished.
    #[error("{0}")]
    Host(Error),
    /// The tool itself said that it failed: its message.
    #[error("{0}")]
    Tool(String),
    /// The tool trapped or passed a limit: why.
    #[error("the tool broke down: {0}")]
    Crashed(String),
    /// The result is of another shape than expected.
    #[error("{0}")]
    Unexpected(String),
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Host(error)
    }
}

impl From<raw::CallError> for CallError {
    fn from(error: raw::CallError) -> Self {
        match error {
            raw::CallError::Host(error) => Self::Host(error.into()),
            raw::CallError::Tool(message) => Self::Tool(message),
            raw::CallError::Crashed(why) => Self::Crashed(why),
        }
    }
}

/// The tools that the grants allow to call.
pub fn list() -> Result<Vec<Description>, Error> {
    Ok(raw::list_tools()?)
}

/// Calls a tool of another plugin and waits for its result.
///
/// A call that is repeated after a crash finds what it already did. The
/// arguments are checked against the tool's schema first ([`Error::Invalid`]).
/// Needs the grant `tools` for it.
pub fn call<R: DeserializeOwned>(
    plugin: &str,
    tool: &str,
    arguments: &(impl Serialize + ?Sized),
) -> Result<R, CallError> {
    let result = raw::call_tool(plugin, tool, &json::to_text("the arguments", arguments)?)?;
    json::from_text(&format!("what {plugin}/{tool} gave back"), &result).map_err(CallError::Unexpected)
}
