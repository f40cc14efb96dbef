//! What was mended holds after a reboot, on a kernel where conntrack is a module.

use crate::debian::Root;
use crate::harness::{MOUNTS_AND_PROCESSES, Place, Scene};
use crate::report::Report;
use crate::vm::{self, Vm};

pub(crate) const PLACES: &[Place] = &[Place {
    name: "what_was_mended_holds_after_a_reboot_and_can_be_undone",
    needs: vm::NEEDS,
    own: MOUNTS_AND_PROCESSES,
    trial: what_was_mended_holds_after_a_reboot_and_can_be_undone,
}];

const LOAD: &str = "--connections 30000";
/// A machine that cannot hold the load.
const BEFORE: &[&str] = &[
    "net.core.somaxconn=128",
    "net.netfilter.nf_conntrack_max=8000",
    "net.netfilter.nf_conntrack_buckets=1024",
    "fs.nr_open=20000",
];
/// What is judged by those values.
const RULES: &[&str] = &["conntrack/max", "conntrack/buckets", "files/nr-open", "listen/somaxconn"];
const SERVICE: &str = "[Service]\nExecStart=sleep infinity\nLimitNOFILE=1024:4096\n";
const FILES: &[&str] = &[
    "/etc/sysctl.d/90-tunecheck.conf",
    "/etc/modules-load.d/tunecheck.conf",
    "/etc/systemd/system/load.service.d/50-tunecheck.conf",
];

fn what_was_mended_holds_after_a_reboot_and_can_be_undone(scene: &Scene) {
    let root = Root::new(scene);
    root.enable("load.service", SERVICE);
    let mut vm = Vm::boot(scene, &root);
    assert!(!conntrack_is_loaded(&vm));
    vm.run(&format!("modprobe nf_conntrack\nsysctl -qw {}", BEFORE.join(" ")));
    assert_eq!(passing(&vm), [""; 0]);
    assert_eq!(limits(&vm), "1024 4096");

    vm.run(&format!("tunecheck fix --to script --unit load.service {LOAD} > /root/fix.sh"));
    vm.run("sh /root/fix.sh plan");
    assert_eq!(values(&vm), BEFORE, "a plan changes nothing");
    assert_eq!(present(&vm), [""; 0], "a plan changes nothing");
    assert_eq!(vm.ask("sh /root/fix.sh check").code, Some(1));

    vm.run("sh /root/fix.sh apply --persist && sh /root/fix.sh check");
    assert_eq!(passing(&vm), RULES);
    assert_eq!(present(&vm), FILES);
    let mended = values(&vm);
    vm.run("sysctl -qw net.core.somaxconn=128");
    assert_eq!(vm.ask("sh /root/fix.sh check").code, Some(1), "it sees what somebody changed");

    vm.reboot();
    assert!(conntrack_is_loaded(&vm), "before sysctl.d is read, or the values would have been lost");
    assert_eq!(values(&vm), mended);
    assert_eq!(passing(&vm), RULES);
    assert_eq!(limits(&vm), "65536 1048576");
    vm.run("sh /root/fix.sh check");
    assert_eq!(complaints(&vm), "");

    vm.run("sh /root/fix.sh undo");
    assert_eq!(values(&vm), BEFORE);
    assert_eq!(present(&vm), [""; 0]);

    // Why the module has a file.
    vm.run("sh /root/fix.sh apply --persist && rm /etc/modules-load.d/tunecheck.conf");
    vm.reboot();
    assert!(!conntrack_is_loaded(&vm));
    vm.run("modprobe nf_conntrack");
    assert!(!passing(&vm).contains(&"conntrack/max"));
    vm.run("sh /root/fix.sh apply && sh /root/fix.sh undo");
    assert_eq!(values(&vm), BEFORE);
    assert_eq!(present(&vm), [""; 0]);
}

fn conntrack_is_loaded(vm: &Vm) -> bool {
    vm.ask("test -d /sys/module/nf_conntrack").code == Some(0)
}

/// Those of the rules that pass.
fn passing(vm: &Vm) -> Vec<&'static str> {
    let report = Report::parse(&vm.ask(&format!("tunecheck {LOAD} --format json")).stdout);
    RULES.iter().copied().filter(|rule| report.finding(rule)["outcome"] == "pass").collect()
}

/// Those of the files that exist.
fn present(vm: &Vm) -> Vec<String> {
    let listed = vm.ask(&format!("ls -d {}", FILES.join(" "))).stdout;
    FILES.iter().filter(|file| listed.lines().any(|line| line == **file)).map(|file| (*file).to_owned()).collect()
}

fn values(vm: &Vm) -> Vec<String> {
    let names: Vec<&str> = BEFORE.iter().map(|setting| setting.split_once('=').unwrap().0).collect();
    vm.run(&format!("sysctl {}", names.join(" "))).lines().map(|line| line.replace(" = ", "=")).collect()
}

/// The limits on open files of the service as it runs.
fn limits(vm: &Vm) -> String {
    let line = vm.run("grep 'open files' /proc/$(systemctl show -P MainPID load)/limits");
    line.split_whitespace().skip(3).take(2).collect::<Vec<_>>().join(" ")
}

/// What those who read the files had to say about them at boot.
fn complaints(vm: &Vm) -> String {
    vm.run("journalctl -b -q -o cat -p warning -u systemd-sysctl -u systemd-modules-load -u load")
}
