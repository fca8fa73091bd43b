//! The door for calls of hooks, the only one that a host has to the outside.
//!
//! Owns the listener, what it answers, and who is verified how. Serves one kind of path and tells
//! nothing of the host; a call is answered with success after it is durable. Never shows a token.

mod answer;
mod keys;
mod listen;
mod pace;
mod verify;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use keys::Keys;
pub(crate) use listen::serve;
use pace::Pace;

/// What stands before the token in a path.
const PATH: &str = "/hooks/";
/// Bytes of a token: as many as nobody guesses.
const TOKEN_BYTES: usize = 32;

/// A door that is open: somebody listens, and answers once a host is there.
pub struct Hooks {
    listener: TcpListener,
    base: Arc<str>,
}

impl Hooks {
    /// Listens on an address. `public_url` is what stands before it, by which callers come; without
    /// one they come to the address itself.
    ///
    /// # Errors
    /// The machine does not give the address.
    pub async fn listen(address: SocketAddr, public_url: Option<&str>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let own = format!("http://{}", listener.local_addr()?);
        let base = public_url.unwrap_or(&own).trim_end_matches('/').into();
        Ok(Self { listener, base })
    }

    /// Where it is, without a path.
    ///
    /// # Errors
    /// The machine does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The listener, and what the rest of the host knows of it.
    pub(crate) fn into_parts(self) -> (TcpListener, Door) {
        (self.listener, Door { base: self.base, pace: Pace::default(), keys: Keys::default() })
    }
}

/// What a host knows of its door.
pub struct Door {
    base: Arc<str>,
    pace: Pace,
    keys: Keys,
}

impl Door {
    /// The URL of the hook with this token.
    #[must_use]
    pub fn url(&self, token: &str) -> String {
        format!("{}{PATH}{token}", self.base)
    }

    /// The hash of the token that a path names, if it names one: below the public URL, or below the
    /// listener's own when what stands before takes its part away.
    fn token(&self, path: &str) -> Option<[u8; 32]> {
        let prefix = self.base.splitn(4, '/').nth(3).map(|prefix| format!("/{prefix}"));
        let path = prefix.and_then(|prefix| path.strip_prefix(&prefix)).unwrap_or(path);
        let mut token = [0; TOKEN_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(path.strip_prefix(PATH)?, &mut token) {
            Ok(TOKEN_BYTES) => Some(hash(&token)),
            _ => None,
        }
    }
}

fn hash(token: &[u8; TOKEN_BYTES]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// A new token, as it stands in a URL, and its hash.
///
/// # Errors
/// The machine has no randomness.
pub(crate) fn token() -> Result<(String, [u8; 32]), getrandom::Error> {
    let mut token = [0; TOKEN_BYTES];
    getrandom::fill(&mut token)?;
    Ok((URL_SAFE_NO_PAD.encode(token), hash(&token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(base: &str) -> Door {
        Door { base: base.into(), pace: Pace::default(), keys: Keys::default() }
    }

    #[test]
    fn a_path_names_a_token_or_nothing() {
        let (text, hash) = token().expect("randomness");
        for base in ["http://127.0.0.1:8787", "https://example.org", "https://example.org/a/b"] {
            let door = door(base);
            let url = door.url(&text);
            let path = url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).expect("a path");
            assert_eq!(door.token(&path), Some(hash), "{url}");
            assert_eq!(door.token(&format!("/hooks/{text}")), Some(hash), "{base}, taken away");
            for path in ["/", "/hooks/", "/hooks", "", "/hooks/AAAA", &format!("/hook/{text}")] {
                assert_eq!(door.token(path), None, "{path}");
            }
            assert_eq!(door.token(&format!("/hooks/{text}A")), None);
            assert_eq!(door.token(&format!("/x/hooks/{text}")), None);
        }
    }

    #[test]
    fn no_two_tokens_are_the_same() {
        assert_ne!(token().expect("randomness"), token().expect("randomness"));
        assert_eq!(token().expect("randomness").0.len(), 43);
    }
}
