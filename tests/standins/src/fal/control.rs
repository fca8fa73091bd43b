//! The control of a stand-in for tests in other processes, on the same port below `/-/`:
//!
//! | request | does |
//! |---|---|
//! | `GET /-/jobs` | all jobs, in order |
//! | `GET /-/calls` | all requests, in order, these left out |
//! | `PUT /-/script` | the body is the script from now on |
//! | `POST /-/jobs/ID/finish` | a job is done |
//! | `POST /-/jobs/ID/release` | its webhook is sent now |
//! | `POST /-/jobs/ID/forget` | it is not there any more |
//! | `POST /-/keys/rotate`, `…/rotate-all` | another key signs; the old one stays published, or not |

use std::sync::Arc;

use hyper::Response;
use serde_json::json;

use super::Shared;
use super::answers::told;
use crate::wire::{Asked, Body};

pub(crate) fn answer(shared: &Arc<Shared>, asked: &Asked, parts: &[String]) -> Response<Body> {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let is_there = match (asked.head.method.as_str(), parts.as_slice()) {
        ("GET", ["jobs"]) => return told(200, json!(shared.state.lock().jobs)),
        ("GET", ["calls"]) => return told(200, json!(shared.state.lock().calls)),
        ("PUT", ["script"]) => match serde_json::from_slice(&asked.body) {
            Ok(script) => shared.change(|state| {
                state.script = script;
                true
            }),
            Err(error) => return told(400, json!({ "detail": format!("the script: {error}") })),
        },
        ("POST", ["jobs", id, "finish"]) => shared.finish(id),
        ("POST", ["jobs", id, "release"]) => shared.release(id),
        ("POST", ["jobs", id, "forget"]) => shared.forget(id),
        ("POST", ["keys", how @ ("rotate" | "rotate-all")]) => {
            shared.change(|state| state.keys.rotate(*how == "rotate"));
            true
        }
        _ => false,
    };
    match is_there {
        true => told(200, json!({})),
        false => told(404, json!({ "detail": "there is no such control, or no such job" })),
    }
}
