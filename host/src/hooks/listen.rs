//! Who comes in, and how many at once.
//!
//! Owns the connections. Each ends after a minute, or when the host stops: what was begun is answered.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::answer;
use crate::host::Inner;

/// Connections at once; further ones wait.
const MAX_CONNECTIONS: usize = 256;
/// How long the head of a request may take, and how large it may be.
const HEAD_TIME: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// How old a connection becomes, and how long its last answer may take.
const MAX_AGE: Duration = Duration::from_secs(60);
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// How long it is waited when the machine gives no connection.
const REST: Duration = Duration::from_millis(100);

/// Answers callers until the host stops.
pub(crate) async fn serve(host: Arc<Inner>, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let place = places.clone().acquire_owned();
        let (connection, place) = tokio::select! {
            accepted = async { (listener.accept().await, place.await) } => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        while connections.try_join_next().is_some() {}
        match (connection, place) {
            (Ok((stream, _)), Ok(place)) => {
                let (host, stopped) = (host.clone(), stopped.clone());
                connections.spawn(async move {
                    let _place = place;
                    converse(host, stream, stopped).await;
                });
            }
            (Err(error), _) => {
                tracing::warn!(target: "sublane::hooks", %error, "a caller could not come in");
                let _ = timeout(REST, stopped.wait_for(|stopped| *stopped)).await;
            }
            (_, Err(_)) => break,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(LAST_ANSWER, all).await;
}

async fn converse(host: Arc<Inner>, stream: TcpStream, mut stopped: watch::Receiver<bool>) {
    let service = service_fn(|request| {
        let host = host.clone();
        async move {
            let door = host.hooks.as_ref().expect("a host that listens has a door");
            Ok::<_, Infallible>(answer(&host, door, request).await)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .auto_date_header(false);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let over = async {
        let _ = timeout(MAX_AGE, stopped.wait_for(|stopped| *stopped)).await;
    };
    tokio::select! {
        _ = connection.as_mut() => return,
        () = over => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER, connection).await;
}
