//! Texts that are longer than their destination takes: where they are cut, and the bodies of the parts.
//!
//! Pure: the same body and the same rule give the same parts, each with an id that follows
//! from what it holds. So nothing of it is stored, and a part that is sent again is the same
//! one. Parts joined are the text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::delivery::Delivery;
use crate::id::DeliveryId;

/// What a destination does with a text that is long. Numbers are characters as most receivers
/// count them: units of UTF-16, an emoji is two or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TextRule {
    /// It takes any text as it is.
    #[default]
    Whole,
    /// It takes so many at once: a longer text goes in parts.
    Split(u32),
    /// It takes so many: of a longer text it is sent the beginning, and where the whole is.
    Shorten(u32),
}

/// The fewest characters that a [`TextRule`] can name: there is room for what says where the whole is.
pub const MIN_CHARS: u32 = 200;

/// A delivery as one of its parts: an id and a body of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What is sent.
    pub delivery: Delivery,
    /// The bytes of the text up to the end of this part.
    pub to: u32,
}

/// Which piece of a text a part holds, in bytes of UTF-8. It goes with the part.
#[derive(Serialize)]
struct Range {
    /// The delivery that the text belongs to.
    delivery: DeliveryId,
    from: u32,
    to: u32,
    /// Bytes of the whole text.
    of: u32,
}

/// A body of which only the text is looked into.
#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    run: &'a RawValue,
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow)]
    agent: &'a RawValue,
    #[serde(borrow)]
    conversation: &'a RawValue,
    #[serde(borrow)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow, default)]
    artifacts: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct PartBody<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: &'a RawValue,
    data: PartData<'a>,
}

#[derive(Serialize)]
struct PartData<'a> {
    run: &'a RawValue,
    name: &'a RawValue,
    agent: &'a RawValue,
    conversation: &'a RawValue,
    text: &'a str,
    part: Range,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<&'a RawValue>,
}

/// What is sent instead of a delivery whose text is longer than `rule` allows, in order; `None`
/// when it goes as it is. Each but the last is a `run.part`; the last is of the delivery's own
/// type, with the result's value and the files.
#[must_use]
pub fn parts(delivery: &Delivery, rule: TextRule) -> Option<Vec<Part>> {
    let (TextRule::Split(most) | TextRule::Shorten(most)) = rule else { return None };
    let most = most.max(MIN_CHARS) as usize;
    // A character is a byte at least.
    if delivery.body.len() <= most {
        return None;
    }
    let whole: Whole<'_> = serde_json::from_str(&delivery.body).ok()?;
    let text = &*whole.data.text;
    let pieces = cut(text, most);
    if pieces.len() < 2 {
        return None;
    }
    if let TextRule::Shorten(_) = rule {
        let (text, to) = shortened(text, most, delivery.id);
        return Some(vec![whole.part(delivery, &text, 0..to, true)]);
    }
    let mut from = 0;
    let last = pieces.len() - 1;
    let part = |(number, piece): (usize, &str)| {
        let to = from + piece.len();
        let part = whole.part(delivery, piece, from..to, number == last);
        from = to;
        part
    };
    Some(pieces.into_iter().enumerate().map(part).collect())
}

impl Whole<'_> {
    fn part(&self, of: &Delivery, text: &str, range: std::ops::Range<usize>, is_last: bool) -> Part {
        let bytes = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (from, to) = (bytes(range.start), bytes(range.end));
        let data = &self.data;
        let body = PartBody {
            kind: if is_last { &self.kind } else { "run.part" },
            timestamp: self.timestamp,
            data: PartData {
                run: data.run,
                name: data.name,
                agent: data.agent,
                conversation: data.conversation,
                text,
                part: Range { delivery: of.id, from, to, of: bytes(data.text.len()) },
                value: data.value.filter(|_| is_last),
                artifacts: data.artifacts.filter(|_| is_last),
            },
        };
        let body = serde_json::to_string(&body).expect("strings, numbers and JSON that was read serialize");
        Part { delivery: Delivery { id: of.id.part(from, to), body: body.into(), ..of.clone() }, to }
    }
}

/// The beginning of a text, with what says so and where the whole is; and how many bytes of the
/// text that are.
fn shortened(text: &str, most: usize, id: DeliveryId) -> (String, usize) {
    let all = units(text);
    let notice = |shown: usize| {
        format!("…\n\n[{shown} of {all} characters. All of it: `sublane deliveries show {id}`]")
    };
    // The longest notice is the one with the largest number.
    let room = most - units(&notice(all));
    let shown = cut(text, room)[0].trim_end();
    (format!("{shown}{}", notice(units(shown))), shown.len())
}

/// Cuts a text into pieces of at most `most` characters: between paragraphs or lines where a
/// piece is then not less than half full, else between words, else between characters as people
/// see them. Only one such character that is longer than a piece is cut itself.
fn cut(text: &str, most: usize) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some(at) = border(rest, most) {
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// Where a text is cut that is too long; never at its ends.
fn border(text: &str, most: usize) -> Option<usize> {
    let mut used = 0;
    let (mut paragraph, mut line, mut word) = (0, 0, 0);
    for (at, seen) in text.grapheme_indices(true) {
        used += units(seen);
        if used > most {
            let fits = |end: usize| 2 * end >= at;
            let ends = [(paragraph, fits(paragraph)), (line, fits(line)), (word, true), (at, true)];
            let end = ends.into_iter().find(|(end, is_good)| *end > 0 && *is_good);
            return Some(end.map_or_else(|| within(seen, most), |(end, _)| end));
        }
        let end = at + seen.len();
        if matches!(seen, "\n" | "\r\n") {
            if line == at && at > 0 {
                paragraph = end;
            }
            line = end;
        }
        if seen.chars().all(char::is_whitespace) {
            word = end;
        }
    }
    None
}

/// Where the first character that people see is cut, when it alone is too long.
fn within(seen: &str, most: usize) -> usize {
    let mut used = 0;
    for (at, c) in seen.char_indices() {
        used += c.len_utf16();
        if used > most && at > 0 {
            return at;
        }
    }
    seen.len()
}

/// Characters as most receivers count them.
fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests;
