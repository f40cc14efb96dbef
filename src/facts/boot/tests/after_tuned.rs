//! What TuneD makes of a boot. Its plugin_sysctl.py, of 2.27.0 and 2.28.0-rc.1, made the same of such files.

use super::*;

const ACTIVE: (&str, &str) = ("/etc/tuned/active_profile", "ours\n");
const PROFILE: (&str, &str) = ("/etc/tuned/ours/tuned.conf", "[sysctl]\nnet.core.somaxconn = 2048\n");
const MAIN: &str = "/etc/tuned/tuned-main.conf";
const LIVE_NOW: (&str, &str) = (SOMAXCONN, "2048\n");
const KEY: &str = "net.core.somaxconn";

fn with_tuned(files: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [&[SYSTEMD, LIVE_NOW, ACTIVE, PROFILE], files].concat()
}

fn set_at(files: &[(&'static str, &'static str)]) -> Option<(String, String)> {
    let facts = facts(files);
    let set = facts.get(&format!("boot[{KEY}].value"))?;
    Some((set.reading.as_ref().ok()?.plain(), set.source.to_string()))
}

#[test]
fn sysctl_conf_has_the_last_word_where_tuned_applies_it_again() {
    let conf = ("/etc/sysctl.conf", "net.core.somaxconn = 4096\n");
    let own = ("/etc/sysctl.d/zz-site.conf", "net.core.somaxconn = 65535\n");
    let last = |files: &[(&'static str, &'static str)]| {
        let facts = facts(files);
        assert!(facts.get(&format!("boot[{KEY}].idle")).is_none());
        facts.get(&format!("boot[{KEY}].last")).unwrap().source.to_string()
    };
    for main in [&[][..], &[(MAIN, "reapply_sysctl = 1\n")], &[(MAIN, "daemon = 1\nreapply_sysctl=yes # kept\n")]] {
        let files = with_tuned(&[&[conf, own], main].concat());
        let (value, at) = set_at(&files).unwrap();
        assert_eq!((value.as_str(), at.as_str()), ("4096", "/etc/sysctl.conf:1"), "{main:?}");
        assert_eq!(last(&files), at, "{main:?}");
    }
    let tuned_is_off: [&[_]; 3] = [
        &[(MAIN, "reapply_sysctl = 0\n")],
        &[(MAIN, "reapply_sysctl_exclude = vm.swappiness, net.core.*\n")],
        &[("/etc/systemd/system/multi-user.target.wants/cron.service", "")],
    ];
    for main in tuned_is_off {
        let files = with_tuned(&[&[conf, own], main].concat());
        let (value, at) = set_at(&files).unwrap();
        assert_eq!((value.as_str(), at.as_str()), ("65535", "/etc/sysctl.d/zz-site.conf:1"), "{main:?}");
        let facts = facts(&files);
        assert!(facts.text(&format!("boot[{KEY}].idle")).unwrap().contains("does not read /etc/sysctl.conf"));
        assert!(!facts.holds(&format!("boot[{KEY}].again")));
    }
    let started = ("/etc/systemd/system/multi-user.target.wants/tuned.service", "");
    assert_eq!(set_at(&with_tuned(&[conf, own, started])).unwrap().0, "4096");
    // Without sysctls of its own it applies none of others.
    let none = [SYSTEMD, LIVE_NOW, ACTIVE, conf, own, ("/etc/tuned/ours/tuned.conf", "[vm]\nx = 1\n")];
    assert_eq!(set_at(&none).unwrap().0, "65535");
    // Of a profile that cannot be found nobody knows whether it has any.
    let unknown = facts(&[SYSTEMD, LIVE_NOW, ACTIVE, conf]);
    assert!(unknown.get(&format!("boot[{KEY}].idle")).is_none());
}

#[test]
fn of_the_folders_those_below_etc_and_run_are_applied_again_and_run_hides_etc() {
    let (etc, run) = ("/etc/sysctl.d/50-a.conf", "/run/sysctl.d/50-a.conf");
    let vendor = ("/usr/lib/sysctl.d/60-vendor.conf", "net.core.somaxconn = 8192\n");
    let (one, other) = ((etc, "net.core.somaxconn = 1024\n"), (run, "net.core.somaxconn = 512\n"));
    sets(&with_tuned(&[vendor, one]), KEY, 1024, "/etc/sysctl.d/50-a.conf:1");
    sets(&with_tuned(&[vendor, one, other]), KEY, 512, "/run/sysctl.d/50-a.conf:1");
    sets(&[SYSTEMD, LIVE_NOW, vendor, one], KEY, 8192, "/usr/lib/sysctl.d/60-vendor.conf:1");
    // What our own file has to sort after is what either reads last.
    let facts = facts(&with_tuned(&[vendor, one]));
    assert_eq!(facts.get(&format!("boot[{KEY}].last")).unwrap().source.as_ref(), vendor.0.to_owned() + ":1");
}

#[test]
fn a_name_is_no_pattern_and_no_path_to_tuned_and_a_minus_is_a_part_of_it() {
    let vendor = ("/usr/lib/sysctl.d/60-vendor.conf", "net.core.somaxconn = 8192\n");
    for line in ["net/core/somaxconn = 1024\n", "-net.core.somaxconn = 1024\n", "net.core.somaxc?nn = 1024\n"] {
        let files = with_tuned(&[vendor, ("/etc/sysctl.d/50-a.conf", line)]);
        sets(&files, KEY, 8192, "/usr/lib/sysctl.d/60-vendor.conf:1");
        let why = facts(&files).text(&format!("boot[{KEY}].cause")).unwrap().to_owned();
        assert!(why.starts_with("TuneD's profile sets 2048 (/etc/tuned/ours/tuned.conf:2)"), "{line}: {why}");
    }
    let again = facts(&with_tuned(&[("/etc/sysctl.d/50-a.conf", "net.core.somaxconn = 1024 # was 128\n")]));
    assert!(again.holds(&format!("boot[{KEY}].again")));
    let why = again.text(&format!("boot[{KEY}].cause")).unwrap();
    assert!(!why.contains("TuneD's profile"), "{why}");
}
