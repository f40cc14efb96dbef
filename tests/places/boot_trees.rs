//! Generated boot files, applied by the real readers: what tunecheck says of them is what they did.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::harness::{NETWORK_AND_MOUNTS, Need, Place, Scene, done, program, script};
use crate::namespaces::report;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "generated_boot_files_do_what_is_said_of_them_under_systemd",
        needs: &[Need::Root, Need::Program("systemctl"), Need::Minutes(3)],
        own: NETWORK_AND_MOUNTS,
        trial: |scene| every_tree(scene, "systemd"),
    },
    Place {
        name: "generated_boot_files_do_what_is_said_of_them_under_procps",
        needs: &[Need::Root, Need::Program("sysctl"), Need::Minutes(3)],
        own: NETWORK_AND_MOUNTS,
        trial: |scene| every_tree(scene, "procps"),
    },
];

const TREES: u64 = 24;
const FOLDERS: [&str; 4] = ["etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d"];
const NAMES: [&str; 6] = ["10-a.conf", "50-b.conf", "99-c.conf", ".60-hidden.conf", "zzz-site.conf", "50-b.conf~"];
/// What this namespace starts with before each boot.
const START: [(&str, &str); 8] = [
    ("net.ipv4.ip_forward", "0"),
    ("net.ipv4.conf.all.accept_redirects", "1"),
    ("net.ipv6.conf.all.disable_ipv6", "0"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.core.somaxconn", "4096"),
    ("net.ipv4.tcp_max_syn_backlog", "512"),
    ("net.ipv4.ip_local_port_range", "32768 60999"),
];
/// Those that follow from others as well.
const KEYS: [&str; 10] = [
    "net.ipv4.ip_forward",
    "net.ipv4.conf.default.forwarding",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.default.disable_ipv6",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.ip_local_port_range",
];
/// Lines as people write them, each with what it is about.
const LINES: [&str; 40] = [
    "net.ipv4.ip_forward = 1",
    "net.ipv4.ip_forward=0",
    "net.ipv4.conf.all.forwarding = 1",
    "net/ipv4/conf/all/forwarding = 0",
    "net.ipv4.conf.default.forwarding = 0",
    "net.ipv4.conf.default.forwarding = 1",
    "net.ipv4.conf.all.accept_redirects = 1",
    "net.ipv6.conf.all.disable_ipv6 = 1",
    "net.ipv6.conf.all.disable_ipv6 = 0",
    "net.ipv6.conf.default.disable_ipv6 = 0",
    "net.ipv6.conf.default.disable_ipv6 = 1 # off",
    "net.ipv4.conf.*.rp_filter = 2",
    "net.ipv4.conf.all.rp_filter = 1 # strict",
    "net.ipv4.conf.d?fault.rp_filter = 1",
    "-net.ipv4.conf.default.rp_filter",
    "-net.ipv4.conf.all.rp_filter = 2",
    "-net.core.somaxconn",
    "-net/core/somaxconn = 3006",
    "net.core.somax* = 3007",
    "-net.ipv4.tcp_max_syn_backlog",
    "-net.ipv4.ip_local_port_range",
    "-net.ipv4.*",
    "net.core.somaxconn = 1024 # was 128",
    "net.core.somaxconn = 0x800",
    "net.core.somaxconn = 02000",
    "net.core.somaxconn = 2048# no",
    "net.core.somaxconn = 64k",
    "/net/core/somaxconn = 3000",
    "  net..core.somaxconn =\t3001\t",
    "net.core.somaxconn\u{a0}= 3002",
    "# net.core.somaxconn = 3003",
    "; net.core.somaxconn = 3004",
    "net.core.somaxconn = 3005 = 1",
    "net.core.somaxconn = 131072\r",
    "- net.ipv4.tcp_max_syn_backlog = 600",
    "net.ipv4.tcp_max_syn_backlog = 1,000",
    "net.ipv4.tcp_max_syn_backlog = 700",
    "net.ipv4.ip_local_port_range = 65535 1024",
    "net.ipv4.ip_local_port_range = 20000 64000 # wide",
    "net.ipv4.ip_local_port_range = 15000",
];

/// The same numbers in every run (Knuth's MMIX).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn file_of(key: &str) -> String {
    format!("proc/sys/{}", key.replace('.', "/"))
}

fn live(key: &str) -> String {
    let text = fs::read_to_string(format!("/{}", file_of(key))).unwrap();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The boot files of one tree.
fn plant(tree: &Path, dice: &mut Dice) {
    for folder in FOLDERS {
        let folder = tree.join(folder);
        for old in fs::read_dir(&folder).unwrap() {
            fs::remove_file(old.unwrap().path()).unwrap();
        }
        for name in NAMES {
            let path = folder.join(name);
            match dice.below(9) {
                0..4 => fs::write(path, text(dice)).unwrap(),
                4 => fs::write(path, "").unwrap(),
                5 => symlink("/dev/null", path).unwrap(),
                _ => {}
            }
        }
    }
    fs::write(tree.join("etc/sysctl.conf"), text(dice)).unwrap();
    if dice.below(2) == 0 {
        symlink("../sysctl.conf", tree.join("etc/sysctl.d/99-sysctl.conf")).unwrap();
    }
}

fn text(dice: &mut Dice) -> String {
    (0..dice.below(6)).map(|_| format!("{}\n", LINES[dice.below(LINES.len())])).collect()
}

/// Applies the files as a boot does, to what a namespace starts with.
fn boot(reader: &str) {
    for _ in 0..2 {
        for (key, value) in START {
            fs::write(format!("/{}", file_of(key)), value).unwrap();
        }
    }
    let mut command = match reader {
        "systemd" => std::process::Command::new("/usr/lib/systemd/systemd-sysctl"),
        _ => {
            let mut sysctl = program("sysctl");
            sysctl.args(["-q", "--system"]);
            sysctl
        }
    };
    // Both end with an error where one line fails.
    command.output().unwrap();
}

/// Gives the tree the values that are there now.
fn record(tree: &Path) {
    for key in KEYS {
        let path = tree.join(file_of(key));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, live(key) + "\n").unwrap();
    }
}

fn described(tree: &Path) -> String {
    done(script("cd \"$1\" && grep -rn '' etc run usr --include='*.conf' || true; find etc run usr -type l", &[tree]))
}

fn every_tree(scene: &Scene, reader: &str) {
    let tree = scene.folder.join("tree");
    for folder in FOLDERS {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    fs::write(tree.join("etc/sysctl.conf"), "").unwrap();
    let sign: PathBuf = tree.join(if reader == "systemd" { "run/systemd/system" } else { "etc/init.d/procps" });
    fs::create_dir_all(sign).unwrap();
    let cover = "for of in etc/sysctl.d run/sysctl.d usr/local/lib/sysctl.d usr/lib/sysctl.d; do
            mkdir -p /$of; mount --bind \"$1/$of\" /$of
        done
        [ ! -e /etc/sysctl.conf ] || mount --bind \"$1/etc/sysctl.conf\" /etc/sysctl.conf";
    done(script(cover, &[&tree]));
    let mut dice = Dice(11);
    let mut judged = 0;
    for nth in 0..TREES {
        plant(&tree, &mut dice);
        if !Path::new("/etc/sysctl.conf").exists() {
            // The reader sees none here, so the tree has none either.
            fs::write(tree.join("etc/sysctl.conf"), "").unwrap();
        }
        boot(reader);
        record(&tree);
        let mut audit = scene.tunecheck();
        audit.arg("--root").arg(&tree);
        let said = report(audit, &[]);
        for finding in said.findings().filter(|finding| finding["rule"] == "boot/drift") {
            let key = finding["subject"].as_str().unwrap_or_default();
            if KEYS.contains(&key) {
                judged += 1;
                let outcome = &finding["outcome"];
                assert_eq!(outcome, "pass", "tree {nth}, {reader}: {finding:#}\n{}", described(&tree));
            }
        }
        the_written_fix_boots_as_promised(scene, &tree, reader);
    }
    assert!(judged > 40, "{judged} values were compared");
}

/// Puts the file that a fix writes where it says, and boots again.
fn the_written_fix_boots_as_promised(scene: &Scene, tree: &Path, reader: &str) {
    let before: Vec<String> = KEYS.map(live).to_vec();
    let mut fix = scene.tunecheck();
    fix.args(["fix", "--to", "sysctl.d", "--root"]).arg(tree).args(["--max-safety", "manual"]);
    let output = fix.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let Some(path) = text.strip_prefix("# /").and_then(|rest| rest.split_once(':')).map(|(path, _)| path) else {
        return;
    };
    fs::write(tree.join(path), &text).unwrap();
    boot(reader);
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((key, promised)) = line.split_once(" = ") else { continue };
        let Some(at) = KEYS.iter().position(|known| *known == key) else { continue };
        assert_eq!(live(key), promised, "{reader}: {key} was {}\n{}", before[at], described(tree));
    }
    for (key, before) in KEYS.iter().zip(before) {
        let same = live(key) == before || text.lines().any(|line| line.starts_with(&format!("{key} = ")));
        assert!(same, "{reader}: {key} was {before} and is {}\n{}", live(key), described(tree));
    }
    fs::remove_file(tree.join(path)).unwrap();
}
