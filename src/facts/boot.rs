//! What the sysctl configuration files set at boot, and by which file and line.
//!
//! Two readers, two orders: systemd-sysctl reads the `sysctl.d` directories (sysctl.d(5)); `sysctl --system` of procps
//! reads the same and then `/etc/sysctl.conf` (sysctl(8)). Files are sorted by name over all directories, a name in an
//! earlier directory hides the same name in a later one, and the last assignment of a key wins.

use std::collections::{BTreeMap, BTreeSet};

use super::sysctl::is_known as is_known_sysctl;
use super::sysctl::read_one;
use super::{Gather, Source, parse_sysctl, text};
use crate::host::Host;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::sysctl;

const FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
/// The same folder as /usr/lib/sysctl.d where /lib is a link to /usr/lib.
const MERGED: &str = "/lib/sysctl.d";
const LAST_OF_PROCPS: &str = "/etc/sysctl.conf";

/// Sysctls that start something when they are written and have no value to compare.
const WRITE_ONLY: [&str; 4] = ["net.ipv4.route.flush", "net.ipv6.route.flush", "vm.compact_memory", "vm.drop_caches"];

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
    for key in keys.iter().filter(|key| is_readable(key) && is_of_concern(key)) {
        for (order, set) in [("systemd", by_systemd.get(key)), ("procps", by_procps.get(key))] {
            let Some((value, at)) = set else { continue };
            let live = read_one(gather, key);
            let reading = value.and_then(|value| as_kernel_reads(key, value, &live.reading));
            if (order == "systemd") == systemd {
                gather.put(format!("boot[{key}].value"), reading.clone(), at.to_owned());
                gather.put(format!("boot[{key}].live"), live.reading, live.source);
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

/// Whether a key can matter to connections: the network, memory, and what the catalogue knows by name. A machine's
/// configuration sets much else, such as `fs.protected_*`, that is not for this program to judge.
fn is_of_concern(key: &str) -> bool {
    key.starts_with("net.") || key.starts_with("vm.") || is_known_sysctl(key)
}

/// Whether a key names a sysctl that has a value: some are triggers that can only be written, and a key that climbs
/// out of /proc/sys names none.
fn is_readable(key: &str) -> bool {
    !WRITE_ONLY.contains(&key) && sysctl::path(key).split('/').all(|part| part != "..")
}

/// The value of a configuration line. The kernel takes numbers in hexadecimal and octal too, and shows them in decimal.
fn as_kernel_reads(key: &str, value: &str, live: &Reading) -> Reading {
    let words: Option<Vec<i128>> = value.split_whitespace().map(in_any_base).collect();
    match (live, words.as_deref()) {
        (Ok(Value::Number(_)), Some(&[number])) => Ok(Value::Number(number)),
        (Ok(Value::Numbers(_)), Some(numbers)) if numbers.len() > 1 => Ok(Value::Numbers(numbers.to_vec())),
        _ => parse_sysctl(key, value.as_bytes()),
    }
}

fn in_any_base(word: &str) -> Option<i128> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    let number = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None if digits.len() > 1 && digits.starts_with('0') => u64::from_str_radix(digits, 8),
        None => digits.parse(),
    };
    number.ok().map(|number| sign * i128::from(number))
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

/// Value and `file:line` by key, the last one that wins; patterns apart, since a key of its own beats them, even one
/// that only keeps the patterns off and sets nothing.
#[derive(Clone, Default)]
struct Settings {
    exact: BTreeMap<String, Option<(String, String)>>,
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
            // A leading minus is no part of the name: before an assignment it asks to ignore errors, without one it
            // keeps patterns off that key.
            let (key, value) = match (line.split_once('='), line.strip_prefix('-')) {
                (Some((key, value)), _) => (key.trim_start_matches('-'), Some(value)),
                (None, Some(key)) => (key, None),
                (None, None) => continue,
            };
            let key = sysctl::dotted(key.trim());
            let set = value.map(|value| (value.trim().to_owned(), format!("{path}:{}", number + 1)));
            match set {
                Some(set) if key.contains(['*', '?', '[']) => self.patterns.push((key, set)),
                set => {
                    self.exact.insert(key, set);
                }
            }
        }
    }

    /// The value of a key and where it is set; a gap for a value where it depends on a pattern with a set of characters.
    fn get(&self, key: &str) -> Option<(Result<&str, Gap>, &str)> {
        if let Some(set) = self.exact.get(key) {
            return set.as_ref().map(|(value, at)| (Ok(value.as_str()), at.as_str()));
        }
        // An exact key in a file that was not read would beat a pattern in one that was.
        let mut sure = self.patterns.iter().rev().filter(|_| self.doubt.is_none());
        let (pattern, (value, at)) = sure.find(|(pattern, _)| fits(pattern, key))?;
        let gap = || Gap::new(Cause::Unsupported, format!("whether {pattern} at {at} means this key is not known"));
        Some((if pattern.contains('[') { Err(gap()) } else { Ok(value.as_str()) }, at))
    }
}

/// Whether a key fits a pattern, part by part: `*` stands for any text within a part, `?` for one character. `[...]`
/// may stand for any one character, so that no key it means is missed.
fn fits(pattern: &str, key: &str) -> bool {
    pattern.split('.').count() == key.split('.').count()
        && pattern.split('.').zip(key.split('.')).all(|(pattern, part)| part_fits(pattern, part))
}

/// Goes back to the last `*` only, so that no line of a file makes it slow.
fn part_fits(pattern: &str, part: &str) -> bool {
    let pattern = without_sets(pattern);
    let part: Vec<char> = part.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while let Some(c) = part.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == c => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == '*')
}

/// The pattern with every `[...]` as `?`.
fn without_sets(pattern: &str) -> Vec<char> {
    let mut out = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('[') {
        // A bracket that stands first in a set is one of its characters.
        let first = after.chars().take_while(|c| "!^]".contains(*c)).count();
        let Some(end) = after.get(first..).and_then(|tail| tail.find(']')) else { break };
        out.extend(before.chars().chain(['?']));
        rest = after.get(first + end + 1..).unwrap_or_default();
    }
    out.extend(rest.chars());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(settings: &'a Settings, key: &str) -> Option<&'a str> {
        settings.get(key).and_then(|(value, _)| value.ok())
    }

    #[test]
    fn a_key_can_be_kept_from_patterns_and_a_set_of_characters_is_a_doubt() {
        let mut settings = Settings::default();
        settings.apply("/etc/sysctl.d/a.conf", b"net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.hub0.rp_filter\n");
        assert_eq!(value(&settings, "net.ipv4.conf.eth0.rp_filter"), Some("2"));
        assert_eq!(settings.get("net.ipv4.conf.hub0.rp_filter"), None);
        settings.apply("/etc/sysctl.d/b.conf", b"net.ipv4.conf.w?an*.rp_filter = 0\nnet.*.conf.eth[0-3].rp_filter=1\n");
        assert_eq!(value(&settings, "net.ipv4.conf.wlan0.rp_filter"), Some("0"));
        assert_eq!(value(&settings, "net.ipv4.conf.wan.rp_filter"), Some("2"));
        assert!(settings.get("net.ipv4.conf.eth1.rp_filter").is_some_and(|(value, _)| value.is_err()));
        assert_eq!(value(&settings, "net.ipv4.conf.eth10.rp_filter"), Some("2"));
    }

    #[test]
    fn numbers_in_other_bases_are_those_that_the_kernel_takes() {
        let live = Ok(Value::Number(432));
        assert_eq!(as_kernel_reads("kernel.sysrq", "0x1b0", &live), live);
        assert_eq!(as_kernel_reads("kernel.sysrq", "0660", &live), live);
        assert_eq!(as_kernel_reads("kernel.sysrq", "432", &live), live);
        let text = Ok(Value::Text("0x1b0".into()));
        assert_eq!(as_kernel_reads("kernel.x", "0x1b0", &text), text);
        assert!(!is_readable("kernel/../../../etc/shadow") && !is_readable("vm.drop_caches"));
        assert!(!is_readable(&sysctl::dotted("kernel/../../../etc/shadow")) && is_readable("kernel.sysrq"));
    }

    #[test]
    fn the_last_assignment_wins_and_a_key_beats_a_pattern() {
        let mut settings = Settings::default();
        settings.apply("/etc/sysctl.d/10-a.conf", b"# x = 1\nnet.core.somaxconn=128\n-net/ipv4/tcp_tw_recycle = 1\n");
        settings.apply(
            "/usr/lib/sysctl.d/50-b.conf",
            b";c\n\nnet.core.somaxconn = 4096\nnet.ipv4.conf.*.rp_filter = 2\nbroken line\n",
        );
        assert_eq!(settings.get("net.core.somaxconn"), Some((Ok("4096"), "/usr/lib/sysctl.d/50-b.conf:3")));
        assert_eq!(settings.get("net.ipv4.tcp_tw_recycle"), Some((Ok("1"), "/etc/sysctl.d/10-a.conf:3")));
        assert_eq!(value(&settings, "net.ipv4.conf.eth0.rp_filter"), Some("2"));
        assert_eq!(settings.get("net.ipv4.conf.rp_filter"), None);
        settings.doubt(Gap::new(Cause::Denied, "/usr/lib/sysctl.d/60-c.conf"));
        settings.apply("/usr/lib/sysctl.d/70-d.conf", b"net.ipv4.conf.*.rp_filter = 1\nnet.core.somaxconn = 128\n");
        assert_eq!(value(&settings, "net.core.somaxconn"), Some("128"));
        assert_eq!(settings.get("net.ipv4.tcp_tw_recycle"), None);
        assert_eq!(settings.get("net.ipv4.conf.eth0.rp_filter"), None);
    }
}
