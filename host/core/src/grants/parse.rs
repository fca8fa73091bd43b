//! A capability from the text that a denial prints, and from what people type for it.
//!
//! Owns that form: what [`Capability`] writes is read as the same. Knows not who has it.

use std::borrow::Cow;
use std::str::FromStr;

use super::{AgentPattern, Capability, FileMode, FilePath, KvMode, METHODS, ModelPattern, Place};

/// Characters of a text that an error repeats.
const MAX_SHOWN_CHARS: usize = 200;

/// The text is no capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no capability: {why}; write it as a denial does, for example `spawn video/render`, \
     `http GET https://api.example.com/v1`, `kv notes/last write`, `files media/in read`, `tools video.cut`, \
     `channels origin`, `artifacts`, `models anthropic/claude`, or an amount such as `purse.spawns 5`"
)]
pub struct ParseCapabilityError {
    text: String,
    why: String,
}

impl FromStr for Capability<'static> {
    type Err = ParseCapabilityError;

    fn from_str(text: &str) -> Result<Self, ParseCapabilityError> {
        let text = text.trim();
        let text = text.strip_prefix("denied: ").unwrap_or(text);
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        parse(kind, rest.trim()).map_err(|why| ParseCapabilityError {
            text: text.chars().take(MAX_SHOWN_CHARS).collect::<String>().escape_debug().collect(),
            why,
        })
    }
}

fn parse(kind: &str, rest: &str) -> Result<Capability<'static>, String> {
    match kind {
        "spawn" => spawn(rest),
        "channels" => Ok(Capability::Deliver(Cow::Owned(rest.parse().map_err(words)?))),
        "tools" => {
            let (plugin, tool) = rest.split_once('.').unwrap_or((rest, "*"));
            some(plugin, "a plugin")?;
            Ok(Capability::Call { plugin: own(plugin), tool: (tool != "*").then(|| own(tool)) })
        }
        "kv" => kv(rest),
        "artifacts" if rest.is_empty() => Ok(Capability::Artifacts),
        "http" => {
            let (method, to) = rest.split_once(' ').ok_or("a method and a URL are missing")?;
            let method = METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(method));
            let method = method.ok_or_else(|| format!("there are the methods {}", METHODS.join(", ")))?;
            Ok(Capability::Http { method: own(method), to: Cow::Owned(to.parse().map_err(words)?) })
        }
        "files" => files(rest),
        "secrets" => secret(rest),
        "models" => {
            let ModelPattern { provider, model } = rest.parse().map_err(words)?;
            Ok(Capability::Model { provider: provider.into(), model: model.map(Cow::Owned) })
        }
        _ => {
            Err("it begins with none of spawn, channels, tools, kv, artifacts, http, files, secrets, models"
                .to_owned())
        }
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn own(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

fn some(text: &str, what: &str) -> Result<(), String> {
    if text.is_empty() { Err(format!("{what} is missing")) } else { Ok(()) }
}

fn spawn(rest: &str) -> Result<Capability<'static>, String> {
    let number = |text: &str| text.parse::<u32>().map_err(|_| "its number is none".to_owned());
    match rest.split_once(' ') {
        Some(("depth", depth)) => Ok(Capability::SpawnDepth(number(depth)?)),
        Some(("active-children", children)) => Ok(Capability::SpawnActiveChildren(number(children)?)),
        _ => {
            let AgentPattern { plugin, agent } = rest.parse().map_err(words)?;
            Ok(Capability::Spawn { plugin: plugin.into(), agent: agent.map(Cow::Owned) })
        }
    }
}

/// What stands before the mode, and whether it is for writing. A text without a mode is for reading.
fn moded(rest: &str) -> (&str, bool) {
    for (word, writes) in
        [("(read-write)", true), ("(read)", false), ("read-write", true), ("write", true), ("read", false)]
    {
        let before = rest.strip_suffix(word);
        if let Some(before) = before.filter(|before| before.ends_with(' ')) {
            return (before.trim_end(), writes);
        }
    }
    (rest, false)
}

fn kv(rest: &str) -> Result<Capability<'static>, String> {
    let (rest, writes) = moded(rest);
    let mode = if writes { KvMode::ReadWrite } else { KvMode::Read };
    let quoted = |text: &str| -> Result<Cow<'static, str>, String> {
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        Ok(Cow::Owned(unescaped(inner.ok_or("its key stands in no quotes")?)?))
    };
    let (bucket, start) = match rest.split_once(' ') {
        Some((bucket, start)) => {
            let bucket = own(bucket);
            return match start.split_once(' ') {
                Some(("key", key)) => Ok(Capability::Kv { bucket, key: quoted(key)?, mode }),
                Some(("prefix", prefix)) => {
                    Ok(Capability::KvPrefix { bucket, prefix: quoted(prefix)?, mode })
                }
                _ => Err("a bucket is followed by `key` or `prefix`".to_owned()),
            };
        }
        None => rest.split_once('/').unwrap_or((rest, "")),
    };
    some(bucket, "a bucket")?;
    let (bucket, start) = (own(bucket), own(start));
    Ok(match start.is_empty() {
        true => Capability::KvPrefix { bucket, prefix: start, mode },
        false => Capability::Kv { bucket, key: start, mode },
    })
}

fn files(rest: &str) -> Result<Capability<'static>, String> {
    let (rest, writes) = moded(rest);
    let mode = if writes { FileMode::ReadWrite } else { FileMode::Read };
    let mut names = rest.split('/').map(unescaped);
    let root = names.next().unwrap_or_else(|| Ok(String::new()))?;
    some(&root, "a directory")?;
    let path = FilePath::new(names.collect::<Result<_, _>>()?).map_err(words)?;
    Ok(Capability::Files { root: root.into(), path: Cow::Owned(path.into()), mode })
}

fn secret(rest: &str) -> Result<Capability<'static>, String> {
    let mut parts = rest.split(' ');
    let mut next = || parts.next().unwrap_or_default();
    let (name, within, place, called, to, audience) = (next(), next(), next(), next(), next(), next());
    let place = match (within, place, to) {
        ("in", "header", "to") => Place::Header(called.to_ascii_lowercase()),
        ("in", "query", "to") => Place::Query(called.to_owned()),
        ("in", "body", "to") => Place::Body(called.to_owned()),
        _ => return Err("a secret is written `NAME in header|query|body PLACE to URL`".to_owned()),
    };
    let audience = Cow::Owned(audience.parse().map_err(words)?);
    Ok(Capability::Secret { name: own(name), place: Cow::Owned(place), audience })
}

/// The text that was escaped for people.
fn unescaped(text: &str) -> Result<String, String> {
    let wrong = || "it holds a `\\` that escapes nothing".to_owned();
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            plain.push(char);
            continue;
        }
        plain.push(match chars.next().ok_or_else(wrong)? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            same @ ('\\' | '"' | '\'') => same,
            'u' => {
                let rest = chars.as_str().strip_prefix('{').and_then(|rest| rest.split_once('}'));
                let (digits, rest) = rest.ok_or_else(wrong)?;
                chars = rest.chars();
                u32::from_str_radix(digits, 16).ok().and_then(char::from_u32).ok_or_else(wrong)?
            }
            _ => return Err(wrong()),
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_understood() {
        for (typed, means) in [
            ("kv notes/last write", r#"kv notes key "last" (read-write)"#),
            ("kv notes/a/b", r#"kv notes key "a/b" (read)"#),
            ("kv notes read", r#"kv notes prefix "" (read)"#),
            ("files media/in write", "files media/in (read-write)"),
            ("files media", "files media (read)"),
            ("spawn video", "spawn video/*"),
            ("tools video", "tools video.*"),
            ("http get https://a.b", "http GET https://a.b/"),
            ("denied: artifacts", "artifacts"),
        ] {
            let read = typed.parse::<Capability<'static>>().map(|capability| capability.to_string());
            assert_eq!(read.as_deref(), Ok(means), "{typed}");
        }
        for wrong in [
            "",
            "fly",
            "http GET",
            "http TELL https://a.b",
            "kv",
            "kv notes key x (read)",
            "files media/..",
            "spawn /",
        ] {
            let error = wrong.parse::<Capability<'static>>().expect_err(wrong).to_string();
            assert!(
                error.contains("is no capability: ") && error.contains("write it as a denial does"),
                "{error}"
            );
        }
    }
}
