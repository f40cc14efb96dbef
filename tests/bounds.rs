//! What is audited may want the audit to take for ever or to use up the memory. Everything that grows with its input has a
//! bound, what is cut is told, and twice the input takes twice the work.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests prepare files and fail by panicking"
)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use support::work::{assert_linear, ticks};
use support::{BINARY, ROOT, scratch};

/// A recorded machine with much to judge.
const HOST: &str = "fixtures/hosts/in-trouble";
/// Memory that a run may take for an archive, in KiB.
const MEMORY: &str = "65536";

/// Runs tunecheck with no more memory of its own than this: one byte more, and it is aborted.
fn confined(args: &[&str]) -> Output {
    let mut sh = Command::new("sh");
    sh.args(["-c", "ulimit -d \"$0\" && exec \"$@\"", MEMORY, BINARY]).args(args);
    sh.current_dir(ROOT).stdin(Stdio::null()).output().unwrap()
}

fn manifest() -> Value {
    serde_json::from_slice(&fs::read(Path::new(ROOT).join(HOST).join("manifest.json")).unwrap()).unwrap()
}

/// A recording of the machine on which some answers are others.
fn recording(name: &str, answers: &[(&str, &str, Vec<u8>)]) -> PathBuf {
    let folder = scratch(name);
    let mut manifest = manifest();
    let all = manifest["answers"].as_array_mut().unwrap();
    for file in all.iter().filter_map(|answer| answer["file"].as_str()) {
        fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
        fs::copy(Path::new(ROOT).join(HOST).join(file), folder.join(file)).unwrap();
    }
    for (at, (ask, of, bytes)) in answers.iter().enumerate() {
        all.retain(|known| (&known["ask"], &known["of"]) != (&json!(ask), &json!(of)));
        let answer = match *ask {
            "list" => json!({ "ask": ask, "of": of, "text": String::from_utf8(bytes.clone()).unwrap() }),
            _ => json!({ "ask": ask, "of": of, "file": format!("other/{at}") }),
        };
        all.push(answer);
        fs::create_dir_all(folder.join("other")).unwrap();
        fs::write(folder.join(format!("other/{at}")), bytes).unwrap();
    }
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
    folder
}

/// An archive that is written by hand, entry by entry.
struct Archive(tar::Builder<GzEncoder<fs::File>>, PathBuf);

impl Archive {
    fn new(name: &str) -> Self {
        let path = scratch(name).join("a.tar.gz");
        Self(tar::Builder::new(GzEncoder::new(fs::File::create(&path).unwrap(), Compression::fast())), path)
    }

    fn entry(&mut self, kind: tar::EntryType, name: &str, size: u64, content: impl Read) {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len().min(100)].copy_from_slice(&name.as_bytes()[..name.len().min(100)]);
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o600);
        header.set_cksum();
        self.0.append(&header, content).unwrap();
    }

    fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(tar::EntryType::Regular, name, content.len() as u64, content);
    }

    /// The recorded machine, with these answers beside its own.
    fn machine(mut self, more: impl IntoIterator<Item = Value>) -> PathBuf {
        let mut manifest = manifest();
        let all = manifest["answers"].as_array_mut().unwrap();
        for file in all.iter().filter_map(|answer| answer["file"].as_str()) {
            let content = fs::read(Path::new(ROOT).join(HOST).join(file)).unwrap();
            let mut long = tar::Header::new_gnu();
            long.set_size(content.len() as u64);
            long.set_mode(0o600);
            self.0.append_data(&mut long, format!("r/{file}"), content.as_slice()).unwrap();
        }
        all.extend(more);
        self.file("r/manifest.json", manifest.to_string().as_bytes());
        self.close()
    }

    fn close(self) -> PathBuf {
        self.0.into_inner().unwrap().finish().unwrap().flush().unwrap();
        self.1
    }
}

/// Judges an archive under the bound of memory: a report, or exit 2 with a reason.
fn replayed(path: &Path) -> (Option<i32>, String) {
    let run = confined(&["--snapshot", path.to_str().unwrap()]);
    let said = [run.stdout, run.stderr].concat();
    (run.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn an_archive_is_read_as_its_directory_is() {
    let run = confined(&["--snapshot", HOST, "--format", "json"]);
    let whole = Archive::new("bounds-whole").machine([]);
    let other = confined(&["--snapshot", whole.to_str().unwrap(), "--format", "json"]);
    let findings = |output: &Output| serde_json::from_slice::<Value>(&output.stdout).unwrap()["findings"].clone();
    assert_eq!(findings(&run), findings(&other));
}

#[test]
fn an_archive_takes_no_more_memory_than_it_may_whatever_is_in_it() {
    let zeros = || std::io::repeat(0);
    let files = |count: usize, file: &str| {
        let of = |at: usize| json!({ "ask": "read", "of": format!("/etc/{at}"), "file": file });
        (0..count).map(of).collect::<Vec<_>>()
    };
    // The names of 10,000 answers for one file of 4 MiB: copied, these are 40 GiB.
    let mut shared = Archive::new("bounds-shared");
    shared.entry(tar::EntryType::Regular, "r/x", 4 << 20, zeros().take(4 << 20));
    let (code, said) = replayed(&shared.machine(files(10_000, "x")));
    assert_eq!(code, Some(1), "{said}");

    let mut many = Archive::new("bounds-many");
    for at in 0..16 {
        many.entry(tar::EntryType::Regular, &format!("r/{at}"), 1 << 20, zeros().take(1 << 20));
    }
    let (code, said) = replayed(&many.machine([]));
    assert!(code == Some(1) || said.contains("too large"), "{said}");
    assert!(said.contains("were not read, since it is larger") || said.contains("too large"), "{said}");

    let mut bomb = Archive::new("bounds-bomb");
    bomb.entry(tar::EntryType::Regular, "r/x", 200 << 20, zeros().take(200 << 20));
    let (code, said) = replayed(&bomb.machine([]));
    assert!(code == Some(2) && said.contains("ends early"), "{said}");

    for (kind, name) in
        [(tar::EntryType::GNULongName, "name"), (tar::EntryType::XHeader, "pax"), (tar::EntryType::GNULongLink, "link")]
    {
        let mut long = Archive::new(&format!("bounds-{name}"));
        for _ in 0..2 {
            long.entry(kind, "././@LongLink", 30 << 20, zeros().take(30 << 20));
        }
        let (code, said) = replayed(&long.machine([]));
        assert!(matches!(code, Some(1 | 2)), "{name}: {code:?} {said}");
    }

    let mut names = Archive::new("bounds-names");
    for at in 0..5000 {
        let name = format!("r/{at}/{}", "n".repeat(4000));
        names.entry(tar::EntryType::GNULongName, "././@LongLink", name.len() as u64, name.as_bytes());
        names.file("r", b"");
    }
    let (code, said) = replayed(&names.machine([]));
    assert!(matches!(code, Some(1 | 2)), "{code:?} {said}");

    let mut entries = Archive::new("bounds-entries");
    for at in 0..30_000 {
        entries.file(&format!("r/{at}"), b"");
    }
    let (code, said) = replayed(&entries.machine([]));
    assert!(code == Some(2) && said.contains("ends early"), "{said}");

    // A sparse file of 8 GiB in one block, which a reader of such would fill with zeros.
    let mut sparse = Archive::new("bounds-sparse");
    let mut header = tar::Header::new_gnu();
    header.set_path("r/files/proc/net/netstat").unwrap();
    header.set_entry_type(tar::EntryType::GNUSparse);
    header.set_size(0);
    header.as_gnu_mut().unwrap().realsize[..12].copy_from_slice(b"077777777777");
    header.set_cksum();
    sparse.0.append(&header, std::io::empty()).unwrap();
    let (code, said) = replayed(&sparse.machine([]));
    assert_eq!(code, Some(1), "{said}");

    let answers = |count: usize| (0..count).map(|at| json!({ "ask": "read", "of": at.to_string(), "text": "" }));
    let (code, said) = replayed(&Archive::new("bounds-answers").machine(answers(30_000)));
    assert!(code == Some(2) && said.contains("at most 20,000 answers"), "{said}");
    let huge = json!({ "ask": "read", "of": "/x", "text": "x".repeat(5 << 20) });
    let (code, said) = replayed(&Archive::new("bounds-manifest").machine([huge]));
    assert!(code == Some(2) && said.contains("larger than 4 MiB"), "{said}");

    // Archives in each other, and blocks that hold nothing.
    let mut nested = fs::read(Archive::new("bounds-nested").machine([])).unwrap();
    for _ in 0..3 {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&nested).unwrap();
        nested = gzip.finish().unwrap();
    }
    let path = scratch("bounds-nested-in").join("a.tar.gz");
    fs::write(&path, nested).unwrap();
    assert_eq!(replayed(&path).0, Some(2));
    let mut empty = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    empty.extend(b"\0\0\0\xff\xff".repeat(1 << 20));
    fs::write(&path, empty).unwrap();
    assert_eq!(replayed(&path).0, Some(2));
}

#[test]
fn nesting_is_an_error_that_says_so() {
    let folder = scratch("bounds-nesting");
    let deep = |open: &str, close: &str| open.repeat(200) + &close.repeat(200);
    for file in ["manifest.json", "report.json"] {
        fs::write(
            folder.join(file),
            format!("{{\"schema\": \"tunecheck.snapshot/v1\", \"answers\": {}}}", deep("[", "]")),
        )
        .unwrap();
    }
    fs::write(folder.join("pod.yaml"), format!("apiVersion: v1\nkind: Pod\nspec: {}\n", deep("[", "]"))).unwrap();
    let at = |file: &str| folder.join(file).to_str().unwrap().to_owned();
    let (snapshot, report, pod) = (folder.to_str().unwrap().to_owned(), at("report.json"), at("pod.yaml"));
    for (args, says) in [
        (vec!["--snapshot", &snapshot], "does not parse"),
        (vec!["fix", "--from", &report], "report.json"),
        (vec!["manifest", &pod], "nested deeper than 100"),
    ] {
        let run = confined(&args);
        let said = String::from_utf8([run.stdout, run.stderr].concat()).unwrap();
        assert!(matches!(run.status.code(), Some(0 | 2)) && said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn a_folder_of_sysctl_files_is_read_up_to_its_bound_and_the_rest_is_unknown() {
    let lines: String = (0..5000).map(|at| format!("net.x.k{at} = 1\n")).collect();
    let patterns: String = (0..100).map(|at| format!("net.*.k{at}* = 1\n")).collect();
    for (name, text, says) in [("lines", lines, "4,000 lines"), ("patterns", patterns, "64 patterns")] {
        let folder = recording(&format!("bounds-{name}"), &[("read", "/etc/sysctl.d/99-tune.conf", text.into_bytes())]);
        let report = report(&["--snapshot", folder.to_str().unwrap()]);
        let drift = finding(&report, "boot/drift");
        assert!(drift["outcome"] == "unknown" && drift.to_string().contains(says), "{name}: {drift}");
    }
}

/// A report that was made under the bound of memory.
fn report(args: &[&str]) -> Value {
    let run = confined(&[args, &["--format", "json"]].concat());
    serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// What a rule found.
fn finding<'a>(report: &'a Value, rule: &str) -> &'a Value {
    report["findings"].as_array().unwrap().iter().find(|finding| finding["rule"] == rule).unwrap()
}

/// On the machine itself: a folder of a container with more names than are taken, and more bytes than are.
#[test]
fn a_tree_with_folders_without_end_is_cut_and_told() {
    let root = scratch("bounds-tree");
    let folder = root.join("etc/sysctl.d");
    fs::create_dir_all(&folder).unwrap();
    for at in 0..10_100 {
        fs::write(folder.join(format!("{at}.conf")), "").unwrap();
    }
    let told = || report(&["--root", root.to_str().unwrap()]);
    fs::create_dir_all(root.join("proc/sys/net/core")).unwrap();
    fs::write(root.join("proc/sys/net/core/somaxconn"), "128\n").unwrap();
    let names = told();
    let drift = finding(&names, "boot/drift");
    assert!(drift["outcome"] == "unknown" && drift.to_string().contains("more than 10,000 names"), "{drift}");
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir_all(&folder).unwrap();
    for at in 0..2000 {
        fs::File::create(folder.join(format!("{at}.conf"))).unwrap().set_len(4 << 20).unwrap();
    }
    let bytes = told();
    let drift = finding(&bytes, "boot/drift");
    assert!(drift["outcome"] == "unknown" && drift.to_string().contains("beyond 16 MiB"), "{drift}");
    assert!(bytes["notes"].to_string().contains("questions were not asked"), "{}", bytes["notes"]);
}

#[test]
fn what_a_recording_holds_is_judged_in_time_that_is_linear() {
    let socket = fs::read(Path::new(ROOT).join(HOST).join("sock_diag/inet")).unwrap();
    let length = usize::try_from(u32::from_ne_bytes(socket[..4].try_into().unwrap())).unwrap();
    let listeners = |count: usize| -> Vec<u8> {
        (0..count)
            .flat_map(|at| {
                let mut message = socket[..length].to_vec();
                let (port, address) = (u16::try_from(1024 + at % 60_000).unwrap(), u32::try_from(at).unwrap());
                message[20..22].copy_from_slice(&port.to_be_bytes());
                message[24..28].copy_from_slice(&(0x7f00_0001 + address).to_be_bytes());
                message[84..88].copy_from_slice(&(100_000 + address).to_ne_bytes());
                message
            })
            .collect()
    };
    let lines = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>().into_bytes();
    type Made<'a> = &'a dyn Fn(usize) -> Vec<u8>;
    let cases: [(&str, usize, &str, &str, Made<'_>); 9] = [
        ("listeners", 500, "sock-diag", "inet", &listeners),
        ("names", 900, "read", "/etc/sysctl.d/99-tune.conf", &|n| lines(n, &|at| format!("net.x.k{at} = 1\n"))),
        ("one-name", 900, "read", "/etc/sysctl.d/99-tune.conf", &|n| {
            lines(n, &|at| format!("net.core.somaxconn = {at}\n"))
        }),
        ("comments", 100_000, "read", "/etc/sysctl.d/99-tune.conf", &|n| lines(n, &|_| "# x\n".to_owned())),
        ("reserved", 8192, "read", "/proc/sys/net/ipv4/ip_local_reserved_ports", &|n| {
            lines(n, &|at| format!("{},", 2 * at))
        }),
        ("counters", 30_000, "read", "/proc/net/netstat", &|n| {
            format!("TcpExt:{}\nTcpExt:{}\n", (0..n).map(|at| format!(" K{at}")).collect::<String>(), " 1".repeat(n))
                .into_bytes()
        }),
        ("softnet", 8000, "read", "/proc/net/softnet_stat", &|n| lines(n, &|_| "00000001 ".repeat(13) + "\n")),
        ("cgroup", 500, "read", "/proc/self/cgroup", &|n| format!("0::{}\n", "/a".repeat(n)).into_bytes()),
        ("keys", 10_000, "read", "/proc/key-users", &|n| {
            lines(n, &|at| format!("{at:5}:  2 2/2 2/1000000 40/25000000\n"))
        }),
    ];
    for (name, size, ask, of, made) in cases {
        assert_linear(name, size, |size| {
            let folder = recording(&format!("linear-{name}-{size}"), &[(ask, of, made(size))]);
            vec!["--snapshot".to_owned(), folder.to_str().unwrap().to_owned()]
        });
    }
}

#[test]
fn what_a_manifest_a_dump_or_a_log_holds_is_judged_in_time_that_is_linear() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n";
    let one =
        "  - {name: a, image: b, ports: [{containerPort: 80, hostPort: 80}], resources: {limits: {memory: 1Gi}}}\n";
    let nested = |width: usize| {
        let list = |of: &str, count: usize| (0..count).map(|at| format!("k{at}: {of}")).collect::<Vec<_>>().join(",");
        let (a, b, c) = (list("{z: 1}", width), list("*a", width), list("*b", width));
        format!(
            "apiVersion: v1\nkind: Foo\nx1: &a {{{a}}}\nx2: &b {{{b}}}\nx3: &c {{{c}}}\nx4: {{{}}}\n",
            list("*c", width)
        )
    };
    type Made<'a> = &'a dyn Fn(usize) -> String;
    let repeated = |text: String, count: usize| vec![text; count].join("---\n");
    let sysctls =
        |n: usize| (0..n).map(|at| format!("    - {{name: net.x.k{at}, value: \"1\"}}\n")).collect::<String>();
    let cases: [(&str, usize, Made<'_>); 7] = [
        ("pods", 100, &|n| repeated(format!("{pod}{one}"), n)),
        ("containers", 1500, &|n| format!("{pod}{}", one.repeat(n))),
        ("sysctls", 1500, &|n| format!("{pod}{one}  securityContext:\n    sysctls:\n{}", sysctls(n))),
        ("variables", 1500, &|n| {
            let of = |at: usize| format!("    - {{name: V{at}, value: \"$(V{})x\"}}\n", at.saturating_sub(1));
            format!("{pod}  - name: a\n    env:\n{}", (0..n).map(of).collect::<String>())
        }),
        ("aliases", 60, &|n| repeated(nested(20), n)),
        ("script", 3000, &|n| {
            format!(
                "{pod}  - name: a\n    command: [sh, -c, \"{}\"]\n",
                "sysctl -w net.core.somaxconn=1; A=$A$A ".repeat(n)
            )
        }),
        ("services", 1500, &|n| {
            let of = |at: usize| format!("  s{at}: {{image: a, sysctls: {{net.core.somaxconn: 1}}}}\n");
            format!("services:\n{}", (0..n).map(of).collect::<String>())
        }),
    ];
    let folder = scratch("linear-texts");
    let written = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for (name, size, made) in cases {
        assert_linear(name, size, |size| {
            vec!["manifest".to_owned(), written(&format!("{name}-{size}.yaml"), made(size))]
        });
    }
    assert_linear("dump", 20_000, |size| {
        let text = (0..size).map(|at| format!("net.x.k{at} = 1\n")).collect();
        vec!["--sysctl".to_owned(), written(&format!("{size}.txt"), text)]
    });
}

/// The steps of aliases belong to the run, however many files they are in.
#[test]
fn many_small_files_of_aliases_take_no_more_than_one_large_one() {
    let folder = scratch("bounds-aliases");
    let list = |of: &str| (0..20).map(|at| format!("k{at}: {of}")).collect::<Vec<_>>().join(",");
    let [a, b, c, d] = ["{z: 1}", "*a", "*b", "*c"].map(list);
    for at in 0..300 {
        let text = format!("apiVersion: v1\nkind: Foo\nx1: &a {{{a}}}\nx2: &b {{{b}}}\nx3: &c {{{c}}}\nx4: {{{d}}}\n");
        fs::write(folder.join(format!("{at}.yaml")), text).unwrap();
    }
    let path = folder.to_str().unwrap();
    let run = confined(&["manifest", path, "--format", "json"]);
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert!(told.to_string().matches("the aliases of this file stand for more than is looked at").count() >= 299);
    // 300 times the 200,000 steps of a run would take some ten times as long as this.
    let ticks = (0..3).map(|_| ticks(&["manifest", path])).min().unwrap();
    let once = (0..3).map(|_| ticks_of_one(&folder)).min().unwrap();
    assert!(ticks < 100 * once.max(5), "{ticks} and {once} ticks");
}

fn ticks_of_one(folder: &Path) -> u64 {
    ticks(&["manifest", folder.join("0.yaml").to_str().unwrap()])
}
