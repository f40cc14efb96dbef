//! Text for people: safe for a terminal, wrapped, coloured last.

use std::borrow::Cow;

use crate::model::finding::Outcome;
use crate::model::text::is_hostile;

/// Text that others chose, with every control character but the line feed made visible, so that a file name or a host
/// name cannot drive the terminal.
pub fn sanitized(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.escape_unicode().to_string())
}

/// Text with every character that drives the terminal, or reorders or hides the text around it, in another form.
pub(super) fn escaped(text: &str, form: impl Fn(char) -> String) -> Cow<'_, str> {
    if !holds_hostile(text) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|c| if is_hostile(c) { form(c) } else { c.to_string() }).collect())
}

/// Looks at the bytes with which such a character can begin: reports are long, and hold none.
fn holds_hostile(text: &str) -> bool {
    let begins = |byte: u8| matches!(byte, 0..=9 | 11..=31 | 0x7f | 0xc2 | 0xe2 | 0xef);
    let first = |at: usize| text.get(at..).and_then(|rest| rest.chars().next());
    text.bytes().enumerate().filter(|(_, byte)| begins(*byte)).any(|(at, _)| first(at).is_some_and(is_hostile))
}

/// Text of which no part begins a line of its own, such as a file name with a line feed in it.
pub(super) fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// Words wrapped to a width, every line after an indent. A word longer than a line is broken; a line feed, which only
/// text from outside can hold, is shown and begins no line.
///
/// Written here because wrapping is half of the time that a report costs with a general library, and reports are words
/// with single blanks between them.
pub(super) fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8 + indent.len());
    out.push_str(indent);
    let mut used = indent.len();
    for (index, word) in text.trim_end().split(' ').enumerate() {
        let length = if word.is_ascii() { word.len() } else { word.chars().count() };
        let long = indent.len() + length > width;
        if index > 0 && used + 1 + length > width && !long {
            out.push('\n');
            out.push_str(indent);
            used = indent.len();
        } else if index > 0 {
            out.push(' ');
            used += 1;
        }
        if long || word.contains('\n') {
            for c in one_line(word).chars() {
                if used >= width {
                    out.push('\n');
                    out.push_str(indent);
                    used = indent.len();
                }
                out.push(c);
                used += 1;
            }
        } else {
            out.push_str(word);
            used += length;
        }
    }
    out
}

/// A title, then words wrapped beside it.
pub fn hanging(title: &str, words: &str, width: usize) -> String {
    let blanks = " ".repeat(title.chars().count());
    let body = wrapped(words, &blanks, width);
    format!("{title}{}", body.get(blanks.len()..).unwrap_or_default())
}

/// The word for an outcome as a report shows it: what needs attention stands out.
pub(super) fn label(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Fail => "FAIL",
        Outcome::Warn => "WARN",
        Outcome::Unknown => "?",
        Outcome::Waived => "waived",
        Outcome::Pass => "pass",
        Outcome::NotApplicable => "n/a",
    }
}

/// Colours a piece of text by outcome. Colour adds nothing that the words do not say.
pub(super) fn coloured(text: &str, outcome: Outcome) -> String {
    use owo_colors::OwoColorize;
    match outcome {
        Outcome::Fail => text.red().bold().to_string(),
        Outcome::Warn => text.yellow().to_string(),
        Outcome::Unknown => text.cyan().to_string(),
        Outcome::Pass => text.green().to_string(),
        Outcome::Waived | Outcome::NotApplicable => text.dimmed().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_only_words_longer_than_a_line_are_broken() {
        assert_eq!(wrapped("a bb ccc", "  ", 6), "  a bb\n  ccc");
        assert_eq!(wrapped("aaaaaaaaaaaa b", "", 5), "aaaaa\naaaaa\naa b");
        assert_eq!(wrapped("≥≥≥ ≥≥", "", 6), "≥≥≥ ≥≥");
        assert_eq!(wrapped("x\ny z", " ", 80), " x\\ny z");
        assert_eq!(wrapped("", "  ", 80), "  ");
    }

    #[test]
    fn control_characters_cannot_reach_the_terminal() {
        assert_eq!(sanitized("plain\ntext · ≥ 5"), "plain\ntext · ≥ 5");
        assert_eq!(sanitized("a\u{1b}[2Jb\r"), "a\\u{1b}[2Jb\\u{d}");
        assert_eq!(sanitized("\u{202e}evil"), "\\u{202e}evil");
    }
}
