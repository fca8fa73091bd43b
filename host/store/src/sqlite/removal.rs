//! [`Removal`] over one connection.

use rusqlite::params;
use sublane_core::{ConversationId, DeliveryId, RunId, Timestamp};

use super::codec::instant;
use super::session::Session;
use super::statements::Sql;
use crate::StoreError;
use crate::rows::Removal;

type Result<T> = std::result::Result<T, StoreError>;

impl Session<'_> {
    /// Runs a statement that removes rows; how many.
    pub(super) fn removed(&mut self, sql: Sql, params: impl rusqlite::Params) -> Result<u32> {
        self.execute(sql, params).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn is_any(&mut self, table: &'static str, sql: Sql, params: impl rusqlite::Params) -> Result<bool> {
        self.one(table, sql, params, |_| Ok(())).map(|found| found.is_some())
    }
}

impl Removal for Session<'_> {
    fn ended_runs(
        &mut self,
        after: Option<(Timestamp, RunId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Timestamp, RunId)>> {
        let (ended, id) = after.map_or((-1, RunId([0; 16])), |(ended, id)| (instant(ended), id));
        self.all("run", Sql::RunsOld, params![ended, id.0, instant(until), limit], |columns| {
            Ok((columns.instant()?, RunId(columns.bytes()?)))
        })
    }

    fn has_children(&mut self, run: RunId) -> Result<bool> {
        self.is_any("run_spec", Sql::RunChild, params![run.0])
    }

    fn has_event(&mut self, run: RunId) -> Result<bool> {
        self.is_any("inbox", Sql::RunEvent, params![run.0])
    }

    fn trim_journal(&mut self, run: RunId, limit: u32) -> Result<u32> {
        self.removed(Sql::JournalTrim, params![run.0, limit])
    }

    fn trim_artifacts(&mut self, run: RunId, limit: u32) -> Result<u32> {
        self.removed(Sql::ArtifactsTrim, params![run.0, limit])
    }

    fn delete_delivery(&mut self, id: DeliveryId) -> Result<u32> {
        let attempts = self.removed(Sql::AttemptsDelete, params![id.0])?;
        Ok(attempts + self.removed(Sql::DeliveryDelete, params![id.0])?)
    }

    fn delete_run(&mut self, id: RunId) -> Result<u32> {
        let mut removed = 0;
        for sql in [
            Sql::MessagesDelete,
            Sql::HooksDelete,
            Sql::GenerationsDelete,
            Sql::InboxDelete,
            Sql::SpecDelete,
            Sql::RunDelete,
        ] {
            removed += self.removed(sql, params![id.0])?;
        }
        self.forget_run(id);
        Ok(removed)
    }

    fn has_runs(&mut self, conversation: ConversationId) -> Result<bool> {
        self.is_any("run_spec", Sql::ConversationRun, params![conversation.0])
    }

    fn delete_conversation(&mut self, id: ConversationId) -> Result<()> {
        self.execute(Sql::ConversationDelete, params![id.0]).map(drop)
    }

    fn is_linked(&mut self, artifact: &str) -> Result<bool> {
        self.is_any("artifact", Sql::ArtifactLinked, params![artifact])
    }
}
