//! `--since` and `--older`: lists by age.

use std::time::Duration;

use sublane_core::Timestamp;
use sublane_store::Between;

/// Narrows a list by age.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Ages {
    /// Only those that are no older, such as `90s`, `2h` or `7d`
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// Only those that are at least so old
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    older: Option<Duration>,
}

impl Ages {
    /// The instants that it means, seen from now.
    pub(super) fn seen_from(self, now: Timestamp) -> Between {
        let ago = |age: Duration| {
            Timestamp(now.0.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
        };
        Between { from: self.since.map(ago), until: self.older.map(ago) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_an_instant_before_now() {
        let hour = Some(Duration::from_secs(3_600));
        let now = Timestamp(10_000_000);
        let span = Ages { since: hour, older: None }.seen_from(now);
        assert_eq!((span.from, span.until), (Some(Timestamp(6_400_000)), None));
        let span = Ages { since: None, older: hour }.seen_from(Timestamp(5));
        assert_eq!((span.from, span.until), (None, Some(Timestamp(0))), "as old as time");
    }
}
