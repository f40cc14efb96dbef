//! Connection tracking: what is tracked here, and which drops mean a full table.

use super::{Formula, entry, is_child_netns};
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::facts::Facts;
use crate::model::version::Version;

const MAX: &str = "conntrack.max";
const DROP: &str = "conntrack.stat.drop";
const INSERT_FAILED: &str = "conntrack.stat.insert_failed";
/// Since 5.15; /proc/net/stat/nf_conntrack calls it `chainlength`, `conntrack -S` calls it chaintoolong.
const CHAIN: &str = "conntrack.stat.chainlength";
/// What stands in its place before: always 0.
const BEFORE_CHAIN: &str = "conntrack.stat.delete_list";
const TOO_LONG: &str = "conntrack.chain_too_long";
pub(in crate::facts) const FULL_DROPS: &str = "conntrack.full_drops";
/// The counters that the drops of a full table are worked out from.
pub(in crate::facts) const PARTS: &[&str] = &[DROP, INSERT_FAILED, CHAIN, BEFORE_CHAIN];
/// Since this release an insert that ended in a shared entry is not counted as failed.
const SHARED_APART: Version = Version { major: 5, minor: 7, patch: 0 };

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "conntrack.used",
            Unit::Count,
            Scope::Netns,
            "conntrack.count",
            "tracked connections, where this namespace tracks any",
        ),
        needs: &["conntrack.count", DROP, INSERT_FAILED, "conntrack.stat.invalid", "conntrack.stat.early_drop"],
        compute: |facts, _| match facts.number("conntrack.count")? {
            // A rule that asks for tracking leaves no other trace before the first packet meets it.
            0 if is_child_netns(facts) && !has_tracked(facts) => Err(Gap::new(
                Cause::NotVisibleHere,
                "nothing is tracked in this network namespace now, and no counter shows that anything was; what its packets meet outside of it is tracked in the node's network namespace",
            )),
            count => Ok(Value::Number(count)),
        },
    },
    Formula {
        entry: entry(
            TOO_LONG,
            Unit::Count,
            Scope::Netns,
            "conntrack.stat.chainlength",
            "entries that were not inserted because their chain was too long; none before 5.15, which has no such bound",
        ),
        needs: &[CHAIN, BEFORE_CHAIN],
        compute: |facts, _| match (facts.number(CHAIN), facts.value(BEFORE_CHAIN)) {
            (Err(_), Ok(_)) => Ok(Value::Number(0)),
            (count, _) => count.map(Value::Number),
        },
    },
    Formula {
        entry: entry(
            FULL_DROPS,
            Unit::Count,
            Scope::Netns,
            "conntrack.stat.drop - (conntrack.stat.insert_failed - conntrack.stat.chainlength)",
            "packets dropped for want of room: one whose place was taken is counted as dropped too, and as failed",
        ),
        needs: &[DROP, INSERT_FAILED, CHAIN, BEFORE_CHAIN, "kernel.release"],
        compute: |facts, _| {
            full_drops(facts, facts.number(DROP)?, facts.number(INSERT_FAILED)?, facts.number(TOO_LONG))
        },
    },
    Formula {
        entry: entry(
            "conntrack.wanted",
            Unit::Count,
            Scope::Host,
            "workload.entries, and twice conntrack.max where three quarters of it are used or packets were dropped for want of room",
            "entries that the table should have room for",
        ),
        needs: &["conntrack.used", MAX, FULL_DROPS],
        compute: |facts, _| {
            let load = facts.number("workload.entries")?;
            let is_short = |max: i128| {
                facts.number("conntrack.used").is_ok_and(|used| used >= max - max / 4)
                    || facts.number(FULL_DROPS).is_ok_and(|drops| drops > 0)
            };
            Ok(Value::Number(match facts.number(MAX) {
                Ok(max) if max < i128::MAX && is_short(max) => load.max(max.saturating_mul(2)),
                _ => load,
            }))
        },
    },
];

/// Whether a counter shows that this network namespace tracks, even where its table is empty now.
fn has_tracked(facts: &Facts) -> bool {
    let counters = [DROP, INSERT_FAILED, "conntrack.stat.invalid", "conntrack.stat.early_drop"];
    counters.iter().any(|name| facts.number(name).is_ok_and(|count| count > 0))
}

/// Drops for want of room among all drops. Each lost clash counts as dropped and as failed; an overlong chain and a dying
/// entry count as failed alone.
fn full_drops(facts: &Facts, dropped: i128, failed: i128, too_long: Result<i128, Gap>) -> Reading {
    let least = dropped.saturating_sub(failed);
    if least > 0 && failed == 0 || dropped == 0 {
        return Ok(Value::Number(dropped));
    }
    let kernel = facts.text("kernel.release").and_then(|text| text.parse::<Version>().ok());
    let too_long = match too_long {
        Ok(too_long) if kernel.is_none_or(|kernel| kernel >= SHARED_APART) => too_long,
        // Those that failed are not all lost: only what is dropped beyond them is sure.
        _ if least > 0 => return Ok(Value::Number(least)),
        _ => {
            let why = "this kernel counts no overlong chains, or shared entries as failed: drops of a full table cannot be \
                       told from those of a taken place";
            return Err(Gap::new(Cause::Unsupported, why));
        }
    };
    let full = dropped.saturating_sub(failed.saturating_sub(too_long).max(0)).max(0);
    // An insert by netlink counts an overlong chain and no failure, so a few in a hundred prove no full table.
    let slight = full <= too_long && full.saturating_mul(100) <= failed;
    Ok(Value::Number(if slight { 0 } else { full }))
}

/// Makes the rise of the drops of a full table that of its parts: totals that partly cancel out hide it.
pub(in crate::facts) fn rise_by_parts(facts: &mut Facts) {
    let Ok(now) = facts.number(FULL_DROPS) else { return };
    let rise = |name: &str| facts.rise(name).and_then(Result::ok);
    let (Some(dropped), Some(failed)) = (rise(DROP), rise(INSERT_FAILED)) else { return };
    let too_long = match (rise(CHAIN), facts.value(BEFORE_CHAIN)) {
        (Some(rise), _) => Ok(rise),
        (None, Ok(_)) => Ok(0),
        (None, Err(gap)) => Err(gap),
    };
    if let Ok(Value::Number(rise)) = full_drops(facts, dropped, failed, too_long) {
        facts.began_at(FULL_DROPS.into(), Some(now.saturating_sub(rise)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::derive;
    use super::*;
    use crate::model::window::Window;

    fn counted(kernel: &str, columns: &[(&'static str, i128)]) -> Facts {
        let mut facts = Facts::default();
        facts.put("kernel.release", Ok(Value::Text(kernel.into())), "");
        for &(name, number) in columns {
            facts.put(name, Ok(Value::Number(number)), "");
        }
        derive(&mut facts);
        facts
    }

    fn full(kernel: &str, dropped: i128, failed: i128, chain: Option<(&'static str, i128)>) -> Result<i128, Cause> {
        let columns = [Some((DROP, dropped)), Some((INSERT_FAILED, failed)), chain];
        let columns: Vec<(&'static str, i128)> = columns.into_iter().flatten().collect();
        counted(kernel, &columns).number(FULL_DROPS).map_err(|gap| gap.cause)
    }

    #[test]
    fn drops_of_a_full_table_are_those_that_no_failed_insert_explains() {
        for (kernel, dropped, failed, chain, expected) in [
            ("6.18.44", 388, 500, (CHAIN, 500), Ok(388)),
            ("6.1.0", 1146, 0, (CHAIN, 0), Ok(1146)),
            ("6.1.0", 318, 318, (CHAIN, 0), Ok(0)),
            ("6.1.0", 388, 318, (CHAIN, 0), Ok(70)),
            // SNAT ports used up toward one destination: each lost SYN counts in both.
            ("6.18.44", 20, 20, (CHAIN, 0), Ok(0)),
            ("5.10.0", 388, 318, (BEFORE_CHAIN, 0), Ok(70)),
            ("5.10.0", 318, 400, (BEFORE_CHAIN, 0), Ok(0)),
            // conntrackd met six overlong chains, and the rest are lost DNS queries.
            ("6.1.0", 4121, 4121, (CHAIN, 6), Ok(0)),
            // Before 5.7 shared entries count as failed.
            ("4.19.0", 500, 318, (BEFORE_CHAIN, 0), Ok(182)),
            ("4.19.0", 318, 400, (BEFORE_CHAIN, 0), Err(Cause::Unsupported)),
            ("4.19.0", 0, 400, (BEFORE_CHAIN, 0), Ok(0)),
        ] {
            assert_eq!(full(kernel, dropped, failed, Some(chain)), expected, "{kernel} {dropped} {failed} {chain:?}");
        }
        assert_eq!(full("9.0.0", 100, 100, None), Err(Cause::Unsupported));
        assert_eq!(full("9.0.0", 100, 0, None), Ok(100));
    }

    #[test]
    fn an_empty_table_is_no_proof_that_nothing_is_tracked() {
        let used = |child: bool, invalid: i128| {
            let mut facts = Facts::default();
            let numbers =
                [("conntrack.count", 0), ("namespace.net.init", (!child).into()), ("conntrack.stat.invalid", invalid)];
            for (name, number) in numbers {
                facts.put(name, Ok(Value::Number(number)), "");
            }
            derive(&mut facts);
            facts.number("conntrack.used")
        };
        let gap = used(true, 0).unwrap_err();
        assert!(gap.cause == Cause::NotVisibleHere && gap.why.contains("now"), "{gap}");
        assert_eq!((used(true, 3), used(false, 0)), (Ok(0), Ok(0)));
    }

    #[test]
    fn a_rise_is_that_of_its_parts() {
        let mut facts = counted("6.1.0", &[(DROP, 130), (INSERT_FAILED, 150), (CHAIN, 0)]);
        assert_eq!(facts.number(FULL_DROPS), Ok(0), "dying entries hide it in the totals");
        let before = [(DROP.into(), 100), (INSERT_FAILED.into(), 150), (CHAIN.into(), 0), (FULL_DROPS.into(), 0)];
        facts.look_back(Window { milliseconds: 2000, before: before.into() });
        rise_by_parts(&mut facts);
        assert_eq!(facts.rise(FULL_DROPS), Some(Ok(30)));
    }
}
