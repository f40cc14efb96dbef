//! What follows from TCP's own settings and counters.

use super::{Formula, entry, nth};
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::facts::Facts;
use crate::model::sysctl::known;
use crate::model::version::Version;

pub(super) const TCP_MEM: &str = "sysctl.net.ipv4.tcp_mem";
const KEEPALIVE: [&str; 3] = [
    "sysctl.net.ipv4.tcp_keepalive_time",
    "sysctl.net.ipv4.tcp_keepalive_intvl",
    "sysctl.net.ipv4.tcp_keepalive_probes",
];

const TW_RECYCLE: &str = "net.ipv4.tcp_tw_recycle";
const TW_RECYCLE_LIVE: &str = "sysctl.net.ipv4.tcp_tw_recycle";
const TW_RECYCLE_BOOT: &str = "boot[net.ipv4.tcp_tw_recycle].value";

/// What is in force now counts before what a boot file says. That no file sets it tells nothing of a kernel that still has
/// it and was not asked.
fn tw_recycle(facts: &Facts) -> Reading {
    let kernel = facts.text("kernel.release").and_then(|release| release.parse::<Version>().ok());
    let kept = kernel.is_none_or(|kernel| known::removed_in(TW_RECYCLE).is_none_or(|gone| kernel < gone));
    let boot = facts.value(TW_RECYCLE_BOOT);
    match (facts.number(TW_RECYCLE_LIVE), boot) {
        (Ok(live), _) if live != 0 => Ok(Value::Text(format!("{live}, in force now"))),
        (Ok(_), Ok(Value::Number(0))) => Err(Gap::new(Cause::Absent, "it is 0, now and at boot")),
        (Err(gap), Err(_)) if kept && gap.cause != Cause::Absent => Err(gap),
        (_, Err(gap)) => Err(gap),
        (Ok(_), Ok(boot)) => Ok(Value::Text(format!("{}, from the next boot on", boot.plain()))),
        (Err(_), Ok(boot)) => Ok(Value::Text(format!("{}, in a boot file", boot.plain()))),
    }
}

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: entry(
            "tw_recycle",
            Unit::Text,
            Scope::Host,
            "net.ipv4.tcp_tw_recycle, and the boot files",
            "what switches tcp_tw_recycle on, now or at boot",
        ),
        needs: &[TW_RECYCLE_LIVE, TW_RECYCLE_BOOT, "kernel.release"],
        compute: |facts, _| tw_recycle(facts),
    },
    Formula {
        entry: entry(
            "tcp_mem.pressure",
            Unit::Pages,
            Scope::Host,
            "second number of net.ipv4.tcp_mem",
            "TCP memory at which the kernel starts to save",
        ),
        needs: &[TCP_MEM],
        compute: |facts, _| nth(facts, TCP_MEM, 1),
    },
    Formula {
        entry: entry(
            "tcp_mem.high",
            Unit::Pages,
            Scope::Host,
            "third number of net.ipv4.tcp_mem",
            "TCP memory at which the kernel refuses",
        ),
        needs: &[TCP_MEM],
        compute: |facts, _| nth(facts, TCP_MEM, 2),
    },
    Formula {
        entry: entry(
            "ip.received",
            Unit::Count,
            Scope::Netns,
            "netstat.Ip.InReceives + netstat.Ip6.InReceives",
            "packets that came in, from loopback too",
        ),
        needs: &["netstat.Ip.InReceives", "netstat.Ip6.InReceives"],
        compute: |facts, _| {
            let of_ipv6 = match facts.number("netstat.Ip6.InReceives") {
                Err(gap) if gap.cause == Cause::Absent => 0,
                other => other?,
            };
            Ok(Value::Number(facts.number("netstat.Ip.InReceives")?.saturating_add(of_ipv6)))
        },
    },
    Formula {
        entry: entry(
            "tcp.opened",
            Unit::Count,
            Scope::Netns,
            "netstat.Tcp.ActiveOpens + netstat.Tcp.PassiveOpens",
            "TCP connections opened and accepted",
        ),
        needs: &["netstat.Tcp.ActiveOpens", "netstat.Tcp.PassiveOpens"],
        compute: |facts, _| {
            let opened = facts.number("netstat.Tcp.ActiveOpens")?;
            Ok(Value::Number(opened.saturating_add(facts.number("netstat.Tcp.PassiveOpens")?)))
        },
    },
    Formula {
        entry: entry(
            "keepalive.total",
            Unit::Seconds,
            Scope::Netns,
            "time + intvl x probes",
            "time until keepalive gives an idle dead connection up",
        ),
        needs: &KEEPALIVE,
        compute: |facts, _| {
            let [time, interval, probes] = KEEPALIVE.map(|name| facts.number(name));
            Ok(Value::Number(time?.saturating_add(interval?.saturating_mul(probes?))))
        },
    },
];
