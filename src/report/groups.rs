//! Findings of one rule that say the same, told as one.

use crate::model::finding::Finding;

/// Subjects named before the rest is counted.
const NAMED: usize = 3;

/// Findings of one rule that say the same.
pub(super) struct Group<'a> {
    pub(super) first: &'a Finding,
    pub(super) subjects: Vec<&'a str>,
}

/// The groups, in the order of their first finding.
pub(super) fn groups(findings: &[Finding]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for finding in findings {
        let same = |group: &&mut Group<'_>| {
            let other = group.first;
            (&other.rule, other.outcome, &other.now, &other.want.text, &other.reason)
                == (&finding.rule, finding.outcome, &finding.now, &finding.want.text, &finding.reason)
        };
        match groups.iter_mut().rev().find(same) {
            Some(group) => group.subjects.extend(finding.subject.as_deref()),
            None => groups.push(Group { first: finding, subjects: finding.subject.as_deref().into_iter().collect() }),
        }
    }
    groups
}

impl Group<'_> {
    /// The subjects, the first few by name.
    pub(super) fn subjects(&self, separator: &str) -> String {
        let named: Vec<&str> = self.subjects.iter().take(NAMED).copied().collect();
        let more = self.subjects.len().saturating_sub(NAMED);
        let rest = if more > 0 { format!("{separator}and {more} more") } else { String::new() };
        named.join(separator) + &rest
    }
}
