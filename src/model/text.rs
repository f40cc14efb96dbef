//! Text: characters that must not get from elsewhere into a report, a script or a file, and how far two names differ.

/// Whether a character drives a terminal, breaks a line, or reorders or hides the text around it. The line feed is the
/// caller's to judge.
pub fn is_hostile(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Text that others chose, as a part of a line of Markdown in which it is no markup: what drives a terminal or breaks the line
/// is replaced, and what Markdown would read is behind a backslash. An underscore within a word is none.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match c {
            _ if is_hostile(c) || c == '\n' => out.push('\u{fffd}'),
            '_' if is_in_word(before) && is_in_word(rest.peek().copied()) => out.push(c),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '&' | '|' | '~' => out.extend(['\\', c]),
            '#' | '>' | '+' | '-' | '=' if before.is_none() => out.extend(['\\', c]),
            _ => out.push(c),
        }
        before = Some(c);
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_no_markup() {
        assert_eq!(markdown("node-a: nf_conntrack_max 1 -> 2"), "node-a: nf_conntrack_max 1 -> 2");
        assert_eq!(markdown("<!-- a\n# b"), "\\<!-- a\u{fffd}# b");
        assert_eq!(markdown("[a](b) `c` *d* _e_ &lt; f|g"), "\\[a\\](b) \\`c\\` \\*d\\* \\_e\\_ \\&lt; f\\|g");
        assert_eq!(markdown("# a"), "\\# a");
    }
}
