//! Configurations of a node's kubelet and kube-proxy: what they refuse, and what they read over.

use super::pods::{self, Container, Object, Spec, fault};
use super::tree::Node;
use super::{Options, shown};
use crate::model::finding::Outcome;
use crate::model::fix::Pod;
use crate::model::kernel_sysctls;
use crate::model::manifest::Fault;
use crate::model::pod_sysctl::{DOMAINNAME, can_be_allowed};
use crate::model::sysctl::dotted;
use crate::model::text::distance;
use crate::model::version::Version;

/// What kube-proxy 1.36 and later makes of cores and `maxPerCore` at most (`getConntrackMax`).
pub(super) const MOST_CONNTRACK: i64 = 1_048_576;
/// The first kube-proxy with that bound.
const BOUNDED: Version = Version { major: 1, minor: 36, patch: 0 };
/// Seconds in which TCP keep-alive declares a peer dead by default: 7200 of silence, and 9 probes 75 apart.
const KEEPALIVE: f64 = 7875.0;
/// Units of a duration (Go's time.ParseDuration).
const SECONDS: [(&str, f64); 7] =
    [("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("\u{b5}s", 1e-6), ("ns", 1e-9)];
/// More cores than any node has.
const MOST_CORES: i64 = 4096;
const CONNTRACK: [&str; 7] = [
    "maxPerCore",
    "min",
    "tcpEstablishedTimeout",
    "tcpCloseWaitTimeout",
    "tcpBeLiberal",
    "udpTimeout",
    "udpStreamTimeout",
];
/// Flags of kube-proxy that its configuration file replaces, whatever it says (`cmd/kube-proxy/app/options.go`): by what
/// they begin with. Those of the log and `--hostname-override` count beside a file.
const REPLACED_FLAGS: [&str; 22] = [
    "bind-address",
    "cluster-cidr",
    "config-sync-period",
    "conntrack-",
    "detect-local-mode",
    "feature-gates",
    "healthz-",
    "iptables-",
    "ipvs-",
    "kube-api-",
    "kubeconfig",
    "masquerade-all",
    "metrics-bind-address",
    "metrics-port",
    "nodeport-addresses",
    "oom-score-adj",
    "pod-bridge-interface",
    "pod-interface-name-prefix",
    "profiling",
    "proxy-mode",
    "proxy-port-range",
    "show-hidden-metrics-for-version",
];

/// Judges a configuration; whether it is one.
pub(super) fn judge(object: Object<'_>, options: Options<'_>, faults: &mut Vec<Fault>) -> bool {
    match (object.group(), object.kind()) {
        ("kubelet.config.k8s.io", "KubeletConfiguration") => kubelet(object.node(), options, faults),
        ("kubeproxy.config.k8s.io", "KubeProxyConfiguration") => kube_proxy(object.node(), options, faults),
        _ => return false,
    }
    true
}

fn kubelet(config: Node<'_>, options: Options<'_>, faults: &mut Vec<Fault>) {
    near("KubeletConfiguration", "the kubelet", config, "allowedUnsafeSysctls", faults);
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
        faults.push(fault(check, outcome, entry.mark(), "KubeletConfiguration".to_owned(), texts));
    }
}

/// Tells a field that is `meant`, but for a slip of one or two letters. Both programs decode strictly, log what they did not
/// know, and go on with what they did.
fn near(kind: &str, who: &str, config: Node<'_>, meant: &str, faults: &mut Vec<Fault>) {
    for (key, _) in config.entries() {
        let Some(name) = key.scalar().filter(|name| (1..=2).contains(&distance(name, meant))) else { continue };
        let says = format!("unknown field {}: {who} reads over it", shown(name));
        let texts = [says, format!("did you mean {meant}?")];
        faults.push(fault("no-such-field", Outcome::Warn, key.mark(), kind.to_owned(), texts));
    }
}

/// Seconds of a duration as Go writes it: `24h0m0s`, `1h30m`, `20m`.
fn seconds(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(digits);
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        let (unit, after) = behind.split_at(end);
        sum += number.parse::<f64>().ok()? * SECONDS.iter().find(|(name, _)| *name == unit)?.1;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
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

fn kube_proxy(config: Node<'_>, options: Options<'_>, faults: &mut Vec<Fault>) {
    near("KubeProxyConfiguration", "kube-proxy", config, "conntrack", faults);
    let is_bounded = options.kubernetes.is_none_or(|release| release >= BOUNDED);
    let Some(conntrack) = config.get("conntrack").filter(|part| part.is_map()) else {
        if let Some(load) = options.load {
            load.conntrack([None, None], is_bounded, config.mark(), faults);
        }
        return;
    };
    if let Some((node, text)) = conntrack.get("tcpEstablishedTimeout").and_then(|node| Some((node, node.scalar()?)))
        && let Some(timeout) = seconds(text).filter(|timeout| *timeout > 0.0 && *timeout < KEEPALIVE)
    {
        let says = format!(
            "conntrack.tcpEstablishedTimeout: an idle connection is forgotten after {timeout} s, before TCP keep-alive has \
             decided about it ({KEEPALIVE} s by the kernel's defaults): the side that was connected to is reset when it \
             speaks first then"
        );
        let texts = [says, "24h, which is the default".to_owned()];
        faults.push(fault("conntrack", Outcome::Warn, node.mark(), "KubeProxyConfiguration".to_owned(), texts));
    }
    let number = |name| {
        let node = conntrack.get(name)?;
        Some((node, node.scalar()?.parse::<i64>().ok()?))
    };
    let (per_core, min) = (number("maxPerCore"), number("min"));
    if let Some(load) = options.load {
        load.conntrack([per_core, min], is_bounded, conntrack.mark(), faults);
    }
    let mut push = |check, outcome, node: Node<'_>, says: String, change: String| {
        faults.push(fault(check, outcome, node.mark(), "KubeProxyConfiguration".to_owned(), [says, change]));
    };
    for (key, _) in conntrack.entries() {
        let name = key.scalar().unwrap_or_default();
        if name != "<<" && !key.is_placeholder() && !CONNTRACK.contains(&name) {
            let near = CONNTRACK.into_iter().min_by_key(|known| distance(name, known));
            let near = near.filter(|near| distance(name, near) * 2 <= name.len());
            let says = format!("unknown field conntrack.{}: kube-proxy reads over it", shown(name));
            let change = near.map_or("delete it".to_owned(), |near| format!("did you mean {near}?"));
            push("no-such-field", Outcome::Warn, key, says, change);
        }
    }
    for (name, (node, value)) in
        [("maxPerCore", per_core), ("min", min)].into_iter().filter_map(|(name, one)| Some((name, one?)))
    {
        if value < 0 {
            let says = format!("conntrack.{name} is {value}: kube-proxy refuses it and does not start");
            push("conntrack", Outcome::Fail, node, says, "0 or more".to_owned());
        }
    }
    let Some((node, min)) = min.filter(|(_, min)| *min > 0) else { return };
    match per_core.map_or(32_768, |(_, per_core)| per_core) {
        0 => {
            let says =
                format!("conntrack.min {min} is not read where maxPerCore is 0: the node keeps its nf_conntrack_max");
            let change =
                "maxPerCore: 1, so that min counts on every node; or delete min, and set the sysctl on the node";
            push("conntrack", Outcome::Warn, node, says, change.to_owned());
        }
        per_core if per_core > 1 && min > MOST_CONNTRACK && MOST_CONNTRACK / per_core < MOST_CORES && is_bounded => {
            let says = format!(
                "on nodes with more than {} cores kube-proxy {BOUNDED} and later sets {MOST_CONNTRACK}, not conntrack.min {min}: \
                 maxPerCore x cores is bounded by it, and min is not read above it",
                MOST_CONNTRACK / per_core
            );
            push("conntrack", Outcome::Warn, node, says, "maxPerCore: 1 with this min".to_owned());
        }
        _ => {}
    }
}

/// Flags of a kube-proxy that its configuration file makes without effect.
pub(super) fn flags(spec: &Spec<'_>, container: Container<'_>, faults: &mut Vec<Fault>) {
    let lists = ["command", "args"].into_iter().filter_map(|list| container.node.get(list)).flat_map(Node::items);
    let given: Vec<(&str, Node<'_>)> = lists.filter_map(|item| Some((item.scalar()?, item))).collect();
    let words: Vec<(&str, Node<'_>)> =
        given.iter().flat_map(|(text, node)| text.split_ascii_whitespace().map(|word| (word, *node))).collect();
    let Some(at) = words.iter().position(|(word, _)| word.rsplit('/').next() == Some("kube-proxy")) else { return };
    let flags = || words.iter().skip(at + 1).filter_map(|(word, node)| Some((word.strip_prefix("--")?, *node)));
    let name =
        |flag: &'static str| move |(word, _): (&str, Node<'_>)| word == flag || word.starts_with(&format!("{flag}="));
    if !flags().any(name("config")) || flags().any(name("cleanup")) {
        return;
    }
    let replaced = |flag: &str| REPLACED_FLAGS.iter().any(|known| flag.starts_with(known));
    let ignored: Vec<(&str, Node<'_>)> = flags()
        .map(|(flag, node)| (flag.split('=').next().unwrap_or_default(), node))
        .filter(|(flag, _)| replaced(flag))
        .collect();
    let Some((_, first)) = ignored.first() else { return };
    let names: Vec<String> = ignored.iter().map(|(flag, _)| format!("--{}", shown(flag))).collect();
    let (names, verb) = (names.join(", "), if ignored.len() == 1 { "has" } else { "have" });
    let says = format!("{names} {verb} no effect: kube-proxy takes everything from the file that --config names");
    let change = "write it into the KubeProxyConfiguration (kubectl -n kube-system edit configmap kube-proxy), and delete it here";
    faults.push(pods::fault(
        "flags",
        Outcome::Warn,
        first.mark(),
        spec.subject_of(container),
        [says, change.to_owned()],
    ));
}
