//! Ranges of ports: what the kernel refuses, and where a pod would take the ports of its own servers.

use super::pods::{Spec, fault};
use super::shown;
use super::sysctls::Sysctl;
use super::tree::Node;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};
use crate::model::pod_sysctl::{RANGE, RESERVED};
use crate::model::ports::Ports;

const UNPRIVILEGED: &str = "net.ipv4.ip_unprivileged_port_start";
/// The kernel's range, and where unprivileged ports start.
pub(super) const DEFAULT: [u16; 2] = [DEFAULT_LOW, DEFAULT_HIGH];
const DEFAULT_LOW: u16 = 32768;
const DEFAULT_HIGH: u16 = 60999;
const DEFAULT_START: u16 = 1024;

pub(super) fn judge(spec: &Spec<'_>, sysctls: &[Sysctl<'_>], faults: &mut Vec<Fault>) {
    // net.* of a pod with the host's network is refused as a whole.
    if spec.is("hostNetwork") {
        return host_ports(spec, faults);
    }
    let find = |name: &str| sysctls.iter().find(|sysctl| sysctl.name == name);
    let start = find(UNPRIVILEGED);
    let start_at: Option<u16> = start.and_then(|start| start.value.trim().parse().ok());
    let Some(range) = find(RANGE) else {
        if let (Some(start), Some(at)) = (start, start_at.filter(|at| *at > DEFAULT_LOW)) {
            let says = format!("{at} is above the first port of {RANGE} ({DEFAULT_LOW}): the kernel refuses it");
            let change = format!("{DEFAULT_LOW} or less");
            faults.push(fault("ports", Outcome::Fail, start.mark, spec.subject(), [says, change]));
        }
        // What a patch does not name, its base may have.
        let own = spec.is_whole().then(|| own_ports_in(spec, (DEFAULT_LOW, DEFAULT_HIGH), sysctls)).flatten();
        if let Some((own, mark)) = own {
            let says = says_of(&format!("{RANGE} is {DEFAULT_LOW}-{DEFAULT_HIGH} where nothing sets it, and"), &own);
            let texts = [says, format!("add {own} to {RESERVED}")];
            faults.push(fault("ports", Outcome::Warn, mark, spec.subject(), texts));
        }
        return;
    };
    let mut push = |outcome, says: String, change: &str| {
        let both_ends = both_ends(range.value).filter(|(low, high)| low % 2 == high % 2);
        let parity = both_ends.map_or("", |_| "; one end even and one odd, or the kernel complains in its log");
        faults.push(fault("ports", outcome, range.mark, spec.subject(), [says, format!("{change}{parity}")]));
    };
    let Some((low, high)) = both_ends(range.value) else {
        let says = format!("{} is no range of ports: the kernel refuses it", shown(range.value));
        return push(
            Outcome::Fail,
            says,
            "two ports from 1 to 65535 with a blank between them, such as \"10240 65535\"",
        );
    };
    if low > high {
        let says = format!(
            "the range ends before it begins ({low} > {high}): the kernel refuses it, and the sandbox is never made"
        );
        return push(Outcome::Fail, says, "the lower port first");
    }
    match start_at {
        Some(at) if low < at => {
            let says =
                format!("the range begins at {low}, below {UNPRIVILEGED} ({at}) of this pod: the kernel refuses it");
            return push(Outcome::Fail, says, "begin at that port or above it");
        }
        None if low < DEFAULT_START => {
            let says = format!(
                "the range begins at {low}, below {UNPRIVILEGED}: the kernel refuses it where that is {DEFAULT_START}, its \
                 default; runtimes with enable_unprivileged_ports make it 0"
            );
            return push(Outcome::Warn, says, "begin at 1024 or above, better at 10240");
        }
        _ => {}
    }
    if let Some((own, _)) = own_ports_in(spec, (low, high), sysctls) {
        push(Outcome::Warn, says_of(&format!("the range {low}-{high}"), &own), &format!("add {own} to {RESERVED}"));
    }
}

/// The ends of a range as the kernel reads them: one number is the first port alone, and what follows two is ignored.
fn both_ends(value: &str) -> Option<(u16, u16)> {
    let mut words = value.split_ascii_whitespace();
    let port = |word: &str| word.parse::<u16>().ok().filter(|port| *port > 0);
    let low = port(words.next()?)?;
    let high = words.next().map_or(Some(DEFAULT_HIGH), port)?;
    Some((low, high))
}

fn says_of(range: &str, own: &Ports) -> String {
    format!(
        "{range} holds port {own} of this pod's containers: an outgoing connection can take it before the server binds it \
         (EADDRINUSE at a restart)"
    )
}

/// Ports of a range on which the pod's containers say that they listen, and that are not reserved; with the place of the
/// first.
fn own_ports_in(spec: &Spec<'_>, (low, high): (u16, u16), sysctls: &[Sysctl<'_>]) -> Option<(Ports, Mark)> {
    let reserved = sysctls.iter().find(|sysctl| sysctl.name == RESERVED);
    let reserved: Ports = reserved.and_then(|one| one.value.parse().ok()).unwrap_or_default();
    let ports = spec.containers().filter_map(|container| container.node.get("ports")).flat_map(Node::items);
    let number = |port: Node<'_>| {
        let node = port.get("containerPort")?;
        let port: u16 = node.scalar()?.parse().ok()?;
        let one = Ports::range(port, port);
        let is_at_risk = !one.intersection(&Ports::range(low, high)).difference(&reserved).is_empty();
        is_at_risk.then(|| (one, node.mark()))
    };
    ports.filter_map(number).reduce(|(all, first), (one, _)| (all.union(&one), first))
}

/// With the host's network a container's port is the node's.
fn host_ports(spec: &Spec<'_>, faults: &mut Vec<Fault>) {
    for container in spec.containers() {
        for port in container.node.get("ports").into_iter().flat_map(Node::items) {
            let (Some(inner), Some(outer)) = (port.get("containerPort"), port.get("hostPort")) else { continue };
            let number = |node: Node<'_>| node.scalar().and_then(|text| text.parse::<u16>().ok());
            if let (Some(inner), Some(host)) = (number(inner), number(outer))
                && inner != host
                && host > 0
            {
                let says = format!(
                    "hostPort {host} is not containerPort {inner}, and with hostNetwork: true they are one: the API server \
                     refuses the pod"
                );
                let texts = [says, "write the same port, or no hostPort".to_owned()];
                faults.push(fault("ports", Outcome::Fail, outer.mark(), spec.subject_of(container), texts));
            }
        }
    }
}
