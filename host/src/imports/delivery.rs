//! `delivery`: something for people on the way.

use sublane_core::grants::ChannelGrant;
use sublane_core::{DeliveryId, Import, ImportError};
use sublane_store::Command;

use super::translate::{answer, artifacts_from_guest};
use super::{Ctx, Exit, Live};
use crate::bindings::sublane::plugin::{delivery, types};

/// Artifacts that go with one message.
const MAX_ARTIFACTS: usize = 32;
/// Bytes of a message to people.
const MAX_TEXT_BYTES: usize = 16 << 10;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

impl delivery::Host for Ctx {
    async fn send(&mut self, destination: String, message: delivery::Message) -> Reply<String> {
        let import = Import::Deliver;
        let live = live!(self, import);
        let files = artifacts_from_guest(message.artifacts);
        let listed = serde_json::to_string(&files).map_err(|error| Exit::Fault(error.to_string()))?;
        let args = live.args(import, &[destination.as_bytes(), message.text.as_bytes(), listed.as_bytes()]);
        let done = live.command::<DeliveryId>(import, args, async |live| {
            let to: ChannelGrant = match destination.parse() {
                Ok(to) => to,
                Err(error) => return Ok(Err(ImportError::Invalid(format!("{error}")))),
            };
            if let Err(denied) = live.grants.may_deliver(&to) {
                return Ok(Err(live.denied(denied)));
            }
            if message.text.is_empty() || message.text.len() > MAX_TEXT_BYTES {
                return Ok(Err(ImportError::Invalid(format!("the text has 1 to {MAX_TEXT_BYTES} bytes"))));
            }
            if files.len() > MAX_ARTIFACTS {
                return Ok(Err(ImportError::Invalid(format!(
                    "a message has at most {MAX_ARTIFACTS} artifacts"
                ))));
            }
            let artifacts = match live.readable(files).await? {
                Ok(artifacts) => artifacts,
                Err(error) => return Ok(Err(error)),
            };
            let destination = match to {
                ChannelGrant::Origin => live.attempt.spec.origin.clone(),
                ChannelGrant::Address(destination) => destination,
            };
            let text = live.attempt.host.secrets.redactor().text(&message.text).into();
            Ok(Ok(Command::Deliver { destination, text, artifacts }))
        });
        answer(done.await.map(|sent| sent.map(|id| id.to_string())))
    }
}

impl Live {
    /// Artifacts that the guest names, as the store knows them, if the run may read all of them.
    pub(super) async fn readable(
        &self,
        named: Vec<sublane_core::ArtifactRef>,
    ) -> wasmtime::Result<Result<Vec<sublane_core::ArtifactRef>, ImportError>> {
        let mut artifacts = Vec::with_capacity(named.len());
        for file in named {
            let host = &self.attempt.host;
            let known = host.store.readable_artifact(self.attempt.spec.id, file.id.as_str().into());
            match known.await.map_err(Exit::store)? {
                Ok(known) => artifacts.push(known),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(artifacts))
    }
}
