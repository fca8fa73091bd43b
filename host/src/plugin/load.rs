//! From bytes to a plugin: what it imports is served, what it exports is known.
//!
//! An unknown import, a wrong version, a component without a known export is
//! refused here, with its name and what the host serves.

use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::wasi;

/// The package and the version that this host serves.
pub const PACKAGE: &str = "sublane:plugin";
/// See [`PACKAGE`].
pub const VERSION: &str = "0.1.0";

/// Interfaces that a plugin may import.
pub const IMPORTS: &[&str] = &[
    "types", "subagent", "tools", "progress", "delivery", "artifact", "kv", "files", "http", "secret",
    "timer", "hook", "poll", "wait", "journal", "log", "clock", "random",
];
/// Interfaces that a plugin may export, at least one of them.
pub const EXPORTS: &[&str] = &["agent-entry", "tools-entry"];

/// Why a component is no plugin for this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It imports an interface that the host does not serve.
    #[error(
        "it imports `{import}`, which this host does not serve; served are {}, and of WASI 0.2 what \
         languages need: wasi:io, clocks, random, cli, and filesystem, sockets and http, which are denied",
        served()
    )]
    UnknownImport {
        /// The import.
        import: String,
    },
    /// It imports an interface in a version that the host does not serve.
    #[error("it imports `{import}`; this host serves version {VERSION}: build it with a matching SDK")]
    WrongVersion {
        /// The import.
        import: String,
    },
    /// It imports an interface of WASI in a version that the host does not serve.
    #[error("it imports `{import}`; of WASI this host serves version 0.2")]
    OtherWasi {
        /// The import.
        import: String,
    },
    /// It exports nothing that the host knows.
    #[error(
        "it exports {}, and none of {PACKAGE}/agent-entry@{VERSION} or {PACKAGE}/tools-entry@{VERSION}: \
         is it built for the world `agent` or `toolbox`?",
        if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
    )]
    NoKnownExport {
        /// What it exports.
        found: Vec<String>,
    },
    /// The bytes are no component at all.
    #[error("{0}")]
    NotAComponent(String),
}

fn served() -> String {
    let names: Vec<_> = IMPORTS.iter().map(|name| format!("{PACKAGE}/{name}@{VERSION}")).collect();
    names.join(", ")
}

/// What a component exports and imports.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    /// Exports `agent-entry`.
    pub agents: bool,
    /// Exports `tools-entry`.
    pub tools: bool,
    /// Imported interfaces, by their short names.
    pub imports: Vec<String>,
    /// Imported interfaces of WASI, without their versions.
    #[serde(default)]
    pub wasi: Vec<String>,
}

/// Refuses bytes that are no component, before the compiler sees them.
///
/// # Errors
/// [`Refused::NotAComponent`] says what they are instead.
pub fn check_bytes(bytes: &[u8]) -> Result<(), Refused> {
    let refuse = |what: &str| Err(Refused::NotAComponent(what.to_owned()));
    match bytes {
        [0, b'a', b's', b'm', 0x01, 0, 0, 0, ..] => {
            refuse("it is a core module and not a component: make one with `sublane plugin build`")
        }
        [0, b'a', b's', b'm', _, 0, 1, 0, ..] => Ok(()),
        [] => refuse("the file is empty"),
        _ => refuse("it is not WebAssembly"),
    }
}

/// Reads a component's type.
///
/// # Errors
/// [`Refused`] names the import or says what is exported instead.
pub fn shape(engine: &Engine, component: &Component) -> Result<Shape, Refused> {
    let ty = component.component_type();
    let (mut imports, mut wasi) = (Vec::new(), Vec::new());
    for (name, _) in ty.imports(engine) {
        match wasi::import(name) {
            Some(wasi::Import::Known(name)) => wasi.push(name.to_owned()),
            Some(wasi::Import::OtherVersion) => return Err(Refused::OtherWasi { import: name.to_owned() }),
            None => imports.push(known(name, IMPORTS)?.to_owned()),
        }
    }
    let exports: Vec<String> = ty
        .exports(engine)
        .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentInstance(_)))
        .map(|(name, _)| name.to_owned())
        .collect();
    let exported = |what: &str| exports.iter().any(|export| *export == format!("{PACKAGE}/{what}@{VERSION}"));
    let shape = Shape { agents: exported("agent-entry"), tools: exported("tools-entry"), imports, wasi };
    if !shape.agents && !shape.tools {
        let found = ty.exports(engine).map(|(name, _)| format!("`{name}`")).collect();
        return Err(Refused::NoKnownExport { found });
    }
    Ok(shape)
}

/// The short name of an interface that is served.
fn known<'n>(import: &'n str, served: &[&str]) -> Result<&'n str, Refused> {
    let unknown = || Refused::UnknownImport { import: import.to_owned() };
    let rest = import.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')).ok_or_else(unknown)?;
    let (name, version) = rest.split_once('@').unwrap_or((rest, ""));
    if !served.contains(&name) {
        return Err(unknown());
    }
    let compatible = version.strip_prefix("0.1.").is_some_and(|patch| patch.parse::<u32>().is_ok());
    if !compatible {
        return Err(Refused::WrongVersion { import: import.to_owned() });
    }
    Ok(name)
}
