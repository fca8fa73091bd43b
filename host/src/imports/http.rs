//! `http`: a request, its redirects, and what came of it.
//!
//! An effect with a file and a price: what it brought, the file and what it spent are one commit. A
//! request is paid before it is sent, so that a crash gives nothing back.

pub(super) mod asked;
mod undo;

use serde::{Deserialize, Serialize};
use sublane_core::journal::{decode, encode};
use sublane_core::{Answer, ArtifactRef, Entry, Import, ImportError, LimitHit, Path, Purse};
use sublane_store::{By, Command};

use self::asked::{Asked, hash};
use super::artifact::check_name;
use super::translate::{Bytes, artifact_to_guest};
use super::{Ctx, Exit, Live};
use crate::bindings::sublane::plugin::{http, types};
use crate::http::head::Header;
use crate::http::{Failed, Hop, Missed, Reply, Sink};
use crate::secrets;

/// Bytes of a body that is sent from memory, or taken into it.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// What a file is when nobody says it.
const ANY_MEDIA_TYPE: &str = "application/octet-stream";

/// A response, as the journal keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    status: u16,
    url: String,
    headers: Vec<Header>,
    content: Content,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Content {
    Bytes(Bytes),
    File(ArtifactRef),
}

impl http::Host for Ctx {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::HttpError>> {
        let import = Import::HttpSend;
        let live = match self.live(import) {
            Ok(live) => live,
            Err(error) => return Ok(Err(http::HttpError::Host(error.into()))),
        };
        let hash = hash(import, &request);
        live.attempt.notes_call(|| asked::told(&request));
        let (path, held) = live.replayed::<Result<Kept, Failed>>(import, hash)?;
        let answer = match held {
            Some(answer) => answer,
            None => live.request(path, hash, request).await?,
        };
        Ok(match answer {
            Ok(Ok(kept)) => Ok(kept.into_guest()),
            Ok(Err(failed)) => Err(failed_to_guest(failed)),
            Err(error) => Err(http::HttpError::Host(error.into())),
        })
    }

    async fn undo(&mut self, request: http::Request) -> wasmtime::Result<Result<(), types::Error>> {
        self.undone(request).await
    }
}

impl Live {
    async fn request(
        &mut self,
        path: Path,
        args: u128,
        request: http::Request,
    ) -> wasmtime::Result<Answer<Result<Kept, Failed>>> {
        self.note_call().await?;
        let mut came = 0;
        let done = match self.perform(&path, request, &mut came).await? {
            Ok(kept) => Ok(Ok(kept)),
            Err(Missed::Host(error)) => Err(error),
            Err(Missed::Failed(failed)) => Ok(Err(failed)),
            Err(Missed::NoRoom(why)) => return Err(Exit::NoRoom(why).into()),
            Err(Missed::Fault(why)) => return Err(Exit::Fault(why).into()),
        };
        let file = match &done {
            Ok(Ok(Kept { content: Content::File(file), .. })) => Some(file.clone()),
            _ => None,
        };
        let spent = Purse { bytes_in: came, ..Purse::default() };
        let by = By { spent, ..self.attempt.by(false) };
        let entry = Entry { path, import: Import::HttpSend, args, result: "".into(), at: by.now };
        let command = Command::Requested { answer: encode(&done), file };
        let writing = self.attempt.meter.writing();
        let (entry, effects) =
            self.attempt.host.store.command(by, entry, command).await.map_err(Exit::store)?;
        self.attempt.wrote(&entry);
        self.attempt.host.dispatch(effects);
        drop(writing);
        Ok(decode(&entry).map_err(|error| Exit::Fault(error.to_string()))?)
    }

    /// The request and its redirects. `came` counts the bytes that are not paid yet.
    async fn perform(
        &mut self,
        path: &Path,
        request: http::Request,
        came: &mut u64,
    ) -> wasmtime::Result<Result<Kept, Missed>> {
        let mut asked = match self.check(Some(path), request).await? {
            Ok(asked) => asked,
            Err(error) => return Ok(Err(error.into())),
        };
        loop {
            let reply = match self.hop(&asked, came).await? {
                Ok(reply) => reply,
                Err(missed) => return Ok(Err(asked.in_its_words(missed))),
            };
            match &reply.location {
                None => return self.kept(asked, reply).await,
                Some(location) => {
                    if let Err(missed) = self.redirect(&mut asked, reply.status, location) {
                        return Ok(Err(missed));
                    }
                }
            }
        }
    }

    /// Pays for one exchange, with what the last one brought, and makes it.
    async fn hop(&self, asked: &Asked, came: &mut u64) -> wasmtime::Result<Result<Reply, Missed>> {
        let mut hop = match self.fill(asked) {
            Ok(hop) => hop,
            Err(error) => return Ok(Err(error.into())),
        };
        let spent = Purse { requests: 1, bytes_out: hop.size(), bytes_in: *came, ..Purse::default() };
        let purse = self.purse().await?;
        if let Err(limit) = purse.has(Purse { bytes_in: *came + 1, ..spent }) {
            return Ok(Err(ImportError::Limit(limit).into()));
        }
        let by = By { spent, ..self.attempt.by(false) };
        self.attempt.host.store.append(by, Vec::new()).await.map_err(Exit::store)?;
        hop.max_wire = purse.bytes_in - *came;
        let host = &self.attempt.host;
        let exchanged = std::pin::pin!(async {
            if !hop.is_bulk() {
                return Ok(host.http.exchange_here(hop, &host.artifacts).await);
            }
            let there = host.clone();
            host.on_io(async move { there.http.exchange(hop, &there.artifacts).await }).await
        });
        let exchanged = self.attempt.meter.or_stop(exchanged).await;
        let (reply, brought) = exchanged.map_err(Exit::Stopped)?.map_err(Exit::Fault)?;
        *came = brought;
        Ok(reply)
    }

    /// The request as it is sent, with the secrets in it.
    pub(super) fn fill(&self, asked: &Asked) -> Result<Hop, ImportError> {
        let host = &self.attempt.host;
        let (leg, seed) = (&asked.leg, &self.attempt.spec.seed);
        let placed = secrets::place(&host.secrets, &self.grants, seed, &leg.url, &leg.headers, &leg.payload);
        let placed = placed.map_err(|misuse| misuse.told(|denied| self.denied(denied)))?;
        Ok(Hop {
            method: leg.method.clone(),
            url: placed.url,
            headers: placed.headers,
            payload: placed.payload,
            deadline: asked.deadline,
            max_body: asked.max_body.min(MAX_BODY_BYTES),
            max_wire: 0,
            max_file: asked.file.as_ref().map(|(_, left)| asked.max_body.min(*left)),
            follows: asked.follows,
        })
    }

    /// Turns the request into the one that a redirect asks for, if it may be made.
    fn redirect(&self, asked: &mut Asked, status: u16, location: &str) -> Result<(), Missed> {
        let next = asked.leg.next(status, location, self.attempt.host.secrets.redactor())?;
        if let Err(denied) = self.grants.may_request(&next.method, next.url.target()) {
            return Err(Missed::Host(self.denied(denied)));
        }
        asked.leg = next;
        Ok(())
    }

    /// The response for the journal; a file gets its place.
    async fn kept(&self, asked: Asked, reply: Reply) -> wasmtime::Result<Result<Kept, Missed>> {
        let content = match (reply.sink, asked.file) {
            (Sink::File(mut staging), Some((file, _))) => {
                let said = reply.headers.iter().find(|(name, _)| name == "content-type");
                let said = said.and_then(|(_, value)| value.split(';').next()).map(str::trim);
                let said = said.filter(|media_type| check_name(&file.name, media_type).is_ok());
                let media_type = file.media_type.as_deref().or(said).unwrap_or(ANY_MEDIA_TYPE).to_owned();
                match staging.finish(file.name, media_type).await {
                    Ok(file) => Content::File(file),
                    Err(error) => return Ok(Err(error.into())),
                }
            }
            (Sink::File(_), None) => {
                return Ok(Err(Missed::Fault("a file that nobody asked for".to_owned())));
            }
            (Sink::Bytes(bytes), _) => Content::Bytes(Bytes(bytes)),
        };
        let url = self.attempt.host.secrets.redactor().text(&asked.leg.url.to_string()).into_owned();
        Ok(Ok(Kept { status: reply.status, url, headers: reply.headers, content }))
    }
}

impl Asked {
    /// A file that is cut off by the purse meets the purse's limit.
    fn in_its_words(&self, missed: Missed) -> Missed {
        match (&self.file, missed) {
            (Some((_, left)), Missed::Failed(Failed::TooLarge(most)))
                if most == *left && most < self.max_body =>
            {
                ImportError::Limit(LimitHit::new("purse.artifact-bytes", *left)).into()
            }
            (_, missed) => missed,
        }
    }
}

impl Kept {
    fn into_guest(self) -> http::Response {
        http::Response {
            status: self.status,
            url: self.url,
            headers: self.headers.into_iter().map(|(name, value)| http::Header { name, value }).collect(),
            content: match self.content {
                Content::Bytes(Bytes(bytes)) => http::Content::Bytes(bytes),
                Content::File(file) => http::Content::File(artifact_to_guest(file)),
            },
        }
    }
}

fn failed_to_guest(failed: Failed) -> http::HttpError {
    match failed {
        Failed::AddressRefused(host) => http::HttpError::AddressRefused(host),
        Failed::ConnectionFailed(why) => http::HttpError::ConnectionFailed(why),
        Failed::TimedOut => http::HttpError::TimedOut,
        Failed::TooLarge(most) => http::HttpError::TooLarge(most),
        Failed::BadRedirect(why) => http::HttpError::BadRedirect(why),
        Failed::Broken(why) => http::HttpError::Broken(why),
    }
}
