//! WASI 0.2, restricted: what guests in other languages cannot do without.
//!
//! Clocks, poll and random come from the run, as `clock`, `timer` and `random` do; what goes to
//! stdout and stderr is logged, as by `log`. A wait of `poll` is journaled as `timer.sleep`, and all
//! else is local. Environment, files, sockets and HTTP are linked and denied. Nothing here reaches
//! the machine.

mod denied;
pub mod poll;
pub mod stream;

use wasmtime::component::{Component, HasSelf, Linker, Resource};

use super::Ctx;
use crate::bindings::wasi::wasi::cli::exit;
use crate::bindings::wasi::wasi::random::{insecure, insecure_seed, random};

/// Handles that an instance may hold at once: streams, pollables, what is denied.
pub(super) const MAX_HANDLES: usize = 4_096;
/// Random bytes in one call. WASI knows no shorter answer, so asking for more is a trap.
const MAX_RANDOM_BYTES: u64 = 64 << 10;

/// Adds what is served, and denies what else of WASI a component imports; to one that imports nothing
/// of it, nothing.
pub(super) fn link(linker: &mut Linker<Ctx>, component: &Component) -> wasmtime::Result<()> {
    let engine = linker.engine().clone();
    if !component
        .component_type()
        .imports(&engine)
        .any(|(name, _)| crate::plugin::wasi::import(name).is_some())
    {
        return Ok(());
    }
    crate::bindings::wasi::Served::add_to_linker::<_, HasSelf<Ctx>>(linker, |ctx| ctx)?;
    denied::link(linker, component)
}

/// What ends a guest that asks for what WASI has no answer to.
fn trap(why: impl Into<String>) -> wasmtime::Error {
    wasmtime::Error::msg(why.into())
}

impl Ctx {
    /// A new handle of the guest's.
    fn handle<T: Send + 'static>(&mut self, of: T) -> wasmtime::Result<Resource<T>> {
        self.table.push(of).map_err(|_| trap(format!("it holds more than {MAX_HANDLES} handles of WASI")))
    }

    /// The next random bytes of the instance: none are random before it runs.
    fn random_bytes<const N: usize>(&mut self) -> wasmtime::Result<[u8; N]> {
        let mut bytes = [0; N];
        if let Some(live) = self.called()? {
            live.frame.random(&mut bytes);
        }
        Ok(bytes)
    }
}

impl random::Host for Ctx {
    fn get_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        if length > MAX_RANDOM_BYTES {
            return Err(trap(format!(
                "it asked for {length} random bytes at once and may have {MAX_RANDOM_BYTES}"
            )));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        if let Some(live) = self.called()? {
            live.frame.random(&mut bytes);
        }
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        self.random_bytes().map(u64::from_le_bytes)
    }
}

impl insecure::Host for Ctx {
    fn get_insecure_random_bytes(&mut self, length: u64) -> wasmtime::Result<Vec<u8>> {
        random::Host::get_random_bytes(self, length)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        random::Host::get_random_u64(self)
    }
}

impl insecure_seed::Host for Ctx {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        let bytes = self.random_bytes::<16>()?;
        let number = u128::from_le_bytes(bytes);
        Ok((number as u64, (number >> 64) as u64))
    }
}

impl exit::Host for Ctx {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        let how = if status.is_ok() { "success" } else { "a failure" };
        Err(trap(format!("it called `exit` with {how} and gave nothing back")))
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(trap(format!("it called `exit` with {code} and gave nothing back")))
    }
}
