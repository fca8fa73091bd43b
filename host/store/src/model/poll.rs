//! [`PollRows`] over a map and what is due.

use std::collections::BTreeSet;
use std::sync::Arc;

use sublane_core::poll::Poll;
use sublane_core::{PollId, RunId, Timestamp};

use super::tables::Tables;
use crate::StoreError;
use crate::rows::PollRows;

type Result<T> = std::result::Result<T, StoreError>;

impl Tables {
    fn add_due(&mut self, server: Arc<str>, due: (Timestamp, PollId)) {
        self.polls_due.entry(server).or_default().insert(due);
    }

    fn remove_due(&mut self, server: &Arc<str>, due: (Timestamp, PollId)) {
        if let Some(at) = self.polls_due.get_mut(server) {
            at.remove(&due);
            if at.is_empty() {
                self.polls_due.remove(server);
            }
        }
    }
}

impl PollRows for Tables {
    fn insert_poll(&mut self, poll: &Poll) -> Result<()> {
        if self.polls.contains_key(&poll.id) {
            return Err(StoreError::Corrupt(format!("poll {} is there already", poll.id)));
        }
        self.add_due(poll.server.clone(), (poll.due, poll.id));
        self.polls_by_run.insert((poll.run, poll.place), poll.id);
        self.polls.insert(poll.id, poll.clone());
        Ok(())
    }

    fn update_poll(&mut self, poll: &Poll) -> Result<()> {
        let Some(kept) = self.polls.get_mut(&poll.id) else {
            return Err(StoreError::Corrupt(format!("poll {} is not there to be written", poll.id)));
        };
        let (server, was) = (kept.server.clone(), kept.due);
        (kept.due, kept.made, kept.hinted) = (poll.due, poll.made, poll.hinted);
        (kept.seen, kept.streak) = (poll.seen.clone(), poll.streak);
        if was != poll.due {
            self.remove_due(&server, (was, poll.id));
            self.add_due(server, (poll.due, poll.id));
        }
        Ok(())
    }

    fn poll(&mut self, id: PollId) -> Result<Option<Poll>> {
        Ok(self.polls.get(&id).cloned())
    }

    fn polls_of(&mut self, run: RunId) -> Result<Vec<Poll>> {
        let ids = self.polls_by_run.range((run, 0)..=(run, u32::MAX));
        Ok(ids.filter_map(|(_, id)| self.polls.get(id)).cloned().collect())
    }

    fn delete_polls(&mut self, run: RunId) -> Result<()> {
        for poll in self.polls_of(run)? {
            self.remove_due(&poll.server, (poll.due, poll.id));
            self.polls_by_run.remove(&(run, poll.place));
            self.polls.remove(&poll.id);
        }
        Ok(())
    }

    fn polled_servers(&mut self) -> Result<Vec<(String, Timestamp)>> {
        let first = |at: &BTreeSet<(Timestamp, PollId)>| at.first().map(|(due, _)| *due);
        let next = self.polls_due.iter().filter_map(|(server, at)| Some((server.to_string(), first(at)?)));
        Ok(next.collect())
    }

    fn due_polls(&mut self, server: &str, now: Timestamp, limit: u32) -> Result<Vec<Poll>> {
        let Some(at) = self.polls_due.get(server) else { return Ok(Vec::new()) };
        let due = at.range(..=(now, PollId([u8::MAX; 16]))).take(limit as usize);
        Ok(due.filter_map(|(_, id)| self.polls.get(id)).cloned().collect())
    }
}
