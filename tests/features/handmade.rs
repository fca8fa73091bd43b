//! Components written by hand, for what no compiler would make.

use std::path::Path;

use sublane_tests::{repository, temporary};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// WebAssembly of its text.
pub(crate) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is well formed")
}

/// A component for the world `agent`, of the contract after `change`, around
/// the core module that `module` writes for the name of its entry.
pub(crate) fn agent(change: impl Fn(&str) -> String, module: impl Fn(&str) -> String) -> Vec<u8> {
    let contract = temporary();
    for file in std::fs::read_dir(repository().join("wit")).expect("the contract is there") {
        let path = file.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("it is text");
        let name = path.file_name().expect("a file has a name");
        std::fs::write(contract.path().join(name), change(&text)).expect("the copy is written");
    }
    let mut module = wat(&module(&format!("sublane:plugin/agent-entry@{}", version(contract.path()))));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(contract.path()).expect("the contract is well formed");
    let world = resolve.select_world(&[package], Some("agent")).expect("the world is there");
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
