//! Patches that stand as a text or as a list of changes: what they put into the spec of a pod.
//!
//! A patch has only what it changes, so nothing is missing in it. Two changes of one patch are judged each by itself.

use super::budget::Budget;
use super::pods::{Object, Spec, fault, has_pods};
use super::surroundings::Around;
use super::tree::{self, Node, Step, Tree};
use super::{Options, in_text, shown, spec_of};
use crate::model::bounds;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Judged, Mark};

/// What Argo Workflows merges into the pods that it makes.
const OF_ARGO: &str = "podSpecPatch";
/// A patch in a Kustomization, or in an object of Flux or Argo CD that holds one.
const OF_KUSTOMIZE: &str = "patch";
const STRATEGIC: &str = "patchesStrategicMerge";
/// Fields of a pod's spec below which something is judged, whatever holds it.
const OF_PODS: [&str; 4] = ["containers", "initContainers", "securityContext", "dnsConfig"];
/// Those that other kinds have with another meaning.
const OF_TEMPLATES: [&str; 3] = ["resources", "ulimits", "rlimits"];
/// Lists of which one item says something alone, though not all of it is named.
const OF_ITEMS: [&str; 4] = ["containers", "initContainers", "ephemeralContainers", "ports"];
/// Whether a text may have a patch.
pub(super) fn speaks(text: &str) -> bool {
    [OF_ARGO, "patch:", "patch\":", STRATEGIC, "op:", "op\":"].iter().any(|word| text.contains(word))
}

/// Judges the patches of a document; whether it is one itself that puts something into a pod.
pub(super) fn judge(tree: &mut Tree<'_>, around: Around<'_>, options: Options<'_>, judged: &mut Judged) -> bool {
    let Some(root) = tree.root() else { return false };
    let is_patch = is_list_of_changes(root);
    let mut patches = Patches { around, options, faults: &mut judged.faults, count: 0 };
    if is_patch {
        let changes = changes(root, "");
        patches.changes(tree, changes, ["patch", ""]);
    } else if Object::of(root).is_none_or(Object::can_have_pods) {
        let owner = Object::of(root).map_or(["", ""], |object| [object.kind(), object.name()]);
        patches.walk(root, owner, 0);
    }
    judged.patches += patches.count;
    is_patch && patches.count > 0
}

struct Patches<'a> {
    around: Around<'a>,
    options: Options<'a>,
    faults: &'a mut Vec<Fault>,
    count: usize,
}

impl Patches<'_> {
    fn walk(&mut self, node: Node<'_>, owner: [&str; 2], deep: usize) {
        if deep > bounds::POD_DEPTH.count() || self.faults.len() > bounds::FAULTS.count() {
            return;
        }
        for item in node.items() {
            self.walk(item, owner, deep + 1);
        }
        for (key, value) in node.entries() {
            match key.scalar() {
                Some(OF_ARGO) if value.scalar().is_some() => self.of_argo(value, owner),
                Some(OF_KUSTOMIZE) if value.scalar().is_some() => {
                    let target = node.get("target");
                    let word = |field| target.and_then(|target| target.get(field)?.scalar());
                    let target = [word("kind").unwrap_or("patch"), word("name").unwrap_or_default()];
                    self.text(value, target);
                }
                Some(STRATEGIC) => {
                    for item in value.items().filter(|item| item.is_block()) {
                        self.text(item, ["patch", ""]);
                    }
                }
                _ => self.walk(value, owner, deep + 1),
            }
        }
    }

    /// A patch of a pod's spec as a text; a workflow fills in its own parameters (`{{...}}`) before it is read.
    fn of_argo(&mut self, value: Node<'_>, owner: [&str; 2]) {
        let Some(text) = value.scalar().filter(|text| text.len() <= bounds::DOCUMENT.count()) else { return };
        let before = self.faults.len();
        let budget = Budget::of(text.len(), self.options.steps);
        let (trees, error) = tree::read(text, START, &budget);
        if let Some(error) = error {
            let (outcome, says, change) = match text.contains("{{") {
                true => (
                    Outcome::Unknown,
                    "is filled in by the workflow before it can be read",
                    "judge the pod that it makes",
                ),
                false => (Outcome::Fail, "cannot be read, and the workflow makes no pod with it", "correct it"),
            };
            let texts = [format!("{OF_ARGO} {says}: {}", error.what), change.to_owned()];
            self.faults.push(fault("syntax", outcome, error.mark, OF_ARGO.to_owned(), texts));
        } else if let Some(node) = trees.first().and_then(Tree::root).filter(|root| root.is_map()) {
            self.count += 1;
            spec_of(&Spec::part(node, owner, OF_ARGO.to_owned(), self.around), self.options, self.faults);
        }
        self.place(before, value);
    }

    /// A patch of kustomize as a text: a list of changes, or a part of an object.
    fn text(&mut self, value: Node<'_>, target: [&str; 2]) {
        let Some(text) = value.scalar().filter(|text| text.len() <= bounds::DOCUMENT.count()) else { return };
        let before = self.faults.len();
        let budget = Budget::of(text.len(), self.options.steps);
        for mut tree in tree::read(text, START, &budget).0 {
            let Some(root) = tree.root() else { continue };
            if is_list_of_changes(root) {
                let changes = changes(root, target[0]);
                self.changes(&mut tree, changes, target);
            } else if let Some(object) = Object::of(root).filter(|object| has_pods(object.kind())) {
                for spec in object.pods(self.around) {
                    self.count += 1;
                    spec_of(&spec.into_patch(), self.options, self.faults);
                }
            }
        }
        self.place(before, value);
    }

    fn changes(&mut self, tree: &mut Tree<'_>, changes: Vec<Change>, target: [&str; 2]) {
        for change in changes {
            tree.graft(change.steps, change.mark, change.number);
            if let Some(node) = tree.root() {
                self.count += 1;
                spec_of(&Spec::part(node, target, change.path, self.around), self.options, self.faults);
            }
        }
    }

    /// Says where in the file the faults of a text are.
    fn place(&mut self, before: usize, value: Node<'_>) {
        for fault in self.faults.iter_mut().skip(before) {
            fault.mark = in_text(value, fault.mark);
        }
    }
}

const START: Mark = Mark { line: 1, column: 1 };

/// A change of a JSON patch (RFC 6902) that puts something into a pod's spec.
struct Change {
    /// The place as it is written.
    path: String,
    mark: Mark,
    /// From the pod's spec to the value.
    steps: Vec<Step>,
    /// The value in its tree.
    number: usize,
}

fn is_list_of_changes(root: Node<'_>) -> bool {
    let is_change =
        |item: Node<'_>| item.get("op").is_some() && item.get("path").is_some_and(|path| path.scalar().is_some());
    root.is_list() && root.items().next().is_some() && root.items().all(is_change)
}

fn changes(root: Node<'_>, kind: &str) -> Vec<Change> {
    let change = |item: Node<'_>| {
        item.get("op")?.scalar().filter(|op| ["add", "replace"].contains(op))?;
        let path = item.get("path")?;
        let steps = steps(path.scalar()?, kind)?;
        let number = item.get("value").filter(|value| !value.is_null())?.number();
        Some(Change { path: shown(path.scalar()?), mark: path.mark(), steps, number })
    };
    root.items().filter_map(change).collect()
}

/// The steps from a pod's spec to where a JSON pointer (RFC 6901) leads; none if it leads elsewhere, or into something
/// of which one part says nothing without the others.
fn steps(pointer: &str, kind: &str) -> Option<Vec<Step>> {
    let tokens: Vec<String> =
        pointer.strip_prefix('/')?.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let at = tokens.windows(2).position(|pair| match pair {
        [spec, field] => spec == "spec" && [&OF_PODS[..], &OF_TEMPLATES[..]].concat().contains(&field.as_str()),
        _ => false,
    })?;
    let (before, below) = tokens.split_at_checked(at + 1)?;
    let is_template = before.ends_with(&["template".to_owned(), "spec".to_owned()]) || (kind == "Pod" && at == 0);
    if below.first().is_some_and(|field| OF_TEMPLATES.contains(&field.as_str())) && !is_template {
        return None;
    }
    let is_item = |token: &str| token == "-" || token.bytes().all(|byte| byte.is_ascii_digit());
    let mut steps = Vec::new();
    let mut list = "";
    for (number, token) in below.iter().enumerate() {
        if !is_item(token) {
            list = token;
            steps.push(Step::Field(token.clone()));
            continue;
        }
        let is_last = number + 1 == below.len();
        if ["command", "args"].contains(&list) || !(is_last || OF_ITEMS.contains(&list)) {
            return None;
        }
        steps.push(Step::Item);
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_into_a_pod_is_followed_as_far_as_its_parts_say_something_alone() {
        let field = |name: &str| Step::Field(name.to_owned());
        assert_eq!(
            steps("/spec/template/spec/securityContext/sysctls/-", ""),
            Some(vec![field("securityContext"), field("sysctls"), Step::Item])
        );
        assert_eq!(
            steps("/spec/template/spec/containers/0/resources/limits/example.com~1gpu", ""),
            Some(vec![field("containers"), Step::Item, field("resources"), field("limits"), field("example.com/gpu")])
        );
        assert!(
            steps("/spec/resources", "Pod").is_some() && steps("/spec/template/spec/resources/limits", "").is_some()
        );
        for pointer in [
            "/spec/resources/requests/storage",
            "/spec/template/spec/securityContext/sysctls/0/value",
            "/spec/template/spec/containers/0/env/2/value",
            "/spec/template/spec/containers/0/args/1",
            "/spec/replicas",
            "/spec",
            "",
        ] {
            assert_eq!(steps(pointer, "PersistentVolumeClaim"), None, "{pointer}");
        }
    }
}
