//! What is known of the audited runtime, by name.

use super::{NGINX_CONF, SIGNS, STATUS, TOLD};
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
    Entry { read: NGINX_CONF, document: NGINX, ..entry(name, Unit::Count, meaning) }
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        read: SIGNS,
        document: "https://man7.org/linux/man-pages/man5/proc_pid_exe.5.html",
        ..entry(
            "runtime.name",
            Unit::Text,
            "jvm (HotSpot), openj9, go, node, dotnet, python, gunicorn, uvicorn, nginx, envoy, haproxy, redis, postgres, pgbouncer, php-fpm, tokio, rust or other",
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
    Entry {
        read: "haproxy.cfg",
        document: "https://docs.haproxy.org/3.2/configuration.html#3.2-maxconn",
        ..entry("runtime.haproxy.maxconn", Unit::Count, "connections of the process, maxconn in section global")
    },
    Entry {
        read: "haproxy.cfg",
        document: "https://docs.haproxy.org/3.2/configuration.html#4-maxconn",
        ..entry("runtime.haproxy.parts", Unit::Text, "frontends: the ports of each and its own maxconn, PORTS=NUMBER")
    },
    Entry {
        read: "redis.conf",
        document: "https://redis.io/docs/latest/develop/reference/clients/",
        ..entry("runtime.redis.maxclients", Unit::Count, "clients, 10000 unless it is set")
    },
    Entry {
        read: "postgresql.conf",
        document: "https://www.postgresql.org/docs/current/runtime-config-connection.html",
        ..entry("runtime.postgres.max_connections", Unit::Count, "connections, 100 unless it is set")
    },
    Entry {
        read: "postgresql.conf",
        document: "https://www.postgresql.org/docs/current/runtime-config-connection.html",
        ..entry("runtime.postgres.reserved", Unit::Count, "connections of them that are kept for some roles")
    },
    Entry {
        read: "pgbouncer.ini",
        document: "https://www.pgbouncer.org/config.html",
        ..entry("runtime.pgbouncer.max_client_conn", Unit::Count, "clients, 100 unless it is set")
    },
    Entry {
        read: "php-fpm.conf",
        document: "https://www.php.net/manual/en/install.fpm.configuration.php",
        ..entry("runtime.php-fpm.max_children", Unit::Count, "processes of all pools, pm.max_children")
    },
    Entry {
        read: "php-fpm.conf",
        document: "https://www.php.net/manual/en/install.fpm.configuration.php",
        ..entry("runtime.php-fpm.parts", Unit::Text, "pools: the port of each and its processes, PORT=NUMBER")
    },
    Entry {
        document: "https://docs.gunicorn.org/en/stable/settings.html",
        ..entry("runtime.gunicorn.workers", Unit::Count, "worker processes, 1 unless it is set")
    },
    Entry {
        document: "https://docs.gunicorn.org/en/stable/settings.html",
        ..entry("runtime.gunicorn.at_once", Unit::Count, "requests that one worker has in hand at once")
    },
    Entry {
        document: "https://www.uvicorn.org/settings/",
        ..entry("runtime.uvicorn.workers", Unit::Count, "worker processes, 1 unless it is set")
    },
    Entry {
        document: "https://www.uvicorn.org/settings/",
        ..entry("runtime.uvicorn.limit_concurrency", Unit::Count, "connections of one worker, --limit-concurrency")
    },
    nginx("runtime.nginx.worker_connections", "connections of one worker, 512 unless it is set"),
    nginx("runtime.nginx.worker_processes", "workers, 1 unless it is set"),
    nginx("runtime.nginx.worker_rlimit_nofile", "limit on open files that a worker gives itself"),
];
