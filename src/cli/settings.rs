//! What was decided: rules loaded, workload worked out, host opened.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::args::{AuditArgs, Color, FixArgs, LoadArgs, MaxSafety, PodSecurity, SampleArgs, SourceArgs};
use super::terminal::Terminal;
use super::values::Pid;
use crate::audit::{Sampling, Service, in_container};
use crate::facts;
use crate::host::{
    Dump, Host, Itself, Live, Nobody, Of, Replay, Target, Tree, find, input, own_processes,
    workload as workload_process,
};
use crate::model::bounds;
use crate::model::catalogue::Catalogue;
use crate::model::fact::Value;
use crate::model::facts::{Facts, grouped};
use crate::model::fix::Safety;
use crate::model::rule::{Doc, Rule};
use crate::model::traffic::Traffic;
use crate::model::workload::{Role, Workload};
use crate::remedy::target;
use crate::report::Style;
use crate::rules::{Problem, RuleSet, file};

/// Columns of a report that does not go to a terminal.
const PIPE_WIDTH: u16 = 100;

/// The rules of a run: the built-in ones and those at `paths`.
pub(super) fn rules(paths: &[impl AsRef<Path>]) -> Result<RuleSet> {
    let mut rules = RuleSet::built_in();
    if !paths.is_empty() {
        let catalogue = facts::catalogue();
        for path in paths {
            for (_, rule, doc) in load(path.as_ref(), catalogue)? {
                rules.put(rule, doc);
            }
        }
    }
    Ok(rules)
}

/// Every rule at a path, with its file. All problems of all files are told at once.
pub(super) fn load(path: &Path, catalogue: &Catalogue) -> Result<Vec<(PathBuf, Rule, Doc)>> {
    let files = input::yaml_files(path).with_context(|| format!("cannot read rules at {}", path.display()))?;
    if files.is_empty() {
        bail!(
            "{} holds no rules: a rule is a file that ends in .yaml (tunecheck rules schema describes it)",
            path.display()
        );
    }
    let mut rules = Vec::new();
    let mut problems = Vec::new();
    for file in files {
        match load_one(path, &file, catalogue) {
            Ok((rule, doc)) => rules.push((file, rule, doc)),
            Err(found) => problems.extend(found.into_iter().map(|problem| {
                let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
                format!("{}{line}: {}", file.display(), problem.what)
            })),
        }
    }
    if problems.is_empty() { Ok(rules) } else { Err(anyhow!(problems.join("\n"))) }
}

fn load_one(root: &Path, path: &Path, catalogue: &Catalogue) -> Result<(Rule, Doc), Vec<Problem>> {
    let trouble = |what: String| vec![Problem { line: None, what }];
    let bytes = input::read(path, bounds::RULE_FILE.most).map_err(|error| trouble(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        vec![Problem { line: Some(line), what: "this is not UTF-8 text: save the file as UTF-8".into() }]
    })?;
    RuleSet::parse(&id(root, path), &text, catalogue)
}

/// A rule's id: its path below the folder that was named, or the last two parts of a file that was named itself.
fn id(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).ok().filter(|below| !below.as_os_str().is_empty());
    let path = below.unwrap_or(path).with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    parts.get(parts.len().saturating_sub(2)..).unwrap_or_default().join("/")
}

/// The declared load: the role's defaults, then the file, then the flags.
pub(super) fn workload(args: &LoadArgs, rules: &RuleSet) -> Result<Workload> {
    let named = args.workload.as_deref().unwrap_or(Role::default().word());
    let base = match Role::of(named) {
        Some(role) => rules.workload(role),
        None => in_file(named, |text| file::workload(text, |role| rules.workload(role)))?,
    };
    let load = Workload {
        role: base.role,
        connections: args.connections.unwrap_or(base.connections),
        burst: args.burst.unwrap_or(base.burst),
        destinations: args.destinations.unwrap_or(base.destinations),
        source_addresses: args.source_addresses.unwrap_or(base.source_addresses),
        streams: args.streams.unwrap_or(base.streams),
        outgoing: args.outgoing.or(base.outgoing),
        short_lived: args.short_lived_per_second.unwrap_or(base.short_lived),
        ports: if args.port.is_empty() { base.ports } else { args.port.clone() },
    };
    Ok(if args.connections.is_some() && args.burst.is_none() { load.burst_unstated() } else { load })
}

/// The load of a server that declares none, on a machine of 8 GiB, as facts: for numbers that follow from a load.
pub(super) fn usual(rules: &RuleSet) -> Facts {
    let load = rules.workload(Role::Server);
    let mut usual = facts::none();
    usual.put("memory.total", Ok(Value::Number(8 << 30)), "");
    facts::declare(&mut usual, &load);
    let words = format!(
        "a server of {} connections and a burst of {} on 8 GiB",
        grouped(load.connections.into()),
        grouped(load.burst.into())
    );
    usual.put("load.words", Ok(Value::Text(words)), "");
    usual
}

/// What a role or a workload file says of the traffic of all pods.
pub(super) fn stated_traffic(named: &str, rules: &RuleSet) -> Result<Traffic> {
    match Role::of(named) {
        Some(role) => Ok(Traffic::of(&rules.workload(role))),
        None => in_file(named, |text| file::traffic(text, |role| rules.workload(role))),
    }
}

fn in_file<T>(named: &str, meaning: impl Fn(&str) -> Result<T, Problem>) -> Result<T> {
    let bytes = input::read(Path::new(named), bounds::RULE_FILE.most).with_context(|| {
        format!("--workload {named}: no such role (client, server, gateway) and no file that can be read")
    })?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("{named} is not UTF-8 text"))?;
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        bail!("{named} is empty: it declares no load");
    }
    meaning(&text).map_err(|problem| {
        let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
        anyhow!("{named}{line}: {}", problem.what)
    })
}

/// What to read.
pub(super) fn host(args: &SourceArgs) -> Result<Box<dyn Host>> {
    if let Some(path) = &args.snapshot {
        return Ok(Box::new(Replay::open(path)?));
    }
    if let Some(path) = &args.root {
        if !input::is_folder(path) {
            bail!("--root {}: no such directory", path.display());
        }
        let name = path.to_str().with_context(|| format!("--root {}: a name that is not UTF-8", path.display()))?;
        let tree = Tree::new(name).map_err(|refusal| anyhow!("--root {}: {refusal}", path.display()))?;
        return Ok(Box::new(tree));
    }
    if let Some(path) = &args.sysctl {
        let bytes = input::read(path, bounds::DUMP.most)
            .with_context(|| format!("cannot read --sysctl {} (- is standard input)", path.display()))?;
        let dump = Dump::parse(&path.display().to_string(), &bytes)
            .with_context(|| format!("cannot read --sysctl {}", path.display()))?;
        if dump.is_empty() {
            bail!("--sysctl {}: no line is NAME = VALUE (expected the output of sysctl -a)", path.display());
        }
        return Ok(Box::new(dump));
    }
    match args.pid {
        Some(Pid::Own) => return Ok(Box::new(Itself)),
        Some(Pid::Of(pid)) => {
            let of = Of::pid(pid).map_err(|refusal| anyhow!("--pid {pid}: {}", refusal.gap("that process").why))?;
            return Ok(Box::new(of));
        }
        None => {}
    }
    let name = args.name.as_deref().map(Target::Name);
    let container = args.container.as_deref().map(Target::Container);
    match name.or(container).or(args.pod.as_deref().map(Target::Pod)) {
        Some(target) => Ok(Box::new(find(target)?)),
        None => Ok(Box::new(Live)),
    }
}

/// Whether it is said what to read.
pub(super) fn is_named(args: &SourceArgs) -> bool {
    let recorded = args.snapshot.is_some() || args.root.is_some() || args.sysctl.is_some();
    recorded || args.pid.is_some() || args.name.is_some() || args.container.is_some() || args.pod.is_some()
}

/// What to audit: as [`host`]. Where nothing is named and this is inside of a container, the process that does the work
/// there, or nobody where it may not be looked into.
pub(super) fn audited(args: &SourceArgs, unit: Option<&str>) -> Result<Box<dyn Host>> {
    if let Some(unit) = unit {
        return Ok(Box::new(find(Target::Unit(unit))?));
    }
    if is_named(args) {
        return host(args);
    }
    let of_others = own_processes().map_err(|refusal| format!("nothing says whether this is a container: {refusal}"));
    let inside = of_others.and_then(|some| if some { in_container() } else { Ok(false) });
    Ok(match inside.and_then(|inside| if inside { workload_process() } else { Ok(None) }) {
        Ok(Some(of)) => Box::new(of),
        Ok(None) => Box::new(Live),
        Err(why) => Box::new(Nobody::because(why)),
    })
}

/// How long counters are looked at; not at all if nothing says so.
pub(super) fn sampling(args: &SampleArgs) -> Option<Sampling> {
    const PAUSE: Duration = Duration::from_secs(1);
    match (args.sample, args.interval, args.count) {
        (Some(interval), _, _) => Some(Sampling { interval, count: 2 }),
        (None, None, None) => None,
        (None, interval, count) => Some(Sampling { interval: interval.unwrap_or(PAUSE), count: count.unwrap_or(2) }),
    }
}

/// Columns to fill on this output.
pub(super) fn width(terminal: Terminal) -> u16 {
    terminal.columns.unwrap_or(PIPE_WIDTH).max(60)
}

/// How the report is to look on this output.
pub(super) fn style(args: &AuditArgs, terminal: Terminal) -> Style {
    Style { only_failed: args.only_failed, verbose: args.verbose, ..plain_style(args.color, terminal) }
}

/// How text for people is to look on this output.
pub(super) fn plain_style(color: Color, terminal: Terminal) -> Style {
    Style {
        width: width(terminal),
        height: terminal.rows,
        colour: match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal.interactive && !terminal.plain,
        },
        only_failed: false,
        verbose: false,
    }
}

/// Of the units that a fix is for, the one with the least open files, where no process of theirs is audited and their
/// configuration can be read.
pub(super) fn service(units: &[String], host: &dyn Host) -> Option<Service> {
    let service = |unit: &String| {
        let has = facts::unit_nofile(host, unit).ok()?;
        Some(Service { unit: has.name, nofile: (has.soft, has.hard) })
    };
    let services = units.iter().filter(|_| host.process().is_none()).filter_map(service);
    services.min_by_key(|service| service.nofile)
}

/// The units of these that the machine, where it can be asked, does not have.
pub(super) fn units_that_are_not_here<'a>(units: &'a [String], host: Option<&'a dyn Host>) -> Vec<&'a str> {
    let is_absent = |host: &dyn Host, unit: &str| {
        facts::unit_nofile(host, unit).is_err_and(|gap| gap.cause == crate::model::fact::Cause::Absent)
    };
    let units = units.iter().map(String::as_str);
    units.filter(|unit| host.is_some_and(|host| is_absent(host, unit))).collect()
}

/// What a target has to know of the user's decisions. The limits of units are looked up where the machine, or what stands
/// for it, can be asked.
pub(super) fn options(args: &FixArgs, host: Option<&dyn Host>) -> target::Options {
    let unit = |name: &String| match host.and_then(|host| facts::unit_nofile(host, name).ok()) {
        Some(has) => {
            target::Unit { name: has.name, limits: Some((has.soft, has.hard)), last: has.last, taken: has.taken }
        }
        None => target::Unit { name: name.clone(), limits: None, last: None, taken: BTreeSet::new() },
    };
    let mut units: Vec<target::Unit> = Vec::new();
    for unit in args.unit.iter().map(unit) {
        if !units.contains(&unit) {
            units.push(unit);
        }
    }
    target::Options {
        max_safety: match args.max_safety {
            MaxSafety::Safe => Safety::Safe,
            MaxSafety::Review => Safety::Review,
            MaxSafety::Manual => Safety::Manual,
        },
        kubernetes: args.kubernetes_version,
        pod_security: match args.pod_security {
            PodSecurity::Privileged => target::PodSecurity::Privileged,
            PodSecurity::Baseline => target::PodSecurity::Baseline,
            PodSecurity::Restricted => target::PodSecurity::Restricted,
        },
        units,
    }
}
