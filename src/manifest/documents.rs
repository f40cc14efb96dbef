//! A file cut into pieces that are read each on its own, so that one that is broken hides no other.

/// Pieces of a text with the number of their first line. A line that begins with `---` ends whatever was open before it
/// (YAML 1.2, 9.1.2), so a cut there changes no meaning; directives stay with the document that they stand before.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = Some(text);
    let mut line = 1;
    std::iter::from_fn(move || {
        let whole = rest.take().filter(|text| !text.is_empty())?;
        let (length, lines) = first(whole);
        let (piece, after) = whole.split_at_checked(length)?;
        rest = Some(after);
        line += lines;
        Some((line - lines, piece))
    })
}

/// The length of the first piece in bytes and in lines.
fn first(text: &str) -> (usize, usize) {
    let (mut length, mut lines) = (0, 0);
    let mut holds_document = false;
    for line in text.split_inclusive('\n') {
        let starts = is_marker(line, "---");
        if starts && holds_document {
            break;
        }
        if is_marker(line, "...") {
            holds_document = false;
        } else if starts || !(line.starts_with(['%', '#']) || line.trim().is_empty()) {
            holds_document = true;
        }
        length += line.len();
        lines += 1;
    }
    (length, lines)
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_before_each_document_and_loses_nothing() {
        let text = "# a\n%YAML 1.2\n---\na: 1\n---\r\nb: |\n ---\n--- # c\n...\n%YAML 1.2\n---\nd\n---";
        let cut: Vec<_> = pieces(text).collect();
        let expected = [
            (1, "# a\n%YAML 1.2\n---\na: 1\n"),
            (5, "---\r\nb: |\n ---\n"),
            (8, "--- # c\n...\n%YAML 1.2\n---\nd\n"),
            (13, "---"),
        ];
        assert_eq!(cut, expected);
        assert_eq!(pieces("").count(), 0);
    }
}
