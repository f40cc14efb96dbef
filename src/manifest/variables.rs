//! The variables of a container.

use std::borrow::Cow;

use super::pods::{Container, Spec};
use super::tree::Node;
use crate::model::manifest::Mark;

/// A variable of a container.
#[derive(Clone, Debug)]
pub(super) struct Variable<'a> {
    pub(super) name: Cow<'a, str>,
    /// None if it comes from elsewhere.
    pub(super) value: Option<&'a str>,
    /// Where its value stands, or what it is taken from.
    pub(super) mark: Mark,
}

impl<'a> Spec<'a> {
    /// The variables of a container whose value is known here; of those with one name the last one counts.
    pub(super) fn variables(&self, container: Container<'a>) -> Vec<Variable<'a>> {
        let config_map = |name: Node<'a>| self.config_map(name.scalar()?);
        let mut variables = Vec::new();
        for from in container.node.get("envFrom").into_iter().flat_map(Node::items) {
            let prefix = from.get("prefix").and_then(Node::scalar).unwrap_or_default();
            let map = from.get("configMapRef").and_then(|map| map.get("name")).and_then(config_map);
            for (name, value) in map.into_iter().flatten() {
                variables.push(Variable {
                    name: format!("{prefix}{name}").into(),
                    value: Some(value),
                    mark: from.mark(),
                });
            }
        }
        for entry in container.node.get("env").into_iter().flat_map(Node::items) {
            let Some(name) = entry.get("name").and_then(Node::scalar) else { continue };
            let referred = entry.get("valueFrom").map(|from| {
                let key = from.get("configMapKeyRef")?;
                let value = config_map(key.get("name")?)?.get(key.get("key")?.scalar()?)?;
                Some((value.as_str(), entry.mark()))
            });
            let own = || entry.get("value").and_then(|value| Some((value.scalar()?, value.mark())));
            let (value, mark) =
                referred.unwrap_or_else(own).map_or((None, entry.mark()), |(value, mark)| (Some(value), mark));
            variables.push(Variable { name: name.into(), value, mark });
        }
        variables
    }
}
