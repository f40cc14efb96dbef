//! What a rule compares a fact with: a closed vocabulary.

use databake::Bake;
use serde::{Deserialize, Serialize};

use super::fact::{Gap, Literal};
use super::facts::{Facts, with_subject};

/// How bad it is that a check does not hold.
#[derive(Bake, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[databake(path = crate::model::check)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Works for the declared load, below the recommendation or close to a limit.
    Warn,
    /// Will not carry the declared load, or is already breaking.
    Fail,
}

/// A number: `of` (if any) times `times` plus `plus`, and at least `least`.
#[derive(Bake, Clone, Debug, PartialEq)]
#[databake(path = crate::model::check)]
pub struct Bound {
    /// A fact to take the number from.
    pub of: Option<&'static str>,
    /// Factor on the fact.
    pub times: f64,
    /// Added to it; the whole number if there is no fact.
    pub plus: i64,
    /// The least it comes to.
    pub least: i64,
}

impl Bound {
    /// The number it stands for.
    ///
    /// # Errors
    /// The gap in place of the fact it refers to.
    pub fn amount(&self, facts: &Facts, subject: Option<&str>) -> Result<i128, Gap> {
        let Some(name) = self.of else { return Ok(self.plus.into()) };
        let number = facts.number(&with_subject(name, subject))?;
        if number == i128::MAX {
            return Ok(number);
        }
        // A factor of one keeps numbers exact beyond the 53 bits of a float.
        let scaled = if self.times == 1.0 { number } else { (number as f64 * self.times).ceil() as i128 };
        Ok(scaled.saturating_add(self.plus.into()).max(self.least.into()))
    }
}

/// The numbers between which a fact has to lie.
#[derive(Bake, Clone, Debug, Default, PartialEq)]
#[databake(path = crate::model::check)]
pub struct Band {
    /// Lower end, included.
    pub at_least: Option<Bound>,
    /// Upper end, included.
    pub at_most: Option<Bound>,
}

/// A value to compare with: written in the rule, or that of another fact.
#[derive(Bake, Clone, Debug, PartialEq)]
#[databake(path = crate::model::check)]
pub enum Operand {
    /// Written in the rule.
    Literal(Literal),
    /// The value of this fact.
    Fact(&'static str),
}

/// A share of the traffic below which events are too few to speak of, and a number above which they never are.
#[derive(Bake, Clone, Debug, PartialEq)]
#[databake(path = crate::model::check)]
pub struct Seldom {
    /// Fewer events than one in so many.
    pub one_in: u32,
    /// No more events than this: a total over months is so large that an outage of today is a small share of it.
    pub at_most: u32,
    /// The fact that counts the traffic since the same beginning.
    pub of: &'static str,
    /// What that fact counts, as words after the number.
    pub what: &'static str,
    /// Whether the share holds of a window too: events that the traffic of any machine brings with it.
    pub always: bool,
}

/// The closed vocabulary of checks.
#[allow(clippy::large_enum_variant, reason = "there are fifty of them in all")]
#[derive(Bake, Clone, Debug, PartialEq)]
#[databake(path = crate::model::check)]
pub enum Check {
    /// `at_least`, `at_most`, `between`: outside `fail` it fails, outside `warn` it warns.
    Range {
        /// Outside it the declared load is not carried.
        fail: Band,
        /// Outside it the recommendation is missed.
        warn: Band,
    },
    /// `equals`, `one_of`.
    OneOf {
        /// Accepted values.
        values: &'static [Operand],
        /// Outcome for any other.
        otherwise: Severity,
    },
    /// A port list that holds every port of another.
    Covers {
        /// The fact with the ports to hold.
        of: &'static str,
        /// Outcome if one is missing.
        otherwise: Severity,
    },
    /// Must not be set.
    Absent {
        /// Outcome if it is.
        otherwise: Severity,
    },
    /// A use as a share of its limit.
    Usage {
        /// The fact with the limit.
        of: &'static str,
        /// Percent from which it warns.
        warn: u32,
        /// Percent from which it fails, if it can.
        fail: Option<u32>,
    },
    /// A counter that should stand still.
    NotRising {
        /// Outcome if it has moved at all.
        otherwise: Severity,
        /// Outcome if it moves while it is looked at.
        rising: Severity,
        /// So seldom it may have moved since it began: what happens now and then on any machine asks nothing of anybody.
        seldom: Option<Seldom>,
    },
}

impl Check {
    /// The facts it compares with.
    pub fn facts(&self) -> Vec<&'static str> {
        match self {
            Self::Range { fail, warn } => {
                [&fail.at_least, &fail.at_most, &warn.at_least, &warn.at_most].into_iter().filter_map(of).collect()
            }
            Self::OneOf { values, .. } => values
                .iter()
                .filter_map(|value| match value {
                    Operand::Fact(name) => Some(*name),
                    Operand::Literal(_) => None,
                })
                .collect(),
            Self::Covers { of, .. } | Self::Usage { of, .. } => vec![of],
            Self::NotRising { seldom, .. } => seldom.iter().map(|seldom| seldom.of).collect(),
            Self::Absent { .. } => Vec::new(),
        }
    }
}

fn of(bound: &Option<Bound>) -> Option<&'static str> {
    bound.as_ref()?.of
}
