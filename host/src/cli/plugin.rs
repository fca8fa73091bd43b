//! `sublane plugin`: makes components, says what they are, and which ones a host has.

mod add;
mod allow;
mod consent;
mod edit;
mod grants;
mod list;
mod reload;
mod remove;
mod revoke;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use sublane::bounded;
use sublane::channel::console::size;
use sublane::channel::scrub_line;
use sublane::config::Config;
use sublane::engine::cache::{Cache, CacheError};
use sublane::engine::compile::Bounds;
use sublane::engine::{Class, Engines, MAX_MEMORY_BYTES, PoolSizes};
use sublane::machine::Machine;
use sublane::plugin::load::check_bytes;
use sublane::plugin::{Allow, Definition, Manifest, Plugin};
use sublane_build::{BuildOptions, Built, Error as BuildError, Toolchain, build_dir};

use super::{Exit, Failed, Global, Result, chain, compiler, complain, render, say, say_json, small_runtime};

/// Make and look at plugins, and have a host read them anew.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    List(list::List),
    Add(add::Add),
    Grants(grants::Grants),
    Revoke(revoke::Revoke),
    Reload(reload::Reload),
    Remove(remove::Remove),
    /// Say what a component exports, imports and asks for
    Check(Check),
    /// Make a component from a Rust plugin crate
    Build(Build),
}

/// What a plugin asks for it does not yet get: the configuration has to allow it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sublane plugin check plugins/video/video.wasm")]
pub(super) struct Check {
    /// The component; its `plugin.toml` lies beside it
    file: PathBuf,
}

/// Finds or gets a toolchain for plugins and says what it does; changes no file of the crate.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sublane plugin build my-plugin --out plugins\n\n\
    makes plugins/my-plugin/my-plugin.wasm, with plugin.toml beside it.")]
pub(super) struct Build {
    /// The directory of the crate
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The directory that gets a directory with the component and its manifest
    #[arg(long, value_name = "DIR", default_value = "plugins")]
    out: PathBuf,
    /// Fail when Cargo.lock is not right, instead of completing it
    #[arg(long)]
    locked: bool,
    /// Keep cargo's progress off the terminal
    #[arg(long, short)]
    quiet: bool,
}

impl Command {
    pub(super) fn run(self, global: &Global) -> Result {
        match self {
            Self::List(args) => args.run(global),
            Self::Add(args) => args.run(global),
            Self::Grants(args) => args.run(global),
            Self::Revoke(args) => args.run(global),
            Self::Reload(args) => args.run(global),
            Self::Remove(args) => args.run(global),
            Self::Check(args) => args.run(global),
            Self::Build(args) => args.run(global),
        }
    }
}

impl Check {
    fn run(self, global: &Global) -> Result {
        let temporary = tempfile::tempdir()?;
        let cache = Cache::open(&temporary.path().join("cache"))?.compiled_by(compiler(Bounds::default()));
        let engines = engines(MAX_MEMORY_BYTES)?;
        match small_runtime()?.block_on(load(&engines, &cache, &self.file)) {
            Ok(plugin) => {
                let view = PluginView::of(&plugin, &self.file);
                if global.json {
                    say_json(&view)
                } else {
                    say(&view.text(&plugin.manifest))
                }
                Ok(Exit::Done)
            }
            Err(problem) => {
                if global.json {
                    say_json(&serde_json::json!({ "ok": false, "file": self.file, "problem": problem }));
                }
                Err(Failed::wrong(anyhow::anyhow!(problem)))
            }
        }
    }
}

/// Engines that only look at the plugins of a configuration, as far as this machine can have them.
pub(super) fn engines_for(config: &Config) -> anyhow::Result<Engines> {
    engines(
        Machine::read().fit(&config.limits.instances).map_or(MAX_MEMORY_BYTES, |pools| pools.memory_bytes),
    )
}

/// Engines that only look at plugins of at most so much memory: with the smallest pools.
fn engines(memory_bytes: u64) -> anyhow::Result<Engines> {
    let smallest = sublane::engine::pool::SMALLEST;
    Engines::new(PoolSizes { small: smallest, large: smallest, per_plugin: None, memory_bytes })
        .map_err(|error| anyhow::anyhow!("the engines cannot be made: {error:#}"))
}

/// A cache for a command that only looks.
pub(super) struct Lent {
    pub(super) cache: Cache,
    /// Why it is not that of the configuration: others could have written that one.
    pub(super) refused: Option<CacheError>,
    _temporary: tempfile::TempDir,
}

impl Lent {
    /// The cache that a host will have, if it is there and this user's. None is made, which could then
    /// belong to somebody else.
    pub(super) fn by(config: &Config) -> anyhow::Result<Self> {
        let temporary = tempfile::tempdir()?;
        let opened = config.cache.exists().then(|| Cache::open(&config.cache));
        let (cache, refused) = match opened {
            Some(Ok(cache)) => (Some(cache), None),
            Some(Err(refused @ CacheError::Unsafe { .. })) => (None, Some(refused)),
            Some(Err(error)) => return Err(error.into()),
            None => (None, None),
        };
        let cache = cache.map_or_else(|| Cache::open(&temporary.path().join("cache")), Ok)?;
        let cache = cache.compiled_by(compiler(config.limits.compile));
        Ok(Self { cache, refused, _temporary: temporary })
    }
}

/// Loads a component and its manifest; as an error, why it is no plugin for this host.
async fn load(engines: &Engines, cache: &Cache, file: &Path) -> std::result::Result<Plugin, String> {
    // What the file is comes first: whoever names the wrong one has no manifest either.
    if let Ok(bytes) = bounded::regular(file, bounded::MAX_COMPONENT_BYTES) {
        check_bytes(&bytes).map_err(|refused| format!("{}: {refused}", file.display()))?;
        let manifest = file.with_file_name(sublane::plugin::manifest::FILE_NAME);
        if !manifest.exists() {
            return Err(format!("{} is missing: a component's manifest lies beside it", manifest.display()));
        }
    }
    Plugin::load(engines, cache, file, &Allow::Asked).await.map_err(|error| chain(&error))
}

/// What a component is.
#[derive(Serialize)]
pub(super) struct PluginView {
    ok: bool,
    file: PathBuf,
    id: String,
    version: String,
    description: String,
    component: String,
    /// Of component and manifest: the version that runs are on.
    digest: String,
    memory_bytes: u64,
    engine: &'static str,
    agents: Vec<Definition>,
    tools: Vec<Definition>,
    imports: Vec<String>,
    /// Interfaces of WASI that it imports.
    wasi: Vec<String>,
    asks: sublane_core::Authority,
}

impl PluginView {
    pub(super) fn of(plugin: &Plugin, file: &Path) -> Self {
        let Manifest { id, version, description, memory_bytes, asks } = plugin.manifest.clone();
        Self {
            ok: true,
            file: file.to_owned(),
            id,
            version,
            description,
            component: plugin.component.clone(),
            digest: plugin.digest.clone(),
            memory_bytes,
            engine: match plugin.class {
                Class::Small => "small",
                Class::Large => "large",
            },
            agents: plugin.agents.clone(),
            tools: plugin.tools.clone(),
            imports: plugin.imports.clone(),
            wasi: plugin.wasi.clone(),
            asks,
        }
    }

    fn text(&self, manifest: &Manifest) -> String {
        let mut text = format!("{} {}", self.id, self.version);
        if !self.description.is_empty() {
            text.push_str(&format!(": {}", scrub_line(&self.description)));
        }
        text.push('\n');
        text.push_str(&format!(
            "  component {:.16}, {} of memory, {} engine\n",
            self.component,
            render::bytes(self.memory_bytes),
            self.engine
        ));
        text.push_str(&render::section("has agents", &definitions(&self.agents)));
        text.push_str(&render::section("has tools", &definitions(&self.tools)));
        let imports = if self.imports.is_empty() { "nothing".to_owned() } else { self.imports.join(", ") };
        text.push_str(&render::section("imports", &[imports]));
        text.push_str(&render::section("uses WASI", &sublane::plugin::wasi::told(&self.wasi)));
        text.push_str(&render::section("asks to", &render::authority(&manifest.asks)));
        text
    }
}

/// Names with the first paragraph of what they do.
fn definitions(definitions: &[Definition]) -> Vec<String> {
    let line = |definition: &Definition| {
        let description = definition.description.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        scrub_line(format!("{:<16} {description}", definition.name).trim_end())
    };
    definitions.iter().map(line).collect()
}

impl Build {
    fn run(self, global: &Global) -> Result {
        // A manifest that is wrong is told before anything is compiled.
        let manifest = self.dir.join(sublane::plugin::manifest::FILE_NAME);
        if manifest.exists() {
            Manifest::load(&manifest).map_err(Failed::wrong)?;
        }
        let quiet = self.quiet;
        let mut report = |line: &str| {
            if !quiet {
                complain(line);
            }
        };
        let options = BuildOptions { locked: self.locked, quiet: self.quiet, ..BuildOptions::default() };
        let built = Toolchain::find(&self.dir, &mut report)
            .and_then(|toolchain| build_dir(&toolchain, &self.dir, &self.out, options, &mut report))
            .map_err(|error| match error {
                // The machine's fault; every other one is the crate's.
                BuildError::NoToolchain { .. } | BuildError::Start { .. } | BuildError::Io { .. } => {
                    error.into()
                }
                _ => Failed::wrong(error),
            })?;
        let Built { package, component, manifest, size: bytes, changed } = built;
        if global.json {
            say_json(&serde_json::json!({
                "package": package, "component": component, "manifest": manifest, "bytes": bytes, "changed": changed,
            }));
        } else {
            say(&format!("{} ({})\n", component.display(), size(bytes)));
        }
        Ok(Exit::Done)
    }
}
