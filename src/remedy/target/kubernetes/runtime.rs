//! The limit on open files, which no field of a pod sets: in the node's container runtime, or in the entrypoint.

use super::super::{File, Order, notes};
use crate::model::action::{NofileEdit, Site};
use crate::remedy::Step;

/// The limits that only the runtime can give: those above the hard limit that containers have now.
fn of_runtime<'a>(order: Order<'a>) -> Option<(&'a Step, &'a NofileEdit)> {
    let (step, edit) = order.plan.nofile(&[Site::ContainerRuntime, Site::ContainerRun])?;
    (edit.soft > edit.old_hard || edit.hard > edit.old_hard).then_some((step, edit))
}

/// The step in comments, with what has to come before it.
fn told(step: &Step, edit: &NofileEdit) -> String {
    let mut text = notes::comment(step, "#");
    if let Some(ceiling) = edit.ceiling {
        text += &format!(
            "#   first    on the node, for good: fs.nr_open = {} or more. It is {ceiling}, and above it no container \
             starts.\n",
            edit.hard
        );
    }
    text
}

/// A setting as a line, or as a comment if the user wants to do it.
fn line(order: Order<'_>, step: &Step, line: &str) -> String {
    let mark = if order.takes(step) { "" } else { "# left to you: " };
    format!("{mark}{line}\n")
}

/// containerd: a base specification, from which every container starts.
pub(super) fn containerd(order: Order<'_>) -> Option<File> {
    let (step, edit) = of_runtime(order)?;
    let NofileEdit { soft, hard, .. } = edit;
    let text = format!(
        "# containerd 2.x: a line for this table of /etc/containerd/config.toml, not for a file that it imports, \
         which\n\
         # could replace the table. containerd 1.x has the same table by another name:\n\
         #   [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n\
         # If base_runtime_spec is set there already, change the file that it names. If not, make one:\n\
         #   ctr oci spec | jq '.process.rlimits = [(.process.rlimits // [])[] | select(.type != \"RLIMIT_NOFILE\")]\n\
         #     + [{{type: \"RLIMIT_NOFILE\", soft: {soft}, hard: {hard}}}]' > /etc/containerd/cri-base.json\n\
         # Then systemctl restart containerd; containers that run keep their limits. Without base_runtime_spec \
         containers\n\
         # inherit the limits of containerd itself: LimitNOFILE={soft}:{hard} in a drop-in of containerd.service does\n\
         # it too.\n\
         #\n{}{}{}",
        told(step, edit),
        line(order, step, "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]"),
        line(order, step, "base_runtime_spec = \"/etc/containerd/cri-base.json\""),
    );
    Some(File {
        path: "containerd.toml".to_owned(),
        text,
        apply:
            "on nodes with containerd: into /etc/containerd/config.toml, as its first lines say. Undo: take the line \
                out and restart containerd."
                .to_owned(),
    })
}

/// CRI-O: the default of every container.
pub(super) fn crio(order: Order<'_>) -> Option<File> {
    let (step, edit) = of_runtime(order)?;
    let text = format!(
        "# For /etc/crio/crio.conf.d/90-tunecheck.conf, then systemctl restart crio; containers that run keep their \
         limits.\n\
         # WARNING: default_ulimits is one list: this one REPLACES what earlier files set. Look first, and add it \
         below:\n\
         #   grep -rn default_ulimits /etc/crio\n\
         #\n{}{}{}",
        told(step, edit),
        line(order, step, "[crio.runtime]"),
        line(order, step, &format!("default_ulimits = [\"nofile={}:{}\"]", edit.soft, edit.hard)),
    );
    Some(File {
        path: "crio.conf".to_owned(),
        text,
        apply:
            "on nodes with CRI-O: to `/etc/crio/crio.conf.d/90-tunecheck.conf`; its list REPLACES the one there. Undo: \
                remove the file and restart CRI-O."
                .to_owned(),
    })
}

/// The entrypoint of the image: the soft limit up to the hard one needs no right.
pub(super) fn entrypoint(order: Order<'_>) -> Option<File> {
    let (step, edit) = order.plan.nofile(&[Site::PodManifest, Site::ContainerRun])?;
    if edit.soft > edit.old_hard {
        return None;
    }
    let text = format!(
        "#!/bin/sh\n# In front of the program, as the image's entrypoint.\n#\n{}{}exec \"$@\"\n",
        notes::comment(step, "#"),
        line(order, step, "ulimit -Sn \"$(ulimit -Hn)\""),
    );
    Some(File {
        path: "entrypoint.sh".to_owned(),
        text,
        apply: "into the image, as the entrypoint in front of the program. Undo: take it out again.".to_owned(),
    })
}
