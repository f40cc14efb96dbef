//! Who can change what, by place.

use crate::model::place::{Kind, Place, Writable};

/// Who can write a sysctl of the machine, a file or a limit where the audit stands.
pub(super) fn writer(place: &Place) -> &'static str {
    match (place.kind, place.writable) {
        (Kind::Unknown, _) if place.process.is_none() => "root on that machine",
        (Kind::Namespace, _) if place.uid.is_none() => "whoever makes that network namespace, or root in it",
        _ if place.uid == Some(0) && !place.is_root() => "root of this machine, not root of this user namespace",
        (_, Writable::Yes) if place.is_root() => "root, as this audit ran",
        (_, Writable::Yes) => "the user of this audit",
        _ => "root on this machine",
    }
}

/// Who can write a sysctl of the network namespace that the audit stands in: where its own user namespace made it, the root
/// of that one.
pub(super) fn writer_in_netns(place: &Place) -> &'static str {
    match (place.uid, place.init_userns, place.writable) {
        (Some(0), Some(false), Writable::Yes) => "root of this user namespace, as this audit ran",
        _ => writer(place),
    }
}

/// Who owns the limit that a fact is about: a peer's is not of this machine.
pub(super) fn owner_of(fact: &str, place: &Place) -> &'static str {
    if fact.starts_with("h2.") || fact.starts_with("h2[") { "whoever runs the peer" } else { owner(place) }
}

/// Who owns the limits around the audited process.
pub(super) fn owner(place: &Place) -> &'static str {
    match place.kind {
        Kind::Pod | Kind::HostNetworkPod => "the pod's owner or the node's administrator",
        Kind::Container => "whoever starts the container",
        Kind::Host | Kind::Namespace => "the administrator of this machine",
        Kind::Unknown if place.process.is_some() => "the administrator of this machine",
        Kind::Unknown => "the administrator of that machine",
    }
}
