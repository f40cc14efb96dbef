//! `sysctl.d`: one file for /etc/sysctl.d, which systemd-sysctl applies at boot and `sysctl -p FILE` now.

use super::super::file;
use super::notes::{self, Way};
use super::{File, Order, Rendered, Target, host_sysctls};

pub(super) const TARGET: Target =
    Target { name: "sysctl.d", about: "a file for /etc/sysctl.d: the host's sysctls, at every boot", render };

fn render(order: Order<'_>) -> Result<Rendered, String> {
    let mut rendered = Rendered::default();
    let kept = host_sysctls(order, &mut rendered);
    if !kept.iter().any(|(step, _)| order.takes(step)) {
        rendered.decline(order, kept.iter().map(|(step, _)| *step));
        return Ok(rendered);
    }
    let name = kept.first().map_or(file::FIRST, |(_, edit)| edit.file);
    let mut text = String::new();
    for (step, edit) in &kept {
        let undo = format!("take the line out of {name}, and {}", notes::unwrite(edit));
        let way = Way::from(&format!("at boot, or once sysctl -p {name} is run"), step, undo);
        text += &format!("\n{}", notes::comment_in(step, &way, "#"));
        if let Some(module) = edit.module {
            text +=
                &format!("#   needs    {module} in /etc/modules-load.d, or the line is lost at boot (--to systemd)\n");
        }
        text.extend(edit.kept().map(|line| format!("{}{line}\n", order.mark(step))));
    }
    let head = format!("# {name}: what tunecheck proposes. The last assignment of a key wins, by file name.\n");
    text.insert_str(0, &head);
    let apply = format!(
        "to `{name}` on the host, then `sysctl -p {name}`. Undo: remove the file and write the former values back."
    );
    let path = name.rsplit('/').next().unwrap_or(name).to_owned();
    rendered.files.push(File { path, text, apply });
    Ok(rendered)
}
