//! The reverse path filter: what is in force on each interface, and which line of a boot file set it.
//!
//! The kernel takes the greater of `conf.all` and the interface's own (`IN_DEV_RPFILTER` in linux/inetdevice.h). systemd
//! applies the boot lines of an interface anew when it appears (99-systemd.rules), by name or by pattern.

use std::collections::BTreeMap;

use super::boot::Boot;
use super::sysctl::read_one;
use super::{Gather, Source};
use crate::model::bounds;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

const CONF: &str = "/proc/sys/net/ipv4/conf";
/// Interfaces of one kind that are named.
const NAMED: usize = 3;
const CILIUM: &str = "rp_filter.cilium";
const INTERFACES: &str = "rp_filter.interfaces";

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://docs.kernel.org/networking/ip-sysctl.html";
    Entry { name, unit, scope: Scope::Netns, meaning, read: CONF, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["rp_filter"],
    read,
    entries: &[
        entry(CILIUM, Unit::Count, "interfaces of Cilium on which the reverse path filter is in force"),
        entry(INTERFACES, Unit::Text, "interfaces on which it is in force, with the mode and the boot line behind it"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let names = names(gather);
    if gather.wants(CILIUM) {
        let filtered = names.as_ref().map_err(Gap::clone).and_then(|names| ciliums(gather, names));
        gather.put(CILIUM, filtered, CONF);
    }
    if gather.wants(INTERFACES) {
        let interfaces = names.and_then(|names| interfaces(gather, &names));
        let told = interfaces.map(|all| Value::Text(told(&all, gather)));
        gather.put(INTERFACES, told, CONF);
    }
}

fn ciliums(gather: &Gather<'_>, names: &[String]) -> Reading {
    if !names.iter().any(|name| name == "cilium_host") {
        return Err(Gap::new(Cause::Absent, "Cilium has no interface here"));
    }
    let own: Vec<String> = names.iter().filter(|name| is_ciliums(name)).cloned().collect();
    let filtered = interfaces(gather, &own)?.iter().filter(|one| one.in_force() > 0).count();
    Ok(Value::Number(i128::try_from(filtered).unwrap_or(i128::MAX)))
}

/// Interfaces that Cilium makes, on which it writes 0: one for each pod, and its own.
fn is_ciliums(name: &str) -> bool {
    name.starts_with("lxc") || name.starts_with("cilium_")
}

struct Interface {
    name: String,
    own: i128,
    all: i128,
}

impl Interface {
    fn in_force(&self) -> i128 {
        self.own.max(self.all)
    }
}

/// The names of all interfaces but loopback.
fn names(gather: &Gather<'_>) -> Result<Vec<String>, Gap> {
    let mut names = gather.host.list(CONF).map_err(|refusal| refusal.gap(CONF))?;
    names.retain(|name| !["all", "default", "lo"].contains(&name.as_str()));
    if bounds::INTERFACES.is_exceeded_by(names.len()) {
        return Err(Gap::new(
            Cause::Unsupported,
            format!("more than {} interfaces are here (tunecheck help limits)", bounds::INTERFACES),
        ));
    }
    Ok(names)
}

fn interfaces(gather: &Gather<'_>, names: &[String]) -> Result<Vec<Interface>, Gap> {
    let filter = |name: &str| match read_one(gather, &key(name)).reading? {
        Value::Number(mode) => Ok(mode),
        other => Err(Gap::new(Cause::Unparsable, format!("{} is {}", key(name), other.plain()))),
    };
    let all = filter("all")?;
    let mut found = Vec::new();
    for name in names {
        match filter(name) {
            Ok(own) => found.push(Interface { name: name.clone(), own, all }),
            // It went away meanwhile.
            Err(gap) if gap.cause == Cause::Absent => {}
            Err(gap) => return Err(gap),
        }
    }
    Ok(found)
}

/// A dot in the name of an interface is written as a slash.
fn key(interface: &str) -> String {
    format!("net.ipv4.conf.{}.rp_filter", interface.replace('.', "/"))
}

/// In groups of one mode and one cause.
fn told(interfaces: &[Interface], gather: &Gather<'_>) -> String {
    let boot = Boot::of(gather);
    let mut groups: BTreeMap<(i128, String), Vec<&str>> = BTreeMap::new();
    for one in interfaces.iter().filter(|one| one.in_force() > 0) {
        groups.entry((one.in_force(), cause(one, &boot))).or_default().push(&one.name);
    }
    if groups.is_empty() {
        return "none now".to_owned();
    }
    let group = |((mode, cause), names): ((i128, String), Vec<&str>)| {
        let named = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{mode} on {named}{more}, {cause}")
    };
    groups.into_iter().map(group).collect::<Vec<_>>().join("; ")
}

fn cause(one: &Interface, boot: &Boot) -> String {
    let line = |of: &str, mode: i128| boot.line_of(&key(of), &Value::Number(mode));
    if one.all > one.own {
        return match line("all", one.all) {
            Some((_, at)) => format!("by conf.all, from {at}"),
            None => "by conf.all, which no boot line sets to that".to_owned(),
        };
    }
    if let Some((by, at)) = line(&one.name, one.own) {
        return format!("by {by}, from {at}");
    }
    match line("default", one.own) {
        Some((by, at)) => format!("as new interfaces start by {by}, from {at}, or written later"),
        None => "which no boot line sets: a program wrote it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::host::{Answer, Ask, Host, Query, Refusal};
    use crate::model::facts::Facts;

    struct Files(BTreeMap<String, String>);

    impl Host for Files {
        fn ask(&self, query: Query<'_>) -> Answer {
            match (query.ask, self.0.get(query.of)) {
                (Ask::Read | Ask::List | Ask::Exists, Some(text)) => Ok(text.clone().into_bytes()),
                _ => Err(Refusal::Errno(2)),
            }
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    /// What is told of a machine that systemd boots, with these interfaces and this file.
    fn facts(modes: &[(&str, u8)], lines: &str) -> Facts {
        let mut files: BTreeMap<String, String> =
            modes.iter().map(|(name, mode)| (format!("{CONF}/{name}/rp_filter"), format!("{mode}\n"))).collect();
        let names: Vec<&str> = modes.iter().map(|(name, _)| *name).collect();
        files.insert(CONF.to_owned(), names.join("\0"));
        files.insert("/etc/sysctl.d".to_owned(), "50-default.conf".to_owned());
        files.insert("/etc/sysctl.d/50-default.conf".to_owned(), lines.to_owned());
        files.insert("/run/systemd/system".to_owned(), String::new());
        let mut facts = Facts::default();
        super::super::gather(&Files(files), [CILIUM, INTERFACES].into(), &mut facts);
        facts
    }

    const OF_SYSTEMD: &str =
        "net.ipv4.conf.default.rp_filter = 2\nnet.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n";

    #[test]
    fn the_pattern_of_a_new_interface_is_named_with_file_and_line() {
        let modes = [("all", 0), ("default", 2), ("lo", 2), ("cilium_host", 2), ("lxc1", 2), ("eth0.7", 2), ("off", 0)];
        let facts = facts(&modes, OF_SYSTEMD);
        assert_eq!(facts.number(CILIUM), Ok(2));
        assert_eq!(
            facts.text(INTERFACES),
            Some("2 on cilium_host, lxc1, eth0.7, by net.ipv4.conf.*.rp_filter, from /etc/sysctl.d/50-default.conf:2")
        );
    }

    #[test]
    fn the_greater_of_all_and_its_own_is_in_force() {
        let modes = [("all", 1), ("default", 0), ("cilium_host", 0), ("a", 2), ("b", 1)];
        let facts = facts(&modes, "net.ipv4.conf.all.rp_filter = 1\n");
        assert_eq!(facts.number(CILIUM), Ok(1));
        let told = facts.text(INTERFACES).unwrap();
        assert_eq!(
            told,
            "1 on cilium_host, by conf.all, from /etc/sysctl.d/50-default.conf:1; 1 on b, which no boot line sets: a \
             program wrote it; 2 on a, which no boot line sets: a program wrote it"
        );
    }

    #[test]
    fn without_cilium_nothing_is_said_of_it() {
        let facts = facts(&[("all", 0), ("default", 0), ("lxcbr0", 2)], "");
        assert_eq!(facts.number(CILIUM).unwrap_err().cause, Cause::Absent);
    }
}
