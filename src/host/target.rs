//! From what the user names to the process that is audited.

use std::collections::BTreeMap;

use thiserror::Error;

use super::choice::choose;
use super::names::{LOOKED_IN, Named, Names};
use super::of::Of;
use super::processes::{self, Process, shown};
use crate::model::bounds;

/// What the user named.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A process by its name or that of its program; `*` and `?` stand for any characters.
    Name(&'a str),
    /// A systemd unit.
    Unit(&'a str),
    /// A container by its id, the beginning of one, or its name.
    Container(&'a str),
    /// A pod as `NAMESPACE/NAME`.
    Pod(&'a str),
}

/// Why there is no process to audit, with the next step.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct NoTarget(String);

/// The process that stands for a target.
///
/// # Errors
/// [`NoTarget`]: nothing or too much has that name.
pub fn find(target: Target<'_>) -> Result<Of, NoTarget> {
    let all = processes::all().map_err(|error| NoTarget(format!("/proc cannot be listed: {error}")))?;
    let unread = all.unread;
    let all = all.processes;
    let found = match target {
        Target::Name(name) => named(&all, name),
        Target::Unit(unit) => of_unit(&all, unit),
        Target::Container(name) => of_container(&all, name),
        Target::Pod(name) => of_pod(&all, name),
    };
    let found = found.map_err(|NoTarget(why)| NoTarget(format!("{why}{}", beyond(unread))))?;
    Of::process(found.process, found.why)
        .map_err(|refusal| NoTarget(format!("process {}: {}", found.process.words(), refusal.gap("that process").why)))
}

/// What is not among the processes that were looked at, as a clause.
fn beyond(unread: usize) -> String {
    match (processes::are_hidden().unwrap_or(false), unread) {
        (true, _) => ". Processes of other users are hidden from this one (hidepid): root sees them".to_owned(),
        (false, 0) => String::new(),
        (false, unread) => format!(". {unread} processes could not be read, and may be meant"),
    }
}

struct Found<'a> {
    process: &'a Process,
    why: String,
}

fn found<'a>(of: &[&'a Process], what: &str) -> Result<Found<'a>, NoTarget> {
    let chosen = choose(of, |process| Of::process(process, String::new())).map_err(|refusal| {
        NoTarget(format!("which process of {what} does the work cannot be told: {refusal}. --pid takes one"))
    })?;
    let (process, why) = chosen.ok_or_else(|| NoTarget(format!("{what} has no process")))?;
    let why = if why.is_empty() { format!("the only process of {what}") } else { format!("{why}, of {what}") };
    Ok(Found { process, why })
}

/// Whether a process goes by a name: its own, or its program's.
pub(super) fn goes_by(process: &Process, pattern: &str) -> bool {
    matches(pattern, &process.name) || matches(pattern, &processes::program(process.pid))
}

fn named<'a>(all: &'a [Process], name: &str) -> Result<Found<'a>, NoTarget> {
    let own = std::process::id();
    let same: Vec<&Process> = all.iter().filter(|process| process.pid != own && goes_by(process, name)).collect();
    let Some(first) = same.first() else {
        return Err(NoTarget(format!(
            "no process is called {}: a name has at most 15 characters in the kernel; the program's file name counts \
             too, and * stands for the rest",
            shown(name)
        )));
    };
    let apart = |process: &&&Process| process.netns != first.netns || process.member.path != first.member.path;
    if same.iter().any(|process| apart(&process)) {
        let places = same.iter().map(|process| format!("{} in {}", process.words(), place(process)));
        let (count, name, places) = (same.len(), shown(name), listed(places.collect()));
        return Err(NoTarget(format!(
            "{count} processes called {name} are in several network namespaces or cgroups: {places}. Take one by --pid, \
             or all of them by --name '{name}' --all"
        )));
    }
    found(&same, &format!("those called {}", shown(name)))
}

fn place(process: &Process) -> String {
    let number = processes::namespace(process.pid);
    let netns = number.map_or_else(|| "one that may not be seen".to_owned(), |number| number.to_string());
    format!("network namespace {netns}, cgroup {}", shown(&process.member.path))
}

fn of_unit<'a>(all: &'a [Process], unit: &str) -> Result<Found<'a>, NoTarget> {
    // systemd starts the main process before any that it starts itself; numbers begin again after the largest.
    let of_it = all.iter().filter(|process| process.member.is_of(unit));
    let process = of_it.min_by_key(|process| (process.began, process.pid));
    let process = process.ok_or_else(|| {
        NoTarget(format!(
            "no process is in a cgroup of {unit}: is it running (systemctl status {unit}), and is this its machine, not \
             a container on it?"
        ))
    })?;
    Ok(Found { process, why: format!("the first process of {unit}") })
}

fn of_container<'a>(all: &'a [Process], name: &str) -> Result<Found<'a>, NoTarget> {
    let by_id = containers(all);
    let names = Names::read();
    let begins = |id: &&str| id.starts_with(name) && (name.len() >= 4 || *id == name);
    let mut ids: Vec<&str> = by_id.keys().copied().filter(begins).collect();
    if ids.is_empty() {
        let called = |id: &&str| names.container(id).container.as_deref() == Some(name);
        ids = by_id.keys().copied().filter(called).collect();
    }
    match ids.as_slice() {
        [id] => found(by_id.get(id).map_or(&[], Vec::as_slice), &called(id, &names.container(id))),
        [] => {
            let known = by_id.keys().map(|id| called(id, &names.container(id))).collect();
            Err(NoTarget(format!(
                "no running container has the id or name {} (names were looked for in {LOOKED_IN}); running are: {}",
                shown(name),
                listed(known)
            )))
        }
        several => {
            let known = several.iter().map(|id| called(id, &names.container(id))).collect();
            Err(NoTarget(format!("several containers are {}: {}; give more of the id", shown(name), listed(known))))
        }
    }
}

/// Processes by container.
pub(super) fn containers(all: &[Process]) -> BTreeMap<&str, Vec<&Process>> {
    let mut by_id: BTreeMap<&str, Vec<&Process>> = BTreeMap::new();
    for process in all {
        if let Some(id) = &process.member.container {
            by_id.entry(id).or_default().push(process);
        }
    }
    by_id
}

/// A container in words: `container web (0123456789ab)`.
pub(super) fn called(id: &str, named: &Named) -> String {
    let short = short(id);
    match (&named.pod, &named.container) {
        (Some((namespace, pod)), Some(name)) => format!("container {name} ({short}) of pod {namespace}/{pod}"),
        (None, Some(name)) => format!("container {name} ({short})"),
        (_, None) => format!("container {short}"),
    }
}

/// As much of an id as engines show.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).filter(|_| id.len() == 64).unwrap_or(id)
}

fn of_pod<'a>(all: &'a [Process], name: &str) -> Result<Found<'a>, NoTarget> {
    let names = Names::read();
    let mut pods: BTreeMap<(String, String), Vec<&Process>> = BTreeMap::new();
    let mut nameless = 0;
    for process in all.iter().filter(|process| process.member.pod.is_some()) {
        let by_uid = process.member.pod.as_deref().and_then(|uid| names.pod(uid));
        let by_id = || names.container(process.member.container.as_deref()?).pod;
        match by_uid.or_else(by_id) {
            Some(pod) => pods.entry(pod).or_default().push(process),
            None => nameless += 1,
        }
    }
    let of = name.split_once('/').and_then(|(namespace, pod)| pods.get(&(namespace.to_owned(), pod.to_owned())));
    let Some(of) = of else {
        let known = pods.keys().map(|(namespace, pod)| format!("{namespace}/{pod}")).collect();
        let unnamed = match nameless {
            0 => String::new(),
            count => format!("; the pods of {count} processes have no name here (/var/log/pods, {LOOKED_IN})"),
        };
        return Err(NoTarget(format!(
            "no pod {} runs on this node; running are: {}{unnamed}. --container takes an id",
            shown(name),
            listed(known)
        )));
    };
    // The sandbox has nothing to do but to hold the pod's namespaces.
    let at_work: Vec<&Process> = of.iter().copied().filter(|process| process.name != "pause").collect();
    let of = if at_work.is_empty() { of } else { &at_work };
    let mut found = found(of, &format!("pod {}", shown(name)))?;
    let mut others: Vec<&str> = of.iter().filter_map(|process| process.member.container.as_deref()).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|id| Some(*id) != found.process.member.container.as_deref());
    if !others.is_empty() {
        let others = others.iter().map(|id| called(id, &names.container(id))).collect();
        found.why = format!("{}. The pod's other containers: {} (--container audits one)", found.why, listed(others));
    }
    Ok(found)
}

fn listed(mut words: Vec<String>) -> String {
    let more = words.len().saturating_sub(bounds::LISTED.count());
    words.truncate(bounds::LISTED.count());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if words.is_empty() { "none that can be seen".to_owned() } else { format!("{}{more}", words.join("; ")) }
}

/// Whether a pattern with `*` and `?` covers a whole text. Time is bounded by the product of both lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), text.get(t)) {
            (Some('*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(a), Some(b)) if *a == '?' || a == b => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    !text.is_empty() && pattern.iter().skip(p).all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_the_whole_name() {
        for (pattern, name) in [("nginx", "nginx"), ("ng*", "nginx"), ("*", "x"), ("?ginx", "nginx"), ("*i*x", "nginx")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("ngin", "nginx"), ("*y", "nginx"), ("", "x"), ("*", ""), ("nginx?", "nginx")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        assert!(!matches(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn a_long_list_says_how_much_it_leaves_out() {
        assert_eq!(listed(Vec::new()), "none that can be seen");
        let many = (0..12).map(|n| n.to_string()).collect();
        assert_eq!(listed(many), "0; 1; 2; 3; 4; 5; 6; 7; 8; 9 and 2 more");
    }
}
