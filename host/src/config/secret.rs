//! Secrets by reference: `{ env = "NAME" }` or `{ file = "path" }`.

use std::path::Path;

use super::path;
use crate::channel::SecretRef;
use crate::strict::Item;

/// What a reference looks like.
pub(super) const WANTED: &str = "{ env = \"NAME\" } or { file = \"path\" }";

/// Never repeats what stands there: it could be the secret.
pub(super) fn read(item: &Item<'_>, base: &Path) -> Option<SecretRef> {
    if !item.is_table() {
        item.fail(&format!("`{}` must not stand in this file; say where it is: {WANTED}", item.path()));
        return None;
    }
    let table = item.table(&["env", "file"])?;
    match (table.get("env"), table.get("file")) {
        (Some(env), None) => variable(&env).map(SecretRef::Env),
        (None, Some(file)) => path(&file, base).map(SecretRef::File),
        _ => {
            item.fail(&format!("`{}` must be one of {WANTED}", item.path()));
            None
        }
    }
}

/// The name of an environment variable.
pub(super) fn variable(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    let fits = !name.is_empty() && !name.contains(['=', '\0']);
    if !fits {
        item.fail(&format!("`{}` must be the name of an environment variable", item.path()));
    }
    fits.then(|| name.to_owned())
}
