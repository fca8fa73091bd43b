//! How an input is made of others: by bytes, by words that seeds have, and by lines, since most of what
//! is read is text in lines.

use super::MAX_INPUT_BYTES;

/// Numbers at whose edges readers stumble.
const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "1e309",
];

/// What texts have that readers trip over.
const ODDITIES: [&str; 16] = [
    "\u{0}",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{feff}",
    "é",
    "..",
    "/",
    "\\",
    "%2e",
    "%00",
    "*",
    "\"",
    "'''",
    "[[",
    "@",
    "\r\n",
];

/// A stream of numbers from a seed, the same each time.
pub struct Random(u64);

impl Random {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// The words of all seeds, each once.
pub(super) fn words(seeds: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let all = seeds.iter().flat_map(|seed| seed.split(|byte| !is_word(byte)));
    let mut words: Vec<Vec<u8>> = all.filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect();
    words.extend(NUMBERS.iter().chain(&ODDITIES).map(|text| text.as_bytes().to_vec()));
    words.sort();
    words.dedup();
    words
}

/// A new input of those that are kept.
pub(super) fn mutate(kept: &[Vec<u8>], words: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = random.pick(kept).clone();
    for _ in 0..=random.below(5) {
        step(&mut input, kept, words, random);
    }
    input.truncate(MAX_INPUT_BYTES);
    input
}

fn step(input: &mut Vec<u8>, kept: &[Vec<u8>], words: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + random.below(16)).min(input.len());
    match random.below(9) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.below(256) as u8,
        2 => drop(input.drain(at..end)),
        3 => drop(input.splice(at..at, random.pick(words).iter().copied())),
        4 => {
            // A word gives way to another.
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
            let begin = at - input[..at].iter().rev().take_while(|byte| is_word(byte)).count();
            let end = at + input[at..].iter().take_while(|byte| is_word(byte)).count();
            drop(input.splice(begin..end, random.pick(words).iter().copied()));
        }
        5 => {
            let piece = input[at..end].repeat(1 + random.below(64));
            drop(input.splice(at..at, piece));
        }
        6 => {
            // The beginning of one and the end of another.
            let other = random.pick(kept);
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => lines(input, random),
    }
}

/// A line goes, comes twice, or stands elsewhere.
fn lines(input: &mut Vec<u8>, random: &mut Random) {
    let mut lines: Vec<Vec<u8>> = input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let (one, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(3) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one].clone()),
        _ => lines.swap(one, other),
    }
    *input = lines.concat();
}
