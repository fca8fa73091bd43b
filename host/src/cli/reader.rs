//! The store of a state directory, read beside a host that may write it.
//!
//! Owns how people name a run, a delivery or a conversation: by its id, its
//! name, or a beginning that only it has. A state directory that no host has
//! used reads as an empty store. Never writes.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use sublane::artifacts;
use sublane::config::Config;
use sublane::open::{ARTIFACTS, store_file};
use sublane_core::{ConversationId, Delivery, DeliveryId, Run, RunId};
use sublane_store::{Conversation, DeliveryFilter, Model, RunFilter, SqliteStore, Store};

use super::{complain, render};

/// Runs among which a name or the beginning of an id is looked for.
const SEARCHED: u32 = 10_000;
/// Deliveries of one run: the most that it can send, and its ending's.
pub(super) const DELIVERIES: u32 = 2_000;

/// A name that does not say which is meant: whoever typed it can mend it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unclear(String);

/// A store for reading.
pub(super) struct Reader {
    pub(super) store: Box<dyn Store>,
    /// Goes before an artifact's path to make a link.
    pub(super) link_base: String,
}

impl Reader {
    /// Opens the store of the configuration's state directory.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let state: &Path = &config.state;
        let file = store_file(state);
        let exists = file.try_exists().with_context(|| format!("{} cannot be looked at", file.display()))?;
        let store: Box<dyn Store> = if exists {
            Box::new(SqliteStore::open_read_only(&file)?)
        } else {
            complain(&format!("no host has run on {} yet", state.display()));
            Box::new(Model::default())
        };
        let root = state.canonicalize().unwrap_or_else(|_| state.to_owned());
        Ok(Self { store, link_base: artifacts::link_base(&root.join(ARTIFACTS)) })
    }

    /// The run that people call so: by its id, its name, or the beginning of either.
    pub(super) async fn run(&self, called: &str) -> anyhow::Result<Run> {
        if let Ok(id) = called.parse::<RunId>() {
            let run = self.store.run(id).await?;
            return run.ok_or_else(|| anyhow!("there is no run `{called}`"));
        }
        let filter = RunFilter { limit: SEARCHED, ..RunFilter::default() };
        let runs = self.store.runs(filter).await?;
        let named = |run: &Run| vec![run.spec.name.clone(), run.spec.id.to_string()];
        one("run", called, &runs, named).cloned()
    }

    /// The delivery that people call so: by its id, or its beginning.
    pub(super) async fn delivery(&self, called: &str) -> anyhow::Result<Delivery> {
        if let Ok(id) = called.parse::<DeliveryId>() {
            let delivery = self.store.delivery(id).await?;
            return delivery.ok_or_else(|| anyhow!("there is no delivery `{called}`"));
        }
        let filter = DeliveryFilter { limit: SEARCHED, ..DeliveryFilter::default() };
        let deliveries = self.store.deliveries(filter).await?;
        one("delivery", called, &deliveries, |delivery| vec![delivery.id.to_string()]).cloned()
    }

    /// The conversation that people call so: by its id, its `channel:address`, or the beginning of either.
    pub(super) async fn conversation(&self, called: &str) -> anyhow::Result<Conversation> {
        if let Ok(id) = called.parse::<ConversationId>() {
            let conversation = self.store.conversation(id).await?;
            return conversation.ok_or_else(|| anyhow!("there is no conversation `{called}`"));
        }
        let conversations = self.store.conversations(None, SEARCHED).await?;
        let named = |one: &Conversation| vec![one.origin.to_string(), one.id.to_string()];
        one("conversation", called, &conversations, named).cloned()
    }

    /// The deliveries of a run, oldest first.
    pub(super) async fn deliveries_of(&self, run: RunId) -> anyhow::Result<Vec<Delivery>> {
        let filter = DeliveryFilter { run: Some(run), limit: DELIVERIES, ..DeliveryFilter::default() };
        let mut deliveries = self.store.deliveries(filter).await?;
        deliveries.reverse();
        Ok(deliveries)
    }
}

/// The one among `all` with this name, or whose name alone begins so. The first of its names is shown.
fn one<'a, T>(
    what: &str,
    called: &str,
    all: &'a [T],
    names: impl Fn(&T) -> Vec<String>,
) -> anyhow::Result<&'a T> {
    if called.is_empty() {
        return Err(Unclear(format!(
            "no {what} is named: give its id, its name, or the beginning of either"
        ))
        .into());
    }
    let of = |matches: &dyn Fn(&str) -> bool| -> Vec<&'a T> {
        all.iter().filter(|one| names(one).iter().any(|name| matches(name))).collect()
    };
    let mut found = of(&|name| name == called);
    if found.is_empty() {
        found = of(&|name| name.starts_with(called));
    }
    match found.as_slice() {
        [one] => Ok(one),
        [] if all.len() >= SEARCHED as usize => {
            bail!(
                "there is no {what} `{called}` among the newest {SEARCHED}; older ones are found by their whole id"
            )
        }
        [] => bail!("there is no {what} `{called}`"),
        several => {
            let some = several.iter().take(8).map(|one| format!("\n  {}", names(one).join("  ")));
            let some = some.collect::<String>();
            Err(Unclear(format!("`{called}` may mean {}:{some}", render::count(several.len() as u64, what)))
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(called: &str, expected: Result<usize, &str>) {
        let all = [(0, "film-Ab12cd"), (1, "film-Ab12cdef"), (2, "relay-Zz00")];
        let found = one("run", called, &all, |(n, name)| vec![(*name).to_owned(), format!("AAAA{n}")]);
        match (found, expected) {
            (Ok((n, _)), Ok(expected)) => assert_eq!(*n, expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (found, expected) => panic!("{called}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn what_is_meant_is_found_by_a_whole_name_or_its_own_beginning() {
        check("relay", Ok(2));
        check("AAAA1", Ok(1));
        check("film-Ab12cd", Ok(0));
        check("film", Err("may mean 2 runs:\n  film-Ab12cd  AAAA0\n  film-Ab12cdef  AAAA1"));
        check("song", Err("there is no run `song`"));
        check("", Err("no run is named"));
    }
}
