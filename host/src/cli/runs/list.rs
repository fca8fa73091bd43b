//! `sublane runs list`.

use clap::builder::NonEmptyStringValueParser;
use serde::Serialize;
use sublane::clock::{Clock as _, SystemClock};
use sublane_core::grants::AgentPattern;
use sublane_core::poll::Poll;
use sublane_core::{Delivery, Run, RunState, Timestamp};
use sublane_store::RunFilter;

use crate::cli::ages::Ages;
use crate::cli::follow::{Follow, Look};
use crate::cli::reader::Reader;
use crate::cli::render;
use crate::cli::table::{ID, Table};
use crate::cli::view::{DeliveryView, PollView, RunView};

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
    /// What the host asks other machines for it.
    polls: Vec<PollView>,
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

/// A run with what it owes, and the polls that it waits for.
pub(in crate::cli) struct Seen {
    pub(in crate::cli) run: Run,
    pub(in crate::cli) deliveries: Vec<Delivery>,
    pub(in crate::cli) polls: Vec<Poll>,
}

/// Runs by filter, each with what belongs to it.
pub(in crate::cli) async fn list(reader: &Reader, filter: RunFilter) -> anyhow::Result<Vec<Seen>> {
    let runs = reader.store.runs(filter).await?;
    let mut listed = Vec::with_capacity(runs.len());
    for run in runs {
        let deliveries = reader.deliveries_of(run.spec.id).await?;
        let polls = match run.state {
            RunState::Waiting { .. } => reader.store.polls_of(run.spec.id).await?,
            _ => Vec::new(),
        };
        listed.push(Seen { run, deliveries, polls });
    }
    Ok(listed)
}

pub(in crate::cli) fn view(Seen { run, deliveries, polls }: &Seen, link_base: &str) -> Listed {
    let owed = deliveries.iter().map(|delivery| DeliveryView::of(delivery, &[]));
    Listed {
        run: RunView::of(run, link_base),
        deliveries: owed.collect(),
        polls: polls.iter().map(PollView::from).collect(),
    }
}

pub(in crate::cli) fn table(listed: &[Seen], now: Timestamp) -> String {
    if listed.is_empty() {
        return "no runs\n".to_owned();
    }
    // Where nobody polls, the column would say nothing.
    let has_polls = listed.iter().any(|seen| !seen.polls.is_empty());
    let heads = ["NAME", "AGENT", "LANE", "STATE", "NEXT POLL", "ENDED", "DELIVERIES", "ACCEPTED", ID];
    let shown = |head: &&str| has_polls || *head != "NEXT POLL";
    let mut table = Table::new(&heads.into_iter().filter(shown).collect::<Vec<_>>());
    for Seen { run, deliveries, polls } in listed {
        let next = has_polls.then(|| render::next_poll(polls, now).unwrap_or_else(|| "-".to_owned()));
        let stands =
            [run.spec.name.clone(), run.spec.agent_name(), run.spec.lane.clone(), render::state(run)];
        let rest = [
            render::outcome(run).to_owned(),
            render::deliveries(deliveries),
            render::when(run.spec.created, now),
            run.spec.id.to_string(),
        ];
        table.row(stands.into_iter().chain(next).chain(rest).collect());
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::runs::scene::{failed, owed, poll, run};
    use expect_test::expect;
    use sublane_core::{DeliveryState, RunState};

    #[test]
    fn a_runs_ending_and_its_deliveries_are_told_apart() {
        let (living, ended) = (run(RunState::Queued), run(failed()));
        let deliveries = vec![owed(&ended, DeliveryState::Pending), owed(&ended, DeliveryState::Delivered)];
        let seen = |run, deliveries| Seen { run, deliveries, polls: Vec::new() };
        expect![[r#"
            NAME         AGENT         LANE      STATE        ENDED   DELIVERIES              ACCEPTED   ID
            film-Ab12cd  video/render  subagent  queued 42 %  -       -                       2 min ago  AAAACSfABwcHBwcHBwcHBw
            film-Ab12cd  video/render  subagent  ended        failed  1 pending, 1 delivered  2 min ago  AAAACSfABwcHBwcHBwcHBw
        "#]]
        .assert_eq(&table(&[seen(living, Vec::new()), seen(ended, deliveries)], Timestamp(720_000)));
    }

    #[test]
    fn a_run_that_waits_for_an_answer_is_listed_with_who_is_asked_and_when() {
        let (waits, other) = (run(RunState::Waiting { token: None }), run(RunState::Queued));
        let polls = vec![
            poll(&waits, "https://late.example.org", 790_000),
            poll(&waits, "http://10.0.0.7:81", 725_000),
        ];
        let overdue = vec![poll(&waits, "https://queue.fal.run", 700_000)];
        let seen = |run: &Run, polls| Seen { run: run.clone(), deliveries: Vec::new(), polls };
        expect![[r#"
            NAME         AGENT         LANE      STATE         NEXT POLL                       ENDED  DELIVERIES  ACCEPTED   ID
            film-Ab12cd  video/render  subagent  waiting 42 %  10.0.0.7:81 in 5 s, and 1 more  -      -           2 min ago  AAAACSfABwcHBwcHBwcHBw
            film-Ab12cd  video/render  subagent  waiting 42 %  queue.fal.run now               -      -           2 min ago  AAAACSfABwcHBwcHBwcHBw
            film-Ab12cd  video/render  subagent  queued 42 %   -                               -      -           2 min ago  AAAACSfABwcHBwcHBwcHBw
        "#]]
        .assert_eq(&table(
            &[seen(&waits, polls), seen(&waits, overdue), seen(&other, Vec::new())],
            Timestamp(720_000),
        ));
    }
}
