//! One poll: looked at, paid, made, and what it comes to.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use sublane_core::grants::Denied;
use sublane_core::poll::{Ending, MAX_RETRY_AFTER, Plan, Poll, PollResponse, Streak, Trouble, Verdict};
use sublane_core::{Answer, Grants, ImportError, Purse, Run, Timestamp};
use sublane_store::{DuePoll, PollMove, Polled, StoreError};

use super::rules;
use super::servers::Heard;
use crate::channel::scrub_line;
use crate::host::Inner;
use crate::http::head::Header;
use crate::http::redirect::Leg;
use crate::http::url::Url;
use crate::http::{Failed, Hop, Missed, Payload, Reply, Sink, deadline};
use crate::secrets;

/// How long after its time a poll is taken for lost.
const LOST: Duration = Duration::from_secs(5);
/// Bytes of an answer whose rules are looked at where it came in.
const LOOKED_AT_BYTES: usize = 16 << 10;

/// Makes a poll that is due.
pub(super) async fn ask(host: &Arc<Inner>, due: DuePoll) -> Heard {
    let DuePoll { poll, plan, run } = due;
    let narrowed = host.allowed.left_of(&run.spec);
    let (id, began) = (poll.id, poll.made);
    let asked = Asker { host: host.clone(), poll, run, plan, narrowed, began, came: 0 }.ask().await;
    asked.unwrap_or_else(|error| {
        tracing::error!(poll = %id, %error, "a poll could not be made; it is due again");
        Heard::Nothing
    })
}

/// A poll on its way.
struct Asker {
    host: Arc<Inner>,
    poll: Poll,
    run: Run,
    plan: Arc<Plan>,
    /// What the run may do today, if that is less than it was given.
    narrowed: Option<Grants>,
    /// Polls that were begun before this one.
    began: u32,
    /// Bytes that came and are not paid yet.
    came: u64,
}

impl Asker {
    /// What the run may do today.
    fn grants(&self) -> &Grants {
        self.narrowed.as_ref().unwrap_or(&self.run.spec.grants)
    }

    async fn ask(mut self) -> Result<Heard, StoreError> {
        let mut leg = match self.first() {
            Ok(leg) => leg,
            Err(error) => return self.ends(Err(error), Heard::Nothing).await,
        };
        let timeout = Duration::from_millis(self.plan.request.timeout_ms);
        let deadline = deadline(timeout);
        loop {
            let mut hop = match self.fill(&leg) {
                Ok(hop) => hop,
                Err(error) => return self.ends(Err(error), Heard::Nothing).await,
            };
            hop.deadline = deadline;
            let spent = Purse { requests: 1, bytes_out: hop.size(), bytes_in: self.came, ..Purse::default() };
            let now = self.host.clock.now();
            let moved = match self.poll.made == self.began {
                true => PollMove::Begin { again: now.after(timeout + LOST) },
                false => PollMove::Redirected,
            };
            if self.moved(spent, moved).await? != Polled::On {
                return Ok(Heard::Nothing);
            }
            self.poll.made = self.began + 1;
            self.run.purse.spend(spent);
            hop.max_wire = self.run.purse.bytes_in;
            let (exchanged, came) = self.host.http.exchange(hop, &self.host.artifacts).await;
            self.came = came;
            let reply = match exchanged {
                Ok(reply) => reply,
                Err(missed) => return self.missed(missed).await,
            };
            let Some(location) = &reply.location else { return self.answered(leg, reply).await };
            let next = match leg.next(reply.status, location, self.host.secrets.redactor()) {
                Ok(next) => next,
                Err(failed) => return self.missed(failed.into()).await,
            };
            if let Err(denied) = self.grants().may_request(&next.method, next.url.target()) {
                let denied = self.denied(&denied);
                return self.ends(Err(denied), Heard::Answer).await;
            }
            leg = next;
        }
    }

    /// The plan's request, if it may be made today.
    fn first(&self) -> Result<Leg, ImportError> {
        let request = &self.plan.request;
        let url = Url::parse(&request.url).map_err(ImportError::Invalid)?;
        self.grants().may_request(&request.method, url.target()).map_err(|denied| self.denied(&denied))?;
        let body = request.body.clone().map(Bytes::from);
        Ok(Leg {
            method: request.method.clone(),
            url,
            headers: request.headers.clone(),
            payload: body.map_or(Payload::None, Payload::Bytes),
            redirects: request.redirects,
        })
    }

    /// The request as it is sent, with the secrets in it.
    fn fill(&self, leg: &Leg) -> Result<Hop, ImportError> {
        let (secrets, seed) = (&self.host.secrets, &self.run.spec.seed);
        let placed = secrets::place(secrets, self.grants(), seed, &leg.url, &leg.headers, &leg.payload);
        let placed = placed.map_err(|misuse| misuse.told(|denied| self.denied(&denied)))?;
        Ok(Hop {
            method: leg.method.clone(),
            url: placed.url,
            headers: placed.headers,
            payload: placed.payload,
            deadline: deadline(Duration::ZERO),
            max_body: self.plan.request.max_body,
            max_wire: 0,
            max_file: None,
            follows: self.plan.request.redirects > 0,
        })
    }

    /// Says what the run may not ask any more, or where a redirect led.
    fn denied(&self, denied: &Denied) -> ImportError {
        let capability = denied.capability.to_string();
        tracing::warn!(
            target: "sublane::denied",
            run = %self.run.spec.id,
            plugin = %self.run.spec.plugin,
            capability = %scrub_line(&capability),
            "denied to a poll"
        );
        ImportError::Denied(capability)
    }

    async fn moved(&self, spent: Purse, moved: PollMove) -> Result<Polled, StoreError> {
        let (id, made, now) = (self.poll.id, self.poll.made, self.host.clock.now());
        let (polled, effects) = self.host.store.poll(id, made, spent, moved, now).await?;
        self.host.dispatch(effects);
        Ok(polled)
    }

    /// What came and is not paid yet.
    fn rest(&self) -> Purse {
        Purse { bytes_in: self.came, ..Purse::default() }
    }

    async fn ends(&self, answer: Answer<Ending>, heard: Heard) -> Result<Heard, StoreError> {
        self.moved(self.rest(), PollMove::Ends(answer)).await?;
        Ok(heard)
    }

    /// No answer came. Most reasons may be others at the next poll.
    async fn missed(self, missed: Missed) -> Result<Heard, StoreError> {
        let broken = |trouble| Ok(Ending::Broken(trouble));
        let (seen, heard) = match missed {
            Missed::Host(error) => return self.ends(Err(error), Heard::Nothing).await,
            Missed::Failed(Failed::AddressRefused(name)) => {
                return self.ends(broken(Trouble::AddressRefused(name)), Heard::Nothing).await;
            }
            Missed::Failed(Failed::TooLarge(most)) => {
                return self.ends(broken(Trouble::TooLarge(most)), Heard::Answer).await;
            }
            Missed::Failed(Failed::BadRedirect(why)) => {
                return self.ends(broken(Trouble::BadRedirect(why)), Heard::Answer).await;
            }
            Missed::Failed(Failed::ConnectionFailed(why)) => {
                (format!("no connection: {why}"), Heard::Silence)
            }
            Missed::Failed(Failed::TimedOut) => ("no answer in time".to_owned(), Heard::Silence),
            Missed::Failed(Failed::Broken(why)) => (format!("no answer: {why}"), Heard::Silence),
            Missed::NoRoom(why) | Missed::Fault(why) => (why, Heard::Nothing),
        };
        self.goes_on(seen, false, None, None).await?;
        Ok(heard)
    }

    async fn answered(self, leg: Leg, mut reply: Reply) -> Result<Heard, StoreError> {
        let status = reply.status;
        let heard = if (500..=599).contains(&status) { Heard::Silence } else { Heard::Answer };
        let body = match std::mem::replace(&mut reply.sink, Sink::Bytes(Vec::new())) {
            Sink::Bytes(body) => body,
            Sink::File(_) => Vec::new(),
        };
        let (plan, streak) = (self.plan.clone(), self.poll.streak);
        let judge = move |body: Vec<u8>| {
            let answer = rules::Answer::new(status, &body, plan.rules());
            let (verdict, seen) = (plan.judge(streak, |rule| answer.meets(rule)), answer.said());
            (verdict, seen, body)
        };
        let judged = match body.len() <= LOOKED_AT_BYTES {
            true => Ok(judge(body)),
            false => self.host.clone().blocking(move |_| judge(body)).await,
        };
        let (verdict, seen, body) = match judged {
            Ok(judged) => judged,
            Err(why) => return self.missed(Missed::Fault(why)).await,
        };
        let ending = match verdict {
            Verdict::GoesOn { known, streak } => {
                let wish = reply.headers.iter().find(|(name, _)| name == "retry-after");
                let wish = wish.and_then(|(_, value)| retry_after(value, self.host.clock.now()));
                self.goes_on(seen, known, streak, wish).await?;
                return Ok(heard);
            }
            Verdict::Done => Ending::Done(self.kept(&leg, reply, body)),
            Verdict::Failed => Ending::Failed(self.kept(&leg, reply, body)),
        };
        self.ends(Ok(ending), heard).await
    }

    /// The answer for the journal.
    fn kept(&self, leg: &Leg, reply: Reply, body: Vec<u8>) -> PollResponse {
        let is_wanted =
            |name: &str| name == "content-type" || self.plan.headers.iter().any(|wanted| wanted == name);
        let headers: Vec<Header> = reply.headers.into_iter().filter(|(name, _)| is_wanted(name)).collect();
        let url = self.host.secrets.redactor().text(&leg.url.to_string()).into_owned();
        PollResponse { status: reply.status, url, headers, body: body.into() }
    }

    async fn goes_on(
        &self,
        seen: String,
        known: bool,
        streak: Streak,
        wish: Option<Duration>,
    ) -> Result<(), StoreError> {
        // Searched once more: what was escaped in the body is not any more.
        let seen: Arc<str> = scrub_line(&self.host.secrets.redactor().text(&seen)).into();
        let delay = self.plan.pace.delay(self.poll.made, self.poll.id);
        let delay = delay.max(wish.unwrap_or_default().min(MAX_RETRY_AFTER));
        let due = self.host.clock.now().after(delay);
        let moved = PollMove::GoesOn { due, seen: seen.clone(), streak };
        let is_on = self.moved(self.rest(), moved).await? == Polled::On;
        if is_on && !known && self.poll.seen.as_ref() != Some(&seen) {
            self.tell(&seen);
        }
        Ok(())
    }

    /// Says to the operator what no rule of the plan knows.
    fn tell(&self, seen: &str) {
        let place = scrub_line(self.plan.request.place());
        tracing::warn!(target: "sublane::polls", run = %self.run.spec.id, place, seen, "a poll sees what no rule knows");
        let what = format!("{place}: {seen}, which no rule of the poll knows; it goes on");
        let (run, now) = (&self.run, self.host.clock.now());
        self.host.logs.tell(run.spec.id, run.generation, run.attempt, now, &what);
    }
}

/// Seconds or an HTTP date.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(value.trim()).ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(Timestamp(0).after(at).since(now))
}
