//! Where the process talks to people, and how.
//!
//! Owns the decision between colours, plain text and JSON. Whoever writes to
//! the terminal takes the sink's lock for whole lines.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use sublane::channel::console::Sink;
use sublane::channel::{Colour, ConsoleStyle};
use sublane::config::{ChannelKind, Config};
use sublane::open::ConsoleOutput;
use tokio::sync::watch;

use super::{Failed, Result};

/// Takes the line of progress off a terminal.
const CLEAR_LINE: &str = "\r\u{1b}[2K";

/// Which stream people read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// The standard output.
    Out,
    /// The standard error, because the standard output is for machines.
    Err,
}

/// Where the conversation is shown, and remarks about it.
#[derive(Clone)]
pub(super) struct Screen {
    sink: Sink,
    style: ConsoleStyle,
    closed: watch::Receiver<bool>,
}

/// A stream that says when nobody reads it any more.
struct Watched<W> {
    stream: W,
    closed: watch::Sender<bool>,
}

impl<W> Watched<W> {
    fn note<T>(&self, written: io::Result<T>) -> io::Result<T> {
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            self.closed.send_replace(true);
        }
        written
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stream.flush();
        self.note(flushed)
    }
}

impl Screen {
    /// People on this stream.
    pub(super) fn for_people(stream: Stream) -> Self {
        let is_terminal = match stream {
            Stream::Out => io::stdout().is_terminal(),
            Stream::Err => io::stderr().is_terminal(),
        };
        let style = if is_terminal { ConsoleStyle::Terminal(colour()) } else { ConsoleStyle::Plain };
        match stream {
            Stream::Out => Self::over(io::stdout(), style),
            Stream::Err => Self::over(io::stderr(), style),
        }
    }

    /// Lines of JSON on the standard output.
    pub(super) fn json_lines() -> Self {
        Self::over(io::stdout(), ConsoleStyle::Json)
    }

    fn over(stream: impl Write + Send + 'static, style: ConsoleStyle) -> Self {
        let (tell, closed) = watch::channel(false);
        Self { sink: Arc::new(Mutex::new(Watched { stream, closed: tell })), style, closed }
    }

    /// Returns when something was to be written and nobody reads it any more.
    pub(super) async fn closed(&self) {
        let mut closed = self.closed.clone();
        if closed.wait_for(|closed| *closed).await.is_err() {
            std::future::pending().await
        }
    }

    /// For the host's console channels.
    pub(super) fn output(&self) -> ConsoleOutput {
        ConsoleOutput { sink: self.sink.clone(), style: self.style }
    }

    /// A remark on the standard error.
    pub(super) fn remark(&self, line: &str) {
        self.write_err(format!("{line}\n").as_bytes());
    }

    /// Whole lines to the standard error, clear of the line of progress.
    pub(super) fn write_err(&self, lines: &[u8]) {
        // Without the lock lines may mix, which is better than to wait for a terminal that is held up.
        let _lines = self.sink.try_lock();
        let mut stderr = io::stderr().lock();
        if matches!(self.style, ConsoleStyle::Terminal(_)) && stderr.is_terminal() {
            let _ = stderr.write_all(CLEAR_LINE.as_bytes());
        }
        let _ = stderr.write_all(lines);
    }
}

/// Colours, unless the environment says otherwise.
pub(super) fn colour() -> Colour {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if is_set("NO_COLOR") || is_dumb { Colour::Off } else { Colour::On }
}

/// The console channel that messages from the command line come in on: the named one,
/// else the first that somebody answers on.
pub(super) fn channel(config: &Config, named: Option<&str>) -> Result<String> {
    if let Some(name) = named {
        if config.channels.contains_key(name) {
            return Ok(name.to_owned());
        }
        let known = config.channels.keys().map(String::as_str);
        let hint = sublane::strict::nearest(name, known);
        return Err(Failed::wrong(anyhow::anyhow!("there is no channel `{name}`; {hint}")));
    }
    let consoles = config.channels.iter().filter(|(_, channel)| matches!(channel.kind, ChannelKind::Console));
    let answered = consoles.clone().find(|(_, channel)| channel.agent.is_some());
    answered.or_else(|| consoles.clone().next()).map(|(name, _)| name.clone()).ok_or_else(|| {
        Failed::wrong(anyhow::anyhow!(
            "there is no console channel: add [channels.console] with `kind = \"console\"` and \
             `agent = \"plugin/agent\"`, who answers"
        ))
    })
}

/// Who writes, when it is not said.
pub(super) fn user() -> String {
    std::env::var("USER").ok().filter(|user| !user.is_empty()).unwrap_or_else(|| "user".to_owned())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_pipe_that_nobody_reads_is_noticed_at_the_next_line() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let screen = Screen::over(writer, ConsoleStyle::Plain);
        screen.output().sink.lock().write_all(b"one\n").expect("somebody reads");
        assert!(screen.closed().now_or_never().is_none());
        drop(reader);
        screen.output().sink.lock().write_all(b"two\n").expect_err("nobody reads");
        screen.closed().await;
    }
}
