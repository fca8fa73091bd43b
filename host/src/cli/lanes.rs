//! `sublane lanes`: who has slots, who waits for one, and what an operator sets.
//!
//! What is shown is read from the store, where every run says its lane and
//! since when it is ready, so that it is the same beside a host and without one.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{ArgGroup, Subcommand};
use serde::Serialize;
use sublane::channel::scrub_line;
use sublane::clock::{Clock as _, SystemClock};
use sublane::config::Config;
use sublane::intents::{Answer, Intent, LaneChange};
use sublane::lanes::{check_setting, configured, limits_as_set, name_of, setting_of};
use sublane_core::lane::LaneLimits;
use sublane_core::{Run, RunId, Timestamp};
use sublane_store::{LaneSetting, Ready, RunFilter};

use super::act::act;
use super::follow::{Follow, Look};
use super::reader::Reader;
use super::table::Table;
use super::{Exit, Failed, Global, Result, render, say, say_json, small_runtime};

/// Ready and running runs that are looked at, of all lanes.
const LOOKED_AT: u32 = 10_000;
/// Lines of each section that people see.
const SHOWN: usize = 20;

const LIMITS_EXAMPLES: &str = "\
Examples:
  sublane lanes limits subagent --slots 16
  sublane lanes limits subagent --queue-length 500
  sublane lanes limits subagent --as-configured

What is set holds at once and after a restart, until it is set otherwise. With fewer
slots than runs that have one, those runs keep theirs.";

/// Look at lanes and steer them.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List lanes: slots, queue, oldest wait, who holds what
    List(List),
    /// Give no more slots of a lane, now and after a restart; who has one keeps it
    Pause(Named),
    /// Give slots of a lane again
    Resume(Named),
    /// Set how many slots a lane has, and how many runs may wait
    #[command(after_help = LIMITS_EXAMPLES)]
    Limits(Limits),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    follow: Follow,
}

#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The lane
    lane: String,
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("change").args(["slots", "queue_length", "as_configured"]).required(true).multiple(true))]
pub(super) struct Limits {
    /// The lane
    lane: String,
    /// Runs that execute at once, 1 to 1024
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    slots: Option<u32>,
    /// Ready runs, beyond which a spawn is refused, 1 to 1000000
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    queue_length: Option<u32>,
    /// Forget what was set: both are as configured again
    #[arg(long, conflicts_with_all = ["slots", "queue_length"])]
    as_configured: bool,
}

impl Command {
    pub(super) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let reader = Reader::open(&config)?;
        let answer = async {
            match self {
                Self::List(args) => Ok(args.answer(&config, &reader, global.json).await?),
                Self::Pause(Named { lane }) => {
                    let change = LaneChange { paused: Some(true), ..LaneChange::default() };
                    set(&config, &reader, global, lane, change).await
                }
                Self::Resume(Named { lane }) => {
                    let change = LaneChange { paused: Some(false), ..LaneChange::default() };
                    set(&config, &reader, global, lane, change).await
                }
                Self::Limits(Limits { lane, slots, queue_length, as_configured }) => {
                    let change = LaneChange { paused: None, as_configured, slots, queue_length };
                    set(&config, &reader, global, lane, change).await
                }
            }
        };
        small_runtime()?.block_on(answer)?;
        Ok(Exit::Done)
    }
}

async fn set(
    config: &Config,
    reader: &Reader,
    global: &Global,
    lane: String,
    change: LaneChange,
) -> Result<()> {
    let setting = change.of(setting_of(&*reader.store, &lane).await?);
    let lanes = configured(config.lanes.clone());
    // Beside a host, which may have another configuration, it says so itself.
    check_setting(lanes.keys().map(String::as_str), &lane, setting)
        .map_err(|why| Failed::from(anyhow::anyhow!(why)))?;
    let Answer::Lane { setting } = act(config, reader, Intent::Lane { lane: lane.clone(), change }).await?
    else {
        return Err(anyhow::anyhow!("the host answers something else").into());
    };
    let limits = limits_as_set(lanes[&lane], setting);
    if global.json {
        say_json(&serde_json::json!({
            "lane": lane, "paused": setting.paused, "slots": limits.slots, "queue_length": limits.queue_length,
        }));
    } else {
        let state = if setting.paused { "is paused" } else { "gives slots" };
        let (slots, waiting) =
            (render::count(limits.slots, "slot"), render::count(limits.queue_length, "run"));
        say(&format!("{lane} {state}: {slots}, {waiting} may wait\n"));
    }
    Ok(())
}

/// A lane as it stands.
#[derive(Serialize)]
struct Status {
    lane: String,
    paused: bool,
    slots: u32,
    queue_length: u32,
    running: usize,
    /// Ready runs among the oldest that were looked at.
    ready: usize,
    /// Runs that begin later and will be ready then, among the next that were looked at.
    delayed: usize,
    /// How long the oldest of them has been ready.
    oldest_wait_ms: Option<u64>,
    holders: Vec<Holder>,
    keys: Vec<KeyStatus>,
}

/// A run that has a slot.
#[derive(Serialize)]
struct Holder {
    run: RunId,
    name: String,
    agent: String,
    held_ms: u64,
}

/// What one plugin has spawned from one parent: among such keys a lane is fair.
#[derive(Serialize)]
struct KeyStatus {
    plugin: String,
    parent: Option<RunId>,
    running: usize,
    ready: usize,
}

impl List {
    async fn answer(self, config: &Config, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let lanes = configured(config.lanes.clone());
        self.follow
            .show(json, async || {
                let now = SystemClock.now();
                let set: BTreeMap<_, _> = reader.store.lane_settings().await?.into_iter().collect();
                let in_state = |state: &str| RunFilter {
                    state: Some(state.to_owned()),
                    limit: LOOKED_AT,
                    ..RunFilter::default()
                };
                let running = reader.store.runs(in_state("running")).await?;
                let delayed = reader.store.runs(in_state("delayed")).await?;
                let ready = reader.store.queued(None, LOOKED_AT).await?;
                let sorted: BTreeMap<_, _> = lanes.iter().collect();
                let status = |(name, limits): (&String, &LaneLimits)| {
                    let setting = set.get(name).copied().unwrap_or_default();
                    let on = |lane: &str| name_of(&lanes, lane) == name;
                    let mut status = Status::of(name, *limits, setting);
                    status.count(
                        running.iter().filter(|run| on(&run.spec.lane)),
                        ready.iter().filter(|ready| on(&ready.lane)),
                        now,
                    );
                    status.delayed = delayed.iter().filter(|run| on(&run.spec.lane)).count();
                    status
                };
                let statuses: Vec<_> = sorted.into_iter().map(status).collect();
                let json = serde_json::json!({ "lanes": statuses });
                Ok(Look { json, text: text(&statuses), is_over: false })
            })
            .await
    }
}

impl Status {
    fn of(name: &str, limits: LaneLimits, setting: LaneSetting) -> Self {
        let LaneLimits { slots, queue_length, .. } = limits_as_set(limits, setting);
        Self {
            lane: name.to_owned(),
            paused: setting.paused,
            slots,
            queue_length,
            running: 0,
            ready: 0,
            delayed: 0,
            oldest_wait_ms: None,
            holders: Vec::new(),
            keys: Vec::new(),
        }
    }

    fn count<'a>(
        &mut self,
        running: impl Iterator<Item = &'a Run>,
        ready: impl Iterator<Item = &'a Ready>,
        now: Timestamp,
    ) {
        let ms = |since: Timestamp| u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX);
        let mut keys = BTreeMap::<(String, Option<RunId>), (usize, usize)>::new();
        for run in running {
            self.running += 1;
            keys.entry((run.spec.plugin.clone(), run.spec.parent)).or_default().0 += 1;
            let (name, agent) = (run.spec.name.clone(), run.spec.agent_name());
            self.holders.push(Holder { run: run.spec.id, name, agent, held_ms: ms(run.since) });
        }
        for one in ready {
            self.ready += 1;
            keys.entry((one.plugin.clone(), one.parent)).or_default().1 += 1;
            self.oldest_wait_ms = self.oldest_wait_ms.max(Some(ms(one.since)));
        }
        self.keys = keys
            .into_iter()
            .map(|((plugin, parent), (running, ready))| KeyStatus { plugin, parent, running, ready })
            .collect();
    }
}

fn text(statuses: &[Status]) -> String {
    let ms = |ms: u64| render::duration(Duration::from_millis(ms));
    let mut table = Table::new(&["LANE", "STATE", "SLOTS", "READY", "OLDEST WAIT", "LATER"]);
    for status in statuses {
        table.row(vec![
            status.lane.clone(),
            if status.paused { "paused" } else { "open" }.to_owned(),
            format!("{} of {}", status.running, status.slots),
            format!("{} of {}", status.ready, status.queue_length),
            status.oldest_wait_ms.map_or_else(|| "-".to_owned(), ms),
            status.delayed.to_string(),
        ]);
    }
    let mut text = table.render();
    for status in statuses {
        let mut lines: Vec<String> = Vec::new();
        for Holder { run, name, agent, held_ms } in status.holders.iter().take(SHOWN) {
            lines.push(scrub_line(&format!("{name}  {agent}  for {}  {run}", ms(*held_ms))));
        }
        text.push_str(&render::section(&format!("slots of {}", status.lane), &lines));
        let key = |key: &KeyStatus| {
            let parent =
                key.parent.map_or_else(|| "roots".to_owned(), |parent| format!("children of {parent}"));
            format!("{}, {parent}: {} running, {} ready", scrub_line(&key.plugin), key.running, key.ready)
        };
        let lines: Vec<_> = status.keys.iter().take(SHOWN).map(key).collect();
        text.push_str(&render::section(&format!("turns on {}", status.lane), &lines));
    }
    text
}
