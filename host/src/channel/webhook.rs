//! Webhooks: a signed POST for each delivery, after Standard Webhooks.
//!
//! Owns the endpoints and what an answer means. The body goes out byte for byte
//! as it is stored, with `webhook-id` (the delivery's id, the receiver's
//! idempotency key; each part of a long text has its own), `webhook-timestamp` (of this attempt) and
//! `webhook-signature`. Never follows a redirect and never retries.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use parking_lot::Mutex;
use sublane_core::delivery::AttemptResult;
use sublane_core::{Delivery, Timestamp};
use tokio::time::Instant;
use tokio_rustls::rustls::pki_types::ServerName;

use super::sign::{SecretError, SecretRef, Signer, unix_seconds};
use super::wire::{self, Answer, NoAnswer, Receiver};
use super::{Channel, Class, Rule, scrub_line};
use crate::clock::Clock;

#[cfg(test)]
mod peer;
#[cfg(test)]
mod tests;

/// Default of [`Endpoint::connect_timeout`].
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Default of [`Endpoint::attempt_timeout`].
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// Where `http://`, which anybody on the way can read, is good enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only to this machine: `localhost` and loopback addresses.
    #[default]
    Loopback,
    /// To any host. The signature still holds, but the content is readable.
    Anywhere,
}

/// A receiver, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `https://host[:port]/path`, or `http://` where [`PlainHttp`] says so.
    pub url: String,
    /// What signs its deliveries.
    pub secret: SecretRef,
    /// Where `http://` is allowed. Defaults to loopback.
    pub plain_http: PlainHttp,
    /// Certificates (PEM) to trust besides the public roots. Defaults to none.
    pub ca_file: Option<PathBuf>,
    /// For name, connection and TLS together. Defaults to 5 s.
    pub connect_timeout: Duration,
    /// For a whole attempt. Defaults to 15 s.
    pub attempt_timeout: Duration,
    /// How long a delivery is tried, whether one may overtake another, and how much text it takes
    /// at once. Defaults to three days, any order and any text.
    pub rule: Rule,
}

impl Endpoint {
    /// A receiver with the defaults.
    #[must_use]
    pub fn new(url: impl Into<String>, secret: SecretRef) -> Self {
        Self {
            url: url.into(),
            secret,
            plain_http: PlainHttp::default(),
            ca_file: None,
            connect_timeout: CONNECT_TIMEOUT,
            attempt_timeout: ATTEMPT_TIMEOUT,
            rule: Rule::default(),
        }
    }
}

/// An endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("webhook endpoint `{endpoint}` cannot be used")]
pub struct WebhookError {
    /// Its name in the configuration.
    pub endpoint: String,
    /// Why.
    pub source: EndpointError,
}

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The URL is none, or not of `http` or `https`.
    #[error("its URL is not of the form https://host/path")]
    Url,
    /// The URL holds a user name or a password.
    #[error("its URL holds credentials: a webhook is authenticated by its signature")]
    Credentials,
    /// Anybody on the way could read it.
    #[error("http:// is for loopback hosts: use https://, or allow plain HTTP for `{host}`")]
    Plain {
        /// The URL's host.
        host: String,
    },
    /// The secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The file of certificates cannot be used.
    #[error("its certificates in `{path}` cannot be used")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The webhook channel. An address is the name of an endpoint.
pub struct Webhook {
    endpoints: BTreeMap<String, Target>,
    clock: Arc<dyn Clock>,
}

/// An endpoint that is ready for use.
struct Target {
    receiver: Receiver,
    signer: Signer,
    /// Path and query.
    uri: Uri,
    host: HeaderValue,
    attempt_timeout: Duration,
    rule: Rule,
}

impl Webhook {
    /// Checks every endpoint and reads its secret. Connects to nobody.
    ///
    /// # Errors
    /// [`WebhookError`] for the first endpoint, by name, that cannot be used.
    pub fn new(endpoints: BTreeMap<String, Endpoint>, clock: Arc<dyn Clock>) -> Result<Self, WebhookError> {
        let ready = |(name, endpoint): (String, Endpoint)| match Target::new(endpoint) {
            Ok(target) => Ok((name, target)),
            Err(source) => Err(WebhookError { endpoint: name, source }),
        };
        Ok(Self { endpoints: endpoints.into_iter().map(ready).collect::<Result<_, _>>()?, clock })
    }
}

#[async_trait]
impl Channel for Webhook {
    fn class(&self) -> Class {
        Class::Idempotent
    }

    fn serves(&self, address: &str) -> bool {
        self.endpoints.contains_key(address)
    }

    fn rule(&self, address: &str) -> Rule {
        self.endpoints.get(address).map_or_else(Rule::default, |target| target.rule)
    }

    async fn deliver(&self, delivery: &Delivery) -> AttemptResult {
        match self.endpoints.get(&delivery.destination.address) {
            Some(target) => target.attempt(delivery, self.clock.now()).await,
            None => not_sent(format!("there is no endpoint `{}`", delivery.destination.address)),
        }
    }
}

impl Target {
    fn new(endpoint: Endpoint) -> Result<Self, EndpointError> {
        let uri: Uri = endpoint.url.parse().map_err(|_| EndpointError::Url)?;
        let authority = uri.authority().ok_or(EndpointError::Url)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::Credentials);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let plain_loopback = endpoint.plain_http == PlainHttp::Loopback;
        let (tls, port) = match uri.scheme_str() {
            Some("https") => {
                let name = ServerName::try_from(host.clone()).map_err(|_| EndpointError::Url)?;
                (Some((certificates(endpoint.ca_file)?, name)), 443)
            }
            Some("http") if plain_loopback && !wire::is_loopback_host(&host) => {
                return Err(EndpointError::Plain { host });
            }
            Some("http") => (None, 80),
            _ => return Err(EndpointError::Url),
        };
        let loopback_only = tls.is_none() && plain_loopback;
        let host_header = HeaderValue::from_str(authority.as_str()).map_err(|_| EndpointError::Url)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            signer: Signer::new(endpoint.secret)?,
            uri: path.parse().map_err(|_| EndpointError::Url)?,
            host: host_header,
            attempt_timeout: endpoint.attempt_timeout,
            rule: endpoint.rule,
            receiver: Receiver {
                port: authority.port_u16().unwrap_or(port),
                host,
                tls,
                loopback_only,
                connect_timeout: endpoint.connect_timeout,
                idle: Mutex::default(),
            },
        })
    }

    async fn attempt(&self, delivery: &Delivery, now: Timestamp) -> AttemptResult {
        let deadline = Instant::now() + self.attempt_timeout;
        let signature = match self.signer.sign(&delivery.id.to_string(), now, &delivery.body) {
            Ok(signature) => signature,
            Err(error) => return not_sent(error.to_string()),
        };
        let body = Bytes::copy_from_slice(delivery.body.as_bytes());
        let request = || {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = Method::POST;
            *request.uri_mut() = self.uri.clone();
            *request.headers_mut() = self.headers(delivery, now, &signature);
            request
        };
        match self.receiver.exchange(request, deadline).await {
            Ok(answer) => judge(&answer, now),
            Err(NoAnswer { note, left }) => {
                AttemptResult::Retry { note: scrub_line(&note), retry_after: None, ambiguous: left }
            }
        }
    }

    fn headers(&self, delivery: &Delivery, now: Timestamp, signature: &str) -> HeaderMap {
        let ascii =
            |text: &str| HeaderValue::from_str(text).expect("ids, numbers and base64 are visible ASCII");
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let agent = concat!("sublane/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert("webhook-id", ascii(&delivery.id.to_string()));
        headers.insert("webhook-timestamp", ascii(&unix_seconds(now).to_string()));
        headers.insert("webhook-signature", ascii(signature));
        headers
    }
}

fn certificates(ca_file: Option<PathBuf>) -> Result<tokio_rustls::TlsConnector, EndpointError> {
    crate::tls::connector(ca_file.as_deref())
        .map_err(|source| EndpointError::Certificates { path: ca_file.unwrap_or_default(), source })
}

fn not_sent(note: String) -> AttemptResult {
    AttemptResult::Retry { note, retry_after: None, ambiguous: false }
}

/// What an answer means. 408, 425, 429 and 5xx may pass: try again. A gateway that
/// lost its own answer (502, 504) does not know whether the receiver has it. Every
/// other answer but 2xx is the receiver's last word.
fn judge(answer: &Answer, now: Timestamp) -> AttemptResult {
    let status = answer.status;
    match status.as_u16() {
        200..=299 => AttemptResult::Delivered { note: status.to_string() },
        408 | 425 | 429 | 500..=599 => AttemptResult::Retry {
            note: said(answer),
            retry_after: retry_after(&answer.headers, now),
            ambiguous: matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT),
        },
        300..=399 => AttemptResult::Permanent { note: format!("{status}: redirects are not followed") },
        410 => AttemptResult::Gone { note: format!("{status}: the receiver wants no more deliveries") },
        _ => AttemptResult::Permanent { note: said(answer) },
    }
}

/// Status and the beginning of what came with it, on one line.
fn said(answer: &Answer) -> String {
    let words = answer.excerpt.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() {
        answer.status.to_string()
    } else {
        scrub_line(&format!("{}: {words}", answer.status))
    }
}

/// Seconds or an HTTP date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value).ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(Timestamp(0).after(at).since(now))
}
