//! Where the pods of an object are.

use std::collections::BTreeMap;

use super::shown;
use super::surroundings::Around;
use super::tree::Node;
use crate::model::bounds;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};

/// Kinds by API group, the path from the object to the pod's spec, and a field without which the API server takes no
/// such object: what lacks it is a patch.
const KINDS: &[(&str, &str, &[&str], &[&str])] = &[
    ("", "Pod", &["spec"], &["metadata"]),
    ("", "ReplicationController", &["spec", "template", "spec"], &["spec", "template", "metadata", "labels"]),
    ("", "PodTemplate", &["template", "spec"], &["metadata"]),
    ("apps", "Deployment", &["spec", "template", "spec"], &["spec", "selector"]),
    ("apps", "StatefulSet", &["spec", "template", "spec"], &["spec", "selector"]),
    ("apps", "DaemonSet", &["spec", "template", "spec"], &["spec", "selector"]),
    ("apps", "ReplicaSet", &["spec", "template", "spec"], &["spec", "selector"]),
    ("batch", "Job", &["spec", "template", "spec"], &["spec", "template", "spec", "restartPolicy"]),
    ("batch", "CronJob", &["spec", "jobTemplate", "spec", "template", "spec"], &["spec", "schedule"]),
];
/// API groups whose objects hold patterns and schemas of pods, and no pods.
const WITHOUT_PODS: [&str; 5] =
    ["apiextensions.k8s.io", "admissionregistration.k8s.io", "kyverno.io", "policies.kyverno.io", "gatekeeper.sh"];
/// The lists of containers in a pod's spec, and what other APIs call theirs.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
const CONTAINERS_ELSEWHERE: [&str; 2] = ["steps", "sidecars"];
const ONE_CONTAINER: [&str; 2] = ["container", "script"];
/// A heap beside the resources of what it is for, as Strimzi has it.
pub(super) const JVM_OPTIONS: &str = "jvmOptions";

/// A pod's spec in an object.
#[derive(Clone, Debug)]
pub(super) struct Spec<'a> {
    pub(super) node: Node<'a>,
    /// The pod or the template that it is the spec of.
    parent: Option<Node<'a>>,
    owner: Owner<'a>,
    /// Where it was found by its shape; none at the place that Kubernetes' own kinds have for it.
    path: Option<String>,
    is_whole: bool,
    /// Whether it is no more than what a patch names.
    is_part: bool,
}

/// A container of a pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Container<'a> {
    pub(super) node: Node<'a>,
    name: &'a str,
}

/// The object that a pod's spec lies in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'a> {
    kind: &'a str,
    name: &'a str,
    namespace: &'a str,
    around: Around<'a>,
}

/// An object: something with an `apiVersion` or a `kind`. Items of a typed list have those of the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'a> {
    node: Node<'a>,
    group: &'a str,
    kind: &'a str,
}

impl<'a> Object<'a> {
    /// None for what is no object.
    pub(super) fn of(node: Node<'a>) -> Option<Self> {
        let word = |key| node.get(key).map(|value| value.scalar().unwrap_or_default());
        let (api, kind) = (word("apiVersion"), word("kind"));
        if api.is_none() && kind.is_none() {
            return None;
        }
        let group = api.unwrap_or_default().split_once('/').map_or("", |(group, _)| group);
        Some(Self { node, group, kind: kind.unwrap_or_default() })
    }

    /// The items of a list: `List`, `PodList`, ...
    pub(super) fn items(self) -> Option<impl Iterator<Item = Self>> {
        let kind = self.kind.strip_suffix("List")?;
        let items = self.node.get("items").filter(|items| items.is_list())?;
        let typed = move |node: Node<'a>| node.is_map().then_some(Self { node, group: self.group, kind });
        Some(items.items().filter_map(move |item| Self::of(item).or_else(|| typed(item))))
    }

    /// What it is passed over as.
    pub(super) fn kind(self) -> &'a str {
        if self.kind.is_empty() { "without a kind" } else { self.kind }
    }

    /// The specs of the pods in it: at the place that the kind has for one, or wherever something has the shape of one.
    pub(super) fn pods(self, around: Around<'a>) -> Vec<Spec<'a>> {
        let mut found = Vec::new();
        if self.can_have_pods() {
            self.find(&mut found, around, &mut Vec::new());
        }
        found
    }

    /// Whether what has the shape of a pod in it is one.
    pub(super) fn can_have_pods(self) -> bool {
        !WITHOUT_PODS.iter().any(|group| self.group == *group || self.group.ends_with(&format!(".{group}")))
    }

    pub(super) fn node(self) -> Node<'a> {
        self.node
    }

    pub(super) fn group(self) -> &'a str {
        self.group
    }

    /// Its name, or the beginning of one that is made.
    pub(super) fn name(self) -> &'a str {
        self.metadata("name").or_else(|| self.metadata("generateName")).unwrap_or_default()
    }

    /// The namespace that it names.
    pub(super) fn namespace(self) -> &'a str {
        self.metadata("namespace").unwrap_or_default()
    }

    fn metadata(self, field: &str) -> Option<&'a str> {
        self.node.get("metadata")?.get(field)?.scalar()
    }

    fn find(self, found: &mut Vec<Spec<'a>>, around: Around<'a>, path: &mut Vec<String>) {
        let owner = Owner { kind: self.kind, name: self.name(), namespace: self.namespace(), around };
        let Some((.., path_of_kind, needs)) = KINDS.iter().find(|known| (known.0, known.1) == (self.group, self.kind))
        else {
            for (key, value) in self.node.entries() {
                let key = key.scalar().unwrap_or_default();
                if !["metadata", "status", "apiVersion", "kind"].contains(&key) {
                    path.push(key.to_owned());
                    walk(value, self.node, owner, found, path);
                    path.pop();
                }
            }
            return;
        };
        let at = |path: &[&str]| path.iter().try_fold(self.node, |node, field| node.get(field));
        if let Some(node) = at(path_of_kind).filter(|node| node.is_map()) {
            let parent = path_of_kind.split_last().and_then(|(_, parents)| at(parents));
            let is_whole = at(needs).is_some() && !owner.name.is_empty() && has_images(node);
            found.push(Spec { node, parent, owner, path: None, is_whole, is_part: false });
        }
    }
}

/// Whether a kind is one that has pods.
pub(super) fn has_pods(kind: &str) -> bool {
    KINDS.iter().any(|known| known.1 == kind)
}

/// Looks for pods by their shape.
fn walk<'a>(node: Node<'a>, parent: Node<'a>, owner: Owner<'a>, found: &mut Vec<Spec<'a>>, path: &mut Vec<String>) {
    if path.len() > bounds::POD_DEPTH.count() {
        return;
    }
    if node.is_list() {
        for (at, item) in node.items().enumerate() {
            path.push(format!("[{at}]"));
            walk(item, node, owner, found, path);
            path.pop();
        }
        return;
    }
    if !node.is_map() {
        return;
    }
    // An object of its own: of a template, of a work to be deployed elsewhere.
    if let Some(object) = Object::of(node).filter(|object| has_pods(object.kind)) {
        let owner_is_named = !object.name().is_empty();
        let before = found.len();
        object.find(found, owner.around, path);
        for spec in found.iter_mut().skip(before).filter(|_| !owner_is_named) {
            spec.owner = owner;
            spec.path = Some(dotted(path));
        }
        return;
    }
    let is_pod = CONTAINERS.iter().chain(&CONTAINERS_ELSEWHERE).any(|list| node.get(list).is_some_and(are_containers));
    let has_sysctls =
        || node.get("securityContext").and_then(|context| context.get("sysctls")).is_some_and(Node::is_list);
    let has_one = || ONE_CONTAINER.iter().any(|field| node.get(field).is_some_and(is_container));
    let has_heap = || node.get(JVM_OPTIONS).is_some_and(Node::is_map);
    if is_pod || has_sysctls() || has_one() || has_heap() {
        let path = Some(dotted(path));
        found.push(Spec { node, parent: Some(parent), owner, path, is_whole: has_images(node), is_part: false });
    }
    if !is_pod {
        for (key, value) in node.entries() {
            path.push(key.scalar().unwrap_or_default().to_owned());
            walk(value, node, owner, found, path);
            path.pop();
        }
    }
}

fn dotted(path: &[String]) -> String {
    let mut text = String::new();
    for step in path {
        if !text.is_empty() && !step.starts_with('[') {
            text.push('.');
        }
        text.push_str(step);
    }
    text
}

fn are_containers(list: Node<'_>) -> bool {
    list.items().any(is_container)
}

fn is_container(node: Node<'_>) -> bool {
    node.get("image").is_some_and(|image| image.scalar().is_some())
        || (node.get("name").is_some_and(|name| name.scalar().is_some())
            && ["command", "args", "env", "resources", "ports", "volumeMounts", "securityContext", "ulimits"]
                .iter()
                .any(|field| node.get(field).is_some()))
}

fn has_images(spec: Node<'_>) -> bool {
    let containers = || spec.get("containers").into_iter().flat_map(Node::items);
    containers().next().is_some() && containers().all(|container| container.get("image").is_some())
}

impl<'a> Spec<'a> {
    /// What a patch puts into the spec of a pod: of the object that it is for, kind and name, and of where.
    pub(super) fn part(node: Node<'a>, [kind, name]: [&'a str; 2], path: String, around: Around<'a>) -> Self {
        let owner = Owner { kind, name, namespace: "", around };
        Self { node, parent: None, owner, path: Some(path), is_whole: false, is_part: true }
    }

    /// The same as what a patch names.
    pub(super) fn into_patch(self) -> Self {
        Self { is_whole: false, is_part: true, ..self }
    }

    /// All containers, in the order in which they start.
    pub(super) fn containers(&self) -> impl Iterator<Item = Container<'a>> + use<'a> {
        let node = self.node;
        let by_shape = self.path.is_some();
        let elsewhere = CONTAINERS_ELSEWHERE.into_iter().filter(move |_| by_shape);
        let one = ONE_CONTAINER.into_iter().filter(move |_| by_shape).filter_map(move |field| node.get(field));
        let own = Some(node).filter(|node| by_shape && node.get(JVM_OPTIONS).is_some());
        let lists = CONTAINERS.into_iter().chain(elsewhere).filter_map(move |list| node.get(list));
        lists
            .flat_map(Node::items)
            .chain(one)
            .chain(own)
            .map(|node| Container { node, name: node.get("name").and_then(Node::scalar).unwrap_or_default() })
    }

    /// A field that is the truth.
    pub(super) fn is(&self, field: &str) -> bool {
        self.node.get(field).is_some_and(Node::is_true)
    }

    /// The Pod Security level that its namespace enforces, if an object beside it says so.
    pub(super) fn level(&self) -> Option<&'a str> {
        self.owner.around.level(self.owner.namespace)
    }

    /// The memory limit that a LimitRange beside it gives containers that state none.
    pub(super) fn default_memory(&self) -> Option<&'a str> {
        self.owner.around.memory(self.owner.namespace)
    }

    /// The content of a ConfigMap of its namespace, if it is beside it.
    pub(super) fn config_map(&self, name: &str) -> Option<&'a BTreeMap<String, String>> {
        self.owner.around.config_map(self.owner.namespace, name)
    }

    /// Whether its fields are those of Kubernetes: a kind of another API may have a pod's spec with fields of its own.
    pub(super) fn is_of_kubernetes(&self) -> bool {
        self.path.is_none()
    }

    /// Whether everything that is said of the pod stands here: a patch has only what it changes.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether it is part of a pod's spec by what holds it: a patch.
    pub(super) fn is_part(&self) -> bool {
        self.is_part
    }

    /// An annotation that the pod gets.
    pub(super) fn annotation(&self, name: &str) -> Option<(Node<'a>, Node<'a>)> {
        self.parent?.get("metadata")?.get("annotations")?.entry(name)
    }

    /// The kind of the object that it lies in.
    pub(super) fn kind(&self) -> &'a str {
        self.owner.kind
    }

    /// What it is called in a report.
    pub(super) fn subject(&self) -> String {
        let Owner { kind, name, .. } = self.owner;
        let object = if name.is_empty() { shown(kind) } else { format!("{}/{}", shown(kind), shown(name)) };
        match &self.path {
            Some(path) => format!("{object}, {}", shown(path)),
            None => object,
        }
    }

    /// What a container of it is called in a report.
    pub(super) fn subject_of(&self, container: Container<'_>) -> String {
        if container.name.is_empty() {
            return self.subject();
        }
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
    Fault { mark, check, outcome, subject, says, change, source: None }
}
