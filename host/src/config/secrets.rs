//! Secrets of the operator's that requests of plugins may carry, by name.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Names, path};
use crate::secrets::{SecretConfig, Source};
use crate::strict::Item;

pub(super) fn read(names: &Names<'_>, base: &Path) -> Option<BTreeMap<String, SecretConfig>> {
    let secrets = names.secrets.iter().map(|(name, item)| Some(((*name).to_owned(), secret(item, base)?)));
    secrets.collect::<Vec<_>>().into_iter().collect()
}

/// Never repeats what stands there: it could be the secret.
fn secret(item: &Item<'_>, base: &Path) -> Option<SecretConfig> {
    if !item.is_table() {
        item.fail(&format!(
            "`{}` must not stand in this file; say where it is: env, file or command in [{}]",
            item.path(),
            item.path()
        ));
        return None;
    }
    let table = item.table(&["env", "file", "command", "loopback-without-tls"])?;
    let without = table.get("loopback-without-tls").map_or(Some(false), |item| item.yes_or_no());
    let from = match (table.get("env"), table.get("file"), table.get("command")) {
        (Some(env), None, None) => super::secret::variable(&env).map(Source::Env),
        (None, Some(file), None) => path(&file, base).map(Source::File),
        (None, None, Some(command)) => words(&command).map(Source::Command),
        _ => {
            item.fail(&format!("[{}] needs one of `env`, `file` and `command`", item.path()));
            None
        }
    };
    Some(SecretConfig { from: from?, loopback_without_tls: without? })
}

fn words(item: &Item<'_>) -> Option<Vec<String>> {
    let words = item.list_of(|word| word.text().map(str::to_owned))?;
    let fits = words.first().is_some_and(|program| !program.is_empty());
    if !fits {
        item.fail(&format!("`{}` must name a program, and its arguments behind it", item.path()));
    }
    fits.then_some(words)
}
