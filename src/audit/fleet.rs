//! A machine and everything on it that has a network namespace or a container of its own.

use super::{Beside, NothingReadable, Told, audit_over};
use crate::host::{Host, Survey};
use crate::model::bounds;
use crate::model::fleet::{Fleet, Section};
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
    for subject in &survey.subjects {
        let of = match subject.open() {
            Ok(Some(of)) => of,
            Ok(None) => {
                fleet.ended += 1;
                continue;
            }
            Err(refusal) => {
                fleet.failed += 1;
                fleet.notes.push(format!("{} was not audited: {refusal}.", subject.name));
                continue;
            }
        };
        let beside = Beside { unnamed: !subject.meant, ..Beside::default() };
        let report = audit_over(&of, rules, workload, beside, told);
        match report {
            // What is read of a process that ends is not what it was.
            _ if !of.lives() => fleet.ended += 1,
            Ok(mut report) => {
                // These are told once, for the machine.
                report.notes.retain(|note| !fleet.host.notes.contains(note));
                let name = subject.name.clone();
                match fleet.sections.iter_mut().find(|section| section.covers(&report)) {
                    Some(section) => section.names.push(name),
                    None => fleet.sections.push(Section { names: vec![name], report }),
                }
            }
            Err(nothing) => {
                fleet.failed += 1;
                fleet.notes.push(format!("{} was not audited: {nothing}.", subject.name));
            }
        }
    }
    fleet.sort();
    Ok(fleet)
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
