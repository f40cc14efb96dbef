//! A log line: its words, and where its message begins and ends.

use crate::model::bounds;
use crate::model::symptom::is_of_word;

/// Fields of structured lines that hold a message.
const MESSAGE_FIELDS: [&str; 9] =
    ["msg", "message", "log", "err", "error", "reason", "cause", "exception", "error_message"];
/// Words before a message that say how bad it is.
const LEVELS: [&str; 20] = [
    "trace",
    "debug",
    "info",
    "information",
    "log",
    "notice",
    "warn",
    "warning",
    "error",
    "err",
    "fail",
    "fatal",
    "crit",
    "critical",
    "alert",
    "emerg",
    "emergency",
    "severe",
    "panic",
    "hint",
];
const DAYS_AND_MONTHS: [&str; 19] = [
    "mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep",
    "oct", "nov", "dec",
];

/// One word of a line.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// In lower case.
    pub(super) text: String,
    /// Whether no blank stands between it and the word before.
    pub(super) is_glued: bool,
    /// Whether it is prose: no number, no part of a path, an address, a quotation or a field.
    is_prose: bool,
    /// Where it begins, in bytes.
    at: usize,
}

/// A line, cut into words.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) words: Vec<Word>,
    /// Words at which a message may begin.
    pub(super) starts: Vec<usize>,
    /// Words before which a message may end.
    pub(super) ends: Vec<usize>,
    /// Letters that a pattern has to explain.
    pub(super) letters: usize,
}

impl Line {
    pub(super) fn read(text: &str) -> Self {
        let text = text.get(..text.floor_char_boundary(bounds::LOG_LINE.count())).unwrap_or(text).trim();
        let words = cut(text);
        let from = |at: usize| words.partition_point(|word| word.at < at);
        let (prefixes, behind_class) = prefixes(text);
        let mut starts: Vec<usize> = prefixes.into_iter().map(from).collect();
        let mut ends = vec![words.len()];
        let fields = fields(text);
        let mut message = from(behind_class)..words.len();
        if let (Some(first), Some(last)) = (fields.first(), fields.last()) {
            message = from(first.start)..from(last.end);
            for field in &fields {
                starts.push(from(field.start));
                ends.push(from(field.end));
            }
        }
        let prose = words.get(message).unwrap_or_default().iter().filter(|word| word.is_prose);
        let letters = prose.map(|word| word.text.len()).sum();
        Self { words, starts, ends, letters }
    }
}

/// The words of a text. What follows a backslash in a quoted field is an escape.
fn cut(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut is_glued = false;
    for chunk in chunks(text) {
        let is_data = is_data(chunk.text);
        let mut chars = chunk.text.char_indices().peekable();
        while let Some((start, c)) = chars.next() {
            if c == '\\' && chars.peek().is_some_and(|(_, next)| "nrt\"".contains(*next)) {
                chars.next();
                is_glued = false;
                continue;
            }
            if !is_of_word(c) {
                continue;
            }
            let mut end = start + c.len_utf8();
            while let Some((at, next)) = chars.next_if(|(_, next)| is_of_word(*next)) {
                end = at + next.len_utf8();
            }
            let word = chunk.text.get(start..end).unwrap_or_default();
            let is_prose = !is_data && word.len() > 1 && word.chars().all(char::is_alphabetic);
            words.push(Word { text: word.to_lowercase(), is_glued, is_prose, at: chunk.at + start });
            is_glued = true;
        }
        is_glued = false;
    }
    words
}

/// What stands between blanks.
struct Chunk<'a> {
    text: &'a str,
    at: usize,
}

fn chunks(text: &str) -> impl Iterator<Item = Chunk<'_>> {
    let mut at = 0;
    text.split(char::is_whitespace).filter_map(move |chunk| {
        let start = at;
        // Blanks of more than one byte are found again by the pointer of the next chunk.
        at = start + chunk.len() + text.get(start + chunk.len()..)?.chars().next().map_or(0, char::len_utf8);
        (!chunk.is_empty()).then_some(Chunk { text: chunk, at: start })
    })
}

/// Whether a chunk is a path, an address, an identifier or a field, and no prose.
fn is_data(chunk: &str) -> bool {
    let bare = chunk.trim_matches(|c: char| !c.is_alphanumeric());
    bare.contains(['/', '=', '@', '\\']) || bare.matches('.').count() > 1 || bare.chars().any(|c| c.is_ascii_digit())
}

/// Where a message may begin, in bytes, first to last: behind each part of a log line's prefix; and where it begins behind
/// the class of an error, which is no prefix: the same words as an error of Python or Java are not a phrase of a person.
fn prefixes(text: &str) -> (Vec<usize>, usize) {
    let chunks: Vec<Chunk<'_>> = chunks(text).take(bounds::LOG_WORDS.count()).collect();
    let mut found = vec![0];
    let mut next = 0;
    let mut has_time = false;
    let mut has_program = false;
    while let Some(chunk) = chunks.get(next) {
        let word = chunk.text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let following = chunks.get(next + 1).map_or("", |chunk| chunk.text);
        let taken = if chunk.text.starts_with('[') {
            let inside = chunks.iter().skip(next).take(bounds::BRACKET_WORDS.count());
            inside.take_while(|chunk| !chunk.text.contains(']')).count() + 1
        } else if is_time(chunk.text) || DAYS_AND_MONTHS.contains(&word.as_str()) {
            has_time = true;
            1
        } else if LEVELS.contains(&word.as_str()) || is_severity(&word) || word.is_empty() || is_logger(chunk.text) {
            1
        } else if is_program(chunk.text) || (has_time && !has_program && chunk.text.ends_with(':')) {
            has_program = true;
            1
        } else if has_time && !has_program && following.ends_with(':') && !is_time(following) {
            // A host, then a program.
            has_program = true;
            2
        } else {
            break;
        };
        next += taken;
        match chunks.get(next) {
            Some(chunk) => found.push(chunk.at),
            None => break,
        }
    }
    let mut behind_class = found.last().copied().unwrap_or_default();
    while let Some(chunk) = chunks.get(next).filter(|chunk| is_class(chunk.text)) {
        next += 1;
        behind_class = chunks.get(next).map_or(chunk.at, |chunk| chunk.at);
    }
    (found, behind_class)
}

/// Whether a chunk is a date, a time, a number of seconds or of a process.
fn is_time(chunk: &str) -> bool {
    let mut letters = chunk.chars().filter(|c| c.is_alphabetic());
    // The T, Z, UTC and GMT of times.
    letters.all(|c| "TZUCGM".contains(c)) && chunk.contains(|c: char| c.is_ascii_digit()) && !chunk.contains(['=', '/'])
        || chunk.split('/').count() == 3 && chunk.split('/').all(|part| part.parse::<u16>().is_ok())
}

/// The severity, date and month of Kubernetes' own log lines: `E0102`.
fn is_severity(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(|c| "iwef".contains(c)) && word.len() == 5 && chars.all(|c| c.is_ascii_digit())
}

/// Whether a chunk is the name of a logger: `com.example.Server`.
fn is_logger(chunk: &str) -> bool {
    chunk.matches('.').count() > 1 && chunk.chars().all(|c| c.is_alphabetic() || "._$".contains(c)) && !is_error(chunk)
}

/// Whether a chunk is a class of errors with a colon behind it: `OSError:`, `java.io.IOException:`.
fn is_class(chunk: &str) -> bool {
    chunk.strip_suffix(':').is_some_and(is_error)
}

fn is_error(name: &str) -> bool {
    name.ends_with("Error") || name.ends_with("Exception")
}

/// Whether a chunk names the program that speaks, or the line of its source: `sshd[712]:`, `kernel:`, `server.go:310]`.
fn is_program(chunk: &str) -> bool {
    if chunk.strip_suffix(']').is_some_and(|bare| bare.contains(':')) {
        return true;
    }
    let Some(bare) = chunk.strip_suffix(':') else { return false };
    bare == "kernel" || (bare.ends_with(']') && bare.contains('['))
}

/// The values of a structured line that hold a message: `msg="..."`, `"error": "..."`.
fn fields(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for name in MESSAGE_FIELDS {
        for (at, _) in text.match_indices(name) {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let Some(behind) = text.get(at + name.len()..) else { continue };
            let value = match before {
                Some('"') => behind.strip_prefix("\":").map(str::trim_start),
                None | Some(' ' | '\t' | ',' | '{') => behind.strip_prefix('='),
                _ => None,
            };
            let Some(value) = value else { continue };
            let start = text.len() - value.len();
            let length = match value.strip_prefix('"') {
                Some(quoted) => 1 + closing(quoted),
                None => value.find([' ', ',', '}']).unwrap_or(value.len()),
            };
            found.push(start..start + length);
        }
    }
    found.sort_by_key(|field| field.start);
    found
}

/// Where the quotation ends that begins before a text.
fn closing(quoted: &str) -> usize {
    let mut escaped = false;
    let end = quoted.char_indices().find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    end.map_or(quoted.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message of a line, as its words.
    fn message(text: &str) -> String {
        let line = Line::read(text);
        let from = line.starts.last().copied().unwrap();
        let to = line.ends.last().copied().unwrap();
        let words: Vec<&str> = line.words[from..to].iter().map(|word| word.text.as_str()).collect();
        words.join(" ")
    }

    #[test]
    fn the_prefix_of_a_line_is_no_part_of_its_message() {
        for line in [
            "it broke",
            "[91823.512345] it broke",
            "Nov 30 09:58:15 node-a kernel: [ 4242.1] it broke",
            "2026-11-30T09:58:15.123Z node-a app[712]: it broke",
            "2026/11/30 09:58:15 [crit] 31#31: *7 it broke",
            "E1130 09:58:15.123456    4242 server.go:310] it broke",
            "2026-11-30 09:58:15,123 ERROR [main] com.example.net.Server - it broke",
            "time=\"2026-11-30T09:58:15Z\" level=error msg=\"it broke\"",
            "{\"level\":\"error\",\"ts\":1764496695.1,\"msg\":\"it broke\"}",
        ] {
            assert_eq!(message(line), "it broke", "{line}");
        }
    }

    #[test]
    fn data_in_a_line_need_not_be_explained() {
        let letters = |text: &str| Line::read(text).letters;
        assert_eq!(letters("it broke"), 7);
        assert_eq!(letters("it broke 10.0.0.1:80 /var/lib/x id=7 a1b2c3 net.core.somaxconn"), 7);
        assert_eq!(letters(""), 0);
    }

    #[test]
    fn any_text_is_taken() {
        for text in ["\u{a0}\u{2003}é ß\u{2003}x", "[[[[", "\"msg\":\"", "msg=", "\\", "<n> \\\" \u{1f980}"] {
            let line = Line::read(text);
            assert!(line.ends.iter().all(|end| *end <= line.words.len()), "{text}");
        }
        Line::read(&"[".repeat(1 << 20));
    }
}
