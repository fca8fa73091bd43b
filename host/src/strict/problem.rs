//! What is wrong with a file, for people.

use std::fmt;
use std::path::PathBuf;

use strsim::damerau_levenshtein;

use crate::scrub::scrub_line;

/// One thing that is wrong: where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file, as it was called.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, with the key in it.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A manifest is a stranger's: what it says must not steer a terminal.
        write!(f, "{}:{}: {}", self.file, self.line, scrub_line(&self.message))
    }
}

/// Everything that is wrong with a file, one line each, in the order of lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

/// A file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum StrictError {
    /// It cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is wrong.
    #[error(transparent)]
    Wrong(#[from] Problems),
}

/// ``did you mean `channels`?``, or what there is to choose from when nothing is near.
#[must_use]
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    let distance = |known: &&str| damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase());
    let close = known.clone().min_by_key(distance).filter(|near| distance(near) <= 1 + near.len() / 4);
    if let Some(near) = close {
        return format!("did you mean `{near}`?");
    }
    let all: Vec<String> = known.map(|known| format!("`{known}`")).collect();
    match all.as_slice() {
        [] => "none is configured".to_owned(),
        [one] => format!("there is only {one}"),
        [first @ .., last] => format!("there is {} and {last}", first.join(", ")),
    }
}
