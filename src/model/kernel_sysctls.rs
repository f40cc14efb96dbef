//! Which sysctls Linux has, whose they are, and which values it takes: what `kernel_sysctls.txt` says.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::text::distance;

/// Families of which every name is listed: another one is in no kernel.
const WHOLE_FAMILIES: [&str; 13] = [
    "fs.mqueue.",
    "kernel.msg",
    "kernel.sem",
    "kernel.shm",
    "net.core.",
    "net.ipv4.icmp_",
    "net.ipv4.igmp_",
    "net.ipv4.ip_",
    "net.ipv4.ping_",
    "net.ipv4.tcp_",
    "net.ipv4.udp_",
    "net.netfilter.nf_conntrack_",
    "net.unix.",
];
/// Ticks of a second of the slowest kernel: what it takes for a number of seconds is the widest.
const LEAST_TICKS: i128 = 100;
/// What a machine has where nothing sets it, by the kernel's sources (6.1, 6.18) and by measurement on 6.18.
const DEFAULTS: [(&str, i128); 20] = [
    ("fs.aio-max-nr", 65_536),
    ("fs.inotify.max_user_instances", 128),
    ("fs.inotify.max_user_watches", 8192),
    ("fs.nr_open", 1_048_576),
    ("kernel.keys.maxbytes", 20_000),
    ("kernel.keys.maxkeys", 200),
    ("kernel.msgmax", 8192),
    ("kernel.msgmnb", 16_384),
    ("kernel.msgmni", 32_000),
    ("kernel.pid_max", 32_768),
    ("kernel.shmall", 18_446_744_073_692_774_399),
    ("kernel.shmmax", 18_446_744_073_692_774_399),
    ("kernel.shmmni", 4096),
    ("net.core.netdev_max_backlog", 1000),
    ("net.core.optmem_max", 20_480),
    ("net.core.somaxconn", SOMAXCONN),
    ("net.ipv4.tcp_sack", 1),
    ("net.ipv4.tcp_timestamps", 1),
    ("net.ipv4.tcp_window_scaling", 1),
    ("vm.max_map_count", 65_530),
];
/// The default of net.core.somaxconn since 5.4.
pub const SOMAXCONN: i128 = 4096;
const INT: (i128, i128) = (i32::MIN as i128, i32::MAX as i128);

static KNOWN: LazyLock<BTreeMap<&'static str, KernelSysctl>> =
    LazyLock::new(|| include_str!("kernel_sysctls.txt").lines().filter_map(KernelSysctl::of_line).collect());

/// Whose the value of a sysctl is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Every network namespace has its own.
    NetworkNamespace,
    /// Every IPC namespace has its own.
    IpcNamespace,
    /// Every network namespace shows it, and only the first can write it.
    ReadOnly,
    /// There is one on a machine.
    Node,
    /// No kernel of today has it.
    Gone,
}

/// What a kernel takes as the value of a sysctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Up to as many numbers, each within these bounds; what follows is ignored.
    Numbers {
        /// How many.
        most: usize,
        /// The least number.
        from: i128,
        /// The greatest.
        to: i128,
    },
    /// Ports and ranges of them, with commas between them.
    Ports,
    /// The first and the last port of a range.
    PortRange,
    /// Something that is not judged.
    Text,
}

/// A sysctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelSysctl {
    /// Whose it is.
    pub whose: Whose,
    /// Its values.
    pub takes: Takes,
    /// What else there is to say; empty for nothing.
    pub note: &'static str,
}

/// A sysctl by its dotted name; none if no kernel is known to have it.
pub fn find(name: &str) -> Option<&'static KernelSysctl> {
    KNOWN.get(name).or_else(|| KNOWN.get(of_any_interface(name)?.as_str()))
}

/// All of them by their dotted names; a star stands for the name of an interface.
pub fn all() -> impl Iterator<Item = (&'static str, &'static KernelSysctl)> {
    KNOWN.iter().map(|(name, sysctl)| (*name, sysctl))
}

/// Why a value of a limit is less than what a machine has without it; none if it is not, or if that is not known.
pub fn lowers(name: &str, value: &str) -> Option<String> {
    let value = number(value.split_ascii_whitespace().next()?)?;
    if name == "fs.file-max" {
        // files_maxfiles_init: one for each 10 KiB of memory.
        let mebibytes = value.saturating_mul(10) / 1024;
        return (value < i128::from(i64::MAX)).then(|| {
            format!(
                "systemd sets it to the largest number, and the kernel alone to more on a node above {mebibytes} MiB"
            )
        });
    }
    let (_, default) = DEFAULTS.iter().find(|(known, _)| *known == name)?;
    let since = if name == "net.core.somaxconn" { " since 5.4" } else { "" };
    (value < *default).then(|| format!("the kernel's default is {default}{since}"))
}

/// Whether a name that is not known is in no kernel.
pub fn is_of_whole_family(name: &str) -> bool {
    WHOLE_FAMILIES.iter().any(|family| name.starts_with(family))
}

/// The known name that a misspelt one most resembles.
pub fn nearest(name: &str) -> Option<String> {
    let interface = of_any_interface(name).and_then(|_| name.split('.').nth(3));
    let wanted = of_any_interface(name).unwrap_or_else(|| name.to_owned());
    let farthest = (wanted.len() / 8).max(2);
    let alike = |known: &&'static str| known.len().abs_diff(wanted.len()) <= farthest;
    let near = KNOWN.keys().copied().filter(alike).map(|known| (distance(known, &wanted), known));
    let (_, known) = near.min().filter(|(distance, _)| *distance <= farthest)?;
    Some(interface.map_or_else(|| known.to_owned(), |interface| known.replace('*', interface)))
}

/// `net.ipv4.conf.eth0.rp_filter` as `net.ipv4.conf.*.rp_filter`.
fn of_any_interface(name: &str) -> Option<String> {
    let mut words: Vec<&str> = name.split('.').collect();
    match words.as_mut_slice() {
        ["net", "ipv4" | "ipv6", "conf" | "neigh", interface, _] => *interface = "*",
        _ => return None,
    }
    Some(words.join("."))
}

impl KernelSysctl {
    fn of_line(line: &'static str) -> Option<(&'static str, Self)> {
        let (said, note) = line.split_once('#').unwrap_or((line, ""));
        let mut words = said.split_ascii_whitespace();
        let name = words.next()?;
        let whose = match words.next()? {
            "net" => Whose::NetworkNamespace,
            "ipc" => Whose::IpcNamespace,
            "read-only" => Whose::ReadOnly,
            "gone" => Whose::Gone,
            _ => Whose::Node,
        };
        let takes = Takes::of_word(words.next()?)?;
        Some((name, Self { whose, takes, note: note.trim() }))
    }

    /// Whether the kernel takes this as its value.
    pub fn accepts(&self, value: &str) -> bool {
        match self.takes {
            Takes::Numbers { most, from, to } => {
                let words = value.split_ascii_whitespace().take(most);
                words.map(number).all(|number| number.is_some_and(|number| (from..=to).contains(&number)))
            }
            Takes::Ports => value.strip_suffix([',', '\n']).unwrap_or(value).split([',', '\n']).all(is_range_of_ports),
            Takes::PortRange | Takes::Text => true,
        }
    }

    /// Its values in words.
    pub fn in_words(&self) -> String {
        let words = match self.takes {
            Takes::Numbers { most: 1, from, to } => format!("one whole number from {from} to {to}"),
            Takes::Numbers { most, from, to } => {
                format!("up to {most} whole numbers from {from} to {to}, with blanks between them")
            }
            Takes::Ports => {
                "ports and ranges of them up to 65535, with commas and no blanks between them, such as \"8080,9000-9010\""
                    .to_owned()
            }
            Takes::PortRange => "two ports with a blank between them, such as \"10240 65535\"".to_owned(),
            Takes::Text => "text".to_owned(),
        };
        if self.note.is_empty() { words } else { format!("{words} ({})", self.note) }
    }
}

/// `8080` or `8080-9000`.
fn is_range_of_ports(text: &str) -> bool {
    let port = |text: &str| number(text).filter(|port| (0..=65_535).contains(port));
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    port(low).zip(port(high)).is_some_and(|(low, high)| low <= high)
}

impl Takes {
    fn of_word(word: &str) -> Option<Self> {
        let (most, each) = match word.split_once('x') {
            Some((most, each)) if most.bytes().all(|byte| byte.is_ascii_digit()) => (most.parse().ok()?, each),
            _ => (1, word),
        };
        let (from, to) = match each {
            "int" => INT,
            "unsigned" => (0, i128::from(u64::MAX)),
            "seconds" => (INT.0 / LEAST_TICKS, INT.1 / LEAST_TICKS),
            "ports" => return Some(Self::Ports),
            "port-range" => return Some(Self::PortRange),
            "text" => return Some(Self::Text),
            range => {
                let (from, to) = range.split_once("..")?;
                (from.parse().ok()?, if to.is_empty() { INT.1 } else { to.parse().ok()? })
            }
        };
        Some(Self::Numbers { most, from, to })
    }
}

/// A number as the kernel reads it: decimal, 0x or 0, with a minus and without a plus.
pub fn number(word: &str) -> Option<i128> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    // A second sign would be taken by parse().
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let number = match (hex, digits.strip_prefix('0').filter(|rest| !rest.is_empty())) {
        (Some(hex), _) if !hex.starts_with('+') => i128::from_str_radix(hex, 16),
        (Some(_), _) => return None,
        (None, Some(octal)) => i128::from_str_radix(octal, 8),
        (None, None) => digits.parse(),
    };
    number.ok().map(|number| sign * number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_says_something() {
        let lines = include_str!("kernel_sysctls.txt").lines().filter(|line| !line.starts_with('#'));
        for line in lines {
            let (name, sysctl) = KernelSysctl::of_line(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(find(name), Some(&sysctl), "{line}");
        }
        assert!(KNOWN.len() > 500);
    }

    #[test]
    fn numbers_are_read_as_the_kernel_reads_them() {
        let of = |word: &str| number(word);
        assert_eq!((of("60"), of("-1"), of("0x10"), of("010")), (Some(60), Some(-1), Some(16), Some(8)));
        for bad in ["abc", "1.5", "--1", "+1", "0x", "0x+1", "1,", "9".repeat(60).as_str(), ""] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    /// Each was written into a fresh namespace on 6.18.
    #[test]
    fn a_value_is_taken_or_refused_as_the_kernel_does_it() {
        let accepts = |name: &str, value: &str| find(name).unwrap_or_else(|| panic!("{name}")).accepts(value);
        for (name, taken, refused) in [
            (
                "net.ipv4.ip_local_reserved_ports",
                &["8080,", "0", "65535", "0x10", "8080\n9000", "1-2,4"][..],
                &["8080 ", " 8080", "8080,,9000", "9000-8080", "65536", "8080 9000", "1-2-3", "-5", "5-", "8080, 9000"]
                    [..],
            ),
            (
                "net.ipv4.ping_group_range",
                &["1000", "1 0", "1000\t2000", "0 2147483647", "0x1 5"],
                &["-1 5", "0 4294967295", "1000-2000"],
            ),
            (
                "net.ipv4.tcp_rmem",
                &["4096", " 4096", "4096 87380 6291456 7"],
                &["4096 0 6", "4096 abc 6", "4096 131072 3000000000", "4096,131072,6291456"],
            ),
            ("net.ipv4.tcp_syncookies", &["0x1", "01", "1 abc", "9"], &["+1", "1,", "true", "300", "-1"]),
            ("net.ipv4.tcp_fin_timeout", &["-5", "0x1e"], &["1.5", "30s"]),
            ("net.ipv4.tcp_tw_reuse", &["2"], &["3"]),
            ("net.ipv4.tcp_keepalive_probes", &["255"], &["300"]),
            ("net.ipv4.tcp_retries2", &["15"], &["300"]),
            ("net.core.somaxconn", &["65535 "], &["65,535", "64k", "3000000000", "-1"]),
            ("net.ipv4.ip_unprivileged_port_start", &["0", "1 2"], &["65536", "-1"]),
            ("kernel.shm_rmid_forced", &["1"], &["2"]),
            ("kernel.shmmax", &["68719476736"], &["1G", "abc", "18446744073709551616"]),
            ("kernel.msgmax", &["8192"], &["-1"]),
            ("kernel.sem", &["250 32000 32 128"], &["250,32000,32,128"]),
            ("fs.mqueue.msg_max", &["65536"], &["0", "65537"]),
        ] {
            for value in taken {
                assert!(accepts(name, value), "{name} {value}");
            }
            for value in refused {
                assert!(!accepts(name, value), "{name} {value}");
            }
        }
    }

    #[test]
    fn a_misspelt_name_leads_to_the_one_that_was_meant() {
        for (name, meant) in [
            ("net.ipv4.tcp_keepalive_interval", "net.ipv4.tcp_keepalive_intvl"),
            ("net.core.somaxconns", "net.core.somaxconn"),
            ("net.ipv4.tcp_keepalive_probe", "net.ipv4.tcp_keepalive_probes"),
            ("net.ipv4.conf.eth0.rp_filters", "net.ipv4.conf.eth0.rp_filter"),
            ("vm.max_map_counts", "vm.max_map_count"),
        ] {
            assert!(find(name).is_none(), "{name}");
            assert_eq!(nearest(name).as_deref(), Some(meant));
        }
        assert_eq!(nearest("net.ipv4.something_else_altogether"), None);
        assert!(find("net.ipv4.conf.eth0.rp_filter").is_some() && find("net.ipv4.neigh.eth0.gc_stale_time").is_some());
    }
}
