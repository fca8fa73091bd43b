//! Tables for people: columns as wide as their widest cell.
//!
//! What stands in a cell may come from plugins: it is scrubbed, so that it can
//! neither steer a terminal nor begin a new line.

use sublane::channel::scrub_line;

/// Characters of a cell that is not in the last column; the rest is cut.
const MAX_CELL: usize = 48;
/// Characters that a column keeps on a narrow terminal.
const MIN_CELL: usize = 8;
/// The heading of a column that is never cut.
pub(super) const ID: &str = "ID";

/// A table with a heading.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// Adds a row, with as many cells as the heading has.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.rows[0].len(), "a row has as many cells as the heading");
        self.rows.push(cells);
    }

    /// The text, with a line end after each row; on a terminal as wide as that.
    pub(super) fn render(&self) -> String {
        self.fitting(terminal_width())
    }

    fn fitting(&self, width: Option<usize>) -> String {
        let last = self.rows[0].len() - 1;
        let cell = |at: usize, text: &str| {
            let text = scrub_line(text);
            if at == last { text } else { shorten(&text, MAX_CELL) }
        };
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().enumerate().map(|(at, text)| cell(at, text)).collect())
            .collect();
        let natural = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
        let mut widths: Vec<usize> = (0..=last).map(natural).collect();
        if let Some(width) = width {
            self.shrink(&mut widths, width);
        }
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let cell = shorten(cell, *width);
                line.push_str(&format!("{cell:width$}  "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

impl Table {
    /// Takes from the widest columns what is too much for `width`. Ids stay whole, for they are copied.
    fn shrink(&self, widths: &mut [usize], width: usize) {
        let between = 2 * (widths.len() - 1);
        while widths.iter().sum::<usize>() + between > width {
            let may_shrink = |at: &usize| self.rows[0][*at] != ID && widths[*at] > MIN_CELL;
            let Some(widest) = (0..widths.len()).filter(may_shrink).max_by_key(|at| widths[*at]) else {
                return;
            };
            widths[widest] -= 1;
        }
    }
}

/// At most so many characters of a text; one that is cut says so.
pub(super) fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The columns of the terminal that the standard output is; `None` when it is none.
pub(super) fn terminal_width() -> Option<usize> {
    use std::io::IsTerminal as _;
    let out = std::io::stdout();
    let size = out.is_terminal().then(|| rustix::termios::tcgetwinsize(&out).ok()).flatten()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn columns_are_as_wide_as_they_have_to_be_and_cells_cannot_break_out() {
        let mut table = Table::new(&["NAME", "STATE", "NOTE"]);
        table.row(vec!["film-Ab12cd".into(), "ended".into(), String::new()]);
        table.row(vec!["é\u{1b}[2K".into(), "x".repeat(60), "two\nlines".into()]);
        expect![[r#"
            NAME         STATE                                             NOTE
            film-Ab12cd  ended
            é�[2K        xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…  two lines
        "#]]
        .assert_eq(&table.fitting(None));
    }

    #[test]
    fn a_narrow_terminal_takes_from_the_widest_and_leaves_ids_whole() {
        let mut table = Table::new(&["NAME", "NOTE", "ID"]);
        table.row(vec!["film-Ab12cd".into(), "the receiver is down".into(), "AAAACSfABwcHBwcHBwcHBw".into()]);
        expect![[r#"
            NAME         NOTE         ID
            film-Ab12cd  the receiv…  AAAACSfABwcHBwcHBwcHBw
        "#]]
        .assert_eq(&table.fitting(Some(48)));
    }
}
