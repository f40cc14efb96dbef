//! A process that has almost as many descriptors open as it may.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use crate::harness::{MOUNTS_AND_PROCESSES, Need, Place, Scene, program};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[Place {
    name: "the_process_nearest_to_its_limit_on_open_files_is_named",
    needs: &[Need::Root, Need::Program("bash")],
    own: MOUNTS_AND_PROCESSES,
    trial: the_process_nearest_to_its_limit_on_open_files_is_named,
}];

const LIMIT: u32 = 64;
const OPEN: u32 = 62;

/// A shell that has `open` descriptors open, those it inherited included, then may have `limit`, and waits until its input
/// ends.
fn holding(open: u32, limit: u32) -> Child {
    let mut shell = program("bash");
    let text = format!(
        "for ((n = 3; n < {open}; n++)); do eval \"exec $n</dev/null\"; done
         for name in /proc/$$/fd/*; do n=${{name##*/}}; if ((n >= {open})); then eval \"exec $n<&-\"; fi; done
         ulimit -n {limit}; echo ready; read -r"
    );
    let mut child = shell.args(["-c", &text]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn the_process_nearest_to_its_limit_on_open_files_is_named(scene: &Scene) {
    let mut near = holding(OPEN, LIMIT);
    // More than its limit: it wants no further one.
    let mut sandboxed = holding(20, 5);
    for (child, open) in [(&near, OPEN), (&sandboxed, 20)] {
        assert_eq!(fs::read_dir(format!("/proc/{}/fd", child.id())).unwrap().count(), open as usize);
    }
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json", "--sample", "200ms"]);
    let report = Run::of(audit).report();
    assert_eq!(report.subjects("files/fds"), [format!("bash {}", near.id())]);
    let finding = report.finding("files/fds");
    assert_eq!(
        (&finding["outcome"], &finding["now"], &finding["want"]["limit"], &finding["share_percent"]),
        (&"fail".into(), &OPEN.into(), &LIMIT.into(), &96.into())
    );
    assert_eq!(finding["evidence"][0]["value"], 0, "root looks into all");
    let mut once = scene.tunecheck();
    once.args(["--format", "json"]);
    assert_eq!(Run::of(once).report().finding("files/fds")["outcome"], "not-applicable");
    for child in [&mut near, &mut sandboxed] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
