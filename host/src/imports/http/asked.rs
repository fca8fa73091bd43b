//! A request, checked: everything that can be said before anything is sent.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sublane_core::grants::METHODS;
use sublane_core::{Import, ImportError, LimitHit, Path, Purse, RunId};
use tokio::time::Instant;

use super::{ANY_MEDIA_TYPE, MAX_BODY_BYTES};
use crate::bindings::sublane::plugin::http;
use crate::http::head;
use crate::http::redirect::Leg;
use crate::http::url::Url;
use crate::http::{Payload, deadline};
use crate::imports::artifact::check_name;
use crate::imports::{Exit, Live};
use crate::journal::args;

/// Bytes of a body that becomes a file.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// Time of a request that names none, in milliseconds.
const DEFAULT_TIMEOUT_MS: u64 = 30_000;
/// Time of a request, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 600_000;
/// Redirects of a request that names no number.
const DEFAULT_REDIRECTS: u32 = 5;
/// Redirects of a request.
const MAX_REDIRECTS: u32 = 10;

/// A request that is checked, and what is left of it from one redirect to the next.
pub(in crate::imports) struct Asked {
    pub(in crate::imports) leg: Leg,
    pub(super) deadline: Instant,
    pub(in crate::imports) max_body: u64,
    /// Whether a redirect is followed at all.
    pub(super) follows: bool,
    /// The name and media type of the file, if there shall be one, and what the purse has for it.
    pub(super) file: Option<(http::File, u64)>,
}

/// The hash of a request, for its entry.
pub(in crate::imports) fn hash(import: Import, request: &http::Request) -> u128 {
    let number = |number: Option<u64>| number.map_or(vec![0], |n| [&[1], &n.to_le_bytes()[..]].concat());
    let count = (request.headers.len() as u64).to_le_bytes();
    let mut parts: Vec<&[u8]> = vec![request.method.as_bytes(), request.url.as_bytes(), &count];
    for header in &request.headers {
        parts.extend([header.name.as_bytes(), header.value.as_bytes()]);
    }
    let body: [&[u8]; 2] = match &request.body {
        http::Body::None => [b"", b""],
        http::Body::Bytes(bytes) => [b"bytes", bytes],
        http::Body::Artifact(id) => [b"artifact", id.as_bytes()],
    };
    parts.extend(body);
    let numbers = [request.timeout, request.max_body, request.max_redirects.map(u64::from)].map(number);
    parts.extend(numbers.iter().map(Vec::as_slice));
    if let Some(file) = &request.into_file {
        parts.extend([file.name.as_bytes(), file.media_type.as_deref().unwrap_or_default().as_bytes()]);
    }
    args(import, &parts)
}

/// A request as a replay shows it.
pub(in crate::imports) fn told(request: &http::Request) -> String {
    let headers = request.headers.iter().map(|header| (header.name.as_str(), header.value.as_str()));
    let body = match &request.body {
        http::Body::None => String::new(),
        http::Body::Bytes(bytes) => format!(", body {}", crate::imports::shown::argument(bytes)),
        http::Body::Artifact(id) => format!(", body artifact {id}"),
    };
    let headers: Vec<_> = headers.collect();
    format!("{:?}, {:?}, headers {headers:?}{body}", request.method, request.url)
}

/// A number that a guest names, within what the host has.
pub(in crate::imports) fn within(
    which: &str,
    named: Option<u64>,
    default: u64,
    most: u64,
) -> Result<u64, ImportError> {
    match named {
        Some(named) if named > most => Err(ImportError::Limit(LimitHit::new(which, most))),
        named => Ok(named.unwrap_or(default)),
    }
}

/// What receivers know a request by: the same when a crash has it made again, and no other one's.
fn idempotency_key(run: RunId, generation: u32, path: &Path) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"sublane http");
    hasher.update(run.to_string().as_bytes());
    hasher.update(&generation.to_le_bytes());
    hasher.update(path.as_bytes());
    URL_SAFE_NO_PAD.encode(&hasher.finalize().as_bytes()[..24])
}

impl Live {
    /// Everything that can be said before anything is sent. With a path, the request is known by it.
    pub(in crate::imports) async fn check(
        &mut self,
        path: Option<&Path>,
        request: http::Request,
    ) -> wasmtime::Result<Result<Asked, ImportError>> {
        let method = request.method;
        if !METHODS.contains(&method.as_str()) {
            let known = METHODS.join(", ");
            return Ok(Err(ImportError::Invalid(format!("the method must be one of {known}"))));
        }
        let url = match Url::parse(&request.url) {
            Ok(url) => url,
            Err(why) => return Ok(Err(ImportError::Invalid(why))),
        };
        if let Err(denied) = self.grants.may_request(&method, url.target()) {
            return Ok(Err(self.denied(denied)));
        }
        let headers = request.headers.into_iter().map(|header| (header.name, header.value)).collect();
        let mut headers = match head::check(request.url.len(), headers) {
            Ok(headers) => headers,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(path) = path
            && !headers.iter().any(|(name, _)| name == "idempotency-key")
        {
            let key = idempotency_key(self.attempt.spec.id, self.attempt.generation, path);
            headers.push(("idempotency-key".to_owned(), key));
        }
        let most = if request.into_file.is_some() { MAX_FILE_BYTES } else { MAX_BODY_BYTES };
        let numbers = within("http.timeout-ms", request.timeout, DEFAULT_TIMEOUT_MS, MAX_TIMEOUT_MS)
            .and_then(|ms| Ok((ms, within("http.body-bytes", request.max_body, most, most)?)))
            .and_then(|(ms, body)| {
                let redirects = request.max_redirects.map(u64::from);
                let most = u64::from(MAX_REDIRECTS);
                Ok((ms, body, within("http.redirects", redirects, u64::from(DEFAULT_REDIRECTS), most)?))
            });
        let (ms, max_body, redirects) = match numbers {
            Ok(numbers) => numbers,
            Err(error) => return Ok(Err(error)),
        };
        let file = match self.check_file(request.into_file).await? {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        let payload = match self.payload(request.body).await? {
            Ok(payload) => payload,
            Err(error) => return Ok(Err(error)),
        };
        let deadline = deadline(Duration::from_millis(ms));
        let redirects = u32::try_from(redirects).unwrap_or(MAX_REDIRECTS);
        let follows = redirects > 0;
        let leg = Leg { method, url, headers, payload, redirects };
        Ok(Ok(Asked { leg, deadline, max_body, follows, file }))
    }

    /// Whether a file may be made, and what the purse has for it.
    async fn check_file(
        &self,
        file: Option<http::File>,
    ) -> wasmtime::Result<Result<Option<(http::File, u64)>, ImportError>> {
        let Some(mut file) = file else { return Ok(Ok(None)) };
        if let Err(denied) = self.grants.may_write_artifacts() {
            return Ok(Err(self.denied(denied)));
        }
        let redactor = self.attempt.host.secrets.redactor();
        file.name = redactor.text(&file.name).into_owned();
        file.media_type = file.media_type.map(|text| redactor.text(&text).into_owned());
        if let Err(error) = check_name(&file.name, file.media_type.as_deref().unwrap_or(ANY_MEDIA_TYPE)) {
            return Ok(Err(error));
        }
        let left = self.purse().await?.artifact_bytes;
        Ok(Ok(Some((file, left))))
    }

    async fn payload(&self, body: http::Body) -> wasmtime::Result<Result<Payload, ImportError>> {
        Ok(match body {
            http::Body::None => Ok(Payload::None),
            http::Body::Bytes(bytes) if bytes.len() as u64 > MAX_BODY_BYTES => {
                Err(ImportError::Limit(LimitHit::new("http.body-bytes", MAX_BODY_BYTES)))
            }
            http::Body::Bytes(bytes) => Ok(Payload::Bytes(bytes.into())),
            http::Body::Artifact(id) => {
                let store = &self.attempt.host.store;
                let file = store.readable_artifact(self.attempt.spec.id, id.as_str().into()).await;
                file.map_err(Exit::store)?.map(Payload::File)
            }
        })
    }

    /// What the run has left, after all that was written.
    pub(in crate::imports) async fn purse(&self) -> wasmtime::Result<Purse> {
        let own = self.attempt.host.store.run(self.attempt.spec.id).await.map_err(Exit::store)?;
        Ok(own.map(|run| run.purse).unwrap_or_default())
    }
}
