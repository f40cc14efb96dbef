//! Inside of a container or a pod: the process that does the work there, which is not the shell that asks.

use std::collections::BTreeSet;
use std::path::Path;

use super::choice::choose;
use super::of::Of;
use super::processes::{self, Process};

/// The first pid namespace: include/linux/proc_ns.h of the kernel.
const INIT: &str = "pid:[4026531836]";
/// Programs that start another one and wait for it, or only hold the namespaces of a pod.
const KEEPERS: [&str; 8] =
    ["tini", "docker-init", "dumb-init", "catatonit", "s6-svscan", "pause", "podman-init", "conmon"];

/// Whether the processes here are only some of the machine's.
pub fn own_processes() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link != Path::new(INIT))
}

/// The process that does the work here: of process 1 and those below it the one that listens, else process 1, or the
/// first that it started if it only waits. None where nothing but tunecheck and what started it is there.
///
/// # Errors
/// A sentence: it may not be looked into.
pub fn workload() -> Result<Option<Of>, String> {
    let Ok(all) = processes::all() else { return Ok(None) };
    let asking = asking(&all);
    let others: Vec<&Process> = all.iter().filter(|process| !asking.contains(&process.pid)).collect();
    let first = others.iter().find(|process| process.pid == 1);
    let tree: Vec<&Process> = match first {
        Some(_) => others.iter().copied().filter(|process| below(process, 1, &all)).collect(),
        None => Vec::new(),
    };
    // With a pid namespace that a pod's containers share, process 1 starts none of them.
    let at_work = |process: &&Process| !KEEPERS.contains(&process.name.as_str());
    let tree: Vec<&Process> = if tree.iter().any(at_work) { tree } else { others };
    let tree: Vec<&Process> = tree.into_iter().filter(at_work).collect();
    let Some((process, why)) = choose(&tree) else { return Ok(None) };
    let what = if process.pid == 1 { "process 1 of this container" } else { "the workload of this container" };
    let why = if why.is_empty() { what.to_owned() } else { format!("{what}, {why}") };
    let why = format!("{why}; --pid self audits tunecheck's own limits instead");
    // Without the right to look into it, its files and its network namespace stay unknown, and those of tunecheck do not.
    if let Err(error) = std::fs::read_link(format!("/proc/{}/ns/net", process.pid)) {
        return Err(format!(
            "Limits are those of tunecheck itself: process {}, which does the work here, may not be looked into ({}). Run \
             tunecheck as its user or as root.",
            process.words(),
            error.kind()
        ));
    }
    Ok(Of::process(process, why).ok())
}

/// tunecheck and whatever started it.
fn asking(all: &[Process]) -> BTreeSet<u32> {
    let mut asking = BTreeSet::new();
    let mut next = Some(std::process::id());
    while let Some(pid) = next.filter(|&pid| pid != 0) {
        if !asking.insert(pid) {
            break;
        }
        next = all.iter().find(|process| process.pid == pid).map(|process| process.parent);
    }
    asking
}

/// Whether a process is another one, or descends from it.
fn below(process: &Process, root: u32, all: &[Process]) -> bool {
    let mut pid = process.pid;
    // Parents are older; a loop in a torn reading ends all the same.
    for _ in 0..all.len() {
        if pid == root {
            return true;
        }
        let Some(process) = all.iter().find(|process| process.pid == pid) else { return false };
        pid = process.parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32) -> Process {
        Process { pid, parent, began: pid.into(), name: String::new(), netns: None, member: Default::default() }
    }

    #[test]
    fn whatever_started_tunecheck_is_no_workload() {
        let own = std::process::id();
        let all = [process(1, 0), process(2, 1), process(own, 2), process(own + 1, 1)];
        assert_eq!(asking(&all), BTreeSet::from([1, 2, own]));
        let all = [process(1, 0), process(2, 0), process(own, 2)];
        assert_eq!(asking(&all), BTreeSet::from([2, own]));
    }

    #[test]
    fn the_tree_of_a_process_is_it_and_its_descendants() {
        let all = [process(1, 0), process(2, 1), process(3, 2), process(9, 0), process(7, 8), process(8, 7)];
        let tree: Vec<u32> = all.iter().filter(|process| below(process, 1, &all)).map(|process| process.pid).collect();
        assert_eq!(tree, [1, 2, 3]);
    }
}
