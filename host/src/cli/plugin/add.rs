//! `sublane plugin add`: has the configuration name a plugin, and the running host load it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use sublane::config::Config;
use sublane::engine::cache::Cache;
use sublane::plugin::manifest::FILE_NAME;

use super::reload::{line, reload, serves};
use super::{PluginView, edit, engines, load};
use crate::cli::{Exit, Failed, Global, Result, complain, render, say, say_json, small_runtime};

const ABOUT: &str = "\
Examples:
  sublane plugin add plugins/video
  sublane plugin add plugins/video/video.wasm --allow asked

Checks the component and its manifest, says what the plugin asks for, and writes
[plugins.ID] into the configuration; the rest of it stays as it was written. Copies
nothing. A host that runs loads the plugin at once.";

/// Check a plugin and have the configuration name it
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(in crate::cli) struct Add {
    /// The component, or a directory that has one and its `plugin.toml`
    path: PathBuf,
    /// What it may do of what it asks for
    #[arg(long, value_enum, default_value_t)]
    allow: AllowWord,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum AllowWord {
    /// Nothing, until the configuration says more
    #[default]
    Nothing,
    /// All that it asks for, also after an update
    Asked,
}

impl Add {
    pub(in crate::cli) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let component = component(&self.path).map_err(Failed::wrong)?;
        let runtime = small_runtime()?;
        let temporary = tempfile::tempdir()?;
        let cache = Cache::open(&temporary.path().join("cache"))?;
        let plugin = runtime
            .block_on(load(&engines()?, &cache, &component))
            .map_err(|problem| Failed::wrong(anyhow!(problem)))?;
        let id = &plugin.manifest.id;
        let allow = match self.allow {
            AllowWord::Nothing => None,
            AllowWord::Asked => Some("asked"),
        };
        let named = as_named(&component, &config.file)?;
        runtime.block_on(edit::change(&config.file, |old| {
            let now = Config::parse(&config.file, old).map_err(Failed::wrong)?;
            check_free(id, &now)?;
            let new = edit::added(old, id, &named, allow).map_err(Failed::wrong)?;
            Config::parse(&config.file, &new).map_err(Failed::wrong)?;
            Ok(new)
        }))?;
        let view = PluginView::of(&plugin, &component);
        if !global.json {
            say(&view.text(&plugin.manifest));
            say(&format!("{} names it\n", config.file.display()));
        }
        let has_more = !plugin.manifest.asks.not_allowed(&Default::default()).is_empty();
        if allow.is_none() && has_more {
            complain(&format!(
                "it may do nothing of what it asks for yet: say what under [plugins.{id}.allow], \
                 then `sublane plugin reload {id}`"
            ));
        }
        let reloaded = match serves(&config)? {
            true => runtime.block_on(reload(&config, vec![id.clone()]))?,
            false => Vec::new(),
        };
        if global.json {
            say_json(&serde_json::json!({ "added": view, "plugins": reloaded }));
        } else if reloaded.is_empty() {
            say("no host runs here: the next one loads it\n");
        } else {
            reloaded.iter().for_each(|one| say(&format!("{}\n", line(one))));
        }
        Ok(Exit::Done)
    }
}

/// Refused, where the configuration names a plugin of this id.
fn check_free(id: &str, config: &Config) -> Result<()> {
    let Some(there) = config.plugins.get(id) else { return Ok(()) };
    Err(Failed::wrong(anyhow!(
        "there is a plugin `{id}` already ({}): `sublane plugin reload {id}` takes what lies there now, \
         `sublane plugin remove {id}` makes room for another",
        there.component.display()
    )))
}

/// The component that is meant by a path.
fn component(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return path.canonicalize().with_context(|| format!("{} cannot be found", path.display()));
    }
    let unread = || format!("{} cannot be read", path.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).with_context(unread)? {
        let file = entry.with_context(unread)?.path();
        if file.extension().is_some_and(|extension| extension == "wasm") {
            found.push(file);
        }
    }
    match found.as_slice() {
        [one] => Ok(one.canonicalize()?),
        [] => bail!(
            "{} has no component (*.wasm): name one, or the directory that has it beside its {FILE_NAME}; \
             `sublane plugin build` makes one of a crate",
            path.display()
        ),
        several => bail!(
            "{} has {}: name one of them",
            path.display(),
            render::count(several.len() as u64, "component")
        ),
    }
}

/// A path as the configuration calls it: relative to its directory where it lies below.
fn as_named(component: &Path, config: &Path) -> anyhow::Result<String> {
    let config = config.canonicalize().with_context(|| format!("{} cannot be found", config.display()))?;
    let below = config.parent().and_then(|directory| component.strip_prefix(directory).ok());
    let named = below.unwrap_or(component);
    let text = named.to_str().ok_or_else(|| anyhow!("{} is no text: rename it", named.display()))?;
    Ok(text.to_owned())
}
