//! `sublane runs logs`: what the guests of a run have logged.

use std::collections::HashMap;

use serde::Serialize;
use sublane::channel::{scrub_line, scrub_text};
use sublane::clock::{Clock as _, SystemClock};
use sublane_core::{Run, RunId};
use sublane_store::{LogLevel, LogLine, RunFilter};

use crate::cli::follow::PERIOD;
use crate::cli::output::{say_json_text, while_read};
use crate::cli::reader::Reader;
use crate::cli::view::instant;
use crate::cli::{say, say_json};

/// Runs of one tree whose lines are shown.
const RUNS: usize = 1_000;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Logs {
    /// The run: its id, its name, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    run: String,
    /// Only lines that matter at least so much
    #[arg(long, value_enum, default_value_t = Least(LogLevel::Trace))]
    level: Least,
    /// Only so many, the newest [default: all that are kept]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    lines: Option<usize>,
    /// Those of all runs below it as well
    #[arg(long)]
    tree: bool,
    /// Go on with what is logged, until the run has ended; with --json one line for each
    #[arg(long, visible_alias = "watch")]
    follow: bool,
}

/// The least level of the lines that are wanted.
#[derive(Clone, Copy, Debug)]
struct Least(LogLevel);

impl clap::ValueEnum for Least {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Least; 5] = [
            Least(LogLevel::Trace),
            Least(LogLevel::Debug),
            Least(LogLevel::Info),
            Least(LogLevel::Warn),
            Least(LogLevel::Error),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

/// A line as machines see it.
#[derive(Serialize)]
struct LineView<'l> {
    run: RunId,
    name: &'l str,
    number: u64,
    generation: u32,
    attempt: u32,
    at: String,
    level: LogLevel,
    /// The plugin of the tool that logged it; null: the run's own.
    plugin: Option<&'l str>,
    /// Lines before it that came faster than they could be kept.
    dropped_before: u32,
    line: &'l str,
}

/// A line, and the name of its run.
type Named = (String, LogLine);

impl Logs {
    pub(super) async fn answer(self, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let top = reader.run(&self.run).await?.spec.id;
        let mut seen = HashMap::new();
        let (mut is_first, mut was_over) = (true, false);
        loop {
            let (runs, is_over) = self.runs(reader, top).await?;
            let mut lines = self.news(reader, &runs, &mut seen).await?;
            if is_first {
                lines.drain(..lines.len().saturating_sub(self.lines.unwrap_or(usize::MAX)));
            }
            match (json, self.follow) {
                (true, false) => {
                    let views: Vec<_> = lines.iter().map(view).collect();
                    say_json(&serde_json::json!({ "run": top, "lines": views }));
                }
                (true, true) => {
                    for line in &lines {
                        say_json_text(&format!("{}\n", serde_json::to_string(&view(line))?));
                    }
                }
                (false, _) => say(&lines.iter().map(|line| text(line, self.tree)).collect::<String>()),
            }
            // What was logged last may be stored a moment after the end: one more look.
            if !self.follow || (is_over && was_over) {
                return Ok(());
            }
            (is_first, was_over) = (false, is_over);
            while_read(SystemClock.sleep_for(PERIOD)).await?;
        }
    }

    /// The runs whose lines are wanted, and whether all of them have ended.
    async fn runs(&self, reader: &Reader, top: RunId) -> anyhow::Result<(Vec<Run>, bool)> {
        let mut runs: Vec<Run> = reader.store.run(top).await?.into_iter().collect();
        let mut looked = 0;
        while self.tree && looked < runs.len() {
            let limit = u32::try_from(RUNS - runs.len()).expect("at most a thousand");
            let below = RunFilter { parent: Some(runs[looked].spec.id), limit, ..RunFilter::default() };
            runs.extend(reader.store.runs(below).await?);
            looked += 1;
        }
        let is_over = runs.iter().all(Run::is_ended);
        Ok((runs, is_over))
    }

    /// The lines of these runs that were not seen yet, in the order of time.
    async fn news(
        &self,
        reader: &Reader,
        runs: &[Run],
        seen: &mut HashMap<RunId, u64>,
    ) -> anyhow::Result<Vec<Named>> {
        let mut news = Vec::new();
        for run in runs {
            let last = seen.entry(run.spec.id).or_default();
            for line in reader.store.logs(run.spec.id, *last).await? {
                *last = line.number;
                news.push((run.spec.name.clone(), line));
            }
        }
        news.retain(|(_, line)| line.level >= self.level.0);
        news.sort_by_key(|(_, line)| line.at);
        Ok(news)
    }
}

fn view((name, line): &Named) -> LineView<'_> {
    LineView {
        run: line.run,
        name,
        number: line.number,
        generation: line.generation,
        attempt: line.attempt,
        at: instant(line.at),
        level: line.level,
        plugin: line.plugin.as_deref(),
        dropped_before: line.dropped,
        line: &line.line,
    }
}

/// A line for people: what goes on in the next line is set in, so that it looks like none of its own.
fn text((name, line): &Named, with_name: bool) -> String {
    let mut text = String::new();
    let mut head = format!("{}  {:<5}", instant(line.at), line.level.name().to_uppercase());
    if with_name {
        head.push_str(&format!("  {}", scrub_line(name)));
    }
    if let Some(plugin) = &line.plugin {
        head.push_str(&format!("  ({})", scrub_line(plugin)));
    }
    if line.dropped > 0 {
        text.push_str(&format!(
            "{head}  [{} lines before this one came too fast to be kept]\n",
            line.dropped
        ));
    }
    let said = scrub_text(&line.line);
    let mut lines = said.lines();
    text.push_str(&format!("{head}  {}\n", lines.next().unwrap_or_default()));
    lines.for_each(|line| text.push_str(&format!("    {line}\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use sublane_core::Timestamp;

    #[test]
    fn a_line_looks_like_no_other_and_steers_no_terminal() {
        let line = LogLine {
            run: RunId([1; 16]),
            number: 7,
            generation: 0,
            attempt: 1,
            at: Timestamp(720_000),
            level: LogLevel::Warn,
            plugin: Some("tools".into()),
            dropped: 3,
            line: "left\n1970-01-01T00:12:01.000Z  ERROR  right\u{1b}[2J".into(),
        };
        let named = ("film-Ab12cd".to_owned(), line);
        expect![[r#"
            1970-01-01T00:12:00.000Z  WARN   film-Ab12cd  (tools)  [3 lines before this one came too fast to be kept]
            1970-01-01T00:12:00.000Z  WARN   film-Ab12cd  (tools)  left
                1970-01-01T00:12:01.000Z  ERROR  right�[2J
        "#]]
        .assert_eq(&text(&named, true));
    }
}
