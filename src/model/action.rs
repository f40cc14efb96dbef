//! One change, as data and as it is typed in one place.

use std::borrow::Cow;

use super::fact::Value;
use super::fix::{Effect, Pod, Safety};

/// Where a change has to be made. In the order in which changes are made: what others rest on comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// On the node, outside the container or pod.
    Node,
    /// On this machine, in the place of the audit.
    Here,
    /// In the active profile of TuneD, which would write over any other change.
    Tuned,
    /// In the configuration of the node's container runtime.
    ContainerRuntime,
    /// In the configuration of the node's kubelet.
    Kubelet,
    /// In the kube-proxy configuration of the cluster.
    KubeProxy,
    /// In the unit of a service, or in the limits of a login.
    Service,
    /// Where the container is started.
    ContainerRun,
    /// In the pod's manifest.
    PodManifest,
    /// In the application or its configuration.
    Application,
    /// With whoever owns the limit.
    Owner,
}

impl Site {
    /// Every site, in order.
    pub const ALL: [Self; 11] = [
        Self::Node,
        Self::Here,
        Self::Tuned,
        Self::ContainerRuntime,
        Self::Kubelet,
        Self::KubeProxy,
        Self::Service,
        Self::ContainerRun,
        Self::PodManifest,
        Self::Application,
        Self::Owner,
    ];

    /// The word used in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Here => "here",
            Self::Tuned => "tuned",
            Self::ContainerRuntime => "container-runtime",
            Self::Kubelet => "kubelet",
            Self::KubeProxy => "kube-proxy",
            Self::Service => "service",
            Self::ContainerRun => "container-run",
            Self::PodManifest => "pod-manifest",
            Self::Application => "application",
            Self::Owner => "owner",
        }
    }
}

/// How a sysctl's value changes. What is applied later is held against the live value by this again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A size that may only grow.
    Raise,
    /// A switch.
    Set,
    /// A range of ports that may only grow, at both ends.
    Widen,
    /// A list of ports that may only gain entries.
    Add,
}

impl How {
    /// The word for it in a script and in a playbook.
    pub fn word(self) -> &'static str {
        match self {
            Self::Raise => "raise",
            Self::Set => "set",
            Self::Widen => "widen",
            Self::Add => "add",
        }
    }
}

/// A sysctl and the value to give it.
#[derive(Clone, Debug, PartialEq)]
pub struct SysctlEdit {
    /// Its name, with dots.
    pub name: String,
    /// The value now, if it is known.
    pub old: Option<Value>,
    /// The value to give it.
    pub new: Value,
    /// How it changes.
    pub how: How,
    /// Whether each network namespace has its own.
    pub netns: bool,
    /// Whether a pod may set it.
    pub pod: Option<Pod>,
    /// The kernel module without which it does not exist.
    pub module: Option<&'static str>,
    /// `file:line` of the configuration that sets it at boot.
    pub boot_line: Option<String>,
    /// `file:line` of the line that is read after every other one for it, and the name there, behind a minus where the line
    /// gives no value: a file that is to have the last word is read after it.
    pub last_line: Option<(String, String)>,
    /// The file of our own that keeps what is changed, the same for all changes: it is read after each such line.
    pub file: &'static str,
    /// The name in that line: its own, another one of the same variable, or a pattern.
    pub boot_name: Option<String>,
    /// The names of the same variable that boot files set, or TuneD's profile where that has the last word: what a file
    /// keeps has to stand under each of them.
    pub set_names: Vec<String>,
    /// The value that this line gives it.
    pub boot: Option<Value>,
    /// Who wrote over that line, as a sentence, where the line is known not to hold.
    pub overwritten: Option<String>,
    /// `file:line` of the TuneD profile that sets it, and the value there, if TuneD has the last word.
    pub tuned: Option<(String, Value)>,
}

impl SysctlEdit {
    /// The lines that keep it in a file of our own: one for each name that boot files set, since systemd-sysctl leaves a
    /// line in the place of an earlier one with the same value, and another name could then have the last word.
    pub fn kept(&self) -> impl Iterator<Item = String> {
        self.names().map(|name| format!("{name} = {}", self.new.plain()))
    }

    /// Its name, and the others of the same variable that something sets.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.name).chain(self.set_names.iter().filter(|name| **name != self.name))
    }
}

/// New limits on open files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NofileEdit {
    /// Soft limit now.
    pub old_soft: i128,
    /// Hard limit now.
    pub old_hard: i128,
    /// Soft limit to give.
    pub soft: i128,
    /// Hard limit to give.
    pub hard: i128,
    /// `fs.nr_open`, above which every attempt is refused, if the hard limit lies above it.
    pub ceiling: Option<i128>,
}

/// What is changed.
#[allow(clippy::large_enum_variant, reason = "there are some ten of them in a plan")]
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// A sysctl.
    Sysctl(SysctlEdit),
    /// The limit on open files.
    Nofile(NofileEdit),
    /// The same where the hard limit is higher than programs bear, and comes down.
    LowerNofile(NofileEdit),
    /// A sysctl that the kubelet lets pods set: `allowedUnsafeSysctls`.
    AllowUnsafe {
        /// Its name, with dots.
        name: String,
    },
    /// The `ndots` of the resolver in a pod's `dnsConfig`.
    Ndots(i128),
    /// A line that leaves a file.
    RemoveLine {
        /// The sysctl it sets.
        name: String,
        /// `file:line`.
        at: String,
    },
    /// Words for a person.
    Advice,
}

/// A change that a person can make, with everything they have to know before.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Where.
    pub site: Site,
    /// Who can do it.
    pub who: String,
    /// What is changed, as data.
    pub edit: Edit,
    /// What to type or to write, line by line.
    pub lines: Vec<String>,
    /// What else the change reaches.
    pub scope: String,
    /// Memory or side effects.
    pub cost: String,
    /// How much thought it asks for.
    pub safety: Safety,
    /// When it acts.
    pub takes_effect: Effect,
    /// A command that shows that it worked.
    pub prove: Cow<'static, str>,
    /// How to take it back.
    pub undo: String,
}
