//! What is written for operators.

use crate::strict::Item;

/// What is written for operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogsConfig {
    /// How a line looks. Default human.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

pub(super) fn read(item: &Item<'_>) -> Option<LogsConfig> {
    let table = item.table(&["format"])?;
    let formats = [("human", LogFormat::Human), ("json", LogFormat::Json)];
    let format = table.get("format").map_or(Some(LogFormat::default()), |item| item.one_of(&formats));
    Some(LogsConfig { format: format? })
}
