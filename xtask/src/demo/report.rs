//! What a demo came to: read from what `sublane run` reports, and checked.
//!
//! Owns the form of `report.json` and the list of what has to have happened.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::crash::Killed;
use super::receiver::Received;

/// What is read of the answer of `sublane run --json`.
#[derive(Debug, Deserialize)]
pub(super) struct Conversation {
    run: String,
    runs: Vec<Run>,
    deliveries: Vec<Delivery>,
    problems: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    id: String,
    name: String,
    agent: String,
    lane: String,
    depth: u32,
    parent: Option<String>,
    state: String,
    outcome: Option<String>,
    created: String,
    since: String,
    attempts: u32,
    crashes: u32,
    progress: Option<Progress>,
    result: Option<RunResult>,
    #[serde(default)]
    deliveries: Vec<Owed>,
}

#[derive(Debug, Deserialize)]
struct Progress {
    percent: u8,
}

/// A delivery as `sublane runs list` shows it.
#[derive(Debug, Deserialize)]
struct Owed {
    state: String,
}

/// What `sublane runs list --json` says.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    runs: Vec<Run>,
}

impl Seen {
    pub(super) fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("what `sublane runs list --json` says cannot be read")
    }

    /// Whether everything that was ever begun is over, and told.
    pub(super) fn is_settled(&self) -> bool {
        let told = |owed: &Owed| owed.state != "pending";
        let is_begun = self.runs.iter().any(Run::answers_the_message);
        is_begun && self.runs.iter().all(|run| run.is_ended() && run.deliveries.iter().all(told))
    }

    /// The run that makes the film.
    pub(super) fn film(&self) -> Option<&Run> {
        self.runs.iter().find(|run| run.makes_the_film())
    }
}

impl Run {
    fn answers_the_message(&self) -> bool {
        self.parent.is_none() && self.agent.starts_with("concierge")
    }

    fn makes_the_film(&self) -> bool {
        self.agent == "video/render" && self.parent.is_some()
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state == "ended"
    }

    /// Whether it is so far that it can be interrupted: somebody else works on it, or so much is done.
    pub(super) fn is_in(&self, percent: u8) -> bool {
        self.state == "waiting" || self.progress.as_ref().is_some_and(|progress| progress.percent >= percent)
    }

    /// Where it is, for people.
    pub(super) fn whereabouts(&self) -> String {
        let percent = self.progress.as_ref().map_or(0, |progress| progress.percent);
        format!("{} is {} at {percent} %", self.name, self.state)
    }
}

#[derive(Debug, Deserialize)]
struct RunResult {
    value: Value,
    artifacts: Vec<Artifact>,
}

#[derive(Debug, Deserialize)]
struct Artifact {
    id: String,
    name: String,
    size: u64,
    url: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct Delivery {
    id: String,
    run: String,
    destination: String,
    state: String,
    attempts: u32,
    #[serde(skip_serializing)]
    body: Value,
    #[serde(skip_serializing)]
    log: Vec<Attempt>,
}

#[derive(Debug, Deserialize)]
struct Attempt {
    at: String,
    result: String,
}

/// The film where people find it.
pub(super) struct Film {
    path: PathBuf,
    bytes: u64,
    /// Frames, duration and size, as the agent that made it says.
    made: Value,
}

/// How long things took.
pub(super) struct Timings {
    /// When the message was sent.
    pub(super) started: SystemTime,
    /// From the start of the task to the message.
    pub(super) setup: Duration,
    /// All of it.
    pub(super) total: Duration,
}

/// `report.json`.
pub(super) struct Report {
    json: Value,
    problems: Vec<String>,
}

fn instant(text: &str) -> Result<SystemTime> {
    humantime::parse_rfc3339(text).with_context(|| format!("`{text}` is no instant"))
}

/// From one instant to another; nothing when the clock went back between them.
fn ms(from: SystemTime, to: SystemTime) -> u64 {
    millis(to.duration_since(from).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Conversation {
    pub(super) fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("what `sublane run --json` says cannot be read")
    }

    /// The same from what `sublane runs list` and `sublane deliveries list` say.
    pub(super) fn of(runs: &str, deliveries: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Listed {
            deliveries: Vec<Delivery>,
        }
        let Seen { runs } = Seen::read(runs)?;
        let Listed { deliveries } = serde_json::from_str(deliveries)
            .context("what `sublane deliveries list --json` says cannot be read")?;
        let first = runs.iter().find(|run| run.answers_the_message()).context("no message was accepted")?;
        let failed = runs.iter().filter(|run| run.outcome.as_deref() != Some("succeeded"));
        let mut problems: Vec<String> =
            failed.map(|run| format!("{} ended otherwise than well", run.name)).collect();
        let dead = deliveries.iter().filter(|delivery| delivery.state == "dead");
        problems.extend(dead.map(|delivery| format!("the delivery to {} is dead", delivery.destination)));
        Ok(Self { run: first.id.clone(), runs, deliveries, problems })
    }

    /// The run that rendered the film.
    fn render(&self) -> Result<&Run> {
        let render = self.runs.iter().find(|run| run.makes_the_film());
        render.with_context(|| match self.answer() {
            Some(answer) => format!("no film was asked for; the concierge answered: {}", text(answer)),
            None => format!("no film was asked for, and nobody answered: {}", self.problems.join("; ")),
        })
    }

    /// What the concierge answered.
    fn answer(&self) -> Option<&Delivery> {
        self.deliveries.iter().find(|delivery| delivery.run == self.run)
    }

    fn artifact(&self) -> Result<&Artifact> {
        let render = self.render()?;
        let artifact = render.result.as_ref().and_then(|result| result.artifacts.first());
        artifact.with_context(|| {
            format!("{} is {} and gave no film: {}", render.name, render.state, self.problems.join("; "))
        })
    }

    /// Copies the film to `out/film.mp4`.
    pub(super) fn keep_film(&self, out: &Path) -> Result<Film> {
        let artifact = self.artifact()?;
        let from = file_of(&artifact.url)?;
        fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        let path = out.join("film.mp4");
        let film = fs::read(&from).with_context(|| format!("cannot read the film {}", from.display()))?;
        ensure!(film.get(4..8) == Some(b"ftyp"), "{} is no MP4 file", from.display());
        ensure!(film.len() as u64 == artifact.size, "{} has not the size that was told", from.display());
        fs::write(&path, &film).with_context(|| format!("cannot write {}", path.display()))?;
        let made = self.render()?.result.as_ref().map(|result| result.value.clone()).unwrap_or_default();
        Ok(Film { path, bytes: film.len() as u64, made })
    }
}

/// What people read of a delivery.
fn text(delivery: &Delivery) -> &str {
    delivery.body["data"]["text"].as_str().unwrap_or_default()
}

/// The path of a file link.
fn file_of(url: &str) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let path = url.strip_prefix("file://").with_context(|| format!("{url} is no link to a file"))?;
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(byte.with_context(|| format!("{url} is not a well-formed link"))?);
        rest = &rest[2..];
    }
    Ok(std::ffi::OsString::from_vec(bytes).into())
}

impl Report {
    pub(super) fn of(
        prompt: &str,
        message: &str,
        conversation: &Conversation,
        film: &Film,
        received: &[Received],
        timings: &Timings,
        killed: Option<&Killed>,
    ) -> Result<Self> {
        let render = conversation.render()?;
        let artifact = conversation.artifact()?;
        let answer = conversation.answer().context("the concierge did not answer")?;
        let answered = answer.log.iter().find(|attempt| attempt.result == "delivered");
        let answered = instant(&answered.context("the concierge's answer was not delivered")?.at)?;
        let render_ms = ms(instant(&render.created)?, instant(&render.since)?);
        let total_ms = millis(timings.total);
        let owed: Vec<&Delivery> =
            conversation.deliveries.iter().filter(|delivery| delivery.run == render.id).collect();
        let webhook = owed.iter().find(|delivery| delivery.destination == super::ADDRESS);
        let verified = webhook.is_some_and(|webhook| {
            let is_it = |got: &Received| got.id == webhook.id && got.body == webhook.body;
            received.iter().any(is_it)
                && received.iter().filter(|got| is_it(got)).all(|got| got.problem.is_none())
        });
        let json = json!({
            "prompt": prompt,
            "message": message,
            "gateway": { "auth": "token", "token": "", "listen": null },
            "answer": text(answer),
            "run": {
                "id": render.id,
                "name": render.name,
                "agent": render.agent,
                "lane": render.lane,
                "depth": render.depth,
                "outcome": render.outcome,
            },
            "film": {
                "file": film.path,
                "name": artifact.name,
                "sha256": artifact.id,
                "bytes": film.bytes,
                "duration_ms": film.made["duration_ms"],
                "frames": film.made["frames"],
                "width": film.made["width"],
                "height": film.made["height"],
            },
            "deliveries": conversation.deliveries,
            "webhook": { "requests": received.len(), "verified": verified },
            "crash": killed.map(|killed| json!({
                "at": killed.at, "attempts": render.attempts, "crashes": render.crashes,
            })),
            "timings_ms": {
                "setup": millis(timings.setup),
                "answer": ms(timings.started, answered),
                "render": render_ms,
                "total": total_ms,
                "overhead": total_ms.saturating_sub(render_ms),
            },
        });
        let mut problems = conversation.problems.clone();
        let mut must = |is_so: bool, problem: String| {
            if !is_so {
                problems.push(problem);
            }
        };
        must(render.lane == "subagent", format!("{} ran on the lane {}", render.name, render.lane));
        must(text(answer).contains(&render.name), format!("the answer does not name {}", render.name));
        must(verified, "the webhook was not received with a valid signature".to_owned());
        for channel in ["console:", "webhook:"] {
            let is_there =
                |owed: &&Delivery| owed.destination.starts_with(channel) && owed.state == "delivered";
            must(owed.iter().any(is_there), format!("the film was not delivered to {channel}"));
        }
        if killed.is_some() {
            let films =
                received.iter().filter(|got| webhook.is_some_and(|webhook| webhook.id == got.id)).count();
            must(films == 1, format!("the film came {films} times to the webhook"));
            must(owed.len() == 2, format!("the film is owed to {} destinations, not to two", owed.len()));
            must(render.attempts > 1, format!("{} was not interrupted", render.name));
        }
        Ok(Self { json, problems })
    }

    /// A provider was paid for so many films.
    pub(super) fn was_paid(&mut self, films: usize) {
        self.json["provider"] = json!({ "name": "fal", "paid": films });
        if films != 1 {
            self.problems.push(format!("fal was paid for {films} films"));
        }
    }

    /// The report as text.
    pub(super) fn text(&self) -> String {
        format!("{:#}\n", self.json)
    }

    /// Writes `report.json`.
    pub(super) fn write(&self, out: &Path) -> Result<PathBuf> {
        let path = out.join("report.json");
        fs::write(&path, self.text()).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// What people are told at the end.
    pub(super) fn summary(&self, film: &Film) -> String {
        let (shown, timing) = (&self.json["film"], &self.json["timings_ms"]);
        let seconds = |name: &str| timing[name].as_f64().unwrap_or_default() / 1_000.0;
        let of = match shown["frames"].as_u64() {
            Some(frames) => format!("{frames} frames of {}×{}, ", shown["width"], shown["height"]),
            None => String::new(),
        };
        format!(
            "film     {} ({of}{} bytes)\n\
             time     answer after {:.2} s, rendering {:.2} s, all {:.2} s: overhead {:.2} s, of which set-up {:.2} s\n",
            film.path.display(),
            film.bytes,
            seconds("answer"),
            seconds("render"),
            seconds("total"),
            seconds("overhead"),
            seconds("setup"),
        )
    }

    /// Fails when something did not happen.
    pub(super) fn check(&self) -> Result<()> {
        if !self.problems.is_empty() {
            bail!("not everything happened:\n  {}", self.problems.join("\n  "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_files() {
        assert_eq!(file_of("file:///a/b%20c.mp4").expect("well formed"), Path::new("/a/b c.mp4"));
        assert!(file_of("file:///a%2").is_err() && file_of("http://a").is_err());
    }
}
