//! Commands: rows and entry in one commit.

use std::sync::Arc;

use sublane_core::delivery::DeliveryBody;
use sublane_core::hook::Verification;
use sublane_core::journal::{decode, encode};
use sublane_core::undo::{MAX_UNDOS, Undo};
use sublane_core::{
    Answer, ArtifactRef, DeliveryId, Destination, Entry, HookId, Import, ImportError, LimitHit, Outcome,
    Purse, RunId,
};

use super::{By, Effects, Result, claimed, must_run};
use crate::rows::Rows;

/// Unread messages that a run's mailbox holds.
pub(super) const MAX_MAILBOX: u32 = 64;
/// Messages that one run may send to people while it works.
const MAX_SENT: u32 = 100;

/// Bytes of the keys and values of one bucket.
const MAX_BUCKET_BYTES: u64 = 64 << 20;

/// What a guest commands. Grants were checked before; limits on rows are checked here.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Set a value of the key-value store.
    KvSet {
        /// The bucket.
        bucket: Arc<str>,
        /// The key.
        key: Arc<str>,
        /// The value.
        value: Vec<u8>,
    },
    /// Set a value if what is there is what the guest takes to be there.
    KvSetIf {
        /// The bucket.
        bucket: Arc<str>,
        /// The key.
        key: Arc<str>,
        /// What must be there; `None` = nothing.
        held: Option<Vec<u8>>,
        /// The value.
        value: Vec<u8>,
    },
    /// Remove a value.
    KvDelete {
        /// The bucket.
        bucket: Arc<str>,
        /// The key.
        key: Arc<str>,
    },
    /// Put a message into the mailbox of a child.
    Send {
        /// The child.
        to: RunId,
        /// JSON text.
        message: Arc<str>,
    },
    /// Cancel a child and what is attached to it.
    Cancel {
        /// The child.
        run: RunId,
        /// For people.
        reason: Arc<str>,
    },
    /// Owe a message to a destination.
    Deliver {
        /// Where to.
        destination: Destination,
        /// What people read.
        text: Arc<str>,
        /// Files, as links.
        artifacts: Vec<ArtifactRef>,
    },
    /// Make a staged file an artifact of the run. The file is durable already.
    Artifact(ArtifactRef),
    /// What a request to another machine came to: its answer as the journal keeps it, and the file
    /// that was made of what it brought, which is durable already. What it spent goes with it.
    Requested {
        /// JSON text.
        answer: Arc<str>,
        /// The file.
        file: Option<ArtifactRef>,
    },
    /// Open a hook.
    OpenHook {
        /// The SHA-256 of the token in its URL.
        token: [u8; 32],
        /// The URL, for the answer.
        url: Arc<str>,
        /// Who may call it.
        verification: Verification,
    },
    /// Close a hook.
    CloseHook(HookId),
    /// Have a request made when the run ends otherwise than with success.
    Undo {
        /// The request.
        undo: Undo,
        /// What it costs.
        price: Purse,
    },
    /// Nothing but the answer: a refusal that was decided before the store was asked.
    Refused(ImportError),
}

/// A command's rows and its entry. The entry's result is filled in here.
pub fn command(rows: &mut dyn Rows, by: &By, mut entry: Entry, command: Command) -> Result<(Entry, Effects)> {
    let generation = claimed(rows, by)?.generation;
    let mut effects = Effects::default();
    entry.result = match command {
        Command::KvSet { bucket, key, value } => encode(&kv_set(rows, &bucket, &key, &value)?),
        Command::KvSetIf { bucket, key, held, value } => {
            encode(&kv_set_if(rows, &bucket, &key, held.as_deref(), &value)?)
        }
        Command::KvDelete { bucket, key } => encode(&kv_delete(rows, &bucket, &key)?),
        Command::Send { to, message } => encode(&send(rows, by, to, &message, &mut effects)?),
        Command::Cancel { run, reason } => encode(&cancel(rows, by, run, &reason, &mut effects)?),
        Command::Deliver { destination, text, artifacts } => {
            encode(&deliver(rows, by, &entry, destination, &text, &artifacts, generation, &mut effects)?)
        }
        Command::Artifact(artifact) => encode(&add_artifact(rows, by, artifact)?),
        Command::Requested { answer, file } => requested(rows, by, answer, file)?,
        Command::OpenHook { token, url, verification } => {
            encode(&super::hook::open(rows, by, &entry, generation, token, url, verification)?)
        }
        Command::CloseHook(hook) => encode(&super::hook::close(rows, by, hook)?),
        Command::Undo { undo, price } => encode(&add_undo(rows, by, generation, undo, price)?),
        Command::Refused(error) => encode::<()>(&Err(error)),
    };
    rows.insert_entry(by.run, generation, &entry)?;
    Ok((entry, effects))
}

/// Bytes that a value takes in its bucket, with its key; 0 when it is not there.
fn kv_held(rows: &mut dyn Rows, bucket: &str, key: &str) -> Result<u64> {
    Ok(rows.kv_get(bucket, key)?.map_or(0, |value| (key.len() + value.len()) as u64))
}

/// A value that does not make its bucket larger is taken however full that is.
fn kv_set(rows: &mut dyn Rows, bucket: &str, key: &str, value: &[u8]) -> Result<Answer<()>> {
    let (held, wanted) = (kv_held(rows, bucket, key)?, (key.len() + value.len()) as u64);
    let bytes = rows.kv_bytes(bucket)?.saturating_sub(held) + wanted;
    if bytes > MAX_BUCKET_BYTES && wanted > held {
        return Ok(Err(ImportError::Limit(LimitHit::new("kv.bucket-bytes", MAX_BUCKET_BYTES))));
    }
    rows.kv_set(bucket, key, value)?;
    rows.set_kv_bytes(bucket, bytes)?;
    Ok(Ok(()))
}

/// Whether it was set. The comparison and the write are one transaction.
fn kv_set_if(
    rows: &mut dyn Rows,
    bucket: &str,
    key: &str,
    held: Option<&[u8]>,
    value: &[u8],
) -> Result<Answer<bool>> {
    if rows.kv_get(bucket, key)?.as_deref() != held {
        return Ok(Ok(false));
    }
    Ok(kv_set(rows, bucket, key, value)?.map(|()| true))
}

fn kv_delete(rows: &mut dyn Rows, bucket: &str, key: &str) -> Result<Answer<()>> {
    let held = kv_held(rows, bucket, key)?;
    if held > 0 {
        rows.kv_delete(bucket, key)?;
        let bytes = rows.kv_bytes(bucket)?.saturating_sub(held);
        rows.set_kv_bytes(bucket, bytes)?;
    }
    Ok(Ok(()))
}

/// Whether `run` was spawned by the caller: only then may it be spoken to.
fn is_child(rows: &mut dyn Rows, by: &By, run: RunId) -> Result<bool> {
    Ok(rows.run(run)?.is_some_and(|run| run.spec.parent == Some(by.run)))
}

fn send(rows: &mut dyn Rows, by: &By, to: RunId, message: &str, effects: &mut Effects) -> Result<Answer<()>> {
    if !is_child(rows, by, to)? {
        return Ok(Err(ImportError::Denied(format!("subagent send {to}"))));
    }
    if must_run(rows, to)?.is_ended() {
        return Ok(Err(ImportError::NotFound));
    }
    if rows.mailbox_len(to)? >= MAX_MAILBOX {
        return Ok(Err(ImportError::Limit(LimitHit::new("subagent.mailbox", u64::from(MAX_MAILBOX)))));
    }
    rows.push_message(to, message)?;
    super::wait::decide(rows, to, by.now, effects)?;
    Ok(Ok(()))
}

fn cancel(
    rows: &mut dyn Rows,
    by: &By,
    run: RunId,
    reason: &str,
    effects: &mut Effects,
) -> Result<Answer<()>> {
    if !is_child(rows, by, run)? {
        return Ok(Err(ImportError::Denied(format!("subagent cancel {run}"))));
    }
    super::end::end(rows, run, Outcome::Cancelled { reason: reason.into() }, &by.link_base, by.now, effects)?;
    Ok(Ok(()))
}

#[expect(clippy::too_many_arguments, reason = "one caller; each is a part of the row that is made here")]
fn deliver(
    rows: &mut dyn Rows,
    by: &By,
    entry: &Entry,
    destination: Destination,
    text: &str,
    artifacts: &[ArtifactRef],
    generation: u32,
    effects: &mut Effects,
) -> Result<Answer<DeliveryId>> {
    if rows.sent_by_run(by.run)? >= MAX_SENT {
        return Ok(Err(ImportError::Limit(LimitHit::new("delivery.per-run", u64::from(MAX_SENT)))));
    }
    let run = must_run(rows, by.run)?;
    let id = DeliveryId::sent(by.run, generation, &entry.path);
    let body = DeliveryBody::message(&run, text, artifacts, &by.link_base, by.now).to_json();
    super::deliver::owe(rows, &run, id, &destination, body, by.now, effects)?;
    // What people were told about stays as long as the run that told them.
    for artifact in artifacts {
        rows.link_artifact(by.run, artifact)?;
    }
    Ok(Ok(id))
}

fn add_artifact(rows: &mut dyn Rows, by: &By, artifact: ArtifactRef) -> Result<Answer<ArtifactRef>> {
    let mut run = must_run(rows, by.run)?;
    if artifact.size > run.purse.artifact_bytes {
        return Ok(Err(ImportError::Limit(LimitHit::new("purse.artifact-bytes", run.purse.artifact_bytes))));
    }
    run.purse.artifact_bytes -= artifact.size;
    rows.update_run(&run)?;
    rows.link_artifact(by.run, &artifact)?;
    Ok(Ok(artifact))
}

/// A file that the purse does not pay for takes the place of the answer.
fn requested(rows: &mut dyn Rows, by: &By, answer: Arc<str>, file: Option<ArtifactRef>) -> Result<Arc<str>> {
    if by.spent != Purse::default() {
        let mut run = must_run(rows, by.run)?;
        run.purse.spend(by.spent);
        rows.update_run(&run)?;
    }
    match file.map(|file| add_artifact(rows, by, file)).transpose()? {
        Some(Err(error)) => Ok(encode::<()>(&Err(error))),
        _ => Ok(answer),
    }
}

/// Its entry is the row: the ending finds it there.
fn add_undo(rows: &mut dyn Rows, by: &By, generation: u32, undo: Undo, price: Purse) -> Result<Answer<Undo>> {
    let registered = rows.entries(by.run, generation)?;
    let is_one = |entry: &&Entry| {
        entry.import == Import::HttpUndo && decode::<Undo>(entry).is_ok_and(|answer| answer.is_ok())
    };
    let registered = registered.iter().filter(is_one).count();
    if registered >= MAX_UNDOS as usize {
        return Ok(Err(ImportError::Limit(LimitHit::new("http.undos", u64::from(MAX_UNDOS)))));
    }
    let mut run = must_run(rows, by.run)?;
    run.purse.spend(price);
    rows.update_run(&run)?;
    Ok(Ok(undo))
}

/// An artifact that a run may read: its own, its task's, or one that a run it spawned gave back.
pub fn readable_artifact(rows: &mut dyn Rows, run: RunId, id: &str) -> Result<Answer<ArtifactRef>> {
    if let Some(artifact) = rows.linked_artifact(run, id)? {
        return Ok(Ok(artifact));
    }
    let own = must_run(rows, run)?;
    if let Some(artifact) = own.spec.artifacts.iter().find(|artifact| artifact.id == id) {
        return Ok(Ok(artifact.clone()));
    }
    let children = crate::rows::RunFilter { parent: Some(run), limit: 256, ..Default::default() };
    for child in rows.runs(&children)? {
        if let Some(Outcome::Succeeded(output)) = child.outcome()
            && let Some(artifact) = output.artifacts.iter().find(|artifact| artifact.id == id)
        {
            return Ok(Ok(artifact.clone()));
        }
    }
    Ok(Err(ImportError::Denied(format!("artifact {id}"))))
}
