//! Real servers of HTTP/2, each held to what nghttp shows of it, and real look-ups of names.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{NETWORK, Need, Place, Running, Scene, done, eventually, program, script, timed};
use crate::namespaces::loopback_up;
use crate::report::Run;

/// A network of its own, and one of processes: what listens and what was started ends with the trial.
const OWN: &[&str] =
    &["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];
const REFERENCE: [Need; 4] = [Need::Root, Need::Program("ip"), Need::Program("openssl"), Need::Program("nghttp")];
const DNS: &str = include_str!("dns.py");

const fn served_by(server: &'static str) -> [Need; 5] {
    let [root, ip, openssl, nghttp] = REFERENCE;
    [root, ip, openssl, nghttp, Need::Program(server)]
}

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "nginx_says_what_nghttp_shows",
        needs: &served_by("nginx"),
        own: OWN,
        trial: |scene| says_what_nghttp_shows(scene, nginx, "nginx"),
    },
    Place {
        name: "nghttpd_says_what_nghttp_shows",
        needs: &served_by("nghttpd"),
        own: OWN,
        trial: |scene| says_what_nghttp_shows(scene, nghttpd, "nghttpd, or another server on nghttp2"),
    },
    Place {
        name: "node_says_what_nghttp_shows",
        needs: &served_by("node"),
        own: OWN,
        trial: |scene| {
            says_what_nghttp_shows(scene, node, "Node.js, or another library that leaves every setting as it is");
        },
    },
    Place {
        name: "apache_says_what_nghttp_shows",
        needs: &served_by("apache2"),
        own: OWN,
        trial: |scene| says_what_nghttp_shows(scene, apache, "Apache httpd"),
    },
    Place {
        name: "haproxy_says_what_nghttp_shows",
        needs: &served_by("haproxy"),
        own: OWN,
        trial: |scene| says_what_nghttp_shows(scene, haproxy, "HAProxy"),
    },
    Place {
        name: "addresses_of_one_name_are_asked_apart",
        needs: &served_by("nghttpd"),
        own: OWN,
        trial: addresses_of_one_name_are_asked_apart,
    },
    Place {
        name: "names_are_looked_up_by_the_name_servers_of_resolv_conf",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("python3")],
        own: OWN,
        trial: names_are_looked_up_by_the_name_servers_of_resolv_conf,
    },
    Place {
        name: "an_audit_opens_no_socket_to_the_network",
        needs: &[Need::Root, Need::Program("ip"), Need::Program("strace")],
        own: NETWORK,
        trial: an_audit_opens_no_socket_to_the_network,
    },
];

/// With TLS, and in cleartext.
const PORT: u16 = 8443;
const CLEAR: u16 = 8080;

/// Starts a server that listens on these ports.
fn serving(mut command: Command, ports: &[u16]) -> Running {
    command.stdout(Stdio::null());
    let running = Running::start(command);
    for port in ports {
        assert!(eventually(|| TcpStream::connect(("127.0.0.1", *port)).is_ok()), "nothing listens on {port}");
    }
    running
}

/// An authority, and the key and certificate of `peer.test`, as `ca.pem`, `key.pem` and `cert.pem`.
fn certificates(scene: &Scene) {
    let text = "cd \"$1\"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out request.pem -subj /CN=peer
        echo subjectAltName=DNS:peer.test,IP:127.0.0.1 > names
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem
        cat cert.pem key.pem > both.pem";
    let mut made = script(text, &[&scene.folder]);
    made.stderr(Stdio::null());
    done(made);
}

fn nginx(scene: &Scene) -> Running {
    let conf = scene.folder.join("nginx.conf");
    let folder = scene.folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {folder}/{name};"))
        .collect();
    let text = format!(
        "worker_processes 1; daemon off; user root; pid {folder}/pid; error_log {folder}/errors;\n\
         events {{}}\nhttp {{ access_log off; {temporary}\n\
         server {{ listen 127.0.0.1:{PORT} ssl http2; ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; \
         ssl_protocols TLSv1.2 TLSv1.3; }}\n\
         server {{ listen 127.0.0.1:{CLEAR} http2; }} }}\n"
    );
    fs::write(&conf, text).unwrap();
    let mut command = program("nginx");
    command.arg("-p").arg(&scene.folder).arg("-c").arg(&conf).stderr(Stdio::null());
    serving(command, &[PORT, CLEAR])
}

fn nghttpd(scene: &Scene) -> Running {
    let mut command = script(
        "nghttpd -a 127.0.0.1 --no-tls \"$2\" & exec nghttpd -a 127.0.0.1 \"$3\" \"$1/key.pem\" \"$1/cert.pem\"",
        &[&scene.folder],
    );
    command.args([CLEAR.to_string(), PORT.to_string()]);
    serving(command, &[PORT, CLEAR])
}

fn node(scene: &Scene) -> Running {
    let text = format!(
        "const fs = require('fs'), http2 = require('http2'), answer = (request, response) => response.end();\n\
         const options = {{ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') }};\n\
         http2.createSecureServer(options, answer).listen({PORT}, '127.0.0.1');\n\
         http2.createServer(answer).listen({CLEAR}, '127.0.0.1');\n"
    );
    fs::write(scene.folder.join("serve.js"), text).unwrap();
    let mut command = program("node");
    command.arg("serve.js").current_dir(&scene.folder);
    serving(command, &[PORT, CLEAR])
}

fn apache(scene: &Scene) -> Running {
    let folder = scene.folder.display();
    let modules: String = ["mpm_event", "authz_core", "ssl", "http2"]
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let text = format!(
        "ServerRoot {folder}\nPidFile {folder}/pid\nErrorLog {folder}/errors\nServerName peer.test\nDocumentRoot {folder}\n\
         Mutex file:{folder}\n{modules}Listen 127.0.0.1:{PORT}\nListen 127.0.0.1:{CLEAR}\nProtocols h2 h2c http/1.1\n\
         <VirtualHost *:{PORT}>\nSSLEngine on\nSSLCertificateFile {folder}/cert.pem\n\
         SSLCertificateKeyFile {folder}/key.pem\n</VirtualHost>\n"
    );
    let conf = scene.folder.join("apache.conf");
    fs::write(&conf, text).unwrap();
    let mut command = program("apache2");
    command.arg("-X").arg("-f").arg(&conf);
    serving(command, &[PORT, CLEAR])
}

fn haproxy(scene: &Scene) -> Running {
    let folder = scene.folder.display();
    let text = format!(
        "global\n  maxconn 100\ndefaults\n  mode http\n  timeout client 5s\n  timeout server 5s\n  timeout connect 5s\n\
         frontend peer\n  bind 127.0.0.1:{PORT} ssl crt {folder}/both.pem alpn h2,http/1.1\n\
         \x20 bind 127.0.0.1:{CLEAR} proto h2\n  http-request return status 200\n"
    );
    let conf = scene.folder.join("haproxy.conf");
    fs::write(&conf, text).unwrap();
    let mut command = program("haproxy");
    command.arg("-db").arg("-f").arg(&conf).stderr(Stdio::null());
    serving(command, &[PORT, CLEAR])
}

/// What a probe that succeeds prints.
fn probed(scene: &Scene, args: &[&str]) -> Value {
    let mut command = scene.tunecheck();
    command.args(["probe", "h2", "--format", "json"]).args(args);
    let run = Run::of(command);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

/// SETTINGS of a server and the WINDOW_UPDATE of its connection, as nghttp shows them before the first answer.
fn shown_by_nghttp(url: &str) -> (Value, Value) {
    let mut command = timed(10, "nghttp");
    command.args(["-nv", "-t", "5", url]);
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let (mut settings, mut window, mut inside) = (Vec::new(), Value::Null, "");
    for line in text.lines().take_while(|line| !line.contains("recv (stream_id")) {
        match line.split_once("] ").filter(|_| line.starts_with('[')) {
            Some((_, frame)) if frame.starts_with("recv SETTINGS frame") && frame.contains("flags=0x00") => {
                inside = "settings";
            }
            Some((_, frame)) if frame.starts_with("recv WINDOW_UPDATE") && frame.contains("stream_id=0>") => {
                inside = "window";
            }
            Some(_) => inside = "",
            None => {}
        }
        let trimmed = line.trim();
        if let Some((name, rest)) = trimmed.strip_prefix("[SETTINGS_").and_then(|rest| rest.split_once("(0x"))
            && inside == "settings"
        {
            let (id, value) = rest.trim_end_matches(']').split_once("):").unwrap();
            let id = u16::from_str_radix(id, 16).unwrap();
            settings.push(json!({ "id": id, "name": name, "value": value.parse::<u32>().unwrap() }));
        }
        if let Some(more) = trimmed.strip_prefix("(window_size_increment=")
            && inside == "window"
        {
            window = more.trim_end_matches(')').parse::<u32>().unwrap().into();
        }
    }
    assert!(text.contains("recv SETTINGS frame"), "nghttp showed nothing of {url}: {text}");
    (settings.into(), window)
}

fn says_what_nghttp_shows(scene: &Scene, start: fn(&Scene) -> Running, looks_like: &str) {
    loopback_up();
    certificates(scene);
    let _server = start(scene);
    let ca = format!("--cacert={}", scene.folder.join("ca.pem").display());
    let secured = probed(scene, &[&format!("https://peer.test:{PORT}"), "--connect", "127.0.0.1", &ca]);
    let cleartext = probed(scene, &[&format!("http://127.0.0.1:{CLEAR}")]);
    for (told, url) in
        [(&secured, format!("https://127.0.0.1:{PORT}/")), (&cleartext, format!("http://127.0.0.1:{CLEAR}/"))]
    {
        let answer = &told["addresses"][0]["answer"];
        let (settings, window) = shown_by_nghttp(&url);
        assert_eq!((&answer["settings"], &answer["window_update"]), (&settings, &window), "{url}");
        let streams = settings.as_array().unwrap().iter().find(|setting| setting["id"] == 3);
        assert_eq!(answer["max_concurrent_streams"], streams.map_or(Value::Null, |setting| setting["value"].clone()));
        assert_eq!(answer["looks_like"], looks_like, "{url}");
    }
    let tls = &secured["addresses"][0]["tls"];
    assert_eq!(
        (&tls["version"], &tls["alpn"], &tls["resumption"]),
        (&"TLSv1.3".into(), &"h2".into(), &"tickets".into())
    );
    assert!(cleartext["addresses"][0]["tls"].is_null());
}

/// Puts a file in the place of one of the machine, for this trial alone.
fn put(scene: &Scene, path: &str, content: &str) {
    let own = scene.folder.join(Path::new(path).file_name().unwrap());
    fs::write(&own, content).unwrap();
    done(script("mount --bind \"$1\" \"$2\"", &[&own, Path::new(path)]));
}

fn addresses_of_one_name_are_asked_apart(scene: &Scene) {
    loopback_up();
    put(scene, "/etc/hosts", "127.0.0.1 localhost\n127.0.0.1 peer.test\n127.0.0.2 other peer.test # a proxy\n");
    let server = |address: &str, streams: &str| {
        let mut command = program("nghttpd");
        command.args(["-a", address, "--no-tls", "-m", streams, &CLEAR.to_string()]);
        serving(command, &[])
    };
    let _servers = [server("127.0.0.1", "100"), server("127.0.0.2", "33")];
    assert!(eventually(|| ["127.0.0.1", "127.0.0.2"].iter().all(|ip| TcpStream::connect((*ip, CLEAR)).is_ok())));
    let url = format!("http://peer.test:{CLEAR}");
    let told = probed(scene, &[&url]);
    let each = |key: &str| [0, 1].map(|at: usize| told["addresses"][at]["answer"][key].clone());
    assert_eq!(each("max_concurrent_streams"), [Value::from(100), 33.into()], "{told:#}");
    assert_eq!((&told["found_by"], &told["max_concurrent_streams"]), (&"/etc/hosts".into(), &33.into()));
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json", "--workload", "client", "--streams", "50", "--h2", &url]);
    let report = Run::of(audit).report();
    let streams = report.finding("http2/streams");
    assert_eq!((&streams["outcome"], &streams["now"]), (&"fail".into(), &33.into()));
    assert_eq!(report.finding("http2/addresses")["outcome"], "warn");
}

fn names_are_looked_up_by_the_name_servers_of_resolv_conf(scene: &Scene) {
    loopback_up();
    put(scene, "/etc/hosts", "127.0.0.1 localhost\n");
    // Nothing answers at the first one.
    put(
        scene,
        "/etc/resolv.conf",
        "search nothing.example test.example\nnameserver 127.0.0.9\nnameserver 127.0.0.53\n",
    );
    let file = scene.folder.join("dns.py");
    fs::write(&file, DNS).unwrap();
    let mut command = program("python3");
    command.arg(&file);
    let _server = serving(command, &[]);
    assert!(eventually(|| TcpStream::connect("127.0.0.53:53").is_ok()));
    let told = |name: &str| {
        let mut command = scene.tunecheck();
        command.args(["probe", "h2", "--format", "json", "--timeout", "3s", &format!("http://{name}:9")]);
        let run = Run::of(command);
        assert_eq!((run.code, run.stderr.as_str()), (Some(2), ""), "nothing listens there: {run:?}");
        serde_json::from_str::<Value>(&run.stdout).unwrap()
    };
    let addresses = |told: &Value| -> Vec<String> {
        let all = told["addresses"].as_array().unwrap().iter();
        all.map(|peer| peer["address"].as_str().unwrap().trim_end_matches(":9").to_owned()).collect()
    };
    let peer = told("peer");
    assert_eq!(addresses(&peer), ["127.0.0.1", "127.0.0.2", "[::1]"], "{peer:#}");
    assert_eq!(peer["found_by"], "name server 127.0.0.53 as peer.test.example", "the search list");
    fs::write(
        scene.folder.join("resolv.conf"),
        "search a b c test.example\nnameserver 127.0.0.10\nnameserver 127.0.0.53\n",
    )
    .unwrap();
    let peer = told("peer");
    assert_eq!(addresses(&peer).len(), 3, "one that stays silent is waited for once: {peer:#}");
    let took = peer["found_in"].as_u64().unwrap();
    assert!((100_000..2_000_000).contains(&took), "{took} microseconds");
    fs::write(scene.folder.join("resolv.conf"), "nameserver 127.0.0.9\nnameserver 127.0.0.53\n").unwrap();
    let routes = told("routes.test");
    assert_eq!((addresses(&routes), &routes["unrouted"]), (vec!["127.0.0.1".to_owned()], &json!(["2001:db8::7"])));
    let long = told("long.test");
    assert_eq!((addresses(&long).len(), &long["left_out"]), (16, &24.into()), "over TCP: {long:#}");
    assert_eq!(addresses(&told("alias.test.")), ["127.0.0.3"]);
    assert_eq!(addresses(&told("only.six.test")), ["[::1]"]);
    let nowhere = told("gone.test");
    let why = nowhere["nowhere"].as_str().unwrap();
    assert!(why.contains("there is no gone.test") && why.contains("--connect ADDRESS"), "{why}");
    // What fails for one domain of the search list is no answer for the next.
    for domain in ["broken.example", "silent.example"] {
        let conf = format!("search {domain} test.example\nnameserver 127.0.0.53\n");
        fs::write(scene.folder.join("resolv.conf"), conf).unwrap();
        let peer = told("peer");
        assert_eq!(peer["found_by"], "name server 127.0.0.53 as peer.test.example", "{domain}: {peer:#}");
        let nowhere = told("gone");
        let why = nowhere["nowhere"].as_str().unwrap();
        let failed = why.contains(&format!("gone.{domain} could not be looked up (127.0.0.53: "));
        assert!(failed && why.contains("there is no gone.test.example, there is no gone."), "{why}");
    }
    fs::write(scene.folder.join("resolv.conf"), "nameserver 127.0.0.9\nnameserver 127.0.0.53\n").unwrap();
    let refused = told("refused.test");
    let why = refused["nowhere"].as_str().unwrap();
    assert!(why.contains("127.0.0.53: refused (Refused)") && why.contains("127.0.0.9:"), "{why}");
    assert_eq!(addresses(&told("localhost")), ["127.0.0.1"], "the hosts file comes first");
    // A list without end: its beginning is tried, the name itself, and what was left out is said.
    let domains: String = (0..20_000).map(|n| format!(" d{n}.example")).collect();
    fs::write(scene.folder.join("resolv.conf"), format!("search{domains}\nnameserver 127.0.0.53\n")).unwrap();
    let nowhere = told("gone");
    let why = nowhere["nowhere"].as_str().unwrap();
    assert_eq!(why.matches("there is no gone").count(), 33, "{why}");
    assert!(why.contains("there is no gone,") && why.contains("19968 more search domains were not tried"), "{why}");
}

fn an_audit_opens_no_socket_to_the_network(scene: &Scene) {
    loopback_up();
    let families = |args: &[&str]| {
        let log = scene.folder.join("calls");
        let mut command = program("strace");
        command.args(["-f", "-e", "trace=socket,connect", "-o"]).arg(&log).arg(&scene.tunecheck).args(args);
        let _ = command.output().unwrap();
        let calls = fs::read_to_string(&log).unwrap();
        let network = calls.lines().filter(|line| line.contains("AF_INET")).count();
        (calls.contains("AF_NETLINK"), network)
    };
    assert_eq!(families(&[]), (true, 0), "netlink is the kernel");
    assert_eq!(families(&["--workload", "gateway", "-v"]), (true, 0));
    let (_, network) = families(&["--workload", "client", "--h2", "http://127.0.0.1:9"]);
    assert!(network > 0, "so this sees what is opened");
}
