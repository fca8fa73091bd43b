//! `sublane runs`: looks at runs and steers them, also while a host runs.

mod act;
mod export;
pub(super) mod list;
mod logs;
#[cfg(test)]
mod scene;
mod show;
mod tree;

use clap::Subcommand;

use super::reader::Reader;
use super::{Exit, Global, Result, small_runtime};

const LIST_EXAMPLES: &str = "\
Examples:
  sublane runs list --state waiting --watch
  sublane runs list --agent video/render --since 2h --json
  sublane runs list --conversation console:local --older 7d";

const TREE_EXAMPLES: &str = "\
Examples:
  sublane runs tree
  sublane runs tree film-Ab12cd --watch

For each run: where it stands, its depth and age, what it waits for, what its purse
has left, and what it may.";

const LOGS_EXAMPLES: &str = "\
Examples:
  sublane runs logs film-Ab12cd --follow
  sublane runs logs film-Ab12cd --tree --level warn --lines 20

Of each run the newest 1,000 lines and 256 KiB are kept. A panic is a line at level
error. What an attempt logged after its last call is logged again by the next one.";

/// Look at runs and steer them.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List runs, newest first
    #[command(after_help = LIST_EXAMPLES)]
    List(list::List),
    /// Show everything about a run
    Show(show::Show),
    /// Show who spawned whom
    #[command(after_help = TREE_EXAMPLES)]
    Tree(tree::Tree),
    /// Show what a run's plugins have logged
    #[command(after_help = LOGS_EXAMPLES)]
    Logs(logs::Logs),
    /// Write a run into one file, which `sublane replay` executes again on any machine
    #[command(after_help = export::EXAMPLES)]
    Export(export::Export),
    /// Cancel a run, or every run of a conversation
    Cancel(act::Cancel),
    /// Have a run begin again that did not succeed
    #[command(after_help = act::RETRY_EXAMPLES)]
    Retry(act::Retry),
    /// Send a message to a run
    Send(act::Send),
}

impl Command {
    pub(super) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let reader = Reader::open(&config)?;
        let answer = async {
            match self {
                Self::List(args) => Ok(args.answer(&reader, global.json).await?),
                Self::Show(args) => Ok(args.answer(&config, &reader, global.json).await?),
                Self::Tree(args) => Ok(args.answer(&reader, global.json).await?),
                Self::Logs(args) => Ok(args.answer(&reader, global.json).await?),
                Self::Export(args) => Ok(args.answer(&config, &reader, global.json).await?),
                Self::Cancel(args) => args.answer(&config, &reader, global).await,
                Self::Retry(args) => args.answer(&config, &reader, global).await,
                Self::Send(args) => args.answer(&config, &reader, global).await,
            }
        };
        small_runtime()?.block_on(answer)?;
        Ok(Exit::Done)
    }
}
