//! What was mended holds after a reboot, on a kernel where conntrack is a module.

use std::collections::BTreeSet;

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

/// A load that the machine cannot hold, and the service that is to hold it.
const WANT: &str = "--connections 30000 --unit load.service";
const BEFORE: &[&str] = &[
    "net.core.somaxconn=128",
    "net.netfilter.nf_conntrack_max=8000",
    "net.netfilter.nf_conntrack_buckets=1024",
    "fs.nr_open=20000",
];
const SERVICE: &str = "[Service]\nExecStart=sleep infinity\nLimitNOFILE=1024:4096\n";
/// What is judged by those values, and boot files by what is live.
const RULES: &[&str] = &["boot/drift", "conntrack/buckets", "conntrack/max", "files/nr-open", "listen/somaxconn"];
const CONNTRACK: &str = "/sys/module/nf_conntrack";
const FILES: &[&str] = &[
    "/etc/modules-load.d/tunecheck.conf",
    "/etc/sysctl.d/90-tunecheck.conf",
    "/etc/systemd/system/load.service.d",
    "/etc/systemd/system/load.service.d/50-tunecheck.conf",
    "/var/lib/tunecheck",
];
/// Files as printed, put where they are read. What is missing is the module's.
const INSTALL: &str = "
    cp remedy/sysctl.d/90-tunecheck.conf /etc/sysctl.d
    cp -r remedy/systemd/load.service.d /etc/systemd/system
    sed -i 's/^# left to you: //' /etc/systemd/system/load.service.d/50-tunecheck.conf
";

fn what_was_mended_holds_after_a_reboot_and_can_be_undone(scene: &Scene) {
    let root = Root::new(scene);
    root.enable("load.service", SERVICE);
    let mut vm = Vm::boot(scene, &root);

    assert_eq!(vm.present(&[CONNTRACK]), [""; 0]);
    vm.run(&format!("modprobe nf_conntrack\nsysctl -qw {}", BEFORE.join(" ")));
    vm.run(&format!("tunecheck fix {WANT} --to script > fix.sh"));
    let before = vm.state();
    assert_eq!(vm.passing(), ["boot/drift"]);
    vm.run("sh fix.sh plan");
    assert_eq!(vm.ask("sh fix.sh check").code, Some(1));
    assert_same(&vm.state(), &before, "looking changes nothing");

    vm.run("sh fix.sh apply --persist");
    let unfinished = vm.ask("sh fix.sh check");
    assert!(
        unfinished.code == Some(1) && unfinished.stdout.contains("systemctl restart load.service"),
        "{unfinished:?}"
    );
    vm.run("systemctl restart load\nsh fix.sh check");
    let mended = vm.state();
    assert_eq!(vm.passing(), RULES);
    assert_eq!(vm.present(FILES), FILES);
    vm.run("sh fix.sh apply --persist");
    assert_same(&vm.state(), &mended, "what holds is left alone");
    vm.run("sh fix.sh undo");
    assert_same(&vm.state(), &before, "undone without a boot in between");

    vm.run("sh fix.sh apply --persist\nsysctl -qw net.core.somaxconn=128");
    assert_eq!(vm.ask("sh fix.sh check").code, Some(1), "somebody changed it back");
    vm.reboot();
    // Loaded before sysctl.d was read.
    assert_eq!(vm.present(&[CONNTRACK]), [CONNTRACK]);
    assert_eq!(vm.passing(), RULES);
    assert_eq!(vm.limits(), vm.asked());
    assert_eq!(vm.complaints(), "");
    vm.run("sh fix.sh check\nsh fix.sh undo\nsystemctl restart load");
    assert_eq!(vm.values(), BEFORE, "undone after a boot");
    assert_eq!(vm.present(FILES), [""; 0]);
    assert_eq!(vm.limits(), "1024:4096");

    vm.run(&format!("tunecheck fix {WANT} --to sysctl.d,systemd --output remedy\n{INSTALL}"));
    vm.reboot();
    assert_eq!(vm.present(&[CONNTRACK]), [""; 0]);
    assert_eq!(vm.limits(), vm.asked());
    vm.run("modprobe nf_conntrack");
    let lost = vm.passing();
    assert!(lost.contains(&"listen/somaxconn") && lost.contains(&"files/nr-open"), "{lost:?}");
    assert!(!lost.contains(&"conntrack/max"), "without its file in modules-load.d it would have held: {lost:?}");
    vm.run("rmmod nf_conntrack\ncp remedy/systemd/modules-load.d/tunecheck.conf /etc/modules-load.d");
    vm.run("systemctl restart systemd-modules-load systemd-sysctl");
    assert_eq!(vm.passing(), RULES, "with it, what a boot does");
}

#[track_caller]
fn assert_same(one: &BTreeSet<String>, other: &BTreeSet<String>, why: &str) {
    let differences: Vec<_> = one.symmetric_difference(other).collect();
    assert!(differences.is_empty(), "{why}: {differences:#?}");
}

impl Vm {
    /// Those of the rules that pass.
    fn passing(&self) -> Vec<&'static str> {
        let report = Report::parse(&self.ask("tunecheck --connections 30000 --format json").stdout);
        let passes = |rule: &str| {
            let mut found = report.findings().filter(|finding| finding["rule"] == rule).peekable();
            found.peek().is_some() && found.all(|finding| finding["outcome"] == "pass")
        };
        RULES.iter().copied().filter(|rule| passes(rule)).collect()
    }

    /// Those of the paths that are there.
    fn present(&self, paths: &[&str]) -> Vec<String> {
        self.ask(&format!("ls -d {}", paths.join(" "))).stdout.lines().map(str::to_owned).collect()
    }

    /// The values that were too low before.
    fn values(&self) -> Vec<String> {
        let names: Vec<&str> = BEFORE.iter().map(|setting| setting.split_once('=').unwrap().0).collect();
        self.run(&format!("sysctl {}", names.join(" "))).lines().map(|line| line.replace(" = ", "=")).collect()
    }

    /// Every sysctl that a limit may stand in, and every file that an administrator or the script keeps.
    fn state(&self) -> BTreeSet<String> {
        let state = self.run(
            r"
            sysctl -ar '^(net|vm)\.|^fs\.(file-max|inotify|nr_open)|^kernel\.(pid_max|threads-max)' 2>/dev/null |
                grep -vE 'nf_conntrack_count|netdev_rss_key'
            find /etc -type f -exec cksum {} +
            find /etc /var/lib/tunecheck -printf '%y %m %p %l\n' 2>/dev/null || true
            ",
        );
        state.lines().map(str::to_owned).collect()
    }

    /// The limits on open files of the service as it runs.
    fn limits(&self) -> String {
        let line = self.run("grep 'open files' /proc/$(systemctl show -P MainPID load)/limits");
        line.split_whitespace().skip(3).take(2).collect::<Vec<_>>().join(":")
    }

    /// Those of its drop-in. The hard one depends on who asked for it: that of a login may be higher.
    fn asked(&self) -> String {
        let asked = self.run("sed -n 's/^LimitNOFILE=//p' /etc/systemd/system/load.service.d/50-tunecheck.conf");
        assert!(asked.starts_with("65535:"), "{asked}");
        asked.trim().to_owned()
    }

    /// What those who read the files at boot had to say about them.
    fn complaints(&self) -> String {
        self.run("journalctl -b -q -o cat -p warning -u systemd-sysctl -u systemd-modules-load -u load")
    }
}
