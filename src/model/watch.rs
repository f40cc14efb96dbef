//! Limits while they are looked at: one reading after the other, and what came of it.

use databake::Bake;
use serde::{Deserialize, Serialize};

use super::fact::Unit;
use super::facts::Name;
use super::finding::Finding;

/// How a rule takes part when limits are watched.
#[derive(Bake, Clone, Debug)]
#[databake(path = crate::model::watch)]
pub struct Watch {
    /// The limit that it speaks of; several rules may speak of one.
    pub limit: &'static str,
    /// What fails for a client when it is reached.
    pub stage: Stage,
    /// Rules whose limit explains this one: reached together, only theirs is named.
    pub follows: &'static [&'static str],
    /// Whether it is a shortage that slows everything down, and no limit that refuses.
    pub saturation: bool,
}

/// What a client notices first, in the order in which a load test asks.
#[derive(Bake, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[databake(path = crate::model::watch)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Handshakes fail or take seconds.
    Handshakes,
    /// Connections fail.
    Connections,
    /// Everything answers, late: the 99th percentile climbs.
    Latency,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Self; 3] = [Self::Handshakes, Self::Connections, Self::Latency];

    /// The word used in rules and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Handshakes => "handshakes",
            Self::Connections => "connections",
            Self::Latency => "latency",
        }
    }
}

/// A counter that rises when a limit is met.
#[derive(Clone, Debug, PartialEq)]
pub struct Rise {
    /// The fact.
    pub fact: Name,
    /// What it counts, as words after the number.
    pub what: &'static str,
    /// By how much it rose since the reading before.
    pub by: i128,
}

impl Rise {
    /// Stands for `what` where it is the rule's own counter, and no evidence beside it.
    pub const OWN: &str = "in all";
}

/// How near a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It could not be read.
    Unknown,
    /// There is room.
    Calm,
    /// Close to it.
    Near,
    /// Of what it limits there is too little for all, and nobody is refused.
    Short,
    /// It refuses, or its counter rises.
    Hit,
}

/// One limit in one reading.
#[derive(Clone, Debug)]
pub struct Meter {
    /// The rule.
    pub rule: &'static str,
    /// The limit that it speaks of.
    pub limit: &'static str,
    /// What fails for a client when it is reached.
    pub stage: Stage,
    /// The listener, destination or other subject.
    pub subject: Option<String>,
    /// What is in use; of a counter, its total.
    pub used: Option<i128>,
    /// The limit; none for a counter, and where there is none.
    pub of: Option<i128>,
    /// Use as a share of the limit, in percent.
    pub share: Option<i128>,
    /// What the numbers count.
    pub unit: Unit,
    /// Counters that rose since the reading before.
    pub rises: Vec<Rise>,
    /// How near it is.
    pub state: State,
    /// Why it is unknown.
    pub gap: Option<String>,
}

/// All limits in one reading.
#[derive(Clone, Debug, Default)]
pub struct Tick {
    /// When it was taken, in milliseconds since the first.
    pub at: u64,
    /// The limits, those nearest first.
    pub meters: Vec<Meter>,
}

/// The course of one limit over a run.
#[derive(Clone, Debug)]
pub struct Trace {
    /// As it was read last.
    pub last: Meter,
    /// The highest use, and what the limit was then.
    pub peak: Option<(i128, Option<i128>)>,
    /// The highest share, in percent, and when, in milliseconds.
    pub peak_share: Option<(i128, u64)>,
    /// When it was hit first, or short first, in milliseconds. What was so before the first reading is not.
    pub hit: Option<u64>,
    /// Whether it was at its limit in the first reading already.
    pub standing: bool,
    /// When there first was room again in what was at its limit from the first reading on, in milliseconds.
    pub eased: Option<u64>,
    /// How far its counters rose in all.
    pub rises: Vec<Rise>,
    /// The highest share, or the rises, in each of equal spans of the run.
    pub chart: Vec<i128>,
    /// What the rule said when it was hit first, with what to change.
    pub finding: Option<Box<Finding>>,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The command that was wrapped, without its arguments, which may hold secrets; none if there was none.
    pub command: Option<String>,
    /// Its exit code; none if there was no command or a signal ended it.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// How long the run took, in milliseconds.
    pub milliseconds: u64,
    /// Readings that were taken.
    pub ticks: u64,
    /// Limits that were hit, first first. Those that follow from another are not among them.
    pub hit: Vec<Trace>,
    /// Limits that were hit because of another one.
    pub followed: Vec<Trace>,
    /// Limits that something was at before the run began, whether there was room again before its end or not.
    pub standing: Vec<Trace>,
    /// Shortages that slowed things down.
    pub saturated: Vec<Trace>,
    /// Limits whose use rose and that were not hit, nearest first.
    pub moved: Vec<Trace>,
    /// Of each stage the limit that came nearest without being hit, whether its use rose or not.
    pub nearest: Vec<Trace>,
    /// Limits that could not be read, each with the reason.
    pub unknown: Vec<(&'static str, String)>,
    /// Subjects beyond those that were followed.
    pub left_out: usize,
}
