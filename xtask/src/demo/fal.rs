//! `--provider fal`: the film is made by the stand-in for fal's queue, as fal would make it.
//!
//! Owns the stand-in's process, and what the plugin and its operator have to know of it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::built;
use crate::repo;

/// The environment variable that the key is in.
pub(super) const KEY: &str = "SUBLANE_DEMO_FAL_KEY";
/// The key.
pub(super) const SECRET: &str = "demo:key-of-the-stand-in";
/// The model that the film is ordered from.
const MODEL: &str = "fal-ai/veo3/fast";

/// The stand-in. Dropped, it ends.
pub(super) struct Fal {
    process: Child,
    url: String,
}

impl Fal {
    /// Builds and starts it.
    pub(super) fn start(quiet: bool) -> Result<Self> {
        let program = built("standin-fal", quiet)?;
        let mut command = Command::new(&program);
        command.args(["--key", SECRET]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let mut line = String::new();
        let said = process.stdout.take().context("its output is ours")?;
        BufReader::new(said).read_line(&mut line)?;
        let place: Value = serde_json::from_str(&line).context("the stand-in does not say where it is")?;
        let url = place["url"].as_str().context("the stand-in does not say where it is")?.to_owned();
        Ok(Self { process, url })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Whom the operator chooses: the task of `video/configure`.
    pub(super) fn choice(&self) -> String {
        let keys = format!("{}/.well-known/jwks.json", self.url);
        json!({ "fal": { "model": MODEL, "queue": self.url, "media": self.url, "keys": keys } }).to_string()
    }

    /// Copies the plugin into this directory, with the stand-in where its manifest says fal. Gives the
    /// component.
    pub(super) fn copy_plugin(&self, into: &Path) -> Result<PathBuf> {
        let from = repo::plugins().join("video");
        let directory = into.join("video");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let component = directory.join("video.wasm");
        fs::copy(from.join("video.wasm"), &component).context("cannot copy the plugin")?;
        let manifest = fs::read_to_string(from.join("plugin.toml")).context("cannot read its manifest")?;
        let mut named = manifest.clone();
        for place in ["https://queue.fal.run", "https://*.fal.media", "https://rest.alpha.fal.ai"] {
            named = named.replace(place, &self.url);
        }
        ensure!(named != manifest, "the manifest of the plugin does not name fal");
        fs::write(directory.join("plugin.toml"), named).context("cannot write its manifest")?;
        Ok(component)
    }

    /// How many jobs were paid.
    pub(super) fn paid(&self) -> Result<usize> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).context("the stand-in does not answer")?;
        write!(stream, "GET /-/jobs HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the stand-in does not answer")?;
        let jobs: Vec<Value> = serde_json::from_str(body).context("the stand-in does not tell its jobs")?;
        Ok(jobs.len())
    }
}

impl Drop for Fal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
