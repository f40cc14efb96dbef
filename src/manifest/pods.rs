//! Where the pods of an object are.

use super::shown;
use super::tree::Node;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};

/// Kinds by API group, and the path from the object to the pod's spec. Kinds of other groups may have pod templates too;
/// where those are is their own affair.
const KINDS: &[(&str, &str, &[&str])] = &[
    ("", "Pod", &["spec"]),
    ("", "ReplicationController", &["spec", "template", "spec"]),
    ("", "PodTemplate", &["template", "spec"]),
    ("apps", "Deployment", &["spec", "template", "spec"]),
    ("apps", "StatefulSet", &["spec", "template", "spec"]),
    ("apps", "DaemonSet", &["spec", "template", "spec"]),
    ("apps", "ReplicaSet", &["spec", "template", "spec"]),
    ("batch", "Job", &["spec", "template", "spec"]),
    ("batch", "CronJob", &["spec", "jobTemplate", "spec", "template", "spec"]),
];
/// The lists of containers in a pod's spec.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// A pod's spec in an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec<'a> {
    pub(super) node: Node<'a>,
    kind: &'static str,
    name: &'a str,
}

/// A container of a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Container<'a> {
    pub(super) node: Node<'a>,
    name: &'a str,
}

/// The API group of an object and its kind.
fn kind<'a>(object: Node<'a>) -> Option<(&'a str, &'a str)> {
    let api = object.get("apiVersion")?.text()?;
    let group = api.split_once('/').map_or("", |(group, _)| group);
    Some((group, object.get("kind")?.text()?))
}

/// The items of an object that is a list of objects: `List`, `PodList`, ...
pub(super) fn list(object: Node<'_>) -> Option<Node<'_>> {
    let (group, kind) = kind(object)?;
    let of = kind.strip_suffix("List")?;
    let known = (group.is_empty() && of.is_empty()) || KINDS.iter().any(|known| (known.0, known.1) == (group, of));
    object.get("items").filter(|_| known)
}

/// The pod's spec of an object of a kind that is known to have one.
pub(super) fn spec(object: Node<'_>) -> Option<Spec<'_>> {
    let (group, kind) = kind(object)?;
    let (_, kind, path) = KINDS.iter().find(|known| (known.0, known.1) == (group, kind))?;
    let node = path.iter().try_fold(object, |node, field| node.get(field))?;
    let name =
        object.get("metadata").and_then(|metadata| metadata.get("name").or_else(|| metadata.get("generateName")));
    node.is_map().then(|| Spec { node, kind, name: name.and_then(Node::scalar).unwrap_or_default() })
}

impl<'a> Spec<'a> {
    /// All containers, in the order in which they start.
    pub(super) fn containers(self) -> impl Iterator<Item = Container<'a>> {
        CONTAINERS
            .into_iter()
            .filter_map(move |list| self.node.get(list))
            .flat_map(Node::items)
            .map(|node| Container { node, name: node.get("name").and_then(Node::scalar).unwrap_or_default() })
    }

    /// A field that is the truth.
    pub(super) fn is(self, field: &str) -> bool {
        self.node.get(field).is_some_and(Node::is_true)
    }

    /// What it is called in a report.
    pub(super) fn subject(self) -> String {
        if self.name.is_empty() { self.kind.to_owned() } else { format!("{}/{}", self.kind, shown(self.name)) }
    }

    /// What a container of it is called in a report.
    pub(super) fn subject_of(self, container: Container<'_>) -> String {
        format!("{}, container {}", self.subject(), shown(container.name))
    }
}

/// A fault of a subject.
pub(super) fn fault(
    check: &'static str,
    outcome: Outcome,
    mark: Mark,
    subject: String,
    [says, change]: [String; 2],
) -> Fault {
    Fault { mark, check, outcome, subject, says, change }
}
