//! What a console shows, as text. Knows nothing of threads and writers.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::value::RawValue;
use sublane_core::delivery::ArtifactLink;
use sublane_core::{Delivery, DeliveryId, Destination, RunId};

use crate::channel::body::Body;
use crate::channel::{RunLabel, scrub_line, scrub_text};

/// How a console shows things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleStyle {
    /// Lines of text for a file or a pipe. Progress is a line when its note changes or
    /// it has gone on by ten per cent.
    Plain,
    /// For people at a terminal: progress is one line at the end, written over in place.
    Terminal(Colour),
    /// One JSON object a line: `{"event":"delivery",…}` or `{"event":"progress",…}`.
    Json,
}

/// Whether a terminal is shown colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Bold names, green for what succeeded, red for what did not.
    On,
    /// Text only.
    Off,
}

/// Columns of the line of progress: one fewer than the narrowest usual terminal has,
/// so that it is never broken into two.
const WIDTH: usize = 79;
/// Runs that the line of progress has room for: those that reported last.
const MAX_SHOWN: usize = 3;
/// Runs whose last line is remembered, in the plain style.
const MAX_REMEMBERED: usize = 64;
/// Per cent between two lines of progress with the same note.
const LINE_STEP: u8 = 10;

const CLEAR_LINE: &str = "\r\u{1b}[2K";
const RESET: &str = "\u{1b}[0m";
const BOLD: &str = "\u{1b}[1m";
const GREEN: &str = "\u{1b}[1;32m";
const RED: &str = "\u{1b}[1;31m";
const DIM: &str = "\u{1b}[2m";

/// Turns events into text, and remembers which progress is shown.
pub(super) struct Painter {
    style: ConsoleStyle,
    /// Oldest report first.
    shown: Vec<Shown>,
}

struct Shown {
    run: RunId,
    name: String,
    percent: u8,
    note: String,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
enum Line<'a> {
    Delivery { id: DeliveryId, run: RunId, destination: &'a Destination, attempt: u32, body: &'a RawValue },
    Progress { run: RunId, name: &'a str, address: &'a str, percent: u8, note: &'a str },
}

impl Painter {
    pub(super) fn new(style: ConsoleStyle) -> Self {
        Self { style, shown: Vec::new() }
    }

    /// What is written for a delivery.
    pub(super) fn delivery(&mut self, delivery: &Delivery) -> serde_json::Result<String> {
        let colour = match self.style {
            ConsoleStyle::Json => {
                return Ok(json_line(&Line::Delivery {
                    id: delivery.id,
                    run: delivery.run,
                    destination: &delivery.destination,
                    attempt: delivery.attempts,
                    body: serde_json::from_str(&delivery.body)?,
                }));
            }
            ConsoleStyle::Plain => Colour::Off,
            ConsoleStyle::Terminal(colour) => colour,
        };
        let body: Body = serde_json::from_str(&delivery.body)?;
        let mut out = self.clear();
        if body.kind != "run.message" {
            self.shown.retain(|shown| shown.run != delivery.run);
        }
        self.message(&mut out, &body, colour);
        if matches!(self.style, ConsoleStyle::Terminal(_)) {
            out.push_str(&self.status());
        }
        Ok(out)
    }

    /// What is written for progress; nothing, where the style wants none.
    pub(super) fn progress(&mut self, address: &str, run: &RunLabel, percent: u8, note: &str) -> String {
        if self.style == ConsoleStyle::Json {
            return json_line(&Line::Progress { run: run.run, name: &run.name, address, percent, note });
        }
        let now = Shown { run: run.run, name: scrub_line(&run.name), percent, note: scrub_line(note) };
        let before = self.shown.iter().position(|shown| shown.run == now.run).map(|at| self.shown.remove(at));
        if let ConsoleStyle::Terminal(_) = self.style {
            let clear = if self.shown.is_empty() && before.is_none() { "" } else { CLEAR_LINE };
            self.remember(now, MAX_SHOWN);
            return format!("{clear}{}", self.status());
        }
        let moved = before.as_ref().is_none_or(|before| {
            before.note != now.note || now.percent.abs_diff(before.percent) >= LINE_STEP
        });
        match before {
            Some(before) if !moved => {
                self.remember(before, MAX_REMEMBERED);
                String::new()
            }
            _ => {
                let line = format!("{}\n", now.text());
                self.remember(now, MAX_REMEMBERED);
                line
            }
        }
    }

    /// What is written at the very end.
    pub(super) fn close(&mut self) -> String {
        let clear = self.clear();
        self.shown.clear();
        clear
    }

    fn remember(&mut self, now: Shown, at_most: usize) {
        self.shown.push(now);
        if self.shown.len() > at_most {
            self.shown.remove(0);
        }
    }

    /// Takes the line of progress off the terminal.
    fn clear(&self) -> String {
        let is_shown = matches!(self.style, ConsoleStyle::Terminal(_)) && !self.shown.is_empty();
        if is_shown { CLEAR_LINE.to_owned() } else { String::new() }
    }

    /// The line of progress, without its end.
    fn status(&self) -> String {
        let text = self.shown.iter().map(Shown::text).collect::<Vec<_>>().join(" · ");
        let text = cut(&text, WIDTH);
        if text.is_empty() || self.style == ConsoleStyle::Terminal(Colour::Off) {
            return text;
        }
        format!("{DIM}{text}{RESET}")
    }

    fn message(&self, out: &mut String, body: &Body, colour: Colour) {
        let paint = match (colour, body.kind.as_str()) {
            (Colour::Off, _) => None,
            (Colour::On, "run.message") => Some(BOLD),
            (Colour::On, "run.succeeded") => Some(GREEN),
            (Colour::On, _) => Some(RED),
        };
        let name = scrub_line(&body.data.name);
        // A sentence about the run begins with its name already.
        let text = body.data.text.trim_end();
        let rest = text.strip_prefix(&body.data.name).and_then(|rest| rest.strip_prefix(' '));
        let (colon, text) = match rest.filter(|_| body.kind != "run.message") {
            Some(rest) => ("", rest),
            None => (":", text),
        };
        match paint {
            Some(paint) => out.extend([paint, name.as_str(), RESET, colon]),
            None => out.extend([name.as_str(), colon]),
        }
        for (index, line) in scrub_text(text).lines().enumerate() {
            out.push_str(match (index, line.is_empty()) {
                (0, _) => " ",
                (_, true) => "\n",
                (_, false) => "\n  ",
            });
            out.push_str(line);
        }
        out.push('\n');
        for artifact in &body.data.artifacts {
            file(out, artifact);
        }
    }
}

impl Shown {
    fn text(&self) -> String {
        let mut text = format!("{}: {} %", self.name, self.percent);
        if !self.note.is_empty() {
            text.extend([" ", self.note.as_str()]);
        }
        text
    }
}

/// Name and size, and the link on a line of its own, where a terminal finds it.
fn file(out: &mut String, artifact: &ArtifactLink) {
    let (name, link) = (scrub_line(&artifact.name), scrub_line(&artifact.url));
    writeln!(out, "  {name} ({})\n  {link}", size(artifact.size)).expect("a string takes what is written");
}

/// Bytes for people: `999 B`, `1.2 kB`, `34.5 MB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let (mut rest, mut unit) = (bytes, 0);
    while rest >= 999_950 {
        rest /= 1_000;
        unit += 1;
    }
    let tenths = (rest + 50) / 100;
    format!("{}.{} {}", tenths / 10, tenths % 10, units[unit])
}

/// The text, cut to so many columns. Characters beyond the alphabets of Europe are
/// taken for two columns wide: better a shorter line than a broken one.
fn cut(text: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = |c: &char| {
        used += if *c < '\u{1100}' { 1 } else { 2 };
        used <= columns
    };
    text.chars().take_while(fits).collect()
}

/// One line of JSON. What could steer a terminal is escaped, which changes nothing for a parser:
/// such characters stand in strings only.
fn json_line(line: &Line<'_>) -> String {
    let text = serde_json::to_string(line).expect("strings and numbers serialize");
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if super::super::is_treacherous(c) && u32::from(c) < 0x1_0000 {
            write!(out, "\\u{:04x}", u32::from(c)).expect("a string takes what is written");
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}
