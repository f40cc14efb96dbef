//! The documents of a file, each cut out on its own, so that one that is broken hides no other: what kubectl reads.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::model::manifest::Mark;

const MARK: char = '\u{feff}';

/// The text of a file: UTF-8, or UTF-16 that says so by its mark. A mark at the start of a line is no part of the text
/// (files that were joined have one in their middle).
///
/// # Errors
/// How many bytes of it are text.
pub(super) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, usize> {
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)?),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)?),
        _ => Cow::Borrowed(std::str::from_utf8(bytes).map_err(|error| error.valid_up_to())?),
    };
    let marked = text.starts_with(MARK) || text.contains("\n\u{feff}");
    Ok(if marked { Cow::Owned(without_marks(&text)) } else { text })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, usize> {
    let units = bytes.chunks(2).map(|pair| <[u8; 2]>::try_from(pair).map_or(0xd800, unit));
    let mut text = String::with_capacity(bytes.len());
    for decoded in char::decode_utf16(units) {
        text.push(decoded.map_err(|_| 0_usize)?);
    }
    Ok(text)
}

fn without_marks(text: &str) -> String {
    text.split_inclusive('\n').map(|line| line.strip_prefix(MARK).unwrap_or(line)).collect()
}

/// A part of a file, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) start: Mark,
    pub(super) text: &'a str,
}

impl<'a> Piece<'a> {
    /// The file of a chart that it was made from, if Helm says so (`# Source: gateway/templates/deployment.yaml`).
    pub(super) fn source(self) -> Option<&'a str> {
        let heads = self.text.lines().take_while(|line| line.is_empty() || line.starts_with(['#', '-', '%']));
        heads.filter_map(|line| line.strip_prefix("# Source: ")).map(str::trim).find(|path| !path.is_empty())
    }
}

/// The pieces of a text. A line that begins with `---` ends whatever was open before it (YAML 1.2, 9.1.2), so a cut there
/// changes no meaning; directives stay with the document that they stand before. JSON objects need nothing between them.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = Some(text);
    let mut line = 1;
    let documents = std::iter::from_fn(move || {
        let whole = rest.take().filter(|text| !text.is_empty())?;
        let (length, lines) = first(whole);
        let (piece, after) = whole.split_at_checked(length)?;
        rest = Some(after);
        line += lines;
        Some(Piece { start: Mark { line: line - lines, column: 1 }, text: piece })
    });
    documents.flat_map(objects)
}

/// A piece of several JSON objects, cut into them; any other as it is.
fn objects(piece: Piece<'_>) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = piece;
    if piece.text.trim_start().starts_with('{') {
        let mut stream = serde_json::Deserializer::from_str(piece.text).into_iter::<IgnoredAny>();
        let mut done = 0;
        while let Some(Ok(_)) = stream.next() {
            let Some((object, after)) = rest.text.split_at_checked(stream.byte_offset() - done) else { break };
            if !after.trim_start().starts_with('{') {
                break;
            }
            done = stream.byte_offset();
            pieces.push(Piece { text: object, ..rest });
            rest = Piece { start: after_text(rest.start, object), text: after };
        }
    }
    pieces.push(rest);
    pieces
}

/// Where what follows a text begins.
pub(super) fn after_text(start: Mark, text: &str) -> Mark {
    let lines = text.matches('\n').count();
    let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
    Mark { line: start.line + lines, column: if lines == 0 { start.column + last } else { last + 1 } }
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

/// Whether a text that cannot be read was meant as an object for Kubernetes: it says an `apiVersion`, or a kind that has
/// pods or is filled in later.
pub(super) fn is_meant_as_object(text: &str, kinds: impl Fn(&str) -> bool) -> bool {
    text.lines().any(|line| {
        let word = |key: &str| {
            let (_, after) = line.split_once(key)?;
            Some(
                after
                    .trim_start_matches(['"', '\''])
                    .trim_start()
                    .strip_prefix(':')?
                    .trim_matches([' ', '"', '\'', ',', '\r']),
            )
        };
        word("apiVersion").is_some() || word("kind").is_some_and(|kind| kind.starts_with("{{") || kinds(kind))
    })
}

/// Whether a text that is no YAML may be right all the same: a template, or JSON with comments.
pub(super) fn is_of_another_form(text: &str) -> bool {
    let is_template = ["{{", "{%", "<%", "${"].iter().any(|mark| text.contains(mark));
    is_template || text.lines().any(|line| ["//", "/*"].iter().any(|comment| line.trim_start().starts_with(comment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(usize, usize, &str)> {
        pieces(text).map(|piece| (piece.start.line, piece.start.column, piece.text)).collect()
    }

    #[test]
    fn a_file_is_cut_before_each_document_and_loses_nothing() {
        let text = "# a\n%YAML 1.2\n---\na: 1\n---\r\nb: |\n ---\n--- # c\n...\n%YAML 1.2\n---\nd\n---";
        let expected = [
            (1, 1, "# a\n%YAML 1.2\n---\na: 1\n"),
            (5, 1, "---\r\nb: |\n ---\n"),
            (8, 1, "--- # c\n...\n%YAML 1.2\n---\nd\n"),
            (13, 1, "---"),
        ];
        assert_eq!(cut(text), expected);
        assert_eq!(pieces("").count(), 0);
    }

    #[test]
    fn objects_of_json_need_nothing_between_them() {
        assert_eq!(
            cut("{\"a\": {}}\n{\"b\": \"}{\"} {}\n"),
            [(1, 1, "{\"a\": {}}"), (1, 10, "\n{\"b\": \"}{\"}"), (2, 12, " {}\n")]
        );
        for whole in ["{a: 1}\n", "{\"a\": 1} # b\n", "{\"a\": 1}, {}", "{{ x }}"] {
            assert_eq!(cut(whole), [(1, 1, whole)]);
        }
    }

    #[test]
    fn marks_and_encodings_are_read_and_helm_says_where_from() {
        assert_eq!(text("\u{feff}a\n\u{feff}b\u{feff}".as_bytes()).as_deref(), Ok("a\nb\u{feff}"));
        assert_eq!(text(b"\xff\xfea\0\xe9\0").as_deref(), Ok("a\u{e9}"));
        assert_eq!(text(b"\xfe\xff\0a").as_deref(), Ok("a"));
        assert_eq!(text(b"\xff\xfea\0b"), Err(0));
        assert_eq!(text(b"ab\xff"), Err(2));
        let piece = pieces("---\n# Source: a/templates/b.yaml\nk: 1\n# Source: c\n").next();
        assert_eq!(piece.and_then(Piece::source), Some("a/templates/b.yaml"));
    }

    #[test]
    fn what_names_no_kind_is_not_meant_as_an_object() {
        let pods = |kind: &str| kind == "Pod";
        for text in ["apiVersion: v1\nkind: [", "{\"kind\": \"Pod\", ", "kind: Pod\r\n"] {
            let line = text.lines().next().unwrap_or_default();
            assert!(is_meant_as_object(line, pods), "{text}");
        }
        for text in ["{\"group\": {\"kind\": \"build\"}", "# see kind Pod", "owners:\n- @a", "apiVersions"] {
            assert!(!is_meant_as_object(text, pods), "{text}");
        }
    }
}
