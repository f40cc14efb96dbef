//! Inotify instances and watches: what the user who holds most of each holds, and how much room that asks for.

use super::{Gather, Source, text};
use crate::host::{Ask, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::facts::Facts;

const READ: &str = "/proc/PID/fd, /proc/PID/fdinfo";
const LOADED: &str = "inotify.shared";
/// Percent of a limit from which what could be counted is told, whatever else there is.
const CLOSE: i128 = 75;

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man7/inotify.7.html";
    Entry { name, unit, scope: Scope::Host, meaning, read: READ, document }
}

/// Facts that tell whether containers share the users of this machine.
pub(super) const NEEDS: [&str; 4] = ["sign.kubelet", "sign.mount", "sign.engine", "namespace.pid.init"];
/// The limits, against which a count that is not whole may say enough.
pub(super) const LIMITS: [&str; 2] = ["sysctl.fs.inotify.max_user_instances", "sysctl.fs.inotify.max_user_watches"];

pub(super) const SOURCE: Source = Source {
    families: &["inotify"],
    read,
    entries: &[
        entry(LOADED, Unit::Mode, "1: containers share the users of this machine, or nothing says that none do"),
        entry("inotify.instances", Unit::Count, "inotify instances of the user who holds most"),
        entry("inotify.watches", Unit::Count, "inotify watches of the user who holds most"),
        entry("inotify.instances_of", Unit::Text, "that user, and the process that holds most of them"),
        entry("inotify.watches_of", Unit::Text, "the user who holds most watches"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    if gather.wants(LOADED) {
        let loaded = is_shared(&gather.facts);
        gather.put(LOADED, Ok(Value::Number(loaded.into())), "signs of containers");
    }
    if !gather.wants_any("inotify.instances") && !gather.wants_any("inotify.watches") {
        return;
    }
    let found = match is_shared(&gather.facts) {
        false => Err(Gap::new(Cause::Absent, "no container shares the users of this machine")),
        true => held(gather),
    };
    for (key, limit, of) in [("instances", LIMITS[0], Held::INSTANCES), ("watches", LIMITS[1], Held::WATCHES)] {
        let limit = gather.facts.number(limit).unwrap_or(i128::MAX);
        let most = found.as_ref().map_err(Gap::clone).and_then(|held| held.most(of, limit));
        let (count, user) = match most {
            Ok((count, user)) => (Ok(Value::Number(count)), Ok(Value::Text(user))),
            Err(gap) => (Err(gap.clone()), Err(gap)),
        };
        gather.put(format!("inotify.{key}"), count, READ);
        gather.put(format!("inotify.{key}_of"), user, READ);
    }
}

fn held(gather: &Gather<'_>) -> Result<Held, Gap> {
    match gather.host.ask(Query { ask: Ask::Inotify, of: "" }) {
        Ok(bytes) => Held::parse(&text(&bytes)).ok_or_else(|| Gap::unparsable(READ, &bytes)),
        // A recording of a container cannot hold it either.
        Err(_) if gather.facts.number("namespace.pid.init") == Ok(0) => Err(elsewhere()),
        Err(refusal) => Err(refusal.gap(READ)),
    }
}

fn elsewhere() -> Gap {
    let why = "the kernel counts them for each user of the whole machine, and most of its processes are hidden here: ask on \
               the host or node";
    Gap::new(Cause::NotVisibleHere, why)
}

/// Whether containers share the users of this machine, as far as signs tell: only then is it worth a look at everything
/// that is open.
fn is_shared(facts: &Facts) -> bool {
    let inside = facts.number("namespace.pid.init") == Ok(0) || facts.text("sign.mount").is_some();
    // Where nobody can tell, it may be a node.
    let hidden = ["namespace.pid.init", "sign.mount", "sign.engine"]
        .iter()
        .any(|name| facts.value(name).is_err_and(|gap| gap.is_failure()));
    inside || hidden || facts.holds("sign.engine") || !matches!(facts.value("sign.kubelet"), Ok(Value::Number(0)))
}

/// What a pass over all descriptors found.
#[derive(Debug, PartialEq)]
struct Held {
    denied: u64,
    hidden: bool,
    users: Vec<User>,
}

#[derive(Debug, PartialEq)]
struct User {
    uid: u32,
    counts: [i128; 2],
    /// The process that holds most of its instances, and how many.
    most: String,
}

impl Held {
    const INSTANCES: usize = 0;
    const WATCHES: usize = 1;

    /// Reads the answer to [`Ask::Inotify`].
    fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_once('\n')?;
        let field = |key: &str| head.split_whitespace().find_map(|word| word.strip_prefix(key)?.parse::<u64>().ok());
        let user = |line: &str| {
            let mut words = line.splitn(6, ' ');
            let mut number = || words.next()?.parse::<u32>().ok();
            let (uid, instances, watches) = (number()?, number()?, number()?);
            let (pid, count) = (number()?, number()?);
            let name = words.next()?;
            Some(User { uid, counts: [instances.into(), watches.into()], most: format!("{count} in {pid} {name}") })
        };
        Some(Self {
            denied: field("denied=")?,
            hidden: field("hidden=")? != 0,
            users: rest.lines().map(user).collect::<Option<_>>()?,
        })
    }

    /// The user who holds most.
    ///
    /// # Errors
    /// Not everything could be looked at, and what could is not close to the limit.
    fn most(&self, of: usize, limit: i128) -> Result<(i128, String), Gap> {
        let count = |user: &User| user.counts.get(of).copied().unwrap_or_default();
        let most = self.users.iter().max_by_key(|user| count(user));
        let seen = most.map_or(0, count);
        if seen.saturating_mul(100) < limit.saturating_mul(CLOSE) {
            if self.hidden {
                return Err(elsewhere());
            }
            if self.denied > 0 {
                let why = format!(
                    "{} processes could not be looked into by this user; the others hold {seen} at most for one user",
                    self.denied
                );
                return Err(Gap::new(Cause::Denied, why));
            }
        }
        let words = match (most, of) {
            (None, _) => "nobody holds any".to_owned(),
            (Some(user), Self::INSTANCES) => format!("user {} holds most, {}", user.uid, user.most),
            (Some(user), _) => format!("user {} holds most", user.uid),
        };
        Ok((seen, words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "looked=212 denied=0 hidden=0\n0 97 4100 812 14 kubelet: a b\n1000 4 90000 90 4 node\n";

    #[test]
    fn the_user_who_holds_most_is_told_for_instances_and_for_watches() {
        let held = Held::parse(NODE).unwrap();
        assert_eq!(held.most(Held::INSTANCES, 128), Ok((97, "user 0 holds most, 14 in 812 kubelet: a b".into())));
        assert_eq!(held.most(Held::WATCHES, 1_000_000), Ok((90_000, "user 1000 holds most".into())));
        let none = Held::parse("looked=3 denied=0 hidden=0\n").unwrap();
        assert_eq!(none.most(Held::INSTANCES, 128).map(|most| most.0), Ok(0));
    }

    #[test]
    fn what_was_not_looked_at_is_no_room_and_what_is_close_is_told_all_the_same() {
        for (head, cause) in
            [("looked=9 denied=46 hidden=0", Cause::Denied), ("looked=9 denied=0 hidden=1", Cause::NotVisibleHere)]
        {
            let held = Held::parse(&NODE.replace("looked=212 denied=0 hidden=0", head)).unwrap();
            assert_eq!(held.most(Held::INSTANCES, 1024).unwrap_err().cause, cause);
            assert_eq!(held.most(Held::INSTANCES, 128).map(|most| most.0), Ok(97));
        }
    }

    #[test]
    fn what_is_no_answer_is_no_use() {
        for odd in ["", "looked=1", "looked=1 denied=x hidden=0\n", "looked=1 denied=0 hidden=0\n0 1 2 3\n"] {
            assert_eq!(Held::parse(odd), None, "{odd:?}");
        }
    }
}
