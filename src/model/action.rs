//! One change, as data and as it is typed in one place.

use std::borrow::Cow;

use super::fact::Value;
use super::fix::{Effect, Safety};

/// Where a change has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// On this machine, in the place of the audit.
    Here,
    /// Where the container is started.
    ContainerRun,
    /// In the pod's manifest.
    PodManifest,
    /// On the node, outside the container or pod.
    Node,
    /// In the kube-proxy configuration of the cluster.
    KubeProxy,
    /// In the application or its configuration.
    Application,
    /// With whoever owns the limit.
    Owner,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// A sysctl.
    Sysctl {
        /// Its name, with dots.
        name: String,
        /// The value now, if it is known.
        old: Option<Value>,
        /// The value to give it.
        new: Value,
    },
    /// The limit on open files.
    Nofile {
        /// Soft limit.
        soft: i128,
        /// Hard limit.
        hard: i128,
    },
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
    pub target: Target,
    /// Who can do it.
    pub who: String,
    /// What is changed, as data.
    pub edit: Edit,
    /// What to type or to write, line by line.
    pub lines: Vec<String>,
    /// What else the change reaches.
    pub scope: String,
    /// Memory or side effects.
    pub cost: &'static str,
    /// How much thought it asks for.
    pub safety: Safety,
    /// When it acts.
    pub takes_effect: Effect,
    /// A command that shows that it worked.
    pub prove: Cow<'static, str>,
    /// How to take it back.
    pub undo: String,
}
