//! What of the declared burst each listener has to hold.

use std::collections::BTreeMap;

use crate::model::fact::Value;
use crate::model::facts::{Facts, grouped};
use crate::model::listener::{Group, address_of, is_local};
use crate::model::workload::Workload;

/// Where administrators log in: not the service, unless it was declared.
const SSH: i128 = 22;

/// For each listener that burst below which it fails, that below which it warns, and both in words.
pub(super) fn of_listeners(facts: &Facts, workload: &Workload) -> Vec<(String, Value)> {
    let subjects = facts.subjects("listener[*].backlog");
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for subject in &subjects {
        *sizes.entry(address_of(subject)).or_default() += 1;
    }
    subjects
        .iter()
        .flat_map(|subject| {
            let group = Group { listeners: sizes.get(address_of(subject)).copied().unwrap_or(1) };
            let port = facts.number(&format!("listener[{subject}].port")).unwrap_or_default();
            let declared = workload.ports.iter().any(|&declared| i128::from(declared) == port);
            let possible = declared || (workload.ports.is_empty() && may_be_the_service(facts, subject, port));
            let number = |comes: bool, burst: u64| Value::Number(if comes { burst.into() } else { 0 });
            let (mean, most) = (group.mean(workload.burst), group.most(workload.burst));
            [
                (format!("listener[{subject}].declared_burst"), number(declared, mean)),
                (format!("listener[{subject}].possible_burst"), number(possible, most)),
                (format!("listener[{subject}].share"), Value::Text(words(group, workload.burst))),
            ]
        })
        .collect()
}

/// Whether a listener that nobody declared may be the service: not one that only this machine reaches, and not that of
/// sshd, until it drops something.
fn may_be_the_service(facts: &Facts, subject: &str, port: i128) -> bool {
    let dropped = facts.number(&format!("listener[{subject}].drops")).is_ok_and(|drops| drops > 0);
    dropped || !(is_local(subject) || port == SSH)
}

fn words(group: Group, burst: u64) -> String {
    let number = |number: u64| grouped(number.into());
    match group.listeners {
        ..=1 => format!("It has to hold a burst of {}", number(burst)),
        listeners => format!(
            "{listeners} listeners share this address (SO_REUSEPORT) and a burst of {}: {} each, and as chance has it up to {}",
            number(burst),
            number(group.mean(burst)),
            number(group.most(burst))
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::Role;

    /// What `[address, #2, ...]` have to hold of a burst of 2,000: to fail, and to warn.
    fn bursts(listeners: &[(&str, u16)], drops: i128, ports: &[u16]) -> Vec<(i128, i128)> {
        let mut facts = Facts::default();
        for (subject, port) in listeners {
            for (key, number) in [("backlog", 511), ("port", (*port).into()), ("drops", drops)] {
                facts.put(format!("listener[{subject}].{key}"), Ok(Value::Number(number)), "");
            }
        }
        let load = Workload { burst: 2000, ports: ports.to_vec(), ..Workload::none(Role::Server) };
        super::super::declare(&mut facts, &load);
        let number = |subject: &str, key: &str| facts.number(&format!("listener[{subject}].{key}")).unwrap();
        listeners.iter().map(|(name, _)| (number(name, "declared_burst"), number(name, "possible_burst"))).collect()
    }

    #[test]
    fn listeners_of_one_address_share_a_burst() {
        let four = [("[::]:80", 80), ("[::]:80#2", 80), ("[::]:80#3", 80), ("[::]:80#4", 80), ("0.0.0.0:80", 80)];
        assert_eq!(bursts(&four, 0, &[80]), [(500, 568), (500, 568), (500, 568), (500, 568), (2000, 2000)]);
        assert_eq!(bursts(&four[..2], 0, &[443]), [(0, 0), (0, 0)]);
    }

    #[test]
    fn who_serves_this_machine_or_its_administrators_is_not_the_service_unless_it_is_declared_or_drops() {
        let some =
            [("127.0.0.1:9000", 9000), ("[::1]:9000", 9000), ("[::ffff:127.0.0.1]:9000", 9000), ("0.0.0.0:22", 22)];
        assert_eq!(bursts(&some, 0, &[]), [(0, 0); 4]);
        assert_eq!(bursts(&some, 1, &[]), [(0, 2000); 4]);
        assert_eq!(bursts(&some[..1], 0, &[9000]), [(2000, 2000)]);
        assert_eq!(bursts(&[("10.0.0.1:9000", 9000)], 0, &[]), [(0, 2000)]);
    }
}
