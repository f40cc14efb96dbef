//! What is fuzzed. A target takes any bytes, ends, and holds what must be true of every input.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tunecheck::compare::compare;
use tunecheck::host::peer::{dns, frames::Talk};
use tunecheck::host::{Dump, Host, Replay, fuzzing, sock_diag};
use tunecheck::manifest::{self, Steps, Surroundings};
use tunecheck::model::diff::Side;
use tunecheck::model::pod_sysctl::PodSysctls;
use tunecheck::model::workload::{Role, Workload};
use tunecheck::remedy::Plan;
use tunecheck::remedy::target::{self, Order};
use tunecheck::report::{self, Style};
use tunecheck::rules::{RuleSet, file};
use tunecheck::{audit, facts, recalled};

use crate::machine::Machine;

/// Takes any bytes.
pub type Target = fn(&[u8]);

static RULES: LazyLock<RuleSet> = LazyLock::new(RuleSet::built_in);
const STYLE: Style = Style { width: 80, height: None, colour: false, only_failed: true, verbose: false };

/// Every target by its name, which is that of its folder in fixtures/fuzz.
pub fn all() -> impl Iterator<Item = (&'static str, Target)> {
    const HERE: [(&str, Target); 13] = [
        ("dns", dns),
        ("dump", dump),
        ("explain", explain),
        ("h2", h2),
        ("machine", machine),
        ("manifest", manifest),
        ("recording", recording),
        ("recording-files", recording_files),
        ("report", report),
        ("rule", rule),
        ("sock-diag", sock_diag),
        ("sysctl", sysctl),
        ("workload", workload),
    ];
    HERE.into_iter().chain(fuzzing::parsers())
}

fn load(role: Role) -> Workload {
    RULES.workload(role)
}

/// Audits, and prints what was found as a table and as JSON.
fn audited(host: &dyn Host) {
    let Ok(report) = audit(host, &RULES, &load(Role::Gateway)) else { return };
    let table = report::table(&report, STYLE);
    assert!(!table.contains(|c: char| c.is_control() && c != '\n'), "{table}");
    report::json(&report, false, false).unwrap();
}

/// The answer of a name server.
fn dns(bytes: &[u8]) {
    for kind in [dns::Kind::A, dns::Kind::Aaaa] {
        let _ = dns::answer(bytes, 7, "api.example", kind);
        dns::question(7, &String::from_utf8_lossy(bytes), kind);
    }
}

/// What `sysctl -a` printed, on a machine that may be anybody's.
fn dump(bytes: &[u8]) {
    if let Ok(dump) = Dump::parse("bytes", bytes) {
        audited(&dump);
    }
}

/// A line of a log.
fn explain(bytes: &[u8]) {
    let symptoms = tunecheck::cli::explained(&RULES);
    let text = String::from_utf8_lossy(bytes);
    symptoms.ask(&text);
    for line in text.lines() {
        symptoms.causes(line);
    }
}

/// What a server of HTTP/2 says, at once and in parts.
fn h2(bytes: &[u8]) {
    let (mut whole, mut parts) = (Talk::default(), Talk::default());
    let at_once = whole.take(bytes).is_ok();
    let in_parts = bytes.chunks(7).try_for_each(|part| parts.take(part)).is_ok();
    assert_eq!(at_once, in_parts);
    assert!(!at_once || whole.settings() == parts.settings());
}

/// What a live machine answers to everything that an audit asks: /proc, /sys, units, boot files, netlink.
fn machine(bytes: &[u8]) {
    audited(&Machine::parse(bytes));
}

/// Manifests of Kubernetes, Compose files, task definitions.
fn manifest(bytes: &[u8]) {
    static KNOWN: LazyLock<PodSysctls> = LazyLock::new(|| PodSysctls::of(RULES.iter()));
    let steps = Steps::default();
    let folder = Surroundings::of(bytes, &steps);
    let options = manifest::Options {
        kubernetes: None,
        pod_security: None,
        allowed: &[],
        known: &KNOWN,
        folder: &folder,
        load: None,
        steps: &steps,
    };
    manifest::judge("bytes", bytes, options);
}

/// A folder that is this process's own.
fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("tunecheck-fuzz-{}", std::process::id()))
}

fn replayed(path: &Path) {
    if let Ok(replay) = Replay::open(path) {
        audited(&replay);
    }
}

/// A recording as the .tar.gz that it came in.
fn recording(bytes: &[u8]) {
    let path = scratch().with_extension("tar.gz");
    fs::write(&path, bytes).unwrap();
    replayed(&path);
    fs::remove_file(path).unwrap();
}

/// The same behind gzip, whose sums no fuzzer finds: an archive; what is none is taken as the manifest of a folder.
fn recording_files(bytes: &[u8]) {
    if bytes.first() == Some(&b'{') {
        let folder = scratch();
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("manifest.json"), bytes).unwrap();
        replayed(&folder);
        fs::remove_dir_all(folder).unwrap();
        return;
    }
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    packed.write_all(bytes).unwrap();
    recording(&packed.finish().unwrap());
}

/// A recorded report: planned in every form, and compared with another.
fn report(bytes: &[u8]) {
    let Ok(recorded) = report::recorded(bytes) else { return };
    let side = |name| Side { name, report: &recorded };
    let diff = compare(side("a"), side("b"));
    report::diff_table(&diff, STYLE);
    report::diff_markdown(&diff);
    report::diff_json(&diff, false).unwrap();
    let Ok(again) = recalled(&recorded, &RULES) else { return };
    let plan = Plan::of(&again, |id| RULES.get(id));
    let options = target::Options { kubernetes: "1.33".parse().ok(), ..target::Options::default() };
    let order = Order { plan: &plan, options: &options };
    for target in target::TARGETS {
        if let Ok(rendered) = target::rendered(target, order) {
            target::joined(&rendered);
        }
    }
}

/// A rule file of a user.
fn rule(bytes: &[u8]) {
    let _ = RuleSet::parse("any/rule", &String::from_utf8_lossy(bytes), facts::catalogue());
}

/// The messages of a dump of sockets.
fn sock_diag(bytes: &[u8]) {
    let bodies: usize = sock_diag::messages(bytes).map(|(_, body)| body.len() + 16).sum();
    assert!(bodies <= bytes.len());
    for (kind, body) in sock_diag::messages(bytes) {
        sock_diag::attribute(body, kind);
    }
    let of = |ask: &str| [b"@sock-diag ", ask.as_bytes(), b"\n", bytes, b"\n"].concat();
    audited(&Machine::parse(&["inet", "inet6", "unix"].map(of).concat()));
}

/// The value of a sysctl: a name, a line feed, and what stands in its file.
fn sysctl(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (name, value) = text.split_once('\n').unwrap_or_default();
    let _ = facts::parse_sysctl(name, value.as_bytes());
}

/// A workload file.
fn workload(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = file::workload(&text, load);
    if let Ok(traffic) = file::traffic(&text, load) {
        tunecheck::capacity::needs(&traffic);
        tunecheck::capacity::settings(&traffic);
    }
}
