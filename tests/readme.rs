//! What the README shows is what tunecheck does.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests read and write files and fail by panicking")]

mod support;

use std::fs;
use std::path::Path;

use support::{BINARY, ROOT, json, run, scratch};

fn readme() -> String {
    fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap()
}

/// The text of the README's code blocks in this language.
fn blocks(readme: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    readme
        .split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .inspect(|block| assert!(!block.is_empty()))
        .collect()
}

#[test]
fn examples_with_output_print_what_the_readme_shows() {
    assert!(blocks(&readme(), "console").len() >= 2, "the README has lost its examples");
    trycmd::TestCases::new()
        .register_bin("tunecheck", Path::new(BINARY))
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .case("README.md");
}

#[test]
fn options_in_examples_that_are_not_run_exist() {
    let verb =
        |command: &str| command.split_whitespace().next().filter(|word| !word.starts_with('-')).map(str::to_owned);
    let sh = blocks(&readme(), "sh").concat();
    let mut seen = 0;
    for command in sh.lines().flat_map(|line| line.split("tunecheck ").skip(1)) {
        let help = match verb(command) {
            Some(verb) => run([verb.as_str(), "--help"]).stdout,
            None => run(["--help"]).stdout,
        };
        for word in command.split_whitespace().take_while(|word| !["&&", "--", "|", ">", "#"].contains(word)) {
            if word.starts_with("--") {
                assert!(help.contains(&format!("{word} ")), "{word} of: tunecheck {command}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 8, "only {seen} options found");
}

#[test]
fn the_line_for_jq_names_fields_that_a_report_has() {
    let filter = readme();
    let filter = filter.lines().find(|line| line.contains("jq -r")).unwrap();
    let report = json(&["--snapshot", "fixtures/hosts/in-trouble"]);
    let failed: Vec<_> =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["outcome"] == "fail").collect();
    assert!(!failed.is_empty());
    for finding in failed {
        for field in ["outcome", "rule", "says"] {
            assert!(filter.contains(&format!(".{field}")) && finding[field].is_string(), "{field} of {finding}");
        }
        let lines = finding["fix"].as_array().unwrap().iter().flat_map(|fix| fix["lines"].as_array().unwrap());
        assert!(filter.contains(".fix[].lines[]") && lines.clone().count() > 0, "{finding}");
        assert!(lines.clone().all(serde_json::Value::is_string), "{finding}");
    }
}

#[test]
fn the_rule_in_the_readme_is_a_rule() {
    let rules = blocks(&readme(), "yaml");
    assert_eq!(rules.len(), 1);
    let file = scratch("readme").join("receive-buffer.yaml");
    fs::write(&file, &rules[0]).unwrap();
    let run = run(["rules".as_ref(), "check".as_ref(), file.as_os_str()]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(0), "1 rules, 2 examples: all as they say\n"), "{}", run.stderr);
}

#[test]
fn every_dependency_is_accounted_for() {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let readme = readme();
    let (_, table) = readme.split_once("| dependency |").unwrap();
    let words: Vec<&str> = table.split(|c: char| !c.is_alphanumeric() && !"-_".contains(c)).collect();
    for section in ["[dependencies]\n", "[dev-dependencies]\n"] {
        let (_, rest) = manifest.split_once(section).unwrap();
        for name in rest.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split(" =").next()) {
            assert!(words.contains(&name), "{name} of {section} is not in the README");
        }
    }
}
