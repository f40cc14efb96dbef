//! Real servers, each judged by the numbers in its own configuration.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Need, Place, Running, Scene, done, eventually, program};
use crate::namespaces::loopback_up;
use crate::report::Run;

/// What listens and what was started ends with the trial.
const OWN: &[&str] =
    &["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];

macro_rules! places {
    ($($trial:ident: $($program:literal),+;)+) => {
        pub(crate) const PLACES: &[Place] = &[$(Place {
            name: stringify!($trial),
            needs: &[Need::Root, Need::Program("ip"), $(Need::Program($program)),+],
            own: OWN,
            trial: $trial,
        }),+];
    };
}

places! {
    haproxy_is_judged_by_the_maxconn_of_what_serves_the_port: "haproxy";
    redis_says_what_it_takes_where_its_configuration_is_found: "redis-server";
    the_children_of_all_pools_of_php_fpm_count: "php-fpm8.2";
    pgbouncer_cannot_take_more_clients_than_files: "pgbouncer";
    postgres_is_judged_by_what_its_files_and_includes_set_last: "pg_lsclusters", "setpriv";
    gunicorn_and_uvicorn_are_judged_by_their_options: "gunicorn", "uvicorn";
}

/// A server that answers on a port of loopback.
fn serving(mut command: Command, port: u16) -> Running {
    loopback_up();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Running::start(command);
    assert!(eventually(|| TcpStream::connect(("127.0.0.1", port)).is_ok()), "nothing answers on port {port}");
    server
}

fn finding(scene: &Scene, server: &Running, rule: &str) -> Value {
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json", "--pid", &server.0.id().to_string()]);
    Run::of(audit).report().finding(rule).clone()
}

fn file(scene: &Scene, name: &str, text: &str) -> PathBuf {
    let path = scene.folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

fn outcome(finding: &Value) -> (&Value, &Value) {
    (&finding["outcome"], &finding["now"])
}

fn haproxy_is_judged_by_the_maxconn_of_what_serves_the_port(scene: &Scene) {
    let conf = |global: &str, own: &str| {
        format!(
            "global\n  {global}\ndefaults\n  mode tcp\n  timeout client 1s\n  timeout server 1s\n  timeout connect 1s\n\
             listen web\n  {own}\n  bind 127.0.0.1:1099\n  server one 127.0.0.1:1\n"
        )
    };
    const NONE: &str = "option dontlognull";
    for (global, own, expected) in [
        ("maxconn 4000", NONE, ("fail", Some(4000))),
        ("log 127.0.0.1 local0", NONE, ("not-applicable", None)),
        ("maxconn 9000", "maxconn 7", ("fail", Some(7))),
        ("maxconn 9000", "maxconn 8000", ("pass", Some(8000))),
    ] {
        let mut command = program("haproxy");
        let global = format!("{global}\n  no strict-limits");
        command.arg("-f").arg(file(scene, "haproxy.cfg", &conf(&global, own)));
        let haproxy = serving(command, 1099);
        for ports in [&[][..], &["--port", "1099"]] {
            let mut audit = scene.tunecheck();
            audit.args(["--format", "json", "--pid", &haproxy.0.id().to_string()]).args(ports);
            let finding = Run::of(audit).report().finding("runtime/haproxy-maxconn").clone();
            assert_eq!((finding["outcome"].as_str().unwrap(), finding["now"].as_u64()), expected, "{ports:?}");
        }
    }
}

fn redis_says_what_it_takes_where_its_configuration_is_found(scene: &Scene) {
    let text = |port: u16| format!("port {port}\nmaxclients 5000\nsave \"\"\ndir {}\n", scene.folder.display());
    let conf = file(scene, "redis.conf", &text(1098));
    // The usual file, for this trial alone.
    let usual = Path::new("/etc/redis");
    fs::create_dir_all(usual).unwrap();
    let mut mount = program("mount");
    mount.args(["-t", "tmpfs", "trial"]).arg(usual);
    done(mount);
    let mut command = program("redis-server");
    command.arg(&conf);
    let redis = serving(command, 1098);
    fs::write(usual.join("redis.conf"), text(6379)).unwrap();
    assert_eq!(finding(scene, &redis, "runtime/redis-maxclients")["outcome"], "unknown", "that of another port");
    fs::copy(&conf, usual.join("redis.conf")).unwrap();
    assert_eq!(outcome(&finding(scene, &redis, "runtime/redis-maxclients")), (&"fail".into(), &5000.into()));
}

fn the_children_of_all_pools_of_php_fpm_count(scene: &Scene) {
    let pools = scene.folder.join("pool.d");
    let global = format!(
        "[global]\ndaemonize = no\nerror_log = {}/errors\ninclude = {}/*.conf\n",
        scene.folder.display(),
        pools.display()
    );
    let conf = file(scene, "php-fpm.conf", &global);
    for (name, port, children) in [("a", 1095, 7), ("b", 1096, 3)] {
        let pool =
            format!("[{name}]\nlisten = 127.0.0.1:{port}\nuser = nobody\npm = static\npm.max_children = {children}\n");
        file(scene, &format!("pool.d/{name}.conf"), &pool);
    }
    let mut command = program("php-fpm8.2");
    command.arg("-y").arg(conf);
    let master = serving(command, 1096);
    assert_eq!(outcome(&finding(scene, &master, "runtime/php-fpm-children")), (&"warn".into(), &10.into()));
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", master.0.id())).unwrap();
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json", "--connections", "9", "--pid", children.split_whitespace().next().unwrap()]);
    let report = Run::of(audit).report();
    assert_eq!(outcome(report.finding("runtime/php-fpm-children")), (&"pass".into(), &10.into()));
}

fn pgbouncer_cannot_take_more_clients_than_files(scene: &Scene) {
    let text = "[databases]\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = 1094\nmax_client_conn = 9000\nauth_type = any\nunix_socket_dir =\n";
    let conf = file(scene, "pgbouncer.ini", text);
    for (files, expected) in [(2000u64, ("fail", 2000)), (10_000, ("pass", 9000))] {
        let mut command = program("prlimit");
        command.arg(format!("--nofile={files}:{files}")).args(["pgbouncer", "-u", "nobody"]).arg(&conf);
        let server = serving(command, 1094);
        let finding = finding(scene, &server, "runtime/pgbouncer-clients");
        assert_eq!(outcome(&finding), (&expected.0.into(), &expected.1.into()), "{finding:#}");
    }
}

fn postgres_is_judged_by_what_its_files_and_includes_set_last(scene: &Scene) {
    let versions = fs::read_dir("/usr/lib/postgresql").unwrap().flatten().map(|entry| entry.path().join("bin"));
    let programs = versions.max().unwrap();
    let data = scene.folder.join("data");
    fs::create_dir(&data).unwrap();
    chown(&data, Some(65_534), Some(65_534)).unwrap();
    let as_nobody = |name: &str| {
        let mut command = program("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(programs.join(name));
        command
    };
    let mut init = as_nobody("initdb");
    init.args(["--auth", "trust", "--no-sync", "--username", "trial", "-D"]).arg(&data);
    done(init);
    let main = data.join("postgresql.conf");
    let text = fs::read_to_string(&main).unwrap() + "max_connections = 250\ninclude_dir = 'conf.d'\n";
    fs::write(&main, text).unwrap();
    fs::create_dir(data.join("conf.d")).unwrap();
    fs::write(data.join("conf.d/a.conf"), "max_connections = 321\nsuperuser_reserved_connections = 7\t# more\n")
        .unwrap();
    fs::write(data.join("postgresql.auto.conf"), "max_connections = '30'\n").unwrap();
    let mut command = as_nobody("postgres");
    command.args(["-k", "", "-p", "1092", "-D"]).arg(&data);
    let server = serving(command, 1092);
    assert_eq!(outcome(&finding(scene, &server, "runtime/postgres-connections")), (&"fail".into(), &23.into()));
}

fn gunicorn_and_uvicorn_are_judged_by_their_options(scene: &Scene) {
    file(scene, "app.py", "def app(environ, start):\n    start('200 OK', [])\n    return []\n");
    let start = |name: &str, arguments: &[&str], port: u16| {
        let mut command = program(name);
        command.current_dir(&scene.folder).args(arguments).arg("app:app");
        serving(command, port)
    };
    let threads = start("gunicorn", &["-b", "127.0.0.1:1091", "-w", "3", "--threads", "4", "-k", "gthread"], 1091);
    assert_eq!(outcome(&finding(scene, &threads, "runtime/gunicorn-workers")), (&"warn".into(), &12.into()));
    let told = file(scene, "other.conf.py", "workers = 9\n");
    let file_option = start("gunicorn", &["-b", "127.0.0.1:1090", "-c", told.to_str().unwrap()], 1090);
    assert_eq!(finding(scene, &file_option, "runtime/gunicorn-workers")["outcome"], "unknown");
    let limited = start("uvicorn", &["--port", "1089", "--limit-concurrency", "50"], 1089);
    assert_eq!(outcome(&finding(scene, &limited, "runtime/uvicorn-concurrency")), (&"fail".into(), &50.into()));
}
