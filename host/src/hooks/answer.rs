//! What one call is answered, in this order: is there such a hook, is it a call, is it too much, is
//! it from whom it should be, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, CONNECTION, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use sublane_core::hook::{Called, Hook, HookCall, MAX_BODY_BYTES, Verification};
use sublane_store::StoreError;
use tokio::time::timeout;

use super::Door;
use super::verify::{self, Fal, Forged};
use crate::host::Inner;

/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(15);
/// What a caller is told to wait who came too often, or when something is missing, in seconds.
const SOON: HeaderValue = HeaderValue::from_static("5");
const LATER: HeaderValue = HeaderValue::from_static("60");

type Answer = Response<Empty<Bytes>>;

fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new());
    *answer.status_mut() = status;
    answer
}

fn wait(status_code: StatusCode, how_long: HeaderValue) -> Answer {
    let mut answer = status(status_code);
    answer.headers_mut().insert(RETRY_AFTER, how_long);
    answer
}

/// The rest of a body is not read: nothing else can come on its connection.
fn and_close(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// What a call is known by, and whether its caller was verified.
type Known = (String, bool);

/// Why a caller is not taken for whom he should be.
enum Unverified {
    Forged,
    /// What it takes to know is not there.
    Unready,
}

impl From<Forged> for Unverified {
    fn from(_: Forged) -> Self {
        Self::Forged
    }
}

/// Answers one request.
pub(super) async fn answer(host: &Arc<Inner>, door: &Door, request: Request<Incoming>) -> Answer {
    let now = host.clock.now();
    let Some(token) = door.token(request.uri().path()) else { return status(StatusCode::NOT_FOUND) };
    if !door.pace.any(now) {
        return wait(StatusCode::TOO_MANY_REQUESTS, SOON);
    }
    let hook = match host.store.hook_by_token(token).await {
        Ok(Some(hook)) => hook,
        Ok(None) => return status(StatusCode::NOT_FOUND),
        Err(error) => return failed(&error),
    };
    if request.method() != Method::POST {
        let mut answer = status(StatusCode::METHOD_NOT_ALLOWED);
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return and_close(answer);
    }
    if !door.pace.of(hook.id, now) {
        return and_close(wait(StatusCode::TOO_MANY_REQUESTS, SOON));
    }
    let (head, body) = request.into_parts();
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return and_close(status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let body = match timeout(BODY_TIME, Limited::new(body, MAX_BODY_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return and_close(status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        Ok(Err(_)) => return and_close(status(StatusCode::BAD_REQUEST)),
        Err(_) => return and_close(status(StatusCode::REQUEST_TIMEOUT)),
    };
    let answer = match known(host, door, &hook, &head.headers, &body).await {
        Ok(known) => take(host, token, &head.headers, &body, known).await,
        Err(Unverified::Forged) => status(StatusCode::UNAUTHORIZED),
        Err(Unverified::Unready) => wait(StatusCode::SERVICE_UNAVAILABLE, LATER),
    };
    tracing::info!(
        target: "sublane::hooks",
        run = %hook.run,
        hook = %hook.id,
        bytes = body.len(),
        status = answer.status().as_u16(),
        "a hook was called"
    );
    answer
}

/// Keeps a call, and lets its run go on. It is durable before it is answered.
async fn take(host: &Arc<Inner>, token: [u8; 32], headers: &HeaderMap, body: &[u8], known: Known) -> Answer {
    let (key, verified) = known;
    let redactor = host.secrets.redactor();
    let media_type = verify::header(headers, "content-type").map(|text| redactor.text(text).into());
    let body = redactor.bytes(body).into();
    let at = host.clock.now();
    let call = HookCall { key: redactor.text(&key).into(), at, media_type, body, verified };
    let owned = host.clone();
    // Whoever hangs up before it is answered has called: what follows from it is done.
    let taken = host.to_its_end(async move {
        let called = owned.store.call_hook(token, call, at).await?;
        Ok(called.map(|(called, effects)| {
            owned.dispatch(effects);
            called
        }))
    });
    match taken.await.unwrap_or_else(|why| Err(StoreError::Io(why.into()))) {
        Ok(Some(Called::Taken | Called::Doubled)) => status(StatusCode::OK),
        Ok(Some(Called::Gone)) => status(StatusCode::GONE),
        Ok(None) => status(StatusCode::NOT_FOUND),
        Err(error) => failed(&error),
    }
}

fn failed(error: &StoreError) -> Answer {
    tracing::error!(target: "sublane::hooks", %error, "a call of a hook could not be taken; it is to come again");
    and_close(wait(StatusCode::SERVICE_UNAVAILABLE, LATER))
}

/// What a call is known by, if it is from whom it should be.
async fn known(
    host: &Inner,
    door: &Door,
    hook: &Hook,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Known, Unverified> {
    let now = host.clock.now();
    match &hook.verification {
        Verification::Nobody => {
            let digest = || Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
            Ok((verify::header(headers, "webhook-id").map_or_else(digest, str::to_owned), false))
        }
        Verification::StandardWebhooks { secret } => {
            // A secret that is no more, or holds something else since: the caller comes again.
            let keys = host.secrets.webhook_keys(secret).and_then(Result::ok).ok_or(Unverified::Unready)?;
            Ok((verify::standard(&keys, headers, body, now)?, true))
        }
        Verification::Fal { keys: place } => {
            let signed = Fal::read(headers, body, now)?;
            if door.keys.kept(place, now).is_some_and(|keys| signed.is_of(&keys)) {
                return Ok((signed.key, true));
            }
            let look = door.keys.look(place, &host.http, &host.artifacts, &*host.clock);
            let keys = look.await.ok_or(Unverified::Unready)?;
            if signed.is_of(&keys) { Ok((signed.key, true)) } else { Err(Unverified::Forged) }
        }
    }
}
