//! A receiver of signed webhooks on loopback, as somebody else would write one.
//!
//! Owns a listener, a secret and what arrived. Signatures are verified by the
//! crate of the Standard Webhooks project, not by the host's code.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use standardwebhooks::Webhook;

/// Bytes of a body, at most.
const MAX_BODY: usize = 1 << 20;
/// Lines of a request's head, at most.
const MAX_HEAD_LINES: usize = 100;
/// How long a request may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The receiver; its thread lives as long as the process.
pub(super) struct Receiver {
    url: String,
    secret: String,
    arrived: mpsc::Receiver<Received>,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// The delivery, as `webhook-id` names it.
    pub(super) id: String,
    /// Why the signature is wrong, or nothing.
    pub(super) problem: Option<String>,
    pub(super) body: Value,
}

impl Receiver {
    /// Listens on a free port of this machine.
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot listen on loopback")?;
        let url = format!("http://{}/films", listener.local_addr()?);
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let secret = format!("whsec_{}", STANDARD.encode(key));
        let webhook = Arc::new(Webhook::new(&secret)?);
        let (sender, arrived) = mpsc::channel();
        std::thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            for stream in listener.incoming().flatten() {
                let (webhook, sender) = (webhook.clone(), sender.clone());
                std::thread::spawn(move || {
                    if let Err(error) = serve(stream, &webhook, &sender) {
                        eprintln!("the receiver could not read a request: {error:#}");
                    }
                });
            }
        })?;
        Ok(Self { url, secret, arrived })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    /// What has arrived. Each was noted before it was answered.
    pub(super) fn received(&self) -> Vec<Received> {
        self.arrived.try_iter().collect()
    }
}

impl Received {
    /// What people are told of it.
    pub(super) fn line(&self) -> String {
        let signature = match &self.problem {
            None => "valid".to_owned(),
            Some(problem) => format!("NOT valid ({problem})"),
        };
        let film = &self.body["data"]["artifacts"][0];
        let film = match (film["name"].as_str(), film["size"].as_u64()) {
            (Some(name), Some(size)) => format!("{name} ({size} bytes)"),
            _ => "none".to_owned(),
        };
        format!("webhook received: signature {signature}, id {}, film {film}", self.id)
    }
}

/// Reads one request, notes it, answers it.
fn serve(stream: TcpStream, webhook: &Webhook, arrived: &Sender<Received>) -> Result<()> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        // Opened and not used.
        return Ok(());
    }
    ensure!(line.starts_with("POST /films "), "it is no delivery: {}", line.trim_end());
    let headers = headers(&mut reader)?;
    let length: usize = headers.get("content-length").context("no content-length")?.to_str()?.parse()?;
    ensure!(length <= MAX_BODY, "{length} bytes are too many");
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let problem = webhook.verify(&body, &headers).err().map(|error| error.to_string());
    let status = if problem.is_none() { "204 No Content" } else { "401 Unauthorized" };
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let _ = arrived.send(Received { id, problem, body: serde_json::from_slice(&body).unwrap_or_default() });
    (&stream).write_all(
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes(),
    )?;
    Ok(())
}

fn headers(reader: &mut BufReader<TcpStream>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for _ in 0..MAX_HEAD_LINES {
        let mut line = String::new();
        reader.by_ref().take(8 << 10).read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(headers) };
        headers.append(name.parse::<HeaderName>()?, HeaderValue::from_str(value.trim())?);
    }
    bail!("its head has more than {MAX_HEAD_LINES} lines")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a body with a signature made from `secret`, and gives the status.
    fn post(receiver: &Receiver, secret: &str) -> String {
        #[expect(clippy::disallowed_methods, reason = "the verifier looks at the machine's clock")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let (now, body) = (now.as_secs(), r#"{"data":{"artifacts":[{"name":"a.mp4","size":3}]}}"#);
        let signature = Webhook::new(secret)
            .and_then(|webhook| webhook.sign("msg_1", i64::try_from(now).expect("it fits"), body.as_bytes()))
            .expect("it signs");
        let address = receiver.url().trim_start_matches("http://").trim_end_matches("/films");
        let mut stream = TcpStream::connect(address).expect("it listens");
        let length = body.len();
        let request = format!(
            "POST /films HTTP/1.1\r\nhost: x\r\nwebhook-id: msg_1\r\nwebhook-timestamp: {now}\r\n\
             webhook-signature: {signature}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer.lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn only_the_right_signature_is_valid() {
        let receiver = Receiver::start().expect("loopback");
        assert_eq!(post(&receiver, receiver.secret()), "HTTP/1.1 204 No Content");
        assert_eq!(post(&receiver, "whsec_AAAA"), "HTTP/1.1 401 Unauthorized");
        let lines: Vec<String> = receiver.received().iter().map(Received::line).collect();
        assert_eq!(
            lines,
            [
                "webhook received: signature valid, id msg_1, film a.mp4 (3 bytes)",
                "webhook received: signature NOT valid (signature invalid), id msg_1, film a.mp4 (3 bytes)",
            ]
        );
    }
}
