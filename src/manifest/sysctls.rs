//! `spec.securityContext.sysctls`: what the API server, the namespace, the kubelet and the kernel say to each.

use super::pods::{Spec, fault};
use super::tree::Node;
use super::{Options, shown};
use crate::model::finding::Outcome;
use crate::model::fix::Pod;
use crate::model::manifest::{Fault, Mark};
use crate::model::pod_sysctl::is_of_ipc;
use crate::model::sysctl::dotted;
use crate::model::version::Version;

/// The oldest release of which anything is known here: what is safe by then is safe everywhere.
const OLDEST: Version = Version { major: 1, minor: 25, patch: 0 };

/// A sysctl of a pod with a value that is text.
#[derive(Clone, Debug)]
pub(super) struct Sysctl<'a> {
    /// With dots.
    pub(super) name: String,
    pub(super) value: &'a str,
    /// Where the value stands.
    pub(super) mark: Mark,
}

pub(super) fn judge<'a>(spec: &Spec<'a>, options: Options<'_>, faults: &mut Vec<Fault>) -> Vec<Sysctl<'a>> {
    let list = spec.node.get("securityContext").and_then(|context| context.get("sysctls"));
    let mut taken: Vec<Sysctl<'a>> = Vec::new();
    let mut names: Vec<(&str, String)> = Vec::new();
    for entry in list.into_iter().flat_map(Node::items).filter(|entry| entry.is_map()) {
        let mut push = |check, outcome, mark, says: String, change: String| {
            faults.push(fault(check, outcome, mark, spec.subject(), [says, change]));
        };
        if let Some(value) = entry.get("value").filter(|value| value.text().is_none() && !value.is_null()) {
            let text = value.scalar().map_or("what stands there".to_owned(), shown);
            let says = format!("the value of a sysctl is text, and {text} is not: the API server refuses it");
            push("quotes", Outcome::Fail, value.mark(), says, "put it in quotes".to_owned());
        }
        let Some(node) = entry.get("name") else { continue };
        let Some(written) = node.scalar().filter(|text| !text.is_empty() && !node.is_placeholder()) else { continue };
        let name = dotted(written);
        if !is_valid(written) {
            let says = format!("{} is no name of a sysctl: the API server refuses it", shown(written));
            push("name", Outcome::Fail, node.mark(), says, "lower-case words with dots between them".to_owned());
            continue;
        }
        match names.iter().find(|(_, other)| *other == name) {
            Some((same, _)) if *same == written => {
                let says = format!("{} is there twice: the API server refuses it", shown(&name));
                push("duplicate", Outcome::Fail, node.mark(), says, "keep one of them".to_owned());
                continue;
            }
            Some(_) => {
                let says =
                    format!("{} is there twice, in two forms: which value the pod gets is not defined", shown(&name));
                push("duplicate", Outcome::Warn, node.mark(), says, "keep one of them, with dots".to_owned());
                continue;
            }
            None => names.push((written, name.clone())),
        }
        if let Some((check, outcome, [says, change])) = admitted(&name, written, spec, options) {
            push(check, outcome, node.mark(), says, change);
        }
        let value = entry.get("value").filter(|value| !value.is_placeholder());
        if let Some((value, text)) = value.and_then(|value| Some((value, value.text()?))) {
            taken.push(Sysctl { name, value: text, mark: value.mark() });
        }
    }
    taken
}

type Said = (&'static str, Outcome, [String; 2]);

/// What stands between a sysctl and a pod that runs with it; the first thing that does.
fn admitted(name: &str, written: &str, spec: &Spec<'_>, options: Options<'_>) -> Option<Said> {
    let shown = shown(name);
    let says = |check, outcome, says: String, change: &str| Some((check, outcome, [says, change.to_owned()]));
    let pod = options.known.pod(name);
    if options.known.is_removed(name) {
        let text = format!("{shown} was removed in Linux 4.12: the pod's sandbox is never made");
        return says("removed", Outcome::Fail, text, "delete it: nothing takes its place");
    }
    if pod == Pod::Impossible {
        let text = match name.starts_with("net.") {
            true => format!(
                "{shown} is the node's: a pod's network namespace lacks it or cannot write it, and the sandbox is never made"
            ),
            false => format!(
                "{shown} is not namespaced: the kubelet rejects the pod (SysctlForbidden), and no setting admits it"
            ),
        };
        return says(
            "impossible",
            Outcome::Fail,
            text,
            "delete it, and set it on the node if it is needed: tunecheck on the node says so",
        );
    }
    for (field, shared) in [("hostNetwork", name.starts_with("net.")), ("hostIPC", is_of_ipc(name))] {
        if shared && spec.is(field) {
            let text = format!("{shown} with {field}: true: the API server refuses it, and kubelets reject such a pod");
            return says(
                "host-namespace",
                Outcome::Fail,
                text,
                "set it on the node, or do without the host's namespace",
            );
        }
    }
    let level = options.pod_security;
    let (unsafe_for, told) = match (&pod, options.kubernetes) {
        (Pod::Safe { since, .. }, Some(kubelet)) if kubelet < *since => {
            (format!(" for kubelets before {since}"), false)
        }
        (Pod::Safe { since, .. }, None) if *since > OLDEST => (format!(" for kubelets before {since}"), true),
        (Pod::Safe { .. }, _) => return slashes(name, written, level),
        _ => (String::new(), false),
    };
    if options.allowed.iter().any(|pattern| allows(pattern, name)) && (level.is_none() || pod != Pod::Unsafe) {
        return slashes(name, written, level);
    }
    if told {
        let text = format!("{shown} is unsafe{unsafe_for}, and it is not known which run the pod");
        return says("unsafe", Outcome::Unknown, text, "--kubernetes-version says the release of the oldest kubelet");
    }
    if let (Some(level), Pod::Unsafe) = (level, &pod) {
        let text = format!("{shown} is unsafe: a namespace that enforces {level} refuses the pod");
        return says("unsafe", Outcome::Fail, text, "run it in a namespace that enforces privileged, or do without it");
    }
    let text = format!(
        "{shown} is unsafe{unsafe_for}: a kubelet that does not allow it rejects the pod (SysctlForbidden), and a workload makes new ones for ever"
    );
    let change = "allowedUnsafeSysctls in the KubeletConfiguration of some nodes, and a nodeSelector for them; tell of it \
                  with --allowed-unsafe-sysctls";
    says("unsafe", Outcome::Warn, text, change)
}

/// Pod Security compares names letter by letter, with dots.
fn slashes(name: &str, written: &str, level: Option<&str>) -> Option<Said> {
    if name == written {
        return None;
    }
    let (outcome, who) = match level {
        Some(level) => (Outcome::Fail, format!("a namespace that enforces {level} refuses")),
        None => (Outcome::Warn, "namespaces that enforce baseline or restricted refuse".to_owned()),
    };
    let says = format!("{}: {who} a name with slashes, even of a sysctl that is safe", shown(written));
    Some(("slashes", outcome, [says, format!("write {}", shown(name))]))
}

/// Whether an entry of `allowedUnsafeSysctls` is or covers a name.
fn allows(pattern: &str, name: &str) -> bool {
    // The kubelet turns slashes into dots (pkg/kubelet/sysctl/allowlist.go).
    let pattern = dotted(pattern);
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

/// What the API server takes as a name (`SysctlContainSlashFmt`).
fn is_valid(name: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let word = |word: &str| {
        let ends = [word.bytes().next(), word.bytes().next_back()];
        ends.into_iter().all(|byte| byte.is_some_and(lower))
            && word.bytes().all(|byte| lower(byte) || b"-_".contains(&byte))
    };
    name.len() <= 253 && name.split(['.', '/']).all(word)
}
