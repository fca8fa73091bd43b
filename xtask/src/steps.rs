//! Steps that run one after the other until one fails.
//!
//! Owns the headings, the durations and the summary.
//! Never knows what a step does.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A named thing to do.
pub(crate) struct Step<'a> {
    name: String,
    action: Box<dyn FnOnce() -> Result<()> + 'a>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(name: impl Into<String>, action: impl FnOnce() -> Result<()> + 'a) -> Self {
        Self { name: name.into(), action: Box::new(action) }
    }
}

/// Runs the steps in order, and stops at the first that fails. Tells each
/// one's name and duration, and ends with a summary of all.
pub(crate) fn run(steps: Vec<Step<'_>>) -> Result<()> {
    let total = steps.len();
    let mut summary = Vec::with_capacity(total);
    let mut result = Ok(());
    for (number, step) in steps.into_iter().enumerate() {
        if result.is_err() {
            summary.push(format!("not run  {}", step.name));
            continue;
        }
        eprintln!("\n== {}/{total} {}", number + 1, step.name);
        #[expect(clippy::disallowed_methods, reason = "people are told how long each step took")]
        let start = Instant::now();
        let outcome = (step.action)();
        let took = seconds(start.elapsed());
        let word = if outcome.is_ok() { "ok" } else { "FAILED" };
        eprintln!("== {word} after {took}");
        summary.push(format!("{word:<7}  {} ({took})", step.name));
        result = outcome.with_context(|| format!("the step `{}`", step.name));
    }
    eprintln!("\n== summary");
    for line in summary {
        eprintln!("{line}");
    }
    result
}

fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn nothing_runs_after_a_failure_and_the_error_names_the_step() {
        let ran = RefCell::new(Vec::new());
        let step = |name: &'static str, fails: bool| {
            let ran = &ran;
            Step::new(name, move || {
                ran.borrow_mut().push(name);
                anyhow::ensure!(!fails, "on purpose");
                Ok(())
            })
        };
        let error = run(vec![step("one", false), step("two", true), step("three", false)])
            .expect_err("the second fails");
        assert_eq!(*ran.borrow(), ["one", "two"]);
        assert_eq!(format!("{error:#}"), "the step `two`: on purpose");
    }

    #[test]
    fn durations_are_read_by_people() {
        assert_eq!(seconds(Duration::from_millis(1540)), "1.5 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 5 s");
    }
}
