//! What becomes of every verb and format whose output cannot be written.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "starts programs, fails by panicking"
)]

mod support;

use std::fs::File;
use std::io::pipe;
use std::process::{Command, Stdio};

use support::{BINARY, ROOT};

const HOST: &str = "--snapshot fixtures/hosts/in-trouble";

/// Every verb in every format that it has, as it is typed.
fn runs() -> Vec<String> {
    let formats = |verb: &str, formats: &[&str]| -> Vec<String> {
        formats.iter().map(|format| format!("{verb} --format {format}")).collect()
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let targets = words("plan script sysctl.d systemd limits.d ansible");
    [
        formats(HOST, &["table", "json"]),
        formats("--all", &["table", "json"]),
        targets.iter().map(|target| format!("fix {HOST} --to {target}")).collect(),
        ["docker", "podman"].map(|target| format!("fix --snapshot fixtures/hosts/podman-sysctl --to {target}")).into(),
        formats("watch --interval 50ms --duration 100ms", &["ndjson", "table", "json", "markdown"]),
        formats("diff fixtures/hosts/in-trouble fixtures/hosts/child-netns", &["table", "json", "markdown"]),
        formats("manifest fixtures/manifests", &["table", "json", "github"]),
        formats("plan --connections 30000", &["table", "json", "yaml", "html"]),
        formats("probe h2 http://127.0.0.1:9", &["table", "json"]),
        ["explain", "explain EMFILE", "explain listen/somaxconn", "explain manual", "explain what"]
            .map(str::to_owned)
            .into(),
        ["rules list", "rules show listen/somaxconn", "rules check rules/listen", "rules facts", "rules schema"]
            .map(str::to_owned)
            .into(),
        ["completions bash", "man", "man probe h2", "--help", "--version", "watch --help"].map(str::to_owned).into(),
    ]
    .concat()
}

fn command(typed: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.args(typed.split(' ')).current_dir(ROOT).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The exit code, and what was said on standard error.
fn ended(mut command: Command, output: impl Into<Stdio>) -> (Option<i32>, String) {
    let output = command.stdout(output).spawn().unwrap().wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn a_full_disk_is_exit_code_2_with_its_cause() {
    for typed in runs() {
        let (code, said) = ended(command(&typed), full());
        let last = said.lines().last().unwrap_or_default();
        assert!(
            code == Some(2) && last.starts_with("tunecheck: ") && last.contains("No space left on device"),
            "{typed}: {code:?} {said}"
        );
    }
}

#[test]
fn a_reader_that_went_away_and_an_output_that_was_closed_change_nothing_else() {
    for typed in runs() {
        let usual = ended(command(&typed), Stdio::null());
        assert!(usual.0.is_some_and(|code| code < 3), "{typed}: {usual:?}");
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        assert_eq!(ended(command(&typed), writer), usual, "{typed} | true");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec '{BINARY}' {typed} >&-")]).current_dir(ROOT).stdin(Stdio::null());
        shell.stderr(Stdio::piped());
        assert_eq!(ended(shell, Stdio::null()), usual, "{typed} >&-");
    }
}

#[test]
fn a_verdict_that_cannot_be_written_is_exit_code_2() {
    for format in ["table", "json", "markdown", "ndjson"] {
        let watch = |more: &str| command(&format!("watch --settle 10ms --format {format} {more}"));
        let (code, said) = ended(watch("--output /dev/full -- true"), Stdio::null());
        assert!(code == Some(2) && said.contains("No space left on device"), "{format} --output: {code:?} {said}");
        let mut beside = watch("-- true");
        assert_eq!(beside.stdout(Stdio::null()).stderr(full()).status().unwrap().code(), Some(2), "{format} 2>");
        // The command itself is not held up, and what it wrote is there.
        let output = watch("-- echo done").stderr(full()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), b"done\n".as_slice()), "{format}");
    }
}

/// How it ends where a shell sets a limit first.
fn limited(limit: &str, typed: &str) -> (Option<i32>, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -c 0; ulimit {limit}; exec '{BINARY}' {typed}")]).current_dir(ROOT);
    shell.stdin(Stdio::null()).stderr(Stdio::piped());
    ended(shell, Stdio::null())
}

#[test]
fn without_a_stack_to_work_on_it_says_so_and_ends_with_2() {
    for typed in runs() {
        let (code, said) = limited("-s 64", &typed);
        assert!(code == Some(2) && said.contains("the stack is limited to 64 KiB"), "{typed}: {code:?} {said}");
    }
}

#[test]
fn without_memory_to_work_in_it_says_so_and_ends_with_2() {
    for typed in ["--fail-on never", "man"] {
        // Below, the kernel or the C library cannot start any program; above, there is room.
        let sweep = (4..80).map(|mebibytes| limited(&format!("-v {}", mebibytes << 10), typed));
        let mut refused = 0;
        for (code, said) in sweep.skip_while(|(code, _)| code.is_none_or(|code| code > 2)) {
            assert!(code.is_some_and(|code| code <= 2) && !said.contains("allocation"), "{typed}: {code:?} {said}");
            refused += usize::from(code == Some(2) && said.contains("MiB of memory are needed"));
        }
        assert!(refused > 0, "{typed}");
    }
}
