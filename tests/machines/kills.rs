//! A script of fixes that is killed, in a systemd that boots.

use std::path::Path;

use crate::debian::Root;
use crate::harness::{COUNTED, MOUNTS_AND_PROCESSES, Need, Place, Scene, done};
use crate::nspawn;

pub(crate) const PLACES: &[Place] = &[Place {
    name: "a_script_killed_anywhere_is_brought_to_the_state_before_or_after_by_one_command",
    needs: &[Need::Root, Need::Program("mmdebstrap"), Need::Program("systemd-nspawn"), Need::Minutes(40)],
    own: MOUNTS_AND_PROCESSES,
    trial: killed_anywhere,
}];

const KILLS: &str = include_str!("kills.sh");
const MACHINE: &str = "fixtures/hosts/in-trouble";
/// What a network namespace has no part in.
const HOSTS_OWN: &str = "boot/drift,conntrack/max,conntrack/buckets,conntrack/fill,conntrack/drops";
const SERVICE: &str = "[Service]\nExecStart=sleep infinity\nLimitNOFILE=1024:2048\n";

/// The script for a machine in trouble. The machine that boots has a network namespace that is not the kernel's first, so
/// the script is told that it is; and it is given a list, which the kernel writes in another way, and a module.
fn fix(scene: &Scene) -> String {
    let mut fix = scene.tunecheck();
    fix.args(["fix", "--to", "script", "--unit", "load", "--waive", HOSTS_OWN, "--workload", "gateway"]);
    fix.args(["--connections", "90000", "--burst", "70000", "--snapshot"]);
    let text = done({
        fix.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(MACHINE));
        fix
    });
    let switch = "  step set net.ipv4.tcp_syncookies /proc/sys/net/ipv4/tcp_syncookies 1\n";
    let list = "net.ipv4.ip_local_reserved_ports /proc/sys/net/ipv4/ip_local_reserved_ports 30000,30001";
    assert!(text.contains(switch) && text.contains("  service load.service "), "{text}");
    text.replace("/proc/sys/net/core/netdev_max_backlog", "/proc/version")
        .replace(switch, &format!("{switch}  module dummy net.ipv4.tcp_syncookies\n  step add {list}\n"))
}

fn killed_anywhere(scene: &Scene) {
    let kills = std::env::var("TUNECHECK_KILLS").unwrap_or_else(|_| "200".to_owned());
    let seed = std::env::var("TUNECHECK_KILLS_SEED").unwrap_or_else(|_| "7".to_owned());
    let root = Root::new(scene);
    root.enable("load.service", SERVICE);
    root.put("/fix.sh", fix(scene));
    root.put("/kills.sh", KILLS);
    let trial = format!(
        "echo 0 > /proc/sys/net/ipv4/tcp_syncookies
        echo 50500-50510 > /proc/sys/net/ipv4/ip_local_reserved_ports
        sh /kills.sh {seed} {kills}"
    );
    let said = nspawn::boot_for(2300, scene, &root, &trial);
    assert!(said.contains(&format!("killed {kills} times at random")), "{said}");
    said.lines().for_each(|line| eprintln!("{COUNTED}{line}"));
}
