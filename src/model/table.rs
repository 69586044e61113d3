//! Aligned columns.

use super::{Paint, Tone};

/// Rows of cells, each column as wide as its widest cell.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<(Tone, String)>>,
}

impl Table {
    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [(Tone, String); N]) {
        self.rows.push(cells.into());
    }

    /// The lines, each after `indent`; without blanks at their ends.
    #[must_use]
    pub fn lines(&self, indent: &str, paint: Paint) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, text)| text.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<(Tone, String)>| {
            let mut line = indent.to_owned();
            let last = row.iter().rposition(|(_, text)| !text.is_empty()).map_or(0, |last| last + 1);
            for (column, (tone, text)) in row.iter().take(last).enumerate() {
                line.push_str(&paint.tone(*tone, text));
                if column + 1 < last {
                    let blanks = widths[column] - text.chars().count();
                    line.push_str(&" ".repeat(blanks + if widths[column] > 0 { 2 } else { 0 }));
                }
            }
            line
        };
        self.rows.iter().map(line).collect()
    }
}
