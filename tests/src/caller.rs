//! Somebody outside who calls a hook, byte for byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATIENCE;

/// What a caller is told.
#[derive(Debug)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The status line and the headers, in small letters.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Sends these bytes, and reads until the other side has closed.
///
/// # Panics
/// When nobody listens, or what comes back is no answer.
pub async fn send(to: SocketAddr, request: &[u8]) -> Told {
    let mut connection = TcpStream::connect(to).await.expect("it listens");
    // Who is refused in the middle of a body cannot send the rest.
    let _ = connection.write_all(request).await;
    let mut answer = Vec::new();
    // A connection that is cut behind the answer has brought it.
    let _ = timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("in time");
    let text = String::from_utf8(answer).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Told { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// A POST request on a connection of its own.
#[must_use]
pub fn post(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The path of a URL.
///
/// # Panics
/// When it has none.
#[must_use]
pub fn path(url: &str) -> String {
    format!("/{}", url.splitn(4, '/').nth(3).expect("a path"))
}
