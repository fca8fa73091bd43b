//! `sublane store`: copies the store, looks whether it is whole, removes what is old.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use sublane::artifacts::ArtifactDir;
use sublane::clock::{Clock as _, SystemClock};
use sublane::config::Config;
use sublane::engine::cache::Cache;
use sublane::intents::Intent;
use sublane::open::{ARTIFACTS, VERSIONS, store_file};
use sublane::plugin::Files;
use sublane::plugin::kept::Kept;
use sublane::retention::{self, Collected};
use sublane_store::{HostLock, LiveVersion, SqliteStore, Store as _, sqlite};
use tokio::runtime::Handle;

use super::{Exit, Global, Result, chain, complain, render, say, say_json, small_runtime};

const BACKUP: &str = "\
The copy is of one instant, also while a host serves, and is whole or not there. It
has the rows. The files of artifacts lie beside the store in `artifacts`, the versions of
plugins that runs are on in `components`; they are never changed once they are there, and
are copied by any tool, after this.

To restore: stop the host, put the copy in the place of `sublane.db` in the state
directory, remove `sublane.db-wal` and `sublane.db-shm`, put both directories back, start the host.";

const CHECK: &str = "\
Reads all of it, also while a host serves, and changes nothing. Exit code 0: it is
whole; 5: it is not, with a line for each thing that is wrong.";

const GC: &str = "\
A host does this by itself. While one serves, it is asked to do it now; else it is
done here. `[retention]` in the configuration says what is old.";

/// Copy the store, check it, remove what is old.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Copy the store into a file, also while a host serves
    #[command(after_help = BACKUP)]
    Backup(Backup),
    /// Look whether the store is whole
    #[command(after_help = CHECK)]
    Check,
    /// Remove what is old now
    #[command(after_help = GC)]
    Gc,
}

#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    /// The file
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

impl Command {
    pub(super) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        match self {
            Self::Backup(args) => args.answer(&config, global.json),
            Self::Check => check(&config, global.json),
            Self::Gc => gc(&config, global.json),
        }
    }
}

/// A line on a terminal that is written over. Nothing where nobody looks.
struct Progress {
    seen: bool,
    shown: bool,
}

impl Progress {
    fn new() -> Self {
        Self { seen: std::io::stderr().is_terminal(), shown: false }
    }

    fn show(&mut self, line: &str) {
        if self.seen {
            self.shown = true;
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Backup {
    fn answer(self, config: &Config, json: bool) -> Result {
        let file = self.file;
        if file.metadata().is_ok_and(|found| !found.is_file()) {
            return Err(anyhow!(
                "{} is no file: name a new one, or one that may be replaced",
                file.display()
            )
            .into());
        }
        if !self.force && file.symlink_metadata().is_ok() {
            return Err(
                anyhow!("{} is there already: name another file, or add --force", file.display()).into()
            );
        }
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
            return Err(
                anyhow!("there is no directory {}: make it, or name another", parent.display()).into()
            );
        }
        let store = store_file(&config.state);
        if is_of_the_store(&file, &store) {
            return Err(anyhow!("{} is the store itself: name another file", file.display()).into());
        }
        let mut progress = Progress::new();
        let bytes = sqlite::backup(&store, &file, &mut |done, all| {
            progress.show(&match done < all {
                true => format!("copied {} of 100 %", done * 100 / all.max(1)),
                false => "looking whether the copy is whole".to_owned(),
            });
        })?;
        drop(progress);
        if json {
            say_json(&serde_json::json!({ "file": file, "bytes": bytes }));
        } else {
            say(&format!("{}: {}\n", file.display(), render::bytes(bytes)));
        }
        Ok(Exit::Done)
    }
}

/// Whether a file is the store's, or its log, which lies beside it under its name.
fn is_of_the_store(file: &Path, store: &Path) -> bool {
    let place = |path: &Path| {
        let path = std::path::absolute(path).ok()?;
        Some((path.parent()?.canonicalize().ok()?, path.file_name()?.to_owned()))
    };
    let own = ["", "-wal", "-shm"].map(|end| {
        let mut name = store.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    });
    let is_linked =
        file.canonicalize().is_ok_and(|file| store.canonicalize().is_ok_and(|store| store == file));
    is_linked || place(file).is_some_and(|file| own.iter().any(|own| place(own).as_ref() == Some(&file)))
}

fn check(config: &Config, json: bool) -> Result {
    let mut progress = Progress::new();
    progress.show("reading all of it");
    let mut checked = sqlite::check(&store_file(&config.state), &config.state.join(ARTIFACTS))?;
    checked.violations.extend(unkept(config)?);
    drop(progress);
    let sqlite::Checked { runs, deliveries, entries, artifacts, violations } = &checked;
    if json {
        say_json(&serde_json::json!({
            "runs": runs,
            "deliveries": deliveries,
            "entries": entries,
            "artifacts": artifacts,
            "violations": violations,
        }));
    } else {
        for line in violations {
            say(&format!("{}\n", sublane::channel::scrub_line(line)));
        }
        let whole = match violations.len() {
            0 => "the store is whole".to_owned(),
            count => render::count(count as u64, "violation"),
        };
        say(&format!(
            "{whole}: {}, {}, {}, {}\n",
            render::count(*runs, "run"),
            render::count(*entries, "journal entry"),
            render::count(*deliveries, "delivery"),
            render::count(*artifacts, "file")
        ));
    }
    Ok(if violations.is_empty() { Exit::Done } else { Exit::Damaged })
}

/// Versions of plugins that runs live on and that nothing has: those runs fail when they go on.
fn unkept(config: &Config) -> anyhow::Result<Vec<String>> {
    let store = SqliteStore::open_read_only(&store_file(&config.state))?;
    let kept = Kept::read_only(&config.state.join(VERSIONS));
    let live = small_runtime()?.block_on(store.live_versions())?;
    // The next host keeps what is configured.
    let is_configured = |plugin: &str, digest: &str| {
        let configured = config.plugins.get(plugin).and_then(|plugin| Files::read(&plugin.component).ok());
        configured.is_some_and(|files| files.digest() == digest)
    };
    let told = live.into_iter().filter_map(|LiveVersion { plugin, digest, runs }| {
        let error = kept.read(&digest).err().filter(|_| !is_configured(&plugin, &digest))?;
        let runs = render::count(runs, "run");
        Some(format!(
            "{runs} of plugin {plugin} on version {digest}, which `{VERSIONS}` does not have: {error}"
        ))
    });
    Ok(told.collect())
}

fn gc(config: &Config, json: bool) -> Result {
    if let Some(holder) = HostLock::holder(&config.state)? {
        let body = serde_json::to_string(&Intent::CollectGarbage).expect("it has no keys");
        let now = SystemClock.now();
        sqlite::ask(&store_file(&config.state), &body, now).context("the host was not asked")?;
        if json {
            say_json(&serde_json::json!({ "asked": holder }));
        } else {
            say(&format!("the host ({holder}) removes what is old now; its log says what\n"));
        }
        return Ok(Exit::Done);
    }
    let store = store_file(&config.state);
    if !store.exists() {
        return Err(anyhow!("there is no store in {}", config.state.display()).into());
    }
    let _lock = HostLock::acquire(&config.state)?;
    let (collected, code) = small_runtime()?.block_on(collect(config))?;
    let Collected { runs, rows, files, bytes, versions, version_bytes } = collected;
    if json {
        say_json(&serde_json::json!({
            "runs": runs,
            "rows": rows,
            "files": files,
            "bytes": bytes,
            "versions": versions,
            "version_bytes": version_bytes,
            "code": code,
        }));
    } else {
        let (bytes, version_bytes) = (render::bytes(bytes), render::bytes(version_bytes));
        say(&format!(
            "removed {runs} runs ({rows} rows), {files} files ({bytes}), {versions} versions of plugins \
             ({version_bytes}), {code} files of the cache\n"
        ));
    }
    Ok(Exit::Done)
}

/// Removes what is old where no host runs; what of the cache went stands beside it.
async fn collect(config: &Config) -> anyhow::Result<(Collected, u64)> {
    let store = SqliteStore::open(&store_file(&config.state))?;
    let artifacts = ArtifactDir::open(&config.state.join(ARTIFACTS), Handle::current())?;
    artifacts.clear_staging()?;
    let mut progress = Progress::new();
    let mut tell = |collected: &Collected| progress.show(&format!("removed {} runs", collected.runs));
    let lines = retention::logs(&store, &config.retention, &SystemClock, &mut None).await?;
    let mut all = retention::runs(&store, &config.retention, &SystemClock, &mut tell).await?;
    let files = retention::files(&store, &artifacts, &config.retention, SystemClock.now()).await?;
    (all.files, all.bytes, all.rows) = (files.files, files.bytes, all.rows + lines);
    // The plugins that the last host had are those that the next one replaces.
    let current: Vec<String> = store.plugins().await?.into_iter().map(|plugin| plugin.digest).collect();
    let kept = Kept::open(&config.state.join(VERSIONS))?;
    let versions = retention::versions(&store, &kept, &current, &config.retention, SystemClock.now()).await?;
    (all.versions, all.version_bytes) = (versions.versions, versions.version_bytes);
    drop(progress);
    Ok((all, remove_code(config)))
}

/// Removes what is old of the cache, if there is one. What cannot be removed is somebody else's matter,
/// and keeps nothing else from going.
fn remove_code(config: &Config) -> u64 {
    let removed = match config.cache.exists() {
        true => Cache::open(&config.cache)
            .and_then(|cache| cache.remove_old(SystemClock.now(), config.retention.cache, &|_| false)),
        false => Ok(0),
    };
    removed.unwrap_or_else(|error| {
        complain(&format!("warning: {}", chain(&error)));
        0
    })
}
