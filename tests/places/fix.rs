//! `tunecheck fix --to script`, applied for real: in network namespaces, and with files of its own in place of the
//! machine's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{MOUNTS, NETWORK, Need, Place, Scene, done, program, script};
use crate::namespaces::{loopback_up, report};
use crate::report::{Report, Run};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "dash_mends_a_network_namespace_and_gives_it_back",
        needs: &[Need::Root, Need::Machine, Need::Program("ip"), Need::Program("dash")],
        own: NETWORK,
        trial: |scene| mended_and_given_back(scene, || program("dash")),
    },
    Place {
        name: "bash_mends_a_network_namespace_and_gives_it_back",
        needs: &[Need::Root, Need::Machine, Need::Program("ip"), Need::Program("bash")],
        own: NETWORK,
        trial: |scene| mended_and_given_back(scene, || program("bash")),
    },
    Place {
        name: "busybox_without_sysctl_mends_a_network_namespace_and_gives_it_back",
        needs: &[Need::Root, Need::Machine, Need::Program("ip"), Need::Program("busybox")],
        own: NETWORK,
        trial: |scene| {
            let applets = busybox_without_sysctl(scene);
            mended_and_given_back(scene, || {
                let mut shell = Command::new(applets.join("ash"));
                shell.env("PATH", &applets);
                shell
            });
        },
    },
    Place {
        name: "a_script_never_lowers_what_was_raised_since_it_was_made",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: never_lowers_what_was_raised_since,
    },
    Place {
        name: "a_script_stops_at_the_first_refusal_and_says_what_was_done",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: stops_at_the_first_refusal,
    },
    Place {
        name: "undo_leaves_alone_what_somebody_changed_since",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: undo_leaves_alone_what_somebody_changed_since,
    },
    Place {
        name: "undo_goes_back_to_what_was_there_before_the_last_change",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: undo_goes_back_to_what_was_there_before_the_last_change,
    },
    Place {
        name: "a_script_that_was_made_again_does_not_hide_what_the_first_one_changed",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: made_again,
    },
    Place {
        name: "undo_leaves_what_another_plan_relies_on",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: undo_leaves_what_another_plan_relies_on,
    },
    Place {
        name: "a_boot_that_took_the_values_back_is_no_change_by_somebody",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: a_boot_that_took_the_values_back,
    },
    Place {
        name: "undo_leaves_fs_nr_open_while_a_limit_lies_above_it",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: undo_leaves_nr_open_while_a_limit_lies_above_it,
    },
    Place {
        name: "a_link_in_place_of_our_file_is_not_written_over",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: a_link_is_not_written_over,
    },
    Place {
        name: "a_later_namespace_of_the_same_number_is_another_one",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: a_later_namespace_of_the_same_number,
    },
    Place {
        name: "a_list_longer_than_a_buffer_keeps_every_entry_in_bash",
        needs: &[Need::Root, Need::Machine, Need::Program("bash")],
        own: NETWORK,
        trial: |scene| a_long_list(scene, || program("bash")),
    },
    Place {
        name: "a_list_longer_than_a_buffer_keeps_every_entry_in_busybox",
        needs: &[Need::Root, Need::Machine, Need::Program("busybox")],
        own: NETWORK,
        trial: |scene| {
            let applets = busybox_without_sysctl(scene);
            a_long_list(scene, || {
                let mut shell = Command::new(applets.join("ash"));
                shell.env("PATH", &applets);
                shell
            });
        },
    },
    Place {
        name: "undo_leaves_what_somebody_set_where_the_kernel_had_refused",
        needs: &[Need::Root, Need::Machine],
        own: NETWORK,
        trial: undo_leaves_what_somebody_set_where_the_kernel_had_refused,
    },
    Place {
        name: "a_reader_that_goes_away_stops_no_change_half_way",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: a_reader_that_goes_away,
    },
    Place {
        name: "two_runs_of_a_script_do_not_meet",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: two_runs_do_not_meet,
    },
    Place {
        name: "of_several_runs_at_once_the_others_are_told_and_change_nothing",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: several_runs_at_once,
    },
    Place {
        name: "a_state_that_somebody_else_could_have_written_is_refused",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: a_forged_state_is_refused,
    },
    Place {
        name: "a_script_that_cannot_tell_what_it_did_or_may_not_do_it_fails",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: a_script_that_cannot_tell_or_act,
    },
    Place {
        name: "a_full_disk_stops_apply_before_the_first_change",
        needs: &[Need::Root, Need::Machine, Need::Minutes(3)],
        own: MOUNTS,
        trial: a_full_disk_stops_apply,
    },
    Place {
        name: "a_folder_that_cannot_be_written_stops_apply_before_the_first_change",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: a_folder_that_cannot_be_written,
    },
    Place {
        name: "what_somebody_changed_since_can_be_left_for_good",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: left_for_good,
    },
    Place {
        name: "a_script_for_the_host_does_nothing_in_another_network_namespace",
        needs: &[Need::Root, Need::Machine],
        own: NETWORK,
        trial: does_nothing_in_another_network_namespace,
    },
    Place {
        name: "persist_writes_files_that_undo_takes_away_or_puts_back",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: persist_writes_files_that_undo_takes_away,
    },
    Place {
        name: "what_a_boot_file_gives_already_is_left_to_it",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: what_a_boot_file_gives_already_is_left_to_it,
    },
    Place {
        name: "lists_and_ranges_keep_what_boot_files_give_them",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: lists_and_ranges_keep_what_boot_files_give_them,
    },
    Place {
        name: "without_awk_no_file_is_touched",
        needs: &[Need::Root, Need::Machine, Need::Program("busybox"), Need::Program("dash")],
        own: MOUNTS,
        trial: without_awk_no_file_is_touched,
    },
    Place {
        name: "undo_leaves_a_limit_that_is_in_use",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: undo_leaves_a_limit_that_is_in_use,
    },
    Place {
        name: "shellcheck_has_nothing_to_say_of_any_script",
        needs: &[Need::Program("shellcheck"), Need::Minutes(3)],
        own: &[],
        trial: shellcheck_has_nothing_to_say,
    },
];

/// A load that asks for much of what a network namespace has of its own.
const LOAD: &[&str] = &["--workload", "gateway", "--connections", "40000", "--burst", "5000", "--destinations", "2"];
/// Worse than a kernel's defaults, so that there is something to mend.
const TROUBLE: &[(&str, &str)] = &[
    ("net/core/somaxconn", "128"),
    ("net/ipv4/tcp_max_syn_backlog", "64"),
    ("net/ipv4/tcp_syncookies", "0"),
    ("net/ipv4/tcp_abort_on_overflow", "1"),
    ("net/ipv4/tcp_timestamps", "0"),
    ("net/ipv4/tcp_fin_timeout", "2"),
    ("net/ipv4/ip_local_port_range", "50000 51000"),
    ("net/ipv4/ip_local_reserved_ports", "50500-50510"),
];

fn set(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{name}"), value).unwrap_or_else(|error| panic!("{name} = {value}: {error}"));
}

fn get(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/{name}")).unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A namespace in trouble, with a listener on a port that clients could take. It listens until it is dropped.
fn trouble() -> TcpListener {
    loopback_up();
    TROUBLE.iter().for_each(|(name, value)| set(name, value));
    TcpListener::bind("127.0.0.1:20000").unwrap()
}

/// Every sysctl of the network, but for counters and what changes by itself.
fn dump() -> BTreeMap<PathBuf, String> {
    let restless = ["nf_conntrack_count", "random", "uuid"];
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::from("/proc/sys/net")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path)
                && !restless.iter().any(|name| path.to_string_lossy().contains(name))
            {
                found.insert(path, text);
            }
        }
    }
    assert!(found.len() > 200, "{} sysctls", found.len());
    found
}

/// The script for what is wrong here.
fn made(scene: &Scene, arguments: &[&str]) -> PathBuf {
    let mut fix = scene.tunecheck();
    fix.args(["fix", "--to", "script"]).args(arguments);
    let run = Run::of(fix);
    assert_eq!(run.code, Some(0), "{run:?}");
    let path = scene.folder.join("fix.sh");
    fs::write(&path, run.stdout).unwrap();
    path
}

/// Runs a script with a state of its own.
fn ran(scene: &Scene, mut shell: Command, arguments: &[&str]) -> Run {
    shell.arg(scene.folder.join("fix.sh")).args(arguments).env("TUNECHECK_STATE", scene.folder.join("state"));
    Run::of(shell)
}

fn sh(scene: &Scene, arguments: &[&str]) -> Run {
    ran(scene, program("sh"), arguments)
}

fn urgent(report: &Report) -> BTreeSet<String> {
    let urgent = report.findings().filter(|finding| finding["outcome"] == "warn" || finding["outcome"] == "fail");
    urgent.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

fn busybox_without_sysctl(scene: &Scene) -> PathBuf {
    let folder = scene.folder.join("applets");
    fs::create_dir(&folder).unwrap();
    let listed = done(script("busybox --list", &[]));
    let busybox = done(script("command -v busybox", &[]));
    for applet in listed.lines().filter(|applet| !["sysctl", "busybox"].contains(applet)) {
        symlink(busybox.trim(), folder.join(applet)).unwrap();
    }
    folder
}

fn mended_and_given_back(scene: &Scene, shell: impl Fn() -> Command) {
    let _listener = trouble();
    // Outside the range it can only be a server, inside it may be a client.
    let _servers = [20053, 50900].map(|port| UdpSocket::bind(("127.0.0.1", port)).unwrap());
    let before = dump();
    let wrong = urgent(&report(scene.tunecheck(), LOAD));
    let mends = [
        "listen/somaxconn",
        "listen/syncookies",
        "listen/syn-backlog",
        "listen/abort-on-overflow",
        "time-wait/timestamps",
        "time-wait/fin-timeout",
        "ports/range",
    ];
    for rule in mends {
        assert!(wrong.contains(rule), "{rule} is not wrong: {wrong:?}");
    }
    let path = made(scene, LOAD);
    let run = |arguments: &[&str]| ran(scene, shell(), arguments);

    let plan = run(&[]);
    assert!(plan.code == Some(0) && plan.stdout.contains("128 -> 65535"), "{plan:?}");
    assert_eq!(run(&["check"]).code, Some(1));
    assert_eq!(dump(), before, "plan and check change nothing");

    let applied = run(&["apply"]);
    assert!(applied.code == Some(0) && applied.stderr.is_empty(), "{applied:?}\n{}", applied.stdout);
    assert_eq!(run(&["check"]).code, Some(0));
    let left = urgent(&report(scene.tunecheck(), LOAD));
    assert_eq!(left.iter().filter(|rule| mends.contains(&rule.as_str())).collect::<Vec<_>>(), [""; 0]);
    let reserved = get("net/ipv4/ip_local_reserved_ports");
    assert_eq!(reserved, "20000,20053,50500-50510", "a list keeps its entries and gains the listeners");
    let after = dump();
    assert_ne!(after, before);

    let again = run(&["apply"]);
    assert!(again.code == Some(0) && !again.stdout.contains("changed"), "{again:?}");
    assert_eq!(dump(), after, "a second time changes nothing");

    let undone = run(&["undo"]);
    assert_eq!((undone.code, undone.stderr.as_str()), (Some(0), ""), "{}", undone.stdout);
    assert_eq!(dump(), before, "every value is as it was");
    assert!(!scene.folder.join("state").exists(), "nothing is left to remember");
    let nothing = run(&["undo"]);
    assert!(nothing.code == Some(0) && nothing.stdout.contains("nothing to undo"), "{nothing:?}");
    assert!(path.exists());
}

fn never_lowers_what_was_raised_since(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    set("net/core/somaxconn", "1000000");
    set("net/ipv4/ip_local_port_range", "5000 60000");
    set("net/ipv4/ip_local_reserved_ports", "6000,20000,50500-50510");
    let applied = sh(scene, &["apply"]);
    assert_eq!(applied.code, Some(0), "{}", applied.stdout);
    assert_eq!(get("net/core/somaxconn"), "1000000");
    assert_eq!(get("net/ipv4/ip_local_port_range"), "5000 65535", "each end on its own");
    assert_eq!(get("net/ipv4/ip_local_reserved_ports"), "6000,20000,50500-50510");
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
    assert_eq!(get("net/core/somaxconn"), "1000000");
    assert_eq!(get("net/ipv4/ip_local_port_range"), "5000 60000");
}

fn stops_at_the_first_refusal(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    // The kernel takes no range that begins below it.
    set("net/ipv4/ip_unprivileged_port_start", "20001");
    let applied = sh(scene, &["apply"]);
    assert_eq!(applied.code, Some(1), "{applied:?}");
    assert!(applied.stderr.contains("ip_local_port_range: the kernel did not take"), "{}", applied.stderr);
    assert!(applied.stderr.contains("Stopped after 1 change(s)"), "{}", applied.stderr);
    assert_eq!(get("net/core/somaxconn"), "128", "what came later was not begun");
    assert_eq!(get("net/ipv4/ip_local_reserved_ports"), "20000,50500-50510");
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
    assert_eq!(get("net/ipv4/ip_local_reserved_ports"), "50500-50510");
}

fn undo_leaves_alone_what_somebody_changed_since(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    set("net/core/somaxconn", "70000");
    let undone = sh(scene, &["undo"]);
    assert_eq!(undone.code, Some(1));
    assert!(undone.stdout.contains("net.core.somaxconn = 70000: somebody changed it since"), "{}", undone.stdout);
    assert_eq!(get("net/core/somaxconn"), "70000");
    assert_eq!(get("net/ipv4/tcp_syncookies"), "0", "the rest is taken back");
}

fn undo_goes_back_to_what_was_there_before_the_last_change(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    // As after a boot without the files, on a machine that somebody tuned meanwhile.
    set("net/core/somaxconn", "16384");
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    assert_eq!(get("net/core/somaxconn"), "65535");
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
    assert_eq!(get("net/core/somaxconn"), "16384");
    assert_eq!(get("net/ipv4/tcp_syncookies"), "0");
}

fn made_again(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    set("net/core/somaxconn", "130");
    made(scene, LOAD);
    let undone = sh(scene, &["undo"]);
    assert_eq!(undone.code, Some(1), "{}", undone.stdout);
    let kept = undone.stdout.lines().find_map(|line| line.strip_prefix("Another plan is in force here: sh "));
    let kept = kept.unwrap_or_else(|| panic!("{}", undone.stdout)).split(' ').next().unwrap();
    let mut first = program("sh");
    first.args([kept, "undo"]).env("TUNECHECK_STATE", scene.folder.join("state"));
    let undone = Run::of(first);
    assert!(undone.code == Some(1) && undone.stdout.contains("somaxconn = 130: somebody changed it"), "{undone:?}");
    assert_eq!(get("net/ipv4/tcp_syncookies"), "0", "the first script took the rest back");
}

fn undo_leaves_what_another_plan_relies_on(scene: &Scene) {
    let _listener = trouble();
    let path = made(scene, LOAD);
    let first = scene.folder.join("first.sh");
    fs::copy(&path, &first).unwrap();
    made(scene, &["--burst", "5000"]);
    let run = |script: &Path, verb: &str| {
        let mut shell = program("sh");
        shell.arg(script).arg(verb).env("TUNECHECK_STATE", scene.folder.join("state"));
        Run::of(shell)
    };
    assert_eq!(run(&first, "apply").code, Some(0));
    assert_eq!(run(&path, "apply").code, Some(0));
    let undone = run(&first, "undo");
    assert_eq!(undone.code, Some(1));
    assert!(undone.stdout.contains("net.core.somaxconn = 65535: another plan relies on it"), "{}", undone.stdout);
    assert_eq!(run(&path, "check").code, Some(0), "the second plan lost nothing");
    let undone = run(&path, "undo");
    assert!(undone.code == Some(0) && undone.stdout.contains("Another plan is in force here"), "{}", undone.stdout);
    assert_eq!(run(&first, "undo").code, Some(0));
    assert_eq!((get("net/core/somaxconn"), get("net/ipv4/tcp_syncookies")), ("128".to_owned(), "0".to_owned()));

    // Each found a value of the other good: whoever is taken back first relies on nothing any more.
    assert_eq!(run(&first, "apply").code, Some(0));
    set("net/ipv4/tcp_syncookies", "0");
    assert_eq!(run(&path, "apply").code, Some(0));
    assert_eq!(run(&first, "apply").code, Some(0));
    assert!(run(&path, "undo").stdout.contains("another plan relies on it"));
    assert_eq!(run(&path, "apply").code, Some(0));
    assert_eq!(run(&first, "undo").code, Some(1));
    assert_eq!(run(&path, "undo").code, Some(0));
    assert_eq!(run(&first, "undo").code, Some(0));
    assert_eq!((get("net/core/somaxconn"), get("net/ipv4/tcp_syncookies")), ("128".to_owned(), "0".to_owned()));
    assert!(!scene.folder.join("state").exists());
}

/// Two buffers of what cat, printf and a page hold.
fn a_long_list(scene: &Scene, shell: impl Fn() -> Command) {
    let _listener = trouble();
    let list: Vec<String> = (0..2000).map(|n| (20_001 + 2 * n).to_string()).collect();
    let list = list.join(",");
    // In one write, which the kernel takes in pieces that end between two numbers.
    done(script(
        &format!("dd of=/proc/sys/net/ipv4/ip_local_reserved_ports bs=262144 2>/dev/null <<L\n{list}\nL"),
        &[],
    ));
    let held = || done(script("dd if=/proc/sys/net/ipv4/ip_local_reserved_ports bs=262144 count=1 2>/dev/null", &[]));
    assert_eq!(held().trim(), list);
    made(scene, LOAD);
    let applied = ran(scene, shell(), &["apply"]);
    assert!(applied.code == Some(0) && applied.stderr.is_empty(), "{applied:?}");
    // The listener's port joins the range that begins beside it.
    assert_eq!(held().trim(), format!("20000-{list}"));
    assert_eq!(ran(scene, shell(), &["undo"]).code, Some(0));
    assert_eq!(held().trim(), list);
}

fn undo_leaves_what_somebody_set_where_the_kernel_had_refused(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    set("net/ipv4/ip_unprivileged_port_start", "20001");
    assert_eq!(sh(scene, &["apply"]).code, Some(1), "the range is refused");
    set("net/ipv4/ip_unprivileged_port_start", "1024");
    set("net/ipv4/ip_local_port_range", "40000 50001");
    let undone = sh(scene, &["undo"]);
    assert_eq!(undone.code, Some(0), "{}", undone.stdout);
    assert_eq!(get("net/ipv4/ip_local_port_range"), "40000 50001");
}

/// The kernel gives the number of a namespace to a later one. When it does so is not for a trial to say, since others on
/// the machine make namespaces too: a stand-in gives the second namespace the number of the first.
fn a_later_namespace_of_the_same_number(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    let text = "name=$(basename \"$3\")
        mkdir \"$3\"
        ip netns add $name-1
        number=$(ip netns exec $name-1 readlink /proc/self/ns/net)
        ip netns exec $name-1 sh -c 'echo 128 >/proc/sys/net/core/somaxconn; sh \"$1\" apply >&2' sh \"$1\"
        printf '#!/bin/sh\\n[ \"$*\" = /proc/self/ns/net ] || exec %s \"$@\"\\necho %s\\n' \
            \"$(command -v readlink)\" \"$number\" >\"$3/readlink\"
        chmod +x \"$3/readlink\"
        ip netns add $name-2
        ip netns del $name-1
        PATH=$3:$PATH ip netns exec $name-2 sh -c 'readlink /proc/self/ns/net; echo 65535 >/proc/sys/net/core/somaxconn
            sh \"$1\" undo >&2; cat /proc/sys/net/core/somaxconn; ls \"$2\"' sh \"$1\" \"$2\"
        ip netns del $name-2
        echo \"$number\"";
    let name = scene.folder.join(format!("tc{}", std::process::id()));
    let mut shell = script(text, &[&scene.folder.join("fix.sh"), &scene.folder.join("state"), &name]);
    shell.env("TUNECHECK_STATE", scene.folder.join("state"));
    let said = done(shell);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.first(), lines.last(), "another number proves nothing");
    assert_eq!(lines[1], "65535", "what the second one was given is its own");
    let number = lines[0].trim_start_matches("net:[").trim_end_matches(']');
    assert!(lines[2..].iter().any(|file| file.contains(number)), "what the first one was is still there: {said}");
}

fn a_reader_that_goes_away(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    let piped = |verb: &str| {
        let state = scene.folder.join("state");
        let text = format!("TUNECHECK_STATE=$2 sh \"$1\" {verb} | true; sleep 1");
        done(script(&text, &[&scene.folder.join("fix.sh"), &state]));
    };
    piped("apply");
    assert_eq!(sh(scene, &["check"]).code, Some(0), "every change was made");
    piped("undo");
    assert_eq!((get("net/core/somaxconn"), get("net/ipv4/tcp_syncookies")), ("128".to_owned(), "0".to_owned()));
}

fn two_runs_do_not_meet(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    let state = scene.folder.join("state");
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    let lock = |began: &str| {
        let name = format!("lock.{}.{began}.{}", std::process::id(), get("kernel/random/boot_id"));
        fs::write(state.join(&name), "").unwrap();
        state.join(name)
    };
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let held = lock(stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap());
    for verb in ["apply", "undo"] {
        let run = sh(scene, &[verb]);
        let process = format!("another run is at work here (process {})", std::process::id());
        assert!(run.code == Some(1) && run.stderr.contains(&process), "{run:?}");
    }
    fs::remove_file(held).unwrap();
    // A run that was killed leaves its lock, and nobody has to take it away, whoever has its number now.
    lock("1");
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
    assert!(!state.exists());
}

fn several_runs_at_once(scene: &Scene) {
    let _listener = trouble();
    let before = dump();
    made(scene, LOAD);
    for _ in 0..3 {
        let started: Vec<_> = (0..4)
            .map(|_| {
                let mut shell = program("sh");
                shell.arg(scene.folder.join("fix.sh")).arg("apply").env("TUNECHECK_STATE", scene.folder.join("state"));
                shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for child in started {
            let ended = child.wait_with_output().unwrap();
            let (said, told) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
            match ended.status.code() {
                Some(0) => assert_eq!(told, "", "{said}"),
                _ => assert!(
                    told.contains("another run is at work here") && !said.contains("changed "),
                    "{:?} {said}{told}",
                    ended.status
                ),
            }
        }
        assert_eq!(sh(scene, &["undo"]).code, Some(0));
        assert_eq!(dump(), before);
        assert!(!scene.folder.join("state").exists());
    }
}

fn a_forged_state_is_refused(scene: &Scene) {
    stand_ins(scene);
    let script = fs::read_to_string(made(scene, &["--waive", "boot/drift"])).unwrap();
    let id = script.lines().find_map(|line| line.strip_prefix("id=")).unwrap();
    let state = scene.folder.join("state");
    let evil = scene.folder.join("evil");
    fs::write(&evil, "kernel.core_pattern = |/tmp/evil\n").unwrap();
    let ours = "/etc/sysctl.d/90-tunecheck.conf";
    let forged = |copy: &Path, file: &str| format!("boot|x|\nfile|{file}|{}\n", copy.display());
    let refused = |says: &str| {
        for verb in ["apply", "undo"] {
            let run = sh(scene, &[verb]);
            assert!(run.code == Some(1) && run.stderr.contains(says), "{verb}: {run:?}");
            assert!(run.stderr.contains("TUNECHECK_STATE"), "the next step: {run:?}");
            assert!(get("net/core/somaxconn") == "128" && !Path::new(ours).exists(), "{verb}");
        }
    };
    let nobody = |path: &Path| std::os::unix::fs::lchown(path, Some(65534), Some(65534)).unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();

    fs::create_dir(&state).unwrap();
    mode(&state, 0o700);
    fs::write(state.join(id), forged(&evil, ours)).unwrap();
    nobody(&state);
    refused("belongs to user 65534");
    std::os::unix::fs::lchown(&state, Some(0), Some(0)).unwrap();
    mode(&state, 0o755);
    refused("its mode is drwxr-xr-x");
    mode(&state, 0o700);
    // In a folder of somebody's, or in one where anybody may put another in its place.
    nobody(&scene.folder);
    refused("belongs to user 65534");
    std::os::unix::fs::lchown(&scene.folder, Some(0), Some(0)).unwrap();
    mode(&scene.folder, 0o777);
    refused("others can write to");
    mode(&scene.folder, 0o755);
    let real = scene.folder.join("real");
    fs::rename(&state, &real).unwrap();
    symlink(&real, &state).unwrap();
    refused("is a link");
    fs::remove_file(&state).unwrap();
    fs::rename(&real, &state).unwrap();
    // Whoever gets into the folder all the same makes undo write nowhere else, and nothing else.
    let inside = state.join(format!("{id}.copy.1"));
    fs::copy(&evil, &inside).unwrap();
    for text in [forged(&evil, ours), forged(&inside, "/etc/profile.d/evil.sh"), forged(&inside, "/etc/cron.d/evil")] {
        fs::write(state.join(id), text).unwrap();
        let run = sh(scene, &["undo"]);
        assert!(run.code == Some(1) && run.stderr.contains("which no script of this kind writes"), "{run:?}");
        for file in [ours, "/etc/profile.d/evil.sh", "/etc/cron.d/evil"] {
            assert!(!Path::new(file).exists(), "{file}");
        }
    }
}

fn a_script_that_cannot_tell_or_act(scene: &Scene) {
    stand_ins(scene);
    let path = made(scene, &["--waive", "boot/drift"]);
    let theirs = scene.folder.join("theirs");
    fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::lchown(&theirs, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&scene.folder, fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups env TUNECHECK_STATE=\"$2/state\" sh \"$1\" apply";
    let applied = Run::of(script(nobody, &[&path, &theirs]));
    assert!(applied.code == Some(1) && applied.stderr.contains("cannot write /proc/sys/"), "{applied:?}");
    assert!(applied.stderr.contains("be root") && applied.stderr.ends_with("Nothing was changed.\n"), "{applied:?}");
    let checked = Run::of(script(&nobody.replace("apply", "check"), &[&path, &theirs]));
    assert!(!checked.stdout.contains("not finished"), "{checked:?}");

    let state = scene.folder.join("state");
    let told = |rest: &str| Run::of(script(&format!("TUNECHECK_STATE=\"$2\" sh \"$1\" {rest}"), &[&path, &state]));
    for (rest, says) in [("plan >/dev/full", "full? 0 change(s)"), ("apply >/dev/full", "full? 2 change(s)")] {
        let run = told(rest);
        assert!(run.code == Some(1) && run.stderr.contains(says), "{rest}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "no raw error: {run:?}");
    }
    assert_ne!(get("net/core/somaxconn"), "128");
    // A reader that left, and a closed output, want to be told nothing.
    for rest in ["undo >&-", "apply | true", "undo"] {
        let run = told(rest);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{rest}");
    }
    assert_eq!(get("net/core/somaxconn"), "128");
}

fn a_full_disk_stops_apply(scene: &Scene) {
    stand_ins(scene);
    made(scene, &["--waive", "boot/drift"]);
    let disk = scene.folder.join("disk");
    fs::create_dir(&disk).unwrap();
    let run = |verb: &[&str]| {
        let mut shell = program("sh");
        shell.arg(scene.folder.join("fix.sh")).args(verb).env("TUNECHECK_STATE", disk.join("state"));
        Run::of(shell)
    };
    let mut refused = 0;
    for pages in (4..64).step_by(6) {
        done(script(&format!("mount -t tmpfs -o mode=755,size={}k none \"$1\"", pages * 4), &[&disk]));
        let applied = run(&["apply", "--persist"]);
        if applied.code == Some(0) {
            assert_eq!((run(&["check"]).code, applied.stderr.as_str()), (Some(0), ""), "{pages} pages");
            // Taking back needs no room.
            done(script("dd if=/dev/zero of=\"$1/full\" bs=4096 2>/dev/null || true", &[&disk]));
            let undone = run(&["undo"]);
            assert!(undone.code == Some(0) && undone.stderr.is_empty(), "{pages} pages: {undone:?}");
        } else {
            refused += 1;
            assert!(applied.stderr.contains("is the disk full?"), "{pages} pages: {applied:?}");
            assert!(applied.stderr.ends_with("Nothing was changed.\n"), "{pages} pages: {applied:?}");
            assert_eq!(applied.stderr.lines().count(), 2, "no raw error: {applied:?}");
        }
        assert_eq!((get("net/core/somaxconn"), get("net/ipv4/tcp_syncookies")), ("128".to_owned(), "0".to_owned()));
        assert_eq!(fs::read_dir("/etc/sysctl.d").unwrap().count(), 0);
        assert!(!disk.join("state").exists(), "{pages} pages");
        done(script("umount \"$1\"", &[&disk]));
    }
    assert!((2..10).contains(&refused), "{refused} of 10 were refused");
}

fn a_folder_that_cannot_be_written(scene: &Scene) {
    stand_ins(scene);
    made(scene, &["--waive", "boot/drift"]);
    done(script("mount -o remount,ro /etc/sysctl.d", &[]));
    let applied = sh(scene, &["apply", "--persist"]);
    assert!(applied.code == Some(1) && applied.stderr.contains("cannot write to /etc/sysctl.d"), "{applied:?}");
    assert!(applied.stderr.ends_with("Nothing was changed.\n"), "{applied:?}");
    assert_eq!(get("net/core/somaxconn"), "128");
    assert!(!scene.folder.join("state").exists());
    // Where no file is to be written it is no matter.
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
    let disk = scene.folder.join("disk");
    fs::create_dir(&disk).unwrap();
    done(script("mount -t tmpfs -o mode=755 none \"$1\" && mount -o remount,ro \"$1\"", &[&disk]));
    let mut shell = program("sh");
    shell.arg(scene.folder.join("fix.sh")).arg("apply").env("TUNECHECK_STATE", disk.join("state"));
    let applied = Run::of(shell);
    assert!(applied.code == Some(1) && applied.stderr.contains("cannot make"), "{applied:?}");
    assert_eq!(get("net/core/somaxconn"), "128");
}

fn left_for_good(scene: &Scene) {
    let _listener = trouble();
    made(scene, LOAD);
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    set("net/core/somaxconn", "70000");
    let undone = sh(scene, &["undo"]);
    assert!(undone.code == Some(1) && undone.stdout.contains("sh fix.sh undo --forget"), "{}", undone.stdout);
    let planned = sh(scene, &[]);
    assert!(planned.stdout.contains("note: an undo was not finished here"), "{}", planned.stdout);
    assert_eq!(sh(scene, &["undo", "--forget"]).code, Some(0));
    assert_eq!((get("net/core/somaxconn"), get("net/ipv4/tcp_syncookies")), ("70000".to_owned(), "0".to_owned()));
    assert!(!scene.folder.join("state").exists());
}

fn does_nothing_in_another_network_namespace(scene: &Scene) {
    let mut fix = scene.tunecheck();
    fix.args(["fix", "--to", "script", "--snapshot"]);
    fix.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts/in-trouble"));
    fs::write(scene.folder.join("fix.sh"), Run::of(fix).stdout).unwrap();
    let before = dump();
    for verb in ["plan", "apply", "check", "undo"] {
        let run = sh(scene, &[verb]);
        assert!(run.code == Some(1) && run.stderr.contains("this is for the host's own network namespace"), "{run:?}");
    }
    assert_eq!(dump(), before);
    assert_eq!(sh(scene, &["aply"]).code, Some(2));
}

/// Files in place of sysctls, so that nothing of the machine is changed, and folders of configuration that are empty.
fn stand_ins(scene: &Scene) {
    let fake = scene.folder.join("fake");
    fs::create_dir_all(&fake).unwrap();
    for (name, value) in
        [("net/core/somaxconn", "128\n"), ("net/ipv4/tcp_syncookies", "0\n"), ("fs/nr_open", "1048576\n")]
    {
        let file = fake.join(name.replace('/', "."));
        fs::write(&file, value).unwrap();
        done(script(&format!("mount --bind \"$1\" /proc/sys/{name}"), &[&file]));
    }
    // Those that are written to have to be there: a folder that is made here would stay on the machine.
    let folders = "for d in /etc/sysctl.d /etc/modules-load.d /etc/systemd/system; do mount -t tmpfs none $d; done
        for d in /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d; do
            if [ -d $d ]; then mount -t tmpfs none $d; fi
        done
        [ ! -f /etc/sysctl.conf ] || mount --bind /dev/null /etc/sysctl.conf";
    done(script(folders, &[]));
}

fn persist_writes_files_that_undo_takes_away(scene: &Scene) {
    stand_ins(scene);
    let ours = "/etc/sysctl.d/90-tunecheck.conf";
    fs::write(ours, "net.ipv4.tcp_rfc1337 = 1\n").unwrap();
    let load = ["--burst", "3000", "--connections", "2000000", "--waive", "boot/drift"];
    made(scene, &load);

    // Without --persist no file is touched.
    let applied = sh(scene, &["apply"]);
    assert_eq!(applied.code, Some(0), "{applied:?}{}", applied.stdout);
    assert_eq!(get("net/core/somaxconn"), "65535");
    assert_eq!(fs::read_to_string(ours).unwrap(), "net.ipv4.tcp_rfc1337 = 1\n");

    let kept = sh(scene, &["apply", "--persist"]);
    assert_eq!((kept.code, kept.stderr.as_str()), (Some(0), ""), "{}", kept.stdout);
    let text = fs::read_to_string(ours).unwrap();
    assert!(text.starts_with("net.ipv4.tcp_rfc1337 = 1\n"), "a file keeps its lines: {text}");
    for line in ["net.core.somaxconn = 65535", "net.ipv4.tcp_syncookies = 1", "fs.nr_open = 2000256"] {
        assert!(text.lines().any(|other| other == line), "{line} is not in {text}");
    }
    let again = sh(scene, &["apply", "--persist"]);
    assert!(again.code == Some(0) && !again.stdout.contains("wrote"), "{}", again.stdout);
    assert_eq!(fs::read_to_string(ours).unwrap(), text);

    let undone = sh(scene, &["undo"]);
    assert_eq!(undone.code, Some(0), "{undone:?}{}", undone.stdout);
    assert_eq!(fs::read_to_string(ours).unwrap(), "net.ipv4.tcp_rfc1337 = 1\n");
    assert_eq!((get("net/core/somaxconn"), get("fs/nr_open")), ("128".to_owned(), "1048576".to_owned()));
    assert!(!scene.folder.join("state").exists());

    // A file of its own is taken away, unless somebody wrote into it.
    fs::remove_file(ours).unwrap();
    assert_eq!(sh(scene, &["apply", "--persist"]).code, Some(0));
    assert!(Path::new(ours).exists());
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
    assert!(!Path::new(ours).exists());
    assert_eq!(sh(scene, &["apply", "--persist"]).code, Some(0));
    let text = fs::read_to_string(ours).unwrap();
    fs::write(ours, format!("{text}vm.swappiness = 10\n")).unwrap();
    let left = sh(scene, &["undo"]);
    assert!(left.code == Some(1) && left.stdout.contains("somebody changed it since"), "{}", left.stdout);
    assert!(left.stdout.contains("Take the lines of this plan out"), "{}", left.stdout);
    assert!(scene.folder.join("state").exists());
    // Done as it says, it ends.
    fs::write(ours, "vm.swappiness = 10\n").unwrap();
    let settled = sh(scene, &["undo"]);
    assert!(settled.code == Some(0) && settled.stdout.contains("nothing of this plan is in it"), "{}", settled.stdout);
    assert_eq!(fs::read_to_string(ours).unwrap(), "vm.swappiness = 10\n");
    fs::remove_file(ours).unwrap();
    assert!(!scene.folder.join("state").exists());

    // A file that is read later and says otherwise has the last word: that is no success.
    fs::write("/etc/sysctl.d/zzz.conf", "net/core/somaxconn=512\n").unwrap();
    let overruled = sh(scene, &["apply", "--persist"]);
    assert_eq!(overruled.code, Some(1), "{}", overruled.stdout);
    let says = "NOT KEPT   net.core.somaxconn: /etc/sysctl.d/zzz.conf is read later and sets 512";
    assert!(overruled.stdout.contains(says), "{}", overruled.stdout);
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
    // To systemd a name alone behind a minus takes out what files before it set.
    done(script("mount -t tmpfs none /run && mkdir -p /run/systemd/system", &[]));
    fs::write("/etc/sysctl.d/zzz.conf", "-net/core/somaxconn\n").unwrap();
    let taken_out = sh(scene, &["apply", "--persist"]);
    let says = "NOT KEPT   net.core.somaxconn: /etc/sysctl.d/zzz.conf is read later and takes it out";
    assert!(taken_out.code == Some(1) && taken_out.stdout.contains(says), "{}", taken_out.stdout);
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
}

/// The line about somaxconn in the file that keeps what was changed.
fn kept() -> Option<String> {
    let text = fs::read_to_string("/etc/sysctl.d/90-tunecheck.conf").unwrap_or_default();
    text.lines().rfind(|line| line.starts_with("net.core.somaxconn")).map(str::to_owned)
}

fn what_a_boot_file_gives_already_is_left_to_it(scene: &Scene) {
    stand_ins(scene);
    made(scene, &["--waive", "boot/drift"]);
    let persisted = |file: &str, text: &str| {
        let path = Path::new("/etc/sysctl.d").join(file);
        fs::write(&path, text).unwrap();
        let run = sh(scene, &["apply", "--persist"]);
        assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        let line = kept();
        assert_eq!(sh(scene, &["undo"]).code, Some(0));
        fs::remove_file(&path).unwrap();
        assert_eq!(get("net/core/somaxconn"), "128");
        line
    };
    let ours = Some("net.core.somaxconn = 65535".to_owned());
    for more in ["60-admin.conf", "99-admin.conf"] {
        assert_eq!(persisted(more, "net.core.somaxconn = 131072\n"), None, "{more} sets more: a line would lower it");
    }
    assert_eq!(persisted("60-admin.conf", "net.core.somaxconn = 512\n"), ours);
    assert_eq!(persisted("60-admin.conf", "# net.core.somaxconn = 131072\n"), ours);
    // The kernel takes a number up to the first blank.
    assert_eq!(persisted("60-admin.conf", "/net/core/somaxconn = 131072 # handbook\n"), None);
    assert_eq!(persisted("60-admin.conf", "net.core.somaxconn = 4096 # handbook\n"), ours);
    let own = persisted("90-tunecheck.conf", "net/core/somaxconn=131072\nvm.swappiness = 10\n");
    assert_eq!(own, None, "the file's own higher line stays");
    assert_eq!(persisted("90-tunecheck.conf", "net.core.somaxconn=512\n"), ours, "and a lower one is replaced");
    // A name with a blank is a name, and what nobody can read as a number is no success.
    let refused = |file: &str, text: &str, says: &str| {
        let path = Path::new("/etc/sysctl.d").join(file);
        fs::write(&path, text).unwrap();
        let run = sh(scene, &["apply", "--persist"]);
        assert!(run.code == Some(1) && run.stdout.contains(says), "{}{}", run.stdout, run.stderr);
        assert_eq!(kept(), None);
        assert_eq!(sh(scene, &["undo"]).code, Some(0));
        fs::remove_file(&path).unwrap();
    };
    refused("99 a.conf", "net.core.somaxconn = 1024\n", "/etc/sysctl.d/99 a.conf is read later and sets 1024");
    refused("60-a.conf", "net.core.somaxconn = 4096# handbook\n", "60-a.conf sets \"4096#\"");
    // A link to /dev/null masks the file of that name in another folder.
    fs::write("/usr/lib/sysctl.d/99-vendor.conf", "net.core.somaxconn = 256\n").unwrap();
    symlink("/dev/null", "/etc/sysctl.d/99-vendor.conf").unwrap();
    assert_eq!(persisted("60-admin.conf", ""), ours);
}

fn lists_and_ranges_keep_what_boot_files_give_them(scene: &Scene) {
    stand_ins(scene);
    for (name, value) in [("ip_local_port_range", "32768\t40000\n"), ("ip_local_reserved_ports", "7000\n")] {
        let file = scene.folder.join(name);
        fs::write(&file, value).unwrap();
        done(script(&format!("mount --bind \"$1\" /proc/sys/net/ipv4/{name}"), &[&file]));
    }
    // One that has to be reserved, in the range that the clients take.
    let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
    made(scene, &["--workload", "gateway", "--connections", "30000", "--waive", "boot/drift"]);
    // Written since the script was made.
    let admin = "net.ipv4.ip_local_reserved_ports = 8080,9999\nnet.ipv4.ip_local_port_range = 5000 60999\n";
    fs::write("/etc/sysctl.d/60-admin.conf", admin).unwrap();
    let run = sh(scene, &["apply", "--persist"]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let text = fs::read_to_string("/etc/sysctl.d/90-tunecheck.conf").unwrap();
    let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    assert_eq!(of("net.ipv4.ip_local_port_range = "), "5000 65535", "{text}");
    let list = of("net.ipv4.ip_local_reserved_ports = ");
    for port in ["7000", "8080", "9999"] {
        assert!(list.split(',').any(|held| held == port), "{port} is not in {list}");
    }
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
}

fn without_awk_no_file_is_touched(scene: &Scene) {
    stand_ins(scene);
    made(scene, &["--waive", "boot/drift"]);
    let applets = busybox_without_sysctl(scene);
    fs::remove_file(applets.join("awk")).unwrap();
    let ours = "/etc/sysctl.d/90-tunecheck.conf";
    fs::write(ours, "net.core.rmem_max = 16777216\n").unwrap();
    let mut shell = program("dash");
    shell.env("PATH", &applets);
    let run = ran(scene, shell, &["apply", "--persist"]);
    assert!(run.code == Some(1) && run.stderr.contains("there is no awk here"), "{run:?}");
    assert_eq!((get("net/core/somaxconn"), fs::read_to_string(ours).unwrap().lines().count()), ("128".to_owned(), 1));
}

fn undo_leaves_a_limit_that_is_in_use(scene: &Scene) {
    stand_ins(scene);
    for (name, value) in [("nf_conntrack_max", "1000"), ("nf_conntrack_count", "900"), ("nf_conntrack_buckets", "512")]
    {
        let file = scene.folder.join(name);
        fs::write(&file, format!("{value}\n")).unwrap();
        done(script(&format!("mount --bind \"$1\" /proc/sys/net/netfilter/{name}"), &[&file]));
    }
    made(scene, &["--waive", "boot/drift"]);
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    assert_eq!(get("net/netfilter/nf_conntrack_max"), "262144");
    set("net/netfilter/nf_conntrack_count", "5000");
    let undone = sh(scene, &["undo"]);
    assert_eq!(undone.code, Some(1));
    assert!(undone.stdout.contains("5000 are in use, and it was 1000 before"), "{}", undone.stdout);
    assert_eq!(get("net/netfilter/nf_conntrack_max"), "262144");
    set("net/netfilter/nf_conntrack_count", "500");
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
    assert_eq!(get("net/netfilter/nf_conntrack_max"), "1000");
}

fn a_boot_that_took_the_values_back(scene: &Scene) {
    stand_ins(scene);
    let first = scene.folder.join("first.sh");
    fs::copy(made(scene, &["--waive", "boot/drift"]), &first).unwrap();
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    assert_eq!(get("net/core/somaxconn"), "65535");
    let id = scene.folder.join("boot_id");
    fs::write(&id, "9e0b0c5e-0000-4000-8000-000000000000\n").unwrap();
    done(script("mount --bind \"$1\" /proc/sys/kernel/random/boot_id", &[&id]));
    // As the distribution's own files leave it after a boot: neither the old value nor ours.
    set("net/core/somaxconn", "4096");
    made(scene, &["--waive", "boot/drift", "--burst", "9000"]);
    let other = sh(scene, &["undo"]);
    assert_eq!(other.code, Some(0), "a plan that a boot took back is not in force: {other:?}");
    fs::rename(&first, scene.folder.join("fix.sh")).unwrap();
    let undone = sh(scene, &["undo"]);
    assert_eq!(undone.code, Some(0), "{undone:?} {}", undone.stdout);
    assert!(undone.stdout.contains("somaxconn = 4096: a boot took back what was written"), "{}", undone.stdout);
    assert!(!scene.folder.join("state").exists());

    // Somebody gives the same since the boot: it is in force, and theirs.
    set("net/core/somaxconn", "128");
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    fs::write(&id, "9e0b0c5e-0000-4000-8000-000000000001\n").unwrap();
    let undone = sh(scene, &["undo"]);
    assert_eq!(undone.code, Some(0), "{}", undone.stdout);
    assert!(undone.stdout.contains("somebody else set the same since: it is theirs"), "{}", undone.stdout);
    assert_eq!(get("net/core/somaxconn"), "65535");
}

fn undo_leaves_nr_open_while_a_limit_lies_above_it(scene: &Scene) {
    stand_ins(scene);
    done(script("mount -t tmpfs none /etc/security", &[]));
    fs::create_dir("/etc/security/limits.d").unwrap();
    set("fs/nr_open", "128");
    made(scene, &["--waive", "boot/drift"]);
    assert_eq!(sh(scene, &["apply"]).code, Some(0));
    let raised = get("fs/nr_open");
    assert_ne!(raised, "128");
    // Whoever logs in from now on is given more than anybody had before.
    fs::write("/etc/security/limits.d/90-load.conf", "* hard nofile 1500000000\n").unwrap();
    let undone = sh(scene, &["undo"]);
    assert_eq!(undone.code, Some(1), "{}", undone.stdout);
    assert!(undone.stdout.contains("a process, a unit or a login has a limit of 1500000000"), "{}", undone.stdout);
    assert_eq!((get("fs/nr_open"), get("net/core/somaxconn")), (raised, "128".to_owned()));
    fs::remove_file("/etc/security/limits.d/90-load.conf").unwrap();
    assert_eq!(sh(scene, &["undo"]).code, Some(0), "it is as it was");
    assert_eq!(get("fs/nr_open"), "128");
}

fn a_link_is_not_written_over(scene: &Scene) {
    stand_ins(scene);
    made(scene, &["--waive", "boot/drift"]);
    let (ours, theirs) = ("/etc/sysctl.d/90-tunecheck.conf", "/etc/sysctl.d/site.conf");
    fs::write(theirs, "# of the site\n").unwrap();
    symlink(theirs, ours).unwrap();
    let run = sh(scene, &["apply", "--persist"]);
    assert!(run.code == Some(1) && run.stderr.contains("is a link, and is not written over"), "{run:?}");
    assert_eq!(fs::read_to_string(theirs).unwrap(), "# of the site\n");
    assert!(fs::symlink_metadata(ours).unwrap().is_symlink());
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
    assert_eq!(get("net/core/somaxconn"), "128");
    // One that became a link since stays one.
    fs::remove_file(ours).unwrap();
    assert_eq!(sh(scene, &["apply", "--persist"]).code, Some(0));
    fs::rename(ours, theirs).unwrap();
    symlink(theirs, ours).unwrap();
    let undone = sh(scene, &["undo"]);
    assert!(undone.code == Some(1) && undone.stdout.contains("somebody made it a link"), "{undone:?}");
    assert!(fs::symlink_metadata(ours).unwrap().is_symlink() && Path::new(theirs).exists());
    fs::remove_file(ours).unwrap();
    assert_eq!(sh(scene, &["undo"]).code, Some(0));
}

fn shellcheck_has_nothing_to_say(scene: &Scene) {
    let hosts = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts");
    let mut count = 0;
    for entry in fs::read_dir(hosts).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for more in [["--unit", "gateway"].as_slice(), &["--workload", "client", "--max-safety", "manual"]] {
            let mut fix = scene.tunecheck();
            fix.args(["fix", "--to", "script", "--snapshot"]).arg(&entry).args(more);
            let run = Run::of(fix);
            // In a container there is nothing for a script to do.
            if run.code == Some(2) && run.stderr.contains("nothing of this plan can be written in that form") {
                continue;
            }
            assert_eq!(run.code, Some(0), "{run:?}");
            let path = scene.folder.join("fix.sh");
            fs::write(&path, run.stdout).unwrap();
            let mut check = program("shellcheck");
            check.arg(&path);
            done(check);
            count += 1;
        }
    }
    assert!(count > 10, "{count} scripts");
}
