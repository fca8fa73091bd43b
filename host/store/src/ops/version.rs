//! Which versions of plugins there are, and what becomes of the runs on one.

use sublane_core::{Outcome, Timestamp};

use super::{Effects, Result, end};
use crate::rows::{PluginRow, Rows};

/// The plugins of the host are these now. One whose version is as before keeps its time.
pub fn set_plugins(rows: &mut dyn Rows, plugins: &[PluginRow]) -> Result<()> {
    let before = rows.plugins()?;
    for gone in before.iter().filter(|row| plugins.iter().all(|plugin| plugin.id != row.id)) {
        rows.delete_plugin(&gone.id)?;
    }
    for plugin in plugins {
        let was = before.iter().find(|row| row.id == plugin.id);
        if was.is_none_or(|was| was.digest != plugin.digest || was.version != plugin.version) {
            rows.put_plugin(plugin)?;
        }
    }
    Ok(())
}

/// Cancels at most `limit` runs of a plugin that live on a version of it, and what is attached to them.
pub fn cancel_version(
    rows: &mut dyn Rows,
    plugin: &str,
    digest: &str,
    reason: &str,
    limit: u32,
    link_base: &str,
    now: Timestamp,
) -> Result<Effects> {
    let mut effects = Effects::default();
    for run in rows.living_on(Some(plugin), digest, limit)? {
        // One that ended with its parent a moment ago is left as it is.
        let outcome = Outcome::Cancelled { reason: reason.into() };
        end::end(rows, run, outcome, link_base, now, &mut effects)?;
    }
    Ok(effects)
}
