//! How values stand in columns, and how rows become values again.
//!
//! A column that does not hold what it should is [`StoreError::Corrupt`] and
//! names table, row and column. Never runs a statement.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::de::DeserializeOwned;
use sublane_core::delivery::{AttemptResult, Hold};
use sublane_core::{
    ArtifactRef, ConversationId, Delivery, DeliveryId, DeliveryState, Destination, Entry, Import, Lifetime,
    Path, Priority, Purse, Run, RunId, RunSpec, RunState, Timestamp, Token,
};

use crate::StoreError;
use crate::rows::{Conversation, DeliveryAttempt, Wait};

type Result<T> = std::result::Result<T, StoreError>;

/// The end of time: the largest number that a column holds.
const FOREVER: i64 = i64::MAX;

/// An instant. Those too late for a column are the end of time.
pub(super) fn instant(at: Timestamp) -> i64 {
    i64::try_from(at.0).unwrap_or(FOREVER)
}

/// An unsigned number by its bits; never compared in SQL.
pub(super) fn bits(number: u64) -> i64 {
    number.cast_signed()
}

/// A list as JSON; an empty one is NULL.
pub(super) fn list<T: serde::Serialize>(items: &[T]) -> Option<String> {
    (!items.is_empty()).then(|| json(items))
}

/// Any value as JSON.
pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("stored values are structs of strings and numbers")
}

/// The number of a state. What waits in memory stands apart: a recovery looks for it.
pub(super) fn state_code(state: &RunState) -> i64 {
    match state {
        RunState::Delayed { .. } => -1,
        RunState::Queued => 0,
        RunState::Running { .. } => 1,
        RunState::Waiting { token: Some(_) } => 2,
        RunState::Waiting { token: None } => 3,
        RunState::Closing { .. } => 4,
        RunState::Ended { .. } => 5,
    }
}

/// First and last number of a state kind; `None`: there is no such kind.
pub(super) fn state_range(kind: Option<&str>) -> Option<(i64, i64)> {
    Some(match kind {
        None => (-1, 5),
        Some("delayed") => (-1, -1),
        Some("queued") => (0, 0),
        Some("running") => (1, 1),
        Some("waiting") => (2, 3),
        Some("closing") => (4, 4),
        Some("ended") => (5, 5),
        Some(_) => return None,
    })
}

/// The number of a delivery's state.
pub(super) fn delivery_code(state: DeliveryState) -> i64 {
    (0..).zip(DeliveryState::ALL).find(|(_, other)| *other == state).map_or(-1, |(code, _)| code)
}

pub(super) fn priority_code(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

pub(super) fn lifetime_code(lifetime: Lifetime) -> i64 {
    match lifetime {
        Lifetime::Attached => 0,
        Lifetime::Detached => 1,
    }
}

/// Reads a row's columns one after the other. Column 0 says which row it is.
pub(super) struct Columns<'r> {
    table: &'static str,
    row: &'r Row<'r>,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn new(table: &'static str, row: &'r Row<'r>) -> Self {
        Self { table, row, next: 0 }
    }

    /// What the last column that was read holds instead.
    pub(super) fn wrong(&self, why: impl std::fmt::Display) -> StoreError {
        let row = match self.row.get_ref(0) {
            Ok(ValueRef::Blob(id)) => match <[u8; 16]>::try_from(id) {
                Ok(id) => RunId(id).to_string(),
                Err(_) => Path::from_bytes(id).map_or_else(|| format!("{id:02x?}"), |path| path.to_string()),
            },
            Ok(ValueRef::Integer(n)) => n.to_string(),
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => "?".to_owned(),
        };
        let column = self.row.as_ref().column_name(self.next.saturating_sub(1)).unwrap_or("?");
        StoreError::Corrupt(format!("table {}, row {row}, column {column}: {why}", self.table))
    }

    fn value(&mut self) -> Result<ValueRef<'r>> {
        let column = self.next;
        self.next += 1;
        let row: &'r Row<'r> = self.row;
        row.get_ref(column).map_err(|error| self.wrong(error))
    }

    pub(super) fn maybe_integer(&mut self) -> Result<Option<i64>> {
        self.value()?.as_i64_or_null().map_err(|error| self.wrong(error))
    }

    pub(super) fn integer(&mut self) -> Result<i64> {
        self.value()?.as_i64().map_err(|error| self.wrong(error))
    }

    pub(super) fn number(&mut self) -> Result<u32> {
        let integer = self.integer()?;
        u32::try_from(integer).map_err(|error| self.wrong(error))
    }

    pub(super) fn maybe_number(&mut self) -> Result<Option<u32>> {
        let number = self.maybe_integer()?;
        number.map(|number| u32::try_from(number).map_err(|error| self.wrong(error))).transpose()
    }

    pub(super) fn bits(&mut self) -> Result<u64> {
        self.integer().map(i64::cast_unsigned)
    }

    pub(super) fn maybe_instant(&mut self) -> Result<Option<Timestamp>> {
        let Some(millis) = self.maybe_integer()? else { return Ok(None) };
        if millis == FOREVER {
            return Ok(Some(Timestamp(u64::MAX)));
        }
        u64::try_from(millis).map(|millis| Some(Timestamp(millis))).map_err(|error| self.wrong(error))
    }

    pub(super) fn instant(&mut self) -> Result<Timestamp> {
        self.maybe_instant()?.ok_or_else(|| self.wrong("it is empty"))
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<&'r str>> {
        self.value()?.as_str_or_null().map_err(|error| self.wrong(error))
    }

    pub(super) fn text(&mut self) -> Result<&'r str> {
        self.value()?.as_str().map_err(|error| self.wrong(error))
    }

    pub(super) fn blob(&mut self) -> Result<&'r [u8]> {
        self.value()?.as_blob().map_err(|error| self.wrong(error))
    }

    pub(super) fn maybe_blob(&mut self) -> Result<Option<&'r [u8]>> {
        self.value()?.as_blob_or_null().map_err(|error| self.wrong(error))
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let blob = self.blob()?;
        blob.try_into().map_err(|_| self.wrong(format_args!("{} bytes where {N} belong", blob.len())))
    }

    pub(super) fn maybe_bytes<const N: usize>(&mut self) -> Result<Option<[u8; N]>> {
        let Some(blob) = self.value()?.as_blob_or_null().map_err(|error| self.wrong(error))? else {
            return Ok(None);
        };
        blob.try_into()
            .map(Some)
            .map_err(|_| self.wrong(format_args!("{} bytes where {N} belong", blob.len())))
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let text = self.text()?;
        serde_json::from_str(text).map_err(|error| self.wrong(error))
    }

    pub(super) fn maybe_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let Some(text) = self.maybe_text()? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| self.wrong(error))
    }

    fn purse(&mut self) -> Result<Purse> {
        let mut amounts = [0; Purse::AMOUNTS];
        let (own, others) = amounts.split_at_mut(OWN_AMOUNTS);
        for amount in own {
            *amount = self.bits()?;
        }
        let stored: Vec<u64> = self.maybe_json()?.unwrap_or_default();
        if stored.len() > others.len() {
            return Err(self.wrong("it holds amounts that this version does not know"));
        }
        others[..stored.len()].copy_from_slice(&stored);
        Ok(Purse::from_amounts(amounts))
    }

    fn destination(&mut self) -> Result<Destination> {
        Ok(Destination { channel: self.text()?.to_owned(), address: self.text()?.to_owned() })
    }

    fn import(&mut self) -> Result<Import> {
        let name = self.text()?;
        Import::from_name(name)
            .ok_or_else(|| self.wrong(format_args!("`{name}` is no import that this version knows")))
    }

    fn path(&mut self) -> Result<Path> {
        let bytes = self.blob()?;
        Path::from_bytes(bytes).ok_or_else(|| self.wrong("it is no path"))
    }
}

/// Amounts of a purse that have a column of their own.
const OWN_AMOUNTS: usize = 3;

/// The other amounts of a purse, without the zeros at the end; `None` when there is none.
pub(super) fn other_amounts(purse: &Purse) -> Option<String> {
    let amounts = purse.amounts();
    let others = &amounts[OWN_AMOUNTS..];
    let last = others.iter().rposition(|amount| *amount != 0)?;
    Some(json(&others[..=last]))
}

/// A run from the columns of `run_columns!`.
pub(super) fn run(c: &mut Columns<'_>) -> Result<Run> {
    let id = RunId(c.bytes()?);
    let state = state(c)?;
    let (generation, attempt, crashes) = (c.number()?, c.number()?, c.number()?);
    let purse = c.purse()?;
    let (active_children, attached_children) = (c.number()?, c.number()?);
    let since = c.instant()?;
    let percent = c.maybe_integer()?;
    let note = c.maybe_text()?;
    let progress = match (percent, note) {
        (Some(percent), Some(note)) => {
            Some((u8::try_from(percent).map_err(|error| c.wrong(error))?, note.into()))
        }
        _ => None,
    };
    let begun = c.instant()?;
    let (retried, continued) = (c.number()?, c.number()?);
    let timed_from = c.maybe_instant()?.unwrap_or(begun);
    let spec = Arc::new(spec(id, c)?);
    Ok(Run {
        spec,
        state,
        generation,
        retried,
        continued,
        attempt,
        begun,
        timed_from,
        crashes,
        purse,
        active_children,
        attached_children,
        since,
        progress,
    })
}

fn state(c: &mut Columns<'_>) -> Result<RunState> {
    let code = c.integer()?;
    let token = c.maybe_bytes()?.map(|bytes| Token(u128::from_be_bytes(bytes)));
    let outcome = c.maybe_json()?;
    let ready_at = c.maybe_instant()?;
    let ended_at = c.maybe_instant()?;
    Ok(match (code, token, outcome, ended_at) {
        (-1, None, None, None) => match ready_at {
            Some(until) => RunState::Delayed { until },
            None => return Err(c.wrong("the run is delayed, and ready_at is empty")),
        },
        (0, None, None, None) => RunState::Queued,
        (1, Some(token), None, None) => RunState::Running { token },
        (2, Some(token), None, None) => RunState::Waiting { token: Some(token) },
        (3, None, None, None) => RunState::Waiting { token: None },
        (4, None, Some(outcome), None) => RunState::Closing { outcome },
        (5, None, Some(outcome), Some(at)) => RunState::Ended { outcome, at },
        _ => return Err(c.wrong(format_args!("it does not go with the row's state {code}"))),
    })
}

fn spec(id: RunId, c: &mut Columns<'_>) -> Result<RunSpec> {
    Ok(RunSpec {
        id,
        parent: c.maybe_bytes()?.map(RunId),
        lifetime: match c.integer()? {
            0 => Lifetime::Attached,
            1 => Lifetime::Detached,
            other => return Err(c.wrong(format_args!("{other} is no lifetime"))),
        },
        conversation: ConversationId(c.bytes()?),
        origin: c.destination()?,
        plugin: c.text()?.to_owned(),
        agent: c.text()?.to_owned(),
        plugin_digest: c.text()?.to_owned(),
        name: c.text()?.to_owned(),
        lane: c.text()?.to_owned(),
        priority: match c.integer()? {
            0 => Priority::Low,
            1 => Priority::Normal,
            2 => Priority::High,
            other => return Err(c.wrong(format_args!("{other} is no priority"))),
        },
        depth: c.number()?,
        input: c.text()?.into(),
        artifacts: c.maybe_json()?.unwrap_or_default(),
        grants: c.json()?,
        purse: c.purse()?,
        destinations: c.maybe_json()?.unwrap_or_default(),
        created: c.instant()?,
        dedupe_key: c.maybe_text()?.map(str::to_owned),
        spawner: c.text()?.to_owned(),
        seed: c.bytes()?,
        retry: c.maybe_json()?,
    })
}

pub(super) fn entry(c: &mut Columns<'_>) -> Result<Entry> {
    Ok(Entry {
        path: c.path()?,
        import: c.import()?,
        args: u128::from_be_bytes(c.bytes()?),
        result: c.text()?.into(),
        at: c.instant()?,
    })
}

pub(super) fn wait(c: &mut Columns<'_>) -> Result<Wait> {
    Ok(Wait {
        run: RunId(c.bytes()?),
        path: c.path()?,
        import: c.import()?,
        args: u128::from_be_bytes(c.bytes()?),
        what: c.json()?,
        due: c.maybe_instant()?,
    })
}

/// A delivery from the columns of `delivery_columns!`.
pub(super) fn delivery(c: &mut Columns<'_>) -> Result<Delivery> {
    Ok(Delivery {
        id: DeliveryId(c.bytes()?),
        run: RunId(c.bytes()?),
        conversation: ConversationId(c.bytes()?),
        destination: c.destination()?,
        body: c.text()?.into(),
        state: {
            let code = c.integer()?;
            let known = usize::try_from(code).ok().and_then(|code| DeliveryState::ALL.get(code)).copied();
            known.ok_or_else(|| c.wrong(format_args!("{code} is no state")))?
        },
        attempts: c.number()?,
        next_at: c.instant()?,
        created: c.instant()?,
        since: c.instant()?,
        note: c.text()?.to_owned(),
    })
}

pub(super) fn hold(c: &mut Columns<'_>) -> Result<Hold> {
    Ok(Hold { until: c.maybe_instant()?, note: c.text()?.to_owned() })
}

/// The columns of an attempt's result: kind, note, wish in milliseconds, ambiguous.
pub(super) fn attempt_columns(result: &AttemptResult) -> (i64, &str, Option<i64>, bool) {
    match result {
        AttemptResult::Delivered { note } => (0, note, None, false),
        AttemptResult::Permanent { note } => (1, note, None, false),
        AttemptResult::Gone { note } => (3, note, None, false),
        AttemptResult::Retry { note, retry_after, ambiguous } => {
            let wish = retry_after.map(|wish| i64::try_from(wish.as_millis()).unwrap_or(FOREVER));
            (2, note, wish, *ambiguous)
        }
    }
}

pub(super) fn attempt(c: &mut Columns<'_>) -> Result<DeliveryAttempt> {
    let (delivery, number, at) = (DeliveryId(c.bytes()?), c.number()?, c.instant()?);
    let kind = c.integer()?;
    let note = c.text()?.to_owned();
    let retry_after = c.maybe_integer()?.map(|millis| Duration::from_millis(millis.unsigned_abs()));
    let ambiguous = c.integer()? != 0;
    let result = match kind {
        0 => AttemptResult::Delivered { note },
        1 => AttemptResult::Permanent { note },
        2 => AttemptResult::Retry { note, retry_after, ambiguous },
        3 => AttemptResult::Gone { note },
        other => return Err(c.wrong(format_args!("{other} is no kind of result"))),
    };
    Ok(DeliveryAttempt { delivery, number, at, result })
}

pub(super) fn artifact(c: &mut Columns<'_>) -> Result<ArtifactRef> {
    Ok(ArtifactRef {
        id: c.text()?.to_owned(),
        name: c.text()?.to_owned(),
        media_type: c.text()?.to_owned(),
        size: c.bits()?,
    })
}

/// A conversation from the columns of `conversation_columns!`.
pub(super) fn conversation(c: &mut Columns<'_>) -> Result<Conversation> {
    Ok(Conversation {
        id: ConversationId(c.bytes()?),
        origin: c.destination()?,
        purse: c.purse()?,
        ceiling: c.purse()?,
        created: c.instant()?,
    })
}
