//! A guest's request through the host, beside the same client without a guest.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use sublane::host::Inner;
use sublane::http::url::Url;
use sublane::http::{Hop, Payload, deadline};
use sublane_store::Model;
use sublane_tests::{Setup, temporary};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::report::{Goal, Report, median};
use crate::timed::periods;

/// Requests of one round.
const REQUESTS: u32 = 2_000;
/// The first ones connect and warm up.
const WARM: usize = 50;

/// From one request of a guest to its next, as the server sees them: import, purse, exchange and
/// journal, on the in-memory model. Beside it the host's client, asked again and again, and as a floor
/// the same client asked from a guest's thread, which is not the one that the client is on.
pub(crate) async fn overhead(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let mut server = Server::start()?;
    let manifest = format!(
        "id = \"bench\"\nversion = \"0.1.0\"\n[asks]\nhttp = [{{ to = \"{}\", methods = [\"POST\"] }}]\n\
         requests = 100000\ncpu = \"60s\"\n",
        server.url
    );
    let (mut guest, mut bare, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let store = Arc::new(Model::default());
        let host = Setup::on(store, temporary()).plugin_with("bench", &manifest).start().await;
        let mut asked = JoinSet::new();
        asked.spawn(alone(host.inner().clone(), server.url.clone()));
        asked.join_next().await.expect("it was begun")??;
        bare.push(period(&mut server).await?);
        host.inner().threads.fast().spawn(across(host.inner().clone(), server.url.clone())).await??;
        floor.push(period(&mut server).await?);
        let errand = serde_json::json!({ "url": server.url, "times": REQUESTS });
        let run = host.begin("bench/ask", errand).await;
        crate::ended(host.inner(), run).await;
        guest.push(period(&mut server).await?);
        host.host.stop().await;
    }
    let (guest, bare) = (median(&mut guest) / 1_000.0, median(&mut bare) / 1_000.0);
    report.add("http.floor.p50", "us", median(&mut floor) / 1_000.0, bare, Goal::None);
    report.add("http.overhead.p50", "us", guest, bare, Goal::AtMost(1.3));
    Ok(())
}

/// The host's client, in a task of the runtime that it always runs on.
async fn alone(inner: Arc<Inner>, server: String) -> anyhow::Result<()> {
    let url = Url::parse(&server).map_err(anyhow::Error::msg)?;
    for n in 0..REQUESTS {
        let (reply, _) = inner.http.exchange(hop(&url, n), &inner.artifacts).await;
        anyhow::ensure!(reply.is_ok_and(|reply| reply.status == 200), "the server does not answer");
    }
    Ok(())
}

/// The same from another thread, as imports hand it their work, and nothing else of an import.
async fn across(inner: Arc<Inner>, server: String) -> anyhow::Result<()> {
    let url = Url::parse(&server).map_err(anyhow::Error::msg)?;
    for n in 0..REQUESTS {
        let (host, hop) = (inner.clone(), hop(&url, n));
        let exchange = async move { host.http.exchange(hop, &host.artifacts).await };
        let (reply, _) = inner.on_io(exchange).await.map_err(anyhow::Error::msg)?;
        anyhow::ensure!(reply.is_ok_and(|reply| reply.status == 200), "the server does not answer");
    }
    Ok(())
}

/// The request that the guest makes.
fn hop(url: &Url, n: u32) -> Hop {
    Hop {
        method: "POST".to_owned(),
        url: url.clone(),
        headers: vec![("idempotency-key".to_owned(), format!("{n:032}"))],
        payload: Payload::Bytes("x".into()),
        deadline: deadline(Duration::from_secs(30)),
        max_body: 1 << 20,
        max_wire: 1 << 20,
        max_file: None,
        follows: true,
    }
}

/// Nanoseconds from one request to the next, in the middle.
async fn period(server: &mut Server) -> anyhow::Result<f64> {
    let mut arrivals: Vec<Instant> = Vec::new();
    for _ in 0..REQUESTS {
        arrivals.push(server.arrived.recv().await.ok_or_else(|| anyhow::anyhow!("the server is gone"))?);
    }
    Ok(median(&mut periods(&arrivals, WARM, 1)))
}

/// An ordinary server: hyper's, on a thread of its own, with an answer of 1 KiB.
struct Server {
    url: String,
    /// When each request was there.
    arrived: mpsc::UnboundedReceiver<Instant>,
}

impl Server {
    fn start() -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}/", listener.local_addr()?);
        let (arrives, arrived) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        std::thread::spawn(move || runtime.block_on(serve(listener, arrives)));
        Ok(Self { url, arrived })
    }
}

async fn serve(
    listener: std::net::TcpListener,
    arrives: mpsc::UnboundedSender<Instant>,
) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let arrives = arrives.clone();
        let answer = move |request: Request<Incoming>| {
            let arrives = arrives.clone();
            async move {
                let whole = request.into_body().collect().await;
                // Nobody listens any more when the figure is there.
                let _ = arrives.send(crate::now());
                let body = Bytes::from(if whole.is_ok() { vec![b'x'; 1 << 10] } else { Vec::new() });
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        };
        let stream = TokioIo::new(stream);
        connections
            .spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service_fn(answer)));
    }
}
