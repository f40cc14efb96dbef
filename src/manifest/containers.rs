//! Containers of other platforms: services of Compose files and ECS task definitions. Their runtime (runc) takes sysctls of
//! the namespaces that are the container's own, and limits that the kernel takes.
//!
//! Sources: runc libcontainer/configs/validate, docs.docker.com/reference/compose-file/services,
//! docs.aws.amazon.com/AmazonECS/latest/APIReference (SystemControl, Ulimit).

use std::collections::BTreeMap;

use super::pods::fault;
use super::sysctls::Sysctl;
use super::tree::Node;
use super::{Options, shown, started, values};
use crate::model::finding::Outcome;
use crate::model::fix::Pod;
use crate::model::kernel_sysctls;
use crate::model::manifest::{Fault, Judged, Mark};
use crate::model::pod_sysctl::is_of_ipc;

/// The limits that Docker knows (github.com/docker/go-units).
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// A container as far as it is judged.
struct Container<'a> {
    subject: String,
    sysctls: Vec<(Node<'a>, Sysctl<'a>)>,
    shares_network: bool,
    shares_ipc: bool,
}

/// Judges a Compose file or a task definition; whether the document is one.
pub(super) fn judge(root: Node<'_>, options: Options<'_>, judged: &mut Judged) -> bool {
    let before = judged.configurations;
    compose(root, options, judged);
    task(root, "", options, judged);
    for (name, resource) in root.get("Resources").into_iter().flat_map(Node::entries) {
        if let Some(properties) = resource.get("Properties") {
            task(properties, name.scalar().unwrap_or_default(), options, judged);
        }
    }
    judged.configurations > before
}

fn compose(root: Node<'_>, options: Options<'_>, judged: &mut Judged) {
    let services = || root.get("services").into_iter().flat_map(Node::entries);
    let is_service = |node: Node<'_>| ["image", "build", "extends"].iter().any(|field| node.get(field).is_some());
    if !services().any(|(_, service)| is_service(service)) {
        return;
    }
    for (name, service) in services().filter(|(_, service)| service.is_map()) {
        judged.configurations += 1;
        let subject = format!("service {}", shown(name.scalar().unwrap_or_default()));
        let is = |field: &str, value: &str| service.get(field).and_then(Node::scalar) == Some(value);
        let sysctls = service.get("sysctls");
        let of_map =
            sysctls.into_iter().flat_map(Node::entries).map(|(key, value)| (key, key.scalar(), value.scalar(), value));
        let of_list = sysctls.into_iter().flat_map(Node::items).map(|item| {
            let pair = item.scalar().map(|text| text.split_once('=').unwrap_or((text, "")));
            (item, pair.map(|(name, _)| name), pair.map(|(_, value)| value), item)
        });
        let container = Container {
            sysctls: taken(of_map.chain(of_list)),
            shares_network: is("network_mode", "host"),
            shares_ipc: is("ipc", "host"),
            subject,
        };
        container.judge(options, &mut judged.faults);
        started::service(&container.subject, service, &mut judged.faults);
        for (name, limit) in service.get("ulimits").into_iter().flat_map(Node::entries) {
            let word = name.scalar().unwrap_or_default();
            let (soft, hard) = match limit.is_map() {
                true => (limit.get("soft"), limit.get("hard")),
                false => (Some(limit), Some(limit)),
            };
            ulimit(&container.subject, (name, word), [soft, hard], options, &mut judged.faults);
        }
    }
}

fn task(root: Node<'_>, name: &str, options: Options<'_>, judged: &mut Judged) {
    if get(root, "containerDefinitions")
        .into_iter()
        .flat_map(Node::items)
        .all(|container| get(container, "image").is_none())
    {
        return;
    }
    judged.configurations += 1;
    let task = get(root, "family").and_then(Node::scalar).unwrap_or(name);
    let mode = get(root, "networkMode").and_then(Node::scalar).unwrap_or_default();
    let ipc = get(root, "ipcMode").and_then(Node::scalar).unwrap_or_default();
    let mut of_task: BTreeMap<String, &str> = BTreeMap::new();
    for definition in get(root, "containerDefinitions").into_iter().flat_map(Node::items) {
        let named = get(definition, "name")
            .and_then(Node::scalar)
            .map(|name| format!(", container {}", shown(name)))
            .unwrap_or_default();
        let controls = get(definition, "systemControls").into_iter().flat_map(Node::items).filter_map(|control| {
            let name = get(control, "namespace")?;
            let value = get(control, "value")?;
            Some((name, name.scalar(), value.scalar(), value))
        });
        let container = Container {
            subject: format!("task {}{named}", shown(task)),
            sysctls: taken(controls),
            shares_network: mode == "host",
            shares_ipc: ipc == "host",
        };
        container.judge(options, &mut judged.faults);
        started::definition(&container.subject, [root, definition], get, &mut judged.faults);
        for (_, sysctl) in
            container.sysctls.iter().filter(|(_, sysctl)| mode == "awsvpc" && sysctl.name.starts_with("net."))
        {
            match of_task.get(&sysctl.name) {
                Some(value) if *value != sysctl.value => {
                    let says = format!(
                        "{} has another value in another container of this task, and with awsvpc all share one network: the \
                         container that is started last decides",
                        shown(&sysctl.name)
                    );
                    let texts = [says, "write one value, in one container".to_owned()];
                    judged.faults.push(fault(
                        "duplicate",
                        Outcome::Warn,
                        sysctl.mark,
                        container.subject.clone(),
                        texts,
                    ));
                }
                Some(_) => {}
                None => _ = of_task.insert(sysctl.name.clone(), sysctl.value),
            }
        }
        for limit in get(definition, "ulimits").into_iter().flat_map(Node::items) {
            let Some(name) = get(limit, "name") else { continue };
            let word = name.scalar().unwrap_or_default();
            let (soft, hard) = (get(limit, "softLimit"), get(limit, "hardLimit"));
            ulimit(&container.subject, (name, word), [soft, hard], options, &mut judged.faults);
        }
    }
}

/// A field of a task definition; CloudFormation writes the same names with a capital.
fn get<'a>(node: Node<'a>, name: &str) -> Option<Node<'a>> {
    let mut chars = name.chars();
    let capital = || chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>();
    node.get(name).or_else(|| node.get(&capital()))
}

/// What is known now of sysctls: where the name stands, the name, the value, and where that stands.
fn taken<'a>(
    pairs: impl Iterator<Item = (Node<'a>, Option<&'a str>, Option<&'a str>, Node<'a>)>,
) -> Vec<(Node<'a>, Sysctl<'a>)> {
    pairs
        .filter(|(at, _, _, value)| !at.is_placeholder() && !value.is_placeholder())
        .filter_map(|(at, name, value, node)| {
            let name = name?.trim().to_owned();
            Some((at, Sysctl { name, value: value?, mark: node.mark() }))
        })
        .collect()
}

impl Container<'_> {
    fn judge(&self, options: Options<'_>, faults: &mut Vec<Fault>) {
        for (at, sysctl) in &self.sysctls {
            if let Some((check, [says, change])) = self.refused(&sysctl.name, options) {
                let says = format!("{} {says}: the container does not start", shown(&sysctl.name));
                faults.push(fault(check, Outcome::Fail, at.mark(), self.subject.clone(), [says, change]));
            }
        }
        let sysctls: Vec<Sysctl<'_>> = self.sysctls.iter().map(|(_, sysctl)| sysctl.clone()).collect();
        values::judge(&self.subject, "the container does not start", &sysctls, faults);
        let Some(load) = options.load else { return };
        let pairs: Vec<(String, String)> = sysctls.iter().map(|one| (one.name.clone(), one.value.to_owned())).collect();
        for short in (load.sysctls)(&pairs) {
            if let Some(one) = sysctls.iter().find(|one| one.name == short.name) {
                faults.push(fault("load", short.outcome, one.mark, self.subject.clone(), [short.says, short.change]));
            }
        }
    }

    /// Why a container with this sysctl does not start.
    fn refused(&self, name: &str, options: Options<'_>) -> Option<(&'static str, [String; 2])> {
        let says = |check, says: &str, change: &str| Some((check, [says.to_owned(), change.to_owned()]));
        let on_host = "delete it, and set it on the host if it is needed";
        if options.known.is_removed(name) {
            return says("removed", "is in no kernel of today", "delete it");
        }
        if kernel_sysctls::find(name).is_none() && kernel_sysctls::is_of_whole_family(name) {
            let meant =
                kernel_sysctls::nearest(name).map_or("delete it".to_owned(), |meant| format!("did you mean {meant}?"));
            return says("no-such-sysctl", "is in no kernel", &meant);
        }
        match name {
            _ if name.starts_with("net.") && self.shares_network => {
                says("host-namespace", "in the host's network is refused by the runtime", on_host)
            }
            _ if is_of_ipc(name) && self.shares_ipc => {
                says("host-namespace", "in the host's IPC namespace is refused by the runtime", on_host)
            }
            // A container has its own host and domain name.
            "kernel.domainname" => None,
            _ if options.known.pod(name) != Pod::Impossible => None,
            _ if name.starts_with("net.") => {
                says("impossible", "is the host's: a network namespace lacks it or cannot write it", on_host)
            }
            _ => says("impossible", "is not namespaced, and the runtime refuses it", on_host),
        }
    }
}

/// A limit of a container: what Docker and the kernel say to it.
fn ulimit(
    subject: &str,
    (at, name): (Node<'_>, &str),
    [soft, hard]: [Option<Node<'_>>; 2],
    options: Options<'_>,
    faults: &mut Vec<Fault>,
) {
    let mut push = |mark: Mark, says: String, change: &str| {
        faults.push(fault("ulimits", Outcome::Fail, mark, subject.to_owned(), [says, change.to_owned()]));
    };
    if at.is_placeholder() {
        return;
    }
    if !ULIMITS.contains(&name) {
        let says = format!("{} is no limit that the runtime knows: the container does not start", shown(name));
        return push(at.mark(), says, &format!("one of {}", ULIMITS.join(", ")));
    }
    let number = |node: Option<Node<'_>>| node.and_then(Node::scalar).and_then(|text| text.trim().parse::<i64>().ok());
    let (Some(soft_limit), Some(hard_limit)) = (number(soft), number(hard)) else { return };
    let mark = soft.map_or(at.mark(), Node::mark);
    if soft_limit > hard_limit && hard_limit >= 0 {
        let says = format!(
            "{name}: the soft limit {soft_limit} is above the hard limit {hard_limit}: the container does not start"
        );
        push(mark, says, "a soft limit of no more than the hard one");
    } else if name == "nofile" && (hard_limit < 0 || hard_limit > i64::from(i32::MAX)) {
        let says = format!(
            "nofile {hard_limit} is above any fs.nr_open: the kernel refuses it, and the container does not start"
        );
        push(hard.map_or(mark, Node::mark), says, "a number that the load needs, such as 65536");
    } else if let Some(load) = options.load.filter(|_| name == "nofile") {
        load.files(subject, [soft_limit, hard_limit], mark, faults);
    }
}
