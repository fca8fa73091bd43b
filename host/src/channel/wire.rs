//! Connections to one HTTP receiver, and whether a byte of a request has left.
//!
//! Owns the receiver's idle connections. A connection is driven by whoever uses
//! it, in the same task: nothing runs while nothing is sent, and a request is
//! on the socket without a hand-over. Never repeats a request of which a byte
//! has left.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::chain;

/// Idle connections kept for one receiver.
const MAX_IDLE: usize = 4;
/// How long a connection is kept idle.
const MAX_IDLE_TIME: Duration = Duration::from_secs(30);
/// Bytes of an answer's body that are read; a longer one costs its connection.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of an answer's head.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Bytes of an answer's body that are kept, to tell people what it said.
const EXCERPT_BYTES: usize = 200;

/// Where a receiver is, and the connections to it.
pub(super) struct Receiver {
    pub(super) host: String,
    pub(super) port: u16,
    /// `None`: without TLS.
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Whether an address that is not loopback is refused, whatever the name server says.
    pub(super) loopback_only: bool,
    /// For name, connection and TLS together.
    pub(super) connect_timeout: Duration,
    pub(super) idle: Mutex<Vec<Link>>,
}

/// What a receiver answered. Complete as to its head; the body may be cut.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) excerpt: String,
}

/// There was no answer.
pub(super) struct NoAnswer {
    pub(super) note: String,
    /// Whether a byte of the request had left.
    pub(super) left: bool,
}

impl Receiver {
    /// Sends a request and reads the answer, until `deadline`.
    pub(super) async fn exchange(
        &self,
        request: impl Fn() -> Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Answer, NoAnswer> {
        loop {
            let idle = self.checkout();
            let reused = idle.is_some();
            let mut link = match idle {
                Some(link) => link,
                None => self.connect(deadline).await?,
            };
            match link.exchange(request(), deadline).await {
                Ok(answer) => {
                    self.checkin(link);
                    return Ok(answer);
                }
                // The receiver had closed it before we wrote: nothing was attempted yet.
                Err(failed) if reused && !failed.left => {}
                Err(failed) => return Err(failed),
            }
        }
    }

    fn checkout(&self) -> Option<Link> {
        let mut idle = self.idle.lock();
        loop {
            let mut link = idle.pop()?;
            if link.since.elapsed() < MAX_IDLE_TIME && link.is_alive() {
                return Some(link);
            }
        }
    }

    fn checkin(&self, mut link: Link) {
        link.since = Instant::now();
        let mut idle = self.idle.lock();
        if link.connection.is_some() && idle.len() < MAX_IDLE {
            idle.push(link);
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Link, NoAnswer> {
        let failed = |note: String| NoAnswer { note, left: false };
        let by = deadline.min(Instant::now() + self.connect_timeout);
        match timeout_at(by, self.open()).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(error)) => Err(failed(format!("cannot connect to {}: {error}", self.host))),
            Err(_) => Err(failed(format!("{} does not accept a connection in time", self.host))),
        }
    }

    async fn open(&self) -> io::Result<Link> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address that may be used");
        for address in lookup_host((self.host.as_str(), self.port)).await? {
            if self.loopback_only && !address.ip().to_canonical().is_loopback() {
                continue;
            }
            match self.open_at(address).await {
                Ok(link) => return Ok(link),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn open_at(&self, address: SocketAddr) -> io::Result<Link> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some((connector, name)) => Box::new(connector.connect(name.clone(), tcp).await?),
            None => Box::new(tcp),
        };
        let left = Arc::new(AtomicBool::new(false));
        let wire = TokioIo::new(Wire { stream, left: left.clone() });
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(wire)
            .await
            .map_err(io::Error::other)?;
        Ok(Link { sender, connection: Some(connection), left, since: Instant::now() })
    }
}

/// A connection with nobody behind it: it moves while it is driven.
pub(super) struct Link {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    connection: Option<Connection>,
    /// Whether a byte was written since the request in hand was begun.
    left: Arc<AtomicBool>,
    /// Idle since then.
    since: Instant,
}

impl Link {
    /// Looks whether the other side has closed it.
    fn is_alive(&mut self) -> bool {
        self.connection.as_mut().is_some_and(|connection| connection.now_or_never().is_none())
            && self.sender.is_ready()
    }

    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Answer, NoAnswer> {
        self.left.store(false, Ordering::Relaxed);
        let response = self.sender.send_request(request);
        let response = match timeout_at(deadline, drive(&mut self.connection, response)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.no_answer(explain(&error))),
            Err(_) => return Err(self.no_answer("no answer in time".to_owned())),
        };
        let (head, body) = response.into_parts();
        let (excerpt, whole) = self.read(body, deadline).await;
        if !whole {
            self.connection = None;
        }
        Ok(Answer { status: head.status, headers: head.headers, excerpt })
    }

    /// Reads the body within the bounds, and says whether that was all of it. The head has
    /// decided already: a body that breaks off or takes too long costs the connection only.
    async fn read(&mut self, mut body: Incoming, deadline: Instant) -> (String, bool) {
        let (mut excerpt, mut size) = (Vec::new(), 0);
        let sender = &mut self.sender;
        let work = async {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                let data = frame.data_ref().map_or(&[][..], |data| data);
                size += data.len();
                excerpt.extend_from_slice(&data[..data.len().min(EXCERPT_BYTES - excerpt.len())]);
                if size > MAX_ANSWER_BYTES {
                    return false;
                }
            }
            sender.ready().await.is_ok()
        };
        let whole = timeout_at(deadline, drive(&mut self.connection, work)).await.unwrap_or(false);
        (String::from_utf8_lossy(&excerpt).into_owned(), whole)
    }

    fn no_answer(&self, note: String) -> NoAnswer {
        NoAnswer { note, left: self.left.load(Ordering::Relaxed) }
    }
}

type Connection = http1::Connection<TokioIo<Wire>, Full<Bytes>>;

/// Moves the connection while `work` waits for something on it.
async fn drive<T>(connection: &mut Option<Connection>, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|cx| {
        if let Some(open) = connection
            && Pin::new(open).poll(cx).is_ready()
        {
            // Dropped, it tells whoever still waits on it that nothing comes any more.
            *connection = None;
        }
        work.as_mut().poll(cx)
    })
    .await
}

/// What happened to a request that got no answer, in words.
fn explain(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() {
        "the connection was closed without an answer".to_owned()
    } else {
        chain(error)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A stream that remembers whether something was written. With TLS that is the
/// request's text, not the handshake's.
struct Wire {
    stream: Box<dyn Stream>,
    left: Arc<AtomicBool>,
}

impl Wire {
    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(1..)) = written {
            self.left.store(true, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Whether a host's name stands for this machine, whatever the network says.
pub(super) fn is_loopback_host(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}
