//! Real runtimes under a real limit, each judged by what it was told and by what it may have.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::harness::{Need, Place, Running, Scene, eventually, program, script};
use crate::leftovers::Cgroups;
use crate::report::{Report, Run};

/// A network of its own, and one of processes: what listens and what was started ends with the trial.
const OWN: &[&str] =
    &["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_jvm_is_judged_by_the_limits_of_its_cgroup",
        needs: &[Need::Root, Need::Machine, Need::Program("java")],
        own: OWN,
        trial: a_jvm_is_judged_by_the_limits_of_its_cgroup,
    },
    Place {
        name: "no_word_of_a_command_line_or_environment_reaches_a_report",
        needs: &[Need::Root, Need::Program("java"), Need::Program("setpriv")],
        own: OWN,
        trial: no_word_of_a_command_line_or_environment_reaches_a_report,
    },
    Place {
        name: "node_is_judged_by_its_options_and_variables",
        needs: &[Need::Root, Need::Machine, Need::Program("node")],
        own: OWN,
        trial: node_is_judged_by_its_options_and_variables,
    },
    Place {
        name: "nginx_is_judged_by_its_configuration",
        needs: &[Need::Root, Need::Program("nginx")],
        own: OWN,
        trial: nginx_is_judged_by_its_configuration,
    },
    Place {
        name: "workers_of_tokio_are_counted_by_their_threads",
        needs: &[Need::Root],
        own: OWN,
        trial: workers_of_tokio_are_counted_by_their_threads,
    },
    Place {
        name: "which_runtimes_raise_their_limit_on_open_files_is_as_the_rule_says",
        needs: &[Need::Root, Need::Program("java"), Need::Program("node"), Need::Program("python3")],
        own: OWN,
        trial: which_runtimes_raise_their_limit,
    },
];

/// What no report may hold.
const SECRET: &str = "hunter2hunter2";
const MIB: u64 = 1 << 20;

impl Running {
    /// Starts it with an input that does not end, and hears nothing of it.
    fn waiting(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self::start(command)
    }

    fn audit(&self, scene: &Scene) -> Report {
        audit(scene, self.0.id())
    }
}

fn audit(scene: &Scene, pid: u32) -> Report {
    let mut command = scene.tunecheck();
    command.args(["--format", "json", "--pid", &pid.to_string()]);
    Run::of(command).report()
}

/// Groups for memory and CPU time, on whichever version the controllers are. The name is the trial's, and what keeps the
/// `Cgroups` removes them.
struct Limits(Vec<PathBuf>);

impl Limits {
    fn new(scene: &Scene, memory: u64, microseconds: u64) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let make = |folder: PathBuf, settings: &[(&str, String)]| {
            fs::create_dir_all(&folder).unwrap();
            for (file, value) in settings {
                fs::write(folder.join(file), value)
                    .unwrap_or_else(|error| panic!("{}/{file}: {error}", folder.display()));
            }
            folder
        };
        let token = scene.token();
        if root.join("memory").is_dir() {
            return Self(vec![
                make(root.join("memory").join(&token), &[("memory.limit_in_bytes", memory.to_string())]),
                make(root.join("cpu").join(&token), &[("cpu.cfs_quota_us", microseconds.to_string())]),
            ]);
        }
        let settings = [("memory.max", memory.to_string()), ("cpu.max", format!("{microseconds} 100000"))];
        Self(vec![make(root.join(&token), &settings)])
    }

    /// A command that enters the groups before it begins.
    fn enter(&self, name: &str, args: &[&str]) -> Command {
        let text = "while [ \"$1\" != -- ]; do echo $$ > \"$1/cgroup.procs\"; shift; done; shift; exec \"$@\"";
        let folders: Vec<&Path> = self.0.iter().map(PathBuf::as_path).collect();
        let mut command = script(text, &folders);
        command.arg("--").arg(program(name).get_program()).args(args);
        command
    }
}

/// A program of the JVM itself that waits.
const REGISTRY: [&str; 3] = ["-m", "java.rmi/sun.rmi.registry.RegistryImpl", "1099"];

fn java(args: &[&'static str]) -> Vec<&'static str> {
    args.iter().copied().chain(REGISTRY).collect()
}

/// Waits until it serves, and so has its options in force and its threads.
fn up(port: u16) {
    // Without it a namespace has no loopback.
    let _ = script("ip link set lo up", &[]).status();
    assert!(eventually(|| TcpStream::connect(("127.0.0.1", port)).is_ok()), "nothing listens on {port}");
}

fn a_jvm_is_judged_by_the_limits_of_its_cgroup(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let limits = Limits::new(scene, 512 * MIB, 150_000);
    {
        let small = Running::waiting(limits.enter("java", &java(&[])));
        up(1099);
        let report = small.audit(scene);
        let heap = report.finding("runtime/jvm-heap");
        // What JDK 17 showed as MaxHeapSize in such a group.
        assert_eq!((&heap["outcome"], &heap["now"]), (&"pass".into(), &Value::from(128 * MIB)));
        assert_eq!(heap["want"]["limit"], 512 * MIB);
        let collector = report.finding("runtime/jvm-collector");
        assert_eq!((&collector["outcome"], &collector["now"]), (&"warn".into(), &"Serial".into()));
        assert!(collector["says"].as_str().unwrap().contains("it sees 512 MiB"), "{collector:#}");
        assert_eq!(report.finding("runtime/jvm-container-support")["outcome"], "pass");
        assert_eq!(report.finding("runtime/node-heap")["outcome"], "not-applicable");
    }
    {
        let mut command = limits.enter("java", &java(&["-Xmx512m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=5"]));
        command.env("JAVA_TOOL_OPTIONS", "-Xmx100m -Dio.netty.eventLoopThreads=64");
        let full = Running::waiting(command);
        up(1099);
        let report = full.audit(scene);
        let heap = report.finding("runtime/jvm-heap");
        assert_eq!(
            (&heap["outcome"], &heap["now"]),
            (&"fail".into(), &Value::from(512 * MIB)),
            "the command line wins"
        );
        assert_eq!(report.finding("runtime/jvm-pause")["outcome"], "warn");
        assert_eq!(report.finding("runtime/netty-threads")["now"], 64);
        assert_eq!(report.finding("runtime/jvm-collector")["outcome"], "not-applicable");
    }
    {
        // A file of options is not read: only the JVM itself says what it took from it.
        let options = scene.folder.join("java.options");
        fs::write(&options, "-Xmx448m\n-Dpassword=hunter2\n").unwrap();
        let mut command = limits.enter("java", &[]);
        command.arg(format!("@{}", options.display())).args(REGISTRY);
        let told = Running::waiting(command);
        up(1099);
        let report = told.audit(scene);
        let heap = report.finding("runtime/jvm-heap");
        assert_eq!((&heap["outcome"], &heap["now"]), (&"warn".into(), &Value::from(448 * MIB)));
        assert!(heap["says"].as_str().unwrap().contains("hsperfdata"), "{heap:#}");
        assert!(!serde_json::to_string(heap).unwrap().contains("hunter2"));
    }
    let blind = Running::waiting(limits.enter("java", &java(&["-XX:-UseContainerSupport", "-Xms16m"])));
    up(1099);
    let report = blind.audit(scene);
    assert_eq!(report.finding("runtime/jvm-container-support")["outcome"], "warn");
    drop(blind);
}

fn no_word_of_a_command_line_or_environment_reaches_a_report(scene: &Scene) {
    let mut command = program("java");
    let (property, heap) = (format!("-Dpassword={SECRET}"), format!("-XX:MaxGCPauseMillis=5{SECRET}"));
    // A JVM that does not know an option still starts, and a number that is none is kept out as well.
    command.args([&property, "-XX:+IgnoreUnrecognizedVMOptions", "-Xmx64m"]).args(REGISTRY);
    command.env("API_KEY", SECRET).env("JAVA_TOOL_OPTIONS", format!("-Dtoken={SECRET} -Xms16m"));
    command.env("JDK_JAVA_OPTIONS", format!("-Dkey={SECRET}"));
    let running = Running::waiting(command);
    up(1099);
    // A program that is no JVM, under the name of one, told what is no number.
    let named = scene.folder.join("java");
    fs::copy(program("sleep").get_program(), &named).unwrap();
    let mut odd = script("exec \"$1\" 60 || exec -a java \"$1\" 60", &[&named]);
    odd.env("JAVA_TOOL_OPTIONS", heap);
    let odd = Running::waiting(odd);
    assert!(eventually(|| fs::read_link(format!("/proc/{}/exe", odd.0.id())).is_ok_and(|exe| exe == named)));
    for pid in [running.0.id(), odd.0.id()].map(|pid| pid.to_string()) {
        for format in [&["--format", "json"][..], &["-v"], &[]] {
            let mut command = scene.tunecheck();
            command.args(["--pid", &pid]).args(format);
            spared(&Run::of(command), "runtime/");
        }
        let mut stranger = program("setpriv");
        stranger.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&scene.tunecheck);
        stranger.args(["--pid", &pid, "--format", "json"]);
        spared(&Run::of(stranger), "runtime/");
    }
    let report = running.audit(scene);
    assert_eq!(report.finding("runtime/jvm-heap")["now"], 64 * MIB, "what was asked about is there");
}

fn spared(run: &Run, holds: &str) {
    assert!(run.stdout.contains(holds), "{run:?}");
    assert!(!run.stdout.contains(SECRET) && !run.stderr.contains(SECRET), "{run:?}");
}

fn node_is_judged_by_its_options_and_variables(scene: &Scene) {
    let _cgroups = Cgroups(scene.token());
    let limits = Limits::new(scene, 512 * MIB, 100_000);
    let program = scene.folder.join("wait.js");
    fs::write(&program, "require('net').createServer().listen(1098)").unwrap();
    // What follows the program is its own.
    let args = ["--max-old-space-size=450", program.to_str().unwrap(), "--max-old-space-size=1"];
    let mut command = limits.enter("node", &args);
    command.env("NODE_OPTIONS", "--max-old-space-size=100").env("UV_THREADPOOL_SIZE", "1");
    let node = Running::waiting(command);
    up(1098);
    let report = node.audit(scene);
    let heap = report.finding("runtime/node-heap");
    assert_eq!((&heap["outcome"], &heap["now"]), (&"warn".into(), &Value::from(450 * MIB)));
    let pool = report.finding("runtime/node-threadpool");
    assert_eq!((&pool["outcome"], &pool["now"]), (&"warn".into(), &1.into()));
    drop(node);
}

fn nginx_is_judged_by_its_configuration(scene: &Scene) {
    let conf = scene.folder.join("nginx.conf");
    let folder = scene.folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {folder}/{name};"))
        .collect();
    let text = format!(
        "worker_processes 2; daemon off; user root; pid {folder}/pid; error_log {folder}/errors;\n\
         worker_rlimit_nofile 1024;\nevents {{ worker_connections 2048; }}\n\
         http {{ access_log off; {temporary} server {{ listen 127.0.0.1:1097; \
         location / {{ proxy_pass http://127.0.0.1:1; proxy_set_header Authorization \"Basic {SECRET}\"; }} }} }}\n"
    );
    fs::write(&conf, text).unwrap();
    let mut command = program("nginx");
    command.arg("-p").arg(&scene.folder).arg("-c").arg(&conf);
    let nginx = Running::waiting(command);
    up(1097);
    let report = nginx.audit(scene);
    let capacity = report.finding("runtime/nginx-connections");
    assert_eq!((&capacity["outcome"], &capacity["now"]), (&"fail".into(), &4096.into()));
    let nofile = report.finding("runtime/nginx-nofile");
    assert_eq!((&nofile["outcome"], &nofile["want"]["warn_above"]), (&"warn".into(), &1024.into()));
    let master = nginx.0.id();
    let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap();
    let worker = children.split_whitespace().next().unwrap().parse().unwrap();
    let report = audit(scene, worker);
    assert_eq!(
        report.finding("runtime/nginx-connections")["now"],
        4096,
        "a worker has the configuration of its master"
    );
    assert_eq!(report.finding("files/nofile-soft")["now"], 1024);
    let mut ended = program("kill");
    ended.args(["-TERM", &master.to_string()]);
    assert!(ended.status().unwrap().success());
}

/// The trial itself has such threads, as a program with Tokio has.
fn workers_of_tokio_are_counted_by_their_threads(scene: &Scene) {
    let count = thread::available_parallelism().unwrap().get();
    let workers: Vec<_> = (0..count)
        .map(|_| thread::Builder::new().name("tokio-rt-worker".to_owned()).spawn(thread::park).unwrap())
        .collect();
    let report = audit(scene, std::process::id());
    let finding = report.finding("runtime/tokio-workers");
    assert_eq!((&finding["outcome"], &finding["now"]), (&"pass".into(), &count.into()));
    assert_eq!(report.finding("runtime/tokio-worker-threads")["outcome"], "not-applicable");
    for worker in workers {
        worker.thread().unpark();
        worker.join().unwrap();
    }
}

fn which_runtimes_raise_their_limit(scene: &Scene) {
    let wait = "import time; time.sleep(60)";
    let python = ["-c", wait];
    let node = ["-e", "setTimeout(() => {}, 60000)"];
    let jvm = java(&["-Xmx64m"]);
    let cases: [(&str, &[&str], bool, &str); 3] = [
        ("java", &jvm, true, "The JVM raises"),
        ("node", &node, true, "Node raises"),
        ("python3", &python, false, "Python does not raise"),
    ];
    for (name, args, raises, says) in cases {
        let mut command = script("ulimit -Sn 512; ulimit -Hn 1024; exec \"$@\"", &[]);
        command.arg(program(name).get_program()).args(args);
        let running = Running::waiting(command);
        let pid = running.0.id();
        let soft = if raises { 1024 } else { 512 };
        let limits = || fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let shown = |soft: u32| {
            limits().lines().any(|line| {
                let mut words = line.split_whitespace();
                line.starts_with("Max open files") && words.nth(3) == Some(&soft.to_string())
            })
        };
        // A shim may start it.
        let exe = || fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let is_it =
            || exe().file_name().is_some_and(|exe| exe.to_string_lossy().starts_with(name.trim_end_matches('3')));
        assert!(eventually(|| is_it() && shown(soft)), "{name}: {}", limits());
        let report = running.audit(scene);
        let finding = report.finding("files/nofile-soft");
        assert_eq!(finding["now"], soft, "{name}");
        assert!(finding["says"].as_str().unwrap().contains(says), "{name}: {finding:#}");
    }
}
