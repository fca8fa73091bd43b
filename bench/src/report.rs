//! Figures: name, value, unit, limit, ratio, goal.

use std::path::Path;

use serde::Serialize;

/// Everything that was measured.
#[derive(Serialize)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    #[serde(skip)]
    only: String,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// Its name.
    name: String,
    /// What was measured.
    value: f64,
    /// In what.
    unit: String,
    /// What the machine can do, in the same unit and the same run.
    limit: f64,
    /// Value to limit.
    ratio: f64,
    /// What is aimed at, for example `<= 1.4`.
    goal: String,
    /// Whether it is met.
    met: bool,
}

/// What is aimed at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// The ratio is at most this.
    AtMost(f64),
    /// The ratio is at least this.
    AtLeast(f64),
    /// Nothing: it says what another figure can reach.
    None,
    /// The value itself is at most this.
    ValueAtMost(f64),
}

impl Report {
    /// A report of the figures whose name begins with `only`.
    pub(crate) fn new(only: &str) -> Self {
        Self { figures: Vec::new(), only: only.to_owned() }
    }

    /// Whether a figure, or one of a group, is wanted.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.starts_with(&self.only) || self.only.starts_with(name)
    }

    /// Adds a figure.
    pub(crate) fn add(&mut self, name: &str, unit: &str, value: f64, limit: f64, goal: Goal) {
        let ratio = if limit == 0.0 { value } else { value / limit };
        let (text, met) = match goal {
            Goal::AtMost(most) => (format!("<= {most}"), ratio <= most),
            Goal::AtLeast(least) => (format!(">= {least}"), ratio >= least),
            Goal::None => ("-".to_owned(), true),
            Goal::ValueAtMost(most) => (format!("value <= {most}"), value <= most),
        };
        let figure =
            Figure { name: name.to_owned(), value, unit: unit.to_owned(), limit, ratio, goal: text, met };
        eprintln!("{}", line(&figure));
        self.figures.push(figure);
    }

    /// Prints all figures.
    pub(crate) fn print(&self) {
        println!("{:<26} {:>12} {:>12} {:>8}  {:<14} met", "figure", "value", "limit", "ratio", "goal");
        for figure in &self.figures {
            println!("{}", line(figure));
        }
    }

    /// Writes all figures as JSON.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        std::fs::write(file, serde_json::to_string_pretty(self)?)?;
        Ok(())
    }
}

fn line(figure: &Figure) -> String {
    let Figure { name, value, unit, limit, ratio, goal, met } = figure;
    let met = match (goal.as_str(), met) {
        ("-", _) => "-",
        (_, true) => "yes",
        (_, false) => "NO",
    };
    format!("{name:<26} {value:>9.2} {unit:<6} {limit:>8.2} {ratio:>8.2}  {goal:<14} {met}")
}

/// The value below which the share `q` of the values lies.
pub(crate) fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * q).round() as usize).copied().unwrap_or(f64::NAN)
}

/// The value in the middle.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    quantile(values, 0.5)
}
