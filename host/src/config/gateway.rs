//! The gateway's part of the configuration: who may come in from outside.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use super::secret;
use crate::channel::SecretRef;
use crate::strict::Item;

/// The door for everybody outside the process. No spawn ever passes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayConfig {
    /// Who may come in. Default: a token that is empty, so nobody.
    pub auth: Auth,
    /// Address and port to listen on. Default none: there is no listener.
    pub listen: Option<SocketAddr>,
}

/// Who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Who shows this token. An empty one lets nobody in.
    Token(Token),
    /// Everybody who can reach the listener; it has to be on a loopback address.
    None,
}

impl Default for Auth {
    fn default() -> Self {
        Self::Token(Token::Literal(String::new()))
    }
}

/// Where the gateway's token is.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// In the configuration itself.
    Literal(String),
    /// Somewhere else.
    Reference(SecretRef),
}

impl fmt::Debug for Token {
    /// Does not show the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(token) if token.is_empty() => f.write_str("Literal(\"\")"),
            Self::Literal(_) => f.write_str("Literal(…)"),
            Self::Reference(from) => f.debug_tuple("Reference").field(from).finish(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Token,
    None,
}

pub(super) fn read(item: &Item<'_>, base: &Path) -> Option<GatewayConfig> {
    let table = item.table(&["auth", "token", "listen"])?;
    let mode = table
        .get("auth")
        .map_or(Some(Mode::Token), |item| item.one_of(&[("token", Mode::Token), ("none", Mode::None)]));
    let given = table.get("token");
    let token = given.as_ref().map(|item| token(item, base));
    let listener = table.get("listen");
    let listen = listener.as_ref().map(|item| listen(item));

    let auth = match (mode?, given, token) {
        (Mode::Token, _, None) => Auth::default(),
        (Mode::Token, _, Some(token)) => Auth::Token(token?),
        (Mode::None, Some(item), Some(Some(token))) if token != Token::Literal(String::new()) => {
            item.fail("`gateway.token` is not asked for with `auth = \"none\"`; remove one of the two");
            return None;
        }
        (Mode::None, ..) => Auth::None,
    };
    let listen = match (listen, listener) {
        (Some(address), Some(item)) => Some(open(&item, address?, &auth)?),
        _ => None,
    };
    Some(GatewayConfig { auth, listen })
}

/// Never repeats what stands there: it could be the token.
fn token(item: &Item<'_>, base: &Path) -> Option<Token> {
    if item.is_table() {
        return secret::read(item, base).map(Token::Reference);
    }
    if !item.is_text() {
        item.fail(&format!("`{}` must be a text in quotes, or {}", item.path(), secret::WANTED));
        return None;
    }
    item.text().map(|text| Token::Literal(text.to_owned()))
}

fn listen(item: &Item<'_>) -> Option<SocketAddr> {
    let address = item.text()?.parse().ok();
    if address.is_none() {
        item.must_be("an address and a port such as \"127.0.0.1:7070\"");
    }
    address
}

/// Refuses a listener that lets nobody in, or anybody.
fn open(item: &Item<'_>, address: SocketAddr, auth: &Auth) -> Option<SocketAddr> {
    match auth {
        Auth::Token(Token::Literal(token)) if token.is_empty() => {
            item.fail("`gateway.listen` needs a `token` that is not empty, or nobody could come in");
            None
        }
        Auth::None if !address.ip().is_loopback() => {
            item.fail(&format!(
                "`gateway.listen` with `auth = \"none\"` must be a loopback address such as \"127.0.0.1:{}\", not \"{address}\"",
                address.port()
            ));
            None
        }
        _ => Some(address),
    }
}
