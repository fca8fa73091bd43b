//! The log: what operators read on the standard error.
//!
//! Owns the filter, the form of a line and one thread that writes. Whoever logs
//! never waits: with a reader that is held up, lines are dropped and counted.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use sublane::channel::Colour;
use sublane::config::LogFormat;
use sublane::scrub::{is_treacherous, scrub_json};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::console::{Screen, colour};
use super::{Failed, Result};

/// Lines that may wait to be written.
const MAX_WAITING: usize = 4_096;
/// How long the end of the process waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

enum Event {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// The log of this process. Dropped, it writes what waits.
pub(super) struct Logs {
    events: SyncSender<Event>,
}

/// What `sublane run` logs: it tells of deliveries itself, and a first start takes seconds.
pub(super) const RUN: &str = "warn,sublane::delivery=off,sublane::engine::cache=info";
/// What `sublane serve` logs.
pub(super) const SERVE: &str = "warn,sublane=info";

/// Begins logging: `filter` is what `--log` says, `default` is what holds otherwise.
pub(super) fn begin(filter: Option<&str>, default: &str, format: LogFormat, screen: &Screen) -> Result<Logs> {
    let given =
        filter.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty()));
    let directives = given.map_or_else(|| default.to_owned(), |given| directives(&given));
    let filter = EnvFilter::try_new(&directives)
        .map_err(|error| Failed::wrong(anyhow::anyhow!("`{directives}` is no filter for logs: {error}")))?;
    let (events, waiting) = sync_channel(MAX_WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let ansi = io::stderr().is_terminal() && colour() == Colour::On;
    let form = match format {
        LogFormat::Json => Form::Json,
        LogFormat::Human if ansi => Form::Coloured,
        LogFormat::Human => Form::Plain,
    };
    let writer = Writer { events: events.clone(), dropped: dropped.clone(), form };
    let screen = screen.clone();
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_all(&waiting, &dropped, &screen))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    let begun = match format {
        LogFormat::Human => tracing::subscriber::set_global_default(log.with_ansi(ansi).finish()),
        LogFormat::Json => {
            let log = log.json().flatten_event(true).with_current_span(true).with_span_list(false);
            tracing::subscriber::set_global_default(log.finish())
        }
    };
    begun?;
    Ok(Logs { events })
}

/// A level alone is ours; libraries below it tell of warnings.
fn directives(given: &str) -> String {
    match given.to_ascii_lowercase().as_str() {
        quiet @ ("off" | "error" | "warn") => quiet.to_owned(),
        level @ ("info" | "debug" | "trace") => format!("warn,sublane={level}"),
        _ => given.to_owned(),
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let (done, flushed) = sync_channel(1);
        if self.events.try_send(Event::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(FLUSH_TIMEOUT);
        }
    }
}

#[derive(Clone)]
struct Writer {
    events: SyncSender<Event>,
    dropped: Arc<AtomicU64>,
    form: Form,
}

/// What a line of the log looks like.
#[derive(Clone, Copy)]
enum Form {
    Json,
    /// With escape sequences of our own; those in values are escaped by whoever writes the line.
    Coloured,
    Plain,
}

/// A line that steers no terminal, whatever strangers wrote into its values.
fn scrubbed(line: &[u8], form: Form) -> Vec<u8> {
    let text = String::from_utf8_lossy(line);
    let own = |c| matches!(c, '\n' | '\t') || (matches!(form, Form::Coloured) && c == '\u{1b}');
    if !text.chars().any(|c| is_treacherous(c) && !own(c)) {
        return line.to_vec();
    }
    match form {
        Form::Json => scrub_json(&text).into_bytes(),
        Form::Coloured | Form::Plain => {
            let scrub = |c| if is_treacherous(c) && !own(c) { '\u{FFFD}' } else { c };
            text.chars().map(scrub).collect::<String>().into_bytes()
        }
    }
}

impl<'a> MakeWriter<'a> for Writer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.events.try_send(Event::Line(scrubbed(line, self.form))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(events: &Receiver<Event>, dropped: &AtomicU64, screen: &Screen) {
    while let Ok(event) = events.recv() {
        match event {
            Event::Line(line) => screen.write_err(&line),
            Event::Flush(done) => {
                let _ = done.try_send(());
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            screen.write_err(
                format!("{lost} lines of the log were dropped: nobody read them in time\n").as_bytes(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_steers_no_terminal() {
        let line = "run=\u{9b}2J \u{202e}x \u{1b}[1mours\u{1b}[0m\n";
        let told = |form| String::from_utf8(scrubbed(line.as_bytes(), form)).expect("text");
        assert_eq!(told(Form::Plain), "run=\u{FFFD}2J \u{FFFD}x \u{FFFD}[1mours\u{FFFD}[0m\n");
        assert_eq!(told(Form::Coloured), "run=\u{FFFD}2J \u{FFFD}x \u{1b}[1mours\u{1b}[0m\n");
        let json = "{\"run\":\"\u{9b}2J\"}\n";
        assert_eq!(scrubbed(json.as_bytes(), Form::Json), b"{\"run\":\"\\u009b2J\"}\n");
    }

    #[test]
    fn a_level_is_ours_and_filters_are_taken_as_they_are() {
        assert_eq!(directives("Debug"), "warn,sublane=debug");
        assert_eq!(directives("off"), "off");
        let filters = "info,sublane::denied=off";
        assert_eq!(directives(filters), filters);
        for default in [RUN, SERVE] {
            EnvFilter::try_new(default).expect("it is a filter");
        }
    }
}
