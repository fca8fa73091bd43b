//! Headers: which a guest may send, which of a response it gets, and which stay behind in a redirect.
//!
//! Owns the lists. Whatever belongs to the connection is the host's, so that a guest can neither
//! make two requests look like one nor one like two.

use sublane_core::{ImportError, LimitHit};

/// A header as guests know it: a name in small letters, and a value.
pub type Header = (String, String);

/// Headers of one request.
pub const MAX_HEADERS: usize = 100;
/// Bytes of a request's headers and its URL.
pub const MAX_HEAD_BYTES: usize = 32 << 10;

/// Headers that are the host's: those of the connection, of the body's length, and what it decodes.
const HOSTS_OWN: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers that are for one server and nobody else.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "cookie2"];

/// Headers that speak of a body.
const OF_A_BODY: [&str; 5] =
    ["content-type", "content-encoding", "content-language", "content-location", "content-disposition"];

/// Checks what a guest wants to send, and gives it back with names in small letters.
///
/// # Errors
/// [`ImportError::Invalid`] names the header, [`ImportError::Limit`] `http.headers` and `http.head-bytes`.
pub fn check(url_bytes: usize, headers: Vec<Header>) -> Result<Vec<Header>, ImportError> {
    if headers.len() > MAX_HEADERS {
        return Err(ImportError::Limit(LimitHit::new("http.headers", MAX_HEADERS as u64)));
    }
    let bytes = url_bytes + headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
    if bytes > MAX_HEAD_BYTES {
        return Err(ImportError::Limit(LimitHit::new("http.head-bytes", MAX_HEAD_BYTES as u64)));
    }
    headers.into_iter().map(check_one).collect()
}

fn check_one((name, value): Header) -> Result<Header, ImportError> {
    let shown = || name.escape_debug().take(64).collect::<String>();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(ImportError::Invalid(format!("`{}` is no name of a header", shown())));
    }
    let small = name.to_ascii_lowercase();
    if HOSTS_OWN.contains(&small.as_str()) {
        return Err(ImportError::Invalid(format!(
            "the header `{small}` is the host's, and not yours to set"
        )));
    }
    // Letters beyond ASCII have no meaning there that all servers share.
    if !value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)) {
        return Err(ImportError::Invalid(format!(
            "the value of header `{small}` holds a control character, a line end or a letter that is not ASCII"
        )));
    }
    Ok((small, value.trim_matches([' ', '\t']).to_owned()))
}

/// Whether a header of a response is for the connection and not for the guest.
#[must_use]
pub fn is_of_connection(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "alt-svc"
    )
}

/// What stays behind when a redirect leads to another server.
#[must_use]
pub fn is_credential(name: &str) -> bool {
    CREDENTIALS.contains(&name)
}

/// What stays behind when a redirect leaves the body behind.
#[must_use]
pub fn is_of_body(name: &str) -> bool {
    OF_A_BODY.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, value: &str) -> Option<String> {
        check(0, vec![(name.to_owned(), value.to_owned())]).err().map(|error| error.to_string())
    }

    #[test]
    fn a_header_is_sent_as_it_is_meant() {
        let sent = check(0, vec![("X-Key".to_owned(), " a b\t".to_owned())]).expect("it may be sent");
        assert_eq!(sent, [("x-key".to_owned(), "a b".to_owned())]);
    }

    #[test]
    fn nothing_steers_the_connection() {
        for name in HOSTS_OWN {
            assert!(refused(&name.to_ascii_uppercase(), "x").is_some(), "{name}");
        }
        for (name, value) in [
            ("x", "a\r\nHost: b"),
            ("x", "a\nb"),
            ("x", "a\0b"),
            ("x", "\u{e9}"),
            ("x y", "a"),
            ("x:", "a"),
            ("", "a"),
            ("x\r\nhost", "a"),
            (" host", "a"),
            ("host\t", "a"),
        ] {
            assert!(refused(name, value).is_some(), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn there_are_only_so_many() {
        let many = vec![("x".to_owned(), String::new()); MAX_HEADERS + 1];
        assert_eq!(
            check(0, many).err().map(|error| error.to_string()).as_deref(),
            Some("limit http.headers is 100")
        );
        assert_eq!(
            refused("x", &"y".repeat(MAX_HEAD_BYTES)).as_deref(),
            Some("limit http.head-bytes is 32768")
        );
    }
}
