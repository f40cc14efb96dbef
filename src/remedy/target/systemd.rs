//! `systemd`: drop-ins for the units that carry the load, and the modules that sysctls need at boot.

use super::super::quoted;
use super::{File, Order, Rendered, Step, Target, is_change, notes};
use crate::model::action::{Edit, NofileEdit, Site};
use crate::model::place::Kind;

pub(super) const TARGET: Target =
    Target { name: "systemd", about: "drop-ins with the limits of services (--unit NAME), and modules-load.d", render };

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let mut modules: Vec<(&Step, &str)> = Vec::new();
    for step in order.plan.steps.iter().filter(|step| is_change(step)) {
        match &step.action.edit {
            Edit::Nofile(edit) if step.action.site == Site::Service => match order.options.units.as_slice() {
                [] => rendered.files.push(default_limit(step, *edit)),
                units => rendered.files.extend(units.iter().map(|unit| drop_in(order, step, *edit, unit))),
            },
            Edit::Sysctl(edit) if matches!(step.action.site, Site::Node | Site::Here) => {
                // What is set in a network namespace is lost with it, whatever is loaded at boot.
                let lost = step.action.site == Site::Here && order.plan.place.kind == Kind::Namespace && edit.netns;
                modules.extend(edit.module.filter(|_| !lost).map(|module| (step, module)));
                rendered.leave_out(step, "systemd sets sysctls from files of sysctl.d: --to sysctl.d, or --to script");
            }
            _ => rendered.leave_out(
                step,
                format!("it is changed elsewhere: {}", notes::site(step.action.site, &order.plan.place)),
            ),
        }
    }
    rendered.files.extend(modules_file(order, &modules));
    Ok(rendered)
}

/// The drop-in of one unit.
fn drop_in(order: Order<'_>, step: &Step, edit: NofileEdit, unit: &str) -> File {
    let name = quoted(unit);
    let mut text = notes::comment(step, "#");
    text += &format!(
        "#   look     systemctl show -p LimitNOFILE -p LimitNOFILESoft {name}\n\
         #            Where one of the two is higher already, keep it: write the greater of each here.\n"
    );
    if let Some(ceiling) = edit.ceiling {
        text += &format!("#   first    raise fs.nr_open for good to {} or more: it is {ceiling}\n", edit.hard);
    }
    text += &format!("[Service]\n{}LimitNOFILE={}:{}\n", order.mark(step), edit.soft, edit.hard);
    let folder = format!("{unit}.d");
    let apply = format!(
        "to `/etc/systemd/system/{folder}/50-tunecheck.conf`, then `systemctl daemon-reload`, and when it suits `systemctl restart {name}`. \
         Undo: remove the file, then the same two commands."
    );
    File { path: format!("{folder}/50-tunecheck.conf"), text, apply }
}

/// The limit of every service without one of its own: never written out, because no file knows which of them have more.
fn default_limit(step: &Step, edit: NofileEdit) -> File {
    let mut text = String::from(
        "# No unit is named, so nothing is set here: --unit NAME writes the drop-in of the service that carries the load.\n\
         # The other way, for every service without a limit of its own, is a choice for a person:\n\n",
    );
    text += &notes::comment(step, "#");
    text += &format!(
        "#   look     systemctl show -p DefaultLimitNOFILE -p DefaultLimitNOFILESoft\n\
         #            What is lower below takes something away from every service: write the greater of each.\n\
         [Manager]\n# left to you: DefaultLimitNOFILE={}:{}\n",
        edit.soft, edit.hard
    );
    let apply = "a choice: edited, to `/etc/systemd/system.conf.d/50-tunecheck.conf`, then `systemctl daemon-reexec`; \
                 services take it at their next start. Undo: remove the file, then the same command.";
    File { path: "system.conf.d/50-tunecheck.conf".to_owned(), text, apply: apply.to_owned() }
}

/// Sysctls of a module that is loaded after systemd-sysctl ran are lost at boot.
fn modules_file(order: Order<'_>, modules: &[(&Step, &str)]) -> Option<File> {
    let mut text = String::from("# Modules whose sysctls a file of sysctl.d sets: they are loaded before those are.\n");
    let mut names: Vec<&str> = modules.iter().map(|(_, module)| *module).collect();
    names.sort_unstable();
    names.dedup();
    for name in &names {
        let of_it = || modules.iter().filter(|(_, module)| module == name).map(|(step, _)| *step);
        text.push('\n');
        text.extend(of_it().map(|step| format!("# for {}\n", notes::title(step))));
        let mark = if of_it().any(|step| order.takes(step)) { "" } else { "# left to you: " };
        text += &format!("{mark}{name}\n");
    }
    let apply = "to `/etc/modules-load.d/tunecheck.conf`; it acts at boot. Undo: remove the file.";
    let path = "modules-load.d/tunecheck.conf".to_owned();
    (!names.is_empty()).then(|| File { path, text, apply: apply.to_owned() })
}
