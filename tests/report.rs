//! The report for programs: what is printed is what the printed schema says, and a number is a number.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read files and fail by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;
use support::{PARTIAL_DUMP, ROOT, WHOLE_DUMP, entries, json, recorded_hosts, run, scratch};

/// The validator of a schema that tunecheck prints.
fn schema(of: &[&str]) -> Validator {
    let printed = run([&["rules", "schema"], of].concat());
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    jsonschema::validator_for(&serde_json::from_str(&printed.stdout).unwrap()).unwrap()
}

/// Everything that a schema has to say against a document.
fn objections(schema: &Validator, document: &Value) -> Vec<String> {
    schema.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// A report from every source at hand: this machine, a recording of it, dumps, and all recorded machines.
fn reports() -> &'static [(String, Value)] {
    static REPORTS: OnceLock<Vec<(String, Value)>> = OnceLock::new();
    REPORTS.get_or_init(all_reports)
}

fn all_reports() -> Vec<(String, Value)> {
    let recording = scratch("recorded_for_reports").join("node");
    let recorded = run(["snapshot".as_ref(), recording.as_os_str()]);
    assert_eq!((recorded.code, recorded.stdout.as_str()), (Some(0), ""), "{}", recorded.stderr);
    let recording = recording.to_str().unwrap().to_owned();
    let mut sources: Vec<Vec<String>> = vec![vec![]];
    let mut of = |flag: &str, path: &str| sources.push(vec![flag.to_owned(), path.to_owned()]);
    of("--snapshot", &recording);
    of("--sysctl", WHOLE_DUMP);
    of("--sysctl", PARTIAL_DUMP);
    recorded_hosts().iter().for_each(|host| of("--snapshot", host));
    let loads: [&[&str]; 3] = [
        &["--workload", "server"],
        &["--workload", "gateway", "--connections", "1000000000", "--burst", "1000000000"],
        &["--workload", "client", "--outgoing", "60000", "--port", "1,443"],
    ];
    let pairs = sources.iter().flat_map(|source| loads.iter().map(move |load| (source, load)));
    pairs
        .map(|(source, load)| {
            let args: Vec<&str> = source.iter().map(String::as_str).chain(load.iter().copied()).collect();
            (args.join(" "), json(&args))
        })
        .collect()
}

#[test]
fn every_report_is_what_its_schema_says() {
    let schema = schema(&["--report"]);
    for (args, report) in reports() {
        assert_eq!(objections(&schema, report), Vec::<String>::new(), "{args}");
        assert_eq!(report["schema"], "tunecheck.report/v1");
        let findings = report["findings"].as_array().unwrap();
        for (outcome, count) in report["summary"].as_object().unwrap() {
            let outcome = outcome.replace('_', "-");
            let found = findings.iter().filter(|finding| finding["outcome"] == *outcome).count();
            assert_eq!(count.as_u64(), Some(found as u64), "{args}: {outcome}");
        }
    }
}

#[test]
fn the_schema_of_a_report_refuses_what_is_none() {
    let schema = schema(&["--report"]);
    let report = json(&["--sysctl", WHOLE_DUMP]);
    let changed = |pointer: &str, value: Value| {
        let mut changed = report.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert!(!objections(&schema, &changed).is_empty(), "{pointer}");
    };
    changed("/findings/0/outcome", "maybe".into());
    changed("/findings/0/evidence", Value::Null);
    changed("/workload/connections", "6,000".into());
    changed("/summary/fail", (-1).into());
    changed("/place/kind", "planet".into());
}

/// Calls back with this value and every one below it.
fn walk(value: &Value, each: &mut impl FnMut(&Value)) {
    each(value);
    match value {
        Value::Array(list) => list.iter().for_each(|value| walk(value, each)),
        Value::Object(map) => map.values().for_each(|value| walk(value, each)),
        _ => {}
    }
}

#[test]
fn numbers_are_numbers() {
    for (args, report) in reports() {
        walk(report, &mut |value| {
            // Whoever reads JSON into 64 bits gets what was printed; i128::MAX stands for unlimited inside tunecheck.
            let fits = value.as_number().is_none_or(|number| number.is_i64() || number.is_u64());
            assert!(fits, "{args}: {value}");
            let Some(name) = value["name"].as_str().filter(|name| !name.ends_with("reserved_ports")) else { return };
            for key in ["old", "new"] {
                let digits = value[key].as_str().is_some_and(|text| text.replace(',', "").parse::<f64>().is_ok());
                assert!(!digits, "{args}: {key} of {name} is the text {}", value[key]);
            }
        });
        for finding in report["findings"].as_array().unwrap() {
            let (rule, unit, now) = (&finding["rule"], finding["unit"].as_str().unwrap(), &finding["now"]);
            let fits = match now {
                Value::Null => true,
                Value::Number(_) => unit != "text" && unit != "ports",
                // The unit of boot[*] is text, its values are whatever the sysctl holds.
                Value::Array(list) => list.iter().all(Value::is_number),
                Value::String(text) => ["text", "ports"].contains(&unit) || text == "unlimited",
                _ => false,
            };
            let of_boot = rule == "boot/drift" || rule == "time-wait/tw-recycle";
            assert!(fits || of_boot, "{args}: {rule} is {now} and its unit is {unit}");
            if finding["outcome"] == "pass" {
                let known = !now.is_null() || !finding["reason"].as_str().unwrap().is_empty();
                assert!(known, "{args}: {rule} passes and nothing was read");
            }
        }
    }
}

/// The files of the built-in rules.
fn rule_files() -> Vec<std::path::PathBuf> {
    let folders = entries(Path::new(ROOT).join("rules"));
    folders.iter().filter(|folder| !folder.ends_with("workloads")).flat_map(entries).collect()
}

#[test]
fn the_schema_of_a_rule_file_takes_every_built_in_rule() {
    let schema = schema(&[]);
    let files = rule_files();
    assert!(files.len() > 30);
    for path in files {
        let rule: Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(objections(&schema, &rule), Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn the_schema_of_a_rule_file_refuses_what_the_parser_refuses_for_its_form() {
    let schema = schema(&[]);
    let by_form = [
        "unknown-key",
        "unknown-key-in-fix",
        "unknown-check",
        "no-examples-key",
        "no-why",
        "scope-word",
        "expect-word",
        "pod-word",
        "number-as-text",
        "a-list",
        "prose",
        "empty",
    ];
    for name in by_form {
        let path = Path::new(ROOT).join(format!("fixtures/rules/bad/{name}.yaml"));
        let rule: Value = serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        assert!(!objections(&schema, &rule).is_empty(), "{name}");
    }
}
