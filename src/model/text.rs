//! Text: characters that must not get from elsewhere into a report, a script or a file, and how far two names differ.

/// Whether a character drives a terminal, breaks a line, or reorders or hides the text around it. The line feed is the
/// caller's to judge.
pub fn is_hostile(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Characters to add, drop or exchange to turn one name into the other.
pub fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, a) in one.bytes().enumerate() {
        let mut left = above + 1;
        let mut diagonal = above;
        for (cell, b) in row.iter_mut().skip(1).zip(other.bytes()) {
            left = (left + 1).min(*cell + 1).min(diagonal + usize::from(a != b));
            diagonal = std::mem::replace(cell, left);
        }
    }
    row.last().copied().unwrap_or_default()
}
