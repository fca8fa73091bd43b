//! `secret`: what stands for a secret in a guest.

use sublane_core::{Import, ImportError};

use super::Ctx;
use super::translate::answer;
use crate::bindings::sublane::plugin::{secret, types};
use crate::secrets::placeholder;

impl secret::Host for Ctx {
    async fn placeholder(&mut self, name: String) -> wasmtime::Result<Result<String, types::Error>> {
        let import = Import::SecretPlaceholder;
        let live = live!(self, import);
        let given = live.effect(import, live.args(import, &[name.as_bytes()]), async |live| {
            // Where it may stand and to whom it may go is asked when it goes there.
            let Some(grant) = live.grants.secrets().iter().find(|grant| grant.name == name) else {
                return Ok(Err(live.denied_secret(&name)));
            };
            if !live.attempt.host.secrets.has(&grant.name) {
                return Ok(Err(ImportError::NotFound));
            }
            Ok(Ok(placeholder(&live.attempt.spec.seed, &name)))
        });
        answer(given.await)
    }
}
