//! `eks`: user data of Amazon EKS nodes with Amazon Linux 2023: a shell part for sysctls, a NodeConfig for nodeadm.
//!
//! Sources: nodeadm/doc of awslabs/amazon-eks-ami; sysctl files of its AL2023 template; base-runtime-spec.json of
//! nodeadm, which gives containers 65536:1048576 open files.

use serde_json::json;

use super::super::{File, Order, Rendered, Target, yaml};
use super::{Parts, TO_KUBE_PROXY, Takes, at_least_the_default, commented, rlimits, user_data};

pub(in super::super) const TARGET: Target =
    Target { name: "eks", about: "Amazon EKS, nodes with Amazon Linux 2023: user data (MIME)", render };

const TAKES: Takes = Takes {
    // /etc/sysctl.conf and /etc/sysctl.d/67-eks-reserved-ports.conf of the image.
    defaults: &[
        ("fs.inotify.max_user_instances", 8192),
        ("fs.inotify.max_user_watches", 524_288),
        ("kernel.pid_max", 4_194_304),
        ("vm.max_map_count", 524_288),
    ],
    reserved: "2703,9808,9809,10249,10250,10256,61678,61679",
    kube_proxy: Some(|_| Err(format!("{TO_KUBE_PROXY} (on EKS the ConfigMap kube-proxy-config of the add-on)"))),
    nofile: |edit| Ok(at_least_the_default(edit)),
    labels: &[
        "spec.kubelet.flags of the NodeConfig:",
        "- --node-labels=tunecheck/unsafe-sysctls=allowed",
        "- --register-with-taints=tunecheck/unsafe-sysctls=allowed:NoSchedule",
    ],
    ..Takes::PLAIN
};
/// Sorts after the files of the image.
const FILE: &str = "/etc/sysctl.d/zz-tunecheck.conf";
const BOUNDARY: &str = "TUNECHECK";

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered);
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
