//! A kubelet's configuration: what it refuses, and what its pods meet.

use super::number;
use crate::manifest::pods::fault;
use crate::manifest::tree::Node;
use crate::manifest::{Options, schema, shown};
use crate::model::facts::grouped;
use crate::model::finding::Outcome;
use crate::model::fix::Pod;
use crate::model::kernel_sysctls;
use crate::model::manifest::Fault;
use crate::model::pod_sysctl::{DOMAINNAME, can_be_allowed};
use crate::model::sysctl::dotted;

pub(super) const KIND: &str = "KubeletConfiguration";
const WHO: &str = "the kubelet";
/// Most tasks that the kernel takes as a group's `pids.max` (PID_MAX_LIMIT; written on 6.18).
const MOST_TASKS: i64 = 4_194_304;

pub(super) fn judge(config: Node<'_>, options: Options<'_>, faults: &mut Vec<Fault>) {
    schema::configuration(config, KIND, WHO, options, faults);
    limits(config, options, faults);
    for entry in config.get("allowedUnsafeSysctls").into_iter().flat_map(Node::items) {
        let Some(written) = entry.scalar().filter(|text| !text.is_empty() && !entry.is_placeholder()) else { continue };
        let name = dotted(written);
        let (check, outcome, says, change) = match name.strip_suffix('*') {
            Some(prefix) if !can_be_allowed(prefix) => (
                "impossible",
                Outcome::Fail,
                "is not known to be namespaced: the kubelet does not start",
                meant(prefix),
            ),
            Some(_) => continue,
            None if can_be_allowed(&name) => match options.known.pod(&name) {
                Pod::Impossible => {
                    let says = "is allowed here, and no pod can set it all the same: its sandbox is never made";
                    ("impossible", Outcome::Warn, says, "delete it".to_owned())
                }
                _ if kernel_sysctls::find(&name).is_none() && kernel_sysctls::is_of_whole_family(&name) => {
                    let near = kernel_sysctls::nearest(&name);
                    let change = near.map_or("delete it".to_owned(), |near| format!("did you mean {near}?"));
                    ("no-such-sysctl", Outcome::Warn, "is in no kernel", change)
                }
                _ => continue,
            },
            None if name == DOMAINNAME.0 || name.starts_with("user.") => match options.kubernetes {
                Some(kubelet) if kubelet >= DOMAINNAME.1 => continue,
                Some(_) => {
                    let says = "is not known to be namespaced to this kubelet: it does not start";
                    ("impossible", Outcome::Fail, says, "delete it".to_owned())
                }
                None => {
                    let says = "is not known to be namespaced to kubelets before 1.37: they do not start";
                    (
                        "impossible",
                        Outcome::Warn,
                        says,
                        "--kubernetes-version says the release of the kubelet".to_owned(),
                    )
                }
            },
            None => {
                let says = "is not known to be namespaced: the kubelet does not start";
                ("impossible", Outcome::Fail, says, "delete it, and set it on the node if it is needed".to_owned())
            }
        };
        let texts = [format!("allowedUnsafeSysctls: {} {says}", shown(written)), change];
        faults.push(fault(check, outcome, entry.mark(), KIND.to_owned(), texts));
    }
}

/// Judges the numbers that bound pods and the kubelet itself.
fn limits(config: Node<'_>, options: Options<'_>, faults: &mut Vec<Fault>) {
    let [tasks, files, pods] =
        ["podPidsLimit", "maxOpenFiles", "maxPods"].map(|name| number((KIND, WHO, ""), config, name, faults));
    let mut push = |check, outcome, node: Node<'_>, says: String, change: &str| {
        faults.push(fault(check, outcome, node.mark(), KIND.to_owned(), [says, change.to_owned()]));
    };
    for (name, (node, value)) in
        [("maxOpenFiles", files), ("maxPods", pods)].into_iter().filter_map(|(name, one)| Some((name, one?)))
    {
        if value < 0 {
            let says = format!("{name} is {value}: the kubelet refuses it and does not start");
            push("kubelet", Outcome::Fail, node, says, "0 or more");
        }
    }
    // What is not above 0 bounds nothing.
    let Some((node, most)) = tasks.filter(|(_, most)| *most > 0) else { return };
    if most > MOST_TASKS {
        let says =
            format!("podPidsLimit {most}: the kernel takes no more than {MOST_TASKS} as pids.max, and no pod starts");
        return push(
            "kubelet",
            Outcome::Fail,
            node,
            says,
            "-1, which is no limit of its own, or a number that pods need",
        );
    }
    let Some(load) = options.load else { return };
    let connections = load.workload.sockets();
    if u64::try_from(most).is_ok_and(|most| most <= connections) {
        let says = format!(
            "podPidsLimit: all containers of a pod have {} processes and threads together, and the load has {} connections: \
             enough where one thread serves many, too few where each connection has its own",
            grouped(most.into()),
            grouped(connections.into())
        );
        push(
            "load",
            Outcome::Unknown,
            node,
            says,
            "tunecheck --pod NAME under load says how many there are (cgroup/pids)",
        );
    }
}

/// The pattern that a too short one may stand for.
fn meant(prefix: &str) -> String {
    const PATTERNS: [&str; 4] = ["net.", "kernel.msg", "kernel.shm", "fs.mqueue."];
    let longer: Vec<String> =
        PATTERNS.iter().filter(|whole| whole.starts_with(prefix)).map(|whole| format!("{whole}*")).collect();
    match longer.is_empty() {
        true => "delete it: net.*, kernel.msg*, kernel.shm*, kernel.sem and fs.mqueue.* are".to_owned(),
        false => format!("write {}", longer.join(", ")),
    }
}
