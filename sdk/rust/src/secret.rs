//! Secrets of the operator's, which requests carry and nobody here sees.
//!
//! [`http::Request::bearer`](crate::http::Request::bearer) and
//! [`secret_header`](crate::http::Request::secret_header) do most of what is needed.

use crate::bindings::imports::sublane::plugin::secret as raw;
use crate::error::Error;

/// What stands for a secret: put it into a header, a parameter of the URL or a text in a body that is
/// JSON, where the grant `secrets` says so. Anywhere else the request is refused.
pub fn placeholder(name: &str) -> Result<String, Error> {
    Ok(raw::placeholder(name)?)
}
