//! What a redirect makes of a request.
//!
//! Owns what stays behind on the way to another server. Asks no grants: whoever follows it does.

use super::head::{self, Header};
use super::url::Url;
use super::{Failed, Payload};
use crate::secrets::{Redactor, holds_placeholder};

/// A request on its way, from one redirect to the next.
#[derive(Clone)]
pub struct Leg {
    /// In upper case.
    pub method: String,
    /// Where.
    pub url: Url,
    /// Names in small letters.
    pub headers: Vec<Header>,
    /// What is sent.
    pub payload: Payload,
    /// Redirects that may still be followed.
    pub redirects: u32,
}

impl Leg {
    /// The request that a redirect asks for.
    ///
    /// # Errors
    /// Why it cannot be followed.
    pub fn next(&self, status: u16, location: &str, redactor: &Redactor) -> Result<Self, Failed> {
        let bad = |why: &str| Failed::BadRedirect(why.to_owned());
        let Some(redirects) = self.redirects.checked_sub(1) else {
            return Err(bad("there are more redirects than may be followed"));
        };
        if redactor.finds(location) {
            return Err(bad("the place that it names holds a secret"));
        }
        let url = self.url.join(location).map_err(|why| bad(&why))?;
        let mut next = Self { url, redirects, ..self.clone() };
        if matches!((status, self.method.as_str()), (303, method) if method != "HEAD")
            || matches!((status, self.method.as_str()), (301 | 302, "POST"))
        {
            "GET".clone_into(&mut next.method);
            next.payload = Payload::None;
            next.headers.retain(|(name, _)| !head::is_of_body(name));
        }
        if next.url.origin() != self.url.origin() {
            if matches!(&next.payload, Payload::Bytes(bytes) if holds_placeholder(bytes)) {
                return Err(bad("the body holds a secret, which is sent to no other server"));
            }
            next.headers
                .retain(|(name, value)| !head::is_credential(name) && !holds_placeholder(value.as_bytes()));
        }
        Ok(next)
    }
}
