//! Sysctls by name: any that a rule asks for.

use super::{Gather, Source, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::facts::Fact;
use crate::model::sysctl;

const IP: &str = "https://docs.kernel.org/networking/ip-sysctl.html";
const CORE: &str = "https://docs.kernel.org/admin-guide/sysctl/net.html";
const FS: &str = "https://docs.kernel.org/admin-guide/sysctl/fs.html";
const KERNEL: &str = "https://docs.kernel.org/admin-guide/sysctl/kernel.html";
const VM: &str = "https://docs.kernel.org/admin-guide/sysctl/vm.html";
const CONNTRACK: &str = "https://docs.kernel.org/networking/nf_conntrack-sysctl.html";

const fn entry(name: &'static str, unit: Unit, scope: Scope, document: &'static str, meaning: &'static str) -> Entry {
    Entry { name, unit, scope, meaning, read: "/proc/sys", document }
}

pub(super) const SOURCE: Source = Source {
    families: &["sysctl"],
    read,
    entries: &[
        entry("sysctl.fs.file-max", Unit::Count, Scope::Host, FS, "most open file descriptions on the host"),
        entry("sysctl.fs.nr_open", Unit::Count, Scope::Host, FS, "ceiling of any process's hard nofile limit"),
        entry("sysctl.fs.inotify.max_user_instances", Unit::Count, Scope::Host, FS, "inotify instances of a user"),
        entry("sysctl.fs.inotify.max_user_watches", Unit::Count, Scope::Host, FS, "inotify watches of a user"),
        entry("sysctl.kernel.pid_max", Unit::Count, Scope::Pidns, KERNEL, "highest process or thread id, plus one"),
        entry("sysctl.kernel.threads-max", Unit::Count, Scope::Host, KERNEL, "most threads on the host"),
        entry(
            "sysctl.net.core.somaxconn",
            Unit::Count,
            Scope::Netns,
            CORE,
            "cap on the backlog that listen() asks for",
        ),
        entry("sysctl.net.core.netdev_max_backlog", Unit::Count, Scope::Host, CORE, "packets in a CPU's input queue"),
        entry("sysctl.net.core.netdev_budget", Unit::Count, Scope::Host, CORE, "packets one softirq run may take"),
        entry(
            "sysctl.net.core.netdev_budget_usecs",
            Unit::Microseconds,
            Scope::Host,
            CORE,
            "time one softirq run may take",
        ),
        entry(
            "sysctl.net.core.dev_weight",
            Unit::Count,
            Scope::Host,
            CORE,
            "packets one device may take in a softirq run",
        ),
        entry("sysctl.net.core.rmem_max", Unit::Bytes, Scope::Host, CORE, "most that SO_RCVBUF may ask for"),
        entry("sysctl.net.core.wmem_max", Unit::Bytes, Scope::Host, CORE, "most that SO_SNDBUF may ask for"),
        entry(
            "sysctl.net.ipv4.tcp_max_syn_backlog",
            Unit::Count,
            Scope::Netns,
            IP,
            "half-open connections while SYN cookies are off",
        ),
        entry(
            "sysctl.net.ipv4.tcp_syncookies",
            Unit::Mode,
            Scope::Netns,
            IP,
            "0 off, 1 when the SYN queue is full, 2 always",
        ),
        entry(
            "sysctl.net.ipv4.tcp_abort_on_overflow",
            Unit::Mode,
            Scope::Netns,
            IP,
            "1: reset a client whose final ACK meets a full accept queue",
        ),
        entry(
            "sysctl.net.ipv4.ip_local_port_range",
            Unit::Count,
            Scope::Netns,
            IP,
            "first and last port for outgoing connections",
        ),
        entry(
            "sysctl.net.ipv4.ip_local_reserved_ports",
            Unit::Ports,
            Scope::Netns,
            IP,
            "ports that outgoing connections leave alone",
        ),
        entry(
            "sysctl.net.ipv4.ip_unprivileged_port_start",
            Unit::Count,
            Scope::Netns,
            IP,
            "first port that needs no privilege; lower end of the port range",
        ),
        entry(
            "sysctl.net.ipv4.tcp_tw_reuse",
            Unit::Mode,
            Scope::Netns,
            IP,
            "reuse of TIME_WAIT ports by outgoing connections: 0 off, 1 on, 2 loopback only",
        ),
        entry(
            "sysctl.net.ipv4.tcp_timestamps",
            Unit::Mode,
            Scope::Netns,
            IP,
            "TCP timestamps: 0 off, 1 with random offsets, 2 without",
        ),
        entry(
            "sysctl.net.ipv4.tcp_tw_recycle",
            Unit::Mode,
            Scope::Host,
            IP,
            "1: connections of an address are judged by its last timestamp (before Linux 4.12)",
        ),
        entry("sysctl.net.ipv4.tcp_max_tw_buckets", Unit::Count, Scope::Netns, IP, "most sockets in TIME_WAIT"),
        entry(
            "sysctl.net.ipv4.tcp_fin_timeout",
            Unit::Seconds,
            Scope::Netns,
            IP,
            "life of an orphaned FIN_WAIT_2 socket",
        ),
        entry(
            "sysctl.net.ipv4.tcp_keepalive_time",
            Unit::Seconds,
            Scope::Netns,
            IP,
            "idle time before the first keepalive probe",
        ),
        entry("sysctl.net.ipv4.tcp_keepalive_intvl", Unit::Seconds, Scope::Netns, IP, "time between keepalive probes"),
        entry(
            "sysctl.net.ipv4.tcp_keepalive_probes",
            Unit::Count,
            Scope::Netns,
            IP,
            "unanswered probes before a connection is dropped",
        ),
        entry(
            "sysctl.net.ipv4.tcp_slow_start_after_idle",
            Unit::Mode,
            Scope::Netns,
            IP,
            "1: an idle connection starts slowly again",
        ),
        entry(
            "sysctl.net.ipv4.tcp_mem",
            Unit::Pages,
            Scope::Host,
            IP,
            "low, pressure and high mark of memory for all TCP sockets",
        ),
        entry(
            "sysctl.net.ipv4.tcp_rmem",
            Unit::Bytes,
            Scope::Netns,
            IP,
            "least, first and most receive buffer of a TCP socket",
        ),
        entry(
            "sysctl.net.ipv4.tcp_wmem",
            Unit::Bytes,
            Scope::Netns,
            IP,
            "least, first and most send buffer of a TCP socket",
        ),
        entry(
            "sysctl.net.ipv4.tcp_max_orphans",
            Unit::Count,
            Scope::Host,
            IP,
            "most closed sockets with data still in flight",
        ),
        entry(
            "sysctl.net.ipv4.tcp_congestion_control",
            Unit::Text,
            Scope::Netns,
            IP,
            "congestion control of new connections",
        ),
        entry(
            "sysctl.net.ipv4.neigh.default.gc_thresh3",
            Unit::Count,
            Scope::Host,
            IP,
            "most entries in the IPv4 neighbour table",
        ),
        entry(
            "sysctl.net.ipv6.neigh.default.gc_thresh3",
            Unit::Count,
            Scope::Host,
            IP,
            "most entries in the IPv6 neighbour table",
        ),
        entry(
            "sysctl.net.ipv4.neigh.default.gc_thresh*",
            Unit::Count,
            Scope::Host,
            IP,
            "thresholds of the IPv4 neighbour table",
        ),
        entry(
            "sysctl.net.ipv6.neigh.default.gc_thresh*",
            Unit::Count,
            Scope::Host,
            IP,
            "thresholds of the IPv6 neighbour table",
        ),
        entry(
            "sysctl.net.netfilter.nf_conntrack_max",
            Unit::Count,
            Scope::Host,
            CONNTRACK,
            "most tracked connections per network namespace; 0 is unlimited before 7.3, which takes no 0",
        ),
        entry(
            "sysctl.net.netfilter.nf_conntrack_buckets",
            Unit::Count,
            Scope::Host,
            CONNTRACK,
            "buckets of the conntrack hash",
        ),
        entry(
            "sysctl.net.netfilter.nf_conntrack_tcp_timeout_established",
            Unit::Seconds,
            Scope::Netns,
            CONNTRACK,
            "idle time after which a tracked connection is forgotten",
        ),
        entry(
            "sysctl.net.ipv4.vs.conn_reuse_mode",
            Unit::Mode,
            Scope::Netns,
            "https://docs.kernel.org/networking/ipvs-sysctl.html",
            "what IPVS does with a port that a client uses again: 0 the old backend, 1 schedule anew",
        ),
        entry(
            "sysctl.net.bridge.bridge-nf-call-iptables",
            Unit::Mode,
            Scope::Netns,
            IP,
            "1: bridged IPv4 packets pass iptables",
        ),
        entry(
            "sysctl.net.ipv6.route.max_size",
            Unit::Count,
            Scope::Netns,
            IP,
            "entries of the IPv6 route cache, before Linux 6.3",
        ),
        entry(
            "sysctl.net.ipv4.tcp_retries2",
            Unit::Count,
            Scope::Netns,
            IP,
            "retransmissions after which a connection is given up",
        ),
        entry("sysctl.fs.aio-nr", Unit::Count, Scope::Host, FS, "events that io_setup() calls of the host asked for"),
        entry("sysctl.fs.aio-max-nr", Unit::Count, Scope::Host, FS, "most of them"),
        entry("sysctl.vm.max_map_count", Unit::Count, Scope::Host, VM, "most memory mappings of a process"),
        entry("sysctl.kernel.keys.maxkeys", Unit::Count, Scope::Host, KERNEL, "kernel keys that a user may hold"),
        entry(
            "sysctl.kernel.keys.maxbytes",
            Unit::Bytes,
            Scope::Host,
            KERNEL,
            "bytes of kernel keys that a user may hold",
        ),
        entry(
            "sysctl.*",
            Unit::Count,
            Scope::Netns,
            "https://docs.kernel.org/admin-guide/sysctl/",
            "any other sysctl, by its dotted name",
        ),
    ],
};

fn read(gather: &mut Gather<'_>) {
    for name in gather.wanted("sysctl") {
        let key = name.strip_prefix("sysctl.").unwrap_or(&name);
        let fact = read_one(gather, key);
        gather.put(name, fact.reading, fact.source);
    }
}

/// Whether the catalogue has an entry for this sysctl alone.
pub(super) fn is_known(key: &str) -> bool {
    SOURCE.entries.iter().any(|entry| entry.name.strip_prefix("sysctl.") == Some(key))
}

/// A sysctl by its dotted name: as it was read before, or from its file.
pub(super) fn read_one(gather: &Gather<'_>, key: &str) -> Fact {
    if let Some(fact) = gather.facts.get(&format!("sysctl.{key}")) {
        return fact.clone();
    }
    let path = sysctl::path(key);
    let reading = match gather.host.read(&path) {
        Ok(bytes) => parse(key, &bytes),
        Err(refusal) => Err(refusal.gap(&path)),
    };
    Fact { reading, source: path.into() }
}

/// The value of a sysctl as its file or a configuration line holds it.
///
/// # Errors
/// `Unparsable` for a number that is none, or a port list that is none.
pub fn parse(key: &str, bytes: &[u8]) -> Reading {
    let text = text(bytes);
    let text = text.trim();
    if key.ends_with("ip_local_reserved_ports") {
        return text.parse().map(Value::Ports).map_err(|_| Gap::unparsable(key, bytes));
    }
    let unit = SOURCE.entries.iter().find(|entry| entry.name.strip_prefix("sysctl.") == Some(key)).map(|e| e.unit);
    if unit != Some(Unit::Text) {
        if let Ok(number) = text.parse() {
            return Ok(Value::Number(number));
        }
        let numbers: Option<Vec<i128>> = text.split_whitespace().map(|word| word.parse().ok()).collect();
        match numbers {
            Some(numbers) if numbers.len() > 1 => return Ok(Value::Numbers(numbers)),
            _ if unit.is_some() => return Err(Gap::new(Cause::Unparsable, format!("{key}: {text:?}"))),
            _ => {}
        }
    }
    Ok(Value::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_kind() {
        assert_eq!(parse("net.core.somaxconn", b"4096\n"), Ok(Value::Number(4096)));
        assert_eq!(parse("net.ipv4.tcp_ehash_entries", b"-262144\n"), Ok(Value::Number(-262_144)));
        assert_eq!(parse("net.ipv4.ip_local_port_range", b"32768\t60999\n"), Ok(Value::Numbers(vec![32768, 60999])));
        assert_eq!(parse("net.ipv4.tcp_congestion_control", b"bbr\n"), Ok(Value::Text("bbr".into())));
        assert_eq!(parse("net.ipv4.ip_local_reserved_ports", b"\n"), Ok(Value::Ports(Default::default())));
        assert_eq!(parse("kernel.core_pattern", b"|/bin/x %p\n"), Ok(Value::Text("|/bin/x %p".into())));
        assert_eq!(parse("net.core.somaxconn", b"lots").unwrap_err().cause, Cause::Unparsable);
        assert_eq!(parse("net.core.somaxconn", b"\xff\xfe").unwrap_err().cause, Cause::Unparsable);
        assert_eq!(parse("net.core.somaxconn", b"").unwrap_err().cause, Cause::Unparsable);
    }
}
