//! `tunecheck watch -- COMMAND` around real loads: the limit that a load meets is the one that is named, and no other.
//!
//! A load is a Python program beside this file. It waits until a reading has seen what it did, so nothing depends on how
//! busy the machine is.

pub(crate) mod connections;
pub(crate) mod handshakes;
pub(crate) mod passing;
pub(crate) mod quota;
pub(crate) mod sampling;
pub(crate) mod steady;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::{Need, Scene, program};
use crate::report::Run;

const NEEDS: &[Need] = &[Need::Root, Need::Program("ip"), Need::Program("python3")];

/// Network, mounts and processes of its own: limits that others on this machine meet are not seen.
const ALONE: &[&str] =
    &["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// What a run under watch came to.
struct Watched {
    verdict: Value,
    /// What the load printed.
    told: Value,
}

impl Watched {
    /// Runs a load under watch, which has to end well.
    fn load(scene: &Scene, name: &str) -> Self {
        Self::of(scene, watch(scene, &[], name))
    }

    /// Runs `tunecheck watch` around a load.
    fn of(scene: &Scene, command: Command) -> Self {
        let run = Run::of(command);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
        let told = fs::read_to_string(readings(scene)).unwrap();
        let verdict: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        assert_eq!((&verdict["schema"], &verdict["exit_code"]), (&"tunecheck.verdict/v1".into(), &0.into()));
        let told = serde_json::from_str(&run.stdout).unwrap_or(Value::Null);
        Self { verdict, told }
    }

    /// The only limit that was hit.
    #[track_caller]
    fn only_hit(&self, limit: &str) -> &Value {
        let hit = self.verdict["hit"].as_array().unwrap();
        let named: Vec<(&Value, &Value)> = hit.iter().map(|trace| (&trace["limit"], &trace["subject"])).collect();
        assert!(hit.len() == 1 && hit[0]["limit"] == limit, "{limit}, not {named:?}: {:#}", self.verdict);
        &hit[0]
    }

    #[track_caller]
    fn no_hit(&self) {
        assert_eq!(self.verdict["hit"], Value::Array(Vec::new()), "{:#}", self.verdict);
    }
}

/// How far a counter rose.
#[track_caller]
fn rise(trace: &Value, fact: &str) -> u64 {
    let rises = trace["rises"].as_array().unwrap();
    let rise = rises.iter().find(|rise| rise["fact"] == fact);
    rise.unwrap_or_else(|| panic!("{fact} did not rise: {trace:#}"))["by"].as_u64().unwrap()
}

/// Peak use, the limit, and the share of it in percent.
fn peak(trace: &Value) -> [Option<u64>; 3] {
    ["peak", "peak_of", "peak_share_percent"].map(|key| trace[key].as_u64())
}

fn readings(scene: &Scene) -> PathBuf {
    scene.folder.join("readings")
}

/// `tunecheck watch` around a load, which finds the readings where `READINGS` says.
fn watch(scene: &Scene, options: &[&str], load: &str) -> Command {
    let mut command = scene.tunecheck();
    command.args(["watch", "--interval", "50ms", "--settle", "100ms", "--format", "ndjson", "--output"]);
    command.arg(readings(scene)).args(options).arg("--").args(python(load));
    command.env("READINGS", readings(scene));
    command
}

/// What to run for a load.
fn python(load: &str) -> [OsString; 3] {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/places/watch").join(load);
    // Without compiled modules, which would be written beside the loads.
    [program("python3").get_program().to_owned(), "-B".into(), file.into()]
}

/// Writes a sysctl of this network namespace.
fn set(name: &str, value: &str) {
    fs::write(Path::new("/proc/sys").join(name.replace('.', "/")), value).unwrap();
}

/// A counter of `TcpExt` in this network namespace.
fn counter(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/net/netstat").unwrap();
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: ")).map(|line| line.split(' '));
    let (names, values) = (lines.next().unwrap(), lines.next().unwrap());
    names.zip(values).find(|(other, _)| *other == name).unwrap().1.parse().unwrap()
}
