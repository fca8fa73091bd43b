//! Runs that begin by a schedule.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::de::IgnoredAny;
use sublane_core::Destination;
use sublane_core::grants::AgentPattern;

use super::{Names, section};
use crate::schedules::{Missed, Rule, Schedule};
use crate::strict::{Item, Table};

/// The schedules, by name.
pub type Schedules = BTreeMap<String, Schedule>;

pub(super) fn read(table: &Table<'_>, names: &Names<'_>) -> Option<Schedules> {
    let schedules = section(table, "schedules").into_iter();
    let schedules = schedules.map(|(name, item)| Some((name.to_owned(), schedule(name, &item, names)?)));
    schedules.collect::<Vec<_>>().into_iter().collect()
}

fn schedule(name: &str, item: &Item<'_>, names: &Names<'_>) -> Option<Schedule> {
    let table = item.table(&["cron", "zone", "agent", "task", "deliver", "missed"])?;
    let zone = table.get("zone").map_or(Some(TimeZone::UTC), |item| told(&item, Rule::zone(item.text()?)));
    let rule = table.require("cron").and_then(|item| {
        // A zone that is wrong has been told of; the expression is looked at all the same.
        told(&item, Rule::new(item.text()?, zone.clone().unwrap_or(TimeZone::UTC)))
    });
    let agent = table.require("agent").and_then(|item| agent(&item, names));
    let task = table.get("task").map_or_else(|| Some("{}".to_owned()), |item| task(&item));
    let deliver = table.require("deliver").and_then(|item| item.list_of(|item| destination(item, names)));
    let choices = [("once", Missed::Once), ("skip", Missed::Skip)];
    let missed = table.get("missed").map_or(Some(Missed::default()), |item| item.one_of(&choices));
    zone?;
    let name = name.to_owned();
    Some(Schedule { name, rule: rule?, agent: agent?, task: task?, deliver: deliver?, missed: missed? })
}

fn told<T>(item: &Item<'_>, read: Result<T, impl std::fmt::Display>) -> Option<T> {
    read.map_err(|error| item.fail(&format!("`{}`: {error}", item.path()))).ok()
}

fn agent(item: &Item<'_>, names: &Names<'_>) -> Option<String> {
    let agent: AgentPattern = item.parse()?;
    names.check_plugin(item, &agent.plugin);
    Some(match agent.agent {
        Some(name) => format!("{}/{name}", agent.plugin),
        None => agent.plugin,
    })
}

fn task(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let fits = serde_json::from_str::<IgnoredAny>(text);
    fits.map_err(|error| item.fail(&format!("`{}` is not JSON: {error}", item.path()))).ok()?;
    Some(text.to_owned())
}

fn destination(item: &Item<'_>, names: &Names<'_>) -> Option<Destination> {
    let to: Destination = item.parse()?;
    names.check_destination(item, &to);
    Some(to)
}
