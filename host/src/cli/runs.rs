//! `sublane runs`: looks at runs, also while a host runs.

use std::collections::HashMap;

use clap::Subcommand;
use serde::Serialize;
use sublane::channel::{scrub_line, scrub_text};
use sublane::clock::{Clock as _, SystemClock};
use sublane_core::{ConversationId, Delivery, Outcome, Run, RunId, Timestamp};
use sublane_store::{DeliveryAttempt, RunFilter, Store as _, Wait};

use super::reader::Reader;
use super::table::Table;
use super::view::{ConversationView, DeliveryView, RunView, WaitView, instant};
use super::{Exit, Failed, Global, Result, render, say, say_json, small_runtime};

/// Children that are shown with a run.
const CHILDREN: u32 = 100;

/// Look at runs.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List runs, newest first
    List(List),
    /// Show everything about a run
    Show(Show),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only runs in this state
    #[arg(long, value_parser = ["queued", "running", "waiting", "closing", "ended"])]
    state: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only runs of this conversation, by its id
    #[arg(long, value_name = "ID")]
    conversation: Option<ConversationId>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The run: its id, its name, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    run: String,
}

impl Command {
    pub(super) fn run(self, global: &Global) -> Result {
        let reader = Reader::open(&global.load()?)?;
        let answer = async {
            match self {
                Self::List(args) => args.answer(&reader, global.json).await,
                Self::Show(args) => args.answer(&reader, global.json).await,
            }
        };
        small_runtime()?.block_on(answer).map_err(Failed::from)?;
        Ok(Exit::Done)
    }
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    run: RunView,
    deliveries: Vec<DeliveryView>,
}

impl List {
    async fn answer(self, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let Self { state, limit, conversation } = self;
        let runs =
            reader.store.runs(RunFilter { state, conversation, limit, ..RunFilter::default() }).await?;
        let mut listed = Vec::with_capacity(runs.len());
        for run in runs {
            let deliveries = reader.deliveries_of(run.spec.id).await?;
            listed.push((run, deliveries));
        }
        if json {
            let view = |(run, deliveries): &(Run, Vec<Delivery>)| Listed {
                run: RunView::of(run, &reader.link_base),
                deliveries: deliveries.iter().map(|delivery| DeliveryView::of(delivery, &[])).collect(),
            };
            say_json(&serde_json::json!({ "runs": listed.iter().map(view).collect::<Vec<_>>() }));
        } else {
            say(&table(&listed, SystemClock.now()));
        }
        Ok(())
    }
}

fn table(listed: &[(Run, Vec<Delivery>)], now: Timestamp) -> String {
    if listed.is_empty() {
        return "no runs\n".to_owned();
    }
    let mut table = Table::new(&["NAME", "AGENT", "LANE", "STATE", "ENDED", "DELIVERIES", "ACCEPTED", "RUN"]);
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

/// Everything about a run.
struct Whole {
    run: Run,
    parent: Option<Run>,
    children: Vec<Run>,
    deliveries: Vec<(Delivery, Vec<DeliveryAttempt>)>,
    wait: Option<Wait>,
    entries: usize,
    conversation: Option<ConversationView>,
}

#[derive(Serialize)]
struct WholeView {
    #[serde(flatten)]
    run: RunView,
    children: Vec<RunView>,
    waits_for: Option<WaitView>,
    deliveries: Vec<DeliveryView>,
    journal_entries: usize,
    conversation_state: Option<ConversationView>,
}

impl Show {
    async fn answer(self, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let whole = Whole::read(reader, &self.run).await?;
        if json {
            let view = |run: &Run| RunView::of(run, &reader.link_base);
            say_json(&WholeView {
                run: view(&whole.run),
                children: whole.children.iter().map(view).collect(),
                waits_for: whole.wait.map(WaitView::from),
                deliveries: whole.deliveries.iter().map(|(owed, log)| DeliveryView::of(owed, log)).collect(),
                journal_entries: whole.entries,
                conversation_state: whole.conversation,
            });
        } else {
            say(&whole.text(&reader.link_base, SystemClock.now()));
        }
        Ok(())
    }
}

impl Whole {
    async fn read(reader: &Reader, called: &str) -> anyhow::Result<Self> {
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
            entries: store.journal(id, run.generation).await?.len(),
            conversation: store.conversation(run.spec.conversation).await?.map(ConversationView::from),
            run,
        })
    }

    fn text(&self, link_base: &str, now: Timestamp) -> String {
        let (run, spec) = (&self.run, &self.run.spec);
        let mut text = format!("{}  {}\n", scrub_line(&spec.name), spec.id);
        let mut field = |name: &str, value: &str| {
            text.push_str(&format!("  {name:<13}{}\n", scrub_line(value)));
        };
        let at = |at: Timestamp| format!("{} ({})", render::when(at, now), instant(at));
        field("state", &format!("{} since {}", render::state(run), at(run.since)));
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
            &format!("{} (plugin {}, component {:.12})", spec.agent_name(), spec.plugin, spec.component),
        );
        field("lane", &format!("{} at depth {}", spec.lane, spec.depth));
        field("accepted", &at(spec.created));
        field("deadline", &at(spec.deadline()));
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
        let may = render::grants(&spec.grants);
        if may.is_empty() {
            field("may", "nothing but compute");
        }
        text.push_str(&render::section("may", &may));
        text.push_str(&self.family());
        text.push_str(&self.owed(now));
        text.push_str(&self.given_back(link_base));
        text
    }

    /// Ids of children as their names.
    fn named(&self, text: String) -> String {
        let names: HashMap<RunId, &str> =
            self.children.iter().map(|child| (child.spec.id, child.spec.name.as_str())).collect();
        names.iter().fold(text, |text, (id, name)| text.replace(&id.to_string(), name))
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
    use std::sync::Arc;

    use expect_test::expect;
    use sublane_core::{
        Authority, DeliveryId, DeliveryState, Failure, Grants, Lifetime, Path, Priority, RunSpec, RunState,
    };

    /// A run of the film maker, accepted ten minutes after 1970.
    fn run(state: RunState) -> Run {
        let created = Timestamp(600_000);
        let id = RunId::new(created, [7; 10]);
        let asks = Authority { channels: vec!["origin".parse().expect("origin")], ..Authority::default() };
        let (grants, purse) = Grants::root(&asks, &asks, created, 64 << 20);
        let spec = RunSpec {
            id,
            parent: Some(RunId::new(created, [1; 10])),
            lifetime: Lifetime::Detached,
            conversation: ConversationId::new(created, [2; 10]),
            origin: "console:local".parse().expect("a destination"),
            plugin: "video".into(),
            agent: "render".into(),
            component: "abcdef0123456789".into(),
            name: "film-Ab12cd".into(),
            lane: "subagent".into(),
            priority: Priority::Normal,
            depth: 1,
            input: "{}".into(),
            artifacts: Vec::new(),
            grants,
            purse,
            destinations: vec!["console:local".parse().expect("a destination")],
            created,
            dedupe_key: None,
            spawner: "video".into(),
            seed: [0; 32],
        };
        let progress = Some((42, Arc::from("frame 40 of 96")));
        Run { state, attempt: 2, crashes: 1, since: Timestamp(660_000), progress, ..Run::queued(spec) }
    }

    fn owed(run: &Run, state: DeliveryState) -> Delivery {
        Delivery {
            id: DeliveryId::sent(run.spec.id, 0, &Path::root()),
            run: run.spec.id,
            conversation: run.spec.conversation,
            destination: run.spec.origin.clone(),
            body: "{}".into(),
            state,
            attempts: 1,
            next_at: Timestamp(900_000),
            since: Timestamp(0),
            created: Timestamp(660_000),
            note: "held up".into(),
        }
    }

    fn failed() -> RunState {
        let outcome = Outcome::failed(Failure::OutOfCpu, "57.0 s in this attempt");
        RunState::Ended { outcome, at: Timestamp(660_000) }
    }

    #[test]
    fn a_runs_ending_and_its_deliveries_are_told_apart() {
        let (living, ended) = (run(RunState::Queued), run(failed()));
        let deliveries = vec![owed(&ended, DeliveryState::Pending), owed(&ended, DeliveryState::Delivered)];
        expect![[r#"
            NAME         AGENT         LANE      STATE        ENDED   DELIVERIES              ACCEPTED   RUN
            film-Ab12cd  video/render  subagent  queued 42 %  -       -                       2 min ago  AAAACSfABwcHBwcHBwcHBw
            film-Ab12cd  video/render  subagent  ended        failed  1 pending, 1 delivered  2 min ago  AAAACSfABwcHBwcHBwcHBw
        "#]]
        .assert_eq(&table(&[(living, Vec::new()), (ended, deliveries)], Timestamp(720_000)));
    }

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
            entries: 3,
            conversation: None,
        };
        expect![[r#"
            film-Ab12cd  AAAACSfABwcHBwcHBwcHBw
              state        ended since 60 s ago (1970-01-01T00:11:00.000Z)
              ended        failed
              why          film-Ab12cd failed: it used up the computing time it was given (57.0 s in this attempt).
              progress     42 % frame 40 of 96
              agent        video/render (plugin video, component abcdef012345)
              lane         subagent at depth 1
              accepted     2 min ago (1970-01-01T00:10:00.000Z)
              deadline     in 58 min (1970-01-01T01:10:00.000Z)
              attempts     2, of which crashed 1
              journal      3 entries
              conversation AAAACSfAAgICAgICAgICAg at console:local
              parent       AAAACSfAAQEBAQEBAQEBAQ
              given        10 s of computing, 0 spawns, 0 B of files
            may
              deliver to origin
            deliveries
              console:local  pending, again in 3 min  AAAACSfA5hIF4F9Ufm4HXw
        "#]].assert_eq(&whole.text("file:///a/", Timestamp(720_000)));
    }
}
