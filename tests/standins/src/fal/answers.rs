//! What a stand-in for fal answers to each request.
//!
//! Statuses, fields and sentences are fal's, as its documents and its Python client have them.

use std::sync::Arc;

use hyper::{Method, Response};
use serde_json::{Value, json};

use super::hooks::{pause, send, send_later};
use super::jobs::{At, Call, Job, State, Submit};
use super::script::{Act, Endpoint, Pace, When};
use super::{Shared, control, media};
use crate::wire::{Asked, Body, Closed, closed, whole};

/// Where a request leads.
enum Route {
    Submit { app: String, path: String },
    Job { endpoint: Endpoint, id: String },
    Media { id: String },
    Keys,
    Control(Vec<String>),
    Nowhere,
}

/// First segments that stand before owner and app.
const NAMESPACES: [&str; 2] = ["workflows", "comfy"];

fn route(method: &Method, path: &str) -> Route {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        [".well-known", "jwks.json"] if method == Method::GET => return Route::Keys,
        ["files", id, _] if method == Method::GET => return Route::Media { id: (*id).to_owned() },
        ["-", rest @ ..] => return Route::Control(rest.iter().map(|part| (*part).to_owned()).collect()),
        _ => {}
    }
    let named = 2 + usize::from(NAMESPACES.contains(&parts[0]));
    if parts.len() < named || parts.iter().any(|part| part.is_empty()) {
        return Route::Nowhere;
    }
    let of_job = |endpoint, id: &str| Route::Job { endpoint, id: id.to_owned() };
    match (method.as_str(), &parts[named..]) {
        ("GET", ["requests", id, "status"]) => of_job(Endpoint::Status, id),
        ("GET", ["requests", id]) => of_job(Endpoint::Result, id),
        ("PUT", ["requests", id, "cancel"]) => of_job(Endpoint::Cancel, id),
        ("POST", rest) if rest.first() != Some(&"requests") => {
            Route::Submit { app: parts[..named].join("/"), path: rest.join("/") }
        }
        _ => Route::Nowhere,
    }
}

/// Answers a request, and remembers it.
pub(crate) async fn answer(shared: &Arc<Shared>, asked: Asked) -> Result<Response<Body>, Closed> {
    let route = route(&asked.head.method, asked.head.uri.path());
    let endpoint = match &route {
        Route::Submit { .. } => Some(Endpoint::Submit),
        Route::Job { endpoint, .. } => Some(*endpoint),
        Route::Media { .. } => Some(Endpoint::Media),
        Route::Keys => Some(Endpoint::Keys),
        Route::Control(parts) => return Ok(control::answer(shared, &asked, parts)),
        Route::Nowhere => None,
    };
    let number = shared.change(|state| {
        state.calls.push(call(&asked, endpoint));
        state.calls.len() - 1
    });
    let answered = act(shared, &asked, &route, endpoint).await;
    if let Ok(response) = &answered {
        shared.change(|state| state.calls[number].answered = Some(response.status().as_u16()));
    }
    answered
}

fn call(asked: &Asked, endpoint: Option<Endpoint>) -> Call {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = asked.head.headers.iter();
    Call {
        endpoint,
        method: asked.head.method.to_string(),
        target: asked.head.uri.to_string(),
        headers: headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect(),
        body: text(&asked.body),
        answered: None,
    }
}

/// What goes wrong, or what is asked for.
async fn act(
    shared: &Arc<Shared>,
    asked: &Asked,
    route: &Route,
    endpoint: Option<Endpoint>,
) -> Result<Response<Body>, Closed> {
    let Some(endpoint) = endpoint else { return Ok(told(404, json!({ "detail": "Not Found" }))) };
    let needs_key = !matches!(endpoint, Endpoint::Media | Endpoint::Keys);
    if needs_key && asked.header("authorization") != format!("Key {}", shared.key) {
        let said = "Cannot access application. Authentication is required to access this application.";
        return Ok(told(401, json!({ "detail": said })));
    }
    let act = shared.change(|state| state.fault(endpoint));
    match act {
        None => usual(shared, asked, route, None).await,
        Some(Act::Status { status, retry_after }) => {
            let mut answer = told(status, json!({ "detail": format!("{status}, as the script says") }));
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert("retry-after", seconds.into());
            }
            Ok(answer)
        }
        Some(Act::DropBefore) => Err(closed()),
        Some(Act::DropAfter) => usual(shared, asked, route, None).await.and(Err(closed())),
        Some(Act::Hang) => std::future::pending().await,
        Some(Act::Slow(millis)) => {
            let answer = usual(shared, asked, route, None).await;
            pause(millis).await;
            answer
        }
        Some(Act::State(word)) => match route {
            Route::Job { id, .. } => Ok(shared.change(|state| status(state.job(id), Some(&word), false))),
            _ => usual(shared, asked, route, None).await,
        },
        Some(Act::Vanish) => {
            if let Route::Job { id, .. } | Route::Media { id } = route {
                shared.change(|state| state.job(id).into_iter().for_each(|job| job.at = At::Forgotten));
            }
            usual(shared, asked, route, None).await
        }
        Some(Act::Cut(after)) => usual(shared, asked, route, Some(after)).await,
        Some(Act::Garbage) => {
            let kind = if endpoint == Endpoint::Media { "text/html" } else { "application/json" };
            let answer = Response::builder().header("content-type", kind).body(whole("<html>503</html>"));
            Ok(answer.expect("its parts are well formed"))
        }
    }
}

/// What fal does when all is well.
async fn usual(
    shared: &Arc<Shared>,
    asked: &Asked,
    route: &Route,
    cut: Option<u64>,
) -> Result<Response<Body>, Closed> {
    let answer = match route {
        Route::Submit { app, path } => submit(shared, asked, app, path).await,
        Route::Job { endpoint: Endpoint::Status, id } => {
            let with_logs = query(asked, "logs").is_some_and(|logs| ["1", "true"].contains(&logs.as_str()));
            look(shared, id, with_logs)
        }
        Route::Job { endpoint: Endpoint::Cancel, id } => shared.change(|state| cancel(state, id)),
        Route::Job { id, .. } => shared.change(|state| result(state.job(id))),
        Route::Media { id } => {
            let size = shared.change(|state| state.job(id).map(|job| job.film_bytes));
            return Ok(match size {
                Some(size) => media::answer(size, asked.header("range"), cut),
                None => told(404, json!({ "detail": "Not Found" })),
            });
        }
        Route::Keys => shared.change(|state| told(200, state.keys.published())),
        Route::Control(_) | Route::Nowhere => told(404, json!({ "detail": "Not Found" })),
    };
    Ok(match cut {
        Some(after) => media::cut(answer, after).await,
        None => answer,
    })
}

async fn submit(shared: &Arc<Shared>, asked: &Asked, app: &str, path: &str) -> Response<Body> {
    let Ok(input) = serde_json::from_slice::<Value>(&asked.body) else {
        let said = json!([{ "loc": ["body"], "msg": "JSON decode error", "type": "json_invalid" }]);
        return told(422, json!({ "detail": said }));
    };
    let key = asked.header("idempotency-key");
    let submit = Submit {
        app: app.to_owned(),
        path: path.to_owned(),
        input,
        hook: query(asked, "fal_webhook"),
        idempotency_key: (!key.is_empty()).then(|| key.to_owned()),
        base: asked.base(),
    };
    let (job, is_new) = shared.change(|state| state.submit(submit));
    if is_new {
        match (job.webhook.when, job.pace) {
            (When::BeforeAnswer, _) => send(shared, &job.id).await,
            (When::BeforeDone, _) => send_later(shared, &job.id),
            _ => {}
        }
        if let (true, Pace::Millis { queued, running }) = (job.at.is_open(), job.pace) {
            let (shared_later, id) = (shared.clone(), job.id.clone());
            shared.tasks.lock().spawn(async move {
                pause(queued).await;
                shared_later.go_on(&id, At::Running);
                pause(running).await;
                shared_later.go_on(&id, At::Done);
            });
        }
    }
    let url = job.url();
    told(
        200,
        json!({
            "status": "IN_QUEUE", "request_id": job.id, "gateway_request_id": job.id,
            "response_url": url, "status_url": format!("{url}/status"),
            "cancel_url": format!("{url}/cancel"), "queue_position": 0, "logs": null, "metrics": {},
        }),
    )
}

/// Somebody looks at the status, which may be what a job waits for.
fn look(shared: &Arc<Shared>, id: &str, with_logs: bool) -> Response<Body> {
    let (answer, is_done) = shared.change(|state| {
        let is_done = state.job(id).is_some_and(Job::look);
        (status(state.job(id), None, with_logs), is_done)
    });
    if is_done {
        shared.told_done(id);
    }
    answer
}

fn status(job: Option<&mut Job>, word: Option<&str>, with_logs: bool) -> Response<Body> {
    let Some(job) = job else { return told(404, json!({ "detail": "Request not found" })) };
    let usual = match job.at {
        At::Queued => "IN_QUEUE",
        At::Running => "IN_PROGRESS",
        At::Done | At::Cancelled | At::Forgotten => "COMPLETED",
    };
    let url = job.url();
    let mut body = json!({
        "status": word.unwrap_or(usual), "request_id": job.id, "response_url": url,
        "status_url": format!("{url}/status"), "cancel_url": format!("{url}/cancel"), "logs": null,
    });
    let log = |message: &str| json!({ "message": message, "level": "INFO", "source": "USER", "timestamp": "2026-11-28T12:00:00.000000" });
    if job.at == At::Queued {
        body["queue_position"] = json!(0);
    } else if with_logs {
        body["logs"] = json!([log("loading the model"), log("drawing")]);
    }
    if !job.at.is_open() {
        body["metrics"] = json!({ "inference_time": 1.5 });
    }
    if let Some((error_type, error)) = job.error() {
        body["error"] = json!(error);
        body["error_type"] = json!(error_type);
    }
    told(if job.at.is_open() || word.is_some() { 202 } else { 200 }, body)
}

fn result(job: Option<&mut Job>) -> Response<Body> {
    let Some(job) = job else { return told(404, json!({ "detail": "Request not found" })) };
    let (code, body) = match job.at {
        At::Queued | At::Running => (400, json!({ "detail": "Request is still in progress" })),
        At::Cancelled => {
            (499, json!({ "detail": "Request was cancelled", "error_type": "client_cancelled" }))
        }
        At::Done | At::Forgotten => job.result(),
    };
    let mut answer = told(code, body);
    if code >= 400 {
        answer.headers_mut().insert("x-fal-retryable", "false".parse().expect("it is a value"));
        if let Some(kind) = job.error().and_then(|(kind, _)| kind.parse().ok()) {
            answer.headers_mut().insert("x-fal-error-type", kind);
        }
    }
    if let Ok(id) = job.id.parse() {
        answer.headers_mut().insert("x-fal-request-id", id);
    }
    answer
}

fn cancel(state: &mut State, id: &str) -> Response<Body> {
    let Some(job) = state.job(id) else { return told(404, json!({ "status": "NOT_FOUND" })) };
    let (code, word) = match job.at {
        At::Queued => (200, "OK"),
        At::Running => (202, "CANCELLATION_REQUESTED"),
        At::Done | At::Cancelled | At::Forgotten => (400, "ALREADY_COMPLETED"),
    };
    if job.at.is_open() {
        job.at = At::Cancelled;
    }
    told(code, json!({ "status": word }))
}

/// The value of a name in the query, decoded.
fn query(asked: &Asked, name: &str) -> Option<String> {
    let pairs = asked.head.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(other, _)| *other == name).map(|(_, value)| decoded(value)).next()
}

/// A value of a query as it was meant.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = escaped.and_then(|two| u8::from_str_radix(two, 16).ok());
        rest = after;
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer in JSON.
pub(crate) fn told(status: u16, body: Value) -> Response<Body> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(whole(body.to_string())).expect("its parts are well formed")
}
