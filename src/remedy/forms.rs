//! The form that a sysctl's new value takes in each place.

use super::{Situation, file, kube_proxy, place, quoted, words};
use crate::model::action::{Action, Edit, How, Site, SysctlEdit};
use crate::model::fact::Cause;
use crate::model::fix::{Effect, Pod, Safety};
use crate::model::place::{Kind, Netns};
use crate::model::rule::Rule;
use crate::model::sysctl::danger::danger;

/// The actions that make an edit where the audit stands, in their order.
pub(super) fn actions(rule: &Rule, edit: SysctlEdit, situation: Situation<'_>) -> Vec<Action> {
    let of_net = edit.name.starts_with("net.");
    Planned { rule, edit, of_net, situation }.in_place()
}

/// A change that is worked out and still needs the form of its place.
struct Planned<'a> {
    rule: &'a Rule,
    edit: SysctlEdit,
    /// Whether it is a network sysctl.
    of_net: bool,
    situation: Situation<'a>,
}

impl Planned<'_> {
    fn in_place(self) -> Vec<Action> {
        let stands = self.situation.place;
        let kubernetes = stands.node || stands.kind == Kind::Pod;
        if kubernetes && let Some(line) = kube_proxy::line(&self.edit, self.situation) {
            return vec![self.kube_proxy(line)];
        }
        let conntrack = self.edit.name.starts_with("net.netfilter.nf_conntrack");
        vec![match stands.kind {
            Kind::Host | Kind::Unknown => match self.edit.tuned.clone() {
                Some((profile, _)) => self.in_profile(&profile),
                None => self.here(place::writer(stands)),
            },
            // What is no network sysctl is the host's in any network namespace.
            Kind::Namespace if !self.of_net => self.here(place::writer(stands)),
            Kind::Namespace if self.edit.netns => self.in_namespace(),
            Kind::Namespace => self.on_node("root in the host's own network namespace"),
            Kind::Container if self.edit.netns && !conntrack && stands.netns != Netns::Init => self.container(),
            Kind::Container => self.on_node("root on the node, outside the container"),
            Kind::HostNetworkPod => self.on_node("the node's administrator"),
            Kind::Pod => match &self.rule.pod {
                Some(Pod::Safe { since, kernel }) if self.edit.netns => {
                    let kernel = kernel.map(|kernel| format!(" on kernel {kernel} or newer")).unwrap_or_default();
                    self.pod(&format!("safe: every kubelet from Kubernetes {since} admits it{kernel}"))
                }
                Some(Pod::Unsafe) if self.edit.netns => return self.unsafe_in_pod(),
                _ => self.on_node("the node's administrator"),
            },
        }]
    }

    fn value(&self) -> String {
        self.edit.new.plain()
    }

    /// The command that sets it. Where the live value is not known, one that only raises.
    fn write(&self) -> String {
        let write = format!("sysctl -w {}", quoted(&format!("{}={}", self.edit.name, self.value())));
        match self.is_guarded() {
            true => format!("[ \"$(sysctl -n {})\" -ge {} ] || {write}", self.edit.name, self.value()),
            false => write,
        }
    }

    fn is_guarded(&self) -> bool {
        self.edit.how == How::Raise && self.edit.old.is_none()
    }

    fn act(self, site: Site, who: &str, lines: Vec<String>, scope: &str, undo: String) -> Action {
        let memory = self.situation.facts.number("memory.total").ok();
        Action {
            site,
            who: who.to_owned(),
            lines,
            scope: scope.to_owned(),
            cost: words::with_danger(&self.edit.name, words::cost(self.rule, &self.edit, memory)),
            safety: self.safety(),
            takes_effect: self.rule.takes_effect,
            prove: words::prove(self.rule, &self.edit.name, self.situation),
            undo,
            edit: Edit::Sysctl(self.edit),
        }
    }

    /// What can take a quarter of the memory is read first, what can take half of it is decided by a person. Where the
    /// memory is not known, nobody knows what share it takes.
    /// On a Kubernetes node a wider range lets clients take the ports of the kubelet, of agents and of Services that come
    /// later: nobody can reserve them all beforehand, so a person decides.
    fn safety(&self) -> Safety {
        let memory = self.situation.facts.number("memory.total").ok();
        let heavy = match words::percent(self.rule, &self.edit, memory) {
            Some(51..) => Safety::Manual,
            Some(26..) => Safety::Review,
            Some(_) => Safety::Safe,
            None if words::worst(self.rule, &self.edit).is_some() => Safety::Review,
            None => Safety::Safe,
        };
        match self.edit.how {
            _ if danger(&self.edit.name).is_some() => Safety::Manual,
            How::Widen if self.situation.place.node => Safety::Manual,
            _ => self.rule.fix.safety.max(heavy),
        }
    }

    /// Lines that make it last over a reboot of the host.
    fn keep(&self) -> Vec<String> {
        if self.is_guarded() {
            return vec![self.keep_if_below()];
        }
        let named = self.edit.boot_name.as_deref().unwrap_or(&self.edit.name);
        let line = format!("{named} = {}", self.value());
        let mut lines = self.module_line();
        lines.push(match self.edit.boot_line.as_deref() {
            Some(at) if self.edit.boot.as_ref() == Some(&self.edit.new) => {
                format!("({at} sets that at boot: see why it does not hold now, such as a module that loads later)")
            }
            Some(at) if file::is_edited_in_place(&self.edit, at) => {
                let sets =
                    if self.edit.boot.is_some() { "that line sets it now" } else { "that line sets nothing now" };
                format!("{at}: {line}   ({sets})")
            }
            // A file of a package or of this boot is not the owner's to edit, and a pattern sets more than this.
            _ => {
                let kept = self.edit.kept().collect::<Vec<_>>().join(" and ");
                let why = file::last_line(&self.edit).map(|(at, named)| match (named.strip_prefix('-'), file::winner(&self.edit)) {
                    (_, Some(_)) => format!("   (not before {at} is taken out: it is read after this file, and has the last word)"),
                    (Some(named), None) => format!("   (the file has to sort after {at}: -{named} without a value takes out every line before it)"),
                    (None, None) => format!("   (the file has to sort after {at})"),
                });
                format!("{}: {kept}{}", self.edit.file, why.unwrap_or_default())
            }
        });
        if self.situation.facts.family("boot[*].value").is_err_and(|gap| gap.cause == Cause::Denied) {
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
        self.edit.module.map(line).into_iter().collect()
    }

    fn here(self, who: &str) -> Action {
        let mut lines = vec![self.write()];
        lines.extend(self.keep());
        let scope = match (self.edit.netns, self.situation.place.netns) {
            (true, Netns::Unknown) => {
                "the network namespace in which it is written: whose values these are is not known"
            }
            (true, _) => {
                "the host's own network namespace; containers and pods with their own start from kernel defaults"
            }
            (false, _) => "the whole host",
        };
        let undo = match self.edit.boot_line.as_deref() {
            // No file gets a line: one sets that already.
            Some(_) if self.edit.boot.as_ref() == Some(&self.edit.new) => words::unwrite(&self.edit),
            Some(at) if file::is_edited_in_place(&self.edit, at) => {
                format!("{}, and put {at} back as it was", words::unwrite(&self.edit))
            }
            _ => format!("{}, and take the line out again", words::unwrite(&self.edit)),
        };
        self.act(Site::Here, who, lines, scope, undo)
    }

    fn in_profile(self, at: &str) -> Action {
        let raises = if self.edit.how == How::Raise { ">" } else { "" };
        let mut lines = vec![
            format!(
                "{at} sets it at every start of TuneD, after sysctl.d, and applies no line for it again (reapply_sysctl, reapply_sysctl_exclude): not there, but in a profile of your own"
            ),
            "/etc/tuned/tunecheck/tuned.conf:".to_owned(),
            "  [main]".to_owned(),
            "  include=PROFILE   (the active one: tuned-adm active)".to_owned(),
            "  [sysctl]".to_owned(),
        ];
        // A line under another name of the same variable may be written later.
        lines.extend(self.edit.names().map(|name| format!("  {name}={raises}{}", self.value())));
        lines.push("then tuned-adm profile tunecheck".to_owned());
        let who = place::writer(self.situation.place);
        let undo = "tuned-adm profile PROFILE, and take the folder away".to_owned();
        self.act(Site::Tuned, who, lines, "the whole host", undo)
    }

    fn in_namespace(self) -> Action {
        // A sysctl of the network is that of whoever reads and writes it, so a command has to be run in there.
        let entered = |command: String| match self.situation.place.pid() {
            Some(pid) => command.replace("sysctl -", &format!("nsenter -t {pid} -n sysctl -")),
            None => command,
        };
        let whose = self.situation.place.pid().map_or_else(
            || "this network namespace".to_owned(),
            |pid| format!("the network namespace of process {pid}"),
        );
        let lines = vec![
            entered(self.write()),
            "and have whoever makes the namespace do it: it is lost with the namespace".to_owned(),
        ];
        let undo = entered(words::unwrite(&self.edit));
        let shown = self.rule.fix.prove.is_empty().then(|| entered(format!("sysctl -n {}", self.edit.name)).into());
        let who = place::writer_in_netns(self.situation.place);
        let action = self.act(Site::Here, who, lines, &whose, undo);
        match shown {
            Some(prove) => Action { prove, ..action },
            None => action,
        }
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
            lines.push(format!("on the node, {}: {} = {}", self.edit.file, self.edit.name, self.value()));
        }
        let undo = format!("on the node: {}, and take the line out again", words::unwrite(&self.edit));
        let scope = match self.edit.netns {
            true => "the node's own network namespace, and every container that shares it",
            false => "the whole node and everything on it",
        };
        self.act(Site::Node, who, lines, scope, undo)
    }

    fn container(self) -> Action {
        let setting = quoted(&format!("{}={}", self.edit.name, self.value()));
        let flag = |command: &str| format!("{command} --sysctl {setting} ...   (not with --network host)");
        let line = match self.situation.place.runtime.as_deref() {
            Some(runtime) if runtime.starts_with("podman") => flag("podman run"),
            Some("docker") => flag("docker run"),
            None | Some("containerd") => flag("docker run | podman run"),
            Some(other) => format!("in the configuration of this {other} container, the sysctl {setting}"),
        };
        let action = self.act(
            Site::ContainerRun,
            "whoever starts the container",
            vec![line],
            "this container's network namespace",
            "start it again without the setting".to_owned(),
        );
        Action { takes_effect: Effect::Restart, ..action }
    }

    fn pod(self, admitted: &str) -> Action {
        let lines = vec![
            format!("spec.securityContext of the pod (not of a container)   # {admitted}"),
            "  sysctls:".to_owned(),
            format!("  - name: {}", self.edit.name),
            format!("    value: \"{}\"", self.value()),
        ];
        let action = self.act(
            Site::PodManifest,
            "the pod's owner",
            lines,
            "the pod's network namespace",
            "take the entry out and roll the pods".to_owned(),
        );
        Action { takes_effect: Effect::NewPods, ..action }
    }

    /// An unsafe sysctl in a pod alone is a pod that is rejected for ever, so the kubelet's part comes first.
    fn unsafe_in_pod(self) -> Vec<Action> {
        let first = allow_unsafe(self.rule, &self.edit.name);
        vec![
            first,
            Action {
                safety: Safety::Review.max(self.safety()),
                ..self.pod("unsafe: with a nodeSelector and a toleration for those nodes; any other kubelet rejects the pod with SysctlForbidden")
            },
        ]
    }

    fn kube_proxy(self, line: String) -> Action {
        let mut lines = vec![format!("kube-proxy configuration, {line}"), "restart kube-proxy".to_owned()];
        if self.edit.name.ends_with("nf_conntrack_max") && self.edit.new.limit() > Some(kube_proxy::MOST) {
            lines.push(format!(
                "kube-proxy 1.36 and later ignore min where maxPerCore x CPUs is above {}: conntrack.maxPerCore: 1 beside it",
                kube_proxy::MOST
            ));
        }
        if let Some(argument) = kube_proxy::argument(&self.edit) {
            lines.push(format!(
                "on K3s and RKE2, where kube-proxy is a part of the service: kube-proxy-arg+: [\"{argument}\"] in a file of \
                 config.yaml.d, then restart k3s or k3s-agent (fix --to k3s)"
            ));
        }
        // A line that does not hold is not written again.
        if let Some(why) = self.edit.overwritten.clone() {
            lines.push(why);
            return self.by_kube_proxy(lines);
        }
        lines.push(format!("if no kube-proxy runs here (another CNI): on the node, {}", self.write()));
        lines.extend(self.keep().into_iter().map(|line| format!("  and {line}")));
        self.by_kube_proxy(lines)
    }

    fn by_kube_proxy(self, lines: Vec<String>) -> Action {
        let who = "the cluster's administrator";
        let undo = "put the former value back and restart kube-proxy".to_owned();
        let action = self.act(Site::KubeProxy, who, lines, "every node that shares the configuration", undo);
        Action { takes_effect: Effect::Restart, safety: Safety::Review.max(action.safety), ..action }
    }
}

/// The kubelet lets pods set an unsafe sysctl.
pub(super) fn allow_unsafe(rule: &Rule, name: &str) -> Action {
    Action {
        site: Site::Kubelet,
        who: "the cluster's administrator".to_owned(),
        edit: Edit::AllowUnsafe { name: name.to_owned() },
        lines: vec![format!(
            "first, KubeletConfiguration of some labelled and tainted nodes: allowedUnsafeSysctls: [\"{name}\"], then restart the kubelet"
        )],
        scope: "every pod that may run on those nodes can set it for itself".to_owned(),
        cost: "Kubernetes gives no promise for it: a pod that uses it starts on those nodes only".to_owned(),
        safety: Safety::Review.max(rule.fix.safety),
        takes_effect: Effect::NewPods,
        prove: "kubectl get --raw /api/v1/nodes/NODE/proxy/configz   # allowedUnsafeSysctls".into(),
        undo: "take the pods away first, then the entry, and restart the kubelet".to_owned(),
    }
}
