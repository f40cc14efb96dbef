//! Findings of one rule that say the same, told as one.

use std::borrow::Cow;

use crate::model::fact::Gap;
use crate::model::finding::Finding;

/// Subjects named before the rest is counted.
const NAMED: usize = 3;

/// Findings of one rule that say the same.
pub(super) struct Group<'a> {
    pub(super) first: &'a Finding,
    /// The subjects, each with the process that holds it, else with the unit that made it, if that is known.
    pub(super) subjects: Vec<Cow<'a, str>>,
}

/// The groups, in the order of their first finding.
pub(super) fn groups<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for finding in findings {
        let same = |group: &&mut Group<'_>| {
            let other = group.first;
            (&other.rule, other.outcome, &other.now, &other.want.text, &other.reason)
                == (&finding.rule, finding.outcome, &finding.now, &finding.want.text, &finding.reason)
                && (&other.says, &other.fix, unknown(other)) == (&finding.says, &finding.fix, unknown(finding))
        };
        // Findings of one rule and outcome stand together.
        match groups.iter_mut().rev().take_while(|group| group.first.rule == finding.rule).find(same) {
            Some(group) => group.subjects.extend(subject(finding)),
            None => groups.push(Group { first: finding, subjects: subject(finding).into_iter().collect() }),
        }
    }
    groups
}

/// Why it is not known who holds the socket of a finding.
fn unknown(finding: &Finding) -> Option<&Gap> {
    finding.listener.as_ref()?.process.as_ref().err()
}

fn subject(finding: &Finding) -> Option<Cow<'_, str>> {
    let subject = finding.subject.as_deref()?;
    let listens = finding.listener.as_ref();
    let process = listens.and_then(|listener| listener.process.as_ref().ok());
    Some(match process.or_else(|| listens?.unit.as_ref()) {
        Some(who) => format!("{subject} {who}").into(),
        None => subject.into(),
    })
}

impl Group<'_> {
    /// The subjects: all of them, or the first few and how many more.
    pub(super) fn subjects(&self, separator: &str, all: bool) -> String {
        let count = if all { self.subjects.len() } else { NAMED };
        let named: Vec<&str> = self.subjects.iter().take(count).map(Cow::as_ref).collect();
        let more = self.subjects.len().saturating_sub(count);
        let rest = if more > 0 { format!("{separator}and {more} more") } else { String::new() };
        named.join(separator) + &rest
    }
}
