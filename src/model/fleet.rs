//! Many audits of one machine side by side: the machine itself, then what runs on it apart.

use super::fact::Scope;
use super::finding::{Finding, Outcome};
use super::report::Report;

/// Containers and network namespaces in which the same was found.
#[derive(Clone, Debug)]
pub struct Section {
    /// What they are called.
    pub names: Vec<String>,
    /// The report of the first of them: figures of use are those of that one.
    pub report: Report,
}

/// The report of a machine and of everything on it.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// The machine itself.
    pub host: Report,
    /// Worst first.
    pub sections: Vec<Section>,
    /// Targets that ended while they were read: nothing is said of them.
    pub ended: usize,
    /// Targets that could not be audited, for the reasons in the notes.
    pub failed: usize,
    /// Targets beyond those that are audited at once.
    pub left_out: usize,
    /// Whether there may be more that could not be seen.
    pub partial: bool,
    /// What the reader has to know about the whole, one sentence each.
    pub notes: Vec<String>,
}

impl Section {
    /// What it finds that is its own, not the machine's.
    pub fn own(&self) -> impl Iterator<Item = &Finding> {
        self.report.findings.iter().filter(|finding| finding.scope != Scope::Host)
    }

    fn badness(&self) -> [usize; 3] {
        [Outcome::Fail, Outcome::Warn, Outcome::Unknown]
            .map(|outcome| self.own().filter(|finding| finding.outcome == outcome).count())
    }
}

/// Whether two targets of a machine say the same: each rule the same outcome for the same value. Where a limit holds, how much
/// of it is in use makes no difference.
pub fn says_the_same(one: &Report, other: &Report) -> bool {
    fn said(finding: &Finding) -> impl PartialEq + '_ {
        let in_use = finding.outcome == Outcome::Pass && (finding.share.is_some() || finding.want.limit.is_some());
        let now = if in_use { None } else { finding.now.as_ref() };
        (finding.rule, &finding.subject, finding.outcome, now, finding.want.limit)
    }
    one.findings.len() == other.findings.len()
        && one.place.kind == other.place.kind
        && one.findings.iter().zip(&other.findings).all(|(a, b)| said(a) == said(b))
}

impl Fleet {
    /// Every report, the machine's first.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        std::iter::once(&self.host).chain(self.sections.iter().map(|section| &section.report))
    }

    /// Targets that were audited.
    pub fn targets(&self) -> usize {
        self.sections.iter().map(|section| section.names.len()).sum()
    }

    /// Puts what is worst first. Among equals the order stays.
    pub fn sort(&mut self) {
        self.sections.sort_by_key(|section| std::cmp::Reverse(section.badness()));
    }

    /// Takes these rules out of every gate. A waiver that meets nothing anywhere is noted.
    pub fn waive(&mut self, rules: &[String]) {
        for rule in rules {
            let reports =
                std::iter::once(&mut self.host).chain(self.sections.iter_mut().map(|section| &mut section.report));
            let waived: usize = reports.map(|report| report.waive_rule(rule)).sum();
            if waived == 0 {
                self.notes.push(format!("The waiver of {rule} met nothing."));
            }
        }
        self.sort();
    }
}
