//! What the sysctl configuration files set at boot, and by which file and line.
//!
//! Two readers, two orders: systemd-sysctl reads the `sysctl.d` directories (sysctl.d(5)); `sysctl --system` of procps
//! reads the same and then `/etc/sysctl.conf` (sysctl(8)). Files are sorted by name over all directories, a name in an
//! earlier directory hides the same name in a later one, and the last assignment of a key wins.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gather, Source, sysctl as live};
use crate::host::Host;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit};
use crate::model::sysctl;

const FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
const LAST_OF_PROCPS: &str = "/etc/sysctl.conf";

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man5/sysctl.d.5.html";
    Entry { name, unit: Unit::Text, scope: Scope::Host, meaning, read: "sysctl.d", document }
}

pub(super) const SOURCE: Source = Source {
    families: &["boot"],
    read,
    entries: &[
        entry(
            "boot[*].value",
            "value that the configuration files give a sysctl at boot, in the order of this machine's init",
        ),
        entry("boot[*].live", "value that the sysctl has now"),
        entry("boot[*].systemd", "value by the order of systemd-sysctl"),
        entry("boot[*].procps", "value by the order of sysctl --system"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let keys: BTreeSet<&str> = gather
        .wanted("sysctl")
        .filter_map(|name| name.strip_prefix("sysctl."))
        .chain(gather.wanted("boot").filter_map(|name| name.strip_prefix("boot[")?.strip_suffix("].value")))
        .filter(|key| *key != "*")
        .collect();
    let (files, gap) = files(gather.host);
    let systemd = gather.host.exists("/run/systemd/system").unwrap_or(false);
    let by_systemd = Settings::of(&files);
    let mut with_last = files;
    if let Ok(bytes) = gather.host.read(LAST_OF_PROCPS) {
        with_last.push((LAST_OF_PROCPS.to_owned(), bytes));
    }
    let by_procps = Settings::of(&with_last);
    if let Some(gap) = &gap {
        for family in ["boot[*].value", "boot[*].live"] {
            gather.put(family, Err(gap.clone()), "sysctl.d");
        }
    }
    for key in keys {
        let orders = [("systemd", by_systemd.get(key)), ("procps", by_procps.get(key))];
        for (order, set) in orders {
            let Some((value, at)) = set else { continue };
            let reading = live::parse(key, value.as_bytes());
            if (order == "systemd") == systemd {
                gather.put(format!("boot[{key}].value"), reading.clone(), at);
                if let Some(fact) = gather.facts.get(&format!("sysctl.{key}")).cloned() {
                    gather.put(format!("boot[{key}].live"), fact.reading, fact.source);
                }
            }
            gather.put(format!("boot[{key}].{order}"), reading, at);
        }
        let name = format!("boot[{key}].value");
        if gather.wants(&name) && gather.facts.get(&name).is_none() {
            let none = || Gap::new(Cause::Absent, format!("no sysctl.d file sets {key}"));
            gather.put(name, Err(gap.clone().unwrap_or_else(none)), "sysctl.d");
        }
    }
}

/// The configuration files in the order in which they apply, and why some could not be read, if so.
fn files(host: &dyn Host) -> (Vec<(String, Vec<u8>)>, Option<Gap>) {
    let mut paths: BTreeMap<String, String> = BTreeMap::new();
    let mut gap = None;
    for folder in FOLDERS {
        match host.list(folder) {
            Ok(names) => {
                for name in names.into_iter().filter(|name| name.ends_with(".conf")) {
                    let path = format!("{folder}/{name}");
                    paths.entry(name).or_insert(path);
                }
            }
            Err(refusal) if refusal.is_absent() => {}
            Err(refusal) => gap = Some(refusal.gap(folder)),
        }
    }
    let mut files = Vec::new();
    for path in paths.into_values() {
        match host.read(&path) {
            Ok(bytes) => files.push((path, bytes)),
            Err(refusal) => gap = Some(refusal.gap(&path)),
        }
    }
    (files, gap)
}

/// Value and `file:line` by key, the last one that wins; patterns with `*` apart, since a key of its own beats them.
#[derive(Default)]
struct Settings {
    exact: BTreeMap<String, (String, String)>,
    patterns: Vec<(String, (String, String))>,
}

impl Settings {
    fn of(files: &[(String, Vec<u8>)]) -> Self {
        let mut settings = Self::default();
        for (path, bytes) in files {
            for (number, line) in String::from_utf8_lossy(bytes).lines().enumerate() {
                let line = line.trim();
                if line.starts_with(['#', ';']) {
                    continue;
                }
                // A leading minus asks to ignore errors; it is no part of the name.
                let Some((key, value)) = line.trim_start_matches('-').split_once('=') else { continue };
                let key = sysctl::dotted(key.trim());
                let set = (value.trim().to_owned(), format!("{path}:{}", number + 1));
                if key.contains('*') {
                    settings.patterns.push((key, set));
                } else {
                    settings.exact.insert(key, set);
                }
            }
        }
        settings
    }

    fn get(&self, key: &str) -> Option<(&str, &str)> {
        let pattern = || self.patterns.iter().rev().find(|(pattern, _)| fits(pattern, key)).map(|(_, set)| set);
        let (value, at) = self.exact.get(key).or_else(pattern)?;
        Some((value, at))
    }
}

/// Whether a key fits a pattern, part by part; `*` stands for any text within a part.
fn fits(pattern: &str, key: &str) -> bool {
    let part_fits = |(pattern, part): (&str, &str)| match pattern.split_once('*') {
        Some((head, tail)) => part.len() >= head.len() + tail.len() && part.starts_with(head) && part.ends_with(tail),
        None => pattern == part,
    };
    pattern.split('.').count() == key.split('.').count() && pattern.split('.').zip(key.split('.')).all(part_fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_assignment_wins_and_a_key_beats_a_pattern() {
        let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
        let settings = Settings::of(&[
            file("/etc/sysctl.d/10-a.conf", "# x = 1\nnet.core.somaxconn=128\n-net/ipv4/tcp_tw_recycle = 1\n"),
            file(
                "/usr/lib/sysctl.d/50-b.conf",
                ";c\n\nnet.core.somaxconn = 4096\nnet.ipv4.conf.*.rp_filter = 2\nbroken line\n",
            ),
        ]);
        assert_eq!(settings.get("net.core.somaxconn"), Some(("4096", "/usr/lib/sysctl.d/50-b.conf:3")));
        assert_eq!(settings.get("net.ipv4.tcp_tw_recycle"), Some(("1", "/etc/sysctl.d/10-a.conf:3")));
        assert_eq!(settings.get("net.ipv4.conf.eth0.rp_filter").map(|(value, _)| value), Some("2"));
        assert_eq!(settings.get("net.ipv4.conf.rp_filter"), None);
    }
}
