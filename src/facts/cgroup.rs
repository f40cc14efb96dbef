//! What the cgroup allows, per controller: each may be on version 1 or on version 2.
//!
//! The limit that binds is the least of the process's own cgroup and those above it, as far as they can be seen.

use procfs::{FromRead, ProcessCGroup, ProcessCGroups};

use super::{Gather, Source, number, text};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

const SELF: &str = "/proc/self/cgroup";
const ROOT: &str = "/sys/fs/cgroup";
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
        memory(gather, &groups);
    }
    if gather.wants_any("cgroup.pids") {
        pids(gather, &groups);
    }
}

/// A `0::` line alone does not mean version 2: it is there as soon as the kernel has it.
fn version(gather: &Gather<'_>, groups: &ProcessCGroups) -> &'static str {
    let on_v1 = |group: &ProcessCGroup| group.controllers.iter().any(|name| !name.starts_with("name="));
    match (groups.0.iter().any(on_v1), groups.0.iter().any(|group| group.hierarchy == 0)) {
        (true, true) if gather.host.exists("/sys/fs/cgroup/unified").unwrap_or(false) => "hybrid",
        (true, _) => "v1",
        (false, _) => "v2",
    }
}

/// Folders of one controller, the process's own first, then those above it.
struct Folders {
    v2: bool,
    paths: Vec<String>,
}

fn folders(groups: &ProcessCGroups, controller: &str) -> Folders {
    let v1 = groups.0.iter().find(|group| group.controllers.iter().any(|name| name == controller));
    let v2 = || groups.0.iter().find(|group| group.hierarchy == 0);
    let Some(group) = v1.or_else(v2) else { return Folders { v2: false, paths: Vec::new() } };
    let root = if v1.is_some() { format!("{ROOT}/{controller}") } else { ROOT.to_owned() };
    let mut paths = Vec::new();
    // A path with `..` lies outside this cgroup namespace, and the mount's root is the best that can be seen.
    let mut below =
        if group.pathname.split('/').any(|part| part == "..") { "" } else { group.pathname.trim_end_matches('/') };
    while !below.is_empty() {
        paths.push(format!("{root}{below}"));
        below = below.rsplit_once('/').map_or("", |(above, _)| above);
    }
    paths.push(root);
    Folders { v2: v1.is_none(), paths }
}

/// The folder with the least limit, and that limit. A folder without the file sets none; without any folder at all
/// nothing is known.
fn tightest<'a>(
    gather: &Gather<'_>,
    folders: &'a Folders,
    limit_in: impl Fn(&str) -> Result<Option<i128>, Gap>,
) -> Result<(&'a str, Option<i128>), Gap> {
    let mut found: Option<(&str, i128)> = None;
    let mut seen = false;
    for path in &folders.paths {
        match limit_in(path) {
            Ok(Some(limit)) if found.is_none_or(|(_, least)| limit < least) => found = Some((path, limit)),
            Ok(_) => {}
            Err(gap) if gap.cause == Cause::Absent => continue,
            Err(gap) => return Err(gap),
        }
        seen = true;
    }
    // A root cgroup has no limit files: its presence is enough to say that there is no limit.
    let root =
        if folders.v2 { Some("/sys/fs/cgroup/cgroup.controllers") } else { folders.paths.last().map(String::as_str) };
    seen = seen || root.is_some_and(|root| gather.host.exists(root).unwrap_or(false));
    let own = folders.paths.first().map(String::as_str).unwrap_or_default();
    match found {
        Some((path, limit)) => Ok((path, Some(limit))),
        None if seen => Ok((own, None)),
        None => Err(Gap::new(Cause::Absent, format!("{ROOT} is not mounted here"))),
    }
}

fn content(gather: &Gather<'_>, path: &str) -> Result<String, Gap> {
    match gather.host.read(path) {
        Ok(bytes) => Ok(text(&bytes).into_owned()),
        Err(refusal) => Err(refusal.gap(path)),
    }
}

/// One number of a file, or of the line in it that starts with `key`. `max`, `-1` and rounded infinity are no limit.
fn limit(gather: &Gather<'_>, path: &str) -> Result<Option<i128>, Gap> {
    let text = content(gather, path)?;
    match number(&text) {
        Some(limit) if (0..NONE).contains(&limit) => Ok(Some(limit)),
        Some(_) => Ok(None),
        None if text.trim() == "max" => Ok(None),
        None => Err(Gap::unparsable(path, text.as_bytes())),
    }
}

fn keyed(gather: &Gather<'_>, path: &str, key: &str) -> Result<i128, Gap> {
    let text = content(gather, path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.and_then(number).ok_or_else(|| Gap::new(Cause::Absent, format!("{path} has no {key}")))
}

fn as_reading(limit: Option<i128>) -> Reading {
    Ok(limit.map_or(Value::Unlimited, Value::Number))
}

fn cpu(gather: &mut Gather<'_>, groups: &ProcessCGroups) {
    let folders = folders(groups, "cpu");
    let quota = |path: &str| -> Result<Option<i128>, Gap> {
        let (quota, period) = if folders.v2 {
            let file = format!("{path}/cpu.max");
            let text = content(gather, &file)?;
            let mut words = text.split_whitespace();
            let quota = words.next().ok_or_else(|| Gap::unparsable(&file, text.as_bytes()))?;
            (quota.parse().ok().filter(|_| quota != "max"), words.next().and_then(number))
        } else {
            (limit(gather, &format!("{path}/cpu.cfs_quota_us"))?, limit(gather, &format!("{path}/cpu.cfs_period_us"))?)
        };
        Ok(quota
            .zip(period.filter(|&period| period > 0))
            .map(|(quota, period): (i128, i128)| quota.saturating_mul(1000) / period))
    };
    let found = tightest(gather, &folders, quota).map(|(path, limit)| (path.to_owned(), limit));
    let no_quota = || Err(Gap::new(Cause::Absent, "no CPU quota is set"));
    match found {
        Ok((path, limit)) => {
            let stat = format!("{path}/cpu.stat");
            let throttled = limit.is_some().then(|| keyed(gather, &stat, "nr_throttled"));
            let periods = limit.is_some().then(|| keyed(gather, &stat, "nr_periods"));
            let share = match (throttled.clone(), periods) {
                (Some(Ok(throttled)), Some(Ok(periods))) => {
                    Ok(Value::Number(throttled.saturating_mul(100) / periods.max(1)))
                }
                (Some(Err(gap)), _) | (_, Some(Err(gap))) => Err(gap),
                _ => no_quota(),
            };
            gather.put("cgroup.cpu.limit", as_reading(limit), path);
            gather.put("cgroup.cpu.throttled", throttled.map_or_else(no_quota, |n| n.map(Value::Number)), stat.clone());
            gather.put("cgroup.cpu.throttled_share", share, stat);
        }
        Err(gap) => unknown(gather, "cgroup.cpu", &gap),
    }
}

fn memory(gather: &mut Gather<'_>, groups: &ProcessCGroups) {
    let folders = folders(groups, "memory");
    let (v2, files) = (
        folders.v2,
        if folders.v2 { ["memory.max", "memory.current"] } else { ["memory.limit_in_bytes", "memory.usage_in_bytes"] },
    );
    let found = tightest(gather, &folders, |path| limit(gather, &format!("{path}/{}", files[0])));
    match found.map(|(path, limit)| (path.to_owned(), limit)) {
        Ok((path, limit)) => {
            let none = || Gap::new(Cause::Absent, "no memory limit is set");
            let (used, kills) = match limit {
                None => (Err(none()), Err(none())),
                Some(_) => {
                    let used = content(gather, &format!("{path}/{}", files[1]));
                    let cache = keyed(
                        gather,
                        &format!("{path}/memory.stat"),
                        if v2 { "inactive_file" } else { "total_inactive_file" },
                    );
                    let used =
                        used.and_then(|text| number(&text).ok_or_else(|| Gap::unparsable(&path, text.as_bytes())));
                    let events = if v2 { "memory.events" } else { "memory.oom_control" };
                    (
                        used.map(|used| used.saturating_sub(cache.unwrap_or(0)).max(0)),
                        keyed(gather, &format!("{path}/{events}"), "oom_kill"),
                    )
                }
            };
            gather.put("cgroup.memory.limit", as_reading(limit), path.clone());
            gather.put("cgroup.memory.working_set", used.map(Value::Number), path.clone());
            gather.put("cgroup.memory.oom_kills", kills.map(Value::Number), path);
        }
        Err(gap) => unknown(gather, "cgroup.memory", &gap),
    }
}

fn pids(gather: &mut Gather<'_>, groups: &ProcessCGroups) {
    let folders = folders(groups, "pids");
    let found = tightest(gather, &folders, |path| limit(gather, &format!("{path}/pids.max")));
    match found.map(|(path, limit)| (path.to_owned(), limit)) {
        Ok((path, limit)) => {
            let none = || Gap::new(Cause::Absent, "no limit on tasks is set");
            let (current, refused) = match limit {
                None => (Err(none()), Err(none())),
                Some(_) => {
                    let current = content(gather, &format!("{path}/pids.current"));
                    let current =
                        current.and_then(|text| number(&text).ok_or_else(|| Gap::unparsable(&path, text.as_bytes())));
                    (current, keyed(gather, &format!("{path}/pids.events"), "max"))
                }
            };
            gather.put("cgroup.pids.limit", as_reading(limit), path.clone());
            gather.put("cgroup.pids.current", current.map(Value::Number), path.clone());
            gather.put("cgroup.pids.refused", refused.map(Value::Number), path);
        }
        Err(gap) => unknown(gather, "cgroup.pids", &gap),
    }
}

fn unknown(gather: &mut Gather<'_>, family: &str, gap: &Gap) {
    for name in gather.wanted(family) {
        gather.put(name, Err(gap.clone()), ROOT);
    }
}
