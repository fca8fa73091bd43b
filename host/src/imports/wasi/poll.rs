//! `wasi:clocks` and `wasi:io/poll`: the time of the run, and waiting until a time.
//!
//! Time stands still between two imports that are not local, so replay sees the same. Everything but
//! a time is ready at once; a wait for one is journaled as `timer.sleep`, and parks the run as that does.

use sublane_core::Import;
use sublane_store::WaitFor;
use wasmtime::component::Resource;

use super::{Ctx, trap};
use crate::bindings::wasi::wasi::clocks::{monotonic_clock, wall_clock};
use crate::bindings::wasi::wasi::io::poll;
use crate::imports::{Due, Instance};

/// Nanoseconds of a millisecond, which is how exactly the run knows the time.
const NANOS: u64 = 1_000_000;

/// When it is ready, as `wasi:clocks/monotonic-clock` counts: in nanoseconds. 0 = at once.
#[derive(Clone, Copy, Debug)]
pub struct Pollable(pub(super) u64);

impl Ctx {
    /// The time of the run in nanoseconds since 1970; 0 before it runs. No host call.
    fn nanos(&self) -> u64 {
        match &self.instance {
            Instance::Live(live) => live.attempt.journal.now().0.saturating_mul(NANOS),
            Instance::Unprivileged => 0,
        }
    }

    /// Waits until the run's time is at least so many nanoseconds.
    async fn wait_until(&mut self, due: u64) -> wasmtime::Result<()> {
        let now = self.nanos();
        let Instance::Live(live) = &mut self.instance else {
            return Err(trap("it wants to sleep while it is asked what it has"));
        };
        if live.is_tool {
            return Err(trap("a tool call is short: it cannot sleep"));
        }
        // A sleep that ends after the deadline ends with it: the run is timed out.
        let ms = due.saturating_sub(now).div_ceil(NANOS);
        let hash = live.args(Import::Sleep, &[&ms.to_le_bytes()]);
        let slept =
            live.wait(Import::Sleep, hash, async |_, _| Ok(Ok((WaitFor::Sleep, Due::Within(Some(ms))))));
        slept.await?.map_err(|error| trap(format!("it could not sleep: {error}")))
    }
}

impl monotonic_clock::Host for Ctx {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.called()?;
        Ok(self.nanos())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        self.called()?;
        Ok(NANOS)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<Pollable>> {
        self.called()?;
        self.handle(Pollable(when))
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<Pollable>> {
        self.called()?;
        let due = self.nanos().saturating_add(when);
        self.handle(Pollable(due))
    }
}

/// An instant or a duration as the wall clock has it.
fn datetime(nanos: u64) -> wall_clock::Datetime {
    let nanoseconds = u32::try_from(nanos % 1_000_000_000).unwrap_or_default();
    wall_clock::Datetime { seconds: nanos / 1_000_000_000, nanoseconds }
}

impl wall_clock::Host for Ctx {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.called()?;
        Ok(datetime(self.nanos()))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.called()?;
        Ok(datetime(NANOS))
    }
}

impl poll::Host for Ctx {
    async fn poll(&mut self, pollables: Vec<Resource<Pollable>>) -> wasmtime::Result<Vec<u32>> {
        self.called()?;
        let mut dues = Vec::with_capacity(pollables.len());
        for pollable in &pollables {
            dues.push(self.table.get(pollable)?.0);
        }
        let Some(first) = dues.iter().min().copied() else {
            return Err(trap("it polls nothing, which would never be ready"));
        };
        if first > self.nanos() {
            self.wait_until(first).await?;
        }
        let now = self.nanos();
        let ready = (0..).zip(dues).filter(|(_, due)| *due <= now).map(|(at, _)| at);
        Ok(ready.collect())
    }
}

impl poll::HostPollable for Ctx {
    fn ready(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<bool> {
        self.called()?;
        Ok(self.table.get(&pollable)?.0 <= self.nanos())
    }

    async fn block(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        self.called()?;
        let due = self.table.get(&pollable)?.0;
        if due > self.nanos() { self.wait_until(due).await } else { Ok(()) }
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<()> {
        self.table.delete(pollable)?;
        Ok(())
    }
}
