//! What a pod's containers tune themselves, with `sysctl -w`, /proc/sys and `ulimit`: whose value it is, whether it exists,
//! and whether it lowers.

use super::commands::{self, Run, prepares, program};
use super::pods::{Container, Spec, fault};
use super::shell::Then;
use super::tree::Node;
use super::{Options, admission, shown};
use crate::model::finding::Outcome;
use crate::model::fix::Pod;
use crate::model::kernel_sysctls::{self, Whose};
use crate::model::manifest::{Fault, Mark};
use crate::model::sysctl::{self, dotted};

/// Commands in front of another one that they run.
const FRONT: [&str; 9] = ["sudo", "exec", "env", "nsenter", "chroot", "busybox", "nice", "time", "su-exec"];
/// What runs for ever once the node is tuned.
const WAITS: [&str; 4] = ["sleep", "tail", "pause", "wait"];

/// A sysctl that the pod gives itself.
pub(super) struct Own {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) mark: Mark,
}

/// A sysctl that a container writes.
struct Write {
    name: String,
    value: String,
    mark: Mark,
    /// Whether the container ends if it fails.
    is_fatal: bool,
    /// Whether a name that is not there is passed over (`sysctl -e`).
    is_lenient: bool,
    /// Whether it is written in the node's namespaces.
    is_on_node: bool,
}

/// Tells of each, and gives those that the pod itself gets.
pub(super) fn judge(spec: &Spec<'_>, options: Options<'_>, faults: &mut Vec<Fault>) -> Vec<Own> {
    let mut own = Vec::new();
    for container in spec.containers() {
        let runs = commands::of(spec, container);
        let writes: Vec<Write> =
            runs.iter().enumerate().flat_map(|(at, run)| writes(run, is_fatal(&runs, at))).collect();
        for write in writes {
            own.extend(one(spec, container, &write, &runs, options, faults));
        }
        for run in &runs {
            ulimit(spec, container, run, faults);
        }
    }
    own
}

fn one(
    spec: &Spec<'_>,
    container: Container<'_>,
    write: &Write,
    runs: &[Run],
    options: Options<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Own> {
    let name = shown(&write.name);
    let mut push = |outcome, says: String, change: String| {
        faults.push(fault("sysctl-command", outcome, write.mark, spec.subject_of(container), [says, change]));
    };
    let fails = |why: &str| {
        let follows = match write.is_fatal {
            true if prepares(spec, container) => ", and the container with it: the pod never starts",
            true => ", and the container with it",
            false => ", and nothing is set",
        };
        format!("{why}: the command fails{follows}")
    };
    let outcome = if write.is_fatal { Outcome::Fail } else { Outcome::Warn };
    if let Some(missing) = admission::in_no_kernel(&write.name, options) {
        match missing.is_sure && !write.is_lenient {
            true => push(outcome, fails(&missing.says), missing.change),
            false => {
                push(Outcome::Warn, format!("{}: if the kernel lacks it, nothing is set", missing.says), missing.change)
            }
        }
        return None;
    }
    let known = kernel_sysctls::find(&write.name);
    let is_of_network = write.name.starts_with("net.");
    // Whose namespaces the pod of a patch has, and whether it may write, its base says where the patch does not.
    let is_of_node = !is_of_network && known.is_some_and(|sysctl| sysctl.whose == Whose::Node);
    if spec.is_part() && !(is_of_node && is_privileged(container)) {
        return None;
    }
    let on_node = write.is_on_node || (is_of_network && spec.is("hostNetwork"));
    let can_write = is_privileged(container) || write.is_on_node;
    let whose = known.map(|sysctl| sysctl.whose);
    let of_pod = match is_of_network {
        true => !on_node,
        false => whose == Some(Whose::IpcNamespace) && !spec.is("hostIPC") && !write.is_on_node,
    };
    if !can_write && spec.is_whole() && !is_unmasked(container) {
        let why = format!("{name}: /proc/sys is read-only in a container that is not privileged");
        let in_spec = if of_pod { in_spec(&write.name, options) } else { None };
        push(Outcome::Fail, fails(&why), in_spec.unwrap_or_else(|| elsewhere(&write.name, options)));
        return None;
    }
    if is_of_network && !on_node && matches!(whose, Some(Whose::Node | Whose::ReadOnly)) {
        let why = format!("{name} is the node's, and the pod's network namespace lacks it or cannot write it");
        push(outcome, fails(&why), elsewhere(&write.name, options));
        return None;
    }
    if let Some(sysctl) = known.filter(|sysctl| !write.value.contains('$') && !sysctl.accepts(&write.value)) {
        let why = format!("{} is no value of {name}: the kernel refuses it", shown(&write.value));
        push(outcome, fails(&why), sysctl.in_words());
        return None;
    }
    let lowered = kernel_sysctls::lowers(&write.name, &write.value);
    if of_pod {
        if tunes_the_node(spec, container, runs) {
            let says = format!(
                "{name} is set in this pod's own network namespace, where nothing else runs: neither the node nor another \
                 pod gets it"
            );
            push(
                Outcome::Warn,
                says,
                "hostNetwork: true for the node's; a pod's own in its spec or its init container".to_owned(),
            );
        } else if let Some(lowered) = lowered {
            push(
                Outcome::Warn,
                format!("{name} {}: {lowered}", shown(&write.value)),
                "delete it, or raise it".to_owned(),
            );
        }
        let (name, value, mark) = (write.name.clone(), write.value.clone(), write.mark);
        return Some(Own { name, value, mark });
    }
    let lowers = lowered.map(|lowered| format!(". {} is less: {lowered}", shown(&write.value))).unwrap_or_default();
    let says = format!(
        "{name} is the node's: this changes it for everything on the node until it boots, whoever wrote another value{lowers}"
    );
    push(Outcome::Warn, says, elsewhere(&write.name, options));
    None
}

/// How a pod asks for a value of its own namespaces, if it can.
fn in_spec(name: &str, options: Options<'_>) -> Option<String> {
    const FIELD: &str = "securityContext.sysctls of the pod, in place of the command";
    match (options.known.pod(name), options.kubernetes) {
        (Pod::Safe { since, .. }, Some(kubelet)) if kubelet >= since => Some(FIELD.to_owned()),
        (Pod::Safe { since, .. }, _) => Some(format!("{FIELD}: safe for kubelets from {since} on")),
        (Pod::Unsafe, _) => Some(format!(
            "{FIELD}: unsafe, so the kubelets of its nodes have to allow it first (allowedUnsafeSysctls), or they reject the pod"
        )),
        (Pod::Impossible, _) => None,
    }
}

/// Where a value of the node is set.
fn elsewhere(name: &str, options: Options<'_>) -> String {
    let node = "set it where the node is made (sysctl.d, or the platform's own configuration)";
    match options.known.is_judged(name) {
        true => format!("{node}: tunecheck on the node says so"),
        false => node.to_owned(),
    }
}

/// The sysctls that a command writes.
fn writes(run: &Run, is_fatal: bool) -> Vec<Write> {
    let words: Vec<&str> = run.words.iter().map(|(word, _)| word.as_str()).collect();
    let Some((first, mark)) = run.words.first() else { return Vec::new() };
    let is_on_node = words.iter().take_while(|word| program(word) != "sysctl").any(|word| program(word) == "nsenter")
        && words.contains(&"sysctl");
    let write = |name: &str, value: &str, is_lenient| Write {
        name: dotted(name),
        value: value.to_owned(),
        mark: *mark,
        is_fatal,
        is_lenient,
        is_on_node,
    };
    if let (Some(path), "echo" | "printf") = (&run.writes_to, program(first)) {
        let name = path.strip_prefix("/proc/sys/").filter(|name| !name.contains('$'));
        let value: Vec<&str> = words.iter().skip(1).filter(|word| !word.starts_with('-')).copied().collect();
        return name.map(|name| write(&name.replace('/', "."), &value.join(" "), false)).into_iter().collect();
    }
    let Some(at) = words.iter().position(|word| program(word) == "sysctl") else { return Vec::new() };
    if at > 0 && !FRONT.contains(&program(first)) {
        return Vec::new();
    }
    let rest = words.get(at + 1..).unwrap_or_default();
    let options: Vec<&&str> = rest.iter().take_while(|word| word.starts_with('-')).collect();
    let is_lenient =
        options.iter().any(|option| !option.starts_with("--") && option.contains('e') || **option == "--ignore");
    let pairs = rest.iter().filter_map(|word| word.split_once('='));
    let named = pairs.map(|(name, value)| (name.trim(), value.trim()));
    named
        .filter(|(name, _)| sysctl::is_name(&dotted(name)))
        .map(|(name, value)| write(name, value, is_lenient))
        .collect()
}

/// Whether a command that fails ends its container.
fn is_fatal(runs: &[Run], at: usize) -> bool {
    let Some(rest) = runs.get(at..) else { return false };
    let list = rest.iter().take_while(|run| run.then == Then::And).count();
    let Some(end) = rest.get(list) else { return false };
    let is_last = rest.len() == list + 1;
    end.then != Then::Or && (is_last || (list == 0 && end.ends_at_failure))
}

/// Whether the pod is there to tune its node: a DaemonSet that waits for ever afterwards.
fn tunes_the_node(spec: &Spec<'_>, container: Container<'_>, runs: &[Run]) -> bool {
    let waits = |run: &Run| run.words.iter().any(|(word, _)| WAITS.contains(&program(word)));
    let is_pause = |node: Node<'_>| {
        node.get("image")
            .and_then(Node::scalar)
            .is_some_and(|image| image.split(['/', ':', '@']).any(|part| part == "pause"))
    };
    let mut others = spec.node.get("containers").into_iter().flat_map(Node::items);
    let own = !prepares(spec, container) && runs.iter().any(waits);
    spec.kind() == "DaemonSet" && (own || (prepares(spec, container) && others.all(is_pause)))
}

fn is_privileged(container: Container<'_>) -> bool {
    container.node.get("securityContext").and_then(|context| context.get("privileged")).is_some_and(Node::is_true)
}

/// Whether /proc/sys may be writable without that.
fn is_unmasked(container: Container<'_>) -> bool {
    let context = container.node.get("securityContext");
    let field = |name| context.and_then(|context| context.get(name));
    field("procMount").is_some() || field("privileged").is_some_and(|told| told.is_placeholder())
}

/// `ulimit -n N`: in a container that only prepares the pod it ends with the shell; elsewhere it sets the hard limit too.
fn ulimit(spec: &Spec<'_>, container: Container<'_>, run: &Run, faults: &mut Vec<Fault>) {
    let [(first, mark), rest @ ..] = run.words.as_slice() else { return };
    if first != "ulimit" || run.shell.is_none() {
        return;
    }
    let letters: String = rest.iter().filter_map(|(word, _)| word.strip_prefix('-')).collect();
    let value = rest.iter().map(|(word, _)| word.as_str()).find(|word| !word.starts_with('-'));
    let Some(value) = value.filter(|_| letters.contains('n')) else { return };
    let mut push = |says: String, change: &str| {
        let texts = [says, change.to_owned()];
        faults.push(fault("ulimit-command", Outcome::Warn, *mark, spec.subject_of(container), texts));
    };
    const RUNTIME: &str = "raise the soft limit in the entrypoint of the container that needs it, such as `ulimit -Sn 65536; \
                           exec \"$@\"`; the hard limit is the container runtime's on the node";
    if prepares(spec, container) {
        let says =
            "ulimit -n acts on this shell and what it starts, and ends with it: no other container gets it".to_owned();
        return push(says, RUNTIME);
    }
    let capabilities = container.node.get("securityContext").and_then(|context| context.get("capabilities"));
    let added = capabilities.and_then(|all| all.get("add")).into_iter().flat_map(Node::items).filter_map(Node::scalar);
    let may_raise = is_privileged(container)
        || added.into_iter().any(|name| ["SYS_RESOURCE", "CAP_SYS_RESOURCE", "ALL"].contains(&name));
    if spec.is_part() || value.contains('$') || may_raise || (letters.contains('S') && !letters.contains('H')) {
        return;
    }
    let says = format!(
        "ulimit -n {} sets the hard limit too: it fails where that is lower, and lowers it for good where it is higher",
        shown(value)
    );
    push(says, "ulimit -Sn in its place, which sets the soft limit alone");
}
