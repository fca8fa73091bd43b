//! Tables for people: columns as wide as their widest cell.
//!
//! What stands in a cell may come from plugins: it is scrubbed, so that it can
//! neither steer a terminal nor begin a new line.

use sublane::channel::scrub_line;

/// Characters of a cell that is not in the last column; the rest is cut.
const MAX_CELL: usize = 48;

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

    /// The text, with a line end after each row.
    pub(super) fn render(&self) -> String {
        let last = self.rows[0].len() - 1;
        let cell = |at: usize, text: &str| {
            let text = scrub_line(text);
            if at == last || text.chars().count() <= MAX_CELL {
                return text;
            }
            text.chars().take(MAX_CELL - 1).chain(['…']).collect()
        };
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().enumerate().map(|(at, text)| cell(at, text)).collect())
            .collect();
        let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..=last).map(width).collect();
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
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
            é�[2K        xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…  two�lines
        "#]]
        .assert_eq(&table.render());
    }
}
