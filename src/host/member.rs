//! What a cgroup path says of a process: which container, which pod, which unit. Pure.
//!
//! Paths as runtimes make them: `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope`,
//! `/docker/ID`, `/libpod_parent/libpod-ID`, `/kubepods/burstable/podUID/ID`, `kubepods-podUID.slice:cri-containerd:ID`,
//! and `/default/ID` of ctr. Inside of one container may be another: the innermost counts.

/// Where a process belongs, by its cgroups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Member {
    /// The container's id.
    pub(super) container: Option<String>,
    /// The pod's uid, with dashes.
    pub(super) pod: Option<String>,
    /// The longest path among the hierarchies: it tells most.
    pub(super) path: String,
    /// Units of this machine's own systemd, in any hierarchy.
    units: Vec<String>,
}

impl Member {
    /// Of the content of /proc/PID/cgroup. Lines of another form say nothing.
    pub(super) fn of(text: &str) -> Self {
        let mut member = Self::default();
        // Names of hierarchies and controllers hold no second colon; paths may.
        for path in text.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
            if path.len() > member.path.len() {
                path.clone_into(&mut member.path);
            }
            // Below a container, or a user's own manager, the names are those of another systemd.
            let foreign = |part: &&str| container(part).is_some() || part.starts_with("user@");
            let parts = || path.split('/').filter(|part| !part.is_empty());
            let own = parts().position(|part| foreign(&part)).map_or(usize::MAX, |at| at + 1);
            member.units.extend(parts().take(own).map(str::to_owned));
            member.container = member.container.or_else(|| container(path).map(str::to_owned));
            member.pod = member.pod.or_else(|| pod(path));
        }
        member
    }

    /// Whether the process belongs to a unit, directly or below it.
    pub(super) fn is_of(&self, unit: &str) -> bool {
        self.units.iter().any(|part| part == unit)
    }
}

/// What a cgroup belongs to, in words: its pod and container, else its unit. None for the root and for slices.
pub fn home(path: &str) -> Option<String> {
    let member = Member::of(&format!("0::{path}"));
    let pod = member.pod.map(|uid| format!("pod {uid}"));
    let container = member.container.map(|id| format!("container {}", id.get(..12).unwrap_or(&id)));
    let unit = || path.split('/').rev().find(|part| [".service", ".scope"].iter().any(|kind| part.ends_with(kind)));
    match (pod, container) {
        (None, None) => unit().map(str::to_owned),
        (pod, container) => Some(pod.into_iter().chain(container).collect::<Vec<_>>().join(" ")),
    }
}

/// Folders that ctr and nerdctl make for a containerd namespace, directly at the root.
const CONTAINERD: [&str; 3] = ["default", "k8s.io", "moby"];

fn container(path: &str) -> Option<&str> {
    const BEFORE: [&str; 5] = ["cri-containerd-", "crio-", "docker-", "libpod-", "nerdctl-"];
    let id = |part| {
        let part: &str = part;
        // Where containerd and the kubelet disagree about systemd: SLICE:PREFIX:ID in one part.
        let part = part.rsplit(':').next().unwrap_or(part);
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let part = BEFORE.iter().find_map(|before| part.strip_prefix(before)).unwrap_or(part);
        is_id(part).then_some(part)
    };
    let named = || match path.strip_prefix('/')?.split_once('/')? {
        (folder, name) if CONTAINERD.contains(&folder) && is_name(name) => Some(name),
        _ => None,
    };
    path.split('/').rev().find_map(id).or_else(named)
}

fn pod(path: &str) -> Option<String> {
    // From another cgroup namespace the upper part of a path is hidden.
    if !path.contains("kubepods") && !path.starts_with("/../") {
        return None;
    }
    path.split('/').rev().find_map(|part| {
        let slice = part.split(':').next().unwrap_or(part);
        let uid = match slice.strip_suffix(".slice") {
            Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
            None => slice.strip_prefix("pod")?.to_owned(),
        };
        is_uid(&uid).then_some(uid)
    })
}

/// The id that Docker, containerd, CRI-O and Podman give a container.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name that ctr takes: it becomes part of paths here.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Static pods have uids without dashes.
fn is_uid(text: &str) -> bool {
    (32..=36).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const UID: &str = "6c1f4a5e-5a0f-4c2b-9d1a-0a1b2c3d4e5f";

    fn seen(path: &str) -> (Option<String>, Option<String>) {
        let path = path.replace("ID", ID).replace("UNDER", &UID.replace('-', "_")).replace("UUU", UID);
        let member = Member::of(&format!("12:pids:/\n9:name=systemd:{path}\n0::/\n"));
        assert_eq!(member.path, if path.is_empty() { "/" } else { &path });
        (member.container, member.pod)
    }

    #[test]
    fn every_runtime_s_path_names_its_container_and_pod() {
        let (id, uid) = (Some(ID.to_owned()), Some(UID.to_owned()));
        for path in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/machine.slice/libpod-ID.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/libpod_parent/libpod-ID",
            "/any/parent/ID",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
        ] {
            assert_eq!(seen(path), (id.clone(), None), "{path}");
        }
        for path in [
            "/kubepods/burstable/podUUU/ID",
            "/kubepods/podUUU/crio-ID",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDER.slice/cri-containerd-ID.scope",
            "/kubepods.slice/kubepods-podUNDER.slice/crio-ID.scope",
            "/system.slice/containerd.service/kubepods-besteffort-podUNDER.slice:cri-containerd:ID",
            "/docker/ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff/kubepods/podUUU/ID",
        ] {
            assert_eq!(seen(path), (id.clone(), uid.clone()), "{path}");
        }
        assert_eq!(seen("/default/web-1"), (Some("web-1".into()), None));
        assert_eq!(seen("/kubepods/burstable/podUUU"), (None, uid));
    }

    #[test]
    fn other_paths_name_no_container() {
        for path in [
            "",
            "/system.slice/docker-compose@web.service",
            "/machine.slice/libpod-conmon-ID.scope",
            "/libpod_parent/conmon",
            "/default/..",
            "/default/.hidden",
            "/default/a/b",
            "/kubepods/podless",
            "/pods/podUUU",
        ] {
            assert_eq!(seen(path), (None, None), "{path}");
        }
        for text in ["", "\n\n", "::", "0::", "x", "1:a"] {
            assert_eq!((Member::of(text).container, Member::of(text).pod), (None, None), "{text:?}");
        }
    }

    #[test]
    fn a_cgroup_is_said_in_the_words_of_whoever_made_it() {
        for (path, words) in [
            ("/system.slice/gateway.service/worker", Some("gateway.service".to_owned())),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/relay.service", Some("relay.service".to_owned())),
            ("/user.slice/user-1000.slice/session-3.scope", Some("session-3.scope".to_owned())),
            ("/system.slice/docker-ID.scope", Some("container 0123456789ab".to_owned())),
            ("/kubepods/burstable/podUUU/ID", Some(format!("pod {UID} container 0123456789ab"))),
            ("/kubepods/burstable/podUUU", Some(format!("pod {UID}"))),
            ("/", None),
            ("/system.slice", None),
        ] {
            assert_eq!(home(&path.replace("ID", ID).replace("UUU", UID)), words, "{path}");
        }
    }

    #[test]
    fn a_process_below_a_unit_is_of_it_and_one_beside_it_is_not() {
        let member = Member::of("0::/system.slice/gateway.service/worker\n");
        assert!(member.is_of("gateway.service"));
        assert!(!member.is_of("gateway") && !member.is_of("way.service"));
        // In a container, or below a user's own manager, another systemd has named it.
        let docker = format!("0::/system.slice/docker-{ID}.scope/system.slice/gateway.service\n");
        for path in [docker.as_str(), "0::/user.slice/user@1000.service/app.slice/gateway.service\n"] {
            assert!(!Member::of(path).is_of("gateway.service"), "{path}");
        }
        assert!(Member::of(&docker).is_of(&format!("docker-{ID}.scope")), "the scope itself is of this machine");
        let hybrid =
            Member::of("4:memory:/a/much/longer/path/of/somebody\n1:name=systemd:/system.slice/gateway.service\n");
        assert!(hybrid.is_of("gateway.service"));
    }
}
