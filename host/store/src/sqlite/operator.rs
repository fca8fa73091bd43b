//! [`OperatorRows`] over one connection.

use std::sync::Arc;

use rusqlite::params;
use sublane_core::{Run, Timestamp};

use super::codec::{bits, instant, json, other_amounts};
use super::session::Session;
use super::statements::Sql;
use super::version::indexed;
use crate::StoreError;
use crate::rows::{Intent, LaneSetting, OperatorRows};

type Result<T> = std::result::Result<T, StoreError>;

impl OperatorRows for Session<'_> {
    fn renew_run(&mut self, run: &Run) -> Result<()> {
        self.revive_run(run)?;
        self.write_generation(run)?;
        let (id, spec) = (run.spec.id.0, &run.spec);
        let values = params![id, instant(spec.deadline()), indexed(&spec.plugin_digest)];
        self.execute(Sql::RunRenew, values)?;
        let values = params![
            id,
            spec.plugin_digest,
            json(&spec.grants),
            bits(spec.purse.cpu_us),
            bits(spec.purse.spawns),
            bits(spec.purse.artifact_bytes),
            spec.seed,
            other_amounts(&spec.purse)
        ];
        self.execute(Sql::SpecRenew, values).map(drop)
    }

    fn insert_intent(&mut self, body: &str, now: Timestamp) -> Result<i64> {
        self.execute(Sql::IntentInsert, params![body, instant(now)])?;
        Ok(self.last_insert_rowid())
    }

    fn intents(&mut self, limit: u32) -> Result<Vec<Intent>> {
        self.all("intent", Sql::Intents, params![limit], |columns| {
            Ok(Intent {
                number: columns.integer()?,
                body: columns.text()?.into(),
                created: columns.instant()?,
            })
        })
    }

    fn delete_intent(&mut self, number: i64) -> Result<()> {
        self.execute(Sql::IntentDelete, params![number]).map(drop)
    }

    fn put_intent_answer(&mut self, number: i64, body: &str) -> Result<()> {
        self.execute(Sql::IntentAnswerPut, params![number, body]).map(drop)
    }

    fn intent_answer(&mut self, number: i64) -> Result<Option<Arc<str>>> {
        self.one("intent_answer", Sql::IntentAnswer, params![number], |row| row.text().map(Arc::from))
    }

    fn delete_intent_answers(&mut self, until: i64) -> Result<()> {
        self.execute(Sql::IntentAnswersDelete, params![until]).map(drop)
    }

    fn lane_settings(&mut self) -> Result<Vec<(String, LaneSetting)>> {
        self.all("lane", Sql::LaneSettings, (), |row| {
            let name = row.text()?.to_owned();
            let paused = row.integer()? != 0;
            Ok((name, LaneSetting { paused, slots: row.maybe_number()?, queue_length: row.maybe_number()? }))
        })
    }

    fn put_lane_setting(&mut self, lane: &str, setting: LaneSetting) -> Result<()> {
        let LaneSetting { paused, slots, queue_length } = setting;
        self.execute(Sql::LaneSettingPut, params![lane, paused, slots, queue_length]).map(drop)
    }
}
