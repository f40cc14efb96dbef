//! Limits that were used up in the field, as they were reported: what is said of them.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "reads reports, fails by panicking"
)]

mod support;

use std::fs;

use serde_json::Value;
use support::{case, json, scratch};

/// The report of a case.
fn report(name: &str, more: &[&str]) -> Value {
    let folder = case(name);
    json(&[["--snapshot", folder.to_str().unwrap()].as_slice(), more].concat())
}

/// The only finding of a rule.
fn finding<'a>(report: &'a Value, rule: &str) -> &'a Value {
    let found: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["rule"] == rule).collect();
    assert_eq!(found.len(), 1, "{rule}: {found:#?}");
    found[0]
}

fn outcomes<const N: usize>(report: &Value, rules: [&str; N]) -> [String; N] {
    rules.map(|rule| finding(report, rule)["outcome"].as_str().unwrap().to_owned())
}

#[test]
fn a_neighbour_table_that_refused_is_trouble_at_any_fill() {
    let full = report("09-neighbours", &[]);
    assert_eq!(outcomes(&full, ["neigh/fill", "neigh/fill-ipv6"]), ["fail", "pass"]);
    // The kernel has cleaned up meanwhile.
    let cleaned = report("09-neighbours-cleaned", &[]);
    assert_eq!(outcomes(&cleaned, ["neigh/fill", "neigh/fill-ipv6"]), ["warn", "warn"]);
    let evidence = finding(&cleaned, "neigh/fill")["evidence"][0]["says"].as_str().unwrap();
    assert!(evidence.starts_with("4,333 times a neighbour found no place"), "{evidence}");
}

#[test]
fn lost_queries_are_no_full_table() {
    let report = report("28-lost-queries", &[]);
    let rules = ["conntrack/insert-failed", "conntrack/drops", "conntrack/fill", "conntrack/max"];
    assert_eq!(outcomes(&report, rules), ["warn", "pass", "pass", "pass"]);
    let said = finding(&report, "conntrack/insert-failed").to_string();
    assert!(said.contains("single-request-reopen"), "{said}");
}

#[test]
fn overlong_chains_do_not_hide_a_full_table() {
    let full = report("conntrack-full-and-overlong", &[]);
    assert_eq!(outcomes(&full, ["conntrack/drops"]), ["warn"]);
    assert_eq!(finding(&full, "conntrack/drops")["now"], 388);
    // Without the column nothing tells the two apart, and a table that is there is no reason to say that nothing is tracked.
    let unnamed = report("conntrack-without-columns", &[]);
    assert_eq!(outcomes(&unnamed, ["conntrack/drops", "conntrack/insert-failed"]), ["unknown", "unknown"]);
}

#[test]
fn fs_nr_open_below_the_default_is_a_trap_for_units() {
    let report = report("04-nr-open", &[]);
    let finding = finding(&report, "files/nr-open");
    assert_eq!(finding["outcome"], "warn");
    assert_eq!(finding["want"]["warn_below"], 1_048_576, "{finding:#}");
    assert!(finding.to_string().contains("fs.nr_open = 1048576"), "{finding:#}");
}

#[test]
fn as_high_as_systemd_sets_fs_nr_open_no_unit_asks_for_more() {
    let report = report("nr-open-raised", &[]);
    assert_eq!(outcomes(&report, ["files/nr-open"]), ["pass"]);
}

#[test]
fn a_limit_that_a_unit_asks_for_is_above_fs_nr_open() {
    let report = report("nr-open-unit", &[]);
    let finding = finding(&report, "files/nr-open");
    assert_eq!((&finding["outcome"], &finding["want"]["warn_below"]), (&"warn".into(), &2_000_000.into()));
    assert!(finding.to_string().contains("fs.nr_open = 2000000"), "{finding:#}");
}

#[test]
fn a_bound_on_inotify_alone_passes_nowhere() {
    let rules = ["files/inotify-instances", "files/inotify-watches"];
    // 1024 instances are allowed, and nobody knows how many are in use.
    assert_eq!(outcomes(&report("07-inotify-node", &[]), rules), ["unknown", "unknown"]);
    let pod = report("07-inotify-pod", &[]);
    assert_eq!(outcomes(&pod, rules), ["warn", "unknown"]);
    let reason = finding(&pod, "files/inotify-watches")["reason"].as_str().unwrap();
    assert!(reason.contains("ask on the host or node"), "{reason}");
}

#[test]
fn what_is_in_use_of_inotify_decides() {
    let rules = ["files/inotify-instances", "files/inotify-watches"];
    let full = report("inotify-full", &[]);
    assert_eq!(outcomes(&full, rules), ["fail", "pass"]);
    let said = finding(&full, "files/inotify-instances")["says"].as_str().unwrap();
    assert!(said.contains("user 0 holds most, 611 in 4711 app"), "{said}");
    let close = report("inotify-watches-close", &[]);
    assert_eq!(outcomes(&close, rules), ["pass", "warn"]);
    // A user who may not look into others knows nothing of their use.
    assert_eq!(outcomes(&report("inotify-denied", &[]), rules), ["unknown", "unknown"]);
}

#[test]
fn few_watches_warn_where_it_may_be_a_node() {
    let report = json(&["--sysctl", "fixtures/dumps/few-watches.txt"]);
    assert_eq!(outcomes(&report, ["files/inotify-watches", "files/inotify-instances"]), ["warn", "unknown"]);
}

#[test]
fn quotas_that_end_in_errors_of_other_names_are_read_with_their_use() {
    let near = report("quotas-near", &[]);
    let rules = ["kernel/keyrings", "files/aio", "route/ipv6-cache", "device/rx-missed"];
    assert_eq!(outcomes(&near, rules), ["fail", "fail", "warn", "warn"]);
    let keys = finding(&near, "kernel/keyrings");
    assert!(keys["says"].as_str().unwrap().starts_with("uid 1000 has 196 of 200 keys"), "{keys:#}");
    // What is enough already is not set again.
    assert!(!keys["fix"].to_string().contains("root_maxkeys"), "{keys:#}");
}

#[test]
fn a_node_that_was_upgraded_in_place_keeps_old_cures() {
    let node = report("node-upgraded", &[]);
    let rules =
        ["ipvs/conn-reuse-mode", "bridge/nf-call", "keepalive/retries2", "route/ipv6-cache", "device/rx-missed"];
    assert_eq!(outcomes(&node, rules), ["warn", "warn", "warn", "not-applicable", "pass"]);
    let bridge = finding(&node, "bridge/nf-call")["fix"].to_string();
    assert!(bridge.contains("br_netfilter"), "{bridge}");
}

#[test]
fn what_depends_on_the_kernel_or_on_a_use_is_unknown_of_a_dump() {
    let dump = |text: &str| {
        let file = scratch("dump-of-limits").join("sysctl.txt");
        fs::write(&file, text).unwrap();
        json(&["--sysctl", file.to_str().unwrap()])
    };
    let rules = ["ipvs/conn-reuse-mode", "route/ipv6-cache", "kernel/keyrings"];
    let lines = "net.ipv4.vs.conn_reuse_mode = 0\nnet.ipv6.route.max_size = 4096\nkernel.keys.maxkeys = 200\n";
    assert_eq!(outcomes(&dump(lines), rules), ["unknown"; 3]);
    let named = dump(&format!("{lines}kernel.osrelease = 6.12.1\n"));
    assert_eq!(outcomes(&named, rules), ["warn", "not-applicable", "unknown"]);
}

/// What proves the changes of a finding.
fn proofs(finding: &Value) -> Vec<&str> {
    finding["fix"].as_array().unwrap().iter().map(|action| action["prove"].as_str().unwrap()).collect()
}

#[test]
fn a_proof_names_the_group_that_was_read() {
    let pod = report("19-pids-pod", &[]);
    let pids = finding(&pod, "cgroup/pids");
    assert_eq!(pids["outcome"], "fail");
    let folder = "/sys/fs/cgroup/pids";
    assert_eq!(proofs(pids)[0], format!("cat {folder}/pids.current {folder}/pids.max {folder}/pids.events"));
    assert!(pids.to_string().contains("podPidsLimit") && pids.to_string().contains("pids_limit"), "{pids:#}");
    let host = report("19-pids-host", &[]);
    let folder = "/sys/fs/cgroup/system.slice/record.service";
    let expected = format!("cat {folder}/pids.current {folder}/pids.max {folder}/pids.events");
    assert_eq!(proofs(finding(&host, "cgroup/pids"))[0], expected);
}

#[test]
fn an_old_kernel_throttles_below_the_quota_too() {
    let report = report("29-throttled", &[]);
    let throttled = finding(&report, "cgroup/cpu-throttled");
    let says = throttled["says"].as_str().unwrap();
    assert!(says.contains("throttled in 32 % of its periods") && says.contains("before 5.4"), "{says}");
    assert!(proofs(throttled)[0].starts_with("cat /sys/fs/cgroup/cpu/cpu.stat "), "{throttled:#}");
}

#[test]
fn pages_are_those_of_the_machine() {
    let tree = scratch("large-pages");
    let files = [
        (
            "sos_commands/kernel/sysctl_-a",
            "kernel.osrelease = 4.18.0-553.el8_10.ppc64le\nnet.core.somaxconn = 65535\nnet.ipv4.tcp_max_orphans = 65536\n\
             net.ipv4.neigh.default.gc_thresh3 = 1024\nnet.ipv4.tcp_mem = 12285\t16384\t24570\n",
        ),
        ("proc/meminfo", "MemTotal:       16777216 kB\nMemAvailable:   15000000 kB\n"),
        ("proc/net/sockstat", "sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 15000\n"),
    ];
    for (name, content) in files {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let report = json(&["--root", tree.to_str().unwrap()]);
    let size = finding(&report, "memory/tcp-mem-size");
    assert_eq!((&size["outcome"], &size["now"]), (&"pass".into(), &(24_570_i64 * 65_536).into()));
    assert_eq!(finding(&report, "memory/tcp-mem")["outcome"], "warn");
}

/// What is said of a sysctl by a rule of boot files.
fn boot_line<'a>(report: &'a Value, rule: &str, sysctl: &str) -> &'a str {
    let named = |finding: &&Value| finding["rule"] == rule && finding["subject"] == sysctl;
    let found = report["findings"].as_array().unwrap().iter().find(named);
    found.unwrap_or_else(|| panic!("{rule} {sysctl}: {report:#}"))["says"].as_str().unwrap()
}

#[test]
fn lines_that_set_nothing_are_named_with_what_mends_them() {
    let report = report("23-lines-that-set-nothing", &[]);
    for (sysctl, why) in [
        ("net.ipv4.ip_conntrack_max", "it is called net.netfilter.nf_conntrack_max now"),
        ("net.bridge.bridge-nf-call-iptables", "the module br_netfilter, which brings it, is not loaded"),
    ] {
        let says = boot_line(&report, "boot/ineffective", sysctl);
        assert!(says.contains(why) && says.contains("/etc/sysctl.d/pool.conf:"), "{says}");
    }
    // It has a rule of its own, and one line is told once.
    assert_eq!(outcomes(&report, ["time-wait/tw-recycle"]), ["warn"]);
    let ineffective = report["findings"].as_array().unwrap().iter().filter(|one| one["rule"] == "boot/ineffective");
    let of_recycle: Vec<&Value> = ineffective.filter(|one| one["subject"] == "net.ipv4.tcp_tw_recycle").collect();
    assert!(of_recycle.iter().all(|one| one["outcome"] == "not-applicable"), "{of_recycle:#?}");
}

#[test]
fn a_value_that_kube_proxy_may_have_written_is_not_called_what_the_module_starts_with() {
    const BY_MODULE: &str = "262144 is what it starts with";
    const TABLE: &str = "net.netfilter.nf_conntrack_max";
    for (name, by_module) in [
        ("01-aks-overwritten", false),
        ("28-lost-queries", false),
        ("13-alias-too-late", true),
        ("13-usual-name", true),
    ] {
        let report = report(name, &[]);
        let says = boot_line(&report, "boot/drift", TABLE);
        assert_eq!(says.contains(BY_MODULE), by_module, "{name}: {says}");
        assert_eq!(says.contains("kube-proxy w"), !by_module, "{name}: {says}");
    }
}

#[test]
fn a_container_that_is_cut_to_the_old_default_is_given_more_where_it_is_started() {
    let report = report("31-somaxconn", &[]);
    let cut = finding(&report, "listen/somaxconn");
    assert_eq!((&cut["outcome"], &cut["now"]), (&"fail".into(), &128.into()));
    assert!(cut["fix"].to_string().contains("--sysctl net.core.somaxconn=65535"), "{cut:#}");
}

#[test]
fn a_node_shows_in_the_list_of_processes_and_nothing_else_is_said_of_it() {
    let tree = scratch("node-by-its-processes");
    let list = "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND\n\
                root 1143 2.5 1.5 1451600 128948 ? Ssl 02:19 0:54 /usr/bin/kubelet --v=3\n";
    fs::write(tree.join("ps"), list).unwrap();
    fs::create_dir_all(tree.join("sos_commands/kernel")).unwrap();
    fs::write(tree.join("sos_commands/kernel/sysctl_-a"), "net.core.somaxconn = 4096\nnet.core.rmem_max = 212992\n")
        .unwrap();
    let report = json(&["--root", tree.to_str().unwrap()]);
    let because = report["place"]["because"].to_string();
    assert!(because.contains("a kubelet is in the list of processes") && !because.contains("/var/lib"), "{because}");
}

/// Why a sysctl differs from its boot line.
fn cause<'a>(report: &'a Value, sysctl: &str) -> &'a str {
    boot_line(report, "boot/drift", sysctl).split_once("Why: ").unwrap().1
}

#[test]
fn what_kube_proxy_works_out_is_not_taken_for_what_the_module_starts_with() {
    let node = report("node-tuned-by-handbook", &[]);
    let why = cause(&node, "net.netfilter.nf_conntrack_max");
    assert!(why.contains("kube-proxy wrote"), "{why}");
    let why = cause(&node, "vm.overcommit_memory");
    assert!(why.starts_with("the kubelet writes it when it starts"), "{why}");
}

#[test]
fn tuned_applies_no_line_outside_of_etc_again() {
    let guest = report("tuned-over-usr-lib", &[]);
    let why = cause(&guest, "vm.swappiness");
    assert!(why.starts_with("TuneD's profile sets 30 (/usr/lib/tuned/virtual-guest/tuned.conf:2)"), "{why}");
    let somaxconn = finding(&guest, "listen/somaxconn");
    let owner = somaxconn["owner"].as_str().unwrap();
    assert!(owner.starts_with("TuneD: /usr/lib/tuned/virtual-guest/tuned.conf:3 sets 2048"), "{owner}");
    // A file in /etc wins over both.
    assert!(somaxconn["fix"].to_string().contains("/etc/sysctl.d/zz-tunecheck.conf"), "{somaxconn:#}");
}

#[test]
fn the_filter_on_a_pods_interface_is_told_with_the_pattern_that_systemd_applied() {
    let node = report("12-reverse-path", &[]);
    let filter = finding(&node, "route/cilium-filter");
    assert_eq!((filter["outcome"].as_str(), filter["now"].as_u64()), (Some("warn"), Some(1)), "{filter:#}");
    let says = filter["says"].as_str().unwrap();
    // The pattern does not mean what is off on purpose, and -net.ipv4.conf.all.rp_filter keeps it off that.
    let line = "2 on eth0, lxc4d36398ebb25, by net.ipv4.conf.*.rp_filter, from /usr/lib/sysctl.d/50-default.conf:3";
    assert!(says.contains(&format!("in force: {line}.")), "{says}");
}
