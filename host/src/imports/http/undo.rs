//! `http.undo`: a request that is made when the run ends otherwise than with success.
//!
//! A command: it is checked and paid here; its entry is what the ending finds.

use sublane_core::undo::Undo;
use sublane_core::{Import, ImportError, LimitHit, Purse};
use sublane_store::Command;

use super::asked::hash;
use crate::bindings::sublane::plugin::{http, types};
use crate::http::Payload;
use crate::http::redirect::Leg;
use crate::imports::translate::answer;
use crate::imports::{Ctx, Live};

/// Bytes of its body.
const MAX_BODY_BYTES: u64 = 64 << 10;

impl Ctx {
    pub(super) async fn undone(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        let import = Import::HttpUndo;
        let live = live!(self, import);
        let args = hash(import, &request);
        live.attempt.notes_call(|| super::asked::told(&request));
        let done = live.command::<Undo>(import, args, async |live| live.undo(request).await);
        answer(done.await.map(|done| done.map(drop)))
    }
}

/// What a request must not have that nobody reads the answer of.
fn text_of(request: &http::Request) -> Result<Option<String>, ImportError> {
    let invalid = |why: &str| Err(ImportError::Invalid(why.to_owned()));
    if request.timeout.is_some() || request.max_body.is_some() || request.max_redirects.is_some() {
        return invalid("the host says how an undo request is made: it has no bounds of its own");
    }
    if request.into_file.is_some() {
        return invalid("nobody reads what an undo request brings: it makes no file");
    }
    match &request.body {
        http::Body::None => Ok(None),
        http::Body::Artifact(_) => invalid("the body of an undo request is a text, not a file"),
        http::Body::Bytes(bytes) if bytes.len() as u64 > MAX_BODY_BYTES => {
            Err(ImportError::Limit(LimitHit::new("http.undo-bytes", MAX_BODY_BYTES)))
        }
        http::Body::Bytes(bytes) => match String::from_utf8(bytes.clone()) {
            Ok(text) => Ok(Some(text)),
            Err(_) => invalid("the body of an undo request is a text: it must be UTF-8"),
        },
    }
}

impl Live {
    /// Everything that can be said before the run has ended.
    async fn undo(&mut self, request: http::Request) -> wasmtime::Result<Result<Command, ImportError>> {
        if self.is_tool {
            let why = "a tool call is short: what it began is nobody's to undo";
            return Ok(Err(ImportError::Invalid(why.to_owned())));
        }
        let body = match text_of(&request) {
            Ok(body) => body,
            Err(error) => return Ok(Err(error)),
        };
        let asked = match self.check(None, request).await? {
            Ok(asked) => asked,
            Err(error) => return Ok(Err(error)),
        };
        // Filled in once now, so that a secret in the wrong place is told to who put it there.
        let price = match self.fill(&asked) {
            Ok(hop) => Purse { requests: 1, bytes_out: hop.size(), ..Purse::default() },
            Err(error) => return Ok(Err(error)),
        };
        if let Err(limit) = self.purse().await?.has(price) {
            return Ok(Err(ImportError::Limit(limit)));
        }
        debug_assert!(!matches!(asked.leg.payload, Payload::File(_)), "it was refused above");
        let Leg { method, url, headers, .. } = asked.leg;
        let undo = Undo { method, url: url.to_string(), headers, body };
        Ok(Ok(Command::Undo { undo, price }))
    }
}
