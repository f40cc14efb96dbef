//! Each system call of a run fails once, with the errors that a machine in trouble gives.
//!
//! From where `main` begins, at every position of every kind of call; which error it is goes round with the position.
//! Once as it runs on a machine, under the filter for system calls that it loads, and once as in a container, where a filter
//! is there before: it takes other ways then. All of it takes minutes, so it runs where TUNECHECK_FAULTS says `turn`; with
//! `all` every position gets every error. TUNECHECK_BINARY names a release, which takes a third of the time:
//! `TUNECHECK_FAULTS=turn TUNECHECK_BINARY=$PWD/target/.../release/tunecheck cargo test --test places each_system_call`.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use serde_json::Value;

use crate::harness::{COUNTED, MOUNTS, NETWORK, Need, Place, Running, Scene, done, eventually, program, script, timed};
use crate::report::Run;

/// Namespaces in which nothing else runs.
const ALONE: &[&str] =
    &["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];

const NEEDS: &[Need] = &[Need::Root, Need::Program("strace"), Need::Program("unshare"), Need::Minutes(60)];

/// Runs by the hundred, of minutes each: only where TUNECHECK_FAULTS asks for them.
pub(crate) const SWEEPS: &[Place] = &[
    // It has more positions than all others together: the two halves run beside each other.
    Place {
        name: "each_system_call_of_an_audit_of_all_fails_once_first_half",
        needs: NEEDS,
        own: ALONE,
        trial: |scene| all(scene, 0),
    },
    Place {
        name: "each_system_call_of_an_audit_of_all_fails_once_second_half",
        needs: NEEDS,
        own: ALONE,
        trial: |scene| all(scene, 1),
    },
    Place { name: "each_system_call_of_an_audit_fails_once", needs: NEEDS, own: NETWORK, trial: audit },
    Place {
        name: "each_system_call_of_an_audit_in_a_container_fails_once",
        needs: NEEDS,
        own: ALONE,
        trial: container,
    },
    Place { name: "each_system_call_of_a_watch_fails_once", needs: NEEDS, own: ALONE, trial: watch },
    Place { name: "each_system_call_of_a_snapshot_fails_once", needs: NEEDS, own: ALONE, trial: snapshot },
    Place { name: "each_system_call_of_a_fix_fails_once", needs: NEEDS, own: ALONE, trial: fix },
];

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "root_that_may_not_join_a_namespace_is_told_why",
        needs: NEEDS,
        own: &[],
        trial: why_a_namespace_could_not_be_joined,
    },
    Place {
        name: "where_nothing_can_be_read_no_gate_holds",
        needs: &[Need::Root],
        own: MOUNTS,
        trial: where_nothing_can_be_read_no_gate_holds,
    },
];

const ERRORS: [&str; 8] = ["EIO", "EACCES", "ENOMEM", "EMFILE", "ENFILE", "EINTR", "EAGAIN", "ENOSPC"];

/// The answer to whether sysctls can be written that a denial gives.
const NOT_WRITABLE: &str = r#"the place's sysctls was "writable" and is "not-permitted""#;

/// Root is told why it could not, and not that root can.
fn why_a_namespace_could_not_be_joined(scene: &Scene) {
    let mut unshare = program("unshare");
    unshare.args(["--net", "sleep", "infinity"]);
    let subject = Running::start(unshare);
    let (pid, own) = (subject.0.id().to_string(), fs::read_link("/proc/self/ns/net").unwrap());
    assert!(eventually(|| fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|other| other != own)));
    for (calls, error, why) in [
        ("setns", "EPERM", "(Operation not permitted), although this is root"),
        ("clone,clone3", "EAGAIN", "(Try again)."),
        ("setns", "ENOMEM", "(Out of memory)."),
    ] {
        let inject = format!("inject={calls}:error={error}");
        let (run, _) = traced(scene, &["-e", &inject], &["--pid", &pid, "--format", "json"]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
        let notes = report["notes"].to_string();
        assert!(notes.contains(why) && !notes.contains("root can"), "{calls} {error}: {notes}");
        assert_eq!(findings(&report)[&("listen/somaxconn".to_owned(), String::new())]["outcome"], "unknown");
    }
}

/// A /proc that shows processes and nothing else leaves nothing to judge.
fn where_nothing_can_be_read_no_gate_holds(scene: &Scene) {
    done(script("mount -t proc -o subset=pid proc /proc", &[]));
    for arguments in [&[][..], &["--fail-on", "never"], &["--all"], &["fix"]] {
        let mut command = scene.tunecheck();
        command.args(arguments);
        let run = Run::of(command);
        assert!(run.complaint().contains("subset=pid"), "{arguments:?}: {run:?}");
    }
}

/// Calls that are left alone, and why.
const SPARED: &[(&str, &str)] = &[
    ("execve", "nothing of the program runs yet"),
    ("arch_prctl", "the C library, before main"),
    ("brk", "the allocator takes another way, or the program ends as by any lack of memory"),
    ("exit_group", "it does not return"),
    (
        "clock_nanosleep",
        "of other errors than EINTR, which the kernel does not give, the standard library makes a panic",
    ),
    ("getrandom", "as above: keys of the standard library's hash tables"),
    ("futex", "an error that the kernel does not give: a thread that is not woken waits for ever"),
    ("getpid", "it has no errors: any number is a process"),
    ("gettid", "as above"),
    ("geteuid", "as above"),
];

/// Whether a call is left alone.
fn is_spared(call: &str, arguments: &str) -> bool {
    // The standard library's own check, in a build for tests only, that a descriptor is open: it aborts.
    let checks = call == "fcntl" && arguments.contains(", F_GETFD)");
    checks || SPARED.iter().any(|(spared, _)| *spared == call)
}

/// The filter for system calls that a run is under.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Filter {
    /// It loads its own, as on a machine.
    Own,
    /// One is there already, as in a container, and it loads none.
    There,
}

/// A run, and what it left behind.
struct Seen<T> {
    run: Run,
    left: T,
}

/// What is wrong with the second run, beside the first one, of which no call failed.
type Judge<'a, T> = dyn Fn(&Seen<T>, &Seen<T>) -> Vec<String> + 'a;

/// What becomes of one command when its calls fail.
struct Sweep<'a, T> {
    arguments: &'a [&'a str],
    /// Which error comes first.
    turn: usize,
    /// What is done before each run.
    before: &'a dyn Fn(),
    /// What a run left behind.
    left: &'a dyn Fn() -> T,
    judge: &'a Judge<'a, T>,
}

impl<T> Sweep<'_, T> {
    fn seen(&self, scene: &Scene, options: &[&str]) -> (Seen<T>, String) {
        (self.before)();
        let (run, log) = traced(scene, options, self.arguments);
        // Of those that a run left behind this process is the parent now, as the first of its namespace: an audit of all
        // would look at each that nobody took note of.
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status != WaitStatus::StillAlive) {}
        (Seen { run, left: (self.left)() }, log)
    }

    /// A run of which no call fails.
    fn base(&self, scene: &Scene, filter: Filter) -> (Seen<T>, String) {
        // All calls but one that is never made: of all together strace makes no filter.
        let options: &[&str] = match filter {
            Filter::Own => &[],
            Filter::There => &["--seccomp-bpf", "-e", "trace=!personality"],
        };
        let (base, log) = self.seen(scene, options);
        assert!(matches!(base.run.code, Some(0 | 1)), "{:?}", base.run);
        assert_eq!(log.contains(" seccomp(SECCOMP_SET_MODE_FILTER"), filter == Filter::Own, "{log}");
        (base, log)
    }

    fn each_call_fails(&self, scene: &Scene) {
        self.each_call_of(scene, |_| true);
    }

    /// Lets each call fail in turn that is picked by its number among those of its kind.
    fn each_call_of(&self, scene: &Scene, picked: impl Fn(usize) -> bool) {
        for filter in [Filter::Own, Filter::There] {
            let (mut base, log) = self.base(scene, filter);
            let every = env::var("TUNECHECK_FAULTS").is_ok_and(|all| all == "all");
            let (mut runs, mut failed, mut wrong) = (0, 0, BTreeMap::<String, Vec<String>>::new());
            let positions = positions(&log);
            for (call, positions) in &positions {
                for (at, position) in positions.iter().enumerate().filter(|(at, _)| picked(*at)) {
                    let errors = ERRORS.iter().cycle().skip(self.turn + at).take(if every { ERRORS.len() } else { 1 });
                    for error in errors {
                        let inject = format!("inject={call}:error={error}:when={position}");
                        let only = format!("trace={call}");
                        let mut options = vec!["-e", &only, "-e", &inject];
                        if filter == Filter::There {
                            options.push("--seccomp-bpf");
                        }
                        let (mut other, mut log) = self.seen(scene, &options);
                        // Two threads, or a watch on a busy machine, do not get as far each time.
                        for _ in 0..4 {
                            if !log.contains("(INJECTED)") {
                                (other, log) = self.seen(scene, &options);
                            }
                        }
                        runs += 1;
                        failed += usize::from(log.contains("(INJECTED)"));
                        let line = log.lines().find(|line| line.contains("(INJECTED)")).unwrap_or(&inject);
                        let mut told = self.wrong(scene, filter, &mut base, &other);
                        // It is how the kernel says that a file may not be written: whoever asks is told so.
                        told.retain(|what| *error != "EACCES" || !what.contains(NOT_WRITABLE));
                        for what in told {
                            wrong.entry(what).or_default().push(line.to_owned());
                        }
                    }
                }
            }
            let told: Vec<String> = wrong
                .iter()
                .map(|(what, lines)| format!("{what}\n    {} times, as {}", lines.len(), lines[0]))
                .collect();
            assert!(wrong.is_empty(), "{filter:?}: {} faults of {runs} runs:\n{}", wrong.len(), told.join("\n"));
            assert!(runs > 100 && failed * 20 > runs * 19, "{filter:?}: of {runs} calls {failed} failed");
            let all = positions.values().flat_map(|positions| (0..positions.len()).filter(|at| picked(*at))).count();
            eprintln!(
                "{COUNTED}{filter:?}: {runs} runs at {all} positions of {} calls, {failed} failed",
                positions.len()
            );
        }
    }

    fn wrong(&self, scene: &Scene, filter: Filter, base: &mut Seen<T>, other: &Seen<T>) -> Vec<String> {
        let mut wrong = sound(&other.run);
        if matches!(other.run.code, Some(0..=2)) {
            let mut told = (self.judge)(base, other);
            if !told.is_empty() {
                // The machine may be another one by now: what is wrong contradicts a run after it as well.
                *base = self.base(scene, filter).0;
                let again = (self.judge)(base, other);
                told.retain(|what| again.contains(what));
            }
            wrong.extend(told);
        }
        wrong
    }
}

/// A run, with what strace wrote of it.
fn traced(scene: &Scene, options: &[&str], arguments: &[&str]) -> (Run, String) {
    let log = scene.folder.join("trace");
    let mut command = timed(30, "strace");
    command.args(["-f", "-qq", "-o"]).arg(&log).args(options).arg(&scene.tunecheck).args(arguments);
    let run = Run::of(command);
    (run, fs::read_to_string(log).unwrap())
}

/// The positions of each kind of call from where main begins, in any thread: strace counts for each of them. A position
/// that comes before main in the first thread is left out, also for others: the runtime of the standard library aborts
/// where a stack for signals cannot be had.
fn positions(log: &str) -> BTreeMap<&str, BTreeSet<usize>> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut before: BTreeMap<&str, usize> = BTreeMap::new();
    let mut positions: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    // What the runtime of the standard library does last is to catch SIGBUS.
    let mut begun = false;
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        if call.starts_with(['<', '+', '-']) {
            continue;
        }
        let count = counts.entry((thread, call)).or_default();
        *count += 1;
        if !begun {
            before.insert(call, *count);
        } else if *count > before.get(call).copied().unwrap_or(0) && !is_spared(call, arguments) {
            positions.entry(call).or_default().insert(*count);
        }
        begun = begun || (call == "rt_sigaction" && arguments.starts_with("SIGBUS, {"));
    }
    assert!(begun, "{log}");
    positions
}

/// What is wrong with the way in which a run ended.
fn sound(run: &Run) -> Vec<String> {
    let mut wrong = Vec::new();
    // A thread gets a stack for signals from the standard library, which ends the process where there is none.
    if run.stderr.contains("/sys/pal/unix/stack_overflow.rs:") && run.stderr.contains("allocate an alternative stack") {
        return wrong;
    }
    if !matches!(run.code, Some(0..=2)) {
        wrong.push(format!("exit code {:?}", run.code));
    }
    if let Some(line) = run.stderr.lines().find(|line| line.contains("panicked")) {
        wrong.push(format!("a panic: {}", line.split(" panicked").last().unwrap_or_default()));
    }
    if run.code == Some(2) && !run.stderr.contains("tunecheck: ") {
        wrong.push(format!("exit code 2 with {:?}", run.stderr));
    }
    wrong
}

fn parsed(text: &str) -> Result<Value, Vec<String>> {
    serde_json::from_str(text).map_err(|error| vec![format!("no whole report: {error}")])
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// What is judged, by its rule and its subject.
fn findings(report: &Value) -> BTreeMap<(String, String), &Value> {
    let name = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    list(report, "findings").map(|finding| ((name(finding, "rule"), name(finding, "subject")), finding)).collect()
}

/// Figures that change by themselves.
fn is_restless(rule: &str) -> bool {
    rule.starts_with("pressure/") || rule == "kernel/keyrings"
}

/// What a report says otherwise than that of a run without a fault, but for what it does not know.
fn contradictions(base: &Value, other: &Value) -> Vec<String> {
    let mut wrong = places(base, other);
    let (were, are) = (findings(base), findings(other));
    let outcome = |finding: &Value| finding["outcome"].as_str().unwrap_or_default().to_owned();
    let unknown = |rule: &str| are.iter().any(|((other, _), finding)| other == rule && finding["outcome"] == "unknown");
    for (name, was) in were.iter().filter(|((rule, _), _)| !is_restless(rule)) {
        let was = outcome(was);
        match are.get(name).map(|finding| outcome(finding)) {
            None if unknown(&name.0) => {}
            None => wrong.push(format!("{name:?} was {was} and is gone")),
            // What does not apply here is judged where nobody can tell that it does not.
            Some(is) if is == was || is == "unknown" || (was == "not-applicable" && is == "pass") => {}
            Some(is) => wrong.push(format!("{name:?} was {was} and is {is}")),
        }
    }
    for (name, finding) in are {
        if finding["outcome"] == "unknown" && finding["gap"]["why"].as_str().unwrap_or_default().is_empty() {
            wrong.push(format!("{name:?} is unknown without a cause"));
        }
        if !were.contains_key(&name) && finding["outcome"] != "unknown" && !is_restless(&name.0) {
            wrong.push(format!("{name:?} is new, and {}", finding["outcome"]));
        }
        let again =
            |action: &Value| action["edit"]["kind"] == "advice" && action["lines"][0].to_string().contains("again");
        if other["place"]["kind"] == "unknown" && !list(finding, "fix").all(again) {
            wrong.push(format!("{name:?} is to be mended in a place that is a guess: {}", finding["fix"]));
        }
    }
    wrong
}

/// Where a place is said to be another one. What could not be read is null, and why stands beside it.
fn places(base: &Value, other: &Value) -> Vec<String> {
    let (was, is) = (&base["place"], &other["place"]);
    let said = list(is, "because").any(|why| {
        let why = why.as_str().unwrap_or_default();
        why.contains("not known: ") || why.contains("could not be read: ")
    });
    let nothing = |value: &Value| {
        value.is_null()
            || ["unknown", "?"].iter().any(|word| value == word)
            || value.as_array().is_some_and(Vec::is_empty)
    };
    let Some(fields) = was.as_object() else { return vec!["no place".to_owned()] };
    // Of targets that are alike the report is that of the first.
    let own = ["because", "network_namespace_inode"];
    let alike = |key: &str| {
        key == "process"
            && is[key].is_string()
            && is[key] != "?"
            && base["source"] != "live"
            && other["source"] != "live"
    };
    let differing =
        fields.iter().filter(|(key, was)| !own.contains(&key.as_str()) && !alike(key) && is[key.as_str()] != **was);
    let wrong = differing.filter(|(key, _)| !(said && nothing(&is[key.as_str()])));
    wrong
        .map(|(key, was)| format!("the place's {key} was {was} and is {}: {}", is[key.as_str()], is["because"]))
        .collect()
}

/// What the report says otherwise, which exit 2 does not have.
fn beside<T>(base: &Seen<T>, other: &Seen<T>, judge: impl Fn(&Value, &Value) -> Vec<String>) -> Vec<String> {
    if other.run.code == Some(2) {
        return Vec::new();
    }
    let base = serde_json::from_str(&base.run.stdout).unwrap();
    parsed(&other.run.stdout).map_or_else(|wrong| wrong, |report| judge(&base, &report))
}

const NOTHING: &dyn Fn() = &|| {};

fn audit(scene: &Scene) {
    let judge = |base: &Seen<()>, other: &Seen<()>| beside(base, other, contradictions);
    let sweep = Sweep { arguments: &["--format", "json"], turn: 0, before: NOTHING, left: NOTHING, judge: &judge };
    sweep.each_call_fails(scene);
}

/// What looks like a container: namespaces of its own, a read-only /proc/sys, and a process that does the work.
fn container(scene: &Scene) {
    done(script("mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys", &[]));
    let _worker = Running::start(script("ulimit -n 300; exec sleep infinity", &[]));
    let arguments = ["--format", "json"];
    let judge = |base: &Seen<()>, other: &Seen<()>| {
        let report: Value = serde_json::from_str(&base.run.stdout).unwrap();
        assert_eq!(report["place"]["kind"], "container", "{}", report["place"]);
        assert!(report["place"]["process"].as_str().unwrap_or_default().ends_with(" sleep"), "{}", report["place"]);
        assert_eq!(report["summary"]["fail"].as_u64().map(|fails| fails > 0), Some(true));
        beside(base, other, contradictions)
    };
    assert!(eventually(|| Run::of({
        let mut command = scene.tunecheck();
        command.args(arguments);
        command
    })
    .stdout
    .contains(" sleep\"")));
    Sweep { arguments: &arguments, turn: 3, before: NOTHING, left: NOTHING, judge: &judge }.each_call_fails(scene);
}

fn all(scene: &Scene, half: usize) {
    let start = || {
        let mut unshare = program("unshare");
        unshare.args(["--net", "sleep", "infinity"]);
        Running::start(unshare)
    };
    let _subjects = [start(), start()];
    let arguments = ["--all", "--format", "json"];
    let found = || {
        let mut command = scene.tunecheck();
        command.args(arguments);
        let fleet: Value = serde_json::from_str(&Run::of(command).stdout).unwrap();
        let names: Vec<&str> =
            list(&fleet, "sections").flat_map(|section| list(section, "names")).filter_map(Value::as_str).collect();
        names.len() == 2 && names.iter().all(|name| name.ends_with(" sleep"))
    };
    assert!(eventually(found));
    let judge = |base: &Seen<()>, other: &Seen<()>| beside(base, other, lost);
    let sweep = Sweep { arguments: &arguments, turn: 5, before: NOTHING, left: NOTHING, judge: &judge };
    sweep.each_call_of(scene, |at| at % 2 == half);
}

/// Targets of a machine that are gone without a word, and what is said of those that are there.
fn lost(base: &Value, fleet: &Value) -> Vec<String> {
    let mut wrong = contradictions(&base["host"], &fleet["host"]);
    // Without the number of the namespace, which is only a name.
    let process = |name: &Value| name.as_str().and_then(|name| name.rsplit_once(" of ")).map(|(_, of)| of.to_owned());
    let reports = |fleet: &Value| -> BTreeMap<String, Value> {
        let named = |section: &Value| {
            list(section, "names").filter_map(process).map(|name| (name, section["report"].clone())).collect::<Vec<_>>()
        };
        list(fleet, "sections").flat_map(named).collect()
    };
    let (were, are) = (reports(base), reports(fleet));
    for (name, report) in &are {
        match were.get(name) {
            Some(was) => wrong.extend(contradictions(was, report).into_iter().map(|what| format!("{name}: {what}"))),
            None => wrong.push(format!("{name} is new")),
        }
    }
    let counted = ["ended", "failed", "left_out"].iter().filter_map(|key| fleet["summary"][*key].as_u64()).sum::<u64>();
    let partial = fleet["notes"].to_string().contains("could not be read");
    let missing = were.keys().filter(|name| !are.contains_key(*name)).count();
    if missing as u64 > counted && !partial {
        wrong.push(format!(
            "{missing} targets are gone, and {counted} counted: {} {}",
            fleet["summary"], fleet["notes"]
        ));
    }
    if fleet["summary"]["ended"] != 0 {
        wrong.push(format!("nothing ended here: {}", fleet["notes"]));
    }
    wrong
}

fn watch(scene: &Scene) {
    let arguments = ["watch", "--duration", "60ms", "--interval", "30ms", "--format", "json"];
    let judge = |base: &Seen<()>, other: &Seen<()>| beside(base, other, untold);
    Sweep { arguments: &arguments, turn: 1, before: NOTHING, left: NOTHING, judge: &judge }.each_call_fails(scene);
}

/// Limits that a verdict no longer tells of, or tells of for the first time.
fn untold(base: &Value, verdict: &Value) -> Vec<String> {
    let rules = |verdict: &Value, keys: &[&str]| -> BTreeSet<String> {
        let all = keys.iter().flat_map(|key| list(verdict, key));
        all.filter_map(|told| told["rule"].as_str()).filter(|rule| !is_restless(rule)).map(str::to_owned).collect()
    };
    const KEYS: [&str; 3] = ["hit", "standing", "saturated"];
    let (were, are) = (rules(base, &KEYS), rules(verdict, &KEYS));
    let (unknown_before, unknown) = (rules(base, &["unknown"]), rules(verdict, &["unknown"]));
    let gone = were.iter().filter(|rule| !are.contains(*rule) && !unknown.contains(*rule));
    let new = are.difference(&were);
    let guessed = unknown_before.difference(&unknown);
    gone.map(|rule| format!("{rule} is told no more"))
        .chain(new.map(|rule| format!("{rule} is told of")))
        .chain(guessed.map(|rule| format!("{rule} was unknown and is not")))
        .collect()
}

/// An empty place for what is written.
fn cleared(out: &Path) {
    if out.exists() {
        fs::remove_dir_all(out).unwrap();
    }
}

/// Files below a folder, by their path.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn snapshot(scene: &Scene) {
    let out = scene.folder.join("out");
    let replayed = || {
        let mut command = scene.tunecheck();
        command.args(["--format", "json", "--snapshot"]).arg(&out);
        Run::of(command)
    };
    let judge = |base: &Seen<Run>, other: &Seen<Run>| match (other.run.code, other.left.code) {
        // What is not whole is refused.
        (Some(2), Some(2)) => Vec::new(),
        (Some(2), _) => vec![format!("it failed, and {} replays", out.display())],
        (_, Some(2)) => vec![format!("it does not replay: {}", other.left.stderr)],
        _ => {
            let base = serde_json::from_str(&base.left.stdout).unwrap();
            let wrong = parsed(&other.left.stdout).map_or_else(|wrong| wrong, |report| contradictions(&base, &report));
            let missing = other.left.stdout.contains("missing from the snapshot");
            wrong.into_iter().chain(missing.then(|| "files of it are missing".to_owned())).collect()
        }
    };
    let arguments = ["snapshot", out.to_str().unwrap()];
    let sweep = Sweep { arguments: &arguments, turn: 2, before: &|| cleared(&out), left: &replayed, judge: &judge };
    sweep.each_call_fails(scene);
}

type Files = BTreeMap<String, Vec<u8>>;

/// Whether a file ends as the one of a run without a fault does. What a README ends with depends on what is known: with the
/// list of the files, or with what is not in them.
fn is_whole(base: &[u8], other: &[u8]) -> bool {
    let (base, other) = (String::from_utf8_lossy(base), String::from_utf8_lossy(other));
    let files = base.lines().rfind(|line| line.starts_with("1. `script/"));
    let is_left_out = other.split_once("\n\nNot in them:\n\n").is_some_and(|(_, out)| {
        files.is_some() && out.lines().last().is_some_and(|line| line.starts_with("- ") && line.len() > 20)
    });
    let last = other.lines().last();
    other.ends_with('\n') && (last == base.lines().last() || last == files && files.is_some() || is_left_out)
}

fn fix(scene: &Scene) {
    let out = scene.folder.join("out");
    let judge = |base: &Seen<Files>, other: &Seen<Files>| {
        let (base, found) = (&base.left, &other.left);
        assert!(base.len() > 1, "{:?}", base.keys());
        if other.run.code == Some(2) {
            return found.keys().map(|name| format!("it failed and left {name}")).collect();
        }
        if !base.keys().eq(found.keys()) {
            return vec![format!("it made {:?}", found.keys())];
        }
        let cut = base.iter().zip(found.values()).filter(|((_, whole), text)| !is_whole(whole, text));
        let last = |text: &[u8]| String::from_utf8_lossy(text).lines().last().map(str::to_owned);
        cut.map(|((name, _), text)| format!("{name} ends with {:?}", last(text))).collect()
    };
    let arguments = ["fix", "--output", out.to_str().unwrap()];
    let (before, left) = (|| cleared(&out), || files(&out));
    Sweep { arguments: &arguments, turn: 4, before: &before, left: &left, judge: &judge }.each_call_fails(scene);
}
