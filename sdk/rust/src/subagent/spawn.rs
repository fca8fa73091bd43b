//! A spawn, as a sentence: agent, task, scope, destinations, time-out.
//!
//! Owns the request while it is being put together.
//! Never asks the host for anything before `start`.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::child::Child;
use super::retry::Retry;
use super::scope::Scope;
use crate::artifact::Artifact;
use crate::bindings::imports::sublane::plugin::subagent as raw;
use crate::bindings::imports::sublane::plugin::types::Task;
use crate::error::Error;
use crate::json;
use crate::time::{millis, since_epoch};

pub use raw::Priority;

/// A run of another agent, to be asked for.
#[derive(Debug, Clone)]
#[must_use = "nothing is spawned before `start`"]
pub struct Spawn {
    /// The request; its task's input is put in at the end.
    request: raw::SpawnRequest,
    retry: Option<Retry>,
    input: Result<String, Error>,
}

impl Spawn {
    /// A run of this agent: `plugin/agent`, or `plugin` when it has only one.
    pub fn agent(agent: impl Into<String>) -> Self {
        let request = raw::SpawnRequest {
            agent: agent.into(),
            task: Task { input: String::new(), artifacts: Vec::new() },
            name: None,
            scope: Scope::new().0,
            deliver: raw::DeliveryPlan::None,
            lifetime: None,
            lane: None,
            priority: Priority::Normal,
            timeout: None,
            start: None,
            dedupe_key: None,
        };
        Self { request, retry: None, input: Ok("null".to_owned()) }
    }

    /// What it has to do: the agent's input. Default: `null`.
    pub fn task(self, input: impl Serialize) -> Self {
        Self { input: json::to_text("the task", &input), ..self }
    }

    /// Gives it one more file. At most 32.
    pub fn with_artifact(mut self, artifact: Artifact) -> Self {
        self.request.task.artifacts.push(artifact);
        self
    }

    /// A handle for people, 1 to 64 characters. Default: the agent's name and a short id.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.request.name = Some(name.into());
        self
    }

    /// What it may do. Default: nothing.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.request.scope = scope.0;
        self
    }

    /// To whom its ending is owed, a failure and a time-out as well as a
    /// success: `origin` or `channel:address`, at most 8. Default: to nobody.
    pub fn deliver_to<D: Into<String>>(mut self, destinations: impl IntoIterator<Item = D>) -> Self {
        let destinations: Vec<String> = destinations.into_iter().map(Into::into).collect();
        self.request.deliver = match destinations.as_slice() {
            [] => raw::DeliveryPlan::None,
            _ => raw::DeliveryPlan::To(destinations),
        };
        self
    }

    /// Owes its ending to the conversation that the request came from.
    pub fn deliver_to_origin(mut self) -> Self {
        self.request.deliver = raw::DeliveryPlan::Origin;
        self
    }

    /// It belongs to this run, which does not end before it. Default in an
    /// agent; not possible in a tool call.
    pub fn attached(mut self) -> Self {
        self.request.lifetime = Some(raw::Lifetime::Attached);
        self
    }

    /// It belongs to the conversation and goes on without this run. Default in
    /// a tool call.
    pub fn detached(mut self) -> Self {
        self.request.lifetime = Some(raw::Lifetime::Detached);
        self
    }

    /// The lane. Default: `subagent`.
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.request.lane = Some(lane.into());
        self
    }

    /// Order among the ready runs of one caller. Default: normal.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.request.priority = priority;
        self
    }

    /// Time-out of the whole run, waits included. Default and ceiling come
    /// from the grants.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = Some(millis(timeout));
        self
    }

    /// It begins so long after the spawn, at most 366 days; its time-out counts from then. Default:
    /// at once.
    pub fn begin_after(mut self, delay: Duration) -> Self {
        self.request.start = Some(raw::Start::After(millis(delay)));
        self
    }

    /// It begins at this instant, at once if that has passed.
    pub fn begin_at(mut self, instant: SystemTime) -> Self {
        self.request.start = Some(raw::Start::At(since_epoch(instant)));
        self
    }

    /// It begins again when it fails: `.retry(times(5).after(Duration::from_secs(60)))`. Default: it
    /// ends.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Same plugin, same conversation, same key: the same run, as long as it
    /// is kept. 1 to 128 characters.
    pub fn dedupe_key(mut self, key: impl Into<String>) -> Self {
        self.request.dedupe_key = Some(key.into());
        self
    }

    /// Asks for the run. It is on its lane, durably, when this returns.
    ///
    /// [`Error::Denied`] names the capability that is not held, [`Error::Limit`]
    /// the limit that was met, [`Error::Invalid`] what is wrong with the
    /// request; [`Error::NotFound`] when a granted agent is not installed.
    pub fn start(mut self) -> Result<Child, Error> {
        self.request.task.input = self.input?;
        let receipt = match self.retry {
            None => raw::spawn_subagent(&self.request)?,
            Some(retry) => raw::spawn_with_retry(&self.request, retry.0)?,
        };
        Ok(receipt.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::retry::times;
    use super::*;

    #[test]
    fn the_sentence_becomes_the_request() {
        let spawn = Spawn::agent("video/render")
            .task(["a", "b"])
            .named("film")
            .scope(Scope::new().artifacts(9).cpu(Duration::from_secs(1)).tools("video", ["probe"]))
            .deliver_to(["origin", "webhook:films"])
            .timeout(Duration::from_secs(60))
            .begin_after(Duration::from_secs(2))
            .dedupe_key("k");
        assert_eq!(spawn.input.as_deref(), Ok(r#"["a","b"]"#));
        let request = spawn.request;
        assert_eq!(request.agent, "video/render");
        assert_eq!(request.name.as_deref(), Some("film"));
        let destinations = vec!["origin".to_owned(), "webhook:films".to_owned()];
        assert_eq!(request.deliver, raw::DeliveryPlan::To(destinations));
        assert_eq!((request.timeout, request.lifetime), (Some(60_000), None));
        assert_eq!(request.start, Some(raw::Start::After(2_000)));
        let scope = request.scope;
        assert_eq!((scope.artifacts, scope.artifact_bytes, scope.cpu), (true, Some(9), Some(1000)));
        assert_eq!(scope.tools, [raw::ToolScope { plugin: "video".into(), tools: vec!["probe".into()] }]);
    }

    #[test]
    fn a_retry_reads_as_it_is_meant() {
        let retry = times(5)
            .after(Duration::from_secs(60))
            .growing_to(Duration::from_secs(3_600))
            .give_or_take(20)
            .unless_it_breaks_down();
        let asked = Spawn::agent("a").retry(retry).retry.expect("it was asked for").0;
        let raw::RetryPolicy { times, delay, factor, ceiling, jitter, of } = asked;
        assert_eq!((times, delay, factor, ceiling, jitter), (5, 60_000, 200, 3_600_000, 20));
        assert_eq!(of, raw::Retried::Failures);
    }

    #[test]
    fn nothing_is_delivered_to_nobody() {
        let spawn = Spawn::agent("a").deliver_to(Vec::<String>::new());
        assert_eq!(spawn.request.deliver, raw::DeliveryPlan::None);
    }

    #[test]
    fn a_task_that_is_no_json_is_told_at_the_start() {
        let keys_are_lists = std::collections::BTreeMap::from([(vec![1], 2)]);
        let spawn = Spawn::agent("a").task(keys_are_lists);
        assert!(matches!(spawn.start(), Err(Error::Invalid(why)) if why.starts_with("the task is no JSON")));
    }
}
