//! `sublane deliveries`: looks at what is owed and steers it, also while a host runs.

use std::collections::HashMap;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use sublane::channel::scrub_line;
use sublane::clock::{Clock as _, SystemClock};
use sublane::intents::{Answer, Intent};
use sublane_core::{Delivery, DeliveryId, DeliveryState, Run, RunId, Timestamp};
use sublane_store::{DeliveryAttempt, DeliveryFilter};

use super::act::act;
use super::ages::Ages;
use super::follow::{Follow, Look};
use super::reader::Reader;
use super::table::{ID, Table};
use super::view::{AttemptView, DeliveryView};
use super::{Exit, Failed, Global, Result, console, render, say, say_json, small_runtime};

const LIST_EXAMPLES: &str = "\
Examples:
  sublane deliveries list --state dead
  sublane deliveries list --to webhook:films --since 1d --json";

const RETRY_EXAMPLES: &str = "\
Examples:
  sublane deliveries retry AAABmqTQ
  sublane deliveries list --state dead --json | jq -r '.deliveries[].id' | xargs -n1 sublane deliveries retry

The delivery keeps its id and its body, so that a receiver that has it already knows it.
It is refused while an attempt is under way.";

/// Look at what is owed to people and steer it.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List deliveries, newest first, dead letters included
    #[command(after_help = LIST_EXAMPLES)]
    List(List),
    /// Show a delivery with each attempt
    Show(Show),
    /// Try a delivery again, whatever became of it
    #[command(after_help = RETRY_EXAMPLES)]
    Retry(Retry),
    /// Decide that a delivery is not owed any more
    Dismiss(Dismiss),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only deliveries in this state
    #[arg(long)]
    state: Option<State>,
    /// Only deliveries of this run: its id, its name, or a beginning that only it has
    #[arg(long, allow_hyphen_values = true)]
    run: Option<String>,
    /// Only deliveries to this channel, or to this address on it
    #[arg(long, value_name = "CHANNEL[:ADDRESS]", value_parser = To::parse)]
    to: Option<To>,
    #[command(flatten)]
    ages: Ages,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "NUMBER", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    follow: Follow,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The delivery: its id, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    delivery: String,
    #[command(flatten)]
    follow: Follow,
}

#[derive(Debug, clap::Args)]
pub(super) struct Retry {
    /// The delivery: its id, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    delivery: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct Dismiss {
    /// The delivery: its id, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    delivery: String,
    /// Why, for whoever looks at it later [default: an operator dismissed it]
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// A channel, or an address on it.
#[derive(Clone, Debug, Default)]
struct To {
    channel: Option<String>,
    address: Option<String>,
}

impl To {
    fn parse(text: &str) -> std::result::Result<Self, &'static str> {
        let (channel, address) = match text.split_once(':') {
            Some((channel, address)) => (channel, Some(address)),
            None => (text, None),
        };
        if channel.is_empty() || address.is_some_and(str::is_empty) {
            return Err("a channel such as `webhook`, or an address on one such as `webhook:films`");
        }
        Ok(Self { channel: Some(channel.to_owned()), address: address.map(str::to_owned) })
    }
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Pending,
    Sending,
    Delivered,
    Dead,
    Dismissed,
}

impl From<State> for DeliveryState {
    fn from(state: State) -> Self {
        match state {
            State::Pending => Self::Pending,
            State::Sending => Self::Sending,
            State::Delivered => Self::Delivered,
            State::Dead => Self::Dead,
            State::Dismissed => Self::Dismissed,
        }
    }
}

impl Command {
    pub(super) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let reader = Reader::open(&config)?;
        let answer = async {
            let (called, intent): (_, fn(DeliveryId, String) -> Intent) = match self {
                Self::List(args) => return Ok(args.answer(&reader, global.json).await?),
                Self::Show(args) => return Ok(args.answer(&reader, global.json).await?),
                Self::Retry(args) => {
                    ((args.delivery, String::new()), |delivery, _| Intent::RetryDelivery { delivery })
                }
                Self::Dismiss(args) => {
                    let reason = args.reason.unwrap_or_else(|| format!("{} dismissed it", console::user()));
                    ((args.delivery, reason), |delivery, reason| Intent::DismissDelivery { delivery, reason })
                }
            };
            let id = reader.delivery(&called.0).await?.id;
            let Answer::Delivery { state } = act(&config, &reader, intent(id, called.1)).await? else {
                return Err(anyhow::anyhow!("the host answers something else").into());
            };
            if global.json {
                say_json(&serde_json::json!({ "delivery": id, "state": state }));
            } else {
                say(&format!("{id} is {}\n", render::delivery_state(state)));
            }
            Ok::<(), Failed>(())
        };
        small_runtime()?.block_on(answer)?;
        Ok(Exit::Done)
    }
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    delivery: DeliveryView,
    run_name: Option<String>,
    /// Where the run stands, which is another fact than where its delivery does.
    run_state: Option<&'static str>,
    run_outcome: Option<&'static str>,
}

type Owed = (Delivery, Vec<DeliveryAttempt>);

impl List {
    async fn answer(self, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let run = match &self.run {
            Some(called) => Some(reader.run(called).await?.spec.id),
            None => None,
        };
        let To { channel, address } = self.to.unwrap_or_default();
        let state = self.state.map(Into::into);
        let filter =
            DeliveryFilter { state, run, channel, address, limit: self.limit, ..DeliveryFilter::default() };
        let ages = self.ages;
        self.follow
            .show(json, async || {
                let now = SystemClock.now();
                let filter = DeliveryFilter { owed: ages.seen_from(now), ..filter.clone() };
                let (listed, runs) = list(reader, filter).await?;
                let views: Vec<_> = listed.iter().map(|owed| view(owed, &runs)).collect();
                let json = serde_json::json!({ "deliveries": views });
                Ok(Look { json, text: table(&listed, &runs, now), is_over: false })
            })
            .await
    }
}

/// Deliveries by filter with their attempts, and the runs that owe them.
async fn list(reader: &Reader, filter: DeliveryFilter) -> anyhow::Result<(Vec<Owed>, HashMap<RunId, Run>)> {
    let (mut listed, mut runs) = (Vec::new(), HashMap::new());
    for delivery in reader.store.deliveries(filter).await? {
        if !runs.contains_key(&delivery.run)
            && let Some(run) = reader.store.run(delivery.run).await?
        {
            runs.insert(delivery.run, run);
        }
        let log = reader.store.attempts(delivery.id).await?;
        listed.push((delivery, log));
    }
    Ok((listed, runs))
}

impl Show {
    async fn answer(self, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let id = reader.delivery(&self.delivery).await?.id;
        self.follow
            .show(json, async || {
                let delivery = reader.store.delivery(id).await?;
                let delivery = delivery.ok_or_else(|| anyhow::anyhow!("delivery {id} is gone"))?;
                let run = reader.store.run(delivery.run).await?;
                let owed = (delivery, reader.store.attempts(id).await?);
                let runs = run.into_iter().map(|run| (run.spec.id, run)).collect();
                Ok(Look {
                    is_over: owed.0.state.is_settled(),
                    text: text(&owed, &runs, SystemClock.now()),
                    json: serde_json::to_value(view(&owed, &runs))?,
                })
            })
            .await
    }
}

/// Everything about a delivery.
fn text(owed: &Owed, runs: &HashMap<RunId, Run>, now: Timestamp) -> String {
    let (delivery, log) = owed;
    let view = DeliveryView::of(delivery, log);
    let mut text = format!("{}  to {}\n", delivery.id, scrub_line(&delivery.destination.to_string()));
    let mut field = |name: &str, value: &str| {
        text.push_str(&format!("  {name:<13}{}\n", scrub_line(value)));
    };
    field("state", render::delivery_state(delivery.state));
    if delivery.state == DeliveryState::Pending {
        field("again", &render::when(delivery.next_at, now));
    }
    field("owed", &format!("{} ({})", render::when(delivery.created, now), view.created));
    match runs.get(&delivery.run) {
        Some(run) => field("run", &format!("{} ({}, {})", run.spec.name, delivery.run, render::outcome(run))),
        None => field("run", &delivery.run.to_string()),
    }
    if !delivery.note.is_empty() {
        field("last", &delivery.note);
    }
    let attempt = |attempt: &AttemptView| {
        let line = format!("{}. {} {} {}", attempt.number, attempt.at, attempt.result, attempt.note);
        scrub_line(line.trim_end())
    };
    text.push_str(&render::section("attempts", &view.log.iter().map(attempt).collect::<Vec<_>>()));
    text.push_str(&render::section("body", &[scrub_line(&delivery.body)]));
    text
}

fn view((delivery, log): &Owed, runs: &HashMap<RunId, Run>) -> Listed {
    let run = runs.get(&delivery.run);
    Listed {
        delivery: DeliveryView::of(delivery, log),
        run_name: run.map(|run| run.spec.name.clone()),
        run_state: run.map(|run| run.state.kind()),
        run_outcome: run.and_then(|run| run.outcome()).map(sublane_core::Outcome::kind),
    }
}

fn table(listed: &[Owed], runs: &HashMap<RunId, Run>, now: Timestamp) -> String {
    if listed.is_empty() {
        return "no deliveries\n".to_owned();
    }
    let mut table =
        Table::new(&["TO", "DELIVERY", "ATTEMPTS", "OWED", "AGAIN", "RUN", "RUN ENDED", ID, "LAST ATTEMPT"]);
    for (delivery, _) in listed {
        let run = runs.get(&delivery.run);
        let again = if delivery.state == DeliveryState::Pending {
            render::when(delivery.next_at, now)
        } else {
            "-".to_owned()
        };
        table.row(vec![
            delivery.destination.to_string(),
            render::delivery_state(delivery.state).to_owned(),
            delivery.attempts.to_string(),
            render::when(delivery.created, now),
            again,
            run.map_or_else(|| delivery.run.to_string(), |run| run.spec.name.clone()),
            run.map_or("-", render::outcome).to_owned(),
            delivery.id.to_string(),
            delivery.note.clone(),
        ]);
    }
    table.render()
}
