//! `sublane runs tree`: who spawned whom, what each waits for, may and has left.

use std::collections::BTreeSet;

use serde::Serialize;
use sublane::channel::scrub_line;
use sublane::clock::{Clock as _, SystemClock};
use sublane_core::poll::Poll;
use sublane_core::{Run, RunId, RunState, Timestamp};
use sublane_store::{RunFilter, Wait};

use crate::cli::follow::{Follow, Look};
use crate::cli::reader::Reader;
use crate::cli::render;
use crate::cli::table::{shorten, terminal_width};
use crate::cli::view::{PollView, RunView, WaitView};

/// Runs that one tree shows; of what is beyond it the number of children is said.
const NODES: usize = 1_000;
/// Trees that are shown when none is named.
const TREES: usize = 50;
/// Living runs of each state among which those trees are found.
const LIVING: u32 = 1_000;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Tree {
    /// The run at the top: its id, its name, or a beginning that only it has [default: the
    /// roots of all runs that have not ended]
    #[arg(allow_hyphen_values = true)]
    run: Option<String>,
    /// Only trees of this conversation: its id, or its `channel:address`
    #[arg(long, value_name = "CONVERSATION", allow_hyphen_values = true, conflicts_with = "run")]
    conversation: Option<String>,
    #[command(flatten)]
    follow: Follow,
}

/// A run with what it waits for, and those that it spawned.
struct Node {
    run: Run,
    wait: Option<Wait>,
    polls: Vec<Poll>,
    /// Oldest first.
    children: Vec<Node>,
    /// Children that are not shown, since the tree is too large.
    hidden: usize,
}

#[derive(Serialize)]
struct NodeView {
    #[serde(flatten)]
    run: RunView,
    waits_for: Option<WaitView>,
    polls: Vec<PollView>,
    children: Vec<NodeView>,
    hidden_children: usize,
}

impl Tree {
    pub(super) async fn answer(self, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let top = match &self.run {
            Some(called) => Some(reader.run(called).await?.spec.id),
            None => None,
        };
        let conversation = match &self.conversation {
            Some(called) => Some(reader.conversation(called).await?.id),
            None => None,
        };
        self.follow
            .show(json, async || {
                let roots = match top {
                    Some(run) => vec![run],
                    None => roots(reader, RunFilter { conversation, ..RunFilter::default() }).await?,
                };
                let (mut left, mut trees) = (NODES, Vec::new());
                for root in roots {
                    let Some(run) = reader.store.run(root).await? else { continue };
                    trees.push(grow(reader, run, &mut left).await?);
                }
                let is_over = top.is_some() && trees.iter().all(Node::is_over);
                let text = text(&trees, SystemClock.now(), terminal_width());
                let views: Vec<_> = trees.into_iter().map(|tree| tree.view(&reader.link_base)).collect();
                Ok(Look { json: serde_json::json!({ "trees": views }), text, is_over })
            })
            .await
    }
}

/// The roots of the runs that have not ended, oldest first.
async fn roots(reader: &Reader, filter: RunFilter) -> anyhow::Result<Vec<RunId>> {
    let mut roots = BTreeSet::new();
    for state in ["delayed", "queued", "running", "waiting", "closing"] {
        let living = RunFilter { state: Some(state.to_owned()), limit: LIVING, ..filter.clone() };
        for mut run in reader.store.runs(living).await? {
            while let Some(parent) = run.spec.parent {
                match reader.store.run(parent).await? {
                    Some(parent) => run = parent,
                    None => break,
                }
            }
            roots.insert((run.spec.created, run.spec.id));
        }
    }
    Ok(roots.into_iter().take(TREES).map(|(_, id)| id).collect())
}

/// The tree below a run, of at most `left` runs.
async fn grow(reader: &Reader, run: Run, left: &mut usize) -> anyhow::Result<Node> {
    *left = left.saturating_sub(1);
    let id = run.spec.id;
    let wait = if run.is_ended() { None } else { reader.store.wait_of(id).await? };
    let polls = if wait.is_some() { reader.store.polls_of(id).await? } else { Vec::new() };
    let limit = u32::try_from(NODES).expect("a thousand");
    let mut found = reader.store.runs(RunFilter { parent: Some(id), limit, ..RunFilter::default() }).await?;
    found.reverse();
    let (mut children, mut hidden) = (Vec::new(), 0);
    for child in found {
        if *left == 0 {
            hidden += 1;
        } else {
            children.push(Box::pin(grow(reader, child, left)).await?);
        }
    }
    Ok(Node { run, wait, polls, children, hidden })
}

impl Node {
    fn is_over(&self) -> bool {
        self.run.is_ended() && self.children.iter().all(Self::is_over)
    }

    fn view(self, link_base: &str) -> NodeView {
        NodeView {
            run: RunView::of(&self.run, link_base),
            waits_for: self.wait.map(WaitView::from),
            polls: self.polls.iter().map(PollView::from).collect(),
            children: self.children.into_iter().map(|child| child.view(link_base)).collect(),
            hidden_children: self.hidden,
        }
    }

    /// Its lines: the first says where it stands, the others what it waits for, has left and may.
    fn lines(&self, now: Timestamp) -> Vec<String> {
        let (run, spec) = (&self.run, &self.run.spec);
        let stands = match run.outcome() {
            Some(outcome) => outcome.kind().to_owned(),
            None => render::state(run),
        };
        let age = render::duration(now.since(spec.created));
        let mut lines = vec![format!(
            "{}  {}  {stands}, depth {}, {age} old  {}",
            spec.name,
            spec.agent_name(),
            spec.depth,
            spec.id
        )];
        if let RunState::Delayed { until } = run.state {
            let what = if run.retried > 0 { "tries again" } else { "begins" };
            lines.push(format!("{what} {}", render::when(until, now)));
        }
        if let Some(wait) = &self.wait {
            let until = wait.due.map(|due| format!(", {} at the latest", render::when(due, now)));
            let named = |text: String| {
                let name = |text: String, child: &Self| {
                    text.replace(&child.run.spec.id.to_string(), &child.run.spec.name)
                };
                self.children.iter().fold(text, name)
            };
            let what = named(render::waits_for(&wait.what));
            lines.push(format!("waits for {what}{}", until.unwrap_or_default()));
            if let Some(next) = render::next_poll(&self.polls, now) {
                lines.push(format!("asks {next}"));
            }
        }
        if !run.is_ended() {
            lines.push(format!("has left {}", render::purse(run.purse)));
        }
        let may = render::grants(&spec.grants);
        let may = if may.is_empty() { "nothing but compute".to_owned() } else { may.join("; ") };
        lines.push(format!("may {may}"));
        if self.hidden > 0 {
            lines.push(format!("and {}", render::count(self.hidden as u64, "child that is not shown")));
        }
        lines.iter().map(|line| scrub_line(line)).collect()
    }

    fn draw(&self, first: &str, rest: &str, now: Timestamp, drawn: &mut Vec<String>) {
        let below = if self.children.is_empty() { "    " } else { "│   " };
        for (number, line) in self.lines(now).into_iter().enumerate() {
            drawn.push(if number == 0 { format!("{first}{line}") } else { format!("{rest}{below}{line}") });
        }
        for (number, child) in self.children.iter().enumerate() {
            let is_last = number + 1 == self.children.len();
            let (branch, trunk) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
            child.draw(&format!("{rest}{branch}"), &format!("{rest}{trunk}"), now, drawn);
        }
    }
}

fn text(trees: &[Node], now: Timestamp, width: Option<usize>) -> String {
    if trees.is_empty() {
        return "no run lives; `sublane runs tree RUN` shows one that has ended\n".to_owned();
    }
    let mut lines = Vec::new();
    trees.iter().for_each(|tree| tree.draw("", "", now, &mut lines));
    let fitting =
        |line: &String| format!("{}\n", width.map_or_else(|| line.clone(), |width| shorten(line, width)));
    lines.iter().map(fitting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::runs::scene::{failed, run};
    use expect_test::expect;
    use sublane_core::RunState;

    #[test]
    fn a_tree_is_drawn_with_what_each_run_may_and_has_left() {
        let leaf = |state, hidden| Node {
            run: run(state),
            wait: None,
            polls: Vec::new(),
            children: Vec::new(),
            hidden,
        };
        let children = vec![leaf(RunState::Queued, 0), leaf(failed(), 0)];
        let tree = Node { children, ..leaf(RunState::Queued, 1) };
        expect![[r#"
            film-Ab12cd  video/render  queued 42 %, depth 1, 2 min old  AAAACSfABwcHBwcHBwcHBw
            │   has left 10 s of computing, 0 spawns, 0 B of files, 1000000000 host calls
            │   may deliver to origin
            │   and 1 child that is not shown
            ├── film-Ab12cd  video/render  queued 42 %, depth 1, 2 min old  AAAACSfABwcHBwcHBwcHBw
            │       has left 10 s of computing, 0 spawns, 0 B of files, 1000000000 host calls
            │       may deliver to origin
            └── film-Ab12cd  video/render  failed, depth 1, 2 min old  AAAACSfABwcHBwcHBwcHBw
                    may deliver to origin
        "#]]
        .assert_eq(&text(&[tree], Timestamp(720_000), None));
    }
}
