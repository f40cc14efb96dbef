//! One named value, or the reason why there is none.

use std::fmt;

use databake::Bake;
use serde::{Deserialize, Serialize};

use super::ports::Ports;

/// The value of a fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// A whole number. Wide enough for `-262144` and for the largest unsigned counter.
    Number(i128),
    /// Several numbers in one file, such as the two ends of a port range.
    Numbers(Vec<i128>),
    /// A limit that is switched off.
    Unlimited,
    /// A list of ports.
    Ports(Ports),
    /// Anything that is not counted.
    Text(String),
}

impl Value {
    /// The number as a limit: `Unlimited` is above every number.
    pub fn limit(&self) -> Option<i128> {
        match self {
            Self::Number(n) => Some(*n),
            Self::Unlimited => Some(i128::MAX),
            _ => None,
        }
    }

    /// What the kernel prints: numbers as they are, vectors separated by one blank.
    pub fn plain(&self) -> String {
        match self {
            Self::Number(n) => n.to_string(),
            Self::Numbers(list) => list.iter().map(i128::to_string).collect::<Vec<_>>().join(" "),
            Self::Unlimited => "unlimited".into(),
            Self::Ports(ports) => ports.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// A value that a rule is written with.
#[derive(Bake, Clone, Copy, Debug, PartialEq)]
#[databake(path = crate::model::fact)]
pub enum Literal {
    /// As [`Value::Number`].
    Number(i128),
    /// As [`Value::Numbers`].
    Numbers(&'static [i128]),
    /// As [`Value::Unlimited`].
    Unlimited,
    /// As [`Value::Ports`]: the first and last of each range, ascending.
    Ports(&'static [(u16, u16)]),
    /// As [`Value::Text`].
    Text(&'static str),
}

impl Literal {
    /// The value, kept until the process ends.
    pub fn kept(value: Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(number),
            Value::Numbers(list) => Self::Numbers(list.leak()),
            Value::Unlimited => Self::Unlimited,
            Value::Ports(ports) => Self::Ports(ports.ranges().to_vec().leak()),
            Value::Text(text) => Self::Text(text.leak()),
        }
    }

    /// The value that it stands for.
    pub fn value(self) -> Value {
        match self {
            Self::Number(number) => Value::Number(number),
            Self::Numbers(list) => Value::Numbers(list.to_vec()),
            Self::Unlimited => Value::Unlimited,
            Self::Ports(ranges) => Value::Ports(ranges.iter().copied().collect()),
            Self::Text(text) => Value::Text(text.to_owned()),
        }
    }
}

/// Why a reading failed. The kinds are told apart because each has another next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The thing does not exist here: module not loaded, kernel too old, not configured.
    Absent,
    /// It exists and this user may not read it.
    Denied,
    /// It was read and is not in the form its source documents.
    Unparsable,
    /// It exists on this machine, and cannot be seen from where the audit stands.
    NotVisibleHere,
    /// This host, tree or dump has no way to tell.
    Unsupported,
    /// It is there, and the kernel could not give it now: an error of a device, no memory, too many open files.
    Failed,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Denied => "denied",
            Self::Unparsable => "unparsable",
            Self::NotVisibleHere => "not visible here",
            Self::Unsupported => "unsupported",
            Self::Failed => "failed",
        })
    }
}

/// A missing value: the kind of reason, and the reason in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The kind of reason.
    pub cause: Cause,
    /// One clause in words, without a full stop: `module nf_conntrack is not loaded`.
    pub why: String,
}

impl Gap {
    /// A gap of this cause.
    pub fn new(cause: Cause, why: impl Into<String>) -> Self {
        Self { cause, why: why.into() }
    }

    /// Whether it may well be there: the kernel gave an error, or this user may not see it.
    pub fn is_failure(&self) -> bool {
        matches!(self.cause, Cause::Failed | Cause::Denied)
    }

    /// A reading that is not in its documented form. The text is cut to what a person reads.
    pub fn unparsable(what: &str, text: &[u8]) -> Self {
        let shown: String = String::from_utf8_lossy(text).trim().chars().take(60).collect();
        Self::new(Cause::Unparsable, format!("{what}: {shown:?}"))
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.why)
    }
}

/// A value, or the reason why there is none.
pub type Reading = Result<Value, Gap>;

/// What a number counts. A rule may only compare facts of one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Things: sockets, packets, entries, files.
    Count,
    /// Bytes.
    Bytes,
    /// Bits per second.
    BitsPerSecond,
    /// Memory pages, 4 KiB on most machines.
    Pages,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
    /// Hundredths of a whole.
    Percent,
    /// Thousandths of a CPU.
    Millicpu,
    /// One of a few numbers that stand for modes.
    Mode,
    /// A list of ports.
    Ports,
    /// Words.
    Text,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::BitsPerSecond => "bits-per-second",
            Self::Pages => "pages",
            Self::Seconds => "seconds",
            Self::Milliseconds => "milliseconds",
            Self::Microseconds => "microseconds",
            Self::Percent => "percent",
            Self::Millicpu => "millicpu",
            Self::Mode => "mode",
            Self::Ports => "ports",
            Self::Text => "text",
        })
    }
}

/// Whose value a fact or a rule speaks of.
#[derive(Bake, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[databake(path = crate::model::fact)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One process.
    Process,
    /// The network namespace of the reader.
    Netns,
    /// The pid namespace of the reader.
    Pidns,
    /// The cgroup of the reader and those above it.
    Cgroup,
    /// The whole machine.
    Host,
}

impl Scope {
    /// The word used in rules and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Netns => "netns",
            Self::Pidns => "pidns",
            Self::Cgroup => "cgroup",
            Self::Host => "host",
        }
    }

    /// The scope as a person says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Process => "this process",
            Self::Netns => "this network namespace",
            Self::Pidns => "this pid namespace",
            Self::Cgroup => "this cgroup",
            Self::Host => "the whole host",
        }
    }
}
