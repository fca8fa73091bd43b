//! Takes steps: each is one import call, and what it came to is JSON.

use std::fmt::Display;
use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sublane_sdk::artifact::Artifact;
use sublane_sdk::hook::{self, Hook, Trust, Verification};
use sublane_sdk::log::Level;
use sublane_sdk::poll::{self, Answer, Ending, Poll};
use sublane_sdk::serde_json::{Value, json};
use sublane_sdk::subagent::{self, Priority, RunState, SpawnScope, Status, times};
use sublane_sdk::wait::{Wait, Woken};
use sublane_sdk::{
    Child, Failure, Outcome, Spawn, artifact, clock, delivery, files, http, journal, kv, log, mailbox,
    progress, random, secret, timer, tools, wait_all, wait_any,
};

use crate::step::{HttpAsk, PollAsk, RuleAsk, SourceAsk, SpawnAsk, Step, root_and_path};

/// A scope for so many levels of relays.
pub(crate) fn levels(levels: u32) -> SpawnScope {
    SpawnScope { agents: vec!["spawns/relay".to_owned()], depth: levels, active_children: 1, total: levels }
}

/// What earlier steps left.
#[derive(Default)]
struct Hands {
    children: Vec<Child>,
    files: Vec<Artifact>,
    hooks: Vec<Hook>,
}

/// Takes the steps. A refused one gives `{"error": "..."}` and the next one is taken.
pub(crate) fn act(steps: Vec<Step>) -> Result<Vec<Value>, Failure> {
    let mut hands = Hands::default();
    let mut done = Vec::with_capacity(steps.len());
    for step in steps {
        if let Step::Fail(why) = step {
            return Err(Failure::new(why));
        }
        if let Step::FailForGood(why) = step {
            return Err(Failure::new(why).permanent());
        }
        if let Step::FailUnless { bucket, key, why } = step {
            match kv::get(&bucket, &key) {
                Ok(Some(_)) => done.push(json!(null)),
                _ => return Err(Failure::new(why)),
            }
            continue;
        }
        done.push(hands.take(step).unwrap_or_else(|error| json!({ "error": error })));
    }
    Ok(done)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

impl Hands {
    fn open(&mut self, secret: Option<String>, keys: Option<String>) -> Result<Value, String> {
        let verification = match (secret, keys) {
            (Some(secret), _) => Verification::StandardWebhooks(secret),
            (None, Some(keys)) => Verification::Fal(keys),
            (None, None) => Verification::Nobody,
        };
        let hook = Hook::open(verification).map_err(text)?;
        let opened = json!({ "id": hook.id(), "url": hook.url() });
        self.hooks.push(hook);
        Ok(opened)
    }

    fn called(&mut self, hook: usize, within_ms: Option<u64>) -> Result<Value, String> {
        let hook = &self.hooks[hook];
        let call = match within_ms {
            Some(ms) => hook.wait_within(Duration::from_millis(ms)).map_err(text)?,
            None => Some(hook.wait().map_err(text)?),
        };
        Ok(call.map_or(Value::Null, |call| {
            let verified = call.trust == Trust::Verified;
            json!({ "key": call.key, "body": call.text(), "type": call.media_type, "verified": verified })
        }))
    }

    fn take(&mut self, step: Step) -> Result<Value, String> {
        Ok(match step {
            Step::Spawn(ask) => self.spawn(ask)?,
            Step::Wait { children, any, within_ms } => self.wait(&children, any, within_ms)?,
            Step::WaitFor(run) => outcome(wait_any(&[run]).map_err(text)?.1),
            Step::Status(child) => status(self.children[child].status().map_err(text)?),
            Step::Children => subagent::children().map_err(text)?.into_iter().map(status).collect(),
            Step::Send { child, message } => json!(self.children[child].send(&message).map_err(text)?),
            Step::SendTo { run, message } => json!(subagent::send(&run, &message).map_err(text)?),
            Step::Receive { within_ms: Some(ms) } => {
                json!(mailbox::receive_within::<Value>(Duration::from_millis(ms)).map_err(text)?)
            }
            Step::Receive { within_ms: None } => mailbox::receive().map_err(text)?,
            Step::Cancel { child, reason } => json!(self.children[child].cancel(&reason).map_err(text)?),
            Step::CancelRun(run) => json!(subagent::cancel(&run, "no more").map_err(text)?),
            Step::Deliver { to, text: said } => {
                let message = delivery::Message { text: said, artifacts: self.files.clone() };
                json!(delivery::send(&to, message).map_err(text)?.len())
            }
            Step::KvGet { bucket, key } => {
                let value = kv::get(&bucket, &key).map_err(text)?;
                json!(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
            }
            Step::KvSet { bucket, key, value } => {
                json!(kv::set(&bucket, &key, value.as_bytes()).map_err(text)?)
            }
            Step::KvSetIf { bucket, key, held, value } => {
                let held = held.as_ref().map(String::as_bytes);
                json!(kv::when(&bucket, &key).is_still(held).set(value.as_bytes()).map_err(text)?)
            }
            Step::KvDelete { bucket, key } => json!(kv::delete(&bucket, &key).map_err(text)?),
            Step::KvList { bucket, prefix } => json!(kv::list_keys(&bucket, &prefix, None).map_err(text)?),
            Step::Tools => {
                let listed = tools::list().map_err(text)?;
                listed.into_iter().map(|tool| json!(format!("{}.{}", tool.plugin, tool.name))).collect()
            }
            Step::Call { plugin, tool, arguments } => {
                tools::call(&plugin, &tool, &arguments).map_err(text)?
            }
            Step::Write { name, text: content } => {
                let file = artifact::write(&name, "text/plain", content.as_bytes()).map_err(text)?;
                self.files.push(file.clone());
                json!({ "id": file.id, "size": file.size })
            }
            Step::Read { id, child } => self.read(id, child)?,
            Step::FileRead(path) => {
                let (root, path) = root_and_path(&path);
                json!(String::from_utf8_lossy(&files::read_all(root, &path).map_err(text)?))
            }
            Step::FileWrite { path, text: content } => {
                let (root, path) = root_and_path(&path);
                json!(files::write_all(root, &path, content.as_bytes()).map_err(text)?)
            }
            Step::FileList(path) => {
                let (root, path) = root_and_path(&path);
                let listed = files::list(root, &path, None).map_err(text)?;
                json!(
                    listed.iter().map(|entry| format!("{:?} {}", entry.kind, entry.name)).collect::<Vec<_>>()
                )
            }
            Step::FileSize(path) => {
                let (root, path) = root_and_path(&path);
                json!(files::stat(root, &path).map_err(text)?.size)
            }
            Step::FileDir(path) => {
                let (root, path) = root_and_path(&path);
                json!(files::create_dir(root, &path).map_err(text)?)
            }
            Step::FileMove { path, to } => {
                let (root, from) = root_and_path(&path);
                let to: Vec<&str> = to.split('/').collect();
                json!(files::rename(root, &from, &to).map_err(text)?)
            }
            Step::FileRemove(path) => {
                let (root, path) = root_and_path(&path);
                json!(files::remove(root, &path).map_err(text)?)
            }
            Step::Http(ask) => self.http(ask)?,
            Step::Placeholder(name) => json!(secret::placeholder(&name).map_err(text)?),
            Step::Poll(ask) => ending(self.poll(*ask)?.until_it_ends().map_err(text)?),
            Step::Hook { secret, keys } => self.open(secret, keys)?,
            Step::HookWait { hook, within_ms } => self.called(hook, within_ms)?,
            Step::HookClose(hook) => json!(hook::close(self.hooks[hook].id()).map_err(text)?),
            Step::Sleep(ms) => json!(timer::sleep(Duration::from_millis(ms)).map_err(text)?),
            Step::SleepUntil(ms) => {
                json!(timer::until(UNIX_EPOCH + Duration::from_millis(ms)).map_err(text)?)
            }
            Step::First(sources) => self.first(sources)?,
            Step::Progress { percent, note } => json!(progress::report(percent, &note)),
            Step::Now => json!(millis(clock::now())),
            Step::Random => json!(random::number()),
            Step::Continue(task) => match journal::continue_with(task, self.files.clone()).map_err(text)? {},
            Step::JournalUsed => {
                let used = journal::used().map_err(text)?;
                json!([used.entries, used.max_entries, used.bytes, used.max_bytes])
            }
            Step::Work(rounds) => json!((0..rounds).fold(0_u64, |sum, round| black_box(sum ^ round))),
            Step::Log { level, text } => {
                let level = match level.as_str() {
                    "trace" => Level::Trace,
                    "debug" => Level::Debug,
                    "info" => Level::Info,
                    "warn" => Level::Warn,
                    "error" => Level::Error,
                    other => return Err(format!("no level {other}")),
                };
                json!(log::write(level, &text))
            }
            Step::Panic(why) => panic!("{why}"),
            Step::Fail(_) | Step::FailForGood(_) | Step::FailUnless { .. } => {
                unreachable!("giving up is taken before")
            }
        })
    }

    fn request(&self, ask: &HttpAsk) -> Result<http::Request, String> {
        let mut known = Vec::new();
        for name in &ask.secrets {
            known.push((format!("{{{name}}}"), secret::placeholder(name).map_err(text)?));
        }
        let fill = |text: &str| known.iter().fold(text.to_owned(), |text, (name, is)| text.replace(name, is));
        let mut request = http::request(ask.method.as_deref().unwrap_or("GET"), fill(&ask.url));
        for (name, value) in &ask.headers {
            request = request.header(name, fill(value));
        }
        if let Some(body) = &ask.body {
            request = request.body(fill(body));
        }
        if ask.send_file {
            request = request.file(self.files.first().ok_or("there is no file")?);
        }
        if let Some(ms) = ask.timeout_ms {
            request = request.timeout(Duration::from_millis(ms));
        }
        if let Some(bytes) = ask.max_body {
            request = request.max_body(bytes);
        }
        if let Some(name) = &ask.into_file {
            request = request.into_file(name);
        }
        if let Some(redirects) = ask.max_redirects {
            request = request.max_redirects(redirects);
        }
        Ok(request)
    }

    fn http(&mut self, ask: HttpAsk) -> Result<Value, String> {
        let request = self.request(&ask)?;
        if ask.undo {
            return request.undo().map(|()| json!({})).map_err(text);
        }
        let response = request.send().map_err(text)?;
        let headers: Value = response.headers.iter().map(|(name, value)| json!([name, value])).collect();
        let mut done = json!({
            "status": response.status, "url": response.url, "headers": headers, "body": response.text(),
        });
        if let Some(file) = response.file {
            done["file"] = json!({ "name": file.name, "media-type": file.media_type, "size": file.size });
            self.files.push(file);
        }
        Ok(done)
    }

    fn poll(&self, ask: PollAsk) -> Result<Poll, String> {
        let rule = |ask: RuleAsk| {
            let answer = match ask.status {
                Some((least, most)) => poll::answer().statuses(least, most),
                None => poll::answer(),
            };
            let with = |answer: Answer, (path, value): (String, Option<Value>)| match value {
                None => answer.having(&path),
                Some(Value::Array(values)) => answer.with_any(&path, values),
                Some(value) => answer.with(&path, value),
            };
            ask.values.into_iter().fold(answer, with).times(ask.times.unwrap_or(1))
        };
        let ms = Duration::from_millis;
        let mut poll = poll::asking(self.request(&ask.request)?).give_or_take(ask.jitter);
        if let Some(every) = ask.every_ms {
            poll = poll.every(ms(every));
        }
        if let Some(first) = ask.first_ms {
            poll = poll.first_after(ms(first));
        }
        if let Some((per_cent, ceiling)) = ask.grows {
            poll = poll.growing_by(per_cent, ms(ceiling));
        }
        if let Some(within) = ask.for_ms {
            poll = poll.for_at_most(ms(within));
        }
        if let Some(hook) = ask.hint {
            poll = poll.hinted_by(&self.hooks[hook]);
        }
        poll = ask.done.into_iter().map(rule).fold(poll, Poll::done_when);
        poll = ask.failed.into_iter().map(rule).fold(poll, Poll::failed_when);
        poll = ask.goes_on.into_iter().map(rule).fold(poll, Poll::goes_on_when);
        Ok(ask.keep.iter().fold(poll, |poll, name| poll.keep_header(name)))
    }

    fn spawn(&mut self, ask: SpawnAsk) -> Result<Value, String> {
        let mut spawn =
            Spawn::agent(ask.agent).task(ask.task).scope(ask.scope.into_scope()).deliver_to(ask.deliver);
        if let Some(name) = ask.name {
            spawn = spawn.named(name);
        }
        if ask.attached {
            spawn = spawn.attached();
        }
        if ask.detached {
            spawn = spawn.detached();
        }
        if let Some(lane) = ask.lane {
            spawn = spawn.lane(lane);
        }
        spawn = match ask.priority.as_deref() {
            Some("low") => spawn.priority(Priority::Low),
            Some("high") => spawn.priority(Priority::High),
            _ => spawn,
        };
        if let Some(ms) = ask.timeout_ms {
            spawn = spawn.timeout(Duration::from_millis(ms));
        }
        if let Some(ms) = ask.begin_after_ms {
            spawn = spawn.begin_after(Duration::from_millis(ms));
        }
        if let Some(ms) = ask.begin_at_ms {
            spawn = spawn.begin_at(SystemTime::UNIX_EPOCH + Duration::from_millis(ms));
        }
        if let Some(key) = ask.dedupe_key {
            spawn = spawn.dedupe_key(key);
        }
        if let Some(ask) = ask.retry {
            let mut retry =
                times(ask.times).after(Duration::from_millis(ask.after_ms)).give_or_take(ask.jitter);
            if let Some((per_cent, ceiling)) = ask.grows {
                retry = retry.growing_by(per_cent, Duration::from_millis(ceiling));
            }
            spawn = spawn.retry(if ask.only_failures { retry.unless_it_breaks_down() } else { retry });
        }
        if ask.with_files {
            spawn = self.files.iter().cloned().fold(spawn, Spawn::with_artifact);
        }
        let child = spawn.start().map_err(text)?;
        let receipt = receipt(&child);
        self.children.push(child);
        Ok(receipt)
    }

    fn wait(&self, children: &[usize], any: bool, within_ms: Option<u64>) -> Result<Value, String> {
        let named: Vec<&Child> = match children {
            [] => self.children.iter().collect(),
            some => some.iter().map(|child| &self.children[*child]).collect(),
        };
        let runs: Vec<&str> = named.iter().map(|child| child.run.as_str()).collect();
        let within = within_ms.map(Duration::from_millis);
        let first =
            |(position, ended): (usize, Outcome)| json!({ "child": position, "outcome": outcome(ended) });
        let all = |ended: Vec<Outcome>| ended.into_iter().map(outcome).collect::<Value>();
        Ok(match (any, within) {
            (true, None) => first(wait_any(&runs).map_err(text)?),
            (true, Some(within)) => {
                subagent::wait_any_within(&runs, within).map_err(text)?.map_or(json!("timed out"), first)
            }
            (false, None) => all(wait_all(&runs).map_err(text)?),
            (false, Some(within)) => {
                subagent::wait_all_within(&runs, within).map_err(text)?.map_or(json!("timed out"), all)
            }
        })
    }

    fn first(&self, sources: Vec<SourceAsk>) -> Result<Value, String> {
        let runs = |children: &[usize]| -> Vec<String> {
            match children {
                [] => self.children.iter().map(|child| child.run.clone()).collect(),
                some => some.iter().map(|child| self.children[*child].run.clone()).collect(),
            }
        };
        let add = |wait: Wait, source| {
            Ok::<_, String>(match source {
                SourceAsk::Poll(ask) => wait.or_polled(self.poll(*ask)?),
                SourceAsk::AnyOf(children) => wait.or_any_of(&runs(&children)),
                SourceAsk::AllOf(children) => wait.or_all_of(&runs(&children)),
                SourceAsk::Run(run) => wait.or_any_of(&[run]),
                SourceAsk::Message => wait.or_a_message(),
                SourceAsk::Hook(hook) => wait.or_a_call_of(&self.hooks[hook]),
                SourceAsk::Until(ms) => wait.or_until(UNIX_EPOCH + Duration::from_millis(ms)),
                SourceAsk::WithinMs(ms) => wait.or_at_most(Duration::from_millis(ms)),
            })
        };
        let waits = sources.into_iter().try_fold(Wait::default(), add)?;
        let first = waits.first().map_err(text)?;
        let woken = match first.woken {
            Woken::Time => json!("time"),
            Woken::Polled(polled) => ending(polled),
            Woken::Call(call) => json!({ "called": call.text() }),
            Woken::Message(message) => json!({ "message": message.decode::<Value>().map_err(text)? }),
            Woken::Ended(ended) => {
                json!({ "ended": ended.into_iter().map(|(_, how)| outcome(how)).collect::<Value>() })
            }
        };
        Ok(json!([first.place, woken]))
    }

    fn read(&self, id: Option<String>, child: Option<usize>) -> Result<Value, String> {
        let id = match (id, child) {
            (Some(id), _) => id,
            (None, Some(child)) => {
                let RunState::Ended(Outcome::Succeeded(output)) =
                    self.children[child].status().map_err(text)?.state
                else {
                    return Err("it gave nothing back".to_owned());
                };
                output.artifacts.first().ok_or("it gave no file back")?.id.clone()
            }
            (None, None) => self.files.first().ok_or("there is no file")?.id.clone(),
        };
        let content = artifact::read(&id).map_err(text)?;
        Ok(json!(String::from_utf8_lossy(&content)))
    }
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A receipt as JSON.
pub(crate) fn receipt(child: &Child) -> Value {
    let grants = &child.grants;
    let spawn = grants.spawn.as_ref().map(|spawn| {
        json!({
            "agents": spawn.agents,
            "depth": spawn.depth,
            "active-children": spawn.active_children,
            "total": spawn.total,
        })
    });
    let tools: Vec<String> =
        grants.tools.iter().map(|tool| format!("{}.{}", tool.plugin, tool.tools.join("|"))).collect();
    let mode = |write: bool| if write { "write" } else { "read" };
    let kv: Vec<String> =
        grants.kv.iter().map(|kv| format!("{} {}/{}", mode(kv.write), kv.bucket, kv.prefix)).collect();
    let mut receipt = json!({
        "run": child.run,
        "name": child.name,
        "duplicate": child.duplicate,
        "position": child.position,
        "grants": {
            "spawn": spawn,
            "channels": grants.channels,
            "tools": tools,
            "kv": kv,
            "artifacts": grants.artifacts,
            "artifact-bytes": grants.artifact_bytes,
            "cpu-ms": grants.cpu.as_millis() as u64,
            "memory-bytes": grants.memory_bytes,
            "deadline": millis(grants.deadline),
        },
    });
    // What few have is there only where it is: a thousand receipts have to fit into a small guest.
    let got = &mut receipt["grants"];
    let http: Vec<String> =
        grants.http.iter().map(|http| format!("{} {}", http.methods.join(","), http.to)).collect();
    let files: Vec<String> = grants
        .files
        .iter()
        .map(|files| format!("{} {}/{}", mode(files.write), files.root, files.path.join("/")))
        .collect();
    let secrets: Vec<String> = grants.secrets.iter().map(|s| format!("{} {}", s.name, s.audience)).collect();
    for (kind, rules) in
        [("http", http), ("files", files), ("secrets", secrets), ("models", grants.models.clone())]
    {
        if !rules.is_empty() {
            got[kind] = json!(rules);
        }
    }
    if grants.requests + grants.tokens > 0 {
        got["requests"] = json!([grants.requests, grants.bytes_out, grants.bytes_in]);
        got["tokens"] = json!([grants.tokens, grants.money_micros]);
        got["host-calls"] = json!(grants.host_calls);
    }
    receipt
}

/// How a poll ended, as JSON.
fn ending(ending: Ending) -> Value {
    let response = |response: http::Response| {
        let headers: Value = response.headers.iter().map(|(name, value)| json!([name, value])).collect();
        json!({ "status": response.status, "url": response.url, "headers": headers, "body": response.text() })
    };
    match ending {
        Ending::Done(done) => json!({ "done": response(done) }),
        Ending::Failed(failed) => json!({ "failed": response(failed) }),
        Ending::TimedOut(seen) => json!({ "timed-out": seen }),
        Ending::Broken(trouble) => json!({ "broken": text(trouble) }),
    }
}

/// How a child ended, as JSON.
fn outcome(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Succeeded(output) => {
            let value: Value = sublane_sdk::serde_json::from_str(&output.value).unwrap_or(Value::Null);
            json!({ "succeeded": value })
        }
        Outcome::Failed(reason, message) => json!({ "failed": format!("{reason:?}: {message}") }),
        Outcome::TimedOut => json!("timed-out"),
        Outcome::Cancelled(reason) => json!({ "cancelled": reason }),
    }
}

/// Where a child stands, as JSON.
fn status(status: Status) -> Value {
    let state = match status.state {
        RunState::Queued => json!("queued"),
        RunState::Running => json!("running"),
        RunState::Waiting => json!("waiting"),
        RunState::Closing => json!("closing"),
        RunState::Ended(ended) => outcome(ended),
    };
    json!({ "name": status.name, "agent": status.agent, "state": state, "percent": status.percent, "note": status.note })
}
