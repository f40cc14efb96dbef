//! Users, network namespaces, and what /proc shows of them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{MOUNTS, NETWORK, NETWORK_AND_MOUNTS, Need, Place, Scene, done, program, script};
use crate::report::{Report, Run, assert_same};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "nobody_sees_what_root_sees_and_is_told_that_sysctls_are_not_writable",
        needs: &[Need::Root, Need::Machine, Need::Program("setpriv"), Need::Program("ip")],
        own: NETWORK,
        trial: nobody_sees_what_root_sees,
    },
    Place {
        name: "nobody_judges_the_machine_itself_as_root_does",
        needs: &[Need::Root, Need::Machine, Need::Program("setpriv")],
        own: &[],
        trial: nobody_judges_the_machine_itself_as_root_does,
    },
    Place {
        name: "a_child_network_namespace_does_not_speak_for_the_host",
        needs: &[Need::Root, Need::Machine, Need::Program("ip")],
        own: NETWORK,
        trial: a_child_network_namespace_does_not_speak_for_the_host,
    },
    Place {
        name: "one_thread_finds_in_every_namespace_what_several_find",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("unshare"), Need::Program("taskset")],
        own: NETWORK,
        trial: one_thread_finds_in_every_namespace_what_several_find,
    },
    Place {
        name: "listeners_are_those_of_the_own_network_namespace",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("nsenter")],
        own: NETWORK,
        trial: listeners_are_those_of_the_own_network_namespace,
    },
    Place {
        name: "without_proc_it_says_one_line_and_exits_2",
        needs: &[Need::Root],
        own: MOUNTS,
        trial: without_proc_it_says_one_line,
    },
    Place {
        name: "hidepid_hides_nothing_from_nobody",
        needs: &[Need::Root, Need::Machine, Need::Program("setpriv"), Need::Program("ip")],
        own: NETWORK_AND_MOUNTS,
        trial: hidepid_hides_nothing_from_nobody,
    },
    Place {
        name: "without_conntrack_its_rules_do_not_apply_and_the_rest_is_there",
        needs: &[Need::Root, Need::Machine],
        own: MOUNTS,
        trial: without_conntrack_its_rules_do_not_apply,
    },
];

/// The binary under test as the user nobody, without any group or capability.
pub(crate) fn as_nobody(scene: &Scene) -> Command {
    let mut command = program("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&scene.tunecheck);
    command
}

/// The report of a command that ends with the binary under test.
pub(crate) fn report(mut command: Command, arguments: &[&str]) -> Report {
    command.args(arguments).args(["--format", "json"]);
    Run::of(command).report()
}

pub(crate) fn loopback_up() {
    let mut ip = program("ip");
    ip.args(["link", "set", "lo", "up"]);
    done(ip);
}

/// What the two users may differ in: who they are, who can make a change, and whose processes they may look into.
pub(crate) fn but_for_the_user(report: Report) -> Report {
    report.at_rest().without(&["place", "fix", "listens", "summary"]).without_rules("files/nofile")
}

fn assert_may_write_nothing(report: &Report) {
    assert_eq!(report.place("sysctls"), "not-permitted");
    assert_eq!(report.place("uid"), 65534);
    assert_eq!(report.place("capabilities").as_array().unwrap().len(), 0);
    for action in report.findings().flat_map(|finding| finding["fix"].as_array().unwrap()) {
        assert_ne!(action["who"], "you, here", "{action:#}");
    }
}

fn nobody_sees_what_root_sees(scene: &Scene) {
    loopback_up();
    let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (root, nobody) = (report(scene.tunecheck(), &[]), report(as_nobody(scene), &[]));
    assert_eq!((root.place("uid"), root.place("sysctls")), (&0.into(), &"writable".into()));
    assert_may_write_nothing(&nobody);
    assert_same(&but_for_the_user(root), &but_for_the_user(nobody));
    let text = Run::of(as_nobody(scene)).stdout;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("uid 65534 · sysctls not writable by this user"), "{text}");
}

fn nobody_judges_the_machine_itself_as_root_does(scene: &Scene) {
    let (root, nobody) = (report(scene.tunecheck(), &[]), report(as_nobody(scene), &[]));
    for key in ["kind", "network_namespace", "because", "cgroup"] {
        assert_eq!(root.place(key), nobody.place(key), "{key}");
    }
    assert_may_write_nothing(&nobody);
    // What processes of others hold open is for root to see.
    let but_for_others = |report: &Report| -> Vec<(String, String)> {
        let outcomes = report.outcomes().into_iter().filter(|(rule, _)| !rule.starts_with("files/inotify"));
        outcomes.map(|(rule, outcome)| (rule.to_owned(), outcome.to_owned())).collect()
    };
    assert_eq!(but_for_others(&root), but_for_others(&nobody));
}

/// Sysctls of the whole host, whose files no other network namespace has.
const HOST_WIDE: [&str; 5] = [
    "net.core.dev_weight",
    "net.core.netdev_max_backlog",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.udp_mem",
];

/// A rule that asks for one sysctl and nothing else.
fn asks_for(key: &str) -> String {
    format!(
        "title: {key} is there\nscope: host\nfact: sysctl.{key}\ncheck: {{ at_least: {{ warn: 1 }} }}\n\
         says: It is there.\ntakes_effect: now\nfix: {{ ask: nobody, safety: manual }}\nwhy: A test asks.\n\
         examples: [{{ given: {{ sysctl.{key}: 1 }}, expect: pass }}]\n"
    )
}

fn a_child_network_namespace_does_not_speak_for_the_host(scene: &Scene) {
    let rules = scene.folder.join("hidden");
    fs::create_dir(&rules).unwrap();
    for key in HOST_WIDE {
        assert!(!Path::new("/proc/sys").join(key.replace('.', "/")).exists(), "{key} is visible here");
        fs::write(rules.join(format!("{key}.yaml")), asks_for(key)).unwrap();
    }
    let report = report(scene.tunecheck(), &["--workload", "gateway", "--rules", rules.to_str().unwrap()]);
    assert_eq!((report.place("kind"), report.place("network_namespace")), (&"namespace".into(), &"child".into()));
    let built_in = ["memory/tcp-mem", "memory/orphans", "neigh/fill", "neigh/fill-ipv6", "conntrack/fill"];
    for rule in HOST_WIDE.into_iter().chain(built_in) {
        let finding = report.finding(rule);
        assert_eq!(finding["outcome"], "unknown", "{finding:#}");
        assert_eq!(finding["gap"]["cause"], "not-visible-here", "{finding:#}");
        let why = finding["gap"]["why"].as_str().unwrap();
        assert!(["the host's own network", "the node's network"].iter().any(|words| why.contains(words)), "{why}");
    }
    for finding in report.findings() {
        // What the files set at boot reaches the first network namespace only: no word about it here.
        let owner = finding["owner"].as_str().unwrap_or_default();
        let fact = finding["fact"].as_str().unwrap();
        assert!(!(fact.starts_with("sysctl.net.") && owner.contains("sysctl.d")), "{finding:#}");
    }
    let recycle = report.finding("time-wait/tw-recycle");
    assert_eq!((&recycle["outcome"], &recycle["gap"]["cause"]), (&"unknown".into(), &"not-visible-here".into()));
    let words = recycle["gap"]["why"].as_str().unwrap();
    assert!(words.contains("the host's own network namespace"), "{words}");
}

fn one_thread_finds_in_every_namespace_what_several_find(scene: &Scene) {
    if std::env::var_os(LISTEN).is_some() {
        return listen();
    }
    let neighbours: Vec<Neighbour> = (0..6).map(|_| Neighbour::listening()).collect();
    let of_neighbours = |mut command: Command| -> Vec<(String, Vec<String>)> {
        command.args(["--all", "--format", "json"]);
        let fleet: serde_json::Value = serde_json::from_str(&Run::of(command).stdout).unwrap();
        let strings = |list: &serde_json::Value| -> Vec<String> {
            list.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        let mut found = Vec::new();
        for section in fleet["sections"].as_array().unwrap() {
            let findings = section["report"]["findings"].as_array().unwrap().iter();
            let listening: Vec<String> = findings
                .filter(|finding| finding["rule"] == "listen/backlog")
                .map(|finding| finding["subject"].as_str().unwrap_or_default().to_owned())
                .collect();
            found.extend(strings(&section["names"]).into_iter().map(|name| (name, listening.clone())));
        }
        neighbours
            .iter()
            .map(|neighbour| {
                let end = format!(" of {} ", neighbour.process.id());
                found
                    .iter()
                    .find(|(name, _)| name.contains(&end))
                    .unwrap_or_else(|| panic!("{end} in {found:#?}"))
                    .clone()
            })
            .collect()
    };
    let mut alone = program("taskset");
    alone.args(["--cpu-list", "0"]).arg(&scene.tunecheck);
    let found = of_neighbours(scene.tunecheck());
    assert_eq!(found, of_neighbours(alone));
    // Each was read in its own namespace, and in no other.
    for (neighbour, (_, listening)) in neighbours.iter().zip(&found) {
        assert_eq!(listening.as_slice(), std::slice::from_ref(&neighbour.port));
    }
}

/// A process in a network namespace of its own, which listens there until it is dropped.
struct Neighbour {
    process: Child,
    port: String,
}

impl Neighbour {
    /// The script is this trial's own process again, listening instead of testing.
    fn listening() -> Self {
        let mut unshare = program("unshare");
        unshare.args(["--net", "--"]).arg(std::env::current_exe().unwrap()).env(LISTEN, "1");
        let mut process = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { process, port: port.trim().to_owned() }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Makes a process of the trial listen on a port of its namespace until its standard input ends.
const LISTEN: &str = "TUNECHECK_PLACES_LISTEN";

fn listen() {
    loopback_up();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr().unwrap()).unwrap();
    out.flush().unwrap();
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn listeners_are_those_of_the_own_network_namespace(scene: &Scene) {
    if std::env::var_os(LISTEN).is_some() {
        return listen();
    }
    loopback_up();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let neighbour = Neighbour::listening();
    assert_eq!(report(scene.tunecheck(), &[]).subjects("listen/backlog"), [address.as_str()]);
    let mut inside = program("nsenter");
    inside.arg("--net").arg(format!("--target={}", neighbour.process.id())).arg(&scene.tunecheck);
    assert_eq!(report(inside, &[]).subjects("listen/backlog"), [neighbour.port.as_str()]);
    // Seen from outside, what shows that a change acts is run in there as well.
    let pid = neighbour.process.id().to_string();
    let outside = report(scene.tunecheck(), &["--pid", &pid, "--burst", "5000"]);
    let of_netns = outside.findings().filter(|finding| finding["scope"] == "netns");
    let proofs: Vec<&str> = of_netns
        .flat_map(|finding| finding["fix"].as_array().unwrap())
        .map(|fix| fix["prove"].as_str().unwrap())
        .collect();
    let enter = ["nsenter -t PID -n ".to_owned(), format!("nsenter -t {pid} -n ")];
    assert!(
        !proofs.is_empty() && proofs.iter().all(|proof| enter.iter().any(|start| proof.starts_with(start))),
        "{proofs:?}"
    );
    // Nobody named it, nor a port, so what it is given fails no load.
    let mut all = scene.tunecheck();
    all.args(["--all", "--format", "json", "--connections", "100000000"]);
    let fleet: serde_json::Value = serde_json::from_str(&Run::of(all).stdout).unwrap();
    let sections = fleet["sections"].as_array().unwrap().iter();
    let namespaces = sections.filter(|section| section["report"]["place"]["kind"] == "namespace");
    let findings: Vec<_> = namespaces.flat_map(|section| section["report"]["findings"].as_array().unwrap()).collect();
    let soft = |finding: &&&serde_json::Value| finding["rule"] == "files/nofile-soft";
    assert!(findings.iter().any(|finding| soft(&finding)), "{fleet:#}");
    assert!(findings.iter().filter(soft).all(|finding| finding["outcome"] != "fail"), "{fleet:#}");
}

fn without_proc_it_says_one_line(scene: &Scene) {
    let empty_root = scene.folder.join("root");
    scene.put_tunecheck(&empty_root.join("tunecheck"));
    let ways = [
        "unshare --mount sh -c 'while umount -l /proc 2>/dev/null; do :; done; exec \"$0\" --format json' \"$1\"",
        "unshare --mount sh -c 'mount -t tmpfs none /proc && exec \"$0\"' \"$1\"",
        "exec chroot \"$2\" /tunecheck",
    ];
    for way in ways {
        let run = Run::of(script(way, &[&scene.tunecheck, &empty_root]));
        let line = run.complaint();
        assert!(line.contains("/proc"), "it names what is missing: {line}");
        // The kernel has everything; only the mount is missing.
        assert!(!line.contains("has no"), "{way}: {line}");
    }
}

fn hidepid_hides_nothing_from_nobody(scene: &Scene) {
    loopback_up();
    let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let root = report(scene.tunecheck(), &[]);
    // A mount of its own, not a remount: that would reach the machine's /proc.
    done(script("mount -t proc -o hidepid=2 proc /proc", &[]));
    let hidden = Run::of(script("exec setpriv --reuid=65534 --regid=65534 --clear-groups -- ls /proc/1", &[]));
    assert_ne!(hidden.code, Some(0), "nobody still sees other processes: {hidden:?}");
    let nobody = report(as_nobody(scene), &[]);
    assert_may_write_nothing(&nobody);
    assert_same(&but_for_the_user(root), &but_for_the_user(nobody));
}

/// Takes the conntrack files away from the process that this script becomes. What it shows under /proc/net is a copy,
/// because a mount below /proc/PID/net does not last: the kernel looks those entries up anew each time.
const NO_CONNTRACK: &str = r#"
    if [ -d /proc/sys/net/netfilter ]; then mount -t tmpfs none /proc/sys/net/netfilter; fi
    mkdir "$2/net" "$2/net/stat"
    for file in /proc/net/* /proc/net/stat/*; do
        case $file in
            */nf_conntrack*) ;;
            *) if [ -f "$file" ]; then cat "$file" > "$2/net/${file#/proc/net/}"; fi ;;
        esac
    done
    mount --bind "$2/net" /proc/$$/net
    exec "$1" --format json
"#;

fn without_conntrack_its_rules_do_not_apply(scene: &Scene) {
    let before = report(scene.tunecheck(), &[]);
    let without = Run::of(script(NO_CONNTRACK, &[&scene.tunecheck, &scene.folder])).report();
    let of_conntrack = |outcome: &&(&str, &str)| outcome.0.starts_with("conntrack/");
    let theirs = without.outcomes();
    let names = |report: &Report| report.outcomes().iter().map(|(rule, _)| (*rule).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&before), names(&without));
    assert!(theirs.iter().filter(of_conntrack).count() >= 5, "{theirs:?}");
    for (rule, outcome) in theirs.iter().filter(of_conntrack) {
        let finding = without.finding(rule);
        assert_eq!(*outcome, "not-applicable", "{finding:#}");
        let reason = finding["reason"].as_str().unwrap();
        assert!(reason.contains("nf_conntrack is not loaded"), "{finding:#}");
    }
    let rest = |outcomes: Vec<(&str, &str)>| -> Vec<(String, String)> {
        let rest = outcomes.into_iter().filter(|outcome| !of_conntrack(&outcome));
        rest.map(|(rule, outcome)| (rule.to_owned(), outcome.to_owned())).collect()
    };
    assert_eq!(rest(before.outcomes()), rest(theirs));
}
