//! `sublane runs show`: everything about one run.

use std::collections::HashMap;

use serde::Serialize;
use sublane::channel::{scrub_line, scrub_text};
use sublane::clock::{Clock as _, SystemClock};
use sublane::config::Config;
use sublane::plugin::Allow;
use sublane_core::hook::Hook;
use sublane_core::poll::Poll;
use sublane_core::{Delivery, Generation, Grants, Outcome, Run, RunId, RunState, Timestamp};
use sublane_store::{Conversation, DeliveryAttempt, RunFilter, Wait};

use crate::cli::follow::{Follow, Look};
use crate::cli::reader::Reader;
use crate::cli::render;
use crate::cli::view::{
    ConversationView, DeliveryView, GenerationView, HookView, PollView, RunView, WaitView, instant,
};

/// Children that are shown with a run.
const CHILDREN: u32 = 100;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Show {
    /// The run: its id, its name, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    run: String,
    #[command(flatten)]
    follow: Follow,
}

/// Everything about a run.
struct Whole {
    run: Run,
    parent: Option<Run>,
    children: Vec<Run>,
    deliveries: Vec<(Delivery, Vec<DeliveryAttempt>)>,
    wait: Option<Wait>,
    polls: Vec<Poll>,
    hooks: Vec<Hook>,
    entries: usize,
    /// Those that are over.
    generations: Vec<Generation>,
    conversation: Option<Conversation>,
    /// What is left of its grants, where the operator has taken something away since.
    left: Option<Grants>,
}

#[derive(Serialize)]
struct WholeView {
    #[serde(flatten)]
    run: RunView,
    children: Vec<RunView>,
    waits_for: Option<WaitView>,
    polls: Vec<PollView>,
    /// Never with the token in the URL.
    hooks: Vec<HookView>,
    deliveries: Vec<DeliveryView>,
    journal_entries: usize,
    /// Generations before this one, oldest first.
    earlier_generations: Vec<GenerationView>,
    conversation_state: Option<ConversationView>,
    /// What it was given and may not do any more, in words.
    revoked: Vec<String>,
}

impl Show {
    pub(super) async fn answer(self, config: &Config, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let id = reader.run(&self.run).await?.spec.id.to_string();
        self.follow
            .show(json, async || {
                let whole = Whole::read(config, reader, &id).await?;
                Ok(Look {
                    text: whole.text(&reader.link_base, SystemClock.now()),
                    is_over: whole.is_over(),
                    json: serde_json::to_value(whole.view(&reader.link_base))?,
                })
            })
            .await
    }
}

/// What the configuration leaves of a run's grants, if that is less than all. One that has ended may
/// do nothing in any case.
fn left(config: &Config, run: &Run) -> Option<Grants> {
    let grants = &run.spec.grants;
    let plugin = grants.root_of().unwrap_or(&run.spec.spawner);
    match config.plugins.get(plugin).map(|plugin| &plugin.allow) {
        Some(Allow::These(these)) if !run.is_ended() => grants.within(these),
        _ => None,
    }
}

impl Whole {
    async fn read(config: &Config, reader: &Reader, called: &str) -> anyhow::Result<Self> {
        let run = reader.run(called).await?;
        let (id, store) = (run.spec.id, &reader.store);
        let parent = match run.spec.parent {
            Some(parent) => store.run(parent).await?,
            None => None,
        };
        let of_parent = RunFilter { parent: Some(id), limit: CHILDREN, ..RunFilter::default() };
        let mut deliveries = Vec::new();
        for delivery in reader.deliveries_of(id).await? {
            let log = store.attempts(delivery.id).await?;
            deliveries.push((delivery, log));
        }
        Ok(Self {
            parent,
            children: store.runs(of_parent).await?,
            deliveries,
            wait: store.wait_of(id).await?,
            polls: store.polls_of(id).await?,
            hooks: store.hooks_of(id).await?,
            entries: store.journal(id, run.generation).await?.len(),
            generations: store.generations(id).await?,
            conversation: store.conversation(run.spec.conversation).await?,
            left: left(config, &run),
            run,
        })
    }

    fn view(&self, link_base: &str) -> WholeView {
        let view = |run: &Run| RunView::of(run, link_base);
        WholeView {
            run: view(&self.run),
            children: self.children.iter().map(view).collect(),
            waits_for: self.wait.clone().map(WaitView::from),
            polls: self.polls.iter().map(PollView::from).collect(),
            hooks: self.hooks.iter().map(|hook| HookView::of(hook, &self.run)).collect(),
            deliveries: self.deliveries.iter().map(|(owed, log)| DeliveryView::of(owed, log)).collect(),
            journal_entries: self.entries,
            earlier_generations: self.generations().collect(),
            conversation_state: self.conversation.clone().map(ConversationView::from),
            revoked: self.revoked(),
        }
    }

    /// Whether it has ended and what it owes is settled.
    fn is_over(&self) -> bool {
        self.run.is_ended() && self.deliveries.iter().all(|(delivery, _)| delivery.state.is_settled())
    }

    fn text(&self, link_base: &str, now: Timestamp) -> String {
        let (run, spec) = (&self.run, &self.run.spec);
        let mut text = format!("{}  {}\n", scrub_line(&spec.name), spec.id);
        let mut field = |name: &str, value: &str| {
            text.push_str(&format!("  {name:<13}{}\n", scrub_line(value)));
        };
        let at = |at: Timestamp| format!("{} ({})", render::when(at, now), instant(at));
        field("state", &format!("{} since {}", render::state(run), at(run.since)));
        if let RunState::Delayed { until } = run.state {
            field(if run.retried > 0 { "tries again" } else { "begins" }, &at(until));
        }
        field("ended", render::outcome(run));
        if let Some(outcome) = run.outcome().filter(|outcome| !matches!(outcome, Outcome::Succeeded(_))) {
            field("why", &outcome.sentence(&spec.name));
        }
        if let Some((percent, note)) = &run.progress {
            field("progress", &format!("{percent} % {note}"));
        }
        if let Some(wait) = &self.wait {
            let until = wait.due.map(|due| format!(", until {}", at(due))).unwrap_or_default();
            field("waits for", &format!("{}{until}", self.named(render::waits_for(&wait.what))));
        }
        field(
            "agent",
            &format!("{} (plugin {}, version {:.12})", spec.agent_name(), spec.plugin, spec.plugin_digest),
        );
        field("lane", &format!("{} at depth {}", spec.lane, spec.depth));
        field("accepted", &at(spec.created));
        field("deadline", &at(spec.deadline()));
        if run.generation > 0 {
            let began = if run.begun > now { "begins" } else { "begun" };
            field("generation", &format!("{}, {began} {}", run.generation, at(run.begun)));
        }
        if let Some(retry) = render::retry(run) {
            field("retries", &retry);
        }
        field("attempts", &format!("{}, of which crashed {}", run.attempt, run.crashes));
        field("journal", &render::count(self.entries as u64, "entry"));
        field("conversation", &format!("{} at {}", spec.conversation, spec.origin));
        match (&self.parent, spec.parent) {
            (Some(parent), _) => field("parent", &format!("{} ({})", parent.spec.name, parent.spec.id)),
            (None, Some(id)) => field("parent", &id.to_string()),
            (None, None) => {}
        }
        field("given", &render::purse(spec.purse));
        if !run.is_ended() {
            field("left", &render::purse(run.purse));
        }
        let may = render::grants(self.left.as_ref().unwrap_or(&spec.grants));
        if may.is_empty() {
            field("may", "nothing but compute");
        }
        text.push_str(&render::section("may", &may));
        text.push_str(&render::section("may no more", &self.revoked()));
        text.push_str(&self.earlier(now));
        text.push_str(&self.polled(now));
        text.push_str(&self.doors(now));
        text.push_str(&self.family());
        text.push_str(&self.owed(now));
        text.push_str(&self.given_back(link_base));
        text
    }

    /// What it was given and may not do any more.
    fn revoked(&self) -> Vec<String> {
        let Some(left) = &self.left else { return Vec::new() };
        let left = render::grants(left);
        let mut given = render::grants(&self.run.spec.grants);
        given.retain(|line| !left.contains(line));
        given
    }

    /// Ids of children as their names.
    fn named(&self, text: String) -> String {
        let names: HashMap<RunId, &str> =
            self.children.iter().map(|child| (child.spec.id, child.spec.name.as_str())).collect();
        names.iter().fold(text, |text, (id, name)| text.replace(&id.to_string(), name))
    }

    fn generations(&self) -> impl Iterator<Item = GenerationView> {
        self.generations.iter().map(|over| GenerationView::of(over, &self.run.spec.name))
    }

    fn earlier(&self, now: Timestamp) -> String {
        let line = |over: &Generation| {
            let outcome = over.over.outcome();
            let why =
                outcome.map_or("went on as new".into(), |outcome| outcome.sentence(&self.run.spec.name));
            format!("{}  over {}  {}", over.number, render::when(over.at, now), scrub_line(&why))
        };
        render::section("earlier generations", &self.generations.iter().map(line).collect::<Vec<_>>())
    }

    fn polled(&self, now: Timestamp) -> String {
        let line = |poll: &Poll| {
            format!(
                "{}  next {}, after {}  seen last: {}",
                scrub_line(&poll.server),
                render::due(poll.due, now),
                render::count(poll.made, "poll"),
                scrub_line(poll.seen.as_deref().unwrap_or("nothing yet"))
            )
        };
        render::section("polls", &self.polls.iter().map(line).collect::<Vec<_>>())
    }

    fn doors(&self, now: Timestamp) -> String {
        let line = |hook: &Hook| {
            let HookView { id, state, by, .. } = HookView::of(hook, &self.run);
            format!(
                "{id}  {state}  called by {}, opened {}",
                scrub_line(&by),
                render::when(hook.created, now)
            )
        };
        render::section("hooks", &self.hooks.iter().map(line).collect::<Vec<_>>())
    }

    fn family(&self) -> String {
        let child = |child: &Run| {
            let Run { spec, .. } = child;
            let (state, outcome) = (render::state(child), render::outcome(child));
            format!("{}  {}  {state}  {outcome}  {}", scrub_line(&spec.name), spec.agent_name(), spec.id)
        };
        render::section("children", &self.children.iter().map(child).collect::<Vec<_>>())
    }

    fn owed(&self, now: Timestamp) -> String {
        let mut lines = Vec::new();
        for (delivery, log) in &self.deliveries {
            let view = DeliveryView::of(delivery, log);
            let again =
                view.next_at.as_ref().map(|_| format!(", again {}", render::when(delivery.next_at, now)));
            lines.push(format!(
                "{}  {}{}  {}",
                scrub_line(&delivery.destination.to_string()),
                render::delivery_state(delivery.state),
                again.unwrap_or_default(),
                delivery.id
            ));
            for attempt in &view.log {
                let note = scrub_line(&attempt.note);
                lines.push(
                    format!("  {}. {} {} {note}", attempt.number, attempt.at, attempt.result)
                        .trim_end()
                        .to_owned(),
                );
            }
        }
        render::section("deliveries", &lines)
    }

    fn given_back(&self, link_base: &str) -> String {
        let Some(Outcome::Succeeded(output)) = self.run.outcome() else { return String::new() };
        let mut lines: Vec<String> = Vec::new();
        lines.extend(
            output
                .text
                .iter()
                .flat_map(|text| scrub_text(text).lines().map(str::to_owned).collect::<Vec<_>>()),
        );
        lines.push(scrub_line(&output.value));
        lines.extend(output.artifacts.iter().map(|artifact| scrub_line(&artifact.link(link_base).url)));
        render::section("result", &lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::runs::scene::{failed, owed, run};
    use expect_test::expect;
    use sublane_core::DeliveryState;

    #[test]
    fn a_run_is_shown_with_everything_about_it() {
        let run = run(failed());
        let deliveries = vec![(owed(&run, DeliveryState::Pending), Vec::new())];
        let whole = Whole {
            run,
            parent: None,
            children: Vec::new(),
            deliveries,
            wait: None,
            polls: Vec::new(),
            hooks: Vec::new(),
            entries: 3,
            generations: Vec::new(),
            conversation: None,
            left: None,
        };
        expect![[r#"
            film-Ab12cd  AAAACSfABwcHBwcHBwcHBw
              state        ended since 60 s ago (1970-01-01T00:11:00.000Z)
              ended        failed
              why          film-Ab12cd failed: it used up the computing time it was given (57.0 s in this attempt). Ask for less, or have the operator allow it more computing time.
              progress     42 % frame 40 of 96
              agent        video/render (plugin video, version abcdef012345)
              lane         subagent at depth 1
              accepted     2 min ago (1970-01-01T00:10:00.000Z)
              deadline     in 58 min (1970-01-01T01:10:00.000Z)
              attempts     2, of which crashed 1
              journal      3 entries
              conversation AAAACSfAAgICAgICAgICAg at console:local
              parent       AAAACSfAAQEBAQEBAQEBAQ
              given        10 s of computing, 0 spawns, 0 B of files, 1000000000 host calls
            may
              deliver to origin
            deliveries
              console:local  pending, again in 3 min  AAAACSfA5hIF4F9Ufm4HXw
        "#]].assert_eq(&whole.text("file:///a/", Timestamp(720_000)));
    }
}
