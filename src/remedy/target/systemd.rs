//! `systemd`: drop-ins for the units that carry the load, and the modules that sysctls need at boot.

use super::super::quoted;
use super::notes::{self, Way};
use super::{File, LOST, Order, Rendered, Step, Target, Unit, ceiling, elsewhere, is_change, is_lost_with_namespace};
use crate::model::action::{Edit, NofileEdit, Site};

pub(super) const TARGET: Target =
    Target { name: "systemd", about: "drop-ins with the limits of services (--unit NAME), and modules-load.d", render };

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let mut modules: Vec<(&Step, &str)> = Vec::new();
    for step in order.plan.steps.iter().filter(|step| is_change(step)) {
        match &step.action.edit {
            Edit::Nofile(_) if step.action.site == Site::Service && !order.takes(step) => {
                rendered.decline(order, [step]);
            }
            Edit::Nofile(edit) if step.action.site == Site::Service => match order.options.units.as_slice() {
                [] => rendered.files.push(default_limit(order, step, *edit)),
                units => units.iter().for_each(|unit| match drop_in(order, step, *edit, unit) {
                    Ok(file) => rendered.files.push(file),
                    Err(why) => rendered.leave_out(step, why),
                }),
            },
            Edit::Sysctl(edit) if matches!(step.action.site, Site::Node | Site::Here) => {
                if is_lost_with_namespace(step, edit, order) {
                    rendered.leave_out(step, LOST);
                    continue;
                }
                modules.extend(edit.module.map(|module| (step, module)));
                rendered.leave_out(step, "systemd sets sysctls from files of sysctl.d: --to sysctl.d, or --to script");
            }
            _ => rendered.leave_out(step, elsewhere(step)),
        }
    }
    rendered.files.extend(modules_file(order, &modules));
    Ok(rendered)
}

/// The drop-in of one unit, or why it needs none. Its line acts only where it is known to take nothing away.
fn drop_in(order: Order<'_>, step: &Step, edit: NofileEdit, unit: &Unit) -> Result<File, String> {
    let name = quoted(&unit.name);
    let way = Way::anew(
        "after systemctl daemon-reload, when the service is started again",
        "remove this file, then systemctl daemon-reload, and restart the service",
    );
    let mut text = notes::comment_in(step, &way, "#");
    let (soft, hard) = match unit.limits {
        Some((soft, hard)) if soft >= edit.soft && hard >= edit.hard => {
            return Err(format!("{name} has LimitNOFILE={}:{} already", limit(soft), limit(hard)));
        }
        Some((soft, hard)) => {
            text +=
                &format!("#   now      LimitNOFILE={}:{}; of each the greater stands here\n", limit(soft), limit(hard));
            (soft.max(edit.soft), hard.max(edit.hard))
        }
        None => {
            text += &format!(
                "#   look     systemctl show -p LimitNOFILE -p LimitNOFILESoft {name}\n\
                 #            Where one of the two is higher already, keep it: write the greater of each here.\n"
            );
            (edit.soft, edit.hard)
        }
    };
    text += &ceiling::first(order, &edit, "#", "");
    let mark = if unit.limits.is_some() { ceiling::mark(order, step, &edit) } else { "# left to you: " };
    text += &format!("[Service]\n{mark}LimitNOFILE={}:{}\n", limit(soft), limit(hard));
    let (folder, file) = (format!("{}.d", unit.name), unit.drop_in());
    let edited = if mark.is_empty() { "" } else { "once its line is decided on, " };
    let apply = format!(
        "{edited}to `/etc/systemd/system/{folder}/{file}`, then `systemctl daemon-reload`. Read it \
         back with `systemctl show -p LimitNOFILE -p LimitNOFILESoft {name}`: if it says otherwise, a drop-in \
         that sorts later wins (override.conf does), and `systemctl cat {name}` shows which. When it suits, \
         `systemctl restart {name}`. Undo: remove the file, then daemon-reload and restart."
    );
    Ok(File { path: format!("{folder}/{file}"), text, apply })
}

/// A limit as systemd writes it.
fn limit(limit: i128) -> String {
    if limit == i128::MAX { "infinity".to_owned() } else { limit.to_string() }
}

/// The limit of every service without one of its own: never written out, because no file knows which of them have more.
fn default_limit(order: Order<'_>, step: &Step, edit: NofileEdit) -> File {
    let mut text = String::from(
        "# No unit is named, so nothing is set here: --unit NAME writes the drop-in of the service that carries the load.\n\
         # The other way, for every service without a limit of its own, is a choice for a person:\n\n",
    );
    let way = Way::anew(
        "after systemctl daemon-reexec, for each service when it is started again",
        "remove this file, then systemctl daemon-reexec",
    );
    text += &notes::comment_in(step, &way, "#");
    text += "#   look     systemctl show -p DefaultLimitNOFILE -p DefaultLimitNOFILESoft\n\
             #            What is lower below takes something away from every service: write the greater of each.\n";
    text += &ceiling::first(order, &edit, "#", "");
    text += &format!("[Manager]\n# left to you: DefaultLimitNOFILE={}:{}\n", edit.soft, edit.hard);
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
    let any = modules.iter().any(|(step, _)| order.takes(step));
    any.then(|| File { path, text, apply: apply.to_owned() })
}
