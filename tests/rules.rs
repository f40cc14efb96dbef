//! Rule files: those that must be refused, those that no parser should have to see, and those that a user adds.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests prepare files and fail by panicking"
)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tunecheck::facts;
use tunecheck::rules::RuleSet;

use support::work::assert_linear;
use support::{PARTIAL_DUMP, ROOT, Run, WHOLE_DUMP, entries, json, run, scratch};

/// Just below the largest rule file that is read.
const NEAR_LARGEST: usize = 60 << 10;

/// Runs `rules check` on a path, and holds what every refusal has in common.
fn refused(path: &Path) -> Run {
    let run = run(["rules".as_ref(), "check".as_ref(), path.as_os_str()]);
    let shown = path.display();
    assert_eq!(run.code, Some(2), "{shown}: {}{}", run.stdout, run.stderr);
    assert_eq!(run.stdout, "", "{shown}");
    assert!(run.stderr.starts_with("tunecheck: "), "{shown}: {}", run.stderr);
    run
}

/// Refused, and the message names the file and, if it is not empty, this line and these words.
fn refused_at(path: &Path, line: &str, words: &str) {
    let said = refused(path).stderr;
    assert!(said.contains(&format!("{}{line}: ", path.display())), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(said.len() < 2000, "a message is for reading: {} bytes", said.len());
}

#[test]
fn every_bad_rule_file_is_refused_with_its_line_and_what_would_be_right() {
    // The problem of these is no line: they hold two rules, or a rule that parses and whose example does not hold.
    let whole = ["two-documents", "wrong-example"];
    let folder = Path::new("fixtures/rules/bad");
    let files = entries(Path::new(ROOT).join(folder));
    let rules: Vec<_> = files.iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    assert!(rules.len() >= 30);
    for path in rules {
        let path = folder.join(path.file_name().unwrap());
        let said = refused(&path).stderr;
        let name = path.file_stem().unwrap().to_str().unwrap();
        let after = said.strip_prefix(&format!("tunecheck: {}:", path.display())).unwrap_or_else(|| panic!("{said}"));
        let line: String = after.chars().take_while(char::is_ascii_digit).collect();
        assert_eq!(line.is_empty(), whole.contains(&name), "{said}");
        let expected = snapbox::Data::read_from(&Path::new(ROOT).join(path.with_extension("stderr")), None);
        snapbox::Assert::new().action_env(snapbox::assert::DEFAULT_ACTION_ENV).eq(said, expected.raw());
    }
}

#[test]
fn an_audit_with_a_bad_rule_file_says_the_same_and_audits_nothing() {
    for name in ["unknown-key", "duplicate-key", "wrong-unit", "empty"] {
        let path = format!("fixtures/rules/bad/{name}.yaml");
        let audit = run(["--sysctl", WHOLE_DUMP, "--rules", &path]);
        assert_eq!((audit.code, audit.stdout.as_str()), (Some(2), ""));
        assert_eq!(audit.stderr, refused(Path::new(&path)).stderr);
        let snapshot = run(["snapshot", "/nowhere/to/be/made", "--rules", &path]);
        assert_eq!((snapshot.code, &snapshot.stderr), (Some(2), &audit.stderr));
    }
}

#[test]
fn the_problems_of_all_files_of_a_folder_are_told_at_once() {
    let said = refused(Path::new("fixtures/rules/bad")).stderr;
    for path in entries(Path::new(ROOT).join("fixtures/rules/bad")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        // Examples run only where every file parses.
        let told = name.ends_with(".yaml") && name != "wrong-example.yaml";
        assert_eq!(said.contains(&format!("fixtures/rules/bad/{name}:")), told, "{name}: {said}");
    }
}

#[test]
fn files_made_to_keep_a_parser_busy_are_refused_with_work_that_is_linear() {
    let folder = scratch("busy_rules");
    let written = |name: &str, content: String| {
        let path = folder.join(format!("{name}.yaml"));
        fs::write(&path, content).unwrap();
        path
    };
    // The largest that is read, and four times less of the same.
    let check = |name: &str, line: &str, words: &str, content: &dyn Fn(usize) -> String| {
        refused_at(&written(name, content(NEAR_LARGEST)), line, words);
        assert_linear(name, NEAR_LARGEST / 4, |size| {
            let path = written(&format!("{name}-{size}"), content(size));
            vec!["rules".into(), "check".into(), path.into_os_string()]
        });
    };
    check("too-large", "", "larger than 64 KiB", &|size| "{".repeat(16 * size));
    check("braces", ":1", "brackets nest deeper than 16", &|size| "{".repeat(size));
    check("brackets-on-lines", ":17", "brackets nest deeper than 16", &|size| "[\n".repeat(size / 2));
    check("closed-in-comments", ":129", "recursion limit", &|size| "[ #]\n".repeat(size / 5));
    check("closed-in-quotes", ":1", "recursion limit", &|size| "{ ']': ".repeat(size / 14));
    check("sequences", ":1", "recursion limit", &|size| "- ".repeat(size / 2));
    // As many stairs as take so many bytes.
    let stairs = |size: usize| (0..(2 * size).isqrt() - 2).map(|deep| " ".repeat(deep) + "-\n").collect();
    check("sequences-on-lines", ":129", "recursion limit", &stairs);
    check("keys", ":1", "recursion limit", &|size| "? ".repeat(size / 2));
    let tenfold = |level: usize| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(","));
    let laughs = |size: usize| (1..).map(tenfold).take(size / 72).collect::<String>();
    check("aliases-of-aliases", ":2", "write the value out", &|size| format!("a0: &a0 [x,x,x]\n{}", laughs(size)));
    let wide = |size: usize| format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(1000), "*a,".repeat(size / 4));
    check("one-alias-many-times", ":2", "write the value out", &wide);
    check("alias-of-itself", ":2", "write the value out", &|_| "a: &a\n  b: *a\n".into());
    check("stars", ":1", "unknown anchor", &|size| "*a ".repeat(size / 3));
    check("zero-bytes", ":1", "control characters", &|size| "\0".repeat(size));
    check("long-line", ":1", "missing field", &|size| format!("title: {}", "x".repeat(size)));
}

#[test]
fn stars_and_ampersands_in_prose_are_no_aliases() {
    let path = scratch("prose_rules").join("stars.yaml");
    let text = fs::read_to_string(Path::new(ROOT).join("fixtures/rules/site/listen/somaxconn.yaml")).unwrap();
    fs::write(&path, text.replace("why: |\n", "why: |\n  * setrlimit(RLIMIT_NOFILE, &rl) and *every* a *b, R&D\n"))
        .unwrap();
    let checked = run(["rules".as_ref(), "check".as_ref(), path.as_os_str()]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}

#[test]
fn paths_that_lead_nowhere_or_never_end_are_refused_at_once() {
    let folder = scratch("odd_paths");
    let at = |name: &str| folder.join(name);
    refused_at(&at("missing"), "", "No such file or directory");
    refused_at(&at("missing.yaml"), "", "No such file or directory");
    symlink("two.yaml", at("one.yaml")).unwrap();
    symlink("one.yaml", at("two.yaml")).unwrap();
    refused_at(&at("one.yaml"), "", "symbolic links");
    let said = refused(&folder).stderr;
    assert!(said.contains("one.yaml: Too many levels") && said.contains("two.yaml: Too many levels"), "{said}");
    fs::create_dir(at("zero")).unwrap();
    symlink("/dev/zero", at("zero/zero.yaml")).unwrap();
    refused_at(&at("zero/zero.yaml"), "", "not a regular file");
    refused(&at("zero"));
    fs::create_dir(at("fifo")).unwrap();
    nix::unistd::mkfifo(&at("fifo/fifo.yaml"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused_at(&at("fifo/fifo.yaml"), "", "not a regular file");
    refused(&at("fifo"));
    fs::create_dir(at("folder.yaml")).unwrap();
    let said = refused(&at("folder.yaml")).stderr;
    assert!(said.contains("holds no rules: a rule is a file that ends in .yaml"), "{said}");
    fs::create_dir(at("loop")).unwrap();
    symlink(".", at("loop/again")).unwrap();
    let said = refused(&at("loop")).stderr;
    assert!(said.contains("holds no rules"), "{said}");
    fs::write(at("loop/notes.txt"), "no rule").unwrap();
    refused(&at("loop"));
}

#[test]
fn a_folder_that_leads_back_to_itself_is_read_once() {
    let folder = scratch("loop_with_rules");
    fs::create_dir(folder.join("site")).unwrap();
    let rule = Path::new(ROOT).join("fixtures/rules/site/site/swappiness.yaml");
    fs::copy(rule, folder.join("site/swappiness.yaml")).unwrap();
    symlink("..", folder.join("site/back")).unwrap();
    let checked = run(["rules".as_ref(), "check".as_ref(), folder.as_os_str()]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.stdout.starts_with("1 rule"), "{}", checked.stdout);
}

#[test]
fn the_built_in_rules_hold_what_they_say() {
    let checked = run(["rules", "check"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    let files = run(["rules", "list"]).stdout.lines().count();
    assert!(checked.stdout.starts_with(&format!("{files} rules, ")), "{}", checked.stdout);
}

/// A build folder that outlives a checkout may hold rules of another day: cargo goes by the age of files.
#[test]
fn the_rules_in_the_binary_are_those_of_the_folder() {
    let folder = Path::new(ROOT).join("rules");
    let mut open = vec![folder.clone()];
    let mut ids = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(entries(path));
            continue;
        }
        let id = path.strip_prefix(&folder).unwrap().with_extension("").to_str().unwrap().to_owned();
        // What is no rule: workloads, and tables at the top.
        if !id.contains('/') || id.starts_with("workloads/") {
            continue;
        }
        let (rule, doc) = RuleSet::parse(&id, &fs::read_to_string(&path).unwrap(), facts::catalogue())
            .unwrap_or_else(|_| panic!("{id}"));
        let built_in = RuleSet::built_in();
        assert_eq!(
            format!("{:?}", built_in.get(&id)),
            format!("{:?}", Some(&rule)),
            "{id}: touch rules, and build anew"
        );
        assert_eq!(
            format!("{:?}", built_in.doc(&id)),
            format!("{:?}", Some(&doc)),
            "{id}: touch rules, and build anew"
        );
        ids.push(id);
    }
    ids.sort();
    assert_eq!(RuleSet::built_in().iter().map(|rule| rule.id).collect::<Vec<_>>(), ids);
}

/// The outcome of one rule in an audit of the whole dump with these further arguments.
fn outcome(rule: &str, more: &[&str]) -> Option<String> {
    let report = json(&[&["--sysctl", WHOLE_DUMP], more].concat());
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["rule"] == rule)?;
    Some(finding["outcome"].as_str().unwrap().to_owned())
}

#[test]
fn a_users_rule_replaces_the_built_in_one_of_its_id() {
    let is = |outcome: Option<String>, word: &str| assert_eq!(outcome.as_deref(), Some(word));
    is(outcome("listen/somaxconn", &[]), "warn");
    is(outcome("listen/somaxconn", &["--rules", "fixtures/rules/site"]), "pass");
    is(outcome("listen/somaxconn", &["--rules", "fixtures/rules/site/listen/somaxconn.yaml"]), "pass");
    // The last one that was named wins.
    let built_in = "rules/listen/somaxconn.yaml";
    is(outcome("listen/somaxconn", &["--rules", "fixtures/rules/site", "--rules", built_in]), "warn");
    let shown = run(["rules", "show", "listen/somaxconn", "--rules", "fixtures/rules/site"]).stdout;
    assert!(shown.contains("somaxconn holds the burst of our own services"), "{shown}");
}

#[test]
fn a_users_rule_is_added_to_the_built_in_ones() {
    assert_eq!(outcome("site/swappiness", &[]), None);
    assert_eq!(outcome("site/swappiness", &["--rules", "fixtures/rules/site"]).as_deref(), Some("warn"));
    assert_eq!(outcome("listen/syncookies", &["--rules", "fixtures/rules/site"]).as_deref(), Some("pass"));
    let count = |more: &[&str]| run([&["rules", "list"], more].concat()).stdout.lines().count();
    assert_eq!(count(&["--rules", "fixtures/rules/site"]), count(&[]) + 1);
    // The dump that lacks the value makes the rule unknown: no pass, no fail.
    let report = json(&["--sysctl", PARTIAL_DUMP, "--rules", "fixtures/rules/site"]);
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["rule"] == "site/swappiness");
    assert_eq!(finding.unwrap()["outcome"], "unknown");
}

#[test]
fn a_rule_that_does_not_exist_is_named_with_the_way_to_find_one() {
    let shown = run(["rules", "show", "listen/nothing"]);
    assert_eq!((shown.code, shown.stdout.as_str()), (Some(2), ""));
    assert_eq!(shown.stderr, "tunecheck: there is no rule listen/nothing (tunecheck rules list)\n");
}
