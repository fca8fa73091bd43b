//! Plugins: a component with its manifest, compiled, checked and asked what it has.
//!
//! Owns the registry. Each version of a plugin is loaded once; instances are made of it by
//! `runner`. Never runs an agent.

mod allow;
mod entry;
mod files;
pub mod kept;
pub mod load;
pub mod manifest;
mod registry;
pub mod schema;
pub mod wasi;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sublane_core::grants::Authority;
use sublane_core::{Grants, Purse, Timestamp};
use wasmtime::component::Linker;

use crate::bindings::agent::AgentPre;
use crate::bindings::toolbox::ToolboxPre;
use crate::engine::cache::{Cache, CacheError};
use crate::engine::limiter::Limiter;
use crate::engine::{Class, Engines};
use crate::imports::{Ctx, Instance};

use self::load::Shape;
use self::schema::Schema;

pub use allow::Allow;
pub use files::{Files, digest};
pub use load::Refused;
pub use manifest::Manifest;
pub use registry::Plugins;

/// A version of a plugin that is loaded.
pub struct Plugin {
    /// What it says of itself and asks for.
    pub manifest: Manifest,
    /// What the operator said of it.
    pub allow: Allow,
    /// What the operator allows.
    pub allows: Authority,
    met: Authority,
    /// Its id, as grants that are cut from its root name it.
    id: Arc<str>,
    /// The digest of this version of it, hex: component and manifest.
    pub digest: String,
    /// BLAKE3 of its component, hex.
    pub component: String,
    /// The engine it runs on.
    pub class: Class,
    /// Its agents, when it has any.
    pub agents: Vec<Definition>,
    /// Its tools, when it has any.
    pub tools: Vec<Definition>,
    /// Interfaces that it imports.
    pub imports: Vec<String>,
    /// Interfaces of WASI that it imports, without their versions.
    pub wasi: Vec<String>,
    /// Ready to be instantiated as an agent.
    pub agent_pre: Option<AgentPre<Ctx>>,
    /// Ready to be instantiated for a tool call.
    pub toolbox_pre: Option<ToolboxPre<Ctx>>,
}

/// An agent or a tool, as its plugin describes it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Definition {
    /// Unique in the plugin.
    pub name: String,
    /// What it does.
    pub description: String,
    /// What its input looks like.
    pub input_schema: Schema,
}

/// What follows from a component's bytes alone: it is kept beside its code.
#[derive(serde::Serialize, serde::Deserialize)]
struct Found {
    shape: Shape,
    agents: Vec<Definition>,
    tools: Vec<Definition>,
}

/// Why a plugin could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The component or its manifest.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The manifest is wrong.
    #[error("{0}")]
    Manifest(String),
    /// The configuration names it otherwise than its manifest does.
    #[error(
        "{path}: the manifest says `id = \"{found}\"`, the configuration calls it `{configured}`: use one name"
    )]
    OtherId {
        /// The manifest.
        path: PathBuf,
        /// What it says.
        found: String,
        /// The key in the configuration.
        configured: String,
    },
    /// It asks for more memory than the operator lets an instance have.
    #[error(
        "{path}: it asks for {asked_kib} KiB of memory, and this host lets an instance have {limit_kib} KiB: \
         `limits.memory` in the configuration says how much"
    )]
    TooMuchMemory {
        /// The manifest.
        path: PathBuf,
        /// What it asks for, in KiB.
        asked_kib: u64,
        /// What it may ask for, in KiB.
        limit_kib: u64,
    },
    /// It is no plugin for this host.
    #[error("{path}")]
    Refused {
        /// The component.
        path: PathBuf,
        /// Why.
        source: Refused,
    },
    /// It cannot be compiled or cached.
    #[error("{path}")]
    Cache {
        /// The component.
        path: PathBuf,
        /// Why.
        source: CacheError,
    },
    /// It cannot be kept for the runs that begin on it.
    #[error("{path} cannot be kept for the runs that begin on it")]
    Keep {
        /// The component.
        path: PathBuf,
        /// Why.
        source: Box<kept::KeptError>,
    },
    /// It failed when it was asked what it has.
    #[error("{path}: it failed when it was asked for its {what}: {why}")]
    Introspection {
        /// The component.
        path: PathBuf,
        /// Agents or tools.
        what: &'static str,
        /// Why.
        why: String,
    },
}

impl Plugin {
    /// What its manifest asks for and the operator allows.
    #[must_use]
    pub fn met(&self) -> &Authority {
        &self.met
    }

    /// Its id, as admission to instances counts it.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The root grants of its runs and tool calls, and the purse that bounds what they may spend.
    #[must_use]
    pub fn root(&self, now: Timestamp) -> (Grants, Purse) {
        self.rooted(&self.allows, now)
    }

    /// As [`Self::root`], for a run on a lane with this time-out.
    #[must_use]
    pub fn root_within(&self, now: Timestamp, timeout: Duration) -> (Grants, Purse) {
        let allows = Authority { timeout: self.allows.timeout.min(timeout), ..self.allows.clone() };
        self.rooted(&allows, now)
    }

    fn rooted(&self, allows: &Authority, now: Timestamp) -> (Grants, Purse) {
        let (grants, purse) = Grants::root(&self.manifest.asks, allows, now, self.manifest.memory_bytes);
        (grants.of_plugin(&self.id), purse)
    }

    /// The agent of this name; without a name, its only one.
    #[must_use]
    pub fn agent(&self, name: Option<&str>) -> Option<&Definition> {
        match name {
            Some(name) => self.agents.iter().find(|agent| agent.name == name),
            None if self.agents.len() == 1 => self.agents.first(),
            None => None,
        }
    }

    /// Whether this is the version with that digest. Runs that were accepted before versions were
    /// kept have the digest of its component.
    #[must_use]
    pub fn is(&self, digest: &str) -> bool {
        self.digest == digest || self.component == digest
    }

    /// The same version, allowed something else.
    #[must_use]
    pub fn allowed(&self, allow: &Allow) -> Self {
        let allows = allow.for_manifest(&self.manifest);
        Self {
            met: self.manifest.asks.meet(&allows),
            allows,
            allow: allow.clone(),
            id: self.id.clone(),
            manifest: self.manifest.clone(),
            digest: self.digest.clone(),
            component: self.component.clone(),
            class: self.class,
            agents: self.agents.clone(),
            tools: self.tools.clone(),
            imports: self.imports.clone(),
            wasi: self.wasi.clone(),
            agent_pre: self.agent_pre.clone(),
            toolbox_pre: self.toolbox_pre.clone(),
        }
    }

    /// Loads a component and the `plugin.toml` beside it.
    ///
    /// # Errors
    /// [`LoadError`] says which file and why.
    pub async fn load(
        engines: &Engines,
        cache: &Cache,
        path: &Path,
        allow: &Allow,
    ) -> Result<Self, LoadError> {
        Self::of(engines, cache, &Files::read(path)?, allow).await
    }

    /// Makes a plugin of what was read.
    ///
    /// # Errors
    /// As of [`Self::load`].
    pub async fn of(
        engines: &Engines,
        cache: &Cache,
        files: &Files,
        allow: &Allow,
    ) -> Result<Self, LoadError> {
        let path = &files.path;
        let manifest = files.manifest()?;
        if manifest.memory_bytes > engines.memory_bytes {
            return Err(LoadError::TooMuchMemory {
                path: path.with_file_name(manifest::FILE_NAME),
                asked_kib: manifest.memory_bytes >> 10,
                limit_kib: engines.memory_bytes >> 10,
            });
        }
        let refused = |source| LoadError::Refused { path: path.to_owned(), source };
        let hash = files.component();
        let class = Class::for_memory(manifest.memory_bytes);
        let on = engines.of(class);
        let engine = &on.engine;
        let entry = cache.entry(on, hash);
        let uncached = |source| LoadError::Cache { path: path.to_owned(), source };
        let component = match entry.component() {
            Some(component) => component,
            None => {
                let wasm = files.wasm()?;
                load::check_bytes(wasm).map_err(refused)?;
                entry.compile(wasm).map_err(uncached)?
            }
        };
        let known = entry.found::<Found>();
        let shape = match &known {
            Some(known) => known.shape.clone(),
            None => load::shape(engine, &component).map_err(refused)?,
        };
        let unfit = |error: wasmtime::Error| refused(Refused::NotAComponent(format!("{error:#}")));
        let mut linker = Linker::<Ctx>::new(engine);
        crate::imports::link(&mut linker, &component).map_err(unfit)?;
        let pre = linker.instantiate_pre(&component).map_err(unfit)?;
        let allows = allow.for_manifest(&manifest);
        let mut plugin = Self {
            met: manifest.asks.meet(&allows),
            allow: allow.clone(),
            id: manifest.id.as_str().into(),
            allows,
            manifest,
            digest: files.digest(),
            component: hash.to_hex().to_string(),
            class,
            agents: Vec::new(),
            tools: Vec::new(),
            imports: shape.imports.clone(),
            wasi: shape.wasi.clone(),
            agent_pre: shape.agents.then(|| AgentPre::new(pre.clone())).transpose().map_err(unfit)?,
            toolbox_pre: shape.tools.then(|| ToolboxPre::new(pre)).transpose().map_err(unfit)?,
        };
        match known {
            Some(known) => (plugin.agents, plugin.tools) = (known.agents, known.tools),
            None => {
                plugin.ask(engines, path).await?;
                let found = Found { shape, agents: plugin.agents.clone(), tools: plugin.tools.clone() };
                entry.keep(&found).map_err(uncached)?;
            }
        }
        Ok(plugin)
    }

    /// Asks a fresh instance without any grants what the plugin has.
    async fn ask(&mut self, engines: &Engines, path: &Path) -> Result<(), LoadError> {
        let unfit = |what, why| LoadError::Introspection { path: path.to_owned(), what, why };
        let failed = |what, error: wasmtime::Error| unfit(what, format!("{error:#}"));
        let engine = &engines.of(self.class).engine;
        let store = || {
            let mut store = wasmtime::Store::new(
                engine,
                Ctx::new(Limiter::new(self.manifest.memory_bytes), Instance::Unprivileged),
            );
            store.limiter(|ctx| &mut ctx.limiter);
            store.set_hostcall_fuel(crate::imports::HOSTCALL_BYTES);
            // A second of guest CPU is more than naming one's exports can take.
            store.set_epoch_deadline(1_000 / crate::engine::TICK_MS);
            store
        };
        let _executing = engines.ticker.enter();
        if let Some(pre) = &self.agent_pre {
            let mut store = store();
            let asked = async {
                let agent = entry::agent(pre, &mut store).await?;
                agent.sublane_plugin_agent_entry().call_list_agents(&mut store).await
            };
            let agents = asked.await.map_err(|error| failed("agents", error))?;
            let described = agents.into_iter().map(|a| (a.name, a.description, a.input_schema));
            self.agents = definitions(described, '-').map_err(|why| unfit("agents", why))?;
        }
        if let Some(pre) = &self.toolbox_pre {
            let mut store = store();
            let asked = async {
                let toolbox = entry::toolbox(pre, &mut store).await?;
                toolbox.sublane_plugin_tools_entry().call_list_tools(&mut store).await
            };
            let tools = asked.await.map_err(|error| failed("tools", error))?;
            let described = tools.into_iter().map(|t| (t.name, t.description, t.input_schema));
            self.tools = definitions(described, '_').map_err(|why| unfit("tools", why))?;
        }
        Ok(())
    }
}

/// Bytes of an agent's or a tool's description.
const MAX_DESCRIPTION_BYTES: usize = 4 << 10;
/// Agents, or tools, of one plugin.
const MAX_DEFINITIONS: usize = 64;
/// Bytes of the schemas of one plugin's agents, or of its tools.
const MAX_SCHEMAS_BYTES: usize = 512 << 10;
/// Characters of an agent's or a tool's name.
const MAX_NAME_CHARS: usize = 64;

/// What a plugin says of itself, if it keeps to the WIT: `separator` is what a
/// name may have beside letters and digits.
fn definitions(
    described: impl IntoIterator<Item = (String, String, String)>,
    separator: char,
) -> Result<Vec<Definition>, String> {
    let mut definitions: Vec<Definition> = Vec::new();
    let mut schema_bytes = 0;
    for (name, description, schema) in described {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == separator;
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS || !name.chars().all(fits) {
            let shown = name.escape_debug();
            return Err(format!(
                "`{shown}` is no name: it has 1 to {MAX_NAME_CHARS} of a-z, 0-9 and `{separator}`"
            ));
        }
        if definitions.iter().any(|known| known.name == name) {
            return Err(format!("it has two of the name `{name}`"));
        }
        if description.len() > MAX_DESCRIPTION_BYTES {
            return Err(format!("the description of `{name}` has more than {MAX_DESCRIPTION_BYTES} bytes"));
        }
        schema_bytes += schema.len();
        if schema_bytes > MAX_SCHEMAS_BYTES {
            return Err(format!("its input schemas have more than {MAX_SCHEMAS_BYTES} bytes together"));
        }
        if definitions.len() == MAX_DEFINITIONS {
            return Err(format!("it has more than {MAX_DEFINITIONS}"));
        }
        let source = serde_json::from_str(&schema)
            .map_err(|error| format!("the input schema of `{name}` is not JSON: {error}"))?;
        let input_schema = Schema::new(source)
            .map_err(|why| format!("the input schema of `{name}` cannot be used: {why}"))?;
        definitions.push(Definition { name, description, input_schema });
    }
    Ok(definitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str], schema: &str) -> Result<Vec<Definition>, String> {
        definitions(names.iter().map(|name| ((*name).to_owned(), String::new(), schema.to_owned())), '-')
    }

    #[test]
    fn what_a_plugin_says_of_itself_keeps_to_the_contract() {
        assert_eq!(of(&["render", "cut-2"], "{}").map(|known| known.len()), Ok(2));
        for (names, schema) in [
            (&["Render"][..], "{}"),
            (&[""], "{}"),
            (&["a/b"], "{}"),
            (&["a", "a"], "{}"),
            (&["a"], "{"),
            (&["a"], "7"),
        ] {
            assert!(of(names, schema).is_err(), "{names:?} {schema}");
        }
        let many: Vec<String> = (0..=MAX_DEFINITIONS).map(|n| format!("a{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(of(&many, "{}"), Err("it has more than 64".to_owned()));
        let long = format!(r#"{{"description":"{}"}}"#, "a".repeat(60_000));
        let refused = of(&many[..9], &long).expect_err("540,000 bytes");
        assert_eq!(refused, "its input schemas have more than 524288 bytes together");
    }
}
