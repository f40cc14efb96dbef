//! Signs of containers and of Kubernetes. Each is weak alone; `place` weighs them.

use procfs::process::MountInfo;

use super::{Gather, Source, text};
use crate::host::{Ask, Host, Query};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};

const KUBELET: &str = "/var/lib/kubelet";
const PODS: &str = "/var/lib/kubelet/pods";
/// Where distributions of Kubernetes that start the kubelet within a program of their own keep what it works with: K3s, RKE2,
/// k0s, MicroK8s.
const AGENTS: [&str; 4] = [
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/rke2/agent",
    "/var/lib/k0s/kubelet",
    "/var/snap/microk8s/common/var/lib/kubelet",
];
/// On every machine.
const STATE: &str = "/var/lib";
/// Where a sosreport keeps the list of processes.
const PS: &str = "/ps";
const MOUNTINFO: &str = "/proc/self/mountinfo";
/// Sockets of container engines that are no kubelet's.
const ENGINES: [&str; 4] =
    ["/run/containerd/containerd.sock", "/run/docker.sock", "/run/crio/crio.sock", "/run/podman/podman.sock"];
const ENGINES_READ: &str = "/run/*.sock of containerd, Docker, CRI-O and Podman";
/// Checked for writing, never written.
const PROBE: &str = "/proc/sys/net/core/somaxconn";
/// Files that a runtime mounts into a container; the root of the mount tells whose they are.
const GIVEN: [&str; 4] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log"];

const fn entry(name: &'static str, unit: Unit, read: &'static str, meaning: &'static str) -> Entry {
    let document = "https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/";
    Entry { name, unit, scope: Scope::Process, meaning, read, document }
}

pub(super) const SOURCE: Source = Source {
    families: &["sign"],
    read,
    entries: &[
        entry(
            "sign.mount",
            Unit::Text,
            MOUNTINFO,
            "paths on the host of files that a container runtime mounted in, one a line",
        ),
        entry("sign.root", Unit::Text, MOUNTINFO, "layer folders of an overlay root file system"),
        entry("sign.dockerenv", Unit::Mode, "/.dockerenv", "1: Docker's marker file is there"),
        entry("sign.containerenv", Unit::Mode, "/run/.containerenv", "1: Podman's marker file is there"),
        entry("sign.manager", Unit::Text, "/run/systemd/container", "container manager that systemd was told of"),
        entry("sign.systemd", Unit::Mode, "/run/systemd/system", "1: systemd is the init of this system"),
        entry("sign.kubernetes_env", Unit::Mode, "KUBERNETES_SERVICE_HOST", "1: the variable is set"),
        entry(
            "sign.service_account",
            Unit::Mode,
            "/var/run/secrets/kubernetes.io/serviceaccount",
            "1: the folder is there",
        ),
        entry("sign.engine", Unit::Mode, ENGINES_READ, "1: a container engine has its socket here"),
        entry("sign.kubelet", Unit::Mode, PODS, "1: the folder is there, or closed to this user"),
        entry("sign.procsys_readonly", Unit::Mode, "statfs of /proc/sys", "1: /proc/sys is mounted read-only"),
        entry("sign.procsys_writable", Unit::Mode, PROBE, "1: faccessat says that a sysctl could be written"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let mounts = gather.host.read(MOUNTINFO).map_err(|refusal| refusal.gap(MOUNTINFO));
    let lines = mounts.as_ref().map(|bytes| text(bytes)).map_err(Gap::clone);
    let find = |pick: fn(&str) -> Option<String>| -> Reading {
        let found = lines.as_ref().map_err(Gap::clone)?.lines().find_map(pick);
        found.map(Value::Text).ok_or_else(|| Gap::new(Cause::Absent, "no such mount"))
    };
    let given = lines.as_ref().map_err(Gap::clone).and_then(|lines| {
        let files: Vec<String> = lines.lines().filter_map(given_file).collect();
        if files.is_empty() { Err(Gap::new(Cause::Absent, "no such mount")) } else { Ok(Value::Text(files.join("\n"))) }
    });
    gather.put("sign.mount", given, MOUNTINFO);
    gather.put("sign.root", find(overlay_root), MOUNTINFO);
    for (name, path) in [
        ("sign.dockerenv", "/.dockerenv"),
        ("sign.containerenv", "/run/.containerenv"),
        ("sign.systemd", "/run/systemd/system"),
        ("sign.service_account", "/var/run/secrets/kubernetes.io/serviceaccount"),
    ] {
        gather.put(name, yes_no(gather.host.exists(path).map_err(|refusal| refusal.gap(path))), path);
    }
    let (found, by) = kubelet(gather.host);
    gather.put("sign.kubelet", yes_no(found), by);
    if gather.wants("sign.engine") {
        let found = ENGINES.iter().map(|path| gather.host.exists(path).map_err(|refusal| refusal.gap(path)));
        let found: Vec<Result<bool, Gap>> = found.collect();
        // One that is there decides; one that may not be asked for is as good as none.
        let asked = |found: &&Result<bool, Gap>| !matches!(found, Err(gap) if gap.cause == Cause::Denied);
        let found = match found.iter().find(|found| **found == Ok(true)) {
            Some(there) => there,
            None => found
                .iter()
                .filter(asked)
                .find(|found| found.is_err())
                .or(found.iter().find(asked))
                .unwrap_or(&Ok(false)),
        }
        .clone();
        gather.put("sign.engine", yes_no(found), ENGINES_READ);
    }
    let manager = "/run/systemd/container";
    let reading = match gather.host.read(manager) {
        Ok(bytes) => Ok(Value::Text(text(&bytes).trim().to_owned())),
        Err(refusal) => Err(refusal.gap(manager)),
    };
    gather.put("sign.manager", reading, manager);
    let variable = "KUBERNETES_SERVICE_HOST";
    let set = match gather.host.ask(Query { ask: Ask::Env, of: variable }) {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.is_absent() => Ok(false),
        Err(refusal) => Err(refusal.gap(variable)),
    };
    gather.put("sign.kubernetes_env", yes_no(set), variable);
    let fs = gather.host.ask(Query { ask: Ask::Statfs, of: "/proc/sys" });
    let readonly = fs.map(|bytes| bytes.ends_with(b"readonly=1")).map_err(|refusal| refusal.gap("/proc/sys"));
    let writable = match gather.host.ask(Query { ask: Ask::Writable, of: PROBE }) {
        Ok(_) => Ok(true),
        // Who does not get as far as the mount learns nothing of the file in it.
        Err(refusal) if refusal.is_denied() && readonly.as_ref().is_err_and(|gap| gap.cause == Cause::Denied) => {
            Err(refusal.gap(PROBE))
        }
        Err(refusal) if refusal.is_denied() => Ok(false),
        Err(refusal) if refusal.is_read_only() => Ok(false),
        Err(refusal) => Err(refusal.gap(PROBE)),
    };
    gather.put("sign.procsys_readonly", yes_no(readonly), "statfs /proc/sys");
    gather.put("sign.procsys_writable", yes_no(writable), format!("faccessat {PROBE}"));
}

/// Whether this is seen to be a node of Kubernetes.
pub(super) fn is_node(host: &dyn Host) -> bool {
    kubelet(host).0 == Ok(true)
}

/// Whether the kubelet keeps pods here, and what told. Its folder is often closed to all but root, and then only that it
/// is there can be seen.
fn kubelet(host: &dyn Host) -> (Result<bool, Gap>, &'static str) {
    let folder = match host.exists(PODS) {
        Ok(true) => return (Ok(true), PODS),
        other => other,
    };
    if let Some(agent) = AGENTS.into_iter().find(|agent| host.exists(agent) == Ok(true)) {
        return (Ok(true), agent);
    }
    match folder {
        // A part of a machine: its list of processes may tell, and that a folder is missing does not.
        Ok(false) if host.exists(STATE) == Ok(false) => match host.read(PS) {
            Ok(bytes) if text(&bytes).lines().any(runs_kubelet) => (Ok(true), PS),
            _ => (Err(Gap::new(Cause::Unsupported, format!("{STATE} is not there: it may be a node"))), PS),
        },
        Err(refusal) if refusal.is_denied() => (host.exists(KUBELET).map_err(|refusal| refusal.gap(KUBELET)), KUBELET),
        other => (other.map_err(|refusal| refusal.gap(PODS)), PODS),
    }
}

/// Whether a line of `ps aux` is that of a kubelet: the program itself, or one that is told to be it.
fn runs_kubelet(line: &str) -> bool {
    line.split_whitespace().skip(10).take(2).any(|word| word == "kubelet" || word.ends_with("/kubelet"))
}

fn yes_no(answer: Result<bool, Gap>) -> Reading {
    answer.map(|yes| Value::Number(i128::from(yes)))
}

/// The path on the host of a file that a runtime mounts into a container, if this is its line of mountinfo.
fn given_file(line: &str) -> Option<String> {
    GIVEN.iter().any(|path| line.contains(path)).then_some(())?;
    let mount = MountInfo::from_line(line).ok()?;
    let given = GIVEN.iter().any(|path| mount.mount_point.as_os_str() == *path);
    (given && mount.root != "/").then_some(mount.root)
}

/// The layers of the root file system, if this is its line of mountinfo and it is an overlay.
fn overlay_root(line: &str) -> Option<String> {
    (line.split(' ').nth(4) == Some("/")).then_some(())?;
    let mut mount = MountInfo::from_line(line).ok()?;
    let root = mount.mount_point.as_os_str() == "/" && mount.fs_type == "overlay";
    root.then_some(())?;
    mount.super_options.remove("lowerdir")?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Refusal;

    struct Closed;

    impl Host for Closed {
        fn ask(&self, query: Query<'_>) -> crate::host::Answer {
            match query.of {
                PODS => Err(Refusal::Errno(13)),
                KUBELET => Ok(Vec::new()),
                _ => Err(Refusal::Errno(2)),
            }
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn a_kubelet_folder_closed_to_this_user_is_a_kubelet() {
        assert_eq!(kubelet(&Closed), (Ok(true), KUBELET));
    }

    /// A machine with one folder below /var/lib that tells.
    struct Holds(&'static str);

    impl Host for Holds {
        fn ask(&self, query: Query<'_>) -> crate::host::Answer {
            match query.of == self.0 || query.of == STATE {
                true => Ok(Vec::new()),
                false => Err(Refusal::Errno(2)),
            }
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn a_kubelet_inside_of_another_program_is_one() {
        for agent in AGENTS {
            assert_eq!(kubelet(&Holds(agent)), (Ok(true), agent));
        }
        assert_eq!(kubelet(&Holds("/var/lib/rancher")).0, Ok(false));
    }

    /// A few files of a machine, as a collection of them holds.
    struct Part(Option<&'static str>);

    impl Host for Part {
        fn ask(&self, query: Query<'_>) -> crate::host::Answer {
            match (query.of, self.0) {
                (PS, Some(list)) => Ok(list.into()),
                _ => Err(Refusal::Errno(2)),
            }
        }

        fn source(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn a_part_of_a_machine_may_be_one_of_a_node() {
        let line = |command: &str| -> &'static str {
            let line = format!("USER PID COMMAND\nroot 1143 2.5 1.5 1451600 128948 ? Ssl 02:19 0:54 {command}\n");
            String::leak(line)
        };
        assert_eq!(
            kubelet(&Part(Some(line("/usr/bin/hyperkube kubelet --config=/etc/kubernetes/kubelet.conf")))),
            (Ok(true), PS)
        );
        assert_eq!(kubelet(&Part(Some(line("/usr/bin/kubelet --v=2")))), (Ok(true), PS));
        assert!(kubelet(&Part(Some(line("/usr/bin/vim notes-on-kubelet")))).0.is_err());
        assert!(kubelet(&Part(None)).0.is_err());
    }

    #[test]
    fn the_runtime_shows_in_mounted_files_and_layers() {
        let hosts = "512 487 254:0 /var/lib/kubelet/pods/1-2/etc-hosts /etc/hosts rw,relatime - ext4 /dev/vda rw";
        assert_eq!(given_file(hosts).as_deref(), Some("/var/lib/kubelet/pods/1-2/etc-hosts"));
        assert_eq!(given_file("1 2 0:1 / /etc/hosts rw - tmpfs tmpfs rw"), None);
        assert_eq!(given_file("/etc/hosts"), None);
        let root =
            "487 486 0:44 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A:/x,upperdir=/u";
        assert_eq!(overlay_root(root).as_deref(), Some("/var/lib/docker/overlay2/l/A:/x"));
        assert_eq!(overlay_root("1 0 254:0 / / rw - ext4 /dev/vda rw"), None);
    }
}
