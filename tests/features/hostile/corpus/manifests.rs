//! Attacks as manifests: what would mislead whoever reads what a plugin is and asks for.

use sublane::plugin::Manifest;

use super::{attacks, check};

#[test]
fn each_manifest_that_misleads_is_refused_with_its_line() {
    for (name, text) in attacks("toml").into_iter().filter(|(name, _)| name != "index") {
        assert!(text.starts_with("# "), "{name} does not begin with what it does");
        let answer = match Manifest::parse("plugin.toml", &text) {
            Ok(manifest) => format!("read: {:?} {:?}", manifest.id, manifest.description),
            Err(problems) => problems.to_string(),
        };
        assert!(!answer.chars().any(|c| c.is_control() && c != '\n'), "{name}: {answer:?}");
        check(&name, &answer);
    }
}
