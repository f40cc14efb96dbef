//! What traffic takes of each limit, and how much traffic the limits carry.

use super::fact::{Gap, Unit};
use super::traffic::Traffic;

/// Whose limit it is: each has its own share of the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Per {
    /// One process: the one that carries the traffic of a pod.
    Process,
    /// One pod, or one network namespace.
    Pod,
    /// One node, with all pods on it.
    Node,
    /// The NAT gateway between the nodes and the peers.
    NatGateway,
}

impl Per {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Pod => "pod",
            Self::Node => "node",
            Self::NatGateway => "NAT gateway",
        }
    }
}

/// How much of something traffic takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// This traffic takes none of it.
    None,
    /// It takes some, and how much follows only from an option that was not given: this one.
    Unsaid(&'static str),
    /// So much of it, and the formula in words.
    Of(u128, String),
}

/// What the traffic takes of one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The limit in words.
    pub limit: &'static str,
    /// Whose limit.
    pub per: Per,
    /// Unit of the amount.
    pub unit: Unit,
    /// How much, and why.
    pub amount: Amount,
    /// The rule that holds a machine against it, if one does.
    pub rule: Option<&'static str>,
}

/// How a program has to be set for its share of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The program or library.
    pub program: &'static str,
    /// What to write, in the program's own words: a line each.
    pub lines: Vec<String>,
    /// What else to know, in one sentence; empty if nothing.
    pub note: &'static str,
}

/// What traffic takes of everything.
#[derive(Clone, Debug)]
pub struct Sizing {
    /// The traffic.
    pub traffic: Traffic,
    /// What it takes of each limit.
    pub needs: Vec<Need>,
    /// How programs have to be set for it.
    pub settings: Vec<Setting>,
    /// What a machine carries of it, if one was looked at.
    pub capacity: Option<Capacity>,
}

/// How much traffic of this shape a limit carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The limit in words.
    pub limit: &'static str,
    /// Whose limit.
    pub per: Per,
    /// Unit of `have` and `need`.
    pub unit: Unit,
    /// The rule that judges it, if one does.
    pub rule: Option<&'static str>,
    /// The limit as it is.
    pub have: u128,
    /// Where that was read.
    pub source: String,
    /// What the declared traffic takes of it.
    pub need: u128,
    /// Most requests in flight that it carries; `None` if more than anybody can mean.
    pub carries: Option<u64>,
    /// The rate at that, in thousandths of a request per second; `None` as well while nothing says a rate.
    pub rate: Option<u64>,
    /// Requests in flight from which it becomes slow, if it does before the end.
    pub slow_from: Option<u64>,
    /// What moves the limit.
    pub change: &'static str,
}

impl Carried {
    /// Whether it carries the declared traffic. Of short-lived connections the rate says more than what is in flight, of
    /// which there may be less than one.
    pub fn holds(&self, traffic: &Traffic) -> bool {
        match (traffic.short_lived, self.rate, traffic.rate) {
            (true, Some(most), Some(asked)) => most >= asked,
            _ => self.carries.is_none_or(|carries| carries >= traffic.concurrency),
        }
    }
}

/// A limit that is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The limit.
    pub limit: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// The rule that judges it, if one does.
    pub rule: Option<&'static str>,
    /// The limit as it is.
    pub from: u128,
    /// What it has to be.
    pub to: u128,
    /// Whether it goes no further.
    pub ends: bool,
    /// What moves it.
    pub change: &'static str,
}

/// The limits that bind first moved to where the next one binds: what that buys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The limits to move, those that this step adds last.
    pub moves: Vec<Move>,
    /// Requests in flight that are carried then.
    pub carries: u64,
    /// The limit that binds then, if any is known.
    pub next: Option<&'static str>,
}

/// A limit that still stands below what is asked for once every step is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub limit: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// What it would have to be.
    pub need: u128,
    /// Requests in flight that it carries: as it is, or as far as it goes.
    pub carries: u64,
    /// Whether that is as far as it goes here; else more steps would move it.
    pub ends: bool,
    /// What moves it, or what else there is to do.
    pub change: &'static str,
}

/// What a machine carries of traffic of this shape.
#[derive(Clone, Debug, Default)]
pub struct Capacity {
    /// The machine's name.
    pub node: Option<String>,
    /// Where it was read: `live`, or a recording.
    pub source: String,
    /// What to know of the reading.
    pub notes: Vec<String>,
    /// Every limit that could be read, the one that binds first in front.
    pub carried: Vec<Carried>,
    /// Limits that this machine does not have, and why.
    pub unlimited: Vec<(&'static str, &'static str)>,
    /// Limits that could not be read, and why.
    pub unknown: Vec<(&'static str, Gap)>,
    /// One change, then one more, and what each buys.
    pub steps: Vec<Step>,
    /// Why the steps end below what is asked for, if they do.
    pub standing: Vec<Standing>,
}

impl Capacity {
    /// The limit that binds first.
    pub fn first(&self) -> Option<&Carried> {
        self.carried.first().filter(|limit| limit.carries.is_some())
    }
}
