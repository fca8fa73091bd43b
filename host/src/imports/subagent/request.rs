//! A spawn's request by itself: its hash for the journal, and what is wrong with it.

use std::time::Duration;

use sublane_core::backoff::{MAX_FACTOR, MAX_INTERVAL, MAX_JITTER, MIN_INTERVAL};
use sublane_core::run::{MAX_RETRIES, Retried};
use sublane_core::{Import, ImportError, LimitHit, RetryPolicy, Timestamp};

use crate::bindings::sublane::plugin::subagent;
use crate::imports::check_json_size;
use crate::journal::args;
use crate::scrub::is_treacherous;

/// Artifacts that go with one task.
const MAX_ARTIFACTS: usize = 32;
/// Characters of a name.
const MAX_NAME_CHARS: usize = 64;
/// Bytes of a dedupe key.
const MAX_DEDUPE_BYTES: usize = 128;
/// Rules of a scope, and what their lists name, all together. The row of a run holds them.
const MAX_SCOPE_RULES: usize = 1_000;
/// How far from now a run may begin: a year.
const MAX_START: Duration = Duration::from_secs(366 * 86_400);
/// Bytes of their texts.
const MAX_SCOPE_BYTES: usize = 64 << 10;

/// What can be seen to be wrong with a request by itself, but for what its input says.
pub(super) fn check(request: &subagent::SpawnRequest) -> Result<(), ImportError> {
    let invalid = |why: String| Err(ImportError::Invalid(why));
    check_json_size("the task's input", &request.task.input)?;
    if request.task.artifacts.len() > MAX_ARTIFACTS {
        return invalid(format!("a task has at most {MAX_ARTIFACTS} artifacts"));
    }
    if let Some(name) = &request.name {
        let chars = name.chars().count();
        if !(1..=MAX_NAME_CHARS).contains(&chars) || name.chars().any(is_treacherous) {
            return invalid(format!(
                "a name has 1 to {MAX_NAME_CHARS} characters, none of which steers a terminal, ends a line \
                 or turns the direction of writing"
            ));
        }
    }
    if let Some(key) = &request.dedupe_key
        && !(1..=MAX_DEDUPE_BYTES).contains(&key.len())
    {
        return invalid(format!("a dedupe key has 1 to {MAX_DEDUPE_BYTES} bytes"));
    }
    let (rules, bytes) = size(&request.scope);
    let within = |which, found, limit: usize| {
        if found > limit { Err(ImportError::Limit(LimitHit::new(which, limit as u64))) } else { Ok(()) }
    };
    within("scope.rules", rules, MAX_SCOPE_RULES)?;
    within("scope.bytes", bytes, MAX_SCOPE_BYTES)?;
    if let Some(spawn) = &request.scope.spawn
        && !(1..=20).contains(&spawn.active_children)
    {
        return invalid(format!("scope.spawn.active-children is 1 to 20, not {}", spawn.active_children));
    }
    if request.timeout == Some(0) {
        return invalid("a time-out of 0 would end the run before it began".to_owned());
    }
    Ok(())
}

/// When a run begins that is asked for now, if that is later.
pub(super) fn start(
    asked: Option<subagent::Start>,
    now: Timestamp,
) -> Result<Option<Timestamp>, ImportError> {
    let start = match asked {
        None => return Ok(None),
        Some(subagent::Start::After(duration)) => now.after(Duration::from_millis(duration)),
        Some(subagent::Start::At(instant)) => Timestamp(instant),
    };
    if start.since(now) > MAX_START {
        let most = u64::try_from(MAX_START.as_millis()).expect("a year");
        return Err(ImportError::Limit(LimitHit::new("spawn.start", most)));
    }
    Ok(Some(start).filter(|start| *start > now))
}

/// The policy that is asked for, if it can be kept to.
pub(super) fn policy(asked: Option<subagent::RetryPolicy>) -> Result<Option<RetryPolicy>, ImportError> {
    let Some(subagent::RetryPolicy { times, delay, factor, ceiling, jitter, of }) = asked else {
        return Ok(None);
    };
    let invalid = |why: String| Err(ImportError::Invalid(why));
    if !(1..=MAX_RETRIES).contains(&times) {
        return invalid(format!("a run is retried 1 to {MAX_RETRIES} times, not {times}"));
    }
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).expect("a day at most");
    let (least, most) = (ms(MIN_INTERVAL), ms(MAX_INTERVAL));
    if !(least..=most).contains(&delay) {
        return invalid(format!("the delay of a retry is {least} to {most} ms, not {delay}"));
    }
    if !(delay..=most).contains(&ceiling) {
        return invalid(format!("the ceiling of retries is the delay to {most} ms, not {ceiling}"));
    }
    if !(100..=MAX_FACTOR).contains(&factor) || jitter > MAX_JITTER {
        return invalid(format!(
            "the factor of retries is 100 to {MAX_FACTOR} per cent, their jitter at most {MAX_JITTER}"
        ));
    }
    let of = match of {
        subagent::Retried::Failures => Retried::Failures,
        subagent::Retried::BreakdownsToo => Retried::BreakdownsToo,
    };
    Ok(Some(RetryPolicy { times, delay_ms: delay, factor, ceiling_ms: ceiling, jitter, of }))
}

/// How many rules a scope has, with what their lists name, and how many bytes of text.
fn size(scope: &subagent::Scope) -> (usize, usize) {
    let (mut rules, mut bytes) = (0, 0);
    let mut count = |texts: &[&String]| {
        rules += 1;
        bytes += texts.iter().map(|text| text.len()).sum::<usize>();
    };
    let agents = scope.spawn.iter().flat_map(|spawn| &spawn.agents);
    agents.chain(&scope.channels).chain(&scope.models).for_each(|text| count(&[text]));
    for tool in &scope.tools {
        count(&[&tool.plugin]);
        tool.tools.iter().for_each(|name| count(&[name]));
    }
    scope.kv.iter().for_each(|kv| count(&[&kv.bucket, &kv.prefix]));
    for http in &scope.http {
        count(&[&http.to]);
        http.methods.iter().for_each(|method| count(&[method]));
    }
    for files in &scope.files {
        count(&[&files.root]);
        files.path.iter().for_each(|name| count(&[name]));
    }
    for secret in &scope.secrets {
        let (subagent::SecretPlace::Header(place)
        | subagent::SecretPlace::Query(place)
        | subagent::SecretPlace::Body(place)) = &secret.place;
        count(&[&secret.name, place, &secret.audience]);
    }
    (rules, bytes)
}

/// The hash of everything in a request. Each field is there with its length or
/// its absence, so that nothing a request can say runs together.
pub(super) fn hash(
    import: Import,
    request: &subagent::SpawnRequest,
    retry: Option<&subagent::RetryPolicy>,
) -> u128 {
    let subagent::SpawnRequest {
        agent,
        task,
        name,
        scope,
        deliver,
        lifetime,
        lane,
        priority,
        timeout,
        start,
        dedupe_key,
    } = request;
    let mut bytes = Bytes(Vec::with_capacity(256 + task.input.len()));
    bytes.text(agent);
    bytes.text(&task.input);
    bytes.number(task.artifacts.len() as u64);
    for file in &task.artifacts {
        [&file.id, &file.name, &file.media_type].into_iter().for_each(|text| bytes.text(text));
        bytes.number(file.size);
    }
    [name, lane, dedupe_key].into_iter().for_each(|text| bytes.texts(text));
    bytes.scope(scope);
    match deliver {
        subagent::DeliveryPlan::None => bytes.number(0),
        subagent::DeliveryPlan::Origin => bytes.number(1),
        subagent::DeliveryPlan::To(named) => {
            bytes.number(2);
            bytes.texts(named);
        }
    }
    bytes.number(lifetime.map_or(2, |lifetime| lifetime as u64));
    bytes.number(*priority as u64);
    bytes.option(*timeout);
    // As it was before there was this: journals of then replay.
    match start {
        None => {}
        Some(subagent::Start::After(duration)) => [0, *duration].into_iter().for_each(|n| bytes.number(n)),
        Some(subagent::Start::At(instant)) => [1, *instant].into_iter().for_each(|n| bytes.number(n)),
    }
    let Some(subagent::RetryPolicy { times, delay, factor, ceiling, jitter, of }) = retry else {
        return args(import, &[&bytes.0]);
    };
    let mut policy = Bytes(Vec::new());
    [u64::from(*times), *delay, u64::from(*factor), *ceiling, u64::from(*jitter), *of as u64]
        .into_iter()
        .for_each(|number| policy.number(number));
    args(import, &[&bytes.0, &policy.0])
}

/// Fields of a request, one after the other.
struct Bytes(Vec<u8>);

impl Bytes {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn option(&mut self, number: Option<u64>) {
        self.number(u64::from(number.is_some()));
        self.number(number.unwrap_or_default());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn texts<'t>(&mut self, texts: impl IntoIterator<Item = &'t String>) {
        let at = self.0.len();
        self.number(0);
        let mut count = 0_u64;
        for text in texts {
            count += 1;
            self.text(text);
        }
        self.0[at..at + 8].copy_from_slice(&count.to_le_bytes());
    }

    fn scope(&mut self, scope: &subagent::Scope) {
        let subagent::Scope {
            spawn,
            channels,
            tools,
            kv,
            http,
            files,
            secrets,
            models,
            artifacts,
            artifact_bytes,
            cpu,
            host_calls,
            requests,
            bytes_out,
            bytes_in,
            tokens,
            money_micros,
            memory_bytes,
        } = scope;
        self.number(u64::from(spawn.is_some()));
        if let Some(spawn) = spawn {
            self.texts(&spawn.agents);
            [spawn.depth, spawn.active_children, spawn.total]
                .into_iter()
                .for_each(|n| self.number(u64::from(n)));
        }
        self.texts(channels);
        self.number(tools.len() as u64);
        for tool in tools {
            self.text(&tool.plugin);
            self.texts(&tool.tools);
        }
        self.number(kv.len() as u64);
        for kv in kv {
            self.text(&kv.bucket);
            self.text(&kv.prefix);
            self.number(u64::from(kv.write));
        }
        self.number(u64::from(*artifacts));
        [*artifact_bytes, *cpu, *memory_bytes].into_iter().for_each(|number| self.option(number));
        let amounts = [*host_calls, *requests, *bytes_out, *bytes_in, *tokens, *money_micros];
        let is_plain = http.is_empty() && files.is_empty() && secrets.is_empty() && models.is_empty();
        // As it was before there were these kinds: journals of then replay.
        if is_plain && amounts == [None; 6] {
            return;
        }
        amounts.into_iter().for_each(|number| self.option(number));
        self.number(http.len() as u64);
        for http in http {
            self.text(&http.to);
            self.texts(&http.methods);
        }
        self.number(files.len() as u64);
        for files in files {
            self.text(&files.root);
            self.texts(&files.path);
            self.number(u64::from(files.write));
        }
        self.number(secrets.len() as u64);
        for secret in secrets {
            let (kind, name) = match &secret.place {
                subagent::SecretPlace::Header(name) => (0, name),
                subagent::SecretPlace::Query(name) => (1, name),
                subagent::SecretPlace::Body(name) => (2, name),
            };
            self.number(kind);
            [&secret.name, name, &secret.audience].into_iter().for_each(|text| self.text(text));
        }
        self.texts(models);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> subagent::SpawnRequest {
        subagent::SpawnRequest {
            agent: "video/render".to_owned(),
            task: crate::bindings::sublane::plugin::types::Task { input: "{}".to_owned(), artifacts: vec![] },
            name: Some(name.to_owned()),
            scope: subagent::Scope {
                spawn: None,
                channels: vec![],
                tools: vec![],
                kv: vec![],
                http: vec![],
                files: vec![],
                secrets: vec![],
                models: vec![],
                artifacts: false,
                artifact_bytes: None,
                cpu: None,
                host_calls: None,
                requests: None,
                bytes_out: None,
                bytes_in: None,
                tokens: None,
                money_micros: None,
                memory_bytes: None,
            },
            deliver: subagent::DeliveryPlan::None,
            lifetime: None,
            lane: None,
            priority: subagent::Priority::Normal,
            timeout: None,
            start: None,
            dedupe_key: None,
        }
    }

    #[test]
    fn a_name_hides_nothing() {
        for name in ["film", "a fox, 4 s", "פילם"] {
            assert!(check(&named(name)).is_ok(), "{name}");
        }
        let long = "x".repeat(65);
        for name in ["", &long, "a\nb", "\u{1b}[2J", "a\u{2028}b", "\u{202e}4pm.exe", "\u{2066}x", "\u{200f}"]
        {
            assert!(check(&named(name)).is_err(), "{name:?}");
        }
    }
}
