//! Aligned columns of plain text.

/// Rows of cells as lines. A column is as wide as its widest cell, but the last cell of a row may run on beyond it.
pub(super) fn lines(rows: &[Vec<String>], indent: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let inner = rows.iter().filter(|row| column + 1 < row.len());
        let cells = inner.filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().map(|row| line(row, &widths, indent)).collect()
}

fn line(row: &[String], widths: &[usize], indent: &str) -> String {
    let padded = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell:width$}"));
    let joined = padded.collect::<Vec<_>>().join("  ");
    format!("{indent}{}", joined.trim_end())
        .trim_end()
        .to_owned()
        + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_by_characters_and_leaves_no_spaces_at_the_end() {
        let rows = [
            vec!["→", "b", "x"],
            vec!["ccc", "", ""],
            vec!["", "dd", "y"],
            vec!["d", "runs on"],
        ];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        let expected = " →    b   x\n ccc\n      dd  y\n d    runs on\n";
        assert_eq!(lines(&rows, " "), expected);
    }
}
