//! `eks`: user data of Amazon EKS nodes with Amazon Linux 2023: a shell part for sysctls, a NodeConfig for nodeadm.
//!
//! Sources: nodeadm/doc of awslabs/amazon-eks-ami; sysctl files of its AL2023 template; base-runtime-spec.json of
//! nodeadm, which gives containers 65536:1048576 open files.

use serde_json::json;

use super::super::admission::RESERVED;
use super::super::{File, Order, Rendered, Target, yaml};
use super::{Parts, TO_KUBE_PROXY, Takes, at_least_the_default, commented, rlimits, user_data};
use crate::model::ports::Ports;

pub(in super::super) const TARGET: Target =
    Target { name: "eks", about: "Amazon EKS, nodes with Amazon Linux 2023: user data (MIME)", render };

const TAKES: Takes = Takes {
    sysctl: |_| Ok(()),
    kube_proxy: |_| Err(format!("{TO_KUBE_PROXY} (on EKS the ConfigMap kube-proxy-config of the add-on)")),
    every_pod: |_| false,
    kubelet: Ok(()),
    nofile: |edit| Ok(at_least_the_default(edit)),
};
/// What the image reserves for itself. A file that sets the key replaces that list.
const OF_THE_IMAGE: &str = "2703,9808,9809,10249,10250,10256,61678,61679";
/// Sorts after the files of the image.
const FILE: &str = "/etc/sysctl.d/zz-tunecheck.conf";
const BOUNDARY: &str = "TUNECHECK";

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let mut parts = Parts::of(order, &TAKES, &mut rendered)?;
    for entry in parts.sysctls.iter_mut().filter(|entry| entry.edit.name == RESERVED) {
        if let (Ok(list), Ok(image)) = (entry.value.parse::<Ports>(), OF_THE_IMAGE.parse::<Ports>()) {
            entry.value = list.union(&image).to_string();
        }
    }
    let (sysctls, others) = (parts.writes_sysctls(), parts.writes_others());
    if !sysctls {
        parts.without_sysctls(&mut rendered);
    }
    if !others {
        parts.without_others(&mut rendered);
    }
    if !sysctls && !others {
        return Ok(rendered);
    }
    let mut text = format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"{BOUNDARY}\"\n");
    if sysctls {
        text += &format!(
            "\n--{BOUNDARY}\nContent-Type: text/x-shellscript; charset=\"us-ascii\"\n\n#!/bin/bash\n\
             # The network namespace of the node. Pods with their own start from the kernel's defaults.\n"
        );
        text.extend(
            parts
                .modules()
                .into_iter()
                .map(|module| format!("modprobe {module}\necho {module} >/etc/modules-load.d/{module}.conf\n")),
        );
        text += &format!("cat >{FILE} <<'END'\n{}END\nsysctl -p {FILE}\n", ascii(&parts.sysctl_d()));
    }
    if others {
        text += &node_config(&parts);
    }
    text += &format!("\n--{BOUNDARY}--\n");
    rendered.files.push(File {
        path: "user-data.mime".to_owned(),
        text: user_data(text),
        apply: "user data of the launch template of a node group (with one of your own: as parts beside yours); nodes \
                that run have to be replaced. Undo: the former version of the template, and replace them again."
            .to_owned(),
    });
    Ok(rendered)
}

/// The part for nodeadm.
fn node_config(parts: &Parts<'_>) -> String {
    let mut spec = serde_json::Map::new();
    if !parts.names().is_empty() {
        spec.insert("kubelet".to_owned(), json!({ "config": { "allowedUnsafeSysctls": parts.names() } }));
    }
    if let Some(edit) = parts.files_limit() {
        spec.insert("containerd".to_owned(), json!({ "baseRuntimeSpec": { "process": { "rlimits": rlimits(edit) } } }));
    }
    let config = json!({ "apiVersion": "node.eks.aws/v1alpha1", "kind": "NodeConfig", "spec": spec });
    format!(
        "\n--{BOUNDARY}\nContent-Type: application/node.eks.aws\n\n\
         # nodeadm merges this with the cluster's NodeConfig.\n{}{}",
        ascii(&commented(&parts.told_of_others())),
        yaml::document(&config)
    )
}

/// The parts are declared to be ASCII.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}
