//! Files that may be used: a directory that the operator named, or one below it.
//!
//! A path is a list of names and never a text that something could be hidden
//! in. Opens nothing: the host walks the names, one directory at a time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes of one name.
const MAX_NAME_BYTES: usize = 255;
/// Names of one path.
pub const MAX_PATH_NAMES: usize = 64;

/// A directory of the operator's, or one below it, and everything in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileGrant {
    /// What the operator calls the directory.
    pub root: String,
    /// The way down from there; empty is the directory itself.
    pub path: FilePath,
    /// Reading only, or writing too.
    pub mode: FileMode,
}

/// Names from a directory down to something below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct FilePath(Vec<String>);

/// How far a grant of files goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileMode {
    /// Read, list, stat.
    Read,
    /// And write, rename, remove.
    ReadWrite,
}

/// The names are no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no name in a path: {why}")]
pub struct ParsePathError {
    name: String,
    why: &'static str,
}

impl FilePath {
    /// A path of these names, outermost first.
    ///
    /// # Errors
    /// [`ParsePathError`]: a name is empty, `.` or `..`, has more than 255 bytes or holds a separator
    /// or a NUL; or there are more than [`MAX_PATH_NAMES`].
    pub fn new(names: Vec<String>) -> Result<Self, ParsePathError> {
        let refuse = |name: &str, why| {
            Err(ParsePathError {
                name: name.chars().take(100).collect::<String>().escape_debug().collect(),
                why,
            })
        };
        if names.len() > MAX_PATH_NAMES {
            return refuse(&names[MAX_PATH_NAMES], "a path has at most 64 names");
        }
        for name in &names {
            match name.as_str() {
                "" => return refuse(name, "it is empty"),
                "." | ".." => return refuse(name, "a path goes down only"),
                _ if name.len() > MAX_NAME_BYTES => return refuse(name, "it has more than 255 bytes"),
                _ if name.contains(['/', '\\', '\0']) => {
                    return refuse(name, "it holds a separator: each name stands by itself");
                }
                _ => {}
            }
        }
        Ok(Self(names))
    }

    /// The names, outermost first.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl FileGrant {
    /// What both allow, if anything.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let (short, long) =
            if self.path.0.len() <= other.path.0.len() { (self, other) } else { (other, self) };
        (self.root == other.root && long.path.0.starts_with(&short.path.0)).then(|| Self {
            root: self.root.clone(),
            path: long.path.clone(),
            mode: self.mode.min(other.mode),
        })
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        })
    }
}

/// As a manifest writes it: names with `/` between them, nothing before or after.
impl FromStr for FilePath {
    type Err = ParsePathError;
    fn from_str(text: &str) -> Result<Self, ParsePathError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::new(text.split('/').map(str::to_owned).collect())
    }
}

impl TryFrom<Vec<String>> for FilePath {
    type Error = ParsePathError;
    fn try_from(names: Vec<String>) -> Result<Self, ParsePathError> {
        Self::new(names)
    }
}

impl From<FilePath> for Vec<String> {
    fn from(path: FilePath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_only_goes_down() {
        assert_eq!("a/b c".parse::<FilePath>().expect("two names").names(), ["a", "b c"]);
        assert_eq!("".parse::<FilePath>().expect("the directory itself").names(), [""; 0]);
        for text in ["/etc", "a/", "a//b", ".", "a/../b", "a\\b", "a\0"] {
            assert!(text.parse::<FilePath>().is_err(), "{text:?}");
        }
        assert!(FilePath::new(vec!["a/b".to_owned()]).is_err());
        assert!(FilePath::new(vec!["a".to_owned(); 65]).is_err());
        let long = FilePath::new(vec!["\u{1b}[2J".repeat(100)]).expect_err("too long");
        assert!(!long.to_string().contains('\u{1b}'), "{long}");
    }
}
