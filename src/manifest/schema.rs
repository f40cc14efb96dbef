//! Fields that no release of Kubernetes has: of a pod's spec, and of the configurations of a node.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::pods::{Spec, fault};
use super::tree::Node;
use super::{Options, is_filled_in_later, shown};
use crate::model::finding::Outcome;
use crate::model::manifest::Fault;
use crate::model::text::distance;
use crate::model::version::NEWEST_KUBERNETES;

/// The fields of a type, each with the type of what it holds.
type Fields = BTreeMap<&'static str, Holds>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A scalar; of a pod also a list of scalars, or a map whose keys are anybody's.
    Anything,
    /// A list of whatever.
    List,
    /// A map whose keys are anybody's.
    Map,
    One(&'static str),
    Many(&'static str),
}

/// Types by name.
type Types = BTreeMap<&'static str, Fields>;

static OF_PODS: LazyLock<Types> = LazyLock::new(|| types(include_str!("pod_fields.txt")));
static OF_NODES: LazyLock<Types> = LazyLock::new(|| types(include_str!("node_fields.txt")));

/// Types whose fields are most often written in one of the others.
const NEIGHBOURS: [(&str, &str); 6] = [
    ("PodSpec", "a pod's spec"),
    ("Container", "a container"),
    ("PodSecurityContext", "a pod's securityContext"),
    ("SecurityContext", "a container's securityContext"),
    ("KubeProxyConfiguration", "the KubeProxyConfiguration itself"),
    ("KubeProxyConntrackConfiguration", "conntrack"),
];
/// What more is said of elsewhere.
const JUDGED_ELSEWHERE: [&str; 3] = ["ulimits", "rlimits", "sysctls"];

fn types(text: &'static str) -> Types {
    let mut types = Types::new();
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
            Some((name, "[]")) => (name, Holds::List),
            Some((name, "{}")) => (name, Holds::Map),
            Some((name, list)) if list.starts_with('[') => (name, Holds::Many(list.trim_matches(['[', ']']))),
            Some((name, one)) => (name, Holds::One(one)),
        });
        types.entry(of).or_default().extend(fields);
    }
    types
}

/// Tells the fields of a pod's spec that are unknown. Kinds of other APIs have one with fields of their own.
pub(super) fn judge(spec: &Spec<'_>, options: Options<'_>, faults: &mut Vec<Fault>) {
    if spec.is_of_kubernetes() {
        let then = (Outcome::Fail, "the API server refuses it (kubectl asks for strict validation) or drops it");
        let unknown = Unknown { types: &OF_PODS, subject: spec.subject(), then, options };
        unknown.tell(spec.node, "PodSpec", &["spec"], faults);
    }
}

/// Tells the fields of a node's configuration that are unknown. Both programs decode it strictly, write
/// into their log what they did not know, and go on with the rest (`DecodeKubeletConfiguration`, `loadConfig`).
pub(super) fn configuration(
    config: Node<'_>,
    kind: &'static str,
    who: &str,
    options: Options<'_>,
    faults: &mut Vec<Fault>,
) {
    let then = format!("{who} says so in its log, and reads over it");
    let unknown = Unknown { types: &OF_NODES, subject: kind.to_owned(), then: (Outcome::Warn, &then), options };
    unknown.tell(config, kind, &[], faults);
    let mut push = |value: Node<'_>, path: &str, wanted: &str, is: &str| {
        let says =
            format!("{} is {wanted}, and this is {is}: {who} cannot read its file, and does not start", shown(path));
        let texts = [says, format!("write {wanted}")];
        faults.push(fault("syntax", Outcome::Fail, value.mark(), kind.to_owned(), texts));
    };
    misshapen(config, kind, "", &mut push);
}

/// Tells the values of a node's configuration that are of another form than their field has.
fn misshapen<'a>(node: Node<'a>, of: &'static str, path: &str, told: &mut impl FnMut(Node<'a>, &str, &str, &str)) {
    let Some(fields) = OF_NODES.get(of) else { return };
    for (key, value) in node.entries() {
        let name = key.scalar().unwrap_or_default();
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let is = match value.scalar() {
            _ if value.is_map() => "a map",
            _ if value.is_list() => "a list",
            Some(text) if !value.is_null() && !is_filled_in_later(text) => "a single value",
            _ => continue,
        };
        let wanted = match fields.get(name) {
            Some(Holds::Anything) => "a single value",
            Some(Holds::List | Holds::Many(_)) => "a list",
            Some(Holds::Map | Holds::One(_)) => "a map",
            None => continue,
        };
        if wanted != is {
            told(value, &path, wanted, is);
        } else if let Some(Holds::One(of)) = fields.get(name) {
            misshapen(value, of, &path, told);
        } else if let Some(Holds::Many(of)) = fields.get(name) {
            for (at, item) in value.items().enumerate() {
                misshapen(item, of, &format!("{path}[{at}]"), told);
            }
        }
    }
}

/// How unknown fields are told.
struct Unknown<'a> {
    types: &'static Types,
    subject: String,
    /// What becomes of one.
    then: (Outcome, &'a str),
    options: Options<'a>,
}

impl Unknown<'_> {
    fn tell(&self, node: Node<'_>, of: &'static str, path: &[&str], faults: &mut Vec<Fault>) {
        let newer = self.options.kubernetes.is_some_and(|release| release.is_later_release(NEWEST_KUBERNETES));
        let mut path = path.iter().map(|step| (*step).to_owned()).collect();
        walk(self.types, node, of, &mut path, &mut |key, of, path| {
            let (outcome, then) = match newer {
                true => (Outcome::Unknown, format!("no release up to {NEWEST_KUBERNETES} has it")),
                false => (self.then.0, self.then.1.to_owned()),
            };
            let written = key.scalar().unwrap_or_default();
            let dot = if path.is_empty() { "" } else { "." };
            let says = format!("unknown field {}{dot}{}: {then}", shown(&path.join(".")), shown(written));
            let texts = [says, instead(self.types, written, of)];
            faults.push(fault("no-such-field", outcome, key.mark(), self.subject.clone(), texts));
        });
    }
}

fn walk<'a>(
    types: &'static Types,
    node: Node<'a>,
    of: &'static str,
    path: &mut Vec<String>,
    unknown: &mut impl FnMut(Node<'a>, &'static str, &[String]),
) {
    let Some(fields) = types.get(of) else { return };
    for (key, value) in node.entries() {
        let name = key.scalar().unwrap_or_default();
        match fields.get(name) {
            Some(Holds::Anything | Holds::List | Holds::Map) => {}
            Some(Holds::One(of)) => {
                path.push(name.to_owned());
                walk(types, value, of, path, unknown);
                path.pop();
            }
            Some(Holds::Many(of)) => {
                for (at, item) in value.items().enumerate() {
                    path.push(format!("{name}[{at}]"));
                    walk(types, item, of, path, unknown);
                    path.pop();
                }
            }
            None if name == "<<" => {
                walk(types, value, of, path, unknown);
                value.items().for_each(|merged| walk(types, merged, of, path, unknown));
            }
            // Directives of a patch.
            None if name.starts_with('$') || key.is_placeholder() || JUDGED_ELSEWHERE.contains(&name) => {}
            None => unknown(key, of, path),
        }
    }
}

/// What may have been meant.
fn instead(types: &Types, name: &str, of: &str) -> String {
    let has = |of: &str| types.get(of).is_some_and(|fields| fields.contains_key(name));
    if let Some((_, what)) = NEIGHBOURS.iter().find(|(other, _)| *other != of && has(other)) {
        return format!("move it: {what} has a field of this name");
    }
    let near = |known: &&&str| distance(&name.to_ascii_lowercase(), &known.to_ascii_lowercase());
    let best = types.get(of).into_iter().flat_map(Fields::keys).min_by_key(near);
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
        let roots: [(&Types, &[&str]); 2] =
            [(&OF_PODS, &["PodSpec"]), (&OF_NODES, &["KubeletConfiguration", "KubeProxyConfiguration"])];
        for (types, roots) in roots {
            let mut reached = roots.to_vec();
            let mut at = 0;
            while let Some(of) = reached.get(at) {
                let fields = types.get(of).map(|fields| fields.values().copied().collect::<Vec<_>>());
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
            assert_eq!(reached.len(), types.len());
        }
    }

    #[test]
    fn what_was_meant_is_found_by_name_and_by_place() {
        assert_eq!(instead(&OF_PODS, "hostNetwork", "Container"), "move it: a pod's spec has a field of this name");
        assert_eq!(
            instead(&OF_PODS, "terminationGracePeriod", "PodSpec"),
            "did you mean terminationGracePeriodSeconds?"
        );
        assert_eq!(instead(&OF_PODS, "hostnetwork", "PodSpec"), "did you mean hostNetwork?");
        assert_eq!(instead(&OF_PODS, "unsafe", "Sysctl"), "delete it");
        assert_eq!(
            instead(&OF_NODES, "maxPerCore", "KubeProxyConfiguration"),
            "move it: conntrack has a field of this name"
        );
    }
}
