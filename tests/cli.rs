//! The command line as people and programs meet it.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests prepare files and fail by panicking"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use serde_json::Value;
use support::{
    BINARY, PARTIAL_DUMP, ROOT, Run, WHOLE_DUMP, case, ended, json, recorded_hosts, run, scratch, tunecheck,
};

const ESCAPE: char = '\u{1b}';

#[test]
fn help_and_refusals_read_as_recorded() {
    trycmd::TestCases::new()
        .register_bin("tunecheck", Path::new(BINARY))
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd");
}

/// A run that did its work.
fn done(args: &[&str]) -> String {
    let run = run(args);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}: {}", run.stdout);
    run.stdout
}

/// The ids that an explanation names as causes, best first: one in full, or several with a line each.
fn explained(text: &str) -> Vec<&str> {
    let rules: BTreeSet<String> = entries_of("rules/");
    let id = |line: &str| line.split_whitespace().next().is_some_and(|word| rules.contains(word));
    match text.lines().next() {
        Some(first) if rules.contains(first) => vec![first],
        _ => text
            .lines()
            .filter(|line| line.starts_with("  ") && id(line))
            .map(|line| line.split_whitespace().next().unwrap())
            .collect(),
    }
}

/// The ids of the built-in rules.
fn entries_of(folder: &str) -> BTreeSet<String> {
    let folders = support::entries(Path::new(ROOT).join(folder));
    let files = folders.iter().flat_map(support::entries);
    let id = |path: std::path::PathBuf| {
        let below = path.strip_prefix(Path::new(ROOT).join(folder)).unwrap().with_extension("");
        below.to_str().unwrap().to_owned()
    };
    files.map(id).collect()
}

#[test]
fn a_symptom_leads_to_the_rules_that_explain_it() {
    for (words, rules) in [
        ("OOMKilled", &["cgroup/memory", "runtime/jvm-heap"][..]),
        ("EADDRNOTAVAIL", &["ports/range", "ports/use"]),
        ("too many open files", &["files/nofile-hard", "files/nofile-soft", "files/inotify-instances"]),
        ("Too many open files in system", &["files/file-max"]),
        ("table full, dropping packet", &["conntrack/drops", "conntrack/fill", "conntrack/max"]),
        ("somaxconn", &["listen/somaxconn"]),
        ("net.ipv4.tcp_tw_recycle", &["time-wait/tw-recycle"]),
        ("net.ipv4.tcp_mem", &["memory/tcp-mem", "memory/tcp-mem-size"]),
        ("tcp_mem", &["memory/tcp-mem"]),
        ("Failed to connect to api port 443 after 130000 ms: Connection timed out", &["listen/overflows"]),
        ("conntrack", &["conntrack/fill", "conntrack/max"]),
        ("LISTEN/backlog", &["listen/backlog"]),
    ] {
        let text = done(&["explain", words]);
        let found = explained(&text);
        for rule in rules {
            assert!(found.contains(rule), "{words}: {rule} is not among {found:?}");
        }
    }
    // A line may begin with a hyphen.
    let shell =
        done(&["explain", "-bash: fork: retry: Resource temporarily unavailable", "--rules", "fixtures/rules/site"]);
    assert!(explained(&shell).contains(&"cgroup/pids"), "{shell}");
    // The words need no quotes around them.
    assert_eq!(done(&["explain", "Too", "many", "open", "files"]), done(&["explain", "Too many open files"]));
}

#[test]
fn a_cause_that_is_no_limit_comes_first_where_it_is_the_usual_one() {
    let upstream = "2026/11/30 09:58:15 [error] 31#31: *88 connect() failed (111: Connection refused) while connecting to \
                    upstream, client: 10.1.2.3";
    for (words, usual, rule) in [
        ("ENOSPC", "a filesystem is full", "files/inotify-watches"),
        ("No space left on device", "a filesystem is full", "files/inotify-watches"),
        ("Cannot allocate memory", "no memory is left", "memory/max-map-count"),
        ("mmap failed: Cannot allocate memory", "no memory is left", "memory/max-map-count"),
        ("sendto: Operation not permitted", "a firewall", "conntrack/fill"),
        ("nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", "another server", "ports/reserved"),
        ("Error: listen EADDRINUSE: address already in use :::8080", "another server", "ports/reserved"),
        ("java.net.BindException: Cannot assign requested address", "not on this machine", "ports/range"),
        ("Connection refused", "nothing listens", "cgroup/memory"),
        (upstream, "nothing listens", "cgroup/memory"),
    ] {
        for text in [done(&["explain", words]), ended(tunecheck().args(["explain", "-"]).stdin(words)).stdout] {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let (first, second) = (text.find(usual), text.find(rule));
            assert!(text.contains("no limit") && first.is_some() && first < second, "{words}: {text}");
        }
    }
    // What says itself which limit it is has no other cause.
    for words in ["inotify_add_watch /srv: no space left on device", "cannot bind 10.0.0.5:0: Address already in use"] {
        let text = done(&["explain", words]);
        assert!(!text.contains("no limit  "), "{text}");
    }
}

#[test]
fn a_workload_file_that_is_empty_declares_no_load() {
    for (name, content) in [("empty", ""), ("comments", "# nothing yet\n\n")] {
        let file = std::env::temp_dir().join(format!("tunecheck-{name}-{}.yaml", std::process::id()));
        std::fs::write(&file, content).unwrap();
        let path = file.to_str().unwrap();
        for verb in [&["--workload", path][..], &["fix", "--workload", path]] {
            let run = run(verb);
            assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{}", run.stderr);
            assert!(run.stderr.contains(&format!("{path} is empty")), "{}", run.stderr);
        }
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn what_is_not_known_is_said_and_ends_with_1() {
    for (words, said) in [
        ("frobnicated widget", "tunecheck explain lists"),
        ("104", "not known: 104"),
        ("listen/backlgo", "Did you mean listen/backlog?"),
        ("manifest/jmv", "Did you mean manifest/jvm?"),
        ("OOMKiled", "Did you mean OOMKilled?"),
        ("somaxcon", "Did you mean somaxconn?"),
        ("net.ipv4.tcp_rmem", "a sysctl of the kernel, and no rule is about it"),
        ("", "tunecheck explain lists"),
        ("listen tcp 10.9.9.9:80: bind: cannot assign requested address", "is not on this machine"),
    ] {
        let run = run(["explain", words]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(1), ""), "{words}: {}", run.stdout);
        assert!(run.stdout.starts_with("not known") && run.stdout.contains(said), "{words}: {}", run.stdout);
    }
}

#[test]
fn every_check_of_manifests_can_be_explained() {
    let bad = json(&["manifest", "fixtures/manifests/bad", "fixtures/manifests/read"]);
    let findings = bad["findings"].as_array().unwrap().iter();
    let checks: BTreeSet<&str> = findings.map(|finding| finding["check"].as_str().unwrap()).collect();
    assert!(checks.len() >= 10, "{checks:?}");
    for check in checks {
        let id = format!("manifest/{check}");
        let text = done(&["explain", &id]);
        assert_eq!(text.lines().next(), Some(id.as_str()));
    }
}

#[test]
fn the_lines_of_a_log_are_explained_once_each() {
    let line = |n: usize| format!("kernel: [{n}.1] nf_conntrack: nf_conntrack: table full, dropping packet\n");
    let log = line(1) + "sshd[7]: Accepted publickey\n" + &line(2) + "kernel: TCP: too many orphaned sockets\n\n";
    let run = ended(tunecheck().args(["explain", "-"]).stdin(log));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let found = explained(&run.stdout);
    assert_eq!(found.iter().filter(|id| **id == "conntrack/fill").count(), 1, "{}", run.stdout);
    assert!(found.contains(&"memory/orphans"), "{}", run.stdout);
    assert!(run.stdout.contains("2x") && run.stdout.ends_with("3 of 4 lines are known\n"), "{}", run.stdout);
    let other = ended(tunecheck().args(["explain", "-"]).stdin("nothing of ours\n"));
    assert_eq!((other.code, other.stdout.as_str()), (Some(1), "0 of 1 lines are known\n"));
}

#[test]
fn explanations_wrap_at_the_width_of_the_terminal() {
    for words in
        ["", "too many open files", "files/nofile-soft", "http2/streams", "frobnicated widget", "manifest/unsafe"]
    {
        let run = ended(tunecheck().args(["explain", words]).env("COLUMNS", "72"));
        // A link is not broken.
        let long = run.stdout.lines().filter(|line| line.chars().count() > 72 && !line.contains("https://"));
        assert_eq!(long.collect::<Vec<_>>(), Vec::<&str>::new(), "{words}");
    }
}

/// The commands of the help text.
const COMMANDS: [&str; 8] = ["audit", "diff", "explain", "snapshot", "rules", "help", "completions", "man"];

#[test]
fn every_shell_gets_a_completion_script_that_knows_every_command_and_option() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = done(&["completions", shell]);
        for word in COMMANDS.into_iter().chain(["snapshot", "fail-on", "only-failed"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    // Shells that are there and can check a script without running it.
    for shell in ["bash", "zsh"] {
        if Command::new(shell).args(["-c", "true"]).output().is_ok() {
            let script = done(&["completions", shell]);
            let checked = ended(snapbox::cmd::Command::new(shell).arg("-n").stdin(script));
            assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{shell} -n");
        }
    }
}

/// The long options that a text names, with the dashes of troff taken back.
fn options(text: &str) -> BTreeSet<String> {
    let text = text.replace("\\-", "-");
    let ends = |c: char| !(c.is_ascii_lowercase() || c == '-');
    let at = text.match_indices("--").filter(|(at, _)| !text[..*at].ends_with('-'));
    at.map(|(at, _)| text[at..].split(ends).next().unwrap().to_owned()).filter(|option| option.len() > 2).collect()
}

#[test]
fn the_manual_has_a_page_for_every_command_with_every_option_of_its_help() {
    for command in std::iter::once(None).chain(COMMANDS.map(Some)) {
        let command: Vec<&str> = command.into_iter().collect();
        let page = done(&[&["man"], command.as_slice()].concat());
        assert!(page.starts_with(".ie ") || page.starts_with(".TH "), "{command:?}: {}", &page[..80]);
        let title: String = command.iter().map(|word| format!("-{word}")).collect();
        assert!(page.contains(&format!(".TH tunecheck{title} 1")), "{command:?}");
        let help = done(&[command.as_slice(), &["--help"]].concat());
        let missing: Vec<_> = options(&help).difference(&options(&page)).cloned().collect();
        assert_eq!(missing, Vec::<String>::new(), "{command:?}");
    }
    assert!(options(&done(&["--help"])).len() > 15);
}

#[test]
fn help_is_that_of_a_command_or_the_table_of_limits() {
    assert_eq!(done(&["help", "probe", "h2"]), done(&["probe", "h2", "--help"]));
    assert_eq!(done(&["help"]), done(&["--help"]));
    let limits = done(&["help", "limits"]);
    for told in ["A TARGET", "MANIFESTS", "4 MiB  one file\n", "beyond  "] {
        assert!(limits.contains(told), "{told}: {limits}");
    }
    assert!(limits.lines().all(|line| line.chars().count() <= 100));
    assert_eq!(run(["help", "nonsense"]).code, Some(2));
    assert!(done(&["completions", "bash"]).contains("limits"));
}

#[test]
fn every_page_that_a_page_refers_to_can_be_printed() {
    let mut asked = BTreeSet::new();
    let mut pages = vec![done(&["man"])];
    while let Some(page) = pages.pop() {
        let page = page.replace("\\-", "-");
        for name in page.lines().filter_map(|line| line.strip_suffix("(1)")) {
            if asked.insert(name.to_owned()) {
                let words: Vec<&str> = name.split('-').skip(1).collect();
                let printed = done(&["man", name]);
                assert!(printed.contains(&format!(".TH {name} 1")), "{name}");
                assert_eq!(done(&[&["man"], words.as_slice()].concat()), printed, "{name}");
                assert_eq!(done(&["man", &words.join("-")]), printed, "{name}");
                pages.push(printed);
            }
        }
    }
    assert!(asked.contains("tunecheck-probe-h2") && asked.contains("tunecheck-rules-schema"), "{asked:?}");
    for wrong in [&["nothing-h2"][..], &["probe", "h3"], &["probe-h3"], &["-h2"]] {
        assert_eq!(run([&["man", "--"], wrong].concat()).code, Some(2), "{wrong:?}");
    }
}

/// Whether this finding's rule has this outcome.
fn outcome_of(report: &Value, rule: &str) -> String {
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["rule"] == rule).unwrap();
    finding["outcome"].as_str().unwrap().to_owned()
}

#[test]
fn the_gate_trips_on_what_it_is_told_to_and_ends_with_one() {
    let folder = scratch("gates");
    // Enough to hold, and nothing that warns; all the rest is unknown.
    let quiet = folder.join("quiet.txt");
    fs::write(&quiet, "net.core.somaxconn = 65535\nnet.ipv4.tcp_syncookies = 1\n").unwrap();
    let quiet = quiet.to_str().unwrap();
    let failing = ["--sysctl", WHOLE_DUMP, "--burst", "100000"];
    let warning = ["--sysctl", WHOLE_DUMP];
    let unknown = ["--sysctl", quiet];
    for (args, worst, codes) in [
        (failing.as_slice(), "fail", [1, 1, 1, 0]),
        (warning.as_slice(), "warn", [0, 1, 1, 0]),
        (unknown.as_slice(), "unknown", [0, 0, 1, 0]),
    ] {
        assert_eq!(json(args)["findings"][0]["outcome"], worst);
        for format in ["table", "json"] {
            for (on, code) in ["fail", "warn", "unknown", "never"].into_iter().zip(codes) {
                let run = run([args, &["--format", format, "--fail-on", on]].concat());
                assert_eq!(run.code, Some(code), "{worst}, --fail-on {on}");
                // A gate says how much it could not judge.
                let counted = match on {
                    "never" => None,
                    "unknown" => Some("\n"),
                    _ => Some("; --fail-on unknown counts them\n"),
                };
                let told = run.stderr.split_once(" checks could not be made");
                assert_eq!(told.map(|(_, rest)| rest), counted, "{}", run.stderr);
                assert!(!run.stdout.is_empty(), "the report is printed whether the gate trips or not");
            }
        }
        let default = run(args);
        assert_eq!(default.code, Some(codes[0]), "--fail-on fail is the default");
        assert_eq!(run(std::iter::once(&"audit").chain(args)).stdout, default.stdout, "audit is the default verb");
    }
}

#[test]
fn a_dump_is_read_from_a_file_and_from_standard_input_alike() {
    let text = fs::read(Path::new(ROOT).join(WHOLE_DUMP)).unwrap();
    let piped = |path: &str| {
        let run = ended(tunecheck().args(["--sysctl", path, "--format", "json"]).stdin(text.as_slice()));
        serde_json::from_str::<Value>(&run.stdout).unwrap()
    };
    let from_file = json(&["--sysctl", WHOLE_DUMP]);
    for path in ["-", "/dev/stdin"] {
        assert_eq!(piped(path)["findings"], from_file["findings"], "{path}");
    }
    let empty = ended(tunecheck().args(["--sysctl", "-"]).stdin("nothing of the kind\n"));
    assert_eq!((empty.code, empty.stdout.as_str()), (Some(2), ""));
    assert!(empty.stderr.contains("NAME = VALUE") && empty.stderr.contains("sysctl -a"), "{}", empty.stderr);
}

#[test]
fn a_dump_says_what_it_cannot_tell_and_that_it_is_partial() {
    let settings_only = "A sysctl dump holds settings only";
    let partial = "The dump looks partial";
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (dump, is_partial) in [(WHOLE_DUMP, false), (PARTIAL_DUMP, true)] {
        let table = one_line(&run(["--sysctl", dump]).stdout);
        assert!(table.contains(settings_only), "{table}");
        assert_eq!(table.contains(partial), is_partial, "{dump}");
        let report = json(&["--sysctl", dump]);
        let notes: Vec<&str> = report["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap()).collect();
        assert!(notes[0].starts_with(settings_only), "{notes:?}");
        assert_eq!(notes.iter().any(|note| note.starts_with(partial)), is_partial, "{notes:?}");
        for note in notes {
            assert!(table.contains(&one_line(note)), "{note} is not in the table's notes");
        }
        assert_eq!(report["source"], format!("sysctl dump {dump}"));
        for rule in ["files/nofile-soft", "listen/backlog", "listen/overflows", "cgroup/pids", "boot/drift"] {
            assert_eq!(outcome_of(&report, rule), "unknown", "{dump}: {rule}");
        }
        // What stands in it is judged.
        assert_eq!(outcome_of(&report, "listen/somaxconn"), "warn");
    }
    let report = json(&["--sysctl", PARTIAL_DUMP]);
    assert_eq!(outcome_of(&report, "listen/syncookies"), "unknown", "it is not in this dump");
    assert!(report["notes"][1].as_str().unwrap().contains("no vm.* names"));
}

#[test]
fn a_dump_of_two_machines_is_refused_and_what_sysctl_says_itself_is_no_part_of_it() {
    let piped = |text: &str| ended(tunecheck().args(["--sysctl", "-", "--format", "json"]).stdin(text));
    let whole = fs::read_to_string(Path::new(ROOT).join(WHOLE_DUMP)).unwrap();
    let boots = |id: &str| format!("{whole}kernel.random.boot_id = {id}\n");
    let two = piped(&(boots("6f1c0c8e-0000-4000-8000-000000000001") + &boots("6f1c0c8e-0000-4000-8000-000000000002")));
    assert_eq!((two.code, two.stdout.as_str()), (Some(2), ""));
    assert!(two.stderr.contains("more than one dump: lines "), "{}", two.stderr);
    let mut denied: Vec<String> = whole.lines().map(str::to_owned).collect();
    for line in denied.iter_mut().filter(|line| line.starts_with("net.ipv4.tcp_syncookies")) {
        *line = "sysctl: permission denied on key 'net.ipv4.tcp_syncookies'".to_owned();
    }
    let report: Value = serde_json::from_str(&piped(&denied.join("\n")).stdout).unwrap();
    let notes = report["notes"].to_string();
    assert!(!notes.contains("partial"), "{notes}");
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["rule"] == "listen/syncookies").unwrap();
    assert_eq!((&finding["outcome"], &finding["gap"]["cause"]), (&"unknown".into(), &"denied".into()), "{finding}");
    // A network namespace of its own shows, and not whose it is.
    let child: Vec<&str> =
        whole.lines().filter(|line| !line.starts_with("net.core.") || line.contains("somaxconn")).collect();
    let table = ended(tunecheck().args(["--sysctl", "-"]).stdin(child.join("\n").as_str())).stdout;
    assert!(!table.contains("on a host") && !table.contains("this machine (safety"), "{table}");
}

#[test]
fn a_workload_comes_from_a_role_a_file_and_the_flags_in_that_order() {
    let folder = scratch("workloads");
    let file = folder.join("ours.yaml");
    fs::write(&file, "title: ours\nrole: gateway\nconnections: 20000\nports: [8080, 8443]\n").unwrap();
    let file = file.to_str().unwrap();
    let load = |args: &[&str]| json(&[&["--sysctl", WHOLE_DUMP], args].concat())["workload"].clone();
    let server = load(&[]);
    assert_eq!(
        (&server["role"], &server["connections"], &server["outgoing"]),
        (&"server".into(), &6000.into(), &0.into())
    );
    let client = load(&["--workload", "client"]);
    assert_eq!((&client["incoming"], &client["outgoing"]), (&0.into(), &1000.into()));
    let ours = load(&["--workload", file]);
    assert_eq!((&ours["role"], &ours["connections"], &ours["burst"]), (&"gateway".into(), &20000.into(), &600.into()));
    assert_eq!(ours["ports"], serde_json::json!([8080, 8443]));
    let flagged = load(&["--workload", file, "--connections", "30000", "--port", "443,80", "--port", "22"]);
    assert_eq!((&flagged["connections"], &flagged["outgoing"]), (&30000.into(), &30000.into()));
    assert_eq!(flagged["ports"], serde_json::json!([443, 80, 22]));
}

/// Ten connections are no burst of six hundred: what is asked of a small load follows from that load alone.
#[test]
fn a_burst_that_is_not_stated_is_no_larger_than_the_load() {
    let folder = scratch("small_workload");
    let file = folder.join("small.yaml");
    fs::write(&file, "role: server\nconnections: 10\n").unwrap();
    let rapid = folder.join("rapid.yaml");
    fs::write(&rapid, "role: server\nconnections: 10\nshort_lived_per_second: 100\n").unwrap();
    let stated = folder.join("stated.yaml");
    fs::write(&stated, "role: server\nconnections: 10\nburst: 600\n").unwrap();
    let [file, rapid, stated] = [&file, &rapid, &stated].map(|path| path.to_str().unwrap());
    let report = |args: &[&str]| json(&[&["--snapshot", "fixtures/hosts/debian-6.1"], args].concat());
    let burst = |args: &[&str]| report(args)["workload"]["burst"].as_u64().unwrap();
    assert_eq!(burst(&["--connections", "10"]), 10);
    assert_eq!(burst(&["--workload", file]), 10);
    assert_eq!(burst(&["--workload", rapid]), 50, "half a second of them");
    assert_eq!(burst(&["--workload", stated]), 600);
    assert_eq!(burst(&["--connections", "10", "--burst", "70"]), 70);
    assert_eq!(burst(&["--connections", "30000"]), 600);
    let small = report(&["--connections", "10"]);
    let somaxconn = small["findings"].as_array().unwrap().iter().find(|finding| finding["rule"] == "listen/somaxconn");
    assert_eq!(somaxconn.unwrap()["outcome"], "pass", "{small:#}");
}

#[test]
fn a_bad_workload_file_is_refused_with_its_line() {
    let folder = scratch("bad_workloads");
    for (name, text, words) in [
        ("key", "role: server\nconections: 7\n", ":2: unknown field, expected one of `title`, `role`"),
        ("twice", "role: server\nrole: client\n", ":2: duplicate entry"),
        ("role", "role: sever\n", ":1: unknown variant, expected one of"),
        ("number", "connections: many\n", ":1: invalid type: string, expected a whole number"),
        ("negative", "burst: -5\n", ":1: invalid"),
        ("port", "ports: [70000]\n", ":1: invalid value"),
        ("port-0", "role: server\nports: [0]\n", ":2: nothing listens on port 0"),
        ("none", "role: server\nconnections: 0\n", ":2: connections is a number from 1 to 1000000000"),
        ("endless", "streams: 18446744073709551615\n", ":1: streams is a number from 1 to 1000000000"),
    ] {
        let path = folder.join(format!("{name}.yaml"));
        fs::write(&path, text).unwrap();
        let run = run(["--workload".as_ref(), path.as_os_str()]);
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{name}");
        assert!(run.stderr.contains(&format!("{name}.yaml{words}")), "{}", run.stderr);
    }
}

#[test]
fn only_failed_leaves_out_what_holds_and_verbose_shows_everything() {
    let audit = |more: &[&str]| run([&["--sysctl", WHOLE_DUMP], more].concat()).stdout;
    let (plain, only, verbose) = (audit(&[]), audit(&["--only-failed"]), audit(&["-v"]));
    let row = |text: &str, word: &str| text.lines().any(|line| line.starts_with(&format!(" │ {word} ")));
    // Where no terminal tells its height, what holds is told in a line.
    assert!(row(&plain, "WARN") && !row(&plain, "pass") && !row(&plain, "n/a"));
    // What many rules could not check for one reason is told once.
    assert!(plain.lines().any(|line| line.starts_with("?  ")) && only.lines().any(|line| line.starts_with("?  ")));
    assert!(plain.lines().any(|line| line.starts_with("pass ")));
    assert!(row(&only, "WARN") && !row(&only, "pass") && !row(&only, "n/a"));
    assert!(["WARN", "?", "pass", "n/a"].iter().all(|word| row(&verbose, word)));
    // Every rule is at least named, with the way to see more.
    let block = plain.lines().skip_while(|line| !line.starts_with("n/a ")).take_while(|line| !line.is_empty());
    let folded = block.collect::<Vec<_>>().join("\n");
    assert!(plain.contains("(-v shows them)") && folded.contains("listen/syn-backlog"), "{folded}");
    assert!(!only.contains("listen/syn-backlog"));
    assert!(verbose.contains("read     sysctl.net.core.somaxconn from /proc/sys/net/core/somaxconn"), "{verbose}");
    let summary = |text: &str| text.lines().last().unwrap().to_owned();
    assert!(summary(&plain) == summary(&only) && summary(&plain) == summary(&verbose), "all count alike");
}

#[test]
fn colour_is_there_only_when_it_is_asked_for_and_says_nothing_new() {
    let audit = |more: &[&str], no_color: &str| {
        let command = tunecheck().args(["--sysctl", WHOLE_DUMP, "-v"]).args(more).env("NO_COLOR", no_color);
        ended(command).stdout
    };
    let plain = audit(&[], "");
    for (more, no_color) in [(["--color", "never"], ""), (["--color", "auto"], ""), (["--color", "never"], "1")] {
        assert_eq!(audit(&more, no_color), plain);
    }
    assert!(!plain.contains(ESCAPE));
    // The flag is nearer than the environment.
    for no_color in ["", "1"] {
        let coloured = audit(&["--color", "always"], no_color);
        assert!(coloured.contains("\u{1b}[33mWARN"), "{coloured:?}");
        assert_eq!(uncoloured(&coloured), plain);
    }
    assert!(!json_text(&["--sysctl", WHOLE_DUMP, "--color", "always"]).contains(ESCAPE));
}

/// A report for programs as it is printed.
fn json_text(args: &[&str]) -> String {
    run([args, &["--format", "json"]].concat()).stdout
}

/// Text without the escape sequences that set a colour.
fn uncoloured(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
}

/// The lines that are typed or written into a file as they are, from the same report for programs.
fn copied(report: &Value) -> BTreeSet<String> {
    let actions = report["findings"].as_array().unwrap().iter().flat_map(|finding| finding["fix"].as_array().unwrap());
    let kept = actions.filter(|action| action["edit"]["kind"] != "advice");
    kept.flat_map(|action| action["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()))
        .collect()
}

/// Fails where a line is wider than the terminal, unless it is to be copied or is one long word.
fn fits(what: &str, text: &str, width: usize, copied: &BTreeSet<String>) {
    for line in text.lines() {
        let content = line.strip_prefix("  change   ").unwrap_or_else(|| line.trim_start());
        let whole = copied.iter().any(|line| line.trim_start() == content);
        let one_word = content.split_whitespace().count() == 1;
        assert!(whole || one_word || line.chars().count() <= width, "{what}: wider than {width}: {line}");
    }
}

#[test]
fn a_report_fits_its_columns_but_for_what_is_copied() {
    let long_names = scratch("long_names").join("dump.txt");
    let mut dump = fs::read_to_string(Path::new(ROOT).join(WHOLE_DUMP)).unwrap();
    dump += "kernel.hostname = ip-10-0-123-45.eu-central-1.compute.internal.example.org\n";
    fs::write(&long_names, dump).unwrap();
    let long_names = long_names.to_str().unwrap().to_owned();
    let mut sources: Vec<Vec<&str>> = vec![vec![], vec!["--sysctl", WHOLE_DUMP], vec!["--sysctl", PARTIAL_DUMP]];
    sources.push(vec!["--sysctl", &long_names]);
    let hosts = recorded_hosts();
    sources.extend(hosts.iter().map(|host| vec!["--snapshot", host]));
    let loads: [&[&str]; 2] = [&[], &["--workload", "gateway", "--connections", "100000", "--burst", "70000"]];
    for args in sources.iter().flat_map(|source| loads.map(|load| [source.as_slice(), load].concat())) {
        let copied = copied(&json(&args));
        for (columns, more) in [(80, "--color=auto"), (80, "-v"), (80, "--only-failed"), (60, "-v"), (200, "-v")] {
            let run = ended(tunecheck().args(&args).arg(more).env("COLUMNS", columns.to_string()));
            assert!(run.stderr.lines().all(|line| line.starts_with("confined: ")), "{}", run.stderr);
            fits(&format!("{args:?} {more}"), &run.stdout, columns, &copied);
        }
    }
}

/// Runs tunecheck on a terminal of this size, and gives what it showed there.
fn on_terminal(columns: u16, rows: u16, env: &[(&str, &str)], args: &[&str]) -> String {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(&size, None).unwrap();
    let mut command = Command::new(BINARY);
    command.args(args).current_dir(ROOT).env_clear().envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::from(terminal.slave)).stderr(Stdio::null());
    let mut child: Child = command.spawn().unwrap();
    // It holds the other end of the terminal, which has to close for the reader to see the end.
    drop(command);
    let (send, receive) = mpsc::channel();
    let mut reader = fs::File::from(terminal.master);
    std::thread::spawn(move || {
        let mut shown = Vec::new();
        // The end of a terminal is an error, EIO, after the last byte.
        let _ = reader.read_to_end(&mut shown);
        send.send(shown)
    });
    let shown = receive.recv_timeout(Duration::from_secs(20));
    child.kill().unwrap();
    child.wait().unwrap();
    String::from_utf8(shown.unwrap()).unwrap().replace("\r\n", "\n")
}

#[test]
fn a_terminal_gets_colour_unless_its_environment_says_no() {
    let args = ["--sysctl", WHOLE_DUMP];
    let shown = |env: &[(&str, &str)], args: &[&str]| on_terminal(120, 500, env, args);
    let plain = run(["--sysctl", WHOLE_DUMP, "--color", "never"].iter()).stdout.lines().last().unwrap().to_owned();
    let coloured = shown(&[("TERM", "xterm")], &args);
    assert!(coloured.contains("\u{1b}[33mWARN"), "{coloured:?}");
    assert_eq!(uncoloured(&coloured).lines().last(), Some(plain.as_str()));
    assert!(!shown(&[("TERM", "xterm"), ("NO_COLOR", "1")], &args).contains(ESCAPE));
    assert!(shown(&[("TERM", "xterm"), ("NO_COLOR", "")], &args).contains(ESCAPE), "an empty NO_COLOR says nothing");
    assert!(!shown(&[("TERM", "dumb")], &args).contains(ESCAPE));
    assert!(!shown(&[("TERM", "xterm")], &[&args[..], &["--color", "never"]].concat()).contains(ESCAPE));
    assert!(shown(&[("NO_COLOR", "1")], &[&args[..], &["--color", "always"]].concat()).contains(ESCAPE));
}

#[test]
fn a_report_fits_the_terminal_it_is_shown_on() {
    let args = ["--sysctl", WHOLE_DUMP];
    let copied = copied(&json(&args));
    let row = |text: &str, word: &str| text.lines().any(|line| line.starts_with(&format!(" │ {word} ")));
    let env = [("TERM", "dumb"), ("COLUMNS", "300")];
    for columns in [80, 100, 132] {
        fits("a terminal", &on_terminal(columns, 500, &env, &args), columns.into(), &copied);
    }
    let (short, tall) = (on_terminal(100, 24, &env, &args), on_terminal(100, 500, &env, &args));
    assert!(row(&tall, "pass") && !tall.contains("\npass "));
    assert!(row(&short, "WARN") && !row(&short, "pass") && short.contains("\npass "), "passes fold to a line");
    // A person gets JSON with a line for each value.
    let printed = on_terminal(100, 24, &env, &[&args[..], &["--format", "json"]].concat());
    assert!(printed.lines().count() > 100);
    let piped = json_text(&args);
    assert_eq!(piped.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), serde_json::from_str::<Value>(&piped).unwrap());
}

/// Marks that drive a terminal, hide or reorder text: escape sequences old and new, a bell, a backspace, a return, bidi.
const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{8}\r\u{9b}31m\u{7f}\u{202e}\u{200b}\u{feff}EVIL";

/// Fails where output holds anything but text and line ends.
fn harmless(what: &str, run: &Run) {
    let bad = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
    };
    for (name, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        let near =
            |at: usize| text[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect::<String>();
        let found = text.find(bad);
        assert!(
            found.is_none(),
            "{what}: {name} has {:?} after {:?}",
            &text[found.unwrap()..].chars().next(),
            near(found.unwrap())
        );
    }
    // What came from outside begins no line of its own. A word that is longer than a line may be broken anywhere, also
    // behind a line feed that is shown.
    let lines: Vec<&str> = run.stdout.lines().collect();
    let begins = |at: usize| lines[at].trim_start().starts_with("INJECTED") && !lines[at - 1].ends_with("\\n");
    let begun = (1..lines.len()).find(|&at| begins(at));
    let above = begun.map(|at| run.stdout.lines().skip(at.saturating_sub(2)).take(3).collect::<Vec<_>>());
    assert!(above.is_none(), "{what}: {above:?}");
}

/// Runs an audit of these arguments in every form, and holds that nothing hostile is printed.
fn harmless_audits(what: &str, args: &[&str]) {
    for more in [&[][..], &["-v"], &["--only-failed"], &["--format", "json"], &["--workload", "gateway", "-v"]] {
        for columns in ["60", "110"] {
            let run = ended(tunecheck().args(args).args(more).env("COLUMNS", columns));
            assert!(run.code.is_some(), "{what}: killed by a signal");
            harmless(&format!("{what} {more:?}"), &run);
        }
    }
}

#[test]
fn hostile_text_in_a_dump_reaches_no_terminal() {
    let folder = scratch("hostile_dump");
    let dump = fs::read_to_string(Path::new(ROOT).join(WHOLE_DUMP)).unwrap();
    let hostile = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        harmless_audits(name, &["--sysctl", path.to_str().unwrap()]);
    };
    hostile("values", dump.lines().map(|line| format!("{line}{HOSTILE}\n")).collect());
    hostile(
        "words",
        dump.lines().filter_map(|line| Some(format!("{} = {HOSTILE}\n", line.split_once(' ')?.0))).collect(),
    );
    hostile("names", dump.lines().map(|line| format!("{HOSTILE}{line}\n{line}\n")).collect());
    hostile("identity", format!("{dump}kernel.hostname = a{HOSTILE}\nkernel.osrelease = 6.1{HOSTILE}\n"));
    hostile("only", format!("x = {HOSTILE}\n"));
    hostile(&format!("{}\nINJECTED", HOSTILE), dump);
    let nothing = folder.join(format!("nothing{HOSTILE}\nINJECTED"));
    harmless_audits("an argument", &[HOSTILE]);
    harmless_audits("a missing dump", &["--sysctl", nothing.to_str().unwrap()]);
    harmless_audits("a missing snapshot", &["--snapshot", nothing.to_str().unwrap()]);
    harmless_audits("missing rules", &["--rules", nothing.to_str().unwrap()]);
    harmless_audits("a missing workload", &["--workload", nothing.to_str().unwrap()]);
}

#[test]
fn hostile_text_in_a_recording_reaches_no_terminal() {
    let folder = scratch("hostile_recording");
    let recording = folder.join("node");
    assert_eq!(run(["snapshot".as_ref(), recording.as_os_str()]).code, Some(0));
    let manifest = recording.join("manifest.json");
    let mut record: Value = serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
    let mut files = Vec::new();
    for entry in record["answers"].as_array_mut().unwrap() {
        let (ask, of) = (entry["ask"].clone(), entry["of"].as_str().unwrap().to_owned());
        if let Some(file) = entry["file"].as_str() {
            files.push((of, recording.join(file)));
        } else if ask == "uname" {
            entry["text"] = format!("a{HOSTILE}\nINJECTED{HOSTILE}\n6.1.0{HOSTILE}\nx86_64").into();
        } else if ask == "list" {
            entry["text"] = format!("10-a{HOSTILE}\nINJECTED.conf\0").into();
        } else if entry["text"].is_string() {
            entry["text"] = format!("{}{HOSTILE}\nINJECTED", entry["text"].as_str().unwrap()).into();
        } else {
            entry["refused"] = serde_json::json!({ "unsupported": format!("why{HOSTILE}\nINJECTED") });
        }
    }
    let conf = format!("/etc/sysctl.d/10-a{HOSTILE}\nINJECTED.conf");
    fs::write(recording.join("conf"), format!("net.core.somaxconn = 1{HOSTILE}\nnet.ipv4.tcp_tw_recycle = 1\n"))
        .unwrap();
    let answers = record["answers"].as_array_mut().unwrap();
    answers.push(serde_json::json!({ "ask": "list", "of": "/etc/sysctl.d", "text": "x.conf" }));
    answers.push(serde_json::json!({ "ask": "read", "of": conf, "file": "conf" }));
    fs::write(&manifest, record.to_string()).unwrap();
    let whole = recording.to_str().unwrap();
    harmless_audits("names and answers", &["--snapshot", whole]);
    for (of, path) in &files {
        let content = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        // A file of one word stands alone; in others every line keeps its form and carries something.
        let content = match of.starts_with("/proc/sys/") {
            true => format!("{}{HOSTILE}\nINJECTED\n", content.trim_end()),
            false => content.lines().map(|line| format!("{line}{HOSTILE}\nINJECTED\n")).collect(),
        };
        fs::write(path, content).unwrap();
    }
    harmless_audits("lines of files", &["--snapshot", whole]);
    for (_, path) in &files {
        fs::write(path, format!("{HOSTILE}\nINJECTED{HOSTILE}")).unwrap();
    }
    harmless_audits("whole files", &["--snapshot", whole]);
    fs::write(&manifest, format!("{{\"schema\": \"{HOSTILE}\"")).unwrap();
    harmless_audits("a manifest that does not parse", &["--snapshot", whole]);
    let other = serde_json::json!({ "schema": HOSTILE, "tunecheck": "", "recorded": 0, "identity": {}, "answers": [] });
    fs::write(&manifest, other.to_string()).unwrap();
    harmless_audits("another schema", &["--snapshot", whole]);
}

#[test]
fn hostile_text_in_a_rule_reaches_no_terminal() {
    let folder = scratch("hostile_rules");
    fs::create_dir(folder.join("evil")).unwrap();
    let rule = folder.join("evil/rule.yaml");
    let text = fs::read_to_string(Path::new(ROOT).join("fixtures/rules/site/site/swappiness.yaml")).unwrap();
    let escaped = |c: char| format!("\\U{:08x}", u32::from(c));
    let quoted = format!("\"{}\"", format!("evil{HOSTILE}\nINJECTED").chars().map(escaped).collect::<String>());
    let text = text.lines().map(|line| match line.split_once(": ") {
        Some((key, _)) if ["title", "  ask"].contains(&key) => format!("{key}: {quoted}\n"),
        _ => format!("{line}\n"),
    });
    fs::write(&rule, text.collect::<String>()).unwrap();
    harmless_audits("a rule", &["--sysctl", WHOLE_DUMP, "--rules", folder.to_str().unwrap()]);
    for args in [&["rules", "list", "--rules"][..], &["rules", "show", "evil/rule", "--rules"], &["rules", "check"]] {
        let run = run(args.iter().map(AsRef::as_ref).chain([folder.as_os_str()]));
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        harmless(&format!("{args:?}"), &run);
    }
    fs::write(&rule, format!("title: {quoted}\n{quoted}: 1\n")).unwrap();
    let refused = run(["rules".as_ref(), "check".as_ref(), folder.as_os_str()]);
    assert_eq!(refused.code, Some(2));
    harmless("a refused rule", &refused);
}

#[test]
fn a_recording_is_read_within_its_folder_and_without_waiting() {
    let folder = scratch("odd_recording");
    let recording = folder.join("node");
    assert_eq!(run(["snapshot".as_ref(), recording.as_os_str()]).code, Some(0));
    let secret = "/secret 4711 value/";
    fs::write(folder.join("outside"), format!("0::{secret}\n")).unwrap();
    let manifest = recording.join("manifest.json");
    let whole: Value = serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
    let outside = folder.join("outside");
    for path in ["../outside", "files/../../outside", outside.to_str().unwrap(), "", ".", "files"] {
        let mut record = whole.clone();
        let answers = record["answers"].as_array_mut().unwrap();
        let entry = answers.iter_mut().find(|entry| entry["of"] == "/proc/self/cgroup").unwrap();
        entry["file"] = path.into();
        fs::write(&manifest, record.to_string()).unwrap();
        let report = json(&["--snapshot", recording.to_str().unwrap()]);
        assert!(report["notes"][0].as_str().unwrap().contains("missing from the snapshot"), "{path:?}: {report}");
        assert!(!report.to_string().contains("4711"), "{path:?}: {report}");
    }
    fs::write(&manifest, whole.to_string()).unwrap();
    let limits = recording.join("files/proc/self/limits");
    fs::remove_file(&limits).unwrap();
    nix::unistd::mkfifo(&limits, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let report = json(&["--snapshot", recording.to_str().unwrap()]);
    assert_eq!(outcome_of(&report, "files/nofile-soft"), "unknown");
}

#[test]
fn a_fifo_in_a_tree_is_not_waited_for() {
    let tree = scratch("tree_with_fifo");
    for folder in ["proc/sys/net/core", "proc/net", "etc/sysctl.d"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    fs::write(tree.join("proc/sys/net/core/somaxconn"), "4096\n").unwrap();
    fs::write(tree.join("etc/sysctl.d/10-ours.conf"), "net.core.somaxconn = 1024\n").unwrap();
    for fifo in ["etc/sysctl.d/20-fifo.conf", "proc/net/netstat"] {
        nix::unistd::mkfifo(&tree.join(fifo), nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    let report = json(&["--root", tree.to_str().unwrap()]);
    assert_eq!(outcome_of(&report, "listen/somaxconn"), "warn");
    // A file that could not be read may have set any value.
    assert_eq!(outcome_of(&report, "boot/drift"), "unknown");
    assert_eq!(outcome_of(&report, "listen/overflows"), "unknown");
}

#[test]
fn a_tree_with_other_values_than_the_rules_ask_for_is_reported_all_the_same() {
    let tree = scratch("tree_of_other_values");
    fs::create_dir_all(tree.join("proc/sys/net/ipv4")).unwrap();
    fs::create_dir_all(tree.join("etc/sysctl.d")).unwrap();
    fs::write(tree.join("proc/sys/net/ipv4/tcp_congestion_control"), "cubic\n").unwrap();
    fs::write(tree.join("etc/sysctl.d/10-bbr.conf"), "net.ipv4.tcp_congestion_control = bbr # fast\n").unwrap();
    let report = json(&["--root", tree.to_str().unwrap()]);
    assert_eq!(outcome_of(&report, "listen/somaxconn"), "unknown");
    fs::remove_dir_all(tree.join("proc")).unwrap();
    assert_eq!(run(["--root", tree.to_str().unwrap()]).code, Some(2));
}

#[test]
fn a_key_of_the_machine_is_compared_and_never_shown() {
    let tree = scratch("tree_with_a_key");
    for (path, text) in [
        ("proc/sys/net/core/somaxconn", "4096\n"),
        ("proc/sys/net/ipv4/tcp_fastopen_key", "01020304-05060708-090a0b0c-0d0e0f10\n"),
        ("proc/sys/net/ipv6/conf/default/stable_secret", "2001:0db8:0000:0000:0000:0000:0000:0a0b\n"),
        (
            "etc/sysctl.d/20-keys.conf",
            "net.ipv4.tcp_fastopen_key = 01020304-05060708-090a0b0c-00000000\nnet.ipv6.conf.default.stable_secret = 2001:db8::a0b\n",
        ),
    ] {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let report = json(&["--root", tree.to_str().unwrap()]);
    let drifts = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["rule"] == "boot/drift" && one["outcome"] != "pass");
    let subjects: Vec<&str> = drifts.map(|one| one["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["net.ipv4.tcp_fastopen_key"], "one secret written in two ways is one");
    for secret in ["01020304", "090a0b0c", "db8::a0b", "0a0b"] {
        assert!(!report.to_string().contains(secret), "{secret}: {report}");
    }
}

#[test]
fn a_key_in_a_recording_is_compared_and_never_shown() {
    let recording = case("16-key-in-recording");
    let recording = recording.to_str().unwrap();
    let report = json(&["--snapshot", recording]);
    let mut findings = report["findings"].as_array().unwrap().iter();
    let drift = findings.find(|one| one["subject"] == "net.ipv4.tcp_fastopen_key").unwrap();
    assert_eq!((&drift["rule"], &drift["outcome"]), (&"boot/drift".into(), &"warn".into()));
    for args in [&["-v"][..], &["--format", "json"]] {
        let told = run(["--snapshot", recording].iter().chain(args)).stdout;
        assert!(!told.contains("5ec2e7") && !told.contains("44444444"), "{told}");
    }
    let plan = run(["fix", "--snapshot", recording]).stdout;
    assert!(plan.contains("# Plan") && !plan.contains("5ec2e7"), "{plan}");
}
