//! One attempt: a claim on a run, its journal, and what ends it.
//!
//! Shared by all instances that execute in the attempt. Owns the parking of a
//! run whose instance stays in memory: the wait's row is the truth, the parked
//! instance is a cache of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use std::ops::ControlFlow;

use parking_lot::Mutex;
use sublane_core::{Entry, Import, Path, Purse, RunSpec, Timestamp, Token};
use sublane_store::{By, Effects};
use tokio::sync::{Notify, oneshot};

use crate::engine::Class;
use crate::engine::guest::{Meter, Stop};
use crate::host::Inner;
use crate::journal::{Journal, JournalError, NEARLY_PER_CENT, Usage, seed_of_generation};

/// Why an attempt's guest was left without an outcome of its own.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Exit {
    /// The instance was dropped while its run waits.
    #[error("the instance was dropped while its run waits")]
    Evicted,
    /// The claim is not the newest on its run.
    #[error("the attempt's claim is stale")]
    Stale,
    /// Somebody stopped it.
    #[error("the attempt was stopped: {0:?}")]
    Stopped(Stop),
    /// The run goes on as new: it is queued in its next generation.
    #[error("the run goes on as new")]
    Continued,
    /// Its plugin is paused, and it had not begun.
    #[error("the plugin is paused")]
    Paused,
    /// The journal does not answer.
    #[error(transparent)]
    Journal(JournalError),
    /// The version of a plugin that a tool call was begun on cannot be had any more.
    #[error("{0}")]
    Unavailable(String),
    /// There is no room on the disk.
    #[error("there is no room on the disk: {0}")]
    NoRoom(String),
    /// The guest came to where its journal ends, and nothing is done now: it is only looked at.
    #[error("the journal ends before entry {0}, {1}")]
    JournalEnd(Path, Import),
    /// The host failed.
    #[error("the host failed: {0}")]
    Fault(String),
}

/// Looks on while a run is executed again from its journal alone, and nothing new is done.
pub trait Witness: Send + Sync {
    /// The guest calls an import at this place, with these arguments in words.
    fn called(&self, path: &Path, import: Import, arguments: &str);
    /// The journal answers the call. A break ends the replay here.
    fn answered(&self, entry: &Entry) -> ControlFlow<()>;
    /// The guest trapped, there.
    fn trapped(&self, backtrace: &str);
}

/// How an attempt stands to its lane, which alone writes it, under its lock.
#[derive(Debug)]
pub(crate) struct Standing {
    /// It holds a slot.
    pub(crate) has_slot: AtomicBool,
    /// It executes no more, and takes none.
    pub(crate) has_left: AtomicBool,
}

impl Default for Standing {
    /// An attempt begins on a slot.
    fn default() -> Self {
        Self { has_slot: true.into(), has_left: false.into() }
    }
}

/// One execution of a run on this host, from claim to ending, wait or crash.
pub struct Attempt {
    /// The host.
    pub host: Arc<Inner>,
    /// The run.
    pub spec: Arc<RunSpec>,
    /// Its generation.
    pub generation: u32,
    /// The seed of what is random in that.
    pub seed: [u8; 32],
    /// Which attempt of the run it is, from 1.
    pub number: u32,
    /// The claim.
    pub token: Token,
    /// The engine that its agent's instance is on.
    pub class: Class,
    /// What it has done so far.
    pub journal: Journal,
    /// Guest CPU, and the word to stop.
    pub meter: Arc<Meter>,
    /// Who looks on. With one, the journal is all there is: where it ends, the attempt does.
    pub witness: Option<Arc<dyn Witness>>,
    /// The arguments of the call under way, in words, for the witness.
    call: Mutex<String>,
    resume: Mutex<Option<oneshot::Sender<Entry>>>,
    evict: Notify,
    /// Changed by its lane alone.
    pub(crate) standing: Standing,
    /// Whether a tool call had an instance on each engine, small and large.
    called_on: [AtomicBool; 2],
    /// The plugins whose tools it called, each once.
    called: Mutex<Vec<Arc<str>>>,
    parked_since: AtomicU64,
    gone: Mutex<Vec<oneshot::Sender<()>>>,
    last_error: Mutex<String>,
    continued: Mutex<Option<Effects>>,
}

impl Attempt {
    /// A claimed run that is about to execute.
    #[must_use]
    pub fn new(
        host: Arc<Inner>,
        run: &sublane_core::Run,
        token: Token,
        class: Class,
        journal: Journal,
        meter: Arc<Meter>,
        witness: Option<Arc<dyn Witness>>,
    ) -> Arc<Self> {
        meter.set_free(journal.is_replaying());
        Arc::new(Self {
            host,
            spec: run.spec.clone(),
            generation: run.generation,
            seed: seed_of_generation(run),
            number: run.attempt,
            token,
            class,
            journal,
            meter,
            witness,
            call: Mutex::default(),
            resume: Mutex::new(None),
            evict: Notify::new(),
            standing: Standing::default(),
            called_on: Default::default(),
            called: Mutex::default(),
            parked_since: AtomicU64::new(0),
            gone: Mutex::new(Vec::new()),
            last_error: Mutex::new(String::new()),
            continued: Mutex::default(),
        })
    }

    /// What is called now, in words, if somebody looks on.
    pub fn notes_call(&self, arguments: impl FnOnce() -> String) {
        if self.witness.is_some() {
            *self.call.lock() = arguments();
        }
    }

    /// What was noted of the call under way.
    #[must_use]
    pub fn take_call(&self) -> String {
        std::mem::take(&mut self.call.lock())
    }

    /// Who writes, now. With `charge` the guest CPU and host calls since the last such call go with it.
    #[must_use]
    pub fn by(&self, charge: bool) -> By {
        self.by_at(charge, self.now())
    }

    /// The time of the next entry.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.journal.next_at(self.host.clock.now())
    }

    /// As [`Self::by`], at an instant that [`Self::now`] gave.
    #[must_use]
    pub fn by_at(&self, charge: bool, now: Timestamp) -> By {
        By {
            run: self.spec.id,
            token: self.token,
            spent: if charge { self.meter.take_spent() } else { Purse::default() },
            link_base: self.host.link_base.clone(),
            now,
        }
    }

    /// An entry was written. Once a journal is nearly full, it is said.
    pub fn wrote(&self, entry: &Entry) {
        if self.journal.wrote(entry) {
            self.tell_nearly_full();
        }
    }

    /// Says that the journal is nearly full: to the operator, and in the run's log.
    pub fn tell_nearly_full(&self) {
        let Usage { entries, bytes, bounds } = self.journal.usage();
        let (most, most_bytes) = (bounds.entries, bounds.bytes);
        self.tell(&format!(
            "the journal is {NEARLY_PER_CENT} % full: {entries} of {most} entries, {bytes} of {most_bytes} bytes; \
             when it is full the run fails"
        ));
    }

    /// Says what the operator should know of the run: in the host's log, and in the run's.
    pub fn tell(&self, what: &str) {
        let run = self.spec.id;
        tracing::warn!(%run, agent = %self.spec.agent_name(), "{what}");
        let now = self.host.clock.now();
        self.host.logs.tell(run, self.generation, self.number, now, what);
    }

    /// An entry was answered from the journal: at its end the purse is charged again.
    pub fn replayed(&self) {
        if !self.journal.is_replaying() {
            self.meter.set_free(false);
        }
    }

    /// Gets ready to be resumed, before the wait is opened.
    pub fn arm(&self) -> oneshot::Receiver<Entry> {
        let (resume, resumed) = oneshot::channel();
        *self.resume.lock() = Some(resume);
        resumed
    }

    /// The wait was decided and the run has a slot again.
    pub fn resume(&self, entry: Entry) {
        if let Some(resume) = self.resume.lock().take() {
            // An attempt that was stopped meanwhile listens no more.
            let _ = resume.send(entry);
        }
    }

    /// A tool call of it gets an instance of this plugin, on this engine.
    pub fn calls(&self, class: Class, plugin: &Arc<str>) {
        self.called_on[class as usize].store(true, Ordering::Relaxed);
        let mut called = self.called.lock();
        if !called.contains(plugin) {
            called.push(plugin.clone());
        }
    }

    /// Whether dropping its instances may give this plugin back some of its share.
    #[must_use]
    pub fn is_of(&self, plugin: &str) -> bool {
        self.spec.plugin == plugin || self.called.lock().iter().any(|called| **called == *plugin)
    }

    /// Whether dropping its instances may make room on this engine.
    #[must_use]
    pub fn is_on(&self, class: Class) -> bool {
        self.class == class || self.called_on[class as usize].load(Ordering::Relaxed)
    }

    /// Whether somebody who has a slot waits for what its instances hold.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        [Class::Small, Class::Large].into_iter().any(|class| {
            let pool = &self.host.engines.of(class).pool;
            self.is_on(class) && pool.is_wanted(|plugin| self.is_of(plugin))
        })
    }

    /// Asks a parked attempt to drop its instance.
    pub fn evict(&self) {
        self.evict.notify_one();
    }

    /// Since when it is parked.
    #[must_use]
    pub fn parked_since(&self) -> Timestamp {
        Timestamp(self.parked_since.load(Ordering::Relaxed))
    }

    /// Ready when the attempt's instances are gone.
    pub fn on_gone(&self) -> oneshot::Receiver<()> {
        let (gone, wait) = oneshot::channel();
        self.gone.lock().push(gone);
        wait
    }

    /// The run went on as new: what follows is done when this attempt is gone.
    pub fn continues(&self, effects: Effects) {
        *self.continued.lock() = Some(effects);
    }

    /// What follows from that the run went on as new.
    pub fn take_continued(&self) -> Effects {
        self.continued.lock().take().unwrap_or_default()
    }

    /// Remembers what the guest last logged as an error: a panic says there where it was.
    pub fn last_error(&self, message: &str) {
        message.clone_into(&mut self.last_error.lock());
    }

    /// What the guest last logged as an error; empty if nothing.
    #[must_use]
    pub fn take_last_error(&self) -> String {
        std::mem::take(&mut self.last_error.lock())
    }

    /// The attempt's instances are gone.
    pub fn is_gone(&self) {
        self.gone.lock().clear();
    }
}

/// Sits parked, without a slot, until the wait is decided, the instance is
/// wanted back, or the attempt is stopped.
pub async fn parked(attempt: &Arc<Attempt>, mut resumed: oneshot::Receiver<Entry>) -> Result<Entry, Exit> {
    attempt.parked_since.store(attempt.host.clock.now().0, Ordering::Relaxed);
    attempt.meter.rest();
    attempt.host.lanes.park(attempt);
    if attempt.is_wanted() {
        // Who came before this was parked found nobody to ask for room.
        attempt.evict();
    }
    let mut evict = std::pin::pin!(attempt.evict.notified());
    let told = std::future::poll_fn(|cx| {
        use std::future::Future as _;
        use std::task::Poll;
        if let Poll::Ready(entry) = std::pin::Pin::new(&mut resumed).poll(cx) {
            return Poll::Ready(Some(entry));
        }
        evict.as_mut().poll(cx).map(|()| None)
    });
    let entry = match attempt.meter.or_stop(std::pin::pin!(told)).await.map_err(Exit::Stopped)? {
        Some(entry) => entry.map_err(|_| Exit::Stale)?,
        None if attempt.host.store.evict(attempt.by(false)).await.map_err(Exit::store)? => {
            return Err(Exit::Evicted);
        }
        // Decided. Whoever is to tell it may never do so: then the run goes on in another attempt, from
        // its journal.
        None => resumed.try_recv().map_err(|_| Exit::Stopped(Stop::MakesRoom))?,
    };
    attempt.meter.go_on();
    Ok(entry)
}
