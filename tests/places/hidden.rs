//! What is there and does not show, or shows less than it means.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use crate::harness::{MOUNTS, Need, Place, Running, Scene, done, program, script};
use crate::namespaces::{as_nobody, report};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "what_hidepid_hides_is_not_taken_to_be_missing",
        needs: &[Need::Root, Need::Machine, Need::Program("setpriv")],
        own: MOUNTS,
        trial: what_hidepid_hides_is_not_taken_to_be_missing,
    },
    Place {
        name: "what_is_denied_of_another_process_is_named_by_its_own_path",
        needs: &[Need::Root, Need::Machine, Need::Program("setpriv")],
        own: &[],
        trial: what_is_denied_of_another_process_is_named_by_its_own_path,
    },
    Place {
        name: "root_of_a_user_namespace_is_not_told_to_act_as_root_of_the_machine",
        needs: &[Need::Root, Need::Machine, Need::Program("setpriv"), Need::Program("unshare")],
        own: &[],
        trial: root_of_a_user_namespace_is_not_root_of_the_machine,
    },
    Place {
        name: "inotify_instances_and_watches_of_a_node_are_counted_for_each_user",
        needs: &[Need::Root, Need::Machine, Need::Program("python3")],
        own: MOUNTS,
        trial: inotify_is_counted_for_each_user,
    },
];

fn what_hidepid_hides_is_not_taken_to_be_missing(scene: &Scene) {
    done(script("mount -t proc -o hidepid=2 proc /proc", &[]));
    let asked = |arguments: &[&str]| {
        let mut command = as_nobody(scene);
        command.args(arguments);
        Run::of(command)
    };
    for arguments in [["--pid", "1"], ["--name", "no-such-program"]] {
        let refused = asked(&arguments);
        assert!(refused.complaint().contains("hidepid"), "{refused:?}");
    }
    let all = asked(&["--all"]).stdout;
    let words = all.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("that can be seen") && words.contains("hides the processes of other users"), "{all}");
    let sampled = report(as_nobody(scene), &["--sample", "200ms"]);
    let fds = sampled.finding("files/fds");
    assert_eq!((&fds["outcome"], &fds["gap"]["cause"]), (&"unknown".into(), &"denied".into()), "{fds:#}");
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port().to_string();
    let declared = report(as_nobody(scene), &["--port", &port]);
    let nofile = declared.finding("files/nofile-soft");
    assert_eq!(nofile["gap"]["cause"], "denied", "{nofile:#}");
    assert!(nofile["gap"]["why"].as_str().unwrap().contains("hidepid"), "{nofile:#}");
}

fn what_is_denied_of_another_process_is_named_by_its_own_path(scene: &Scene) {
    let report = report(as_nobody(scene), &["--pid", "1"]);
    let denied: Vec<String> = report.findings().map(|finding| finding["gap"].to_string()).collect();
    assert!(denied.iter().any(|gap| gap.contains("/proc/1/root/etc/resolv.conf")), "{denied:?}");
}

fn root_of_a_user_namespace_is_not_root_of_the_machine(scene: &Scene) {
    let mut command = program("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "unshare", "-Urn"]).arg(&scene.tunecheck);
    let report = report(command, &[]);
    assert_eq!((report.place("uid"), report.place("initial_user_namespace")), (&0.into(), &false.into()));
    for action in report.findings().flat_map(|finding| finding["fix"].as_array().unwrap()) {
        assert_ne!(action["who"], "root, as this audit ran", "{action:#}");
    }
}

const INSTANCES: usize = 90;
const WATCHES: usize = 300;

/// Makes instances and watches, has a child that inherits them, and waits until it is ended.
const HOLDER: &str = "
import ctypes, os, sys, time
libc = ctypes.CDLL(None)
held = [libc.inotify_init1(0) for _ in range(int(sys.argv[1]))]
for number in range(int(sys.argv[2])):
    path = f'{sys.argv[3]}/{number}'
    os.mkdir(path)
    assert libc.inotify_add_watch(held[0], path.encode(), 0x100) > 0
if os.fork():
    print(min(held), flush=True)
time.sleep(60)
";

fn inotify_is_counted_for_each_user(scene: &Scene) {
    // A kubelet keeps its pods here, as far as anybody can see.
    done(script("mount -t tmpfs none /var/lib && mkdir -p /var/lib/kubelet/pods", &[]));
    let before = report(scene.tunecheck(), &[]);
    let mut python = program("python3");
    python.args(["-c", HOLDER, &INSTANCES.to_string(), &WATCHES.to_string()]).arg(&scene.folder);
    let mut holder = Running::start({
        python.stdout(Stdio::piped());
        python
    });
    let mut line = String::new();
    BufReader::new(holder.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.trim().parse::<u32>().is_ok(), "an instance was refused: {line:?}");
    let after = report(scene.tunecheck(), &[]);
    if std::fs::read_link("/proc/1/fd/0").is_err() {
        // Where not even root may look into the first process, what the others hold is no more than a part.
        let reason = after.finding("files/inotify-watches")["reason"].as_str().unwrap().to_owned();
        let held = reason.split("the others hold ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        assert!(reason.contains("could not be looked into") && held >= Some(WATCHES), "{reason}");
    } else {
        for (rule, more) in [("files/inotify-instances", INSTANCES), ("files/inotify-watches", WATCHES)] {
            let held = |report: &crate::report::Report| report.finding(rule)["evidence"][0]["value"].as_u64().unwrap();
            let (before, after) = (held(&before), held(&after));
            assert!((more as u64..=more as u64 + before + 5).contains(&after), "{rule}: {before}, then {after}");
        }
        let said = after.finding("files/inotify-instances")["says"].as_str().unwrap();
        assert!(said.contains(&format!("user 0 holds most, {INSTANCES} in {} python3", holder.0.id())), "{said}");
    }
    // The child has to go with its parent.
    done(script(&format!("pkill -KILL -P {}", holder.0.id()), &[]));
    // Whoever may not look into others knows nothing of them.
    let nobody = report(as_nobody(scene), &[]);
    assert_eq!(nobody.finding("files/inotify-watches")["outcome"], "unknown");
}
