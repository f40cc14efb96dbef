//! The part of the kubelet, without which an unsafe sysctl in a pod is a pod that never starts.

use serde_json::json;

use super::super::admission::{self, NODES};
use super::super::{File, Order, notes, yaml};
use super::pod::Part;
use crate::model::action::Edit;

/// The snippet, if the pod's part needs one.
pub(super) fn file(pod: &Part<'_>, order: Order<'_>) -> Option<File> {
    let taken: Vec<&str> = pod.unsafe_ones().filter(|(_, taken)| *taken).map(|(edit, _)| edit.name.as_str()).collect();
    if taken.is_empty() {
        return None;
    }
    let mut text = format!(
        "# For the KubeletConfiguration of a few nodes, before the pods (kubeadm: /var/lib/kubelet/config.yaml, which\n\
         # kubeadm upgrade writes again: keep it in the ConfigMap kubelet-config or in a patch for --patches).\n\
         # WARNING: allowedUnsafeSysctls is one list: this one REPLACES what the node has there. Nothing is merged.\n\
         # Look first, and add what it shows to the list below:\n\
         #   kubectl get --raw /api/v1/nodes/NODE/proxy/configz\n\
         # Then, for each of these nodes:\n\
         #   systemctl restart kubelet\n\
         #   kubectl label node NODE {NODES}=allowed\n\
         #   kubectl taint node NODE {NODES}=allowed:NoSchedule\n\
         # What kubectl gives a node is lost when it is replaced: the platform's target says how to keep it (--to eks, \
         gke, ...).\n\
         # On OpenShift the pod also needs an SCC whose allowedUnsafeSysctls has the names: --to openshift.\n\
         # The pods have this nodeSelector and toleration (pod-patch.yaml):\n\
         #   nodeSelector: {{ {NODES}: allowed }}\n\
         #   tolerations: [{{ key: {NODES}, operator: Equal, value: allowed, effect: NoSchedule }}]\n"
    );
    if let Some(kubernetes) = order.options.kubernetes {
        let mut lines = Vec::new();
        notes::wrap(
            &mut lines,
            "",
            &format!("Without a change of the pods: {}.", admission::for_every_pod(kubernetes)),
        );
        text += &notes::commented(&lines, "#");
    }
    let allowing = order
        .plan
        .steps
        .iter()
        .filter(|step| matches!(&step.action.edit, Edit::AllowUnsafe { name } if pod.needs(name)));
    for step in allowing {
        text += &format!("#\n{}", notes::comment(step, "#"));
    }
    for (edit, _) in pod.unsafe_ones().filter(|(_, taken)| !taken) {
        text += &format!("# left to you: allowedUnsafeSysctls: {}\n", edit.name);
    }
    text += &yaml::document(&json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "allowedUnsafeSysctls": taken,
    }));
    Some(File {
        path: "kubelet.yaml".to_owned(),
        text,
        apply: format!(
            "into the KubeletConfiguration of a few nodes, which get the label and taint `{NODES}=allowed`; its list \
             REPLACES the one there, and the kubelet has to be restarted. Undo: first the pods, then this entry."
        ),
    })
}
