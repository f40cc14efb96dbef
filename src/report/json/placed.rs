//! The place of a recorded report, read back.

use std::borrow::Cow;

use serde::Deserialize;

use crate::model::place::{Kind, Netns, Place, Writable};

#[derive(Deserialize)]
pub(super) struct PlaceIn<'a> {
    kind: KindIn,
    network_namespace: NetnsIn,
    #[serde(borrow)]
    runtime: Option<Cow<'a, str>>,
    kubernetes_node: bool,
    #[serde(borrow)]
    unit: Option<Cow<'a, str>>,
    #[serde(default)]
    process: Option<String>,
    uid: Option<u32>,
    #[serde(default)]
    initial_user_namespace: Option<bool>,
    #[serde(borrow, default)]
    capabilities: Vec<Cow<'a, str>>,
    sysctls: WritableIn,
    boot_id: Option<String>,
    network_namespace_inode: Option<u64>,
    cgroup_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindIn {
    Host,
    Namespace,
    Container,
    Pod,
    HostNetworkPod,
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NetnsIn {
    Init,
    Child,
    Unknown,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WritableIn {
    Writable,
    ReadOnlyMount,
    NotPermitted,
    Unknown,
}

impl PlaceIn<'_> {
    /// The place, as far as a report tells it.
    pub(super) fn meaning(self) -> Place {
        const CAPABILITIES: [&str; 4] = ["CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"];
        Place {
            kind: match self.kind {
                KindIn::Host => Kind::Host,
                KindIn::Namespace => Kind::Namespace,
                KindIn::Container => Kind::Container,
                KindIn::Pod => Kind::Pod,
                KindIn::HostNetworkPod => Kind::HostNetworkPod,
                KindIn::Unknown => Kind::Unknown,
            },
            netns: match self.network_namespace {
                NetnsIn::Init => Netns::Init,
                NetnsIn::Child => Netns::Child,
                NetnsIn::Unknown => Netns::Unknown,
            },
            writable: match self.sysctls {
                WritableIn::Writable => Writable::Yes,
                WritableIn::ReadOnlyMount => Writable::ReadOnly,
                WritableIn::NotPermitted => Writable::NotPermitted,
                WritableIn::Unknown => Writable::Unknown,
            },
            runtime: self.runtime.map(Cow::into_owned),
            node: self.kubernetes_node,
            unit: self.unit.map(Cow::into_owned),
            process: self.process,
            uid: self.uid,
            capabilities: CAPABILITIES.into_iter().filter(|name| self.capabilities.iter().any(|c| c == name)).collect(),
            init_pidns: None,
            init_userns: self.initial_user_namespace,
            cgroup: None,
            kernel: None,
            because: Vec::new(),
            boot: self.boot_id,
            netns_inode: self.network_namespace_inode,
            cgroup_path: self.cgroup_path,
        }
    }
}
