//! What is known of the audited runtime, by name.

use super::{CONF, SIGNS, STATUS, TOLD};
use crate::model::catalogue::Entry;
use crate::model::fact::{Scope, Unit};

const fn entry(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    Entry { name, unit, scope: Scope::Process, meaning, read: TOLD, document: "" }
}

const JAVA: &str = "https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html";
const NODE: &str = "https://nodejs.org/api/cli.html";
const NGINX: &str = "https://nginx.org/en/docs/ngx_core_module.html";
const GO: &str = "https://go.dev/blog/container-aware-gomaxprocs";
const TOKIO: &str = "https://docs.rs/tokio/latest/tokio/runtime/struct.Builder.html";

const fn java(name: &'static str, unit: Unit, meaning: &'static str) -> Entry {
    Entry { document: JAVA, ..entry(name, unit, meaning) }
}

const fn nginx(name: &'static str, meaning: &'static str) -> Entry {
    Entry { read: CONF, document: NGINX, ..entry(name, Unit::Count, meaning) }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        read: SIGNS,
        document: "https://man7.org/linux/man-pages/man5/proc_pid_exe.5.html",
        ..entry(
            "runtime.name",
            Unit::Text,
            "jvm (HotSpot), openj9, go, node, python, nginx, envoy, tokio, rust or other",
        )
    },
    Entry {
        read: SIGNS,
        document: "https://pkg.go.dev/debug/buildinfo",
        ..entry("runtime.version", Unit::Text, "the release of Go that built it")
    },
    Entry {
        read: STATUS,
        document: "https://man7.org/linux/man-pages/man5/proc_pid_status.5.html",
        ..entry("runtime.cpus", Unit::Count, "CPUs that the process may run on")
    },
    java("runtime.jvm.xmx", Unit::Bytes, "largest heap, -Xmx"),
    java("runtime.jvm.xms", Unit::Bytes, "heap at start, -Xms"),
    java("runtime.jvm.ram", Unit::Bytes, "memory that the JVM is to reckon with, -XX:MaxRAM"),
    java("runtime.jvm.ram_percentage", Unit::Percent, "share of memory for the heap, -XX:MaxRAMPercentage"),
    java("runtime.jvm.min_ram_percentage", Unit::Percent, "the same where memory is small, -XX:MinRAMPercentage"),
    java("runtime.jvm.container_support", Unit::Mode, "1: the JVM sees the limits of its cgroup"),
    java("runtime.jvm.cpus_set", Unit::Count, "CPUs that the JVM is to reckon with, -XX:ActiveProcessorCount"),
    java("runtime.jvm.pause", Unit::Milliseconds, "pause that the collector aims at, -XX:MaxGCPauseMillis"),
    Entry {
        read: SIGNS,
        ..java("runtime.jvm.heap_in_force", Unit::Bytes, "largest heap, by the JVM's own data (hsperfdata)")
    },
    Entry { read: SIGNS, ..java("runtime.jvm.collector", Unit::Text, "Serial, Parallel, G1, Z or Shenandoah") },
    java("runtime.jvm.collector_named", Unit::Mode, "1: an option names the collector"),
    Entry {
        document: "https://netty.io/4.1/api/io/netty/channel/MultithreadEventLoopGroup.html",
        ..entry("runtime.netty.threads", Unit::Count, "event loop threads of Netty, where they are set")
    },
    Entry { document: NODE, ..entry("runtime.node.heap", Unit::Bytes, "--max-old-space-size") },
    Entry { document: NODE, ..entry("runtime.node.threadpool", Unit::Count, "UV_THREADPOOL_SIZE; 4 unless it is set") },
    Entry { document: GO, ..entry("runtime.go.gomaxprocs", Unit::Count, "GOMAXPROCS of the environment") },
    Entry {
        document: "https://go.dev/doc/godebug",
        ..entry(
            "runtime.go.containermaxprocs",
            Unit::Mode,
            "0: by GODEBUG, or by the go line of its go.mod, Go does not follow the quota",
        )
    },
    Entry {
        read: SIGNS,
        document: "https://github.com/uber-go/automaxprocs",
        ..entry("runtime.go.automaxprocs", Unit::Mode, "1: a package in it sets GOMAXPROCS to the quota")
    },
    Entry { document: TOKIO, ..entry("runtime.tokio.set", Unit::Count, "TOKIO_WORKER_THREADS of the environment") },
    Entry {
        read: SIGNS,
        document: TOKIO,
        ..entry("runtime.tokio.threads", Unit::Count, "threads of Tokio: workers, and those of spawn_blocking")
    },
    Entry {
        read: SIGNS,
        document: "https://www.envoyproxy.io/docs/envoy/latest/operations/cli",
        ..entry("runtime.envoy.workers", Unit::Count, "worker threads of Envoy, --concurrency")
    },
    nginx("runtime.nginx.worker_connections", "connections of one worker, 512 unless it is set"),
    nginx("runtime.nginx.worker_processes", "workers, 1 unless it is set"),
    nginx("runtime.nginx.worker_rlimit_nofile", "limit on open files that a worker gives itself"),
];
