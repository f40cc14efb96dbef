use super::*;
use crate::facts::derive;

const GIB: i128 = 1 << 30;
const MIB: i128 = 1 << 20;

/// Facts of a process on a machine with 8 CPUs and 24 GiB; `None` for what is not set.
fn facts(given: &[(&'static str, Option<i128>)], words: &[(&'static str, &str)]) -> Facts {
    let mut facts = Facts::default();
    let unset = [
        "cgroup.cpu.limit",
        "cgroup.memory.limit",
        "runtime.jvm.xmx",
        "runtime.jvm.xms",
        "runtime.jvm.ram",
        "runtime.jvm.ram_percentage",
        "runtime.jvm.min_ram_percentage",
        "runtime.jvm.cpus_set",
        "runtime.go.gomaxprocs",
        "runtime.go.containermaxprocs",
        "runtime.nginx.worker_processes",
        "runtime.nginx.worker_rlimit_nofile",
    ];
    for name in unset {
        facts.put(name, Err(Gap::new(Cause::Absent, "not set")), "");
    }
    let machine =
        [("memory.total", 24 * GIB), ("runtime.cpus", 8), ("cpu.online", 8), ("runtime.jvm.container_support", 1)];
    for (name, number) in machine.map(|(name, number)| (name, Some(number))).iter().chain(given) {
        let reading = number.map(Value::Number).ok_or_else(|| Gap::new(Cause::Denied, "no"));
        facts.put(*name, reading, "");
    }
    for (name, text) in words {
        facts.put(*name, Ok(Value::Text((*text).to_owned())), "");
    }
    derive(&mut facts);
    facts
}

fn number(given: &[(&'static str, Option<i128>)], name: &str) -> i128 {
    facts(given, &[]).number(name).unwrap()
}

/// As `-XX:+PrintFlagsFinal` of JDK 17 showed MaxHeapSize in cgroups of these sizes.
#[test]
fn the_heap_is_what_a_real_jvm_took() {
    let heap = |limit: i128, more: &[(&'static str, Option<i128>)]| {
        number(&[&[("cgroup.memory.limit", Some(limit))], more].concat(), "runtime.jvm.heap")
    };
    assert_eq!(heap(512 * MIB, &[]), 134_217_728);
    assert_eq!(heap(2048 * MIB, &[]), 536_870_912);
    assert_eq!(heap(256 * MIB, &[]), 132_120_576);
    assert_eq!(heap(200 * MIB, &[]), 104_857_600);
    assert_eq!(heap(512 * MIB, &[("runtime.jvm.ram_percentage", Some(75))]), 402_653_184);
    assert_eq!(heap(512 * MIB, &[("runtime.jvm.xms", Some(400 * MIB))]), 419_430_400);
    assert_eq!(heap(512 * MIB, &[("runtime.jvm.ram", Some(256 * MIB))]), 132_120_576);
    assert_eq!(heap(512 * MIB, &[("runtime.jvm.xmx", Some(GIB))]), GIB);
    assert_eq!(heap(512 * MIB, &[("runtime.jvm.container_support", Some(0))]), 6 * GIB);
}

#[test]
fn what_could_not_be_read_leaves_the_heap_unknown() {
    let gap = facts(&[("runtime.jvm.xmx", None)], &[]).number("runtime.jvm.heap").unwrap_err();
    assert_eq!(gap.cause, Cause::Denied);
    let gap = facts(&[("cgroup.memory.limit", None)], &[]).number("runtime.jvm.heap").unwrap_err();
    assert_eq!(gap.cause, Cause::Denied);
}

#[test]
fn a_jvm_rounds_its_quota_up() {
    let cpus = |quota: i128| number(&[("cgroup.cpu.limit", Some(quota))], "runtime.jvm.cpus");
    assert_eq!([500, 1000, 1500, 2000, 64_000].map(cpus), [1, 1, 2, 2, 8]);
    let off = [("cgroup.cpu.limit", Some(1000)), ("runtime.jvm.container_support", Some(0))];
    assert_eq!(number(&off, "runtime.jvm.cpus"), 8);
    assert_eq!(number(&[("runtime.jvm.cpus_set", Some(3))], "runtime.jvm.cpus"), 3);
}

#[test]
fn go_follows_the_quota_since_1_25() {
    let quota = ("cgroup.cpu.limit", Some(1500));
    let procs = |version: &str, given: &[(&'static str, Option<i128>)]| {
        facts(given, &[("runtime.version", version)]).number("runtime.go.maxprocs")
    };
    assert_eq!(procs("1.24.6", &[quota]), Ok(8));
    assert_eq!(procs("1.25.0", &[quota]), Ok(2));
    assert_eq!(procs("1.25.0", &[("cgroup.cpu.limit", Some(500))]), Ok(2), "it takes two at least");
    assert_eq!(procs("1.25.0", &[quota, ("runtime.go.containermaxprocs", Some(0))]), Ok(8));
    assert_eq!(procs("1.26.5", &[]), Ok(8));
    assert_eq!(procs("1.19.8", &[quota, ("runtime.go.gomaxprocs", Some(3))]), Ok(3));
    assert_eq!(procs("1.19.8", &[quota, ("runtime.go.automaxprocs", Some(1))]), Ok(1));
    assert!(facts(&[quota], &[]).number("runtime.go.maxprocs").is_err(), "of an unknown release it is unknown");
    assert_eq!(facts(&[], &[]).number("runtime.go.maxprocs"), Ok(8), "without a quota all releases agree");
}

#[test]
fn nginx_holds_connections_in_every_worker() {
    let connections = ("runtime.nginx.worker_connections", Some(1024));
    assert_eq!(number(&[connections], "runtime.nginx.capacity"), 8192);
    assert_eq!(number(&[connections, ("runtime.nginx.worker_processes", Some(2))], "runtime.nginx.capacity"), 2048);
}

#[test]
fn which_limit_on_open_files_counts_depends_on_the_runtime() {
    let limits = [("process.meant", Some(1)), ("limit.nofile.soft", Some(1024)), ("limit.nofile.hard", Some(524_288))];
    let note = |words: &[(&'static str, &str)]| {
        facts(&limits, words).text("nofile.note").map(str::to_owned).unwrap_or_default()
    };
    assert!(note(&[("runtime.name", "jvm")]).contains("The JVM raises"));
    assert!(note(&[("runtime.name", "go"), ("runtime.version", "1.18.1")]).contains("does not raise"));
    assert!(
        note(&[("runtime.name", "go"), ("runtime.version", "1.22")])
            .contains("hard limit is the one to raise: 524,288")
    );
    assert!(note(&[("runtime.name", "python")]).contains("Python does not raise"));
    assert_eq!(note(&[]), "", "nobody has asked yet");
    let mut unnamed = facts(&limits, &[]);
    unnamed.put("runtime.name", Err(Gap::new(Cause::Absent, "no runtime is audited")), "");
    derive(&mut unnamed);
    assert!(
        unnamed
            .text("nofile.note")
            .unwrap()
            .starts_with("A program that does not raise its own limit gets EMFILE at 1,024")
    );
}
