//! A receiver of webhooks on loopback that does what its test says, and
//! remembers every request that reached it whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::PATIENCE;

/// A request as the receiver saw it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Request {
    /// The value of a header by its name in small letters; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The receiver's idempotency key.
    #[must_use]
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }
}

/// What a receiver does with a request that it has read.
#[derive(Clone, Debug)]
pub enum Act {
    /// Answers with this status (`"200 OK"`) and these headers (`"name: value\r\n"` each).
    Answer(&'static str, String),
    /// Closes the connection without an answer.
    Close,
    /// Answers 200 with so many bytes, until nobody reads them any more.
    Flood(usize),
    /// Says nothing, as long as the connection lives.
    Silence,
}

impl Act {
    /// Answers with a status and nothing else.
    #[must_use]
    pub fn status(status: &'static str) -> Self {
        Self::Answer(status, String::new())
    }
}

/// A port with nobody behind it: whoever connects is refused, and nobody else can take it.
pub struct Closed {
    socket: TcpSocket,
    address: SocketAddr,
}

impl Closed {
    /// Any free port.
    ///
    /// # Panics
    /// When the machine has no loopback.
    #[must_use]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("loopback is there");
        let address = socket.local_addr().expect("it is bound");
        Self { socket, address }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// From now on somebody listens. `act` decides what happens to each request.
    ///
    /// # Panics
    /// When the machine refuses it.
    #[must_use]
    pub fn open(self, act: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Receiver {
        let url = self.url();
        let listener = self.socket.listen(128).expect("it is bound");
        let (requests, came) = (Mutex::default(), watch::channel(0).0);
        let receiving = Arc::new(Receiving { requests, came, act: Box::new(act) });
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, receiving.clone()));
        Receiver { url, receiving, _listening: listening }
    }
}

impl Default for Closed {
    fn default() -> Self {
        Self::new()
    }
}

/// It listens until it is dropped.
pub struct Receiver {
    /// Where it is.
    pub url: String,
    receiving: Arc<Receiving>,
    _listening: JoinSet<()>,
}

struct Receiving {
    requests: Mutex<Vec<Request>>,
    came: watch::Sender<usize>,
    act: Box<dyn Fn(&Request) -> Act + Send + Sync>,
}

impl Receiver {
    /// Listens on a free port.
    #[must_use]
    pub fn start(act: impl Fn(&Request) -> Act + Send + Sync + 'static) -> Self {
        Closed::new().open(act)
    }

    /// Does the one after the other, and then the last for ever.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn script(acts: Vec<Act>) -> Self {
        assert!(!acts.is_empty(), "a script has an act");
        let done = Mutex::new(0);
        Self::start(move |_| {
            let mut done = done.lock();
            *done += 1;
            acts[(*done - 1).min(acts.len() - 1)].clone()
        })
    }

    /// What it was sent so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.receiving.requests.lock().clone()
    }

    /// Waits until it was sent so many requests, and gives them.
    ///
    /// # Panics
    /// When it does not happen in time.
    pub async fn received(&self, count: usize) -> Vec<Request> {
        let mut came = self.receiving.came.subscribe();
        let there = came.wait_for(|so_far| *so_far >= count);
        let is_there = timeout(PATIENCE, there).await.is_ok_and(|there| there.is_ok());
        assert!(is_there, "it was sent {} requests, not {count}", self.requests().len());
        self.requests()
    }
}

async fn listen(listener: TcpListener, receiving: Arc<Receiving>) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        connections.spawn(serve(connection, receiving.clone()));
    }
}

/// One request after the other. What does not arrive whole was not received.
async fn serve(mut connection: TcpStream, receiving: Arc<Receiving>) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let request = read(&mut connection, &mut bytes).await?;
        let act = (receiving.act)(&request);
        receiving.requests.lock().push(request);
        receiving.came.send_modify(|count| *count += 1);
        match act {
            Act::Answer(status, headers) => {
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n{headers}\r\n");
                connection.write_all(answer.as_bytes()).await.ok()?;
            }
            Act::Close => return None,
            Act::Flood(size) => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
                connection.write_all(head.as_bytes()).await.ok()?;
                let piece = [b'x'; 16_384];
                for _ in 0..size.div_ceil(piece.len()) {
                    connection.write_all(&piece).await.ok()?;
                }
            }
            Act::Silence => {
                // Its end is the sender's.
                let _ = timeout(Duration::from_secs(3_600), connection.read_u8()).await;
                return None;
            }
        }
    }
}

async fn read(connection: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Request> {
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        (connection.read_buf(bytes).await.ok()? > 0).then_some(())?;
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let named = text.lines().filter_map(|line| line.split_once(':'));
    let headers = named.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut request = Request { headers, body: String::new() };
    let whole = head + 4 + request.header("content-length").parse::<usize>().ok()?;
    while bytes.len() < whole {
        (connection.read_buf(bytes).await.ok()? > 0).then_some(())?;
    }
    request.body = String::from_utf8(bytes[head + 4..whole].to_vec()).ok()?;
    bytes.drain(..whole);
    Some(request)
}
