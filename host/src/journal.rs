//! One attempt's journal: what is held is answered, what is new is written.
//!
//! Owns the order of things in an attempt: which entry an import stands at,
//! what time the run sees, whether it still replays. The rules are the core's;
//! the rows are the store's.

use std::collections::VecDeque;

use parking_lot::Mutex;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use sublane_core::journal::{Bounds, Nondeterministic, decode, hash_args, replay};
use sublane_core::{Answer, Entry, Import, ImportClass, Path, Run, Timestamp};

/// The journal of the attempt's generation, and how far the guest has come in it.
#[derive(Debug)]
pub struct Journal {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Entries that the guest has not come to yet, in order of their paths.
    held: VecDeque<Entry>,
    /// Entries there are in all.
    count: u32,
    /// Bytes of their results.
    bytes: u64,
    bounds: Bounds,
    /// The time that the run sees.
    now: Timestamp,
}

/// Why a journal does not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The guest did something else than it did before.
    #[error(transparent)]
    Nondeterministic(#[from] Nondeterministic),
    /// The guest did something where its journal has nothing, before the journal's end.
    #[error(
        "at journal entry {path} the guest called {called}, but the journal goes on with {held} at entry {held_path}"
    )]
    Skipped {
        /// Where the guest is.
        path: Path,
        /// What it called.
        called: Import,
        /// Where the journal goes on.
        held_path: Path,
        /// With what.
        held: Import,
    },
    /// Guest code came to its end before its journal did.
    #[error("{ended}, but the journal goes on with {held} at entry {held_path}")]
    Short {
        /// What ended, and how.
        ended: String,
        /// Where the journal goes on.
        held_path: Path,
        /// With what.
        held: Import,
    },
    /// An entry is not what its import answers.
    #[error("journal entry {0} cannot be read: {1}")]
    Unreadable(Path, String),
    /// The run has made as many calls as a run may make.
    #[error("{0}, and a run may not make more")]
    Full(Bound),
}

/// The bound that a journal has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bound {
    /// So many entries.
    #[error("it has made {0} calls")]
    Entries(u32),
    /// So many bytes of answers.
    #[error("it was given {0} bytes of answers by the calls it made")]
    Bytes(u64),
}

/// So much of a journal is used, in per cent, when it is said that it is nearly full.
pub const NEARLY_PER_CENT: u32 = 80;

/// What of a journal is used, and how much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Entries.
    pub entries: u32,
    /// Bytes of their results.
    pub bytes: u64,
    /// How much there is.
    pub bounds: Bounds,
}

/// The place directly below a tool call where its journal says which version of the plugin it is
/// on. What the call does begins at 1.
pub const CALL_NOTE: u32 = 0;

impl Journal {
    /// The journal as a claim found it; `start` is the time before its first
    /// entry, `bounds` how much it may hold.
    #[must_use]
    pub fn new(entries: Vec<Entry>, start: Timestamp, bounds: Bounds) -> Self {
        let mut entries = entries;
        // What an earlier generation left is no answer of this one.
        entries.retain(|entry| !entry.path.is_left());
        let Usage { entries: count, bytes, .. } = Usage::of(&entries, bounds);
        Self { state: Mutex::new(State { held: entries.into(), count, bytes, bounds, now: start }) }
    }

    /// What of it is used.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.state.lock().usage()
    }

    /// Whether there is an entry that the guest has not come to.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        !self.state.lock().held.is_empty()
    }

    /// The entry that the guest comes to next.
    #[must_use]
    pub fn next(&self) -> Option<Entry> {
        self.state.lock().held.front().cloned()
    }

    /// Guest code ended; fine, unless the journal goes on below `prefix`, the whole of which it stood for.
    pub fn check_end(&self, prefix: &Path, ended: impl FnOnce() -> String) -> Result<(), JournalError> {
        match self.state.lock().held.front().filter(|next| next.path.is_below(prefix)) {
            Some(next) => {
                Err(JournalError::Short { ended: ended(), held_path: next.path.clone(), held: next.import })
            }
            None => Ok(()),
        }
    }

    /// The time that the run sees: that of its last entry.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state.lock().now
    }

    /// The answer that the journal holds at `path`, if it holds one.
    pub fn answer<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
        import: Import,
        args: u128,
    ) -> Result<Option<Answer<T>>, JournalError> {
        let mut state = self.state.lock();
        let Some(next) = state.held.front() else {
            let Bounds { entries, bytes } = state.bounds;
            return match (state.count >= entries, state.bytes >= bytes) {
                (true, _) => Err(JournalError::Full(Bound::Entries(entries))),
                (_, true) => Err(JournalError::Full(Bound::Bytes(state.bytes))),
                _ => Ok(None),
            };
        };
        if next.path != *path {
            // A tool call that was interrupted is made again, and finds what it did.
            if import == Import::CallTool && next.path.is_below(path) {
                return Ok(None);
            }
            let (held_path, held) = (next.path.clone(), next.import);
            return Err(JournalError::Skipped { path: path.clone(), called: import, held_path, held });
        }
        replay(next, import, args)?;
        let answer =
            decode(next).map_err(|error| JournalError::Unreadable(path.clone(), error.to_string()))?;
        // As it was when the entry was written, whatever the machine's clock had done.
        let at = next.at;
        state.now = state.now.max(at);
        state.held.pop_front();
        // A finished tool call is answered whole; what happened in it is behind us.
        while state.held.front().is_some_and(|next| next.path.is_below(path)) {
            state.held.pop_front();
        }
        Ok(Some(answer))
    }

    /// The version that the tool call at `path` was begun on, if it was begun and has an entry.
    pub fn begun_call(&self, path: &Path) -> Result<Option<String>, JournalError> {
        let mut state = self.state.lock();
        let place = path.then(CALL_NOTE);
        let Some(note) = state.held.front().filter(|next| next.path == place) else { return Ok(None) };
        let digest = decode::<String>(note).ok().and_then(Result::ok);
        let digest = digest.ok_or_else(|| JournalError::Unreadable(place, "it is no digest".to_owned()))?;
        state.now = state.now.max(note.at);
        state.held.pop_front();
        Ok(Some(digest))
    }

    /// An entry was written. Gives whether the journal is nearly full by it, and was not before.
    pub fn wrote(&self, entry: &Entry) -> bool {
        let mut state = self.state.lock();
        let was_nearly = state.usage().is_nearly_full();
        state.count += 1;
        state.bytes += entry.result.len() as u64;
        state.now = state.now.max(entry.at);
        !was_nearly && state.usage().is_nearly_full()
    }

    /// The time of the next entry: now, and never before the last one.
    #[must_use]
    pub fn next_at(&self, now: Timestamp) -> Timestamp {
        self.state.lock().now.max(now)
    }
}

impl State {
    fn usage(&self) -> Usage {
        Usage { entries: self.count, bytes: self.bytes, bounds: self.bounds }
    }
}

impl Usage {
    /// Of these entries.
    fn of(entries: &[Entry], bounds: Bounds) -> Self {
        let bytes = entries.iter().map(|entry| entry.result.len() as u64).sum();
        Self { entries: u32::try_from(entries.len()).unwrap_or(u32::MAX), bytes, bounds }
    }

    fn is_nearly_full(&self) -> bool {
        let nearly = |used: u64, most: u64| {
            used.saturating_mul(100) >= most.saturating_mul(u64::from(NEARLY_PER_CENT))
        };
        nearly(self.entries.into(), self.bounds.entries.into()) || nearly(self.bytes, self.bounds.bytes)
    }
}

/// Whether a journal is nearly full by its last entry, which was decided while nobody executed.
#[must_use]
pub fn became_nearly_full(entries: &[Entry], bounds: Bounds) -> bool {
    let Some((last, before)) = entries.split_last() else { return false };
    last.import.class() == ImportClass::Wait
        && Usage::of(entries, bounds).is_nearly_full()
        && !Usage::of(before, bounds).is_nearly_full()
}

/// Where one instance is in the journal: the run's own, or a tool call's below it.
#[derive(Debug)]
pub struct Frame {
    prefix: Path,
    seq: u32,
    seed: [u8; 32],
    random: Option<ChaCha12Rng>,
}

impl Frame {
    /// The frame of the instance at `prefix` in a generation with this seed.
    #[must_use]
    pub fn new(prefix: Path, seed: [u8; 32]) -> Self {
        Self { prefix, seq: 0, seed, random: None }
    }

    /// The place of the next import that is not local.
    pub fn next_path(&mut self) -> Path {
        self.seq += 1;
        self.prefix.then(self.seq)
    }

    /// How deep in tool calls.
    #[must_use]
    pub fn level(&self) -> u32 {
        u32::try_from(self.prefix.as_bytes().len() / 4).unwrap_or(u32::MAX)
    }

    /// The seed of the run that is spawned at `path`.
    pub fn seed_of(&self, path: &Path, seed: &mut [u8; 32]) {
        let mut hasher = blake3::Hasher::new_keyed(&self.seed);
        hasher.update(b"child");
        hasher.update(path.as_bytes());
        *seed = *hasher.finalize().as_bytes();
    }

    /// The next random bytes of this frame.
    pub fn random(&mut self, bytes: &mut [u8]) {
        let (seed, prefix) = (&self.seed, &self.prefix);
        let generator = self.random.get_or_insert_with(|| {
            let mut hasher = blake3::Hasher::new_keyed(seed);
            hasher.update(prefix.as_bytes());
            ChaCha12Rng::from_seed(*hasher.finalize().as_bytes())
        });
        generator.fill_bytes(bytes);
    }
}

/// The seed of the random generator of a run's generation: the run's own, or one that a generation
/// which no operator began gets from it.
#[must_use]
pub fn seed_of_generation(run: &Run) -> [u8; 32] {
    if run.retried == 0 && run.continued == 0 {
        return run.spec.seed;
    }
    let mut hasher = blake3::Hasher::new_keyed(&run.spec.seed);
    hasher.update(b"generation");
    hasher.update(&run.generation.to_be_bytes());
    *hasher.finalize().as_bytes()
}

/// The hash of an import's arguments.
#[must_use]
pub fn args(import: Import, parts: &[&[u8]]) -> u128 {
    hash_args(import, parts)
}

#[cfg(test)]
mod tests {
    use sublane_core::journal::encode;

    use super::*;

    fn entry(seq: u32, import: Import, result: &str) -> Entry {
        Entry {
            path: Path::root().then(seq),
            import,
            args: args(import, &[]),
            result: encode(&Ok(result)),
            at: Timestamp(u64::from(seq) * 10),
        }
    }

    fn bounds() -> Bounds {
        Bounds { entries: 9, bytes: 1_000 }
    }

    #[test]
    fn held_entries_answer_and_move_the_clock() {
        let journal = Journal::new(vec![entry(1, Import::KvGet, "a")], Timestamp(5), bounds());
        assert_eq!((journal.now(), journal.is_replaying()), (Timestamp(5), true));
        let path = Path::root().then(1);
        let answer =
            journal.answer::<String>(&path, Import::KvGet, args(Import::KvGet, &[])).expect("agrees");
        assert_eq!(answer, Some(Ok("a".to_owned())));
        assert_eq!((journal.now(), journal.is_replaying()), (Timestamp(10), false));
    }

    #[test]
    fn many_answers_fill_a_journal_by_their_bytes() {
        let path = Path::root().then(1);
        let ask = |journal: &Journal| journal.answer::<String>(&path, Import::KvGet, 0);
        let large = entry(1, Import::KvGet, &"x".repeat(500));
        let journal = Journal::new(Vec::new(), Timestamp(0), bounds());
        assert!(!journal.wrote(&large), "it is half full");
        assert_eq!(ask(&journal).expect("there is room"), None);
        assert!(journal.wrote(&large), "it was not nearly full before");
        let error = ask(&journal).expect_err("it is full");
        assert!(matches!(error, JournalError::Full(Bound::Bytes(_))), "{error}");
        let found = Journal::new(vec![large.clone(), large], Timestamp(0), bounds());
        assert_eq!(found.usage(), journal.usage(), "an attempt begins with what there is");
        assert!(!found.wrote(&entry(3, Import::KvGet, "a")), "what was said is not said again");
    }

    #[test]
    fn a_journal_is_nearly_full_once() {
        let journal = Journal::new(Vec::new(), Timestamp(0), Bounds { entries: 10, bytes: 1_000 });
        let said: Vec<u32> = (1..=10).filter(|seq| journal.wrote(&entry(*seq, Import::KvGet, "a"))).collect();
        assert_eq!(said, [8]);
        assert_eq!(journal.usage().entries, 10);
    }

    #[test]
    fn another_call_is_nondeterministic() {
        let journal = Journal::new(vec![entry(1, Import::KvGet, "a")], Timestamp(0), bounds());
        let error =
            journal.answer::<String>(&Path::root().then(1), Import::KvDelete, 0).expect_err("differs");
        assert!(matches!(error, JournalError::Nondeterministic(_)), "{error}");
    }

    #[test]
    fn what_the_journal_does_not_hold_is_new_ground_only_at_its_end() {
        let call = Path::root().then(2);
        let below = Entry { path: call.then(1), ..entry(1, Import::KvSet, "a") };
        let journal = Journal::new(vec![entry(1, Import::KvGet, "a"), below], Timestamp(0), bounds());
        let ask = |path: &Path, import| journal.answer::<String>(path, import, args(import, &[]));
        let error = ask(&call, Import::CallTool).expect_err("entry 1 was passed over").to_string();
        assert_eq!(
            error,
            "at journal entry 2 the guest called tools.call-tool, but the journal goes on with kv.get at entry 1"
        );
        ask(&Path::root().then(1), Import::KvGet).expect("agrees");
        ask(&call, Import::KvSet).expect_err("a tool was called here");
        assert_eq!(ask(&call, Import::CallTool).expect("it is made again"), None);
        let error = journal.check_end(&call, || "the tool returned".to_owned()).expect_err("it did less");
        assert_eq!(error.to_string(), "the tool returned, but the journal goes on with kv.set at entry 2.1");
        journal
            .check_end(&Path::root().then(3), String::new)
            .expect("another call's entries are not its own");
    }

    #[test]
    fn the_runs_clock_does_not_go_back() {
        let late = Entry { at: Timestamp(90), ..entry(1, Import::KvGet, "a") };
        let journal = Journal::new(vec![late, entry(2, Import::KvGet, "a")], Timestamp(5), bounds());
        for seq in [1, 2] {
            let path = Path::root().then(seq);
            journal.answer::<String>(&path, Import::KvGet, args(Import::KvGet, &[])).expect("agrees");
        }
        assert_eq!(journal.now(), Timestamp(90), "the machine's clock was set back in between");
    }

    #[test]
    fn a_frame_draws_the_same_bytes_again() {
        let draw = |path: Path| {
            let mut bytes = [0; 8];
            Frame::new(path, [7; 32]).random(&mut bytes);
            bytes
        };
        assert_eq!(draw(Path::root()), draw(Path::root()));
        assert_ne!(draw(Path::root()), draw(Path::root().then(1)));
    }
}
