//! Waits until what a message set off is settled, and says what became of it.
//!
//! Owns what belongs to it: the run that the work became, and whatever descends
//! from it. What else goes on in the conversation is somebody else's. Woken by
//! the host's changes; never polls.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use sublane::host::Inner;
use sublane_core::{ConversationId, Delivery, DeliveryId, DeliveryState, Outcome, Run, RunId};
use sublane_store::{DeliveryFilter, RunFilter, StoreError};
use tokio::sync::watch;

use super::console::Screen;
use super::reader::DELIVERIES;
use super::view::{ConversationView, DeliveryView, RunView};
use super::{Exit, render};

/// Runs of one conversation that are looked at.
const RUNS: u32 = 10_000;

/// What a message set off.
pub(super) struct Watch {
    host: Arc<Inner>,
    changes: watch::Receiver<u64>,
    screen: Screen,
    root: RunId,
    conversation: ConversationId,
    /// Runs that belong to it, and those of them that are settled.
    runs: BTreeMap<RunId, Settled>,
    /// Attempts of deliveries that people were told of.
    told: BTreeMap<DeliveryId, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    No,
    Yes,
}

/// What became of it.
#[derive(Serialize)]
pub(super) struct Report {
    /// Whether every run succeeded and everything owed was delivered.
    pub(super) ok: bool,
    /// The exit code.
    pub(super) exit: u8,
    /// The run that the message or the task became.
    pub(super) run: RunId,
    pub(super) conversation: Option<ConversationView>,
    /// Oldest first.
    pub(super) runs: Vec<RunView>,
    /// Oldest first.
    pub(super) deliveries: Vec<DeliveryView>,
    /// Problems in words, for people.
    pub(super) problems: Vec<String>,
    /// What people are told of problems: what failed has told them why already.
    #[serde(skip)]
    pub(super) hints: Vec<String>,
    /// Runs that have not ended, and deliveries that are not settled.
    #[serde(skip)]
    pub(super) unsettled: (u64, u64),
}

impl Watch {
    /// Watches what `root` sets off. `screen` is where people are told what a delivery waits for.
    pub(super) fn begin(
        host: &Arc<Inner>,
        changes: watch::Receiver<u64>,
        (root, conversation): (RunId, ConversationId),
        screen: &Screen,
    ) -> Self {
        Self {
            host: host.clone(),
            changes,
            screen: screen.clone(),
            root,
            conversation,
            runs: BTreeMap::from([(root, Settled::No)]),
            told: BTreeMap::new(),
        }
    }

    /// Returns when all of it is settled.
    pub(super) async fn settled(&mut self) -> Result<(), StoreError> {
        loop {
            // Before the look: what changes during it is looked at again.
            self.changes.mark_unchanged();
            if self.look().await? {
                return Ok(());
            }
            if self.changes.changed().await.is_err() {
                return Err(StoreError::Closed);
            }
        }
    }

    /// The conversation's runs, parents before their children.
    async fn listed(&self) -> Result<Vec<Run>, StoreError> {
        let filter = RunFilter { conversation: Some(self.conversation), limit: RUNS, ..RunFilter::default() };
        let mut runs = self.host.store.runs(filter).await?;
        runs.sort_by_key(|run| (run.spec.created, run.spec.depth, run.spec.id));
        Ok(runs)
    }

    async fn deliveries(&self, run: RunId) -> Result<Vec<Delivery>, StoreError> {
        let filter = DeliveryFilter { run: Some(run), limit: DELIVERIES, ..DeliveryFilter::default() };
        self.host.store.deliveries(filter).await
    }

    async fn unsettled(&self, run: RunId) -> Result<Vec<Delivery>, StoreError> {
        let mut deliveries = self.deliveries(run).await?;
        deliveries.retain(|delivery| !delivery.state.is_settled());
        Ok(deliveries)
    }

    /// Whether all of it is settled. A run is there before its parent has ended, so
    /// that nothing comes after a look that finds everything ended.
    async fn look(&mut self) -> Result<bool, StoreError> {
        let mut is_settled = true;
        for run in self.listed().await? {
            let id = run.spec.id;
            let descends = run.spec.parent.is_some_and(|parent| self.runs.contains_key(&parent));
            if (id != self.root && !descends) || self.runs.get(&id) == Some(&Settled::Yes) {
                continue;
            }
            let open = if run.is_ended() { self.unsettled(id).await? } else { Vec::new() };
            open.iter().for_each(|delivery| self.tell(&run, delivery));
            let settled = if run.is_ended() && open.is_empty() { Settled::Yes } else { Settled::No };
            is_settled &= settled == Settled::Yes;
            self.runs.insert(id, settled);
        }
        Ok(is_settled)
    }

    /// Says why a delivery is not there yet, once for each attempt.
    fn tell(&mut self, run: &Run, delivery: &Delivery) {
        let is_news = self.told.get(&delivery.id) != Some(&delivery.attempts);
        if delivery.state == DeliveryState::Pending && !delivery.note.is_empty() && is_news {
            self.told.insert(delivery.id, delivery.attempts);
            let again = render::when(delivery.next_at, self.host.clock.now());
            self.screen.remark(&format!(
                "{}: not yet delivered to {}, tries again {again}: {}",
                sublane::channel::scrub_line(&run.spec.name),
                delivery.destination,
                sublane::channel::scrub_line(&delivery.note)
            ));
        }
    }

    /// What became of it so far.
    pub(super) async fn report(&self) -> Result<Report, StoreError> {
        let mut runs = self.listed().await?;
        runs.retain(|run| self.runs.contains_key(&run.spec.id));
        let mut owed = Vec::new();
        for run in &runs {
            for delivery in self.deliveries(run.spec.id).await? {
                let log = self.host.store.attempts(delivery.id).await?;
                owed.push((delivery, log));
            }
        }
        owed.sort_by_key(|(delivery, _)| (delivery.created, delivery.id));
        let dead: Vec<&Delivery> = owed
            .iter()
            .map(|(delivery, _)| delivery)
            .filter(|delivery| delivery.state == DeliveryState::Dead)
            .collect();
        let exit = exit(&runs, !dead.is_empty());
        let conversation = self.host.store.conversation(self.conversation).await?;
        Ok(Report {
            ok: exit == Exit::Done,
            exit: exit as u8,
            run: self.root,
            conversation: conversation.map(ConversationView::from),
            problems: failed(&runs)
                .map(|(run, why)| why.sentence(&run.spec.name))
                .chain(dead_ones(&dead))
                .collect(),
            hints: failed(&runs).map(hint).chain(dead_ones(&dead)).collect(),
            unsettled: (
                count(&runs, |run| !run.is_ended()),
                count(&owed, |(owed, _)| !owed.state.is_settled()),
            ),
            runs: runs.iter().map(|run| RunView::of(run, &self.host.link_base)).collect(),
            deliveries: owed.iter().map(|(delivery, log)| DeliveryView::of(delivery, log)).collect(),
        })
    }
}

fn count<T>(of: &[T], is_counted: impl Fn(&T) -> bool) -> u64 {
    of.iter().filter(|one| is_counted(one)).count() as u64
}

fn exit(runs: &[Run], is_any_dead: bool) -> Exit {
    let succeeded = |run: &Run| matches!(run.outcome(), None | Some(Outcome::Succeeded(_)));
    match runs.iter().all(succeeded) {
        false => Exit::RunFailed,
        true if is_any_dead => Exit::DeliveryDead,
        true => Exit::Done,
    }
}

/// Runs that ended otherwise than well.
fn failed(runs: &[Run]) -> impl Iterator<Item = (&Run, &Outcome)> {
    let ended = runs.iter().filter_map(|run| Some((run, run.outcome()?)));
    ended.filter(|(_, outcome)| !matches!(outcome, Outcome::Succeeded(_)))
}

fn hint((run, outcome): (&Run, &Outcome)) -> String {
    let name = &run.spec.name;
    format!("{name} {}: `sublane runs show {name}` says more", outcome.kind())
}

fn dead_ones(dead: &[&Delivery]) -> impl Iterator<Item = String> {
    dead.iter().map(|delivery| {
        format!(
            "the delivery to {} is dead after {}: {}",
            delivery.destination,
            render::count(delivery.attempts, "attempt"),
            delivery.note
        )
    })
}
