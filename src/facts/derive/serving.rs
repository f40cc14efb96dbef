//! The process that carries the load, and its limits on open files: the audited one where one was named, else of those that
//! listen the one with the least.

use super::{Formula, of_process};
use crate::facts::holders::{CGROUP, FDS, HARD, SOFT, is_declared, may_serve};
use crate::facts::owners::INODE;
use crate::model::fact::{Cause, Gap, Reading, Unit, Value};
use crate::model::facts::{Facts, humane};

/// Programs that start a process for each connection or hand the listening socket on: their own limit binds no load. By
/// their command names; a star stands for any ending.
const OF_ONE_EACH: [&str; 9] =
    ["sshd*", "systemd", "inetd*", "xinetd", "postgres*", "smbd*", "dropbear", "vsftpd", "php-fpm*"];

const NAME_IT: &str = "its limits are those of the service and not of the shell that started tunecheck: name it with --unit, \
                       --name or --pid";

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: of_process(
            "serving.nofile.soft",
            Unit::Count,
            "limit.nofile.soft of the audited process, else listener[*].nofile.soft",
            "open files at which the process that carries the load fails",
        ),
        needs: &["process.meant", "limit.nofile.soft", INODE, SOFT, HARD],
        compute: |facts, _| of(facts, "limit.nofile.soft", SOFT),
    },
    Formula {
        entry: of_process(
            "serving.nofile.hard",
            Unit::Count,
            "limit.nofile.hard of the audited process, else listener[*].nofile.hard",
            "highest soft limit that this process may give itself",
        ),
        needs: &["process.meant", "limit.nofile.hard", INODE, SOFT, HARD],
        compute: |facts, _| of(facts, "limit.nofile.hard", HARD),
    },
    Formula {
        entry: of_process(
            "serving.fds",
            Unit::Count,
            "process.fds of the audited process, else listener[*].fds",
            "files that this process has open",
        ),
        needs: &["process.meant", "process.fds", INODE, SOFT, HARD, FDS],
        compute: |facts, _| of(facts, "process.fds", FDS),
    },
    Formula {
        entry: of_process(
            "serving.cgroup",
            Unit::Text,
            "listener[*].cgroup",
            "cgroup of this process, where none was named",
        ),
        needs: &["process.meant", INODE, SOFT, HARD, CGROUP],
        compute: |facts, _| of(facts, "cgroup.path", CGROUP),
    },
    Formula {
        entry: of_process(
            "serving.process",
            Unit::Text,
            "process.name, else listener[*].owner",
            "the process that carries the load, in words",
        ),
        needs: &["process.meant", INODE, SOFT, HARD],
        compute: |facts, _| match least(facts)? {
            None => Ok(Value::Text("this process".into())),
            Some(subject) => Ok(Value::Text(owner(facts, &subject)?)),
        },
    },
    Formula {
        entry: of_process(
            "serving.files_at_least",
            Unit::Count,
            "workload.files_at_least, 0 where no declared port says that the process carries the load, or it starts one for each connection; more than its limit where 95 % of that are open",
            "files without which this process does not carry the load",
        ),
        needs: &["serving.nofile.soft", "serving.fds", "process.meant", "process.name", INODE, SOFT, HARD],
        compute: |facts, _| {
            let declared =
                |subject: &str| facts.ports("workload.ports").is_ok_and(|ports| is_declared(facts, subject, ports));
            let load = match least(facts)? {
                Some(subject) if !declared(&subject) => 0,
                None if hands_on(facts) => 0,
                _ => facts.number("workload.files_at_least")?,
            };
            Ok(Value::Number(load.max(used_up(facts).map_or(0, |limit| limit.saturating_add(1)))))
        },
    },
    Formula {
        entry: of_process(
            "serving.files",
            Unit::Count,
            "workload.files, 0 where the audited process starts one for each connection",
            "files that are recommended for this process",
        ),
        needs: &["process.meant", "process.name"],
        compute: |facts, _| match is_audited(facts) && hands_on(facts) {
            true => Ok(Value::Number(0)),
            false => facts.value("workload.files").cloned(),
        },
    },
];

/// Whether the audited process starts another one for each connection, so that its own limit holds none of them.
fn hands_on(facts: &Facts) -> bool {
    facts.text("process.name").is_some_and(serves_one_each)
}

/// The limit of the process that carries the load, where it is used up, as files/fds judges it. Who holds more than its limit
/// lowered that on purpose, to open nothing more.
fn used_up(facts: &Facts) -> Option<i128> {
    let (open, soft) = (facts.number("serving.fds").ok()?, facts.number("serving.nofile.soft").ok()?);
    (open <= soft && open.saturating_mul(100) >= soft.saturating_mul(95)).then_some(soft)
}

/// Whether the limits of the audited process are what counts: it was named, or it is the one of a container.
fn is_audited(facts: &Facts) -> bool {
    facts.holds("process.meant") || facts.holds("container")
}

fn of(facts: &Facts, own: &str, of_listener: &str) -> Reading {
    match least(facts)? {
        None => facts.value(own).cloned(),
        Some(subject) => facts.value(&of_listener.replace('*', &subject)).cloned(),
    }
}

fn owner(facts: &Facts, subject: &str) -> Result<String, Gap> {
    facts.value(&format!("listener[{subject}].owner")).map(Value::plain)
}

/// The listener whose process has the lowest limits, of those that may carry the load; none where the audited process does.
///
/// # Errors
/// There is none, or one that could be lower cannot be looked at.
fn least(facts: &Facts) -> Result<Option<String>, Gap> {
    if is_audited(facts) {
        return Ok(None);
    }
    let name_it = |who: &str| Gap::new(Cause::NotVisibleHere, format!("{who}; {NAME_IT}"));
    if facts.text("workload.role") == Some("client") {
        return Err(name_it("a process that opens connections shows in no listener"));
    }
    facts.family(INODE)?;
    let mut least: Option<(i128, i128, String)> = None;
    let mut hidden = None;
    for subject in facts.subjects(INODE).into_iter().filter(|subject| may_serve(facts, subject)) {
        let name = owner(facts, &subject);
        if name.as_ref().is_ok_and(|name| serves_one_each(name)) {
            continue;
        }
        let limit = |key: &str| facts.number(&format!("listener[{subject}].nofile.{key}"));
        match (limit("soft"), limit("hard")) {
            (Ok(soft), Ok(hard)) => {
                let one = (soft, hard, subject);
                least = Some(least.map_or(one.clone(), |before| before.min(one)));
            }
            (Err(gap), _) | (_, Err(gap)) => hidden = Some(name.err().unwrap_or(gap)),
        }
    }
    let enough = |soft: i128| facts.number("workload.files").is_ok_and(|files| soft >= files);
    match (least, hidden) {
        (Some((.., subject)), None) => Ok(Some(subject)),
        // What is too little for the load is a finding, whatever another one has.
        (Some((soft, _, subject)), Some(_)) if !enough(soft) => Ok(Some(subject)),
        (_, Some(gap)) => Err(Gap::new(gap.cause, format!("of a process that listens here: {}; {NAME_IT}", gap.why))),
        (None, None) => Err(name_it("no process listens here that could carry the load")),
    }
}

/// Whether a program, as `NAME PID`, serves each connection by a process of its own.
fn serves_one_each(owner: &str) -> bool {
    // The owner of a listener ends with its pid, the audited process begins with it.
    let is_pid = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let name = match (owner.split_once(' '), owner.rsplit_once(' ')) {
        (Some((pid, name)), _) if is_pid(pid) => name,
        (_, Some((name, pid))) if is_pid(pid) => name,
        _ => owner,
    };
    OF_ONE_EACH.iter().any(|known| match known.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *known,
    })
}

/// What is said of a process that nobody named; none where the audited process is meant.
pub(super) fn note(facts: &Facts) -> Result<Option<String>, Gap> {
    let Some(subject) = least(facts)? else { return Ok(None) };
    let shown =
        |key: &str| Ok::<_, Gap>(humane(facts.value(&format!("listener[{subject}].nofile.{key}"))?, Unit::Count));
    let (soft, hard, name) = (shown("soft")?, shown("hard")?, owner(facts, &subject)?);
    let whether = match facts.ports("workload.ports").is_ok_and(|ports| !ports.is_empty()) {
        true => "",
        false => " Of those that listen here it has the lowest limit; --port says which one carries the load.",
    };
    Ok(Some(format!(
        "{name}, which listens on {subject}, gets EMFILE at {soft} descriptors; the hard limit, up to which it may raise \
         itself, is {hard}.{whether}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::derive;
    use crate::model::workload::{Role, Workload};

    /// A machine on which these listen: address, owner, soft limit.
    fn machine(listeners: &[(&str, Result<&str, Gap>, i128)], load: &Workload) -> Facts {
        let mut facts = Facts::default();
        facts.put("process.meant", Ok(Value::Number(0)), "");
        facts.put("limit.nofile.soft", Ok(Value::Number(77)), "");
        for (at, owner, soft) in listeners {
            let port = at.rsplit_once(':').unwrap().1.parse().unwrap();
            let name = |key: &str| format!("listener[{at}].{key}");
            facts.put(name("inode"), Ok(Value::Number(7)), "");
            facts.put(name("port"), Ok(Value::Number(port)), "");
            facts.put(name("backlog"), Ok(Value::Number(4096)), "");
            facts.put(name("owner"), owner.clone().map(|name| Value::Text(name.into())), "");
            let limit = |number: i128| owner.clone().map(|_| Value::Number(number));
            facts.put(name("nofile.soft"), limit(*soft), "");
            facts.put(name("nofile.hard"), limit(524_288), "");
        }
        crate::facts::declare(&mut facts, load);
        derive(&mut facts);
        facts
    }

    fn load(ports: &[u16]) -> Workload {
        Workload { connections: 6000, burst: 600, ports: ports.to_vec(), ..Workload::none(Role::Server) }
    }

    fn soft(facts: &Facts) -> Result<i128, Gap> {
        facts.number("serving.nofile.soft")
    }

    #[test]
    fn of_those_that_listen_the_one_with_the_least_is_told_and_the_shell_is_not() {
        let all = [
            ("0.0.0.0:22", Ok("sshd 1"), 1024),
            ("127.0.0.53:53", Ok("systemd-resolve 2"), 1024),
            ("[::ffff:127.0.0.1]:9300", Ok("java 5"), 1024),
            ("0.0.0.0:80", Ok("nginx 3"), 65_535),
            ("[::]:9000", Ok("app 4"), 4096),
        ];
        let facts = machine(&all, &load(&[]));
        assert_eq!(soft(&facts), Ok(4096));
        assert_eq!(facts.text("serving.process"), Some("app 4"));
        // Nobody said that it carries the load.
        assert_eq!(facts.number("serving.files_at_least"), Ok(0));
        let declared = machine(&all, &load(&[80]));
        assert_eq!((soft(&declared), declared.number("serving.files_at_least")), (Ok(65_535), Ok(6256)));
        assert_eq!(soft(&machine(&all, &load(&[53]))), Ok(1024), "a declared port counts on loopback too");
    }

    #[test]
    fn without_a_process_to_look_at_it_is_said_how_to_name_one() {
        let why = |facts: &Facts| soft(facts).unwrap_err().why;
        let sshd = ("0.0.0.0:22", Ok("sshd 1"), 1024);
        for facts in [machine(&[], &load(&[])), machine(std::slice::from_ref(&sshd), &load(&[]))] {
            assert!(why(&facts).contains("--unit"), "{}", why(&facts));
        }
        let client = Workload { role: Role::Client, ..load(&[]) };
        assert!(why(&machine(&[("0.0.0.0:80", Ok("nginx 3"), 9)], &client)).contains("--name"));
    }

    #[test]
    fn who_may_not_be_looked_at_might_have_less() {
        let denied = || Err(Gap::new(Cause::Denied, "seen only by root"));
        let high = ("0.0.0.0:80", Ok("nginx 3"), 1_048_576);
        let gap = soft(&machine(&[high, ("0.0.0.0:81", denied(), 0)], &load(&[]))).unwrap_err();
        assert!(gap.cause == Cause::Denied && gap.why.contains("seen only by root"), "{gap}");
        let low = ("0.0.0.0:80", Ok("nginx 3"), 1024);
        assert_eq!(soft(&machine(&[low, ("0.0.0.0:81", denied(), 0)], &load(&[]))), Ok(1024), "a finding all the same");
    }

    #[test]
    fn a_limit_that_is_used_up_is_too_low_whatever_the_load() {
        let needs = |limit: i128, open: i128| {
            let mut facts = Facts::default();
            facts.put("process.meant", Ok(Value::Number(1)), "");
            facts.put("limit.nofile.soft", Ok(Value::Number(limit)), "");
            facts.put("process.fds", Ok(Value::Number(open)), "");
            let load = Workload { connections: 10, burst: 10, ..Workload::none(Role::Server) };
            crate::facts::declare(&mut facts, &load);
            derive(&mut facts);
            facts.number("serving.files_at_least").unwrap()
        };
        assert_eq!(needs(1024, 900), 266);
        assert_eq!(needs(1024, 1024), 1025);
        assert_eq!(needs(100_000, 95_000), 100_001);
        assert_eq!(needs(1, 9), 266, "who holds more than its limit lowered that on purpose");
    }

    #[test]
    fn the_limit_of_a_process_that_starts_one_for_each_connection_holds_none_of_them() {
        let needs = |name: &str, open: i128| {
            let mut facts = Facts::default();
            for (key, number) in [("process.meant", 1), ("limit.nofile.soft", 1024), ("process.fds", open)] {
                facts.put(key, Ok(Value::Number(number)), "");
            }
            facts.put("process.name", Ok(Value::Text(name.into())), "");
            crate::facts::declare(&mut facts, &load(&[5432]));
            derive(&mut facts);
            (facts.number("serving.files_at_least").unwrap(), facts.number("serving.files").unwrap())
        };
        for name in ["812 postgres", "postgres 812", "1 sshd", "77 php-fpm8.2"] {
            assert_eq!(needs(name, 9), (0, 0), "{name}");
        }
        assert_eq!(needs("812 gateway", 9), (6256, 65_535));
        assert_eq!(needs("812 postgres", 1024).0, 1025, "what is used up is used up");
    }

    #[test]
    fn the_audited_process_is_what_counts_where_one_is_meant() {
        let mut facts = Facts::default();
        facts.put("process.meant", Ok(Value::Number(1)), "");
        facts.put("limit.nofile.soft", Ok(Value::Number(77)), "");
        derive(&mut facts);
        assert_eq!((soft(&facts), facts.text("serving.process")), (Ok(77), Some("this process")));
    }
}
