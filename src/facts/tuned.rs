//! What the active profile of TuneD gives sysctls, and whether sysctl.d has the last word over it.

mod again;

use std::collections::BTreeSet;

use super::{Gather, Source, parse_sysctl, text};
use crate::host::{Host, Refusal};
use crate::model::bounds;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::sysctl::variable::variable;

pub(super) use again::Again;

const ACTIVE: &str = "/etc/tuned/active_profile";
pub(super) const MAIN: &str = again::MAIN;
/// Units of which one has it started at boot, where systemd is the init (`systemctl enable`).
const WANTED: [&str; 2] = ["multi-user.target.wants/tuned.service", "graphical.target.wants/tuned-ppd.service"];
const UNITS: &str = "/etc/systemd/system/";
/// There on every machine that systemd starts services of at boot.
const ANY_WANTED: &str = "/etc/systemd/system/multi-user.target.wants";
/// Where a profile may lie, the first one counts.
const FOLDERS: [&str; 4] = ["/etc/tuned", "/etc/tuned/profiles", "/usr/lib/tuned", "/usr/lib/tuned/profiles"];

const VALUE: &str = "tuned[*].value";
const NAMES: &str = "tuned[*].names";
const LAST: &str = "tuned[*].last";
const REAPPLIES: &str = "tuned.reapplies";

const fn entry(name: &'static str, unit: Unit, read: &'static str, meaning: &'static str) -> Entry {
    let document = "https://github.com/redhat-performance/tuned/blob/master/man/tuned-main.conf.5";
    Entry { name, unit, scope: Scope::Host, meaning, read, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["tuned"],
    read,
    entries: &[
        entry(VALUE, Unit::Text, ACTIVE, "value that TuneD's active profile gives a sysctl"),
        entry(NAMES, Unit::Text, ACTIVE, "names of the same variable that the profile sets, a blank between them"),
        entry(
            REAPPLIES,
            Unit::Mode,
            MAIN,
            "1: TuneD applies /etc/sysctl.d, /run/sysctl.d and /etc/sysctl.conf again after its own values, so that they win",
        ),
        entry(
            LAST,
            Unit::Text,
            MAIN,
            "the setting by which the profile has the last word over every line for the sysctl",
        ),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let set = match Settings::active(gather.host) {
        Ok(set) => set,
        Err(refusal) => {
            for name in gather.wanted("tuned") {
                gather.put(name, Err(refusal.gap(ACTIVE)), ACTIVE);
            }
            return;
        }
    };
    let again = Again::of(gather.host);
    for name in set.variables() {
        let refused = again.as_ref().ok().and_then(|again| again.refused_by(&name));
        if let Some(by) = refused {
            gather.put(format!("tuned[{name}].last"), Ok(Value::Text(by.to_owned())), MAIN);
        }
        let Some(Line { value, at, .. }) = set.last(&name) else { continue };
        gather.put(format!("tuned[{name}].value"), parse_sysctl(&name, value.as_bytes()), at.clone());
        let names: Vec<&str> = set.lines_of(&name).map(|line| line.name.as_str()).collect();
        gather.put(format!("tuned[{name}].names"), Ok(Value::Text(names.join(" "))), at.clone());
    }
    if let Some(gap) = set.gap {
        gather.put(VALUE, Err(gap), ACTIVE);
    }
    for name in gather.wanted("tuned").into_iter().filter(|name| name.contains('[') && !name.contains("[*]")) {
        if gather.facts.get(&name).is_none() {
            gather.put(name, Err(Gap::new(Cause::Absent, "TuneD's profile does not set it")), ACTIVE);
        }
    }
    let reapplies = again.map(|again| Value::Number(i128::from(again.is_on)));
    gather.put(REAPPLIES, reapplies.map_err(|refusal| refusal.gap(MAIN)), MAIN);
}

/// What TuneD applies again at boot, none where it applies no sysctls at all.
///
/// # Errors
/// A file that may tell could not be read.
pub(super) fn again(host: &dyn Host) -> Result<Option<Again>, ()> {
    let set = match Settings::active(host) {
        Err(refusal) if refusal.is_absent() => return Ok(None),
        other => other.map_err(drop)?,
    };
    match (set.is_plugged_in, &set.gap) {
        (true, _) => Again::of(host).map(Some).map_err(drop),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(()),
    }
}

/// What the active profile gives a sysctl, and where.
pub(super) fn set(host: &dyn Host, name: &str) -> Option<(Value, String)> {
    let set = Settings::active(host).ok()?;
    let last = set.last(name)?;
    let value = parse_sysctl(name, last.value.as_bytes()).ok()?;
    Some((value, last.at.clone()))
}

/// Whether a boot starts it, as far as it shows: a profile stays named where it was switched off.
fn is_started(host: &dyn Host) -> bool {
    let missing = |path: &str| matches!(host.exists(path), Ok(false));
    // In a tree without the units of packages the link to one leads nowhere.
    let unlinked = |path: &str| missing(path) && host.link(path).is_err_and(|refusal| refusal.is_absent());
    missing(ANY_WANTED) || !WANTED.iter().all(|unit| unlinked(&format!("{UNITS}{unit}")))
}

/// A line of a profile.
struct Line {
    name: String,
    value: String,
    /// `file:line`.
    at: String,
}

/// The sysctls of a profile and of those that it includes, in the order in which TuneD writes them.
#[derive(Default)]
struct Settings {
    lines: Vec<Line>,
    gap: Option<Gap>,
    /// Whether there is a section of sysctls at all: without one TuneD's plugin for them does nothing.
    is_plugged_in: bool,
    /// Profiles that were read, those that include each other in a circle again and again.
    profiles: usize,
}

impl Settings {
    /// Those of the active profile.
    fn active(host: &dyn Host) -> Result<Self, Refusal> {
        let mut set = Self::default();
        let active = host.read(ACTIVE)?;
        if is_started(host) {
            text(&active).split_whitespace().for_each(|profile| set.read(host, profile));
        }
        Ok(set)
    }

    /// The variables that are set.
    fn variables(&self) -> BTreeSet<String> {
        self.lines.iter().map(|line| variable(&line.name).0.into_owned()).collect()
    }

    /// The lines that set a variable, under the names that a number means the same for.
    fn lines_of<'a>(&'a self, of: &'a str) -> impl DoubleEndedIterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| variable(&line.name) == (of.into(), 1))
    }

    /// The line that has the last word about a variable.
    fn last<'a>(&'a self, of: &'a str) -> Option<&'a Line> {
        self.lines_of(of).next_back()
    }

    /// Reads a profile after those that it includes, which it overrides.
    fn read(&mut self, host: &dyn Host, profile: &str) {
        if profile.is_empty() || profile.contains('/') || profile.starts_with('.') {
            return;
        }
        self.profiles += 1;
        if bounds::PROFILES.is_exceeded_by(self.profiles) {
            let why = format!("TuneD's profiles include each other more than {} times", bounds::PROFILES);
            self.gap = Some(Gap::new(Cause::Unsupported, why));
            return;
        }
        let found = FOLDERS.iter().find_map(|folder| {
            let path = format!("{folder}/{profile}/tuned.conf");
            match host.read(&path) {
                Err(refusal) if refusal.is_absent() => None,
                answer => Some((path, answer)),
            }
        });
        let (path, bytes) = match found {
            None => {
                self.gap =
                    Some(Gap::new(Cause::Absent, format!("TuneD's profile {profile} is in none of its folders")));
                return;
            }
            Some((path, Err(refusal))) => {
                self.gap = Some(refusal.gap(&path));
                return;
            }
            Some((path, Ok(bytes))) => (path, bytes),
        };
        let text = text(&bytes);
        let mut section = String::new();
        let mut of_sysctl = false;
        let mut own = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.trim().to_owned();
                of_sysctl = section == "sysctl";
                self.is_plugged_in |= of_sysctl;
            } else if let Some((key, value)) = setting(line) {
                match (section.as_str(), key) {
                    ("main", "include") => {
                        for other in value.split([',', ' ']).filter(|other| !other.is_empty()) {
                            self.read(host, other);
                        }
                    }
                    (_, "type") => {
                        of_sysctl = value == "sysctl";
                        self.is_plugged_in |= of_sysctl;
                    }
                    _ if of_sysctl => {
                        // `=<` lowers only: what is above its value ends there.
                        let value = value.strip_prefix('<').map_or(value, str::trim_start);
                        own.push((key.to_owned(), value.to_owned(), format!("{path}:{}", index + 1)));
                    }
                    _ => {}
                }
            }
        }
        for (name, value, at) in own {
            let there = self.lines.iter().position(|line| line.name == name);
            match (there, value.starts_with('>')) {
                // `=>` raises only, and leaves alone what is higher: such a line writes over nothing.
                (Some(there), true) => _ = self.lines.remove(there),
                (None, true) => {}
                // A line stands in the place of the one that it overrides.
                (Some(there), false) => {
                    if let Some(line) = self.lines.get_mut(there) {
                        *line = Line { name, value, at };
                    }
                }
                (None, false) => self.lines.push(Line { name, value, at }),
            }
        }
    }
}

/// A line `key = value` that is no comment, without one behind a blank.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let value = value.split_once(" #").map_or(value, |(value, _)| value);
    (!key.is_empty() && !key.starts_with(['#', ';', '['])).then(|| (key, value.trim()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::facts::gather;
    use crate::host::{Answer, Ask, Query};
    use crate::model::facts::Facts;

    struct Files(BTreeMap<&'static str, &'static str>);

    impl Host for Files {
        fn ask(&self, query: Query<'_>) -> Answer {
            let text = self.0.get(query.of).filter(|_| query.ask == Ask::Read);
            text.map(|text| text.as_bytes().to_vec()).ok_or(Refusal::Errno(2))
        }

        fn source(&self) -> String {
            "files".into()
        }
    }

    fn facts(files: &[(&'static str, &'static str)]) -> Facts {
        let mut facts = Facts::default();
        let wanted = [VALUE, "tuned[x].value", REAPPLIES].into();
        gather(&Files(files.iter().copied().collect()), wanted, &mut facts);
        facts
    }

    #[test]
    fn a_profile_overrides_what_it_includes() {
        let facts = facts(&[
            (ACTIVE, "ours\n"),
            ("/etc/tuned/ours/tuned.conf", "[main]\ninclude=base\n[sysctl]\nnet.core.somaxconn = 1024\n"),
            ("/usr/lib/tuned/base/tuned.conf", "[sysctl]\nnet.core.somaxconn=2048\nvm.swappiness=10\n[vm]\nx=1\n"),
        ]);
        assert_eq!(facts.value("tuned[net.core.somaxconn].value"), Ok(&Value::Number(1024)));
        assert_eq!(facts.get("tuned[vm.swappiness].value").unwrap().source, "/usr/lib/tuned/base/tuned.conf:3");
        assert!(facts.holds(REAPPLIES) && facts.value("tuned[x].value").is_err());
    }

    #[test]
    fn two_names_of_one_variable_are_one_and_the_later_line_counts() {
        let (table, alias) = ("net.netfilter.nf_conntrack_max", "net.nf_conntrack_max");
        let facts = facts(&[
            (ACTIVE, "ours\n"),
            (
                "/etc/tuned/ours/tuned.conf",
                "[main]\ninclude=base\n[sysctl]\nnet.netfilter.nf_conntrack_max = 4194304\n",
            ),
            (
                "/usr/lib/tuned/base/tuned.conf",
                "[sysctl]\nnet.netfilter.nf_conntrack_max=1\nnet.nf_conntrack_max=65536\n",
            ),
        ]);
        // The profile's own line stands where the one stood that it overrides, before the other name.
        let value = facts.get(&format!("tuned[{table}].value")).unwrap();
        assert_eq!(
            (&value.reading, value.source.as_ref()),
            (&Ok(Value::Number(65_536)), "/usr/lib/tuned/base/tuned.conf:3")
        );
        assert_eq!(facts.text(&format!("tuned[{table}].names")), Some(format!("{table} {alias}").as_str()));
        assert!(facts.get(&format!("tuned[{alias}].value")).is_none());
    }

    #[test]
    fn the_last_word_of_sysctl_d_can_be_switched_off() {
        let facts = facts(&[(ACTIVE, "ours"), (MAIN, "daemon = 1\nreapply_sysctl = 0\n")]);
        assert_eq!(facts.value(REAPPLIES), Ok(&Value::Number(0)));
        assert!(again(&Files([(ACTIVE, "ours")].into())).is_err(), "the profile may set sysctls");
        assert!(facts.family(VALUE).unwrap_err().why.contains("ours"));
    }

    #[test]
    fn what_is_left_alone_has_no_line_that_wins() {
        let main = "# reapply_sysctl = 0\nreapply_sysctl = 1 # as shipped\nreapply_sysctl_exclude = net.core.*; vm.swap?iness\n";
        let profile = "[sysctl]\nvm.swappiness = 30 # ours\nnet.core.somaxconn = <4096\nfs.nr_open=1048576\n";
        let facts = facts(&[(ACTIVE, "ours"), (MAIN, main), ("/etc/tuned/ours/tuned.conf", profile)]);
        let told = |what: &str| facts.value(what).ok().map(Value::plain);
        assert_eq!(told(REAPPLIES).as_deref(), Some("1"));
        assert_eq!(told("tuned[vm.swappiness].last").as_deref(), Some("reapply_sysctl_exclude"));
        assert_eq!(told("tuned[net.core.somaxconn].last").as_deref(), Some("reapply_sysctl_exclude"));
        assert_eq!(told("tuned[fs.nr_open].last"), None);
        assert_eq!(told("tuned[vm.swappiness].value").as_deref(), Some("30"));
        assert_eq!(told("tuned[net.core.somaxconn].value").as_deref(), Some("4096"), "lowered to it");
    }

    #[test]
    fn profiles_that_include_each_other_end() {
        let facts = facts(&[
            (ACTIVE, "a ../../etc/passwd"),
            ("/etc/tuned/a/tuned.conf", "[main]\ninclude=b\n[sysctl]\nvm.swappiness=5\nnet.core.somaxconn=>2048\n"),
            ("/etc/tuned/b/tuned.conf", "[main]\ninclude=a\n"),
        ]);
        assert_eq!(facts.value("tuned[vm.swappiness].value"), Ok(&Value::Number(5)));
        assert!(facts.value("tuned[net.core.somaxconn].value").is_err(), "what only raises owns nothing");
    }
}
