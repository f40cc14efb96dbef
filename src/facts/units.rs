//! The limits on open files that systemd is configured to give a service, read from its unit and drop-ins. What a running
//! process has is another matter.

mod lookup;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use self::lookup::{Listing, NoUnit, Unit};
use self::syntax::{Limits, assigned};
use super::{Gather, Source, text};
use crate::host::Host;
use crate::model::bounds;
use crate::model::catalogue::Entry;
use crate::model::fact::{self, Cause, Gap, Scope, Value};

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
/// Where a machine's own units and drop-ins lie, beside those that programs leave.
const OWN: [&str; 2] = ["/etc/systemd/system", "/run/systemd/system"];
/// Mostly empty or not there: to list it costs less than to ask for each name in it.
const LOCAL: &str = "/usr/local/lib/systemd/system";
/// systemd raises fs.nr_open this far at boot where it is built to, and no unit asks for more.
const RAISED: i128 = 1_073_741_816;

pub(super) const SOURCE: Source = Source {
    families: &["units"],
    read,
    entries: &[Entry {
        name: MOST_ASKED,
        unit: fact::Unit::Count,
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
    let own = [OWN.as_slice(), &lookup::OF_PROGRAMS].concat();
    let listing = Listing::of(host, &own)?.with(host, LOCAL);
    units.extend(own.iter().flat_map(|folder| listing.names_in(folder)).filter_map(|name| {
        let unit = name.strip_suffix(".d").unwrap_or(name);
        unit.ends_with(".service").then(|| unit.to_owned())
    }));
    if bounds::UNITS.is_exceeded_by(units.len()) {
        let why = format!("this machine has {} units of its own, and {} are read", units.len(), bounds::UNITS);
        return Err(Gap::new(Cause::Unsupported, why));
    }
    for unit in units {
        match of_unit(host, &unit, default, &listing) {
            Ok(UnitLimits { hard, .. }) if hard > most.0 && hard != i128::MAX => most = (hard, unit),
            Ok(_) => {}
            Err(NoUnit::NotLoaded(_)) => {}
            Err(NoUnit::Unread(gap)) => return Err(gap),
        }
    }
    Ok(most)
}

/// The limits on open files that systemd is configured to give a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitLimits {
    /// The name of the unit itself, where it was asked for by an alias: a drop-in of that name in /etc is never hidden.
    pub name: String,
    /// The soft limit; `i128::MAX` for infinity.
    pub soft: i128,
    /// The hard limit; `i128::MAX` for infinity.
    pub hard: i128,
    /// The name of the drop-in that has the last word, if one has: `override.conf`.
    pub last: Option<String>,
    /// Names of drop-ins that would hide one of the same name in /etc/systemd/system, as those of systemctl set-property do.
    pub taken: BTreeSet<String>,
}

/// The limits of a service by name, which may be an alias or an instance of a template.
///
/// # Errors
/// No unit of that name, a masked one, or a file that cannot be read: a later one may say otherwise.
pub fn nofile(host: &dyn Host, unit: &str) -> Result<UnitLimits, Gap> {
    of_unit(host, unit, default(host)?, &Listing::of(host, &lookup::FOLDERS)?).map_err(NoUnit::gap)
}

fn of_unit(host: &dyn Host, unit: &str, default: Limits, listing: &Listing) -> Result<UnitLimits, NoUnit> {
    let unit = Unit::find(host, unit, listing)?;
    let mut limits = assigned(&text(&unit.file), "Service", "LimitNOFILE", None);
    let (mut last, mut taken) = (None, BTreeSet::new());
    for (name, drop_in) in lookup::drop_ins(host, &unit.folders(listing))? {
        if drop_in.hides {
            taken.insert(name.clone());
        }
        let set = assigned(&text(&drop_in.bytes), "Service", "LimitNOFILE", None);
        if set.is_some() {
            (limits, last) = (set, Some(name));
        }
    }
    let (soft, hard) = limits.unwrap_or(default);
    Ok(UnitLimits { name: unit.name().to_owned(), soft, hard, last, taken })
}

/// What services have that say nothing.
fn default(host: &dyn Host) -> Result<Limits, Gap> {
    let mut limits = None;
    for folder in MANAGER {
        let path = format!("{folder}/system.conf");
        match host.read(&path) {
            Ok(bytes) => {
                limits = assigned(&text(&bytes), "Manager", "DefaultLimitNOFILE", None);
                break;
            }
            Err(refusal) if refusal.is_absent() => {}
            Err(refusal) => return Err(refusal.gap(&path)),
        }
    }
    for drop_in in lookup::drop_ins(host, &MANAGER.map(|folder| format!("{folder}/system.conf.d")))?.into_values() {
        limits = assigned(&text(&drop_in.bytes), "Manager", "DefaultLimitNOFILE", limits);
    }
    Ok(limits.unwrap_or(DEFAULT))
}
