//! The commands that a container runs: its `command` and `args`, and those of a script in them.

use std::collections::BTreeMap;

use super::pods::{Container, Spec};
use super::shell::{self, Command, Then};
use super::tree::Node;
use super::variables::Variable;
use crate::model::bounds;
use crate::model::manifest::Mark;

/// Programs that run a script.
const SHELLS: [&str; 7] = ["sh", "bash", "ash", "dash", "zsh", "ksh", "busybox"];

/// A command.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Each with the place of what holds it.
    pub(super) words: Vec<(String, Mark)>,
    /// What stands behind it in its script.
    pub(super) then: Then,
    /// The file that takes its output.
    pub(super) writes_to: Option<String>,
    /// Whether the shell ends at the first command that fails.
    pub(super) ends_at_failure: bool,
    /// The shell that runs it; none if nothing but the runtime does.
    pub(super) shell: Option<String>,
}

/// The variables of a container with the references between them resolved, as the kubelet does it: `$(NAME)` stands for
/// a variable that was given before.
pub(super) fn variables<'a>(spec: &Spec<'a>, container: Container<'a>) -> Vec<(Variable<'a>, Option<String>)> {
    let mut known = BTreeMap::new();
    let mut all = Vec::new();
    let mut room = bounds::STARTED.count();
    for variable in spec.variables(container) {
        let value = variable.value.and_then(|value| within(&mut room, referred(value, &known)));
        match &value {
            Some(value) => known.insert(variable.name.to_string(), value.clone()),
            None => known.remove(variable.name.as_ref()),
        };
        all.push((variable, value));
    }
    all
}

/// The commands of a container, as far as they stand in it.
pub(super) fn of<'a>(spec: &Spec<'a>, container: Container<'a>) -> Vec<Run> {
    let known = known(&variables(spec, container));
    let lists = ["command", "args"].into_iter().filter_map(|list| container.node.get(list)).flat_map(Node::items);
    let mut room = bounds::STARTED.count();
    let word = |text: &str| within(&mut room, referred(text, &known)).unwrap_or_else(|| text.to_owned());
    let given: Vec<(String, Mark)> = lists
        .filter_map(|item| Some((item.scalar()?, item.mark())))
        .scan(word, |word, (text, mark)| Some((word(text), mark)))
        .collect();
    runs(given, &known)
}

/// The values of variables; of those with one name the last one counts.
pub(super) fn known(variables: &[(Variable<'_>, Option<String>)]) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for (variable, value) in variables {
        match value {
            Some(value) => known.insert(variable.name.to_string(), value.clone()),
            None => known.remove(variable.name.as_ref()),
        };
    }
    known
}

/// The commands of a command line, and those of a script in it.
pub(super) fn runs(given: Vec<(String, Mark)>, known: &BTreeMap<String, String>) -> Vec<Run> {
    let words: Vec<&str> = given.iter().map(|(word, _)| word.as_str()).collect();
    if let Some((at, shell, ends_at_failure)) = script(&words) {
        let Some((script, mark)) = given.get(at) else { return Vec::new() };
        // What follows the script are its arguments.
        let mut ends_at_failure = ends_at_failure;
        let runs = shell::commands(script, known).into_iter().map(|Command { words, then, writes_to }| {
            let is_set = words.first().is_some_and(|word| word == "set");
            ends_at_failure |= is_set && words.iter().any(|word| is_short_option(word, 'e') || word == "errexit");
            let words = words.into_iter().map(|word| (word, *mark)).collect();
            Run { words, then, writes_to, ends_at_failure, shell: Some(shell.to_owned()) }
        });
        return runs.collect();
    }
    match given.is_empty() {
        true => Vec::new(),
        false => vec![Run { words: given, then: Then::Next, writes_to: None, ends_at_failure: true, shell: None }],
    }
}

/// Where the script of `sh -c SCRIPT` is, in whatever starts the shell; the shell, and whether it ends at a failure.
fn script<'a>(words: &[&'a str]) -> Option<(usize, &'a str, bool)> {
    let shell = words.iter().position(|word| SHELLS.contains(&program(word)))?;
    let mut ends_at_failure = false;
    for (at, word) in words.iter().enumerate().skip(shell + 1) {
        ends_at_failure |= is_short_option(word, 'e');
        if is_short_option(word, 'c') {
            let end = words.iter().enumerate().skip(at + 1).find(|(_, word)| **word != "--")?.0;
            return Some((end, program(words.get(shell)?), ends_at_failure));
        }
        if !word.starts_with('-') && !SHELLS.contains(word) {
            return None;
        }
    }
    None
}

/// Whether a word is an option of one letter, alone or among others: `-c`, `-ec`.
fn is_short_option(word: &str, letter: char) -> bool {
    word.strip_prefix('-').is_some_and(|letters| {
        !letters.starts_with('-') && letters.chars().all(char::is_alphabetic) && letters.contains(letter)
    })
}

/// Whether a container is one of `initContainers`.
pub(super) fn prepares(spec: &Spec<'_>, container: Container<'_>) -> bool {
    let before = spec.node.get("initContainers").into_iter().flat_map(Node::items);
    before.into_iter().any(|node| node.mark() == container.node.mark())
}

/// The name of a program without its folder.
pub(super) fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// A text, if there is room for it.
fn within(room: &mut usize, text: String) -> Option<String> {
    *room = room.checked_sub(text.len())?;
    Some(text)
}

/// A text with the references to known variables resolved; `$$` is a dollar sign.
fn referred(text: &str, known: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, dollar) = rest.split_at(at);
        out.push_str(before);
        let reference = dollar.strip_prefix("$(").and_then(|name| name.split_once(')'));
        match (dollar.strip_prefix("$$"), reference) {
            (Some(after), _) => {
                out.push('$');
                rest = after;
            }
            (None, Some((name, after))) if known.contains_key(name) => {
                out.extend(known.get(name).map(String::as_str));
                rest = after;
            }
            _ => {
                out.push('$');
                rest = dollar.strip_prefix('$').unwrap_or_default();
            }
        }
        // What refers to itself grows without end.
        if out.len() > 1 << 16 {
            return out;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_the_kubelet_does_it() {
        let known = [("A".to_owned(), "1".to_owned())].into();
        for (text, expected) in [
            ("$(A)", "1"),
            ("$$(A)", "$(A)"),
            ("$(B)", "$(B)"),
            ("x$(A)$(A)y", "x11y"),
            ("$A", "$A"),
            ("$", "$"),
            ("$(", "$("),
        ] {
            assert_eq!(referred(text, &known), expected, "{text}");
        }
    }

    #[test]
    fn a_script_is_found_in_whatever_starts_the_shell() {
        assert_eq!(script(&["sh", "-c", "x"]), Some((2, "sh", false)));
        assert_eq!(script(&["/sbin/tini", "--", "/bin/bash", "-ec", "x"]), Some((4, "bash", true)));
        assert_eq!(script(&["bash", "-e", "-c", "x"]), Some((3, "bash", true)));
        assert_eq!(script(&["sh", "/start.sh", "-c"]), None);
        assert_eq!(script(&["java", "-Xmx1g"]), None);
    }
}
