//! Every recorded machine, and the whole report of it, held in fixtures/hosts/NAME.report.txt.
//!
//! `SNAPSHOTS=overwrite cargo test --test hosts` writes the reports anew. Then read each one against its machine: a test
//! can see that a sentence changed, not that it is true.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests list files and fail by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use snapbox::{Data, IntoData};
use support::{ROOT, Run, ended, entries, tunecheck};

const HOSTS: &str = "fixtures/hosts";
const REPORT: &str = ".report.txt";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (hosts, files): (Vec<PathBuf>, Vec<PathBuf>) =
        entries(Path::new(ROOT).join(HOSTS)).into_iter().partition(|path| path.is_dir());
    let names: Vec<String> = hosts.iter().map(|path| name(path)).collect();
    let strays: Vec<String> = files
        .iter()
        .map(|path| name(path))
        .filter(|file| file.strip_suffix(REPORT).is_none_or(|host| !names.iter().any(|name| name == host)))
        .collect();
    let mut trials: Vec<Trial> =
        names.iter().cloned().map(|host| Trial::test(host.clone(), move || reads_as_recorded(&host))).collect();
    trials.push(Trial::test("there_are_recordings_and_nothing_beside_them", move || {
        if names.is_empty() {
            return Err(format!("no machine is recorded below {HOSTS}").into());
        }
        if strays.is_empty() { Ok(()) } else { Err(format!("no recording belongs to {strays:?}").into()) }
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn reads_as_recorded(host: &str) -> Result<(), Failed> {
    let folder = format!("{HOSTS}/{host}");
    let run = ended(tunecheck().env("NO_COLOR", "1").env("COLUMNS", "100").args(["--snapshot", &folder]));
    if !run.stderr.is_empty() || run.code != Some(gate(&run)) {
        return Err(format!("exit code {:?}, and on standard error: {}", run.code, run.stderr).into());
    }
    // Held byte by byte: in text that is not raw, snapbox takes "..." and "[..]" for wildcards.
    let expected = Data::read_from(&Path::new(ROOT).join(format!("{folder}{REPORT}")), None).raw();
    snapbox::Assert::new()
        .action_env("SNAPSHOTS")
        .normalize_paths(false)
        .try_eq(Some(&host), run.stdout.into_data(), expected)
        .map_err(|difference| difference.to_string().into())
}

/// The exit code that the summary in the last line of the report asks for.
fn gate(run: &Run) -> i32 {
    let summary = run.stdout.trim_end().lines().next_back().unwrap_or_default();
    i32::from(!summary.starts_with("0 fail"))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}
