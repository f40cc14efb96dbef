//! Facts that follow from others, and the reasons behind gaps. Pure.

mod cgroup;
pub(super) mod conntrack;
mod inotify;
mod knobs;
mod listeners;
mod load;
mod memory;
mod nofile;
mod peer;
mod ports;
mod runtime;
mod servers;
mod serving;
mod tcp;
mod udp;

pub(super) use ports::{first_port, listening_ports, usable_ports, used_at_most as ports_used_at_most};

use super::listeners::DROPS;
use super::owners::{INODE, OWNER};
use super::{Wanted, connections, inotify as held, user};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::facts::{Facts, Name, with_subject};
use crate::model::version::Version;

/// A fact computed from others. With `[*]` in its name it is computed for each subject.
pub(super) struct Formula {
    pub(super) entry: Entry,
    needs: &'static [&'static str],
    compute: fn(&Facts, &str) -> Reading,
}

const fn entry(name: &'static str, unit: Unit, scope: Scope, read: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit, scope, meaning, read, document: "derived" }
}

const fn of_process(name: &'static str, unit: Unit, read: &'static str, meaning: &'static str) -> Entry {
    entry(name, unit, Scope::Process, read, meaning)
}

const BRIDGE_CALL: &str = "sysctl.net.bridge.bridge-nf-call-iptables";

const OTHERS: &[Formula] = &[
    Formula {
        entry: entry(
            "bridge.filtered",
            Unit::Mode,
            Scope::Netns,
            BRIDGE_CALL,
            "1: bridged packets pass iptables; 0: they do not, or br_netfilter is not loaded",
        ),
        needs: &[BRIDGE_CALL],
        compute: |facts, _| match facts.number(BRIDGE_CALL) {
            Err(gap) if gap.cause == Cause::Absent => Ok(Value::Number(0)),
            other => other.map(Value::Number),
        },
    },
    Formula {
        entry: entry(
            "nproc.binds",
            Unit::Mode,
            Scope::Process,
            "user, capabilities and user namespace of the process",
            "1: its forks fail at RLIMIT_NPROC; 0: root and CAP_SYS_RESOURCE are exempt",
        ),
        needs: &["process.real_uid", "process.capabilities", "namespace.user.init"],
        compute: |facts, _| {
            // CAP_SYS_ADMIN and CAP_SYS_RESOURCE of linux/capability.h; what a user namespace gives does not count.
            const EXEMPT: i128 = 1 << 21 | 1 << 24;
            let root = facts.number("process.real_uid")? == 0;
            let exempt = root || facts.number("process.capabilities")? & EXEMPT != 0;
            let host = facts.number("namespace.user.init")? == 1;
            Ok(Value::Number(i128::from(!(host && exempt))))
        },
    },
];

/// Facts about the place and the workload that follow from several others; filled by `place` and `workload`.
pub(super) const PLACE: &[Entry] = &[
    entry(
        "namespace.net.init",
        Unit::Mode,
        Scope::Netns,
        "which host-wide sysctls are visible",
        "1: the machine's first network namespace",
    ),
    entry("kubernetes.node", Unit::Mode, Scope::Netns, "place", "1: the network namespace of a Kubernetes node"),
    entry("kubernetes.pod", Unit::Mode, Scope::Process, "place", "1: in a pod"),
    entry("container", Unit::Mode, Scope::Process, "place", "1: in a container or pod"),
    entry(
        "listener[*].declared_burst",
        Unit::Count,
        Scope::Netns,
        "--port and --burst",
        "what a listener gets of the burst on average, on a port that was declared; else 0",
    ),
    entry(
        "listener[*].possible_burst",
        Unit::Count,
        Scope::Netns,
        "--port and --burst",
        "what it may get of the burst, on a declared port, and while none is declared on any but loopback and port 22, unless it dropped something; else 0",
    ),
    entry(
        "listener[*].share",
        Unit::Text,
        Scope::Netns,
        "--burst and the listeners of one address",
        "what it has to hold of the burst, in words",
    ),
];

/// All formulas. One that needs another comes after it.
pub(super) const FORMULAS: &[&[Formula]] = &[
    OTHERS,
    conntrack::FORMULAS,
    cgroup::FORMULAS,
    inotify::FORMULAS,
    nofile::FORMULAS,
    serving::FORMULAS,
    listeners::FORMULAS,
    ports::FORMULAS,
    load::FORMULAS,
    memory::FORMULAS,
    runtime::FORMULAS,
    servers::FORMULAS,
    peer::FORMULAS,
    tcp::FORMULAS,
    udp::FORMULAS,
];

fn formulas() -> impl Iterator<Item = &'static Formula> {
    FORMULAS.iter().copied().flatten()
}

/// What a derived fact is computed from; nothing for another one.
pub fn inputs(name: &str) -> &'static [&'static str] {
    formulas().find(|formula| formula.entry.name == name).map_or(&[], |formula| formula.needs)
}

/// The wanted names and those that they are computed from.
pub(super) fn with_inputs(wanted: Wanted) -> Wanted {
    let mut all = wanted;
    for formula in formulas() {
        if all.contains(formula.entry.name) {
            all.extend(formula.needs.iter().copied());
        }
    }
    if all.contains(OWNER) {
        all.insert(INODE);
    }
    if all.contains("user.tasks") {
        all.extend(user::NEEDS);
    }
    if all.starting_with("inotify.").next().is_some() {
        all.extend(held::NEEDS.iter().chain(&held::LIMITS).copied());
    }
    if connections::is_wanted(&all) {
        all.extend(connections::NEEDS.iter().copied());
    }
    // Whoever asks for a sysctl also wants to know which file sets it at boot.
    if all.starting_with("sysctl.").next().is_some() {
        all.insert("boot[*].value");
    }
    all
}

/// Explains gaps by the place, and computes every fact that follows from those at hand. Facts that are there already
/// stay.
pub fn derive(facts: &mut Facts) {
    explain(facts);
    for formula in formulas() {
        let name = formula.entry.name;
        let subjects = match name.split_once("[*]") {
            Some(_) => formula.needs.iter().flat_map(|need| facts.subjects(need)).map(Some).collect(),
            None => vec![None],
        };
        for subject in subjects {
            let name = with_subject(name, subject.as_deref()).into_owned();
            // What was missing may have been read since.
            if facts.get(&name).is_none_or(|fact| fact.reading.as_ref().is_err_and(is_unread)) {
                let reading = (formula.compute)(facts, subject.as_deref().unwrap_or_default());
                facts.put(name, reading, formula.entry.read);
            }
        }
    }
}

/// Whether nobody has asked for a fact yet.
fn is_unread(gap: &Gap) -> bool {
    gap.cause == Cause::Unsupported && gap.why.ends_with("was not read")
}

/// Replaces "does not exist" by the reason, as far as the other facts tell it, and takes back what was read and does
/// not speak of this place.
fn explain(facts: &mut Facts) {
    let absent = |gap: &Gap| gap.cause == Cause::Absent && gap.why.ends_with("does not exist");
    let missing: Vec<(String, Name)> = facts
        .iter()
        .filter(|(_, fact)| fact.reading.as_ref().is_err_and(absent))
        .map(|(name, fact)| (name.to_owned(), fact.source.clone()))
        .collect();
    let catalogue = super::catalogue();
    let processes_only = shows_processes_only(facts);
    for (name, source) in missing {
        let of_proc = |gap: &Gap| gap.why.starts_with("/proc/") && !gap.why.starts_with("/proc/self/");
        if processes_only && facts.value(&name).is_err_and(|gap| of_proc(&gap)) {
            facts.put(name, Err(Gap::new(Cause::NotVisibleHere, PROCESSES_ONLY)), source);
        } else if let Some(gap) = reason(facts, &name, catalogue.find(&name)) {
            facts.put(name, Err(gap), source);
        }
    }
    let unknown = |name: &str| facts.value(name).err().filter(Gap::is_failure);
    let (unplaced, pidns) = (unknown("container"), unknown("namespace.pid.init"));
    if let Some(gap) = unplaced {
        take_back_boot(facts, "boot[", &gap.why);
    } else if facts.holds("container") {
        take_back_boot(facts, "boot[", "the sysctl.d files here belong to the image; the node boots with its own");
    } else if is_child_netns(facts) {
        take_back_boot(
            facts,
            "boot[net.",
            "the sysctl.d files act in the host's own network namespace, not in this one",
        );
    }
    take_back_drops(facts);
    let since = Version { major: 6, minor: 14, patch: 0 };
    let own_pid_max =
        facts.text("kernel.release").and_then(|text| text.parse().ok()).is_none_or(|kernel: Version| kernel >= since);
    if matches!(facts.value("namespace.pid.init"), Ok(Value::Number(0))) && own_pid_max {
        let why = "a pid namespace has a kernel.pid_max of its own since Linux 6.14; the host's binds as well";
        facts.put("sysctl.kernel.pid_max", Err(Gap::new(Cause::NotVisibleHere, why)), "");
    }
    if let Some(gap) = pidns.filter(|_| own_pid_max) {
        facts.put("sysctl.kernel.pid_max", Err(gap), "");
    }
}

/// The first kernel whose listeners count what they drop (commit 9caad864151e).
const LISTENERS_COUNT: Version = Version { major: 4, minor: 7, patch: 0 };

/// Takes back the zeroes of listeners that do not count.
fn take_back_drops(facts: &mut Facts) {
    let Some(kernel) = facts.text("kernel.release").and_then(|text| text.parse::<Version>().ok()) else { return };
    if kernel >= LISTENERS_COUNT {
        return;
    }
    for subject in facts.subjects(DROPS) {
        let why = format!("kernel {kernel} counts for all listeners together, Linux 4.7 for each");
        facts.put(format!("listener[{subject}].drops"), Err(Gap::new(Cause::Absent, why)), "sock_diag");
    }
}

const PROCESSES_ONLY: &str = "this /proc shows processes only (subset=pid)";

/// Whether /proc is there and has no sysctl at all: what is missing there may well exist.
fn shows_processes_only(facts: &Facts) -> bool {
    let hidden = |gap: Gap| gap.cause == Cause::Absent || gap.why == PROCESSES_ONLY;
    let mut sysctls = facts.iter().filter(|(name, _)| name.starts_with("sysctl."));
    facts.value("namespace.pid.init").is_ok()
        && facts.value("sysctl.net.core.somaxconn").is_err_and(hidden)
        && !sysctls.any(|(_, fact)| fact.reading.is_ok())
}

fn take_back_boot(facts: &mut Facts, start: &str, why: &str) {
    let of_start = |name: &&str| name.starts_with(start) && name.ends_with("].value");
    let mut asked: Vec<String> = facts.iter().map(|(name, _)| name).filter(of_start).map(str::to_owned).collect();
    facts.forget(start);
    if facts.subjects("boot[*].live").is_empty() {
        asked.extend(["boot[*].value", "boot[*].live"].map(str::to_owned));
    }
    for name in asked {
        facts.put(name, Err(Gap::new(Cause::NotVisibleHere, why)), "sysctl.d");
    }
}

fn reason(facts: &Facts, name: &str, entry: Option<&Entry>) -> Option<Gap> {
    let sysctl = name.strip_prefix("sysctl.");
    for (family, module) in [("net.ipv4.vs.", "ip_vs"), ("net.bridge.", "br_netfilter")] {
        if sysctl.is_some_and(|key| key.starts_with(family)) {
            return Some(Gap::new(Cause::Absent, format!("module {module} is not loaded")));
        }
    }
    if name.starts_with("conntrack.") || sysctl.is_some_and(|key| key.starts_with("net.netfilter.nf_conntrack")) {
        return Some(Gap::new(Cause::Absent, "module nf_conntrack is not loaded"));
    }
    let of_net = name.starts_with("neigh.") || sysctl.is_some_and(|key| key.starts_with("net."));
    if let Some(gap) = facts.value("container").err().filter(|gap| of_net && gap.is_failure()) {
        return Some(gap);
    }
    if of_net && is_child_netns(facts) {
        let own = "visible only in the host's own network namespace";
        match entry {
            Some(entry) if entry.scope == Scope::Host => {
                return Some(Gap::new(Cause::NotVisibleHere, format!("host-wide, and {own}")));
            }
            Some(entry) if entry.name == "sysctl.*" => {
                return Some(Gap::new(Cause::NotVisibleHere, format!("if this kernel has it, it is {own}")));
            }
            _ => {}
        }
    }
    let kernel = facts.text("kernel.release").unwrap_or("of unknown release");
    Some(Gap::new(Cause::Absent, format!("kernel {kernel} has no {}", sysctl?)))
}

fn is_child_netns(facts: &Facts) -> bool {
    matches!(facts.value("namespace.net.init"), Ok(Value::Number(0)))
}

fn nth(facts: &Facts, name: &str, at: usize) -> Reading {
    match facts.value(name)? {
        Value::Numbers(list) => list.get(at).map(|&number| Value::Number(number)),
        _ => None,
    }
    .ok_or_else(|| Gap::new(Cause::Unparsable, format!("{name} has no number {}", at + 1)))
}

#[cfg(test)]
mod tests;
