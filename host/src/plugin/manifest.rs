//! The manifest: what a plugin says of itself, and what it asks for.
//!
//! Owns the form of `plugin.toml`; that of the authority in it, which the
//! operator's configuration writes in the same way, is in `authority`. Decides
//! nothing: what is asked for is not yet given.

mod authority;

use std::path::Path;

use sublane_core::grants::Authority;

use crate::engine::{MAX_MEMORY_BYTES, SMALL_MEMORY_BYTES};
use crate::scrub::is_treacherous;
use crate::strict::{self, Item, Problems, StrictError, Table};

pub(crate) use authority::{Reference, TIMEOUT, read_authority};

/// The name of the file, beside the component.
pub const FILE_NAME: &str = "plugin.toml";

/// What a plugin says of itself, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Manifest {
    /// Its name among the plugins of a host: 1 to 64 of `a-z`, `0-9` and `-`, the first a letter.
    pub id: String,
    /// Its version, `major.minor.patch` with what SemVer allows behind it.
    pub version: String,
    /// What it does, in a line for people. At most 200 characters. Default empty.
    pub description: String,
    /// Linear memory of an instance in bytes, summed over all memories: 64 KiB to
    /// 1 GiB. Default 4 MiB; up to there it runs on the small engine.
    pub memory_bytes: u64,
    /// What it asks for. The operator has to allow it too.
    pub asks: Authority,
}

impl Manifest {
    /// Reads a manifest; `file` is what people see in errors.
    ///
    /// # Errors
    /// [`Problems`]: everything that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        strict::read(file, text, &["id", "version", "description", "memory", "asks"], read)
    }

    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// [`StrictError`]: it cannot be read, or it is wrong.
    pub fn load(path: &Path) -> Result<Self, StrictError> {
        Ok(Self::parse(&path.display().to_string(), &strict::load(path)?)?)
    }
}

fn read(table: &Table<'_>) -> Option<Manifest> {
    let id = table.require("id").and_then(|item| item.name());
    let version = table.require("version").and_then(|item| version(&item));
    let description = table.get("description").and_then(|item| description(&item));
    let memory = table.get("memory").and_then(|item| item.bytes(64 << 10..=MAX_MEMORY_BYTES));
    let asks = table.get("asks").and_then(|item| read_authority(&item, |_, _| ()));
    Some(Manifest {
        id: id?.to_owned(),
        version: version?,
        description: description.unwrap_or_default(),
        memory_bytes: memory.unwrap_or(SMALL_MEMORY_BYTES),
        asks: asks.unwrap_or_default(),
    })
}

fn version(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let (numbers, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let number = |part: &str| !part.is_empty() && part.len() < 10 && part.bytes().all(|b| b.is_ascii_digit());
    let fits = numbers.split('.').count() == 3
        && numbers.split('.').all(number)
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b));
    if !fits {
        item.must_be("a version such as \"1.0.3\"");
    }
    fits.then(|| text.to_owned())
}

fn description(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let fits = text.chars().count() <= 200 && !text.chars().any(is_treacherous);
    if !fits {
        item.fail(&format!(
            "`{}` must be one line of at most 200 characters, none of which steers a terminal or turns the \
             direction of writing",
            item.path()
        ));
    }
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
