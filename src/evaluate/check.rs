//! The closed vocabulary of checks.

use super::Context;
use crate::model::check::{Band, Bound, Check, Operand, Severity};
use crate::model::fact::{Cause, Gap, Unit, Value};
use crate::model::facts::{humane, with_subject};
use crate::model::finding::{Outcome, Want};
use crate::model::ports::Ports;
use crate::model::rule::IfAbsent;

/// An outcome, and what was asked for.
pub(super) struct Judgement {
    pub(super) outcome: Outcome,
    pub(super) want: Want,
    pub(super) share: Option<i128>,
}

/// What a check says of a fact that does not exist, if it has a say.
pub(super) fn absent(check: &Check) -> Option<IfAbsent> {
    matches!(check, Check::Absent { .. }).then_some(IfAbsent::Pass)
}

/// Judges a value.
pub(super) fn judge(
    check: &Check,
    value: &Value,
    context: Context<'_>,
    (fact, unit): (&str, Unit),
    subject: Option<&str>,
) -> Result<Judgement, Gap> {
    let number = || {
        value.limit().ok_or_else(|| Gap::new(Cause::Unparsable, format!("{fact} is not a number: {}", value.plain())))
    };
    match check {
        Check::Range { fail, warn } => {
            range(number()?, resolve(fail, context, subject)?, resolve(warn, context, subject)?, unit)
        }
        Check::OneOf { values, otherwise } => {
            let accepted = values.iter().map(|operand| match operand {
                Operand::Literal(value) => Ok(value.clone()),
                Operand::Fact(name) => context.facts.value(&with_subject(name, subject)).cloned(),
            });
            let accepted = accepted.collect::<Result<Vec<Value>, Gap>>()?;
            let words: Vec<String> = accepted.iter().map(|value| humane(value, unit)).collect();
            let outcome = if accepted.contains(value) { Outcome::Pass } else { outcome(*otherwise) };
            let want = Want { text: words.join(" or "), one_of: accepted, ..Want::default() };
            Ok(Judgement { outcome, want, share: None })
        }
        Check::Covers { of, otherwise } => {
            let Value::Ports(ours) = value else {
                return Err(Gap::new(Cause::Unparsable, format!("{fact} is not a port list: {}", value.plain())));
            };
            let needed = context.facts.ports(&with_subject(of, subject))?;
            Ok(covers(ours, needed, *otherwise))
        }
        Check::Absent { otherwise } => {
            let want = Want { text: "not set".into(), ..Want::default() };
            Ok(Judgement { outcome: outcome(*otherwise), want, share: None })
        }
        Check::Usage { of, warn, fail } => {
            let limit = context.facts.number(&with_subject(of, subject))?;
            // systemd sets fs.file-max to the largest number there is.
            let limit = if limit >= i64::MAX.into() { i128::MAX } else { limit };
            Ok(usage(number()?, limit, (*warn, *fail), unit))
        }
        Check::NotRising { otherwise, rising } => {
            let outcome = match (context.facts.rise(fact), number()?) {
                (Some(Ok(1..)), _) => outcome(*rising),
                (_, 1..) => outcome(*otherwise),
                _ => Outcome::Pass,
            };
            let want = Want { text: "0".into(), warn_above: Some(0), ..Want::default() };
            Ok(Judgement { outcome, want, share: None })
        }
    }
}

fn outcome(severity: Severity) -> Outcome {
    match severity {
        Severity::Warn => Outcome::Warn,
        Severity::Fail => Outcome::Fail,
    }
}

/// A band with its bounds as numbers.
type Ends = (Option<i128>, Option<i128>);

fn resolve(band: &Band, context: Context<'_>, subject: Option<&str>) -> Result<Ends, Gap> {
    let end = |bound: &Option<Bound>| bound.as_ref().map(|bound| bound.amount(context.facts, subject)).transpose();
    // A bound on something unlimited binds nothing.
    let binding = |end: Option<i128>| end.filter(|&end| end != i128::MAX);
    Ok((binding(end(&band.at_least)?), binding(end(&band.at_most)?)))
}

fn range(number: i128, fail: Ends, warn: Ends, unit: Unit) -> Result<Judgement, Gap> {
    let outside = |(low, high): Ends| low.is_some_and(|low| number < low) || high.is_some_and(|high| number > high);
    let outcome = match (outside(fail), outside(warn)) {
        (true, _) => Outcome::Fail,
        (false, true) => Outcome::Warn,
        (false, false) => Outcome::Pass,
    };
    // The bound that was missed is the one to show; a pass shows the recommendation.
    let shown = match outcome {
        Outcome::Fail => fail,
        _ if warn == (None, None) => fail,
        _ => warn,
    };
    let end = |limit: i128| humane(&if limit == i128::MAX { Value::Unlimited } else { Value::Number(limit) }, unit);
    // Of a band, only the end that was missed.
    let shown = match (outcome, shown) {
        (Outcome::Pass, both) => both,
        (_, (Some(low), _)) if number < low => (Some(low), None),
        (_, (_, high)) => (None, high),
    };
    let text = match shown {
        (Some(low), None) => format!("≥ {}", end(low)),
        (None, Some(high)) => format!("≤ {}", end(high)),
        (Some(low), Some(high)) => format!("{} to {}", end(low), end(high)),
        (None, None) => String::new(),
    };
    let want = Want {
        text,
        fail_below: fail.0,
        warn_below: warn.0,
        fail_above: fail.1,
        warn_above: warn.1,
        ..Want::default()
    };
    Ok(Judgement { outcome, want, share: None })
}

fn covers(ours: &Ports, needed: &Ports, otherwise: Severity) -> Judgement {
    let missing = needed.difference(ours);
    let outcome = if missing.is_empty() { Outcome::Pass } else { outcome(otherwise) };
    let text = match (needed.is_empty(), missing.is_empty()) {
        (true, _) => "nothing to hold".to_owned(),
        (false, true) => format!("holds {needed}"),
        (false, false) => format!("also {missing}"),
    };
    Judgement {
        outcome,
        want: Want { text, one_of: vec![Value::Ports(needed.clone())], ..Want::default() },
        share: None,
    }
}

fn usage(used: i128, limit: i128, (warn, fail): (u32, Option<u32>), unit: Unit) -> Judgement {
    let share = match limit {
        i128::MAX => 0,
        ..=0 => 100,
        _ => used.saturating_mul(100) / limit,
    };
    let outcome = if fail.is_some_and(|fail| share >= fail.into()) {
        Outcome::Fail
    } else if share >= warn.into() {
        Outcome::Warn
    } else {
        Outcome::Pass
    };
    let bound = fail.filter(|_| outcome == Outcome::Fail).unwrap_or(warn);
    let of = if limit == i128::MAX { "unlimited".to_owned() } else { humane(&Value::Number(limit), unit) };
    let percent =
        |percent: u32| if limit == i128::MAX { None } else { Some(limit.saturating_mul(percent.into()) / 100) };
    let want = Want {
        text: format!("< {bound} % of {of}"),
        fail_above: fail.and_then(percent),
        warn_above: percent(warn),
        limit: (limit != i128::MAX).then_some(limit),
        ..Want::default()
    };
    Judgement { outcome, want, share: Some(share) }
}
