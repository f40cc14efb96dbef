//! Where systemd finds a unit and its drop-ins (systemd.unit(5), src/shared/dropin.c and unit-file.c of systemd).

use std::collections::{BTreeMap, BTreeSet};

use crate::host::{Host, Refusal};
use crate::model::bounds;
use crate::model::fact::{Cause, Gap};

/// Where units and drop-ins lie (`systemd-analyze unit-paths`); an earlier folder hides the same name in a later one.
pub(super) const FOLDERS: [&str; 13] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];
/// Where systemctl set-property, systemd-run, portablectl and generators leave units and drop-ins.
pub(super) const OF_PROGRAMS: [&str; 8] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system.attached",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/run/systemd/generator.late",
];
/// Those of them that hide names in /etc/systemd/system.
const ABOVE: [&str; 4] = [
    "/etc/systemd/system.control/",
    "/run/systemd/system.control/",
    "/run/systemd/transient/",
    "/run/systemd/generator.early/",
];
const SERVICE: &str = ".service";

/// What stands in a folder of units under a name.
enum Found {
    /// Nothing.
    None,
    /// The file of a unit, or a link to one that lies elsewhere.
    File,
    /// A link to nowhere: the unit does not start.
    Mask,
    /// A link to a unit of another name.
    Alias(String),
}

fn find(host: &dyn Host, path: &str) -> Result<Found, Gap> {
    let target = match host.link(path) {
        Ok(target) => target,
        Err(refusal) if refusal.is_absent() => return Ok(Found::None),
        Err(refusal) if refusal.is_no_link() => return Ok(Found::File),
        Err(refusal) => return Err(refusal.gap(path)),
    };
    if target == "/dev/null" {
        return Ok(Found::Mask);
    }
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let (parent, of) = target.rsplit_once('/').unwrap_or(("", &target));
    let among_units = match parent {
        "" | "." => true,
        parent => parent.ends_with("/systemd/system") || parent == "system" || FOLDERS.contains(&parent),
    };
    Ok(if among_units && of != name { Found::Alias(of.to_owned()) } else { Found::File })
}

fn names(host: &dyn Host, folder: &str) -> Result<BTreeSet<String>, Refusal> {
    match host.list(folder) {
        Ok(names) => Ok(names.into_iter().collect()),
        Err(refusal) if refusal.is_absent() => Ok(BTreeSet::new()),
        Err(refusal) => Err(refusal),
    }
}

/// What stands in some folders of units.
pub(super) struct Listing {
    /// The names in each of the folders.
    folders: BTreeMap<&'static str, BTreeSet<String>>,
    /// The aliases among units, by the name that they stand for.
    aliases: BTreeMap<String, Vec<String>>,
}

impl Listing {
    pub(super) fn of(host: &dyn Host, folders: &[&'static str]) -> Result<Self, Gap> {
        let mut listing = Self { folders: BTreeMap::new(), aliases: BTreeMap::new() };
        let mut known = BTreeSet::new();
        for folder in folders {
            let names = match names(host, folder) {
                Ok(names) => names,
                // A recording of an earlier version did not ask.
                Err(Refusal::NotRecorded) if OF_PROGRAMS.contains(folder) => BTreeSet::new(),
                Err(refusal) => return Err(refusal.gap(folder)),
            };
            for name in names.iter().filter(|name| name.ends_with(SERVICE)) {
                if known.insert(name.clone())
                    && let Found::Alias(of) = find(host, &format!("{folder}/{name}"))?
                {
                    listing.aliases.entry(of).or_default().push(name.clone());
                }
            }
            listing.folders.insert(folder, names);
        }
        Ok(listing)
    }

    /// Adds the names in one more folder, if they can be had: a recording may lack them, and then each is asked for. Its
    /// aliases do not count.
    pub(super) fn with(mut self, host: &dyn Host, folder: &'static str) -> Self {
        self.folders.extend(names(host, folder).ok().map(|names| (folder, names)));
        self
    }

    /// The names that were listed in a folder.
    pub(super) fn names_in(&self, folder: &str) -> impl Iterator<Item = &String> {
        self.folders.get(folder).into_iter().flatten()
    }

    /// Whether a folder was listed and has no such name.
    fn lacks(&self, folder: &str, name: &str) -> bool {
        self.folders.get(folder).is_some_and(|names| !names.contains(name))
    }

    /// The other names of a unit, by the names of its file. An alias of a template is one of each instance.
    fn names(&self, unit: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::from([unit.to_owned()]);
        let mut newest = vec![unit.to_owned()];
        let of = |name: &str| self.aliases.get(name).into_iter().flatten();
        for _ in 0..bounds::UNIT_ALIASES.count() {
            let more = newest.iter().flat_map(|name| {
                let (template, instance) = parts(name);
                let of_template = template.into_iter().flat_map(move |template| of(&template));
                let of_template = of_template.map(move |alias| with_instance(alias, instance));
                of(name).cloned().chain(of_template)
            });
            newest = more.collect();
            newest.retain(|name| names.insert(name.clone()));
        }
        names.remove(unit);
        names
    }
}

/// The template of an instance, and what the instance is called.
fn parts(unit: &str) -> (Option<String>, &str) {
    let stem = unit.strip_suffix(SERVICE).unwrap_or(unit);
    match stem.split_once('@') {
        Some((name, instance)) if !instance.is_empty() => (Some(format!("{name}@{SERVICE}")), instance),
        _ => (None, ""),
    }
}

fn with_instance(unit: &str, instance: &str) -> String {
    match unit.strip_suffix("@.service") {
        Some(name) => format!("{name}@{instance}{SERVICE}"),
        None => unit.to_owned(),
    }
}

/// Why there is no unit to speak of.
pub(super) enum NoUnit {
    /// systemd loads none of that name: there is none, it is masked, or its links lead in a circle.
    NotLoaded(Gap),
    /// There may be one.
    Unread(Gap),
}

impl NoUnit {
    pub(super) fn gap(self) -> Gap {
        match self {
            Self::NotLoaded(gap) | Self::Unread(gap) => gap,
        }
    }
}

impl From<Gap> for NoUnit {
    fn from(gap: Gap) -> Self {
        Self::Unread(gap)
    }
}

/// A unit with its file.
pub(super) struct Unit {
    /// Under which drop-ins count, its own first.
    names: Vec<String>,
    pub(super) file: Vec<u8>,
}

impl Unit {
    /// The unit that a name stands for.
    pub(super) fn find(host: &dyn Host, asked: &str, listing: &Listing) -> Result<Self, NoUnit> {
        let not_loaded = |cause, why| Err(NoUnit::NotLoaded(Gap::new(cause, why)));
        if bounds::UNIT_PREFIXES.is_exceeded_by(asked.matches('-').count()) {
            let why = format!("{asked}: more than {} dashes, of which each stands for folders", bounds::UNIT_PREFIXES);
            return Err(NoUnit::Unread(Gap::new(Cause::Unsupported, why)));
        }
        let mut own = asked.to_owned();
        let mut names = BTreeSet::new();
        for _ in 0..bounds::UNIT_ALIASES.count() {
            match first(host, &own, listing)? {
                First::File(file) => {
                    names.extend(listing.names(&own));
                    names.remove(&own);
                    let names = std::iter::once(own).chain(names).collect();
                    return Ok(Self { names, file });
                }
                First::Alias(of) => {
                    let (_, instance) = parts(&own);
                    let of = with_instance(&of, instance);
                    names.insert(std::mem::replace(&mut own, of));
                }
                First::Mask(path) => return not_loaded(Cause::Unsupported, format!("{path} masks the unit")),
                First::None => return not_loaded(Cause::Absent, format!("there is no unit {own}")),
            }
        }
        not_loaded(Cause::Unsupported, format!("the links of {asked} lead in a circle"))
    }

    /// Its own name.
    pub(super) fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// Where its drop-ins lie; an earlier folder hides the same name in a later one.
    pub(super) fn folders(&self, listing: &Listing) -> Vec<String> {
        let within = |names: Vec<String>| {
            let all = FOLDERS.iter().flat_map(|folder| names.iter().map(move |name| (folder, name)));
            let there = all.filter(|(folder, name)| !listing.lacks(folder, name));
            there.map(|(folder, name)| format!("{folder}/{name}")).collect::<Vec<_>>()
        };
        let near = |name: &String| within(near(name).iter().map(|name| format!("{name}.d")).collect());
        self.names.iter().flat_map(near).chain(within(vec!["service.d".to_owned()])).collect()
    }
}

enum First {
    File(Vec<u8>),
    Alias(String),
    Mask(String),
    None,
}

/// What stands under a name, or else under the name of its template.
fn first(host: &dyn Host, unit: &str, listing: &Listing) -> Result<First, Gap> {
    let (template, _) = parts(unit);
    for name in [Some(unit), template.as_deref()].into_iter().flatten() {
        for folder in FOLDERS.into_iter().filter(|folder| !listing.lacks(folder, name)) {
            let path = format!("{folder}/{name}");
            match find(host, &path)? {
                Found::None => continue,
                Found::Mask => return Ok(First::Mask(path)),
                Found::Alias(of) => return Ok(First::Alias(of)),
                Found::File => {}
            }
            match host.read(&path) {
                Ok(bytes) if bytes.is_empty() => return Ok(First::Mask(path)),
                Ok(bytes) => return Ok(First::File(bytes)),
                Err(refusal) if refusal.is_absent() => {}
                Err(refusal) => return Err(refusal.gap(&path)),
            }
        }
    }
    Ok(First::None)
}

/// The names whose drop-ins a unit has in one folder, the nearest first: `a-b@x.service` has those of `a-b@.service`,
/// `a-.service`, `a-@x.service` and `a-@.service`.
fn near(unit: &str) -> Vec<String> {
    let mut names = vec![unit.to_owned()];
    let (template, instance) = parts(unit);
    names.extend(template.iter().flat_map(|template| near(template)));
    let stem = unit.strip_suffix(SERVICE).unwrap_or(unit);
    // A template shares those of plain services.
    let (prefix, at) =
        stem.split_once('@').map_or((stem, ""), |(prefix, _)| (prefix, if template.is_some() { "@" } else { "" }));
    // A trailing dash is passed over, once.
    let whole = prefix.strip_suffix('-').unwrap_or(prefix);
    if let Some(dash) = whole.rfind('-').filter(|dash| *dash > 0) {
        let prefix = whole.get(..=dash).unwrap_or_default();
        names.extend(near(&format!("{prefix}{at}{instance}{SERVICE}")));
    }
    names
}

/// A drop-in.
pub(super) struct DropIn {
    pub(super) bytes: Vec<u8>,
    /// Whether it hides one of the same name in /etc/systemd/system.
    pub(super) hides: bool,
}

/// The drop-ins in these folders, sorted by name over all of them; a name in an earlier folder hides it in a later one.
pub(super) fn drop_ins(host: &dyn Host, folders: &[String]) -> Result<BTreeMap<String, DropIn>, Gap> {
    let mut found = BTreeMap::new();
    for folder in folders {
        let names = match host.list(folder) {
            Ok(names) => names,
            Err(refusal) if refusal.is_absent() => continue,
            Err(refusal) => return Err(refusal.gap(folder)),
        };
        for name in names.into_iter().filter(|name| name.ends_with(".conf") && !name.starts_with('.')) {
            if found.contains_key(&name) {
                continue;
            }
            let path = format!("{folder}/{name}");
            let bytes = match host.read(&path) {
                Ok(bytes) => bytes,
                // A link to nothing and a folder set nothing, and hide the name.
                Err(refusal) if refusal.is_absent() || host.list(&path).is_ok() => Vec::new(),
                Err(refusal) => return Err(refusal.gap(&path)),
            };
            found.insert(name, DropIn { bytes, hides: ABOVE.iter().any(|above| folder.starts_with(above)) });
        }
    }
    Ok(found)
}
