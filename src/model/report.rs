//! One audit, ready to be printed.

use super::finding::{Finding, Outcome};
use super::place::Place;
use super::workload::Workload;

/// What was audited and how it looked.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was read: `live`, or the snapshot, tree or dump.
    pub source: String,
    /// The host name, if it is known.
    pub node: Option<String>,
    /// The kernel release, as the kernel prints it.
    pub kernel: Option<String>,
    /// CPUs online.
    pub cpus: Option<i128>,
    /// Memory in bytes.
    pub memory: Option<i128>,
    /// Where the audit stood.
    pub place: Place,
    /// The declared load.
    pub workload: Workload,
    /// How long counters were looked at, in milliseconds; none where they were read once.
    pub window: Option<u64>,
    /// What the reader has to know about the whole report, one sentence each.
    pub notes: Vec<String>,
    /// What the rules say, worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Takes these rules out of every gate. A waiver that meets nothing is noted: it may be a typing error, or no longer
    /// needed.
    pub fn waive(&mut self, rules: &[String]) {
        for rule in rules {
            if self.waive_rule(rule) == 0 {
                self.notes.push(format!("The waiver of {rule} met nothing."));
            }
        }
    }

    /// Takes one rule out of every gate, and gives how many findings that met.
    pub(super) fn waive_rule(&mut self, rule: &str) -> usize {
        let found = self.findings.iter_mut().filter(|finding| finding.rule == rule);
        let needed = found.filter(|finding| finding.outcome >= Outcome::Unknown);
        let waived = needed.map(|finding| finding.outcome = Outcome::Waived).count();
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.outcome));
        waived
    }

    /// How many findings have this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }
}
