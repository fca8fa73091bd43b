//! [`VersionRows`] over one connection.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rusqlite::params;
use sublane_core::RunId;

use super::codec::instant;
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::{LiveVersion, PauseRow, PluginRow, VersionRows};

type Result<T> = std::result::Result<T, StoreError>;

/// Characters of a digest that the index of living runs has.
const INDEXED: usize = 8;

/// What the index of living runs has of a digest.
pub(super) fn indexed(digest: &str) -> &str {
    digest.char_indices().nth(INDEXED).map_or(digest, |(at, _)| &digest[..at])
}

impl VersionRows for Session<'_> {
    fn live_versions(&mut self) -> Result<Vec<LiveVersion>> {
        let counts = RefCell::new(BTreeMap::<(String, String), u64>::new());
        self.all("run_spec", Sql::RunsLive, (), |row| {
            let version = (row.text()?.to_owned(), row.text()?.to_owned());
            *counts.borrow_mut().entry(version).or_default() += 1;
            Ok(())
        })?;
        let versions = counts.into_inner().into_iter();
        Ok(versions.map(|((plugin, digest), runs)| LiveVersion { plugin, digest, runs }).collect())
    }

    fn living_on(&mut self, plugin: Option<&str>, digest: &str, limit: u32) -> Result<Vec<RunId>> {
        let values = params![indexed(digest), digest, plugin, limit];
        self.all("run", Sql::RunsLiveOn, values, |row| row.bytes().map(RunId))
    }

    fn plugins(&mut self) -> Result<Vec<PluginRow>> {
        self.all("plugin", Sql::Plugins, (), |row| {
            Ok(PluginRow {
                id: row.text()?.to_owned(),
                version: row.text()?.to_owned(),
                digest: row.text()?.to_owned(),
                since: row.instant()?,
            })
        })
    }

    fn put_plugin(&mut self, plugin: &PluginRow) -> Result<()> {
        let PluginRow { id, version, digest, since } = plugin;
        self.execute(Sql::PluginPut, params![id, version, digest, instant(*since)]).map(drop)
    }

    fn delete_plugin(&mut self, id: &str) -> Result<()> {
        self.execute(Sql::PluginDelete, params![id]).map(drop)
    }

    fn pauses(&mut self) -> Result<Vec<PauseRow>> {
        self.all("plugin_pause", Sql::Pauses, (), |row| {
            Ok(PauseRow {
                plugin: row.text()?.to_owned(),
                failures: row.number()?,
                until: row.maybe_instant()?,
                why: row.text()?.to_owned(),
            })
        })
    }

    fn put_pause(&mut self, pause: &PauseRow) -> Result<()> {
        let PauseRow { plugin, failures, until, why } = pause;
        self.execute(Sql::PausePut, params![plugin, failures, until.map(instant), why]).map(drop)
    }

    fn delete_pause(&mut self, plugin: &str) -> Result<()> {
        self.execute(Sql::PauseDelete, params![plugin]).map(drop)
    }
}
