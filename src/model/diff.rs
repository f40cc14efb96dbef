//! What differs between two audits.

use std::collections::BTreeSet;

use super::finding::Outcome;
use super::recorded::{Recorded, RecordedFinding};

/// One of the two that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// What the user called it: a path.
    pub name: &'a str,
    /// What it tells.
    pub report: &'a Recorded,
}

/// What differs between two audits, from A to B.
#[derive(Clone, Debug)]
pub struct Diff<'a> {
    /// What was.
    pub a: Side<'a>,
    /// What is.
    pub b: Side<'a>,
    /// What sets the two audits apart before any rule is judged.
    pub contrasts: Vec<Contrast>,
    /// Every finding that is not the same, in reading order.
    pub changes: Vec<Change<'a>>,
    /// How many findings are the same, by outcome, worst first; none of zero.
    pub unchanged: Vec<(Outcome, usize)>,
    /// Findings of one report that the other left out because it holds only what failed, warned or is unknown.
    pub untold: usize,
}

impl Diff<'_> {
    /// Why totals that changed were not subtracted, each reason once, where no contrast says it.
    pub fn apart(&self) -> BTreeSet<&'static str> {
        let moved = self.changes.iter().flat_map(|change| &change.moved);
        moved.filter_map(|moved| moved.apart?.sentence()).collect()
    }

    /// How many changes are of this kind.
    pub fn count(&self, kind: ChangeKind) -> usize {
        self.changes.iter().filter(|change| change.kind == kind).count()
    }
}

/// What two audits differ in as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trait {
    /// The declared load, and with it the bounds.
    Workload,
    /// The machine's name.
    Node,
    /// Host, namespace, container or pod.
    Place,
    /// CPUs and memory.
    Size,
    /// The kernel release.
    Kernel,
    /// The boot that both speak of.
    Boot,
    /// The network namespace.
    Netns,
    /// The user who read.
    User,
    /// How long counters were looked at.
    Window,
    /// The version of tunecheck, and with it the rules.
    Version,
    /// Whether what passes is told too.
    Extent,
}

impl Trait {
    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Node => "node",
            Self::Place => "place",
            Self::Size => "size",
            Self::Kernel => "kernel",
            Self::Boot => "boot",
            Self::Netns => "network-namespace",
            Self::User => "user",
            Self::Window => "window",
            Self::Version => "tunecheck",
            Self::Extent => "extent",
        }
    }

    /// What it means for the comparison, as one clause.
    pub fn means(self) -> &'static str {
        match self {
            Self::Workload => "the bounds differ, so an outcome may change where the machine did not",
            Self::Node => "what differs may be the machines, and their counters cannot be subtracted",
            Self::Place => "what each can see differs, and their counters cannot be subtracted",
            Self::Size => "bounds that follow from CPUs or memory differ",
            Self::Kernel => "defaults may differ, and counters began anew",
            Self::Boot => "counters began anew and stand side by side",
            Self::Netns => "its counters are others and stand side by side",
            Self::User => "what each may read differs",
            Self::Window => "what a rule says of counters rests on another span",
            Self::Version => "rules may differ",
            Self::Extent => "what passes is not told on one side (--only-failed)",
        }
    }

    /// Whether two audits that differ in it are no before and after of one thing.
    pub fn is_loud(self) -> bool {
        matches!(self, Self::Workload | Self::Node | Self::Place)
    }
}

/// What sets two audits apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contrast {
    /// In what.
    pub of: Trait,
    /// A's, in words.
    pub a: String,
    /// B's, in words.
    pub b: String,
}

/// The kinds of change, in reading order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The outcome got worse.
    Worse,
    /// What was known could not be checked any more: never better.
    Unchecked,
    /// A judged it not: it was not there, or did not apply.
    Appeared,
    /// What could not be checked is known now.
    Checked,
    /// The outcome got better.
    Better,
    /// B judges it no more: it is not there, or does not apply.
    Gone,
    /// It is waived in one of the two: the user changed, not the machine.
    Waiver,
    /// The same outcome with another value, another bound, or counters that moved.
    Changed,
}

impl ChangeKind {
    /// All kinds, in reading order.
    pub const ALL: [Self; 8] = [
        Self::Worse,
        Self::Unchecked,
        Self::Appeared,
        Self::Checked,
        Self::Better,
        Self::Gone,
        Self::Waiver,
        Self::Changed,
    ];

    /// The word used for people and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Unchecked => "unchecked",
            Self::Appeared => "appeared",
            Self::Checked => "checked",
            Self::Better => "better",
            Self::Gone => "gone",
            Self::Waiver => "waiver",
            Self::Changed => "changed",
        }
    }

    /// The kind as a person says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unchecked => "could not be checked any more",
            Self::Checked => "can be checked now",
            Self::Waiver => "waived on one side",
            Self::Changed => "changed at the same outcome",
            other => other.word(),
        }
    }

    /// What the change is when it is read from B to A.
    pub fn mirrored(self) -> Self {
        match self {
            Self::Worse => Self::Better,
            Self::Better => Self::Worse,
            Self::Unchecked => Self::Checked,
            Self::Checked => Self::Unchecked,
            Self::Appeared => Self::Gone,
            Self::Gone => Self::Appeared,
            Self::Waiver => Self::Waiver,
            Self::Changed => Self::Changed,
        }
    }
}

/// A finding that is not the same in both.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// What kind of change it is.
    pub kind: ChangeKind,
    /// As A has it.
    pub a: Option<&'a RecordedFinding>,
    /// As B has it.
    pub b: Option<&'a RecordedFinding>,
    /// Evidence that is not the same; of what both have.
    pub moved: Vec<Moved<'a>>,
}

impl<'a> Change<'a> {
    /// The finding as it is, or as it was last.
    pub fn latest(&self) -> Option<&'a RecordedFinding> {
        self.b.or(self.a)
    }

    /// Whether B warns or fails where A did neither, and did not have it waived either.
    pub fn is_new(&self) -> bool {
        let had = [Outcome::Warn, Outcome::Fail, Outcome::Waived];
        let outcome = |finding: Option<&RecordedFinding>| finding.map(|finding| finding.outcome);
        matches!(outcome(self.b), Some(Outcome::Warn | Outcome::Fail))
            && outcome(self.a).is_none_or(|outcome| !had.contains(&outcome))
    }

    /// Whether B is worse off: it is new, it got worse, or it could not be checked any more.
    pub fn is_worse(&self) -> bool {
        self.is_new() || matches!(self.kind, ChangeKind::Worse | ChangeKind::Unchecked)
    }
}

/// Why two totals are not two readings of one counter, or are not known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Apart {
    /// What sets the two audits apart says it.
    Contrast,
    /// The boot of one is not known.
    Boot,
    /// The network namespace of one is not known.
    Netns,
    /// The cgroup is another, or that of one is not known.
    Cgroup,
    /// It was counted for one process or pid namespace, or nothing says for whom.
    Owner,
}

impl Apart {
    /// The reason as a sentence; none where a contrast says it.
    pub fn sentence(self) -> Option<&'static str> {
        Some(match self {
            Self::Contrast => return None,
            Self::Boot => "Totals are not subtracted: the boot they count from is not known of both",
            Self::Netns => "Totals of a network namespace are not subtracted: which one it is is not known of both",
            Self::Cgroup => "Totals of a cgroup are not subtracted: its path differs or is not known of both",
            Self::Owner => "Totals of which nothing says whose they are are not subtracted",
        })
    }
}

/// Evidence that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved<'a> {
    /// The fact.
    pub fact: &'a str,
    /// Its value in A.
    pub a: Option<i128>,
    /// Its value in B.
    pub b: Option<i128>,
    /// Whether it is a total since a beginning (a gauge otherwise).
    pub total: bool,
    /// By how much a total rose; none where it began anew, or was counted elsewhere.
    pub by: Option<i128>,
    /// Why a total of A says nothing of that of B.
    pub apart: Option<Apart>,
}

impl Moved<'_> {
    /// Whether it is a total that is smaller than it was: it began anew.
    pub fn fell(&self) -> bool {
        self.total && self.apart.is_none() && self.a.zip(self.b).is_some_and(|(a, b)| b < a)
    }
}
