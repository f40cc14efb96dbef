//! Facts to place: where the audit stands, and how that is known. Pure, so it replays.
//!
//! No sign is trusted alone. A left-over `/.dockerenv` on a plain machine, a copied environment variable or an overlay
//! root do not make a container; what decides is the runtime's own mounts, the cgroup path, or a pid namespace of its
//! own together with a read-only /proc/sys or a marker.

mod unread;

use crate::model::fact::{Cause, Gap, Value};
use crate::model::facts::Facts;
use crate::model::place::{Kind, NOBODY, Netns, Place, Writable, service_of};
use unread::{OF_KUBERNETES, SIGNS, failed, unreadable};

/// Facts that a place rests on.
pub const WANTED: &[&str] = &[
    "cgroup.path",
    "cgroup.version",
    "kernel.boot_id",
    "kernel.node",
    "kernel.release",
    "namespace.net.inode",
    "namespace.pid.init",
    "namespace.user.init",
    "process.capabilities",
    "process.name",
    "process.uid",
    "sign.mount",
    "sysctl.net.core.somaxconn",
    "sysctl.net.ipv4.ip_local_port_range",
    "sysctl.net.ipv4.neigh.default.gc_thresh3",
    "sysctl.net.ipv4.tcp_max_orphans",
    "sysctl.net.ipv4.tcp_mem",
];

/// Sysctls that only the first network namespace shows, on every kernel. Two of three decide, in case one becomes
/// per-namespace.
const HOST_ONLY: [&str; 3] =
    ["sysctl.net.ipv4.neigh.default.gc_thresh3", "sysctl.net.ipv4.tcp_max_orphans", "sysctl.net.ipv4.tcp_mem"];

const NO_NETNS: &str = "nothing says which network namespace it is";

/// Where the audit stands.
pub fn of(facts: &Facts) -> Place {
    let mut because = Vec::new();
    let netns = netns(facts, &mut because);
    let init_pidns = match facts.value("namespace.pid.init") {
        Ok(value) => Some(*value == Value::Number(1)),
        Err(_) => None,
    };
    if init_pidns == Some(false) {
        because.push("a pid namespace of its own".to_owned());
    }
    let init_userns = facts.number("namespace.user.init").ok().map(|init| init == 1);
    if init_userns == Some(false) {
        because.push("a user namespace of its own".to_owned());
    }
    let given = facts.text("sign.mount").is_some();
    let runtime = runtime(facts, &mut because);
    let readonly = facts.holds("sign.procsys_readonly");
    if readonly {
        because.push("/proc/sys is mounted read-only".to_owned());
    }
    let marker = facts.holds("sign.dockerenv") || facts.holds("sign.containerenv");
    let managed = facts.text("sign.manager").is_some();
    // A marker file stays behind where a container was, and in a pid namespace that somebody makes there it means no more.
    let container = runtime.is_some() || (init_pidns == Some(false) && (readonly || managed || (marker && given)));
    if (marker || managed) && !container {
        because.push(
            "a container's marker file (such as /.dockerenv) is taken as left over: nothing else says container"
                .to_owned(),
        );
    }
    let unreadable = unreadable(facts);
    if let Some(gap) = unreadable.as_ref().filter(|_| !container) {
        because.push(format!("what would tell a container from a host could not be read: {}", gap.why));
    }
    let kubernetes = container && kubernetes(facts, &mut because);
    let unsigned = failed(facts, &OF_KUBERNETES).filter(|_| container && !kubernetes);
    if let Some(gap) = &unsigned {
        because.push(format!("what would tell a pod from a container could not be read: {}", gap.why));
    }
    let node = !container && facts.holds("sign.kubelet");
    if node {
        because.push(match facts.get("sign.kubelet").map(|sign| sign.source.as_ref()) {
            Some("/ps") => "a kubelet is in the list of processes".to_owned(),
            Some(folder) => format!("{folder} is there"),
            None => "a kubelet is here".to_owned(),
        });
    }
    if facts.text("process.name") == Some(NOBODY) {
        because.push(unknown("which process does the work here".to_owned()));
    }
    for name in WANTED.iter().chain(&SIGNS).chain(&["sign.procsys_writable"]) {
        let why = facts.value(name).err().filter(Gap::is_failure).map(|gap| gap.why);
        because.extend(why.filter(|why| !because.iter().any(|known| known.contains(why.as_str()))).map(unknown));
    }
    let kind = match (container, kubernetes, netns) {
        _ if unsigned.is_some() => Kind::Unknown,
        (true, true, Netns::Init) => Kind::HostNetworkPod,
        (true, true, _) => Kind::Pod,
        (true, false, _) => Kind::Container,
        _ if unreadable.is_some() => Kind::Unknown,
        (false, _, Netns::Child) => Kind::Namespace,
        (false, _, Netns::Init) if init_pidns.is_some() => Kind::Host,
        _ => Kind::Unknown,
    };
    Place {
        kind,
        netns,
        init_pidns,
        init_userns,
        runtime: runtime.map(str::to_owned),
        node: node || kind == Kind::HostNetworkPod,
        unit: facts.text("cgroup.path").and_then(service_of),
        cgroup: facts.text("cgroup.version").map(str::to_owned),
        process: facts.text("process.name").map(str::to_owned),
        uid: facts.number("process.uid").ok().and_then(|uid| u32::try_from(uid).ok()),
        capabilities: facts
            .number("process.capabilities")
            .map(|mask| capabilities(mask, init_userns))
            .unwrap_or_default(),
        writable: writable(facts),
        kernel: facts.text("kernel.release").and_then(|release| release.parse().ok()),
        because,
        boot: facts.text("kernel.boot_id").map(str::to_owned),
        netns_inode: facts.text("namespace.net.inode").and_then(|inode| inode.parse().ok()),
        cgroup_path: facts.text("cgroup.path").filter(|path| !path.is_empty()).map(str::to_owned),
    }
}

/// Puts what follows from the place among the facts, for rules and for the reasons behind gaps.
pub fn describe(place: &Place, facts: &mut Facts) {
    let netns = match place.netns {
        Netns::Init => Ok(Value::Number(1)),
        Netns::Child => Ok(Value::Number(0)),
        Netns::Unknown => Err(Gap::new(Cause::Unsupported, NO_NETNS)),
    };
    let container = matches!(place.kind, Kind::Container | Kind::Pod | Kind::HostNetworkPod);
    facts.put("namespace.net.init", netns, "host-wide sysctls");
    if place.is_guess() {
        let why = format!("where this is could not be told: {}", place.because.join("; "));
        for name in ["kubernetes.node", "kubernetes.pod", "container"] {
            facts.put(name, Err(Gap::new(Cause::Failed, why.clone())), "place");
        }
        return;
    }
    let node = match (place.netns, facts.value("sign.kubelet")) {
        (Netns::Init, _) if place.node => Ok(Value::Number(1)),
        (Netns::Init, Err(gap)) if !container => Err(gap),
        (Netns::Unknown, _) if place.node => Err(Gap::new(Cause::Unsupported, NO_NETNS)),
        (Netns::Unknown, Err(gap)) if !container => Err(gap),
        _ => Ok(Value::Number(0)),
    };
    facts.put("kubernetes.node", node, "place");
    let pod = matches!(place.kind, Kind::Pod | Kind::HostNetworkPod);
    facts.put("kubernetes.pod", Ok(Value::Number(i128::from(pod))), "place");
    facts.put("container", Ok(Value::Number(i128::from(container))), "place");
}

fn unknown(why: String) -> String {
    format!("not known: {why}")
}

fn netns(facts: &Facts, because: &mut Vec<String>) -> Netns {
    let visible = HOST_ONLY.iter().filter(|name| facts.value(name).is_ok()).count();
    // What a namespace has of its own has to be there: a /proc that shows processes only hides everything alike.
    let own = |name: &str| {
        name == "sysctl.net.core.somaxconn"
            || (name.starts_with("sysctl.net.ipv4.") && !HOST_ONLY.contains(&name))
            || name.starts_with("sockstat.")
            || name.starts_with("netstat.")
    };
    let others = facts.iter().any(|(name, fact)| own(name) && fact.reading.is_ok());
    let absent = HOST_ONLY.iter().filter(|name| facts.value(name).is_err_and(|gap| gap.cause == Cause::Absent));
    match (visible, absent.count()) {
        (2.., _) => {
            because.push("host-wide network sysctls are visible".to_owned());
            Netns::Init
        }
        (_, 2..) if others => {
            because.push("host-wide network sysctls are hidden".to_owned());
            Netns::Child
        }
        _ => Netns::Unknown,
    }
}

/// The runtime whose traces show: in its mounts, in the layers of the root, in the cgroup path.
fn runtime(facts: &Facts, because: &mut Vec<String>) -> Option<&'static str> {
    const MOUNTS: [(&str, &str); 5] = [
        ("/var/lib/docker/containers/", "docker"),
        ("io.containerd.", "containerd"),
        ("/overlay-containers/", "podman or CRI-O"),
        ("/lxc/", "lxc"),
        ("/libpod", "podman"),
    ];
    const LAYERS: [(&str, &str); 4] = [
        ("/docker/", "docker"),
        ("io.containerd.", "containerd"),
        ("/containers/storage/", "podman or CRI-O"),
        ("/snapshotter", "containerd"),
    ];
    let cgroup = facts.text("cgroup.path").and_then(|path| Some((path, of_cgroup(path)?)));
    let files: Vec<&str> = facts.text("sign.mount").unwrap_or_default().lines().collect();
    let marked = |line: &&&str, mark: &str| line.contains(mark);
    let file = MOUNTS.iter().find_map(|(mark, name)| Some((*files.iter().find(|line| marked(line, mark))?, *name)));
    let file = file.or_else(|| Some((*files.iter().find(|line| of_kubelet(line))?, "kubelet")));
    let layers = facts.text("sign.root");
    let layers = layers.and_then(|text| Some((text, LAYERS.iter().find(|(mark, _)| text.contains(mark))?.1)));
    let mut found = None;
    for (what, sign) in [("cgroup", cgroup), ("mounted file", file), ("root file system", layers)] {
        let Some((text, name)) = sign else { continue };
        because.push(format!("{what} {}", shortened(text)));
        // The kubelet's own marks say Kubernetes, not which runtime.
        found = match found {
            None | Some("kubelet") => Some(name),
            other => other,
        };
    }
    let own_pidns = matches!(facts.value("namespace.pid.init"), Ok(Value::Number(0)));
    let around = facts.holds("sign.procsys_readonly") || !files.is_empty();
    let marks = [("sign.containerenv", "/run/.containerenv", "podman"), ("sign.dockerenv", "/.dockerenv", "docker")];
    if let Some((_, file, name)) = marks.into_iter().find(|(sign, ..)| facts.holds(sign))
        && found.is_none()
        && own_pidns
        && around
    {
        because.push(format!("{file} in a pid namespace of its own"));
        return Some(name);
    }
    if let (None, true, Some("systemd-nspawn")) = (found, own_pidns, facts.text("sign.manager")) {
        because.push("/run/systemd/container".to_owned());
        return Some("systemd-nspawn");
    }
    found
}

/// The runtime that a cgroup path names. Whole parts with a container's id: a unit of the host may well be called
/// `docker-compose@web.service`.
fn of_cgroup(path: &str) -> Option<&'static str> {
    const NAMES: [(&str, &str); 4] =
        [("cri-containerd-", "containerd"), ("crio-", "CRI-O"), ("docker-", "docker"), ("libpod-", "podman")];
    let mut above = "";
    let mut found = None;
    for part in path.split('/') {
        let whole = part.strip_suffix(".scope").unwrap_or(part);
        let named = NAMES.iter().find(|(start, _)| whole.strip_prefix(start).is_some_and(is_id));
        let name = match (named, above) {
            (Some((_, name)), _) => Some(*name),
            (None, "docker") if is_id(part) => Some("docker"),
            (None, "libpod_parent") if is_id(part) => Some("podman"),
            _ if part.starts_with("kubepods") => Some("kubelet"),
            _ => None,
        };
        found = match found {
            None | Some("kubelet") => name.or(found),
            other => other,
        };
        above = part;
    }
    found
}

/// Whether this is the id of a container.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a path is that of a pod's file, also where /var/lib/kubelet is a file system of its own.
fn of_kubelet(path: &str) -> bool {
    let own = || {
        let (id, file) = path.strip_prefix("/pods/")?.split_once('/')?;
        // Static pods have ids without dashes.
        let id = (32..=36).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        Some(id && (file == "etc-hosts" || file.starts_with("containers/")))
    };
    path.contains("/kubelet/pods/") || own() == Some(true)
}

fn kubernetes(facts: &Facts, because: &mut Vec<String>) -> bool {
    let mut signs = Vec::new();
    if facts.text("cgroup.path").is_some_and(|path| path.split('/').any(|part| part.starts_with("kubepods"))) {
        signs.push("kubepods cgroup");
    }
    if facts.text("sign.mount").is_some_and(|files| files.lines().any(of_kubelet)) {
        signs.push("files mounted by the kubelet");
    }
    if facts.holds("sign.kubernetes_env") {
        signs.push("KUBERNETES_SERVICE_HOST is set");
    }
    if facts.holds("sign.service_account") {
        signs.push("a service account is mounted");
    }
    because.extend(signs.iter().map(|sign| (*sign).to_owned()));
    !signs.is_empty()
}

/// Those that act: in a user namespace of its own only what is of the network namespace, which may be its own as well.
fn capabilities(mask: i128, init_userns: Option<bool>) -> Vec<&'static str> {
    const NAMED: [(u32, &str); 4] =
        [(12, "CAP_NET_ADMIN"), (19, "CAP_SYS_PTRACE"), (21, "CAP_SYS_ADMIN"), (24, "CAP_SYS_RESOURCE")];
    let acts = |name: &str| init_userns != Some(false) || name == "CAP_NET_ADMIN";
    NAMED.into_iter().filter(|(bit, name)| mask >> bit & 1 == 1 && acts(name)).map(|(_, name)| name).collect()
}

fn writable(facts: &Facts) -> Writable {
    match (facts.holds("sign.procsys_readonly"), facts.value("sign.procsys_writable")) {
        (true, _) => Writable::ReadOnly,
        _ if failed(facts, &["sign.procsys_readonly"]).is_some() => Writable::Unknown,
        (false, Ok(Value::Number(1))) => Writable::Yes,
        (false, Ok(_)) => Writable::NotPermitted,
        (false, Err(_)) => Writable::Unknown,
    }
}

/// A path as a header shows it: ids of containers are long and say nothing to a person.
fn shortened(path: &str) -> String {
    let short = |part: &str| match part.char_indices().nth(24) {
        Some((at, _)) => format!("{}…", part.get(..at).unwrap_or(part)),
        None => part.to_owned(),
    };
    let first = path.split(':').next().unwrap_or(path);
    first.split('/').map(short).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests;
