//! A server on loopback, on a thread of its own, that has jobs which become done, and is told of it.

use std::convert::Infallible;
use std::net::TcpListener as Listener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::serving;

/// The jobs, and who asked.
#[derive(Default)]
struct State {
    /// Requests for a job so far.
    asked: AtomicU64,
    done: Mutex<Done>,
}

#[derive(Default)]
struct Done {
    /// When the first becomes done, and how long it takes until all are.
    from: Option<(Instant, Duration)>,
    /// How many there are.
    jobs: u32,
    /// How long after it was done each was told of, by its number.
    told: std::collections::BTreeMap<u32, Duration>,
}

impl Done {
    /// When a job is done: in no order that whoever asks could follow.
    fn at(&self, job: u32) -> Option<Instant> {
        /// Golden section of 2^32.
        const STEP: u32 = 2_654_435_769;
        let (from, within) = self.from?;
        let share = f64::from(job.wrapping_mul(STEP)) / f64::from(u32::MAX);
        Some(from + within.mul_f64(share))
    }

    fn is(&self, job: u32, now: Instant) -> bool {
        self.at(job).is_some_and(|at| at <= now)
    }

    fn tell(&mut self, job: u32, now: Instant) {
        if let Some(at) = self.at(job) {
            // The first time counts: a receiver knows a delivery by its id.
            self.told.entry(job).or_insert(now.saturating_duration_since(at));
        }
    }
}

/// It answers until the process ends.
pub(crate) struct Jobs {
    /// Where it is, without a path.
    pub(crate) url: String,
    state: Arc<State>,
    /// What the scheduler says of its thread.
    thread: std::path::PathBuf,
}

impl Jobs {
    pub(crate) fn start(jobs: u32) -> anyhow::Result<Self> {
        let listener = Listener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State::default());
        state.done.lock().jobs = jobs;
        let (of_thread, runtime) =
            (state.clone(), tokio::runtime::Builder::new_current_thread().enable_io().build()?);
        let (says, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            // Whoever started it waits for this.
            let _ = says.send(std::fs::read_link("/proc/thread-self"));
            runtime.block_on(serve(listener, of_thread))
        });
        let thread = std::path::Path::new("/proc").join(said.recv()??).join("schedstat");
        Ok(Self { url, state, thread })
    }

    /// Requests for a job so far.
    pub(crate) fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// What its thread has used of a processor.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        serving::scheduled(&self.thread)
    }

    /// From now on they become done, all of them within this.
    pub(crate) fn finish_within(&self, within: Duration) {
        self.state.done.lock().from = Some((crate::now(), within));
    }

    /// Milliseconds from each job that is done to its being told, once all are.
    pub(crate) fn delays(&self) -> Option<Vec<f64>> {
        let done = self.state.done.lock();
        let all = done.told.len() == done.jobs as usize;
        all.then(|| done.told.values().map(|delay| delay.as_secs_f64() * 1e3).collect())
    }
}

async fn serve(listener: Listener, state: Arc<State>) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        while connections.try_join_next().is_some() {}
        let state = state.clone();
        let answer = move |request: Request<Incoming>| {
            let state = state.clone();
            async move {
                let answered = answer(&state, request).await.unwrap_or_else(|error| error.to_string());
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answered))))
            }
        };
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

/// `GET /jobs/7` says how job 7 stands; a POST is told of one that is done, by what that said.
async fn answer(state: &State, request: Request<Incoming>) -> anyhow::Result<String> {
    if request.method() == Method::POST {
        let body = request.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        // It stands there as JSON, or in a text of JSON.
        let number = text.split("job-").nth(1).context("no job is named")?;
        let number: String = number.chars().take_while(char::is_ascii_digit).collect();
        state.done.lock().tell(number.parse()?, crate::now());
        return Ok(String::new());
    }
    state.asked.fetch_add(1, Ordering::Relaxed);
    let job: u32 = request.uri().path().rsplit('/').next().context("a path")?.parse()?;
    let status = if state.done.lock().is(job, crate::now()) { "done" } else { "queued" };
    Ok(format!(r#"{{"status": "{status}", "name": "job-{job}"}}"#))
}
