//! `--since` and `--older`: lists by age.

use std::time::Duration;

use sublane_core::Timestamp;
use sublane_store::Between;

/// Narrows a list by age.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct Ages {
    /// Only those that are no older, such as `90s`, `2h` or `7d`
    #[arg(long, value_name = "AGE", value_parser = age, allow_hyphen_values = true)]
    since: Option<Duration>,
    /// Only those that are at least so old
    #[arg(long, value_name = "AGE", value_parser = age, allow_hyphen_values = true)]
    older: Option<Duration>,
}

/// How long ago.
fn age(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim()).map_err(|error| {
        format!("{error}; an age is a whole number with its unit, such as `90s`, `2h` or `1d 12h`")
    })
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
    fn what_is_no_age_is_told_with_what_is_one() {
        assert_eq!(age("1d 12h"), Ok(Duration::from_secs(36 * 3_600)));
        for wrong in ["", "5", "-1h", "an hour", "99999999999999999999y"] {
            let why = age(wrong).expect_err(wrong);
            assert!(why.contains("such as `90s`"), "{wrong}: {why}");
        }
        assert!(age("584000000000y").is_ok_and(|age| age > Duration::from_secs(1 << 60)));
    }

    #[test]
    fn an_age_is_an_instant_before_now() {
        let hour = Some(Duration::from_secs(3_600));
        let now = Timestamp(10_000_000);
        let span = Ages { since: hour, older: None }.seen_from(now);
        assert_eq!((span.from, span.until), (Some(Timestamp(6_400_000)), None));
        let span = Ages { since: None, older: hour }.seen_from(Timestamp(5));
        assert_eq!((span.from, span.until), (None, Some(Timestamp(0))), "as old as time");
        let longest = Some(Duration::MAX);
        let span = Ages { since: longest, older: None }.seen_from(now);
        assert_eq!((span.from, span.until), (Some(Timestamp(0)), None), "all of it");
    }
}
