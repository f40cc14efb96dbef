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

/// The built-in rule without its condition that the audit is sampling.
const RULE: &str = "
title: Every process is far below its limit on open files
scope: pidns
fact: fds.top.used
check: { usage: { of: fds.top.limit, warn: 75, fail: 95 } }
says: '{fds.top.process} has {fds.top.used} of {fds.top.limit}'
evidence: [{ fact: fds.denied, says: could not be looked into, plain: true }]
fix: { application: raise the limit }
why: a trial
examples: [{ given: { fds.top.used: 62, fds.top.limit: 64 }, expect: fail }]
";

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
    let rules = scene.folder.join("rules/site");
    fs::create_dir_all(&rules).unwrap();
    fs::write(rules.join("fds.yaml"), RULE).unwrap();
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json", "--rules"]).arg(scene.folder.join("rules"));
    let report = Run::of(audit).report();
    let finding = report.finding("site/fds");
    assert_eq!(
        (&finding["outcome"], &finding["now"], &finding["want"]["limit"], &finding["share_percent"]),
        (&"fail".into(), &OPEN.into(), &LIMIT.into(), &96.into())
    );
    assert_eq!(finding["says"], format!("bash {} has {OPEN} of {LIMIT}", near.id()));
    assert_eq!(finding["evidence"][0]["value"], 0, "root looks into all");
    for child in [&mut near, &mut sandboxed] {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
