//! Names for the files of strangers: each is one plain name, and none is taken twice.
//!
//! Owns which characters a name may have. Knows no directory.

use std::collections::BTreeSet;

use crate::scrub::is_treacherous;

/// Bytes of a name, before what makes it differ from another; file systems take 255.
const MAX_BYTES: usize = 160;
/// Bytes of an extension that is kept when the rest is cut.
const MAX_EXTENSION_BYTES: usize = 16;

/// The names in one directory.
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// With names that are taken already.
    pub(super) fn new(taken: &[&str]) -> Self {
        Self(taken.iter().map(|name| (*name).to_owned()).collect())
    }

    /// A name that is free, as near to `wanted` as it may be. The same wishes in the same
    /// order give the same names.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let plain = plain(wanted);
        let numbered = (2..).map(|number| format!("{number}-{plain}"));
        // Where `A` and `a` are one file, they are one name.
        let name = std::iter::once(plain.clone()).chain(numbered).find(|name| !self.0.contains(&fold(name)));
        let name = name.expect("numbers do not end");
        self.0.insert(fold(&name));
        name
    }
}

fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// One name without anything that leads elsewhere, hides it or looks like an option.
fn plain(wanted: &str) -> String {
    let safe = |c: char| if matches!(c, '/' | '\\') || is_treacherous(c) { '_' } else { c };
    let mut name: String = wanted.trim().chars().map(safe).collect();
    if name.starts_with(['.', '-']) {
        name.replace_range(..1, "_");
    }
    if name.is_empty() {
        return "file".to_owned();
    }
    if name.len() > MAX_BYTES {
        let dot = name.rfind('.').filter(|dot| name.len() - dot <= MAX_EXTENSION_BYTES);
        let extension = dot.map_or_else(String::new, |dot| name.split_off(dot));
        let end = (0..=MAX_BYTES - extension.len()).rev().find(|end| name.is_char_boundary(*end));
        name.truncate(end.unwrap_or_default());
        name.push_str(&extension);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else_and_looks_like_nothing_else() {
        let names = [
            ("film.mp4", "film.mp4"),
            ("../../etc/passwd", "_._.._etc_passwd"),
            ("/etc/passwd", "_etc_passwd"),
            (r"..\boot.ini", "_._boot.ini"),
            (".", "_"),
            ("..", "_."),
            (".ssh", "_ssh"),
            ("-rf", "_rf"),
            ("", "file"),
            (" \t", "file"),
            ("a\0b\n\u{1b}[31m\u{202E}gpj.exe", "a_b__[31m_gpj.exe"),
            ("Über den Wolken.mp4", "Über den Wolken.mp4"),
        ];
        for (wanted, expected) in names {
            assert_eq!(plain(wanted), expected, "{wanted:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_before_its_extension_and_within_no_character() {
        let cut = plain(&format!("{}.mp4", "é".repeat(500)));
        assert_eq!(cut, format!("{}.mp4", "é".repeat(78)));
        assert_eq!(plain(&"x".repeat(500)).len(), MAX_BYTES);
        assert_eq!(plain(&format!("{}.{}", "x".repeat(500), "y".repeat(100))).len(), MAX_BYTES);
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut names = Names::new(&["text.txt"]);
        let wanted = ["a.mp4", "a.mp4", "A.mp4", "text.txt", "2-a.mp4", "a/mp4"];
        let given: Vec<String> = wanted.iter().map(|name| names.take(name)).collect();
        assert_eq!(given, ["a.mp4", "2-a.mp4", "3-A.mp4", "2-text.txt", "2-2-a.mp4", "a_mp4"]);
    }
}
