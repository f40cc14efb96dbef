//! What a rule says to change, before the place decides on its form.

use databake::Bake;
use serde::{Deserialize, Serialize};

use super::check::Bound;
use super::fact::Literal;
use super::version::Version;

/// When a fix acts. The later, the greater.
#[derive(Bake, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[databake(path = crate::model::fix)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// At once.
    #[default]
    Now,
    /// For sockets made afterwards.
    NewSockets,
    /// When the server calls listen() again.
    Relisten,
    /// When the process is started again.
    Restart,
    /// For pods made afterwards.
    NewPods,
    /// At the next boot.
    Reboot,
}

impl Effect {
    /// The moment as a person says it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Now => "at once",
            Self::NewSockets => "for new sockets",
            Self::Relisten => "when the server calls listen() again: restart it",
            Self::Restart => "when the process is started again",
            Self::NewPods => "for pods made afterwards",
            Self::Reboot => "at the next boot",
        }
    }
}

/// Whether `spec.securityContext.sysctls` of a pod may hold a sysctl.
///
/// Source: kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster.
#[derive(Bake, Clone, Debug, PartialEq, Eq)]
#[databake(path = crate::model::fix)]
pub enum Pod {
    /// Every kubelet from this release on admits it, on a kernel of at least `kernel`.
    Safe {
        /// First Kubernetes release.
        since: Version,
        /// First kernel release, if there is a lower end.
        kernel: Option<Version>,
    },
    /// Namespaced; the kubelet rejects the pod unless its `allowedUnsafeSysctls` has the name.
    Unsafe,
    /// Not namespaced, or read-only in a pod: no setting makes it work.
    Impossible,
}

/// How much thought a change asks for.
#[derive(Bake, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[databake(path = crate::model::fix)]
#[serde(rename_all = "lowercase")]
pub enum Safety {
    /// No side effect on what works now.
    Safe,
    /// Read it first.
    #[default]
    Review,
    /// A person decides.
    Manual,
}

impl Safety {
    /// The word used in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Review => "review",
            Self::Manual => "manual",
        }
    }
}

/// What to change.
#[derive(Bake, Clone, Debug, Default)]
#[databake(path = crate::model::fix)]
pub struct Fix {
    /// Sysctls, in the order of application.
    pub sysctl: &'static [SysctlFix],
    /// The limit on open files.
    pub nofile: Option<NofileFix>,
    /// A sysctl whose line has to leave the boot configuration.
    pub remove: Option<&'static str>,
    /// The `ndots` that a pod's resolver should have.
    pub ndots: Option<u32>,
    /// What the application's owner changes.
    pub application: &'static str,
    /// What to ask of whoever owns the limit.
    pub ask: &'static str,
    /// A sentence that must not be forgotten.
    pub also: &'static str,
    /// Memory or side effects.
    pub cost: &'static str,
    /// How much thought it asks for.
    pub safety: Safety,
    /// A command that shows that it worked; empty for the usual one.
    pub prove: &'static str,
}

/// A change of one sysctl. None of them can lower a size or drop an entry.
#[derive(Bake, Clone, Debug)]
#[databake(path = crate::model::fix)]
pub struct SysctlFix {
    /// The sysctl, with dots.
    pub name: &'static str,
    /// The change.
    pub change: Change,
    /// Bytes of kernel memory for each unit of the value that comes into use.
    pub bytes_each: Option<u32>,
}

/// What decides a sysctl's new value.
#[derive(Bake, Clone, Debug)]
#[databake(path = crate::model::fix)]
pub enum Change {
    /// To this number, if it is more than the live one.
    Raise(Bound),
    /// To this mode.
    Set(Literal),
    /// A range of ports, outwards only.
    Widen(i128, i128),
    /// A port list, by the ports of this fact.
    Add(&'static str),
}

/// The limit on open files that a fix asks for.
#[derive(Bake, Clone, Debug)]
#[databake(path = crate::model::fix)]
pub struct NofileFix {
    /// Soft limit.
    pub soft: Bound,
    /// Hard limit.
    pub hard: Bound,
}
