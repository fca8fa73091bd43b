//! fal's queue: submit, status with logs, result, cancel, signed webhooks and their public keys,
//! and the films themselves.
//!
//! Statuses and fields follow fal's documents as of November 2026 and `fal-client` 1.0.3. What
//! fal does not document is at its likeliest here, and said where it stands: what a repeated
//! `Idempotency-Key` is worth (nothing, unless the script says so), and that a job which is
//! cancelled sends no webhook.

mod answers;
mod control;
mod hooks;
mod jobs;
mod keys;
mod media;
pub mod script;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::wire::{Certificate, serve};
use jobs::State;
use script::{Endpoint, Script, When};

pub use jobs::{At, Call, Job};

/// How long a test waits for something to happen here before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Seconds since 1970, for the timestamps of webhooks.
pub type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

/// The system's clock.
#[must_use]
pub fn system_clock() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "a provider has a clock of its own")]
    let now = || std::time::SystemTime::now();
    Box::new(move || now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed()))
}

/// A stand-in for fal. It listens until it is dropped.
pub struct Fal {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls_address: SocketAddr,
    certificate: Arc<Certificate>,
    _serving: JoinSet<()>,
}

pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    changed: watch::Sender<()>,
    pub(crate) tasks: Mutex<JoinSet<()>>,
    pub(crate) clock: Clock,
    /// What `Authorization: Key …` must say.
    pub(crate) key: String,
}

impl Fal {
    /// Listens on free ports of 127.0.0.1, for whoever has this key.
    ///
    /// # Errors
    /// When the machine refuses it.
    pub async fn start(key: &str, clock: Clock) -> io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), key, clock).await
    }

    /// Listens here without TLS, and on another free port of the same address with it.
    ///
    /// # Errors
    /// When the machine refuses it.
    pub async fn listen(at: SocketAddr, key: &str, clock: Clock) -> io::Result<Self> {
        let certificate = Arc::new(Certificate::new()?);
        let plain = TcpListener::bind(at).await?;
        let tls = TcpListener::bind(SocketAddr::new(at.ip(), 0)).await?;
        let (address, tls_address) = (plain.local_addr()?, tls.local_addr()?);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: watch::Sender::default(),
            tasks: Mutex::default(),
            clock,
            key: key.to_owned(),
        });
        let answering = shared.clone();
        let answer = Arc::new(move |asked| {
            let shared = answering.clone();
            async move { answers::answer(&shared, asked).await }
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(plain, None, answer.clone()));
        serving.spawn(serve(tls, Some(certificate.clone()), answer));
        Ok(Self { shared, address, tls_address, certificate, _serving: serving })
    }

    /// Where it is without TLS: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it is with TLS: `127.0.0.1:PORT`.
    #[must_use]
    pub fn tls_host(&self) -> String {
        self.tls_address.to_string()
    }

    /// What vouches for it, as PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.certificate.authority
    }

    /// From now on it does this.
    pub fn script(&self, script: Script) {
        self.shared.change(|state| state.script = script);
    }

    /// Its jobs, in the order of their submits. Each was paid for.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.shared.state.lock().jobs.clone()
    }

    /// The requests of one kind, in order.
    #[must_use]
    pub fn calls(&self, endpoint: Endpoint) -> Vec<Call> {
        let is_one = |call: &&Call| call.endpoint == Some(endpoint);
        self.shared.state.lock().calls.iter().filter(is_one).cloned().collect()
    }

    /// A job is done. Whether it was open.
    pub fn finish(&self, id: &str) -> bool {
        self.shared.finish(id)
    }

    /// The webhook of a job is sent now, whatever its script says. Whether there is one.
    pub fn release(&self, id: &str) -> bool {
        self.shared.release(id)
    }

    /// A job is not there any more. Whether it was.
    pub fn forget(&self, id: &str) -> bool {
        self.shared.forget(id)
    }

    /// Another key signs webhooks from now on. The old one stays published, or not.
    pub fn rotate_keys(&self, keep_old: bool) {
        self.shared.change(|state| state.keys.rotate(keep_old));
    }

    /// Waits until `holds`, looked at whenever something has happened here.
    ///
    /// # Panics
    /// When it does not come to hold in time.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !holds(self) {
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let is_so = tokio::time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(is_so, "waited in vain: {what}; jobs {:#?}", self.jobs());
    }
}

impl Shared {
    /// Changes something, and tells whoever waits.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock());
        self.changed.send_replace(());
        changed
    }

    /// A job comes to be there, if it is open. Whether it was.
    pub(crate) fn go_on(self: &Arc<Self>, id: &str, at: At) -> bool {
        let was_open = self.change(|state| {
            let Some(job) = state.job(id).filter(|job| job.at.is_open()) else { return false };
            job.at = at;
            true
        });
        if was_open && at == At::Done {
            self.told_done(id);
        }
        was_open
    }

    /// A job has just been done.
    pub(crate) fn told_done(self: &Arc<Self>, id: &str) {
        let when = self.state.lock().job(id).map(|job| job.webhook.when);
        if when == Some(When::Done) {
            hooks::send_later(self, id);
        }
    }

    pub(crate) fn finish(self: &Arc<Self>, id: &str) -> bool {
        self.go_on(id, At::Done)
    }

    pub(crate) fn release(self: &Arc<Self>, id: &str) -> bool {
        let has_one = self.state.lock().job(id).is_some_and(|job| job.hook.is_some());
        if has_one {
            hooks::send_later(self, id);
        }
        has_one
    }

    pub(crate) fn forget(self: &Arc<Self>, id: &str) -> bool {
        self.change(|state| state.job(id).map(|job| job.at = At::Forgotten).is_some())
    }
}
