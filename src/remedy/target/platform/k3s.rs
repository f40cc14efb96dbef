//! `k3s`: files for K3s and RKE2 nodes, whose one service is kubelet, kube-proxy and container runtime.
//!
//! Sources: docs.k3s.io (configuration files); pkg/agent/syssetup/setup.go and k3s.service of k3s-io/k3s.

use serde_json::{Map, json};

use super::super::kube_proxy::{Setting, habit};
use super::super::{File, Order, Rendered, Target, notes, yaml};
use super::{Parts, Takes, commented};

pub(in super::super) const TARGET: Target =
    Target { name: "k3s", about: "K3s and RKE2 nodes: configuration, sysctl.d and service drop-in", render };

const TAKES: Takes = Takes {
    sysctl: |_| Ok(()),
    kube_proxy: |_| Err(String::new()),
    every_pod: |_| false,
    kubelet: Ok(()),
    nofile: Ok(()),
};

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered)?;
    rendered.files.push(config(&parts));
    let left: Vec<i128> = parts
        .settings()
        .filter_map(|setting| match setting {
            Setting::LeftToNode(value) => Some(value),
            _ => None,
        })
        .collect();
    if !parts.sysctls.is_empty() || !left.is_empty() {
        let mut text = format!("# The node's sysctls, at every boot.\n{}", parts.sysctl_d());
        for value in &left {
            text += &format!(
                "# kube-proxy leaves it to the node (conntrack-max-per-core=0). nf_conntrack has to be in \
                 /etc/modules-load.d.\nnet.netfilter.nf_conntrack_max = {value}\n"
            );
        }
        let apply = "to `/etc/sysctl.d/90-tunecheck.conf` on the node, before the others, then `sysctl -p \
                     /etc/sysctl.d/90-tunecheck.conf`; its modules into /etc/modules-load.d. Undo: remove it and write \
                     the former values back."
            .to_owned();
        rendered.files.insert(0, File { path: "sysctl.d/90-tunecheck.conf".to_owned(), text, apply });
    }
    rendered.files.extend(drop_in(&parts));
    Ok(rendered)
}

/// Arguments of the kubelet and of kube-proxy.
fn config(parts: &Parts<'_>) -> File {
    let mut config = Map::new();
    if !parts.names().is_empty() {
        let list = format!("allowed-unsafe-sysctls={}", parts.names().join(","));
        config.insert("kubelet-arg+".to_owned(), json!([list]));
    }
    let proxy: Vec<String> = parts
        .settings()
        .map(|setting| match setting {
            Setting::Min(least) => format!("conntrack-min={least}"),
            Setting::LeftToNode(_) => "conntrack-max-per-core=0".to_owned(),
            Setting::Established(seconds) => format!("conntrack-tcp-timeout-established={seconds}s"),
        })
        .collect();
    if !proxy.is_empty() {
        config.insert("kube-proxy-arg+".to_owned(), json!(proxy));
    }
    let mut about = Vec::new();
    notes::wrap(
        &mut about,
        "",
        "Key+ adds to the list of earlier files; a key without + replaces it. If one of these arguments is set \
         already, \
         it takes its place: put what it says into that line, and keep the larger value.",
    );
    if !parts.proxy.is_empty() {
        notes::wrap(&mut about, "", habit(parts.order.options.kubernetes));
        notes::wrap(&mut about, "", "K3s and RKE2 pass it on. Where maxPerCore is 0 kube-proxy ignores min.");
    }
    File {
        path: "config.yaml.d/90-tunecheck.yaml".to_owned(),
        text: format!("{}{}{}", commented(&about), commented(&parts.told_of_others()), yaml::document(&config.into())),
        apply: "to `/etc/rancher/k3s/config.yaml.d/` (RKE2: `/etc/rancher/rke2/config.yaml.d/`), then restart k3s or \
                k3s-agent (rke2-server, rke2-agent). Undo: remove the file and restart."
            .to_owned(),
    }
}

/// The container runtime inside inherits the limits of the service.
fn drop_in(parts: &Parts<'_>) -> Option<File> {
    let (step, edit) = parts.nofile?;
    let mark = if parts.order.takes(step) { "" } else { "# left to you: " };
    let text = format!(
        "# Containers inherit it. Not where the service has more already: systemctl show -p LimitNOFILE k3s\n\
         {}[Service]\n{mark}LimitNOFILE={}:{}\n",
        notes::comment(step, "#"),
        edit.soft,
        edit.hard
    );
    Some(File {
        path: "k3s.service.d/90-tunecheck.conf".to_owned(),
        text,
        apply: "to `/etc/systemd/system/k3s.service.d/` (or of k3s-agent, rke2-server, rke2-agent), then `systemctl \
                daemon-reload` and restart the service. Undo: remove the file, the same again."
            .to_owned(),
    })
}
