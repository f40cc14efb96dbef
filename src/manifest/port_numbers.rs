//! Ports that are none: what the API server says to a number, or a name, where it wants a port.

use std::collections::BTreeSet;

use super::pods::{Object, Spec, fault};
use super::tree::Node;
use super::{is_filled_in_later, shown};
use crate::model::finding::Outcome;
use crate::model::manifest::Fault;

/// Handlers of a container that ask a port.
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const HOOKS: [&str; 2] = ["postStart", "preStop"];
/// The longest name of a port (IANA_SVC_NAME).
const LONGEST_NAME: usize = 15;

/// What the API server takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Number,
    /// 0 is as if nothing stood there.
    NumberOrNone,
    NumberOrName,
    /// 0 and nothing are the port of the Service.
    NumberOrNameOrNone,
}

pub(super) fn judge(spec: &Spec<'_>, faults: &mut Vec<Fault>) {
    for container in spec.containers() {
        let mut told = Vec::new();
        let mut names = BTreeSet::new();
        for port in container.node.get("ports").into_iter().flat_map(Node::items) {
            told.extend(wrong(port, "containerPort", Takes::Number));
            told.extend(wrong(port, "hostPort", Takes::NumberOrNone));
            told.extend(wrong_name(port, &mut names));
        }
        let hooks = HOOKS.into_iter().filter_map(|hook| container.node.get("lifecycle")?.get(hook));
        for handler in PROBES.into_iter().filter_map(|probe| container.node.get(probe)).chain(hooks) {
            for (kind, takes) in
                [("httpGet", Takes::NumberOrName), ("tcpSocket", Takes::NumberOrName), ("grpc", Takes::Number)]
            {
                told.extend(handler.get(kind).and_then(|action| wrong(action, "port", takes)));
            }
        }
        // Other APIs may have a port as text.
        for (node, texts) in told.into_iter().filter(|(node, _)| spec.is_of_kubernetes() || node.text().is_none()) {
            faults.push(fault("ports", Outcome::Fail, node.mark(), spec.subject_of(container), texts));
        }
    }
}

/// Judges the ports of the node that the containers of a pod take together: those that start one after the other may
/// have the same.
pub(super) fn on_node(spec: &Spec<'_>, faults: &mut Vec<Fault>) {
    let mut taken = BTreeSet::new();
    let containers = || spec.node.get("containers").into_iter().flat_map(Node::items);
    let mut ports = containers().filter_map(|container| container.get("ports")).flat_map(Node::items);
    let word = |port: Node<'_>, field: &str| port.get(field).and_then(Node::scalar).unwrap_or_default().to_owned();
    let number = |port: Node<'_>, field: &str| port.get(field)?.scalar()?.parse::<u16>().ok().filter(|port| *port > 0);
    let twice = ports.find_map(|port| {
        let host = number(port, "hostPort");
        let field = if host.is_some() { "hostPort" } else { "containerPort" };
        let number = host.or_else(|| number(port, "containerPort").filter(|_| spec.is("hostNetwork")))?;
        let protocol = Some(word(port, "protocol")).filter(|name| !name.is_empty()).unwrap_or("TCP".to_owned());
        let is_new = taken.insert((protocol.clone(), word(port, "hostIP"), number));
        (!is_new).then(|| (port.get(field).unwrap_or(port), protocol, number))
    });
    let Some((node, protocol, number)) = twice else { return };
    let says = format!(
        "port {number} of the node is taken twice by this pod ({}): the API server refuses it",
        shown(&protocol)
    );
    let texts =
        [says, "a port of its own for each container; with hostNetwork: true each containerPort is one".to_owned()];
    faults.push(fault("ports", Outcome::Fail, node.mark(), spec.subject(), texts));
}

/// Judges the ports of a Service.
pub(super) fn service(object: Object<'_>, faults: &mut Vec<Fault>) {
    if (object.group(), object.kind()) != ("", "Service") {
        return;
    }
    let ports = object.node().get("spec").and_then(|spec| spec.get("ports"));
    for port in ports.into_iter().flat_map(Node::items) {
        for (field, takes) in
            [("port", Takes::Number), ("targetPort", Takes::NumberOrNameOrNone), ("nodePort", Takes::NumberOrNone)]
        {
            if let Some((node, texts)) = wrong(port, field, takes) {
                let subject = format!("Service/{}", shown(object.name()));
                faults.push(fault("ports", Outcome::Fail, node.mark(), subject, texts));
            }
        }
    }
}

/// What is wrong with the name of a container's port; each may be there once.
fn wrong_name<'a>(port: Node<'a>, names: &mut BTreeSet<&'a str>) -> Option<(Node<'a>, [String; 2])> {
    let node = port.get("name")?;
    let written = node.text().filter(|name| !name.is_empty() && !is_filled_in_later(name))?;
    if !is_name(written) {
        return Some((node, no_name("name", written)));
    }
    let is_new = names.insert(written);
    let says = || format!("name: {written} is the name of another port of this container: the API server refuses it");
    (!is_new).then(|| (node, [says(), "a name of its own for each port".to_owned()]))
}

fn no_name(field: &str, written: &str) -> [String; 2] {
    let says = format!("{field}: {} is no name of a port: the API server refuses it", shown(written));
    let change =
        "at most 15 lower-case letters, digits and -, one of them a letter, and no - at an end or beside another";
    [says, change.to_owned()]
}

/// What is wrong with a port.
fn wrong<'a>(map: Node<'a>, field: &str, takes: Takes) -> Option<(Node<'a>, [String; 2])> {
    let node = map.get(field).filter(|node| !node.is_null())?;
    let written = node.scalar().filter(|text| !is_filled_in_later(text))?;
    let or_none = [Takes::NumberOrNone, Takes::NumberOrNameOrNone].contains(&takes);
    let or_name = [Takes::NumberOrName, Takes::NumberOrNameOrNone].contains(&takes);
    let says = |what: &str| format!("{field}: {} {what}: the API server refuses it", shown(written));
    if node.text().is_some() {
        if or_name && (is_name(written) || (or_none && written.is_empty())) {
            return None;
        }
        let is_number = written.parse::<u16>().is_ok_and(|port| port > 0);
        return Some(match (is_number, or_name) {
            (true, _) => (node, [says("is text, and no number"), "write it without quotes".to_owned()]),
            (false, true) => (node, no_name(field, written)),
            (false, false) => (node, [says("is no number"), "a number from 1 to 65535".to_owned()]),
        });
    }
    // 0644 and 1_000 are numbers of other kinds.
    let plain = written.strip_prefix('-').unwrap_or(written);
    if plain.len() > 1 && plain.starts_with('0') {
        return None;
    }
    let number: i128 = written.parse().ok()?;
    let is_port = (1..=65_535).contains(&number) || (number == 0 && or_none);
    (!is_port).then(|| (node, [says("is no port"), "a number from 1 to 65535".to_owned()]))
}

/// What the API server takes as a port's name (`IsValidPortName`).
fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= LONGEST_NAME
        && text.bytes().all(known)
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && !text.contains("--")
        && !text.starts_with('-')
        && !text.ends_with('-')
}
