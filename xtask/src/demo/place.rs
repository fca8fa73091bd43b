//! Where a demo happens: a new directory with a configuration.
//!
//! Owns `target/demo`: the compile cache that demos share, and a directory for
//! each demo. Removes those of demos that have ended, so that the links of the
//! newest one still lead somewhere.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::fal::{self, Fal};
use crate::repo;

/// The environment variable that the receiver's secret is in.
pub(super) const SECRET: &str = "SUBLANE_DEMO_SECRET";

/// What the operator adds for a provider on this machine.
const FAL_CONFIG: &str = r#"
[secrets.fal]
env = "KEY"
loopback-without-tls = true

[http]
allow-private = ["127.0.0.1/32"]

[hooks]
listen = "127.0.0.1:0"
"#;

/// Held while a demo uses its directory.
const LOCK: &str = "in-use";

/// The directory of one demo.
pub(super) struct Place {
    dir: PathBuf,
    _lock: File,
}

impl Place {
    /// Makes a new directory. With `keep` it outlives the next demo.
    pub(super) fn new(keep: bool) -> Result<Self> {
        let demos = repo::target().join("demo");
        fs::create_dir_all(&demos).with_context(|| format!("cannot make {}", demos.display()))?;
        remove_ended(&demos);
        let kind = if keep { "kept" } else { "state" };
        let mut number = std::process::id();
        let dir = loop {
            let dir = demos.join(format!("{kind}-{number}"));
            match fs::create_dir(&dir) {
                Ok(()) => break dir,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    number = number.wrapping_add(1)
                }
                Err(error) => return Err(error).with_context(|| format!("cannot make {}", dir.display())),
            }
        };
        let lock = File::create(dir.join(LOCK))?;
        lock.lock()?;
        Ok(Self { dir, _lock: lock })
    }

    /// The state directory, which is not there yet.
    pub(super) fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Whether no demo has left compiled plugins.
    pub(super) fn is_first(&self) -> bool {
        !self.dir.with_file_name("cache").exists()
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("sublane.toml")
    }

    /// Writes the configuration, with films also for the receiver at `url`, and made by fal where
    /// that stands.
    pub(super) fn write_config(&self, url: &str, fal: Option<&Fal>) -> Result<()> {
        let component = |plugin: &str| repo::plugins().join(plugin).join(format!("{plugin}.wasm"));
        let concierge = toml_text(&component("concierge"));
        let video = toml_text(&match fal {
            Some(fal) => fal.copy_plugin(&self.dir)?,
            None => component("video"),
        });
        let provider = match fal {
            Some(_) => FAL_CONFIG.replace("KEY", fal::KEY),
            None => String::new(),
        };
        let text = format!(
            r#"# The configuration of the demo: a token that is empty and no listener, so
# that nobody can come in from outside. What plugins spawn does not ask.
state = "state"
cache = "../cache"

[gateway]
auth = "token"
token = ""

[plugins.concierge]
component = {concierge}
allow = {{ tools = [{{ plugin = "video", tools = ["generate_video"] }}] }}

[plugins.video]
component = {video}
allow = "asked"

[channels.console]
kind = "console"
agent = "concierge"

[channels.webhook]
kind = "webhook"

[channels.webhook.addresses.films]
url = "{url}"
secret = {{ env = "{SECRET}" }}
{provider}"#
        );
        let config = self.config();
        fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))
    }
}

/// A path as a TOML text.
fn toml_text(path: &Path) -> String {
    serde_json::Value::String(path.display().to_string()).to_string()
}

/// Removes the directories of demos that have ended. One that cannot be removed stays.
fn remove_ended(demos: &Path) {
    for entry in fs::read_dir(demos).into_iter().flatten().flatten() {
        let is_demo = entry.file_name().to_string_lossy().starts_with("state-");
        let has_ended = || match File::open(entry.path().join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            // Another demo is just making it, or removing it.
            Err(_) => false,
        };
        if is_demo && has_ended() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
