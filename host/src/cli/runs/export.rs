//! `sublane runs export`: a run as one file, to be looked into elsewhere.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use sublane::config::Config;
use sublane::exported::Exported;
use sublane::open::VERSIONS;
use sublane::plugin::kept::Kept;
use sublane_core::{Run, RunId};

use crate::cli::output::say_json_text;
use crate::cli::reader::Reader;
use crate::cli::{complain, render, say, say_json};

pub(super) const EXAMPLES: &str = "\
Examples:
  sublane runs export film-Ab12cd
  sublane runs export film-Ab12cd --out film.json --force
  sublane runs export film-Ab12cd --generation 0
  sublane runs export film-Ab12cd --out - --without-component | gzip > film.json.gz

The file has the run, its journal, what it logged, the runs that it spawned, and the
versions of plugins that it needs: `sublane replay` executes it again on any machine.
It has no values of secrets and no contents of artifacts. It has everything else that
the run was told and has answered: give it to those who may see that.";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    /// The run: its id, its name, or a beginning that only it has
    #[arg(allow_hyphen_values = true)]
    run: String,
    /// The file; `-` is the standard output [default: the run's name and `.json`]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Leave the components out: whoever replays it names one
    #[arg(long)]
    without_component: bool,
    /// An earlier generation of it, as `sublane runs show` lists them [default: the last]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    generation: Option<u32>,
}

impl Export {
    pub(super) async fn answer(self, config: &Config, reader: &Reader, json: bool) -> anyhow::Result<()> {
        let newest = reader.run(&self.run).await?;
        let run = self.of_generation(reader, &newest).await?;
        let kept = (!self.without_component).then(|| Kept::read_only(&config.state.join(VERSIONS)));
        let exported = Exported::of(&*reader.store, &run, kept.as_ref()).await?;
        if !newest.is_ended() && newest.generation == run.generation {
            complain(&format!(
                "{} lives: its file may name URLs of hooks that still take calls, and it may go on while \
                 you read",
                run.spec.name
            ));
        }
        if kept.is_some() && exported.plugins.is_empty() {
            complain("the component that it ran on is not kept any more: whoever replays it must name one");
        }
        let text = exported.to_json();
        if self.out.as_deref() == Some(Path::new("-")) {
            say_json_text(&text);
            return Ok(());
        }
        let file = self
            .out
            .unwrap_or_else(|| PathBuf::from(format!("{}.json", file_stem(&run.spec.name, run.spec.id))));
        write(&file, text.as_bytes(), self.force)?;
        if json {
            say_json(&serde_json::json!({
                "file": file, "bytes": text.len(), "run": run.spec.id, "generation": run.generation,
                "entries": exported.entries.len(), "plugins": exported.plugins.len(),
            }));
        } else {
            let entries = render::count(exported.entries.len() as u64, "journal entry");
            say(&format!("{}: {entries}, {}\n", file.display(), render::bytes(text.len() as u64)));
        }
        Ok(())
    }
}

impl Export {
    /// The run as it was in the generation that is asked for.
    async fn of_generation(&self, reader: &Reader, run: &Run) -> anyhow::Result<Run> {
        let Some(number) = self.generation.filter(|number| *number != run.generation) else {
            return Ok(run.clone());
        };
        let over = reader.store.generations(run.spec.id).await?;
        match over.iter().find(|over| over.number == number) {
            Some(over) => Ok(run.at(over)),
            None => bail!("{} has no generation {number} that is kept", run.spec.name),
        }
    }
}

/// The name of the file: the run's own, which a guest may have chosen, where it is nothing but a name,
/// and else its id.
fn file_stem(name: &str, id: RunId) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    match name.chars().all(is_plain) && name.starts_with(char::is_alphanumeric) {
        true => name.to_owned(),
        false => id.to_string(),
    }
}

/// Writes a file that its owner alone reads, whole or not at all.
fn write(file: &Path, text: &[u8], force: bool) -> anyhow::Result<()> {
    if file.metadata().is_ok_and(|found| !found.is_file()) {
        bail!("{} is no file: name a new one, or one that may be replaced", file.display());
    }
    let exists = || anyhow!("{} is there already: name another file, or add --force", file.display());
    if !force && file.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = || format!("{} cannot be written", file.display());
    // A temporary file has mode 0600.
    let mut staging = tempfile::NamedTempFile::new_in(parent).with_context(failed)?;
    staging.as_file().set_permissions(std::fs::Permissions::from_mode(0o600)).with_context(failed)?;
    staging.write_all(text).with_context(failed)?;
    staging.as_file().sync_all().with_context(failed)?;
    if force {
        staging.persist(file).with_context(failed)?;
    } else {
        staging.persist_noclobber(file).map_err(|_| exists())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_no_other_directory() {
        let id = RunId([7; 16]);
        for name in ["film-Ab12cd", "Über uns 2.0"] {
            assert_eq!(file_stem(name, id), name);
        }
        for name in ["../film", "/tmp/film", "a/b", "..", ".bashrc", "-rf", "", "a\\b", "a\nb", "a\0"] {
            assert_eq!(file_stem(name, id), id.to_string(), "{name:?}");
        }
    }
}
