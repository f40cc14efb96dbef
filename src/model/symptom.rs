//! Symptoms: log lines and phrases as patterns.
//!
//! Words match whatever their case and the punctuation around them. `<n>` stands for a number, `<addr>` for an address,
//! `<name>` for one name or path, `<text>` for any words or none. A `^` at the beginning means that nothing but a log
//! line's prefix stands before, a `$` at the end that nothing stands behind.

use serde::{Deserialize, Serialize};

/// What looks like a symptom and is none.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Lookalike {
    /// A pattern.
    pub line: &'static str,
    /// What it is.
    pub is: &'static str,
    /// Whether the rules that explain the line as well may be its cause, too: then it comes first, and they stay.
    pub is_one_of_several: bool,
}

/// One part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A word, in lower case.
    Word(String),
    /// A number, with a unit or without: `1024`, `5ms`, `1.5`.
    Number,
    /// An address or a host, with a port or without.
    Address,
    /// Something without a blank in it: a process, a path, a unit.
    Name,
    /// Any words, none as well.
    Text,
}

/// A pattern of a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// In their order, at least one of them a word.
    pub parts: Vec<Part>,
    /// Whether nothing may stand before it.
    pub from_start: bool,
    /// Whether nothing may stand behind it.
    pub to_end: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is malformed in it, and what would be right.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let text = plain(typed);
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            parts.extend(words(before).map(Part::Word));
            let (name, behind) = after.split_once('>').ok_or_else(|| format!("{typed:?}: a < has no > behind it"))?;
            parts.push(match name {
                "n" => Part::Number,
                "addr" => Part::Address,
                "name" => Part::Name,
                "text" => Part::Text,
                _ => return Err(format!("{typed:?}: <{name}> is none of <n>, <addr>, <name>, <text>")),
            });
            rest = behind;
        }
        parts.extend(words(rest).map(Part::Word));
        if !parts.iter().any(|part| matches!(part, Part::Word(_))) {
            return Err(format!("{typed:?} has no word that could be found in a line"));
        }
        if matches!(parts.first(), Some(Part::Text)) || matches!(parts.last(), Some(Part::Text)) {
            return Err(format!("{typed:?}: <text> stands between words; at an end it says nothing"));
        }
        Ok(Self { parts, from_start: typed.starts_with('^'), to_end: typed.ends_with('$') })
    }

    /// The words of it, in lower case.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Word(word) => Some(word.as_str()),
            _ => None,
        })
    }
}

/// A pattern as people read it.
pub fn shown(typed: &str) -> String {
    plain(typed).replace("<text>", " ... ")
}

/// A pattern without the marks of its ends.
pub fn plain(typed: &str) -> &str {
    let typed = typed.strip_prefix('^').unwrap_or(typed);
    typed.strip_suffix('$').unwrap_or(typed)
}

/// The words of a text in lower case: runs of letters, digits and underscores.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !is_of_word(c)).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// Whether a character belongs to a word.
pub fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_words_and_placeholders() {
        let word = |word: &str| Part::Word(word.to_owned());
        let pattern = Pattern::parse("^cannot bind <addr>:0: Address<text>in use$").unwrap();
        let parts = [
            word("cannot"),
            word("bind"),
            Part::Address,
            word("0"),
            word("address"),
            Part::Text,
            word("in"),
            word("use"),
        ];
        assert_eq!((pattern.parts.as_slice(), pattern.from_start, pattern.to_end), (parts.as_slice(), true, true));
        assert_eq!(plain("^EMFILE$"), "EMFILE");
    }

    #[test]
    fn a_malformed_pattern_is_refused_with_its_reason() {
        for (typed, reason) in [
            ("port <number>", "<number> is none of <n>, <addr>, <name>, <text>"),
            ("port <n", "no > behind it"),
            ("<n> <addr>", "no word"),
            ("", "no word"),
            ("!?", "no word"),
            ("<text>failed", "at an end"),
            ("failed <text>", "at an end"),
        ] {
            let said = Pattern::parse(typed).unwrap_err();
            assert!(said.contains(reason), "{typed}: {said}");
        }
    }
}
