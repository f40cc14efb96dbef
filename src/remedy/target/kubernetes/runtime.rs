//! The limit on open files, which no field of a pod sets: in the node's container runtime, or in the entrypoint.

use super::super::{File, Order, notes};
use crate::model::action::{NofileEdit, Site};
use crate::remedy::Step;

/// The limits that only the runtime can give: those above the hard limit that containers have now.
fn of_runtime<'a>(order: Order<'a>) -> Option<(&'a Step, &'a NofileEdit)> {
    let (step, edit) = order.plan.nofile(&[Site::ContainerRuntime, Site::ContainerRun])?;
    (order.takes(step) && (edit.soft > edit.old_hard || edit.hard > edit.old_hard)).then_some((step, edit))
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

/// containerd: a base specification, from which every container starts.
pub(super) fn containerd(order: Order<'_>) -> Option<File> {
    let (step, edit) = of_runtime(order)?;
    let NofileEdit { soft, hard, .. } = edit;
    // Every line is a comment: a second header of a table is an error in TOML, and a key without its header would fall
    // into whatever table stands last.
    let text = format!(
        "# One line for a table that /etc/containerd/config.toml has already (not for a file that it imports, which \
         could\n# replace the table). Write the line below that table's header, without its mark; a second header of \
         the same name\n# is an error. containerd 2.x:\n\
         #   [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n\
         # containerd 1.x:\n\
         #   [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n\
         # The line:\n\
         #   base_runtime_spec = \"/etc/containerd/cri-base.json\"\n\
         # If base_runtime_spec is set there already, change the file that it names. If not, make one:\n\
         #   ctr oci spec | jq '.process.rlimits = [(.process.rlimits // [])[] | select(.type != \"RLIMIT_NOFILE\")]\n\
         #     + [{{type: \"RLIMIT_NOFILE\", soft: {soft}, hard: {hard}}}]' > /etc/containerd/cri-base.json\n\
         # Then containerd config dump, which reads it all; systemctl restart containerd; containers that run keep \
         their\n# limits. Without base_runtime_spec containers inherit the limits of containerd itself: a drop-in of \
         containerd.service\n# with LimitNOFILE={soft}:{hard} does it too, unless systemctl show -p LimitNOFILE \
         containerd says more.\n\
         #\n{}",
        told(step, edit),
    );
    Some(File {
        path: "containerd.toml".to_owned(),
        text,
        apply:
            "on nodes with containerd: by hand into /etc/containerd/config.toml, as its first lines say. Undo: take \
                the line out and restart containerd."
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
         #\n{}# It is the default of every container, and one that has more by it now would get less: the greater belongs here.\n\
         [crio.runtime]\n# left to you: default_ulimits = [\"nofile={}:{}\"]\n",
        told(step, edit),
        edit.soft,
        edit.hard,
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

/// The entrypoint of the image: a process may raise its soft limit up to its hard one, and lower both, without any right.
pub(super) fn entrypoint(order: Order<'_>) -> Option<File> {
    let sites = [Site::PodManifest, Site::ContainerRun];
    let raised = order.plan.nofile(&sites).filter(|(_, edit)| edit.soft <= edit.old_hard);
    let lowered = order.plan.lowered_nofile(&sites);
    let (step, NofileEdit { soft, hard, .. }) = lowered.or(raised).filter(|(step, _)| order.takes(step))?;
    let text = format!(
        "#!/bin/sh\n# In front of the program, as the image's entrypoint. An image without a shell: --to plan says what \
         to do.\n#\n{}# Where the hard limit is lower than that, up to it.\n\
         ulimit -Sn {soft} || ulimit -Sn \"$(ulimit -Hn)\"\n{}exec \"$@\"\n",
        notes::comment(step, "#"),
        match lowered {
            Some(_) => format!(
                "# A program that takes the hard limit at start would raise itself again.\n\
                 [ \"$(ulimit -Hn)\" -le {hard} ] || ulimit -Hn {hard}\n"
            ),
            None => String::new(),
        },
    );
    Some(File {
        path: "entrypoint.sh".to_owned(),
        text,
        apply: "into the image, as the entrypoint in front of the program. Undo: take it out again.".to_owned(),
    })
}
