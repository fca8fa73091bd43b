//! [`PollRows`] over a map and what is due.

use std::ops::Bound;

use sublane_core::poll::Poll;
use sublane_core::{PollId, RunId, Timestamp};

use super::tables::Tables;
use crate::StoreError;
use crate::rows::PollRows;

type Result<T> = std::result::Result<T, StoreError>;

fn due(poll: &Poll) -> (String, Timestamp, PollId) {
    (poll.server.to_string(), poll.due, poll.id)
}

impl PollRows for Tables {
    fn insert_poll(&mut self, poll: &Poll) -> Result<()> {
        if self.polls.contains_key(&poll.id) {
            return Err(StoreError::Corrupt(format!("poll {} is there already", poll.id)));
        }
        self.polls_due.insert(due(poll));
        self.polls_by_run.insert((poll.run, poll.place), poll.id);
        self.polls.insert(poll.id, poll.clone());
        Ok(())
    }

    fn update_poll(&mut self, poll: &Poll) -> Result<()> {
        let Some(kept) = self.polls.get_mut(&poll.id) else {
            return Err(StoreError::Corrupt(format!("poll {} is not there to be written", poll.id)));
        };
        self.polls_due.remove(&due(kept));
        (kept.due, kept.made, kept.hinted) = (poll.due, poll.made, poll.hinted);
        (kept.seen, kept.streak) = (poll.seen.clone(), poll.streak);
        self.polls_due.insert(due(kept));
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
            self.polls_due.remove(&due(&poll));
            self.polls_by_run.remove(&(run, poll.place));
            self.polls.remove(&poll.id);
        }
        Ok(())
    }

    fn polled_servers(&mut self) -> Result<Vec<(String, Timestamp)>> {
        let (mut servers, mut from) = (Vec::new(), Bound::Unbounded);
        // From one server to the next, whatever number of plans each has.
        while let Some((server, due, _)) = self.polls_due.range((from, Bound::Unbounded)).next() {
            servers.push((server.clone(), *due));
            from = Bound::Excluded((server.clone(), Timestamp(u64::MAX), PollId([u8::MAX; 16])));
        }
        Ok(servers)
    }

    fn due_polls(&mut self, server: &str, now: Timestamp, limit: u32) -> Result<Vec<Poll>> {
        let first = (server.to_owned(), Timestamp(0), PollId([0; 16]));
        let last = (server.to_owned(), now, PollId([u8::MAX; 16]));
        let due = self.polls_due.range(first..=last).take(limit as usize);
        Ok(due.filter_map(|(_, _, id)| self.polls.get(id)).cloned().collect())
    }
}
