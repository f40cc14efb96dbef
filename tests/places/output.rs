//! Outputs that do not take what they are given.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::harness::{Place, Scene, script};
use crate::report::{Report, Run};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_closed_output_leaves_the_exit_code_of_the_gate",
        needs: &[],
        own: &[],
        trial: a_closed_output_leaves_the_exit_code_of_the_gate,
    },
    Place { name: "a_full_disk_is_one_line_and_exit_code_2", needs: &[], own: &[], trial: a_full_disk_is_one_line },
    Place {
        name: "a_reader_that_goes_away_is_no_error",
        needs: &[],
        own: &[],
        trial: a_reader_that_goes_away_is_no_error,
    },
    Place {
        name: "a_full_pipe_that_does_not_block_is_waited_for",
        needs: &[],
        own: &[],
        trial: a_full_pipe_that_does_not_block_is_waited_for,
    },
];

/// So few descriptors that the gate trips on any machine.
const FEW: &str = "ulimit -n 64;";

/// tunecheck with few descriptors.
fn failing(scene: &Scene, arguments: &str) -> Command {
    script(&format!("{FEW} exec \"$1\" --pid self {arguments}"), &[&scene.tunecheck])
}

/// A pipe that holds one page, which is less than any report.
fn narrow_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    assert_eq!(fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)), Ok(4096));
    (reader, writer)
}

fn spawn(mut command: Command, output: impl Into<Stdio>) -> Child {
    command.stdout(output).stderr(Stdio::piped()).spawn().unwrap()
}

/// The exit code and what was said on standard error.
fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn a_closed_output_leaves_the_exit_code_of_the_gate(scene: &Scene) {
    for format in ["table", "json"] {
        for (gate, code) in [("fail", 1), ("never", 0)] {
            let run = Run::of(failing(scene, &format!("--format {format} --fail-on {gate} >&-")));
            assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (Some(code), "", ""));
        }
    }
    let all = Run::of(failing(scene, "<&- >&- 2>&-"));
    assert_eq!((all.code, all.stdout.as_str()), (Some(1), ""));
    let unable = Run::of(failing(scene, "--snapshot /nowhere 2>&-"));
    assert_eq!((unable.code, unable.stdout.as_str()), (Some(2), ""));
}

fn a_full_disk_is_one_line(scene: &Scene) {
    for arguments in ["", "--format json", "--fail-on never", "explain EMFILE", "--help", "rules list"] {
        let run = Run::of(script(&format!("exec \"$1\" {arguments} > /dev/full"), &[&scene.tunecheck]));
        let line = run.complaint();
        assert!(line.contains("No space left on device"), "{arguments}: {line}");
    }
    let mut command = scene.tunecheck();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(command.stdout(full()).stderr(full()).status().unwrap().code(), Some(2));
}

fn a_reader_that_goes_away_is_no_error(scene: &Scene) {
    for (gate, code) in [("fail", 1), ("never", 0)] {
        // As with "| head -1": one line is taken, and the rest does not fit into the pipe.
        let (reader, writer) = narrow_pipe();
        let child = spawn(failing(scene, &format!("--fail-on {gate}")), writer);
        let mut line = String::new();
        BufReader::with_capacity(64, reader).read_line(&mut line).unwrap();
        assert!(line.starts_with("tunecheck "), "{line}");
        assert_eq!(ended(child), (Some(code), String::new()));

        let (reader, writer) = narrow_pipe();
        drop(reader);
        let child = spawn(failing(scene, &format!("--format json --fail-on {gate}")), writer);
        assert_eq!(ended(child), (Some(code), String::new()));
    }
}

fn a_full_pipe_that_does_not_block_is_waited_for(scene: &Scene) {
    let (mut reader, mut writer) = narrow_pipe();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    writer.write_all(&[b'\n'; 4096]).unwrap();
    let mut child = spawn(failing(scene, "--format json"), writer);
    // Long enough for the report to be ready and for the pipe to be found full.
    sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it did not wait");
    let mut text = Vec::new();
    let mut step = [0; 1000];
    loop {
        match reader.read(&mut step).unwrap() {
            0 => break,
            count => text.extend_from_slice(&step[..count]),
        }
        sleep(Duration::from_millis(1));
    }
    let report = Report::parse(&String::from_utf8(text).unwrap());
    assert_eq!(report.gate(), 1);
    assert_eq!(ended(child), (Some(1), String::new()));
}
