//! Many namespaces, and processes that come and go while they are looked at.

use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::Fleet;
use crate::harness::{MOUNTS_AND_PROCESSES, Need, Place, Scene, eventually, program, script};
use crate::report::Run;

pub(super) const PLACES: &[Place] = &[
    Place {
        name: "five_hundred_namespaces_come_and_go_during_the_report",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS_AND_PROCESSES,
        trial: five_hundred_namespaces_come_and_go,
    },
    Place {
        name: "many_namespaces_cost_no_descriptor_and_no_thread_each",
        needs: &[Need::Root, Need::Machine, Need::Program("prlimit")],
        own: MOUNTS_AND_PROCESSES,
        trial: many_namespaces_cost_no_descriptor_and_no_thread_each,
    },
];

/// Ends with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn five_hundred_namespaces_come_and_go(scene: &Scene) {
    // Some end at once, some while they are read, all before this trial does.
    let crowd = "n=0; while [ $n -lt 500 ]; do unshare --net sleep 0.$((n % 7)) & n=$((n + 1)); \
                 [ $((n % 40)) -ne 0 ] || wait; done; wait";
    let mut crowd = Ended(script(crowd, &[]).spawn().unwrap());
    let (mut runs, mut targets, mut ended) = (0, 0, 0);
    while crowd.0.try_wait().unwrap().is_none() {
        let fleet = Fleet::read(scene);
        (runs, targets, ended) = (runs + 1, targets + fleet.summary("targets"), ended + fleet.summary("ended"));
        for section in fleet.sections() {
            assert!(!section["report"]["notes"].to_string().contains("ended while"), "passed over, not half told");
        }
    }
    assert!(runs > 3 && targets > 20 && ended > 0, "{runs} runs, {targets} targets, {ended} ended");
    assert_eq!(Fleet::read(scene).summary("targets"), 0, "nothing is left of them");
}

fn many_namespaces_cost_no_descriptor_and_no_thread_each(scene: &Scene) {
    const MANY: usize = 330;
    let start = "n=0; while [ $n -lt $0 ]; do unshare --net sleep 300 & n=$((n + 1)); done; wait";
    let mut shell = program("sh");
    let _crowd = Ended(shell.args(["-ec", start, &MANY.to_string()]).spawn().unwrap());
    let namespaces = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let links = processes.filter_map(|entry| fs::read_link(entry.path().join("ns/net")).ok());
        links.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert!((0..6).any(|_| eventually(|| namespaces() > MANY)), "{} namespaces", namespaces());
    let output = scene.folder.join("output");
    let mut limited = program("prlimit");
    limited.arg("--nofile=64:64").arg(&scene.tunecheck).args(["--all", "--format", "json"]);
    limited.stdout(fs::File::create(&output).unwrap()).stderr(Stdio::inherit());
    let mut child = limited.spawn().unwrap();
    let (mut threads, mut memory) = (0, 0);
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let figure = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
        };
        (threads, memory) = (figure("Threads:").max(threads), figure("VmHWM:").max(memory));
        sleep(Duration::from_millis(2));
    };
    let stdout = fs::read_to_string(&output).unwrap();
    let fleet = Fleet::of(&Run { code, stdout, stderr: String::new() });
    assert_eq!((fleet.summary("targets"), fleet.summary("left_out")), (MANY as u64, 0));
    // All alike, but for what else this machine has in them: nothing was unreadable for want of a descriptor.
    let (names, report) = fleet.section("sleep");
    assert_eq!(names.len(), MANY);
    assert_eq!(report.finding("listen/somaxconn")["now"], 4096);
    let mut table = scene.tunecheck();
    table.arg("--all");
    let table = Run::of(table).stdout;
    assert!(table.contains("── 330 network namespaces alike: ") && table.contains("and 318 more"), "{table}");
    // The kernel counts a thread a little longer than anybody waits for its end.
    assert!((1..=20).contains(&threads), "{threads} threads at once");
    assert!(memory < 64 << 10, "{memory} kB");
}
