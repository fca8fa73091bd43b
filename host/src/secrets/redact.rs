//! Takes the values of secrets out of what comes back and of what goes out.
//!
//! Owns which forms of a value are looked for: as it is, in base64 (both alphabets, at any place in
//! what was encoded), in hex, percent-encoded and escaped as JSON has it. Guards against echoes; a
//! server that knows a secret and wants to hand it on in a form of its own can do that.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Finds the values of all secrets in texts and bytes. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Found>>);

struct Found {
    automaton: AhoCorasick,
    /// What stands in the place of each form.
    instead: Vec<Arc<str>>,
    /// Bytes of the longest form.
    longest: usize,
}

impl fmt::Debug for Redactor {
    /// Does not show what it looks for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redactor").field(&self.0.as_ref().map_or(0, |found| found.instead.len())).finish()
    }
}

impl Redactor {
    /// Looks for these values, by the names of their secrets.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let (mut looked_for, mut instead) = (Vec::new(), Vec::new());
        for (name, value) in secrets {
            let shown: Arc<str> = format!("[secret {name}]").into();
            for form in forms(value) {
                looked_for.push(form);
                instead.push(shown.clone());
            }
        }
        if looked_for.is_empty() {
            return Self(None);
        }
        let longest = looked_for.iter().map(Vec::len).max().unwrap_or_default();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&looked_for)
            .expect("some kilobytes of patterns fit");
        Self(Some(Arc::new(Found { automaton, instead, longest })))
    }

    /// A text without them.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.0 {
            // A form is ASCII, so that what is left are whole characters.
            Some(found) if found.automaton.is_match(text) => {
                Cow::Owned(found.automaton.replace_all(text, &found.instead))
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Bytes without them, text or not.
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.stream();
        let mut clean = stream.push(bytes.to_vec());
        clean.extend(stream.finish());
        clean
    }

    /// Whether there is one in it.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|found| found.automaton.is_match(text))
    }

    /// For bytes that come in pieces.
    #[must_use]
    pub fn stream(&self) -> Stream {
        Stream { found: self.0.clone(), held: Vec::new() }
    }
}

/// Bytes that come in pieces: what could be the beginning of a form is held back.
pub struct Stream {
    found: Option<Arc<Found>>,
    held: Vec<u8>,
}

impl Stream {
    /// Takes a piece and gives what can be said of it.
    pub fn push(&mut self, piece: Vec<u8>) -> Vec<u8> {
        let Some(found) = self.found.clone() else { return piece };
        self.held.extend_from_slice(&piece);
        // From here on a form could begin that ends in the next piece.
        let certain = (self.held.len() + 1).saturating_sub(found.longest);
        self.take(&found, certain)
    }

    /// The rest.
    pub fn finish(mut self) -> Vec<u8> {
        let Some(found) = self.found.clone() else { return Vec::new() };
        let all = self.held.len();
        self.take(&found, all)
    }

    /// What stands before `certain`, and what is found there with all of it.
    fn take(&mut self, found: &Found, certain: usize) -> Vec<u8> {
        let (mut clean, mut from) = (Vec::with_capacity(certain), 0);
        for met in found.automaton.find_iter(&self.held) {
            if met.start() >= certain {
                break;
            }
            clean.extend_from_slice(&self.held[from..met.start()]);
            clean.extend_from_slice(found.instead[met.pattern().as_usize()].as_bytes());
            from = met.end();
        }
        if from < certain {
            clean.extend_from_slice(&self.held[from..certain]);
            from = certain;
        }
        self.held.drain(..from);
        clean
    }
}

/// The forms of a value that are looked for, each once. The value is ASCII.
fn forms(value: &str) -> BTreeSet<Vec<u8>> {
    let bytes = value.as_bytes();
    let mut forms = BTreeSet::from([bytes.to_vec()]);
    let mut add = |text: String| {
        forms.insert(text.into_bytes());
    };
    for shift in 0..3 {
        // Where it begins in a group of three, and without the characters that its neighbours share.
        let text = [&vec![0; shift], bytes].concat();
        let (begin, whole) = ((shift * 8).div_ceil(6), text.len() * 8 / 6);
        add(STANDARD_NO_PAD.encode(&text)[begin..whole].to_owned());
        add(URL_SAFE_NO_PAD.encode(&text)[begin..whole].to_owned());
    }
    let each = |form: &dyn Fn(u8) -> String| bytes.iter().map(|byte| form(*byte)).collect::<String>();
    add(each(&|byte| format!("{byte:02x}")));
    add(each(&|byte| format!("{byte:02X}")));
    // What is left as it is differs: RFC 3986, `encodeURIComponent`, `encodeURI`, forms, and nothing.
    for kept in ["-._~", "-._~!*'()", "-._~!*'();/?:@&=+$,#", "-._*", ""] {
        let plain =
            |byte: u8| (byte.is_ascii_alphanumeric() && !kept.is_empty()) || kept.as_bytes().contains(&byte);
        let keep = |byte: u8, hex: String| if plain(byte) { char::from(byte).to_string() } else { hex };
        let forms = |hex: &dyn Fn(u8) -> String| {
            let spaced = |byte| if byte == b' ' { "+".to_owned() } else { keep(byte, hex(byte)) };
            [each(&|byte| keep(byte, hex(byte))), each(&spaced)]
        };
        let upper = forms(&|byte| format!("%{byte:02X}"));
        let lower = forms(&|byte| format!("%{byte:02x}"));
        upper.into_iter().chain(lower).for_each(&mut add);
    }
    // JSON: what must be escaped, `/` too, what browsers could take for markup, everything.
    for escaped in ["\"\\", "\"\\/"] {
        add(each(&|byte| match escaped.as_bytes().contains(&byte) {
            true => format!("\\{}", char::from(byte)),
            false => char::from(byte).to_string(),
        }));
    }
    // By code: what browsers could take for markup, as Go does; what .NET does not trust besides; everything.
    let lower = |byte: u8| format!("\\u{byte:04x}");
    let upper = |byte: u8| format!("\\u{byte:04X}");
    let codes: [&dyn Fn(u8) -> String; 2] = [&lower, &upper];
    for coded in codes {
        for (by_code, short) in [("<>&'", "\"\\"), ("<>&", "\"\\"), ("<>&'\"+`", "\\")] {
            add(each(&|byte| match byte {
                byte if by_code.as_bytes().contains(&byte) => coded(byte),
                byte if short.as_bytes().contains(&byte) => format!("\\{}", char::from(byte)),
                byte => char::from(byte).to_string(),
            }));
        }
        add(each(&coded));
    }
    // HTML: as Go, Python, .NET and browsers write what needs not always be written so.
    for apostrophe in ["&#39;", "&#x27;", "&#039;", "&apos;", "'"] {
        for quote in ["&quot;", "&#34;", "&#x22;"] {
            for plus in ["+", "&#43;", "&#x2B;"] {
                add(each(&|byte| match byte {
                    b'&' => "&amp;".to_owned(),
                    b'<' => "&lt;".to_owned(),
                    b'>' => "&gt;".to_owned(),
                    b'"' => quote.to_owned(),
                    b'\'' => apostrophe.to_owned(),
                    b'+' => plus.to_owned(),
                    byte => char::from(byte).to_string(),
                }));
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "s3cr\"t/+&<k> y";

    fn redactor() -> Redactor {
        Redactor::new([("api", VALUE), ("other", "another-one")])
    }

    #[test]
    fn every_usual_form_is_found() {
        let mut texts = vec![
            VALUE.to_owned(),
            serde_json::to_string(VALUE).expect("a text"),
            VALUE.replace('/', "\\/").replace('"', "\\\""),
            "s3cr%22t%2F%2B%26%3Ck%3E%20y".to_owned(),
            "s3cr%22t%2f%2b%26%3ck%3e%20y".to_owned(),
            "s3cr%22t%2F%2B%26%3Ck%3E+y".to_owned(),
            "s3cr\\\"t/+\\u0026\\u003ck\\u003e y".to_owned(),
            "s3cr\\u0022t/\\u002B\\u0026\\u003Ck\\u003E y".to_owned(),
            "s3cr&quot;t/+&amp;&lt;k&gt; y".to_owned(),
            "s3cr&#34;t/&#43;&amp;&lt;k&gt; y".to_owned(),
            VALUE.bytes().map(|byte| format!("\\u{byte:04X}")).collect(),
            VALUE.bytes().map(|byte| format!("{byte:02x}")).collect(),
            VALUE.bytes().map(|byte| format!("{byte:02X}")).collect(),
            VALUE.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        ];
        for around in ["", "a", "ab", "user:"] {
            let text = format!("{around}{VALUE}{around}");
            texts.push(STANDARD_NO_PAD.encode(&text));
            texts.push(URL_SAFE_NO_PAD.encode(&text));
        }
        for text in texts {
            let clean = redactor().text(&format!("<{text}>")).into_owned();
            assert!(clean.contains("[secret api]"), "{text}: {clean}");
        }
        let apostrophe = Redactor::new([("api", "it's+a`key")]);
        for text in
            ["it&#x27;s+a`key", "it&#39;s&#43;a`key", "it\\u0027s\\u002Ba\\u0060key", "it\\u0027s+a`key"]
        {
            assert_eq!(apostrophe.text(text), "[secret api]");
        }
        assert_eq!(apostrophe.bytes(b"\xffit's+a`key\xfe"), b"\xff[secret api]\xfe", "no text at all");
    }

    #[test]
    fn what_comes_in_pieces_is_found_wherever_it_is_cut() {
        let text = format!("before {VALUE} between another-one{VALUE} after");
        let clean = "before [secret api] between [secret other][secret api] after";
        assert_eq!(redactor().text(&text), clean);
        for size in 1..text.len() {
            let mut stream = redactor().stream();
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                out.extend(stream.push(piece.to_vec()));
            }
            out.extend(stream.finish());
            assert_eq!(String::from_utf8(out).as_deref(), Ok(clean), "in pieces of {size}");
        }
    }

    #[test]
    fn where_there_is_no_secret_nothing_is_touched() {
        assert!(matches!(Redactor::default().text("a"), Cow::Borrowed("a")));
        let mut stream = Redactor::default().stream();
        assert_eq!((stream.push(vec![1]), stream.finish()), (vec![1], vec![]));
        assert!(!format!("{:?}", redactor()).contains("s3cr"));
    }
}
