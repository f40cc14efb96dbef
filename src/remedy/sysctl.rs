//! A sysctl's new value, and the way to set it in each place.

use std::borrow::Cow;

use super::{Situation, place, quoted};
use crate::model::action::{Action, Edit, Target};
use crate::model::fact::{Scope, Value};
use crate::model::facts::Fact;
use crate::model::fix::{Change, Effect, Pod, SysctlFix};
use crate::model::place::{Kind, Netns};
use crate::model::rule::Rule;

/// The file that tunecheck's own lines go to. It sorts after distributions' files and before a 99- of the owner's.
const FILE: &str = "/etc/sysctl.d/90-tunecheck.conf";
/// Largest nf_conntrack_max that kube-proxy sets since 1.36.
const KUBE_PROXY_MOST: i128 = 1_048_576;

/// The action for one sysctl of a fix; none if the live value needs no change.
pub(super) fn action(rule: &Rule, fix: &SysctlFix, subject: Option<&str>, situation: Situation<'_>) -> Option<Action> {
    let fact = format!("sysctl.{}", fix.name);
    let old = situation.facts.value(&fact).ok().cloned();
    let new = changed(fix, old.as_ref(), subject, situation)?;
    let scope = situation.catalogue.find(&fact).map_or(rule.scope, |entry| entry.scope);
    let change = Planned { rule, name: fix.name, old, new, host_wide: scope == Scope::Host };
    Some(change.in_place(situation))
}

/// The new value, or none if the live one is as good. Never smaller, never a shorter list.
fn changed(fix: &SysctlFix, old: Option<&Value>, subject: Option<&str>, situation: Situation<'_>) -> Option<Value> {
    let new = match (&fix.change, old) {
        (Change::Raise(bound), _) => {
            let wanted = bound.amount(situation.facts, subject).ok().filter(|&amount| amount != i128::MAX)?;
            // For conntrack 0 stands for unlimited, and no number is more.
            let unlimited = fix.name.ends_with("nf_conntrack_max") && old == Some(&Value::Number(0));
            if unlimited || old.and_then(Value::limit).is_some_and(|live| live >= wanted) {
                return None;
            }
            Value::Number(wanted)
        }
        (Change::Set(value), _) => value.clone(),
        (Change::Widen(low, high), Some(Value::Numbers(ends))) => widened(*low, *high, ends, situation)?,
        (Change::Widen(..), _) => return None,
        (Change::Add(ports), Some(Value::Ports(live))) => Value::Ports(live.union(situation.facts.ports(ports).ok()?)),
        // Writing a list without knowing what is in it could drop entries.
        (Change::Add(_), _) => return None,
    };
    (old != Some(&new)).then_some(new)
}

/// A port range moved outwards. The lower end stays at or above `ip_unprivileged_port_start`, below which the kernel
/// refuses it, and the ends keep different parity, which the kernel asks for in its log.
fn widened(low: i128, high: i128, ends: &[i128], situation: Situation<'_>) -> Option<Value> {
    let [old_low, old_high] = *ends else { return None };
    let floor = situation.facts.number("sysctl.net.ipv4.ip_unprivileged_port_start").unwrap_or(1024);
    let (mut low, high) = (old_low.min(low.max(floor)), old_high.max(high));
    // Port 0 is none, wherever the unprivileged ones start.
    if (high ^ low) & 1 == 0 && low > floor.max(1) {
        low -= 1;
    }
    Some(Value::Numbers(vec![low, high]))
}

/// A change that is worked out and still needs the form of its place.
struct Planned<'a> {
    rule: &'a Rule,
    name: &'a str,
    old: Option<Value>,
    new: Value,
    /// Whether the sysctl is one for the whole host: never settable from a namespace.
    host_wide: bool,
}

impl Planned<'_> {
    fn in_place(self, situation: Situation<'_>) -> Action {
        let stands = situation.place;
        let host_network = stands.netns == Netns::Init;
        let module = self.name.starts_with("net.netfilter.nf_conntrack");
        match stands.kind {
            Kind::Host | Kind::HostNetworkPod if stands.node && self.name.ends_with("nf_conntrack_max") => {
                self.kube_proxy(situation)
            }
            Kind::Host | Kind::Unknown => self.here(situation, place::writer(stands)),
            Kind::Namespace if self.host_wide => self.on_node(situation, "root in the host's own network namespace"),
            Kind::Namespace => self.in_namespace(situation),
            Kind::HostNetworkPod => self.on_node(situation, "the node's administrator"),
            Kind::Container if self.host_wide || host_network || module => {
                self.on_node(situation, "root on the node, outside the container")
            }
            Kind::Container => self.container(situation),
            Kind::Pod => match &self.rule.pod {
                Some(Pod::Safe { since, kernel }) if !self.host_wide => {
                    let kernel = kernel.map(|kernel| format!(" on kernel {kernel} or newer")).unwrap_or_default();
                    self.pod(&format!("safe: every kubelet from Kubernetes {since} admits it{kernel}"), Vec::new())
                }
                Some(Pod::Unsafe) if !self.host_wide => self.unsafe_in_pod(),
                _ => self.on_node(situation, "the node's administrator"),
            },
        }
    }

    fn value(&self) -> String {
        self.new.plain()
    }

    fn write(&self) -> String {
        format!("sysctl -w {}", quoted(&format!("{}={}", self.name, self.value())))
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
        let mut lines = Vec::new();
        if let Some(module) = &self.rule.module {
            lines.push(format!(
                "/etc/modules-load.d/{module}.conf: {module}   (without it the next line is lost at boot)"
            ));
        }
        let line = format!("{} = {}", self.name, self.value());
        lines.push(match self.boot_line(situation) {
            Some(fact) => format!("{}: {line}   (that line sets it now)", fact.source),
            None => format!("{FILE}: {line}"),
        });
        lines
    }

    /// The line of a configuration file that sets the sysctl at boot.
    fn boot_line<'a>(&self, situation: Situation<'a>) -> Option<&'a Fact> {
        situation.facts.get(&format!("boot[{}].value", self.name)).filter(|fact| fact.reading.is_ok())
    }

    fn here(self, situation: Situation<'_>, who: &str) -> Action {
        let mut lines = vec![self.write()];
        lines.extend(self.keep(situation));
        let scope = if self.host_wide {
            "the whole host"
        } else {
            "the host's own network namespace; containers and pods with their own start from kernel defaults"
        };
        let undo = match self.boot_line(situation) {
            Some(fact) => format!("{}, and put {} back as it was", self.unwrite(), fact.source),
            None => format!("{}, and take the line out again", self.unwrite()),
        };
        self.act(Target::Here, who, lines, scope, undo)
    }

    fn in_namespace(self, situation: Situation<'_>) -> Action {
        let lines =
            vec![self.write(), "and have whoever makes the namespace do it: it is lost with the namespace".to_owned()];
        let undo = self.unwrite();
        self.act(Target::Here, place::writer(situation.place), lines, "this network namespace", undo)
    }

    fn on_node(self, _: Situation<'_>, who: &str) -> Action {
        let why = match self.rule.pod {
            Some(Pod::Impossible) => "it cannot be set from inside a container or pod",
            _ => "it cannot be set from here",
        };
        let lines = vec![
            format!("on the node: {}   ({why})", self.write()),
            format!("on the node, {FILE}: {} = {}", self.name, self.value()),
        ];
        let undo = format!("on the node: {}, and take the line out again", self.unwrite());
        let scope = match self.name.starts_with("net.") && !self.host_wide {
            true => "the node's own network namespace, and every container that shares it",
            false => "the whole node and everything on it",
        };
        self.act(Target::Node, who, lines, scope, undo)
    }

    fn container(self, situation: Situation<'_>) -> Action {
        let command = match situation.place.runtime.as_deref() {
            Some(runtime) if runtime.starts_with("podman") => "podman run",
            Some("docker") => "docker run",
            _ => "docker run | podman run",
        };
        let lines = vec![format!(
            "{command} --sysctl {} ...   (not with --network host)",
            quoted(&format!("{}={}", self.name, self.value()))
        )];
        let action = self.act(
            Target::ContainerRun,
            "whoever starts the container",
            lines,
            "this container's network namespace",
            "start it again without the flag".to_owned(),
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

    fn kube_proxy(self, situation: Situation<'_>) -> Action {
        let wanted = self.new.limit().unwrap_or_default();
        let cpus = situation.facts.number("cpu.online").ok().filter(|&cpus| cpus > 0);
        let per_core = cpus
            .map(|cpus| format!("  (conntrack.maxPerCore x {cpus} CPUs counts too: the larger wins)"))
            .unwrap_or_default();
        let mut lines = vec![
            format!("kube-proxy configuration, conntrack.min: {wanted}{per_core}"),
            "restart kube-proxy".to_owned(),
        ];
        if wanted > KUBE_PROXY_MOST {
            lines.push(format!("kube-proxy 1.36 and later set at most {KUBE_PROXY_MOST}: with conntrack.maxPerCore: 0 they leave the sysctl to the node"));
        }
        let who = "the cluster's administrator";
        let undo = "put the former conntrack.min back and restart kube-proxy".to_owned();
        self.act(Target::KubeProxy, who, lines, "every node that shares the configuration", undo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalogue::Catalogue;
    use crate::model::check::Bound;
    use crate::model::facts::Facts;
    use crate::model::place::Place;
    use crate::model::ports::Ports;

    fn after(change: Change, live: &'static str, value: Value, more: &[(&'static str, Value)]) -> Option<Value> {
        let mut facts = Facts::default();
        facts.put(format!("sysctl.{live}"), Ok(value.clone()), "");
        for (name, value) in more {
            facts.put(*name, Ok(value.clone()), "");
        }
        let (place, catalogue) = (Place::plain_host(), Catalogue::default());
        let fix = SysctlFix { name: live, change };
        changed(&fix, Some(&value), None, Situation { facts: &facts, place: &place, catalogue: &catalogue })
    }

    fn raise(to: i64) -> Change {
        Change::Raise(Bound { of: None, times: 1.0, plus: to, least: i64::MIN })
    }

    fn ports(text: &str) -> Value {
        Value::Ports(text.parse::<Ports>().unwrap())
    }

    #[test]
    fn a_size_is_never_lowered() {
        assert_eq!(after(raise(65535), "net.core.somaxconn", Value::Number(4096), &[]), Some(Value::Number(65535)));
        assert_eq!(after(raise(65535), "net.core.somaxconn", Value::Number(65535), &[]), None);
        assert_eq!(after(raise(65535), "net.core.somaxconn", Value::Number(1 << 20), &[]), None);
        assert_eq!(after(raise(262_144), "net.netfilter.nf_conntrack_max", Value::Number(0), &[]), None);
    }

    #[test]
    fn a_list_keeps_its_entries() {
        let busy = [("ports.must_reserve", ports("40000"))];
        let after = after(Change::Add("ports.must_reserve"), "net.ipv4.ip_local_reserved_ports", ports("8080"), &busy);
        assert_eq!(after, Some(ports("8080,40000")));
    }

    #[test]
    fn a_range_moves_outwards_and_stays_where_the_kernel_takes_it() {
        let widen = |live: [i128; 2], start: i128| {
            let start = [("sysctl.net.ipv4.ip_unprivileged_port_start", Value::Number(start))];
            after(Change::Widen(10240, 65535), "net.ipv4.ip_local_port_range", Value::Numbers(live.to_vec()), &start)
        };
        assert_eq!(widen([32768, 60999], 1024), Some(Value::Numbers(vec![10240, 65535])));
        assert_eq!(widen([1024, 65535], 1024), None);
        assert_eq!(widen([5001, 60999], 1024), Some(Value::Numbers(vec![5000, 65535])));
        assert_eq!(widen([32768, 60999], 20_000), Some(Value::Numbers(vec![20_000, 65535])));
    }
}
