//! Fields of a pod's spec that no release of Kubernetes has: what the API server calls unknown.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Options;
use super::pods::{Spec, fault};
use super::shown;
use super::tree::Node;
use crate::model::finding::Outcome;
use crate::model::manifest::Fault;
use crate::model::text::distance;
use crate::model::version::NEWEST_KUBERNETES;

/// The fields of a type, each with the type of what it holds.
type Fields = BTreeMap<&'static str, Holds>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A scalar, or a map whose keys are anybody's.
    Anything,
    One(&'static str),
    Many(&'static str),
}

static TYPES: LazyLock<BTreeMap<&'static str, Fields>> = LazyLock::new(|| types(include_str!("pod_fields.txt")));

/// Types whose fields are most often written in one of the others.
const NEIGHBOURS: [(&str, &str); 4] = [
    ("PodSpec", "a pod's spec"),
    ("Container", "a container"),
    ("PodSecurityContext", "a pod's securityContext"),
    ("SecurityContext", "a container's securityContext"),
];
/// What more is said of elsewhere.
const JUDGED_ELSEWHERE: [&str; 3] = ["ulimits", "rlimits", "sysctls"];

fn types(text: &'static str) -> BTreeMap<&'static str, Fields> {
    let mut types: BTreeMap<&str, Fields> = BTreeMap::new();
    let mut of = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields = match line.split_once(": ") {
            Some((name, fields)) if !line.starts_with(' ') => {
                of = name;
                fields
            }
            _ => line,
        };
        let fields = fields.split_ascii_whitespace().map(|field| match field.split_once(':') {
            None => (field, Holds::Anything),
            Some((name, list)) if list.starts_with('[') => (name, Holds::Many(list.trim_matches(['[', ']']))),
            Some((name, one)) => (name, Holds::One(one)),
        });
        types.entry(of).or_default().extend(fields);
    }
    types
}

/// Tells the fields that are unknown. Kinds of other APIs have a pod's spec with fields of their own.
pub(super) fn judge(spec: &Spec<'_>, options: Options<'_>, faults: &mut Vec<Fault>) {
    if spec.is_of_kubernetes() {
        let newer = options.kubernetes.is_some_and(|release| release.is_later_release(NEWEST_KUBERNETES));
        walk(spec.node, "PodSpec", &mut vec!["spec".to_owned()], &mut |key, of, path| {
            let (outcome, who) = match newer {
                true => (Outcome::Unknown, format!("no release up to {NEWEST_KUBERNETES} has it")),
                false => {
                    let who = "the API server refuses it (kubectl asks for strict validation) or drops it";
                    (Outcome::Fail, who.to_owned())
                }
            };
            let written = key.scalar().unwrap_or_default();
            let says = format!("unknown field {}.{}: {who}", shown(&path.join(".")), shown(written));
            let texts = [says, instead(written, of)];
            faults.push(fault("no-such-field", outcome, key.mark(), spec.subject(), texts));
        });
    }
}

fn walk<'a>(
    node: Node<'a>,
    of: &'static str,
    path: &mut Vec<String>,
    unknown: &mut impl FnMut(Node<'a>, &'static str, &[String]),
) {
    let Some(fields) = TYPES.get(of) else { return };
    for (key, value) in node.entries() {
        let name = key.scalar().unwrap_or_default();
        match fields.get(name) {
            Some(Holds::Anything) => {}
            Some(Holds::One(of)) => {
                path.push(name.to_owned());
                walk(value, of, path, unknown);
                path.pop();
            }
            Some(Holds::Many(of)) => {
                for (at, item) in value.items().enumerate() {
                    path.push(format!("{name}[{at}]"));
                    walk(item, of, path, unknown);
                    path.pop();
                }
            }
            None if name == "<<" => {
                walk(value, of, path, unknown);
                value.items().for_each(|merged| walk(merged, of, path, unknown));
            }
            // Directives of a patch.
            None if name.starts_with('$') || key.is_placeholder() || JUDGED_ELSEWHERE.contains(&name) => {}
            None => unknown(key, of, path),
        }
    }
}

/// What may have been meant.
fn instead(name: &str, of: &str) -> String {
    let has = |of: &str| TYPES.get(of).is_some_and(|fields| fields.contains_key(name));
    if let Some((_, what)) = NEIGHBOURS.iter().find(|(other, _)| *other != of && has(other)) {
        return format!("move it: {what} has a field of this name");
    }
    let near = |known: &&&str| distance(&name.to_ascii_lowercase(), &known.to_ascii_lowercase());
    let best = TYPES.get(of).into_iter().flat_map(Fields::keys).min_by_key(near);
    match best.filter(|best| near(best) * 3 <= name.len()) {
        Some(best) => format!("did you mean {best}?"),
        None => "delete it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_is_named_is_there_and_every_type_is_reached() {
        let mut reached = vec!["PodSpec"];
        let mut at = 0;
        while let Some(of) = reached.get(at) {
            let fields = TYPES.get(of).map(|fields| fields.values().copied().collect::<Vec<_>>());
            assert!(fields.is_some(), "{of}");
            for holds in fields.unwrap_or_default() {
                if let Holds::One(of) | Holds::Many(of) = holds
                    && !reached.contains(&of)
                {
                    reached.push(of);
                }
            }
            at += 1;
        }
        assert_eq!(reached.len(), TYPES.len());
    }

    #[test]
    fn what_was_meant_is_found_by_name_and_by_place() {
        assert_eq!(instead("hostNetwork", "Container"), "move it: a pod's spec has a field of this name");
        assert_eq!(instead("terminationGracePeriod", "PodSpec"), "did you mean terminationGracePeriodSeconds?");
        assert_eq!(instead("hostnetwork", "PodSpec"), "did you mean hostNetwork?");
        assert_eq!(instead("unsafe", "Sysctl"), "delete it");
    }
}
