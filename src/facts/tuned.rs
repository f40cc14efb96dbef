//! What the active profile of TuneD gives sysctls, and whether sysctl.d has the last word over it.

use std::collections::BTreeMap;

use super::{Gather, Source, parse_sysctl, text};
use crate::host::Host;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

const ACTIVE: &str = "/etc/tuned/active_profile";
const MAIN: &str = "/etc/tuned/tuned-main.conf";
/// Where a profile may lie, the first one counts.
const FOLDERS: [&str; 4] = ["/etc/tuned", "/etc/tuned/profiles", "/usr/lib/tuned", "/usr/lib/tuned/profiles"];
/// Profiles that include each other, at most.
const DEEPEST: usize = 8;

const VALUE: &str = "tuned[*].value";
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
        entry(
            REAPPLIES,
            Unit::Mode,
            MAIN,
            "1: TuneD applies sysctl.d again after its own values, so that sysctl.d wins",
        ),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let active = match gather.host.read(ACTIVE) {
        Ok(bytes) => bytes,
        Err(refusal) => {
            for name in gather.wanted("tuned") {
                gather.put(name, Err(refusal.gap(ACTIVE)), ACTIVE);
            }
            return;
        }
    };
    let mut set = Settings::default();
    for profile in text(&active).split_whitespace() {
        set.read(gather.host, profile, 0);
    }
    for (key, (value, at)) in set.values {
        gather.put(format!("tuned[{key}].value"), parse_sysctl(&key, value.as_bytes()), at);
    }
    if let Some(gap) = set.gap {
        gather.put(VALUE, Err(gap), ACTIVE);
    }
    for name in gather.wanted("tuned").into_iter().filter(|name| name.contains('[') && !name.contains("[*]")) {
        if gather.facts.get(&name).is_none() {
            gather.put(name, Err(Gap::new(Cause::Absent, "TuneD's profile does not set it")), ACTIVE);
        }
    }
    // On unless it is switched off: tuned-main.conf(5).
    let reapplies = match gather.host.read(MAIN) {
        Ok(bytes) => {
            let said = text(&bytes).lines().filter_map(setting).rfind(|(key, _)| *key == "reapply_sysctl").map(off);
            Ok(Value::Number(i128::from(said != Some(true))))
        }
        Err(refusal) if refusal.is_absent() => Ok(Value::Number(1)),
        Err(refusal) => Err(refusal.gap(MAIN)),
    };
    gather.put(REAPPLIES, reapplies, MAIN);
}

fn off((_, value): (&str, &str)) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "0" | "false" | "no" | "off" | "n")
}

/// The sysctls of a profile and of those that it includes, with the file that has the last word.
#[derive(Default)]
struct Settings {
    values: BTreeMap<String, (String, String)>,
    gap: Option<Gap>,
}

impl Settings {
    /// Reads a profile after those that it includes, which it overrides.
    fn read(&mut self, host: &dyn Host, profile: &str, depth: usize) {
        if depth > DEEPEST || profile.is_empty() || profile.contains('/') || profile.starts_with('.') {
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
            } else if let Some((key, value)) = setting(line) {
                match (section.as_str(), key) {
                    ("main", "include") => {
                        for other in value.split([',', ' ']).filter(|other| !other.is_empty()) {
                            self.read(host, other, depth + 1);
                        }
                    }
                    (_, "type") => of_sysctl = value == "sysctl",
                    _ if of_sysctl => own.push((key.to_owned(), value.to_owned(), format!("{path}:{}", index + 1))),
                    _ => {}
                }
            }
        }
        for (key, value, at) in own {
            // `=>` raises only, and leaves alone what is higher: such a line writes over nothing.
            match value.starts_with('>') {
                true => _ = self.values.remove(&key),
                false => _ = self.values.insert(key, (value, at)),
            }
        }
    }
}

/// A line `key = value` that is no comment.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    (!key.is_empty() && !key.starts_with(['#', ';', '['])).then(|| (key, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::gather;
    use crate::host::{Answer, Ask, Query, Refusal};
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
        let wanted = [VALUE.into(), "tuned[x].value".into(), REAPPLIES.into()].into();
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
    fn the_last_word_of_sysctl_d_can_be_switched_off() {
        let facts = facts(&[(ACTIVE, "ours"), (MAIN, "daemon = 1\nreapply_sysctl = 0\n")]);
        assert_eq!(facts.value(REAPPLIES), Ok(&Value::Number(0)));
        assert!(facts.family(VALUE).unwrap_err().why.contains("ours"));
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
