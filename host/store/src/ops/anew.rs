//! A run goes on as new: another task, an empty journal, and everything else as it was.

use std::sync::Arc;

use sublane_core::journal::decode;
use sublane_core::run::Step;
use sublane_core::undo::Undo;
use sublane_core::{Entry, Import, NextTask, Over, Run, RunSpec, RunState};

use super::{By, Effects, Ready, Result, claimed, step};
use crate::StoreError;
use crate::rows::Rows;

/// The next generation of a run that executes, with this task. The entry is the last of its journal.
/// What it wanted undone is handed on; attached children, messages and deadline stay. Of generations
/// before the one that ends nothing is kept.
pub fn continue_as_new(rows: &mut dyn Rows, by: &By, entry: &Entry, task: NextTask) -> Result<Effects> {
    let mut run = claimed(rows, by)?;
    if !matches!(run.state, RunState::Running { .. }) {
        return Err(StoreError::Stale(by.run));
    }
    let before = run.generation;
    run.purse.spend(by.spent);
    rows.insert_entry(by.run, before, entry)?;
    let mut over = run.over(Over::Continued, by.now);
    let (input, artifacts) = (run.spec.input.clone(), run.spec.artifacts.clone());
    over.task = Some(NextTask { input, artifacts });
    for artifact in &task.artifacts {
        rows.link_artifact(by.run, artifact)?;
    }
    let NextTask { input, artifacts } = task;
    let spec = RunSpec { input, artifacts, ..RunSpec::clone(&run.spec) };
    step(&mut run, Step::Continue(Arc::new(spec)), by.now)?;
    rows.forget_generations(by.run, before)?;
    rows.insert_generation(by.run, &over)?;
    rows.continue_run(&run)?;
    hand_on(rows, &run, before, |_| true)?;
    Ok(Effects { ready: vec![Ready::of(&run)], ..Effects::default() })
}

/// Hands on to a run's generation what an earlier one wanted undone: entries that stand before all that
/// it does.
pub(super) fn hand_on(
    rows: &mut dyn Rows,
    run: &Run,
    from: u32,
    which: impl Fn(&Entry) -> bool,
) -> Result<()> {
    // Who may make no request has registered none: most journals need not be read.
    if run.spec.grants.http().is_empty() {
        return Ok(());
    }
    let entries = rows.entries(run.spec.id, from)?;
    let is_one = |entry: &&Entry| {
        entry.import == Import::HttpUndo
            && which(entry)
            && decode::<Undo>(entry).is_ok_and(|undo| undo.is_ok())
    };
    for (number, entry) in (1..).zip(entries.iter().filter(is_one)) {
        let path = sublane_core::Path::left(number);
        rows.insert_entry(run.spec.id, run.generation, &Entry { path, ..entry.clone() })?;
    }
    Ok(())
}
