//! The process that is nearest to its limit on open files.

use super::{Gather, Source, text};
use crate::host::{Ask, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

const SOURCE_NAME: &str = "/proc/PID/fd, /proc/PID/limits";

/// Percent of its limit at which a process is worth telling of, whatever those hold that cannot be looked into.
const CLOSE: i128 = 75;

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man5/proc_pid_limits.5.html";
    Entry { name, unit, scope: Scope::Pidns, meaning, read: SOURCE_NAME, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["fds"],
    read,
    entries: &[
        entry("fds.top.used", Unit::Count, "open descriptors of the process that is nearest to its soft limit"),
        entry("fds.top.limit", Unit::Count, "soft limit on open files of that process"),
        entry("fds.top.process", Unit::Text, "name and pid of that process"),
        entry("fds.denied", Unit::Count, "processes that this user could not look into"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let found = match gather.host.ask(Query { ask: Ask::FdUse, of: "" }) {
        Ok(bytes) => Top::parse(&text(&bytes)).ok_or_else(|| Gap::unparsable(SOURCE_NAME, &bytes)),
        Err(refusal) => Err(refusal.gap(SOURCE_NAME)),
    };
    // All of one pass, wanted or not: another pass may name another process.
    for Entry { name, .. } in SOURCE.entries {
        let reading = found.as_ref().map_err(Gap::clone).and_then(|top| top.reading(name));
        gather.put(*name, reading, SOURCE_NAME);
    }
}

/// What a pass over the processes found.
#[derive(Debug, PartialEq)]
struct Top {
    denied: i128,
    /// Used, limit, and name with pid of the first one.
    first: Option<(i128, i128, String)>,
}

impl Top {
    /// Reads the answer to [`Ask::FdUse`].
    fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_once('\n')?;
        let denied = head.split_whitespace().find_map(|word| word.strip_prefix("denied="))?.parse().ok()?;
        let first = match rest.lines().next() {
            None => None,
            Some(line) => {
                let mut words = line.splitn(4, ' ');
                let (pid, used, limit) = (words.next()?, words.next()?, words.next()?);
                let pid: u32 = pid.parse().ok()?;
                Some((used.parse().ok()?, limit.parse().ok()?, format!("{} {pid}", words.next()?)))
            }
        };
        Some(Self { denied, first })
    }

    fn reading(&self, name: &str) -> Reading {
        if name == "fds.denied" {
            return Ok(Value::Number(self.denied));
        }
        let (used, limit, process) = self.first.as_ref().ok_or_else(|| {
            let cause = if self.denied > 0 { Cause::Denied } else { Cause::Absent };
            Gap::new(cause, format!("no process could be looked into, {} were refused", self.denied))
        })?;
        // One that is close tells enough. One that is not says nothing of those that are hidden.
        if self.denied > 0 && used.saturating_mul(100) < limit.saturating_mul(CLOSE) {
            let why = format!(
                "{} processes could not be looked into by this user; of the others {process} is nearest to its limit, with \
                 {used} of {limit}",
                self.denied
            );
            return Err(Gap::new(Cause::Denied, why));
        }
        match name {
            "fds.top.used" => Ok(Value::Number(*used)),
            "fds.top.limit" => Ok(Value::Number(*limit)),
            _ => Ok(Value::Text(process.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_is_told_by_name_and_pid() {
        let top = Top::parse("looked=212 denied=3\n812 62 64 nginx: worker\n1 281 32768 systemd\n").unwrap();
        assert_eq!(top.reading("fds.top.used"), Ok(Value::Number(62)));
        assert_eq!(top.reading("fds.top.limit"), Ok(Value::Number(64)));
        assert_eq!(top.reading("fds.top.process"), Ok(Value::Text("nginx: worker 812".into())));
        assert_eq!(top.reading("fds.denied"), Ok(Value::Number(3)));
    }

    /// A machine on which every pass finds another process.
    struct Changing(std::cell::Cell<u32>);

    impl crate::host::Host for Changing {
        fn ask(&self, _: Query<'_>) -> crate::host::Answer {
            self.0.set(self.0.get() + 1);
            Ok(format!("looked=1 denied=0\n{} 1 2 x\n", self.0.get()).into_bytes())
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn the_process_that_is_named_is_the_one_that_was_judged() {
        let host = Changing(Default::default());
        let mut facts = crate::model::facts::Facts::default();
        for name in ["fds.top.used", "fds.top.process"] {
            super::super::gather(&host, [name.into()].into(), &mut facts);
        }
        assert_eq!(facts.text("fds.top.process"), Some("x 1"));
    }

    #[test]
    fn processes_that_cannot_be_looked_into_are_not_taken_to_be_far_from_their_limit() {
        let top = Top::parse("looked=1 denied=46\n90 5 1024 tunecheck\n").unwrap();
        let gap = top.reading("fds.top.used").unwrap_err();
        assert!(
            gap.cause == Cause::Denied && gap.why.contains("46 processes") && gap.why.contains("5 of 1024"),
            "{gap}"
        );
        assert_eq!(top.reading("fds.denied"), Ok(Value::Number(46)));
    }

    #[test]
    fn nobody_to_look_into_is_no_use_of_zero() {
        let none = Top::parse("looked=0 denied=40\n").unwrap();
        assert_eq!(none.reading("fds.top.used").unwrap_err().cause, Cause::Denied);
        assert_eq!(none.reading("fds.denied"), Ok(Value::Number(40)));
        for odd in ["", "looked=1", "looked=1 denied=x\n", "looked=1 denied=0\n1 2\n", "looked=1 denied=0\na b c d\n"] {
            assert_eq!(Top::parse(odd), None, "{odd:?}");
        }
    }
}
