mod after_tuned;

use super::*;
use crate::facts::gather;
use crate::host::{Answer, Ask, Host, Query, Refusal};
use crate::model::facts::Facts;

/// Files by path; folders follow from them.
struct Files(Vec<(&'static str, &'static str)>);

impl Host for Files {
    fn ask(&self, query: Query<'_>) -> Answer {
        let absent = Err(Refusal::Errno(2));
        let below = |path: &str| path.strip_prefix(query.of)?.strip_prefix('/').map(str::to_owned);
        let names: Vec<String> = self.0.iter().filter_map(|(path, _)| below(path)).collect();
        match query.ask {
            Ask::Read => {
                let found = self.0.iter().find(|(path, _)| *path == query.of);
                found.map_or(absent, |(_, text)| Ok(text.as_bytes().to_vec()))
            }
            Ask::Uname => Ok(b"Linux\n6.1.0\nnode".to_vec()),
            Ask::List if !names.is_empty() => Ok(names.join("\0").into_bytes()),
            Ask::Exists if !names.is_empty() || self.0.iter().any(|(path, _)| *path == query.of) => Ok(Vec::new()),
            _ => absent,
        }
    }

    fn source(&self) -> String {
        "files".into()
    }
}

const SYSTEMD: (&str, &str) = ("/run/systemd/system/x", "");
const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";

fn facts(files: &[(&'static str, &'static str)]) -> Facts {
    let mut facts = Facts::default();
    let wanted = ["kernel.release", "sysctl.net.core.somaxconn", VALUE, LIVE, IDLE].into();
    gather(&Files(files.to_vec()), wanted, &mut facts);
    facts
}

#[track_caller]
fn sets(files: &[(&'static str, &'static str)], key: &str, value: i128, at: &str) {
    let facts = facts(files);
    let set = facts.get(&format!("boot[{key}].value")).unwrap();
    assert_eq!((&set.reading, set.source.as_ref()), (&Ok(Value::Number(value)), at));
}

#[test]
fn one_variable_has_one_value_under_each_of_its_names() {
    let live = ("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
    let first = ("/etc/sysctl.d/10-a.conf", "net.netfilter.nf_conntrack_max = 4194304\n");
    let alias = ("/etc/sysctl.d/20-b.conf", "net.nf_conntrack_max = 131072 # ours\n");
    let key = "net.netfilter.nf_conntrack_max";
    sets(&[SYSTEMD, live, first, alias], key, 131_072, "/etc/sysctl.d/20-b.conf:1");
    // A line that gives what an earlier one of that name gives stays in its place: the other name has the last word.
    let again = ("/etc/sysctl.d/30-c.conf", "net.netfilter.nf_conntrack_max=4194304\n");
    sets(&[SYSTEMD, live, first, alias, again], key, 131_072, "/etc/sysctl.d/20-b.conf:1");
    sets(&[("/etc/init.d/procps", ""), live, first, alias, again], key, 4_194_304, "/etc/sysctl.d/30-c.conf:1");
    let none = facts(&[live, first, alias, again, (SOMAXCONN, "1")]);
    assert!(none.value("boot[net.netfilter.nf_conntrack_max].value").unwrap_err().why.contains("which of them"));
}

#[test]
fn what_moves_with_another_one_is_what_the_kernel_makes_of_it() {
    let (ratio, bytes) = (("/proc/sys/vm/dirty_ratio", "0"), ("/proc/sys/vm/dirty_bytes", "629145600"));
    let files = [
        SYSTEMD,
        ratio,
        bytes,
        ("/usr/lib/sysctl.d/50-d.conf", "vm.dirty_ratio = 10\n"),
        ("/etc/sysctl.d/90-x.conf", "vm.dirty_bytes = 629145600\n"),
    ];
    sets(&files, "vm.dirty_ratio", 0, "/etc/sysctl.d/90-x.conf:1");
    sets(&files, "vm.dirty_bytes", 629_145_600, "/etc/sysctl.d/90-x.conf:1");
    let both = "net.ipv6.conf.default.disable_ipv6 = 0\nnet.ipv6.conf.all.disable_ipv6 = 1\n";
    let files = [SYSTEMD, ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"), ("/etc/sysctl.d/a.conf", both)];
    sets(&files, "net.ipv6.conf.default.disable_ipv6", 1, "/etc/sysctl.d/a.conf:2");
    // systemd writes nothing where the text is there already, so nothing moves.
    let back = "net.ipv6.conf.default.disable_ipv6 = 1\nnet.ipv6.conf.all.disable_ipv6 = 0\n";
    let files = [("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"), ("/etc/sysctl.d/a.conf", back)];
    let by = |sign| [&files[..], &[sign]].concat();
    sets(&by(SYSTEMD), "net.ipv6.conf.default.disable_ipv6", 1, "/etc/sysctl.d/a.conf:1");
    sets(&by(("/etc/init.d/procps", "")), "net.ipv6.conf.default.disable_ipv6", 0, "/etc/sysctl.d/a.conf:2");
    let redirects = ("/proc/sys/net/ipv4/conf/all/accept_redirects", "0");
    let off = "net.ipv4.conf.all.accept_redirects = 1\nnet.ipv4.conf.all.forwarding = 1\n";
    sets(
        &[SYSTEMD, redirects, ("/etc/sysctl.d/a.conf", off)],
        "net.ipv4.conf.all.accept_redirects",
        0,
        "/etc/sysctl.d/a.conf:2",
    );
    // The kernel moves nothing where a write changes nothing.
    let same = "net.ipv4.conf.all.accept_redirects = 1\nnet.ipv4.ip_forward = 0\n";
    sets(
        &[SYSTEMD, redirects, ("/etc/sysctl.d/a.conf", same)],
        "net.ipv4.conf.all.accept_redirects",
        1,
        "/etc/sysctl.d/a.conf:1",
    );
}

#[test]
fn a_line_that_sets_nothing_says_why() {
    let said = |line: &'static str, key: &str, live: &[(&'static str, &'static str)]| {
        let files = [&[SYSTEMD, (SOMAXCONN, "4096\n"), ("/etc/sysctl.d/a.conf", line)], live].concat();
        let facts = facts(&files);
        assert!(facts.get(&format!("boot[{key}].idle")).is_none_or(|fact| fact.source == "/etc/sysctl.d/a.conf:1"));
        facts.text(&format!("boot[{key}].idle")).unwrap_or("it acts").to_owned()
    };
    let range = ("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n");
    let refused = said("net.ipv4.ip_local_port_range = 65535 1024\n", "net.ipv4.ip_local_port_range", &[range]);
    assert!(refused.contains("above the last"), "{refused}");
    let bridge = "net.bridge.bridge-nf-call-iptables";
    assert!(said("net.bridge.bridge-nf-call-iptables = 1", bridge, &[]).contains("br_netfilter"));
    assert_eq!(said("-net.bridge.bridge-nf-call-iptables = 1", bridge, &[]), "it acts");
    assert!(
        said("net.ipv4.ip_conntrack_max = 65536", "net.ipv4.ip_conntrack_max", &[]).contains("nf_conntrack_max now")
    );
    assert!(said("net.ipv4.tcp_tw_recycle = 1", "net.ipv4.tcp_tw_recycle", &[]).contains("Linux 4.12 took it out"));
    assert!(said("net.core.somaxconn\u{a0}=\u{a0}1024", "net.core.somaxconn\u{a0}", &[]).contains("no-break space"));
    assert!(said("/proc/sys/net/core/somaxconn=1", "proc.sys.net.core.somaxconn", &[]).contains("below /proc/sys"));
    assert!(said("net.core.somaxcon=1", "net.core.somaxcon", &[]).contains("has no net.core.somaxcon"));
    assert_eq!(said("net.ipv4.conf.eth7.rp_filter=1", "net.ipv4.conf.eth7.rp_filter", &[]), "it acts");
    assert!(said("net.core.somaxconn = 64k", "net.core.somaxconn", &[]).contains("64k"));
    assert_eq!(said("net.core.somaxconn = 1024 # was 128", "net.core.somaxconn", &[]), "it acts");
}

#[test]
fn a_name_that_no_kernel_can_have_sets_nothing_whatever_was_read() {
    let line = ("/etc/sysctl.d/a.conf", "net.core.somaxconn\u{a0}= 1024\n");
    for files in [&[line][..], &[SYSTEMD, line]] {
        let why = facts(files);
        assert!(why.text("boot[net.core.somaxconn\u{a0}].idle").unwrap().contains("a no-break space"), "{files:?}");
    }
}

#[test]
fn a_tree_without_etc_tells_nothing() {
    let facts = facts(&[(SOMAXCONN, "4096\n")]);
    assert!(facts.family(VALUE).unwrap_err().why.contains("no /etc"));
}

#[test]
fn a_key_can_be_kept_from_patterns_and_a_set_of_characters_is_a_doubt() {
    let mut order = Order::of(Reader::Systemd);
    order.apply("/etc/sysctl.d/a.conf", b"net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.hub0.rp_filter\n");
    let value = |order: &Order, name: &str| {
        let (settled, _) = settle(order, name, &Ok(Value::Number(9)), None);
        settled.and_then(|settled| settled.value.ok())
    };
    assert_eq!(value(&order, "net.ipv4.conf.eth0.rp_filter"), Some(Value::Number(2)));
    assert_eq!(value(&order, "net.ipv4.conf.hub0.rp_filter"), None);
    order.apply("/etc/sysctl.d/b.conf", b"net.ipv4.conf.w?an*.rp_filter = 0\nnet.*.conf.eth[0-3].rp_filter=1\n");
    assert_eq!(value(&order, "net.ipv4.conf.wlan0.rp_filter"), Some(Value::Number(0)));
    assert_eq!(value(&order, "net.ipv4.conf.wan.rp_filter"), Some(Value::Number(2)));
    assert_eq!(value(&order, "net.ipv4.conf.eth1.rp_filter"), None, "a doubt");
    assert_eq!(value(&order, "net.ipv4.conf.eth10.rp_filter"), Some(Value::Number(2)));
    order.doubt(Gap::new(Cause::Denied, "/etc/sysctl.d/c.conf"));
    order.apply("/etc/sysctl.d/d.conf", b"net.ipv4.conf.*.rp_filter = 1\nnet.core.somaxconn = 128\n");
    assert_eq!(value(&order, "net.core.somaxconn"), Some(Value::Number(128)));
    assert_eq!(value(&order, "net.ipv4.conf.eth0.rp_filter"), None);
}

#[test]
fn a_key_that_climbs_out_or_only_starts_something_is_not_read() {
    assert!(!is_readable("kernel/../../../etc/shadow") && !is_readable("vm.drop_caches"));
    assert!(!is_readable(&sysctl::dotted("kernel/../../../etc/shadow")) && is_readable("kernel.sysrq"));
}

#[test]
fn a_module_that_came_late_is_told_from_a_hand_that_came_later() {
    let files = |more: &[(&'static str, &'static str)]| {
        let all = [
            SYSTEMD,
            (SOMAXCONN, "4096\n"),
            ("/etc/sysctl.d/a.conf", "net.nf_conntrack_max = 4194304\n"),
            ("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n"),
            ("/proc/sys/net/netfilter/nf_conntrack_buckets", "262144\n"),
        ];
        let facts = facts(&[&all[..], more].concat());
        facts.text("boot[net.netfilter.nf_conntrack_max].cause").unwrap().to_owned()
    };
    assert!(files(&[]).contains("before nf_conntrack was loaded"));
    let listed = ("/etc/modules-load.d/k8s.conf", "overlay\nnf_conntrack\n");
    assert!(files(&[listed]).contains("did act"));
    let built_in = ("/proc/modules", "overlay 1 0 - Live 0x0\n");
    assert!(files(&[built_in]).contains("or somebody writes it after boot"));
    // The same number is what kube-proxy gives a node of eight cores, whatever stood there before.
    let pods = ("/var/lib/kubelet/pods/x", "");
    let [eight, six] = ["0-7\n", "0-5\n"].map(|cpus| ("/sys/devices/system/cpu/online", cpus));
    let by_proxy = "kube-proxy wrote 32768 x 8 CPUs over it at its start";
    let either = files(&[pods, eight]);
    assert!(either.starts_with(&format!("{by_proxy}; where none runs, the line was applied before")), "{either}");
    assert!(files(&[pods, eight, listed]).ends_with(&format!("did act: {by_proxy}")));
    assert_eq!(files(&[pods, eight, built_in]), by_proxy);
    assert_eq!(files(&[pods, six]), files(&[]));
    assert_eq!(files(&[eight]), files(&[]), "no node");
}

/// What a boot file says of one sysctl, and whether that is what is there.
#[track_caller]
fn holds(file: &'static str, lines: &'static str, live: (&'static str, &'static str), key: &str) {
    let facts = facts(&[SYSTEMD, (SOMAXCONN, "4096\n"), (file, lines), live]);
    let of = |what: &str| facts.value(&format!("boot[{key}].{what}")).cloned();
    assert_eq!(of("value"), of("live"), "{lines}");
    assert!(of("idle").is_err(), "{:?}", of("idle"));
}

#[test]
fn what_the_kernel_makes_of_a_line_is_no_drift() {
    let file = "/etc/sysctl.d/a.conf";
    let filter = ("/proc/sys/net/ipv4/conf/all/rp_filter", "1\n");
    holds(file, "net.ipv4.conf.all.rp_filter = 1 # strict\n", filter, "net.ipv4.conf.all.rp_filter");
    holds(file, "net.ipv4.conf.all.rp_filter = 0x1\n", filter, "net.ipv4.conf.all.rp_filter");
    let forward = ("/proc/sys/net/ipv4/ip_forward", "0\n");
    holds(file, "net.ipv4.ip_forward = 1\nnet.ipv4.conf.all.forwarding = 0\n", forward, "net.ipv4.ip_forward");
    let budget = ("/proc/sys/net/core/netdev_budget", "600\n");
    holds(file, "net.core.netdev_budget = 300\n/net/core/netdev_budget = 600\n", budget, "net.core.netdev_budget");
    let buckets = ("/proc/sys/net/netfilter/nf_conntrack_buckets", "262144\n");
    holds(file, "net.netfilter.nf_conntrack_buckets = 262000\n", buckets, "net.netfilter.nf_conntrack_buckets");
    let range = ("/proc/sys/net/ipv4/ip_local_port_range", "20000\t60999\n");
    holds(file, "net.ipv4.ip_local_port_range = 20000\n", range, "net.ipv4.ip_local_port_range");
    let dotfile = [SYSTEMD, (SOMAXCONN, "4096\n"), ("/etc/sysctl.d/._99-tune.conf", "net.core.somaxconn = 1111\n")];
    assert!(facts(&dotfile).value("boot[net.core.somaxconn].value").is_err());
}

#[test]
fn a_value_that_is_no_one_word_is_told_and_no_drift() {
    let control = ("/proc/sys/net/ipv4/tcp_congestion_control", "cubic\n");
    let line = ("/etc/sysctl.d/a.conf", "net.ipv4.tcp_congestion_control = bbr # fast\n");
    let facts = facts(&[SYSTEMD, (SOMAXCONN, "4096\n"), line, control]);
    assert!(facts.text("boot[net.ipv4.tcp_congestion_control].idle").unwrap().contains("more than one word"));
    assert!(facts.get("boot[net.ipv4.tcp_congestion_control].live").is_none());
}

#[test]
fn a_key_of_the_machine_is_compared_and_shown_to_nobody() {
    let secret = "00112233-44556677-8899aabb-00000000";
    let live = ("/proc/sys/net/ipv4/tcp_fastopen_key", "00112233-44556677-8899aabb-00000000\n");
    let line = ("/etc/sysctl.d/a.conf", "net.ipv4.tcp_fastopen_key = 00112233-44556677-8899aabb-ccddeeff\n");
    let facts = facts(&[SYSTEMD, (SOMAXCONN, "4096\n"), line, live]);
    assert_ne!(
        facts.value("boot[net.ipv4.tcp_fastopen_key].value"),
        facts.value("boot[net.ipv4.tcp_fastopen_key].live")
    );
    for (name, fact) in facts.iter() {
        let shown = format!("{:?}", fact.reading);
        assert!(!shown.contains("8899aabb") && !shown.contains(secret), "{name}: {shown}");
    }
}

#[test]
fn where_no_systemd_ran_nobody_knows_whether_the_files_were_applied() {
    let cause = |by: (&'static str, &'static str)| {
        let told = facts(&[by, (SOMAXCONN, "128\n"), ("/etc/sysctl.d/50-site.conf", "net.core.somaxconn = 65535\n")]);
        told.text("boot[net.core.somaxconn].cause").unwrap().to_owned()
    };
    let never = "may never have been applied";
    assert!(cause(("/usr/lib/systemd/systemd-sysctl", "")).contains(never));
    for by in [SYSTEMD, ("/etc/init.d/procps", "")] {
        assert!(!cause(by).contains(never) && cause(by).starts_with("it was set by hand"), "{by:?}");
    }
}

#[test]
fn a_line_of_sysctl_conf_that_systemd_does_not_read_sets_nothing() {
    let live = (SOMAXCONN, "4096\n");
    let line = ("/etc/sysctl.conf", "# site\nnet.core.somaxconn = 65535\n");
    let told = facts(&[SYSTEMD, live, line]);
    let idle = told.get("boot[net.core.somaxconn].idle").unwrap();
    assert_eq!(idle.source, "/etc/sysctl.conf:2");
    assert!(told.value("boot[net.core.somaxconn].value").is_err());
    // Where procps boots, or a file that is read says the same, there is nothing to say.
    assert!(facts(&[("/etc/init.d/procps", ""), live, line]).get("boot[net.core.somaxconn].idle").is_none());
    let same = ("/etc/sysctl.d/50-site.conf", "net.core.somaxconn = 65535\n");
    assert!(facts(&[SYSTEMD, live, line, same]).get("boot[net.core.somaxconn].idle").is_none());
}

#[test]
fn a_name_behind_a_minus_takes_out_what_files_before_it_set() {
    let live = (SOMAXCONN, "4096\n");
    let set = ("/etc/sysctl.d/50-site.conf", "net.core.somaxconn = 65535\n");
    let out = ("/etc/sysctl.d/99-vendor.conf", "-net.core.somaxconn\n-net.*.*\n");
    let last = |files: &[(&'static str, &'static str)]| {
        let facts = facts(files);
        let last = facts.get("boot[net.core.somaxconn].last").unwrap();
        (
            last.reading.clone().unwrap().plain(),
            last.source.to_string(),
            facts.value("boot[net.core.somaxconn].value").is_ok(),
        )
    };
    let (name, at) = ("-net.core.somaxconn".to_owned(), "/etc/sysctl.d/99-vendor.conf:1".to_owned());
    assert_eq!(last(&[SYSTEMD, live, set, out]), (name, at, false));
    let (name, at) = ("net.core.somaxconn".to_owned(), "/etc/sysctl.d/50-site.conf:1".to_owned());
    assert_eq!(last(&[("/etc/init.d/procps", ""), live, set, out]), (name, at, true));
}

#[test]
fn no_line_is_to_be_brought_into_force_that_is_an_error_or_lowers_a_size() {
    let mend = |line: &'static str, key: &str| {
        let live = ("/proc/sys/fs/file-max", "9223372036854775807\n");
        let facts = facts(&[SYSTEMD, (SOMAXCONN, "4096\n"), live, ("/etc/sysctl.conf", line)]);
        facts.text(&format!("boot[{key}].mend")).unwrap_or_default().to_owned()
    };
    let lower = mend("fs.file-max = 200000\n", "fs.file-max");
    assert!(lower.starts_with("take the line out: /etc/sysctl.conf:1") && lower.contains("would lower"), "{lower}");
    let gone = mend("net.ipv4.tcp_tw_recycle = 1\n", "net.ipv4.tcp_tw_recycle");
    assert!(gone.starts_with("take the line out") && gone.contains("Linux 4.12 took it out"), "{gone}");
    let more = mend("net.core.somaxconn = 65535\n", "net.core.somaxconn");
    assert!(more.starts_with("if it is wanted: write it into"), "{more}");
}

#[test]
fn a_file_that_no_boot_reads_for_its_name_is_told() {
    let tuning = ("/etc/sysctl.d/90-tuning", "# site\nnet.core.somaxconn = 32768\n");
    let aside = ("/etc/sysctl.d/80-old.conf.bak", "net.core.somaxconn = 7\n");
    let live = (SOMAXCONN, "4096\n");
    let found = facts(&[SYSTEMD, live, tuning, aside]);
    let idle = found.get("boot[net.core.somaxconn].idle").unwrap();
    assert_eq!(idle.source, "/etc/sysctl.d/90-tuning:2");
    assert!(found.text("boot[net.core.somaxconn].mend").unwrap().contains("give the file such a name"));
    assert!(
        facts(&[SYSTEMD, live, aside]).get("boot[net.core.somaxconn].idle").is_none_or(|fact| fact.reading.is_err())
    );
}
