//! What the sysctl configuration files set at boot, and by which file and line.
//!
//! Two readers, two orders: systemd-sysctl reads the `sysctl.d` directories (sysctl.d(5)); `sysctl --system` of procps
//! reads the same and then `/etc/sysctl.conf` (sysctl(8)). Files are sorted by name over all directories, a name in an
//! earlier directory hides the same name in a later one, and the last assignment of a key wins.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gather, Source, parse_sysctl, text};
use crate::host::Host;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit};
use crate::model::sysctl;

const FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
/// The same folder as /usr/lib/sysctl.d where /lib is a link to /usr/lib.
const MERGED: &str = "/lib/sysctl.d";
const LAST_OF_PROCPS: &str = "/etc/sysctl.conf";

const VALUE: &str = "boot[*].value";
const LIVE: &str = "boot[*].live";

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man5/sysctl.d.5.html";
    Entry { name, unit: Unit::Text, scope: Scope::Host, meaning, read: "sysctl.d", document }
}

pub(super) const SOURCE: Source = Source {
    families: &["boot"],
    read,
    entries: &[
        entry(VALUE, "value that the configuration files give a sysctl at boot, in the order of this machine's init"),
        entry(LIVE, "value that the sysctl has now"),
        entry("boot[*].systemd", "value by the order of systemd-sysctl"),
        entry("boot[*].procps", "value by the order of sysctl --system"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let (files, folders) = files(gather.host);
    let systemd = gather.host.exists("/run/systemd/system").unwrap_or(false);
    let mut by_systemd = Settings::default();
    for path in &files {
        by_systemd.read(gather.host, path);
    }
    let mut by_procps = by_systemd.clone();
    by_procps.read(gather.host, LAST_OF_PROCPS);
    if let Some(gap) = folders {
        // A folder that cannot be listed may hold the last word about any key.
        by_systemd.doubt(gap.clone());
        by_procps.doubt(gap);
    }
    let gap = if systemd { &by_systemd.doubt } else { &by_procps.doubt };
    if let Some(gap) = gap {
        for pattern in [VALUE, LIVE] {
            gather.put(pattern, Err(gap.clone()), "sysctl.d");
        }
    }
    let mut keys: BTreeSet<String> = by_procps.exact.keys().chain(by_systemd.exact.keys()).cloned().collect();
    if !by_procps.patterns.is_empty() {
        keys.extend(gather.facts.iter().filter_map(|(name, _)| name.strip_prefix("sysctl.")).map(str::to_owned));
    }
    for key in &keys {
        for (order, set) in [("systemd", by_systemd.get(key)), ("procps", by_procps.get(key))] {
            let Some((value, at)) = set else { continue };
            let reading = parse_sysctl(key, value.as_bytes());
            if (order == "systemd") == systemd {
                gather.put(format!("boot[{key}].value"), reading.clone(), at.to_owned());
                if let Some(fact) = gather.facts.get(&format!("sysctl.{key}")).cloned() {
                    gather.put(format!("boot[{key}].live"), fact.reading, fact.source);
                }
            }
            gather.put(format!("boot[{key}].{order}"), reading, at.to_owned());
        }
    }
    for name in gather.wanted("boot").into_iter().filter(|name| !name.contains("[*]")) {
        if gather.facts.get(&name).is_none() {
            let none = || Gap::new(Cause::Absent, "no sysctl.d file sets it");
            gather.put(name, Err(gap.clone().unwrap_or_else(none)), "sysctl.d");
        }
    }
}

/// The configuration files in the order in which they apply, and why a folder of them could not be listed, if so.
fn files(host: &dyn Host) -> (Vec<String>, Option<Gap>) {
    let mut paths: BTreeMap<String, String> = BTreeMap::new();
    let mut gap = None;
    let merged = host.link("/lib").is_ok_and(|target| target.trim_start_matches('/') == "usr/lib");
    for folder in FOLDERS.into_iter().filter(|folder| !(merged && *folder == MERGED)) {
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
    (paths.into_values().collect(), gap)
}

/// Value and `file:line` by key, the last one that wins; patterns with `*` apart, since a key of its own beats them.
#[derive(Clone, Default)]
struct Settings {
    exact: BTreeMap<String, (String, String)>,
    patterns: Vec<(String, (String, String))>,
    /// Why a file could not be read that may have set any key that no later file sets.
    doubt: Option<Gap>,
}

impl Settings {
    /// Takes the assignments of one more file. A link that leads nowhere sets nothing.
    fn read(&mut self, host: &dyn Host, path: &str) {
        match host.read(path) {
            Ok(bytes) => self.apply(path, &bytes),
            Err(refusal) if refusal.is_absent() => {}
            Err(refusal) => self.doubt(refusal.gap(path)),
        }
    }

    /// Forgets what a file that could not be read may have changed.
    fn doubt(&mut self, gap: Gap) {
        *self = Self { doubt: Some(gap), ..Self::default() };
    }

    /// Takes the assignments in these bytes.
    fn apply(&mut self, path: &str, bytes: &[u8]) {
        for (number, line) in text(bytes).lines().enumerate() {
            let line = line.trim_ascii();
            if line.starts_with(['#', ';']) {
                continue;
            }
            // A leading minus asks to ignore errors; it is no part of the name.
            let Some((key, value)) = line.trim_start_matches('-').split_once('=') else { continue };
            let key = sysctl::dotted(key.trim());
            let set = (value.trim().to_owned(), format!("{path}:{}", number + 1));
            if key.contains('*') {
                self.patterns.push((key, set));
            } else {
                self.exact.insert(key, set);
            }
        }
    }

    fn get(&self, key: &str) -> Option<(&str, &str)> {
        // An exact key in a file that was not read would beat a pattern in one that was.
        let sure = self.patterns.iter().filter(|_| self.doubt.is_none());
        let pattern = || sure.rev().find(|(pattern, _)| fits(pattern, key)).map(|(_, set)| set);
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
        let mut settings = Settings::default();
        settings.apply("/etc/sysctl.d/10-a.conf", b"# x = 1\nnet.core.somaxconn=128\n-net/ipv4/tcp_tw_recycle = 1\n");
        settings.apply(
            "/usr/lib/sysctl.d/50-b.conf",
            b";c\n\nnet.core.somaxconn = 4096\nnet.ipv4.conf.*.rp_filter = 2\nbroken line\n",
        );
        assert_eq!(settings.get("net.core.somaxconn"), Some(("4096", "/usr/lib/sysctl.d/50-b.conf:3")));
        assert_eq!(settings.get("net.ipv4.tcp_tw_recycle"), Some(("1", "/etc/sysctl.d/10-a.conf:3")));
        assert_eq!(settings.get("net.ipv4.conf.eth0.rp_filter").map(|(value, _)| value), Some("2"));
        assert_eq!(settings.get("net.ipv4.conf.rp_filter"), None);
        settings.doubt(Gap::new(Cause::Denied, "/usr/lib/sysctl.d/60-c.conf"));
        settings.apply("/usr/lib/sysctl.d/70-d.conf", b"net.ipv4.conf.*.rp_filter = 1\nnet.core.somaxconn = 128\n");
        assert_eq!(settings.get("net.core.somaxconn").map(|(value, _)| value), Some("128"));
        assert_eq!(settings.get("net.ipv4.tcp_tw_recycle"), None);
        assert_eq!(settings.get("net.ipv4.conf.eth0.rp_filter"), None);
    }
}
