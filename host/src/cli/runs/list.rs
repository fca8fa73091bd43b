//! `sublane runs list`.

use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;
use sublane::clock::{Clock as _, SystemClock};
use sublane_core::grants::AgentPattern;
use sublane_core::{Delivery, Run, Timestamp};
use sublane_store::RunFilter;

use crate::cli::ages::Ages;
use crate::cli::follow::{Follow, Look};
use crate::cli::reader::Reader;
use crate::cli::render;
use crate::cli::table::{ID, Table};
use crate::cli::view::{DeliveryView, RunView};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    /// Only runs in this state
    #[arg(long, value_parser = ["delayed", "queued", "running", "waiting", "closing", "ended"])]
    state: Option<String>,
    /// Only runs of this agent
    #[arg(long, value_name = "PLUGIN/AGENT", conflicts_with = "plugin")]
    agent: Option<AgentPattern>,
    /// Only runs of this plugin's agents
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    plugin: Option<String>,
    /// Only runs of this conversation: its id, or its `channel:address`
    #[arg(long, value_name = "CONVERSATION", allow_hyphen_values = true)]
    conversation: Option<String>,
    #[command(flatten)]
    ages: Ages,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "NUMBER", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    follow: Follow,
}

#[derive(Serialize)]
pub(in crate::cli) struct Listed {
    #[serde(flatten)]
    run: RunView,
    deliveries: Vec<DeliveryView>,
}

impl List {
    pub(super) async fn answer(self, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let conversation = match &self.conversation {
            Some(called) => Some(reader.conversation(called).await?.id),
            None => None,
        };
        let (plugin, agent) = match self.agent {
            Some(AgentPattern { plugin, agent }) => (Some(plugin), agent),
            None => (self.plugin, None),
        };
        let filter = RunFilter {
            state: self.state,
            conversation,
            plugin,
            agent,
            limit: self.limit,
            ..RunFilter::default()
        };
        let ages = self.ages;
        self.follow
            .show(json, async || {
                let now = SystemClock.now();
                let listed =
                    list(reader, RunFilter { accepted: ages.seen_from(now), ..filter.clone() }).await?;
                let views: Vec<_> = listed.iter().map(|listed| view(listed, &reader.link_base)).collect();
                let json = serde_json::json!({ "runs": views });
                Ok(Look { json, text: table(&listed, now), is_over: false })
            })
            .await
    }
}

/// Runs with what they owe.
pub(in crate::cli) type Owing = (Run, Vec<Delivery>);

/// Runs by filter, each with what it owes.
pub(in crate::cli) async fn list(reader: &Reader, filter: RunFilter) -> anyhow::Result<Vec<Owing>> {
    let runs = reader.store.runs(filter).await?;
    let mut listed = Vec::with_capacity(runs.len());
    for run in runs {
        let deliveries = reader.deliveries_of(run.spec.id).await?;
        listed.push((run, deliveries));
    }
    Ok(listed)
}

pub(in crate::cli) fn view((run, deliveries): &Owing, link_base: &str) -> Listed {
    let owed = deliveries.iter().map(|delivery| DeliveryView::of(delivery, &[]));
    Listed { run: RunView::of(run, link_base), deliveries: owed.collect() }
}

pub(in crate::cli) fn table(listed: &[Owing], now: Timestamp) -> String {
    if listed.is_empty() {
        return "no runs\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "AGENT", "LANE", "STATE", "ENDED", "DELIVERIES", "ACCEPTED", ID]);
    for (run, deliveries) in listed {
        table.row(vec![
            run.spec.name.clone(),
            run.spec.agent_name(),
            run.spec.lane.clone(),
            render::state(run),
            render::outcome(run).to_owned(),
            render::deliveries(deliveries),
            render::when(run.spec.created, now),
            run.spec.id.to_string(),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::runs::scene::{failed, owed, run};
    use expect_test::expect;
    use sublane_core::{DeliveryState, RunState};

    #[test]
    fn a_runs_ending_and_its_deliveries_are_told_apart() {
        let (living, ended) = (run(RunState::Queued), run(failed()));
        let deliveries = vec![owed(&ended, DeliveryState::Pending), owed(&ended, DeliveryState::Delivered)];
        expect![[r#"
            NAME         AGENT         LANE      STATE        ENDED   DELIVERIES              ACCEPTED   ID
            film-Ab12cd  video/render  subagent  queued 42 %  -       -                       2 min ago  AAAACSfABwcHBwcHBwcHBw
            film-Ab12cd  video/render  subagent  ended        failed  1 pending, 1 delivered  2 min ago  AAAACSfABwcHBwcHBwcHBw
        "#]]
        .assert_eq(&table(&[(living, Vec::new()), (ended, deliveries)], Timestamp(720_000)));
    }
}
