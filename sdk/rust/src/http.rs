//! Requests to other machines.
//!
//! ```no_run
//! use sublane_sdk::http;
//! use sublane_sdk::serde_json::{Value, json};
//!
//! # fn f() -> Result<(), sublane_sdk::Failure> {
//! let job: Value = http::post("https://api.example.com/v1/jobs")
//!     .bearer("example")
//!     .json(&json!({ "prompt": "a lighthouse in a storm" }))
//!     .send()?
//!     .ok()?
//!     .json()?;
//! # Ok(()) }
//! ```
//!
//! Needs the grant `http` for the place and the method, and for each secret the
//! grant `secrets`. A request that a crash interrupted is made again, with the
//! same `Idempotency-Key`. Nothing else is ever repeated by the host.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifact::Artifact;
use crate::bindings::imports::sublane::plugin::http as raw;
use crate::error::Error;
use crate::time::millis;
use crate::{json, secret};

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The request was not made, or a limit cut its answer off.
    #[error("{0}")]
    Host(Error),
    /// The host has no address that may be reached.
    #[error("{0} has no address that may be reached; the operator allows what is not public under [http]")]
    AddressRefused(String),
    /// There was no connection, so nothing was sent.
    #[error("there is no connection: {0}")]
    ConnectionFailed(String),
    /// The response did not come in time, or not whole.
    #[error("the response did not come in time")]
    TimedOut,
    /// The response has more bytes than that.
    #[error("the response has more than {0} bytes")]
    TooLarge(u64),
    /// A redirect was not followed.
    #[error("the redirect cannot be followed: {0}")]
    BadRedirect(String),
    /// The connection broke, or what came is no response.
    #[error("what came is no response: {0}")]
    Broken(String),
    /// The status says that it failed: the status, and how its body begins.
    #[error("it was answered with status {0}: {1}")]
    Status(u16, String),
    /// The body is of another shape than expected.
    #[error("{0}")]
    Unexpected(String),
}

impl HttpError {
    /// Whether the same request may succeed when it is made again. Whether it may be made twice is for
    /// its author to know.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Host(error) => error.is_retryable(),
            Self::ConnectionFailed(_) | Self::TimedOut | Self::Broken(_) => true,
            Self::Status(status, _) => matches!(status, 408 | 425 | 429 | 500 | 502..=504),
            Self::AddressRefused(_) | Self::TooLarge(_) | Self::BadRedirect(_) | Self::Unexpected(_) => false,
        }
    }
}

impl From<Error> for HttpError {
    fn from(error: Error) -> Self {
        Self::Host(error)
    }
}

impl From<raw::HttpError> for HttpError {
    fn from(error: raw::HttpError) -> Self {
        match error {
            raw::HttpError::Host(error) => Self::Host(error.into()),
            raw::HttpError::AddressRefused(host) => Self::AddressRefused(host),
            raw::HttpError::ConnectionFailed(why) => Self::ConnectionFailed(why),
            raw::HttpError::TimedOut => Self::TimedOut,
            raw::HttpError::TooLarge(most) => Self::TooLarge(most),
            raw::HttpError::BadRedirect(why) => Self::BadRedirect(why),
            raw::HttpError::Broken(why) => Self::Broken(why),
        }
    }
}

/// A request that is about to be made. What is wrong with a part of it is said by [`send`](Self::send).
#[derive(Debug, Clone)]
#[must_use]
pub struct Request {
    raw: raw::Request,
    wrong: Option<Error>,
}

/// Reads something.
pub fn get(url: impl Into<String>) -> Request {
    request("GET", url)
}

/// Has something done.
pub fn post(url: impl Into<String>) -> Request {
    request("POST", url)
}

/// Puts something in its place.
pub fn put(url: impl Into<String>) -> Request {
    request("PUT", url)
}

/// Removes something.
pub fn delete(url: impl Into<String>) -> Request {
    request("DELETE", url)
}

/// With any method: `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`.
pub fn request(method: &str, url: impl Into<String>) -> Request {
    Request {
        raw: raw::Request {
            method: method.to_owned(),
            url: url.into(),
            headers: Vec::new(),
            body: raw::Body::None,
            timeout: None,
            max_body: None,
            into_file: None,
            max_redirects: None,
        },
        wrong: None,
    }
}

impl Request {
    /// With a header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.raw.headers.push(raw::Header { name: name.to_owned(), value: value.into() });
        self
    }

    /// With a header whose value is a secret of the operator's.
    pub fn secret_header(self, name: &str, secret: &str) -> Self {
        self.with_secret(secret, |request, placeholder| request.header(name, placeholder))
    }

    /// With `Authorization: Bearer` and a secret of the operator's.
    pub fn bearer(self, secret: &str) -> Self {
        self.with_secret(secret, |request, placeholder| {
            request.header("authorization", format!("Bearer {placeholder}"))
        })
    }

    fn with_secret(mut self, name: &str, put: impl FnOnce(Self, String) -> Self) -> Self {
        match secret::placeholder(name) {
            Ok(placeholder) => put(self, placeholder),
            Err(error) => {
                self.wrong.get_or_insert(error);
                self
            }
        }
    }

    /// Sends these bytes, at most 1 MiB.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.raw.body = raw::Body::Bytes(bytes.into());
        self
    }

    /// Sends a value as JSON.
    pub fn json(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        match json::to_text("the body", value) {
            Ok(text) => self.header("content-type", "application/json").body(text),
            Err(error) => {
                self.wrong.get_or_insert(error);
                self
            }
        }
    }

    /// Sends the content of a file.
    pub fn file(mut self, file: &Artifact) -> Self {
        self.raw.body = raw::Body::Artifact(file.id.clone());
        self.header("content-type", file.media_type.clone())
    }

    /// How long everything may take: 30 s if nothing is said, at most 10 min.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.raw.timeout = Some(millis(timeout));
        self
    }

    /// Bytes of a body that are taken: at most, and if nothing is said, 1 MiB, or 1 GiB into a file.
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.raw.max_body = Some(bytes);
        self
    }

    /// Makes a file of the body when the status is 2xx, without taking it into memory.
    /// It comes out of `artifact-bytes`.
    pub fn into_file(mut self, name: &str) -> Self {
        self.raw.into_file = Some(raw::File { name: name.to_owned(), media_type: None });
        self
    }

    /// As [`into_file`](Self::into_file), of this media type whatever the response says.
    pub fn into_file_of(mut self, name: &str, media_type: &str) -> Self {
        let media_type = Some(media_type.to_owned());
        self.raw.into_file = Some(raw::File { name: name.to_owned(), media_type });
        self
    }

    /// Redirects that are followed: 5 if nothing is said, at most 10. With 0 one is a response.
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.raw.max_redirects = Some(redirects);
        self
    }

    /// Has the host make the request when the run ends otherwise than with success: cancelled, timed
    /// out or failed. For what a provider works on: name its cancel right after its submit.
    ///
    /// It is checked and paid now. Only method, URL, headers and a text of at most 64 KiB; at most 16
    /// in one run; not in a tool call.
    pub fn undo(self) -> Result<(), Error> {
        match self.wrong {
            Some(wrong) => Err(wrong),
            None => Ok(raw::undo(&self.raw)?),
        }
    }

    /// As the contract has it, and what is wrong with it.
    pub(crate) fn into_raw(self) -> (raw::Request, Option<Error>) {
        (self.raw, self.wrong)
    }

    /// Makes the request and waits for the response, whatever its status.
    pub fn send(self) -> Result<Response, HttpError> {
        if let Some(wrong) = self.wrong {
            return Err(wrong.into());
        }
        let raw::Response { status, url, headers, content } = raw::send(&self.raw)?;
        let headers = headers.into_iter().map(|header| (header.name, header.value)).collect();
        let (body, file) = match content {
            raw::Content::Bytes(bytes) => (bytes, None),
            raw::Content::File(file) => (Vec::new(), Some(file)),
        };
        Ok(Response { status, url, headers, body, file })
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Where it came from, after redirects.
    pub url: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// Its body, unless a file was made of it.
    pub body: Vec<u8>,
    /// The file that was made of its body.
    pub file: Option<Artifact>,
}

impl Response {
    /// The first value of a header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The response if its status is 2xx, else [`HttpError::Status`].
    pub fn ok(self) -> Result<Self, HttpError> {
        match self.status {
            200..=299 => Ok(self),
            status => Err(HttpError::Status(status, self.text().chars().take(200).collect())),
        }
    }

    /// The body as text; what is no UTF-8 becomes `\u{FFFD}`.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a value.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        json::from_text("the response", &self.text()).map_err(HttpError::Unexpected)
    }

    /// The file that was made of the body.
    pub fn into_file(self) -> Result<Artifact, HttpError> {
        self.file.ok_or_else(|| HttpError::Unexpected("no file was asked for".to_owned()))
    }
}
