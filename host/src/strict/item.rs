//! One value of a file, and what it can be read as.
//!
//! Each reader gives `None` when the value is something else; then that has
//! been reported, with what was expected.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Document, Table, found, join, nearest};

const BYTE_UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
const TIME_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A value, with where it stands.
pub struct Item<'a> {
    document: &'a Document<'a>,
    path: String,
    /// Whether it is one of the entries of the list that has this path.
    entry: bool,
    /// Where a table of this name begins.
    key: Range<usize>,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Item<'a> {
    pub(super) fn new(
        document: &'a Document<'a>,
        path: String,
        key: Range<usize>,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Self {
        Self { document, path, entry: false, key, value }
    }

    /// Its dotted path: `asks.kv`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Reports `message` at this value's line.
    pub fn fail(&self, message: &str) {
        // A table begins where its name stands, everything else where it is written.
        let at = if self.value.get_ref().is_table() { self.key.start } else { self.value.span().start };
        self.document.problem(at, message.to_owned());
    }

    /// Reports that the value must be `wanted`.
    pub fn must_be(&self, wanted: &str) {
        let each = if self.entry { "each of " } else { "" };
        self.fail(&format!("{each}`{}` must be {wanted}, not {}", self.path, found(self.value.get_ref())));
    }

    /// Whether it is a table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// Whether it is a text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// Any text.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        let text = self.value.get_ref().as_str();
        if text.is_none() {
            self.must_be("a text in quotes");
        }
        text
    }

    /// A text that something is made of; its own error says what it must be.
    #[must_use]
    pub fn parse<T: FromStr<Err: Display>>(&self) -> Option<T> {
        self.text()?.parse().map_err(|error| self.fail(&format!("`{}`: {error}", self.path))).ok()
    }

    /// A name: 1 to 64 of `a-z`, `0-9` and `-`, the first a letter.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        let name = self.text()?;
        if is_name(name) {
            return Some(name);
        }
        self.must_be(NAME);
        None
    }

    /// A whole number in a range.
    #[must_use]
    pub fn whole(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.value.get_ref().as_integer();
        let number = number.and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        let fitting = number.filter(|number| range.contains(number));
        if fitting.is_none() {
            self.must_be(&format!("a whole number from {} to {}", range.start(), range.end()));
        }
        fitting
    }

    /// A size such as `"64MiB"`, in bytes.
    #[must_use]
    pub fn bytes(&self, range: RangeInclusive<u64>) -> Option<u64> {
        self.quantity("a size", "64MiB", "KiB, MiB, GiB", &BYTE_UNITS, range, show_bytes)
    }

    /// A duration such as `"10m"`.
    #[must_use]
    pub fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let range = millis(range.start())..=millis(range.end());
        self.quantity("a duration", "10m", "ms, s, m, h, d", &TIME_UNITS, range, show_millis)
            .map(Duration::from_millis)
    }

    /// A whole number with one unit behind it, both in one text.
    fn quantity(
        &self,
        what: &str,
        example: &str,
        names: &str,
        units: &[(&str, u64)],
        range: RangeInclusive<u64>,
        show: fn(u64) -> String,
    ) -> Option<u64> {
        let text = self.value.get_ref().as_str();
        let parsed = text.and_then(|text| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let unit = units.iter().find(|(name, _)| *name == &text[digits..])?.1;
            text[..digits].parse::<u64>().ok()?.checked_mul(unit)
        });
        match parsed {
            None => self.must_be(&format!(
                "{what} such as \"{example}\": a whole number and one of the units {names}"
            )),
            Some(number) if !range.contains(&number) => {
                self.must_be(&format!("from {} to {}", show(*range.start()), show(*range.end())));
            }
            Some(number) => return Some(number),
        }
        None
    }

    /// Yes or no.
    #[must_use]
    pub fn yes_or_no(&self) -> Option<bool> {
        let value = self.value.get_ref().as_bool();
        if value.is_none() {
            self.must_be("true or false");
        }
        value
    }

    /// One of a few words, each with what it means.
    #[must_use]
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.value.get_ref().as_str();
        if let Some((_, meaning)) = words.iter().find(|(word, _)| Some(*word) == text) {
            return Some(*meaning);
        }
        let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.must_be(&words.join(" or "));
        None
    }

    /// A list.
    #[must_use]
    pub fn list(&self) -> Option<Vec<Self>> {
        let DeValue::Array(values) = self.value.get_ref() else {
            self.must_be("a list");
            return None;
        };
        let item = |value| {
            let (path, key) = (self.path.clone(), self.key.clone());
            Self { entry: true, ..Self::new(self.document, path, key, value) }
        };
        Some(values.iter().map(item).collect())
    }

    /// A list of which every entry can be read by `read`. An entry that cannot is reported.
    #[must_use]
    pub fn list_of<T>(&self, read: impl Fn(&Self) -> Option<T>) -> Option<Vec<T>> {
        self.list()?.iter().map(read).collect::<Vec<_>>().into_iter().collect()
    }

    fn entries(&self) -> Option<&'a DeTable<'a>> {
        let entries = self.value.get_ref().as_table();
        if entries.is_none() {
            self.must_be("a table");
        }
        entries
    }

    /// A table with these keys; each other key in it is reported.
    #[must_use]
    pub fn table(&self, known: &'static [&'static str]) -> Option<Table<'a>> {
        let entries = self.entries()?;
        // The span of `[a.b]` is its header, that of an inline table is the table.
        Some(Table::new(self.document, self.path.clone(), self.value.span(), entries, known))
    }

    /// The text at `key` when this is a table with one there; reports nothing. For
    /// a table of which one key decides what else can be in it.
    #[must_use]
    pub fn peek(&self, key: &str) -> Option<&'a str> {
        self.value.get_ref().as_table()?.get(key)?.get_ref().as_str()
    }

    /// The keys of the table at `key`; reports nothing.
    #[must_use]
    pub fn keys(&self, key: &str) -> Vec<&'a str> {
        let inner = self.value.get_ref().as_table().and_then(|table| table.get(key)?.get_ref().as_table());
        inner.map_or_else(Vec::new, |table| table.keys().map(|key| key.get_ref().as_ref()).collect())
    }

    /// A table whose keys are names that the file gives, sorted.
    #[must_use]
    pub fn named(&self) -> Option<Vec<(&'a str, Self)>> {
        let named = |(key, value): (&'a Spanned<_>, _)| {
            let name: &'a std::borrow::Cow<'a, str> = key.get_ref();
            let item = Self::new(self.document, join(&self.path, name), key.span(), value);
            if is_name(name) {
                return Some((name.as_ref(), item));
            }
            item.document.problem(key.span().start, format!("`{}`: `{name}` must be {NAME}", self.path));
            None
        };
        Some(self.entries()?.iter().filter_map(named).collect())
    }

    /// Reports `name`, which is not among those that are `known`: `what` says what it would be.
    pub fn unknown<'k>(&self, what: &str, name: &str, known: impl Iterator<Item = &'k str> + Clone) {
        let hint = nearest(name, known);
        self.fail(&format!("`{}`: there is no {what} `{name}`; {hint}", self.path));
    }
}

const NAME: &str = "a name of 1 to 64 letters a-z, digits and `-` that begins with a letter";

fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A number in the largest unit that keeps it whole.
fn show(number: u64, units: &[(&str, u64)]) -> Option<String> {
    let (name, unit) =
        units.iter().rev().find(|(_, unit)| number >= *unit && number.is_multiple_of(*unit))?;
    Some(format!("{}{name}", number / unit))
}

fn show_bytes(bytes: u64) -> String {
    show(bytes, &BYTE_UNITS).unwrap_or_else(|| format!("{bytes} bytes"))
}

fn show_millis(millis: u64) -> String {
    show(millis, &TIME_UNITS).unwrap_or_else(|| format!("{millis}ms"))
}
