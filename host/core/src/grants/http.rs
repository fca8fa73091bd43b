//! Where a request may go: a parsed rule, never a pattern over text.
//!
//! Owns the form of a rule and of a target, and when the one covers the other.
//! Resolves no name and sends nothing: whether an address may be reached is
//! the host's affair.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Bytes of a host's name, as the DNS has it.
const MAX_HOST_BYTES: usize = 253;
/// Bytes of a path.
const MAX_PATH_BYTES: usize = 2_048;

/// The methods that a rule can name.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A place that requests go to: a scheme, a host, a port and whole segments of
/// a path, and everything below them. Written as the URL `https://api.example.com/v1`;
/// `https://*.example.com` is every name below `example.com` and not itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    /// How.
    pub scheme: Scheme,
    /// Whom.
    pub host: HostPattern,
    /// 1 to 65535; the scheme's own when the text names none.
    pub port: u16,
    /// Segments, as they stand in the URL: percent-encoded, none of them empty.
    pub path: Vec<String>,
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Over TLS.
    Https,
    /// In the clear.
    Http,
}

/// A host, or all hosts below a domain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This name or address, in lower case; an IPv6 address stands in brackets.
    Exactly(String),
    /// Every name below this domain, and not the domain itself.
    Below(String),
}

/// Requests that may be made: some methods at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// Where.
    pub to: Target,
    /// With which methods, in upper case. None is none.
    pub methods: Vec<String>,
}

/// The text is not a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a place for requests: {why}; expected a URL such as `https://api.example.com/v1`")]
pub struct ParseTargetError {
    text: String,
    why: &'static str,
}

impl Scheme {
    /// `https` or `http`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    /// The port that a URL without one means.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

impl HostPattern {
    /// Whether every host that `wanted` means is meant here too.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Exactly(held), Self::Exactly(wanted)) => held == wanted,
            (Self::Exactly(_), Self::Below(_)) => false,
            (Self::Below(held), Self::Exactly(wanted)) => is_below(wanted, held),
            (Self::Below(held), Self::Below(wanted)) => held == wanted || is_below(wanted, held),
        }
    }

    /// What both mean, if anything.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        if self.covers(other) { Some(other.clone()) } else { other.covers(self).then(|| self.clone()) }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl Target {
    /// Whether every place that `wanted` means is meant here too.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        // The host first: it tells most targets apart, and a path is a list of texts.
        self.host.covers(&wanted.host)
            && self.scheme == wanted.scheme
            && self.port == wanted.port
            && wanted.path.starts_with(&self.path)
    }

    /// What both mean, if anything.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        if self.scheme != other.scheme || self.port != other.port {
            return None;
        }
        let (short, long) = if self.path.len() <= other.path.len() { (self, other) } else { (other, self) };
        let host = self.host.meet(&other.host)?;
        long.path.starts_with(&short.path).then(|| Self { host, path: long.path.clone(), ..self.clone() })
    }
}

impl HttpGrant {
    /// What both allow, if anything.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let to = self.to.meet(&other.to)?;
        let both = |method: &&String| other.methods.contains(method);
        let methods: Vec<String> = self.methods.iter().filter(both).cloned().collect();
        (!methods.is_empty()).then_some(Self { to, methods })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(host) => f.write_str(host),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port != self.scheme.port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str("/")?;
        f.write_str(&self.path.join("/"))
    }
}

impl FromStr for Target {
    type Err = ParseTargetError;
    fn from_str(text: &str) -> Result<Self, ParseTargetError> {
        parse(text).map_err(|why| ParseTargetError { text: text.chars().take(200).collect(), why })
    }
}

fn parse(text: &str) -> Result<Target, &'static str> {
    let (scheme, rest) = match text.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("http", rest)) => (Scheme::Http, rest),
        _ => return Err("it begins with neither `https://` nor `http://`"),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err("it names a user");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse::<u16>().ok().filter(|port| is_number && *port > 0);
            (host, port.ok_or("its port is no number from 1 to 65535")?)
        }
        _ => (authority, scheme.port()),
    };
    Ok(Target { scheme, host: host_pattern(host)?, port, path: segments(path)? })
}

/// A host's name or address in the one form in which it is compared.
fn host_pattern(text: &str) -> Result<HostPattern, &'static str> {
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<std::net::Ipv6Addr>().ok());
        return address
            .map(|address| HostPattern::Exactly(format!("[{address}]")))
            .ok_or("its host is no IPv6 address");
    }
    let (domain, below) = text.strip_prefix("*.").map_or((text, false), |domain| (domain, true));
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if domain.is_empty() || domain.len() > MAX_HOST_BYTES || !domain.split('.').all(is_label) {
        return Err("its host is no name of letters, digits, `-` and dots");
    }
    let domain = domain.to_ascii_lowercase();
    // `0x7f.1` and `2130706433` are addresses to some and names to others.
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit()) || label.starts_with("0x");
    let is_address = domain.parse::<std::net::Ipv4Addr>().is_ok();
    if domain.rsplit('.').next().is_some_and(is_number) && !is_address {
        return Err("its host is an address in an unusual form");
    }
    match below {
        true if is_address => Err("there is nothing below an address"),
        true => Ok(HostPattern::Below(domain)),
        false => Ok(HostPattern::Exactly(domain)),
    }
}

/// Whole segments; what a server might read as another path than stands there is refused.
fn segments(path: &str) -> Result<Vec<String>, &'static str> {
    if path.len() > MAX_PATH_BYTES {
        return Err("its path is too long");
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#\\\"<>^`{|}*".contains(&byte);
    if !path.bytes().all(is_plain) {
        return Err("its path holds a character that has no place there (percent-encode it)");
    }
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Ok(Vec::new());
    }
    path.split('/').map(segment).collect()
}

fn segment(text: &str) -> Result<String, &'static str> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err("its path holds a `%` that is no percent-encoding");
        };
        decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    match decoded.as_slice() {
        b"" => Err("its path holds an empty segment"),
        b"." | b".." => Err("its path holds a `.` or `..`"),
        inside if inside.iter().any(|byte| b"/\\\0".contains(byte)) => {
            Err("its path holds a separator that is percent-encoded")
        }
        _ => Ok(text.to_owned()),
    }
}

super::as_text!(Target, ParseTargetError);

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_target_is_written_as_a_url() {
        for text in [
            "https://api.example.com/",
            "https://api.example.com:8443/v1/a%20b",
            "http://[::1]:80/x",
            "https://*.fal.run/",
        ] {
            assert_eq!(target(&target(text).to_string()), target(text), "{text}");
        }
        assert_eq!(target("https://API.example.com").to_string(), "https://api.example.com/");
        assert_eq!(target("https://a.b:443/v1/"), target("https://a.b/v1"));
    }

    #[test]
    fn what_a_server_might_read_otherwise_is_no_target() {
        for text in [
            "ftp://a.b/",
            "//a.b/",
            "https://",
            "https:///x",
            "https://u@a.b/",
            "https://a.b:0/",
            "https://a.b:+1/",
            "https://a.b:65536/",
            "https://a.b:/",
            "https://a.b/../c",
            "https://a.b/%2e%2E/c",
            "https://a.b/x%2fy",
            "https://a.b/x%5Cy",
            "https://a.b/x\\y",
            "https://a.b//c",
            "https://a.b/?q",
            "https://a.b/#f",
            "https://a b/",
            "https://a.b/\u{e9}",
            "https://a.b/%zz",
            "https://a.b/%",
            "https://0x7f.0.0.1/",
            "https://2130706433/",
            "https://127.1/",
            "https://*.10.0.0.1/",
            "https://*/",
            "https://[::1/",
            "https://[x]/",
            "https://a..b/",
            "https://a.*.b/",
            "https://a.b/x%00",
            "https://ex\u{e4}mple.com/",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_covers_what_lies_below_it_and_nothing_beside_it() {
        let covers = |held: &str, wanted: &str| target(held).covers(&target(wanted));
        assert!(covers("https://a.b/v1", "https://a.b/v1/x") && covers("https://a.b", "https://a.b/v1"));
        assert!(!covers("https://a.b/v1", "https://a.b/v10") && !covers("https://a.b/v1", "https://a.b/"));
        assert!(!covers("https://a.b", "http://a.b") && !covers("https://a.b", "https://a.b:8443"));
        assert!(covers("https://*.a.b", "https://x.a.b/y") && covers("https://*.a.b", "https://*.x.a.b"));
        assert!(!covers("https://*.a.b", "https://a.b") && !covers("https://*.a.b", "https://xa.b"));
        assert!(!covers("https://x.a.b", "https://*.a.b"));
    }

    #[test]
    fn two_targets_meet_in_what_both_mean() {
        let meet = |a: &str, b: &str| {
            assert_eq!(target(a).meet(&target(b)), target(b).meet(&target(a)));
            target(a).meet(&target(b)).map(|met| met.to_string())
        };
        assert_eq!(meet("https://*.a.b/v1", "https://x.a.b").as_deref(), Some("https://x.a.b/v1"));
        assert_eq!(meet("https://a.b/v1", "https://a.b/v2"), None);
        assert_eq!(meet("https://a.b/v1", "http://a.b/v1"), None);
    }
}
