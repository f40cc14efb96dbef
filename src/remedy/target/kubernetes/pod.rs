//! The part of a pod: `securityContext.sysctls`, `dnsConfig`, and where such pods may run.

use k8s_openapi::api::core::v1::{PodDNSConfig, PodDNSConfigOption, PodSecurityContext, Sysctl, Toleration};
use serde_json::{Map, Value, json};

use super::super::admission::{self, Admitted, NODES, RANGE, RESERVED};
use super::super::{File, Order, Rendered, notes, yaml};
use crate::model::action::{Edit, Site, SysctlEdit};
use crate::model::fix::Safety;
use crate::remedy::{Step, quoted};

/// The script that adds to the lists of a workload, below the entries that it adds.
const MERGE: &str = include_str!("merge.sh");
/// Workloads with this label get the patch of the component.
const LABEL: &str = "tunecheck/tuned=true";

/// What goes into the pod template of a workload.
pub(super) struct Part<'a> {
    sysctls: Vec<Entry<'a>>,
    ndots: Vec<(&'a Step, i128, bool)>,
}

struct Entry<'a> {
    step: &'a Step,
    edit: &'a SysctlEdit,
    admitted: Admitted,
    /// Written out, not only told.
    taken: bool,
}

impl<'a> Part<'a> {
    /// The part, as far as the cluster admits it.
    pub(super) fn of(order: Order<'a>, rendered: &mut Rendered) -> Result<Self, String> {
        let mut sysctls = Vec::new();
        let wanted: Vec<_> = admission::of_pods(order).collect();
        let reserves = wanted.iter().any(|(_, edit)| edit.name == RESERVED);
        for (step, edit) in wanted {
            let kubernetes = order.options.kubernetes.ok_or(admission::WHICH_KUBELET)?;
            let admitted = admission::of(edit, kubernetes, order).and_then(|admitted| match admitted {
                Admitted::Unsafe if !admission::can_be_allowed(&edit.name) => Err(format!(
                    "a kubelet with it in allowedUnsafeSysctls does not start; the node's administrator can give \
                         every pod the value: {}",
                    admission::for_every_pod(kubernetes)
                )),
                admitted => Ok(admitted),
            });
            let reserved = |entry: &Entry<'_>| entry.edit.name == RESERVED && entry.taken;
            let unreserved = edit.name == RANGE && reserves && !sysctls.iter().any(reserved);
            match admitted {
                Err(why) => rendered.leave_out(step, why),
                Ok(_) if unreserved => {
                    rendered.leave_out(
                        step,
                        "the range is not widened before its ports are reserved, which the pod's owner does first",
                    );
                }
                Ok(admitted) => {
                    // The kubelet's part is for a person to read first, so the pod's is too.
                    let read = admitted == Admitted::Safe || order.options.max_safety >= Safety::Review;
                    sysctls.push(Entry { step, edit, admitted, taken: order.takes(step) && read });
                }
            }
        }
        let ndots = order.plan.at(&[Site::PodManifest]).filter_map(|step| match step.action.edit {
            Edit::Ndots(ndots) => Some((step, ndots, order.takes(step))),
            _ => None,
        });
        Ok(Self { sysctls, ndots: ndots.collect() })
    }

    /// Whether a kubelet has to allow a sysctl for this part.
    pub(super) fn needs(&self, name: &str) -> bool {
        self.unsafe_ones().any(|(edit, _)| edit.name == name)
    }

    /// The sysctls that a kubelet has to allow, and whether they are written out.
    pub(super) fn unsafe_ones(&self) -> impl Iterator<Item = (&SysctlEdit, bool)> {
        let entries = self.sysctls.iter().filter(|entry| entry.admitted == Admitted::Unsafe);
        entries.map(|entry| (entry.edit, entry.taken))
    }

    /// The strategic merge patch, and the same as a kustomize component.
    pub(super) fn files(&self, order: Order<'_>, rendered: &mut Rendered) -> Vec<File> {
        let spec = self.spec();
        if spec.is_empty() {
            for step in self.sysctls.iter().map(|entry| entry.step).chain(self.ndots.iter().map(|(step, ..)| *step)) {
                rendered.leave_out(step, order.told_only(step).unwrap_or_else(|| super::READ_FIRST.to_owned()));
            }
            return Vec::new();
        }
        let patch = json!({ "spec": { "template": { "spec": &spec } } });
        // kustomize wants a name and takes the target's.
        let mut named = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "any" } });
        if let (Value::Object(named), Value::Object(patch)) = (&mut named, &patch) {
            named.extend(patch.clone());
        }
        let component = json!({
            "apiVersion": "kustomize.config.k8s.io/v1alpha1",
            "kind": "Component",
            "patches": [{
                "path": "patch.yaml",
                "target": { "kind": "Deployment|StatefulSet|DaemonSet", "labelSelector": LABEL },
            }],
        });
        let warnings = self.warnings();
        let replaces = "the lists in it REPLACE those of the workload: its first lines tell which, and how to see them";
        let last = if self.unsafe_ones().any(|(_, taken)| taken) { ", after the kubelets" } else { "" };
        vec![
            File {
                path: "pod-patch.yaml".to_owned(),
                text: format!("{warnings}{}{}", self.steps(), yaml::document(&patch)),
                apply: format!(
                    "`kubectl patch deployment NAME --patch-file pod-patch.yaml`{last}; {replaces}. Undo: `kubectl \
                     rollout undo deployment NAME`."
                ),
            },
            File {
                path: "pod-merge.sh".to_owned(),
                text: format!(
                    "#!/bin/sh\n\
                     # Adds the entries of pod-patch.yaml to those that a workload has, shows the difference, and \
                     applies nothing:\n\
                     #   sh pod-merge.sh deployment NAME [-n NAMESPACE]\n\
                     want={}\n{MERGE}",
                    quoted(&Value::Object(spec).to_string())
                ),
                apply: format!(
                    "`sh pod-merge.sh deployment NAME`{last}, in place of the patch: it keeps the entries that the \
                     workload has, needs jq, shows what would change and prints the command. Undo: as for the patch."
                ),
            },
            File {
                path: "component/kustomization.yaml".to_owned(),
                text: format!(
                    "# components: [component] in the kustomization of the workloads, which it finds by the label \
                     {LABEL}.\n{}",
                    yaml::document(&component)
                ),
                apply: format!(
                    "in place of the patch, for kustomize: a component for the workloads with the label `{LABEL}`."
                ),
            },
            File {
                path: "component/patch.yaml".to_owned(),
                text: format!(
                    "{warnings}#\n# The same as pod-patch.yaml, which tells everything about each step.\n{}",
                    yaml::document(&named)
                ),
                apply: format!("with the component; {replaces}."),
            },
        ]
    }

    fn taken(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.sysctls.iter().filter(|entry| entry.taken)
    }

    /// The patched fields of a pod's spec.
    fn spec(&self) -> Map<String, Value> {
        let mut spec = Map::new();
        let mut put = |key: &str, value: serde_json::Result<Value>| {
            // None of these types has a key or a number that JSON lacks.
            spec.insert(key.to_owned(), value.unwrap_or_default());
        };
        let sysctls: Vec<Sysctl> =
            self.taken().map(|entry| Sysctl { name: entry.edit.name.clone(), value: entry.edit.new.plain() }).collect();
        if !sysctls.is_empty() {
            let context = PodSecurityContext { sysctls: Some(sysctls), ..PodSecurityContext::default() };
            put("securityContext", serde_json::to_value(context));
        }
        if self.taken().any(|entry| entry.admitted == Admitted::Unsafe) {
            put("nodeSelector", Ok(json!({ NODES: "allowed" })));
            let toleration = Toleration {
                key: Some(NODES.to_owned()),
                operator: Some("Equal".to_owned()),
                value: Some("allowed".to_owned()),
                effect: Some("NoSchedule".to_owned()),
                ..Toleration::default()
            };
            put("tolerations", serde_json::to_value(vec![toleration]));
        }
        if let Some((_, ndots, _)) = self.ndots.iter().find(|(_, _, taken)| *taken) {
            let option = PodDNSConfigOption { name: Some("ndots".to_owned()), value: Some(ndots.to_string()) };
            let config = PodDNSConfig { options: Some(vec![option]), ..PodDNSConfig::default() };
            put("dnsConfig", serde_json::to_value(config));
        }
        spec
    }

    /// The lists that the patch replaces.
    fn warnings(&self) -> String {
        let spec = self.spec();
        let lists = [
            ("securityContext", "securityContext.sysctls"),
            ("tolerations", "tolerations"),
            ("dnsConfig", "dnsConfig.options"),
        ];
        let mut text = String::from(
            "# For the pod template of a workload. No field of a container has sysctls. Whether the workload has \
             entries that\n# would go (null: none):\n\
             #   kubectl get deployment NAME -o json | jq '.spec.template.spec |\n\
             #     {sysctls: .securityContext.sysctls, tolerations, options: .dnsConfig.options}'\n\
             # pod-merge.sh adds to them instead.\n",
        );
        for (_, list) in lists.into_iter().filter(|(key, _)| spec.contains_key(*key)) {
            text += &format!(
                "#\n# WARNING: spec.template.spec.{list} is one list: this one REPLACES what the workload has there.\n\
                 # Nothing is merged. Look first, and add what it shows to the list below:\n\
                 #   kubectl get deployment NAME -o jsonpath='{{.spec.template.spec.{list}}}'\n"
            );
        }
        text
    }

    /// Everything about each step.
    fn steps(&self) -> String {
        let mut text = String::new();
        if !self.sysctls.is_empty() {
            text += "#\n# Which sysctls a namespace admits follows from its labels, not from the nodes:\n\
                     # pod-security.kubernetes.io/enforce and pod-security.kubernetes.io/enforce-version.\n\
                     #   kubectl get ns NAMESPACE --show-labels\n";
        }
        for entry in &self.sysctls {
            text += &format!("#\n{}", notes::comment(entry.step, "#"));
            let name = &entry.edit.name;
            if entry.admitted == Admitted::Unsafe {
                text += &format!(
                    "#   unsafe   only on nodes whose kubelet allows it, with the label and taint {NODES}=allowed: any \
                     other\n#            kubelet rejects the pod for good (SysctlForbidden), and a Deployment makes \
                     new ones.\n#            On OpenShift only with an SCC whose allowedUnsafeSysctls has it (--to \
                     openshift).\n"
                );
            }
            text += &format!(
                "#   policy   baseline and restricted admit it in {} of the Pod Security policy\n",
                admission::policy_versions(entry.edit)
            );
            if !entry.taken {
                text += &format!("#   left to you: {name}: {}\n", yaml::quoted(&entry.edit.new.plain()));
            }
        }
        for (step, ndots, taken) in &self.ndots {
            text += &format!("#\n{}", notes::comment(step, "#"));
            if !taken {
                text += &format!("#   left to you: dnsConfig.options: name ndots, value \"{ndots}\"\n");
            }
        }
        text
    }
}
