//! A receiver of webhooks on loopback that remembers every body it was sent, and
//! can keep one answer to itself.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Ids and bodies, in the order of their arrival.
type Received = Arc<Mutex<Vec<(String, String)>>>;

/// It listens until it is dropped.
pub(super) struct Receiver {
    /// Where it is.
    pub(super) url: String,
    received: Received,
    withheld: watch::Receiver<bool>,
    _listening: JoinSet<()>,
}

impl Receiver {
    /// Listens on a free port. Who sends the request of this number, counted from 1, gets no answer.
    pub(super) async fn start(withhold: Option<usize>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let url = format!("http://{}/hook", listener.local_addr().expect("it is bound"));
        let received = Received::default();
        let (withholds, withheld) = watch::channel(false);
        let to = Desk { received: received.clone(), withhold, withholds: Arc::new(withholds) };
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            let mut receiving = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                receiving.spawn(receive(connection, to.clone()));
            }
        });
        Self { url, received, withheld, _listening: listening }
    }

    /// Ready when it keeps an answer to itself; never, when it is to answer all.
    pub(super) async fn withholds(&self) {
        let mut withheld = self.withheld.clone();
        if withheld.wait_for(|withheld| *withheld).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What it was sent so far.
    pub(super) fn received(&self) -> Vec<(String, String)> {
        self.received.lock().clone()
    }
}

/// Where requests are taken in.
#[derive(Clone)]
struct Desk {
    received: Received,
    withhold: Option<usize>,
    withholds: Arc<watch::Sender<bool>>,
}

/// One request. What does not arrive whole was not received.
async fn receive(mut connection: TcpStream, to: Desk) -> Option<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        (connection.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let header = |name: &str| {
        let named = text.lines().filter_map(|line| line.split_once(':'));
        let mut named = named.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim().to_owned())
    };
    let length: usize = header("content-length")?.parse().ok()?;
    header("webhook-signature")?;
    while bytes.len() < head + 4 + length {
        (connection.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let body = String::from_utf8(bytes[head + 4..].to_vec()).ok()?;
    let number = {
        let mut received = to.received.lock();
        received.push((header("webhook-id")?, body));
        received.len()
    };
    if to.withhold == Some(number) {
        to.withholds.send_replace(true);
        std::future::pending::<()>().await;
    }
    connection.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.ok()
}
