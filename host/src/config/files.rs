//! Directories of the operator's that plugins may be allowed to use, by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Names, path};

/// Directories by name.
pub type Directories = BTreeMap<String, PathBuf>;

pub(super) fn read(names: &Names<'_>, base: &Path) -> Option<Directories> {
    let directories = names.files.iter().map(|(name, item)| {
        let table = item.table(&["path"])?;
        Some(((*name).to_owned(), table.require("path").and_then(|item| path(&item, base))?))
    });
    directories.collect::<Vec<_>>().into_iter().collect()
}
