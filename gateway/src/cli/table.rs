//! Aligned columns of plain text.

/// Rows of cells as lines; every column but the last is padded to its widest cell.
pub(super) fn lines(rows: &[Vec<String>], indent: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
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
        let rows = [["→", "b", "x"], ["ccc", "", ""], ["", "dd", "y"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(lines(&rows, " "), " →    b   x\n ccc\n      dd  y\n");
    }
}
