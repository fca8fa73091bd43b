//! A server on loopback that answers what its test says, byte for byte, and remembers what it was asked.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as the server saw it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// In upper case.
    pub method: String,
    /// The path with the query.
    pub target: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

impl Asked {
    /// The value of a header by its name in small letters; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What the server does with a request.
pub enum Answer {
    /// Status line, headers (`"name: value"` each) and a body, with its length.
    With(&'static str, Vec<String>, Vec<u8>),
    /// These bytes, and nothing after them until the other side leaves.
    Raw(Vec<u8>),
    /// 200 and a body that does not end.
    Endless,
    /// Nothing at all.
    Silence,
    /// Closes the connection.
    Close,
}

impl Answer {
    /// 200 with this body.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::With("200 OK", Vec::new(), body.into())
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: &'static str, to: &str) -> Self {
        Self::With(status, vec![format!("location: {to}")], Vec::new())
    }
}

/// It listens until it is dropped.
pub struct Web {
    /// Its port on 127.0.0.1.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    _listening: JoinSet<()>,
}

impl Web {
    /// Listens on a free port.
    ///
    /// # Panics
    /// When the machine has no loopback.
    pub async fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let port = listener.local_addr().expect("it is bound").port();
        let (asked, answer) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(answer));
        let (seen, mut listening) = (asked.clone(), JoinSet::new());
        listening.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let Ok((connection, _)) = listener.accept().await else { return };
                let (seen, answer) = (seen.clone(), answer.clone());
                connections.spawn(async move { serve(connection, number, &seen, &*answer).await });
            }
        });
        Self { port, asked, _listening: listening }
    }

    /// Where it is, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it was asked so far, in the order of arrival.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }
}

async fn serve(
    mut connection: TcpStream,
    number: usize,
    seen: &Mutex<Vec<Asked>>,
    answer: &(impl Fn(&Asked) -> Answer + Sync),
) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let asked = read(&mut connection, &mut bytes, number).await?;
        seen.lock().push(asked.clone());
        match answer(&asked) {
            Answer::With(status, headers, body) => {
                let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
                connection.write_all(head.as_bytes()).await.ok()?;
                connection.write_all(&body).await.ok()?;
            }
            Answer::Raw(raw) => {
                connection.write_all(&raw).await.ok()?;
                return until_left(&mut connection).await;
            }
            Answer::Endless => {
                connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
                loop {
                    connection.write_all(&[b'x'; 16_384]).await.ok()?;
                }
            }
            Answer::Silence => return until_left(&mut connection).await,
            Answer::Close => return None,
        }
    }
}

/// Its end is the other side's.
async fn until_left(connection: &mut TcpStream) -> Option<()> {
    let mut rest = [0; 1_024];
    while connection.read(&mut rest).await.ok()? > 0 {}
    None
}

async fn read(connection: &mut TcpStream, bytes: &mut Vec<u8>, number: usize) -> Option<Asked> {
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        (connection.read_buf(bytes).await.ok()? > 0).then_some(())?;
    };
    let text = String::from_utf8(bytes[..head].to_vec()).ok()?;
    let mut line = text.lines().next()?.split(' ').map(str::to_owned);
    let named = text.lines().skip(1).filter_map(|line| line.split_once(':'));
    let headers = named.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let (method, target) = (line.next()?, line.next()?);
    let mut asked = Asked { method, target, headers, body: Vec::new(), connection: number };
    let whole = head + 4 + asked.header("content-length").parse::<usize>().unwrap_or(0);
    while bytes.len() < whole {
        (connection.read_buf(bytes).await.ok()? > 0).then_some(())?;
    }
    asked.body = bytes[head + 4..whole].to_vec();
    bytes.drain(..whole);
    Some(asked)
}
