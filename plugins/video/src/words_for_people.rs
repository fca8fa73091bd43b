//! A prompt where people meet it: in a sentence, and as a file's name.
//!
//! Owns their lengths. Never changes the prompt that the film is made from.

/// The most characters of a prompt in a sentence.
const SENTENCE_CHARS: usize = 80;
/// The most characters of a file's name, without its ending.
const NAME_CHARS: usize = 60;

/// The prompt on one line, cut when it is long.
pub(crate) fn shortened(prompt: &str) -> String {
    let line = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SENTENCE_CHARS {
        return line;
    }
    let start: String = line.chars().take(SENTENCE_CHARS - 1).collect();
    format!("{}…", start.trim_end())
}

/// A file's name: the prompt's letters and digits with `-` between its words.
pub(crate) fn file_name(prompt: &str) -> String {
    let mut name = String::new();
    for word in prompt.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if name.chars().count() + word.chars().count() >= NAME_CHARS {
            break;
        }
        if !name.is_empty() {
            name.push('-');
        }
        name.push_str(word);
    }
    if name.is_empty() { "film.mp4".to_owned() } else { format!("{name}.mp4") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_one_line_of_some_length() {
        assert_eq!(shortened(" a cat\n on  a mat "), "a cat on a mat");
        let long = shortened(&"é".repeat(500));
        assert_eq!(long.chars().count(), SENTENCE_CHARS);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_file_is_named_after_its_prompt() {
        assert_eq!(file_name("A lighthouse, in a STORM!"), "a-lighthouse-in-a-storm.mp4");
        assert_eq!(file_name("../../etc/passwd"), "etc-passwd.mp4");
        assert_eq!(file_name("Ein Café über der Stadt"), "ein-café-über-der-stadt.mp4");
        assert_eq!(file_name("🎬"), "film.mp4");
        assert_eq!(file_name(&"x".repeat(300)), "film.mp4");
        assert!(file_name(&"cat ".repeat(1000)).chars().count() <= NAME_CHARS + 4);
    }
}
