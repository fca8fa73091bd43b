//! Attempts from their beginning to their end: how many there are, whose claim is whose, and the word
//! to stop, which finds an attempt also while its claim is under way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sublane_core::{RunId, Token};

use super::Inner;
use crate::engine::guest::Stop;

/// An attempt that [`super::Host::stop`] waits for, until it is dropped.
pub struct Executing(Arc<Inner>);

impl Drop for Executing {
    fn drop(&mut self) {
        let was_last = self.0.executing.fetch_sub(1, Ordering::SeqCst) == 1;
        if was_last && self.0.is_stopping() {
            self.0.all_ended.notify_one();
        }
    }
}

impl Inner {
    /// An attempt begins, unless the host stops.
    #[must_use]
    pub fn begin_attempt(self: &Arc<Self>) -> Option<Executing> {
        // Counted before the look, so that a stop that it does not see does wait for it.
        self.executing.fetch_add(1, Ordering::SeqCst);
        let executing = Executing(self.clone());
        (!self.is_stopping()).then_some(executing)
    }

    /// A claim that nobody else makes: 64 random bits of this process, and a count.
    #[must_use]
    pub fn token(&self) -> Token {
        Token(self.token_base | u128::from(self.token_count.fetch_add(1, Ordering::Relaxed)))
    }

    /// A claim is about to be made: from now on its attempt can be told to stop.
    #[must_use]
    pub fn begin_claim(&self) -> Token {
        let token = self.token();
        self.claims.lock().insert(token, None);
        token
    }

    /// Its attempt is in `attempts`, or there is none. Gives the word to stop that came before.
    pub fn end_claim(&self, token: Token) -> Option<Stop> {
        self.claims.lock().remove(&token).flatten()
    }

    pub(super) fn stop_attempt(&self, run: RunId, token: Token, why: Stop) {
        // In this order: an attempt leaves the one when it is in the other.
        if let Some(word) = self.claims.lock().get_mut(&token) {
            *word = Some(why);
            return;
        }
        let attempt = self.attempts.lock().get(&run).filter(|attempt| attempt.token == token).cloned();
        if let Some(attempt) = attempt {
            attempt.meter.stop(why);
        }
    }
}
