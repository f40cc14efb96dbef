//! Pods for Windows: fields of Linux in them, which the API server refuses.

use super::pods::{Spec, fault};
use super::tree::Node;
use crate::model::finding::Outcome;
use crate::model::manifest::Fault;

/// Whether a pod says that it is for Windows; what else it says of Linux is told, and not judged.
pub(super) fn judge(spec: &Spec<'_>, faults: &mut Vec<Fault>) -> bool {
    let os = spec.node.get("os").and_then(|os| os.get("name")).and_then(Node::scalar);
    if os != Some("windows") {
        return false;
    }
    let sysctls = spec.node.get("securityContext").and_then(|context| context.entry("sysctls"));
    if let Some((key, _)) = sysctls.filter(|(_, list)| !list.is_null()) {
        let says = "sysctls in a pod with os.name: windows: the API server refuses it".to_owned();
        let texts = [says, "delete them: they are Linux'".to_owned()];
        faults.push(fault("windows", Outcome::Fail, key.mark(), spec.subject(), texts));
    }
    true
}
