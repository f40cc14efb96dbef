//! Platforms that own the configuration of their nodes: what each takes of a plan, in its own form.

pub(super) mod aks;
pub(super) mod bottlerocket;
pub(super) mod butane;
pub(super) mod eks;
pub(super) mod gke;
pub(super) mod k3s;
pub(super) mod openshift;
pub(super) mod talos;

use serde_json::{Map, Value};

use super::admission::{self, NODES};
use super::kube_proxy::{Refused, Setting, setting};
use super::{Order, PodSecurity, Rendered, is_change, notes, unfit_at_boot};
use crate::model::action::{Edit, NofileEdit, Site, SysctlEdit};
use crate::remedy::Step;

const RESERVED: &str = "net.ipv4.ip_local_reserved_ports";
const RANGE: &str = "net.ipv4.ip_local_port_range";
/// Why most platforms leave to kube-proxy what it writes.
const TO_KUBE_PROXY: &str = "kube-proxy writes it at its start: --to kubernetes has its setting";
/// Where the kubelet's list of unsafe sysctls is kept, if not in the node's configuration.
const TO_KUBELET: &str = "it is no setting of the operating system: --to kubernetes has the kubelet's";

/// What the configuration of a platform's nodes can hold. Each says why not, and who can.
struct Takes {
    /// A sysctl of the node.
    sysctl: fn(&SysctlEdit) -> Result<(), String>,
    /// A sysctl that kube-proxy writes, as one of the node.
    kube_proxy: fn(&SysctlEdit) -> Result<(), String>,
    /// Whether a sysctl of the node reaches every pod on it.
    every_pod: fn(&str) -> bool,
    /// `allowedUnsafeSysctls` of the kubelet.
    kubelet: Result<(), &'static str>,
    /// The limit on open files of containers.
    nofile: Result<(), &'static str>,
}

/// A sysctl of the node with the value that is written.
struct Entry<'a> {
    step: &'a Step,
    edit: &'a SysctlEdit,
    value: String,
}

/// What of a plan goes into a node's configuration.
struct Parts<'a> {
    order: Order<'a>,
    sysctls: Vec<Entry<'a>>,
    /// Steps of the kubelet, with the sysctl that pods may set.
    allowed: Vec<(&'a Step, &'a str)>,
    nofile: Option<(&'a Step, &'a NofileEdit)>,
    proxy: Vec<(&'a Step, Setting)>,
}

impl<'a> Parts<'a> {
    /// What the platform takes. Every other step is left out, with the reason.
    fn of(order: Order<'a>, takes: &Takes, rendered: &mut Rendered) -> Result<Self, String> {
        let mut parts = Self { order, sysctls: Vec::new(), allowed: Vec::new(), nofile: None, proxy: Vec::new() };
        for step in order.plan.steps.iter().filter(|step| is_change(step)) {
            let left = match &step.action.edit {
                Edit::Sysctl(edit) => parts.sysctl(step, edit, takes)?,
                Edit::AllowUnsafe { name } => parts.allow(step, name, takes),
                Edit::Nofile(edit) => parts.limit(step, edit, takes),
                Edit::Ndots(_) => Err("it is a pod's: --to kubernetes".to_owned()),
                _ => Err(elsewhere(step, order)),
            };
            if let Err(why) = left {
                rendered.leave_out(step, why);
            }
        }
        Ok(parts)
    }

    /// The outer error is for the user to answer, the inner one is why the step is left out.
    fn sysctl(&mut self, step: &'a Step, edit: &'a SysctlEdit, takes: &Takes) -> Result<Result<(), String>, String> {
        let written = match step.action.site {
            Site::Node | Site::Here => (takes.sysctl)(edit).and_then(|()| self.of_node(step, edit)),
            // What reaches the pods changes the node too.
            Site::PodManifest | Site::ContainerRun if (takes.every_pod)(&edit.name) => {
                unfit_at_boot(step, edit, self.order).map_or(Ok(()), |why| Err(why.to_owned()))
            }
            Site::PodManifest | Site::ContainerRun => Err("it is a pod's: --to kubernetes".to_owned()),
            Site::KubeProxy => match (takes.kube_proxy)(edit) {
                Ok(()) => unfit_at_boot(step, edit, self.order).map_or(Ok(()), |why| Err(why.to_owned())),
                // A platform without an answer of its own hands it to kube-proxy.
                Err(why) if why.is_empty() => match setting(edit, self.order.options.kubernetes) {
                    Ok(setting) => {
                        self.proxy.push((step, setting));
                        return Ok(Ok(()));
                    }
                    Err(Refused::Ask(what)) => return Err(what),
                    Err(Refused::LeftOut(why)) => Err(why),
                },
                Err(why) => Err(why),
            },
            _ => Err(elsewhere(step, self.order)),
        };
        Ok(written.and_then(|()| {
            let value = edit.new.plain();
            if value != notes::one_line(&value) {
                return Err("its value is not one line of text".to_owned());
            }
            self.sysctls.push(Entry { step, edit, value });
            Ok(())
        }))
    }

    fn of_node(&self, step: &Step, edit: &SysctlEdit) -> Result<(), String> {
        if let Some(why) = unfit_at_boot(step, edit, self.order) {
            return Err(why.to_owned());
        }
        // A plan reserves before it widens, so the list is among the entries by now if it is written out.
        let reserved = self.taken().any(|entry| entry.edit.name == RESERVED);
        if edit.name == RANGE && !reserved {
            return Err(format!(
                "on a node the range is not widened without the list of ports to keep out of it beside it: first \
                 {RESERVED} with every port that is listened on and 30000-32767"
            ));
        }
        Ok(())
    }

    fn allow(&mut self, step: &'a Step, name: &'a str, takes: &Takes) -> Result<(), String> {
        takes.kubelet?;
        if self.order.options.pod_security != PodSecurity::Privileged {
            return Err(
                "the namespace enforces a Pod Security level that refuses the pod whatever the kubelet allows: \
                        see --to kubernetes"
                    .to_owned(),
            );
        }
        if (takes.every_pod)(name) {
            return Err("not needed: every pod on the node gets the node's value".to_owned());
        }
        if !admission::can_be_allowed(name) {
            return Err("a kubelet with it in allowedUnsafeSysctls does not start".to_owned());
        }
        self.allowed.push((step, name));
        Ok(())
    }

    fn limit(&mut self, step: &'a Step, edit: &'a NofileEdit, takes: &Takes) -> Result<(), String> {
        match step.action.site {
            Site::ContainerRuntime | Site::ContainerRun => {}
            Site::PodManifest => return Err("the entrypoint raises it to the hard limit: --to kubernetes".to_owned()),
            _ => return Err(elsewhere(step, self.order)),
        }
        takes.nofile?;
        self.nofile = Some((step, edit));
        Ok(())
    }

    /// The sysctls that are written out.
    fn taken(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.sysctls.iter().filter(|entry| self.order.takes(entry.step))
    }

    /// The names for the kubelet's list that are written out.
    fn names(&self) -> Vec<&'a str> {
        self.allowed.iter().filter(|(step, _)| self.order.takes(step)).map(|(_, name)| *name).collect()
    }

    /// The limit on open files, if it is written out.
    fn files_limit(&self) -> Option<&'a NofileEdit> {
        self.nofile.filter(|(step, _)| self.order.takes(step)).map(|(_, edit)| edit)
    }

    /// The settings of kube-proxy that are written out.
    fn settings(&self) -> impl Iterator<Item = Setting> {
        self.proxy.iter().filter(|(step, _)| self.order.takes(step)).map(|(_, setting)| *setting)
    }

    /// The sysctls by name, their values as text.
    fn map(&self) -> Value {
        Value::Object(self.taken().map(|entry| (entry.edit.name.clone(), entry.value.clone().into())).collect())
    }

    /// The lines of a sysctl.d file, each below what is to be known of it.
    fn sysctl_d(&self) -> String {
        let entry = |entry: &Entry<'_>| {
            let mark = if self.order.takes(entry.step) { "" } else { "# left to you: " };
            format!("{}{mark}{} = {}\n", notes::comment(entry.step, "#"), entry.edit.name, entry.value)
        };
        self.sysctls.iter().map(entry).collect()
    }

    /// The kernel modules without which some of the sysctls do not exist.
    fn modules(&self) -> Vec<&'static str> {
        let mut modules: Vec<&str> = self.taken().filter_map(|entry| entry.edit.module).collect();
        modules.sort_unstable();
        modules.dedup();
        modules
    }

    /// What is to be known of every step, line by line.
    fn told(&self) -> Vec<String> {
        [self.told_of_sysctls(), self.told_of_others()].concat()
    }

    fn told_of_sysctls(&self) -> Vec<String> {
        self.sysctls.iter().flat_map(|entry| self.tell(entry.step, None)).collect()
    }

    /// What is to be known of the kubelet's, kube-proxy's and the runtime's steps.
    fn told_of_others(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.allowed.iter().flat_map(|(step, _)| self.tell(step, None)).collect();
        for (step, setting) in &self.proxy {
            let node = match setting {
                Setting::LeftToNode(value) => Some(format!("  needs    nf_conntrack_max = {value} from the node")),
                _ => None,
            };
            lines.extend(self.tell(step, node));
        }
        if let Some((step, edit)) = self.nofile {
            let first = edit.ceiling.map(|ceiling| {
                format!("  first    fs.nr_open = {} or more: above {ceiling} no container starts", edit.hard)
            });
            lines.extend(self.tell(step, first));
        }
        if !self.allowed.is_empty() {
            lines.extend([
                String::new(),
                "allowedUnsafeSysctls is one list and may REPLACE the one there; see it and add its names:".to_owned(),
                "  kubectl get --raw /api/v1/nodes/NODE/proxy/configz".to_owned(),
                "Only pods that choose these nodes may set them (--to kubernetes has the pod's part):".to_owned(),
                format!("  kubectl label node NODE {NODES}=allowed"),
                format!("  kubectl taint node NODE {NODES}=allowed:NoSchedule"),
            ]);
        }
        lines
    }

    fn tell(&self, step: &Step, more: Option<String>) -> Vec<String> {
        let left = (!self.order.takes(step))
            .then(|| format!("  left to you: above --max-safety {}", self.order.options.max_safety.word()));
        [String::new()].into_iter().chain(notes::told(step)).chain(more).chain(left).collect()
    }

    /// Whether there is nothing to write.
    fn is_empty(&self) -> bool {
        self.sysctls.is_empty() && self.allowed.is_empty() && self.nofile.is_none() && self.proxy.is_empty()
    }
}

fn elsewhere(step: &Step, order: Order<'_>) -> String {
    format!("it is changed elsewhere: {}", notes::site(step.action.site, &order.plan.place))
}

/// Lines as comments that begin with `#`.
fn commented(lines: &[String]) -> String {
    notes::commented(lines, "#")
}

/// The user data of an EC2 instance, without its comments if it is longer than EC2 takes.
fn user_data(text: String) -> String {
    const MOST: usize = 16_384;
    if text.len() <= MOST {
        return text;
    }
    let told = |line: &&str| line.starts_with('#') && !line.starts_with("#!");
    let bare: Vec<&str> = text.lines().filter(|line| !told(line)).collect();
    let note = "# Without comments, since user data holds 16384 bytes at most: --to plan has them.";
    // The head of a message of several parts is no place for a comment.
    let Some(at) = bare.iter().position(|line| line.starts_with("#!") || line.starts_with('[')) else {
        return bare.join("\n") + "\n";
    };
    let (head, tail) = bare.split_at(at + 1);
    [head, &[note], tail].concat().join("\n") + "\n"
}

/// A sysctl among those that a platform has a key for.
fn known(edit: &SysctlEdit, names: &[&str], platform: &str) -> Result<(), String> {
    match names.contains(&edit.name.as_str()) {
        true => Ok(()),
        false => Err(format!("{platform} has no key for it: a DaemonSet of your own on the node can set it")),
    }
}

/// The OCI `process.rlimits` of a limit on open files.
fn rlimits(edit: &NofileEdit) -> Value {
    let number = |limit: i128| Value::from(limit as i64);
    let entries = [("type", "RLIMIT_NOFILE".into()), ("soft", number(edit.soft)), ("hard", number(edit.hard))];
    let entry: Map<String, Value> = entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Value::Array(vec![Value::Object(entry)])
}
