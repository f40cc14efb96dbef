//! What follows from TCP's own settings and counters.

use super::{Formula, entry, nth};
use crate::model::fact::{Scope, Unit, Value};

pub(super) const TCP_MEM: &str = "sysctl.net.ipv4.tcp_mem";
const KEEPALIVE: [&str; 3] = [
    "sysctl.net.ipv4.tcp_keepalive_time",
    "sysctl.net.ipv4.tcp_keepalive_intvl",
    "sysctl.net.ipv4.tcp_keepalive_probes",
];

pub(super) const FORMULAS: &[Formula] = &[
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
