//! The limits on open files of the processes that listen, by the listener.

use std::collections::BTreeMap;

use super::owners::{self, OWNER};
use super::process::{fds_in, limit};
use super::{Gather, Source, text};
use crate::model::bounds;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::facts::Facts;
use crate::model::listener::is_local;
use crate::model::ports::Ports;

pub(super) const SOFT: &str = "listener[*].nofile.soft";
pub(super) const HARD: &str = "listener[*].nofile.hard";
pub(super) const FDS: &str = "listener[*].fds";
pub(super) const CGROUP: &str = "listener[*].cgroup";
const READ: &str = "/proc/PID/limits of who listens";

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man5/proc_pid_limits.5.html";
    Entry { name, unit, scope: Scope::Process, meaning, read: READ, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["listener"],
    read,
    entries: &[
        entry(SOFT, Unit::Count, "open files at which the process that listens fails"),
        entry(HARD, Unit::Count, "highest soft limit on open files that the process may give itself"),
        entry(FDS, Unit::Count, "files that the process that listens has open"),
        entry(CGROUP, Unit::Text, "cgroup of the process that listens"),
    ],
};

/// Whether a listener may carry the declared load: it is on a declared port; where none was declared, it can be reached
/// from elsewhere.
pub(super) fn may_serve(facts: &Facts, subject: &str) -> bool {
    let declared = facts.ports("workload.ports").ok().filter(|ports| !ports.is_empty());
    match declared {
        Some(ports) => is_declared(facts, subject, ports),
        None => !is_local(subject),
    }
}

/// Whether a listener is on one of these ports.
pub(super) fn is_declared(facts: &Facts, subject: &str, ports: &Ports) -> bool {
    let port = facts.number(&format!("listener[{subject}].port")).ok().and_then(|port| u16::try_from(port).ok());
    port.is_some_and(|port| ports.contains(port))
}

fn read(gather: &mut Gather<'_>) {
    const KEYS: [&str; 4] = ["].nofile.soft", "].nofile.hard", "].fds", "].cgroup"];
    let wanted: Vec<&str> =
        KEYS.into_iter().filter(|key| gather.wanted.of_family("listener").any(|name| name.ends_with(key))).collect();
    // Where one process is audited, others that listen do not matter; a client opens connections.
    let client = gather.facts.text("workload.role") == Some("client");
    if wanted.is_empty() || client || gather.facts.holds("process.meant") || gather.facts.holds("container") {
        return;
    }
    let subjects = gather.facts.subjects(owners::INODE);
    let serving: Vec<String> = subjects.into_iter().filter(|subject| may_serve(&gather.facts, subject)).collect();
    if serving.is_empty() {
        return;
    }
    if gather.facts.subjects(OWNER).is_empty() {
        owners::look(gather);
    }
    let mut kept: BTreeMap<(String, &str), Reading> = BTreeMap::new();
    for subject in serving {
        let owner = gather.facts.value(&format!("listener[{subject}].owner")).map(Value::plain);
        let pid = owner.map(|owner| owner.rsplit_once(' ').map_or(String::new(), |(_, pid)| pid.to_owned()));
        for key in &wanted {
            let reading = match &pid {
                Ok(pid) if kept.len() < bounds::LISTENING_PROCESSES.count() * KEYS.len() => {
                    kept.entry((pid.clone(), key)).or_insert_with(|| of(gather, pid, key)).clone()
                }
                Ok(_) => Err(Gap::new(Cause::Unsupported, "more processes listen than are looked at")),
                Err(gap) => Err(gap.clone()),
            };
            gather.put(
                format!("listener[{subject}{key}"),
                reading,
                format!("/proc/{}", pid.as_deref().unwrap_or("PID")),
            );
        }
    }
}

/// A figure of a process.
fn of(gather: &Gather<'_>, pid: &str, key: &str) -> Reading {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        gather.host.read(&path).map_err(|refusal| refusal.gap(&path))
    };
    match key {
        "].fds" => fds_in(gather, &format!("/proc/{pid}/fd")),
        "].cgroup" => {
            let text = text(&read("cgroup")?).into_owned();
            // The unified hierarchy, or that of systemd; the last line is either.
            let path = text.lines().next_back().and_then(|line| line.splitn(3, ':').nth(2)).unwrap_or_default();
            Ok(Value::Text(path.to_owned()))
        }
        key => limit(&read("limits")?, &format!("limit{}", key.trim_start_matches(']'))),
    }
}
