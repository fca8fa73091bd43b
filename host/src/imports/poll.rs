//! `poll`: plans that the host carries out while the run waits.

use std::sync::Arc;
use std::time::Duration;

use sublane_core::backoff::{MAX_FACTOR, MAX_INTERVAL, MAX_JITTER, MIN_INTERVAL};
use sublane_core::poll::{
    Condition, Ending, MAX_BODY_BYTES, MAX_CONDITIONS, MAX_HEADERS, MAX_PLAN_BYTES, MAX_RULES,
    MAX_SENT_BYTES, MAX_TIMEOUT, MAX_TIMES, MAX_VALUES, Pace, Plan, PollRequest, PollResponse, Rule, Test,
    Trouble,
};
use sublane_core::{Import, ImportError, LimitHit, Purse, Timestamp};
use sublane_store::WaitFor;

use super::http::asked::within;
use super::translate::answer;
use super::{Ctx, Due, Live};
use crate::bindings::sublane::plugin::{http, poll, types};
use crate::http::Payload;
use crate::journal::args;
use crate::poll::rules;

/// Time of a poll whose plan names none, in milliseconds.
const DEFAULT_TIMEOUT_MS: u64 = 30_000;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

impl poll::Host for Ctx {
    async fn until(&mut self, plan: poll::Plan) -> Reply<poll::Ending> {
        let import = Import::PollUntil;
        let live = live!(self, import);
        live.attempt.notes_call(|| super::http::asked::told(&plan.request));
        let args = args(import, &parts(import, &plan).iter().map(Vec::as_slice).collect::<Vec<_>>());
        let ended = live.wait::<Ending>(import, args, async |live, _| {
            let plan = live.poll_plan(plan).await?;
            Ok(plan.map(|plan| {
                // What is after the deadline never comes.
                let until = plan.until.filter(|until| *until <= live.attempt.spec.deadline());
                (WaitFor::Poll { plan: Arc::new(plan) }, Due::At(until))
            }))
        });
        answer(ended.await.map(|ended| ended.map(ending_to_guest)))
    }
}

pub(super) fn ending_to_guest(ending: Ending) -> poll::Ending {
    let response = |response: PollResponse| poll::Response {
        status: response.status,
        url: response.url,
        headers: response.headers.into_iter().map(|(name, value)| http::Header { name, value }).collect(),
        body: response.body.to_vec(),
    };
    match ending {
        Ending::Done(done) => poll::Ending::Done(response(done)),
        Ending::Failed(failed) => poll::Ending::Failed(response(failed)),
        Ending::TimedOut(seen) => poll::Ending::TimedOut(seen.to_string()),
        Ending::Broken(trouble) => poll::Ending::Broken(match trouble {
            Trouble::AddressRefused(host) => poll::Trouble::AddressRefused(host),
            Trouble::TooLarge(most) => poll::Trouble::TooLarge(most),
            Trouble::BadRedirect(why) => poll::Trouble::BadRedirect(why),
        }),
    }
}

/// All that a plan says, for its hash: what there may be several of is preceded by how many.
pub(super) fn parts(import: Import, plan: &poll::Plan) -> Vec<Vec<u8>> {
    let number = |n: u64| n.to_le_bytes().to_vec();
    let mut parts = vec![super::http::asked::hash(import, &plan.request).to_le_bytes().to_vec()];
    let poll::Pace { first, interval, factor, ceiling, jitter } = plan.pace;
    parts.extend([first, interval, factor.into(), ceiling, jitter.into()].map(number));
    parts.push(plan.deadline.map_or_else(Vec::new, number));
    for rules in [&plan.done_when, &plan.failed_when, &plan.goes_on_when] {
        parts.push(number(rules.len() as u64));
        for rule in rules {
            let status = rule.status.map_or_else(Vec::new, |status| {
                [status.least.to_le_bytes(), status.most.to_le_bytes()].concat()
            });
            parts.extend([status, number(rule.times.into()), number(rule.values.len() as u64)]);
            for condition in &rule.values {
                let values: &[String] = match &condition.is {
                    poll::Test::Exists => &[],
                    poll::Test::Equals(value) => std::slice::from_ref(value),
                    poll::Test::OneOf(values) => values,
                };
                parts.extend([condition.path.clone().into_bytes(), number(values.len() as u64)]);
                parts.extend(values.iter().map(|value| value.clone().into_bytes()));
            }
        }
    }
    parts.push(number(plan.headers.len() as u64));
    parts.extend(plan.headers.iter().map(|name| name.clone().into_bytes()));
    parts.push(plan.hint.clone().map_or_else(Vec::new, String::into_bytes));
    parts
}

fn invalid<T>(why: impl Into<String>) -> Result<T, ImportError> {
    Err(ImportError::Invalid(why.into()))
}

/// What is asked of a request beyond what `http.send` asks; its body as a text.
fn text_of(request: &http::Request) -> Result<(Option<String>, u64, u64), ImportError> {
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return invalid("the method of a poll must be GET or POST");
    }
    if request.into_file.is_some() {
        return invalid("the answer to a poll becomes no file: fetch it when the poll is done");
    }
    let most_ms = u64::try_from(MAX_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
    let timeout_ms = within("poll.timeout-ms", request.timeout, DEFAULT_TIMEOUT_MS, most_ms)?;
    let max_body = within("poll.body-bytes", request.max_body, MAX_BODY_BYTES, MAX_BODY_BYTES)?;
    let body = match &request.body {
        http::Body::None => None,
        http::Body::Artifact(_) => return invalid("the body of a poll is a text, not a file"),
        http::Body::Bytes(bytes) if bytes.len() > MAX_SENT_BYTES => {
            return Err(ImportError::Limit(LimitHit::new("poll.sent-bytes", MAX_SENT_BYTES as u64)));
        }
        http::Body::Bytes(bytes) => match String::from_utf8(bytes.clone()) {
            Ok(text) => Some(text),
            Err(_) => return invalid("the body of a poll is a text: it must be UTF-8"),
        },
    };
    Ok((body, timeout_ms, max_body))
}

fn pace(pace: poll::Pace) -> Result<Pace, ImportError> {
    let poll::Pace { first, interval, factor, ceiling, jitter } = pace;
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (least, most) = (ms(MIN_INTERVAL), ms(MAX_INTERVAL));
    if first > most || !(least..=most).contains(&interval) || !(interval..=most).contains(&ceiling) {
        return invalid(format!(
            "the interval of a poll is {least} to {most} ms, its ceiling no less and no more than that, and \
             the first comes within {most} ms"
        ));
    }
    if !(100..=MAX_FACTOR).contains(&factor) || jitter > MAX_JITTER {
        return invalid(format!(
            "the factor of a poll is 100 to {MAX_FACTOR} per cent, its jitter at most {MAX_JITTER}"
        ));
    }
    Ok(Pace { first_ms: first, interval_ms: interval, factor, ceiling_ms: ceiling, jitter })
}

fn rules_of(rules: Vec<poll::Rule>, which: &str) -> Result<Vec<Rule>, ImportError> {
    if rules.len() > MAX_RULES {
        return invalid(format!(
            "a poll has at most {MAX_RULES} rules for `{which}`, this one {}",
            rules.len()
        ));
    }
    rules.into_iter().map(rule).collect()
}

fn rule(rule: poll::Rule) -> Result<Rule, ImportError> {
    let status = rule.status.map_or((200, 299), |status| (status.least, status.most));
    if status.0 > status.1 {
        return invalid(format!("no status is {} at least and {} at most", status.0, status.1));
    }
    if !(1..=MAX_TIMES).contains(&rule.times) {
        return invalid(format!("a rule holds 1 to {MAX_TIMES} times in a row, not {}", rule.times));
    }
    if rule.values.len() > MAX_CONDITIONS {
        return invalid(format!("a rule has at most {MAX_CONDITIONS} conditions"));
    }
    let values = rule.values.into_iter().map(condition).collect::<Result<_, _>>()?;
    Ok(Rule { status, values, times: rule.times })
}

fn condition(condition: poll::Condition) -> Result<Condition, ImportError> {
    rules::check(&condition.path).map_err(ImportError::Invalid)?;
    let values = match condition.is {
        poll::Test::Exists => return Ok(Condition { path: condition.path, test: Test::Exists }),
        poll::Test::Equals(value) => vec![value],
        poll::Test::OneOf(values) if !(1..=MAX_VALUES).contains(&values.len()) => {
            return invalid(format!("a value is one of 1 to {MAX_VALUES}, not of {}", values.len()));
        }
        poll::Test::OneOf(values) => values,
    };
    let read = |text: &String| {
        serde_json::from_str(text)
            .map_err(|error| ImportError::Invalid(format!("a value is no JSON: {error}")))
    };
    let values = values.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Condition { path: condition.path, test: Test::OneOf(values) })
}

impl Live {
    /// A plan that may be carried out, as far as can be said before anything is sent.
    pub(super) async fn poll_plan(
        &mut self,
        plan: poll::Plan,
    ) -> wasmtime::Result<Result<Plan, ImportError>> {
        if self.is_tool {
            return Ok(invalid("a tool call is short: it cannot poll"));
        }
        let (body, timeout_ms, max_body) = match text_of(&plan.request) {
            Ok(text) => text,
            Err(error) => return Ok(Err(error)),
        };
        let asked = match self.check(None, plan.request).await? {
            Ok(asked) => asked,
            Err(error) => return Ok(Err(error)),
        };
        // Filled in once now, so that a secret in the wrong place is told to who put it there.
        let price = match self.fill(&asked) {
            Ok(hop) => Purse { requests: 1, bytes_out: hop.size(), bytes_in: 1, ..Purse::default() },
            Err(error) => return Ok(Err(error)),
        };
        if let Err(limit) = self.purse().await?.has(price) {
            return Ok(Err(ImportError::Limit(limit)));
        }
        let hint = match &plan.hint {
            Some(hook) => match self.own_hook(hook).await? {
                Ok(hook) => Some(hook),
                Err(error) => return Ok(Err(error)),
            },
            None => None,
        };
        debug_assert!(!matches!(asked.leg.payload, Payload::File(_)), "it was refused above");
        let leg = asked.leg;
        let request = PollRequest {
            method: leg.method,
            url: leg.url.to_string(),
            headers: leg.headers,
            body,
            timeout_ms,
            max_body,
            redirects: leg.redirects,
        };
        let rest = || {
            let pace = pace(plan.pace)?;
            let done = rules_of(plan.done_when, "done-when")?;
            if done.is_empty() {
                return invalid("a poll needs a rule for `done-when`, or nothing ends it well");
            }
            let failed = rules_of(plan.failed_when, "failed-when")?;
            let goes_on = rules_of(plan.goes_on_when, "goes-on-when")?;
            if plan.headers.len() > MAX_HEADERS || plan.headers.iter().any(|name| name.len() > 256) {
                return invalid(format!("a poll keeps at most {MAX_HEADERS} headers, of 256 bytes each"));
            }
            let (server, until) = (leg.url.origin(), plan.deadline.map(Timestamp));
            let headers = plan.headers;
            let plan = Plan { server, request, pace, until, done, failed, goes_on, headers, hint };
            let conditions: usize = plan.rules().map(|rule| rule.values.len()).sum();
            if conditions > rules::MAX_CONDITIONS {
                return invalid(format!("a poll has at most {} conditions in all", rules::MAX_CONDITIONS));
            }
            let bytes = serde_json::to_vec(&plan).map_or(usize::MAX, |text| text.len());
            if bytes > MAX_PLAN_BYTES {
                return Err(ImportError::Limit(LimitHit::new("poll.plan-bytes", MAX_PLAN_BYTES as u64)));
            }
            Ok(plan)
        };
        Ok(rest())
    }
}
