//! A stand-in for fal's queue, in a process of its own: for demos, for clients in other languages,
//! and for people who want to see what their plugin does when fal fails.
//!
//! It says where it is in one line of JSON, and serves until its standard input is closed.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;
use sublane_standins::fal::script::{Pace, Script};
use sublane_standins::fal::{Fal, system_clock};

/// A stand-in for fal's queue.
///
/// Says in one line of JSON where it is (`url`, `tls-host`, `authority`), and serves until its
/// standard input is closed. Below `/-/` is its control: `GET /-/jobs`, `GET /-/calls`,
/// `PUT /-/script`, `POST /-/jobs/ID/finish`, `…/release`, `…/forget`, `POST /-/keys/rotate`.
#[derive(Parser)]
#[command(name = "standin-fal")]
struct Args {
    /// Where it listens without TLS; with TLS it takes a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What `Authorization: Key …` must say.
    #[arg(long, value_name = "KEY", default_value = "stand-in")]
    key: String,
    /// Milliseconds that jobs wait in the queue.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    queued_ms: u64,
    /// Milliseconds that jobs are worked on.
    #[arg(long, value_name = "MS", default_value_t = 1_500)]
    running_ms: u64,
    /// All that it does, as JSON; instead of the two above.
    #[arg(long, value_name = "JSON", conflicts_with_all = ["queued_ms", "running_ms"])]
    script: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let Args { listen, key, queued_ms: queued, running_ms: running, script } = args;
    let script = match script {
        Some(text) => serde_json::from_str(&text).map_err(|error| format!("--script: {error}"))?,
        None => Script { pace: Pace::Millis { queued, running }, ..Script::default() },
    };
    let fal =
        Fal::listen(listen, &key, system_clock()).await.map_err(|error| format!("{listen}: {error}"))?;
    fal.script(script);
    let place = json!({ "url": fal.url(), "tls-host": fal.tls_host(), "authority": fal.authority() });
    writeln!(std::io::stdout().lock(), "{place}")?;
    let until_closed = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    tokio::task::spawn_blocking(until_closed).await??;
    Ok(())
}
