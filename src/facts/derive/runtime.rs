//! What a runtime makes of what it was told and of what it may have.

use super::{Formula, is_unread, of_process};
use crate::model::fact::{Cause, Gap, Reading, Unit, Value};
use crate::model::facts::{Facts, humane};
use crate::model::version::Version;

/// The heap that a JVM has at least where nothing bounds it: 96 MB, scaled for 64 bits and rounded up to 2 MiB. Measured
/// with JDK 17 under 256 MiB.
const SMALL_HEAP: i128 = 126 << 20;
/// Below either of these a JVM before 27 takes the Serial collector: `is_server_class_machine`. Measured with JDK 17.
const SERVER_MEMORY: i128 = 1792 << 20;
const SERVER_CPUS: i128 = 2;

const MEMORY: [&str; 2] = ["memory.total", "cgroup.memory.limit"];
const CPUS: [&str; 2] = ["runtime.cpus", "cgroup.cpu.limit"];

pub(super) const FORMULAS: &[Formula] = &[
    Formula {
        entry: of_process(
            "workers.inherit",
            Unit::Mode,
            "0 if runtime.nginx.nofile is known",
            "1: those who do the work run with this process's limit on open files",
        ),
        // Not asked for on this account: where it was not read, no nginx is audited.
        needs: &[],
        compute: |facts, _| Ok(Value::Number(i128::from(facts.number("runtime.nginx.nofile").is_err()))),
    },
    Formula {
        entry: of_process(
            "runtime.cpus.whole",
            Unit::Count,
            "the lesser of runtime.cpus and cgroup.cpu.limit rounded up",
            "CPUs that the process can keep busy",
        ),
        needs: &CPUS,
        compute: |facts, _| whole_cpus(facts).map(Value::Number),
    },
    Formula {
        entry: of_process(
            "runtime.jvm.cpus",
            Unit::Count,
            "-XX:ActiveProcessorCount, or runtime.cpus.whole",
            "CPUs that the JVM reckons with",
        ),
        needs: &[CPUS[0], CPUS[1], "runtime.jvm.cpus_set", "runtime.jvm.container_support"],
        compute: |facts, _| jvm_cpus(facts).map(Value::Number),
    },
    Formula {
        entry: of_process(
            "runtime.jvm.memory",
            Unit::Bytes,
            "-XX:MaxRAM, or the lesser of memory.total and cgroup.memory.limit",
            "memory that the JVM reckons with",
        ),
        needs: &[MEMORY[0], MEMORY[1], "runtime.jvm.ram", "runtime.jvm.container_support"],
        compute: |facts, _| jvm_memory(facts).map(Value::Number),
    },
    Formula {
        entry: of_process(
            "runtime.jvm.heap",
            Unit::Bytes,
            "-Xmx, or a share of runtime.jvm.memory",
            "what the heap may grow to",
        ),
        needs: HEAP,
        compute: |facts, _| Ok(Value::Number(heap(facts)?.0)),
    },
    Formula {
        entry: of_process(
            "runtime.jvm.heap_from",
            Unit::Text,
            "-Xmx, or a share of memory",
            "what sets the size of the heap",
        ),
        needs: HEAP,
        compute: |facts, _| Ok(Value::Text(heap(facts)?.1)),
    },
    Formula {
        entry: of_process(
            "runtime.jvm.collector_why",
            Unit::Text,
            "runtime.jvm.cpus and runtime.jvm.memory",
            "why the JVM took its collector",
        ),
        needs: &[
            CPUS[0],
            CPUS[1],
            MEMORY[0],
            MEMORY[1],
            "runtime.jvm.cpus_set",
            "runtime.jvm.ram",
            "runtime.jvm.container_support",
        ],
        compute: |facts, _| Ok(Value::Text(why_collector(jvm_cpus(facts)?, jvm_memory(facts)?))),
    },
    Formula {
        entry: of_process(
            "runtime.go.maxprocs",
            Unit::Count,
            "GOMAXPROCS, or what the release of Go takes for it",
            "threads that run Go code at the same time",
        ),
        needs: &[
            "runtime.go.gomaxprocs",
            "runtime.go.automaxprocs",
            "runtime.go.containermaxprocs",
            "runtime.version",
            CPUS[0],
            CPUS[1],
        ],
        compute: |facts, _| Ok(Value::Number(maxprocs(facts)?)),
    },
    Formula {
        entry: of_process(
            "runtime.nginx.workers",
            Unit::Count,
            "worker_processes; the CPUs online for auto",
            "worker processes of nginx",
        ),
        needs: &["runtime.nginx.worker_processes", "cpu.online"],
        compute: |facts, _| Ok(Value::Number(workers(facts)?)),
    },
    Formula {
        entry: of_process(
            "runtime.nginx.capacity",
            Unit::Count,
            "runtime.nginx.workers x worker_connections",
            "connections that nginx can hold, those to its upstreams among them",
        ),
        needs: &["runtime.nginx.worker_connections", "runtime.nginx.worker_processes", "cpu.online"],
        compute: |facts, _| {
            Ok(Value::Number(facts.number("runtime.nginx.worker_connections")?.saturating_mul(workers(facts)?)))
        },
    },
    Formula {
        entry: of_process(
            "runtime.nginx.nofile",
            Unit::Count,
            "worker_rlimit_nofile, or limit.nofile.soft",
            "limit on open files of one worker",
        ),
        needs: &["runtime.nginx.worker_rlimit_nofile", "limit.nofile.soft"],
        compute: |facts, _| match set(facts, "runtime.nginx.worker_rlimit_nofile")? {
            Some(limit) => Ok(Value::Number(limit)),
            None => facts.value("limit.nofile.soft").cloned(),
        },
    },
    Formula {
        entry: of_process(
            "nofile.note",
            Unit::Text,
            "limit.nofile.soft, limit.nofile.hard and runtime.name",
            "which of the two limits counts, and for whom",
        ),
        needs: &["serving.nofile.soft", "limit.nofile.soft", "limit.nofile.hard", "runtime.name", "runtime.version"],
        compute: nofile_note,
    },
];

const HEAP: &[&str] = &[
    MEMORY[0],
    MEMORY[1],
    "runtime.jvm.xmx",
    "runtime.jvm.xms",
    "runtime.jvm.ram",
    "runtime.jvm.ram_percentage",
    "runtime.jvm.min_ram_percentage",
    "runtime.jvm.container_support",
    "runtime.jvm.heap_in_force",
];

/// A number that may be set or not.
fn set(facts: &Facts, name: &str) -> Result<Option<i128>, Gap> {
    match facts.number(name) {
        Ok(number) => Ok(Some(number)),
        Err(gap) if gap.cause == Cause::Absent => Ok(None),
        Err(gap) => Err(gap),
    }
}

/// The quota rounded up to whole CPUs, and no more than there are.
fn whole_cpus(facts: &Facts) -> Result<i128, Gap> {
    let cpus = facts.number(CPUS[0])?;
    Ok(match set(facts, CPUS[1])? {
        Some(limit) if limit < i128::MAX => cpus.min(limit.saturating_add(999) / 1000).max(1),
        _ => cpus.max(1),
    })
}

fn sees_limits(facts: &Facts) -> Result<bool, Gap> {
    Ok(set(facts, "runtime.jvm.container_support")? != Some(0))
}

fn jvm_cpus(facts: &Facts) -> Result<i128, Gap> {
    match set(facts, "runtime.jvm.cpus_set")? {
        Some(cpus @ 1..) => Ok(cpus),
        _ if sees_limits(facts)? => whole_cpus(facts),
        _ => facts.number(CPUS[0]),
    }
}

fn jvm_memory(facts: &Facts) -> Result<i128, Gap> {
    let total = facts.number(MEMORY[0])?;
    let limit = if sees_limits(facts)? { set(facts, MEMORY[1])? } else { None };
    let physical = limit.map_or(total, |limit| total.min(limit));
    Ok(set(facts, "runtime.jvm.ram")?.map_or(physical, |ram| physical.min(ram)))
}

/// The largest heap and what sets it. As `Arguments::set_heap_size` of HotSpot has it; measured with JDK 17.
fn heap(facts: &Facts) -> Result<(i128, String), Gap> {
    // What it took in the end counts, wherever that came from.
    if let Ok(heap) = facts.number("runtime.jvm.heap_in_force") {
        return Ok((heap, "what the JVM says of itself (hsperfdata)".to_owned()));
    }
    if let Some(heap) = set(facts, "runtime.jvm.xmx")? {
        return Ok((heap, "-Xmx".to_owned()));
    }
    let given = set(facts, "runtime.jvm.ram_percentage")?;
    // MaxRAM is 128 GiB unless it, or a percentage, is given; and then a heap stays where pointers can be compressed.
    let by_default = given.is_none() && set(facts, "runtime.jvm.ram")?.is_none();
    let (most_ram, most_heap) = if by_default { (128 << 30, 32 << 30) } else { (i128::MAX, i128::MAX) };
    let memory = jvm_memory(facts)?.min(most_ram);
    let least = set(facts, "runtime.jvm.min_ram_percentage")?.unwrap_or(50);
    let share = |percent: i128| memory.saturating_mul(percent) / 100;
    let percent = given.unwrap_or(25);
    let of = humane(&Value::Number(memory), Unit::Bytes);
    let (heap, from) = match share(least) {
        small if small < SMALL_HEAP => (small, format!("MinRAMPercentage {least} of {of}")),
        _ => (
            share(percent).max(SMALL_HEAP).min(most_heap),
            format!("MaxRAMPercentage {percent}{} of {of}", if given.is_none() { ", the default," } else { "" }),
        ),
    };
    match set(facts, "runtime.jvm.xms")? {
        Some(start) if start > heap => Ok((start, "-Xms, above what the JVM would have taken".to_owned())),
        _ => Ok((heap, from)),
    }
}

fn why_collector(cpus: i128, memory: i128) -> String {
    let of = humane(&Value::Number(memory), Unit::Bytes);
    match (cpus < SERVER_CPUS, memory < SERVER_MEMORY) {
        (false, false) => format!("with {cpus} CPUs and {of} a JVM takes G1 by itself"),
        (true, false) => format!("it sees {cpus} CPU, and below 2 a JVM takes Serial by itself"),
        (false, true) => format!("it sees {of}, and below 1.75 GiB (1792 MiB) a JVM takes Serial by itself"),
        (true, true) => format!("it sees {cpus} CPU and {of}: below 2 CPUs or 1792 MiB a JVM takes Serial by itself"),
    }
}

fn go_is_since(facts: &Facts, minor: u32) -> Result<bool, Gap> {
    let version = facts.value("runtime.version")?.plain();
    let version: Version = version.parse().map_err(|error: String| Gap::new(Cause::Unparsable, error))?;
    Ok(version >= Version { major: 1, minor, patch: 0 })
}

fn maxprocs(facts: &Facts) -> Result<i128, Gap> {
    if let Some(set @ 1..) = set(facts, "runtime.go.gomaxprocs")? {
        return Ok(set);
    }
    let cpus = facts.number(CPUS[0])?;
    let whole = whole_cpus(facts)?;
    if facts.holds("runtime.go.automaxprocs") {
        // It rounds a quota down.
        return Ok(set(facts, "cgroup.cpu.limit")?.map_or(cpus, |quota| (quota / 1000).clamp(1, cpus.max(1))));
    }
    // Where there is no quota every release takes the same, and nobody has to know which it is.
    if whole == cpus {
        return Ok(cpus);
    }
    let follows = set(facts, "runtime.go.containermaxprocs")? != Some(0);
    Ok(if follows && go_is_since(facts, 25)? { whole.max(2).min(cpus) } else { cpus })
}

fn workers(facts: &Facts) -> Result<i128, Gap> {
    match set(facts, "runtime.nginx.worker_processes")? {
        Some(workers) => Ok(workers),
        None => facts.number("cpu.online"),
    }
}

/// A process that raises its own soft limit has done so when it is looked at: what /proc/PID/limits shows is what counts,
/// for every runtime. What differs is the limit to change.
fn nofile_note(facts: &Facts, _: &str) -> Reading {
    if let Some(note) = super::serving::note(facts)? {
        return Ok(Value::Text(note));
    }
    let shown = |name: &str| match facts.value(name) {
        Ok(value) => Ok(humane(value, Unit::Count)),
        Err(gap) if is_unread(&gap) => Err(gap),
        Err(gap) => Ok(format!("({})", gap.why)),
    };
    let (soft, hard) = (shown("limit.nofile.soft")?, shown("limit.nofile.hard")?);
    let runtime = match facts.value("runtime.name") {
        Ok(name) => Some(name.plain()),
        Err(gap) if is_unread(&gap) => return Err(gap),
        Err(_) => None,
    };
    let at = format!("This process gets EMFILE at {soft} descriptors");
    let raises = |who: &str| {
        format!(
            "{at}. {who} raises its soft limit to the hard one at start, so the hard limit is the one to raise: {hard}."
        )
    };
    let stays = |who: &str| format!("{at}; {who} does not raise its limit by itself, and the hard one is {hard}.");
    Ok(Value::Text(match runtime.as_deref() {
        Some("jvm") => raises("The JVM"),
        Some("node") => raises("Node"),
        Some("go") if go_is_since(facts, 19).unwrap_or(true) => raises("Go, since 1.19,"),
        Some("go") => stays("Go before 1.19"),
        Some("dotnet") => raises(".NET"),
        Some("haproxy") => raises("HAProxy"),
        Some("envoy") => raises("Envoy, since 1.35,"),
        Some("python" | "gunicorn" | "uvicorn") => stays("Python"),
        Some("rust" | "tokio") => stays("a Rust program, unless it was written to,"),
        Some("nginx") => stays("nginx without worker_rlimit_nofile"),
        Some(_) => format!("{at}; the hard limit, up to which it may raise itself, is {hard}."),
        None => format!(
            "A program that does not raise its own limit gets EMFILE at {soft} descriptors; the hard limit, up to which it \
             may raise itself, is {hard}."
        ),
    }))
}

#[cfg(test)]
mod tests;
