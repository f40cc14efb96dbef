//! What a cgroup counts beside its limits: events of its memory, and pressure.

use procfs::ProcessCGroups;

use super::folders::{Folders, version};
use super::{Gather, ROOT, amount, content, keyed};
use crate::facts::pressure;
use crate::model::fact::{Cause, Gap, Value};

/// Fills the wanted events of memory: those of the folder whose limit binds, or without a limit the process's own,
/// which may have a `memory.high` all the same.
pub(super) fn memory(gather: &mut Gather<'_>, folders: &Folders, binding: Option<&str>) {
    let Some(folder) = binding.or(folders.paths.first().map(String::as_str)) else { return };
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

/// Why a cgroup of version 2 has no such file.
const OFF: &str = "this cgroup keeps no PSI: it needs CONFIG_PSI, psi=1 on the kernel command line where \
                   CONFIG_PSI_DEFAULT_DISABLED is set, and 1 in its cgroup.pressure";

/// Fills the wanted pressure figures of the process's own cgroup, whatever controllers it has.
pub(super) fn pressure(gather: &mut Gather<'_>, groups: &ProcessCGroups) {
    // No hierarchy of version 1 has this name.
    let folders = Folders::of(gather, groups, "pressure");
    let seen = |root: &String| gather.host.exists(&format!("{root}/cgroup.controllers")).unwrap_or(false);
    let gap = if version(gather, groups) == "v1" {
        Gap::new(Cause::Absent, "cgroup version 1 keeps no PSI")
    } else {
        Gap::new(Cause::NotVisibleHere, format!("{ROOT} is not mounted here"))
    };
    let own = folders.paths.first().filter(|_| folders.paths.last().is_some_and(seen));
    match own {
        Some(own) => {
            for resource in ["cpu", "memory", "io"] {
                let path = format!("{own}/{resource}.pressure");
                pressure::fill(gather, &format!("cgroup.pressure.{resource}"), &path, OFF);
            }
        }
        None => {
            for name in gather.wanted("cgroup.pressure") {
                gather.put(name, Err(gap.clone()), ROOT);
            }
        }
    }
}
