//! `sublane plugin revoke`: takes what a plugin is allowed out of the configuration, and has the
//! running host hold its runs to what is left.

use anyhow::anyhow;
use clap::builder::PossibleValuesParser;
use sublane::config::Config;
use sublane::plugin::Manifest;
use sublane::plugin::manifest::FILE_NAME;
use sublane::strict::nearest;

use super::grants::Sides;
use super::reload::{line, reload, serves};
use super::{allow, edit};
use crate::cli::{Exit, Failed, Global, Result, chain, render, say, say_json, small_runtime};

const ABOUT: &str = "\
Examples:
  sublane plugin revoke video http secrets
  sublane plugin revoke video

Takes the kinds out of [plugins.ID.allow]; \"asked\" becomes what is left of what the
plugin asks for. Beside a host it holds at once, also for runs that live and for all
that they have spawned: their next call of the host is denied. What they were answered
before stays so. To take less than a kind, change the configuration and have it read
anew (`sublane plugin reload ID`).";

/// Take away what a plugin is allowed, also from its runs that live
#[derive(Debug, clap::Args)]
#[command(after_help = ABOUT)]
pub(in crate::cli) struct Revoke {
    /// The plugin's id
    plugin: String,
    /// What is taken away [default: everything]
    #[arg(value_parser = PossibleValuesParser::new(allow::KINDS))]
    kinds: Vec<String>,
}

impl Revoke {
    pub(in crate::cli) fn run(self, global: &Global) -> Result {
        let config = global.load()?;
        let Self { plugin: id, kinds } = self;
        let Some(plugin) = config.plugins.get(&id) else {
            let hint = nearest(&id, config.plugins.keys().map(String::as_str));
            let file = config.file.display();
            return Err(Failed::wrong(anyhow!("{file} names no plugin `{id}`; {hint}")));
        };
        let manifest = Manifest::load(&plugin.component.with_file_name(FILE_NAME))
            .map_err(|error| Failed::wrong(anyhow!(chain(&error))))?;
        let was = Sides::of(&manifest, &plugin.allow);
        let named: Vec<&str> = kinds.iter().map(String::as_str).collect();
        let asked = allow::table(&allow::known(&manifest.asks, &config, &id));
        let runtime = small_runtime()?;
        let next = runtime.block_on(edit::change(&config.file, |old| {
            let new = edit::revoked(old, &id, &named, &asked).map_err(Failed::wrong)?;
            let next = Config::parse(&config.file, &new).map_err(|problems| {
                let why = "without it the configuration would be wrong; change this first";
                Failed::wrong(anyhow::Error::from(problems).context(why))
            })?;
            Ok((new, next))
        }))?;
        // Also where the file says so already: the host may not have read it.
        let reloaded = match serves(&config)? {
            true => runtime.block_on(reload(&config, vec![id.clone()]))?,
            false => Vec::new(),
        };
        let is = Sides::of(&manifest, &next.plugins[&id].allow);
        let gone: Vec<String> = was.may().iter().filter(|line| !is.may().contains(line)).cloned().collect();
        if global.json {
            say_json(&serde_json::json!({ "revoked": gone, "grants": is, "plugins": reloaded }));
            return Ok(Exit::Done);
        }
        say(&match gone.as_slice() {
            [] => format!("{id} was allowed nothing of it\n"),
            gone => render::section(&format!("{id} may no more"), gone),
        });
        say(&render::section("it may still", is.may()));
        if reloaded.is_empty() {
            say("no host runs here: it holds when the next one begins\n");
        }
        reloaded.iter().for_each(|one| say(&format!("{}\n", line(one))));
        Ok(Exit::Done)
    }
}
