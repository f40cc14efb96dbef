//! The limits on open files that systemd is configured to give a service, read from its unit and drop-ins. What a running
//! process has is another matter.

use std::collections::BTreeSet;

use super::{Gather, Source, text};
use crate::host::Host;
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

/// Where units and drop-ins lie; an earlier folder hides the same name in a later one (systemd.unit(5)).
const FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const MANAGER: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];
/// What systemd gives a service that says nothing, since version 240 (systemd-system.conf(5)).
const DEFAULT: (i128, i128) = (1024, 524_288);

pub(super) const NR_OPEN: &str = "sysctl.fs.nr_open";
pub(super) const MOST_ASKED: &str = "units.nofile";
/// Units that hand their limit on to containers, wherever they come from. Beside them those that somebody wrote or changed
/// on this machine are read: what distributions ship stays below the kernel's default.
const RUNTIMES: [&str; 8] = [
    "containerd.service",
    "crio.service",
    "docker.service",
    "k3s-agent.service",
    "k3s.service",
    "kubelet.service",
    "rke2-agent.service",
    "rke2-server.service",
];
/// Where a machine's own units and drop-ins lie.
const OWN: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];
/// systemd raises fs.nr_open this far at boot where it is built to, and no unit asks for more.
const RAISED: i128 = 1_073_741_816;
/// Units that are read.
const MOST_UNITS: usize = 200;

pub(super) const SOURCE: Source = Source {
    families: &["units"],
    read,
    entries: &[Entry {
        name: MOST_ASKED,
        unit: Unit::Count,
        scope: Scope::Host,
        meaning: "highest LimitNOFILE= of container runtimes and of units that are this machine's own, and systemd's default",
        read: "unit files and drop-ins",
        document: "https://www.freedesktop.org/software/systemd/man/latest/systemd.exec.html",
    }],
};

fn read(gather: &mut Gather<'_>) {
    if gather.facts.number(NR_OPEN).is_ok_and(|most| most >= RAISED) {
        let gap = Gap::new(Cause::Absent, "fs.nr_open is as high as systemd sets it, and no unit asks for more");
        return gather.put(MOST_ASKED, Err(gap), "unit files and drop-ins");
    }
    let (reading, source) = match most_asked(gather.host) {
        Ok((most, unit)) => (Ok(Value::Number(most)), format!("LimitNOFILE= of {unit}")),
        Err(gap) => (Err(gap), "unit files and drop-ins".to_owned()),
    };
    gather.put(MOST_ASKED, reading, source);
}

/// The highest hard limit on open files that a unit asks for, and which one; infinity is what fs.nr_open allows.
fn most_asked(host: &dyn Host) -> Result<(i128, String), Gap> {
    let default = default(host)?;
    let mut most = (default.1, "systemd's default".to_owned());
    let mut units: BTreeSet<String> = RUNTIMES.map(str::to_owned).into();
    for folder in OWN {
        match host.list(folder) {
            Ok(names) => units.extend(names.into_iter().filter_map(|name| {
                let unit = name.strip_suffix(".d").unwrap_or(&name);
                unit.ends_with(".service").then(|| unit.to_owned())
            })),
            Err(refusal) if refusal.is_absent() => {}
            Err(refusal) => return Err(refusal.gap(folder)),
        }
    }
    for unit in units.into_iter().take(MOST_UNITS) {
        match of_unit(host, &unit, default) {
            Ok((_, hard)) if hard > most.0 && hard != i128::MAX => most = (hard, unit),
            Ok(_) => {}
            // None of that name, or an alias of another one.
            Err(gap) if matches!(gap.cause, Cause::Absent | Cause::Unsupported) => {}
            Err(gap) => return Err(gap),
        }
    }
    Ok(most)
}

/// Soft and hard limit of a service by name, `i128::MAX` for infinity.
///
/// # Errors
/// No unit of that name, or a file that cannot be read: a later one may say otherwise.
pub fn nofile(host: &dyn Host, unit: &str) -> Result<(i128, i128), Gap> {
    of_unit(host, unit, default(host)?)
}

fn of_unit(host: &dyn Host, unit: &str, default: (i128, i128)) -> Result<(i128, i128), Gap> {
    let template = unit.split_once('@').map(|(name, _)| format!("{name}@.service"));
    let names: Vec<&str> = [Some(unit), template.as_deref()].into_iter().flatten().collect();
    let paths = names.iter().flat_map(|name| FOLDERS.iter().map(move |folder| format!("{folder}/{name}")));
    let mut file = None;
    for path in paths {
        // An alias: the drop-ins of the unit that it stands for count as well.
        if host.link(&path).is_ok() {
            return Err(Gap::new(Cause::Unsupported, format!("{path} is a link to another unit")));
        }
        match host.read(&path) {
            Ok(bytes) => {
                file = Some(bytes);
                break;
            }
            Err(refusal) if refusal.is_absent() => {}
            Err(refusal) => return Err(refusal.gap(&path)),
        }
    }
    let file = file.ok_or_else(|| Gap::new(Cause::Absent, format!("there is no unit {unit}")))?;
    let mut limits = assigned(&text(&file), "Service", "LimitNOFILE", default, None);
    let folders: Vec<String> = names
        .iter()
        .map(|name| (*name).to_owned())
        .chain(prefixes(unit))
        .flat_map(|name| FOLDERS.iter().map(move |folder| format!("{folder}/{name}.d")))
        .collect();
    for bytes in drop_ins(host, &folders)? {
        limits = assigned(&text(&bytes), "Service", "LimitNOFILE", default, limits);
    }
    Ok(limits.unwrap_or(default))
}

/// The names of drop-in folders that a unit shares with others, the nearest first: `a-b.service` has those of
/// `a-.service` and of every `service`.
fn prefixes(unit: &str) -> Vec<String> {
    let stem = unit.strip_suffix(".service").unwrap_or(unit);
    let dashes = stem.char_indices().filter(|(_, c)| *c == '-').filter_map(|(at, _)| stem.get(..=at));
    let mut names: Vec<String> = dashes.map(|prefix| format!("{prefix}.service")).collect();
    names.reverse();
    names.push("service".to_owned());
    names
}

fn default(host: &dyn Host) -> Result<(i128, i128), Gap> {
    let mut limits = None;
    for folder in MANAGER {
        let path = format!("{folder}/system.conf");
        match host.read(&path) {
            Ok(bytes) => {
                limits = assigned(&text(&bytes), "Manager", "DefaultLimitNOFILE", DEFAULT, None);
                break;
            }
            Err(refusal) if refusal.is_absent() => {}
            Err(refusal) => return Err(refusal.gap(&path)),
        }
    }
    for bytes in drop_ins(host, &MANAGER.map(|folder| format!("{folder}/system.conf.d")))? {
        limits = assigned(&text(&bytes), "Manager", "DefaultLimitNOFILE", DEFAULT, limits);
    }
    Ok(limits.unwrap_or(DEFAULT))
}

/// The drop-ins in these folders, sorted by name over all of them; a name in an earlier folder hides it in a later one.
fn drop_ins(host: &dyn Host, folders: &[String]) -> Result<Vec<Vec<u8>>, Gap> {
    let mut found: Vec<(String, String)> = Vec::new();
    for folder in folders {
        let names = match host.list(folder) {
            Ok(names) => names,
            Err(refusal) if refusal.is_absent() => continue,
            Err(refusal) => return Err(refusal.gap(folder)),
        };
        for name in names.into_iter().filter(|name| name.ends_with(".conf")) {
            if !found.iter().any(|(known, _)| *known == name) {
                found.push((name.clone(), format!("{folder}/{name}")));
            }
        }
    }
    found.sort_unstable();
    found.iter().map(|(_, path)| host.read(path).map_err(|refusal| refusal.gap(path))).collect()
}

/// The limits after the assignments of a file. An empty one goes back to the default.
fn assigned(
    text: &str,
    section: &str,
    key: &str,
    default: (i128, i128),
    before: Option<(i128, i128)>,
) -> Option<(i128, i128)> {
    let mut within = false;
    let mut limits = before;
    // A backslash at the end of a line joins it to the next one (systemd.syntax(7)).
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            within = name == section;
        } else if let Some((_, value)) = line.split_once('=').filter(|(name, _)| within && name.trim() == key) {
            limits = match value.trim() {
                "" => Some(default),
                value => pair(value).or(limits),
            };
        }
    }
    limits
}

/// `soft:hard`, or one value for both.
fn pair(text: &str) -> Option<(i128, i128)> {
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let limit = |text: &str| match text.trim() {
        "infinity" => Some(i128::MAX),
        number => number.parse::<u64>().ok().map(i128::from),
    };
    Some((limit(soft)?, limit(hard)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::host::{Answer, Ask, Query, Refusal};

    /// Files by path; folders follow from them.
    struct Files(BTreeMap<&'static str, &'static str>);

    impl Host for Files {
        fn ask(&self, query: Query<'_>) -> Answer {
            let absent = Err(Refusal::Errno(2));
            match query.ask {
                Ask::Read => self.0.get(query.of).map_or(absent, |text| Ok(text.as_bytes().to_vec())),
                Ask::List => {
                    let below = |path: &&'static str| path.strip_prefix(query.of)?.strip_prefix('/')?.split('/').next();
                    let names: BTreeSet<&str> = self.0.keys().filter_map(below).collect();
                    let names: Vec<&str> = names.into_iter().collect();
                    if names.is_empty() { absent } else { Ok(names.join("\0").into_bytes()) }
                }
                _ => absent,
            }
        }

        fn source(&self) -> String {
            "files".into()
        }
    }

    fn limits(files: &[(&'static str, &'static str)], unit: &str) -> Result<(i128, i128), Gap> {
        nofile(&Files(files.iter().copied().collect()), unit)
    }

    #[test]
    fn a_service_that_says_nothing_gets_the_default() {
        let plain = ("/usr/lib/systemd/system/a.service", "[Service]\nExecStart=/bin/a\n");
        assert_eq!(limits(&[plain], "a.service"), Ok((1024, 524_288)));
        let manager =
            ("/etc/systemd/system.conf", "[Manager]\n#DefaultLimitNOFILE=1:2\nDefaultLimitNOFILE=2048:4096\n");
        assert_eq!(limits(&[plain, manager], "a.service"), Ok((2048, 4096)));
        assert!(limits(&[plain], "b.service").is_err());
    }

    #[test]
    fn the_last_drop_in_counts_and_an_earlier_folder_hides_a_name() {
        let unit = ("/lib/systemd/system/a.service", "[Service]\nLimitNOFILE=1048576\n");
        assert_eq!(limits(&[unit], "a.service"), Ok((1_048_576, 1_048_576)));
        let files = [
            unit,
            ("/etc/systemd/system/a.service.d/50-x.conf", "[Service]\nLimitNOFILE=100:200\n"),
            ("/run/systemd/system/a.service.d/50-x.conf", "[Service]\nLimitNOFILE=7\n"),
            ("/etc/systemd/system/a.service.d/override.conf", "[Service]\nLimitNOFILE=4096:infinity\n"),
        ];
        assert_eq!(limits(&files, "a.service"), Ok((4096, i128::MAX)));
    }

    #[test]
    fn drop_ins_for_many_units_and_joined_lines_count() {
        let unit = ("/lib/systemd/system/gw-a.service", "[Service]\nExecStart=/bin/a\n");
        let of = |path: &'static str, text: &'static str| limits(&[unit, (path, text)], "gw-a.service");
        let high = Ok((1_048_576, 1_048_576));
        assert_eq!(of("/etc/systemd/system/service.d/x.conf", "[Service]\nLimitNOFILE=1048576\n"), high);
        assert_eq!(of("/etc/systemd/system/gw-.service.d/x.conf", "[Service]\nLimitNOFILE=1048576\n"), high);
        assert_eq!(of("/etc/systemd/system/gw-a.service.d/x.conf", "[Service]\nLimitNOFILE= \\\n 1048576\n"), high);
    }

    #[test]
    fn an_alias_is_left_to_a_person() {
        struct Alias;
        impl Host for Alias {
            fn ask(&self, query: Query<'_>) -> Answer {
                match query.ask {
                    Ask::Link if query.of.starts_with("/etc/") => Ok(b"b.service".to_vec()),
                    _ => Err(Refusal::Errno(2)),
                }
            }

            fn source(&self) -> String {
                "alias".into()
            }
        }
        assert_eq!(nofile(&Alias, "a.service").unwrap_err().cause, Cause::Unsupported);
    }

    #[test]
    fn the_unit_that_asks_for_most_is_told_and_infinity_asks_for_nothing() {
        let most = |files: &[(&'static str, &'static str)]| most_asked(&Files(files.iter().copied().collect()));
        assert_eq!(most(&[]), Ok((524_288, "systemd's default".into())));
        let files = [
            ("/usr/lib/systemd/system/containerd.service", "[Service]\nLimitNOFILE=infinity\n"),
            ("/usr/lib/systemd/system/db.service", "[Service]\nLimitNOFILE=1024\n"),
            ("/etc/systemd/system/db.service.d/o.conf", "[Service]\nLimitNOFILE=2000000\n"),
            ("/etc/systemd/system/web.service", "[Service]\nLimitNOFILE=1048576\n"),
        ];
        assert_eq!(most(&files), Ok((2_000_000, "db.service".into())));
        assert_eq!(most(&files[..1]), Ok((524_288, "systemd's default".into())));
    }

    #[test]
    fn a_template_serves_its_instances() {
        let files = [("/etc/systemd/system/a@.service", "[Service]\nLimitNOFILE=5000\nLimitNOFILE=\n[Install]\nX=1\n")];
        assert_eq!(limits(&files, "a@one.service"), Ok((1024, 524_288)));
    }
}
