//! What fal answers, and what it means.
//!
//! A stranger's text: nothing in it is believed to be there.

use std::time::Duration;

use sublane_sdk::data;
use sublane_sdk::hook::Call;
use sublane_sdk::http::Response;
use sublane_sdk::serde_json::{self, Value};

use super::Fal;
use super::problem::Problem;

/// The longest wish to be left alone that is granted.
const MAX_WISH: Duration = Duration::from_secs(600);

/// A job that was taken. Its URLs are fal's: they do not follow from the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) status_url: String,
    pub(crate) response_url: String,
    pub(crate) cancel_url: String,
}

/// What the film has become.
#[data]
#[derive(Debug)]
pub(super) struct Made {
    pub(super) provider: &'static str,
    pub(super) model: String,
    pub(super) job: String,
    pub(super) bytes: u64,
}

fn body(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_default()
}

/// What a submit came to that was answered with success.
pub(super) fn submitted(response: &Response) -> Result<Job, Problem> {
    let body = body(response);
    let text = |key: &str| body[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let job = || {
        Some(Job {
            id: text("request_id")?,
            status_url: text("status_url")?,
            response_url: text("response_url")?,
            cancel_url: text("cancel_url")?,
        })
    };
    job().ok_or_else(|| Problem::NotTaken {
        why: format!("its answer names no job: {}", super::begin(response)),
    })
}

/// The job that a call tells of, whose own answer was lost. Its URLs follow from the model, as nobody
/// has told them.
pub(super) fn called(call: &Call, fal: &Fal) -> Option<Job> {
    let body: Value = call.json().ok()?;
    let id = body["request_id"].as_str()?;
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let app: Vec<&str> = fal.model.split('/').take(2).collect();
    let url = format!("{}/{}/requests/{id}", fal.queue, app.join("/"));
    is_id.then(|| Job {
        id: id.to_owned(),
        status_url: format!("{url}/status"),
        cancel_url: format!("{url}/cancel"),
        response_url: url,
    })
}

/// A submit that was refused.
pub(super) fn not_taken(response: &Response) -> Problem {
    let why = match response.status {
        401 | 403 => "the key is not accepted; the operator of this host can change it".to_owned(),
        404 => "there is no such model".to_owned(),
        status => format!("status {status}: {}", sentence(&body(response))),
    };
    Problem::NotTaken { why }
}

/// How long it wants to be left alone.
pub(super) fn wish(response: &Response) -> Option<Duration> {
    let seconds = response.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_WISH))
}

/// Whether an error is the job's own, and no trouble on the way to it.
pub(super) fn is_told(response: &Response) -> bool {
    response.header("x-fal-request-id").is_some() || response.header("x-fal-error-type").is_some()
}

/// The link to the film and its size, from the result.
pub(super) fn film(job: &Job, response: &Response) -> Result<(String, Option<u64>), Problem> {
    let (id, body) = (job.id.clone(), body(response));
    let first = &body["detail"][0];
    if first["type"] == "content_policy_violation" {
        return Err(Problem::Refused { job: id, why: sentence(&body) });
    }
    match response.status {
        200..=299 => {}
        404 | 410 => return Err(Problem::Vanished { job: id, url: job.response_url.clone() }),
        401 | 403 => return Err(Problem::lost(job, "the key is not accepted any more".to_owned())),
        status => {
            let is_retryable = status >= 500 && response.header("x-fal-retryable") != Some("false");
            let kind = body["error_type"].as_str().or_else(|| response.header("x-fal-error-type"));
            let why = format!("{} ({}, status {status})", sentence(&body), kind.unwrap_or("no type"));
            return Err(Problem::Failed { job: id, why, is_retryable });
        }
    }
    let video = &body["video"];
    match video["url"].as_str().or_else(|| body["videos"][0]["url"].as_str()) {
        Some(url) => Ok((url.to_owned(), video["file_size"].as_u64())),
        None => {
            let why = format!("its result has no film: {}", sentence(&body));
            Err(Problem::Failed { job: id, why, is_retryable: false })
        }
    }
}

/// What an error says.
fn sentence(body: &Value) -> String {
    let detail = &body["detail"];
    let said = detail.as_str().or_else(|| detail[0]["msg"].as_str()).or_else(|| body["error"].as_str());
    let said = said.map(str::to_owned).unwrap_or_else(|| match body {
        Value::Null => "it says nothing that can be read".to_owned(),
        body => body.to_string(),
    });
    said.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Response {
        let url = "https://queue.fal.run".to_owned();
        Response { status, url, headers: Vec::new(), body: body.as_bytes().to_vec(), file: None }
    }

    fn job() -> Job {
        let url = |end: &str| format!("https://queue.fal.run/a/b/requests/7{end}");
        Job {
            id: "7".to_owned(),
            status_url: url("/status"),
            response_url: url(""),
            cancel_url: url("/cancel"),
        }
    }

    fn why_not(status: u16, body: &str) -> String {
        film(&job(), &answer(status, body)).expect_err(body).to_string()
    }

    #[test]
    fn a_result_is_a_film_or_says_why_there_is_none() {
        let there = answer(200, r#"{"video":{"url":"https://v3.fal.media/f.mp4","file_size":5}}"#);
        assert_eq!(film(&job(), &there), Ok(("https://v3.fal.media/f.mp4".to_owned(), Some(5))));
        for (status, body, why) in [
            (
                422,
                r#"{"detail":[{"type":"content_policy_violation","msg":"flagged"}]}"#,
                "a checker of fal's refused the prompt: flagged (job 7)",
            ),
            (
                422,
                r#"{"detail":[{"type":"missing","msg":"field required"}]}"#,
                "the model failed: field required (no type, status 422) (job 7)",
            ),
            (
                503,
                r#"{"detail":"CUDA out of memory","error_type":"runner_server_error"}"#,
                "the model failed: CUDA out of memory (runner_server_error, status 503) (job 7)",
            ),
            (
                200,
                r#"{"error":"the model gave up","video":null}"#,
                "the model failed: its result has no film: the model gave up (job 7)",
            ),
            (
                200,
                "<html>",
                "the model failed: its result has no film: it says nothing that can be read (job 7)",
            ),
            (404, "", "fal knows nothing of the job any more (job 7, https://queue.fal.run/a/b/requests/7)"),
        ] {
            assert_eq!(why_not(status, body), why);
        }
    }

    #[test]
    fn an_answer_that_names_no_job_is_no_job() {
        let whole = r#"{"request_id":"7","status_url":"s","response_url":"r","cancel_url":"c"}"#;
        assert_eq!(submitted(&answer(200, whole)).expect("a job").id, "7");
        let without = whole.replace("cancel_url", "x");
        assert!(matches!(submitted(&answer(200, &without)), Err(Problem::NotTaken { .. })));
    }
}
