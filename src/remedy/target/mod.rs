//! Plan to bytes: one file per target. Pure.
//!
//! A target writes what it can express of a plan, for the sites that it reaches, and says of the rest why it is not
//! there. Text that came from a machine or a report stands in comments on one line, or in a value that was checked.

mod admission;
mod ansible;
mod ceiling;
mod container;
mod docker;
mod kube_proxy;
mod kubernetes;
mod limits_d;
mod notes;
mod plan;
mod platform;
mod podman;
mod script;
mod sysctl_d;
mod systemd;
mod unit;
mod yaml;

use super::{Conflict, Plan, Step, file};
use crate::model::action::{Edit, How, Site, SysctlEdit};
use crate::model::fix::Safety;
use crate::model::place::Kind;
use crate::model::sysctl::danger::danger;
use crate::model::text::markdown;
use crate::model::version::{NEWEST_KUBERNETES, Version};

pub use unit::{Unit, is_service};

/// Oldest and newest Kubernetes release whose rules are known here.
pub const KUBERNETES: ((u32, u32), (u32, u32)) = ((1, 25), (NEWEST_KUBERNETES.major, NEWEST_KUBERNETES.minor));

/// What to know of a Kubernetes release that is newer than the newest known one: it is judged as that one.
pub fn newer(release: Version) -> Option<String> {
    release
        .is_later_release(NEWEST_KUBERNETES)
        .then(|| format!("Kubernetes {release} is newer than what is known here: judged as {NEWEST_KUBERNETES}"))
}

/// What the user decided about the output.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Steps that ask for more thought than this are only told.
    pub max_safety: Safety,
    /// The release of the oldest kubelet that may run a pod of this plan.
    pub kubernetes: Option<Version>,
    /// The Pod Security level of the namespace.
    pub pod_security: PodSecurity,
    /// systemd units that carry the load.
    pub units: Vec<Unit>,
}

/// A level of the Pod Security Standards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodSecurity {
    /// Nothing is refused.
    #[default]
    Privileged,
    /// Unsafe sysctls are refused at admission.
    Baseline,
    /// As baseline, and more that no sysctl concerns.
    Restricted,
}

/// What a target works from.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The user's decisions.
    pub options: &'a Options,
}

impl Order<'_> {
    /// Whether the user wants a step written out; others are told in comments.
    fn takes(&self, step: &Step) -> bool {
        self.told_only(step).is_none()
    }

    /// Why a step is only told, if the user wants it so.
    fn told_only(&self, step: &Step) -> Option<String> {
        let name = match &step.action.edit {
            Edit::Sysctl(edit) => Some(edit.name.as_str()),
            Edit::AllowUnsafe { name } => Some(name.as_str()),
            _ => None,
        };
        if let Some(danger) = name.and_then(danger) {
            return Some(format!("DANGEROUS: {danger}; whoever wants it does it by hand"));
        }
        (step.action.safety > self.options.max_safety)
            .then(|| format!("above --max-safety {}", self.options.max_safety.word()))
    }

    /// What the lines of a step begin with, in a form whose comments begin with `#`.
    fn mark(&self, step: &Step) -> &'static str {
        if self.takes(step) { "" } else { "# left to you: " }
    }
}

/// A file of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path below the output folder.
    pub path: String,
    /// What it holds.
    pub text: String,
    /// Where it goes and how it is applied, in Markdown, for the README of the output folder.
    pub apply: String,
}

/// What a target made of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The files, in the order in which to apply them.
    pub files: Vec<File>,
    /// Steps that the target cannot express, each as what it is and why.
    pub left_out: Vec<(String, String)>,
}

impl Rendered {
    /// Says of a step why the target cannot express it.
    fn leave_out(&mut self, step: &Step, why: impl Into<String>) {
        self.left_out.push((notes::title(step), why.into()));
    }

    /// Leaves out steps that do not act, where without them nothing of a form would.
    fn decline<'a>(&mut self, order: Order<'_>, steps: impl IntoIterator<Item = &'a Step>) {
        for step in steps {
            let first = || "fs.nr_open has to be raised for good first: --to plan says to how much".to_owned();
            self.leave_out(step, order.told_only(step).unwrap_or_else(first));
        }
    }
}

/// A form in which a plan can be written.
#[derive(Clone, Copy)]
pub struct Target {
    /// The word on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Writes the plan.
    ///
    /// # Errors
    /// What the user has to say first, such as the Kubernetes release.
    render: fn(Order<'_>) -> Result<Rendered, String>,
}

/// Every target. Help, completions and documentation follow from it.
pub const TARGETS: &[Target] = &[
    plan::TARGET,
    script::TARGET,
    sysctl_d::TARGET,
    systemd::TARGET,
    limits_d::TARGET,
    docker::TARGET,
    podman::TARGET,
    kubernetes::TARGET,
    ansible::TARGET,
    platform::eks::TARGET,
    platform::bottlerocket::TARGET,
    platform::gke::TARGET,
    platform::aks::TARGET,
    platform::openshift::TARGET,
    platform::talos::TARGET,
    platform::k3s::TARGET,
    platform::butane::TARGET,
];

/// What a target makes of a plan. What is in none of its files is left out with the reason: words for a person too.
///
/// # Errors
/// What the user has to say first, such as the Kubernetes release.
pub fn rendered(target: &Target, order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = (target.render)(order)?;
    if target.name == plan::TARGET.name {
        return Ok(rendered);
    }
    // A script shows them.
    if target.name != script::TARGET.name || rendered.files.is_empty() {
        for step in order.plan.steps.iter().filter(|step| !is_change(step)) {
            rendered.leave_out(step, format!("{}: --to plan", elsewhere(step)));
        }
    }
    rendered.left_out.extend(disputed(order.plan));
    Ok(rendered)
}

/// What the rules do not agree on, as what and why it is in no target.
fn disputed(plan: &Plan) -> Vec<(String, String)> {
    let told = |conflict: &Conflict| {
        let wishes = conflict.wishes.iter().map(|(rule, value)| format!("{rule} asks for {}", value.plain()));
        (conflict.name.clone(), format!("left to you: {}", wishes.collect::<Vec<_>>().join("; ")))
    };
    plan.conflicts.iter().map(told).collect()
}

/// The target of this name.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The sysctls that a file can give the host at every boot. What it cannot is left out.
fn host_sysctls<'a>(order: Order<'a>, rendered: &mut Rendered) -> Vec<(&'a Step, &'a SysctlEdit)> {
    let mut kept = Vec::new();
    for step in order.plan.steps.iter().filter(|step| is_change(step)) {
        match &step.action.edit {
            Edit::Sysctl(edit) if matches!(step.action.site, Site::Node | Site::Here) => {
                match unfit_at_boot(step, edit, order) {
                    Some(why) => rendered.leave_out(step, why),
                    None => kept.push((step, edit)),
                }
            }
            _ => rendered.leave_out(step, elsewhere(step)),
        }
    }
    kept
}

/// Which target writes a step that another one cannot express, or who else can make the change.
fn elsewhere(step: &Step) -> &'static str {
    match (step.action.site, &step.action.edit) {
        (Site::Here, Edit::RemoveLine { .. }) => "a line of a file that is not ours: a person takes it out",
        (Site::Here, _) => {
            "it is set on this machine: --to script; what is not of a network namespace of its own also --to sysctl.d"
        }
        (Site::Node, _) => "it is set on the node: audit there, or give it --to sysctl.d, --to ansible",
        (Site::Tuned, _) => {
            "TuneD would write over it at its next start: a person writes it into the profile (--to plan)"
        }
        (Site::Service, Edit::LowerNofile(_)) => {
            "it comes down, and what else starts from that setting is not known: a person takes it out of the unit or of \
             limits.d (--to plan)"
        }
        (Site::Service, _) => {
            "a service has it from its unit: --to systemd, with --unit NAME also --to script, --to ansible; a \
             login from limits.d: --to limits.d"
        }
        (Site::KubeProxy, _) => {
            "kube-proxy would write over it at its next start: --to kubernetes, on K3s and RKE2 --to k3s"
        }
        (Site::Kubelet | Site::ContainerRuntime, _) => {
            "the node's kubelet and container runtime give it: --to kubernetes"
        }
        (Site::PodManifest, _) => "the pod's manifest gives it: --to kubernetes",
        (Site::ContainerRun, _) => "a container is given it when it is started: --to docker, --to podman",
        (Site::Application, _) => "it is for the application's owner",
        (Site::Owner, _) => "it is for whoever owns the limit",
    }
}

const LOST: &str =
    "it is lost with the network namespace: whoever makes the namespace sets it, and --to script for now";

/// Whether what is set goes with the network namespace that was audited, whatever is done at boot.
fn is_lost_with_namespace(step: &Step, edit: &SysctlEdit, order: Order<'_>) -> bool {
    step.action.site == Site::Here && order.plan.place.kind == Kind::Namespace && edit.netns
}

/// Why a sysctl of a host is none for a file that is applied at every boot, if it is none.
fn unfit_at_boot(step: &Step, edit: &SysctlEdit, order: Order<'_>) -> Option<&'static str> {
    if is_lost_with_namespace(step, edit, order) {
        return Some(LOST);
    }
    if file::winner(edit).is_some() {
        return Some(
            "the last line for it is in a file that is read after each of ours, and would win: change that line",
        );
    }
    let blind = edit.how != How::Set && edit.old.is_none();
    blind.then_some("the value there is not known, and a line of a file could lower it: `--to script` looks first")
}

/// Whether a step changes something that a file or a command can express; words for a person do not.
fn is_change(step: &Step) -> bool {
    step.action.edit != Edit::Advice
}

/// The targets for a plan where the user named none: the plan to read, or with a folder to fill those that its sites
/// call for.
pub fn fitting(plan: &Plan, folder: bool) -> Vec<&'static Target> {
    let wanted: &[&str] = match folder {
        false => &["plan"],
        true => {
            let has = |sites: &[Site]| plan.at(sites).any(is_change);
            match plan.place.kind {
                Kind::Pod | Kind::HostNetworkPod => &["kubernetes"],
                Kind::Container => &["docker", "podman"],
                _ if has(&[Site::Service]) => &["script", "systemd"],
                _ => &["script"],
            }
        }
    };
    wanted.iter().filter_map(|name| find(name)).collect()
}

/// The files of a target as one text, for standard output: a single one as it is, several each under its name.
pub fn joined(rendered: &Rendered) -> String {
    match rendered.files.as_slice() {
        [file] => file.text.clone(),
        files => {
            let part =
                |file: &File| format!("# ==> {} <==\n# {}\n{}", file.path, notes::one_line(&file.apply), file.text);
            files.iter().map(part).collect::<Vec<_>>().join("\n")
        }
    }
}

/// The files of an output folder: those of every target in a folder of its own, and a README of what to apply where, in
/// which order.
pub fn folder(order: Order<'_>, rendered: &[(&str, Rendered)]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut text = format!("# Fixes by tunecheck\n\n{}", plan::body(order));
    for (name, rendered) in rendered {
        text += &format!("\n## Files of {name}\n\n");
        for file in &rendered.files {
            text += &format!("1. `{name}/{}`: {}\n", file.path, file.apply);
            files.push((format!("{name}/{}", file.path), file.text.clone()));
        }
        if rendered.files.is_empty() {
            text += "None: nothing of this plan can be written in that form.\n";
        }
        if !rendered.left_out.is_empty() {
            text += "\nNot in them:\n\n";
            text.extend(
                rendered.left_out.iter().map(|(what, why)| format!("- {}: {}\n", markdown(what), markdown(why))),
            );
        }
    }
    files.push(("README.md".to_owned(), text));
    files
}
