//! `--watch`: looks again every second, and shows what has changed.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::Value;
use sublane::clock::{Clock as _, SystemClock};

use super::output::{say, say_anew, say_json_text, while_read};

/// The time between two looks.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// What was seen.
pub(super) struct Look {
    /// For machines; a change of it is a change.
    pub(super) json: Value,
    /// For people, with a line end.
    pub(super) text: String,
    /// Whether nothing will change any more.
    pub(super) is_over: bool,
}

/// How a list or a thing is shown.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Follow {
    /// Look again every second until Ctrl-C; with --json one line for each change
    #[arg(long)]
    watch: bool,
}

impl Follow {
    /// Shows what `look` sees, once or until it is over.
    pub(super) async fn show(
        self,
        json: bool,
        mut look: impl AsyncFnMut() -> anyhow::Result<Look>,
    ) -> anyhow::Result<()> {
        let is_terminal = std::io::stdout().is_terminal();
        let mut last = None;
        loop {
            let seen = look().await?;
            let is_news = last.as_ref() != Some(&seen.json);
            match (json, self.watch) {
                (true, false) => super::say_json(&seen.json),
                (true, true) if is_news => say_json_text(&format!("{}\n", seen.json)),
                (false, true) if is_terminal => say_anew(&seen.text),
                (false, false) => say(&seen.text),
                // Ages pass by themselves: a log of changes has none for that.
                (false, true) if is_news && last.is_some() => say(&format!("\n{}", seen.text)),
                (false, true) if is_news => say(&seen.text),
                (_, true) => {}
            }
            if !self.watch || seen.is_over {
                return Ok(());
            }
            last = Some(seen.json);
            while_read(SystemClock.sleep_for(PERIOD)).await?;
        }
    }
}
