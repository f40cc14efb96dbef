//! What is known of a cgroup, by name.

use super::ROOT;
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit};

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    let document = "https://docs.kernel.org/admin-guide/cgroup-v2.html";
    Entry { name, unit, scope: Scope::Cgroup, meaning, read: ROOT, document }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("cgroup.version", Unit::Text, "v1, v2 or hybrid"),
    entry("cgroup.path", Unit::Text, "the process's cgroup, as this cgroup namespace shows it"),
    entry("cgroup.qos", Unit::Text, "class of a pod: guaranteed, burstable or besteffort"),
    entry("cgroup.cpu.stat_file", Unit::Text, "the file with the counters of the group that is told"),
    entry("cgroup.memory.used_file", Unit::Text, "the file with the memory in use of the group that is told"),
    entry("cgroup.memory.limit_file", Unit::Text, "the file with its limit"),
    entry("cgroup.memory.events_file", Unit::Text, "the file that counts kills for want of memory"),
    entry("cgroup.pids.folder", Unit::Text, "the group whose limit on tasks is told"),
    entry("cgroup.pids.events_file", Unit::Text, "the file that counts refused forks of the process's own group"),
    entry("cgroup.pressure.folder", Unit::Text, "the process's own group"),
    entry("cgroup.cpu.limit", Unit::Millicpu, "CPU quota"),
    entry("cgroup.cpu.periods", Unit::Count, "periods of the quota in which a task ran, since the cgroup began"),
    entry("cgroup.cpu.throttled", Unit::Count, "periods in which the quota ran out, since the cgroup began"),
    entry(
        "cgroup.cpu.throttled_usec",
        Unit::Microseconds,
        "time that tasks stood still for the quota, since the cgroup began",
    ),
    entry("cgroup.cpu[*].limit", Unit::Millicpu, "CPU quota of the group so many steps above the process's own"),
    entry("cgroup.cpu[*].periods", Unit::Count, "periods of that group's quota in which a task ran, since it began"),
    entry("cgroup.cpu[*].throttled", Unit::Count, "periods in which that quota ran out, since the group began"),
    entry(
        "cgroup.cpu[*].throttled_usec",
        Unit::Microseconds,
        "time that tasks stood still for that quota, since the group began",
    ),
    entry("cgroup.memory.limit", Unit::Bytes, "memory limit"),
    entry("cgroup.memory.working_set", Unit::Bytes, "memory used, less inactive file cache"),
    entry("cgroup.memory.oom_kills", Unit::Count, "processes killed at the memory limit, since the cgroup began"),
    entry(
        "cgroup.memory.events.high",
        Unit::Count,
        "times tasks were slowed down at memory.high, since the cgroup began (version 2)",
    ),
    entry(
        "cgroup.memory.events.max",
        Unit::Count,
        "times the limit was met and memory had to be reclaimed, since the cgroup began (version 2)",
    ),
    entry(
        "cgroup.memory.high",
        Unit::Bytes,
        "memory.high that is met first: from there on tasks are slowed down (version 2)",
    ),
    entry(
        "cgroup.memory.high_working_set",
        Unit::Bytes,
        "memory used in the group of that memory.high, less inactive file cache",
    ),
    entry("cgroup.memory.high_folder", Unit::Text, "the group of that memory.high"),
    entry("cgroup.memory.sock", Unit::Bytes, "memory of the group that is in socket buffers (version 2)"),
    entry("cgroup.memory.failcnt", Unit::Count, "times the limit was met, since the cgroup began (version 1)"),
    entry("cgroup.pids.limit", Unit::Count, "most tasks"),
    entry("cgroup.pids.current", Unit::Count, "tasks now"),
    entry("cgroup.pids.refused", Unit::Count, "forks refused at the limit, since the cgroup began"),
    entry("cgroup.pressure.cpu.some.avg10", Unit::Percent, "time in which some task here waited for a CPU, last 10 s"),
    entry("cgroup.pressure.cpu.some.avg60", Unit::Percent, "time in which some task here waited for a CPU, last 60 s"),
    entry(
        "cgroup.pressure.cpu.some.share",
        Unit::Percent,
        "time in which some task here waited for a CPU, of the window",
    ),
    entry(
        "cgroup.pressure.cpu.some.total",
        Unit::Microseconds,
        "time in which some task here waited for a CPU, since the cgroup began",
    ),
    entry("cgroup.pressure.cpu.full.avg10", Unit::Percent, "time in which every task here waited for a CPU, last 10 s"),
    entry("cgroup.pressure.cpu.full.avg60", Unit::Percent, "time in which every task here waited for a CPU, last 60 s"),
    entry(
        "cgroup.pressure.cpu.full.share",
        Unit::Percent,
        "time in which every task here waited for a CPU, of the window",
    ),
    entry(
        "cgroup.pressure.cpu.full.total",
        Unit::Microseconds,
        "time in which every task here waited for a CPU, since the cgroup began",
    ),
    entry(
        "cgroup.pressure.memory.some.avg10",
        Unit::Percent,
        "time in which some task here waited for memory, last 10 s",
    ),
    entry(
        "cgroup.pressure.memory.some.avg60",
        Unit::Percent,
        "time in which some task here waited for memory, last 60 s",
    ),
    entry(
        "cgroup.pressure.memory.some.share",
        Unit::Percent,
        "time in which some task here waited for memory, of the window",
    ),
    entry(
        "cgroup.pressure.memory.some.total",
        Unit::Microseconds,
        "time in which some task here waited for memory, since the cgroup began",
    ),
    entry(
        "cgroup.pressure.memory.full.avg10",
        Unit::Percent,
        "time in which every task here waited for memory, last 10 s",
    ),
    entry(
        "cgroup.pressure.memory.full.avg60",
        Unit::Percent,
        "time in which every task here waited for memory, last 60 s",
    ),
    entry(
        "cgroup.pressure.memory.full.share",
        Unit::Percent,
        "time in which every task here waited for memory, of the window",
    ),
    entry(
        "cgroup.pressure.memory.full.total",
        Unit::Microseconds,
        "time in which every task here waited for memory, since the cgroup began",
    ),
    entry("cgroup.pressure.io.some.avg10", Unit::Percent, "time in which some task here waited for a disk, last 10 s"),
    entry("cgroup.pressure.io.some.avg60", Unit::Percent, "time in which some task here waited for a disk, last 60 s"),
    entry(
        "cgroup.pressure.io.some.share",
        Unit::Percent,
        "time in which some task here waited for a disk, of the window",
    ),
    entry(
        "cgroup.pressure.io.some.total",
        Unit::Microseconds,
        "time in which some task here waited for a disk, since the cgroup began",
    ),
    entry("cgroup.pressure.io.full.avg10", Unit::Percent, "time in which every task here waited for a disk, last 10 s"),
    entry("cgroup.pressure.io.full.avg60", Unit::Percent, "time in which every task here waited for a disk, last 60 s"),
    entry(
        "cgroup.pressure.io.full.share",
        Unit::Percent,
        "time in which every task here waited for a disk, of the window",
    ),
    entry(
        "cgroup.pressure.io.full.total",
        Unit::Microseconds,
        "time in which every task here waited for a disk, since the cgroup began",
    ),
];
