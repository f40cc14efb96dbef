//! What of a plan goes into the configuration of a platform's nodes.

use serde_json::Value;

use super::super::admission::{self, NODES, RANGE, RESERVED, is_of_pod};
use super::super::kube_proxy::{Setting, uncapped};
use super::super::{Order, PodSecurity, Rendered, is_change, notes, unfit_at_boot};
use super::own::{is_given, written};
use super::{Takeover, Takes, elsewhere};
use crate::model::action::{Edit, NofileEdit, Site, SysctlEdit};
use crate::remedy::{Step, file, kube_proxy};

/// Who brings down limits on open files.
const LOWER: &str = "the image's entrypoint lowers it for one container (--to kubernetes); for all of them whoever gave \
                     the container runtime so much takes LimitNOFILE=infinity, or as high a number, out of its unit or its \
                     base_runtime_spec";

/// A sysctl of the node with the value that is written.
pub(super) struct Entry<'a> {
    pub(super) step: &'a Step,
    pub(super) edit: &'a SysctlEdit,
    pub(super) value: String,
    /// Why it is only told, if it is.
    pub(super) held: Option<String>,
    /// What else has to be done.
    note: Option<String>,
}

/// What of a plan goes into a node's configuration.
pub(super) struct Parts<'a> {
    pub(super) order: Order<'a>,
    pub(super) sysctls: Vec<Entry<'a>>,
    /// Steps of the kubelet, with the sysctl that pods may set.
    allowed: Vec<(&'a Step, &'a str)>,
    nofile: Option<(&'a Step, NofileEdit)>,
    proxy: Vec<(&'a Step, Setting)>,
    labels: &'static [&'static str],
    sysctls_act: Takeover,
    others_act: Takeover,
}

impl<'a> Parts<'a> {
    /// What the platform takes. Every other step is left out, with the reason.
    pub(super) fn of(order: Order<'a>, takes: &Takes, rendered: &mut Rendered) -> Self {
        let mut parts = Self {
            order,
            sysctls: Vec::new(),
            allowed: Vec::new(),
            nofile: None,
            proxy: Vec::new(),
            labels: takes.labels,
            sysctls_act: takes.sysctls_act,
            others_act: takes.others_act,
        };
        for step in order.plan.steps.iter().filter(|step| is_change(step)) {
            let left = match &step.action.edit {
                Edit::Sysctl(edit) => parts.sysctl(step, edit, takes),
                Edit::AllowUnsafe { name } => parts.allow(step, name, takes),
                Edit::Nofile(edit) => parts.limit(step, edit, takes),
                Edit::LowerNofile(_) => Err(LOWER.to_owned()),
                Edit::Ndots(_) => Err("it is a pod's: --to kubernetes".to_owned()),
                _ => Err(elsewhere(step, order)),
            };
            if let Err(why) = left {
                rendered.leave_out(step, why);
            }
        }
        parts
    }

    fn sysctl(&mut self, step: &'a Step, edit: &'a SysctlEdit, takes: &Takes) -> Result<(), String> {
        let mut note = None;
        match step.action.site {
            Site::Node | Site::Here => {
                note = kube_proxy::key(&edit.name).map(|key| {
                    format!("on a node with kube-proxy its conntrack.{key}, which writes over this at every start (--to kubernetes)")
                });
                (takes.sysctl)(edit)?;
                self.of_node(step, edit)?;
            }
            // What reaches the pods changes the node too.
            Site::PodManifest | Site::ContainerRun if (takes.every_pod)(&edit.name) => {
                (takes.sysctl)(edit)?;
                self.at_boot(step, edit)?;
            }
            Site::PodManifest | Site::ContainerRun => return Err("it is a pod's: --to kubernetes".to_owned()),
            Site::KubeProxy => match takes.kube_proxy {
                Some(taken) => {
                    taken(edit)?;
                    self.at_boot(step, edit)?;
                }
                None => {
                    self.proxy.push((step, uncapped(edit, self.order)?));
                    return Ok(());
                }
            },
            _ => return Err(elsewhere(step, self.order)),
        }
        is_given(edit, takes)?;
        let value = written(edit, takes);
        if value != notes::one_line(&value) {
            return Err("its value is not one line of text: look for who wrote the report".to_owned());
        }
        let held = self.order.told_only(step).or_else(|| is_of_pod(edit, self.order).then(|| look_first(edit)));
        self.sysctls.push(Entry { step, edit, value, held, note });
        Ok(())
    }

    fn at_boot(&self, step: &Step, edit: &SysctlEdit) -> Result<(), String> {
        unfit_at_boot(step, edit, self.order).map_or(Ok(()), |why| Err(why.to_owned()))
    }

    fn of_node(&self, step: &Step, edit: &SysctlEdit) -> Result<(), String> {
        self.at_boot(step, edit)?;
        // A plan reserves before it widens, so the list is among the entries by now if it is written out.
        let reserved = self.taken().any(|entry| entry.edit.name == RESERVED);
        if edit.name == RANGE && !reserved {
            return Err(format!(
                "on a node the range is not widened without the list of ports to keep out of it beside it: the node's \
                 administrator first writes {RESERVED} with every port that is listened on and 30000-32767"
            ));
        }
        Ok(())
    }

    fn allow(&mut self, step: &'a Step, name: &'a str, takes: &Takes) -> Result<(), String> {
        takes.kubelet?;
        if self.order.options.pod_security != PodSecurity::Privileged {
            return Err(
                "the namespace enforces a Pod Security level that refuses the pod whatever the kubelet allows: see \
                 --to kubernetes"
                    .to_owned(),
            );
        }
        if !admission::can_be_allowed(name) {
            return Err("a kubelet with it in allowedUnsafeSysctls does not start: --to kubernetes says what the \
                        node's administrator can do"
                .to_owned());
        }
        self.allowed.push((step, name));
        Ok(())
    }

    fn limit(&mut self, step: &'a Step, edit: &NofileEdit, takes: &Takes) -> Result<(), String> {
        match step.action.site {
            Site::ContainerRuntime | Site::ContainerRun => {}
            Site::PodManifest => return Err("the entrypoint raises it to the hard limit: --to kubernetes".to_owned()),
            _ => return Err(elsewhere(step, self.order)),
        }
        self.nofile = Some((step, (takes.nofile)(edit)?));
        Ok(())
    }

    /// The sysctls that are written out.
    pub(super) fn taken(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.sysctls.iter().filter(|entry| entry.held.is_none())
    }

    /// The names for the kubelet's list that are written out.
    pub(super) fn names(&self) -> Vec<&'a str> {
        self.allowed.iter().filter(|(step, _)| self.order.takes(step)).map(|(_, name)| *name).collect()
    }

    /// The limit on open files, if it is written out.
    pub(super) fn files_limit(&self) -> Option<&NofileEdit> {
        self.nofile.as_ref().filter(|(step, _)| self.order.takes(step)).map(|(_, edit)| edit)
    }

    /// The settings of kube-proxy that are written out.
    pub(super) fn settings(&self) -> impl Iterator<Item = Setting> {
        self.proxy.iter().filter(|(step, _)| self.order.takes(step)).map(|(_, setting)| *setting)
    }

    /// Whether a sysctl of the node is written out.
    pub(super) fn writes_sysctls(&self) -> bool {
        self.taken().next().is_some()
    }

    /// Whether anything else is written out.
    pub(super) fn writes_others(&self) -> bool {
        !self.names().is_empty() || self.files_limit().is_some() || self.settings().next().is_some()
    }

    /// Leaves out the sysctls: where none of them is written, no file tells of them.
    pub(super) fn without_sysctls(&self, rendered: &mut Rendered) {
        for entry in &self.sysctls {
            if let Some(why) = &entry.held {
                rendered.leave_out(entry.step, why);
            }
        }
    }

    /// The same for the steps of the kubelet, of kube-proxy and of the runtime.
    pub(super) fn without_others(&self, rendered: &mut Rendered) {
        let allowed = self.allowed.iter().map(|(step, _)| *step);
        let proxy = self.proxy.iter().map(|(step, _)| *step);
        for step in allowed.chain(proxy).chain(self.nofile.as_ref().map(|(step, _)| *step)) {
            if let Some(why) = self.order.told_only(step) {
                rendered.leave_out(step, why);
            }
        }
    }

    /// Whether nothing at all is written out; every step is left out then.
    pub(super) fn writes_nothing(&self, rendered: &mut Rendered) -> bool {
        let nothing = !self.writes_sysctls() && !self.writes_others();
        if nothing {
            self.without_sysctls(rendered);
            self.without_others(rendered);
        }
        nothing
    }

    /// The sysctls by name, their values as text.
    pub(super) fn map(&self) -> Value {
        Value::Object(self.taken().map(|entry| (entry.edit.name.clone(), entry.value.clone().into())).collect())
    }

    /// The lines of a sysctl.d file under every name that boot files set, each below what is to be known of it.
    pub(super) fn sysctl_d(&self) -> String {
        let entry = |entry: &Entry<'_>| {
            let line = match entry.held {
                None => entry.edit.names().map(|name| format!("{name} = {}\n", entry.value)).collect(),
                Some(_) => String::new(),
            };
            super::commented(&entry.told(self.sysctls_act)) + &line
        };
        self.sysctls.iter().map(entry).collect()
    }

    /// The file for them, which sorts after every file that sets one of them now.
    pub(super) fn sysctl_d_file(&self) -> &'static str {
        self.sysctls.first().map_or(file::FIRST, |entry| entry.edit.file)
    }

    /// The kernel modules without which some of the sysctls do not exist.
    pub(super) fn modules(&self) -> Vec<&'static str> {
        let mut modules: Vec<&str> = self.taken().filter_map(|entry| entry.edit.module).collect();
        modules.sort_unstable();
        modules.dedup();
        modules
    }

    /// What is to be known of every step, line by line.
    pub(super) fn told(&self) -> Vec<String> {
        [self.told_of_sysctls(), self.told_of_others()].concat()
    }

    pub(super) fn told_of_sysctls(&self) -> Vec<String> {
        self.sysctls.iter().flat_map(|entry| [vec![String::new()], entry.told(self.sysctls_act)].concat()).collect()
    }

    /// What is to be known of the kubelet's, kube-proxy's and the runtime's steps.
    pub(super) fn told_of_others(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.allowed.iter().flat_map(|(step, _)| self.tell(step, None)).collect();
        for (step, setting) in &self.proxy {
            lines.extend(self.tell(step, setting.note()));
        }
        lines.extend(self.told_of_files());
        if !self.allowed.is_empty() {
            lines.extend([
                String::new(),
                "allowedUnsafeSysctls is one list and may REPLACE the one there; see it and add its names:".to_owned(),
                "  kubectl get --raw /api/v1/nodes/NODE/proxy/configz".to_owned(),
                "Only pods that choose these nodes may set them (--to kubernetes has the pod's part):".to_owned(),
                format!("  kubectl label node NODE {NODES}=allowed"),
                format!("  kubectl taint node NODE {NODES}=allowed:NoSchedule"),
            ]);
            if !self.labels.is_empty() {
                lines.push("What kubectl gives a node is lost when it is replaced. To keep it:".to_owned());
                lines.extend(self.labels.iter().map(|line| format!("  {line}")));
            }
        }
        lines
    }

    pub(super) fn told_of_files(&self) -> Vec<String> {
        let Some((step, edit)) = &self.nofile else { return Vec::new() };
        let mut lines = self.tell(step, Some(format!("written  {} soft, {} hard", edit.soft, edit.hard)));
        lines.extend(edit.ceiling.map(|ceiling| {
            format!("  first    fs.nr_open = {} or more: above {ceiling} no container starts", edit.hard)
        }));
        lines
    }

    fn tell(&self, step: &Step, more: Option<String>) -> Vec<String> {
        let more = more.map(|more| format!("  {more}"));
        let left = self.order.told_only(step).map(|why| format!("  left to you: {why}"));
        [String::new()]
            .into_iter()
            .chain(notes::told_in(step, &self.others_act.way(step)))
            .chain(more)
            .chain(left)
            .collect()
    }

    /// Whether kube-proxy has a part.
    pub(super) fn has_proxy(&self) -> bool {
        !self.proxy.is_empty()
    }
}

impl Entry<'_> {
    fn told(&self, act: Takeover) -> Vec<String> {
        let mut lines = notes::told_in(self.step, &act.way(self.step));
        if let Some(note) = &self.note {
            notes::wrap(&mut lines, "  needs    ", note);
        }
        if let Some(why) = &self.held {
            notes::wrap(&mut lines, "  left to you: ", &format!("{} = {}: {why}", self.edit.name, self.value));
        }
        lines
    }
}

/// Why a value that only a pod was seen to need is not given to the node.
fn look_first(edit: &SysctlEdit) -> String {
    let name = notes::one_line(&edit.name);
    format!(
        "the node's own value is not known, since the audit saw the pod's. The node's administrator looks first \
         (kubectl debug node/NODE -it --image=busybox -- sysctl -n {name}) and sets it only where that is less"
    )
}
