//! Who listens, what bounds each accept queue, and what to change in that program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, socket};
use serde_json::Value;

use crate::harness::{NETWORK, Need, Place, Scene, done, program, script};
use crate::namespaces::{as_nobody, but_for_the_user, loopback_up, report};
use crate::report::{Report, Run, assert_same};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "many_listeners_are_judged_each_and_told_together",
        needs: &[Need::Root, Need::Program("ip")],
        own: NETWORK,
        trial: many_listeners,
    },
    Place {
        name: "who_listens_is_named_with_what_limits_the_queue_and_what_to_change",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3")],
        own: NETWORK,
        trial: who_listens_is_named,
    },
    Place {
        name: "nobody_is_told_why_it_is_unknown_who_listens_and_the_rest_is_whole",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3"), Need::Program("setpriv")],
        own: NETWORK,
        trial: nobody_is_told_why,
    },
    Place {
        name: "the_unit_that_listens_is_told_also_to_who_may_not_see_its_process",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3"), Need::Program("setpriv")],
        own: NETWORK,
        trial: the_unit_that_listens_is_told,
    },
    Place {
        name: "who_listens_is_found_behind_many_processes_with_many_descriptors",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3")],
        own: NETWORK,
        trial: who_listens_is_found_behind_many_processes,
    },
    Place {
        name: "processes_that_come_and_go_while_owners_are_looked_for_do_no_harm",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3")],
        own: NETWORK,
        trial: processes_that_come_and_go,
    },
    Place {
        name: "a_command_of_any_name_is_told_on_one_line",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3")],
        own: NETWORK,
        trial: a_command_of_any_name,
    },
    Place {
        name: "a_queue_that_is_full_before_a_watch_is_no_calm",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3")],
        own: NETWORK,
        trial: a_queue_that_is_full_before_a_watch_is_no_calm,
    },
    Place {
        name: "a_plan_is_held_against_the_open_files_of_who_listens",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3")],
        own: NETWORK,
        trial: a_plan_is_held_against_the_open_files_of_who_listens,
    },
];

/// Listens on a port of its own with this backlog and never accepts, until its standard input ends.
const SERVER: &str = "
import socket, sys
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen(int(sys.argv[1]))
if len(sys.argv) > 2:
    open('/proc/self/comm', 'wb').write(bytes.fromhex(sys.argv[2]))
print('%s:%d' % s.getsockname(), flush=True)
sys.stdin.read()
";

const DENIED: &str = "seen only by its owner, or by root with CAP_SYS_PTRACE where no security module forbids it";

struct Server {
    process: Child,
    address: String,
    clients: Vec<TcpStream>,
}

impl Server {
    fn listening(arguments: &[&str]) -> Self {
        let mut python = program("python3");
        python.args(["-c", SERVER]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = python.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { process, address: address.trim().to_owned(), clients: Vec::new() }
    }

    /// Opens as many connections, which wait in the queue.
    fn filled(mut self, connections: usize) -> Self {
        self.clients = (0..connections).map(|_| TcpStream::connect(&self.address).unwrap()).collect();
        self
    }

    fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }

    fn owner(&self) -> String {
        format!("python3 {}", self.process.id())
    }

    /// What is to be changed for this server, by a rule's finding.
    fn advice<'a>(&self, report: &'a Report, rule: &str) -> &'a str {
        report.about(rule, &self.address)["fix"][0]["lines"][0].as_str().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Sets somaxconn of this network namespace.
fn somaxconn(number: u32) {
    done(script(&format!("echo {number} > /proc/sys/net/core/somaxconn"), &[]));
}

fn text_of(mut command: Command) -> String {
    command.env("COLUMNS", "200").env("NO_COLOR", "1");
    Run::of(command).stdout
}

fn many_listeners(scene: &Scene) {
    const EACH: usize = 150;
    loopback_up();
    done(script("ip addr add 10.9.9.1/24 dev lo", &[]));
    let listening = |backlog: i32| {
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(socket.as_raw_fd(), &SockaddrIn::new(10, 9, 9, 1, 0)).unwrap();
        listen(&socket, Backlog::new(backlog).unwrap()).unwrap();
        socket
    };
    let _held: Vec<OwnedFd> = (0..EACH).flat_map(|_| [listening(16), listening(4096)]).collect();
    let found = report(scene.tunecheck(), &["--burst", "600"]);
    let told = |outcome: &str| {
        found.findings().filter(|one| one["rule"] == "listen/backlog" && one["outcome"] == outcome).count()
    };
    assert_eq!((told("warn"), told("pass")), (EACH, EACH), "each is judged");
    let mut table = scene.tunecheck();
    table.args(["--burst", "600"]);
    let table = text_of(table);
    assert!(table.contains(&format!("and {} more", EACH - 3)), "what is alike is told together: {table}");
    assert!(table.lines().count() < 250, "{} lines", table.lines().count());
}

fn who_listens_is_named(scene: &Scene) {
    loopback_up();
    somaxconn(4096);
    let asks_little = Server::listening(&["5"]).filled(6);
    let asks_much = Server::listening(&["5000"]);
    let [little, much] = [&asks_little, &asks_much].map(|server| format!("--port={}", server.port()));
    let first = report(scene.tunecheck(), &["--burst", "5000", &little, &much]);
    // The queue of this one is as long as somaxconn allows, and it fills.
    somaxconn(16);
    let cut = Server::listening(&["5000"]).filled(17);
    let second = report(scene.tunecheck(), &[&little, &format!("--port={}", cut.port())]);

    for (server, report, rule, limit) in [
        (&asks_little, &first, "listen/queue", "limited by the application"),
        (&asks_little, &first, "listen/backlog", "limited by the application."),
        (&asks_much, &first, "listen/backlog", "limited by somaxconn."),
        (&asks_little, &second, "listen/queue", "limited by the application"),
        (&cut, &second, "listen/queue", "limited by somaxconn"),
        (&cut, &second, "listen/backlog", "limited by somaxconn."),
    ] {
        let finding = report.about(rule, &server.address);
        assert_eq!(finding["listens"]["process"], server.owner(), "{finding:#}");
        let says = finding["says"].as_str().unwrap();
        assert!(says.contains(limit), "{rule}: {says}");
        let advice = server.advice(report, rule);
        assert!(advice.contains("socket.listen(N)"), "{advice}");
        let helps = advice.contains("raise net.core.somaxconn");
        let useless = advice.contains("Raising net.core.somaxconn alone changes nothing");
        assert_eq!(
            (helps, useless),
            if limit.contains("somaxconn") { (true, false) } else { (false, true) },
            "{advice}"
        );
    }
    assert_eq!(first.about("listen/queue", &asks_little.address)["outcome"], "fail");
    assert_eq!(second.about("listen/queue", &cut.address)["outcome"], "fail");

    // A recorded report tells enough for the same plan.
    let recorded = scene.folder.join("report.json");
    let mut json = scene.tunecheck();
    json.args(["--format", "json"]);
    fs::write(&recorded, text_of(json)).unwrap();
    let (mut plan, mut recalled) = (scene.tunecheck(), scene.tunecheck());
    plan.arg("fix");
    recalled.args(["fix", "--from"]).arg(&recorded);
    let steps = |command| {
        let plan = text_of(command);
        let steps = plan.split("```").filter(|step| step.contains("  rules    listen/")).map(str::to_owned);
        steps.collect::<Vec<String>>()
    };
    let plan = steps(plan);
    assert!(plan.iter().any(|step| step.contains(&cut.address) && step.contains("socket.listen(N)")), "{plan:#?}");
    assert_eq!(plan, steps(recalled));

    let heading = format!("\nFAIL listen/queue  {} {}\n", cut.address, cut.owner());
    let text = text_of(scene.tunecheck());
    assert!(text.contains(&heading), "{heading} in {text}");
    // One that passes is named to whoever asks for everything.
    let named = format!("{} {}", asks_much.address, asks_much.owner());
    let mut verbose = scene.tunecheck();
    verbose.arg("-v");
    let text = text_of(verbose);
    assert!(text.contains(&named), "{named} in {text}");
}

fn nobody_is_told_why(scene: &Scene) {
    loopback_up();
    somaxconn(4096);
    let server = Server::listening(&["5"]).filled(6);
    let port = format!("--port={}", server.port());
    let (root, nobody) = (report(scene.tunecheck(), &[&port]), report(as_nobody(scene), &[&port]));
    for rule in ["listen/queue", "listen/backlog"] {
        assert_eq!(root.about(rule, &server.address)["listens"]["process"], server.owner());
        let listens = &nobody.about(rule, &server.address)["listens"];
        assert!(listens["process"].is_null(), "{listens}");
        assert_eq!((&listens["gap"]["cause"], &listens["gap"]["why"]), (&"denied".into(), &DENIED.into()));
        let advice = server.advice(&nobody, rule);
        assert!(
            advice.contains("somaxconn alone changes nothing"),
            "who listens is unknown, the limit is not: {advice}"
        );
    }
    assert_same(&but_for_the_user(root), &but_for_the_user(nobody));
    let text = text_of(as_nobody(scene));
    let heading = format!("\nFAIL listen/queue  {}\n", server.address);
    assert!(text.contains(&heading), "{heading} in {text}");
    assert!(text.contains(&format!("  listens  unknown (denied: {DENIED})\n")), "{text}");
}

/// A cgroup of its own, until it is dropped. None where there is no cgroup v2 that may be written to.
struct Cgroup {
    folder: PathBuf,
    /// Where this process was before.
    before: PathBuf,
}

impl Cgroup {
    fn made(name: &str) -> Option<Self> {
        let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let mount = mounts.into_iter().find(|mount| mount.join("cgroup.controllers").exists())?;
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        let before = mount.join(own.lines().find_map(|line| line.strip_prefix("0::/"))?).join("cgroup.procs");
        let folder = mount.join(name);
        fs::create_dir(&folder).ok()?;
        Some(Self { folder, before })
    }

    /// What this makes is made in the cgroup.
    fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        let own = std::process::id().to_string();
        fs::write(self.folder.join("cgroup.procs"), &own).unwrap();
        let made = make();
        fs::write(&self.before, own).unwrap();
        made
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

fn the_unit_that_listens_is_told(scene: &Scene) {
    loopback_up();
    somaxconn(4096);
    let unit = format!("tunecheck-places-{}.service", std::process::id());
    let Some(cgroup) = Cgroup::made(&unit) else { return };
    let server = cgroup.within(|| Server::listening(&["5"])).filled(6);
    let port = format!("--port={}", server.port());
    let (root, nobody) = (report(scene.tunecheck(), &[&port]), report(as_nobody(scene), &[&port]));
    let listens = |report: &Report| report.about("listen/queue", &server.address)["listens"].clone();
    assert_eq!((&listens(&root)["unit"], &listens(&root)["process"]), (&unit.clone().into(), &server.owner().into()));
    assert_eq!((&listens(&nobody)["unit"], &listens(&nobody)["process"]), (&unit.clone().into(), &Value::Null));
    let text = text_of(as_nobody(scene));
    let heading = format!("\nFAIL listen/queue  {} {unit}\n", server.address);
    assert!(text.contains(&heading), "{heading} in {text}");
    assert!(text.contains(&format!("  listens  process unknown (denied: {DENIED})\n")), "{text}");
    // It is ended before its cgroup is taken away.
    drop(server);
}

fn who_listens_is_found_behind_many_processes(scene: &Scene) {
    loopback_up();
    let crowd = "
import os, sys
for _ in range(250):
    if os.fork() == 0:
        held = [os.open('/dev/null', os.O_RDONLY) for _ in range(100)]
        print('x', flush=True)
        sys.stdin.read()
        os._exit(0)
sys.stdin.read()
";
    let mut python = program("python3");
    python.args(["-c", crowd]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut crowd = python.spawn().unwrap();
    assert_eq!(BufReader::new(crowd.stdout.take().unwrap()).lines().take(250).count(), 250);
    let server = Server::listening(&["5"]);
    let found = report(scene.tunecheck(), &[&format!("--port={}", server.port())]);
    assert_eq!(found.about("listen/backlog", &server.address)["listens"]["process"], server.owner());
    drop(crowd.stdin.take());
    crowd.wait().unwrap();
}

fn a_queue_that_is_full_before_a_watch_is_no_calm(scene: &Scene) {
    loopback_up();
    let server = Server::listening(&["5"]).filled(6);
    let watched = |more: &[&str]| {
        let mut watch = scene.tunecheck();
        watch.args(["watch", "--workload", "server", "--duration", "600ms", "--fail-on", "fail"]).args(more);
        Run::of(watch)
    };
    let run = watched(&["--format", "json"]);
    let verdict: Value = serde_json::from_str(&run.stdout).unwrap();
    let standing: Vec<&str> =
        verdict["standing"].as_array().unwrap().iter().filter_map(|trace| trace["subject"].as_str()).collect();
    assert!(run.code == Some(1) && standing.contains(&server.address.as_str()), "{verdict:#}");
    let text = watched(&["--format", "table"]).stdout;
    assert!(text.contains("used up before it began, and all the while: ") && text.contains("accept queue"), "{text}");
    // What a load drops there was short before it came.
    let client = "import socket, sys, time\nhost, port = sys.argv[1].split(':')\nfor _ in range(9):\n    s = socket.socket()\n    \
                  s.setblocking(False)\n    s.connect_ex((host, int(port)))\ntime.sleep(1.3)";
    let mut under_load = scene.tunecheck();
    under_load.args(["watch", "--", "python3", "-c", client, &server.address]);
    let verdict = Run::of(under_load).stderr;
    assert!(verdict.contains("tunecheck   used up before it began: accept queue"), "{verdict}");
    assert!(!verdict.contains("hit first"), "{verdict}");
}

fn a_plan_is_held_against_the_open_files_of_who_listens(scene: &Scene) {
    loopback_up();
    let server = Server::listening(&["5"]);
    let port = format!("--port={}", server.port());
    let audit = report(scene.tunecheck(), &[&port]);
    let mut plan = scene.tunecheck();
    plan.args(["plan", "--solve", "--role", "server", "--concurrency", "5000", "--format", "json", &port]);
    let run = Run::of(plan);
    let sizing: Value = serde_json::from_str(&run.stdout).unwrap();
    let limits = sizing["capacity"]["limits"].as_array().unwrap();
    let of_process = limits.iter().find(|limit| limit["limit"] == "open files of the process");
    let now = &of_process.unwrap_or_else(|| panic!("{:#}", sizing["capacity"]))["now"];
    assert_eq!(now, &audit.finding("files/nofile-soft")["now"]);
}

fn processes_that_come_and_go(scene: &Scene) {
    loopback_up();
    let server = Server::listening(&["5"]);
    let mut crowd = script("i=0; while [ $i -lt 500 ]; do sleep 0.02 & i=$((i+1)); done; wait", &[]);
    let mut crowd = crowd.spawn().unwrap();
    let port = format!("--port={}", server.port());
    let mut audits = 0;
    while crowd.try_wait().unwrap().is_none() {
        let report = report(scene.tunecheck(), &[&port]);
        assert_eq!(report.about("listen/backlog", &server.address)["listens"]["process"], server.owner());
        audits += 1;
    }
    assert!(audits > 1, "{audits} audits");
}

fn a_command_of_any_name(scene: &Scene) {
    loopback_up();
    let hostile = "0a1b5b334131096e67696e782031c3";
    let server = Server::listening(&["5", hostile]);
    // Another program with the same backlog has another setting, so it is told by itself.
    let other = Server::listening(&["5"]);
    let shown = format!("\\x0a\\x1b[3A1\\x09nginx 1\\xc3 {}", server.process.id());
    let ports = [&server, &other].map(|server| format!("--port={}", server.port()));
    let report = report(scene.tunecheck(), &[&ports[0], &ports[1]]);
    assert_eq!(report.about("listen/backlog", &server.address)["listens"]["process"], shown);
    let mut audit = scene.tunecheck();
    audit.args(ports);
    let text = text_of(audit);
    for named in [format!("{} {shown}", server.address), format!("{} {}", other.address, other.owner())] {
        let heading = format!("\nFAIL listen/backlog  {named}\n");
        assert!(text.contains(&heading), "{heading:?} in {text}");
    }
}
