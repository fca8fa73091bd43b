//! What a step picks from: the runs and the deliveries that there are.

use sublane_core::{Run, RunId, RunState, Timestamp, Token};
use sublane_store::{By, DeliveryFilter, RunFilter, Store};

use crate::support::link_base;

/// What there is, as a host would know it.
pub(super) struct View {
    pub(super) runs: Vec<Run>,
    deliveries: Vec<(sublane_core::DeliveryId, u32)>,
}

impl View {
    pub(super) async fn of(store: &dyn Store) -> Self {
        let runs = store.runs(RunFilter { limit: 1_000, ..RunFilter::default() }).await.expect("readable");
        let filter = DeliveryFilter { limit: 1_000, ..DeliveryFilter::default() };
        let deliveries = store.deliveries(filter).await.expect("readable");
        Self {
            runs,
            deliveries: deliveries.iter().map(|delivery| (delivery.id, delivery.attempts)).collect(),
        }
    }

    /// One of the runs that match, or of all, or one that is not there.
    pub(super) fn pick(&self, which: usize, matches: impl Fn(&Run) -> bool) -> RunId {
        let ids =
            |runs: Vec<&Run>| runs.get(which.checked_rem(runs.len()).unwrap_or(0)).map(|run| run.spec.id);
        let matching = ids(self.runs.iter().filter(|run| matches(run)).collect());
        matching.or_else(|| ids(self.runs.iter().collect())).unwrap_or(RunId([1; 16]))
    }

    /// An attempt that holds a claim; every sixteenth one is stale.
    pub(super) fn by(&self, which: usize, now: Timestamp) -> By {
        let held = |run: &Run| match run.state {
            RunState::Running { token } | RunState::Waiting { token: Some(token) } => Some(token),
            _ => None,
        };
        let run = self.pick(which, |run| held(run).is_some());
        let found = self.runs.iter().find(|found| found.spec.id == run).and_then(held);
        let token = found.filter(|_| !which.is_multiple_of(16)).unwrap_or(Token(404));
        By { run, token, spent: crate::support::cpu(17), link_base: link_base(), now }
    }

    pub(super) fn conversation(&self, run: RunId) -> sublane_core::ConversationId {
        let found = self.runs.iter().find(|found| found.spec.id == run);
        found.map_or(sublane_core::ConversationId([9; 16]), |run| run.spec.conversation)
    }

    pub(super) fn delivery(&self, which: usize) -> Option<(sublane_core::DeliveryId, u32)> {
        self.deliveries.get(which.checked_rem(self.deliveries.len())?).copied()
    }
}
