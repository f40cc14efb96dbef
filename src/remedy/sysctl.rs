//! A sysctl's new value.

use super::Situation;
use crate::model::action::How;
use crate::model::fact::{Cause, Gap, Value};
use crate::model::fix::{Change, SysctlFix};
use crate::model::sysctl::known;

/// The kernel rounds nf_conntrack_buckets up to a multiple of this.
const BUCKET_STEP: i128 = 512;

/// The new value, or none if the live one is as good. Never smaller, never a shorter list.
///
/// # Errors
/// The gap without which a value would be a guess that could drop entries or shrink a range.
pub(super) fn changed(fix: &SysctlFix, subject: Option<&str>, situation: Situation<'_>) -> Result<Option<Value>, Gap> {
    if known::is_read_only(fix.name, situation.place.kernel) {
        return Ok(None);
    }
    let live = situation.facts.value(&format!("sysctl.{}", fix.name));
    // What kernels of today no longer have is written only where it is seen to be, and never on one of them.
    let gone = |removed| live.is_err() || situation.place.kernel.is_some_and(|kernel| kernel >= removed);
    if known::removed_in(fix.name).is_some_and(gone) {
        return Ok(None);
    }
    let new = match &fix.change {
        Change::Raise(bound) => {
            let wanted = bound.amount(situation.facts, subject)?;
            // For conntrack 0 stands for unlimited, and no number is more.
            let unlimited = fix.name.ends_with("nf_conntrack_max") && live == Ok(&Value::Number(0));
            let enough = live.as_ref().is_ok_and(|live| live.limit().is_some_and(|live| live >= wanted));
            // A size below 1 comes of figures that no kernel gives.
            if unlimited || enough || wanted == i128::MAX || wanted < 1 {
                return Ok(None);
            }
            let whole = if fix.name == known::CONNTRACK_BUCKETS { whole_buckets(wanted) } else { wanted };
            let new = whole.min(most(fix.name));
            if live.as_ref().is_ok_and(|live| live.limit().is_some_and(|live| live >= new)) {
                return Ok(None);
            }
            Value::Number(new)
        }
        Change::Set(value) => value.value(),
        Change::Widen(low, high) => match live.clone()? {
            Value::Numbers(ends) => match widened(*low, *high, ends, situation) {
                Some(range) => range,
                None => return Ok(None),
            },
            other => return Err(Gap::new(Cause::Unparsable, format!("{} is {}", fix.name, other.plain()))),
        },
        Change::Add(ports) => match live.clone()? {
            Value::Ports(held) => Value::Ports(held.union(situation.facts.ports(ports)?)),
            other => return Err(Gap::new(Cause::Unparsable, format!("{} is {}", fix.name, other.plain()))),
        },
    };
    // What the machine is told at boot is never less, either.
    // A number that the kernel refuses it refused at boot too.
    let taken = |boot: &&Value| boot.limit().is_none_or(|number| number <= most(fix.name));
    let boot = |of: &str| situation.facts.value(&format!("boot[{}].{of}", fix.name)).ok().filter(taken);
    // Where nobody knows which of two readers a boot runs, not less than either makes of it.
    let boots = match boot("value") {
        Some(value) => [Some(value), None],
        None => ["systemd", "procps"].map(boot),
    };
    let more = |new, boot: &Value| both(how(&fix.change), &new, boot).unwrap_or(new);
    let new = boots.into_iter().flatten().fold(new, more);
    Ok((live != Ok(&new)).then_some(new))
}

/// What the kernel makes of a number of buckets.
pub(super) fn whole_buckets(buckets: i128) -> i128 {
    buckets.saturating_add(BUCKET_STEP - 1) / BUCKET_STEP * BUCKET_STEP
}

/// The greatest number that the kernel takes for a sysctl; beyond it a write is EINVAL.
///
/// Sources: kernel/pid.c, kernel/fork.c (`FUTEX_TID_MASK`), fs/file.c (`sysctl_nr_open_max`), fs/file_table.c.
pub(super) fn most(name: &str) -> i128 {
    match name {
        "fs.file-max" => i64::MAX.into(),
        "fs.nr_open" => 2_147_483_584,
        "kernel.pid_max" => 4_194_304,
        "kernel.threads-max" => 0x3fff_ffff,
        _ => i32::MAX.into(),
    }
}

/// How a change goes about it.
pub(super) fn how(change: &Change) -> How {
    match change {
        Change::Raise(_) => How::Raise,
        Change::Set(_) => How::Set,
        Change::Widen(..) => How::Widen,
        Change::Add(_) => How::Add,
    }
}

/// One value that serves two wishes for the same sysctl, if there is one: the greatest size, all ports, the widest range.
pub(super) fn both(how: How, one: &Value, other: &Value) -> Option<Value> {
    match (how, one, other) {
        (How::Raise, Value::Number(a), Value::Number(b)) => Some(Value::Number(*a.max(b))),
        (How::Add, Value::Ports(a), Value::Ports(b)) => Some(Value::Ports(a.union(b))),
        (How::Widen, Value::Numbers(a), Value::Numbers(b)) => match (a.as_slice(), b.as_slice()) {
            (&[a_low, a_high], &[b_low, b_high]) => Some(Value::Numbers(vec![a_low.min(b_low), a_high.max(b_high)])),
            _ => None,
        },
        _ => (one == other).then(|| one.clone()),
    }
}

/// A port range moved outwards. The lower end stays at or above `ip_unprivileged_port_start`, below which the kernel
/// refuses it, and the ends keep different parity, which the kernel asks for in its log.
fn widened(low: i128, high: i128, ends: &[i128], situation: Situation<'_>) -> Option<Value> {
    let [old_low, old_high] = *ends else { return None };
    let floor = situation.facts.number("sysctl.net.ipv4.ip_unprivileged_port_start").unwrap_or(1024);
    let (mut low, high) = (old_low.min(low.max(floor)), old_high.max(high));
    // Port 0 is none, wherever the unprivileged ones start.
    if (high ^ low) & 1 == 0 && low > floor.max(1) {
        low -= 1;
    }
    Some(Value::Numbers(vec![low, high]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalogue::Catalogue;
    use crate::model::check::Bound;
    use crate::model::fact::Literal;
    use crate::model::facts::Facts;
    use crate::model::place::Place;
    use crate::model::ports::Ports;

    fn after(change: Change, live: &'static str, value: Value, more: &[(&'static str, Value)]) -> Option<Value> {
        let mut facts = Facts::default();
        facts.put(format!("sysctl.{live}"), Ok(value.clone()), "");
        for (name, value) in more {
            facts.put(*name, Ok(value.clone()), "");
        }
        let (place, catalogue) = (Place::plain_host(), Catalogue::EMPTY);
        let fix = SysctlFix { name: live, change, bytes_each: None };
        changed(&fix, None, Situation { facts: &facts, place: &place, catalogue }).unwrap()
    }

    fn raise(to: i64) -> Change {
        Change::Raise(Bound { of: None, times: 1.0, plus: to, least: i64::MIN })
    }

    fn ports(text: &str) -> Value {
        Value::Ports(text.parse::<Ports>().unwrap())
    }

    #[test]
    fn a_size_is_never_lowered() {
        assert_eq!(after(raise(65535), "net.core.somaxconn", Value::Number(4096), &[]), Some(Value::Number(65535)));
        assert_eq!(after(raise(65535), "net.core.somaxconn", Value::Number(65535), &[]), None);
        assert_eq!(after(raise(65535), "net.core.somaxconn", Value::Number(1 << 20), &[]), None);
        assert_eq!(after(raise(262_144), "net.netfilter.nf_conntrack_max", Value::Number(0), &[]), None);
    }

    #[test]
    fn what_is_not_known_is_neither_widened_nor_written_over() {
        let (facts, place, catalogue) = (Facts::default(), Place::plain_host(), Catalogue::EMPTY);
        let situation = Situation { facts: &facts, place: &place, catalogue };
        for change in [Change::Widen(10240, 65535), Change::Add("ports.busy")] {
            let fix = SysctlFix { name: "net.ipv4.ip_local_port_range", change, bytes_each: None };
            assert!(changed(&fix, None, situation).is_err());
        }
    }

    #[test]
    fn what_a_kernel_may_have_lost_is_switched_off_where_it_is_seen() {
        const NAME: &str = "net.ipv4.tcp_tw_recycle";
        assert_eq!(after(Change::Set(Literal::Number(0)), NAME, Value::Number(1), &[]), Some(Value::Number(0)));
        let (facts, place, catalogue) = (Facts::default(), Place::plain_host(), Catalogue::EMPTY);
        let fix = SysctlFix { name: NAME, change: Change::Set(Literal::Number(0)), bytes_each: None };
        let unseen = changed(&fix, None, Situation { facts: &facts, place: &place, catalogue });
        assert_eq!(unseen, Ok(None));
    }

    #[test]
    fn nothing_is_asked_for_that_the_kernel_refuses() {
        let raised = |name, live| after(raise(i64::MAX), name, Value::Number(live), &[]);
        assert_eq!(raised("net.netfilter.nf_conntrack_max", 8192), Some(Value::Number(2_147_483_647)));
        assert_eq!(raised("kernel.pid_max", 4_194_304), None);
        assert_eq!(raised("fs.file-max", 8192), Some(Value::Number(i64::MAX.into())));
    }

    #[test]
    fn buckets_are_what_the_kernel_makes_of_them() {
        let raised = after(raise(102_001), "net.netfilter.nf_conntrack_buckets", Value::Number(8192), &[]);
        assert_eq!(raised, Some(Value::Number(102_400)));
    }

    #[test]
    fn a_list_keeps_its_entries() {
        let busy = [("ports.must_reserve", ports("40000"))];
        let after = after(Change::Add("ports.must_reserve"), "net.ipv4.ip_local_reserved_ports", ports("8080"), &busy);
        assert_eq!(after, Some(ports("8080,40000")));
    }

    #[test]
    fn a_range_moves_outwards_and_stays_where_the_kernel_takes_it() {
        let widen = |live: [i128; 2], start: i128| {
            let start = [("sysctl.net.ipv4.ip_unprivileged_port_start", Value::Number(start))];
            after(Change::Widen(10240, 65535), "net.ipv4.ip_local_port_range", Value::Numbers(live.to_vec()), &start)
        };
        assert_eq!(widen([32768, 60999], 1024), Some(Value::Numbers(vec![10240, 65535])));
        assert_eq!(widen([1024, 65535], 1024), None);
        assert_eq!(widen([5001, 60999], 1024), Some(Value::Numbers(vec![5000, 65535])));
        assert_eq!(widen([32768, 60999], 20_000), Some(Value::Numbers(vec![20_000, 65535])));
    }
}
