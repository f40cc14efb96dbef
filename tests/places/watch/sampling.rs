//! `--sample` while a listener refuses, and after it did.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::{ALONE, NEEDS, counter, python};
use crate::harness::{Place, Scene};
use crate::namespaces::loopback_up;
use crate::report::{Report, Run};

pub(crate) const PLACES: &[Place] = &[Place {
    name: "a_counter_fails_while_it_rises_and_passes_when_that_is_over",
    needs: NEEDS,
    own: ALONE,
    trial: a_counter_fails_while_it_rises,
}];

fn sampled(scene: &Scene) -> Report {
    let mut audit = scene.tunecheck();
    audit.args(["--sample", "1s", "--format", "json"]);
    Run::of(audit).report()
}

fn a_counter_fails_while_it_rises(scene: &Scene) {
    loopback_up();
    let [python, flag, file] = python("burst_until.py");
    let mut load = std::process::Command::new(python);
    let mut load = load.args([flag, file]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(load.stdout.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    // It goes on saying so, and is heard.
    let ear = std::thread::spawn(move || said.lines().for_each(|line| assert_eq!(line.unwrap(), "overflows")));

    let before = counter("ListenOverflows");
    let report = sampled(scene);
    let between = counter("ListenOverflows") - before;
    let rising = report.finding("listen/overflows");
    assert_eq!(rising["outcome"], "fail", "{rising:#}");
    let rise = rising["rise"].as_u64().unwrap();
    assert!((1..=between).contains(&rise), "{rise} of {between}");
    // Each of the two counters of the same packets stands for itself.
    let says = |fact: &str| {
        let proof = rising["evidence"].as_array().unwrap().iter().find(|proof| proof["fact"] == fact).unwrap();
        assert_eq!(proof["rise"], rise, "{proof:#}");
        proof["says"].as_str().unwrap()
    };
    for (fact, words) in [
        ("netstat.TcpExt.ListenOverflows", "in all in 1"),
        ("netstat.TcpExt.ListenDrops", "packets were dropped at listeners here, the overflows among them in 1"),
    ] {
        let says = says(fact);
        assert!(says.starts_with(&format!("{rise} {words}")), "{says}");
    }

    drop(load.stdin.take());
    assert!(load.wait().unwrap().success());
    ear.join().unwrap();
    let total = counter("ListenOverflows");
    let report = sampled(scene);
    let over = report.finding("listen/overflows");
    assert_eq!((&over["outcome"], &over["now"], &over["rise"]), (&"pass".into(), &total.into(), &0.into()), "{over:#}");
    let says = over["evidence"].as_array().unwrap().iter().find(|proof| proof["fact"] == over["fact"]).unwrap();
    assert!(says["says"].as_str().unwrap().contains("since this network namespace began; none in 1"), "{says:#}");
}
