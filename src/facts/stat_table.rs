//! The tables below /proc/net/stat: a line of column names, then a line of hexadecimal numbers per CPU.

use super::text;

/// A parsed table.
pub(super) struct StatTable {
    columns: Vec<String>,
    rows: Vec<Vec<u64>>,
}

impl StatTable {
    /// Parses a table of any bytes; `None` if there is no header or no row, or a cell is not hexadecimal.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = text(bytes);
        let mut lines = text.lines();
        let columns: Vec<String> = lines.next()?.split_whitespace().map(str::to_owned).collect();
        let cells = |line: &str| line.split_whitespace().map(|cell| u64::from_str_radix(cell, 16).ok()).collect();
        let rows = lines.map(cells).collect::<Option<Vec<Vec<u64>>>>()?;
        if columns.is_empty() || rows.is_empty() { None } else { Some(Self { columns, rows }) }
    }

    /// The figure of a column. `entries` is the same total repeated in every row; all others are per CPU and add up.
    pub(super) fn figure(&self, column: &str) -> Option<i128> {
        let at = self.columns.iter().position(|name| name == column)?;
        let mut cells = self.rows.iter().filter_map(|row| row.get(at)).map(|&cell| i128::from(cell));
        if column == "entries" {
            cells.max()
        } else {
            cells.next().map(|first| cells.fold(first, i128::saturating_add))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_not_added_up_and_counters_are() {
        let table =
            StatTable::parse(b"entries  searched drop\n00000032  00000001 00000046\n00000032  00000002 00000000\n");
        let table = table.unwrap();
        assert_eq!(table.figure("entries"), Some(50));
        assert_eq!(table.figure("drop"), Some(70));
        assert_eq!(table.figure("clashres"), None);
        assert!(StatTable::parse(b"entries\nxyz\n").is_none());
        assert!(StatTable::parse(b"").is_none());
    }
}
