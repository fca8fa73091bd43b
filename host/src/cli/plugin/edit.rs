//! Changes `[plugins]` in a configuration's text, and leaves all else in it as it was written.
//!
//! Owns how the file is replaced: by one command after the other, whole or not at all, with its mode
//! and its owner, and never over what somebody else has written meanwhile. Knows no rule of the
//! configuration.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use sublane::clock::{Clock as _, SystemClock};
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value};

use crate::cli::{Failed, Result};

/// What stands behind `allow`.
#[derive(Clone, Debug)]
pub(super) enum Allowed {
    /// There is no such key.
    Nothing,
    /// The word for whatever is asked for.
    Asked,
    /// These keys.
    These(Table),
}

/// How long another command may take, which holds the turn for as long as it writes a file.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Changes a configuration by what `change` makes of its text, and gives what it read of it. Commands that do so at once wait for
/// each other, for up to five seconds: each sees what the one before it wrote.
///
/// # Errors
/// Those of `change`; that the file cannot be read or written, or that another command does not end.
pub(super) async fn change<T>(file: &Path, change: impl FnOnce(&str) -> Result<(String, T)>) -> Result<T> {
    let _turn = turn(file).await?;
    let old = sublane::strict::load(file).map_err(Failed::wrong)?;
    let (new, read) = change(&old)?;
    if new != old {
        replace(file, &old, &new)?;
    }
    Ok(read)
}

/// The directory that has the file, locked until it is dropped. Not the file itself: it is replaced.
async fn turn(file: &Path) -> anyhow::Result<File> {
    let file = file.canonicalize().with_context(|| format!("{} cannot be found", file.display()))?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    let opened =
        File::open(directory).with_context(|| format!("{} cannot be opened", directory.display()))?;
    let until = SystemClock.now().after(PATIENCE);
    loop {
        match opened.try_lock() {
            Ok(()) => return Ok(opened),
            Err(TryLockError::WouldBlock) if SystemClock.now() < until => {
                SystemClock.sleep_for(LOOK).await;
            }
            Err(TryLockError::WouldBlock) => bail!(
                "another command is changing {} and does not end: look at it, then repeat this",
                file.display()
            ),
            // Some file systems lock no directories: what is left is the look before the file is replaced.
            Err(TryLockError::Error(_)) => return Ok(opened),
        }
    }
}

/// The text with a plugin more.
pub(super) fn added(text: &str, id: &str, component: &str, allow: Allowed) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let plugins = document.entry("plugins").or_insert_with(|| {
        let mut plugins = Table::new();
        plugins.set_implicit(true);
        Item::Table(plugins)
    });
    match plugins {
        Item::Table(plugins) => {
            let mut plugin = Table::new();
            plugin.insert("component", component.into());
            set_allow(&mut plugin, allow);
            plugin.decor_mut().set_prefix(if text.trim().is_empty() { "" } else { "\n" });
            plugins.insert(id, Item::Table(plugin));
        }
        Item::Value(Value::InlineTable(plugins)) => {
            let mut plugin = InlineTable::new();
            plugin.insert("component", component.into());
            set_inline_allow(&mut plugin, allow);
            plugins.insert(id, Value::InlineTable(plugin));
        }
        _ => bail!("`plugins` is no table"),
    }
    Ok(document.to_string())
}

/// The text with another component for a plugin, and with another `allow` if one is named.
pub(super) fn upgraded(
    text: &str,
    id: &str,
    component: &str,
    allow: Option<Allowed>,
) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    match plugin(&mut document, id)? {
        Entry::Table(plugin) => {
            if let Some(value) = plugin.get_mut("component").and_then(Item::as_value_mut) {
                put(value, component);
            }
            allow.into_iter().for_each(|allow| set_allow(plugin, allow));
        }
        Entry::Inline(plugin) => {
            if let Some(value) = plugin.get_mut("component") {
                put(value, component);
            }
            allow.into_iter().for_each(|allow| set_inline_allow(plugin, allow));
        }
    }
    Ok(document.to_string())
}

/// The text in which a plugin is allowed nothing of these kinds, of none when none is named.
/// `asked` is what the word `"asked"` stands for.
pub(super) fn revoked(text: &str, id: &str, kinds: &[&str], asked: &Table) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let is_gone = |key: &str| kinds.is_empty() || kinds.contains(&key);
    let rest = || {
        let mut rest = asked.clone();
        rest.retain(|key, _| !is_gone(key));
        if rest.is_empty() || kinds.is_empty() { Allowed::Nothing } else { Allowed::These(rest) }
    };
    match plugin(&mut document, id)? {
        Entry::Table(plugin) => match plugin.get_mut("allow") {
            Some(Item::Table(allow)) => allow.retain(|key, _| !is_gone(key)),
            Some(Item::Value(Value::InlineTable(allow))) => allow.retain(|key, _| !is_gone(key)),
            Some(_) => set_allow(plugin, rest()),
            None => {}
        },
        Entry::Inline(plugin) => match plugin.get_mut("allow") {
            Some(Value::InlineTable(allow)) => allow.retain(|key, _| !is_gone(key)),
            Some(_) => set_inline_allow(plugin, rest()),
            None => {}
        },
    }
    Ok(document.to_string())
}

/// What the configuration says of one plugin.
enum Entry<'d> {
    Table(&'d mut Table),
    Inline(&'d mut InlineTable),
}

fn plugin<'d>(document: &'d mut DocumentMut, id: &str) -> anyhow::Result<Entry<'d>> {
    let entry = match document.get_mut("plugins") {
        Some(Item::Table(plugins)) => match plugins.get_mut(id) {
            Some(Item::Table(plugin)) => Some(Entry::Table(plugin)),
            Some(Item::Value(Value::InlineTable(plugin))) => Some(Entry::Inline(plugin)),
            _ => None,
        },
        Some(Item::Value(Value::InlineTable(plugins))) => match plugins.get_mut(id) {
            Some(Value::InlineTable(plugin)) => Some(Entry::Inline(plugin)),
            _ => None,
        },
        _ => None,
    };
    entry.ok_or_else(|| anyhow!("there is no plugin `{id}` in it"))
}

/// Another value in the same place: what stands around it stays.
fn put(value: &mut Value, new: &str) {
    let decor = value.decor().clone();
    *value = new.into();
    *value.decor_mut() = decor;
}

fn set_allow(plugin: &mut Table, allow: Allowed) {
    // What was written above the key or its heading is about what the plugin may do, and stays.
    let above = match plugin.get("allow") {
        Some(Item::Table(table)) => table.decor().prefix().cloned(),
        Some(_) => plugin.key("allow").and_then(|key| key.leaf_decor().prefix().cloned()),
        None => None,
    };
    let above = above.as_ref().and_then(|above| above.as_str()).unwrap_or_default().trim().to_owned();
    plugin.remove("allow");
    match allow {
        Allowed::Nothing => {}
        Allowed::Asked => {
            plugin.insert("allow", "asked".into());
            if !above.is_empty()
                && let Some(mut key) = plugin.key_mut("allow")
            {
                key.leaf_decor_mut().set_prefix(format!("{above}\n"));
            }
        }
        Allowed::These(mut table) => {
            table.decor_mut().set_prefix(if above.is_empty() {
                "\n".to_owned()
            } else {
                format!("\n{above}\n")
            });
            plugin.insert("allow", Item::Table(table));
        }
    }
}

fn set_inline_allow(plugin: &mut InlineTable, allow: Allowed) {
    plugin.remove("allow");
    match allow {
        Allowed::Nothing => {}
        Allowed::Asked => drop(plugin.insert("allow", "asked".into())),
        Allowed::These(table) => drop(plugin.insert("allow", Value::InlineTable(table.into_inline_table()))),
    }
    // Nobody can have written a comment in one.
    plugin.fmt();
}

/// The text without a plugin. What is written above its heading stays: it may be about more.
pub(super) fn removed(text: &str, id: &str) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let gone = match document.get_mut("plugins") {
        Some(Item::Table(plugins)) => plugins.remove(id),
        Some(Item::Value(Value::InlineTable(plugins))) => plugins.remove(id).map(Item::Value),
        _ => None,
    };
    let gone = gone.ok_or_else(|| anyhow!("there is no plugin `{id}` in it"))?;
    if let Item::Table(gone) = gone
        && let Some(above) = gone.decor().prefix().and_then(|prefix| prefix.as_str())
        && !above.trim().is_empty()
    {
        let (mut path, mut found) = (Vec::new(), None);
        behind(&document, gone.position().unwrap_or_default(), &mut path, &mut found);
        match found.and_then(|(_, path)| heading(&mut document, &path)) {
            Some(next) => {
                let own = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
                // An empty line tells the one from the other.
                let both = format!("{}\n\n{}", above.trim_end(), own.trim_start_matches('\n'));
                next.decor_mut().set_prefix(both);
            }
            None => {
                let both = format!("{above}{}", document.trailing().as_str().unwrap_or_default());
                document.set_trailing(both);
            }
        }
    }
    Ok(document.to_string())
}

/// Finds the first table with a heading that stands behind this place in the file.
fn behind<'t>(
    table: &'t Table,
    place: isize,
    path: &mut Vec<&'t str>,
    found: &mut Option<(isize, Vec<String>)>,
) {
    for (key, item) in table {
        let Item::Table(inner) = item else { continue };
        path.push(key);
        if let Some(at) =
            inner.position().filter(|at| *at > place && !inner.is_implicit() && !inner.is_dotted())
            && found.as_ref().is_none_or(|(best, _)| at < *best)
        {
            *found = Some((at, path.iter().map(|key| (*key).to_owned()).collect()));
        }
        behind(inner, place, path, found);
        path.pop();
    }
}

fn heading<'d>(document: &'d mut DocumentMut, path: &[String]) -> Option<&'d mut Table> {
    path.iter().try_fold(document.as_table_mut(), |table, key| table.get_mut(key)?.as_table_mut())
}

/// Puts `new` in the place of a file that holds `old`.
fn replace(file: &Path, old: &str, new: &str) -> anyhow::Result<()> {
    // A link stays one: what it leads to is replaced.
    let file = file.canonicalize().with_context(|| format!("{} cannot be found", file.display()))?;
    let unwritten = || format!("{} cannot be written", file.display());
    let replaced = || -> anyhow::Result<()> {
        let directory = file.parent().unwrap_or(Path::new("/"));
        let meta = std::fs::metadata(&file)?;
        let mut staged = tempfile::NamedTempFile::new_in(directory)
            .context("whoever changes it must be able to write to its directory")?;
        staged.write_all(new.as_bytes())?;
        let own = staged.as_file();
        let is_ours = own.metadata().map(|own| (own.uid(), own.gid()))?;
        if is_ours != (meta.uid(), meta.gid()) {
            fchown(own, Some(meta.uid()), Some(meta.gid())).context("its owner cannot be kept")?;
        }
        own.set_permissions(meta.permissions())?;
        own.sync_all()?;
        if std::fs::read(&file)? != old.as_bytes() {
            bail!("somebody has changed it meanwhile: look at it and repeat this");
        }
        staged.persist(&file)?;
        Ok(File::open(directory)?.sync_all()?)
    };
    replaced().with_context(unwritten)
}

#[cfg(test)]
mod tests;
