//! kube-proxy's configuration: what it refuses, what it reads over, and the conntrack table that it makes.

use super::{number, seconds};
use crate::manifest::pods::{self, Container, Spec, fault};
use crate::manifest::tree::Node;
use crate::manifest::{Options, is_filled_in_later, schema, shown};
use crate::model::finding::Outcome;
use crate::model::manifest::Fault;
use crate::model::version::Version;

pub(super) const KIND: &str = "KubeProxyConfiguration";
const WHO: &str = "kube-proxy";
/// What kube-proxy 1.36 and later makes of cores and `maxPerCore` at most (`getConntrackMax`).
pub(in crate::manifest) const MOST_CONNTRACK: i64 = 1_048_576;
/// The first kube-proxy with that bound.
const BOUNDED: Version = Version { major: 1, minor: 36, patch: 0 };
/// Seconds in which TCP keep-alive declares a peer dead by default: 7200 of silence, and 9 probes 75 apart.
const KEEPALIVE: f64 = 7875.0;
/// More cores than any node has.
const MOST_CORES: i64 = 4096;
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

/// Durations of `conntrack`.
const TIMEOUTS: [&str; 4] = ["tcpEstablishedTimeout", "tcpCloseWaitTimeout", "udpTimeout", "udpStreamTimeout"];

pub(super) fn judge(config: Node<'_>, options: Options<'_>, faults: &mut Vec<Fault>) {
    schema::configuration(config, KIND, WHO, options, faults);
    let is_bounded = options.kubernetes.is_none_or(|release| release >= BOUNDED);
    let Some(conntrack) = config.get("conntrack").filter(|part| part.is_map()) else {
        if let Some(load) = options.load {
            load.conntrack([None, None], is_bounded, config.mark(), faults);
        }
        return;
    };
    for name in TIMEOUTS {
        timeout(conntrack, name, faults);
    }
    let [per_core, min] = ["maxPerCore", "min"].map(|name| number((KIND, WHO, "conntrack"), conntrack, name, faults));
    if let Some(load) = options.load {
        load.conntrack([per_core, min], is_bounded, conntrack.mark(), faults);
    }
    let mut push = |outcome, node: Node<'_>, says: String, change: &str| {
        faults.push(fault("conntrack", outcome, node.mark(), KIND.to_owned(), [says, change.to_owned()]));
    };
    for (name, (node, value)) in
        [("maxPerCore", per_core), ("min", min)].into_iter().filter_map(|(name, one)| Some((name, one?)))
    {
        if value < 0 {
            let says = format!("conntrack.{name} is {value}: kube-proxy refuses it and does not start");
            push(Outcome::Fail, node, says, "0 or more");
        }
    }
    let Some((node, min)) = min.filter(|(_, min)| *min > 0) else { return };
    match per_core.map_or(32_768, |(_, per_core)| per_core) {
        0 => {
            let says =
                format!("conntrack.min {min} is not read where maxPerCore is 0: the node keeps its nf_conntrack_max");
            let change = "delete min, and set the sysctl on the node; or maxPerCore: 1, which gives every node this min, also where it has more";
            push(Outcome::Warn, node, says, change);
        }
        per_core if per_core > 1 && min > MOST_CONNTRACK && MOST_CONNTRACK / per_core < MOST_CORES && is_bounded => {
            let says = format!(
                "on nodes with more than {} cores kube-proxy {BOUNDED} and later sets {MOST_CONNTRACK}, not conntrack.min {min}: \
                 maxPerCore x cores is bounded by it, and min is not read above it",
                MOST_CONNTRACK / per_core
            );
            push(
                Outcome::Warn,
                node,
                says,
                "maxPerCore: 1 with this min, where every kube-proxy is 1.36 or later: an older one would cut the table of larger nodes",
            );
        }
        _ => {}
    }
}

/// Judges a duration: Go's, as text.
fn timeout(conntrack: Node<'_>, name: &str, faults: &mut Vec<Fault>) {
    let Some(node) = conntrack.get(name).filter(|node| !node.is_null()) else { return };
    let Some(written) = node.scalar().filter(|text| !is_filled_in_later(text)) else { return };
    let mut push = |outcome, says: String, change: &str| {
        let says = format!("conntrack.{name}: {says}");
        faults.push(fault("conntrack", outcome, node.mark(), KIND.to_owned(), [says, change.to_owned()]));
    };
    let positive = written.strip_prefix('-').unwrap_or(written);
    match node.text().and_then(|_| seconds(positive)) {
        None => {
            let says = format!("{} is no duration: kube-proxy does not start", shown(written));
            push(Outcome::Fail, says, "a number with its unit, such as 24h0m0s or 86400s");
        }
        Some(seconds) if positive != written && seconds > 0.0 => {
            push(
                Outcome::Fail,
                format!("{written} is negative: kube-proxy refuses it and does not start"),
                "0s or more",
            );
        }
        Some(seconds) if name == "tcpEstablishedTimeout" && seconds > 0.0 && seconds < KEEPALIVE => {
            let says = format!(
                "an idle connection is forgotten after {seconds} s, before TCP keep-alive has decided about it \
                 ({KEEPALIVE} s by the kernel's defaults): the side that was connected to is reset when it speaks first then"
            );
            push(Outcome::Warn, says, "24h, which is the default");
        }
        Some(_) => {}
    }
}

/// Flags of a kube-proxy that its configuration file makes without effect.
pub(in crate::manifest) fn flags(spec: &Spec<'_>, container: Container<'_>, faults: &mut Vec<Fault>) {
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
