//! Steps that others of the same plan make needless.

use super::plan::Plan;
use crate::model::action::{Edit, How};
use crate::model::check::Check;
use crate::model::fact::Value;
use crate::model::rule::Rule;

/// Takes out what a plan need not do. `urgent` are the rules that warn or fail.
pub(super) fn drop(plan: &mut Plan, urgent: &[&Rule]) {
    let idle: Vec<&str> = urgent.iter().filter(|rule| is_switched_off(rule, plan)).map(|rule| rule.id).collect();
    plan.steps.retain(|step| !step.rules.iter().all(|rule| idle.contains(rule)));
    // fs.nr_open need not reach a limit that comes down.
    let lowered: Vec<Value> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action.edit {
            Edit::LowerNofile(edit) => Some(Value::Number(edit.old_hard)),
            _ => None,
        })
        .collect();
    let reaches =
        |edit: &Edit| matches!(edit, Edit::Sysctl(edit) if edit.name == "fs.nr_open" && lowered.contains(&edit.new));
    plan.steps.retain(|step| !reaches(&step.action.edit));
    for counter in urgent.iter().filter(|rule| is_counter(rule)) {
        let causes: Vec<&str> =
            urgent.iter().filter(|rule| !is_counter(rule) && is_cause(rule, counter)).map(|rule| rule.id).collect();
        let mends = |rules: &[&str]| rules.iter().any(|rule| causes.contains(rule));
        if !plan.steps.iter().any(|step| mends(&step.rules)) {
            continue;
        }
        plan.steps.retain(|step| step.action.edit != Edit::Advice || step.rules != [counter.id]);
        for step in plan.steps.iter_mut().filter(|step| mends(&step.rules) && !step.rules.contains(&counter.id)) {
            step.rules.push(counter.id);
        }
    }
}

/// A total that has risen asks for nothing that the limit behind it does not.
fn is_counter(rule: &Rule) -> bool {
    matches!(rule.check, Check::NotRising { .. })
}

/// Whether a rule judges the limit behind a counter: it shows that counter, or both are about one limit.
fn is_cause(rule: &Rule, counter: &Rule) -> bool {
    let limit = |rule: &Rule| rule.watch.as_ref().map(|watch| watch.limit);
    rule.evidence.iter().any(|evidence| evidence.fact == counter.fact)
        || (limit(counter).is_some() && limit(rule) == limit(counter))
}

/// Whether a rule does not apply any more once the plan has set its switches.
fn is_switched_off(rule: &Rule, plan: &Plan) -> bool {
    rule.when.iter().any(|condition| {
        let name = condition.fact.strip_prefix("sysctl.");
        plan.steps.iter().any(|step| match &step.action.edit {
            Edit::Sysctl(edit) if edit.how == How::Set && Some(edit.name.as_str()) == name => {
                !condition.test.holds(&edit.new)
            }
            _ => false,
        })
    })
}
