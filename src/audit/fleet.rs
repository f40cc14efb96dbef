//! A machine and everything on it that has a network namespace or a container of its own.

use std::collections::{BTreeMap, BTreeSet};

use super::{Beside, NothingReadable, Told, audit_over};
use crate::host::{Host, Of, Survey, each};
use crate::model::bounds;
use crate::model::fleet::{Fleet, Section, says_the_same};
use crate::model::report::Report;
use crate::model::workload::Workload;
use crate::rules::RuleSet;

/// Audits the machine, then each subject by the process that stands for it. Those in which the same is found are one
/// section, as soon as it is found: a thousand pods take no more memory than their differences.
///
/// # Errors
/// [`NothingReadable`], of the machine itself. A subject that ends is counted.
pub(crate) fn fleet(
    host: &dyn Host,
    survey: &Survey,
    rules: &RuleSet,
    workload: &Workload,
    told: Told,
) -> Result<Fleet, NothingReadable> {
    let host = audit_over(host, rules, workload, Beside::default(), told)?;
    let mut fleet = Fleet {
        host,
        sections: Vec::new(),
        ended: 0,
        failed: 0,
        left_out: survey.left_out,
        partial: survey.is_partial(),
        notes: notes(survey),
    };
    let audit = |at: usize, of: &Of| {
        let unnamed = survey.subjects.get(at).is_some_and(|subject| !subject.meant);
        let report = audit_over(of, rules, workload, Beside { unnamed, ..Beside::default() }, told);
        // What is read of a process that ends is not what it was.
        of.lives().then_some(report)
    };
    let mut folded = Folded::default();
    let mut failed = BTreeMap::new();
    each(survey, audit, |at, audited| match audited {
        Ok(None | Some(None)) => fleet.ended += 1,
        Ok(Some(Some(Ok(mut report)))) => {
            // These are told once, for the machine.
            report.notes.retain(|note| !fleet.host.notes.contains(note));
            folded.add(at, report);
        }
        Ok(Some(Some(Err(nothing)))) => _ = failed.insert(at, nothing.to_string()),
        Err(refusal) => _ = failed.insert(at, refusal.to_string()),
    });
    let name = |at: usize| survey.subjects.get(at).map_or_else(String::new, |subject| subject.name.clone());
    fleet.failed = failed.len();
    fleet.notes.extend(failed.into_iter().map(|(at, why)| format!("{} was not audited: {why}.", name(at))));
    fleet.sections = folded.sections(name);
    fleet.sort();
    Ok(fleet)
}

/// Reports in which the same is found are one, in whatever order they come.
#[derive(Default)]
struct Folded(Vec<(BTreeSet<usize>, Report)>);

impl Folded {
    fn add(&mut self, at: usize, report: Report) {
        match self.0.iter_mut().find(|(_, first)| says_the_same(first, &report)) {
            Some((all, first)) => {
                // The figures are those of the first.
                if all.first().is_some_and(|known| at < *known) {
                    *first = report;
                }
                all.insert(at);
            }
            None => self.0.push((BTreeSet::from([at]), report)),
        }
    }

    /// In the order of the survey.
    fn sections(mut self, name: impl Fn(usize) -> String) -> Vec<Section> {
        self.0.sort_by_key(|(all, _)| all.first().copied());
        let section = |(all, report): (BTreeSet<usize>, Report)| {
            let names = all.into_iter().map(&name).collect();
            Section { names, report }
        };
        self.0.into_iter().map(section).collect()
    }
}

fn notes(survey: &Survey) -> Vec<String> {
    let mut notes = Vec::new();
    if survey.left_out > 0 {
        notes.push(format!(
            "{} containers and network namespaces were not looked at: {} are audited at once. --name NAME --all \
             takes those of one name.",
            survey.left_out,
            bounds::TARGETS
        ));
    }
    if survey.hidden {
        notes.push(
            "This /proc hides the processes of other users (hidepid): what they run is not in this report. Root sees them."
                .to_owned(),
        );
    }
    if survey.unread > 0 {
        notes.push(format!(
            "{} processes could not be read: what they run in is not in this report unless others run there.",
            survey.unread
        ));
    }
    if survey.unseen > 0 {
        notes.push(format!(
            "Of {} processes the network namespace may not be seen by this user{}.",
            survey.unseen,
            if survey.as_root { "" } else { ": root sees it" }
        ));
    }
    if let Some(refusal) = &survey.nameless {
        notes.push(format!(
            "The names of network namespaces could not be read ({refusal}): those in which no process runs are not in this report."
        ));
    }
    if !survey.empty.is_empty() {
        notes.push(format!(
            "Named network namespaces in which no process runs were not looked at: {}.",
            survey.empty.join(", ")
        ));
    }
    notes
}
