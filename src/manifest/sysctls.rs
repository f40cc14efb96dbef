//! `spec.securityContext.sysctls`: a list of names and values, and what the API server says to another form.

use std::collections::BTreeMap;

use super::pods::{Spec, fault};
use super::tree::Node;
use super::{Options, admission, shown};
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};
use crate::model::sysctl::dotted;

/// A sysctl that a pod gets, with a value that is text.
#[derive(Clone, Debug)]
pub(super) struct Sysctl<'a> {
    /// With dots.
    pub(super) name: String,
    pub(super) value: &'a str,
    /// Where the value stands.
    pub(super) mark: Mark,
}

pub(super) fn judge<'a>(spec: &Spec<'a>, options: Options<'_>, faults: &mut Vec<Fault>) -> Vec<Sysctl<'a>> {
    let list = spec.node.get("securityContext").and_then(|context| context.get("sysctls"));
    let entries = list.filter(|list| !list.is_null()).map_or_else(Vec::new, |list| entries(list, spec, faults));
    let mut taken: Vec<Sysctl<'a>> = Vec::new();
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for entry in entries {
        let mut push = |check, outcome, mark, says: String, change: String| {
            faults.push(fault(check, outcome, mark, spec.subject(), [says, change]));
        };
        let value = entry.get("value").filter(|value| !value.is_null());
        if let Some(value) = value.filter(|value| value.text().is_none()) {
            let text = value.scalar().map_or("what stands there".to_owned(), shown);
            let says = format!("the value of a sysctl is text, and {text} is not: the API server refuses it");
            push("quotes", Outcome::Fail, value.mark(), says, "put it in quotes".to_owned());
        }
        let node = entry.get("name").filter(|name| !name.is_null());
        if node.is_some_and(Node::is_placeholder) {
            continue;
        }
        let Some((node, written)) = node.and_then(|node| Some((node, node.scalar().filter(|text| !text.is_empty())?)))
        else {
            let says = "a sysctl without a name: the API server refuses it".to_owned();
            push("name", Outcome::Fail, entry.mark(), says, "name it, or delete it".to_owned());
            continue;
        };
        let name = dotted(written);
        if !is_valid(written) {
            let says = format!("{} is no name of a sysctl: the API server refuses it", shown(written));
            push("name", Outcome::Fail, node.mark(), says, "lower-case words with dots between them".to_owned());
            continue;
        }
        match names.get(&name) {
            Some(same) if *same == written => {
                let says = format!("{} is there twice: the API server refuses it", shown(&name));
                push("duplicate", Outcome::Fail, node.mark(), says, "keep one of them".to_owned());
                continue;
            }
            Some(_) => {
                let says =
                    format!("{} is there twice, in two forms: which value the pod gets is not defined", shown(&name));
                push("duplicate", Outcome::Warn, node.mark(), says, "keep one of them, with dots".to_owned());
                continue;
            }
            None => _ = names.insert(name.clone(), written),
        }
        if value.is_none_or(|value| value.text().is_some_and(|text| text.trim().is_empty())) {
            let says = format!("{} has no value: nothing is set", shown(&name));
            push("sysctl-value", Outcome::Warn, node.mark(), says, "give it a value, in quotes".to_owned());
        }
        if let Some((check, outcome, [says, change])) = admission::judge(&name, written, spec, options) {
            push(check, outcome, node.mark(), says, change);
        }
        let value = value.filter(|value| !value.is_placeholder());
        if let Some((value, text)) = value.and_then(|value| Some((value, value.text()?))) {
            taken.push(Sysctl { name, value: text, mark: value.mark() });
        }
    }
    taken
}

/// The entries of a list; what has another form is told.
fn entries<'a>(list: Node<'a>, spec: &Spec<'a>, faults: &mut Vec<Fault>) -> Vec<Node<'a>> {
    let mut push = |mark, what: &str, example: String| {
        let says = format!("sysctls is a list of maps with name and value, and {what}: the API server refuses it");
        faults.push(fault("sysctl-form", Outcome::Fail, mark, spec.subject(), [says, format!("write {example}")]));
    };
    if !list.is_list() {
        let (what, pair) = match list.entries().next() {
            Some((name, value)) => ("this is a map", name.scalar().zip(value.scalar())),
            None => ("this is none", None),
        };
        push(list.mark(), what, example(pair));
        return Vec::new();
    }
    for entry in list.items().filter(|entry| !entry.is_map()) {
        push(entry.mark(), "this entry is no map", example(entry.scalar().and_then(|text| text.split_once('='))));
    }
    list.items().filter(|entry| entry.is_map()).collect()
}

fn example(pair: Option<(&str, &str)>) -> String {
    let readable = |(name, value): &(&str, &str)| is_valid(name.trim()) && value.len() < 40 && !value.contains('"');
    let (name, value) = pair.filter(readable).unwrap_or(("net.core.somaxconn", "4096"));
    format!("- {{name: {}, value: \"{}\"}}", name.trim(), value.trim())
}

/// What the API server takes as a name (`SysctlContainSlashFmt`).
fn is_valid(name: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let word = |word: &str| {
        let ends = [word.bytes().next(), word.bytes().next_back()];
        ends.into_iter().all(|byte| byte.is_some_and(lower))
            && word.bytes().all(|byte| lower(byte) || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split(['.', '/']).all(word)
}
