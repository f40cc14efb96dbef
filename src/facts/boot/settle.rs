//! What a variable is once every line was written: refused lines change nothing, a line for one variable may move
//! another one.

use std::collections::BTreeMap;

use super::super::parse_sysctl;
use super::lines::{Line, Order};
use crate::model::fact::{Cause, Gap, Reading, Value};
use crate::model::sysctl::variable::{Becomes, leads_to, names, variable};
use crate::model::sysctl::{known, value};
use crate::model::version::Version;

/// What a boot makes of a variable.
pub(super) struct Settled {
    /// The value, or why it is not known.
    pub(super) value: Reading,
    /// `file:line` of the line that gave it.
    pub(super) at: String,
    /// The name that this line writes; a pattern, another name of the variable, or one that moves it.
    pub(super) by: String,
    /// Whether its author asked to ignore that it fails.
    pub(super) quiet: bool,
}

/// A line that sets nothing, and why.
pub(super) struct Idle {
    pub(super) at: String,
    pub(super) why: String,
}

/// What the lines make of a variable, none if no line sets it; and the last line for it, if the kernel refuses
/// that.
pub(super) fn settle(
    order: &Order,
    of: &str,
    live: &Reading,
    kernel: Option<Version>,
) -> (Option<Settled>, Option<Idle>) {
    let mut variables = vec![of];
    variables.extend(leads_to(of).map(|lead| lead.of));
    let all: Vec<String> =
        variables.iter().flat_map(|variable| names(variable)).map(|name| name.into_owned()).collect();
    let mut state: BTreeMap<&str, Option<Value>> = BTreeMap::new();
    let mut settled: Option<Settled> = None;
    let mut idle = None;
    for (line, name) in order.writes(&variables, &all) {
        let (written, times) = variable(name);
        let Some(target) = variables.iter().copied().find(|known| *known == written) else { continue };
        let given = match doubtful(line, name) {
            Some(gap) => Err(gap),
            None => match taken(target, line, live_of(target, of, live), times, kernel) {
                Ok(value) => Ok(value),
                Err(Refusal::Unknown(gap)) => Err(gap),
                Err(Refusal::Refused(why)) => {
                    if target == of && !line.quiet {
                        idle = Some(Idle { at: line.at.clone(), why });
                    }
                    continue;
                }
            },
        };
        let became = given.as_ref().ok().cloned();
        let before = state.insert(target, became.clone());
        let settle_as =
            |value: Reading| Settled { value, at: line.at.clone(), by: line.name.clone(), quiet: line.quiet };
        if target == of {
            settled = Some(settle_as(given));
            // What an earlier line was to set would have been written over anyway.
            idle = None;
        }
        for moved in variables.iter().copied() {
            for lead in leads_to(moved).filter(|lead| lead.of == target) {
                let before = before.clone().unwrap_or(Some(Value::Number(lead.start)));
                if before == became && (lead.on_change || order.is_left_out(line, before.as_ref())) {
                    continue;
                }
                let value = match (lead.becomes, &became) {
                    (Becomes::Zero, _) => Ok(Value::Number(0)),
                    (Becomes::Same, Some(value)) => Ok(value.clone()),
                    (Becomes::Opposite, Some(value)) => Ok(Value::Number(i128::from(*value == Value::Number(0)))),
                    (_, None) => {
                        Err(Gap::new(Cause::Unsupported, format!("what {} makes of it is not known", line.at)))
                    }
                };
                state.insert(moved, value.as_ref().ok().cloned());
                if moved == of {
                    settled = Some(settle_as(value));
                }
            }
        }
    }
    (settled, idle)
}

/// The live value of the variable that is asked about; of another one nothing is known.
fn live_of<'a>(target: &str, of: &str, live: &'a Reading) -> Option<&'a Value> {
    live.as_ref().ok().filter(|_| target == of)
}

/// Why nobody knows whether a pattern means a name.
fn doubtful(line: &Line, name: &str) -> Option<Gap> {
    let why = || format!("whether {} at {} means {name} is not known", line.name, line.at);
    line.name.contains('[').then(|| Gap::new(Cause::Unsupported, why()))
}

enum Refusal {
    Refused(String),
    Unknown(Gap),
}

/// What the kernel makes of a line.
fn taken(
    name: &str,
    line: &Line,
    live: Option<&Value>,
    times: i128,
    kernel: Option<Version>,
) -> Result<Value, Refusal> {
    let text = line.value.as_deref().unwrap_or_default();
    if known::is_read_only(name, kernel) {
        return Err(Refusal::Refused(match name {
            "net.netfilter.nf_conntrack_buckets" => {
                "before Linux 4.7 it can only be read: the module's parameter hashsize sets it".to_owned()
            }
            _ => "it can only be read".to_owned(),
        }));
    }
    let refused = Refusal::Refused;
    if value::is_ports(name) {
        value::ports(text).map_err(refused)?;
    } else {
        let fields = match live {
            Some(Value::Number(_)) => 1,
            Some(Value::Numbers(numbers)) => numbers.len(),
            // Where nobody knows how many numbers it is, a text that is numbers all through is as many as it has.
            _ => 0,
        };
        if fields > 0 {
            let mut numbers = value::numbers(name, text, fields).map_err(refused)?;
            if let Some(Value::Numbers(live)) = live {
                numbers.extend(live.iter().skip(numbers.len()));
                return Ok(Value::Numbers(numbers));
            }
            let number = numbers.first().map_or(0, |number| number.saturating_mul(times));
            return Ok(Value::Number(rounded(name, number, live)));
        }
        value::word(name, text).map_err(refused)?;
    }
    match parse_sysctl(name, text.as_bytes()) {
        Ok(Value::Number(number)) => Ok(Value::Number(number.saturating_mul(times))),
        Ok(value) => Ok(value),
        Err(gap) => Err(match value::numbers(name, text, 1) {
            Err(why) if !value::is_ports(name) => Refusal::Refused(why),
            _ => Refusal::Unknown(gap),
        }),
    }
}

/// The number of buckets is rounded up to what fills pages (`nf_ct_alloc_hashtable`): a live one that is such a number for
/// pages of 4, 16 or 64 KiB comes of it.
fn rounded(name: &str, number: i128, live: Option<&Value>) -> i128 {
    let Some(Value::Number(live)) = live else { return number };
    let up = |step: i128| number.saturating_add(step - 1) / step * step;
    let of_buckets = name == "net.netfilter.nf_conntrack_buckets" && number > 0;
    if of_buckets && [512, 2048, 8192].map(up).contains(live) { *live } else { number }
}
