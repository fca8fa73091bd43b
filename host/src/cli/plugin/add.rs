//! `sublane plugin add`: has the configuration name a plugin, and the running host load it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum;
use sublane::config::{Config, PluginConfig};
use sublane::engine::cache::Cache;
use sublane::open::{VERSIONS, store_file};
use sublane::plugin::Manifest;
use sublane::plugin::manifest::FILE_NAME;

use super::consent::{self, Before, Choice, Difference};
use super::edit::Allowed;
use super::grants::Sides;
use super::reload::{line, reload, serves};
use super::{PluginView, allow, edit, engines_for, load};
use crate::cli::reader::Reader;
use crate::cli::{Exit, Failed, Global, Result, compiler, complain, render, say, say_json, small_runtime};

const ABOUT: &str = "\
Examples:
  sublane plugin add plugins/video
  sublane plugin add plugins/video/video.wasm --grant

Checks the component and its manifest, says what the plugin asks for and would be able
to do, and writes [plugins.ID] into the configuration; the rest of it stays as it was
written. Of a plugin that is there already it says how this version differs, and puts
it in the other's place. Nothing is allowed without an option or a yes at the terminal.
Copies nothing. A host that runs loads the plugin at once.";

/// Check a plugin and have the configuration name it, or another version of it
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(in crate::cli) struct Add {
    /// The component, or a directory that has one and its `plugin.toml`
    path: PathBuf,
    /// Allow what it asks for now, and no more after an update
    #[arg(long, conflicts_with = "allow")]
    grant: bool,
    /// What it may do of what it asks for
    #[arg(long, value_enum)]
    allow: Option<AllowWord>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AllowWord {
    /// Nothing, until the configuration says more
    Nothing,
    /// All that it asks for, also after an update
    Asked,
    /// What the configuration allows it already
    Same,
}

impl Add {
    pub(in crate::cli) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let component = component(&self.path).map_err(Failed::wrong)?;
        let runtime = small_runtime()?;
        let temporary = tempfile::tempdir()?;
        let cache =
            Cache::open(&temporary.path().join("cache"))?.compiled_by(compiler(config.limits.compile));
        let plugin = runtime
            .block_on(load(&engines_for(&config)?, &cache, &component))
            .map_err(|problem| Failed::wrong(anyhow!(problem)))?;
        let (id, manifest) = (&plugin.manifest.id, &plugin.manifest);
        let before = match config.plugins.get(id) {
            Some(there) => Some(runtime.block_on(before(&config, id, there, &component))?),
            None => None,
        };
        let differs = before.as_ref().map(|before| Difference::of(before, manifest));
        let view = PluginView::of(&plugin, &component);
        if !global.json {
            say(&view.text(manifest));
            differs.iter().for_each(|differs| say(&differs.text()));
        }
        let choice = match (self.grant, self.allow) {
            (true, _) => Choice::Now,
            (_, Some(AllowWord::Nothing)) => Choice::Nothing,
            (_, Some(AllowWord::Asked)) => Choice::Asked,
            (_, Some(AllowWord::Same)) if before.is_none() => {
                return Err(Failed::wrong(anyhow!("there is no plugin `{id}` yet: nothing stands there")));
            }
            (_, Some(AllowWord::Same)) => Choice::Same,
            (_, None) => consent::ask(manifest, differs.as_ref(), !global.json)?,
        };
        let named = as_named(&component, &config.file)?;
        let next = runtime.block_on(edit::change(&config.file, |old| {
            let now = Config::parse(&config.file, old).map_err(Failed::wrong)?;
            let there = now.plugins.get(id);
            if there.map(|there| &there.allow) != before.as_ref().map(|before| &before.allow) {
                return Err(Failed::wrong(anyhow!("[plugins.{id}] was changed meanwhile: repeat this")));
            }
            let allowed = match choice {
                Choice::Nothing => Some(Allowed::Nothing),
                Choice::Asked => Some(Allowed::Asked),
                Choice::Now => Some(Allowed::These(allow::table(&allow::known(&manifest.asks, &now, id)))),
                Choice::Same => None,
            };
            let new = match &before {
                Some(_) => edit::upgraded(old, id, &named, allowed),
                None => edit::added(old, id, &named, allowed.unwrap_or(Allowed::Nothing)),
            };
            let new = new.map_err(Failed::wrong)?;
            let next = Config::parse(&config.file, &new).map_err(|problems| {
                let why = "nothing was changed: with it the configuration would be wrong; change this first";
                Failed::wrong(anyhow::Error::from(problems).context(why))
            })?;
            Ok((new, next))
        }))?;
        let sides = Sides::of(manifest, &next.plugins[id].allow);
        if !global.json {
            say(&render::section("is able to", sides.may()));
            say(&format!("{} names it\n", config.file.display()));
        }
        if !sides.may_not().is_empty() {
            complain(&format!(
                "it may not do all that it asks for: `sublane plugin grants {id}` says what; allow it under \
                 [plugins.{id}.allow], then `sublane plugin reload {id}`"
            ));
        }
        let reloaded = match serves(&config)? {
            true => runtime.block_on(reload(&config, vec![id.clone()]))?,
            false => Vec::new(),
        };
        if global.json {
            say_json(&serde_json::json!({
                "added": view, "differs": differs, "grants": sides, "plugins": reloaded,
            }));
        } else if reloaded.is_empty() {
            say("no host runs here: the next one loads it\n");
        } else {
            reloaded.iter().for_each(|one| say(&format!("{}\n", line(one))));
        }
        Ok(Exit::Done)
    }
}

/// The version of a plugin that is configured: what lies there, or, where the new one lies in its
/// place, what a host had last.
async fn before(config: &Config, id: &str, there: &PluginConfig, component: &Path) -> anyhow::Result<Before> {
    let is_other = there.component.canonicalize().is_ok_and(|there| there != component);
    let manifest = if is_other {
        Some(there.component.with_file_name(FILE_NAME))
    } else if store_file(&config.state).exists() {
        let rows = Reader::open(config)?.store.plugins().await?;
        let row = rows.into_iter().find(|row| row.id == id);
        row.map(|row| config.state.join(VERSIONS).join(row.digest).join(FILE_NAME))
    } else {
        None
    };
    let manifest = manifest.and_then(|file| Manifest::load(&file).ok());
    Ok(Before { manifest, allow: there.allow.clone() })
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
