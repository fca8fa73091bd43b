//! The host functions: what a guest may call, one file for each interface.
//!
//! Owns the translation between the WIT's types and the core's, and the one
//! path that every call takes: answered from the journal, or checked against
//! the grants, done, and written. The class of an import (the core's table)
//! decides which helper here it uses.

/// The live instance for which a call counts, or the answer of one without any grants.
macro_rules! live {
    ($ctx:expr, $import:expr) => {
        match $ctx.live($import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(error.into())),
        }
    };
}

pub mod artifact;
mod delivery;
mod files;
mod hook;
mod http;
mod journal;
mod kv;
mod local;
mod poll;
mod secret;
mod shown;
mod subagent;
mod tools;
mod translate;
mod wait;
pub mod wasi;

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sublane_core::grants::{Authority, Capability, Denied, Side, who_refuses};
use sublane_core::journal::encode;
use sublane_core::{Answer, Entry, Grants, Import, ImportError, Path, Timestamp};
use sublane_store::{Command, Parked, StoreError, Wait, WaitFor};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};

use crate::attempt::{Attempt, Exit};
use crate::engine::guest::Stop;
use crate::engine::limiter::Limiter;
use crate::journal::{CALL_NOTE, Frame};
use crate::plugin::Plugin;
use crate::plugin::schema::Schema;

pub use translate::{output_from_guest, task_to_guest};

/// Bytes that one host call may copy out of a guest: a piece of an artifact, and room for the rest.
pub const HOSTCALL_BYTES: usize = 2 << 20;
/// Bytes that a JSON value may have.
pub const MAX_JSON_BYTES: usize = 256 << 10;

/// What a `wasmtime::Store` holds: one instance, with everything it may use.
pub struct Ctx {
    /// Its limits; no store is made without them.
    pub limiter: Limiter,
    /// Its open artifacts, and its handles of WASI.
    pub table: ResourceTable,
    /// Who it is.
    pub instance: Instance,
}

/// Who an instance is.
pub enum Instance {
    /// Asked for its exports when its plugin is loaded; everything is denied.
    Unprivileged,
    /// Executes in an attempt.
    Live(Box<Live>),
}

/// An instance that executes in an attempt: the agent's own, or a tool call's.
pub struct Live {
    /// The attempt, shared by all instances in it.
    pub attempt: Arc<Attempt>,
    /// Where this instance is in the journal.
    pub frame: Frame,
    /// Its plugin.
    pub plugin: Arc<Plugin>,
    /// Its authority, as far as it is allowed today: what calls are checked against that are done now.
    pub grants: Arc<Grants>,
    /// Its authority as it was given: what local calls are checked against, which a replay repeats.
    pub given: Arc<Grants>,
    /// Of which count of [`crate::allowed::Allowed`] its `grants` are.
    pub allowed_at: u64,
    /// Whether it is a tool call.
    pub is_tool: bool,
    /// The place of the tool call, as long as the journal does not say which version it is on.
    pub unnoted: Option<Path>,
    /// What it began to write to stdout and stderr.
    pub lines: wasi::stream::Lines,
}

/// Adds everything that the host serves, and denies what else of WASI the component imports.
pub fn link(linker: &mut Linker<Ctx>, component: &Component) -> wasmtime::Result<()> {
    crate::bindings::Imports::add_to_linker::<_, HasSelf<Ctx>>(linker, |ctx| ctx)?;
    wasi::link(linker, component)
}

/// When a wait is over without what it is for.
#[derive(Clone, Copy)]
enum Due {
    /// So many milliseconds after it is opened, or never.
    Within(Option<u64>),
    /// Then, or never.
    At(Option<Timestamp>),
}

impl Due {
    fn at(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Within(ms) => ms.map(|ms| Timestamp(now.0.saturating_add(ms))),
            Self::At(at) => at,
        }
    }
}

/// What a wait is for, and when it is over without that; or why there is none.
type Opened = wasmtime::Result<Result<(WaitFor, Due), ImportError>>;

/// An answer on its way to the guest.
type Answered<T> = wasmtime::Result<Answer<T>>;

impl Ctx {
    /// What a new instance has.
    #[must_use]
    pub fn new(limiter: Limiter, instance: Instance) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(wasi::MAX_HANDLES);
        Self { limiter, table, instance }
    }

    /// The live instance, or the denial that one without any grants gets.
    fn live(&mut self, import: Import) -> Result<&mut Live, ImportError> {
        match &mut self.instance {
            Instance::Live(live) => {
                live.attempt.meter.call();
                Ok(live)
            }
            Instance::Unprivileged => Err(ImportError::Denied(import.name().to_owned())),
        }
    }

    /// The live instance, if it is one, for a call that is local: nothing else looks whether it is
    /// one too many.
    fn called(&mut self) -> wasmtime::Result<Option<&mut Live>> {
        let Instance::Live(live) = &mut self.instance else { return Ok(None) };
        live.attempt.meter.call();
        match live.attempt.meter.stopped() {
            Some(stop @ Stop::OutOfCalls) => Err(Exit::Stopped(stop).into()),
            _ => Ok(Some(live)),
        }
    }
}

impl Live {
    /// The hash of an import's arguments, which a replay shows.
    fn args(&self, import: Import, parts: &[&[u8]]) -> u128 {
        self.attempt
            .notes_call(|| parts.iter().map(|part| shown::argument(part)).collect::<Vec<_>>().join(", "));
        crate::journal::args(import, parts)
    }

    /// The place of this import, and its answer if the journal holds one.
    fn replayed<T: DeserializeOwned>(
        &mut self,
        import: Import,
        args: u128,
    ) -> wasmtime::Result<(Path, Option<Answer<T>>)> {
        let path = self.frame.next_path();
        let journal = &self.attempt.journal;
        let next = self.attempt.witness.as_ref().and_then(|witness| {
            witness.called(&path, import, &self.attempt.take_call());
            journal.next()
        });
        let held = journal.answer(&path, import, args).map_err(Exit::Journal)?;
        if held.is_some() {
            if let (Some(witness), Some(entry)) = (&self.attempt.witness, next)
                && witness.answered(&entry).is_break()
            {
                return Err(Exit::Stopped(Stop::Shutdown).into());
            }
            self.attempt.replayed();
        } else if self.attempt.witness.is_some() && !journal.is_replaying() {
            return Err(Exit::JournalEnd(path, import).into());
        } else if let Some(stop) = self.attempt.meter.stopped() {
            return Err(Exit::Stopped(stop).into());
        } else if self.attempt.host.allowed.changes() != self.allowed_at {
            self.hold_what_is_allowed();
        }
        Ok((path, held))
    }

    /// What is allowed has changed since its grants were made: no more of them holds than is allowed now.
    fn hold_what_is_allowed(&mut self) {
        let allowed = &self.attempt.host.allowed;
        // Read first: a change in between is seen by the next call.
        self.allowed_at = allowed.changes();
        let root_of = self.given.root_of().unwrap_or(&self.attempt.spec.spawner);
        self.grants = allowed.left(&self.given, root_of).map_or_else(|| self.given.clone(), Arc::new);
    }

    /// An effect: done, then its answer made durable.
    async fn effect<T: Serialize + DeserializeOwned>(
        &mut self,
        import: Import,
        args: u128,
        work: impl AsyncFnOnce(&mut Self) -> wasmtime::Result<Answer<T>>,
    ) -> Answered<T> {
        let (path, held) = self.replayed(import, args)?;
        if let Some(answer) = held {
            return Ok(answer);
        }
        let answer = work(self).await?;
        self.append(path, import, args, &answer).await?;
        Ok(answer)
    }

    /// Writes the entry of an effect.
    async fn append<T: Serialize>(
        &mut self,
        path: Path,
        import: Import,
        args: u128,
        answer: &Answer<T>,
    ) -> wasmtime::Result<()> {
        if self.attempt.witness.is_some() {
            return Err(Exit::JournalEnd(path, import).into());
        }
        let by = self.attempt.by(false);
        let entry = Entry { path, import, args, result: encode(answer), at: by.now };
        let entries: Vec<Entry> = self.call_note(by.now).into_iter().chain([entry]).collect();
        self.attempt.host.store.append(by, entries.clone()).await.map_err(Exit::store)?;
        entries.iter().for_each(|entry| self.attempt.wrote(entry));
        Ok(())
    }

    /// In a tool call that has no entry yet: the one that says which version of its plugin it is on,
    /// so that the call goes on there when it is interrupted.
    fn call_note(&mut self, at: Timestamp) -> Option<Entry> {
        let path = self.unnoted.take()?.then(CALL_NOTE);
        let result = encode(&Ok(&self.plugin.digest));
        Some(Entry { path, import: Import::CallTool, args: 0, result, at })
    }

    /// Writes that entry, before anything else that the call does is written.
    async fn note_call(&mut self) -> wasmtime::Result<()> {
        let by = self.attempt.by(false);
        let Some(note) = self.call_note(by.now) else { return Ok(()) };
        self.attempt.host.store.append(by, vec![note.clone()]).await.map_err(Exit::store)?;
        self.attempt.wrote(&note);
        Ok(())
    }

    /// A command: its rows and its entry in one commit.
    async fn command<T: DeserializeOwned>(
        &mut self,
        import: Import,
        args: u128,
        check: impl AsyncFnOnce(&mut Self) -> wasmtime::Result<Result<Command, ImportError>>,
    ) -> Answered<T> {
        let (path, held) = self.replayed(import, args)?;
        if let Some(answer) = held {
            return Ok(answer);
        }
        let command = check(self).await?.unwrap_or_else(Command::Refused);
        self.note_call().await?;
        let attempt = self.attempt.clone();
        let by = attempt.by(false);
        let at = by.now;
        let entry = Entry { path, import, args, result: "".into(), at };
        let writing = attempt.meter.writing();
        let (entry, effects) = attempt.host.store.command(by, entry, command).await.map_err(Exit::store)?;
        attempt.wrote(&entry);
        attempt.host.dispatch(effects);
        drop(writing);
        Ok(sublane_core::journal::decode(&entry).map_err(|error| Exit::Fault(error.to_string()))?)
    }

    /// A wait: decided at once, or parked until one transaction decides it. `open` looks, now, what it
    /// is for and when it is over without that; on replay nobody looks.
    async fn wait<T: Serialize + DeserializeOwned>(
        &mut self,
        import: Import,
        args: u128,
        open: impl AsyncFnOnce(&mut Self, Timestamp) -> Opened,
    ) -> Answered<T> {
        let (path, held) = self.replayed(import, args)?;
        if let Some(answer) = held {
            return Ok(answer);
        }
        let attempt = self.attempt.clone();
        let now = attempt.now();
        let (what, due) = match open(self, now).await? {
            Ok(opened) => opened,
            Err(error) => {
                let refused = Err(error);
                self.append(path, import, args, &refused).await?;
                return Ok(refused);
            }
        };
        self.note_call().await?;
        let by = attempt.by_at(true, now);
        let due = due.at(by.now);
        let wait = Wait { run: by.run, path, import, args, what, due };
        let polls = wait.what.polls().next().is_some();
        let resumed = attempt.arm();
        let spent = by.spent;
        let parked = attempt.host.store.park(by, wait).await.map_err(|error| {
            attempt.meter.put_back(&spent);
            Exit::store(error)
        });
        let entry = match parked? {
            Parked::Decided(entry) => entry,
            Parked::Waiting => {
                attempt.host.note_due(due);
                if polls {
                    attempt.host.polled.notify_one();
                }
                crate::attempt::parked(&attempt, resumed).await?
            }
        };
        attempt.wrote(&entry);
        Ok(sublane_core::journal::decode(&entry).map_err(|error| Exit::Fault(error.to_string()))?)
    }

    /// Says who asked for what and which side refused, and gives the guest its answer.
    fn denied(&self, denied: Denied) -> ImportError {
        let capability = denied.capability;
        let side = self.refusing_side(&capability);
        tracing::warn!(
            target: "sublane::denied",
            run = %self.attempt.spec.id,
            plugin = %self.plugin.manifest.id,
            capability = %local::line(&capability.to_string()),
            refused_by = %side,
            "denied"
        );
        ImportError::Denied(capability.to_string())
    }

    /// As [`Self::denied`], for a secret of which no grant speaks: no place and no audience was asked for.
    fn denied_secret(&self, name: &str) -> ImportError {
        let named = |side: &Authority| side.secrets.iter().any(|grant| grant.name == name);
        let side = match (named(&self.plugin.manifest.asks), named(&self.plugin.allows)) {
            (false, _) => Side::Manifest,
            (true, false) => Side::Operator,
            (true, true) => Side::Parent,
        };
        let capability = local::line(&format!("secrets {name}"));
        tracing::warn!(
            target: "sublane::denied",
            run = %self.attempt.spec.id,
            plugin = %self.plugin.manifest.id,
            %capability,
            refused_by = %side,
            "denied"
        );
        ImportError::Denied(capability)
    }

    fn refusing_side(&self, capability: &Capability<'_>) -> Side {
        // It was given, and is not held any more.
        let is_revoked = !Arc::ptr_eq(&self.given, &self.grants)
            && self.given.check(capability.clone()).is_ok()
            && self.grants.check(capability.clone()).is_err();
        match is_revoked {
            true => Side::Operator,
            false => who_refuses(&self.plugin.manifest.asks, &self.plugin.allows, capability),
        }
    }
}

impl Exit {
    /// What a store's refusal means for the attempt.
    pub(crate) fn store(error: StoreError) -> Self {
        match error {
            StoreError::Stale(_) => Self::Stale,
            StoreError::Full(why) => Self::NoRoom(why.to_string()),
            other => Self::Fault(other.to_string()),
        }
    }
}

/// Checks a JSON text that a guest passes on.
fn check_json(what: &str, text: &str) -> Result<(), ImportError> {
    check_json_size(what, text)?;
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(|_| ())
        .map_err(|error| ImportError::Invalid(format!("{what} is not JSON: {error}")))
}

/// Checks how long it is.
fn check_json_size(what: &str, text: &str) -> Result<(), ImportError> {
    let size = text.len();
    if size > MAX_JSON_BYTES {
        return Err(ImportError::Invalid(format!(
            "{what} has {size} bytes; at most {MAX_JSON_BYTES} may be passed"
        )));
    }
    Ok(())
}

/// Checks that such a text is what a schema says. It is read once.
fn check_input(schema: &Schema, what: &str, text: &str) -> Result<(), ImportError> {
    check_json_size(what, text)?;
    if schema.fits_all() { check_json(what, text) } else { Ok(schema.check(what, text)?) }
}
