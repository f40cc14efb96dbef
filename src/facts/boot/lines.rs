//! The assignments in configuration files, in the order in which one reader writes them.
//!
//! Each of these was tried with systemd-sysctl 252 and with sysctl of procps 4.0.2.

use std::collections::{BTreeMap, HashMap};

use super::super::text;
use crate::host::Host;
use crate::model::bounds::{self, Bound};
use crate::model::fact::{Cause, Gap, Value};
use crate::model::sysctl::{self, pattern, variable};

use super::files::LAST_OF_PROCPS;

/// Who applies the files at boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// systemd-sysctl keeps one assignment for each name. A later one takes the place of an earlier one and goes to the
    /// end, unless it gives the same value: then it stays where the earlier one was.
    Systemd,
    /// `sysctl --system` of procps writes every line.
    Procps,
    /// TuneD, after its profile: every line, but a name is no pattern and no path to it, and a minus is a part of the name.
    Tuned,
}

/// One assignment.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The name with dots; maybe a pattern.
    pub(super) name: String,
    /// None for a line that only keeps patterns off that name.
    pub(super) value: Option<String>,
    /// `file:line`.
    pub(super) at: String,
    /// Whether its author asked to ignore that it fails.
    pub(super) quiet: bool,
}

/// A line that names a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// `file:line`.
    pub(super) at: String,
    /// The name; with a minus before it where the line gives no value and only keeps patterns off that name. To
    /// systemd-sysctl it takes the place of every earlier line of that name, so that nothing sets it.
    pub(super) name: String,
}

/// What one reader writes, in order.
#[derive(Clone)]
pub(super) struct Order {
    reader: Reader,
    lines: Vec<Option<Line>>,
    /// Where the last assignment of each name stands.
    last: HashMap<String, usize>,
    /// Where names of a variable are written, by variable.
    by_variable: BTreeMap<String, Vec<usize>>,
    /// Where patterns are written.
    patterns: Vec<usize>,
    /// The line that was read last of those that name a variable: a line that gives what an earlier one gives is
    /// written in the place of that one, but is read last all the same.
    read_last: BTreeMap<String, Named>,
    /// Why a file could not be read that may have set anything that no later file sets.
    pub(super) doubt: Option<Gap>,
}

impl Order {
    pub(super) fn of(reader: Reader) -> Self {
        Self {
            reader,
            lines: Vec::new(),
            last: HashMap::new(),
            by_variable: BTreeMap::new(),
            patterns: Vec::new(),
            read_last: BTreeMap::new(),
            doubt: None,
        }
    }

    /// Takes the assignments of one more file. A link that leads nowhere sets nothing.
    pub(super) fn read(&mut self, host: &dyn Host, path: &str) {
        match host.read(path) {
            Ok(bytes) => self.apply(path, &bytes),
            Err(refusal) if refusal.is_absent() => {}
            Err(refusal) => self.doubt(refusal.gap(path)),
        }
    }

    /// Forgets what a file that could not be read may have changed.
    pub(super) fn doubt(&mut self, gap: Gap) {
        *self = Self { doubt: Some(gap), ..Self::of(self.reader) };
    }

    /// Takes the assignments in these bytes.
    pub(super) fn apply(&mut self, path: &str, bytes: &[u8]) {
        for (number, line) in text(bytes).split('\n').enumerate() {
            if let Some((name, value, quiet)) = assignment(line, self.reader) {
                if bounds::LINES.is_exceeded_by(self.lines.len() + 1) {
                    return self.doubt(too_much(path, "lines", bounds::LINES));
                }
                if is_pattern(&name) && bounds::PATTERNS.is_exceeded_by(self.patterns.len() + 1) {
                    return self.doubt(too_much(path, "patterns", bounds::PATTERNS));
                }
                self.take(Line { name, value, at: format!("{path}:{}", number + 1), quiet });
            }
        }
    }

    fn take(&mut self, line: Line) {
        let name = match &line.value {
            Some(_) => line.name.clone(),
            None => format!("-{}", line.name),
        };
        // What only keeps patterns off a name takes nothing from a line that procps writes.
        if !is_pattern(&line.name) && (line.value.is_some() || self.reader == Reader::Systemd) {
            let variable = variable::variable(&line.name).0.into_owned();
            self.read_last.insert(variable, Named { at: line.at.clone(), name });
        }
        if self.reader == Reader::Systemd
            && let Some(at) = self.last.get(&line.name).copied()
            && let Some(earlier) = self.lines.get_mut(at)
        {
            match earlier {
                Some(earlier) if earlier.value == line.value => {
                    earlier.quiet |= line.quiet;
                    earlier.at = line.at;
                    return;
                }
                _ => *earlier = None,
            }
        }
        self.write(line);
    }

    /// Takes what another reader writes after this one.
    pub(super) fn follow(&mut self, other: &Self) {
        if let Some(gap) = &other.doubt {
            self.doubt(gap.clone());
        }
        for line in other.lines.iter().flatten() {
            if bounds::LINES.is_exceeded_by(self.lines.len() + 1) {
                return self.doubt(too_much(&line.at, "lines", bounds::LINES));
            }
            let named = Named { at: line.at.clone(), name: line.name.clone() };
            let variable = variable::variable(&line.name).0.into_owned();
            // A file that sorts after those of the first reader is the last one for both, but for the one that has no order.
            match is_line_of(&line.at, LAST_OF_PROCPS) {
                true => _ = self.read_last.insert(variable, named),
                false => _ = self.read_last.entry(variable).or_insert(named),
            }
            self.write(line.clone());
        }
    }

    /// Leaves out the lines of other names.
    pub(super) fn of_names(mut self, is_one: impl Fn(&str) -> bool) -> Self {
        let lines = std::mem::take(&mut self.lines);
        let mut kept = Self { doubt: self.doubt, ..Self::of(self.reader) };
        for line in lines.into_iter().flatten().filter(|line| is_one(&line.name)) {
            kept.take(line);
        }
        kept
    }

    fn write(&mut self, line: Line) {
        let at = self.lines.len();
        self.last.insert(line.name.clone(), at);
        match is_pattern(&line.name) {
            true => self.patterns.push(at),
            false => self.by_variable.entry(variable::variable(&line.name).0.into_owned()).or_default().push(at),
        }
        self.lines.push(Some(line));
    }

    /// Whether the reader does not write a line, since that is what is there: systemd looks first (tried
    /// with 252), and compares the text.
    pub(super) fn is_left_out(&self, line: &Line, before: Option<&Value>) -> bool {
        self.reader == Reader::Systemd && before.is_some_and(|before| line.value.as_deref() == Some(&before.plain()))
    }

    /// Every variable that a line names.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.by_variable.keys().map(String::as_str)
    }

    /// Whether a line sets this very name.
    pub(super) fn names(&self, name: &str) -> bool {
        let line = self.last.get(name).and_then(|at| self.lines.get(*at));
        line.is_some_and(|line| line.as_ref().is_some_and(|line| line.value.is_some()))
    }

    /// The line that names a variable and is read after every other one that does.
    pub(super) fn read_last(&self, variable: &str) -> Option<&Named> {
        self.read_last.get(variable)
    }

    /// Whether a file has lines in it.
    pub(super) fn has_lines_of(&self, path: &str) -> bool {
        self.lines.iter().flatten().any(|line| is_line_of(&line.at, path))
    }

    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The lines that write one of these names, in order: those that name one, and patterns that fit one that no line
    /// names. With each the name that it writes.
    pub(super) fn writes<'a>(&'a self, variables: &[&str], names: &'a [String]) -> Vec<(&'a Line, &'a str)> {
        let named = variables.iter().filter_map(|variable| self.by_variable.get(*variable)).flatten().copied();
        // An exact name in a file that was not read would beat a pattern in one that was.
        let patterns = self.patterns.iter().copied().filter(|_| self.doubt.is_none());
        let mut at: Vec<usize> = named.chain(patterns).collect();
        at.sort_unstable();
        let mut writes = Vec::new();
        let writing = at.into_iter().filter_map(|at| self.lines.get(at)?.as_ref().filter(|line| line.value.is_some()));
        for line in writing {
            if is_pattern(&line.name) {
                let free = |name: &&String| !self.last.contains_key(*name) && fits(&line.name, name);
                writes.extend(names.iter().filter(free).map(|name| (line, name.as_str())));
            } else {
                writes.extend(names.iter().filter(|name| **name == line.name).map(|name| (line, name.as_str())));
            }
        }
        writes
    }
}

/// Whether `file:line` is a line of a file.
pub(super) fn is_line_of(at: &str, path: &str) -> bool {
    at.strip_prefix(path).is_some_and(|line| line.starts_with(':'))
}

fn too_much(path: &str, what: &str, most: Bound) -> Gap {
    Gap::new(
        Cause::Unsupported,
        format!("{path} and those before it have more than {most} {what} (tunecheck help limits)"),
    )
}

/// Name, value and whether failing is to be ignored; none for a line that is no assignment.
fn assignment(line: &str, reader: Reader) -> Option<(String, Option<String>, bool)> {
    // Blanks of other scripts, such as the no-break space, belong to the name.
    let line = line.trim_ascii();
    if line.starts_with(['#', ';']) {
        return None;
    }
    if reader == Reader::Tuned {
        let (name, value) = line.split_once('=')?;
        let name = name.trim();
        let is_plain = !name.starts_with('-') && !is_pattern(name) && !sysctl::is_path(name);
        return is_plain.then(|| (sysctl::dotted(name), Some(value.trim().to_owned()), false));
    }
    let bare = line.strip_prefix('-');
    // A leading minus is no part of the name: before an assignment it asks to ignore errors, without one it keeps
    // patterns off that name. procps takes no blank behind it.
    if reader == Reader::Procps && bare.is_some_and(|rest| rest.starts_with([' ', '\t'])) {
        return None;
    }
    let (name, value) = match bare.unwrap_or(line).split_once('=') {
        Some((name, value)) => (name, Some(value.trim_ascii().to_owned())),
        None if bare.is_some() => (bare?, None),
        None => return None,
    };
    Some((sysctl::dotted(name.trim_ascii()), value, bare.is_some()))
}

/// Whether a name stands for several.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '['])
}

/// Whether a name fits a pattern, part by part: `*` stands for any text within a part, `?` for one character. `[...]`
/// may stand for any one character, so that no name it means is missed.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    pattern.split('.').count() == name.split('.').count()
        && pattern.split('.').zip(name.split('.')).all(|(pattern, part)| pattern::fits(pattern, part))
}
