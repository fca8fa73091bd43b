//! Puts the values of secrets into a request, where the grants say so and nowhere else.
//!
//! Owns the search for placeholders: in the URL, in headers, in a body that is held in memory. One
//! that is not this run's, or stands anywhere else, stops the whole request.

use sublane_core::grants::{Denied, Place};
use sublane_core::{Grants, ImportError};

use super::{PREFIX, REST, Secret, Secrets, placeholder};
use crate::http::Payload;
use crate::http::address::literal;
use crate::http::head::Header;
use crate::http::url::Url;

/// Why a request with a placeholder is not made.
#[derive(Debug, thiserror::Error)]
pub enum Misuse {
    /// The grants do not cover this place or this audience.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// It is no placeholder of this run.
    #[error("the request holds a placeholder that is none of this run's; nothing was sent")]
    Unknown,
    /// It stands where no secret can be put.
    #[error("a placeholder stands {0}, where no secret is put; nothing was sent")]
    Misplaced(&'static str),
    /// Anybody on the way could read it.
    #[error("secret `{0}` goes over https:// only; nothing was sent")]
    Plain(String),
    /// The operator has no secret of this name.
    #[error("there is no secret `{0}`")]
    Absent(String),
}

impl Misuse {
    /// What a guest is told. `denied` says who refuses.
    pub fn told(self, denied: impl FnOnce(Denied) -> ImportError) -> ImportError {
        match self {
            Self::Denied(why) => denied(why),
            Self::Absent(_) => ImportError::NotFound,
            other => ImportError::Invalid(other.to_string()),
        }
    }
}

/// A request with the values in it.
pub struct Placed {
    /// Where to.
    pub url: Url,
    /// Its headers.
    pub headers: Vec<Header>,
    /// What it sends.
    pub payload: Payload,
}

/// Whether there is what looks like a placeholder.
#[must_use]
pub fn holds_placeholder(bytes: &[u8]) -> bool {
    find(bytes, 0).is_some()
}

fn find(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(PREFIX.len()).position(|window| window == PREFIX.as_bytes()).map(|at| from + at)
}

/// Puts the values that the grants of a run with this seed allow into a request.
///
/// # Errors
/// [`Misuse`]: nothing of it may be sent.
pub fn place(
    secrets: &Secrets,
    grants: &Grants,
    seed: &[u8; 32],
    url: &Url,
    headers: &[Header],
    payload: &Payload,
) -> Result<Placed, Misuse> {
    let filler = Filler { secrets, grants, url, known: known(grants, seed) };
    if holds_placeholder(url.path().as_bytes()) {
        return Err(Misuse::Misplaced("in the path of the URL"));
    }
    let query = url.query().map(|query| filler.query(query)).transpose()?;
    let mut placed = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        if holds_placeholder(name.as_bytes()) {
            return Err(Misuse::Misplaced("in the name of a header"));
        }
        let place = || Place::Header(name.clone());
        placed.push((name.clone(), filler.fill(value, place, str::to_owned)?));
    }
    let payload = match payload {
        Payload::Bytes(body) if holds_placeholder(body) => Payload::Bytes(filler.body(body)?.into()),
        other => other.clone(),
    };
    Ok(Placed { url: url.clone().with_query(query), headers: placed, payload })
}

/// The placeholders of a run, with the names of their secrets.
fn known(grants: &Grants, seed: &[u8; 32]) -> Vec<(String, String)> {
    let mut names: Vec<&str> = grants.secrets().iter().map(|grant| grant.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| (placeholder(seed, name), name.to_owned())).collect()
}

struct Filler<'a> {
    secrets: &'a Secrets,
    grants: &'a Grants,
    url: &'a Url,
    known: Vec<(String, String)>,
}

impl Filler<'_> {
    /// A text with values instead of placeholders.
    fn fill(
        &self,
        text: &str,
        place: impl Fn() -> Place,
        encode: impl Fn(&str) -> String,
    ) -> Result<String, Misuse> {
        let (mut filled, mut from) = (String::with_capacity(text.len()), 0);
        while let Some(at) = find(text.as_bytes(), from) {
            let end = at + PREFIX.len() + REST;
            let met = text.get(at..end).ok_or(Misuse::Unknown)?;
            filled.push_str(&text[from..at]);
            filled.push_str(&encode(&self.value(met, &place())?.value));
            from = end;
        }
        filled.push_str(&text[from..]);
        Ok(filled)
    }

    /// The secret that a placeholder stands for, if it may stand there.
    fn value(&self, met: &str, place: &Place) -> Result<&Secret, Misuse> {
        let (_, name) = self.known.iter().find(|(known, _)| known == met).ok_or(Misuse::Unknown)?;
        self.grants.may_send_secret(name, place, self.url.target())?;
        let secret = self.secrets.by_name.get(name).ok_or_else(|| Misuse::Absent(name.clone()))?;
        // An address and no name: what a name server says of `localhost` is not looked at here.
        let is_loopback = || literal(&self.url.host()).is_some_and(|address| address.is_loopback());
        if self.url.is_plain() && !(secret.loopback_without_tls && is_loopback()) {
            return Err(Misuse::Plain(name.clone()));
        }
        Ok(secret)
    }

    fn query(&self, query: &str) -> Result<String, Misuse> {
        let mut parts = Vec::new();
        for part in query.split('&') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            if holds_placeholder(name.as_bytes()) {
                return Err(Misuse::Misplaced("in the name of a parameter"));
            }
            if holds_placeholder(value.as_bytes()) {
                parts
                    .push(format!("{name}={}", self.fill(value, || Place::Query(name.to_owned()), percent)?));
            } else {
                parts.push(part.to_owned());
            }
        }
        Ok(parts.join("&"))
    }

    /// The text stays as it is but for the values: numbers and the order of members are the guest's.
    fn body(&self, body: &[u8]) -> Result<String, Misuse> {
        const NOT_JSON: Misuse = Misuse::Misplaced("in a body that is no JSON object");
        let text = std::str::from_utf8(body).map_err(|_| NOT_JSON)?;
        let members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|_| NOT_JSON)?;
        let mut allowed = 0;
        for (name, value) in &members {
            if holds_placeholder(name.as_bytes()) {
                return Err(Misuse::Misplaced("in the name of a member"));
            }
            allowed += self.below(&Place::Body(name.clone()), value)?;
        }
        // Each that stands in the text was found in a member: none hides in one that is named twice.
        let (mut count, mut from) = (0, 0);
        while let Some(at) = find(body, from) {
            (count, from) = (count + 1, at + PREFIX.len());
        }
        if count != allowed {
            return Err(Misuse::Misplaced("in a member that is named twice, or escaped"));
        }
        let mut filled = text.to_owned();
        for (met, name) in &self.known {
            if let Some(secret) = self.secrets.by_name.get(name) {
                let quoted = serde_json::to_string(&secret.value).expect("a text is JSON");
                filled = filled.replace(met, &quoted[1..quoted.len() - 1]);
            }
        }
        Ok(filled)
    }

    /// How many there are below a member. Each may be there.
    fn below(&self, place: &Place, value: &serde_json::Value) -> Result<usize, Misuse> {
        use serde_json::Value;
        match value {
            Value::String(text) => {
                let mut count = 0;
                let mut from = 0;
                while let Some(at) = find(text.as_bytes(), from) {
                    from = at + PREFIX.len() + REST;
                    self.value(text.get(at..from).ok_or(Misuse::Unknown)?, place)?;
                    count += 1;
                }
                Ok(count)
            }
            Value::Array(items) => {
                items.iter().try_fold(0, |count, item| Ok(count + self.below(place, item)?))
            }
            Value::Object(members) => members.iter().try_fold(0, |count, (name, item)| {
                if holds_placeholder(name.as_bytes()) {
                    return Err(Misuse::Misplaced("in the name of a member"));
                }
                Ok(count + self.below(place, item)?)
            }),
            _ => Ok(0),
        }
    }
}

/// Everything but unreserved characters, percent-encoded.
fn percent(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests;
