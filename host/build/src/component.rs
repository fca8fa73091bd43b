//! From cargo's core module to a checked component, in this process.
//!
//! Owns the rule of what a plugin may import (`sublane:plugin/*@0.1.x` and
//! nothing else) and the hints for what people import by accident.
//! Never touches a file.

use std::fmt;

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::error::Error;

/// The package of the interfaces that a host serves.
const ABI_PACKAGE: &str = "sublane:plugin/";
/// The versions of it: any patch of this minor.
const ABI_MINOR: &str = "0.1.";

/// An import that no Sublane host serves, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignImport {
    /// The name as it stands in the module or component, with the function
    /// after `::` where the module names one.
    pub name: String,
    /// Where it usually comes from and how to be rid of it.
    pub hint: String,
}

impl fmt::Display for ForeignImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.hint)
    }
}

/// Makes a checked component of a core module that carries its component type,
/// as the bindings of the SDK embed it. `package` names it in errors.
///
/// Fails when the module imports what no host serves, carries no component
/// type that fits it, does not validate, or exports nothing.
pub fn componentize(package: &str, core: &[u8]) -> Result<Vec<u8>, Error> {
    let broken = |source: Box<dyn std::error::Error + Send + Sync>| Error::Componentize {
        package: package.to_owned(),
        source,
    };
    // Looked at first, because the encoder would only say that a module of
    // this name is not in its world.
    refuse(package, foreign_core_imports(core).map_err(|e| broken(e.into()))?)?;
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|e| broken(e.into()))?;
    check_component(package, &component)?;
    Ok(component)
}

/// Checks a finished component: that it validates, imports only what a host
/// serves, and exports something. `package` names it in errors.
pub fn check_component(package: &str, component: &[u8]) -> Result<(), Error> {
    let broken = |source: wasmparser::BinaryReaderError| Error::Componentize {
        package: package.to_owned(),
        source: source.into(),
    };
    Validator::new_with_features(WasmFeatures::all()).validate_all(component).map_err(broken)?;
    let surface = Surface::read(component).map_err(broken)?;
    refuse(package, surface.imports.iter().filter_map(|name| foreign(name, name)).collect())?;
    if surface.exports == 0 {
        return Err(Error::NoExports { package: package.to_owned() });
    }
    Ok(())
}

fn refuse(package: &str, imports: Vec<ForeignImport>) -> Result<(), Error> {
    if imports.is_empty() {
        return Ok(());
    }
    Err(Error::ForeignImports { package: package.to_owned(), imports })
}

/// What a component shows to the outside, nested components left out.
struct Surface {
    imports: Vec<String>,
    exports: u32,
}

impl Surface {
    fn read(component: &[u8]) -> wasmparser::Result<Self> {
        let mut surface = Surface { imports: Vec::new(), exports: 0 };
        let mut depth = 0u32;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        surface.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    surface.exports += section.count();
                }
                _ => {}
            }
        }
        Ok(surface)
    }
}

/// The imports of a core module that are not the component model's own: those
/// have a package (`a:b/c`), or start with `$`, `[` or `cm32p2`.
fn foreign_core_imports(core: &[u8]) -> wasmparser::Result<Vec<ForeignImport>> {
    let mut found: Vec<ForeignImport> = Vec::new();
    for payload in Parser::new(0).parse_all(core) {
        let Payload::ImportSection(section) = payload? else { continue };
        for import in section.into_imports() {
            let import = import?;
            let of_component_model = import.module.contains(':')
                || ["$", "[", "cm32p2"].iter().any(|start| import.module.starts_with(start));
            if of_component_model {
                continue;
            }
            found.extend(foreign(import.module, &format!("{}::{}", import.module, import.name)));
        }
    }
    Ok(found)
}

/// `None` for an import that a host serves; else the import, named `shown`.
fn foreign(module: &str, shown: &str) -> Option<ForeignImport> {
    let hint = match module.strip_prefix(ABI_PACKAGE).and_then(|rest| rest.split_once('@')) {
        Some((_, version)) if is_served(version) => return None,
        Some(_) => {
            format!("made for another version of the ABI; this build serves {ABI_MINOR}x, so update the SDK")
        }
        None => hint(module).to_owned(),
    };
    Some(ForeignImport { name: shown.to_owned(), hint })
}

fn is_served(version: &str) -> bool {
    version.strip_prefix(ABI_MINOR).is_some_and(|patch| patch.parse::<u32>().is_ok())
}

/// Where an import of this module usually comes from, and the way out.
fn hint(module: &str) -> &'static str {
    if module.starts_with("__wbindgen") || module == "wbg" {
        "this is wasm-bindgen, which calls JavaScript, and a plugin has none. \
         `cargo tree --target wasm32-unknown-unknown -i wasm-bindgen` shows which dependency brings it: \
         turn off its feature for browsers (often `wasm-bindgen`, `js` or `wasmbind`), \
         or put an empty crate in its place under [patch.crates-io]"
    } else if module.starts_with("wasi_") || module.starts_with("wasi:") {
        "this is WASI, which a plugin does not get from its surroundings: build for \
         wasm32-unknown-unknown, and take files, time and randomness from the SDK"
    } else if module == "env" {
        "a function that is declared `extern` and defined nowhere, usually one of a C library: \
         use a Rust crate instead, or compile the C code in"
    } else {
        "no host has an interface of this name"
    }
}

/// The imports for people: a line each, every hint once, long lists cut.
pub(crate) fn list_foreign(imports: &[ForeignImport]) -> String {
    const SHOWN_PER_HINT: usize = 5;
    let mut hints: Vec<&str> = imports.iter().map(|import| import.hint.as_str()).collect();
    hints.sort_unstable();
    hints.dedup();
    let mut text = String::new();
    for hint in hints {
        let names: Vec<&str> = imports.iter().filter(|i| i.hint == hint).map(|i| i.name.as_str()).collect();
        for name in names.iter().take(SHOWN_PER_HINT) {
            text.push_str(&format!("\n  {name}"));
        }
        if names.len() > SHOWN_PER_HINT {
            text.push_str(&format!("\n  and {} more like these", names.len() - SHOWN_PER_HINT));
        }
        text.push_str(&format!("\n    hint: {hint}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wasm(text: &str) -> Vec<u8> {
        wat::parse_str(text).expect("the test's text format is right")
    }

    /// The names and hints that a core module or a component is refused for.
    fn check_refused(text: &str, names: &[&str], hint: &str) {
        let bytes = wasm(text);
        let result = if Parser::is_component(&bytes) {
            check_component("guest", &bytes)
        } else {
            componentize("guest", &bytes).map(drop)
        };
        match result {
            Err(Error::ForeignImports { imports, .. }) => {
                let found: Vec<&str> = imports.iter().map(|i| i.name.as_str()).collect();
                assert_eq!(found, names);
                assert!(list_foreign(&imports).contains(hint), "{}", list_foreign(&imports));
            }
            other => panic!("expected to be refused for its imports, got {other:?}"),
        }
    }

    const EXPORT: &str = r#"(instance $e) (export "sublane:plugin/run@0.1.0" (instance $e))"#;

    fn importing(name: &str) -> String {
        format!(r#"(component (import "{name}" (instance)) {EXPORT})"#)
    }

    #[test]
    fn imports_of_the_abi_are_served_in_every_patch_version() {
        for name in ["sublane:plugin/log@0.1.0", "sublane:plugin/subagent@0.1.12"] {
            check_component("guest", &wasm(&importing(name))).expect(name);
        }
    }

    #[test]
    fn another_version_of_the_abi_is_named_as_such() {
        for name in ["sublane:plugin/log@0.2.0", "sublane:plugin/log@0.10.0", "sublane:plugin/log@1.1.0"] {
            check_refused(&importing(name), &[name], "another version of the ABI");
        }
    }

    #[test]
    fn every_foreign_import_of_a_component_is_named() {
        let text = format!(
            r#"(component
                (import "sublane:plugin/log@0.1.0" (instance))
                (import "wasi:clocks/wall-clock@0.2.6" (instance))
                (import "acme:gpu/draw" (instance))
                {EXPORT})"#
        );
        let names = ["wasi:clocks/wall-clock@0.2.6", "acme:gpu/draw"];
        check_refused(&text, &names, "this is WASI");
        check_refused(&text, &names, "no host has an interface of this name");
    }

    #[test]
    fn imports_of_nested_components_are_their_own_business() {
        let text = format!(r#"(component (component (import "a:b/c" (instance))) {EXPORT})"#);
        check_component("guest", &wasm(&text)).expect("only the outermost imports count");
    }

    #[test]
    fn wasm_bindgen_is_recognised() {
        check_refused(
            r#"(module (import "__wbindgen_placeholder__" "__wbindgen_throw" (func (param i32 i32))))"#,
            &["__wbindgen_placeholder__::__wbindgen_throw"],
            "this is wasm-bindgen",
        );
    }

    #[test]
    fn wasi_preview_1_is_recognised() {
        check_refused(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))"#,
            &["wasi_snapshot_preview1::proc_exit"],
            "build for wasm32-unknown-unknown",
        );
    }

    #[test]
    fn an_undefined_c_function_is_recognised() {
        check_refused(
            r#"(module (import "env" "sqlite3_open" (func)))"#,
            &["env::sqlite3_open"],
            "C library",
        );
    }

    #[test]
    fn long_lists_of_imports_are_cut_and_give_the_hint_once() {
        let imports: Vec<ForeignImport> =
            (0..9).filter_map(|n| foreign("env", &format!("env::f{n}"))).collect();
        let text = list_foreign(&imports);
        assert!(text.contains("and 4 more like these"), "{text}");
        assert_eq!(text.matches("hint:").count(), 1, "{text}");
    }

    #[test]
    fn a_module_without_a_component_type_exports_nothing() {
        let error = componentize("guest", &wasm("(module)")).expect_err("there is nothing to run");
        assert!(matches!(error, Error::NoExports { .. }), "{error:?}");
    }

    #[test]
    fn what_is_no_wasm_is_refused() {
        let error = componentize("guest", b"not wasm").expect_err("no magic number");
        assert!(matches!(error, Error::Componentize { .. }), "{error:?}");
    }
}
