//! `sublane config`: says whether a configuration is right, and what it comes to.
//!
//! Owns what only shows when files are put together: a manifest that asks for
//! more than is allowed, an agent that is not there, a secret that is missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use sublane::channel::sign::Signer;
use sublane::config::{ChannelConfig, ChannelKind, Config, PluginConfig};
use sublane::engine::Engines;
use sublane::engine::cache::Cache;
use sublane::intake::input_of;
use sublane::machine::Machine;
use sublane::plugin::{LoadError, Plugin, Plugins};
use sublane::schedules::Schedule;
use sublane::secrets::Secrets;
use sublane::strict::{Problem, StrictError};
use sublane_core::Authority;
use sublane_core::grants::AgentPattern;
use toml::de::{DeTable, DeValue};

use super::plugin::Lent;
use super::{
    Exit, Failed, Global, Result, chain, complain, no_config, plugin, render, say, say_json, small_runtime,
};

/// Look at the configuration.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check the configuration, and everything that it names
    Check(Check),
}

/// Reads configuration, manifests and secrets, loads the components, and says what each
/// plugin asks for, may do and may not. Every problem is told with its file and line.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The configuration [default: as --config]
    file: Option<PathBuf>,
}

impl Command {
    pub(super) fn run(self, global: &Global) -> Result {
        let Self::Check(Check { file }) = self;
        let file = file.unwrap_or_else(|| global.config_file());
        let report = match Config::load(&file) {
            Ok(config) => {
                let text = sublane::strict::load(&file)?;
                small_runtime()?.block_on(check(&config, Lines { file: &file, text: &text }))?
            }
            Err(StrictError::Wrong(problems)) => Report { problems: problems.0, ..Report::of(&file) },
            Err(_) if !file.exists() => return Err(no_config(&file)),
            Err(error) => return Err(Failed::wrong(error)),
        };
        let report = Report { ok: report.problems.is_empty(), ..report };
        report.problems.iter().for_each(|problem| complain(&problem.to_string()));
        report
            .warnings
            .iter()
            .for_each(|warning| complain(&format!("{}: warning: {warning}", file.display())));
        if global.json {
            say_json(&report)
        } else {
            say(&report.text())
        }
        Ok(if report.ok { Exit::Done } else { Exit::Wrong })
    }
}

/// What a configuration comes to.
#[derive(Serialize)]
struct Report {
    ok: bool,
    file: PathBuf,
    problems: Vec<Problem>,
    warnings: Vec<String>,
    plugins: Vec<Vetted>,
    channels: Vec<ChannelView>,
    schedules: Vec<String>,
}

/// A plugin with both sides of its authority.
#[derive(Serialize)]
pub(super) struct Vetted {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) component: PathBuf,
    memory_bytes: u64,
    pub(super) agents: Vec<String>,
    pub(super) tools: Vec<String>,
    pub(super) asks: Authority,
    allows: Authority,
    /// What it asks for and does not get, in words.
    pub(super) not_allowed: Vec<String>,
}

#[derive(Serialize)]
struct ChannelView {
    name: String,
    kind: &'static str,
    /// Who answers what comes in.
    agent: Option<String>,
    addresses: Vec<String>,
    /// What receivers verify ed25519 signatures with, by address.
    public_keys: BTreeMap<String, Vec<String>>,
}

impl Report {
    fn of(file: &Path) -> Self {
        let (problems, warnings, schedules) = (Vec::new(), Vec::new(), Vec::new());
        let (plugins, channels) = (Vec::new(), Vec::new());
        Self { ok: false, file: file.to_owned(), problems, warnings, plugins, channels, schedules }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for plugin in &self.plugins {
            let Vetted { id, version, component, memory_bytes, agents, tools, asks, not_allowed, .. } =
                plugin;
            text.push_str(&format!(
                "plugin {id} {version} ({}, {})\n",
                component.display(),
                render::bytes(*memory_bytes)
            ));
            let mut field = |name: &str, lines: &[String]| {
                for (number, line) in lines.iter().enumerate() {
                    text.push_str(&format!("  {:<12} {line}\n", if number == 0 { name } else { "" }));
                }
            };
            field("agents", &joined(agents));
            field("tools", &joined(tools));
            field("asks to", &render::authority(asks));
            if not_allowed.is_empty() {
                field("may do", &["all of it".to_owned()]);
            } else {
                field("may not", not_allowed);
            }
        }
        for ChannelView { name, kind, agent, addresses, public_keys } in &self.channels {
            text.push_str(&format!("channel {name} ({kind})\n"));
            if let Some(agent) = agent {
                text.push_str(&format!("  answered by  {agent}\n"));
            }
            joined(addresses).iter().for_each(|all| text.push_str(&format!("  addresses    {all}\n")));
            for (address, keys) in public_keys {
                text.push_str(&format!("  {address} is signed for {}\n", keys.join(", ")));
            }
        }
        for schedule in &self.schedules {
            text.push_str(&format!("schedule {schedule}\n"));
        }
        text.push_str(&match self.problems.len() as u64 {
            0 => format!("{} is right\n", self.file.display()),
            some => format!("{} has {}\n", self.file.display(), render::count(some, "problem")),
        });
        text
    }
}

/// One line of all names, or none.
fn joined(names: &[String]) -> Vec<String> {
    if names.is_empty() { Vec::new() } else { vec![names.join(", ")] }
}

async fn check(config: &Config, lines: Lines<'_>) -> anyhow::Result<Report> {
    let mut report = Report::of(lines.file);
    let lent = Lent::by(config)?;
    report.warnings.extend(lent.refused.as_ref().map(|why| format!("of this user no host starts: {why}")));
    let engines = plugin::engines_for(config)?;
    if let Err(error) = Machine::read().fit(&config.limits.instances) {
        report.problems.push(lines.problem(&["limits"], error.to_string()));
    }
    let mut plugins = Plugins::default();
    for (id, plugin) in &config.plugins {
        match load(&engines, &lent.cache, id, plugin).await {
            Ok((loaded, vetted)) => {
                plugins.insert(std::sync::Arc::new(loaded));
                report.plugins.push(vetted);
            }
            // A manifest's own problems have their file and line already.
            Err(error) => report.problems.extend(match error {
                LoadError::Manifest(_) => manifest_problems(plugin),
                error => vec![lines.problem(&["plugins", id, "component"], chain(&error))],
            }),
        }
    }
    for (name, channel) in &config.channels {
        let (problems, public_keys) = secrets(name, channel, &lines);
        report.problems.extend(problems);
        report.problems.extend(folders(name, channel, &lines));
        report.problems.extend(answers(config, &plugins, name, channel, &lines));
        report.channels.push(ChannelView::of(name, channel, public_keys));
    }
    for (name, schedule) in &config.schedules {
        report.problems.extend(scheduled(config, &plugins, schedule, &lines));
        report.schedules.push(format!("{name} ({}): {}", schedule.rule, schedule.agent));
    }
    for (name, secret) in &config.secrets {
        if let Err(error) = Secrets::check(name, secret) {
            report.problems.push(lines.problem(&["secrets", name], chain(&error)));
        }
    }
    if let Some(address) = config.hooks.listen.filter(|address| !address.ip().is_loopback()) {
        report.warnings.push(format!(
            "calls of hooks to {address} are readable on the way: listen on 127.0.0.1, and put something with TLS before it"
        ));
    }
    if let Some(address) = config.gateway.listen {
        report.warnings.push(format!("nothing will listen on {address}: this version has no gateway"));
    }
    report.problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    Ok(report)
}

pub(super) async fn load(
    engines: &Engines,
    cache: &Cache,
    id: &str,
    plugin: &PluginConfig,
) -> std::result::Result<(Plugin, Vetted), LoadError> {
    let component = &plugin.component;
    let loaded = Plugin::load(engines, cache, component, &plugin.allow).await?;
    if loaded.manifest.id != id {
        let path = component.with_file_name(sublane::plugin::manifest::FILE_NAME);
        return Err(LoadError::OtherId { path, found: loaded.manifest.id, configured: id.to_owned() });
    }
    let names = |definitions: &[sublane::plugin::Definition]| {
        definitions.iter().map(|definition| definition.name.clone()).collect()
    };
    let vetted = Vetted {
        id: id.to_owned(),
        version: loaded.manifest.version.clone(),
        component: component.clone(),
        memory_bytes: loaded.manifest.memory_bytes,
        agents: names(&loaded.agents),
        tools: names(&loaded.tools),
        asks: loaded.manifest.asks.clone(),
        allows: loaded.allows.clone(),
        not_allowed: loaded.manifest.asks.not_allowed(&loaded.allows),
    };
    Ok((loaded, vetted))
}

fn manifest_problems(plugin: &PluginConfig) -> Vec<Problem> {
    let file = plugin.component.with_file_name(sublane::plugin::manifest::FILE_NAME);
    match sublane::plugin::Manifest::load(&file) {
        Err(StrictError::Wrong(problems)) => problems.0,
        // It changed since it was read.
        _ => Vec::new(),
    }
}

/// Secrets that are not there, or have another form; and the public keys of the others, by address.
fn secrets(
    name: &str,
    channel: &ChannelConfig,
    lines: &Lines<'_>,
) -> (Vec<Problem>, BTreeMap<String, Vec<String>>) {
    let (mut problems, mut public) = (Vec::new(), BTreeMap::new());
    let ChannelKind::Webhook { addresses } = &channel.kind else { return (problems, public) };
    for (address, endpoint) in addresses {
        match Signer::new(endpoint.secret.clone()).and_then(|signer| signer.public_keys()) {
            Ok(keys) if keys.is_empty() => {}
            Ok(keys) => drop(public.insert(address.clone(), keys)),
            Err(error) => {
                let path = ["channels", name, "addresses", address, "secret"];
                problems.push(lines.problem(&path, chain(&error)));
            }
        }
    }
    (problems, public)
}

/// Folders that cannot be written to.
fn folders(name: &str, channel: &ChannelConfig, lines: &Lines<'_>) -> Vec<Problem> {
    let ChannelKind::File { addresses } = &channel.kind else { return Vec::new() };
    let problem = |(address, folder): (&String, &sublane::channel::Folder)| {
        let error = folder.check().err()?;
        Some(lines.problem(&["channels", name, "addresses", address, "directory"], chain(&error)))
    };
    addresses.iter().filter_map(problem).collect()
}

/// An agent that should answer on this channel and is not there, or does not take a message.
fn answers(
    config: &Config,
    plugins: &Plugins,
    name: &str,
    channel: &ChannelConfig,
    lines: &Lines<'_>,
) -> Option<Problem> {
    let pattern = channel.agent.as_ref()?;
    let at = |message| Some(lines.problem(&["channels", name, "agent"], message));
    if let Some(message) = no_agent(config, plugins, pattern) {
        return at(message);
    }
    let agent = plugins.get(&pattern.plugin)?.agent(pattern.agent.as_deref())?;
    let unfit = agent.input_schema.check("a message", &input_of("hello", "somebody")).err()?;
    at(format!("`{pattern}` does not take {{\"text\": \"…\", \"from\": \"…\"}}, which a message is: {unfit}"))
}

/// A schedule whose agent is not there, or does not take its task.
fn scheduled(config: &Config, plugins: &Plugins, schedule: &Schedule, lines: &Lines<'_>) -> Option<Problem> {
    let at = |key, message| Some(lines.problem(&["schedules", &schedule.name, key], message));
    let pattern: AgentPattern = schedule.agent.parse().ok()?;
    if let Some(message) = no_agent(config, plugins, &pattern) {
        return at("agent", message);
    }
    let agent = plugins.get(&pattern.plugin)?.agent(pattern.agent.as_deref())?;
    let unfit = agent.input_schema.check("the task", &schedule.task).err()?;
    at("task", format!("{} does not take this: {unfit}", schedule.agent))
}

/// That a plugin which could be loaded does not have this agent.
fn no_agent(config: &Config, plugins: &Plugins, pattern: &AgentPattern) -> Option<String> {
    // A plugin that could not be loaded has been told of.
    let plugin = plugins.get(&pattern.plugin).filter(|_| config.plugins.contains_key(&pattern.plugin))?;
    if plugin.agent(pattern.agent.as_deref()).is_some() {
        return None;
    }
    let agents: Vec<String> =
        plugin.agents.iter().map(|agent| format!("`{}/{}`", pattern.plugin, agent.name)).collect();
    let known =
        if agents.is_empty() { "it has none".to_owned() } else { format!("it has {}", agents.join(", ")) };
    Some(match &pattern.agent {
        Some(agent) => format!("plugin `{}` has no agent `{agent}`; {known}", pattern.plugin),
        None => format!("plugin `{}` does not have exactly one agent; {known}", pattern.plugin),
    })
}

impl ChannelView {
    fn of(name: &str, channel: &ChannelConfig, public_keys: BTreeMap<String, Vec<String>>) -> Self {
        let (kind, addresses) = match &channel.kind {
            ChannelKind::Console => ("console", Vec::new()),
            ChannelKind::Webhook { addresses } => ("webhook", addresses.keys().cloned().collect()),
            ChannelKind::File { addresses } => ("file", addresses.keys().cloned().collect()),
        };
        let agent = channel.agent.as_ref().map(|agent| match &agent.agent {
            Some(_) => agent.to_string(),
            None => agent.plugin.clone(),
        });
        Self { name: name.to_owned(), kind, agent, addresses, public_keys }
    }
}

/// The text of the configuration, to find the line that a problem stands on.
struct Lines<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Lines<'_> {
    /// A problem with the value at this path.
    fn problem(&self, path: &[&str], message: String) -> Problem {
        Problem { file: self.file.display().to_string(), line: self.line(path), message }
    }

    /// The line of the deepest part of a path that is there, from 1.
    fn line(&self, path: &[&str]) -> usize {
        let (root, _) = DeTable::parse_recoverable(self.text);
        let mut table = root.get_ref();
        let mut at = 0;
        for part in path {
            let Some((key, value)) = table.get_key_value(*part) else { break };
            at = key.span().start;
            let DeValue::Table(inner) = value.get_ref() else { break };
            table = inner;
        }
        self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_stands_where_its_value_does() {
        let text = "state = 's'\n[channels.hook]\nkind = 'webhook'\n\
                    [channels.hook.addresses.films]\nurl = 'http://x'\nsecret = { env = 'X' }\n";
        let lines = Lines { file: Path::new("sublane.toml"), text };
        assert_eq!(lines.line(&["channels", "hook", "addresses", "films", "secret"]), 6);
        assert_eq!(lines.line(&["channels", "hook", "agent"]), 2);
        assert_eq!(lines.line(&["plugins"]), 1);
    }
}
