//! What stands between a sysctl and a pod that runs with it: the kernel that lacks it, the API server, the namespace's
//! level, the kubelet, the container runtime. The first thing that does is told.

use super::pods::Spec;
use super::{Options, shown};
use crate::model::finding::Outcome;
use crate::model::fix::Pod;
use crate::model::kernel_sysctls::{self, Whose};
use crate::model::pod_sysctl::{DOMAINNAME, is_of_ipc, is_refused_by_runtimes};
use crate::model::sysctl::dotted;
use crate::model::version::Version;

/// The oldest release of which anything is known here: what is safe by then is safe everywhere.
const OLDEST: Version = Version { major: 1, minor: 25, patch: 0 };

/// The check that speaks, its outcome, what is wrong and what to do.
type Said = (&'static str, Outcome, [String; 2]);

pub(super) fn judge(name: &str, written: &str, spec: &Spec<'_>, options: Options<'_>) -> Option<Said> {
    let shown = shown(name);
    let fail = |check, says: String, change: String| Some((check, Outcome::Fail, [says, change]));
    if let Some(Missing { check, says, change, is_sure }) = in_no_kernel(name, options) {
        let (outcome, follows) = match (is_sure, name.starts_with("net.")) {
            (true, _) => (Outcome::Fail, ": the pod's sandbox is never made"),
            (false, true) => (Outcome::Warn, ", if the node's kernel lacks it, the pod's sandbox is never made"),
            (false, false) => (Outcome::Fail, ", and not namespaced: the kubelet rejects the pod (SysctlForbidden)"),
        };
        return Some((check, outcome, [format!("{says}{follows}"), change]));
    }
    let pod = match options.kubernetes {
        kubelet if name == DOMAINNAME.0 && kubelet.is_none_or(|kubelet| kubelet < DOMAINNAME.1) => Pod::Impossible,
        _ => options.known.pod(name),
    };
    if pod == Pod::Impossible {
        let elsewhere = match options.known.is_judged(name) {
            true => "delete it, and set it on the node if it is needed: tunecheck on the node says so",
            false => "delete it, and set it on the node if it is needed",
        };
        return fail("impossible", format!("{shown} {}", why_impossible(name)), elsewhere.to_owned());
    }
    for (field, shared) in [("hostNetwork", name.starts_with("net.")), ("hostIPC", is_of_ipc(name))] {
        if shared && spec.is(field) {
            let text = format!("{shown} with {field}: true: the API server refuses it, and kubelets reject such a pod");
            let change = "set it on the node, or do without the host's namespace".to_owned();
            return fail("host-namespace", text, change);
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
        let change = "--kubernetes-version says the release of the oldest kubelet".to_owned();
        return Some(("unsafe", Outcome::Unknown, [text, change]));
    }
    if let (Some(level), Pod::Unsafe) = (level, &pod) {
        let text = format!("{shown} is unsafe: a namespace that enforces {level} refuses the pod");
        return fail("unsafe", text, "run it in a namespace that enforces privileged, or do without it".to_owned());
    }
    let text = format!(
        "{shown} is unsafe{unsafe_for}: a kubelet that does not allow it, as none does by default, rejects the pod \
         (SysctlForbidden){}",
        again(spec)
    );
    let change = "allowedUnsafeSysctls in the KubeletConfiguration of some nodes, and a nodeSelector for them; tell of it \
                  with --allowed-unsafe-sysctls";
    fail("unsafe", text, change.to_owned())
}

/// A name that no kernel of today has, or that none ever had.
pub(super) struct Missing {
    check: &'static str,
    pub(super) says: String,
    pub(super) change: String,
    /// Whether it is sure: the family of the name is not known as a whole otherwise.
    pub(super) is_sure: bool,
}

pub(super) fn in_no_kernel(name: &str, options: Options<'_>) -> Option<Missing> {
    let shown = shown(name);
    let found = kernel_sysctls::find(name);
    if options.known.is_removed(name) {
        let note = found.map_or("", |sysctl| sysctl.note);
        let (says, change) = match note {
            "" => ("is in no kernel of today".to_owned(), "delete it".to_owned()),
            new if new.starts_with("net.") => {
                let is_of_pods = options.known.pod(new) != Pod::Impossible;
                let change =
                    if is_of_pods { format!("write {new}") } else { format!("delete it: {new} is the node's") };
                (format!("is called {new} now"), change)
            }
            release => (format!("was removed in Linux {release}"), "delete it: nothing takes its place".to_owned()),
        };
        return Some(Missing { check: "removed", says: format!("{shown} {says}"), change, is_sure: true });
    }
    if found.is_some() {
        return None;
    }
    let meant = kernel_sysctls::nearest(name);
    let change = meant.as_deref().map_or("delete it".to_owned(), |meant| format!("did you mean {meant}?"));
    let is_sure = kernel_sysctls::is_of_whole_family(name);
    let says = if is_sure { "is in no kernel" } else { "is not known here" };
    let missing = Missing { check: "no-such-sysctl", says: format!("{shown} {says}"), change, is_sure };
    (is_sure || meant.is_some()).then_some(missing)
}

fn why_impossible(name: &str) -> String {
    match kernel_sysctls::find(name).map(|sysctl| sysctl.whose) {
        _ if name == DOMAINNAME.0 => format!(
            "is not known to be namespaced to kubelets before {}: they reject the pod, and do not start with it in \
             allowedUnsafeSysctls",
            DOMAINNAME.1
        ),
        _ if name.starts_with("user.") => "is refused by kubelets before 1.37, which do not start with it in \
                                           allowedUnsafeSysctls, and by runc and crun after that: the sandbox is never \
                                           made"
            .to_owned(),
        _ if is_refused_by_runtimes(name) => {
            "is refused by runc and crun, whatever a kubelet allows: the sandbox is never made".to_owned()
        }
        Some(Whose::ReadOnly) => {
            "is the node's: a pod sees it and cannot write it, and the sandbox is never made".to_owned()
        }
        _ if name.starts_with("net.") => {
            "is the node's: a pod's network namespace lacks it or cannot write it, and the sandbox is never made"
                .to_owned()
        }
        _ => "is not namespaced: the kubelet rejects the pod (SysctlForbidden), and no setting admits it: a kubelet does \
              not start with it in allowedUnsafeSysctls"
            .to_owned(),
    }
}

/// What follows when a kubelet rejects a pod.
fn again(spec: &Spec<'_>) -> &'static str {
    match spec.kind() {
        "Pod" => "; it ends as Failed, and nothing makes a new one",
        "Job" | "CronJob" => ", and the Job makes new ones until its backoffLimit",
        _ => ", and a workload makes new ones for ever",
    }
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
