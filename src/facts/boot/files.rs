//! Which configuration files a boot applies, in which order, and by which reader.

use std::collections::BTreeMap;

use super::lines::Reader;
use crate::host::Host;
use crate::model::fact::{Cause, Gap};

const FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];
const OWN: &str = "/etc/sysctl.d";
/// The same folder as /usr/lib/sysctl.d where /lib is a link to /usr/lib.
const MERGED: &str = "/lib/sysctl.d";
/// Read last of all by `sysctl --system`, and not at all by systemd-sysctl.
pub(super) const LAST_OF_PROCPS: &str = "/etc/sysctl.conf";

/// The configuration files in the order in which they apply.
pub(super) struct Files {
    /// By name over all folders; a name in an earlier folder hides the same one in a later one.
    pub(super) paths: Vec<String>,
    /// Files of the owner's folder that no reader applies, since their names do not end in `.conf`. What has another ending was
    /// put aside by that.
    pub(super) unread: Vec<String>,
    /// Why a folder of them could not be listed, if so.
    pub(super) gap: Option<Gap>,
}

impl Files {
    pub(super) fn of(host: &dyn Host) -> Self {
        let mut paths: BTreeMap<String, String> = BTreeMap::new();
        let (mut gap, mut any, mut unread) = (None, false, Vec::new());
        let merged = host.link("/lib").is_ok_and(|target| target.trim_start_matches('/') == "usr/lib");
        for folder in FOLDERS.into_iter().filter(|folder| !(merged && *folder == MERGED)) {
            match host.list(folder) {
                Ok(names) => {
                    any = true;
                    if folder == OWN {
                        unread.extend(
                            names.iter().filter(|name| !name.contains('.')).map(|name| format!("{OWN}/{name}")),
                        );
                    }
                    for name in names.into_iter().filter(|name| name.ends_with(".conf")) {
                        let path = format!("{folder}/{name}");
                        paths.entry(name).or_insert(path);
                    }
                }
                Err(refusal) if refusal.is_absent() => {}
                Err(refusal) => gap = Some(refusal.gap(folder)),
            }
        }
        if !any && gap.is_none() && matches!(host.exists("/etc"), Ok(false)) {
            gap = Some(Gap::new(Cause::Unsupported, "there is no /etc here, so nobody knows what a boot sets"));
        }
        Self { paths: paths.into_values().collect(), unread, gap }
    }

    /// Whether one of them is a link to /etc/sysctl.conf, or it cannot be told.
    pub(super) fn lead_to_the_last_of_procps(&self, host: &dyn Host) -> bool {
        self.paths.iter().any(|path| match host.link(path) {
            Ok(target) => target.rsplit('/').next() == LAST_OF_PROCPS.rsplit('/').next(),
            Err(refusal) => !refusal.is_no_link() && !refusal.is_absent(),
        })
    }

    /// The files that a reader applies: systemd passes over names that begin with a dot.
    pub(super) fn read_by(&self, reader: Reader) -> impl Iterator<Item = &str> {
        let shown = |path: &&str| path.rsplit('/').next().is_some_and(|name| !name.starts_with('.'));
        let all = reader == Reader::Procps;
        let paths = self.paths.iter().map(String::as_str).filter(move |path| all || shown(path));
        paths.chain(all.then_some(LAST_OF_PROCPS))
    }
}

/// What TuneD reads again after its profile, in its order: of one name in both folders the file in /run, and last the file
/// that systemd may not read at all.
pub(super) fn read_again(host: &dyn Host) -> Vec<String> {
    let mut paths: BTreeMap<String, String> = BTreeMap::new();
    for folder in ["/run/sysctl.d", "/etc/sysctl.d"] {
        for name in host.list(folder).unwrap_or_default().into_iter().filter(|name| name.ends_with(".conf")) {
            let path = format!("{folder}/{name}");
            paths.entry(name).or_insert(path);
        }
    }
    paths.into_values().chain([LAST_OF_PROCPS.to_owned()]).collect()
}

/// There while systemd is the init.
pub(super) const RUNNING: &str = "/run/systemd/system";

/// Who applies them, as far as it shows: systemd where it runs or lies, or a script of init that calls `sysctl --system`.
/// Of others, such as those of busybox and OpenWrt, the order is not known here.
pub(super) fn reader(host: &dyn Host) -> Option<Reader> {
    // What may be there, for all that is known, leaves it open.
    let exists = |path: &str| match host.exists(path) {
        Err(refusal) if refusal.gap(path).is_failure() => None,
        other => Some(other.unwrap_or(false)),
    };
    if exists(RUNNING)? {
        return Some(Reader::Systemd);
    }
    match host.link("/sbin/init") {
        Ok(init) if init.contains("systemd") => return Some(Reader::Systemd),
        // Of another init the files of systemd say nothing.
        Ok(_) => {}
        Err(_) if exists("/sbin/init")? => {}
        Err(_) => {
            for folder in ["/usr/lib/systemd", "/lib/systemd"] {
                if exists(&format!("{folder}/systemd-sysctl"))? {
                    return Some(Reader::Systemd);
                }
            }
        }
    }
    exists("/etc/init.d/procps")?.then_some(Reader::Procps)
}
