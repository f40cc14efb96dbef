//! Which runtime the audited process is, and what it was told.
//!
//! Only of another process: what tunecheck itself is made of carries no load.

mod entries;
mod signs;
mod told;

use std::borrow::Cow;

use self::signs::Signs;
use self::told::Told;
use super::{Gather, Source, text};
use crate::host::{Ask, Query};
use crate::model::fact::{Cause, Gap, Reading, Value};
use crate::model::facts::Name;

const SIGNS: &str = "/proc/PID/exe, /proc/PID/maps, /proc/PID/task";
const TOLD: &str = "/proc/PID/cmdline, /proc/PID/environ";
const NGINX_CONF: &str = "nginx.conf";
/// Runtimes that are asked what they were told.
const ASKED: [&str; 13] = [
    "jvm",
    "node",
    "go",
    "tokio",
    "envoy",
    "nginx",
    "haproxy",
    "redis",
    "postgres",
    "pgbouncer",
    "php-fpm",
    "gunicorn",
    "uvicorn",
];
const STATUS: &str = "/proc/self/status";
const NOBODY: &str = "no runtime is audited; --pid names one";

pub(super) const SOURCE: Source = Source { families: &["runtime"], read, entries: entries::ENTRIES };

fn read(gather: &mut Gather<'_>) {
    if gather.host.process().is_none() {
        for name in wanted(gather) {
            gather.put(name, Err(Gap::new(Cause::Absent, NOBODY)), "");
        }
        return;
    }
    let answer = gather.host.ask(Query { ask: Ask::Runtime, of: "" });
    let signs = match answer {
        Ok(bytes) => Signs::parse(&text(&bytes)),
        Err(refusal) => {
            let gap = refusal.gap("/proc/PID/exe");
            for name in wanted(gather) {
                gather.put(name, Err(gap.clone()), SIGNS);
            }
            return;
        }
    };
    let name = signs.name();
    gather.put("runtime.name", Ok(Value::Text(name.to_owned())), SIGNS);
    if gather.wants("runtime.version") {
        gather.put("runtime.version", signs.version(), SIGNS);
    }
    if gather.wants("runtime.cpus") {
        let status = gather.host.read(STATUS).map_err(|refusal| refusal.gap(STATUS));
        gather.put("runtime.cpus", status.and_then(|bytes| cpus(&text(&bytes))), STATUS);
    }
    let asked = ASKED.into_iter().find(|asked| *asked == name);
    let told = asked.map(|of| match gather.host.ask(Query { ask: Ask::Options, of }) {
        Ok(bytes) => Told::parse(&text(&bytes)),
        Err(refusal) => Told::unread(refusal.gap(source(of))),
    });
    for wanted in wanted(gather) {
        let reading = match (&told, gather.facts.get(&wanted)) {
            (_, Some(_)) => continue,
            (None, _) => Err(absent(format!("it is no {}", wanted.split('.').nth(1).unwrap_or_default()))),
            (Some(told), _) => fact(name, &wanted, &signs, told),
        };
        gather.put(wanted, reading, source(name));
    }
}

/// Where the options of a runtime stand.
fn source(name: &str) -> &'static str {
    match name {
        "nginx" => NGINX_CONF,
        "haproxy" => "haproxy.cfg",
        "redis" => "redis.conf",
        "postgres" => "postgresql.conf",
        "pgbouncer" => "pgbouncer.ini",
        "php-fpm" => "php-fpm.conf",
        _ => TOLD,
    }
}

/// Wanted names that are read here, not worked out from others.
fn wanted(gather: &Gather<'_>) -> Vec<Name> {
    let mut names = gather.wanted("runtime");
    names.retain(|name| entries::ENTRIES.iter().any(|entry| entry.name == name));
    names
}

fn absent(why: impl Into<String>) -> Gap {
    Gap::new(Cause::Absent, why)
}

/// One fact of a runtime.
fn fact(name: &str, wanted: &str, signs: &Signs, told: &Told) -> Reading {
    let key = wanted.strip_prefix("runtime.").unwrap_or_default();
    let family = key.split('.').next().unwrap_or_default();
    // Netty runs in a JVM.
    let ours = family == name || (name == "jvm" && family == "netty");
    if !ours {
        return Err(absent(format!("it is no {family}")));
    }
    match key {
        "jvm.xmx" => told.bytes(&["-Xmx", "-XX:MaxHeapSize"]),
        "jvm.xms" => told.bytes(&["-Xms", "-XX:InitialHeapSize"]),
        "jvm.ram" => told.bytes(&["-XX:MaxRAM"]),
        "jvm.ram_percentage" => told.percent("-XX:MaxRAMPercentage", "-XX:MaxRAMFraction"),
        "jvm.min_ram_percentage" => told.percent("-XX:MinRAMPercentage", ""),
        "jvm.container_support" => told.switch("UseContainerSupport", true),
        "jvm.cpus_set" => told.number(&["-XX:ActiveProcessorCount"]),
        "jvm.pause" => told.number(&["-XX:MaxGCPauseMillis"]),
        "jvm.heap_in_force" => match signs.after("perf heap ").and_then(|heap| heap.parse().ok()) {
            Some(heap) => Ok(Value::Number(heap)),
            None => Err(absent("the JVM keeps no hsperfdata here, or this user may not read it")),
        },
        "jvm.collector" => signs.collector(),
        "jvm.collector_named" => told.any_on(&[
            "UseSerialGC",
            "UseParallelGC",
            "UseG1GC",
            "UseZGC",
            "UseShenandoahGC",
            "UseEpsilonGC",
            "UseConcMarkSweepGC",
        ]),
        "netty.threads" => told.number(&["-Dio.netty.eventLoopThreads", "-Dreactor.netty.ioWorkerCount"]),
        "node.heap" => match told.number(&["--max-old-space-size"])? {
            Value::Number(mebibytes) => Ok(Value::Number(mebibytes.saturating_mul(1 << 20))),
            other => Ok(other),
        },
        "node.threadpool" => told.number_or(&["UV_THREADPOOL_SIZE"], 4),
        "go.gomaxprocs" => told.number(&["GOMAXPROCS"]),
        "go.automaxprocs" => Ok(Value::Number(signs.has("automaxprocs").into())),
        "go.containermaxprocs" => told.number_or(&["containermaxprocs"], (!signs.has("containermaxprocs=0")).into()),
        "tokio.set" => told.number(&["TOKIO_WORKER_THREADS"]),
        "tokio.threads" => Ok(Value::Number(signs.threads("tokio"))),
        "envoy.workers" => match signs.threads("envoy") {
            0 => told.number(&["--concurrency"]),
            workers => Ok(Value::Number(workers)),
        },
        "haproxy.maxconn" => told.number(&["maxconn"]),
        "haproxy.parts" | "php-fpm.parts" => told.all("part"),
        "redis.maxclients" => told.number_or(&["maxclients"], 10_000),
        "postgres.max_connections" => told.number_or(&["max_connections"], 100),
        "postgres.reserved" => {
            let reserved = told.number_or(&["superuser_reserved_connections"], 3)?.limit().unwrap_or_default();
            let further = told.number_or(&["reserved_connections"], 0)?.limit().unwrap_or_default();
            Ok(Value::Number(reserved.saturating_add(further)))
        }
        "pgbouncer.max_client_conn" => told.number_or(&["max_client_conn"], 100),
        "php-fpm.max_children" => told.sum("pm.max_children"),
        "gunicorn.workers" => told.number_or(&["--workers", "-w", "WEB_CONCURRENCY"], 1),
        "gunicorn.at_once" => at_once(told).map(Value::Number),
        "uvicorn.workers" => told.number_or(&["--workers", "WEB_CONCURRENCY"], 1),
        "uvicorn.limit_concurrency" => told.number(&["--limit-concurrency"]),
        "nginx.worker_connections" => told.number_or(&["worker_connections"], 512),
        "nginx.worker_processes" => told.number_or(&["worker_processes"], 1),
        "nginx.worker_rlimit_nofile" => told.number(&["worker_rlimit_nofile"]),
        _ => Err(Gap::new(Cause::Unsupported, format!("{wanted} is not known"))),
    }
}

/// Requests that a worker of gunicorn has in hand at once: one, one for each thread, or as many as its loop takes.
fn at_once(told: &Told) -> Result<i128, Gap> {
    let number = |names: &[&str], default| Ok(told.number_or(names, default)?.limit().unwrap_or_default());
    let threads = number(&["--threads"], 1)?;
    let is = |class: &str| matches!(told.any_on(&[class]), Ok(Value::Number(1)));
    if is("gevent") || is("eventlet") {
        return number(&["--worker-connections"], 1000);
    }
    if is("other") || is("uvicorn.workers.UvicornWorker") {
        return Err(absent("workers of this class have no limit of their own"));
    }
    Ok(threads)
}

/// How many CPUs the process may run on: a list such as `0-3,8`.
fn cpus(status: &str) -> Reading {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let count = |list: &str| {
        let parts = list.trim().split(',').map(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            Some(high.parse::<i128>().ok()?.saturating_sub(low.parse().ok()?).saturating_add(1).max(0))
        });
        parts.sum::<Option<i128>>()
    };
    let list: Cow<'_, str> = list.unwrap_or_default().into();
    count(&list).map(Value::Number).ok_or_else(|| Gap::unparsable(STATUS, list.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process about which everything is answered in these bytes.
    struct Odd(Vec<u8>);

    impl crate::host::Host for Odd {
        fn ask(&self, _: Query<'_>) -> crate::host::Answer {
            Ok(self.0.clone())
        }

        fn source(&self) -> String {
            String::new()
        }

        fn process(&self) -> Option<String> {
            Some("812 odd".to_owned())
        }
    }

    #[test]
    fn whatever_is_answered_every_fact_has_a_value_or_a_gap() {
        for bytes in [
            &b""[..],
            b"\xff\xfe\n\0\n",
            b"exe java\narg -Xmx 99999999999999999999t\narg -XX:MaxRAMFraction 0\nthread jvm 99999999999\n",
            b"exe nginx\nconf worker_processes -1\nconf worker_connections 9223372036854775807\n",
            b"go 1\nenviron GOMAXPROCS 0\nCpus_allowed_list:\t9-1\n",
            b"thread tokio -5\nexe\nexe \n",
        ] {
            let mut facts = crate::model::facts::Facts::default();
            let names: super::super::Wanted = entries::ENTRIES.iter().map(|entry| Name::from(entry.name)).collect();
            super::super::gather(&Odd(bytes.to_vec()), names.clone(), &mut facts);
            super::super::derive(&mut facts);
            assert!(names.starting_with("").all(|name| facts.get(&name).is_some()), "{bytes:?}");
        }
    }

    #[test]
    fn a_list_of_cpus_is_counted() {
        assert_eq!(cpus("Name:\tx\nCpus_allowed_list:\t0-3,8\n"), Ok(Value::Number(5)));
        assert_eq!(cpus("Cpus_allowed_list:\t7\n"), Ok(Value::Number(1)));
        for odd in ["", "Cpus_allowed_list:\tx\n", "Cpus_allowed_list:\t1-\n"] {
            assert!(cpus(odd).is_err(), "{odd:?}");
        }
    }
}
