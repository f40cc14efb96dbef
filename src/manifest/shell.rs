//! The simple commands of a script for a POSIX shell, as far as they can be told without running it.
//!
//! Variables whose value is known are put in; of others the reference stays, so that a word with a `$` is one that is not
//! known. Commands in `$(...)`, here-documents and what redirections name are no words.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use crate::model::bounds;

/// Words that stand before a command and are none.
const RESERVED: [&str; 12] = ["if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "fi", "done"];

/// What stands behind a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Then {
    /// The next one runs whatever this one says, or there is none.
    #[default]
    Next,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// A simple command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) words: Vec<String>,
    pub(super) then: Then,
    /// The file that takes its output.
    pub(super) writes_to: Option<String>,
}

/// The commands of a script in the order in which they stand.
pub(super) fn commands(script: &str, variables: &BTreeMap<String, String>) -> Vec<Command> {
    let rest = script.chars().peekable();
    let mut reader =
        Reader { rest, variables, room: bounds::STARTED.count(), done: Vec::new(), open: Command::default() };
    reader.read();
    reader.done
}

/// The words of a text as a shell divides it, for programs that read their variables so.
pub(super) fn words(text: &str) -> Vec<String> {
    let nothing = BTreeMap::new();
    let all = commands(&text.replace(['\n', ';', '&', '|', '<', '>', '(', ')', '#'], " "), &nothing);
    all.into_iter().flat_map(|command| command.words).collect()
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    variables: &'a BTreeMap<String, String>,
    /// Bytes of values that may still be put in.
    room: usize,
    done: Vec<Command>,
    open: Command,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(&next) = self.rest.peek() {
            match next {
                ' ' | '\t' | '\r' => {
                    self.rest.next();
                }
                '#' => self.skip_line(),
                '\n' | ';' | '(' | ')' => {
                    self.rest.next();
                    self.end(Then::Next);
                }
                '&' | '|' => {
                    self.rest.next();
                    let is_double = self.rest.next_if_eq(&next).is_some();
                    self.end(match (next, is_double) {
                        ('&', true) => Then::And,
                        ('|', true) => Then::Or,
                        _ => Then::Next,
                    });
                }
                '<' | '>' => self.redirection(),
                _ => self.word(),
            }
        }
        self.end(Then::Next);
    }

    fn end(&mut self, then: Then) {
        let mut command = std::mem::take(&mut self.open);
        command.then = then;
        let reserved = command.words.iter().take_while(|word| RESERVED.contains(&word.as_str())).count();
        command.words.drain(..reserved);
        if !command.words.is_empty() {
            self.done.push(command);
        }
    }

    fn skip_line(&mut self) {
        while self.rest.next_if(|c| *c != '\n').is_some() {}
    }

    /// `> file`, `2>&1`, `<<EOF`: what it names is no word of the command.
    fn redirection(&mut self) {
        let mut sign = String::new();
        while let Some(c) = self.rest.next_if(|c| "<>&|-".contains(*c)) {
            sign.push(c);
        }
        let before = self.open.words.len();
        while self.rest.next_if(|c| " \t".contains(*c)).is_some() {}
        if self.rest.peek().is_some_and(|c| !"\n;&|()<>".contains(*c)) {
            self.word();
        }
        let named = self.open.words.drain(before..).next();
        match named {
            Some(mark) if sign.starts_with("<<") && !sign.starts_with("<<<") => self.skip_here_document(&mark),
            Some(file) if sign == ">" || sign == ">>" => self.open.writes_to = Some(file),
            _ => {}
        }
    }

    fn skip_here_document(&mut self, mark: &str) {
        self.skip_line();
        loop {
            self.rest.next();
            let mut line = String::new();
            while let Some(c) = self.rest.next_if(|c| *c != '\n') {
                line.push(c);
            }
            if line.trim() == mark || self.rest.peek().is_none() {
                return;
            }
        }
    }

    /// One word, or several where a variable holds blanks.
    fn word(&mut self) {
        let mut word = String::new();
        let mut is_word = false;
        while let Some(&next) = self.rest.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' => break,
                '<' | '>' => {
                    // A number before it is the descriptor's.
                    if word.bytes().all(|byte| byte.is_ascii_digit()) {
                        (word, is_word) = (String::new(), false);
                    }
                    break;
                }
                '\'' => {
                    self.rest.next();
                    is_word = true;
                    word.extend(self.rest.by_ref().take_while(|c| *c != '\''));
                }
                '"' => {
                    self.rest.next();
                    is_word = true;
                    self.in_quotes(&mut word);
                }
                '\\' => {
                    self.rest.next();
                    match self.rest.next() {
                        Some('\n') | None => {}
                        Some(c) => {
                            is_word = true;
                            word.push(c);
                        }
                    }
                }
                '$' => {
                    let (value, is_known) = self.variable();
                    if !is_known {
                        is_word = true;
                        word.push_str(&value);
                        continue;
                    }
                    let mut parts = value.split_ascii_whitespace().peekable();
                    if value.starts_with(|c: char| c.is_ascii_whitespace()) && is_word {
                        self.open.words.push(std::mem::take(&mut word));
                    }
                    while let Some(part) = parts.next() {
                        word.push_str(part);
                        is_word = true;
                        if parts.peek().is_some() || value.ends_with(|c: char| c.is_ascii_whitespace()) {
                            self.open.words.push(std::mem::take(&mut word));
                            is_word = false;
                        }
                    }
                }
                '`' => {
                    self.rest.next();
                    self.rest.by_ref().take_while(|c| *c != '`').for_each(drop);
                    is_word = true;
                    word.push('$');
                }
                c => {
                    self.rest.next();
                    is_word = true;
                    word.push(c);
                }
            }
        }
        if is_word {
            self.open.words.push(word);
        }
    }

    fn in_quotes(&mut self, word: &mut String) {
        while let Some(&next) = self.rest.peek() {
            match next {
                '"' => {
                    self.rest.next();
                    return;
                }
                '$' => word.push_str(&self.variable().0),
                '\\' => {
                    self.rest.next();
                    match self.rest.next() {
                        Some('\n') | None => {}
                        Some(c) if "\"\\$`".contains(c) => word.push(c),
                        Some(c) => word.extend(['\\', c]),
                    }
                }
                c => {
                    self.rest.next();
                    word.push(c);
                }
            }
        }
    }

    /// What begins with a `$`: the value of a variable, or the reference as it is.
    fn variable(&mut self) -> (String, bool) {
        self.rest.next();
        let mut name = String::new();
        match self.rest.peek() {
            Some('(') => {
                self.skip_brackets();
                return ("$()".to_owned(), false);
            }
            Some('{') => {
                self.rest.next();
                name.extend(self.rest.by_ref().take_while(|c| *c != '}'));
            }
            _ => {
                while let Some(c) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
            }
        }
        let (plain, default) = name.split_once(":-").map_or((name.as_str(), None), |(name, or)| (name, Some(or)));
        let value = self.variables.get(plain).filter(|value| default.is_none() || !value.is_empty());
        match value.and_then(|value| Some((value, self.room.checked_sub(value.len())?))) {
            Some((value, room)) => {
                self.room = room;
                (value.clone(), true)
            }
            None => (format!("${name}"), false),
        }
    }

    fn skip_brackets(&mut self) {
        let mut deep = 0_usize;
        for c in self.rest.by_ref() {
            match c {
                '(' => deep += 1,
                ')' => deep -= 1,
                _ => {}
            }
            if deep == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(script: &str) -> Vec<String> {
        let variables = [("HEAP", "-Xmx2g -Xms1g"), ("ONE", "1")].map(|(name, value)| (name.into(), value.into()));
        commands(script, &variables.into()).iter().map(|command| command.words.join("|")).collect()
    }

    #[test]
    fn scripts_are_divided_as_a_shell_does_it() {
        let cases: [(&str, &[&str]); 14] = [
            ("set -e\nexec java \\\n  -Xmx2g \\\n  -jar a.jar\n", &["set|-e", "exec|java|-Xmx2g|-jar|a.jar"]),
            ("a && b || c; d & e | f", &["a", "b", "c", "d", "e", "f"]),
            ("java $HEAP -jar a", &["java|-Xmx2g|-Xms1g|-jar|a"]),
            ("java \"$HEAP\" '$HEAP' ${HEAP:-x}", &["java|-Xmx2g -Xms1g|$HEAP|-Xmx2g|-Xms1g"]),
            ("java $OTHER x${ONE}y", &["java|$OTHER|x1y"]),
            ("echo \"$(nproc)\" `id` $((1 + 2))", &["echo|$()|$|$()"]),
            ("a > /dev/null 2>&1 b < in", &["a|b"]),
            ("cat <<EOF > x\nsysctl -w a=b\nEOF\nreal", &["cat", "real"]),
            ("a # not b\nc", &["a", "c"]),
            ("if [ -x /opt/java ]; then java -Xmx1g; fi", &["[|-x|/opt/java|]", "java|-Xmx1g"]),
            ("(cd / && run)", &["cd|/", "run"]),
            ("-XX:OnOutOfMemoryError=\"kill -9 %p\" -Xmx\"2g\"", &["-XX:OnOutOfMemoryError=kill -9 %p|-Xmx2g"]),
            ("echo 8 > /proc/sys/vm/x", &["echo|8"]),
            ("", &[]),
        ];
        for (script, expected) in cases {
            assert_eq!(read(script), expected, "{script:?}");
        }
        for odd in ["'", "\"", "\\", "$", "${", "$(", "`", "<<", "<<E", ">", "&", "$((", "a=$"] {
            read(odd);
        }
    }

    #[test]
    fn a_short_script_does_not_stand_for_any_amount() {
        let known = [("A".to_owned(), "x".repeat(1 << 16))].into();
        let all = commands(&"$A \"$A\"\n".repeat(1 << 12), &known);
        let bytes: usize = all.iter().flat_map(|command| &command.words).map(String::len).sum();
        assert!((bounds::STARTED.count() / 2..=bounds::STARTED.count() + (1 << 16)).contains(&bytes), "{bytes}");
    }

    #[test]
    fn what_follows_a_command_is_told() {
        let then: Vec<Then> = commands("a && b || c; d", &BTreeMap::new()).iter().map(|command| command.then).collect();
        assert_eq!(then, [Then::And, Then::Or, Then::Next, Then::Next]);
    }
}
