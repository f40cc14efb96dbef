//! Listeners: what bounds the queue of each, and what to change in whose program.

use std::cmp::{Ordering, Reverse};

use super::knobs::{Asks, knob};
use super::{Formula, entry, is_unread};
use crate::facts::listeners::DROPS;
use crate::facts::owners::OWNER;
use crate::model::fact::{Gap, Scope, Unit, Value};
use crate::model::facts::{Facts, grouped};
use crate::model::listener::Limit;

const BACKLOG: &str = "listener[*].backlog";
const UNIX_BACKLOG: &str = "unix[*].backlog";
const SOMAXCONN: &str = "sysctl.net.core.somaxconn";
const COUNT: &str = "listeners.count";
const ALL_DROPS: &str = "netstat.TcpExt.ListenDrops";
/// Listeners that are named at most in a sentence.
const NAMED: usize = 3;

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "listener[*].capacity",
            Unit::Count,
            Scope::Netns,
            "listener[*].backlog + 1",
            "connections that the accept queue holds",
        ),
        needs: &[BACKLOG],
        compute: |facts, subject| Ok(Value::Number(backlog(facts, subject)?.saturating_add(1))),
    },
    Formula {
        entry: entry(
            "listener[*].limited_by",
            Unit::Text,
            Scope::Netns,
            "listener[*].backlog against net.core.somaxconn",
            "what bounds the accept queue: somaxconn, or the application",
        ),
        needs: &[BACKLOG, SOMAXCONN],
        compute: |facts, subject| Ok(Value::Text(limit(facts, subject)?.words().to_owned())),
    },
    Formula {
        entry: entry(
            "listener[*].knob",
            Unit::Text,
            Scope::Netns,
            "listener[*].owner and listener[*].limited_by",
            "what to change for a longer accept queue",
        ),
        needs: &[BACKLOG, SOMAXCONN, OWNER],
        compute: |facts, subject| Ok(Value::Text(advice(facts, subject)?)),
    },
    Formula {
        entry: entry(
            "unix[*].capacity",
            Unit::Count,
            Scope::Netns,
            "unix[*].backlog + 1",
            "connections that the accept queue holds",
        ),
        needs: &[UNIX_BACKLOG],
        compute: |facts, subject| {
            Ok(Value::Number(facts.number(&format!("unix[{subject}].backlog"))?.saturating_add(1)))
        },
    },
    Formula {
        entry: entry(
            "unix[*].limited_by",
            Unit::Text,
            Scope::Netns,
            "unix[*].backlog against net.core.somaxconn",
            "what bounds the accept queue: somaxconn, or the application",
        ),
        needs: &[UNIX_BACKLOG, SOMAXCONN],
        compute: |facts, subject| {
            let backlog = facts.number(&format!("unix[{subject}].backlog"))?;
            Ok(Value::Text(against(backlog, facts.number(SOMAXCONN)?).words().to_owned()))
        },
    },
    Formula {
        entry: entry(
            "listeners.cut_drops",
            Unit::Count,
            Scope::Netns,
            "listener[*].drops where listener[*].backlog is net.core.somaxconn",
            "packets dropped by the listeners that now have a queue as long as somaxconn allows",
        ),
        needs: &[BACKLOG, DROPS, SOMAXCONN, COUNT],
        compute: |facts, _| {
            let mut sum: i128 = 0;
            for (subject, drops) in drops(facts)? {
                if limit(facts, &subject)? == Limit::Somaxconn {
                    sum = sum.saturating_add(drops);
                }
            }
            Ok(Value::Number(sum))
        },
    },
    Formula {
        entry: entry(
            "listeners.dropped",
            Unit::Text,
            Scope::Netns,
            "listener[*].drops",
            "which listeners dropped how many packets, since the socket of each was made",
        ),
        needs: &[BACKLOG, DROPS, COUNT, ALL_DROPS],
        compute: |facts, _| Ok(Value::Text(dropped(facts)?)),
    },
];

/// What each listener dropped, the most first.
fn drops(facts: &Facts) -> Result<Vec<(String, i128)>, Gap> {
    facts.number(COUNT)?;
    let mut drops = Vec::new();
    for subject in facts.subjects(DROPS) {
        let number = facts.number(&format!("listener[{subject}].drops"))?;
        drops.push((subject, number));
    }
    drops.sort_by_key(|(_, drops)| Reverse(*drops));
    Ok(drops)
}

/// Which listeners dropped packets, in words. Those that were closed took their count along.
fn dropped(facts: &Facts) -> Result<String, Gap> {
    let all = drops(facts)?;
    let dropping: Vec<&(String, i128)> = all.iter().filter(|(_, drops)| *drops > 0).collect();
    let mut words: Vec<String> =
        dropping.iter().take(NAMED).map(|(subject, drops)| format!("{} at {subject}", grouped(*drops))).collect();
    let sum = |of: &[&(String, i128)]| of.iter().fold(0, |sum: i128, (_, drops)| sum.saturating_add(*drops));
    let rest = sum(dropping.get(NAMED..).unwrap_or_default());
    if rest > 0 {
        words.push(format!("{} at {} more", grouped(rest), dropping.len() - NAMED));
    }
    let gone = facts.number(ALL_DROPS)?.saturating_sub(sum(&dropping));
    if gone > 0 {
        words.push(format!("{} at listeners that have been closed or started anew since", grouped(gone)));
    }
    Ok(if words.is_empty() { "none".to_owned() } else { words.join(", ") })
}

fn backlog(facts: &Facts, subject: &str) -> Result<i128, Gap> {
    facts.number(&format!("listener[{subject}].backlog"))
}

/// What bounds the queue of a listener.
fn limit(facts: &Facts, subject: &str) -> Result<Limit, Gap> {
    Ok(against(backlog(facts, subject)?, facts.number(SOMAXCONN)?))
}

fn against(backlog: i128, somaxconn: i128) -> Limit {
    match backlog.cmp(&somaxconn) {
        Ordering::Equal => Limit::Somaxconn,
        Ordering::Less => Limit::Application,
        Ordering::Greater => Limit::Former,
    }
}

/// What to change, and whether raising somaxconn helps.
fn advice(facts: &Facts, subject: &str) -> Result<String, Gap> {
    let owner = facts.value(&format!("listener[{subject}].owner"));
    if let Err(gap) = &owner
        && is_unread(gap)
    {
        return Err(gap.clone());
    }
    let owner = owner.map(Value::plain);
    // The number comes last, and a name may hold blanks.
    let name = owner.as_ref().map(|owner| owner.rsplit_once(' ').map_or(owner.as_str(), |(name, _)| name));
    let (change, asks) = match name {
        Ok(name) => (knob(name).change, knob(name).asks),
        Err(_) => ("the backlog that the application gives to listen()", Asks::ForItself),
    };
    let limit = facts.text(&format!("listener[{subject}].limited_by")).and_then(Limit::of);
    const RAISE: &str = "raise net.core.somaxconn (listen/somaxconn)";
    Ok(match (limit, asks) {
        (Some(Limit::Somaxconn), Asks::ForSomaxconn) => format!("{RAISE}, then restart it: {change}"),
        (Some(Limit::Somaxconn), Asks::ForItself) => {
            format!("{RAISE} and let the application ask for as much, then restart it: {change}")
        }
        (Some(Limit::Application), Asks::ForSomaxconn) => {
            format!("restart it, somaxconn is higher now than what it got: {change}")
        }
        (Some(Limit::Application), Asks::ForItself) => {
            format!("{change}; then restart it. Raising net.core.somaxconn alone changes nothing here")
        }
        (Some(Limit::Application | Limit::Somaxconn), Asks::Always) => {
            format!("{change}. Raising net.core.somaxconn changes nothing here")
        }
        (Some(Limit::Former), _) => format!("{RAISE} before any restart, which cuts the queue to it: {change}"),
        (None, _) => change.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::derive;
    use crate::model::fact::Cause;

    /// What is said of a listener with this backlog and owner where somaxconn is 4096.
    fn said(backlog: i128, owner: Result<&str, Gap>) -> (String, String) {
        let mut facts = Facts::default();
        facts.put(SOMAXCONN, Ok(Value::Number(4096)), "");
        facts.put("listener[[::]:80].backlog", Ok(Value::Number(backlog)), "");
        // Derived once before anybody asked who listens, as an audit does.
        derive(&mut facts);
        assert!(facts.value("listener[[::]:80].knob").is_err_and(|gap| is_unread(&gap)));
        facts.put("listener[[::]:80].owner", owner.map(|owner| Value::Text(owner.into())), "");
        derive(&mut facts);
        let text = |key: &str| facts.text(&format!("listener[[::]:80].{key}")).unwrap().to_owned();
        (text("limited_by"), text("knob"))
    }

    #[test]
    fn a_backlog_below_somaxconn_is_the_applications_and_somaxconn_does_not_help() {
        let (limit, knob) = said(511, Ok("nginx 812"));
        assert_eq!(limit, "the application");
        assert!(knob.starts_with("backlog=") && knob.contains("somaxconn alone changes nothing"), "{knob}");
    }

    #[test]
    fn a_backlog_at_somaxconn_is_cut_by_it_and_raising_it_helps() {
        let (limit, knob) = said(4096, Ok("nginx 812"));
        assert_eq!(limit, "somaxconn");
        assert!(knob.starts_with("raise net.core.somaxconn") && knob.contains("backlog="), "{knob}");
        let (_, knob) = said(4096, Ok("caddy 812"));
        assert!(knob.starts_with("raise net.core.somaxconn") && !knob.contains("ask for as much"), "{knob}");
    }

    #[test]
    fn a_program_that_takes_somaxconn_and_got_less_started_too_early() {
        let (limit, knob) = said(128, Ok("caddy 812"));
        assert_eq!(limit, "the application");
        assert!(knob.starts_with("restart it"), "{knob}");
    }

    #[test]
    fn a_backlog_above_somaxconn_is_lost_at_a_restart() {
        let (limit, knob) = said(65535, Ok("node 1"));
        assert_eq!(limit, "the application or a former, higher somaxconn");
        assert!(knob.starts_with("raise net.core.somaxconn"), "{knob}");
    }

    /// Listeners as `(subject, backlog, drops)` in a namespace that counts so many drops, where somaxconn is 4096.
    fn dropping(listeners: &[(&str, i128, Option<i128>)], all: i128) -> Facts {
        let mut facts = Facts::default();
        let untold = || Gap::new(Cause::Absent, "not told here");
        for (subject, backlog, drops) in listeners {
            facts.put(format!("listener[{subject}].backlog"), Ok(Value::Number(*backlog)), "");
            facts.put(format!("listener[{subject}].drops"), drops.map(Value::Number).ok_or_else(untold), "");
        }
        let count = i128::try_from(listeners.len()).unwrap();
        for (name, number) in [(COUNT, count), (SOMAXCONN, 4096), (ALL_DROPS, all)] {
            facts.put(name, Ok(Value::Number(number)), "");
        }
        derive(&mut facts);
        facts
    }

    #[test]
    fn drops_are_those_of_the_listener_that_counted_them_and_somaxconn_has_those_that_it_cuts() {
        let facts = dropping(&[("[::]:8080", 511, Some(3360)), ("[::]:8443", 4096, Some(0))], 3360);
        assert_eq!(facts.text("listeners.dropped"), Some("3,360 at [::]:8080"));
        assert_eq!(facts.number("listeners.cut_drops"), Ok(0));
        let facts = dropping(&[("[::]:8080", 511, Some(3)), ("[::]:8443", 4096, Some(70))], 80);
        let words = "70 at [::]:8443, 3 at [::]:8080, 7 at listeners that have been closed or started anew since";
        assert_eq!(facts.text("listeners.dropped"), Some(words));
        assert_eq!(facts.number("listeners.cut_drops"), Ok(70));
        assert_eq!(dropping(&[], 0).text("listeners.dropped"), Some("none"));
    }

    #[test]
    fn what_one_listener_does_not_tell_is_said_of_none() {
        let facts = dropping(&[("[::]:8080", 511, None), ("[::]:8443", 4096, Some(1))], 9);
        assert_eq!(facts.value("listeners.dropped").unwrap_err().why, "not told here");
        assert!(facts.number("listeners.cut_drops").is_err());
    }

    #[test]
    fn without_an_owner_it_is_still_known_what_limits_the_queue() {
        let (_, knob) = said(5, Err(Gap::new(Cause::Denied, "seen only by root or the owner of the process")));
        assert!(knob.starts_with("the backlog that the application gives to listen()"), "{knob}");
        assert!(knob.contains("somaxconn alone changes nothing"), "what limits the queue is known: {knob}");
    }
}
