//! How long things are kept.

use std::time::Duration;

use crate::retention::Retention;
use crate::strict::Item;

/// The shortest that a run is kept: whoever waits for it must have seen its ending.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest that anything is kept.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

pub(super) fn read(item: &Item<'_>) -> Option<Retention> {
    let table = item.table(&["runs", "duplicates", "dead-letters", "logs", "files", "versions", "cache"])?;
    let defaults = Retention::default();
    let duration =
        |key, default| table.get(key).map_or(Some(default), |item| item.duration(SHORTEST..=LONGEST));
    let runs = duration("runs", defaults.runs);
    let duplicates = duration("duplicates", defaults.duplicates);
    let dead_letters = duration("dead-letters", defaults.dead_letters);
    let logs = duration("logs", runs.unwrap_or(defaults.runs));
    let files = duration("files", defaults.files);
    let versions = duration("versions", defaults.versions);
    let cache = duration("cache", defaults.cache);
    Some(Retention {
        runs: runs?,
        duplicates: duplicates?,
        dead_letters: dead_letters?,
        logs: logs?,
        files: files?,
        versions: versions?,
        cache: cache?,
    })
}
