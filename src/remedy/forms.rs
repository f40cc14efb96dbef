//! The form that a sysctl's new value takes in each place.

use std::borrow::Cow;

use super::{Situation, place, quoted};
use crate::model::action::{Action, Edit, Target};
use crate::model::fact::{Cause, Scope, Value};
use crate::model::facts::Fact;
use crate::model::fix::{Change, Effect, Pod, Safety, SysctlFix};
use crate::model::place::{Kind, Netns};
use crate::model::rule::Rule;

/// The file that tunecheck's own lines go to. It sorts after distributions' files and before a 99- of the owner's.
const FILE: &str = "/etc/sysctl.d/90-tunecheck.conf";
/// For a line that has to win over a file that sorts after `FILE` and is not the owner's to edit.
const LAST_FILE: &str = "/etc/sysctl.d/zz-tunecheck.conf";
/// Largest nf_conntrack_max that kube-proxy sets since 1.36.
const KUBE_PROXY_MOST: i128 = 1_048_576;

/// The action that gives one sysctl of a fix its new value.
pub(super) fn action(rule: &Rule, fix: &SysctlFix, new: Value, situation: Situation<'_>) -> Action {
    let fact = format!("sysctl.{}", fix.name);
    let scope = situation.catalogue.find(&fact).map_or(rule.scope, |entry| entry.scope);
    let change = Planned {
        rule,
        name: fix.name,
        old: situation.facts.value(&fact).ok().cloned(),
        new,
        of_net: fix.name.starts_with("net."),
        namespaced: fix.name.starts_with("net.") && scope == Scope::Netns,
        raises: matches!(fix.change, Change::Raise(_)),
    };
    change.in_place(situation)
}

/// A change that is worked out and still needs the form of its place.
struct Planned<'a> {
    rule: &'a Rule,
    name: &'a str,
    old: Option<Value>,
    new: Value,
    /// Whether it is a network sysctl.
    of_net: bool,
    /// Whether each network namespace has its own.
    namespaced: bool,
    /// Whether it is a size that grows.
    raises: bool,
}

impl Planned<'_> {
    fn in_place(self, situation: Situation<'_>) -> Action {
        let stands = situation.place;
        let kubernetes = stands.node || stands.kind == Kind::Pod;
        if kubernetes && let Some(line) = self.kube_proxy_line(situation) {
            return self.kube_proxy(line, situation);
        }
        let conntrack = self.name.starts_with("net.netfilter.nf_conntrack");
        match stands.kind {
            Kind::Host | Kind::Unknown => self.here(situation, place::writer(stands)),
            // What is no network sysctl is the host's in any network namespace.
            Kind::Namespace if !self.of_net => self.here(situation, place::writer(stands)),
            Kind::Namespace if self.namespaced => self.in_namespace(situation),
            Kind::Namespace => self.on_node("root in the host's own network namespace"),
            Kind::Container if self.namespaced && !conntrack && stands.netns != Netns::Init => {
                self.container(situation)
            }
            Kind::Container => self.on_node("root on the node, outside the container"),
            Kind::HostNetworkPod => self.on_node("the node's administrator"),
            Kind::Pod => match &self.rule.pod {
                Some(Pod::Safe { since, kernel }) if self.namespaced => {
                    let kernel = kernel.map(|kernel| format!(" on kernel {kernel} or newer")).unwrap_or_default();
                    self.pod(&format!("safe: every kubelet from Kubernetes {since} admits it{kernel}"), Vec::new())
                }
                Some(Pod::Unsafe) if self.namespaced => self.unsafe_in_pod(),
                _ => self.on_node("the node's administrator"),
            },
        }
    }

    fn value(&self) -> String {
        self.new.plain()
    }

    /// The command that sets it. Where the live value is not known, one that only raises.
    fn write(&self) -> String {
        let write = format!("sysctl -w {}", quoted(&format!("{}={}", self.name, self.value())));
        match self.is_guarded() {
            true => format!("[ \"$(sysctl -n {})\" -ge {} ] || {write}", self.name, self.value()),
            false => write,
        }
    }

    fn is_guarded(&self) -> bool {
        self.raises && self.old.is_none()
    }

    fn unwrite(&self) -> String {
        match &self.old {
            Some(old) => format!("sysctl -w {}", quoted(&format!("{}={}", self.name, old.plain()))),
            None => "write the former value back: note it first".to_owned(),
        }
    }

    fn prove(&self) -> Cow<'static, str> {
        if self.rule.fix.prove.is_empty() {
            format!("sysctl -n {}", self.name).into()
        } else {
            self.rule.fix.prove.into()
        }
    }

    fn act(&self, target: Target, who: &str, lines: Vec<String>, scope: &str, undo: String) -> Action {
        Action {
            target,
            who: who.to_owned(),
            edit: Edit::Sysctl { name: self.name.to_owned(), old: self.old.clone(), new: self.new.clone() },
            lines,
            scope: scope.to_owned(),
            cost: self.rule.fix.cost,
            safety: self.rule.fix.safety,
            takes_effect: self.rule.takes_effect,
            prove: self.prove(),
            undo,
        }
    }

    /// Lines that make it last over a reboot of the host.
    fn keep(&self, situation: Situation<'_>) -> Vec<String> {
        if self.is_guarded() {
            return vec![self.keep_if_below()];
        }
        let line = format!("{} = {}", self.name, self.value());
        let mut lines = self.module_line();
        lines.push(match self.boot_line(situation).map(|fact| fact.source.as_ref()) {
            None => format!("{FILE}: {line}"),
            Some(at) if at.starts_with("/etc/") => format!("{at}: {line}   (that line sets it now)"),
            // A file of a package or of this boot is not the owner's to edit.
            Some(at) => {
                let name = at.rsplit('/').next().unwrap_or_default();
                let file = if name < "90-tunecheck.conf" { FILE } else { LAST_FILE };
                format!("{file}: {line}   (the file has to sort after {at})")
            }
        });
        if situation.facts.family("boot[*].value").is_err_and(|gap| gap.cause == Cause::Denied) {
            lines.push("(a sysctl.d file could not be read: look whether a later one sets it too)".to_owned());
        }
        lines
    }

    /// In place of a line for a file, which cannot look first as the command does.
    fn keep_if_below(&self) -> String {
        format!("to keep it: a sysctl.d line, only if the value there is below {}", self.value())
    }

    fn module_line(&self) -> Vec<String> {
        let line = |module| {
            format!("/etc/modules-load.d/{module}.conf: {module}   (without it the next line is lost at boot)")
        };
        self.rule.module.map(line).into_iter().collect()
    }

    /// The line of a configuration file that sets the sysctl at boot.
    fn boot_line<'a>(&self, situation: Situation<'a>) -> Option<&'a Fact> {
        situation.facts.get(&format!("boot[{}].value", self.name)).filter(|fact| fact.reading.is_ok())
    }

    fn here(self, situation: Situation<'_>, who: &str) -> Action {
        let mut lines = vec![self.write()];
        lines.extend(self.keep(situation));
        let scope = match self.namespaced {
            true => "the host's own network namespace; containers and pods with their own start from kernel defaults",
            false => "the whole host",
        };
        let undo = match self.boot_line(situation) {
            Some(fact) if fact.source.starts_with("/etc/") => {
                format!("{}, and put {} back as it was", self.unwrite(), fact.source)
            }
            _ => format!("{}, and take the line out again", self.unwrite()),
        };
        self.act(Target::Here, who, lines, scope, undo)
    }

    fn in_namespace(self, situation: Situation<'_>) -> Action {
        let lines =
            vec![self.write(), "and have whoever makes the namespace do it: it is lost with the namespace".to_owned()];
        let undo = self.unwrite();
        self.act(Target::Here, place::writer(situation.place), lines, "this network namespace", undo)
    }

    fn on_node(self, who: &str) -> Action {
        let why = match self.rule.pod {
            Some(Pod::Impossible) => "it cannot be set from inside a container or pod",
            _ => "it cannot be set from here",
        };
        let mut lines = vec![format!("on the node: {}   ({why})", self.write())];
        if self.is_guarded() {
            lines.push(format!("on the node, {}", self.keep_if_below()));
        } else {
            lines.extend(self.module_line().iter().map(|line| format!("on the node, {line}")));
            lines.push(format!("on the node, {FILE}: {} = {}", self.name, self.value()));
        }
        let undo = format!("on the node: {}, and take the line out again", self.unwrite());
        let scope = match self.namespaced {
            true => "the node's own network namespace, and every container that shares it",
            false => "the whole node and everything on it",
        };
        self.act(Target::Node, who, lines, scope, undo)
    }

    fn container(self, situation: Situation<'_>) -> Action {
        let setting = quoted(&format!("{}={}", self.name, self.value()));
        let flag = |command: &str| format!("{command} --sysctl {setting} ...   (not with --network host)");
        let line = match situation.place.runtime.as_deref() {
            Some(runtime) if runtime.starts_with("podman") => flag("podman run"),
            Some("docker") => flag("docker run"),
            None | Some("containerd") => flag("docker run | podman run"),
            Some(other) => format!("in the configuration of this {other} container, the sysctl {setting}"),
        };
        let action = self.act(
            Target::ContainerRun,
            "whoever starts the container",
            vec![line],
            "this container's network namespace",
            "start it again without the setting".to_owned(),
        );
        Action { takes_effect: Effect::Restart, ..action }
    }

    fn pod(self, admitted: &str, before: Vec<String>) -> Action {
        let mut lines = before;
        lines.extend([
            format!("spec.securityContext of the pod (not of a container)   # {admitted}"),
            "  sysctls:".to_owned(),
            format!("  - name: {}", self.name),
            format!("    value: \"{}\"", self.value()),
        ]);
        let action = self.act(
            Target::PodManifest,
            "the pod's owner",
            lines,
            "the pod's network namespace",
            "take the entry out and roll the pods".to_owned(),
        );
        Action { takes_effect: Effect::NewPods, ..action }
    }

    /// An unsafe sysctl in a pod alone is a pod that is rejected for ever, so the kubelet's part comes first.
    fn unsafe_in_pod(self) -> Action {
        let before = vec![
            format!(
                "first, KubeletConfiguration of some labelled and tainted nodes: allowedUnsafeSysctls: [\"{}\"], then restart the kubelet",
                self.name
            ),
            "then, with a nodeSelector and a toleration for those nodes:".to_owned(),
        ];
        let action = self.pod("unsafe: any other kubelet rejects the pod with SysctlForbidden", before);
        Action { who: "the cluster's administrator, then the pod's owner".to_owned(), ..action }
    }

    /// The line of kube-proxy's configuration, for a sysctl that it writes at every start.
    fn kube_proxy_line(&self, situation: Situation<'_>) -> Option<String> {
        let wanted = self.new.limit()?;
        if self.name.ends_with("nf_conntrack_tcp_timeout_established") {
            return Some(format!("conntrack.tcpEstablishedTimeout: {wanted}s"));
        }
        self.name.ends_with("nf_conntrack_max").then_some(())?;
        let cpus = situation.facts.number("cpu.online").ok().filter(|&cpus| cpus > 0);
        let per_core = cpus.map(|cpus| format!("   (or conntrack.maxPerCore x {cpus} CPUs: the larger counts)"));
        Some(format!("conntrack.min: {wanted}{}", per_core.unwrap_or_default()))
    }

    fn kube_proxy(self, line: String, situation: Situation<'_>) -> Action {
        let mut lines = vec![format!("kube-proxy configuration, {line}"), "restart kube-proxy".to_owned()];
        if self.name.ends_with("nf_conntrack_max") && self.new.limit() > Some(KUBE_PROXY_MOST) {
            lines.push(format!(
                "kube-proxy 1.36 and later set at most {KUBE_PROXY_MOST}: with conntrack.maxPerCore: 0 they leave it to the node"
            ));
        }
        lines.push(format!("if no kube-proxy runs here (another CNI): on the node, {}", self.write()));
        lines.extend(self.keep(situation).into_iter().map(|line| format!("  and {line}")));
        let who = "the cluster's administrator";
        let undo = "put the former value back and restart kube-proxy".to_owned();
        let action = self.act(Target::KubeProxy, who, lines, "every node that shares the configuration", undo);
        Action { takes_effect: Effect::Restart, safety: Safety::Review.max(action.safety), ..action }
    }
}
