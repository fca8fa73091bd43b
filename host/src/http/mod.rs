//! Requests of plugins to other machines, one at a time.
//!
//! Owns the one client of the host with its connections, and everything that bounds an exchange:
//! addresses, heads, bodies, time. Asks no grants and follows no redirect: whoever does both calls
//! [`Client::exchange`] once for each. Never repeats a request of which a byte has left.

pub mod address;
mod connect;
pub mod head;
mod receive;
pub mod redirect;
pub mod url;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::try_unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::{self, Client as Legacy};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::{Deserialize, Serialize};
use sublane_core::{ArtifactRef, ImportError};
use tokio::time::{Instant, timeout_at};

pub use self::address::Reach;
pub use self::connect::Resolve;
use self::connect::{ConnectError, Connector};
use self::head::Header;
use self::receive::Bounds;
pub use self::receive::Sink;
use self::url::Url;
use crate::artifacts::{ArtifactDir, ArtifactError};
use crate::error::chain;
use crate::secrets::Redactor;

/// Idle connections that are kept to one server.
const MAX_IDLE: usize = 8;
/// How long a connection is kept idle.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);
/// Bytes of a response's head.
pub const MAX_HEAD_BYTES: usize = 64 << 10;
/// Headers of a response.
const MAX_HEADERS: usize = 100;
/// Bytes of a file that are read at once to be sent.
const PIECE_BYTES: u32 = 256 << 10;

/// What the client is told.
#[derive(Clone, Default)]
pub struct Settings {
    /// Which addresses may be reached. Default: public ones.
    pub reach: Reach,
    /// Certificates (PEM) to trust besides the public roots. Default none.
    pub ca_file: Option<PathBuf>,
    /// Finds addresses of names. Default: the system.
    pub resolver: Option<Arc<dyn Resolve>>,
}

/// The client cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the certificates in `{path}` cannot be used")]
pub struct ClientError {
    path: PathBuf,
    source: io::Error,
}

/// The one client of a host. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    /// On the runtime that has IO.
    inner: Legacy<Connector, Outgoing>,
    /// On the threads of guests. A connection lives where it was opened, and nothing of the host's own
    /// waits there behind a guest that computes.
    here: Legacy<Connector, Outgoing>,
    redactor: Redactor,
}

type Outgoing = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// One request, checked and complete.
pub struct Hop {
    /// In upper case.
    pub method: String,
    /// Where.
    pub url: Url,
    /// Names in small letters.
    pub headers: Vec<Header>,
    /// What is sent.
    pub payload: Payload,
    /// When it must be over.
    pub deadline: Instant,
    /// Bytes of the body that are taken, decoded.
    pub max_body: u64,
    /// Bytes that the purse has for it.
    pub max_wire: u64,
    /// Bytes of a body that becomes a file, if one shall: of every other body
    /// [`Hop::max_body`] are taken.
    pub max_file: Option<u64>,
    /// Whether the body of a redirect is of no interest.
    pub follows: bool,
}

/// What is sent.
#[derive(Clone)]
pub enum Payload {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(Bytes),
    /// The content of a file.
    File(ArtifactRef),
}

/// What came back. Texts are searched for secrets.
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Without those of the connection; names in small letters.
    pub headers: Vec<Header>,
    /// Where it leads, if it is a redirect that is followed.
    pub location: Option<String>,
    /// Its body.
    pub sink: Sink,
}

/// Why nothing came back that can be used, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failed {
    /// No address of this host may be reached.
    AddressRefused(String),
    /// There is no connection; nothing was sent.
    ConnectionFailed(String),
    /// It took too long.
    TimedOut,
    /// More bytes than this.
    TooLarge(u64),
    /// The redirect cannot be followed.
    BadRedirect(String),
    /// What came is no answer, or not all of it.
    Broken(String),
}

/// Why an exchange came to nothing.
#[derive(Debug)]
pub enum Missed {
    /// A limit of the host's.
    Host(ImportError),
    /// The world.
    Failed(Failed),
    /// The disk has no room.
    NoRoom(String),
    /// The host itself failed.
    Fault(String),
}

impl From<ArtifactError> for Missed {
    fn from(error: ArtifactError) -> Self {
        if error.is_full() { Self::NoRoom(chain(&error)) } else { Self::Fault(chain(&error)) }
    }
}

impl From<ImportError> for Missed {
    fn from(error: ImportError) -> Self {
        Self::Host(error)
    }
}

impl From<Failed> for Missed {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl Payload {
    /// Bytes that it sends.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.size,
        }
    }

    fn body(self, files: &ArtifactDir) -> Outgoing {
        match self {
            Self::None => Empty::new().map_err(|never| match never {}).boxed_unsync(),
            Self::Bytes(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
            Self::File(file) => {
                let files = files.clone();
                let pieces = try_unfold(0, move |offset| {
                    let (files, file) = (files.clone(), file.clone());
                    async move {
                        if offset >= file.size {
                            return Ok(None);
                        }
                        let piece = files.read(&file, offset, PIECE_BYTES).await?;
                        let next = offset + piece.len() as u64;
                        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Some((Frame::data(piece), next)))
                    }
                });
                StreamBody::new(pieces).boxed_unsync()
            }
        }
    }
}

impl Hop {
    /// Bytes that it sends: its line, its headers and its body.
    #[must_use]
    pub fn size(&self) -> u64 {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let line = self.method.len() + self.url.path().len() + self.url.query().map_or(0, str::len);
        (line + self.url.host().len() + headers) as u64 + self.payload.size()
    }

    /// Whether it moves a file: many bytes, one way or the other.
    #[must_use]
    pub fn is_bulk(&self) -> bool {
        self.max_file.is_some() || matches!(self.payload, Payload::File(_))
    }

    fn request(self, files: &ArtifactDir) -> Result<Request<Outgoing>, Missed> {
        let bad = |what: &str| Missed::Host(ImportError::Invalid(format!("{what} cannot be sent")));
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 3);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("sublane/", env!("CARGO_PKG_VERSION"))));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
        let mut own_agent = false;
        for (name, value) in self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("a header's name"))?;
            let value = HeaderValue::from_str(&value).map_err(|_| bad("a header's value"))?;
            if name == USER_AGENT && !own_agent {
                own_agent = true;
                headers.insert(name, value);
            } else {
                headers.append(name, value);
            }
        }
        if matches!(self.payload, Payload::File(_)) {
            headers.insert(CONTENT_LENGTH, self.payload.size().into());
        }
        let uri: Uri = self.url.to_string().parse().map_err(|_| bad("the URL"))?;
        let method = Method::from_bytes(self.method.as_bytes()).map_err(|_| bad("the method"))?;
        let mut request = Request::new(self.payload.body(files));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

impl Client {
    /// A client that looks for the values of secrets in all that comes.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub fn new(settings: Settings, redactor: Redactor) -> Result<Self, ClientError> {
        let tls = crate::tls::connector(settings.ca_file.as_deref())
            .map_err(|source| ClientError { path: settings.ca_file.unwrap_or_default(), source })?;
        let resolver = settings.resolver.unwrap_or_else(|| Arc::new(connect::System));
        let connector = Connector { reach: Arc::new(settings.reach), resolver, tls };
        let connections = || {
            Legacy::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(MAX_IDLE_TIME)
                .pool_max_idle_per_host(MAX_IDLE)
                .http1_max_buf_size(MAX_HEAD_BYTES)
                .http1_max_headers(MAX_HEADERS)
                .build(connector.clone())
        };
        Ok(Self { inner: connections(), here: connections(), redactor })
    }

    /// Sends a request and reads the response, until its deadline. Gives also how many bytes came,
    /// whatever came of it. Must be polled on the runtime that has IO.
    pub async fn exchange(&self, hop: Hop, files: &ArtifactDir) -> (Result<Reply, Missed>, u64) {
        self.bounded(&self.inner, hop, files).await
    }

    /// As [`Self::exchange`], on a thread of guests: for what is not [bulk](Hop::is_bulk), a request takes
    /// longer to change threads than all that the host does for it.
    pub async fn exchange_here(&self, hop: Hop, files: &ArtifactDir) -> (Result<Reply, Missed>, u64) {
        self.bounded(&self.here, hop, files).await
    }

    async fn bounded(
        &self,
        connections: &Legacy<Connector, Outgoing>,
        hop: Hop,
        files: &ArtifactDir,
    ) -> (Result<Reply, Missed>, u64) {
        let mut wire = 0;
        let done = timeout_at(hop.deadline, self.work(connections, hop, files, &mut wire)).await;
        (done.unwrap_or_else(|_| Err(Failed::TimedOut.into())), wire)
    }

    async fn work(
        &self,
        connections: &Legacy<Connector, Outgoing>,
        hop: Hop,
        files: &ArtifactDir,
        wire: &mut u64,
    ) -> Result<Reply, Missed> {
        let (follows, max_file, max_wire) = (hop.follows, hop.max_file, hop.max_wire);
        let max_body = hop.max_body;
        let response = connections.request(hop.request(files)?).await.map_err(missed)?;
        let (head, incoming) = response.into_parts();
        *wire += size(&head.headers);
        let status = head.status.as_u16();
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let location = text("location").filter(|_| follows && matches!(status, 301 | 302 | 303 | 307 | 308));
        if let Some(location) = location {
            let location = Some(location.to_owned());
            return Ok(Reply { status, headers: Vec::new(), location, sink: Sink::Bytes(Vec::new()) });
        }
        let (mut sink, body) = match max_file.filter(|_| head.status.is_success()) {
            Some(most) => {
                let staging = files.create().await?;
                (Sink::File(staging), most)
            }
            None => (Sink::Bytes(Vec::new()), max_body),
        };
        let bounds = Bounds { body, wire: max_wire };
        let encoding = text("content-encoding");
        receive::body(incoming, encoding, &bounds, &mut sink, &self.redactor, wire).await?;
        Ok(Reply { status, headers: self.headers(&head.headers, encoding.is_some()), location: None, sink })
    }

    /// The headers of a response for a guest.
    fn headers(&self, headers: &HeaderMap, was_decoded: bool) -> Vec<Header> {
        let is_undone = |name: &str| was_decoded && matches!(name, "content-encoding" | "content-length");
        let keep = |name: &str| !head::is_of_connection(name) && !is_undone(name);
        headers
            .iter()
            .filter(|(name, _)| keep(name.as_str()))
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.as_str().to_owned(), self.redactor.text(&value).into_owned())
            })
            .collect()
    }

    /// Whether the value of a secret stands in a text.
    #[must_use]
    pub fn finds_secret(&self, text: &str) -> bool {
        self.redactor.finds(text)
    }
}

/// When what begins now must be over.
#[must_use]
pub fn deadline(timeout: Duration) -> Instant {
    Instant::now() + timeout
}

fn size(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64).sum()
}

/// What became of a request that got no response.
fn missed(error: legacy::Error) -> Missed {
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        if let Some(connect) = cause.downcast_ref::<ConnectError>() {
            return Missed::Failed(match connect {
                ConnectError::AddressRefused(host) => Failed::AddressRefused(host.clone()),
                ConnectError::Failed(why) => Failed::ConnectionFailed(why.clone()),
            });
        }
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>() {
            if hyper.is_parse_too_large() {
                return Failed::TooLarge(MAX_HEAD_BYTES as u64).into();
            }
            if hyper.is_incomplete_message() || hyper.is_canceled() {
                return Failed::Broken("the connection was closed without an answer".to_owned()).into();
            }
        }
        source = cause.source();
    }
    Failed::Broken(chain(&error)).into()
}

#[cfg(test)]
mod tests;
