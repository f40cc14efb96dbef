//! Every network namespace and every container on a machine, each with the processes in it.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::geteuid;

use super::again::again;
use super::live::refusal;
use super::names::{Named, Names};
use super::processes::{self, Process, shown};
use super::target::{called, goes_by};
use super::{Refusal, folder};
use crate::model::bounds;

/// Where `ip netns` keeps the namespaces that it names.
const NAMED: &str = "/run/netns";

/// What to audit on a machine, beside the machine itself.
#[derive(Debug, Default)]
pub struct Survey {
    /// At most [`bounds::TARGETS`].
    pub subjects: Vec<Subject>,
    /// How many more there are.
    pub left_out: usize,
    /// Named network namespaces in which no process runs.
    pub empty: Vec<String>,
    /// Processes of which this user may not see where they are.
    pub unseen: usize,
    /// Processes that could not be read at all.
    pub unread: usize,
    /// Whether this /proc hides those of other users.
    pub hidden: bool,
    /// Why the names of network namespaces could not be read, if so.
    pub nameless: Option<Refusal>,
    /// Whether this is root.
    pub as_root: bool,
}

/// A container, or a network namespace without one.
#[derive(Debug)]
pub struct Subject {
    /// What it is called.
    pub name: String,
    /// Whether the process that stands for it is one that is meant: of a container, or of a name that was asked for.
    pub meant: bool,
    pub(super) processes: Vec<Process>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// By its id.
    Container(String),
    /// By the number that stands for it.
    Netns(u64),
    /// Processes beside them, by their cgroup.
    Cgroup(String),
}

impl Survey {
    /// Whether there may be more than was found.
    pub fn is_partial(&self) -> bool {
        self.hidden || self.unread > 0 || self.unseen > 0 || self.nameless.is_some()
    }
}

impl Subject {
    /// The network namespace that its processes share, as [`processes::netns`] tells it.
    pub(super) fn netns(&self) -> Option<u64> {
        self.processes.first().and_then(|process| process.netns)
    }
}

/// Looks at every process once. With a name, only those of that name count, those of the machine itself by cgroup.
///
/// # Errors
/// Those of listing /proc, and of looking at tunecheck itself.
pub fn survey(name: Option<&str>) -> io::Result<Survey> {
    let own = processes::look(std::process::id())?;
    let all = match (&own, name) {
        (Some(own), None) => processes::elsewhere(own)?,
        _ => processes::all()?,
    };
    let (named, nameless) = match named_namespaces() {
        Ok(named) => (named, None),
        Err(error) => (BTreeMap::new(), Some(refusal(&error))),
    };
    let survey = grouped(all.processes, own.as_ref(), name, &named);
    let (hidden, as_root) = (processes::are_hidden()?, geteuid().is_root());
    Ok(Survey { unread: all.unread, hidden, nameless, as_root, ..survey })
}

fn grouped(all: Vec<Process>, own: Option<&Process>, name: Option<&str>, named: &BTreeMap<u64, String>) -> Survey {
    let mut survey = Survey::default();
    let one_of_each: BTreeMap<u64, u32> =
        all.iter().filter_map(|process| Some((process.netns?, process.pid))).collect();
    let mut groups: BTreeMap<Key, Vec<Process>> = BTreeMap::new();
    let own_container = own.and_then(|own| own.member.container.clone());
    let own_netns = own.and_then(|own| own.netns);
    for process in all {
        let wanted = |name: &str| Some(process.pid) != own.map(|own| own.pid) && goes_by(&process, name);
        if !name.is_none_or(wanted) {
            continue;
        }
        let key = match (&process.member.container, process.netns) {
            (Some(id), _) if own_container.as_ref() != Some(id) => Key::Container(id.clone()),
            (_, Some(netns)) if Some(netns) != own_netns => Key::Netns(netns),
            (_, Some(_)) if name.is_some() => Key::Cgroup(process.member.path.clone()),
            (_, Some(_)) => continue,
            (_, None) => {
                survey.unseen += 1;
                continue;
            }
        };
        groups.entry(key).or_default().push(process);
    }
    without_keepers(&mut groups);
    let names = OnceCell::new();
    let mut groups: Vec<(Key, Vec<Process>)> = groups.into_iter().collect();
    groups.sort_by_key(|(_, processes)| processes.iter().map(|process| (process.began, process.pid)).min());
    survey.left_out = groups.len().saturating_sub(bounds::TARGETS.count());
    groups.truncate(bounds::TARGETS.count());
    for (key, processes) in groups {
        let meant = name.is_some() || !matches!(key, Key::Netns(_));
        let name = match &key {
            Key::Container(id) => in_words(id, &processes, names.get_or_init(Names::read)),
            Key::Cgroup(path) => format!("cgroup {}", shown(path)),
            Key::Netns(_) => {
                let first = processes.iter().min_by_key(|process| (process.began, process.pid));
                let number = first.and_then(|first| processes::namespace(first.pid));
                let called = number.map(|number| named.get(&number).cloned().unwrap_or_else(|| number.to_string()));
                let called = called.map(|called| format!("{called} ")).unwrap_or_default();
                format!("network namespace {called}of {}", first.map(Process::words).unwrap_or_default())
            }
        };
        survey.subjects.push(Subject { name, meant, processes });
    }
    if name.is_none() {
        survey.empty = unused(named, &one_of_each);
    }
    survey
}

/// Leaves out what has nothing to do but to hold namespaces for others: a pod's sandbox beside its containers, and
/// processes beside a container in its network namespace.
fn without_keepers(groups: &mut BTreeMap<Key, Vec<Process>>) {
    let in_container = |key: &Key| matches!(key, Key::Container(_));
    let of_containers: BTreeSet<u64> = groups
        .iter()
        .filter(|(key, _)| in_container(key))
        .flat_map(|(_, processes)| processes.iter().filter_map(|process| process.netns))
        .collect();
    let pause = |processes: &[Process]| processes.iter().all(|process| process.name == "pause");
    let pod = |processes: &[Process]| processes.iter().find_map(|process| process.member.pod.clone());
    let at_work: BTreeSet<String> =
        groups.values().filter(|processes| !pause(processes)).filter_map(|processes| pod(processes)).collect();
    groups.retain(|key, processes| match key {
        Key::Netns(number) => !of_containers.contains(number),
        _ => !(pause(processes) && pod(processes).is_some_and(|pod| at_work.contains(&pod))),
    });
}

fn in_words(id: &str, processes: &[Process], names: &Names) -> String {
    let named = names.container(id);
    let uid = processes.iter().find_map(|process| process.member.pod.as_deref());
    let pod = uid.and_then(|uid| names.pod(uid)).or(named.pod);
    let words = called(id, &Named { pod: None, ..named });
    match (pod, uid) {
        (Some((namespace, name)), _) => format!("pod {namespace}/{name} {words}"),
        (None, Some(uid)) => format!("pod {uid} {words}"),
        (None, None) => words,
    }
}

/// Names that `ip netns` gave, by inode number.
fn named_namespaces() -> io::Result<BTreeMap<u64, String>> {
    let mut named = BTreeMap::new();
    let entries = match folder::entries(NAMED) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(named),
        other => other?,
    };
    for entry in entries {
        let name = folder::name(&entry?).to_os_string();
        match again(|| fs::metadata(Path::new(NAMED).join(&name))) {
            Ok(file) => _ = named.insert(file.ino(), shown(&name.to_string_lossy())),
            // Taken away meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(named)
}

/// Named namespaces in which no process is, by one process of each. None where one may not be looked into: it could be
/// in any of them.
fn unused(named: &BTreeMap<u64, String>, one_of_each: &BTreeMap<u64, u32>) -> Vec<String> {
    let mut used = BTreeSet::new();
    for pid in one_of_each.values().filter(|_| !named.is_empty()) {
        match fs::metadata(format!("/proc/{pid}/ns/net")) {
            Ok(link) => _ = used.insert(link.ino()),
            Err(error) if processes::has_ended(&error) => {}
            Err(_) => return Vec::new(),
        }
    }
    named.iter().filter(|(inode, _)| !used.contains(inode)).map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::member::Member;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "6c1f4a5e-5a0f-4c2b-9d1a-0a1b2c3d4e5f";

    fn process(pid: u32, name: &str, netns: u64, cgroup: &str) -> Process {
        let cgroup = cgroup.replace("ID", ID).replace("UUU", UID);
        let member = Member::of(&format!("0::{cgroup}"));
        Process { pid, parent: 1, began: pid.into(), name: name.into(), netns: Some(netns), member }
    }

    #[test]
    fn a_machine_is_its_containers_and_the_network_namespaces_without_one() {
        let own = process(1000, "tunecheck", 1, "/user.slice");
        let other = ID.replace('0', "9");
        let all = vec![
            process(1, "systemd", 1, "/init.scope"),
            process(20, "pause", 2, &format!("/kubepods/podUUU/{other}")),
            process(21, "app", 2, "/kubepods/podUUU/ID"),
            process(22, "app", 2, "/kubepods/podUUU/ID"),
            process(23, "nsenter", 2, "/user.slice"),
            process(30, "agent", 3, "/system.slice/agent.service"),
            process(31, "db", 1, "/machine.slice/libpod-ID.scope".replace("ID", &"a".repeat(64)).as_str()),
            own.clone(),
        ];
        let survey = grouped(all, Some(&own), None, &BTreeMap::new());
        let pids: Vec<Vec<u32>> = survey
            .subjects
            .iter()
            .map(|subject| subject.processes.iter().map(|process| process.pid).collect())
            .collect();
        assert_eq!(pids, [vec![21, 22], vec![30], vec![31]]);
        let names: Vec<&str> = survey.subjects.iter().map(|subject| subject.name.as_str()).collect();
        assert_eq!(names[0], format!("pod {UID} container 0123456789ab"));
        assert!(names[1].starts_with("network namespace ") && names[1].ends_with(" of 30 agent"), "{}", names[1]);
        assert_eq!(names[2], "container aaaaaaaaaaaa");
        assert_eq!((survey.left_out, survey.unseen), (0, 0));
    }

    #[test]
    fn what_is_too_much_is_counted_and_what_cannot_be_placed_as_well() {
        let mut all: Vec<Process> =
            (10..110 + bounds::TARGETS.most as u32).map(|pid| process(pid, "x", u64::from(pid), "/")).collect();
        all.push(Process { netns: None, ..process(5, "y", 0, "/") });
        let survey = grouped(all, Some(&process(1, "tunecheck", 1, "/")), None, &BTreeMap::new());
        assert_eq!((survey.subjects.len(), survey.left_out, survey.unseen), (bounds::TARGETS.count(), 100, 1));
    }
}
