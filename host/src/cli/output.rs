//! The standard output: what is said there, and whether it arrives.
//!
//! Owns what becomes of an output that cannot be written to. A reader that has gone away, such as
//! `head`, is no error; a full disk is one, since half an answer looks like a whole one.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use tokio::io::Interest;
use tokio::net::unix::pipe;

use sublane::scrub::{scrub_json, scrub_text};

use super::{Exit, complain};

/// Clears a terminal, and goes to its beginning.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Why it could not be written to, the first time.
static UNWRITTEN: OnceLock<io::Error> = OnceLock::new();

/// The standard output takes no more: nobody reads it, or it cannot be written to, which the end of the process tells.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
pub(super) struct Closed;

/// Writes to the standard output. Whatever stands in it of strangers steers no terminal.
pub(super) fn say(text: &str) {
    write(&scrub_text(text));
}

/// As [`say`], in place of what the terminal shows.
pub(super) fn say_anew(text: &str) {
    write(&format!("{CLEAR}{}", scrub_text(text)));
}

/// Writes JSON to the standard output, as it is or with the same meaning.
pub(super) fn say_json_text(json: &str) {
    write(&scrub_json(json));
}

fn write(text: &str) {
    let mut out = io::stdout();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        let _ = UNWRITTEN.set(error);
    }
}

fn is_closed() -> bool {
    UNWRITTEN.get().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What the process ends with: an answer that was not written down was not given.
pub(super) fn checked(exit: Exit) -> Exit {
    match UNWRITTEN.get() {
        Some(error) if !is_closed() => {
            complain(&format!("error: the standard output cannot be written to: {error}"));
            if matches!(exit, Exit::Done | Exit::OutputClosed) { Exit::Cannot } else { exit }
        }
        _ => exit,
    }
}

/// Waits for `next`, unless nobody reads the standard output any more or it cannot be written to.
pub(super) async fn while_read(next: impl Future<Output = ()>) -> anyhow::Result<()> {
    if UNWRITTEN.get().is_some() {
        return Err(Closed.into());
    }
    tokio::select! {
        () = next => Ok(()),
        () = closed() => Err(Closed.into()),
    }
}

/// Ready when the reader of a pipe has gone away; never, where the system does not tell.
async fn closed() {
    // Opened anew: what is asked of it changes nothing for those who share the process's own.
    if let Ok(out) = pipe::OpenOptions::new().open_sender("/proc/self/fd/1")
        && out.ready(Interest::ERROR).await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
