//! What a command under watch gets, and what it gives.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{ALONE, NEEDS, readings, watch};
use crate::harness::{Need, Place, Scene};
use crate::namespaces::loopback_up;
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_command_under_watch_has_its_own_input_output_and_exit_code",
        needs: &[Need::Root],
        own: ALONE,
        trial: a_command_has_its_own_input_output_and_exit_code,
    },
    Place {
        name: "a_signal_reaches_the_command_and_one_that_ends_it_is_told",
        needs: &[Need::Root],
        own: ALONE,
        trial: a_signal_reaches_the_command,
    },
    Place {
        name: "a_signal_ends_the_time_to_settle_and_watching_without_a_command",
        needs: &[Need::Root],
        own: ALONE,
        trial: a_signal_ends_the_time_to_settle,
    },
    Place {
        name: "a_limit_that_was_hit_trips_the_gate_of_a_command_that_succeeded",
        needs: NEEDS,
        own: ALONE,
        trial: a_limit_that_was_hit_trips_the_gate,
    },
    Place {
        name: "a_command_that_cannot_be_started_is_told_in_a_line",
        needs: &[Need::Root],
        own: ALONE,
        trial: a_command_that_cannot_be_started,
    },
    Place {
        name: "readings_and_verdicts_are_what_their_schemas_say",
        needs: NEEDS,
        own: ALONE,
        trial: readings_and_verdicts_are_what_their_schemas_say,
    },
];

/// `tunecheck watch` around a shell script, with the verdict in a file.
fn shell(scene: &Scene, options: &[&str], text: &str) -> Command {
    let mut command = scene.tunecheck();
    command.args(["watch", "--settle", "10ms", "--format", "json", "--output"]).arg(readings(scene));
    command.args(options).args(["--", "sh", "-c", text]);
    command
}

fn verdict(scene: &Scene) -> Value {
    serde_json::from_str(&fs::read_to_string(readings(scene)).unwrap()).unwrap()
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(process.try_into().unwrap())
}

fn a_command_has_its_own_input_output_and_exit_code(scene: &Scene) {
    const BYTES: &[u8] = b"one\0two\n\xff\x1b[31mthree";
    let mut command = shell(scene, &[], "cat; echo complaint >&2; exit 7");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(BYTES).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..], &output.stderr[..]), (Some(7), BYTES, &b"complaint\n"[..]));
    let verdict = verdict(scene);
    assert_eq!((&verdict["exit_code"], &verdict["signal"]), (&7.into(), &Value::Null));
    assert_eq!(verdict["command"], "sh", "arguments may hold secrets");

    // Without --output the verdict is on standard error, after what the command says there.
    let mut command = scene.tunecheck();
    command.args(["watch", "--settle", "10ms", "--", "sh", "-c", "echo said; echo complaint >&2; exit 3"]);
    let run = Run::of(command);
    assert_eq!((run.code, run.stdout.as_str()), (Some(3), "said\n"));
    assert!(run.stderr.starts_with("complaint\n\ntunecheck   no limit was hit"), "{}", run.stderr);
    assert!(run.stderr.contains("ended with 3"), "{}", run.stderr);
}

fn a_signal_reaches_the_command(scene: &Scene) {
    const TRAP: &str = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = shell(scene, &[], TRAP).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    kill(pid(child.id()), Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!((child.wait().unwrap().code(), rest.as_str()), (Some(5), "caught\n"));
    assert_eq!(verdict(scene)["exit_code"], 5);

    for (signal, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
        let run = Run::of(shell(scene, &["--fail-on", "fail"], &format!("kill -{signal} $$")));
        assert_eq!(run.code, Some(128 + number), "{run:?}");
        let verdict = verdict(scene);
        assert_eq!((&verdict["exit_code"], &verdict["signal"]), (&Value::Null, &number.into()));
    }
}

fn a_signal_ends_the_time_to_settle(scene: &Scene) {
    let mut command = scene.tunecheck();
    command.args(["watch", "--settle", "1h", "--interval", "20ms", "--format", "ndjson", "--", "echo", "done"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    // The command's end of it is closed when it has ended, this program's own is not.
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "done\n");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert_eq!(lines.by_ref().take(10).filter(Result::is_ok).count(), 10, "it goes on reading");
    kill(pid(child.id()), Signal::SIGINT).unwrap();
    let last: Value = serde_json::from_str(&lines.last().unwrap().unwrap()).unwrap();
    assert_eq!((&last["schema"], &last["exit_code"]), (&"tunecheck.verdict/v1".into(), &0.into()));
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let mut command = scene.tunecheck();
    command.args(["watch", "--format", "ndjson"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    kill(pid(child.id()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}

fn a_limit_that_was_hit_trips_the_gate(scene: &Scene) {
    loopback_up();
    let gate = ["--fail-on", "fail"];
    let run = Run::of(watch(scene, &gate, "burst.py"));
    assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""), "{run:?}");
    // The load's own failure says more.
    let mut failing = watch(scene, &gate, "burst.py");
    failing.arg("5");
    assert_eq!(Run::of(failing).code, Some(5));
    assert_eq!(Run::of(watch(scene, &[], "burst.py")).code, Some(0), "nothing asks for a gate");
    assert_eq!(Run::of(shell(scene, &gate, "exit 0")).code, Some(0));
    assert_eq!(verdict(scene)["hit"], json!([]));
    // Much of the machine cannot be seen from here.
    assert_eq!(Run::of(shell(scene, &["--fail-on", "unknown"], "exit 0")).code, Some(1));
}

fn a_command_that_cannot_be_started(scene: &Scene) {
    for program in ["/nothing/of/that/name", "/etc/passwd"] {
        let mut command = scene.tunecheck();
        command.args(["watch", "--", program]);
        let run = Run::of(command);
        let line = run.complaint();
        assert!(line.contains(&format!("cannot run {program}: ")), "{line}");
    }
}

fn readings_and_verdicts_are_what_their_schemas_say(scene: &Scene) {
    let schema = |of: &str| {
        let mut command = scene.tunecheck();
        command.args(["rules", "schema", of]);
        jsonschema::validator_for(&serde_json::from_str(&Run::of(command).stdout).unwrap()).unwrap()
    };
    let (tick, verdict) = (schema("--tick"), schema("--verdict"));
    loopback_up();
    for load in ["burst.py", "files.py"] {
        let run = Run::of(watch(scene, &[], load));
        assert_eq!(run.code, Some(0), "{run:?}");
        let text = fs::read_to_string(readings(scene)).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (last, ticks) = lines.split_last().unwrap();
        assert_eq!(last["readings"], ticks.len());
        for line in &lines {
            let schema = if line["schema"] == "tunecheck.tick/v1" { &tick } else { &verdict };
            let objections: Vec<String> = schema.iter_errors(line).map(|error| error.to_string()).collect();
            assert_eq!(objections, Vec::<String>::new(), "{load}: {line}");
        }
        assert!(!tick.is_valid(last) && !verdict.is_valid(&ticks[0]), "one is not the other");
    }
}
