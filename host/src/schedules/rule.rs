//! When a schedule comes: a cron expression in a time zone.
//!
//! Reads no clock: instants come in as values. Five fields, no seconds and no years.

use std::fmt::{self, Display};

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;
use sublane_core::Timestamp;

/// Characters of an expression.
const MAX_CHARS: usize = 256;
/// From here on an expression must come at least once: the first of January 2024, before a leap day.
const EPOCH: Timestamp = Timestamp(1_704_067_200_000);

/// A cron expression in a time zone.
///
/// Minute, hour, day of the month, month and day of the week, or `@hourly`, `@daily`, `@weekly`,
/// `@monthly`, `@yearly`. When both days are restricted, either of them is enough. Where clocks are
/// put forward, a time that does not exist comes when they have been; where they are put back, a
/// time that exists twice comes once. An expression that names every hour, or every so many,
/// follows the time that really passes.
#[derive(Clone, Debug)]
pub struct Rule {
    expression: String,
    zone: TimeZone,
    cron: Cron,
}

/// Why a text is no rule.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// It is no expression.
    #[error("`{0}` is no cron expression of five fields: {1}")]
    Expression(String, String),
    /// It is one that never comes.
    #[error("`{0}` never comes")]
    Never(String),
    /// There is no such zone.
    #[error("there is no time zone `{0}`; zones are named as in \"Europe/Berlin\", and \"UTC\"")]
    Zone(String),
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.expression == other.expression && self.zone == other.zone
    }
}

impl Rule {
    /// The rule of an expression in the zone of this name.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn new(expression: &str, zone: TimeZone) -> Result<Self, RuleError> {
        let wrong = |why: String| RuleError::Expression(shown(expression), why);
        if expression.chars().count() > MAX_CHARS {
            return Err(wrong(format!("it has more than {MAX_CHARS} characters")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser
            .parse(expression)
            .map_err(|error| wrong(error.to_string().trim_end_matches('.').to_owned()))?;
        let rule = Self { expression: expression.to_owned(), zone, cron };
        match rule.next_after(EPOCH) {
            Some(_) => Ok(rule),
            None => Err(RuleError::Never(shown(expression))),
        }
    }

    /// The zone of this name.
    ///
    /// # Errors
    /// [`RuleError::Zone`].
    pub fn zone(name: &str) -> Result<TimeZone, RuleError> {
        TimeZone::get(name).map_err(|_| RuleError::Zone(shown(name)))
    }

    /// The expression.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The zone's name.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// The first instant after this one; none before the end of time.
    #[must_use]
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_next_occurrence(&self.here(at)?, false).ok()?;
        instant(&found).filter(|found| *found > at)
    }

    /// The last instant until this one, that one included.
    #[must_use]
    pub fn last_until(&self, at: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_previous_occurrence(&self.here(at)?, true).ok()?;
        instant(&found).filter(|found| *found <= at)
    }

    fn here(&self, at: Timestamp) -> Option<Zoned> {
        let millis = i64::try_from(at.0).ok()?;
        Some(jiff::Timestamp::from_millisecond(millis).ok()?.to_zoned(self.zone.clone()))
    }
}

/// The rule as one text: what a store compares.
impl Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression, self.zone_name())
    }
}

fn instant(at: &Zoned) -> Option<Timestamp> {
    u64::try_from(at.timestamp().as_millisecond()).ok().map(Timestamp)
}

/// As much of a text as an error says.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(expression: &str, zone: &str) -> Rule {
        Rule::new(expression, Rule::zone(zone).expect("a zone")).expect("a rule")
    }

    fn at(text: &str) -> Timestamp {
        let at: jiff::Timestamp = text.parse().expect("an instant");
        instant(&at.to_zoned(TimeZone::UTC)).expect("after 1970")
    }

    /// The next instants, in UTC.
    fn next(rule: &Rule, from: &str, count: usize) -> Vec<String> {
        let mut now = at(from);
        let next = || {
            now = rule.next_after(now).expect("it comes");
            jiff::Timestamp::from_millisecond(i64::try_from(now.0).expect("soon")).expect("soon").to_string()
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn it_comes_after_and_until() {
        let daily = rule("30 3 * * *", "UTC");
        assert_eq!(next(&daily, "2026-11-28T03:30:00Z", 2), ["2026-11-29T03:30:00Z", "2026-11-30T03:30:00Z"]);
        assert_eq!(daily.last_until(at("2026-11-28T03:30:00Z")), Some(at("2026-11-28T03:30:00Z")));
        assert_eq!(daily.last_until(at("2026-11-28T03:29:59Z")), Some(at("2026-11-27T03:30:00Z")));
        assert_eq!(next(&rule("@weekly", "UTC"), "2026-11-28T00:00:00Z", 1), ["2026-11-29T00:00:00Z"]);
        assert_eq!(next(&rule("0 0 29 2 *", "UTC"), "2026-11-28T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
        let either = rule("0 0 13 * 5", "UTC");
        assert_eq!(
            next(&either, "2026-11-12T01:00:00Z", 2),
            ["2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"]
        );
        assert_eq!(daily.next_after(Timestamp(u64::MAX)), None);
        assert_eq!(daily.last_until(Timestamp(0)), None);
    }

    #[test]
    fn a_time_that_does_not_exist_comes_when_clocks_were_put_forward() {
        let nightly = rule("30 2 * * *", "Europe/Berlin");
        let found = next(&nightly, "2026-03-28T00:00:00Z", 3);
        assert_eq!(found, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    }

    #[test]
    fn a_time_that_exists_twice_comes_once() {
        let nightly = rule("30 2 * * *", "Europe/Berlin");
        let found = next(&nightly, "2026-10-24T00:00:00Z", 3);
        assert_eq!(found, ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let often = rule("*/30 * * * *", "Europe/Berlin");
        let found = next(&often, "2026-10-25T00:00:00Z", 4);
        let expected =
            ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
        assert_eq!(found, expected, "every half hour that passes");
    }

    #[test]
    fn whatever_comes_until_an_instant_came_after_the_one_before() {
        for (expression, zone) in [
            ("30 2 * * *", "Europe/Berlin"),
            ("*/7 1-3 * * *", "America/New_York"),
            ("0 0 * * *", "Africa/Cairo"),
            ("15 */2 * * *", "Australia/Lord_Howe"),
        ] {
            let rule = rule(expression, zone);
            let mut now = at("2026-01-01T00:00:00Z");
            for _ in 0..2_000 {
                let next = rule.next_after(now).expect("it comes");
                assert!(next > now, "{rule}");
                assert_eq!(rule.last_until(next), Some(next), "{rule} at {next:?}");
                assert_eq!(rule.last_until(Timestamp(next.0 + 59_999)), Some(next), "{rule} after {next:?}");
                now = next;
            }
        }
    }

    #[test]
    fn what_is_no_rule_says_why() {
        for wrong in ["", "* * * *", "0 0 0 * * *", "0 0 1 1 * 2030", "60 * * * *", "a b c d e", "0 0 30 2 *"]
        {
            let error = Rule::new(wrong, TimeZone::UTC).expect_err(wrong).to_string();
            assert!(error.starts_with(&format!("`{wrong}` ")), "{error}");
        }
        assert!(Rule::new(&"1,".repeat(100_000), TimeZone::UTC).is_err());
        assert!(Rule::zone("Europe/Atlantis").is_err());
        assert!(Rule::zone("../../etc/passwd").is_err());
    }
}
