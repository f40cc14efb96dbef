//! What a container is given where it is started: shared by the targets of container engines.

use super::super::quoted;
use super::{File, Order, Rendered, Step, is_change, notes};
use crate::model::action::{Edit, NofileEdit, Site, SysctlEdit};
use crate::model::place::Kind;

/// What a container is given, each with its step.
#[derive(Default)]
pub(super) struct Given<'a> {
    /// Sysctls of the container's own network namespace.
    pub(super) sysctls: Vec<(&'a Step, &'a SysctlEdit)>,
    /// Limits on open files.
    pub(super) nofile: Option<(&'a Step, &'a NofileEdit)>,
}

impl<'a> Given<'a> {
    /// What a plan gives to a container; the rest is left out.
    pub(super) fn by(order: Order<'a>, rendered: &mut Rendered) -> Self {
        let mut given = Self::default();
        for step in order.plan.steps.iter().filter(|step| is_change(step)) {
            match (&step.action.edit, step.action.site) {
                (Edit::Sysctl(edit), Site::ContainerRun) => given.sysctls.push((step, edit)),
                (Edit::Nofile(edit), Site::ContainerRun) => given.nofile = Some((step, edit)),
                (_, site) => rendered.leave_out(step, elsewhere(site, order)),
            }
        }
        given
    }

    /// A shell script that runs a container of `engine` with the flags, and with what it is called with. What is special
    /// about the engine's limits stands beside them.
    pub(super) fn script(&self, order: Order<'_>, engine: &str, limits: &str) -> File {
        let path = format!("{engine}-run.sh");
        let head = [
            format!("{engine} run with what tunecheck proposes: sh {path} [OPTION]... IMAGE [COMMAND]..."),
            "Not with --network host: there the sysctls are the node's, and the flags are refused.".to_owned(),
        ];
        let mut text = format!("#!/bin/sh\n{}", notes::commented(&head, "#"));
        for (step, edit) in &self.sysctls {
            let flag = quoted(&format!("{}={}", edit.name, edit.new.plain()));
            text += &format!("\n{}{}set -- --sysctl {flag} \"$@\"\n", notes::comment(step, "#"), order.mark(step));
        }
        if let Some((step, edit)) = self.nofile {
            text += &format!("\n{}{limits}{}", notes::comment(step, "#"), self.first("#"));
            text += &format!("{}set -- --ulimit nofile={}:{} \"$@\"\n", self.mark(order), edit.soft, edit.hard);
        }
        if self.is_empty() {
            text += "\n# There is none to set.\n";
        }
        text += &format!("\nexec {engine} run \"$@\"\n");
        let apply = format!(
            "start the container with it in place of `{engine} run`, or take its flags over. Undo: start it without them."
        );
        File { path, text, apply }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sysctls.is_empty() && self.nofile.is_none()
    }

    /// What the line with the limit begins with. A container whose limit the kernel refuses does not start.
    pub(super) fn mark(&self, order: Order<'_>) -> &'static str {
        match self.nofile {
            Some((_, NofileEdit { ceiling: Some(_), .. })) => "# left to you: ",
            Some((step, _)) => order.mark(step),
            None => "",
        }
    }

    /// What has to be done before the limit can be given, as a comment.
    pub(super) fn first(&self, mark: &str) -> String {
        match self.nofile {
            Some((_, NofileEdit { ceiling: Some(ceiling), hard, .. })) => {
                format!("{mark}   first    on the node, raise fs.nr_open for good to {hard} or more: it is {ceiling}\n")
            }
            _ => String::new(),
        }
    }
}

fn elsewhere(site: Site, order: Order<'_>) -> String {
    match (order.plan.place.kind, site) {
        (Kind::Host | Kind::Namespace | Kind::Unknown, _) => {
            "it is this host's: a container with a network namespace of its own starts from the kernel's defaults, and \
             its limits come from its engine. Audit inside the container"
                .to_owned()
        }
        (Kind::Pod | Kind::HostNetworkPod, _) => "a pod gets its settings from Kubernetes: --to kubernetes".to_owned(),
        (Kind::Container, site) => format!(
            "no flag of a container sets it: {}; audit there, and take the fix from that",
            notes::site(site, &order.plan.place)
        ),
    }
}
