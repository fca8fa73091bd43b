//! `sublane schedules`: what runs by a schedule, when it did and when it will.
//!
//! What is configured comes from the configuration, how far it was decided from the store, so that
//! it is the same beside a host and without one. Never makes a run.

use clap::Subcommand;
use serde::Serialize;
use sublane::channel::scrub_line;
use sublane::clock::{Clock as _, SystemClock};
use sublane::config::Config;
use sublane::schedules::{Missed, Schedule};
use sublane_core::{Destination, Run, RunId, Timestamp};
use sublane_store::ScheduleRow;

use super::follow::{Follow, Look};
use super::reader::Reader;
use super::table::Table;
use super::view::instant;
use super::{Exit, Failed, Global, Result, render, small_runtime};

/// Look at what runs by a schedule.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List schedules: when each came last, and when it comes next
    List(List),
    /// Show a schedule: what it runs, its last run, what it passed over
    Show(Show),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    follow: Follow,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The schedule
    schedule: String,
    #[command(flatten)]
    follow: Follow,
}

/// A schedule as it stands.
struct Stands<'c> {
    schedule: &'c Schedule,
    /// None before a host has served with it.
    row: Option<ScheduleRow>,
    next: Option<Timestamp>,
    /// Its last run, unless that is gone.
    run: Option<Run>,
}

#[derive(Serialize)]
struct View<'c> {
    name: &'c str,
    cron: &'c str,
    zone: &'c str,
    agent: &'c str,
    deliver: &'c [Destination],
    missed: Missed,
    /// The last instant that made a run, and that run.
    last: Option<String>,
    last_run: Option<RunId>,
    /// How that run stands: its state, or how it ended.
    last_run_is: Option<&'static str>,
    next: Option<String>,
    /// Instants without a run.
    passed: u64,
    /// Why the last of them has none.
    note: Option<String>,
}

impl Command {
    pub(super) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let reader = Reader::open(&config)?;
        let answer = async {
            match self {
                Self::List(args) => Ok(args.answer(&config, &reader, global.json).await?),
                Self::Show(args) => args.answer(&config, &reader, global.json).await,
            }
        };
        small_runtime()?.block_on(answer)?;
        Ok(Exit::Done)
    }
}

impl<'c> Stands<'c> {
    async fn read(reader: &Reader, schedule: &'c Schedule, now: Timestamp) -> anyhow::Result<Self> {
        let rows = reader.store.schedules().await?;
        let rule = schedule.rule.to_string();
        let row = rows.into_iter().find(|row| row.name == schedule.name && row.rule == rule);
        let run = match row.as_ref().and_then(|row| row.fired) {
            Some((_, run)) => reader.store.run(run).await?,
            None => None,
        };
        let decided = row.as_ref().map_or(now, |row| row.decided.max(now));
        Ok(Self { schedule, next: schedule.rule.next_after(decided), row, run })
    }

    fn fired(&self) -> Option<(Timestamp, RunId)> {
        self.row.as_ref().and_then(|row| row.fired)
    }

    fn run_is(&self) -> Option<&'static str> {
        self.run.as_ref().map(|run| match run.outcome() {
            Some(outcome) => outcome.kind(),
            None => run.state.kind(),
        })
    }

    fn view(&self) -> View<'_> {
        let Schedule { name, rule, agent, deliver, missed, .. } = self.schedule;
        let row = self.row.as_ref();
        View {
            name,
            cron: rule.expression(),
            zone: rule.zone_name(),
            agent,
            deliver,
            missed: *missed,
            last: self.fired().map(|(at, _)| instant(at)),
            last_run: self.fired().map(|(_, run)| run),
            last_run_is: self.run_is(),
            next: self.next.map(instant),
            passed: row.map_or(0, |row| row.passed),
            note: row.map(|row| row.note.clone()).filter(|note| !note.is_empty()),
        }
    }

    fn text(&self, now: Timestamp) -> String {
        let Schedule { name, rule, agent, task, deliver, missed } = self.schedule;
        let mut text = format!("{name}  {rule}\n");
        let mut field = |name: &str, value: &str| {
            text.push_str(&format!("  {name:<13}{}\n", scrub_line(value)));
        };
        let at = |at: Timestamp| format!("{} ({})", render::when(at, now), instant(at));
        field("agent", agent);
        field("task", task);
        let deliver: Vec<_> = deliver.iter().map(Destination::to_string).collect();
        field("deliver", if deliver.is_empty() { "nobody".to_owned() } else { deliver.join(", ") }.as_str());
        field("missed", if *missed == Missed::Once { "one run for all that were missed" } else { "no run" });
        field("next", &self.next.map_or_else(|| "never".to_owned(), at));
        field("last", &self.fired().map_or_else(|| "-".to_owned(), |(fired, _)| at(fired)));
        if let Some((_, id)) = self.fired() {
            let is = self.run_is().unwrap_or("not kept any more");
            let name = self.run.as_ref().map_or("", |run| run.spec.name.as_str());
            field("last run", format!("{name} {is} {id}").trim_start());
        }
        if let Some(row) = self.row.as_ref().filter(|row| row.passed > 0) {
            field("passed over", &format!("{}, last: {}", render::count(row.passed, "time"), row.note));
        }
        if self.row.is_none() {
            field("note", "no host has served with it yet");
        }
        text
    }
}

impl List {
    async fn answer(self, config: &Config, reader: &Reader, json: bool) -> anyhow::Result<()> {
        self.follow
            .show(json, async || {
                let now = SystemClock.now();
                let mut all = Vec::new();
                for schedule in config.schedules.values() {
                    all.push(Stands::read(reader, schedule, now).await?);
                }
                let views: Vec<_> = all.iter().map(Stands::view).collect();
                let json = serde_json::json!({ "schedules": views });
                Ok(Look { json, text: table(&all, now), is_over: false })
            })
            .await
    }
}

fn table(all: &[Stands<'_>], now: Timestamp) -> String {
    if all.is_empty() {
        return "no schedules\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "CRON", "ZONE", "AGENT", "LAST", "LAST RUN", "NEXT"]);
    for stands in all {
        table.row(vec![
            stands.schedule.name.clone(),
            stands.schedule.rule.expression().to_owned(),
            stands.schedule.rule.zone_name().to_owned(),
            stands.schedule.agent.clone(),
            stands.fired().map_or_else(|| "-".to_owned(), |(at, _)| render::when(at, now)),
            stands.run_is().unwrap_or("-").to_owned(),
            stands.next.map_or_else(|| "never".to_owned(), |next| render::when(next, now)),
        ]);
    }
    table.render()
}

impl Show {
    async fn answer(self, config: &Config, reader: &Reader, json: bool) -> Result<()> {
        let Some(schedule) = config.schedules.get(&self.schedule) else {
            let known = config.schedules.keys().map(String::as_str);
            let hint = sublane::strict::nearest(&self.schedule, known);
            return Err(Failed::wrong(anyhow::anyhow!("there is no schedule `{}`; {hint}", self.schedule)));
        };
        let shown = self.follow.show(json, async || {
            let now = SystemClock.now();
            let stands = Stands::read(reader, schedule, now).await?;
            Ok(Look { json: serde_json::to_value(stands.view())?, text: stands.text(now), is_over: false })
        });
        Ok(shown.await?)
    }
}
