//! What several tests share: the binary in a known environment, and folders of their own to write in.

#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests prepare files and fail by panicking"
)]

pub(crate) mod work;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use snapbox::cmd::Command;

/// The repository.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tunecheck");
/// The output of `sysctl -a` in a fresh network namespace, random values and names taken out.
pub(crate) const WHOLE_DUMP: &str = "fixtures/dumps/whole.txt";
/// What an unprivileged user got with `sysctl -a 2>&1 | grep ...`.
pub(crate) const PARTIAL_DUMP: &str = "fixtures/dumps/partial.txt";

/// The binary, started in the repository with nothing in its environment that changes how a report looks.
pub(crate) fn tunecheck() -> Command {
    ["NO_COLOR", "COLUMNS", "TERM"]
        .into_iter()
        .fold(Command::new(BINARY), |command, name| command.env_remove(name))
        .current_dir(ROOT)
        .timeout(Duration::from_secs(20))
}

/// How a run ended and what it printed.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end. Output that is not UTF-8 fails the test.
pub(crate) fn ended(command: Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs tunecheck with these arguments.
pub(crate) fn run(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    ended(tunecheck().args(args))
}

/// Runs tunecheck with these arguments and `--format json`.
pub(crate) fn json(args: &[&str]) -> serde_json::Value {
    let run = run(args.iter().copied().chain(["--format", "json"]));
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr))
}

/// An empty folder below target/ that only the test of this name uses.
pub(crate) fn scratch(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The paths in a folder, sorted; none if there is no such folder.
pub(crate) fn entries(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Every recorded machine below fixtures/hosts, relative to the repository.
pub(crate) fn recorded_hosts() -> Vec<String> {
    let hosts = entries(Path::new(ROOT).join("fixtures/hosts"));
    let recordings = hosts.iter().filter(|path| path.join("manifest.json").is_file());
    recordings.map(|path| path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned()).collect()
}

/// A case below fixtures/cases as a recording: a recorded machine, `on` by its name below fixtures/hosts, on which some
/// `answers` are others.
#[allow(clippy::indexing_slicing, reason = "a case without its keys fails the test")]
pub(crate) fn case(name: &str) -> PathBuf {
    let read = |path: PathBuf| -> serde_json::Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let case = read(Path::new(ROOT).join(format!("fixtures/cases/{name}.json")));
    let host = Path::new(ROOT).join("fixtures/hosts").join(case["on"].as_str().unwrap());
    let mut manifest = read(host.join("manifest.json"));
    let answers = manifest["answers"].as_array_mut().unwrap();
    for answer in case["answers"].as_array().unwrap() {
        answers.retain(|known| (&known["ask"], &known["of"]) != (&answer["ask"], &answer["of"]));
        answers.push(answer.clone());
    }
    let folder = scratch(&format!("case-{name}"));
    for file in answers.iter().filter_map(|answer| answer["file"].as_str()) {
        fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
        fs::copy(host.join(file), folder.join(file)).unwrap();
    }
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    folder
}
