//! `sublane runs`: looks at runs and steers them, also while a host runs.

mod act;
pub(super) mod list;
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
    /// Cancel a run, or every run of a conversation
    Cancel(act::Cancel),
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
                Self::Show(args) => Ok(args.answer(&reader, global.json).await?),
                Self::Tree(args) => Ok(args.answer(&reader, global.json).await?),
                Self::Cancel(args) => args.answer(&config, &reader, global).await,
                Self::Send(args) => args.answer(&config, &reader, global).await,
            }
        };
        small_runtime()?.block_on(answer)?;
        Ok(Exit::Done)
    }
}
