//! `sublane deliveries`: looks at what is owed, also while a host runs.

use std::collections::HashMap;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use sublane::clock::{Clock as _, SystemClock};
use sublane_core::{Delivery, DeliveryState, Run, RunId, Timestamp};
use sublane_store::{DeliveryAttempt, DeliveryFilter, Store as _};

use super::reader::Reader;
use super::table::Table;
use super::view::DeliveryView;
use super::{Exit, Failed, Global, Result, render, say, say_json, small_runtime};

/// Look at what is owed to people.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List deliveries, newest first
    List(List),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only deliveries in this state
    #[arg(long)]
    state: Option<State>,
    /// Only deliveries of this run: its id, its name, or a beginning that only it has
    #[arg(long, allow_hyphen_values = true)]
    run: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
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
        let Self::List(args) = self;
        let reader = Reader::open(&global.load()?)?;
        small_runtime()?.block_on(args.answer(&reader, global.json)).map_err(Failed::from)?;
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
        let filter = DeliveryFilter {
            state: self.state.map(Into::into),
            run,
            limit: self.limit,
            ..DeliveryFilter::default()
        };
        let mut runs = HashMap::new();
        let mut listed = Vec::new();
        for delivery in reader.store.deliveries(filter).await? {
            if !runs.contains_key(&delivery.run)
                && let Some(run) = reader.store.run(delivery.run).await?
            {
                runs.insert(delivery.run, run);
            }
            let log = reader.store.attempts(delivery.id).await?;
            listed.push((delivery, log));
        }
        if json {
            let views: Vec<_> = listed.iter().map(|owed| view(owed, &runs)).collect();
            say_json(&serde_json::json!({ "deliveries": views }));
        } else {
            say(&table(&listed, &runs, SystemClock.now()));
        }
        Ok(())
    }
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
    let mut table = Table::new(&[
        "TO",
        "DELIVERY",
        "ATTEMPTS",
        "OWED",
        "AGAIN",
        "RUN",
        "RUN ENDED",
        "ID",
        "LAST ATTEMPT",
    ]);
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
