//! Strict reading of TOML: what is not understood is an error, never ignored.
//!
//! Owns the way from a file to typed values and the wording of everything that
//! can be wrong on it: file, line, key, what was expected and, for a name that
//! nobody knows, the nearest one that somebody does. Goes on after an error, so
//! that a file's errors are told all at once. Knows no key of any file.

mod item;
mod problem;

use std::cell::RefCell;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::bounded;

pub use item::Item;
pub use problem::{Problem, Problems, StrictError, nearest};

/// A file that is being read, and what is wrong with it so far.
pub(crate) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

impl Document<'_> {
    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }

    fn problem(&self, at: usize, message: String) {
        let problem = Problem { file: self.file.to_owned(), line: self.line(at), message };
        self.problems.borrow_mut().push(problem);
    }

    fn syntax(&self, error: &toml::de::Error) {
        let span = error.span().unwrap_or_default();
        let message = match error.message() {
            "duplicate key" => {
                let key = self.text.get(span.clone()).unwrap_or_default();
                format!("`{key}` is there twice; keep one")
            }
            other => format!("not TOML: {other}"),
        };
        self.problem(span.start, message);
    }
}

/// Reads `text` as a table with the keys `known` by way of `read`. `file` is what
/// people see; nothing is read from it.
///
/// # Errors
/// [`Problems`]: everything that is wrong, in the order of lines.
pub fn read<T>(
    file: &str,
    text: &str,
    known: &'static [&'static str],
    read: impl FnOnce(&Table<'_>) -> Option<T>,
) -> Result<T, Problems> {
    let document = Document { file, text, problems: RefCell::default() };
    let (table, errors) = DeTable::parse_recoverable(text);
    errors.iter().for_each(|error| document.syntax(error));
    // A file that is no TOML has its keys in the wrong places: telling of those would mislead.
    let value = if errors.is_empty() {
        read(&Table::new(&document, String::new(), table.span(), table.get_ref(), known))
    } else {
        None
    };
    let mut problems = document.problems.into_inner();
    problems.sort_by_key(|problem| problem.line);
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(Problems(problems)),
    }
}

/// The text of a file, for [`read`].
///
/// # Errors
/// [`StrictError::Unreadable`].
pub fn load(path: &Path) -> Result<String, StrictError> {
    let text = bounded::regular_or_pipe(path, bounded::MAX_TEXT_BYTES).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| std::io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
    });
    text.map_err(|source| StrictError::Unreadable { path: path.to_owned(), source })
}

/// A table whose keys are known. Each other key in it has been reported.
pub struct Table<'a> {
    document: &'a Document<'a>,
    path: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    known: &'static [&'static str],
}

impl<'a> Table<'a> {
    fn new(
        document: &'a Document<'a>,
        path: String,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
        known: &'static [&'static str],
    ) -> Self {
        let table = Self { document, path, span, entries, known };
        for key in entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let place = table.place();
            let hint = nearest(key.get_ref(), known.iter().copied());
            document.problem(key.span().start, format!("unknown key `{}`{place}; {hint}", key.get_ref()));
        }
        table
    }

    /// ` in [asks]`, or nothing for the table of the file itself.
    fn place(&self) -> String {
        if self.path.is_empty() { String::new() } else { format!(" in [{}]", self.path) }
    }

    /// The value of a key, when it is there.
    #[must_use]
    pub fn get(&self, key: &'static str) -> Option<Item<'a>> {
        debug_assert!(self.known.contains(&key), "`{key}` is read, so it has to be among the known keys");
        let (key, value) = self.entries.get_key_value(key)?;
        Some(Item::new(self.document, join(&self.path, key.get_ref()), key.span(), value))
    }

    /// The value of a key that has to be there.
    #[must_use]
    pub fn require(&self, key: &'static str) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            self.fail(&format!("missing key `{key}`{}", self.place()));
        }
        item
    }

    /// Reports something that is wrong with the table as a whole.
    pub fn fail(&self, message: &str) {
        self.document.problem(self.span.start, message.to_owned());
    }
}

/// A dotted path: `asks.kv`.
fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What a value is, as its file has it.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(instant) => instant.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

#[cfg(test)]
mod tests;
