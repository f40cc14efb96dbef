//! `k3s`: files for K3s and RKE2 nodes, whose one service is kubelet, kube-proxy and container runtime.
//!
//! Sources: docs.k3s.io (configuration files); pkg/agent/syssetup/setup.go and k3s.service of k3s-io/k3s, and issue 8487
//! there for the sysctls of its ServiceLB; rke2-server.service of rancher/rke2.

use serde_json::{Map, json};

use super::super::kube_proxy::Setting;
use super::super::{File, Order, Rendered, Target, notes, yaml};
use super::{Parts, Takeover, Takes, commented};

pub(in super::super) const TARGET: Target =
    Target { name: "k3s", about: "K3s and RKE2 nodes: configuration, sysctl.d and service drop-in", render };

const TAKES: Takes = Takes {
    kube_proxy: None,
    // The units of the installers have 1048576 or infinity.
    nofile: |edit| match edit.hard > UNIT {
        true => Ok(*edit),
        false => Err(
            "K3s and RKE2 give containers what their service has: the installers' units have LimitNOFILE=1048576 or \
             infinity, and a drop-in with less would lower it. The node's administrator looks first: systemctl show \
             -p LimitNOFILE -p LimitNOFILESoft k3s (k3s-agent, rke2-server, rke2-agent)",
        ),
    },
    labels: &[
        "in a file of config.yaml.d, before the node joins:",
        "  node-label+: [\"tunecheck/unsafe-sysctls=allowed\"]",
        "  node-taint+: [\"tunecheck/unsafe-sysctls=allowed:NoSchedule\"]",
    ],
    sysctls_act: Takeover {
        acts: "at boot, or once sysctl -p is run with the file",
        anew: false,
        undo: "take the line out of the file, and write the former value back",
    },
    others_act: Takeover {
        acts: "when the service (k3s, k3s-agent, rke2-server, rke2-agent) is restarted, for what is started afterwards",
        anew: true,
        undo: "remove the file, and restart the service",
    },
    ..Takes::PLAIN
};
/// What K3s allows itself, without which the pods of its ServiceLB are rejected: an argument takes the place of its own.
const OF_SERVICE_LB: [&str; 2] = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"];
/// What the unit of an installer gives at least.
const UNIT: i128 = 1_048_576;

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered);
    match parts.writes_sysctls() {
        true => rendered.files.push(sysctl_d(&parts)),
        false => parts.without_sysctls(&mut rendered),
    }
    match config(&parts) {
        Some(file) => rendered.files.push(file),
        None => parts.without_others(&mut rendered),
    }
    rendered.files.extend(drop_in(&parts));
    Ok(rendered)
}

/// The node's sysctls.
fn sysctl_d(parts: &Parts<'_>) -> File {
    let name = parts.sysctl_d_file();
    let modules: String = parts
        .modules()
        .into_iter()
        .map(|module| format!("# First echo {module} >/etc/modules-load.d/{module}.conf, or lines are lost at boot.\n"))
        .collect();
    File {
        path: name.trim_start_matches("/etc/").to_owned(),
        text: format!("# The node's sysctls, at every boot.\n{modules}{}", parts.sysctl_d()),
        apply: format!(
            "to `{name}` on the node, before the others, then `sysctl -p {name}`; its modules into \
             /etc/modules-load.d. Undo: remove it and write the former values back."
        ),
    }
}

/// Arguments of the kubelet and of kube-proxy.
fn config(parts: &Parts<'_>) -> Option<File> {
    let mut config = Map::new();
    if !parts.names().is_empty() {
        let ours = parts.names().into_iter().filter(|name| !OF_SERVICE_LB.contains(name));
        let names: Vec<&str> = OF_SERVICE_LB.into_iter().chain(ours).collect();
        let list = format!("allowed-unsafe-sysctls={}", names.join(","));
        config.insert("kubelet-arg+".to_owned(), json!([list]));
    }
    let proxy: Vec<String> = parts
        .settings()
        .map(|setting| match setting {
            Setting::Min(least) | Setting::MinAlone(least) => format!("conntrack-min={least}"),
            Setting::Established(seconds) => format!("conntrack-tcp-timeout-established={seconds}s"),
        })
        .collect();
    if !proxy.is_empty() {
        config.insert("kube-proxy-arg+".to_owned(), json!(proxy));
    }
    if config.is_empty() {
        return None;
    }
    let mut about = Vec::new();
    notes::wrap(
        &mut about,
        "",
        "Key+ adds to the list of earlier files; a key without + replaces it. If one of these arguments is set \
         already, \
         it takes its place: put what it says into that line, and keep the larger value.",
    );
    if !parts.names().is_empty() {
        notes::wrap(
            &mut about,
            "",
            "allowed-unsafe-sysctls takes the place of K3s' own list, without which the pods of its ServiceLB end in \
             SysctlForbidden: that list is in it.",
        );
    }
    if parts.has_proxy() {
        notes::wrap(
            &mut about,
            "",
            "At every start K3s and RKE2 read these arguments and set the values themselves, also where that lowers what \
             is there: nf_conntrack_max to conntrack-max-per-core x CPUs or conntrack-min, whichever is more, without \
             a cap, and not at all where conntrack-max-per-core is 0. The buckets they leave alone: sysctl.d.",
        );
    }
    Some(File {
        path: "config.yaml.d/90-tunecheck.yaml".to_owned(),
        text: format!("{}{}{}", commented(&about), commented(&parts.told_of_others()), yaml::document(&config.into())),
        apply: "to `/etc/rancher/k3s/config.yaml.d/` (RKE2: `/etc/rancher/rke2/config.yaml.d/`), then restart k3s or \
                k3s-agent (rke2-server, rke2-agent). Undo: remove the file and restart."
            .to_owned(),
    })
}

/// The container runtime inside inherits the limits of the service.
fn drop_in(parts: &Parts<'_>) -> Option<File> {
    let edit = parts.files_limit()?;
    let text = format!(
        "# Containers inherit it. Not where the service has more already, such as infinity:\n\
         #   systemctl show -p LimitNOFILE -p LimitNOFILESoft k3s\n\
         {}[Service]\nLimitNOFILE={}:{}\n",
        commented(&parts.told_of_files()),
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
