//! Text of strangers, made safe for terminals and logs.
//!
//! Owns which characters may steer a terminal or hide what is written. Knows
//! nothing of who reads it; cuts nothing.

/// Makes text of strangers safe for one line of a terminal or a log: control
/// characters and those that turn the direction of writing become `\u{FFFD}`.
#[must_use]
pub fn scrub_line(text: &str) -> String {
    text.chars().map(|c| if is_treacherous(c) { '\u{FFFD}' } else { c }).collect()
}

/// As [`scrub_line`], but keeps line ends and tabs; `\r\n` is one line end.
#[must_use]
pub fn scrub_text(text: &str) -> String {
    let keep = |c| matches!(c, '\n' | '\t') || !is_treacherous(c);
    text.replace("\r\n", "\n").chars().map(|c| if keep(c) { c } else { '\u{FFFD}' }).collect()
}

/// Control characters (C0, DEL, C1), separators of lines, and overrides of direction.
#[must_use]
pub fn is_treacherous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
