//! `timer` and `wait`: until an instant, or until the first of several things.

use std::sync::Arc;

use sublane_core::journal::{AnyAnswer, Woken};
use sublane_core::poll::{MAX_PLANS, Plan};
use sublane_core::{Import, ImportError, LimitHit, Timestamp};
use sublane_store::{Source, WaitFor};

use super::hook::call_to_guest;
use super::poll::{ending_to_guest, parts as plan_parts};
use super::subagent::{MAX_RUNS, parse_ids};
use super::translate::answer;
use super::{Ctx, Due, Live, Opened};
use crate::bindings::sublane::plugin::subagent::AnyOrAll;
use crate::bindings::sublane::plugin::{timer, types, wait};
use crate::journal::args;

/// Things that one wait may be for.
const MAX_SOURCES: usize = 16;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

impl timer::Host for Ctx {
    async fn sleep(&mut self, duration_ms: u64) -> Reply<()> {
        let import = Import::Sleep;
        let live = live!(self, import);
        let args = live.args(import, &[&duration_ms.to_le_bytes()]);
        let slept = live.wait(import, args, async |live, now: Timestamp| {
            let may = live.may_sleep(now.0.saturating_add(duration_ms));
            Ok(may.map(|()| (WaitFor::Sleep, Due::Within(Some(duration_ms)))))
        });
        answer(slept.await)
    }

    async fn until(&mut self, instant_ms: u64) -> Reply<()> {
        let import = Import::Until;
        let live = live!(self, import);
        let args = live.args(import, &[&instant_ms.to_le_bytes()]);
        let slept = live.wait(import, args, async |live, _| {
            let due = Due::At(Some(Timestamp(instant_ms)));
            Ok(live.may_sleep(instant_ms).map(|()| (WaitFor::Sleep, due)))
        });
        answer(slept.await)
    }
}

impl wait::Host for Ctx {
    async fn any(&mut self, sources: Vec<wait::Source>) -> Reply<(u32, wait::Woken)> {
        let import = Import::WaitAny;
        let live = live!(self, import);
        let args = hash(import, &sources);
        live.attempt.notes_call(|| format!("{sources:?}"));
        let first = live.wait(import, args, async |live, _| live.first_of(&sources).await);
        let AnyAnswer { index, woken } = match first.await? {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error.into())),
        };
        let woken = match woken {
            Woken::Until => wait::Woken::Until,
            Woken::Message(message) => wait::Woken::Message(message.to_string()),
            Woken::Poll(ending) => wait::Woken::Poll(ending_to_guest(ending)),
            Woken::Call(call) => wait::Woken::Hook(call_to_guest(call)),
            Woken::Runs(ended) => wait::Woken::Runs(live.ended_to_guest(ended).await?),
        };
        Ok(Ok((index, woken)))
    }
}

impl Live {
    /// A wait for the first of these, if all of them may be waited for.
    async fn first_of(&mut self, sources: &[wait::Source]) -> Opened {
        let plans = self.poll_plans(sources).await?;
        let read = match plans.and_then(|plans| read(sources, plans)) {
            Ok(read) => read,
            Err(error) => return Ok(Err(error)),
        };
        let children = read.iter().flat_map(Source::targets).copied().collect::<Vec<_>>();
        let mut allowed = self.own_children(&children).await?;
        for source in sources {
            if let wait::Source::Hook(hook) = source
                && allowed.is_ok()
            {
                allowed = self.own_hook(hook).await?.map(|_| ());
            }
        }
        let deadline = self.attempt.spec.deadline();
        // An instant after the deadline never comes.
        let due = read.iter().filter_map(|source| match source {
            Source::Until(at) if *at <= deadline => Some(*at),
            Source::Poll(plan) => plan.until.filter(|until| *until <= deadline),
            _ => None,
        });
        let due = Due::At(due.min());
        Ok(allowed.and_then(|()| self.may_wait(&read)).map(|()| (WaitFor::Any { sources: read }, due)))
    }

    /// The poll plans among sources, if all may be carried out.
    async fn poll_plans(
        &mut self,
        sources: &[wait::Source],
    ) -> wasmtime::Result<Result<Vec<Plan>, ImportError>> {
        let is_plan = |source: &&wait::Source| matches!(source, wait::Source::Poll(_));
        if sources.iter().filter(is_plan).count() > MAX_PLANS {
            let rule = format!("a wait has at most {MAX_PLANS} poll plans");
            return Ok(Err(ImportError::Invalid(rule)));
        }
        let mut plans = Vec::new();
        for source in sources {
            let wait::Source::Poll(plan) = source else { continue };
            match self.poll_plan(plan.clone()).await? {
                Ok(plan) => plans.push(plan),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(plans))
    }

    /// Whether the run itself may sleep until then.
    fn may_sleep(&self, until_ms: u64) -> Result<(), ImportError> {
        if self.is_tool {
            return Err(ImportError::Invalid("a tool call is short: it cannot sleep".to_owned()));
        }
        let deadline = self.attempt.spec.deadline();
        if until_ms > deadline.0 {
            return Err(ImportError::Limit(LimitHit::new("cap.deadline", deadline.0)));
        }
        Ok(())
    }

    /// Whether one of these may be waited for, and comes before the deadline for all that is known.
    fn may_wait(&self, sources: &[Source]) -> Result<(), ImportError> {
        if self.is_tool && sources.contains(&Source::Message) {
            return Err(ImportError::Invalid("a tool call is short: it has no mailbox".to_owned()));
        }
        if self.is_tool && sources.iter().any(|source| matches!(source, Source::Hook(_))) {
            return Err(ImportError::Invalid("a tool call is short: hooks belong to agents".to_owned()));
        }
        let instants = sources.iter().map(|source| match source {
            Source::Until(at) => Some(at.0),
            Source::Runs { .. } | Source::Message | Source::Poll(_) | Source::Hook(_) => None,
        });
        // Nothing but instants is a sleep until the first of them.
        match instants.collect::<Option<Vec<u64>>>() {
            Some(instants) => self.may_sleep(instants.into_iter().min().unwrap_or(u64::MAX)),
            None => Ok(()),
        }
    }
}

/// The sources as the store knows them; these are their poll plans.
fn read(sources: &[wait::Source], plans: Vec<Plan>) -> Result<Vec<Source>, ImportError> {
    let mut plans = plans.into_iter();
    if !(1..=MAX_SOURCES).contains(&sources.len()) {
        let rule = format!("a wait is for 1 to {MAX_SOURCES} things, this one for {}", sources.len());
        return Err(ImportError::Invalid(rule));
    }
    let named = sources.iter().map(|source| match source {
        wait::Source::Runs(runs) => runs.runs.len(),
        _ => 0,
    });
    let named: usize = named.sum();
    if named > MAX_RUNS {
        let rule = format!("a wait names at most {MAX_RUNS} runs, this one {named}");
        return Err(ImportError::Invalid(rule));
    }
    let read = |source: &wait::Source| {
        Ok(match source {
            wait::Source::Poll(_) => Source::Poll(Arc::new(plans.next().ok_or(ImportError::NotFound)?)),
            wait::Source::Until(at) => Source::Until(Timestamp(*at)),
            wait::Source::Runs(runs) => {
                Source::Runs { runs: parse_ids(&runs.runs)?, all: runs.until == AnyOrAll::All }
            }
            wait::Source::Message => Source::Message,
            wait::Source::Hook(hook) => Source::Hook(hook.parse().map_err(|_| ImportError::NotFound)?),
        })
    };
    sources.iter().map(read).collect()
}

/// The hash of what is waited for: each source as its kind, how much of it there is, and that.
fn hash(import: Import, sources: &[wait::Source]) -> u128 {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for source in sources {
        match source {
            wait::Source::Until(at) => parts.extend([b"until".to_vec(), at.to_le_bytes().to_vec()]),
            wait::Source::Message => parts.push(b"message".to_vec()),
            wait::Source::Poll(plan) => {
                parts.push(b"poll".to_vec());
                parts.extend(plan_parts(import, plan));
            }
            wait::Source::Hook(hook) => parts.extend([b"hook".to_vec(), hook.as_bytes().to_vec()]),
            wait::Source::Runs(runs) => {
                let kind: &[u8] = if runs.until == AnyOrAll::All { b"all" } else { b"any" };
                parts.extend([kind.to_vec(), (runs.runs.len() as u64).to_le_bytes().to_vec()]);
                parts.extend(runs.runs.iter().map(|run| run.as_bytes().to_vec()));
            }
        }
    }
    args(import, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
