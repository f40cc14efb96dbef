//! systemd as it boots, on the kernel of this machine.

use std::path::Path;

use crate::debian::Root;
use crate::harness::{Scene, done, script, timed};
use crate::leftovers::Cgroups;

/// Runs the script at the end of a boot, and powers off when it ends.
const UNIT: &str = "[Unit]
After=multi-user.target
SuccessAction=poweroff
FailureAction=poweroff
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=/bin/sh -exc '. /trial'
ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS > /trial.status'
StandardOutput=append:/trial.out
StandardError=append:/trial.err
";

/// It splits the cgroup that it is started in, and leaves the parts: so that is one of its own.
const ENTER: &str = r#"
    name=$1
    shift
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
        if [ -e "$hierarchy/cgroup.procs" ]; then
            mkdir "$hierarchy/$name"
            echo $$ > "$hierarchy/$name/cgroup.procs"
        fi
    done
    exec "$@"
"#;

/// Boots the root file system, runs a script that has to succeed, and gives what that printed.
pub(crate) fn boot(scene: &Scene, root: &Root, commands: &str) -> String {
    boot_for(90, scene, root, commands)
}

/// The same, for so many seconds at most.
pub(crate) fn boot_for(seconds: u32, scene: &Scene, root: &Root, commands: &str) -> String {
    root.put("/trial", commands);
    root.put("/trial.out", "");
    root.put("/trial.err", "");
    root.put("/etc/systemd/system/trial.service", UNIT);
    root.put("/etc/systemd/system/default.target", "[Unit]\nRequires=multi-user.target\nWants=trial.service\n");
    let cgroups = Cgroups(scene.token());
    let mut nspawn = timed(seconds, "systemd-nspawn");
    // Nothing on the machine is told of it, and it sees no network.
    nspawn.args(["-q", "-b", "--register=no", "--keep-unit", "--private-network", "-D"]).arg(&root.0);
    let mut enter = script(ENTER, &[Path::new(&cgroups.0)]);
    enter.arg(nspawn.get_program()).args(nspawn.get_args());
    let said = done(enter);
    let (out, err) = (root.read("/trial.out"), root.read("/trial.err"));
    assert_eq!(root.read("/trial.status").trim(), "0", "{out}\n{err}\n{said}");
    out
}
