//! Packs `rules/`: what is judged as Rust source, and as blobs the words, lookalikes, workloads and the manual, so that no
//! YAML is parsed at start-up.

#![allow(clippy::disallowed_methods, reason = "a build script reads the rules")]

#[allow(dead_code, missing_docs, unreachable_pub)]
mod model;

#[allow(dead_code, unreachable_pub, unused_imports)]
mod rules {
    pub mod file;
}

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use databake::{Bake, CrateEnv};
use model::manual::Manual;
use model::rule::{Doc, Rule};
use model::workload::{Role, Workload};

/// The table of the manual's rows, below `rules/`.
const MANUAL: &str = "manual.yaml";
/// The table of what looks like a symptom and is none.
const LOOKALIKES: &str = "lookalikes.yaml";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=rules");
    println!("cargo::rerun-if-changed=src/model");
    println!("cargo::rerun-if-changed=src/rules/file");
    println!("cargo::rerun-if-changed=src/build.rs");
    static_or_told()?;
    let root = Path::new("rules");
    let mut rules: Vec<(Rule, Doc)> = Vec::new();
    let mut workloads: Vec<Workload> = Vec::new();
    let table = root.join(MANUAL);
    let manual = rules::file::manual(&fs::read_to_string(&table)?).map_err(|problem| told(&table, &problem))?;
    let others = root.join(LOOKALIKES);
    let lookalikes =
        rules::file::lookalikes(&fs::read_to_string(&others)?).map_err(|problem| told(&others, &problem))?;
    let mut files = yaml_files(root)?;
    files.retain(|path| *path != table && *path != others);
    files.sort();
    for path in files {
        let text = fs::read_to_string(&path)?;
        let id = path.strip_prefix(root)?.with_extension("").to_string_lossy().into_owned();
        if id.starts_with("workloads/") {
            workloads.push(rules::file::workload(&text, nothing).map_err(|problem| told(&path, &problem))?);
        } else {
            let rule = named(&id, &text, &manual).map_err(|problem| told(&path, &problem))?;
            rules.push(rule);
        }
    }
    rules.sort_by_key(|(rule, _)| rule.id);
    let (rules, docs): (Vec<Rule>, Vec<Doc>) = rules.into_iter().unzip();
    let ids: Vec<&str> = rules.iter().map(|rule| rule.id).collect();
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(out.join("docs.bin"), postcard::to_stdvec(&(ids, docs))?)?;
    fs::write(out.join("lookalikes.bin"), postcard::to_stdvec(&lookalikes)?)?;
    fs::write(out.join("manual.bin"), postcard::to_stdvec(&manual.0)?)?;
    fs::write(out.join("workloads.bin"), postcard::to_stdvec(&workloads)?)?;
    fs::write(out.join("rules.rs"), rules.as_slice().bake(&CrateEnv::default()).to_string())?;
    Ok(())
}

/// A release for glibc is static by .cargo/config.toml, and cargo reads that only where it is started below this folder.
fn static_or_told() -> Result<(), &'static str> {
    println!("cargo::rerun-if-env-changed=TUNECHECK_DYNAMIC");
    let has = |name: &str, word: &str| env::var(name).is_ok_and(|value| value.split(',').any(|part| part == word));
    let is_static = has("CARGO_CFG_TARGET_FEATURE", "crt-static") || !has("CARGO_CFG_TARGET_ENV", "gnu");
    match is_static || !has("PROFILE", "release") || env::var_os("TUNECHECK_DYNAMIC").is_some() {
        true => Ok(()),
        false => {
            Err("this release would not be static: start cargo in the folder of tunecheck (cd there; cargo install \
                      --path .), or set TUNECHECK_DYNAMIC=1 for a binary that needs the C library of this machine")
        }
    }
}

fn told(path: &Path, problem: &rules::file::Problem) -> String {
    let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
    format!("{}{line}: {}", path.display(), problem.what)
}

/// A rule, if every row of the manual that it names is in the table.
fn named(id: &str, text: &str, manual: &Manual) -> Result<(Rule, Doc), rules::file::Problem> {
    let read = rules::file::rule(id, text)?;
    match manual.fault(read.0.manual) {
        None => Ok(read),
        Some(what) => Err(rules::file::Problem::at(text, "manual:", what)),
    }
}

/// What a built-in workload starts from: its file says everything.
fn nothing(role: Role) -> Workload {
    Workload::none(role)
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(yaml_files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            found.push(path);
        }
    }
    Ok(found)
}
