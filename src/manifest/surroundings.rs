//! What other objects of the same file or folder say of a pod: the level of its namespace, the limit that a container
//! without one gets, and the variables of ConfigMaps.

use std::collections::BTreeMap;

use super::budget::{Budget, Steps};
use super::documents;
use super::pods::Object;
use super::tree::{self, Node};
use crate::model::bounds;

/// Kinds of which something is kept.
const KINDS: [&str; 3] = ["Namespace", "LimitRange", "ConfigMap"];
const GENERATOR: &str = "configMapGenerator";
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// What objects say; of those that contradict each other nothing is known.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// By namespace: the Pod Security level that it enforces.
    levels: BTreeMap<String, Option<String>>,
    /// By namespace: the memory limit of a container that states none.
    memory: BTreeMap<String, Option<String>>,
    /// By namespace and name.
    config_maps: BTreeMap<(String, String), Option<BTreeMap<String, String>>>,
}

impl Surroundings {
    /// What the objects of a file say.
    pub fn of(bytes: &[u8], steps: &Steps) -> Self {
        documents::text(bytes).map(|text| Self::of_text(&text, steps)).unwrap_or_default()
    }

    pub(super) fn of_text(text: &str, steps: &Steps) -> Self {
        let mut context = Self::default();
        if !speaks(text) {
            return context;
        }
        let budget = Budget::of(text.len(), steps);
        for piece in documents::pieces(text).filter(|piece| speaks(piece.text)) {
            if piece.text.len() > bounds::DOCUMENT.count() {
                continue;
            }
            for tree in &tree::read(piece.text, piece.start, &budget).0 {
                let Some(root) = tree.root() else { continue };
                context.take_generated(root);
                let mut open: Vec<Object<'_>> = Object::of(root).into_iter().collect();
                while let Some(object) = open.pop() {
                    match object.items() {
                        Some(items) => open.extend(items),
                        None => context.take(object),
                    }
                }
            }
        }
        context
    }

    /// Adds what another file says.
    pub fn add(&mut self, other: Self) {
        other.levels.into_iter().for_each(|(name, level)| put(&mut self.levels, name, level));
        other.memory.into_iter().for_each(|(name, memory)| put(&mut self.memory, name, memory));
        other.config_maps.into_iter().for_each(|(name, map)| put(&mut self.config_maps, name, map));
    }

    fn take(&mut self, object: Object<'_>) {
        let at = |path: &[&str]| path.iter().try_fold(object.node(), |node, field| node.get(field));
        let (name, namespace) = (object.name().to_owned(), object.namespace().to_owned());
        match object.kind() {
            "Namespace" => {
                if let Some(level) = at(&["metadata", "labels", ENFORCE]) {
                    put(&mut self.levels, name, level.scalar().map(str::to_owned));
                }
            }
            "LimitRange" => {
                let limits = at(&["spec", "limits"]).into_iter().flat_map(Node::items);
                for limit in limits.filter(|limit| limit.get("type").and_then(Node::scalar) == Some("Container")) {
                    let memory = |field| limit.get(field)?.get("memory")?.scalar();
                    // The API server takes the most for the default where there is none.
                    if let Some(memory) = memory("default").or_else(|| memory("max")) {
                        put(&mut self.memory, namespace.clone(), Some(memory.to_owned()));
                    }
                }
            }
            "ConfigMap" => {
                let data = at(&["data"]).into_iter().flat_map(Node::entries);
                let data = data.filter_map(|(key, value)| Some((key.scalar()?, value.scalar()?)));
                put(&mut self.config_maps, (namespace, name), Some(variables(data)));
            }
            _ => {}
        }
    }

    /// ConfigMaps that kustomize makes.
    fn take_generated(&mut self, root: Node<'_>) {
        let namespace = root.get("namespace").and_then(Node::scalar).unwrap_or_default();
        for map in root.get(GENERATOR).into_iter().flat_map(Node::items) {
            let Some(name) = map.get("name").and_then(Node::scalar) else { continue };
            let literals = map.get("literals").into_iter().flat_map(Node::items).filter_map(Node::scalar);
            let data = variables(literals.filter_map(|literal| literal.split_once('=')));
            let changes_another = map.get("behavior").and_then(Node::scalar).is_some_and(|word| word != "create");
            for namespace in ["", namespace] {
                let key = (namespace.to_owned(), name.to_owned());
                put(&mut self.config_maps, key, Some(data.clone()).filter(|_| !changes_another));
            }
        }
    }
}

/// Whether a text may have an object of which something is kept: schemas only mention these kinds.
fn speaks(text: &str) -> bool {
    let is_value =
        |at: usize| text.get(..at).is_some_and(|before| before.trim_end_matches([' ', '"', '\'']).ends_with(':'));
    text.contains(GENERATOR) || KINDS.iter().any(|kind| text.match_indices(kind).any(|(at, _)| is_value(at)))
}

fn variables<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    let short = pairs.filter(|(_, value)| value.len() <= bounds::VARIABLE.count());
    short.map(|(key, value)| (key.to_owned(), value.trim_end_matches('\n').to_owned())).collect()
}

fn put<K: Ord, V: PartialEq>(map: &mut BTreeMap<K, Option<V>>, key: K, value: Option<V>) {
    map.entry(key)
        .and_modify(|known| *known = known.take().filter(|known| value.as_ref() == Some(known)))
        .or_insert(value);
}

/// What is known around a pod: first by its own file, then by the others of its folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around<'a> {
    pub(super) file: &'a Surroundings,
    pub(super) folder: &'a Surroundings,
}

impl<'a> Around<'a> {
    fn find<V>(self, of: impl Fn(&'a Surroundings) -> Option<&'a Option<V>>) -> Option<&'a V> {
        of(self.file).or_else(|| of(self.folder))?.as_ref()
    }

    /// The Pod Security level that a namespace enforces, as it is written.
    pub(super) fn level(self, namespace: &str) -> Option<&'a str> {
        self.find(|context| context.levels.get(namespace)).map(String::as_str)
    }

    /// The memory limit of a container that states none.
    pub(super) fn memory(self, namespace: &str) -> Option<&'a str> {
        self.find(|context| context.memory.get(namespace)).map(String::as_str)
    }

    /// The content of a ConfigMap.
    pub(super) fn config_map(self, namespace: &str, name: &str) -> Option<&'a BTreeMap<String, String>> {
        let key = (namespace.to_owned(), name.to_owned());
        self.find(|context| context.config_maps.get(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contradicts_itself_is_not_known() {
        let map = |value: &str| {
            let text = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{A: {value}}}\n");
            Surroundings::of_text(&text, &Steps::default())
        };
        let nothing = Surroundings::default();
        let known = |context: &Surroundings| {
            let around = Around { file: &nothing, folder: context };
            around.config_map("", "c").map(|map| map.values().cloned().collect::<Vec<_>>())
        };
        let mut context = map("one");
        context.add(map("one"));
        assert_eq!(known(&context), Some(vec!["one".to_owned()]));
        context.add(map("two"));
        assert_eq!(known(&context), None);
        context.add(map("one"));
        assert_eq!(known(&context), None);
        let file = map("own");
        let around = Around { file: &file, folder: &context };
        assert!(around.config_map("", "c").is_some_and(|map| map.contains_key("A")));
    }
}
