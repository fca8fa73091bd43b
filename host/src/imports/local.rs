//! Local imports: log, clock, random, progress. No entry of their own; the
//! same answer on replay by construction, and nothing repeated to people.

use sublane_store::{LogLevel, LogLine};

use crate::bindings::sublane::plugin::{clock, log, progress, random, types};

use super::{Ctx, Live};
use crate::scrub::{scrub_line, scrub_text};

/// Bytes of one log line; the rest is cut.
const MAX_LINE_BYTES: usize = 8 << 10;
/// Bytes of a progress note; the rest is cut.
const MAX_NOTE_BYTES: usize = 256;
/// Random bytes in one call; more is cut to that.
const MAX_RANDOM_BYTES: u32 = 64 << 10;

impl types::Host for Ctx {}

impl log::Host for Ctx {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let Some(live) = self.called()? else { return Ok(()) };
        live.say(level, &message);
        if matches!(level, log::Level::Error) {
            live.last_words(&message);
        }
        Ok(())
    }
}

impl Live {
    /// What the guest says of an error: if it breaks down now, this is why.
    pub(super) fn last_words(&self, message: &str) {
        if !self.attempt.journal.is_replaying() {
            let message = self.attempt.host.secrets.redactor().text(message);
            self.attempt.last_error(&scrub_text(cut(&message, MAX_LINE_BYTES)));
        }
    }

    /// Writes a line to the log of the run; nothing is repeated on replay.
    pub(super) fn say(&self, level: log::Level, message: &str) {
        if self.attempt.journal.is_replaying() {
            return;
        }
        let (run, plugin) = (self.attempt.spec.id, self.plugin.manifest.id.as_str());
        let message = self.attempt.host.secrets.redactor().text(message);
        let said = cut(&message, MAX_LINE_BYTES);
        let message = line(said);
        match level {
            log::Level::Trace => tracing::trace!(target: "sublane::guest", %run, plugin, "{message}"),
            log::Level::Debug => tracing::debug!(target: "sublane::guest", %run, plugin, "{message}"),
            log::Level::Info => tracing::info!(target: "sublane::guest", %run, plugin, "{message}"),
            log::Level::Warn => tracing::warn!(target: "sublane::guest", %run, plugin, "{message}"),
            log::Level::Error => tracing::error!(target: "sublane::guest", %run, plugin, "{message}"),
        }
        keep(self, level, said);
    }
}

/// Keeps a line for whoever asks for the run's log, as it was written.
fn keep(live: &Live, level: log::Level, said: &str) {
    let (attempt, plugin) = (&live.attempt, &live.plugin.manifest.id);
    attempt.host.logs.push(LogLine {
        run: attempt.spec.id,
        number: 0,
        generation: attempt.generation,
        attempt: attempt.number,
        at: attempt.host.clock.now(),
        level: match level {
            log::Level::Trace => LogLevel::Trace,
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        },
        plugin: (*plugin != attempt.spec.plugin).then(|| plugin.as_str().into()),
        dropped: 0,
        line: said.into(),
    });
}

impl clock::Host for Ctx {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.called()?.map_or(0, |live| live.attempt.journal.now().0))
    }

    fn deadline(&mut self) -> wasmtime::Result<u64> {
        Ok(self.called()?.map_or(0, |live| live.attempt.spec.deadline().0))
    }
}

impl random::Host for Ctx {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        let mut bytes = vec![0; length.min(MAX_RANDOM_BYTES) as usize];
        if let Some(live) = self.called()? {
            live.frame.random(&mut bytes);
        }
        Ok(bytes)
    }
}

impl progress::Host for Ctx {
    fn report(&mut self, percent: u8, note: String) -> wasmtime::Result<()> {
        let Some(live) = self.called()? else { return Ok(()) };
        let attempt = &live.attempt;
        if !attempt.journal.is_replaying() {
            let note = attempt.host.secrets.redactor().text(&note);
            let note = line(cut(&note, MAX_NOTE_BYTES));
            let is_over = || attempt.meter.stopped().is_some();
            attempt.host.progress.report(&attempt.spec, percent.min(100), &note, is_over);
        }
        Ok(())
    }
}

/// The longest beginning of `text` that has at most `bytes` bytes.
fn cut(text: &str, bytes: usize) -> &str {
    match text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= bytes).last() {
        Some(end) => &text[..end],
        None => "",
    }
}

/// What a guest says, as one line of at most so many bytes that neither steers a terminal nor looks
/// like a line of somebody else.
pub(super) fn line(text: &str) -> String {
    let lines: Vec<_> = cut(text, MAX_LINE_BYTES).lines().collect();
    scrub_line(&lines.join(" ⏎ ").replace('\t', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_between_characters() {
        assert_eq!(cut("häuser", 2), "h");
        assert_eq!(cut("häuser", 3), "hä");
        assert_eq!(cut("", 3), "");
    }

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(line("a\x1b[2Jb\u{202e}c\u{9b}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn nothing_looks_like_a_line_of_somebody_else() {
        assert_eq!(line("left: 1\n\tright: 2\r\n"), "left: 1 ⏎  right: 2");
        assert_eq!(line("a\rERROR\u{2028}b"), "a\u{fffd}ERROR\u{fffd}b");
        assert_eq!(line(&"x".repeat(1 << 20)).len(), MAX_LINE_BYTES);
    }
}
