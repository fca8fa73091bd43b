//! `sublane plugin grants`: both sides of a plugin's authority, and what they come to.
//!
//! Owns how the two are told beside each other. Loads no component: what a plugin asks for stands
//! in its manifest.

use std::path::PathBuf;

use anyhow::anyhow;
use serde::Serialize;
use sublane::config::PluginConfig;
use sublane::plugin::manifest::FILE_NAME;
use sublane::plugin::{Allow, Manifest};
use sublane::strict::nearest;
use sublane_core::Authority;

use crate::cli::{Exit, Failed, Global, Result, chain, render, say, say_json};

const ABOUT: &str = "\
Examples:
  sublane plugin grants
  sublane plugin grants video --json

What a plugin may do is what its manifest asks for and the configuration allows. What a
run may do is in `sublane runs show`; who refuses it something says `sublane why`.";

/// Say what plugins ask for, what they are allowed, and what they may do
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(in crate::cli) struct Grants {
    /// The plugin [default: all of them]
    plugin: Option<String>,
}

/// A plugin with both sides of its authority.
#[derive(Serialize)]
struct Told {
    id: String,
    component: PathBuf,
    /// Why the manifest cannot be read; then there is nothing else.
    problem: Option<String>,
    #[serde(flatten)]
    sides: Option<Sides>,
}

/// What is asked for, what is allowed, and what both come to, as values and in words.
#[derive(Serialize)]
pub(super) struct Sides {
    version: String,
    asks: Authority,
    /// Whether the operator allows whatever is asked for.
    allows_what_it_asks: bool,
    allows: Authority,
    may: Authority,
    words: Words,
}

#[derive(Serialize)]
struct Words {
    asks: Vec<String>,
    allows: Vec<String>,
    may: Vec<String>,
    /// What it asks for and does not get.
    may_not: Vec<String>,
}

impl Grants {
    pub(in crate::cli) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        if let Some(name) = &self.plugin
            && !config.plugins.contains_key(name)
        {
            let hint = nearest(name, config.plugins.keys().map(String::as_str));
            let file = config.file.display();
            return Err(Failed::wrong(anyhow!("{file} names no plugin `{name}`; {hint}")));
        }
        let meant = config.plugins.iter().filter(|(id, _)| self.plugin.as_ref().is_none_or(|one| one == *id));
        let told: Vec<Told> = meant.map(|(id, plugin)| Told::of(id, plugin)).collect();
        if global.json {
            say_json(&serde_json::json!({ "plugins": told }));
        } else if told.is_empty() {
            say("no plugins\n");
        } else {
            told.iter().for_each(|one| say(&one.text()));
        }
        Ok(if told.iter().all(|one| one.problem.is_none()) { Exit::Done } else { Exit::Wrong })
    }
}

impl Told {
    fn of(id: &str, plugin: &PluginConfig) -> Self {
        let file = plugin.component.with_file_name(FILE_NAME);
        let sides = match Manifest::load(&file) {
            Ok(manifest) if manifest.id != id => Err(format!(
                "{}: the manifest says `id = \"{}\"`, the configuration calls it `{id}`: use one name",
                file.display(),
                manifest.id
            )),
            Ok(manifest) => Ok(Sides::of(&manifest, &plugin.allow)),
            Err(error) => Err(chain(&error)),
        };
        let (sides, problem) = match sides {
            Ok(sides) => (Some(sides), None),
            Err(problem) => (None, Some(problem)),
        };
        Self { id: id.to_owned(), component: plugin.component.clone(), problem, sides }
    }

    fn text(&self) -> String {
        match (&self.sides, &self.problem) {
            (Some(sides), _) => format!("plugin {} {}\n{}", self.id, sides.version, sides.text()),
            (None, problem) => {
                let problem = problem.as_deref().unwrap_or_default();
                format!("plugin {}\n{}", self.id, field("problem", &[problem.to_owned()]))
            }
        }
    }
}

impl Sides {
    pub(super) fn of(manifest: &Manifest, allow: &Allow) -> Self {
        let allows = allow.for_manifest(manifest);
        let may = manifest.asks.meet(&allows);
        let words = Words {
            asks: render::authority(&manifest.asks),
            allows: match allow {
                Allow::Asked => vec!["do whatever it asks for, also after an update".to_owned()],
                Allow::These(these) => render::authority(these),
            },
            may: render::authority(&may),
            may_not: manifest.asks.not_allowed(&allows),
        };
        Self {
            version: manifest.version.clone(),
            asks: manifest.asks.clone(),
            allows_what_it_asks: *allow == Allow::Asked,
            allows,
            may,
            words,
        }
    }

    /// What it may do, in words.
    pub(super) fn may(&self) -> &[String] {
        &self.words.may
    }

    /// What it asks for and does not get, in words.
    pub(super) fn may_not(&self) -> &[String] {
        &self.words.may_not
    }

    fn text(&self) -> String {
        let Words { asks, allows, may, may_not } = &self.words;
        let mut text = field("asks to", asks);
        text.push_str(&field("allowed to", allows));
        text.push_str(&field("may", may));
        text.push_str(&field("may not", may_not));
        text
    }
}

/// Lines with a name before the first; nothing for no lines.
fn field(name: &str, lines: &[String]) -> String {
    let line =
        |(number, line): (usize, &String)| format!("  {:<12} {line}\n", if number == 0 { name } else { "" });
    lines.iter().enumerate().map(line).collect()
}
