//! The URL of a request: a place that grants can be asked about, and what the server is sent.
//!
//! Owns how a redirect's `Location` becomes the next URL. What a server might read as another
//! place than the grants were asked about is no URL here: see [`Target`].

use std::fmt;

use sublane_core::grants::{HostPattern, Scheme, Target};

/// Bytes of a URL.
pub const MAX_URL_BYTES: usize = 8 << 10;

/// An absolute URL of `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    target: Target,
    /// With its first `/`, as it was written.
    path: String,
    /// Without its `?`.
    query: Option<String>,
}

impl Url {
    /// Reads what a guest or a server wrote.
    ///
    /// # Errors
    /// What is wrong with it, for the guest. Never repeats a query.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_URL_BYTES {
            return Err(format!("the URL has {} bytes; at most {MAX_URL_BYTES} may be sent", text.len()));
        }
        if text.contains('#') {
            return Err("the URL has a fragment, which no server is sent".to_owned());
        }
        let (place, query) = match text.split_once('?') {
            Some((place, query)) => (place, Some(query)),
            None => (text, None),
        };
        let target: Target =
            place.parse().map_err(|error: sublane_core::grants::ParseTargetError| error.to_string())?;
        if matches!(target.host, HostPattern::Below(_)) {
            return Err("the URL's host is a pattern and no host".to_owned());
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<>^`{|}".contains(&byte);
        if query.is_some_and(|query| !query.bytes().all(is_plain)) {
            return Err(
                "the URL's query holds a character that has no place there (percent-encode it)".to_owned()
            );
        }
        let path = place.splitn(4, '/').nth(3).map_or_else(|| "/".to_owned(), |rest| format!("/{rest}"));
        Ok(Self { target, path, query: query.map(str::to_owned) })
    }

    /// Where a redirect leads from here.
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn join(&self, location: &str) -> Result<Self, String> {
        let location = location.split_once('#').map_or(location, |(before, _)| before);
        let begins = |what: &str| location.starts_with(what);
        let is_absolute = location.split_once(':').is_some_and(|(scheme, _)| {
            !scheme.is_empty()
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        });
        let text = if is_absolute {
            location.to_owned()
        } else if begins("//") {
            format!("{}:{location}", self.target.scheme.name())
        } else if begins("/") {
            format!("{}{location}", self.origin())
        } else if begins("?") {
            format!("{}{}{location}", self.origin(), self.path)
        } else if location.is_empty() {
            self.to_string()
        } else {
            let directory = self.path.rfind('/').map_or("/", |end| &self.path[..=end]);
            format!("{}{directory}{location}", self.origin())
        };
        Self::parse(&text)
    }

    /// What grants are asked about.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Scheme, host and port: who it is that is asked.
    #[must_use]
    pub fn origin(&self) -> String {
        let Target { scheme, host, port, .. } = &self.target;
        match *port == scheme.port() {
            true => format!("{}://{host}", scheme.name()),
            false => format!("{}://{host}:{port}", scheme.name()),
        }
    }

    /// Whether what is sent there is readable on the way.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.target.scheme == Scheme::Http
    }

    /// The host, as it is written.
    #[must_use]
    pub fn host(&self) -> String {
        self.target.host.to_string()
    }

    /// The path, with its first `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, without its `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The same with another query.
    #[must_use]
    pub fn with_query(self, query: Option<String>) -> Self {
        Self { query, ..self }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)?;
        self.query.as_ref().map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_was_written_is_sent() {
        for (text, sent) in [
            ("https://a.b", "https://a.b/"),
            ("https://A.b:443/x/", "https://a.b/x/"),
            ("http://[::1]:8080/x?y=/%20&z", "http://[::1]:8080/x?y=/%20&z"),
            ("https://a.b?q", "https://a.b/?q"),
        ] {
            assert_eq!(url(text).to_string(), sent);
        }
        assert_eq!(url("https://a.b/v1/?x").target().to_string(), "https://a.b/v1");
    }

    #[test]
    fn what_could_be_read_otherwise_is_refused() {
        for text in [
            "https://a.b/#f",
            "https://*.a.b/",
            "https://u:p@a.b/",
            "https://a.b@c.d/",
            "https://a.b/../c",
            "https://a.b/x?y z",
            "https://a.b/x?y\r\nHost: c",
            "https://a.b\\c.d/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://a.b:99999/",
            "ftp://a.b/",
            "/x",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        assert!(Url::parse(&format!("https://a.b/{}", "x".repeat(MAX_URL_BYTES))).is_err());
    }

    #[test]
    fn a_redirect_leads_on_from_where_it_was_found() {
        let from = url("https://a.b/v1/x?q");
        for (location, to) in [
            ("https://c.d/e", "https://c.d/e"),
            ("//c.d/e", "https://c.d/e"),
            ("/e?f#g", "https://a.b/e?f"),
            ("?f", "https://a.b/v1/x?f"),
            ("y/z", "https://a.b/v1/y/z"),
            ("", "https://a.b/v1/x?q"),
        ] {
            assert_eq!(
                from.join(location).as_ref().map(ToString::to_string),
                Ok(to.to_owned()),
                "{location}"
            );
        }
        for location in ["../y", "javascript:x", "http://127.1/", "https://u@c.d/", "\\\\c.d/"] {
            assert!(from.join(location).is_err(), "{location}");
        }
    }
}
