//! Components written by hand, for what no compiler would make.

use std::path::Path;

use sublane_tests::{repository, temporary};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The interfaces of WASI that are linked and denied; what is served is a world of its own.
const DENIED: [&str; 17] = [
    "cli/environment",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "cli/terminal-stderr",
    "filesystem/types",
    "filesystem/preopens",
    "sockets/network",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
    "http/types",
    "http/outgoing-handler",
];

/// WebAssembly of its text.
pub(crate) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is well formed")
}

/// A component for the world `agent`, of the contract after `change`, around
/// the core module that `module` writes for the name of its entry. It may import WASI as well;
/// what it does not import is not in the component.
pub(crate) fn agent(change: impl Fn(&str) -> String, module: impl Fn(&str) -> String) -> Vec<u8> {
    component("agent", "agent-entry", change, module)
}

/// As [`agent`], for the world `toolbox` of the contract as it is.
pub(crate) fn toolbox(module: impl Fn(&str) -> String) -> Vec<u8> {
    component("toolbox", "tools-entry", str::to_owned, module)
}

fn component(
    world: &str,
    entry: &str,
    change: impl Fn(&str) -> String,
    module: impl Fn(&str) -> String,
) -> Vec<u8> {
    let contract = temporary();
    for file in std::fs::read_dir(repository().join("wit")).expect("the contract is there") {
        let path = file.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("it is text");
        let name = path.file_name().expect("a file has a name");
        std::fs::write(contract.path().join(name), change(&text)).expect("the copy is written");
    }
    let version = version(contract.path());
    let mut module = wat(&module(&format!("sublane:plugin/{entry}@{version}")));
    let mut resolve = Resolve::default();
    resolve.push_dir(contract.path()).expect("the contract is well formed");
    resolve.push_dir(repository().join("host/wit")).expect("WASI is well formed");
    let denied = DENIED.map(|name| format!("import wasi:{name}@0.2.12;")).concat();
    let world = format!(
        "package hand:made; world guest {{ include sublane:plugin/{world}@{version}; include sublane:wasi/served; {denied} }}"
    );
    let package = resolve.push_str("guest.wit", &world).expect("the world is well formed");
    let world = resolve.select_world(&[package], Some("guest")).expect("the world is there");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("it can be described");
    let mut encoder = ComponentEncoder::default().module(&module).expect("it fits the contract");
    encoder.encode().expect("it becomes a component")
}

fn version(contract: &Path) -> String {
    let text = std::fs::read_to_string(contract.join("types.wit")).expect("the contract is there");
    let (_, rest) = text.split_once('@').expect("it has a version");
    rest.split(';').next().expect("it ends").to_owned()
}
