//! `butane`: files for Flatcar and Fedora CoreOS nodes, at provisioning.
//!
//! Sources: flatcar.org (Butane specification, flatcar 1.0.0); coreos.github.io/butane (fcos 1.5.0).

use serde_json::json;

use super::super::{File, Order, Rendered, Target, yaml};
use super::{Parts, TO_KUBELET, Takes};

pub(in super::super) const TARGET: Target =
    Target { name: "butane", about: "Flatcar and Fedora CoreOS: Butane, at provisioning", render };

const TAKES: Takes = Takes {
    kubelet: Err(TO_KUBELET),
    nofile: |_| Err("it is the container runtime's: --to kubernetes has the files for containerd and CRI-O"),
    ..Takes::PLAIN
};

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let parts = Parts::of(order, &TAKES, &mut rendered);
    if !parts.writes_sysctls() {
        parts.without_sysctls(&mut rendered);
        return Ok(rendered);
    }
    // Butane wants a number: this is 0644.
    let file = |path: String, inline: String| json!({ "path": path, "mode": 0o644, "contents": { "inline": inline } });
    let mut files: Vec<_> = parts
        .modules()
        .into_iter()
        .map(|module| file(format!("/etc/modules-load.d/{module}.conf"), format!("{module}\n")))
        .collect();
    files.push(file(parts.sysctl_d_file().to_owned(), parts.sysctl_d()));
    let config = json!({ "variant": "flatcar", "version": "1.0.0", "storage": { "files": files } });
    let text = format!(
        "# For Fedora CoreOS: variant: fcos, version: \"1.5.0\". On OpenShift use --to openshift instead.\n{}",
        yaml::document(&config)
    );
    rendered.files.push(File {
        path: "tunecheck.bu".to_owned(),
        text,
        apply: "`butane --strict tunecheck.bu > tunecheck.ign`, merged into the Ignition configuration of new nodes; \
                nodes that run get the files by hand or are replaced. Undo: without it, the same way."
            .to_owned(),
    });
    Ok(rendered)
}
