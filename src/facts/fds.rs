//! The processes that are nearest to their limit on open files.

use super::{Gather, Source, text};
use crate::host::{Ask, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

const READ: &str = "/proc/PID/fd, /proc/PID/limits";

/// Percent of its limit from which a process is told of beside the nearest one, and whatever those hold that cannot be
/// looked into.
const CLOSE: i128 = 75;

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man5/proc_pid_limits.5.html";
    Entry { name, unit: Unit::Count, scope: Scope::Pidns, meaning, read: READ, document }
}

/// A subject is the name of a process with its pid, `nginx 812`: the one that is nearest to its limit, and each other one
/// at three quarters or more.
pub(super) const SOURCE: Source = Source {
    families: &["fds"],
    read,
    entries: &[
        entry("fds[*].used", "open descriptors of a process that is near to its soft limit"),
        entry("fds[*].limit", "soft limit on open files of that process"),
        entry("fds.denied", "processes that this user could not look into"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let found = match gather.host.ask(Query { ask: Ask::FdUse, of: "" }) {
        Ok(bytes) => Pass::parse(&text(&bytes)).ok_or_else(|| Gap::unparsable(READ, &bytes)),
        Err(refusal) => Err(refusal.gap(READ)),
    };
    // All of one pass, wanted or not: another pass may find other processes.
    let denied = found.as_ref().map(|pass| Value::Number(pass.denied)).map_err(Gap::clone);
    gather.put("fds.denied", denied, READ);
    match found.and_then(Pass::near) {
        Ok(near) => {
            for Process { name, used, limit } in near {
                gather.put(format!("fds[{name}].used"), Ok(Value::Number(used)), READ);
                gather.put(format!("fds[{name}].limit"), Ok(Value::Number(limit)), READ);
            }
        }
        Err(gap) => {
            for name in ["fds[*].used", "fds[*].limit"] {
                gather.put(name, Err(gap.clone()), READ);
            }
        }
    }
}

#[derive(Debug, PartialEq)]
struct Process {
    /// With the pid.
    name: String,
    used: i128,
    limit: i128,
}

impl Process {
    fn is_close(&self) -> bool {
        self.used.saturating_mul(100) >= self.limit.saturating_mul(CLOSE)
    }
}

/// What a pass over the processes found.
#[derive(Debug, PartialEq)]
struct Pass {
    denied: i128,
    /// Whether there may be others that this user does not see.
    hidden: bool,
    /// The nearest to its limit first.
    processes: Vec<Process>,
}

impl Pass {
    /// Reads the answer to [`Ask::FdUse`].
    fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_once('\n')?;
        let mut words = head.split_whitespace();
        let denied = words.clone().find_map(|word| word.strip_prefix("denied="))?.parse().ok()?;
        let hidden = words.any(|word| word == "hidden");
        let process = |line: &str| {
            let mut words = line.splitn(4, ' ');
            let (pid, used, limit) = (words.next()?, words.next()?, words.next()?);
            let pid: u32 = pid.parse().ok()?;
            let name = format!("{} {pid}", words.next()?);
            Some(Process { name, used: used.parse().ok()?, limit: limit.parse().ok()? })
        };
        Some(Self { denied, hidden, processes: rest.lines().map(process).collect::<Option<_>>()? })
    }

    /// The nearest process, and all others that are close.
    ///
    /// # Errors
    /// There is none, or some could not be looked into and none of the others is close: nothing is known of the hidden ones.
    fn near(self) -> Result<Vec<Process>, Gap> {
        let denied = self.denied;
        let others = match self.hidden {
            true => "the processes of other users are hidden from this one (hidepid)".to_owned(),
            false => format!("{denied} processes could not be looked into by this user"),
        };
        let partial = self.hidden || denied > 0;
        let mut processes = self.processes.into_iter();
        let Some(first) = processes.next() else {
            let cause = if partial { Cause::Denied } else { Cause::Absent };
            return Err(Gap::new(cause, format!("no process could be looked into: {others}")));
        };
        if partial && !first.is_close() {
            let Process { name, used, limit } = first;
            let why = format!("{others}; of the rest {name} is nearest to its limit, with {used} of {limit}");
            return Err(Gap::new(Cause::Denied, why));
        }
        Ok(std::iter::once(first).chain(processes.filter(Process::is_close)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which every pass finds the next answer.
    struct Changing(std::cell::RefCell<Vec<&'static str>>);

    impl crate::host::Host for Changing {
        fn ask(&self, _: Query<'_>) -> crate::host::Answer {
            Ok(self.0.borrow_mut().remove(0).into())
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    fn read(answers: &[&'static str], names: &[&'static str]) -> crate::model::facts::Facts {
        let host = Changing(answers.to_vec().into());
        let mut facts = crate::model::facts::Facts::default();
        for name in names {
            super::super::gather(&host, [*name].into(), &mut facts);
        }
        facts
    }

    #[test]
    fn the_nearest_process_is_told_and_each_other_one_that_is_close() {
        let answer = "looked=212 denied=3\n812 62 64 nginx: worker\n9 800 1024 a]b\n1 281 32768 systemd\n";
        let facts = read(&[answer], &["fds[*].used", "fds[*].limit", "fds.denied"]);
        assert_eq!(facts.subjects("fds[*].used"), ["a]b 9", "nginx: worker 812"]);
        assert_eq!(facts.number("fds[nginx: worker 812].used"), Ok(62));
        assert_eq!(facts.number("fds[nginx: worker 812].limit"), Ok(64));
        assert_eq!(facts.number("fds.denied"), Ok(3));
        let calm = read(&["looked=2 denied=0\n1 281 32768 systemd\n9 8 1024 sh\n"], &["fds[*].used"]);
        assert_eq!(calm.subjects("fds[*].limit"), ["systemd 1"]);
    }

    #[test]
    fn processes_that_cannot_be_looked_into_are_not_taken_to_be_far_from_their_limit() {
        let facts = read(&["looked=1 denied=46\n90 5 1024 tunecheck\n"], &["fds[*].used"]);
        let gap = facts.family("fds[*].used").unwrap_err();
        assert!(
            gap.cause == Cause::Denied && gap.why.contains("46 processes") && gap.why.contains("5 of 1024"),
            "{gap}"
        );
        assert_eq!(facts.number("fds.denied"), Ok(46));
        let hidden = read(&["looked=1 denied=0 hidden\n90 5 1024 tunecheck\n"], &["fds[*].used"]);
        let gap = hidden.family("fds[*].used").unwrap_err();
        assert!(gap.cause == Cause::Denied && gap.why.contains("hidepid"), "{gap}");
        let none = read(&["looked=0 denied=40\n"], &["fds[*].used"]);
        assert_eq!(none.family("fds[*].limit").unwrap_err().cause, Cause::Denied);
    }

    #[test]
    fn what_is_no_answer_is_no_use() {
        for odd in ["", "looked=1", "looked=1 denied=x\n", "looked=1 denied=0\n1 2\n", "looked=1 denied=0\na b c d\n"] {
            assert_eq!(Pass::parse(odd), None, "{odd:?}");
        }
    }
}
