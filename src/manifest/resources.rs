//! `resources`: names and amounts that the API server refuses, and those that mean something else than is written.

use super::pods::{Spec, fault};
use super::quantity::{amount, is_milli};
use super::tree::Node;
use super::{is_filled_in_later, shown};
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};

/// What a container can ask for besides hugepages-SIZE and names with a slash.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
/// Amounts of bytes.
const BYTES: [&str; 2] = ["memory", "ephemeral-storage"];

pub(super) fn judge(spec: &Spec<'_>, faults: &mut Vec<Fault>) {
    of(spec.node, &spec.subject(), faults);
    for container in spec.containers() {
        of(container.node, &spec.subject_of(container), faults);
    }
}

fn of(part: Node<'_>, subject: &str, faults: &mut Vec<Fault>) {
    let Some(resources) = part.get("resources") else { return };
    let mut push = |check, outcome, mark: Mark, says: String, change: &str| {
        faults.push(fault(check, outcome, mark, subject.to_owned(), [says, change.to_owned()]));
    };
    for (list, is_limit) in [("limits", true), ("requests", false)] {
        for (key, value) in resources.get(list).into_iter().flat_map(Node::entries) {
            let (Some(name), Some(text)) = (key.scalar(), value.scalar()) else { continue };
            if is_filled_in_later(name) || is_filled_in_later(text) || name == "<<" || value.is_null() {
                continue;
            }
            if !is_resource(name) {
                let says = format!("{} is no resource of a container: the API server refuses it", shown(name));
                let change = match ["nofile", "nproc", "ulimit", "ulimits", "memlock"].contains(&name) {
                    true => super::fields::INSTEAD,
                    false => "delete it; a resource of a device has a name with a slash",
                };
                push("no-such-field", Outcome::Fail, key.mark(), says, change);
            } else if amount(text).is_none() {
                let says = format!("{} is no quantity: the API server refuses it", shown(text));
                push("quantity", Outcome::Fail, value.mark(), says, units(text));
            } else if BYTES.contains(&name) && is_milli(text) {
                let says = format!("{} of {name} is milli, a thousandth of a byte each", shown(text));
                let change = format!("write {}Mi", text.trim_end_matches('m'));
                let outcome = if is_limit { Outcome::Fail } else { Outcome::Warn };
                push("quantity", outcome, value.mark(), says, &change);
            }
        }
    }
    for (key, request) in resources.get("requests").into_iter().flat_map(Node::entries) {
        let Some(name) = key.scalar().filter(|name| is_resource(name)) else { continue };
        let limit = resources.get("limits").and_then(|limits| limits.get(name));
        let (Some(asked), Some(most)) = (request.scalar(), limit.and_then(Node::scalar)) else { continue };
        let milli = |text: &str| BYTES.contains(&name) && is_milli(text);
        if amount(asked) > amount(most) && amount(most).is_some() && !milli(asked) && !milli(most) {
            let says = format!("{name}: the request {asked} is above the limit {most}: the API server refuses the pod");
            push("quantity", Outcome::Fail, request.mark(), says, "a request at most its limit");
        }
    }
}

fn is_resource(name: &str) -> bool {
    STANDARD.contains(&name) || name.starts_with("hugepages-") || name.contains('/')
}

fn units(text: &str) -> &'static str {
    match text.trim_end_matches(['B', 'b']).chars().next_back() {
        Some('g' | 'G') => "write Gi, or G for powers of ten",
        Some('K') => "write Ki, or k for powers of ten",
        _ => "a number with k, M, G, T, P, E, or Ki, Mi, Gi, Ti, Pi, Ei for powers of 1024; m is a thousandth",
    }
}
