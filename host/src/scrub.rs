//! Text of strangers, made safe for terminals and logs.
//!
//! Owns which characters may steer a terminal or hide what is written. Knows
//! nothing of who reads it; cuts nothing.

/// Makes text of strangers safe for one line of a terminal or a log: a line end becomes a space; control
/// characters and those that turn the direction of writing become `\u{FFFD}`.
#[must_use]
pub fn scrub_line(text: &str) -> String {
    let safe = |c| match c {
        '\n' => ' ',
        c if is_treacherous(c) => '\u{FFFD}',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(safe).collect()
}

/// As [`scrub_line`], but keeps line ends and tabs; `\r\n` is one line end.
#[must_use]
pub fn scrub_text(text: &str) -> String {
    let keep = |c| matches!(c, '\n' | '\t') || !is_treacherous(c);
    text.replace("\r\n", "\n").chars().map(|c| if keep(c) { c } else { '\u{FFFD}' }).collect()
}

/// JSON text whose strings steer no terminal: what would is written as `\uXXXX`, which is the same
/// value. Line ends and tabs stand between values, and stay.
#[must_use]
pub fn scrub_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_treacherous(c) && !matches!(c, '\n' | '\t') {
            // All of them are in the basic plane.
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// Control characters (C0, DEL, C1), separators of lines, and overrides of direction.
#[must_use]
pub fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_that_can_be_read() {
        assert_eq!(scrub_line("panicked at src/lib.rs:9:5:\nboom\r\n"), "panicked at src/lib.rs:9:5: boom ");
        assert_eq!(scrub_line("a\rb\u{2028}c\u{1b}[1m"), "a\u{fffd}b\u{fffd}c\u{fffd}[1m");
    }

    #[test]
    fn json_that_is_scrubbed_says_the_same() {
        let value = serde_json::json!({ "a": "\u{9b}2J\u{202e}\u{7f}\r\n\u{1b}[1m é 🎬" });
        for json in [value.to_string(), serde_json::to_string_pretty(&value).expect("it has string keys")] {
            let scrubbed = scrub_json(&json);
            assert!(scrubbed.chars().all(|c| c == '\n' || !is_treacherous(c)), "{scrubbed}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&scrubbed).expect("JSON"), value);
        }
    }
}
