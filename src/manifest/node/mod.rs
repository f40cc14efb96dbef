//! Configurations of a node's kubelet and kube-proxy: what they refuse, and what they read over.

mod kube_proxy;
mod kubelet;

pub(super) use kube_proxy::{MOST_CONNTRACK, flags};

use super::pods::{Object, fault};
use super::tree::Node;
use super::{Options, is_filled_in_later, shown};
use crate::model::finding::Outcome;
use crate::model::manifest::Fault;

/// Units of a duration (Go's time.ParseDuration).
const SECONDS: [(&str, f64); 8] = [
    ("h", 3600.0),
    ("m", 60.0),
    ("s", 1.0),
    ("ms", 1e-3),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("\u{3bc}s", 1e-6),
    ("ns", 1e-9),
];

/// Judges a configuration; whether it is one.
pub(super) fn judge(object: Object<'_>, options: Options<'_>, faults: &mut Vec<Fault>) -> bool {
    match (object.group(), object.kind()) {
        ("kubelet.config.k8s.io", kubelet::KIND) => kubelet::judge(object.node(), options, faults),
        ("kubeproxy.config.k8s.io", kube_proxy::KIND) => kube_proxy::judge(object.node(), options, faults),
        _ => return false,
    }
    true
}

/// Seconds of a duration as Go writes it: `24h0m0s`, `1h30m`, `20m`.
fn seconds(text: &str) -> Option<f64> {
    if text == "0" {
        return Some(0.0);
    }
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, after) = behind.split_at(end);
        sum += number.parse::<f64>().ok()? * SECONDS.iter().find(|(name, _)| *name == unit)?.1;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

/// A whole number with its place. What is text is told: neither program takes it for a number.
fn number<'a>(
    (kind, who, part): (&str, &str, &'static str),
    map: Node<'a>,
    name: &str,
    faults: &mut Vec<Fault>,
) -> Option<(Node<'a>, i64)> {
    let node = map.get(name).filter(|node| !node.is_null())?;
    let written = node.scalar().filter(|text| !is_filled_in_later(text))?;
    if node.text().is_some() {
        let dot = if part.is_empty() { "" } else { "." };
        let says = format!("{part}{dot}{name} is a number, and {} is text: {who} does not start", shown(written));
        let check = if part.is_empty() { "kubelet" } else { part };
        faults.push(fault(
            check,
            Outcome::Fail,
            node.mark(),
            kind.to_owned(),
            [says, "a number without quotes".to_owned()],
        ));
        return None;
    }
    Some((node, written.parse().ok()?))
}
