//! What a cgroup counts beside its limits: events of its memory, and pressure.

use procfs::ProcessCGroups;

use super::folders::{Folders, exists, version};
use super::{Gather, ROOT, amount, content, keyed, limit};
use crate::facts::pressure;
use crate::model::fact::{Cause, Gap, Reading, Value};

/// The folder whose events of memory are told: the nearest that sets a limit, or without one the process's own, which may
/// have a `memory.high` all the same. It does not depend on use, so that two readings are of one group.
fn counting<'a>(folders: &'a Folders, limits: &[(&'a str, i128)]) -> Option<&'a str> {
    limits.first().map(|(path, _)| *path).or(folders.paths.first().map(String::as_str))
}

/// Processes killed for want of memory. Version 2 counts a kill in the group of the victim and in all above it, version 1
/// only in the first, whichever limit was met.
pub(super) fn oom_kills(gather: &Gather<'_>, folders: &Folders, limits: &[(&str, i128)]) -> (Reading, String) {
    let folder = if folders.v2 { counting(folders, limits) } else { folders.paths.first().map(String::as_str) };
    let path = folders.file(folder.unwrap_or(ROOT), "memory.oom_control", "memory.events");
    (content(gather, &path).and_then(|text| keyed(&path, &text, "oom_kill")).map(Value::Number), path)
}

/// Forks refused at a limit that holds for this process.
///
/// Version 1, and version 2 before Linux 6.11, count a refusal in the group of the process that forks, whichever limit it
/// met. Since then version 2 counts it in the group of the limit and in those above; `pids.events.local` leaves the latter
/// out. So the process's own group and those with a limit, added up, have each refusal once.
pub(super) fn forks_refused(gather: &Gather<'_>, folders: &Folders, limits: &[(&str, i128)]) -> (Reading, String) {
    let own = folders.paths.first().map(String::as_str);
    let others = limits.iter().map(|(path, _)| *path).filter(|path| Some(*path) != own);
    let (mut sum, mut sources) = (None, Vec::new());
    for folder in own.into_iter().chain(others) {
        match refused_in(gather, folders.v2, folder) {
            Ok((count, path)) => {
                sum = Some(sum.unwrap_or(0_i128).saturating_add(count));
                sources.push(path);
            }
            // The root group has none.
            Err(gap) if gap.cause == Cause::Absent => {}
            Err(gap) => return (Err(gap), folder.to_owned()),
        }
    }
    let none = || Gap::new(Cause::Absent, "this kernel counts no refused forks (pids.events)");
    (sum.map(Value::Number).ok_or_else(none), sources.join(" + "))
}

fn refused_in(gather: &Gather<'_>, v2: bool, folder: &str) -> Result<(i128, String), Gap> {
    let count = |file: &str| -> Result<(i128, String), Gap> {
        let path = format!("{folder}/{file}");
        Ok((keyed(&path, &content(gather, &path)?, "max")?, path))
    };
    // Older kernels have no other file, and recordings of them no answer for it.
    match if v2 { count("pids.events.local") } else { count("pids.events") } {
        Err(gap) if v2 && !gap.is_failure() => count("pids.events"),
        other => other,
    }
}

/// Fills the wanted events of memory.
pub(super) fn memory(gather: &mut Gather<'_>, folders: &Folders, limits: &[(&str, i128)]) {
    let Some(folder) = counting(folders, limits) else { return };
    let other = |what: &str| Gap::new(Cause::Absent, what);
    let names = gather.wanted("cgroup.memory.events");
    if !names.is_empty() {
        let path = format!("{folder}/memory.events");
        let text = if folders.v2 { content(gather, &path) } else { Err(other("memory.events is of cgroup version 2")) };
        for name in names {
            let key = name.rsplit('.').next().unwrap_or_default();
            let reading = text.as_ref().map_err(Gap::clone).and_then(|text| keyed(&path, text, key));
            gather.put(name, reading.map(Value::Number), path.clone());
        }
    }
    if gather.wants("cgroup.memory.failcnt") {
        let path = format!("{folder}/memory.failcnt");
        let reading = if folders.v2 {
            Err(other("memory.failcnt is of cgroup version 1"))
        } else {
            amount(gather, &path).map(Value::Number)
        };
        gather.put("cgroup.memory.failcnt", reading, path);
    }
}

/// Fills what slows a group down before its limit, and, where it is bounded at all, what sockets take of its memory: of
/// version 2 only.
pub(super) fn slowing(gather: &mut Gather<'_>, folders: &Folders, is_limited: bool) {
    const NAMES: [&str; 4] =
        ["cgroup.memory.high", "cgroup.memory.high_working_set", "cgroup.memory.high_folder", "cgroup.memory.sock"];
    if !NAMES.iter().any(|name| gather.wants(name)) {
        return;
    }
    if !folders.v2 {
        let gap = Gap::new(Cause::Absent, "memory.high and the memory of sockets are of cgroup version 2");
        return NAMES.into_iter().for_each(|name| gather.put(name, Err(gap.clone()), ROOT));
    }
    let high = |path: &String| match limit(gather, &format!("{path}/memory.high")) {
        // The root group has no such file.
        Err(gap) if gap.cause == Cause::Absent => Ok(None),
        other => other,
    };
    let set = folders.paths.iter().map(|path| Ok(high(path)?.map(|high| (path.clone(), high))));
    let set: Result<Vec<(String, i128)>, Gap> = set.filter_map(Result::transpose).collect();
    let least = set.map(|set| set.into_iter().min_by_key(|(_, high)| *high));
    let (bound, used, at) = match least {
        Ok(Some((path, high))) => {
            let stat = format!("{path}/memory.stat");
            let cache = content(gather, &stat).and_then(|text| keyed(&stat, &text, "inactive_file"));
            let used = amount(gather, &format!("{path}/memory.current")).and_then(|used| Ok((used - cache?).max(0)));
            (Ok(Value::Number(high)), used.map(Value::Number), path)
        }
        Ok(None) => {
            let none = || Err(Gap::new(Cause::Absent, "memory.high is not set"));
            (none(), none(), ROOT.to_owned())
        }
        Err(gap) => (Err(gap.clone()), Err(gap), ROOT.to_owned()),
    };
    let is_bounded = is_limited || bound.is_ok();
    let folder = bound.as_ref().map(|_| Value::Text(at.clone())).map_err(Gap::clone);
    gather.put("cgroup.memory.high_folder", folder, at.clone());
    gather.put("cgroup.memory.high", bound, at.clone());
    gather.put("cgroup.memory.high_working_set", used, at);
    let own = folders.paths.first().map_or(ROOT, String::as_str);
    let stat = format!("{own}/memory.stat");
    let sock = match is_bounded {
        true => content(gather, &stat).and_then(|text| keyed(&stat, &text, "sock")),
        false => Err(Gap::new(Cause::Absent, "nothing bounds the memory of this cgroup")),
    };
    gather.put("cgroup.memory.sock", sock.map(Value::Number), stat);
}

/// Why a cgroup of version 2 has no such file.
const OFF: &str = "this cgroup keeps no PSI: it needs CONFIG_PSI, psi=1 on the kernel command line where \
                   CONFIG_PSI_DEFAULT_DISABLED is set, and 1 in its cgroup.pressure";

const OF_THE_HOST: &str = "this is the root cgroup, and its pressure is that of the whole host: see pressure/*";

/// Fills the wanted pressure figures of the process's own cgroup, whatever controllers it has.
pub(super) fn pressure(gather: &mut Gather<'_>, groups: &ProcessCGroups) {
    // No hierarchy of version 1 has this name.
    match own_folder(gather, groups) {
        Ok(own) => {
            gather.put("cgroup.pressure.folder", Ok(Value::Text(own.clone())), own.clone());
            for resource in ["cpu", "memory", "io"] {
                let path = format!("{own}/{resource}.pressure");
                pressure::fill(gather, &format!("cgroup.pressure.{resource}"), &path, OFF);
            }
        }
        Err(gap) => {
            for name in gather.wanted("cgroup.pressure") {
                gather.put(name, Err(gap.clone()), ROOT);
            }
        }
    }
}

/// The process's own folder of version 2, unless it is the root of all.
fn own_folder(gather: &Gather<'_>, groups: &ProcessCGroups) -> Result<String, Gap> {
    let folders = Folders::of(gather, groups, "pressure")?;
    let (Some(own), Some(root)) = (folders.paths.first(), folders.paths.last()) else {
        return Err(Gap::new(Cause::NotVisibleHere, format!("{ROOT} is not mounted here")));
    };
    if !exists(gather, &format!("{root}/cgroup.controllers"))? {
        return Err(match version(gather, groups)? {
            "v1" => Gap::new(Cause::Absent, "cgroup version 1 keeps no PSI"),
            _ => Gap::new(Cause::NotVisibleHere, format!("{ROOT} is not mounted here")),
        });
    }
    // In a cgroup namespace `/` may be any group; only the root of all has no such file.
    if folders.paths.len() == 1 && !exists(gather, &format!("{own}/cgroup.events"))? {
        return Err(Gap::new(Cause::Absent, OF_THE_HOST));
    }
    Ok(own.clone())
}
