//! A unit of systemd, and where a drop-in of ours has the last word over it.

use std::collections::BTreeSet;

/// A systemd unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name, with its ending; its own one where an alias was named and the machine could be asked.
    pub name: String,
    /// The soft and the hard limit on open files that it is configured with, if they could be read. No limit is the
    /// greatest number.
    pub limits: Option<(i128, i128)>,
    /// The drop-in that has the last word on them, by its name, if one has.
    pub last: Option<String>,
    /// Names of drop-ins that would hide one of the same name in /etc/systemd/system.
    pub taken: BTreeSet<String>,
}

impl Unit {
    /// The name of a drop-in of ours: it sorts after every one that sets the limits now, and none hides it.
    pub(super) fn drop_in(&self) -> String {
        const FIRST: &str = "50-tunecheck.conf";
        const LATER: &str = "zz-tunecheck.conf";
        let after = |name: &str| format!("{}.tunecheck.conf", name.trim_end_matches(".conf"));
        let mut name = match self.last.as_deref().filter(|last| *last > FIRST) {
            None => FIRST.to_owned(),
            Some(last) if !is_plain(last) => LATER.to_owned(),
            Some(last) if last.ends_with("tunecheck.conf") => last.to_owned(),
            Some(last) => after(last),
        };
        while self.taken.contains(&name) {
            name = after(&name);
        }
        name
    }
}

/// Whether this is the name of a systemd service that can stand in a path and in a command (systemd.unit(5)).
pub fn is_service(name: &str) -> bool {
    let stem = name.strip_suffix(".service").unwrap_or_default();
    !stem.is_empty() && name.len() <= 255 && is_plain(name) && !stem.starts_with(['-', '.'])
}

/// Whether a name can stand in a path, in a command and in a playbook as it is.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":_.@-".contains(&byte))
}
