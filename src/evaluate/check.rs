//! The closed vocabulary of checks.

use super::Context;
use crate::model::check::{Band, Bound, Check, Operand, Seldom, Severity};
use crate::model::fact::{Cause, Gap, Unit, Value};
use crate::model::facts::{grouped, humane, with_subject};
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
                Operand::Literal(value) => Ok(value.value()),
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
        Check::NotRising { otherwise, rising, seldom } => {
            let count = number()?;
            let rise = context.facts.rise(fact).and_then(Result::ok);
            // What rises is happening, however seldom it was before.
            let seldom = seldom.as_ref().filter(|seldom| seldom.always || rise.is_none());
            let most = seldom.and_then(|seldom| most(seldom, context, rise.is_some())).unwrap_or(0);
            let outcome = match rise {
                Some(rise) if rise > most => outcome(*rising),
                None if count > most => outcome(*otherwise),
                _ => Outcome::Pass,
            };
            // A share moves with the traffic, between two audits too: it is said as a share.
            let (text, warn_above) = match seldom {
                Some(seldom) if most > 0 && most == i128::from(seldom.at_most) => {
                    (format!("≤ {}", grouped(most)), Some(most))
                }
                Some(seldom) if most > 0 => (format!("< 1 in {}", grouped(seldom.one_in.into())), None),
                _ => ("0".into(), Some(0)),
            };
            let want = Want { text, warn_above, ..Want::default() };
            Ok(Judgement { outcome, want, share: None })
        }
    }
}

/// The most events that are still too few to speak of, since the beginning or in the window; none where the traffic is not
/// known.
fn most(seldom: &Seldom, context: Context<'_>, in_window: bool) -> Option<i128> {
    let traffic = match in_window {
        true => context.facts.rise(seldom.of)?.ok()?,
        false => context.facts.number(seldom.of).ok()?,
    };
    let share = traffic.saturating_sub(1) / i128::from(seldom.one_in.max(1));
    Some(share.clamp(0, seldom.at_most.into()))
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
    // The recommendation is what is asked for, whatever was missed: what has met the bound of a fail would else be asked
    // for more the next time.
    let stricter = |one: Option<i128>, other: Option<i128>, pick: fn(i128, i128) -> i128| match (one, other) {
        (Some(one), Some(other)) => Some(pick(one, other)),
        (one, other) => one.or(other),
    };
    let shown = (stricter(fail.0, warn.0, i128::max), stricter(fail.1, warn.1, i128::min));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalogue::Catalogue;
    use crate::model::facts::Facts;
    use crate::model::place::Place;
    use crate::model::window::Window;
    use crate::model::workload::Role;

    #[test]
    fn what_is_asked_for_stays_the_same_whatever_was_missed() {
        type Asked = Result<(Outcome, String), Gap>;
        let asked = |now, fail, warn| -> Asked {
            range(now, fail, warn, Unit::Count).map(|judged| (judged.outcome, judged.want.text))
        };
        let (fail, warn) = ((Some(5000), None), (Some(65_535), None));
        for (now, outcome) in [(128, Outcome::Fail), (5000, Outcome::Warn), (65_535, Outcome::Pass)] {
            assert_eq!(asked(now, fail, warn), Ok((outcome, "≥ 65,535".to_owned())));
        }
        // A load that is beyond the recommendation.
        assert_eq!(asked(65_535, (Some(70_000), None), warn), Ok((Outcome::Fail, "≥ 70,000".to_owned())));
        let band = ((Some(10), Some(99)), (Some(20), Some(50)));
        for (now, outcome, text) in
            [(9, Outcome::Fail, "≥ 20"), (60, Outcome::Warn, "≤ 50"), (30, Outcome::Pass, "20 to 50")]
        {
            assert_eq!(asked(now, band.0, band.1), Ok((outcome, text.to_owned())));
        }
    }

    #[test]
    fn a_share_that_always_comes_with_the_traffic_is_that_of_the_window_too() {
        let said = |now: i128| {
            let mut facts = Facts::default();
            facts.put("softnet.dropped", Ok(Value::Number(now)), "");
            facts.put("softnet.processed", Ok(Value::Number(40_000)), "");
            let before = [("softnet.dropped".into(), 5000), ("softnet.processed".into(), 10_000)].into();
            facts.look_back(Window { milliseconds: 2000, before });
            let (place, catalogue) = (Place::plain_host(), Catalogue::EMPTY);
            let context = Context { facts: &facts, place: &place, catalogue, role: Role::Server };
            let seldom =
                Some(Seldom { one_in: 1000, at_most: u32::MAX, of: "softnet.processed", what: "", always: true });
            let check = Check::NotRising { otherwise: Severity::Warn, rising: Severity::Warn, seldom };
            judge(&check, &Value::Number(now), context, ("softnet.dropped", Unit::Count), None).unwrap().outcome
        };
        assert_eq!((said(5029), said(5030)), (Outcome::Pass, Outcome::Warn));
    }

    /// What is said of so many drops beside so many packets, and of a rise if one was looked for.
    fn drops(dropped: i128, packets: Option<i128>, before: Option<i128>) -> (Outcome, String) {
        let mut facts = Facts::default();
        facts.put("softnet.dropped", Ok(Value::Number(dropped)), "");
        if let Some(packets) = packets {
            facts.put("softnet.processed", Ok(Value::Number(packets)), "");
        }
        if let Some(before) = before {
            facts.look_back(Window { milliseconds: 2000, before: [("softnet.dropped".into(), before)].into() });
        }
        let (place, catalogue) = (Place::plain_host(), Catalogue::EMPTY);
        let context = Context { facts: &facts, place: &place, catalogue, role: Role::Server };
        let seldom =
            Some(Seldom { one_in: 10_000, at_most: 100, of: "softnet.processed", what: "packets", always: false });
        let check = Check::NotRising { otherwise: Severity::Warn, rising: Severity::Fail, seldom };
        let judged = judge(&check, &Value::Number(dropped), context, ("softnet.dropped", Unit::Count), None).unwrap();
        // A bound that is a number is the one that is said.
        let bound = judged.want.warn_above.is_some();
        assert_eq!(bound, !judged.want.text.starts_with('<'), "{}", judged.want.text);
        (judged.outcome, judged.want.text)
    }

    #[test]
    fn an_event_of_long_ago_is_no_trouble_and_many_are() {
        let said = |outcome, text: &str| (outcome, text.to_owned());
        assert_eq!(drops(1, Some(90_000), None), said(Outcome::Pass, "< 1 in 10,000"));
        assert_eq!(drops(9, Some(90_001), None), said(Outcome::Pass, "< 1 in 10,000"));
        assert_eq!(drops(9, Some(90_000), None), said(Outcome::Warn, "< 1 in 10,000"));
        // Traffic that is too little to tell, or that nobody counted, excuses nothing.
        assert_eq!(drops(1, Some(9000), None), said(Outcome::Warn, "0"));
        assert_eq!(drops(1, None, None), said(Outcome::Warn, "0"));
        assert_eq!(drops(0, None, None).0, Outcome::Pass);
        // Years of traffic excuse no outage of today.
        let years = Some(1_000_000_000);
        assert_eq!(drops(100, years, None), said(Outcome::Pass, "≤ 100"));
        assert_eq!(drops(101, years, None), said(Outcome::Warn, "≤ 100"));
        assert_eq!(drops(90_000, years, None), said(Outcome::Warn, "≤ 100"));
        assert_eq!(drops(90_000, Some(i128::MAX), None), said(Outcome::Warn, "≤ 100"));
    }

    #[test]
    fn a_counter_that_is_looked_at_is_judged_by_what_it_does_meanwhile() {
        assert_eq!(drops(5000, Some(1), Some(5000)), (Outcome::Pass, "0".to_owned()));
        assert_eq!(drops(5001, Some(i128::MAX), Some(5000)), (Outcome::Fail, "0".to_owned()));
        // It began anew: what it did is not known, and the total stands.
        assert_eq!(drops(3, None, Some(5000)).0, Outcome::Warn);
    }
}
