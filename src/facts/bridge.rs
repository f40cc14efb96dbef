//! The Linux bridge that a network plugin connects the pods of a node with.

use super::{Gather, Source};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

/// Of the plugin "bridge" (flannel and K3s too), of kubenet, of kube-router.
const NAMES: [&str; 3] = ["cni0", "cbr0", "kube-bridge"];
const NAME: &str = "bridge.name";

pub(super) const SOURCE: Source = Source {
    families: &["bridge"],
    read,
    entries: &[Entry {
        name: NAME,
        unit: Unit::Text,
        scope: Scope::Netns,
        meaning: "bridge that a network plugin connects pods with: cni0, cbr0 or kube-bridge",
        read: "/sys/class/net",
        document: "https://www.cni.dev/plugins/current/main/bridge/",
    }],
};

fn read(gather: &mut Gather<'_>) {
    if gather.wants(NAME) {
        let reading = name(gather);
        gather.put(NAME, reading, "/sys/class/net");
    }
}

fn name(gather: &Gather<'_>) -> Reading {
    for name in NAMES {
        let path = format!("/sys/class/net/{name}/bridge");
        if gather.host.exists(&path).map_err(|refusal| refusal.gap(&path))? {
            return Ok(Value::Text(name.to_owned()));
        }
    }
    Err(Gap::new(Cause::Absent, "no bridge of a network plugin is here"))
}
