//! Fields that no pod has, whatever handbooks say.

use super::pods::{Spec, fault};
use super::tree::Node;
use crate::model::finding::Outcome;
use crate::model::manifest::Fault;

/// Names under which limits on open files are asked for.
const LIMITS: [&str; 2] = ["ulimits", "rlimits"];
/// What the API server does with a field that it does not know.
const UNKNOWN: &str =
    "the API server refuses it (kubectl asks for strict validation) or drops it, and nothing is limited";
pub(super) const INSTEAD: &str = "delete it. A pod inherits its limits from the container runtime. In the pod: raise the soft limit at the start of the \
     entrypoint, to what the program needs and no further, such as `ulimit -Sn 65536; exec \"$@\"`: some programs touch \
     every descriptor up to it. For the hard limit: the runtime on the node (CRI-O default_ulimits, containerd \
     base_runtime_spec): tunecheck fix --to kubernetes writes both";
/// Annotations in which sysctls were written until 1.10.
const ANNOTATIONS: [&str; 2] = ["security.alpha.kubernetes.io/sysctls", "security.alpha.kubernetes.io/unsafe-sysctls"];

pub(super) fn judge(spec: &Spec<'_>, faults: &mut Vec<Fault>) {
    of(spec.node, "a pod's spec", &spec.subject(), faults);
    for name in ANNOTATIONS {
        let Some((key, _)) = spec.annotation(name) else { continue };
        let says = format!("no release since 1.11 reads the annotation {name}: nothing is set");
        let change =
            "move it to spec.securityContext.sysctls, a list of name and value, each value in quotes".to_owned();
        faults.push(fault("no-such-field", Outcome::Fail, key.mark(), spec.subject(), [says, change]));
    }
    if let Some(context) = spec.node.get("securityContext") {
        limits(context, "a pod's securityContext", &spec.subject(), faults);
    }
    for container in spec.containers() {
        let subject = spec.subject_of(container);
        of(container.node, "a container", &subject, faults);
        if let Some(context) = container.node.get("securityContext") {
            of(context, "a container's securityContext", &subject, faults);
        }
    }
}

/// Whether a part has fields that only other parts, or none, have.
fn of(part: Node<'_>, what: &str, subject: &str, faults: &mut Vec<Fault>) {
    limits(part, what, subject, faults);
    if let Some((key, _)) = part.entry("sysctls") {
        let says = format!("{what} has no field `sysctls`: the API server refuses it or drops it, and nothing is set");
        let change = "move it to the pod: spec.securityContext.sysctls, a list of name and value, each value in quotes";
        let texts = [says, change.to_owned()];
        faults.push(fault("no-such-field", Outcome::Fail, key.mark(), subject.to_owned(), texts));
    }
}

fn limits(part: Node<'_>, what: &str, subject: &str, faults: &mut Vec<Fault>) {
    for name in LIMITS {
        let Some((key, _)) = part.entry(name) else { continue };
        let texts = [format!("{what} has no field `{name}`: {UNKNOWN}"), INSTEAD.to_owned()];
        faults.push(fault("no-such-field", Outcome::Fail, key.mark(), subject.to_owned(), texts));
    }
}
