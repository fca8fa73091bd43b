//! How a run comes into being: from outside, or spawned by another run.

use sublane_core::journal::{SpawnAnswer, encode};
use sublane_core::{
    Answer, ConversationId, Destination, Entry, Import, ImportError, Lifetime, LimitHit, Path, Purse,
    PurseAsk, Run, RunId, RunSpec, RunState, Timestamp,
};

use super::{By, Effects, Ready, Result, claimed};
use crate::StoreError;
use crate::rows::{Conversation, Rows};

/// A message or a command from outside.
#[derive(Clone, Debug)]
pub struct Accept {
    /// The conversation, made when it is not there yet.
    pub conversation: NewConversation,
    /// Source and event of the message: the same pair makes the same run.
    pub event: Option<(String, String)>,
    /// The run; its conversation is filled in here.
    pub spec: Box<RunSpec>,
    /// What it draws from the conversation's purse.
    pub ask: PurseAsk,
}

/// A conversation as a message finds or makes it.
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// Its id if it is made now.
    pub id: ConversationId,
    /// Channel and address.
    pub origin: Destination,
    /// What each message from outside fills the purse up to.
    pub purse: Purse,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The run.
    pub run: RunId,
    /// The conversation.
    pub conversation: ConversationId,
    /// Whether the event had been seen before.
    pub duplicate: bool,
    /// What follows.
    pub effects: Effects,
}

/// A message or a command from outside becomes a run.
pub fn accept(rows: &mut dyn Rows, accept: Accept) -> Result<Accepted> {
    let Accept { conversation: new, event, mut spec, ask } = accept;
    if let Some((source, key)) = &event
        && let Some(run) = rows.inbox(source, key)?
    {
        let conversation = super::must_run(rows, run)?.spec.conversation;
        return Ok(Accepted { run, conversation, duplicate: true, effects: Effects::default() });
    }
    let found = rows.conversation_at(&new.origin)?;
    let is_new = found.is_none();
    let mut conversation = found.unwrap_or(Conversation {
        id: new.id,
        origin: new.origin,
        purse: new.purse,
        ceiling: new.purse,
        created: spec.created,
    });
    conversation.purse = new.purse;
    conversation.ceiling = new.purse;
    // A root run is never refused for want of a purse, and leaves half of it
    // for what its tool calls spawn, which draws on the conversation too.
    let half = Purse::from_amounts(conversation.purse.amounts().map(|amount| amount / 2));
    let wanted = ask.of(conversation.purse).at_most(half);
    spec.purse = conversation
        .purse
        .split(&PurseAsk::exactly(wanted))
        .map_err(|limit| StoreError::Refused(format!("the root purse of conversations is empty: {limit}")))?;
    if is_new {
        rows.insert_conversation(&conversation)?;
    } else {
        rows.update_conversation(&conversation)?;
    }
    spec.conversation = conversation.id;
    let run = Run::queued(*spec);
    rows.insert_run(&run)?;
    link_task(rows, &run)?;
    if let Some((source, key)) = &event {
        rows.insert_inbox(source, key, run.spec.id)?;
    }
    let effects = Effects { ready: vec![Ready::of(&run)], ..Effects::default() };
    Ok(Accepted { run: run.spec.id, conversation: conversation.id, duplicate: false, effects })
}

/// A spawn whose grants were found covered.
#[derive(Clone, Debug)]
pub struct Spawn {
    /// The run that spawns, or in whose tool call it is spawned.
    pub by: By,
    /// Where the entry stands.
    pub path: Path,
    /// Which of the imports that spawn it is.
    pub import: Import,
    /// Hash of the request.
    pub args: u128,
    /// The child. Its id is derived from parent, generation and path.
    pub spec: Box<RunSpec>,
    /// What it draws.
    pub ask: PurseAsk,
    /// From where.
    pub draw: Draw,
    /// Children that the parent may have alive at once.
    pub active_children: u32,
    /// Runs before it in its lane, for the receipt.
    pub position: u32,
    /// When it begins; at once if there is none, or that has passed.
    pub start: Option<Timestamp>,
}

/// Where a child's purse is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// From its spawner's own: whatever an agent spawns, attached or detached.
    Spawner,
    /// From the conversation's: what a tool call spawns, at most so many runs of its plugin under one run.
    Conversation {
        /// The runs.
        total: u64,
    },
}

/// What became of a spawn.
#[derive(Clone, Debug)]
pub struct Spawned {
    /// The entry, as it was written.
    pub entry: Entry,
    /// The answer in it.
    pub answer: Answer<SpawnAnswer>,
    /// The child, unless it was refused.
    pub child: Option<Run>,
    /// Ready to be claimed, unless it was refused or found, or begins later.
    pub ready: Option<Ready>,
    /// What the spawner's purse holds now: its children may have given something back meanwhile.
    pub left: Purse,
}

/// Run, entry, purses and counters in one commit.
pub fn spawn(rows: &mut dyn Rows, spawn: Spawn) -> Result<Spawned> {
    let mut parent = claimed(rows, &spawn.by)?;
    let generation = parent.generation;
    let position = spawn.position;
    let (by, path, import, args) = (spawn.by.clone(), spawn.path.clone(), spawn.import, spawn.args);
    let found = admit(rows, &mut parent, spawn)?;
    let answer = match &found {
        Ok((child, duplicate)) => Ok(SpawnAnswer {
            run: child.spec.id,
            duplicate: *duplicate,
            position: if *duplicate || is_delayed(child) { 0 } else { position },
        }),
        Err(error) => Err(error.clone()),
    };
    let entry = Entry { path, import, args, result: encode(&answer), at: by.now };
    rows.insert_entry(by.run, generation, &entry)?;
    let is_ready = |(child, duplicate): &&(Run, bool)| !duplicate && !is_delayed(child);
    let ready = found.as_ref().ok().filter(is_ready).map(|(child, _)| Ready::of(child));
    Ok(Spawned { entry, answer, child: found.ok().map(|(child, _)| child), ready, left: parent.purse })
}

fn is_delayed(run: &Run) -> bool {
    matches!(run.state, RunState::Delayed { .. })
}

/// The child and whether it was there already, or which limit refused it.
fn admit(
    rows: &mut dyn Rows,
    parent: &mut Run,
    spawn: Spawn,
) -> Result<std::result::Result<(Run, bool), ImportError>> {
    let Spawn { by, path, mut spec, ask, draw, active_children, start, .. } = spawn;
    if let Some(key) = &spec.dedupe_key
        && let Some(id) = rows.run_by_dedupe(&spec.spawner, spec.conversation, key)?
    {
        return Ok(Ok((super::must_run(rows, id)?, true)));
    }
    if parent.active_children >= active_children {
        let limit = LimitHit::new("spawn.active-children", u64::from(active_children));
        return Ok(Err(ImportError::Limit(limit)));
    }
    let drawn = match draw {
        Draw::Spawner => parent.purse.split(&ask),
        Draw::Conversation { total } => {
            if u64::from(rows.spawned_by(by.run, &spec.spawner)?) >= total {
                return Ok(Err(ImportError::Limit(LimitHit::new("spawn.total", total))));
            }
            let mut conversation = must_conversation(rows, spec.conversation)?;
            let drawn = conversation.purse.split(&ask);
            if drawn.is_ok() {
                rows.update_conversation(&conversation)?;
            }
            drawn
        }
    };
    spec.purse = match drawn {
        Ok(purse) => purse,
        Err(limit) => return Ok(Err(ImportError::Limit(limit))),
    };
    parent.active_children += 1;
    parent.attached_children += u32::from(spec.lifetime == Lifetime::Attached);
    spec.id = by.run.child(parent.generation, &path);
    spec.parent = Some(by.run);
    let child = Run::beginning(*spec, start);
    rows.update_run(parent)?;
    rows.insert_run(&child)?;
    link_task(rows, &child)?;
    Ok(Ok((child, false)))
}

/// The files of a task stay as long as the run that got it, whoever wrote them.
fn link_task(rows: &mut dyn Rows, run: &Run) -> Result<()> {
    run.spec.artifacts.iter().try_for_each(|artifact| rows.link_artifact(run.spec.id, artifact))
}

/// A conversation that must be there.
pub(super) fn must_conversation(rows: &mut dyn Rows, id: ConversationId) -> Result<Conversation> {
    rows.conversation(id)?.ok_or_else(|| StoreError::NotFound(format!("conversation {id}")))
}
