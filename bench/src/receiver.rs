//! A receiver on loopback that notes when the first byte of each delivery arrives.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sublane::channel::webhook::{Endpoint, Webhook};
use sublane::channel::{Channel, SecretRef};
use sublane::clock::SystemClock;
use tokio::sync::mpsc;

/// A receiver that answers 200 to everything.
pub(crate) struct Receiver {
    url: String,
    arrivals: tokio::sync::Mutex<mpsc::UnboundedReceiver<Instant>>,
}

impl Receiver {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let (arrived, arrivals) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let arrived = arrived.clone();
                std::thread::spawn(move || serve(connection, &arrived));
            }
        });
        Ok(Self { url, arrivals: tokio::sync::Mutex::new(arrivals) })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// When the next delivery's first byte arrived.
    pub(crate) async fn next(&self) -> anyhow::Result<Instant> {
        self.arrivals.lock().await.recv().await.ok_or_else(|| anyhow::anyhow!("the receiver is gone"))
    }
}

/// Answers the requests of one connection, which carry a `content-length`.
fn serve(mut connection: std::net::TcpStream, arrived: &mpsc::UnboundedSender<Instant>) -> Option<()> {
    let mut held: Vec<u8> = Vec::new();
    loop {
        let mut first = None;
        let end = loop {
            let head = held.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(head) = head {
                let text = String::from_utf8_lossy(&held[..head]).to_ascii_lowercase();
                let length = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
                let end = head + 4 + length.trim().parse::<usize>().ok()?;
                if held.len() >= end {
                    break end;
                }
            }
            let mut piece = [0; 16 << 10];
            let read = connection.read(&mut piece).ok().filter(|read| *read > 0)?;
            first.get_or_insert_with(crate::now);
            held.extend_from_slice(&piece[..read]);
        };
        held.drain(..end);
        arrived.send(first?).ok()?;
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

/// The webhook channel with the receiver at this URL as `bench`.
pub(crate) fn channel(url: &str, directory: &Path) -> anyhow::Result<Arc<dyn Channel>> {
    let secret = directory.join("secret");
    std::fs::write(&secret, "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")?;
    let endpoint = Endpoint::new(url.to_owned(), SecretRef::File(secret));
    let webhook = Webhook::new(BTreeMap::from([("bench".to_owned(), endpoint)]), Arc::new(SystemClock))?;
    Ok(Arc::new(webhook))
}
