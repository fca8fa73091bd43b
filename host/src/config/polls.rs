//! How fast poll plans are carried out.

use crate::poll::Pace;
use crate::strict::Item;

pub(super) fn read(item: &Item<'_>) -> Option<Pace> {
    let table = item.table(&["at-once", "per-server", "rate"])?;
    let defaults = Pace::default();
    let whole = |key, most, default| table.get(key).map_or(Some(default), |item| item.whole(1..=most));
    let at_once = whole("at-once", 10_000, defaults.at_once);
    let per_server = whole("per-server", 1_000, defaults.per_server);
    let rate = whole("rate", 100_000, defaults.rate);
    Some(Pace { at_once: at_once?, per_server: per_server?, rate: rate? })
}
