//! Running tunecheck, and reading its report.

use std::fmt;
use std::process::Command;

use serde_json::Value;

/// Facts about the whole machine that change while nobody does anything here.
const RESTLESS: &[&str] = &[
    "cgroup.memory.working_set",
    "cgroup.pids.current",
    "file.allocated",
    "process.fds",
    "sockstat.TCP.mem",
    "sockstat.TCP.orphan",
    "softnet.dropped",
    "softnet.time_squeeze",
    "tasks.count",
];

/// How a run ended, and what it said.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(mut command: Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// The report of a run that went well: whole, consistent in itself, and nothing on standard error but what -v says.
    pub(crate) fn report(&self) -> Report {
        assert!(self.stderr.lines().all(|line| line.starts_with("confined: ")), "{self:?}");
        let report = Report::parse(&self.stdout);
        assert_eq!(self.code, Some(report.gate()), "the exit code is that of the default gate");
        report
    }

    /// The only line of a run that could not do its work.
    pub(crate) fn complaint(&self) -> &str {
        assert!(self.code == Some(2) && self.stdout.is_empty(), "{self:?}");
        let line = self.stderr.strip_suffix('\n').expect("a whole line");
        assert!(line.starts_with("tunecheck: ") && !line.contains('\n'), "one line: {line:?}");
        line
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A report is long, and its beginning says what it is.
        let start: String = self.stdout.chars().take(600).collect();
        write!(f, "exit code {:?}\n{start}\n{}", self.code, self.stderr)
    }
}

/// A report in JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Report(Value);

impl Report {
    /// Reads a report, and holds it to what is true of every report.
    pub(crate) fn parse(text: &str) -> Self {
        let report = Self(serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}")));
        assert_eq!(report.0["schema"], "tunecheck.report/v1");
        for outcome in ["fail", "warn", "pass", "unknown", "not-applicable"] {
            let counted = report.findings().filter(|finding| finding["outcome"] == outcome).count();
            assert_eq!(report.0["summary"][outcome.replace('-', "_")], counted, "the summary counts {outcome}");
        }
        for finding in report.findings() {
            let reason = finding["reason"].as_str().unwrap();
            match finding["outcome"].as_str().unwrap() {
                "unknown" => {
                    assert!(finding["gap"]["cause"].is_string() && finding["gap"]["why"] != "", "{finding:#}");
                }
                "pass" => assert!(!finding["now"].is_null() || !reason.is_empty(), "passed for nothing: {finding:#}"),
                "not-applicable" => assert_ne!(reason, "", "{finding:#}"),
                _ => assert!(!finding["now"].is_null(), "{finding:#}"),
            }
        }
        report
    }

    /// The exit code of `--fail-on fail`.
    pub(crate) fn gate(&self) -> i32 {
        i32::from(self.0["summary"]["fail"] != 0)
    }

    pub(crate) fn place(&self, key: &str) -> &Value {
        &self.0["place"][key]
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = &Value> {
        self.0["findings"].as_array().unwrap().iter()
    }

    /// The only finding of a rule.
    pub(crate) fn finding(&self, rule: &str) -> &Value {
        let found: Vec<&Value> = self.findings().filter(|finding| finding["rule"] == rule).collect();
        match found.as_slice() {
            [finding] => finding,
            others => panic!("{} findings of {rule}: {others:#?}", others.len()),
        }
    }

    /// The finding of a rule for one subject.
    pub(crate) fn about(&self, rule: &str, subject: &str) -> &Value {
        let mut found = self.findings().filter(|finding| finding["rule"] == rule && finding["subject"] == subject);
        found.next().unwrap_or_else(|| panic!("no finding of {rule} about {subject} in {:#}", self.0["findings"]))
    }

    /// Every subject of a rule.
    pub(crate) fn subjects(&self, rule: &str) -> Vec<&str> {
        let found = self.findings().filter(|finding| finding["rule"] == rule);
        found.filter_map(|finding| finding["subject"].as_str()).collect()
    }

    /// Outcomes by rule, of the rules without subjects.
    pub(crate) fn outcomes(&self) -> Vec<(&str, &str)> {
        let alone = self.findings().filter(|finding| finding["subject"].is_null());
        let mut outcomes: Vec<_> =
            alone.map(|finding| (finding["rule"].as_str().unwrap(), finding["outcome"].as_str().unwrap())).collect();
        outcomes.sort_unstable();
        outcomes
    }

    pub(crate) fn notes(&self) -> &Value {
        &self.0["notes"]
    }

    /// The report without these fields of it or of its findings.
    pub(crate) fn without(mut self, fields: &[&str]) -> Self {
        for field in fields {
            self.0.as_object_mut().unwrap().remove(*field);
            for finding in self.0["findings"].as_array_mut().unwrap() {
                finding.as_object_mut().unwrap().remove(*field);
            }
        }
        self
    }

    /// The report without what rules of this name or beginning found.
    pub(crate) fn without_rules(mut self, start: &str) -> Self {
        let findings = self.0["findings"].as_array_mut().unwrap();
        findings.retain(|finding| !finding["rule"].as_str().unwrap().starts_with(start));
        self
    }

    /// The report without the figures that change by themselves, and without the sentences that hold them.
    pub(crate) fn at_rest(mut self) -> Self {
        let restless = |fact: &Value| RESTLESS.contains(&fact.as_str().unwrap());
        for finding in self.0["findings"].as_array_mut().unwrap() {
            let mut stirred = restless(&finding["fact"]);
            for proof in finding["evidence"].as_array_mut().unwrap() {
                // How much traffic a total stands beside.
                if let Some((total, _)) = proof["says"].as_str().and_then(|says| says.split_once(", beside ")) {
                    proof["says"] = total.to_owned().into();
                }
                if restless(&proof["fact"]) {
                    stirred = true;
                    proof["value"].take();
                    proof["says"].take();
                }
            }
            if restless(&finding["fact"]) {
                finding["now"].take();
                finding["share_percent"].take();
            }
            if stirred {
                finding["says"].take();
            }
        }
        self
    }
}

/// Fails with the first difference, where two whole reports side by side would be too much to read.
#[track_caller]
pub(crate) fn assert_same(one: &Report, other: &Report) {
    fn differ(at: &str, one: &Value, other: &Value) -> Option<String> {
        match (one, other) {
            (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
                a.iter().find_map(|(key, value)| differ(&format!("{at}.{key}"), value, b.get(key)?))
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let name = |value: &Value| value["rule"].as_str().unwrap_or_default().to_owned();
                a.iter().zip(b).find_map(|(a, b)| differ(&format!("{at}/{}", name(a)), a, b))
            }
            _ => (one != other).then(|| format!("{at}: {one} != {other}")),
        }
    }
    if let Some(difference) = differ("", &one.0, &other.0) {
        panic!("{difference}");
    }
    assert_eq!(one, other);
}
