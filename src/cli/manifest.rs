//! `tunecheck manifest`: pods before they are deployed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::args::{FailOn, LoadArgs, ManifestArgs, ManifestFormat, PodSecurity};
use super::exit::{self, Exit};
use super::settings;
use super::terminal::{Terminal, complain, print};
use crate::evaluate::{self, evaluate, explain};
use crate::facts;
use crate::host::input;
use crate::manifest::{Load, Options, Short, Steps, Surroundings, judge, tell_templates_once};
use crate::model::bounds;
use crate::model::check::{Band, Check};
use crate::model::fact::Value;
use crate::model::finding::{Finding, Outcome};
use crate::model::manifest::Manifests;
use crate::model::place::Place;
use crate::model::pod_sysctl::{PodSysctls, RANGE, RESERVED};
use crate::model::ports::Ports;
use crate::model::rule::Rule;
use crate::model::workload::Workload;
use crate::remedy::target;
use crate::report;
use crate::rules::RuleSet;

const STDIN: &str = "-";
/// Endings of the files that are read in a folder.
const ENDINGS: &[&str] = &["yaml", "yml", "json"];

pub(super) fn run(args: &ManifestArgs) -> Result<Exit> {
    if args.paths.iter().filter(|path| *path == Path::new(STDIN)).count() > 1 {
        bail!("standard input can be read once: name - once");
    }
    let rules = RuleSet::built_in();
    let workload = settings::workload(&args.load, &rules)?;
    let known = PodSysctls::of(rules.iter());
    let by_load = |sysctls: &[(String, String)]| short(sysctls, &rules, &workload);
    let declared = args.load != LoadArgs::default();
    let options = Options {
        kubernetes: args.kubernetes_version,
        pod_security: match args.pod_security {
            PodSecurity::Privileged => None,
            PodSecurity::Baseline => Some("baseline"),
            PodSecurity::Restricted => Some("restricted"),
        },
        allowed: &args.allowed_unsafe_sysctls,
        known: &known,
        folder: &Surroundings::default(),
        steps: &Steps::default(),
        load: declared.then_some(Load { workload: &workload, sysctls: &by_load }),
    };
    if let Some(note) = args.kubernetes_version.and_then(target::newer) {
        complain(&format!("tunecheck: {note}"));
    }
    let manifests = judged(args, options);
    let terminal = Terminal::stdout();
    let text = match args.format {
        ManifestFormat::Table => report::manifest_table(&manifests, settings::plain_style(args.color, terminal)),
        ManifestFormat::Json => report::manifest_json(&manifests, terminal.interactive)?,
        ManifestFormat::Github => report::manifest_github(&manifests),
    };
    print(text.as_bytes()).context("cannot write what was found")?;
    for (path, why) in &manifests.unreadable {
        complain(&report::sanitized(&format!("tunecheck: {}: {why}", path.escape_debug())));
    }
    let nothing = manifests.is_without_objects();
    let is_empty = nothing && manifests.sum(|file| file.not_manifests + file.faults.len()) == 0;
    // What a pipe hands over when the program before it failed, and a folder that is not the one that was meant. A file
    // that was named and holds no more than comments is none of them: a commit may have it among others.
    let is_missed = is_empty && (manifests.files.is_empty() || args.paths.iter().any(|path| is_stream(path)));
    if is_missed {
        complain("tunecheck: no objects passed: what was named holds no document");
    } else if nothing {
        complain(
            "tunecheck: nothing was judged: nothing that could be read is an object, a Compose file or a task definition",
        );
    }
    Ok(match manifests.unreadable.is_empty() {
        false => Exit::Failed,
        true if is_missed => Exit::Failed,
        true if nothing && args.fail_on == FailOn::Unknown => Exit::Tripped,
        true => exit::manifest_gate(&manifests, args.fail_on),
    })
}

/// Reads and judges one file after the other, each with what the others of its folder say.
fn judged(args: &ManifestArgs, options: Options<'_>) -> Manifests {
    let mut manifests = Manifests::default();
    let mut files: Vec<PathBuf> = Vec::new();
    for path in &args.paths {
        match path == Path::new(STDIN) {
            true => files.push(path.clone()),
            false => match input::files(path, ENDINGS) {
                Ok(found) => files.extend(found),
                Err(error) => manifests.unreadable.push((path.display().to_string(), error.to_string())),
            },
        }
    }
    let folders = surroundings(&files, options.steps);
    let nothing = Surroundings::default();
    for file in &files {
        let name = file.display().to_string();
        let folder = file.parent().and_then(|folder| folders.get(folder)).unwrap_or(&nothing);
        match input::read(file, bounds::MANIFEST_FILE.most) {
            Ok(bytes) => manifests.files.push(judge(&name, &bytes, Options { folder, ..options })),
            Err(error) => manifests.unreadable.push((name, error.to_string())),
        }
    }
    tell_templates_once(&mut manifests.files);
    if manifests.is_without_objects() {
        // In a folder such a file is one of something else; one that was named is not the one that was meant.
        let named = manifests.files.iter().filter(|file| args.paths.iter().any(|path| path == Path::new(&file.file)));
        let broken = named.filter_map(|file| {
            let (mark, why) = file.broken.as_ref()?;
            let why = format!("{}:{}: {why}: correct it, nothing of it was judged", mark.line, mark.column);
            Some((file.file.clone(), why))
        });
        manifests.unreadable.extend(broken.collect::<Vec<_>>());
    }
    manifests
}

/// Whether it can be read only once.
fn is_stream(path: &Path) -> bool {
    path == Path::new(STDIN) || path.starts_with("/dev")
}

/// What the files of each folder say of pods. Standard input, which can be read once, stands for itself.
fn surroundings<'a>(files: &'a [PathBuf], steps: &Steps) -> BTreeMap<&'a Path, Surroundings> {
    let mut folders: BTreeMap<&Path, Surroundings> = BTreeMap::new();
    for file in files.iter().filter(|file| !is_stream(file)) {
        if let (Some(folder), Ok(bytes)) = (file.parent(), input::read(file, bounds::MANIFEST_FILE.most)) {
            folders.entry(folder).or_default().add(Surroundings::of(&bytes, steps));
        }
    }
    folders
}

/// The sysctls of a pod that do not carry a load, by the rules whose bounds follow from it.
fn short(sysctls: &[(String, String)], rules: &RuleSet, workload: &Workload) -> Vec<Short> {
    let mut facts = facts::none();
    for (name, value) in sysctls {
        facts.put(format!("sysctl.{name}"), facts::parse_sysctl(name, value.as_bytes()), "manifest");
    }
    let reserved = format!("sysctl.{RESERVED}");
    if !facts.holds(&reserved) {
        facts.put(reserved, Ok(Value::Ports(Ports::default())), "default");
    }
    facts::declare(&mut facts, workload);
    facts::derive(&mut facts);
    let place = Place::plain_host();
    let context =
        evaluate::Context { facts: &facts, place: &place, catalogue: facts::catalogue(), role: workload.role };
    let asked = |rule: &Rule| sysctls.iter().map(|(name, _)| name).find(|name| judges(rule, name)).cloned();
    let mut found = Vec::new();
    for (rule, name) in rules.iter().filter_map(|rule| Some((rule, asked(rule)?))) {
        for mut finding in evaluate([rule].into_iter(), context) {
            if follows_from_load(rule, &finding) {
                explain(rule, &mut finding, context);
                let Finding { outcome, says, want, .. } = finding;
                let change = format!("{} for the declared load; tunecheck explain {}", want.text, rule.id);
                found.push(Short { name: name.clone(), outcome, says, change });
            }
        }
    }
    found
}

/// Whether a rule is about the value of a sysctl.
fn judges(rule: &Rule, name: &str) -> bool {
    rule.fact.strip_prefix("sysctl.") == Some(name) || (rule.fact == "ports.usable" && name == RANGE)
}

/// Whether it is the declared load that a value misses, and not a recommendation.
fn follows_from_load(rule: &Rule, finding: &Finding) -> bool {
    let of_load = |band: &Band| {
        band.at_least.as_ref().and_then(|bound| bound.of).is_some_and(|fact| fact.starts_with("workload."))
    };
    match (&rule.check, finding.outcome) {
        (Check::Range { fail, .. }, Outcome::Fail) => of_load(fail),
        (Check::Range { warn, .. }, Outcome::Warn) => of_load(warn),
        _ => false,
    }
}
