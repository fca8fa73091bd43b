//! `hook`: URLs that somebody outside calls once.

use sublane_core::hook::{CallAnswer, HookState, OpenAnswer, Verification};
use sublane_core::{HookId, Import, ImportError};
use sublane_store::{Command, WaitFor};

use super::subagent::flagged;
use super::translate::answer;
use super::{Ctx, Due, Exit, Live};
use crate::bindings::sublane::plugin::{hook, types};
use crate::hooks::token;
use crate::http::url::Url;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

fn only_in_agents(live: &Live) -> Result<(), ImportError> {
    match live.is_tool {
        true => Err(ImportError::Invalid("a tool call is short: hooks belong to agents".to_owned())),
        false => Ok(()),
    }
}

impl hook::Host for Ctx {
    async fn open(&mut self, verification: hook::Verification) -> Reply<hook::Opened> {
        let import = Import::HookOpen;
        let live = live!(self, import);
        let (kind, name): (&[u8], &str) = match &verification {
            hook::Verification::Nobody => (b"nobody", ""),
            hook::Verification::StandardWebhooks(secret) => (b"standard-webhooks", secret),
            hook::Verification::Fal(keys) => (b"fal", keys),
        };
        let args = live.args(import, &[kind, name.as_bytes()]);
        let opened = live.command::<OpenAnswer>(import, args, async |live| {
            let verification = match only_in_agents(live).and_then(|()| live.may_verify(verification)) {
                Ok(verification) => verification,
                Err(error) => return Ok(Err(error)),
            };
            let Some(door) = &live.attempt.host.hooks else {
                live.attempt.tell(
                    "a hook cannot be opened: `[hooks] listen` in the configuration says where calls come in",
                );
                return Ok(Err(ImportError::Unavailable(None)));
            };
            let (text, token) = token().map_err(|error| Exit::Fault(error.to_string()))?;
            let url = door.url(&text).into();
            Ok(Ok(Command::OpenHook { token, url, verification }))
        });
        answer(opened.await.map(|opened| {
            opened.map(|hook| hook::Opened { id: hook.id.to_string(), url: hook.url.to_string() })
        }))
    }

    async fn wait(&mut self, hook: String, timeout: Option<u64>) -> Reply<Option<hook::Call>> {
        let import = Import::HookWait;
        let live = live!(self, import);
        let limit = timeout.map_or([0; 9], flagged);
        let args = live.args(import, &[hook.as_bytes(), &limit]);
        let called = live.wait::<Option<CallAnswer>>(import, args, async |live, _| {
            let own = live.own_hook(&hook).await?;
            let own = only_in_agents(live).and(own);
            Ok(own.map(|hook| (WaitFor::Hook { hook }, Due::Within(timeout))))
        });
        answer(called.await.map(|called| called.map(|call| call.map(call_to_guest))))
    }

    async fn close(&mut self, hook: String) -> Reply<()> {
        let import = Import::HookClose;
        let live = live!(self, import);
        let closed = live.command::<()>(import, live.args(import, &[hook.as_bytes()]), async |live| {
            let id = hook.parse::<HookId>().map_err(|_| ImportError::NotFound);
            Ok(only_in_agents(live).and(id).map(Command::CloseHook))
        });
        answer(closed.await)
    }
}

pub(super) fn call_to_guest(call: CallAnswer) -> hook::Call {
    hook::Call {
        key: call.key.to_string(),
        at: call.at.0,
        trust: if call.verified { hook::Trust::Verified } else { hook::Trust::Hint },
        media_type: call.media_type.as_deref().map(str::to_owned),
        body: call.body.to_vec(),
    }
}

impl Live {
    /// A hook of the run that can still be waited for.
    pub(super) async fn own_hook(&self, hook: &str) -> wasmtime::Result<Result<HookId, ImportError>> {
        let Ok(id) = hook.parse::<HookId>() else { return Ok(Err(ImportError::NotFound)) };
        let hooks = self.attempt.host.store.hooks_of(self.attempt.spec.id).await.map_err(Exit::store)?;
        let can_tell = |state: &HookState| matches!(state, HookState::Open | HookState::Called(_));
        let found = hooks.iter().find(|hook| hook.id == id && can_tell(&hook.state));
        Ok(found.map(|_| id).ok_or(ImportError::NotFound))
    }

    /// How callers are to be verified, if the grants cover what that needs.
    fn may_verify(&self, wanted: hook::Verification) -> Result<Verification, ImportError> {
        Ok(match wanted {
            hook::Verification::Nobody => Verification::Nobody,
            hook::Verification::StandardWebhooks(secret) => {
                if !self.grants.secrets().iter().any(|grant| grant.name == secret) {
                    return Err(self.denied_secret(&secret));
                }
                let host = &self.attempt.host;
                let keys = host.secrets.webhook_keys(&secret).ok_or(ImportError::NotFound)?;
                keys.map_err(|why| ImportError::Invalid(format!("the secret `{secret}` {why}")))?;
                Verification::StandardWebhooks { secret }
            }
            hook::Verification::Fal(keys) => {
                let url = Url::parse(&keys).map_err(ImportError::Invalid)?;
                self.grants.may_request("GET", url.target()).map_err(|denied| self.denied(denied))?;
                Verification::Fal { keys }
            }
        })
    }
}
