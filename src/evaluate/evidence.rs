//! Counters and gauges beside a finding, with the window they cover.

use super::Context;
use crate::model::check::Check;
use crate::model::fact::{Gap, Scope, Unit, Value};
use crate::model::facts::{Facts, grouped, humane};
use crate::model::finding::{Outcome, Proof};
use crate::model::place::Netns;
use crate::model::rule::{Evidence, Rule};
use crate::model::window::Window;

/// A counter that is judged, of itself.
const IN_ALL: &str = "in all";
/// Where its beginning is not known.
const IN_TOTAL: &str = ", in total";

/// The rule's evidence, read.
pub(super) fn gather(rule: &Rule, context: Context<'_>, subject: Option<&str>) -> Vec<Proof> {
    let proof = |evidence: &Evidence| {
        let fact = super::name_of(evidence.fact, subject);
        let value: Result<i128, Gap> = context.facts.number(&fact);
        let entry = context.catalogue.find(&fact);
        let since = match evidence.plain {
            true => "",
            // Each network namespace counts for itself; the first one's begin with the module.
            false
                if context.place.netns == Netns::Init
                    && (fact.starts_with("conntrack.stat.")
                        || ["conntrack.full_drops", "conntrack.chain_too_long"].contains(&&*fact)) =>
            {
                ", since nf_conntrack was loaded"
            }
            false if fact.starts_with("listener[") => ", since its socket was made",
            // Each of those counts since its own beginning.
            false if fact.starts_with("listeners.") => "",
            false => since(entry.map(|entry| entry.scope), context),
        };
        // One of the two says it.
        let since = if evidence.says == IN_ALL && since == IN_TOTAL { "" } else { since };
        let unit = entry.map_or(Unit::Count, |entry| entry.unit);
        let rise = if evidence.plain { None } else { context.facts.rise(&fact) };
        let says = match (&value, context.facts.value(&fact)) {
            (Ok(_), Ok(shown)) => {
                let total = humane(shown, unit);
                match (context.facts.window(), &rise) {
                    (Some(window), Some(Ok(rise))) => rising(window, (*rise, unit), evidence.says, &total, since),
                    _ => format!("{total} {}{since}", evidence.says),
                }
            }
            (Err(gap), _) => format!("{}: {gap}", evidence.says),
            (_, Err(gap)) => format!("{}: {gap}", evidence.says),
        };
        Proof {
            fact,
            value,
            rise: rise.and_then(Result::ok),
            says,
            total: !evidence.plain,
            scope: entry.map(|entry| entry.scope),
        }
    };
    // A counter that is judged says of itself since when it counts.
    let Check::NotRising { seldom, .. } = &rule.check else { return rule.evidence.iter().map(proof).collect() };
    let judged =
        Evidence { fact: rule.fact, says: IN_ALL, fails: false, rising_fails: false, warns: false, plain: false };
    let mut proofs: Vec<Proof> = rule.evidence.iter().chain([&judged]).map(proof).collect();
    let traffic = seldom.as_ref().and_then(|seldom| Some((seldom, context.facts.number(seldom.of).ok()?)));
    if let (Some(last), Some((seldom, traffic))) = (proofs.last_mut().filter(|last| last.value.is_ok()), traffic) {
        last.says = format!("{}, beside {} {}", last.says, grouped(traffic), seldom.what);
    }
    proofs
}

/// What moved in the window stands first; without a move the total is only what has happened.
fn rising(window: &Window, (rise, unit): (i128, Unit), what: &str, total: &str, since: &str) -> String {
    match rise {
        0 => format!("{total} {what}{since}; none {}", window.words()),
        // A rate is of events; of an amount the window says enough.
        _ if unit == Unit::Count => {
            format!("{} {what} {} ({}); {total}{since}", grouped(rise), window.words(), window.rate(rise))
        }
        _ => format!("{} {what} {}; {total}{since}", humane(&Value::Number(rise), unit), window.words()),
    }
}

/// The beginning of a counter's total.
fn since(scope: Option<Scope>, context: Context<'_>) -> &'static str {
    match (scope, context.place.netns) {
        (Some(Scope::Cgroup), _) => ", since this cgroup began",
        (Some(Scope::Host), _) | (_, Netns::Init) => ", since boot",
        (_, Netns::Child) => ", since this network namespace began",
        (_, Netns::Unknown) => IN_TOTAL,
    }
}

/// An outcome as the counters correct it: over a window only by what rises in it, else also by what has happened.
pub(super) fn corrected(outcome: Outcome, rule: &Rule, proofs: &[Proof], facts: &Facts) -> Outcome {
    let looking = facts.number("window.milliseconds").is_ok_and(|window| window > 0);
    let mut shown = rule.evidence.iter().zip(proofs).filter(|(_, proof)| match looking {
        true => matches!(proof.rise, Some(1..)),
        false => matches!(proof.value, Ok(1..)),
    });
    match outcome {
        Outcome::Warn if shown.any(|(evidence, _)| evidence.fails || (looking && evidence.rising_fails)) => {
            Outcome::Fail
        }
        Outcome::Pass if shown.any(|(evidence, _)| evidence.warns) => match looking {
            true => Outcome::Fail,
            false => Outcome::Warn,
        },
        other => other,
    }
}
