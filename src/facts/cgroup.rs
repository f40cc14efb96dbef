//! What the cgroup allows, per controller: each may be on version 1 or on version 2.
//!
//! Of the process's own cgroup and those above it, the limit that counts is the one nearest to being reached, as far as
//! they can be seen.

use procfs::{FromRead, ProcessCGroup, ProcessCGroups};

use super::{Gather, Source, number, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

const SELF: &str = "/proc/self/cgroup";
const ROOT: &str = "/sys/fs/cgroup";
const UNIFIED: &str = "/sys/fs/cgroup/unified";
/// A limit this high on version 1 stands for none (it is rounded down to a page).
const NONE: i128 = 1 << 60;

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://docs.kernel.org/admin-guide/cgroup-v2.html";
    Entry { name, unit, scope: Scope::Cgroup, meaning, read: ROOT, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["cgroup"],
    read,
    entries: &[
        entry("cgroup.version", Unit::Text, "v1, v2 or hybrid"),
        entry("cgroup.path", Unit::Text, "the process's cgroup, as this cgroup namespace shows it"),
        entry("cgroup.cpu.limit", Unit::Millicpu, "CPU quota"),
        entry("cgroup.cpu.throttled", Unit::Count, "periods in which the quota ran out, since the cgroup began"),
        entry(
            "cgroup.cpu.throttled_share",
            Unit::Percent,
            "share of periods in which the quota ran out, since the cgroup began",
        ),
        entry("cgroup.memory.limit", Unit::Bytes, "memory limit"),
        entry("cgroup.memory.working_set", Unit::Bytes, "memory used, less inactive file cache"),
        entry("cgroup.memory.oom_kills", Unit::Count, "processes killed at the memory limit, since the cgroup began"),
        entry("cgroup.pids.limit", Unit::Count, "most tasks"),
        entry("cgroup.pids.current", Unit::Count, "tasks now"),
        entry("cgroup.pids.refused", Unit::Count, "forks refused at the limit, since the cgroup began"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let groups = gather.host.read(SELF).map_err(|refusal| refusal.gap(SELF)).and_then(|bytes| {
        match ProcessCGroups::from_read(bytes.as_slice()) {
            Ok(groups) if groups.0.is_empty() => Err(Gap::new(Cause::Absent, "no cgroup hierarchy is mounted")),
            Ok(groups) => Ok(groups),
            Err(_) => Err(Gap::unparsable(SELF, &bytes)),
        }
    });
    let groups = match groups {
        Ok(groups) => groups,
        Err(gap) => {
            for name in gather.wanted("cgroup") {
                gather.put(name, Err(gap.clone()), SELF);
            }
            return;
        }
    };
    gather.put("cgroup.version", Ok(Value::Text(version(gather, &groups).into())), SELF);
    let named = groups.0.iter().max_by_key(|group| group.pathname.len());
    gather.put("cgroup.path", Ok(Value::Text(named.map(|group| group.pathname.clone()).unwrap_or_default())), SELF);
    if gather.wants_any("cgroup.cpu") {
        cpu(gather, &groups);
    }
    if gather.wants_any("cgroup.memory") {
        counted(gather, &groups, &MEMORY);
    }
    if gather.wants_any("cgroup.pids") {
        counted(gather, &groups, &PIDS);
    }
}

/// A `0::` line alone does not mean version 2: it is there as soon as the kernel has it.
fn version(gather: &Gather<'_>, groups: &ProcessCGroups) -> &'static str {
    let on_v1 = |group: &ProcessCGroup| group.controllers.iter().any(|name| !name.starts_with("name="));
    match (groups.0.iter().any(on_v1), groups.0.iter().any(|group| group.hierarchy == 0)) {
        (true, true) if gather.host.exists(UNIFIED).unwrap_or(false) => "hybrid",
        (true, _) => "v1",
        (false, _) => "v2",
    }
}

/// Folders of one controller, the process's own first, then those above it.
struct Folders {
    v2: bool,
    paths: Vec<String>,
}

impl Folders {
    fn of(gather: &Gather<'_>, groups: &ProcessCGroups, controller: &str) -> Self {
        let v1 = groups.0.iter().find(|group| group.controllers.iter().any(|name| name == controller));
        let v2 = || groups.0.iter().find(|group| group.hierarchy == 0);
        let Some(group) = v1.or_else(v2) else { return Self { v2: false, paths: Vec::new() } };
        let root = match (v1, version(gather, groups)) {
            (Some(_), _) => format!("{ROOT}/{controller}"),
            // Beside version 1 the tree of version 2 is mounted one level down.
            (None, "hybrid") => UNIFIED.to_owned(),
            (None, _) => ROOT.to_owned(),
        };
        let mut paths = Vec::new();
        // A path with `..` lies outside this cgroup namespace, and the mount's root is the best that can be seen.
        let outside = group.pathname.split('/').any(|part| part == "..");
        let mut below = if outside { "" } else { group.pathname.trim_end_matches('/') };
        while !below.is_empty() {
            paths.push(format!("{root}{below}"));
            below = below.rsplit_once('/').map_or("", |(above, _)| above);
        }
        paths.push(root);
        Self { v2: v1.is_none(), paths }
    }

    /// The file of a folder by its name on the version that the controller is on.
    fn file(&self, folder: &str, v1: &str, v2: &str) -> String {
        format!("{folder}/{}", if self.v2 { v2 } else { v1 })
    }
}

/// The folders that set a limit, each with it, the process's own first. A folder without the file sets none.
///
/// # Errors
/// Without any folder at all nothing is known: there are limits whether or not they can be seen.
fn limits<'a>(
    gather: &Gather<'_>,
    folders: &'a Folders,
    limit_in: impl Fn(&str) -> Result<Option<i128>, Gap>,
) -> Result<Vec<(&'a str, i128)>, Gap> {
    let mut found = Vec::new();
    let mut seen = false;
    for path in &folders.paths {
        match limit_in(path) {
            Ok(limit) => found.extend(limit.map(|limit| (path.as_str(), limit))),
            Err(gap) if gap.cause == Cause::Absent => continue,
            Err(gap) => return Err(gap),
        }
        seen = true;
    }
    // A root cgroup has no limit files: its presence is enough to say that there is no limit.
    let root = folders.paths.last().map(|root| folders.file(root, "", "cgroup.controllers"));
    seen = seen || root.is_some_and(|root| gather.host.exists(root.trim_end_matches('/')).unwrap_or(false));
    if seen { Ok(found) } else { Err(Gap::new(Cause::NotVisibleHere, format!("{ROOT} is not mounted here"))) }
}

fn content(gather: &Gather<'_>, path: &str) -> Result<String, Gap> {
    match gather.host.read(path) {
        Ok(bytes) => Ok(text(&bytes).into_owned()),
        Err(refusal) => Err(refusal.gap(path)),
    }
}

/// One number of a file. `max`, `-1` and rounded infinity are no limit.
fn limit(gather: &Gather<'_>, path: &str) -> Result<Option<i128>, Gap> {
    let text = content(gather, path)?;
    match number(&text) {
        Some(limit) if (0..NONE).contains(&limit) => Ok(Some(limit)),
        Some(_) => Ok(None),
        None if text.trim() == "max" => Ok(None),
        None => Err(Gap::unparsable(path, text.as_bytes())),
    }
}

fn amount(gather: &Gather<'_>, path: &str) -> Result<i128, Gap> {
    let text = content(gather, path)?;
    number(&text).ok_or_else(|| Gap::unparsable(path, text.as_bytes()))
}

/// The number in the line that starts with `key`.
fn keyed(gather: &Gather<'_>, path: &str, key: &str) -> Result<i128, Gap> {
    let text = content(gather, path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    let line = line.ok_or_else(|| Gap::new(Cause::Absent, format!("{path} has no {key}")))?;
    number(line).ok_or_else(|| Gap::unparsable(path, line.as_bytes()))
}

/// `cpu.max` of version 2, `QUOTA PERIOD` in microseconds, as thousandths of a CPU; `max` for no quota.
fn cpu_max(file: &str, text: &str) -> Result<Option<i128>, Gap> {
    let mut words = text.split_whitespace();
    match (words.next(), words.next().and_then(number)) {
        (Some("max"), _) => Ok(None),
        (Some(quota), Some(period)) if period > 0 => match quota.parse::<i128>() {
            Ok(quota) if quota >= 0 => Ok(Some(quota.saturating_mul(1000) / period)),
            _ => Err(Gap::unparsable(file, text.as_bytes())),
        },
        _ => Err(Gap::unparsable(file, text.as_bytes())),
    }
}

fn cpu(gather: &mut Gather<'_>, groups: &ProcessCGroups) {
    let folders = Folders::of(gather, groups, "cpu");
    let quota = |path: &str| -> Result<Option<i128>, Gap> {
        if folders.v2 {
            let file = format!("{path}/cpu.max");
            return cpu_max(&file, &content(gather, &file)?);
        }
        let quota = limit(gather, &format!("{path}/cpu.cfs_quota_us"))?;
        let period = limit(gather, &format!("{path}/cpu.cfs_period_us"))?.filter(|&period| period > 0);
        Ok(quota.zip(period).map(|(quota, period)| quota.saturating_mul(1000) / period))
    };
    let share = |path: &str| {
        let stat = format!("{path}/cpu.stat");
        let throttled = keyed(gather, &stat, "nr_throttled")?;
        Ok(throttled.saturating_mul(100) / keyed(gather, &stat, "nr_periods")?.max(1))
    };
    let names = ["cgroup.cpu.limit", "cgroup.cpu.throttled", "cgroup.cpu.throttled_share"];
    let readings = limits(gather, &folders, quota).map(|found| match binding(&found, |path, _| share(path)) {
        None => without_limit("no CPU quota is set", &folders),
        Some((path, limit)) => {
            let stat = format!("{path}/cpu.stat");
            let throttled = keyed(gather, &stat, "nr_throttled").map(Value::Number);
            let share = share(path).map(Value::Number);
            [(Ok(Value::Number(limit)), path.to_owned()), (throttled, stat.clone()), (share, stat)]
        }
    });
    put(gather, "cgroup.cpu", names, readings);
}

/// A controller that counts what is used against a limit.
struct Counted {
    controller: &'static str,
    family: &'static str,
    names: [&'static str; 3],
    /// File of the limit, of what is used, and of the events at the limit with the key: on version 1 and on version 2.
    limit: [&'static str; 2],
    used: [&'static str; 2],
    events: [&'static str; 2],
    event: &'static str,
    /// Key in `memory.stat` of what is given back before the limit hurts.
    cache: Option<[&'static str; 2]>,
    none: &'static str,
}

const MEMORY: Counted = Counted {
    controller: "memory",
    family: "cgroup.memory",
    names: ["cgroup.memory.limit", "cgroup.memory.working_set", "cgroup.memory.oom_kills"],
    limit: ["memory.limit_in_bytes", "memory.max"],
    used: ["memory.usage_in_bytes", "memory.current"],
    events: ["memory.oom_control", "memory.events"],
    event: "oom_kill",
    cache: Some(["total_inactive_file", "inactive_file"]),
    none: "no memory limit is set",
};

const PIDS: Counted = Counted {
    controller: "pids",
    family: "cgroup.pids",
    names: ["cgroup.pids.limit", "cgroup.pids.current", "cgroup.pids.refused"],
    limit: ["pids.max"; 2],
    used: ["pids.current"; 2],
    events: ["pids.events"; 2],
    event: "max",
    cache: None,
    none: "no limit on tasks is set",
};

fn counted(gather: &mut Gather<'_>, groups: &ProcessCGroups, of: &Counted) {
    let folders = Folders::of(gather, groups, of.controller);
    let file = |path: &str, [v1, v2]: [&str; 2]| folders.file(path, v1, v2);
    let used = |path: &str| {
        let used = amount(gather, &file(path, of.used))?;
        let cache =
            of.cache.map(|[v1, v2]| keyed(gather, &format!("{path}/memory.stat"), if folders.v2 { v2 } else { v1 }));
        Ok(used.saturating_sub(cache.and_then(Result::ok).unwrap_or(0)).max(0))
    };
    let share = |path: &str, limit: i128| Ok(used(path)?.saturating_mul(10_000) / limit.max(1));
    let found = limits(gather, &folders, |path| limit(gather, &file(path, of.limit)));
    let readings = found.map(|found| match binding(&found, share) {
        None => without_limit(of.none, &folders),
        Some((path, limit)) => {
            let events = keyed(gather, &file(path, of.events), of.event).map(Value::Number);
            let readings = [Ok(Value::Number(limit)), used(path).map(Value::Number), events];
            readings.map(|reading| (reading, path.to_owned()))
        }
    });
    put(gather, of.family, of.names, readings);
}

/// The limit that is nearest to being reached; among equals, and where no share can be told, the least.
fn binding<'a>(limits: &[(&'a str, i128)], share: impl Fn(&str, i128) -> Result<i128, Gap>) -> Option<(&'a str, i128)> {
    let rank = |&(path, limit): &(&str, i128)| (share(path, limit).unwrap_or(-1), std::cmp::Reverse(limit));
    // Of two that tie the process's own comes first, and max_by_key would take the last.
    limits.iter().rev().max_by_key(|limit| rank(limit)).copied()
}

/// Readings of three facts, each with its source.
type Three = [(Reading, String); 3];

fn without_limit(why: &str, folders: &Folders) -> Three {
    let own = folders.paths.first().cloned().unwrap_or_default();
    let none = || Err(Gap::new(Cause::Absent, why));
    [Ok(Value::Unlimited), none(), none()].map(|reading| (reading, own.clone()))
}

fn put(gather: &mut Gather<'_>, family: &str, names: [&'static str; 3], readings: Result<Three, Gap>) {
    match readings {
        Ok(readings) => {
            for (name, (reading, source)) in names.into_iter().zip(readings) {
                gather.put(name, reading, source);
            }
        }
        Err(gap) => {
            for name in gather.wanted(family) {
                gather.put(name, Err(gap.clone()), ROOT);
            }
        }
    }
}

#[cfg(test)]
mod tests;
