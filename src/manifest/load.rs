//! What a manifest states, held against the declared load.

use super::node::MOST_CONNTRACK;
use super::pods::{Spec, fault};
use super::ports;
use super::sysctls::Sysctl;
use super::tree::Node;
use crate::model::facts::grouped;
use crate::model::finding::Outcome;
use crate::model::kernel_sysctls::SOMAXCONN;
use crate::model::manifest::{Fault, Mark};
use crate::model::pod_sysctl::RANGE;
use crate::model::sysctl::known::CONNTRACK_MAX;
use crate::model::workload::Workload;

const SOMAXCONN_NAME: &str = "net.core.somaxconn";
/// What kube-proxy takes where its configuration states nothing.
const PER_CORE: u64 = 32_768;
const MIN: u64 = 131_072;

/// Judges the sysctls of a pod, as dotted names and values, by the declared load.
pub type ByLoad<'a> = dyn Fn(&[(String, String)]) -> Vec<Short> + 'a;

/// The declared load, and what judges sysctls by it.
#[derive(Clone, Copy)]
pub struct Load<'a> {
    /// Its numbers.
    pub workload: &'a Workload,
    /// The rules of the audit.
    pub sysctls: &'a ByLoad<'a>,
}

/// A sysctl whose value does not carry the declared load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Short {
    /// Its dotted name.
    pub name: String,
    /// Warn or fail.
    pub outcome: Outcome,
    /// Why.
    pub says: String,
    /// What to do.
    pub change: String,
}

impl Load<'_> {
    /// Judges what a pod gets: what is stated, and the kernel's defaults of a new network namespace.
    pub(super) fn pod(self, spec: &Spec<'_>, sysctls: &[Sysctl<'_>], faults: &mut Vec<Fault>) {
        let mut pairs: Vec<(String, String)> =
            sysctls.iter().map(|one| (one.name.clone(), one.value.to_owned())).collect();
        if spec.is("hostNetwork") {
            let says = "with hostNetwork the queues and ports of the node count, which are not known here";
            let change = "tunecheck on the node, with the same load";
            let texts = [says.to_owned(), change.to_owned()];
            faults.push(fault("load", Outcome::Unknown, spec.node.mark(), spec.subject(), texts));
        } else if spec.is_whole() {
            let [low, high] = ports::DEFAULT;
            for (name, value) in [(SOMAXCONN_NAME, SOMAXCONN.to_string()), (RANGE, format!("{low} {high}"))] {
                if sysctls.iter().all(|one| one.name != name) {
                    pairs.push((name.to_owned(), value));
                }
            }
        }
        for short in (self.sysctls)(&pairs) {
            let (mark, says) = match sysctls.iter().find(|one| one.name == short.name) {
                Some(one) => (one.mark, short.says),
                None => {
                    let default = pairs.iter().find(|(name, _)| *name == short.name).map_or("", |(_, value)| value);
                    let says =
                        format!("{} is not stated, and the kernel's default is {default}: {}", short.name, short.says);
                    (spec.node.mark(), says)
                }
            };
            faults.push(fault("load", short.outcome, mark, spec.subject(), [says, short.change]));
        }
    }

    /// Judges a container's limits on open files, the soft and the hard one; a negative one is none.
    pub(super) fn files(self, subject: &str, [soft, hard]: [i64; 2], mark: Mark, faults: &mut Vec<Fault>) {
        let least = self.workload.files_at_least();
        let is_short = |limit: i64| u64::try_from(limit).is_ok_and(|limit| limit < least);
        let needs = grouped(least.into());
        let (outcome, says) = match (is_short(soft), is_short(hard)) {
            (_, true) => {
                (Outcome::Fail, format!("nofile: a process gets at most {hard} files, and the load needs {needs}"))
            }
            (true, false) => (
                Outcome::Warn,
                format!(
                    "nofile: a process begins with {soft} files, and the load needs {needs}: it has to raise the soft \
                     limit itself, as Go and the JVM do"
                ),
            ),
            (false, false) => return,
        };
        let change = format!("soft and hard {} or more", self.workload.files());
        faults.push(fault("load", outcome, mark, subject.to_owned(), [says, change]));
    }

    /// Judges the conntrack table that kube-proxy makes: a share for each core, or the least one where that is more.
    pub(super) fn conntrack(
        self,
        [per_core, min]: [Option<(Node<'_>, i64)>; 2],
        is_bounded: bool,
        whole: Mark,
        faults: &mut Vec<Fault>,
    ) {
        let value = |one: Option<(Node<'_>, i64)>, default| match one {
            Some((_, value)) => u64::try_from(value).ok(),
            None => Some(default),
        };
        let (Some(each), Some(least)) = (value(per_core, PER_CORE), value(min, MIN)) else { return };
        let tracked = self.workload.tracked();
        let stated = per_core.or(min).map(|(node, _)| node.mark());
        let needs = grouped(tracked.into());
        let (outcome, says) = match tracked.checked_div(each) {
            None => {
                let says = format!(
                    "with maxPerCore 0 the node keeps its nf_conntrack_max, and the load needs {needs} entries"
                );
                (Outcome::Unknown, says)
            }
            Some(_) if least >= tracked => return,
            Some(_) => {
                let bound = if is_bounded && tracked > MOST_CONNTRACK.unsigned_abs() && each > 1 {
                    format!("; kube-proxy 1.36 and later bounds maxPerCore x cores by {MOST_CONNTRACK}")
                } else {
                    String::new()
                };
                let says = format!(
                    "kube-proxy gives a node {each} conntrack entries a core, and {least} at least: the load needs {needs}, \
                     which is {} cores or more{bound}",
                    tracked.div_ceil(each)
                );
                (if stated.is_some() { Outcome::Warn } else { Outcome::Unknown }, says)
            }
        };
        let entries = self.workload.entries(None).max(MIN);
        let change = match each {
            0 => format!("{CONNTRACK_MAX} {entries} or more on the node; kube-proxy then leaves it as it is"),
            // The product is bounded there, so that no node has more than such a min.
            2.. if is_bounded && entries > MOST_CONNTRACK.unsigned_abs() => format!(
                "min: {entries}; where every kube-proxy is 1.36 or later with maxPerCore: 1, else with maxPerCore as it is"
            ),
            _ => format!(
                "min: {entries}, and maxPerCore as it is: a smaller one cuts the table of nodes with many cores"
            ),
        };
        let subject = "KubeProxyConfiguration".to_owned();
        faults.push(fault("load", outcome, stated.unwrap_or(whole), subject, [says, change]));
    }
}
