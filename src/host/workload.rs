//! Inside of a container or a pod: the process that does the work there, which is not the shell that asks.

use std::collections::{BTreeMap, BTreeSet};

use nix::unistd::geteuid;

use super::choice::choose;
use super::of::Of;
use super::processes::{self, Process};
use super::{Ask, Host, Live, Query, Refusal};

/// The first pid namespace: include/linux/proc_ns.h of the kernel.
const INIT: &[u8] = b"pid:[4026531836]";
/// Programs that start another one and wait for it, or only hold the namespaces of a pod.
const KEEPERS: [&str; 8] =
    ["tini", "docker-init", "dumb-init", "catatonit", "s6-svscan", "pause", "podman-init", "conmon"];

/// Programs that run a whole system as process 1: each of its services has limits of its own.
const SYSTEMS: [&str; 4] = ["systemd", "init", "openrc-init", "runit"];

/// Whether the processes here are only some of the machine's.
///
/// # Errors
/// Nothing says so.
pub fn own_processes() -> Result<bool, Refusal> {
    let link = Live.ask(Query { ask: Ask::Link, of: "/proc/self/ns/pid" })?;
    Ok(link != INIT)
}

/// The process that does the work here: of process 1 and those below it the one that listens, else the oldest. None
/// where nothing but tunecheck and what started it is there, or where process 1 runs a whole system, as on a machine.
///
/// # Errors
/// A clause: which one it is cannot be read, or it may not be looked into.
pub fn workload() -> Result<Option<Of>, String> {
    let all = processes::all().map_err(|error| {
        format!("the processes here cannot be listed ({error}), so nothing says which one does the work")
    })?;
    if all.unread > 0 {
        return Err(format!(
            "{} processes here could not be read, and one of them may do the work. --pid N audits one",
            all.unread
        ));
    }
    let all = all.processes;
    let tree = candidates(&all, std::process::id());
    let chosen = choose(&tree, |process| Of::process(process, String::new())).map_err(|refusal| {
        format!("which process does the work here cannot be told ({refusal}). --pid N audits one")
    })?;
    let Some((process, why)) = chosen else { return Ok(None) };
    let what = if process.pid == 1 { "process 1 of this container" } else { "the workload of this container" };
    let why = if why.is_empty() { what.to_owned() } else { format!("{what}, {why}") };
    let why = format!("{why}; --pid self audits tunecheck's own limits instead");
    // Without the right to look into it, its files and its network namespace stay unknown, and those of tunecheck do not.
    let closed = |refusal: Refusal| {
        let who =
            if refusal.is_denied() && !geteuid().is_root() { ". Run tunecheck as its user or as root" } else { "" };
        let words = process.words();
        format!("process {words}, which does the work here, may not be looked into ({refusal}){who}")
    };
    Live.ask(Query { ask: Ask::Link, of: &format!("/proc/{}/ns/net", process.pid) }).map_err(closed)?;
    Of::process(process, why).map(Some).map_err(closed)
}

/// Processes that may be the workload, seen from the process `own`.
fn candidates(all: &[Process], own: u32) -> Vec<&Process> {
    let first = all.iter().find(|process| process.pid == 1);
    if first.is_some_and(|first| SYSTEMS.contains(&first.name.as_str())) {
        return Vec::new();
    }
    let asking = asking(all, own);
    let at_work = |process: &&Process| !asking.contains(&process.pid) && !KEEPERS.contains(&process.name.as_str());
    let below = tree(all, 1);
    let tree: Vec<&Process> = all.iter().filter(|process| below.contains(&process.pid)).filter(at_work).collect();
    // In a pid namespace that a pod's containers share, process 1 starts none of them; orphans become its children.
    if tree.is_empty() || first.is_some_and(|first| first.name == "pause") {
        all.iter().filter(at_work).collect()
    } else {
        tree
    }
}

/// tunecheck and whatever started it.
fn asking(all: &[Process], own: u32) -> BTreeSet<u32> {
    let parents: BTreeMap<u32, u32> = all.iter().map(|process| (process.pid, process.parent)).collect();
    let mut asking = BTreeSet::new();
    let mut next = Some(own);
    while let Some(pid) = next.filter(|&pid| pid != 0) {
        if !asking.insert(pid) {
            break;
        }
        next = parents.get(&pid).copied();
    }
    asking
}

/// A process and all that descend from it, by number.
fn tree(all: &[Process], root: u32) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut tree = BTreeSet::new();
    let mut open = vec![root];
    while let Some(pid) = open.pop() {
        // A loop in a torn reading ends.
        if tree.insert(pid) {
            open.extend(children.get(&pid).into_iter().flatten());
        }
    }
    tree
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32) -> Process {
        let member = Default::default();
        Process { pid, parent, began: pid.into(), name: "app".to_owned(), netns: None, member }
    }

    fn named(name: &str, process: Process) -> Process {
        Process { name: name.to_owned(), ..process }
    }

    fn pids(all: &[Process]) -> Vec<u32> {
        candidates(all, 99).iter().map(|process| process.pid).collect()
    }

    #[test]
    fn the_workload_is_process_1_and_what_it_started_and_never_what_started_tunecheck() {
        let shell = [named("sh", process(90, 0)), process(99, 90)];
        let with = |others: &[Process]| [others, &shell].concat();
        assert_eq!(pids(&with(&[process(1, 0), process(7, 1), named("bash", process(20, 0))])), [1, 7]);
        // Started by process 1 itself: the work is what else it started, and without any there is none.
        assert_eq!(pids(&[named("sh", process(1, 0)), process(7, 1), process(99, 1)]), [7]);
        assert_eq!(pids(&[named("sh", process(1, 0)), process(99, 1)]), [0; 0]);
        assert_eq!(pids(&[process(99, 0)]), [0; 0]);
    }

    #[test]
    fn what_only_waits_or_holds_namespaces_does_no_work() {
        let tini = [named("tini", process(1, 0)), process(7, 1), process(90, 0), process(99, 90)];
        assert_eq!(pids(&tini), [7]);
        let shared = [named("pause", process(1, 0)), process(7, 0), process(90, 0), process(99, 90)];
        assert_eq!(pids(&shared), [7]);
        let orphan = [&shared[..], &[named("helper", process(8, 1))]].concat();
        assert_eq!(pids(&orphan), [7, 8], "an orphan is no more of the workload than what it was");
    }

    #[test]
    fn a_whole_system_has_no_one_workload() {
        let system = [named("systemd", process(1, 0)), process(7, 1), process(90, 0), process(99, 90)];
        assert_eq!(pids(&system), [0; 0]);
    }

    #[test]
    fn the_tree_of_a_process_is_it_and_its_descendants() {
        let all = [process(1, 0), process(2, 1), process(3, 2), process(9, 0), process(7, 8), process(8, 7)];
        assert_eq!(tree(&all, 1), [1, 2, 3].into());
        // Each step over all processes again would be a minute.
        let chain: Vec<Process> = (1..50_000).map(|pid| process(pid, pid - 1)).collect();
        assert_eq!((tree(&chain, 1).len(), asking(&chain, 49_999).len()), (49_999, 49_999));
    }
}
