//! `sublane conversations`: looks at conversations, also while a host runs.

use clap::Subcommand;
use sublane::channel::scrub_line;
use sublane::clock::{Clock as _, SystemClock};
use sublane_store::{Conversation, RunFilter};

use super::follow::{Follow, Look};
use super::reader::Reader;
use super::runs::list::{list, table as runs_table, view as run_view};
use super::table::{ID, Table};
use super::view::{ConversationView, instant};
use super::{Exit, Failed, Global, Result, render, small_runtime};

/// Look at conversations.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List conversations, newest first
    List(List),
    /// Show a conversation: its purse, its newest runs and what they owe
    Show(Show),
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "NUMBER", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    follow: Follow,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The conversation: its id, its `channel:address`, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    conversation: String,
    /// At most so many of its runs
    #[arg(long, default_value_t = 20, value_name = "NUMBER", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    #[command(flatten)]
    follow: Follow,
}

impl Command {
    pub(super) fn run(self, global: &Global) -> Result {
        let reader = Reader::open(&global.load()?)?;
        let answer = async {
            match self {
                Self::List(args) => args.answer(&reader, global.json).await,
                Self::Show(args) => args.answer(&reader, global.json).await,
            }
        };
        small_runtime()?.block_on(answer).map_err(Failed::from)?;
        Ok(Exit::Done)
    }
}

impl List {
    async fn answer(self, reader: &Reader, json: bool) -> anyhow::Result<()> {
        self.follow
            .show(json, async || {
                let found = reader.store.conversations(None, self.limit).await?;
                let text = table(&found);
                let views: Vec<_> = found.into_iter().map(ConversationView::from).collect();
                Ok(Look { json: serde_json::json!({ "conversations": views }), text, is_over: false })
            })
            .await
    }
}

fn table(conversations: &[Conversation]) -> String {
    if conversations.is_empty() {
        return "no conversations\n".to_owned();
    }
    let now = SystemClock.now();
    let mut table = Table::new(&["AT", "BEGAN", "LEFT", ID]);
    for conversation in conversations {
        table.row(vec![
            conversation.origin.to_string(),
            render::when(conversation.created, now),
            render::purse(conversation.purse),
            conversation.id.to_string(),
        ]);
    }
    table.render()
}

impl Show {
    async fn answer(self, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let id = reader.conversation(&self.conversation).await?.id;
        self.follow
            .show(json, async || {
                let found = reader.store.conversation(id).await?;
                let found = found.ok_or_else(|| anyhow::anyhow!("conversation {id} is gone"))?;
                let filter = RunFilter { conversation: Some(id), limit: self.limit, ..RunFilter::default() };
                let runs = list(reader, filter).await?;
                let now = SystemClock.now();
                let began = format!("{} ({})", render::when(found.created, now), instant(found.created));
                let mut text = format!("{}  {id}\n", scrub_line(&found.origin.to_string()));
                for (name, value) in [
                    ("began", began),
                    ("left", render::purse(found.purse)),
                    ("at most", render::purse(found.ceiling)),
                ] {
                    text.push_str(&format!("  {name:<13}{value}\n"));
                }
                text.push_str(&runs_table(&runs, now));
                let views: Vec<_> = runs.iter().map(|run| run_view(run, &reader.link_base)).collect();
                let mut json = serde_json::to_value(ConversationView::from(found))?;
                json["runs"] = serde_json::to_value(views)?;
                Ok(Look { json, text, is_over: false })
            })
            .await
    }
}
