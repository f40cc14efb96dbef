//! What the cgroup allows, per controller: each may be on version 1 or on version 2.
//!
//! Of the process's own cgroup and those above it, the limit that counts is the one nearest to being reached, as far as
//! they can be seen. That may be another one in the next reading, so counters never come from it: those of CPU quotas are
//! kept for each group, those of memory and of tasks come from the same groups every time.

mod entries;
mod events;
mod folders;

use procfs::{FromRead, ProcessCGroup, ProcessCGroups};

use self::folders::{Folders, limits, version};
use super::{Gather, Source, number, over, text};
use crate::model::bounds;
use crate::model::fact::{Cause, Gap, Reading, Value};

const SELF: &str = "/proc/self/cgroup";
const ROOT: &str = "/sys/fs/cgroup";
const UNIFIED: &str = "/sys/fs/cgroup/unified";
/// A limit this high on version 1 stands for none (it is rounded down to a page).
const NONE: i128 = 1 << 60;

pub(super) const SOURCE: Source = Source { families: &["cgroup"], read, entries: entries::ENTRIES };

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
    let version = version(gather, &groups).map(|version| Value::Text(version.into()));
    gather.put("cgroup.version", version, SELF);
    let named = groups.0.iter().max_by_key(|group| group.pathname.len());
    let path = named.map(|group| group.pathname.clone()).unwrap_or_default();
    gather.put("cgroup.qos", qos(&path), SELF);
    gather.put("cgroup.path", Ok(Value::Text(path)), SELF);
    // Of another process such a path leads to the reader's own group, whose limits are not that process's.
    let outside = |group: &ProcessCGroup| group.pathname.split('/').any(|part| part == "..");
    if gather.host.process().is_some() && groups.0.iter().any(outside) {
        let why = "its cgroup lies outside of the reader's cgroup namespace: enter that of the node (nsenter -t 1 -C)";
        for name in gather.wanted("cgroup") {
            if gather.facts.get(&name).is_none() {
                gather.put(name, Err(Gap::new(Cause::NotVisibleHere, why)), SELF);
            }
        }
        return;
    }
    if gather.wants_any("cgroup.cpu") {
        cpu(gather, &groups);
    }
    if gather.wants_any("cgroup.memory") {
        counted(gather, &groups, &MEMORY);
    }
    if gather.wants_any("cgroup.pids") {
        counted(gather, &groups, &PIDS);
    }
    if gather.wants_any("cgroup.pressure") {
        events::pressure(gather, &groups);
    }
}

/// The class that the kubelet put a pod in: `/kubepods/burstable/pod...`, `kubepods-besteffort.slice`. A guaranteed one
/// lies in `kubepods` itself.
fn qos(path: &str) -> Reading {
    let mut parts = path.split('/').skip_while(|part| !part.starts_with("kubepods"));
    let Some(top) = parts.next() else {
        return Err(Gap::new(Cause::Absent, "this is no pod's cgroup, or a cgroup namespace hides where it lies"));
    };
    let below = parts.next().unwrap_or_default();
    let class = ["besteffort", "burstable"].into_iter().find(|class| below.contains(class) || top.contains(class));
    Ok(Value::Text(class.unwrap_or("guaranteed").to_owned()))
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

/// The number in the line of a file's text that starts with `key`.
fn keyed(path: &str, text: &str, key: &str) -> Result<i128, Gap> {
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
    let names = ["cgroup.cpu.limit", "cgroup.cpu.periods", "cgroup.cpu.throttled", "cgroup.cpu.throttled_usec"];
    let mut folders = match Folders::of(gather, groups, "cpu") {
        Ok(folders) => folders,
        Err(gap) => return put(gather, "cgroup.cpu", names, Err(gap)),
    };
    let whole = folders.paths.len();
    folders.paths.truncate(bounds::LEVELS.count());
    let quota = |path: &str| -> Result<Option<i128>, Gap> {
        if folders.v2 {
            let file = format!("{path}/cpu.max");
            return cpu_max(&file, &content(gather, &file)?);
        }
        let quota = limit(gather, &format!("{path}/cpu.cfs_quota_us"))?;
        let period = limit(gather, &format!("{path}/cpu.cfs_period_us"))?.filter(|&period| period > 0);
        Ok(quota.zip(period).map(|(quota, period)| quota.saturating_mul(1000) / period))
    };
    let deeper = || {
        Gap::new(Cause::Unsupported, format!("{whole} cgroups lie in each other, and {} are looked at", bounds::LEVELS))
    };
    match limits(gather, &folders, quota)
        .and_then(|found| if bounds::LEVELS.is_exceeded_by(whole) { Err(deeper()) } else { Ok(found) })
    {
        Ok(found) if !found.is_empty() => {
            for (path, limit) in found {
                let level = folders.paths.iter().position(|folder| folder == path).unwrap_or_default();
                quota_of(gather, folders.v2, (level, path), limit);
            }
            over::tell_group(&mut gather.facts);
        }
        found => {
            put(gather, "cgroup.cpu", names, found.map(|_| without_limit("no CPU quota is set", &folders)));
        }
    }
}

/// Records the quota of one group and what it counts, under the number of steps from the process's own group up to it.
fn quota_of(gather: &mut Gather<'_>, v2: bool, (level, path): (usize, &str), limit: i128) {
    let stat = format!("{path}/cpu.stat");
    let text = content(gather, &stat);
    let figure = |key| text.as_ref().map_err(Gap::clone).and_then(|text| keyed(&stat, text, key));
    // Version 1 counts nanoseconds.
    let stood = if v2 { figure("throttled_usec") } else { figure("throttled_time").map(|ns| ns / 1000) };
    let counted = [("periods", figure("nr_periods")), ("throttled", figure("nr_throttled")), ("throttled_usec", stood)];
    for (key, figure) in counted {
        gather.put(over::of_level(level, key), figure.map(Value::Number), stat.clone());
    }
    gather.put(over::of_level(level, "limit"), Ok(Value::Number(limit)), path.to_owned());
}

/// Reads a count and says where, in these folders and those of them that set a limit.
type Refused = fn(&Gather<'_>, &Folders, &[(&str, i128)]) -> (Reading, String);

/// A controller that counts what is used against a limit.
struct Counted {
    controller: &'static str,
    family: &'static str,
    names: [&'static str; 3],
    /// File of the limit and of what is used: on version 1 and on version 2.
    limit: [&'static str; 2],
    used: [&'static str; 2],
    /// File that counts what it refused, and how often that was.
    events: [&'static str; 2],
    refused: Refused,
    /// Names of the facts that tell which files were read, for what is used, the limit, the group, and what was refused.
    files: [&'static str; 4],
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
    refused: events::oom_kills,
    files: ["cgroup.memory.used_file", "cgroup.memory.limit_file", "", "cgroup.memory.events_file"],
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
    refused: events::forks_refused,
    files: ["", "", "cgroup.pids.folder", "cgroup.pids.events_file"],
    cache: None,
    none: "no limit on tasks is set",
};

fn counted(gather: &mut Gather<'_>, groups: &ProcessCGroups, of: &Counted) {
    let folders = match Folders::of(gather, groups, of.controller) {
        Ok(folders) => folders,
        Err(gap) => return put(gather, of.family, of.names, Err(gap)),
    };
    let file = |path: &str, [v1, v2]: [&str; 2]| folders.file(path, v1, v2);
    let used = |path: &str| {
        let used = amount(gather, &file(path, of.used))?;
        let cache = of.cache.map(|[v1, v2]| {
            let stat = format!("{path}/memory.stat");
            keyed(&stat, &content(gather, &stat)?, if folders.v2 { v2 } else { v1 })
        });
        let cache = match cache {
            Some(Err(gap)) if gap.is_failure() => return Err(gap),
            cache => cache.and_then(Result::ok).unwrap_or(0),
        };
        Ok(used.saturating_sub(cache).max(0))
    };
    let share = |path: &str, limit: i128| Ok(used(path)?.saturating_mul(10_000) / limit.max(1));
    let found = limits(gather, &folders, |path| limit(gather, &file(path, of.limit)));
    let binding = found.as_ref().map_err(Gap::clone).and_then(|found| binding(found, share));
    let found = binding.as_ref().map_err(Gap::clone).and(found);
    let binding = binding.ok().flatten();
    let readings = found.as_ref().map_err(Gap::clone).map(|_| match binding {
        None => without_limit(of.none, &folders),
        Some((path, limit)) => {
            let refused = (of.refused)(gather, &folders, found.as_deref().unwrap_or_default());
            [(Ok(Value::Number(limit)), path.to_owned()), (used(path).map(Value::Number), path.to_owned()), refused]
        }
    });
    let told = binding.map(|(path, _)| {
        let counted = match &readings {
            Ok([_, _, (Ok(_), source)]) => source.split(" + ").next().map(str::to_owned),
            _ => None,
        };
        [file(path, of.used), file(path, of.limit), path.to_owned(), counted.unwrap_or_else(|| file(path, of.events))]
    });
    put(gather, of.family, of.names, readings);
    for (name, path) in of.files.iter().zip(told.into_iter().flatten()).filter(|(name, _)| !name.is_empty()) {
        gather.put(*name, Ok(Value::Text(path.clone())), path);
    }
    if let ("memory", Ok(found)) = (of.controller, &found) {
        events::memory(gather, &folders, found);
    }
    if of.controller == "memory" {
        events::slowing(gather, &folders, found.as_ref().is_ok_and(|found| !found.is_empty()));
    }
}

/// The limit that is nearest to being reached; among equals, and where no share can be told, the least.
///
/// # Errors
/// A share that could be told could not be read: that limit may be the one.
fn binding<'a>(
    limits: &[(&'a str, i128)],
    share: impl Fn(&str, i128) -> Result<i128, Gap>,
) -> Result<Option<(&'a str, i128)>, Gap> {
    let mut ranked = Vec::new();
    for &(path, limit) in limits {
        let share = match share(path, limit) {
            Err(gap) if gap.is_failure() => return Err(gap),
            share => share.unwrap_or(-1),
        };
        ranked.push(((share, std::cmp::Reverse(limit)), (path, limit)));
    }
    // Of two that tie the process's own comes first, and max_by_key would take the last.
    Ok(ranked.into_iter().rev().max_by_key(|(rank, _)| *rank).map(|(_, limit)| limit))
}

/// Readings of facts, each with its source.
type Readings<const N: usize> = [(Reading, String); N];

/// The first fact is the limit; the others mean nothing without one.
fn without_limit<const N: usize>(why: &str, folders: &Folders) -> Readings<N> {
    let own = folders.paths.first().cloned().unwrap_or_default();
    std::array::from_fn(|at| {
        let reading = if at == 0 { Ok(Value::Unlimited) } else { Err(Gap::new(Cause::Absent, why)) };
        (reading, own.clone())
    })
}

fn put<const N: usize>(
    gather: &mut Gather<'_>,
    family: &str,
    names: [&'static str; N],
    readings: Result<Readings<N>, Gap>,
) {
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
