//! The caption's letters: strokes with round ends, drawn for this film maker.
//!
//! Owns the shapes of the printable ASCII characters, of accents, and what
//! stands for every other character. Never lays out lines.
//!
//! A glyph is written as strokes, parted by `;`. A stroke is a row of points
//! `x,y` and arcs `@cx,cy,rx,ry,from,to` in degrees, counterclockwise when `to`
//! is greater. Capitals are 10 high, small letters 7; y points up.

use super::canvas::Point;
use super::math::{cowave, lerp, wave};

/// The height of a capital.
pub(crate) const CAP: f32 = 10.0;
/// The distance from one glyph's ink to the next one's.
const GAP: f32 = 2.15;
/// The width of a space between words.
const SPACE: f32 = 2.6;

/// What stands for a letter that this font does not have.
const MISSING: char = '\u{25a1}';

/// Character, width of its ink, strokes.
const GLYPHS: &[(char, f32, &str)] = &[
    ('A', 7.6, "0,0 3.8,10 7.6,0;1.3,3.4 6.3,3.4"),
    ('B', 6.4, "0,0 0,10 3.4,10 @3.4,7.6,2.6,2.4,90,-90 0,5.2;3.4,5.2 @3.6,2.6,2.8,2.6,90,-90 0,0"),
    ('C', 6.8, "@4,5,4,5,48,312"),
    ('D', 7.0, "0,0 0,10 2.5,10 @2.5,5,4.5,5,90,-90 0,0"),
    ('E', 5.4, "5.4,0 0,0 0,10 5.4,10;0,5.1 4.8,5.1"),
    ('F', 5.2, "0,0 0,10 5.2,10;0,5 4.6,5"),
    ('G', 7.5, "@4,5,4,5,48,330 7.5,4.7 4.6,4.7"),
    ('H', 6.8, "0,0 0,10;6.8,0 6.8,10;0,5.1 6.8,5.1"),
    ('I', 0.0, "0,0 0,10"),
    ('J', 4.4, "4.4,10 4.4,2.4 @2.2,2.4,2.2,2.4,360,190"),
    ('K', 6.4, "0,0 0,10;6,10 0,4;2.3,6.2 6.4,0"),
    ('L', 5.0, "0,10 0,0 5,0"),
    ('M', 8.4, "0,0 0,10 4.2,3.4 8.4,10 8.4,0"),
    ('N', 7.0, "0,0 0,10 7,0 7,10"),
    ('O', 8.0, "@4,5,4,5,90,450"),
    ('P', 6.0, "0,0 0,10 3.2,10 @3.2,7.2,2.8,2.8,90,-90 0,4.4"),
    ('Q', 8.0, "@4,5,4,5,90,450;5.2,2.6 8,-0.6"),
    ('R', 6.4, "0,0 0,10 3.2,10 @3.2,7.2,2.8,2.8,90,-90 0,4.4;3,4.4 6.4,0"),
    ('S', 6.1, "@3.1,7.5,2.8,2.5,30,270 @3.1,2.5,3,2.5,90,-150"),
    ('T', 6.8, "0,10 6.8,10;3.4,10 3.4,0"),
    ('U', 6.8, "0,10 0,3.4 @3.4,3.4,3.4,3.4,180,360 6.8,10"),
    ('V', 7.4, "0,10 3.7,0 7.4,10"),
    ('W', 10.6, "0,10 2.7,0 5.3,8.6 7.9,0 10.6,10"),
    ('X', 6.8, "0,0 6.8,10;0,10 6.8,0"),
    ('Y', 6.8, "0,10 3.4,5 6.8,10;3.4,5 3.4,0"),
    ('Z', 6.4, "0,10 6.4,10 0,0 6.4,0"),
    ('a', 5.4, "@2.7,3.5,2.7,3.5,0,360;5.4,7 5.4,0"),
    ('b', 5.4, "0,10 0,0;@2.7,3.5,2.7,3.5,0,360"),
    ('c', 4.7, "@2.8,3.5,2.8,3.5,48,312"),
    ('d', 5.4, "@2.7,3.5,2.7,3.5,0,360;5.4,10 5.4,0"),
    ('e', 5.4, "0.1,3.7 5.4,3.7 @2.7,3.5,2.7,3.5,3,312"),
    ('f', 3.6, "@3.2,8,1.9,2,70,180 1.3,0;0,6.8 3.4,6.8"),
    ('g', 5.4, "@2.7,3.5,2.7,3.5,0,360;5.4,7 5.4,-0.6 @2.75,-0.6,2.65,2.4,360,210"),
    ('h', 5.0, "0,10 0,0;0,4.3 @2.5,4.4,2.5,2.6,180,0 5,0"),
    ('i', 0.0, "0,7 0,0;0,9.8 0,9.9"),
    ('j', 1.6, "1.6,7 1.6,-1 @0,-1,1.6,2,360,270;1.6,9.8 1.6,9.9"),
    ('k', 4.9, "0,10 0,0;4.6,7 0,2.8;1.7,4.3 4.9,0"),
    ('l', 0.0, "0,10 0,0"),
    ('m', 8.6, "0,7 0,0;0,4.6 @2.15,4.7,2.15,2.3,180,0 4.3,0;4.3,4.7 @6.45,4.7,2.15,2.3,180,0 8.6,0"),
    ('n', 5.0, "0,7 0,0;0,4.3 @2.5,4.4,2.5,2.6,180,0 5,0"),
    ('o', 5.6, "@2.8,3.5,2.8,3.5,0,360"),
    ('p', 5.4, "0,7 0,-3;@2.7,3.5,2.7,3.5,0,360"),
    ('q', 5.4, "5.4,7 5.4,-3;@2.7,3.5,2.7,3.5,0,360"),
    ('r', 3.2, "0,7 0,0;0,4 @2.9,4.2,2.9,2.8,180,82"),
    ('s', 4.4, "@2.2,5.25,2,1.75,35,270 @2.2,1.75,2.2,1.75,90,-150"),
    ('t', 3.3, "1.3,9.4 1.3,1.9 @3.1,1.9,1.8,1.9,180,275;0,6.9 3.3,6.9"),
    ('u', 5.0, "0,7 0,2.6 @2.5,2.6,2.5,2.6,180,360;5,7 5,0"),
    ('v', 5.2, "0,7 2.6,0 5.2,7"),
    ('w', 7.8, "0,7 2,0 3.9,6.4 5.8,0 7.8,7"),
    ('x', 4.8, "0,7 4.8,0;0,0 4.8,7"),
    ('y', 5.3, "0,7 2.7,0.1;5.3,7 1.5,-3"),
    ('z', 4.6, "0,7 4.6,7 0,0 4.6,0"),
    ('0', 5.8, "@2.9,5,2.9,5,0,360"),
    ('1', 2.6, "0.4,8 2.6,10 2.6,0"),
    ('2', 5.8, "@2.8,7.2,2.7,2.8,165,-35 0,0 5.8,0"),
    ('3', 5.6, "@2.7,7.6,2.5,2.4,160,-90 @2.7,2.6,2.9,2.6,90,-160"),
    ('4', 6.0, "4.4,0 4.4,10 0,3 6,3"),
    ('5', 5.7, "5,10 0.9,10 0.5,5.4 @2.7,3.1,3,3.1,132,-150"),
    ('6', 5.8, "@2.9,3.1,2.9,3.1,0,360;4.4,10 0.4,4.4"),
    ('7', 5.6, "0,10 5.6,10 1.8,0"),
    ('8', 5.8, "@2.9,7.5,2.5,2.5,0,360;@2.9,2.5,2.9,2.5,0,360"),
    ('9', 5.8, "@2.9,6.9,2.9,3.1,0,360;5.4,5.6 1.4,0"),
    ('.', 0.0, "0,0.1 0,0.2"),
    (',', 0.5, "0.5,0.3 0,-1.6"),
    (':', 0.0, "0,0.1 0,0.2;0,5.6 0,5.7"),
    (';', 0.5, "0.5,0.3 0,-1.6;0.5,5.6 0.5,5.7"),
    ('!', 0.0, "0,10 0,3.2;0,0.1 0,0.2"),
    ('?', 5.0, "@2.5,7.5,2.5,2.5,165,-42 2.5,4.3 2.5,3;2.5,0.1 2.5,0.2"),
    ('\'', 0.0, "0,10 0,7.6"),
    ('"', 1.8, "0,10 0,7.6;1.8,10 1.8,7.6"),
    ('-', 3.0, "0,3.7 3,3.7"),
    ('_', 5.0, "0,-1.4 5,-1.4"),
    ('(', 2.0, "@4,4,4,7,128,232"),
    (')', 2.0, "@-2,4,4,7,52,-52"),
    ('[', 2.0, "2,11 0,11 0,-2 2,-2"),
    (']', 2.0, "0,11 2,11 2,-2 0,-2"),
    ('{', 2.4, "2.4,11 1.2,10 1.2,5.6 0,4.5 1.2,3.4 1.2,-1 2.4,-2"),
    ('}', 2.4, "0,11 1.2,10 1.2,5.6 2.4,4.5 1.2,3.4 1.2,-1 0,-2"),
    ('/', 4.0, "0,-1 4,11"),
    ('\\', 4.0, "0,11 4,-1"),
    ('|', 0.0, "0,11 0,-2"),
    ('+', 5.0, "0,4.4 5,4.4;2.5,6.9 2.5,1.9"),
    ('=', 5.0, "0,5.6 5,5.6;0,3 5,3"),
    ('<', 4.6, "4.6,7.4 0,4.4 4.6,1.4"),
    ('>', 4.6, "0,7.4 4.6,4.4 0,1.4"),
    ('*', 4.0, "2,10 2,6;0.3,9 3.7,7;0.3,7 3.7,9"),
    ('^', 4.4, "0,7.4 2.2,10 4.4,7.4"),
    ('~', 5.0, "0,4 @1.25,4,1.25,1,180,0 @3.75,4,1.25,1,180,360"),
    ('`', 1.6, "0,10 1.6,8.2"),
    ('#', 6.4, "1.4,0 2.6,10;4,0 5.2,10;0,6.6 6.4,6.6;0,3.2 6.2,3.2"),
    ('%', 7.6, "0.8,0 6.8,10;@1.6,8.2,1.6,1.8,0,360;@6,1.8,1.6,1.8,0,360"),
    ('&', 7.0, "7,0 1.6,6.4 @2.9,8,1.9,2,215,-35 1.2,4.4 @2.7,2.4,2.7,2.4,125,315 6.6,4.6"),
    ('$', 6.1, "@3.1,7.3,2.8,2.2,30,270 @3.1,2.7,3,2.4,90,-150;3.1,11 3.1,-1"),
    ('@', 8.0, "@4,4,1.9,2.1,0,360;5.9,6 5.9,2.6 @7,2.8,1.1,1,190,340 @4,4.2,4,4.8,0,300"),
    ('\u{2026}', 5.6, "0,0.1 0,0.2;2.8,0.1 2.8,0.2;5.6,0.1 5.6,0.2"),
    (MISSING, 5.0, "0,0 5,0 5,8 0,8 0,0"),
];

/// Accents over a letter of width 0, 8.6 above the line; moved up for capitals.
const MARKS: &[(char, &str)] = &[
    ('\u{b4}', "-0.7,8.6 0.8,10.2"),
    ('`', "-0.8,10.2 0.7,8.6"),
    ('^', "-1.4,8.7 0,10.1 1.4,8.7"),
    ('v', "-1.4,10.1 0,8.7 1.4,10.1"),
    ('\u{a8}', "-1.3,9.4 -1.3,9.5;1.3,9.4 1.3,9.5"),
    ('~', "-1.6,9 @-0.8,9,0.8,0.7,180,0 @0.8,9,0.8,0.7,180,360"),
    ('\u{b0}', "@0,9.8,1,1,0,360"),
    ('.', "0,9.4 0,9.5"),
    ('-', "-1.4,9.2 1.4,9.2"),
    ('\u{b8}', "0.2,-0.6 0.4,-1.4 -0.6,-2.2"),
];

/// Letters that are another one with an accent: letter, base, accent.
const ACCENTED: &str = "áa´àa`âa^äa¨ãa~åa°āa-çc¸čcvćc´ďdvée´èe`êe^ëe¨ěevėe.ēe-ęe¸ğgvģg¸íi´ìi`îi^ïi¨īi-\
    ñn~ňnvńn´óo´òo`ôo^öo¨õo~ōo-őo¨řrvšsvśs´şs¸ťtvúu´ùu`ûu^üu¨ůu°ūu-űu¨ýy´ÿy¨žzvźz´żz.ąa¸ąa¸";

/// What other characters are written as.
const REWRITTEN: &[(&str, &str)] = &[
    ("ß", "ss"),
    ("æ", "ae"),
    ("Æ", "AE"),
    ("œ", "oe"),
    ("Œ", "OE"),
    ("øð", "o"),
    ("ØÐ", "O"),
    ("ł", "l"),
    ("Ł", "L"),
    ("ıđ", "i"),
    ("‘’‚′´", "'"),
    ("“”„″«»", "\""),
    ("‐‑‒–—−", "-"),
    ("×", "x"),
    ("·•", "-"),
];

/// `text` in characters that the font has or can compose: other letters become
/// an empty box, other symbols and controls vanish.
pub(crate) fn writable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_whitespace() {
            out.push(' ');
        } else if c.is_ascii_graphic() || c == '\u{2026}' || accented(c).is_some() {
            out.push(c);
        } else if let Some((_, plain)) = REWRITTEN.iter().find(|(chars, _)| chars.contains(c)) {
            out.push_str(plain);
        } else if c.is_alphanumeric() {
            out.push(MISSING);
        }
    }
    out
}

/// How far a line of writable text goes.
pub(crate) fn length(text: &str) -> f32 {
    let advances = text.chars().map(advance);
    (advances.sum::<f32>() - GAP).max(0.0)
}

/// From the beginning of a character to that of the next one.
pub(crate) fn advance(c: char) -> f32 {
    if c == ' ' { SPACE + GAP } else { width(c) + GAP }
}

fn width(c: char) -> f32 {
    let base = accented(c).map_or(c, |(base, _)| base);
    GLYPHS.iter().find(|g| g.0 == base).map_or(0.0, |g| g.1)
}

/// The strokes of a writable character; a space has none.
pub(crate) fn glyph(c: char) -> Vec<Vec<Point>> {
    let (base, mark) = accented(c).map_or((c, None), |(base, mark)| (base, Some(mark)));
    let Some(&(_, width, shape)) = GLYPHS.iter().find(|g| g.0 == base) else {
        return Vec::new();
    };
    // An accent takes the place of the dot.
    let shape = match (base, mark) {
        ('i', Some(_)) => "0,7 0,0",
        _ => shape,
    };
    let mut strokes: Vec<Vec<Point>> = shape.split(';').map(stroke).collect();
    if let Some((_, shape)) = MARKS.iter().find(|m| Some(m.0) == mark) {
        let up = if base.is_ascii_uppercase() && mark != Some('\u{b8}') { 3.0 } else { 0.0 };
        let moved = |(x, y): Point| (x + width * 0.5, y + up);
        strokes.extend(shape.split(';').map(|s| stroke(s).into_iter().map(moved).collect()));
    }
    strokes
}

/// The base letter and the accent of `c`.
fn accented(c: char) -> Option<(char, char)> {
    if c.is_ascii() {
        return None;
    }
    let small = c.to_lowercase().next()?;
    let mut triples = ACCENTED.chars();
    while let (Some(letter), Some(base), Some(mark)) = (triples.next(), triples.next(), triples.next()) {
        if letter == small {
            let base = if small == c { base } else { base.to_ascii_uppercase() };
            return Some((base, mark));
        }
    }
    None
}

/// The points of one stroke, arcs divided into short lines.
fn stroke(text: &str) -> Vec<Point> {
    let mut points = Vec::new();
    for part in text.split(' ').filter(|p| !p.is_empty()) {
        let arc = part.strip_prefix('@');
        let mut numbers = arc.unwrap_or(part).split(',').map(|n| n.parse().unwrap_or(0.0f32));
        let mut number = || numbers.next().unwrap_or(0.0);
        let (x, y) = (number(), number());
        if arc.is_none() {
            points.push((x, y));
            continue;
        }
        let (rx, ry, from, to) = (number(), number(), number(), number());
        let steps = ((to - from).abs() / 15.0).ceil().max(1.0);
        points.extend((0..=steps as usize).map(|i| {
            let turns = lerp(from, to, i as f32 / steps) / 360.0;
            (x + rx * cowave(turns), y + ry * wave(turns))
        }));
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_ascii_character_has_a_glyph_within_its_width() {
        for c in ('!'..='~').chain(['\u{2026}', MISSING]) {
            let strokes = glyph(c);
            assert!(!strokes.is_empty(), "{c:?} has no strokes");
            for &(x, y) in strokes.iter().flatten() {
                assert!((-0.3..=width(c) + 0.3).contains(&x), "{c:?} leaves its width at {x}");
                assert!((-3.3..=11.1).contains(&y), "{c:?} leaves the line at {y}");
            }
        }
    }

    #[test]
    fn every_character_of_the_tables_is_drawn() {
        let letters: Vec<char> = ACCENTED.chars().collect();
        assert_eq!(letters.len() % 3, 0);
        for triple in letters.chunks(3) {
            assert!(MARKS.iter().any(|m| m.0 == triple[2]), "no mark {:?}", triple[2]);
            assert!(glyph(triple[0]).len() > 1 || triple[1] == 'i', "{:?}", triple[0]);
        }
    }

    #[test]
    fn other_characters_are_replaced() {
        assert_eq!(writable("Größe – “naïve” Œuvre…"), "Grösse - \"naïve\" OEuvre…");
        assert_eq!(writable("海 🦑\u{202e}\u{301}x\n"), "□ x ");
    }
}
