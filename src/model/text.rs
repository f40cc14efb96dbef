//! Characters that text from elsewhere must not bring into a report, a script or a file.

/// Whether a character drives a terminal, breaks a line, or reorders or hides the text around it. The line feed is the
/// caller's to judge.
pub fn is_hostile(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
