//! [`PollRows`] over one connection.

use std::sync::Arc;

use rusqlite::params;
use sublane_core::poll::Poll;
use sublane_core::{PollId, RunId, Timestamp};

use super::codec::{Columns, instant};
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::PollRows;

type Result<T> = std::result::Result<T, StoreError>;

/// A plan from the columns of `poll_columns!`.
pub(super) fn poll(c: &mut Columns<'_>) -> Result<Poll> {
    Ok(Poll {
        id: PollId(c.bytes()?),
        run: RunId(c.bytes()?),
        place: c.number()?,
        server: c.text()?.into(),
        due: c.instant()?,
        made: c.number()?,
        hinted: c.integer()? != 0,
        seen: c.maybe_text()?.map(Arc::from),
        streak: c.maybe_number()?.zip(c.maybe_number()?),
    })
}

impl PollRows for Session<'_> {
    fn insert_poll(&mut self, poll: &Poll) -> Result<()> {
        let Poll { id, run, place, server, due, made, hinted, seen, streak } = poll;
        let (rule, times) = streak.unzip();
        let values =
            params![id.0, run.0, place, &**server, instant(*due), made, hinted, seen.as_deref(), rule, times];
        self.execute(Sql::PollInsert, values).map(drop)
    }

    fn update_poll(&mut self, poll: &Poll) -> Result<()> {
        let Poll { id, due, made, hinted, seen, streak, .. } = poll;
        let (rule, times) = streak.unzip();
        let values = params![id.0, instant(*due), made, hinted, seen.as_deref(), rule, times];
        match self.execute(Sql::PollUpdate, values)? {
            1 => Ok(()),
            _ => Err(StoreError::Corrupt(format!("poll {id} is not there to be written"))),
        }
    }

    fn poll(&mut self, id: PollId) -> Result<Option<Poll>> {
        self.one("poll", Sql::Poll, params![id.0], poll)
    }

    fn polls_of(&mut self, run: RunId) -> Result<Vec<Poll>> {
        let mut polls = self.all("poll", Sql::PollsOf, params![run.0], poll)?;
        polls.sort_unstable_by_key(|poll| poll.place);
        Ok(polls)
    }

    fn delete_polls(&mut self, run: RunId) -> Result<()> {
        self.execute(Sql::PollsDelete, params![run.0]).map(drop)
    }

    fn polled_servers(&mut self) -> Result<Vec<(String, Timestamp)>> {
        let mut servers: Vec<(String, Timestamp)> = Vec::new();
        loop {
            let last = servers.last().map_or("", |(server, _)| server.as_str()).to_owned();
            let next = self.one("poll", Sql::PollNext, params![last], |columns| {
                Ok((columns.text()?.to_owned(), columns.instant()?))
            })?;
            let Some(next) = next else { return Ok(servers) };
            servers.push(next);
        }
    }

    fn due_polls(&mut self, server: &str, now: Timestamp, limit: u32) -> Result<Vec<Poll>> {
        self.all("poll", Sql::PollsDue, params![server, instant(now), limit], poll)
    }
}
