//! Who listens: the process that holds each listening socket, and the unit, container or pod that made it.

use std::collections::BTreeMap;

use super::{Gather, Source, text};
use crate::host::{Ask, Query, home};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

pub(super) const OWNER: &str = "listener[*].owner";
/// Is told with the owner.
const UNIT: &str = "listener[*].unit";
/// What an owner is found by.
pub(super) const INODE: &str = "listener[*].inode";
const READ: &str = "/proc/PID/fd, /proc/PID/comm";

const OWNED: Entry = Entry {
    name: OWNER,
    unit: Unit::Text,
    scope: Scope::Netns,
    meaning: "command name and pid, as seen here, of the first process that holds the socket",
    read: READ,
    document: "https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html",
};

const MADE: Entry = Entry {
    name: UNIT,
    unit: Unit::Text,
    scope: Scope::Netns,
    meaning: "unit, container or pod in which the socket was made, by its cgroup (cgroup v2 and Linux 5.9)",
    read: "sock_diag, /sys/fs/cgroup",
    document: "https://docs.kernel.org/admin-guide/cgroup-v2.html",
};

pub(super) const SOURCE: Source = Source { families: &["listener"], read, entries: &[OWNED, MADE] };

const DENIED: &str = "seen only by its owner, or by root with CAP_SYS_PTRACE where no security module forbids it";
const DENIED_TO_ROOT: &str = "root may not look into every process here: that takes CAP_SYS_PTRACE, also in the user namespace of the \
                              process, and no security module that forbids it";
const CUT: &str = "it is not among the descriptors that were looked at (tunecheck help limits)";
const HIDDEN: &str = "the processes of other users are hidden from this one (hidepid): root sees them";
const ELSEWHERE: &str = "no process that is visible here holds it: another pid namespace, or the kernel itself";

fn read(gather: &mut Gather<'_>) {
    if gather.wanted.of_family("listener").any(|name| ["].owner", "].unit"].iter().any(|key| name.ends_with(key))) {
        look(gather);
    }
}

/// Looks for who holds each listening socket: a walk over the processes.
pub(super) fn look(gather: &mut Gather<'_>) {
    let inode = |subject: &str| gather.facts.number(&format!("listener[{subject}].inode")).unwrap_or(0);
    let subjects = gather.facts.subjects(INODE).into_iter();
    let sockets: Vec<(i128, String)> = subjects.map(|subject| (inode(&subject), subject)).collect();
    let figure = |subject: &str, key: &str| gather.facts.number(&format!("listener[{subject}].{key}")).ok();
    let part = |mark: char, number: Option<i128>| number.map(|number| format!("{mark}{number}")).unwrap_or_default();
    let asked = sockets.iter().map(|(inode, subject)| {
        format!("{inode}{}{}", part('@', figure(subject, "cgroup_id")), part('/', figure(subject, "uid")))
    });
    let asked: Vec<String> = asked.collect();
    let cgroups: Vec<Option<i128>> = sockets.iter().map(|(_, subject)| figure(subject, "cgroup_id")).collect();
    if asked.is_empty() {
        return;
    }
    let answer = gather.host.ask(Query { ask: Ask::SocketOwners, of: &asked.join(",") });
    let owners = answer.map(|bytes| Owners::parse(&bytes)).map_err(|refusal| refusal.gap(READ));
    for ((inode, subject), cgroup) in sockets.into_iter().zip(cgroups) {
        let unit = owners.as_ref().ok().and_then(|owners| owners.units.get(&cgroup?));
        if let Some(unit) = unit {
            gather.put(format!("listener[{subject}].unit"), Ok(Value::Text(unit.clone())), MADE.read);
        }
        let reading = match &owners {
            Ok(owners) => owners.of(inode).map(|owner| Value::Text(owner.to_owned())),
            Err(gap) => Err(gap.clone()),
        };
        gather.put(format!("listener[{subject}].owner"), reading, READ);
    }
}

/// What the host says of sockets and processes.
struct Owners {
    /// By inode number.
    known: BTreeMap<i128, String>,
    /// By the number of a cgroup.
    units: BTreeMap<i128, String>,
    /// Why any other socket has no owner.
    otherwise: Gap,
}

impl Owners {
    fn parse(bytes: &[u8]) -> Self {
        let mut owners = Self {
            known: BTreeMap::new(),
            units: BTreeMap::new(),
            otherwise: Gap::new(Cause::NotVisibleHere, ELSEWHERE),
        };
        let text = text(bytes);
        let denied = if text.lines().any(|line| line == "as root") { DENIED_TO_ROOT } else { DENIED };
        for line in text.lines() {
            let mut parts = line.splitn(3, ' ');
            let (first, second, name) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
            match (first.parse(), second.and_then(|pid| pid.parse::<u32>().ok()), name) {
                (Ok(inode), Some(pid), Some(name)) => {
                    owners.known.entry(inode).or_insert_with(|| words(name, pid));
                }
                _ if first == "hidden" => owners.otherwise = Gap::new(Cause::Denied, HIDDEN),
                _ if first == "cgroup" => {
                    let number = second.and_then(|number| number.parse().ok());
                    owners.units.extend(number.zip(name.and_then(home)));
                }
                _ if first == "denied" => owners.otherwise = Gap::new(Cause::Denied, denied),
                _ if first == "cut" && owners.otherwise.cause != Cause::Denied => {
                    owners.otherwise = Gap::new(Cause::Unsupported, CUT);
                }
                _ => {}
            }
        }
        owners
    }

    fn of(&self, inode: i128) -> Result<&str, Gap> {
        self.known.get(&inode).map(String::as_str).ok_or_else(|| self.otherwise.clone())
    }
}

/// `nginx 812`. A process may have no name at all.
fn words(name: &str, pid: u32) -> String {
    match name.trim() {
        "" => format!("unnamed {pid}"),
        name => format!("{name} {pid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_name_of_any_form_and_a_number() {
        let owners = Owners::parse(b"7 812 nginx\n8 9 Web Content\n9 10  \n7 900 worker\nx y z\n12 3\n");
        assert_eq!(owners.of(7), Ok("nginx 812"), "the first that is named");
        assert_eq!(owners.of(8), Ok("Web Content 9"));
        assert_eq!(owners.of(9), Ok("unnamed 10"));
        assert_eq!(owners.of(12), Err(Gap::new(Cause::NotVisibleHere, ELSEWHERE)));
    }

    #[test]
    fn the_cgroup_names_the_unit_also_where_the_process_is_unknown() {
        let owners =
            Owners::parse(b"cgroup 41 /system.slice/gateway.service\ncgroup 42 /\ncgroup x /y.service\ndenied 9\n");
        assert_eq!(owners.units, [(41, "gateway.service".to_owned())].into());
        assert_eq!(owners.of(7).unwrap_err().why, DENIED);
        assert_eq!(Owners::parse(b"denied 9\nas root\n").of(7).unwrap_err().why, DENIED_TO_ROOT);
    }

    #[test]
    fn a_socket_without_an_owner_says_why() {
        let cause = |answer: &[u8]| Owners::parse(answer).of(7).unwrap_err().cause;
        assert_eq!(cause(b"8 1 x\ndenied 3\n"), Cause::Denied);
        assert_eq!(cause(b"denied 3\ncut 1\n"), Cause::Denied);
        assert_eq!(cause(b"cut 1\n"), Cause::Unsupported);
        assert_eq!(Owners::parse(b"hidden 1\n").of(7), Err(Gap::new(Cause::Denied, HIDDEN)));
        assert_eq!(cause(b""), Cause::NotVisibleHere);
        assert_eq!(cause(b"\xff\xfe 7 7\n"), Cause::NotVisibleHere);
    }
}
