//! A message as words that can be taken out.
//!
//! Owns the cutting of text. Never knows what a word means.

use std::ops::Range;

/// A word or a mark of the message.
#[derive(Debug, Clone)]
struct Word {
    /// Where it stands in the message, in bytes.
    start: usize,
    end: usize,
    /// In lower case.
    lower: String,
    /// Whether it stands inside quotation marks, where nothing is an option.
    quoted: bool,
    /// Whether it was taken out.
    taken: bool,
}

/// The words of a message.
#[derive(Debug, Clone)]
pub(super) struct Words<'a> {
    text: &'a str,
    words: Vec<Word>,
    /// The words of the first quotation, its marks left out.
    quotation: Option<Range<usize>>,
}

impl<'a> Words<'a> {
    /// Cuts the message at white space, and marks from the words' ends.
    pub(super) fn of(text: &'a str) -> Self {
        let mut words = Vec::new();
        let mut start = None;
        for (at, c) in text.char_indices() {
            if c.is_whitespace() {
                if let Some(start) = start.take() {
                    cut(text, start, at, &mut words);
                }
            } else {
                start.get_or_insert(at);
            }
        }
        if let Some(start) = start {
            cut(text, start, text.len(), &mut words);
        }
        let quotation = mark_quoted(&mut words);
        Self { text, words, quotation }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// The word here in lower case; empty when there is none, when it was taken
    /// out, and when it is quoted.
    pub(super) fn at(&self, i: usize) -> &str {
        self.words.get(i).filter(|word| !word.taken && !word.quoted).map_or("", |word| &word.lower)
    }

    /// The word before this one, as [`at`](Self::at) gives it.
    pub(super) fn before(&self, i: usize) -> &str {
        i.checked_sub(1).map_or("", |before| self.at(before))
    }

    /// Whether it was taken out, or there is none.
    pub(super) fn is_gone(&self, i: usize) -> bool {
        self.words.get(i).is_none_or(|word| word.taken)
    }

    /// Takes out the words from `from` to before `to`.
    pub(super) fn take(&mut self, from: usize, to: usize) {
        for word in &mut self.words[from..to] {
            word.taken = true;
        }
    }

    /// Whether there are words and all of them, marks aside, are of this kind.
    pub(super) fn are_all(&self, kind: fn(&str) -> bool) -> bool {
        let mut words = self.words.iter().filter(|word| !is_mark(&word.lower)).peekable();
        words.peek().is_some() && words.all(|word| kind(&word.lower))
    }

    /// What stands between the first quotation marks, if anything does.
    pub(super) fn quotation(&self) -> Option<String> {
        let range = self.quotation.clone()?;
        Some(self.text_of(range.start, range.end))
    }

    /// The message as it was written from word `from` to before word `to`,
    /// without what was taken out.
    pub(super) fn text_of(&self, from: usize, to: usize) -> String {
        let mut text = String::new();
        let mut end = None;
        for word in self.words[from.min(to)..to].iter().filter(|word| !word.taken) {
            match end {
                Some(end) if end == word.start => {}
                None => {}
                Some(_) => text.push(' '),
            }
            text.push_str(&self.text[word.start..word.end]);
            end = Some(word.end);
        }
        text
    }

    /// As it was written.
    pub(super) fn original(&self, i: usize) -> &'a str {
        &self.text[self.words[i].start..self.words[i].end]
    }
}

/// Whether it is a mark and no word.
pub(super) fn is_mark(lower: &str) -> bool {
    lower.chars().all(|c| !c.is_alphanumeric())
}

/// Adds the piece from `start` to `end`, its outer marks one by one.
fn cut(text: &str, start: usize, end: usize, words: &mut Vec<Word>) {
    let piece = &text[start..end];
    let inner = piece.trim_start_matches(|c: char| !c.is_alphanumeric());
    let inner_start = end - inner.len();
    let inner = inner.trim_end_matches(|c: char| !c.is_alphanumeric());
    let inner_end = inner_start + inner.len();
    marks(text, start, inner_start, words);
    if !inner.is_empty() {
        words.push(word(text, inner_start, inner_end));
    }
    marks(text, inner_end, end, words);
}

fn marks(text: &str, start: usize, end: usize, words: &mut Vec<Word>) {
    for (at, c) in text[start..end].char_indices() {
        words.push(word(text, start + at, start + at + c.len_utf8()));
    }
}

fn word(text: &str, start: usize, end: usize) -> Word {
    let lower = text[start..end].to_lowercase().replace('’', "'");
    Word { start, end, lower, quoted: false, taken: false }
}

/// Marks what stands between quotation marks, these included, and gives the
/// words of the first quotation. An opening mark without a closing one quotes
/// nothing, and neither do two marks with nothing between.
fn mark_quoted(words: &mut [Word]) -> Option<Range<usize>> {
    let mut first = None;
    let mut i = 0;
    while i < words.len() {
        let closing: &[&str] = match words[i].lower.as_str() {
            "\"" => &["\""],
            "“" | "„" => &["”", "“"],
            "«" => &["»"],
            "'" if opens(words, i) => &["'"],
            _ => &[],
        };
        let close = words[i + 1..].iter().position(|word| closing.contains(&word.lower.as_str()));
        match close {
            Some(n) => {
                words[i..=i + 1 + n].iter_mut().for_each(|word| word.quoted = true);
                if n > 0 {
                    first.get_or_insert(i + 1..i + 1 + n);
                }
                i += n + 2;
            }
            None => i += 1,
        }
    }
    first
}

/// An apostrophe opens a quotation only right before a word, not after one.
fn opens(words: &[Word], i: usize) -> bool {
    let touches_next = words.get(i + 1).is_some_and(|next| next.start == words[i].end);
    let touches_previous = i.checked_sub(1).is_some_and(|p| words[p].end == words[i].start);
    touches_next && !touches_previous
}
