//! Suggested settings in the programs that they are for.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{NETWORK, Need, Place, Scene, done, eventually, program};
use crate::namespaces::loopback_up;

/// Debian's own, with the packages of Debian; a python3 of PATH may be another one.
const PYTHON: &str = "/usr/bin/python3";

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "nginx_takes_the_settings_of_a_plan_and_listens_as_they_say",
        needs: &[Need::Root, Need::Program("nginx"), Need::Program("ss")],
        own: NETWORK,
        trial: nginx_takes_the_settings_of_a_plan_and_listens_as_they_say,
    },
    Place {
        name: "python_clients_take_the_settings_of_a_plan_and_have_the_defaults_it_names",
        needs: &[
            Need::Program(PYTHON),
            Need::Program("/usr/lib/python3/dist-packages/aiohttp/__init__.py"),
            Need::Program("/usr/lib/python3/dist-packages/httpx/__init__.py"),
            Need::Program("/usr/lib/python3/dist-packages/h2/__init__.py"),
        ],
        own: &[],
        trial: python_clients_take_the_settings_of_a_plan_and_have_the_defaults_it_names,
    },
    Place {
        name: "the_client_of_the_jdk_takes_the_settings_of_a_plan",
        needs: &[Need::Program("jshell")],
        own: &[],
        trial: the_client_of_the_jdk_takes_the_settings_of_a_plan,
    },
    Place {
        name: "envoy_has_the_settings_of_a_plan_where_its_api_has_them",
        needs: &[],
        own: &[],
        trial: envoy_has_the_settings_of_a_plan_where_its_api_has_them,
    },
];

/// The lines that a plan suggests for a program.
fn suggested(scene: &Scene, program: &str, load: &[&str]) -> Vec<String> {
    let mut command = scene.tunecheck();
    command.args(["plan", "--format", "json"]).args(load);
    let plan: Value = serde_json::from_str(&done(command)).unwrap();
    let settings = plan["settings"].as_array().unwrap();
    let of = settings.iter().find(|setting| setting["program"] == program).unwrap_or_else(|| panic!("no {program}"));
    of["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// A configuration with each line in the block that its comment names.
fn configuration(folder: &str, lines: &[String]) -> String {
    let of = |block: &str| -> String {
        let lines = lines.iter().filter_map(|line| line.split_once("; # "));
        lines.filter(|(_, place)| place.split(',').next() == Some(block)).map(|(line, _)| format!("{line}; ")).collect()
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {folder}/{name}; "))
        .collect();
    format!(
        "daemon off; user root; pid {folder}/pid; error_log {folder}/errors; {}\nevents {{ {} }}\n\
         http {{ access_log off; {temporary} {}\nupstream api {{ server 127.0.0.1:1; {} }}\n\
         server {{ {} location / {{ proxy_pass http://api; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n",
        of("main"),
        of("events"),
        of("http"),
        of("upstream"),
        of("server"),
    )
}

fn nginx(scene: &Scene, lines: &[String]) -> Command {
    let file = scene.folder.join("nginx.conf");
    let text = configuration(&scene.folder.display().to_string(), lines);
    for line in lines {
        let (line, _) = line.split_once(" # ").unwrap();
        assert!(text.contains(line), "{line} is in no block: {text}");
    }
    fs::write(&file, text).unwrap();
    let mut command = program("nginx");
    command.arg("-p").arg(&scene.folder).arg("-c").arg(file);
    command
}

fn nginx_takes_the_settings_of_a_plan_and_listens_as_they_say(scene: &Scene) {
    loopback_up();
    fs::write("/proc/sys/net/core/somaxconn", "65535").unwrap();
    let loads: [&[&str]; 3] = [
        &["--role", "gateway", "--concurrency", "3000", "--burst", "700", "--port", "1098"],
        &["--role", "gateway", "--concurrency", "3000", "--protocol", "h2", "--streams", "250", "--port", "1098"],
        &["--role", "server", "--concurrency", "9000", "--protocol", "h2", "--streams", "300", "--port", "1098"],
    ];
    for load in loads {
        let mut tested = nginx(scene, &suggested(scene, "nginx", load));
        let output = tested.arg("-t").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !said.contains("[warn]"), "{load:?}: {said}");
    }

    let mut started = nginx(scene, &suggested(scene, "nginx", loads[0]));
    let mut master = started.stdin(Stdio::null()).spawn().unwrap();
    let queue = || {
        let mut shown = program("ss");
        shown.args(["-Hltn", "sport = :1098"]);
        done(shown).split_whitespace().nth(2).map(str::to_owned)
    };
    let listens = eventually(|| queue().as_deref() == Some("700"));
    let mut ended = program("kill");
    ended.args(["-TERM", &master.id().to_string()]);
    assert!(ended.status().unwrap().success());
    master.wait().unwrap();
    assert!(listens, "the backlog of the plan");
    // The master says whether it may have as many files.
    let errors = fs::read_to_string(scene.folder.join("errors")).unwrap();
    assert!(!errors.contains("[emerg]") && !errors.contains("[warn]"), "{errors}");
}

/// Runs the lines, and then asks the objects that they made.
fn python(lines: &[String], then: &str) -> String {
    let body: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    let text =
        format!("import asyncio, inspect, aiohttp, httpx\nasync def main():\n{body}    {then}\nasyncio.run(main())\n");
    let mut command = program(PYTHON);
    // Isolated: no packages of the user, and none that the environment names.
    command.args(["-I", "-c", &text]);
    done(command).trim().to_owned()
}

fn python_clients_take_the_settings_of_a_plan_and_have_the_defaults_it_names(scene: &Scene) {
    let h1 = ["--role", "client", "--concurrency", "10000", "--pods", "10"];
    let h2 = [&h1[..], &["--protocol", "h2", "--streams", "250"]].concat();

    let lines = suggested(scene, "aiohttp", &h1);
    let shown =
        python(&lines, "print(session.connector.limit, session.connector.limit_per_host); await session.close()");
    assert_eq!(shown, "1000 0");
    let lines = suggested(scene, "aiohttp", &h2);
    assert_eq!(python(&lines, "print(connector.limit); await session.close()"), "1000");

    let lines = suggested(scene, "httpx", &h1);
    let shown = python(
        &lines,
        "pool = client._transport._pool; print(pool._max_connections, pool._max_keepalive_connections, pool._http2)",
    );
    assert_eq!(shown, "1000 1000 False");
    let lines = suggested(scene, "httpx", &h2);
    let shown = python(&lines, "print(len(clients), {client._transport._pool._http2 for client in clients})");
    assert_eq!(shown, "10 {True}");
    let many = [&h2[..], &["--destinations", "30"]].concat();
    let lines = suggested(scene, "httpx", &many);
    assert_eq!(python(&lines, "print(clients[0]._transport._pool._max_keepalive_connections)"), "30");

    let defaults = "connector = aiohttp.TCPConnector(); print(connector.limit, connector.limit_per_host); \
        pool = httpx.AsyncClient()._transport._pool; \
        print(pool._max_connections, pool._max_keepalive_connections, httpx.AsyncClient().timeout.pool, pool._http2)";
    assert_eq!(python(&[], defaults), "100 0\n100 20 5.0 False");
}

/// Runs the lines, and then asks the objects that they made.
fn java(scene: &Scene, lines: &[String], then: &str) -> String {
    let file = scene.folder.join("asked.jsh");
    let ask = format!("System.out.println({then});\n/exit\n");
    fs::write(&file, format!("import java.net.http.*;\n{}\n{ask}", lines.join("\n"))).unwrap();
    let mut command = program("jshell");
    // Settings are kept below the user's home otherwise.
    command.arg(format!("-J-Djava.util.prefs.userRoot={}", scene.folder.display())).arg("-s").arg(file);
    done(command).trim().to_owned()
}

fn the_client_of_the_jdk_takes_the_settings_of_a_plan(scene: &Scene) {
    let name = "java.net.http.HttpClient (JDK)";
    let h1 = ["--role", "client", "--concurrency", "10000", "--pods", "10"];
    let lines = suggested(scene, name, &h1);
    assert_eq!(java(scene, &lines, r#"client.version() + " " + requests.availablePermits()"#), "HTTP_1_1 1000");
    let h2 = [&h1[..], &["--protocol", "h2", "--streams", "250"]].concat();
    let lines = suggested(scene, name, &h2);
    assert_eq!(
        java(scene, &lines, r#"clients.length + " " + Set.of(clients).size() + " " + clients[3].version()"#),
        "4 4 HTTP_2"
    );
}

fn envoy_has_the_settings_of_a_plan_where_its_api_has_them(scene: &Scene) {
    let load = ["--role", "gateway", "--concurrency", "30000", "--protocol", "h2", "--streams", "250"];
    let read = |load: &[&str]| -> serde_yaml::Value {
        serde_yaml::from_str(&suggested(scene, "Envoy", load).join("\n")).unwrap()
    };
    // api/envoy/extensions/upstreams/http/v3/http_protocol_options.proto
    let protocol = |cluster: &serde_yaml::Value| {
        let name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        let options = cluster["typed_extension_protocol_options"][name].clone();
        assert_eq!(options["@type"], format!("type.googleapis.com/{name}"));
        options["explicit_http_config"]["http2_protocol_options"].as_mapping().unwrap().clone()
    };
    let cluster = read(&load);
    assert!(protocol(&cluster).is_empty());
    let limits = &cluster["circuit_breakers"]["thresholds"][0];
    let each = ["max_connections", "max_pending_requests", "max_requests"].map(|name| limits[name].as_u64().unwrap());
    assert_eq!(each, [1024, 30_000, 30_000]);
    assert!(cluster.get("http2_protocol_options").is_none());

    let crowded = read(&[&load[..7], &["5000", "--incoming-streams", "2000"]].concat());
    assert_eq!(protocol(&crowded)["max_concurrent_streams"], 5000);
    assert_eq!(crowded["http2_protocol_options"]["max_concurrent_streams"], 2000);
}
