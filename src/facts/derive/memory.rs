//! What the declared load and the largest values of settings cost in memory.

use super::tcp::TCP_MEM;
use super::{Formula, entry, nth};
use crate::model::cost::{BUCKET, SOCKET, TRACKED};
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::facts::Facts;

const PAGE: &str = "memory.page";
const RMEM: &str = "sysctl.net.ipv4.tcp_rmem";
const WMEM: &str = "sysctl.net.ipv4.tcp_wmem";

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "sockets.memory",
            Unit::Bytes,
            Scope::Process,
            "workload.sockets x 3584 bytes",
            "kernel memory of the declared sockets while they are idle: no buffers, nothing of the application",
        ),
        needs: &[],
        compute: |facts, _| times(facts.number("workload.sockets")?, SOCKET.into()),
    },
    Formula {
        entry: entry(
            "ceiling.memory",
            Unit::Bytes,
            Scope::Process,
            "the lesser of memory.total and cgroup.memory.limit",
            "most memory that this process can have",
        ),
        needs: &["memory.total", "cgroup.memory.limit"],
        compute: |facts, _| {
            let total = facts.number("memory.total")?;
            match facts.number("cgroup.memory.limit") {
                Ok(limit) => Ok(Value::Number(total.min(limit))),
                Err(gap) if gap.cause == Cause::Absent => Ok(Value::Number(total)),
                Err(gap) => Err(gap),
            }
        },
    },
    Formula {
        entry: entry(
            "conntrack.memory",
            Unit::Bytes,
            Scope::Host,
            "conntrack.max x 450 + conntrack.buckets x 8 bytes",
            "kernel memory of a full conntrack table, of one network namespace",
        ),
        needs: &["conntrack.max", "conntrack.buckets"],
        compute: |facts, _| {
            let buckets = facts.number("conntrack.buckets")?.saturating_mul(BUCKET.into());
            match facts.value("conntrack.max")? {
                Value::Number(max) => Ok(Value::Number(max.saturating_mul(TRACKED.into()).saturating_add(buckets))),
                other => Ok(other.clone()),
            }
        },
    },
    Formula {
        entry: entry(
            "tcp_mem.ceiling",
            Unit::Bytes,
            Scope::Host,
            "third number of net.ipv4.tcp_mem x memory.page",
            "memory that all TCP buffers together may take",
        ),
        needs: &[TCP_MEM, PAGE],
        compute: |facts, _| match nth(facts, TCP_MEM, 2)? {
            Value::Number(pages) => times(pages, facts.number(PAGE)?),
            other => Ok(other),
        },
    },
    Formula {
        entry: entry(
            "tcp_mem.need",
            Unit::Bytes,
            Scope::Host,
            "workload.sockets x memory.page",
            "TCP buffers of the declared sockets when each has data on the way: the kernel counts in whole pages",
        ),
        needs: &[PAGE],
        compute: |facts, _| times(facts.number("workload.sockets")?, facts.number(PAGE)?),
    },
    Formula {
        entry: entry(
            "tcp_mem.full",
            Unit::Bytes,
            Scope::Host,
            "workload.sockets x (second number of tcp_rmem + second number of tcp_wmem)",
            "TCP buffers of the declared sockets when every one is as full as it may get before it grows",
        ),
        needs: &[RMEM, WMEM],
        compute: |facts, _| {
            let [read, written] = [default(facts, RMEM)?, default(facts, WMEM)?];
            times(facts.number("workload.sockets")?, read.saturating_add(written))
        },
    },
];

/// The middle of the three numbers of a buffer's size.
fn default(facts: &Facts, name: &str) -> Result<i128, Gap> {
    match nth(facts, name, 1)? {
        Value::Number(bytes) => Ok(bytes),
        _ => Err(Gap::new(Cause::Unparsable, name)),
    }
}

fn times(count: i128, bytes: i128) -> Result<Value, Gap> {
    Ok(Value::Number(count.saturating_mul(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::derive;
    use super::*;

    fn derived(numbers: &[(&'static str, i128)]) -> Facts {
        let mut facts = Facts::default();
        for &(name, number) in numbers {
            facts.put(name, Ok(Value::Number(number)), "");
        }
        facts.put(TCP_MEM, Ok(Value::Numbers(vec![1, 2, 100])), "");
        facts.put(PAGE, Ok(Value::Number(4096)), "");
        facts.put(RMEM, Ok(Value::Numbers(vec![4096, 131_072, 6_291_456])), "");
        facts.put(WMEM, Ok(Value::Numbers(vec![4096, 16_384, 4_194_304])), "");
        derive(&mut facts);
        facts
    }

    #[test]
    fn the_lesser_of_machine_and_cgroup_is_what_a_process_can_have() {
        let ceiling = |limit: Result<Value, Gap>| {
            let mut facts = Facts::default();
            facts.put("memory.total", Ok(Value::Number(1000)), "");
            facts.put("cgroup.memory.limit", limit, "");
            derive(&mut facts);
            facts.number("ceiling.memory").map_err(|gap| gap.cause)
        };
        assert_eq!(ceiling(Ok(Value::Number(10))), Ok(10));
        assert_eq!(ceiling(Ok(Value::Unlimited)), Ok(1000));
        assert_eq!(ceiling(Err(Gap::new(Cause::Absent, "x"))), Ok(1000));
        // A limit that cannot be seen is a limit all the same.
        assert_eq!(ceiling(Err(Gap::new(Cause::NotVisibleHere, "x"))), Err(Cause::NotVisibleHere));
    }

    #[test]
    fn costs_follow_their_formula() {
        let facts = derived(&[("workload.sockets", 1000), ("conntrack.max", 262_144), ("conntrack.buckets", 65_536)]);
        assert_eq!(facts.number("sockets.memory"), Ok(3_584_000));
        assert_eq!(facts.number("conntrack.memory"), Ok(262_144 * 450 + 65_536 * 8));
        assert_eq!(facts.number("tcp_mem.ceiling"), Ok(409_600));
        assert_eq!(facts.number("tcp_mem.need"), Ok(4_096_000));
        assert_eq!(facts.number("tcp_mem.full"), Ok(1000 * (131_072 + 16_384)));
    }

    #[test]
    fn the_largest_numbers_end_no_audit() {
        let facts =
            derived(&[("workload.sockets", i128::MAX), ("conntrack.max", i128::MAX), ("conntrack.buckets", i128::MAX)]);
        assert_eq!(facts.number("conntrack.memory"), Ok(i128::MAX));
        assert_eq!(facts.number("tcp_mem.full"), Ok(i128::MAX));
    }
}
