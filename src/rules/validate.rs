//! Checks that a rule speaks of facts and of rows of the manual that exist, and compares like with like.

use super::Problem;
use crate::model::catalogue::Catalogue;
use crate::model::check::Check;
use crate::model::fact::Unit;
use crate::model::facts::Name;
use crate::model::rule::{Doc, Rule};
use crate::model::text::distance;

/// Everything that is wrong with a rule that parsed; `text` is its file, for the lines.
pub(super) fn check(rule: &Rule, doc: &Doc, text: &str, catalogue: &Catalogue) -> Vec<Problem> {
    let mut problems = Vec::new();
    let given = doc.examples.iter().flat_map(|example| example.given.iter().map(|(name, _)| Name::from(*name)));
    let wanted: Vec<Name> = rule.judged_by().into_iter().map(Name::from).chain(rule.mended_by()).collect();
    let mut names: Vec<Name> = wanted.iter().cloned().chain(given).collect();
    names.sort_unstable();
    names.dedup();
    for name in &names {
        if catalogue.find(name).is_none() {
            let near = nearest(name, catalogue).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let what = format!("there is no fact {name}{near} (tunecheck rules facts lists them)");
            problems.push(Problem::at(text, name, what));
        }
    }
    let unit = |name: &str| catalogue.find(name).map(|entry| entry.unit);
    if let Some(ours) = unit(rule.fact) {
        for other in rule.check.facts() {
            match unit(other) {
                Some(theirs) if theirs != ours && ours != Unit::Text && theirs != Unit::Text => {
                    let what = format!("{} is in {ours}, {other} in {theirs}: they cannot be compared", rule.fact);
                    problems.push(Problem::at(text, other, what));
                }
                _ => {}
            }
        }
    }
    let judges_subjects = rule.fact.contains("[*]");
    for name in &wanted {
        if name.contains("[*]") && !judges_subjects {
            let what = format!("{name} has a subject, and the rule's fact {} has none", rule.fact);
            problems.push(Problem::at(text, name, what));
        }
    }
    if let Check::Usage { warn, fail, .. } = rule.check
        && (warn == 0 || fail.is_some_and(|fail| warn > fail))
    {
        problems.push(Problem::at(text, "usage:", "usage needs 0 < warn <= fail, in percent"));
    }
    if let Some(what) = (!rule.manual.is_empty()).then(|| super::manual().fault(rule.manual)).flatten() {
        let what = format!("{what} (tunecheck explain manual prints them)");
        problems.push(Problem::at(text, "manual:", what));
    }
    problems.sort_by_key(|problem| problem.line);
    problems
}

/// The known name that is the fewest changes away, if they are few enough to be a slip.
fn nearest<'a>(name: &str, catalogue: &'a Catalogue) -> Option<&'a str> {
    let near = |known: &&str| distance(name, known);
    let best = catalogue.entries().iter().map(|entry| entry.name).min_by_key(near)?;
    (near(&best) * 2 < name.len()).then_some(best)
}
