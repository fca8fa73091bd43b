//! A receiver on loopback that does what a script says, for the tests.

use std::collections::VecDeque;

use hyper::HeaderMap;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// What the receiver does with a request, once it has read it whole.
pub(super) enum Act {
    /// Answers with these bytes and listens for the next request.
    Answer(String),
    /// Answers with these bytes and closes.
    Last(String),
    /// Answers 200 and keeps sending a body until nobody reads it.
    Flood,
    /// Never answers; from now on time flies.
    Silence,
    /// Reads one byte of the request and closes.
    HangUp,
}

/// A request as the receiver saw it.
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) connection: usize,
}

/// A receiver on loopback that follows a script, over however many connections.
pub(super) struct Peer {
    pub(super) port: u16,
    pub(super) seen: mpsc::UnboundedReceiver<Seen>,
    _tasks: JoinSet<()>,
}

impl Peer {
    pub(super) async fn start(acts: Vec<Act>) -> Self {
        Self::listen(acts, None).await
    }

    pub(super) async fn listen(acts: Vec<Act>, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let port = listener.local_addr().expect("is bound").port();
        let (tell, seen) = mpsc::unbounded_channel();
        let mut acts = VecDeque::from(acts);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            for connection in 1.. {
                let (tcp, _) = listener.accept().await.expect("accepts");
                match &tls {
                    None => follow(tcp, &mut acts, connection, &tell).await,
                    Some(tls) => {
                        let Ok(stream) = tls.accept(tcp).await else { continue };
                        follow(stream, &mut acts, connection, &tell).await;
                    }
                };
            }
        });
        Self { port, seen, _tasks: tasks }
    }

    pub(super) async fn seen(&mut self) -> Seen {
        self.seen.recv().await.expect("the receiver lives")
    }
}

/// One connection after the other: a script has one order.
async fn follow<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    acts: &mut VecDeque<Act>,
    connection: usize,
    tell: &mpsc::UnboundedSender<Seen>,
) {
    loop {
        if matches!(acts.front(), Some(Act::HangUp)) {
            let _ = stream.read_u8().await;
            acts.pop_front();
            return;
        }
        let Some(mut seen) = request(&mut stream).await else { return };
        seen.connection = connection;
        let _ = tell.send(seen);
        match acts.pop_front().expect("the script goes on") {
            Act::Answer(answer) => stream.write_all(answer.as_bytes()).await.expect("is read"),
            Act::Last(answer) => {
                stream.write_all(answer.as_bytes()).await.expect("is read");
                let _ = stream.shutdown().await;
                return;
            }
            Act::Flood => {
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
                stream.write_all(head).await.expect("is read");
                while stream.write_all(&[b'x'; 16_384]).await.is_ok() {}
                return;
            }
            Act::Silence => {
                tokio::time::pause();
                let _ = stream.read_u8().await;
                return;
            }
            Act::HangUp => unreachable!("is done before the request is read"),
        }
    }
}

async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("a head is ASCII");
    let mut headers = HeaderMap::new();
    for line in head.lines().skip(1) {
        if let Some((name, value)) = line.split_once(": ") {
            let name = hyper::header::HeaderName::try_from(name).expect("a name");
            headers.append(name, value.parse().expect("a value"));
        }
    }
    let length = headers["content-length"].to_str().expect("a number").parse().expect("a number");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("the body is whole");
    Some(Seen { head, headers, body, connection: 0 })
}

pub(super) fn answer(status: &str, headers: &str, body: &str) -> Act {
    Act::Answer(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))
}
