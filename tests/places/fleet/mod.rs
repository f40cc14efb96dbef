//! Everything on a machine in one report, and one process of it by whatever name it goes.

mod containers;
mod crowd;
mod inside;
mod pods;
mod strangers;

use serde_json::Value;

use crate::harness::{Place, Scene};
use crate::report::{Report, Run};

pub(crate) const PLACES: &[&[Place]] =
    &[containers::PLACES, pods::PLACES, strangers::PLACES, crowd::PLACES, inside::PLACES];

/// The answer to `--all --format json`.
pub(crate) struct Fleet(Value);

impl Fleet {
    /// Of a run that went well: nothing on standard error, every report in it whole, the exit code that of its gate.
    pub(crate) fn of(run: &Run) -> Self {
        assert_eq!(run.stderr, "", "exit code {:?}", run.code);
        let fleet = Self(serde_json::from_str(&run.stdout).unwrap());
        assert_eq!(fleet.0["schema"], "tunecheck.fleet/v1");
        let reports = std::iter::once(&fleet.0["host"]).chain(fleet.sections().map(|section| &section["report"]));
        let gates: Vec<i32> = reports.map(|report| Report::parse(&report.to_string()).gate()).collect();
        assert_eq!(run.code, gates.into_iter().max());
        let names: usize = fleet.sections().map(|section| section["names"].as_array().unwrap().len()).sum();
        assert_eq!(fleet.summary("targets"), names as u64);
        fleet
    }

    pub(crate) fn read(scene: &Scene) -> Self {
        let mut command = scene.tunecheck();
        command.args(["--all", "--format", "json"]);
        Self::of(&Run::of(command))
    }

    pub(crate) fn document(&self) -> &Value {
        &self.0
    }

    pub(crate) fn sections(&self) -> impl Iterator<Item = &Value> {
        self.0["sections"].as_array().unwrap().iter()
    }

    pub(crate) fn summary(&self, key: &str) -> u64 {
        self.0["summary"][key].as_u64().unwrap()
    }

    /// The names and the report of the only section with a name that holds this text.
    pub(crate) fn section(&self, part: &str) -> (Vec<&str>, Report) {
        let names = |section: &'_ Value| -> Vec<String> {
            section["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
        };
        let found: Vec<&Value> =
            self.sections().filter(|section| names(section).iter().any(|name| name.contains(part))).collect();
        let [section] = found.as_slice() else {
            panic!("{} sections with {part} in {:?}", found.len(), self.sections().map(names).collect::<Vec<_>>())
        };
        let names = section["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        (names, Report::parse(&section["report"].to_string()))
    }
}

/// What was found of the process, its network namespace and its cgroup, but for figures that move by themselves.
pub(crate) fn own(report: &Report) -> Vec<String> {
    const RESTLESS: [&str; 3] = ["cgroup.memory.working_set", "cgroup.pids.current", "process.fds"];
    let of_machine = |finding: &Value| finding["scope"] == "host" || finding["scope"] == "pidns";
    let restless = |finding: &Value| RESTLESS.contains(&finding["fact"].as_str().unwrap());
    let words = |finding: &Value| {
        let now = if restless(finding) { &Value::Null } else { &finding["now"] };
        let gap = &finding["gap"]["cause"];
        format!("{} {} {} {now} {} {gap}", finding["rule"], finding["subject"], finding["outcome"], finding["want"])
    };
    let mut own: Vec<String> = report.findings().filter(|finding| !of_machine(finding)).map(words).collect();
    own.sort_unstable();
    own
}

/// As much of a container's id as engines show.
pub(crate) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// The report of one target.
pub(crate) fn one(scene: &Scene, target: &[&str]) -> Report {
    let mut command = scene.tunecheck();
    command.args(target).args(["--format", "json"]);
    Run::of(command).report()
}

/// What a run that could not do its work said.
pub(crate) fn refused(scene: &Scene, target: &[&str]) -> String {
    let mut command = scene.tunecheck();
    command.args(target);
    Run::of(command).complaint().to_owned()
}
