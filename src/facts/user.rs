//! Tasks of the audited process's user, which RLIMIT_NPROC bounds.

use super::process::counted;
use super::{Gather, Source};
use crate::host::{Ask, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use crate::model::facts::Facts;

const TASKS: &str = "user.tasks";
const STATUS: &str = "/proc/PID/status of every process";
const LOADAVG: &str = "/proc/loadavg";

/// Facts that tell whether a pass over every process is worth it, and of whom.
pub(super) const NEEDS: [&str; 4] = ["tasks.count", "limit.nproc.soft", "process.real_uid", "namespace.pid.init"];

pub(super) const SOURCE: Source = Source {
    families: &["user"],
    read,
    entries: &[Entry {
        name: TASKS,
        unit: Unit::Count,
        scope: Scope::Host,
        meaning: "threads of the process's user; where those of the whole machine are few against its limit, all of them",
        read: STATUS,
        document: "https://man7.org/linux/man-pages/man2/getrlimit.2.html",
    }],
};

fn read(gather: &mut Gather<'_>) {
    // More than all there are it cannot have.
    if let Some(all) = few(&gather.facts) {
        return gather.put(TASKS, Ok(Value::Number(all)), LOADAVG);
    }
    let reading = tasks(gather);
    gather.put(TASKS, reading, STATUS);
}

/// The tasks of the machine, where they are less than half of the limit.
fn few(facts: &Facts) -> Option<i128> {
    let (all, limit) = (facts.number("tasks.count").ok()?, facts.number("limit.nproc.soft").ok()?);
    (all.saturating_mul(2) < limit).then_some(all)
}

fn tasks(gather: &Gather<'_>) -> Reading {
    if gather.facts.number("namespace.pid.init")? == 0 {
        let why = "tasks of this user in other pid namespaces count too: ask on the host";
        return Err(Gap::new(Cause::NotVisibleHere, why));
    }
    let uid = gather.facts.number("process.real_uid")?;
    let asked = gather.host.ask(Query { ask: Ask::UserTasks, of: &uid.to_string() });
    asked.map_err(|refusal| refusal.gap("/proc")).and_then(|bytes| counted(STATUS, &bytes))
}
