//! What a container is given where it is started: shared by the targets of container engines.

use super::super::quoted;
use super::{File, Order, Rendered, Step, ceiling, elsewhere, is_change, notes};
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
                (Edit::Nofile(edit) | Edit::LowerNofile(edit), Site::ContainerRun) => given.nofile = Some((step, edit)),
                _ => rendered.leave_out(step, not_given(step, order)),
            }
        }
        if !given.steps().any(|step| order.takes(step)) {
            rendered.decline(order, given.steps());
            return Self::default();
        }
        given
    }

    fn steps(&self) -> impl Iterator<Item = &'a Step> {
        self.sysctls.iter().map(|(step, _)| *step).chain(self.nofile.map(|(step, _)| step))
    }

    /// A shell script that runs a container of `engine` with the flags, and with what it is called with. What is special
    /// about the engine's limits stands beside them. None where no flag would act.
    pub(super) fn script(&self, order: Order<'_>, engine: &str, limits: &str) -> Option<File> {
        let acts = self.sysctls.iter().any(|(step, _)| order.takes(step)) || self.limits(order).is_some();
        if !acts {
            return None;
        }
        let path = format!("{engine}-run.sh");
        let mut head =
            vec![format!("{engine} run with what tunecheck proposes: sh {path} [OPTION]... IMAGE [COMMAND]...")];
        if !self.sysctls.is_empty() {
            head.push(
                "Not with --network host: there the sysctls are the node's, and the flags are refused.".to_owned(),
            );
        }
        let mut text = format!("#!/bin/sh\n{}", notes::commented(&head, "#"));
        for (step, edit) in &self.sysctls {
            let flag = quoted(&format!("{}={}", edit.name, edit.new.plain()));
            text += &format!("\n{}{}set -- --sysctl {flag} \"$@\"\n", notes::comment(step, "#"), order.mark(step));
        }
        if let Some((step, edit)) = self.nofile {
            text += &format!("\n{}{limits}{}", notes::comment(step, "#"), self.first(order));
            text += &format!("{}set -- --ulimit nofile={}:{} \"$@\"\n", self.mark(order), edit.soft, edit.hard);
        }
        text += &format!("\nexec {engine} run \"$@\"\n");
        let apply = format!(
            "start the container with it in place of `{engine} run`, or take its flags over. Undo: start it without them."
        );
        Some(File { path, text, apply })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sysctls.is_empty() && self.nofile.is_none()
    }

    /// What the line with the limit begins with. A container whose limit the kernel refuses does not start.
    pub(super) fn mark(&self, order: Order<'_>) -> &'static str {
        self.nofile.map_or("", |(step, edit)| ceiling::mark(order, step, edit))
    }

    /// What has to be done before the limit can be given, as a comment.
    pub(super) fn first(&self, order: Order<'_>) -> String {
        self.nofile.map(|(_, edit)| ceiling::first(order, edit, "#", "")).unwrap_or_default()
    }

    /// The limit, if it acts.
    pub(super) fn limits(&self, order: Order<'_>) -> Option<(&'a Step, &'a NofileEdit)> {
        self.nofile.filter(|_| self.mark(order).is_empty())
    }
}

fn not_given(step: &Step, order: Order<'_>) -> String {
    let who = elsewhere(step);
    match order.plan.place.kind {
        Kind::Host | Kind::Namespace | Kind::Unknown => format!(
            "it is this host's ({who}): a container with a network namespace of its own starts from the kernel's \
             defaults, and its limits come from its engine. Audit inside the container"
        ),
        Kind::Pod | Kind::HostNetworkPod => format!("Kubernetes starts a pod, without flags of an engine: {who}"),
        // What a person is told may name a flag of the engine, whose reader is the one who starts the container.
        Kind::Container if step.action.edit == Edit::Advice => format!("{who}: {}", step.action.lines.join(" ")),
        Kind::Container => format!("no flag of a container sets it: {who}"),
    }
}
