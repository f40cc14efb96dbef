//! The playbook on a machine whose files have a word of their own about what a boot sets.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::ansible::{
    ANSIBLE, OURS, counted, cover, every_kind, live, play, playbook, set, somaxconn, systemctl, went_well,
};
use crate::harness::{NETWORK_AND_MOUNTS, Place, Scene, done, script};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_playbook_takes_nothing_away_from_what_files_set_at_boot",
        needs: ANSIBLE,
        own: NETWORK_AND_MOUNTS,
        trial: a_playbook_takes_nothing_away_from_what_files_set_at_boot,
    },
    Place {
        name: "a_playbook_tells_of_a_file_that_is_read_later_and_sets_less",
        needs: ANSIBLE,
        own: NETWORK_AND_MOUNTS,
        trial: a_playbook_tells_of_a_file_that_is_read_later_and_sets_less,
    },
];

/// Writes a file below a folder that is the trial's own.
fn put(path: &str, text: &str) {
    fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What the files set at boot, worked out here in another way.
fn at_boot(name: &str) -> String {
    let files =
        "for name in $(find /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d -name '*.conf' \
        -printf '%f\\n' 2>/dev/null | LC_ALL=C sort -u); do
            for folder in /etc /run /usr/local/lib /usr/lib; do
                if [ -e $folder/sysctl.d/$name ]; then cat $folder/sysctl.d/$name; echo; break; fi
            done
        done";
    let text = done(script(files, &[]));
    let mut set = text.lines().filter_map(|line| line.split_once('='));
    let last = set.rfind(|(key, _)| key.trim().trim_start_matches('-').replace('/', ".") == name);
    last.unwrap_or_else(|| panic!("{name} is not set: {text}")).1.trim().to_owned()
}

fn a_playbook_takes_nothing_away_from_what_files_set_at_boot(scene: &Scene) {
    cover();
    let playbook = playbook(scene, 6000, every_kind());
    systemctl(scene, "infinity", "infinity", "exit 1");
    put("/run/systemd/system/none", "");
    // What is live is less than what every one of these files says.
    let before = [
        ("net.core.somaxconn", "128"),
        ("net.ipv4.tcp_max_syn_backlog", "256"),
        ("net.ipv4.ip_local_reserved_ports", "100"),
        ("net.ipv4.ip_local_port_range", "32768 60999"),
        ("net.ipv4.tcp_tw_reuse", "2"),
    ];
    before.iter().for_each(|(name, value)| set(name, value));
    // More than is asked for, in a folder with the least say, in the other spelling; and what is hidden or masked.
    put("/usr/lib/sysctl.d/50-vendor.conf", "# vendor\n-net/core/somaxconn=200000\nnet.ipv4.tcp_tw_reuse = 0\n");
    put("/usr/lib/sysctl.d/60-hidden.conf", "net.core.somaxconn = 1\nnet.ipv4.tcp_max_syn_backlog = 900000\n");
    put("/run/sysctl.d/60-hidden.conf", "kernel.sysrq = 1");
    put("/usr/lib/sysctl.d/70-masked.conf", "net.ipv4.tcp_max_syn_backlog = 800000\n");
    symlink("/dev/null", "/etc/sysctl.d/70-masked.conf").unwrap();
    put("/usr/local/lib/sysctl.d/80-ports.conf", "net.ipv4.ip_local_reserved_ports = 9000-9100\n");
    put("/etc/sysctl.d/95-later.conf", "net.ipv4.ip_local_port_range = 1024 65535\n");
    // Our own file, with one key twice and in both spellings, more than is asked for, and lines of others.
    let ours = "; by hand\nnet.ipv4.tcp_rfc1337 = 1\nnet/ipv4/tcp_max_syn_backlog=100\nvm.swappiness=10\n\
                net.ipv4.tcp_max_syn_backlog = 3000";
    put(OURS, ours);

    let dry = play(scene, &playbook, &["--check", "--diff"]);
    went_well(&dry);
    assert_eq!(fs::read_to_string(OURS).unwrap(), ours, "a dry run changes nothing");
    went_well(&play(scene, &playbook, &[]));
    let kept = "; by hand\nnet.ipv4.tcp_rfc1337 = 1\nnet.ipv4.tcp_max_syn_backlog = 65535\nvm.swappiness=10\n\
                net.ipv4.ip_local_reserved_ports = 9000-9100,100,8080,30000-32767\nnet.ipv4.tcp_tw_reuse = 1\n";
    assert_eq!(fs::read_to_string(OURS).unwrap(), kept);
    assert_eq!(at_boot("net.core.somaxconn"), "200000");
    assert_eq!(at_boot("net.ipv4.ip_local_port_range"), "1024 65535");
    assert_eq!(live("net.core.somaxconn"), "65535", "what is live is raised to what is asked for");
    let again = play(scene, &playbook, &[]);
    went_well(&again);
    assert!(counted(&again, "changed=0"), "{}", again.stdout);
    assert_eq!(fs::read_to_string(OURS).unwrap(), kept);
}

fn a_playbook_tells_of_a_file_that_is_read_later_and_sets_less(scene: &Scene) {
    cover();
    let playbook = playbook(scene, 6000, vec![somaxconn()]);
    systemctl(scene, "infinity", "infinity", "exit 1");
    put("/run/systemd/system/none", "");
    let conf = scene.folder.join("sysctl.conf");
    fs::write(&conf, "net.core.somaxconn=1000\n").unwrap();
    done(script("if [ -f /etc/sysctl.conf ]; then mount --bind \"$1\" /etc/sysctl.conf; fi", &[&conf]));
    set("net.core.somaxconn", "128");
    put(OURS, "net.core.somaxconn = 100000\n");
    put("/etc/sysctl.d/99-later.conf", "net.core.some = 1\nnet.core.?omaxco* = 512\n");
    // The name of a sysctl is worth more than a pattern.
    let run = play(scene, &playbook, &[]);
    went_well(&run);
    if Path::new("/etc/sysctl.conf").exists() {
        assert!(run.stdout.contains("net.core.somaxconn: /etc/sysctl.conf, which only sysctl"), "{}", run.stdout);
    }
    put("/etc/sysctl.d/99-later.conf", "net.core.somaxconn = 512\n");
    for _ in 0..2 {
        let run = play(scene, &playbook, &[]);
        assert!(run.code != Some(0) && counted(&run, "failed=1"), "{}", run.stdout);
        assert!(run.stdout.contains("/etc/sysctl.d/99-later.conf sets 512"), "{}", run.stdout);
        assert_eq!(fs::read_to_string(OURS).unwrap(), "net.core.somaxconn = 100000\n");
    }
    // So has a name alone behind a minus, to systemd.
    put("/etc/sysctl.d/99-later.conf", "-net.core.somaxconn\n");
    let run = play(scene, &playbook, &[]);
    assert!(run.code != Some(0) && run.stdout.contains("99-later.conf takes out net.core.somaxconn"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(OURS).unwrap(), "net.core.somaxconn = 100000\n");
    // What is no number is for a person.
    put("/etc/sysctl.d/99-later.conf", "net.core.somaxconn = 0x1ffff\n");
    let run = play(scene, &playbook, &[]);
    assert!(run.code != Some(0) && run.stdout.contains("99-later.conf sets 0x1ffff"), "{}", run.stdout);
    assert_eq!(fs::read_to_string(OURS).unwrap(), "net.core.somaxconn = 100000\n");
}
