//! [`OperatorRows`] over the maps.

use std::sync::Arc;

use sublane_core::{Run, Timestamp};

use super::tables::Tables;
use crate::StoreError;
use crate::rows::{Intent, LaneSetting, OperatorRows};

type Result<T> = std::result::Result<T, StoreError>;

impl OperatorRows for Tables {
    fn renew_run(&mut self, run: &Run) -> Result<()> {
        let id = run.spec.id;
        let Some(kept) = self.runs.get_mut(&id) else {
            return Err(StoreError::Corrupt(format!("run {id} is not there to be written")));
        };
        let number = kept.number;
        let old = std::mem::replace(&mut kept.row, run.clone());
        self.index_run(number, Some(&old), run);
        Ok(())
    }

    fn insert_intent(&mut self, body: &str, now: Timestamp) -> Result<i64> {
        self.intents_made += 1;
        let number = self.intents_made;
        self.intents.insert(number, Intent { number, body: body.into(), created: now });
        Ok(number)
    }

    fn intents(&mut self, limit: u32) -> Result<Vec<Intent>> {
        Ok(self.intents.values().take(limit as usize).cloned().collect())
    }

    fn delete_intent(&mut self, number: i64) -> Result<()> {
        self.intents.remove(&number);
        Ok(())
    }

    fn put_intent_answer(&mut self, number: i64, body: &str) -> Result<()> {
        self.intent_answers.insert(number, body.into());
        Ok(())
    }

    fn intent_answer(&mut self, number: i64) -> Result<Option<Arc<str>>> {
        Ok(self.intent_answers.get(&number).cloned())
    }

    fn delete_intent_answers(&mut self, until: i64) -> Result<()> {
        self.intent_answers.retain(|number, _| *number > until);
        Ok(())
    }

    fn lane_settings(&mut self) -> Result<Vec<(String, LaneSetting)>> {
        Ok(self.lanes.iter().map(|(lane, setting)| (lane.clone(), *setting)).collect())
    }

    fn put_lane_setting(&mut self, lane: &str, setting: LaneSetting) -> Result<()> {
        self.lanes.insert(lane.to_owned(), setting);
        Ok(())
    }
}
