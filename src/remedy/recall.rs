//! Actions out of a recorded report: the changes are taken from it and checked against the rule, the words are made
//! anew. So a report that somebody tampered with can ask for nothing that its rules would not, and says nothing.

use thiserror::Error;

use super::sysctl::most;
use super::{Situation, advice, forms, nofile, place, removal_at, resolver};
use crate::model::action::{Action, RecordedEdit, Site, SysctlEdit};
use crate::model::fact::Value;
use crate::model::fix::Change;
use crate::model::ports::Ports;
use crate::model::rule::Rule;

/// Largest hard limit on open files that the kernel takes.
const MOST_FILES: i128 = 2_147_483_584;

/// A recorded change that its rule does not make.
#[derive(Debug, Error)]
pub enum Unfit {
    /// The rule has no such change.
    #[error("rule {rule} makes no such change: {what}")]
    Foreign {
        /// The rule.
        rule: &'static str,
        /// The change.
        what: String,
    },
    /// The value is none that the rule asks for, or none that the kernel takes.
    #[error("rule {rule}: {what}")]
    Value {
        /// The rule.
        rule: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// The actions that a rule's recorded change stands for in this place.
///
/// # Errors
/// [`Unfit`] if it is no change that the rule makes.
pub fn recall(rule: &Rule, recorded: RecordedEdit, situation: Situation<'_>) -> Result<Vec<Action>, Unfit> {
    let foreign = |what: String| Unfit::Foreign { rule: rule.id, what };
    Ok(match recorded {
        RecordedEdit::Sysctl { name, old, new, boot_line, tuned } => {
            let fix = rule.fix.sysctl.iter().find(|fix| fix.name == name);
            let fix = fix.ok_or_else(|| foreign(format!("the sysctl {name}")))?;
            let new = as_asked(&fix.change, new, old.as_ref(), &name)
                .map_err(|what| Unfit::Value { rule: rule.id, what: format!("{name}: {what}") })?;
            let old = old.map(|old| ports_if(&fix.change, old));
            let edit = SysctlEdit { old, boot_line, tuned, ..forms::edit(rule, fix, new, situation) };
            forms::actions(rule, edit, situation)
        }
        RecordedEdit::Nofile(edit) => {
            if rule.fix.nofile.is_none() {
                return Err(foreign("the limit on open files".to_owned()));
            }
            let grows = edit.soft >= edit.old_soft && (edit.hard >= edit.old_hard || edit.hard == MOST_FILES);
            let taken = 0 < edit.soft && edit.soft <= edit.hard && edit.hard <= MOST_FILES;
            if !(grows && taken) {
                let what = format!("{}:{} cannot be limits on open files here", edit.soft, edit.hard);
                return Err(Unfit::Value { rule: rule.id, what });
            }
            vec![nofile::form(rule, edit, situation)]
        }
        RecordedEdit::Ndots => match rule.fix.ndots {
            Some(ndots) => vec![resolver(rule, ndots)],
            None => return Err(foreign("ndots".to_owned())),
        },
        RecordedEdit::RemoveLine { at } => match rule.fix.remove {
            Some(name) => vec![removal_at(rule, name, &at, situation)],
            None => return Err(foreign(format!("the removal of {at}"))),
        },
        RecordedEdit::Advice { application, lines } => {
            let (site, who) = match application {
                true => (Site::Application, "the application's owner"),
                false => (Site::Owner, place::owner(situation.place)),
            };
            vec![Action { lines, ..advice(rule, site, who, String::new()) }]
        }
        // The sysctl brings it along.
        RecordedEdit::AllowUnsafe => Vec::new(),
    })
}

/// The value, if the rule's change can lead to it from the old one and the kernel takes it.
fn as_asked(change: &Change, new: Value, old: Option<&Value>, name: &str) -> Result<Value, String> {
    let refused = || Err(format!("{} is not what it asks for", new.plain().chars().take(60).collect::<String>()));
    match (change, &new) {
        (Change::Raise(_), Value::Number(number)) => match old.map(Value::limit) {
            Some(None) => Err("the former value is no number".to_owned()),
            Some(Some(old)) if old >= *number => Err(format!("{number} is not more than {old}")),
            _ if *number < 1 || *number > most(name) => Err(format!("the kernel does not take {number}")),
            _ => Ok(new),
        },
        (Change::Set(value), _) if *value == new => Ok(new),
        (Change::Widen(..), Value::Numbers(ends)) => {
            let old: Option<&[i128]> = match old {
                Some(Value::Numbers(old)) => Some(old),
                _ => None,
            };
            match (ends.as_slice(), old) {
                (&[low, high], Some(&[old_low, old_high]))
                    if (1..=65535).contains(&low)
                        && high <= 65535
                        && low <= old_low
                        && high >= old_high
                        && low <= high =>
                {
                    Ok(new)
                }
                _ => refused(),
            }
        }
        (Change::Add(_), Value::Text(_) | Value::Number(_) | Value::Ports(_)) => {
            let ports = |value: &Value| value.plain().parse::<Ports>().ok();
            let (Some(list), Some(held)) = (ports(&new), old.and_then(ports)) else { return refused() };
            match held.difference(&list).is_empty() {
                true => Ok(Value::Ports(list)),
                false => Err(format!("{list} drops some of {held}")),
            }
        }
        _ => refused(),
    }
}

/// A port list that a report spells as text.
fn ports_if(change: &Change, value: Value) -> Value {
    match change {
        Change::Add(_) => value.plain().parse().map_or(value, Value::Ports),
        _ => value,
    }
}
