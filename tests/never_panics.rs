//! Whatever a machine, a recording, a dump, a rule or a workload file holds: an audit ends with a report or an error,
//! and what could not be read is no pass.
//!
//! The cases are the same in every run. PROPTEST_RNG_SEED and PROPTEST_CASES look at others.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests prepare files and fail by panicking"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use support::{ROOT, WHOLE_DUMP, entries, recorded_hosts, scratch};
use tunecheck::capacity;
use tunecheck::evaluate::{Context, evaluate, explain, run_example};
use tunecheck::host::peer::{dns, frames::Talk};
use tunecheck::host::{Answer, Ask, Dump, Host, Live, Query, Recorder, Refusal, Replay, sock_diag, write_snapshot};
use tunecheck::model::fact::Cause;
use tunecheck::model::facts::Facts;
use tunecheck::model::finding::Outcome;
use tunecheck::model::report::Report;
use tunecheck::model::sizing::Sizing;
use tunecheck::model::traffic::Traffic;
use tunecheck::model::workload::{Role, Workload};
use tunecheck::remedy::{Situation, Wishes, actions};
use tunecheck::report::{self, Style};
use tunecheck::rules::{RuleSet, file};
use tunecheck::{Read, audit, facts, read, read_more};

/// As many cases, the same in every run unless the environment says otherwise.
fn cases(cases: u32) -> ProptestConfig {
    let told = ProptestConfig::default();
    let rng_seed = if told.rng_seed == RngSeed::Random { RngSeed::Fixed(20_000) } else { told.rng_seed };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    let cases = if asked { told.cases } else { cases };
    ProptestConfig { cases, rng_seed, failure_persistence: None, max_shrink_iters: 100, ..told }
}

type Answers = BTreeMap<(Ask, String), Answer>;

/// A host that gives these answers.
struct Told(Answers);

impl Host for Told {
    fn ask(&self, query: Query<'_>) -> Answer {
        self.0.get(&(query.ask, query.of.to_owned())).cloned().unwrap_or(Err(Refusal::NotRecorded))
    }

    fn source(&self) -> String {
        "told".into()
    }
}

fn rules() -> &'static RuleSet {
    static RULES: OnceLock<RuleSet> = OnceLock::new();
    RULES.get_or_init(RuleSet::built_in)
}

fn role() -> impl Strategy<Value = Workload> {
    select(vec![Role::Client, Role::Server, Role::Gateway]).prop_map(|role| rules().workload(role))
}

/// Everything that any rule can want.
fn read_all(host: &dyn Host, rules: &RuleSet, workload: &Workload) -> Read {
    let mut all = read(host, rules.iter(), workload);
    read_more(host, rules.iter(), &mut all);
    all
}

/// What the audit asks of a host, and what it answers.
fn recorded(host: &dyn Host) -> Answers {
    let recorder = Recorder::new(host);
    read_all(&recorder, rules(), &rules().workload(Role::Gateway));
    recorder.into_answers()
}

/// The answers of this machine and of every recorded one.
fn seeds() -> &'static [Answers] {
    static SEEDS: OnceLock<Vec<Answers>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let hosts = recorded_hosts();
        let replayed = hosts.iter().map(|host| recorded(&Replay::open(&Path::new(ROOT).join(host)).unwrap()));
        let live = recorded(&Live);
        [bounded(live.clone()), live].into_iter().chain(replayed).collect()
    })
}

/// The same machine with every limit that a cgroup can have, in a group below another, and with most of its local ports
/// in use toward one destination.
fn bounded(mut answers: Answers) -> Answers {
    let group = "/sys/fs/cgroup/pods/web";
    for (path, content) in [
        ("/proc/self/cgroup".to_owned(), "0::/pods/web\n"),
        (format!("{group}/cpu.max"), "150000 100000\n"),
        (format!("{group}/cpu.stat"), "usage_usec 9\nnr_periods 100\nnr_throttled 40\nthrottled_usec 7\n"),
        (format!("{group}/memory.max"), "1073741824\n"),
        (format!("{group}/memory.current"), "1000000000\n"),
        (format!("{group}/memory.stat"), "anon 5\ninactive_file 4096\n"),
        (format!("{group}/memory.events"), "high 8\nmax 4\noom 1\noom_kill 1\n"),
        (format!("{group}/cpu.pressure"), STALLED),
        (format!("{group}/memory.pressure"), STALLED),
        (format!("{group}/io.pressure"), STALLED),
        ("/proc/pressure/cpu".to_owned(), STALLED),
        ("/proc/pressure/memory".to_owned(), STALLED),
        ("/proc/pressure/io".to_owned(), STALLED),
        (format!("{group}/pids.max"), "100\n"),
        (format!("{group}/pids.current"), "91\n"),
        (format!("{group}/pids.events"), "max 3\n"),
        ("/sys/fs/cgroup/pods/cpu.max".to_owned(), "max 100000\n"),
        ("/sys/fs/cgroup/pods/memory.max".to_owned(), "max\n"),
        ("/sys/fs/cgroup/pods/pids.max".to_owned(), "max\n"),
        ("/proc/sys/net/ipv4/ip_local_port_range".to_owned(), "40000 40099\n"),
        ("/proc/sys/net/ipv4/ip_local_reserved_ports".to_owned(), "\n"),
        ("/proc/net/sockstat".to_owned(), "TCP: inuse 50 orphan 0 tw 20 alloc 70 mem 9\nUDP: inuse 1 mem 1\n"),
        ("/proc/net/sockstat6".to_owned(), "TCP6: inuse 0\n"),
    ] {
        answers.insert((Ask::Read, path), Ok(content.into()));
    }
    let sockets: Vec<u8> = (40000..40070u16).flat_map(outgoing).collect();
    answers.insert((Ask::Connections, "inet/40000-40099".to_owned()), Ok(sockets));
    answers.insert((Ask::Connections, "inet6/40000-40099".to_owned()), Ok(Vec::new()));
    // The root group has no limits.
    for file in ["cpu.max", "memory.max", "pids.max"] {
        answers.insert((Ask::Read, format!("/sys/fs/cgroup/{file}")), Err(Refusal::Errno(2)));
    }
    answers.insert((Ask::Exists, "/sys/fs/cgroup/cgroup.controllers".into()), Ok(Vec::new()));
    let processes = "looked=212 denied=3\n812 62 64 nginx: worker\n1 281 32768 systemd\n";
    answers.insert((Ask::FdUse, String::new()), Ok(processes.into()));
    answers
}

/// What a file of PSI says.
const STALLED: &str = "some avg10=37.99 avg60=10.12 avg300=4.24 total=1547860123\n\
                       full avg10=0.05 avg60=0.00 avg300=0.00 total=95763788\n";

/// The message of an IPv4 socket on this port, from 10.0.0.1 to 10.0.0.5:443.
fn outgoing(port: u16) -> Vec<u8> {
    let addresses = [[10, 0, 0, 1], [10, 0, 0, 5]].map(|address| [&address[..], &[0; 12]].concat()).concat();
    let ports = [port.to_be_bytes(), 443u16.to_be_bytes()].concat();
    [&56u32.to_ne_bytes()[..], &20u16.to_ne_bytes(), &[0; 10], &[2, 1, 0, 0], &ports, &addresses].concat()
}

/// Bytes that a failure prints as text.
#[derive(Clone)]
struct Raw(Vec<u8>);

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0.escape_ascii().to_string())
    }
}

/// Something that happens to the bytes of an answer on their way.
#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Bytes(Raw),
    /// Every number becomes this text.
    Numbers(&'static str),
    /// One number becomes this text.
    Number(Index, &'static str),
    Flip(Vec<(Index, u8)>),
    LineLost(Index),
    LineTwice(Index),
    Refused(Refusal),
}

/// Numbers at and beyond the ends of what a kernel or a parser can hold, and words in place of numbers.
const EXTREMES: &[&str] = &[
    "0",
    "-1",
    "1",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "170141183460469231731687303715884105727",
    "-170141183460469231731687303715884105728",
    "170141183460469231731687303715884105728",
    "99999999999999999999999999999999999999999999999999",
    "max",
    "unlimited",
    "1e9",
    "0x7f",
    "NaN",
    "",
    "-",
    "٣",
];

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        2 => any::<Index>().prop_map(Damage::Cut),
        2 => prop::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Damage::Bytes(Raw(bytes))),
        4 => select(EXTREMES).prop_map(Damage::Numbers),
        8 => (any::<Index>(), select(EXTREMES)).prop_map(|(at, number)| Damage::Number(at, number)),
        2 => prop::collection::vec(any::<(Index, u8)>(), 1..5).prop_map(Damage::Flip),
        1 => any::<Index>().prop_map(Damage::LineLost),
        1 => any::<Index>().prop_map(Damage::LineTwice),
        1 => (1..134i32).prop_map(|number| Damage::Refused(Refusal::Errno(number))),
        1 => Just(Damage::Refused(Refusal::NotVisibleHere("elsewhere".into()))),
        1 => Just(Damage::Refused(Refusal::Unsupported("no way".into()))),
    ]
}

impl Damage {
    fn to(&self, answer: &Answer) -> Answer {
        let bytes = match (self, answer) {
            (Self::Refused(refusal), _) => return Err(refusal.clone()),
            // What was refused may as well answer.
            (Self::Bytes(Raw(bytes)), _) => return Ok(bytes.clone()),
            (Self::Numbers(number), Err(_)) => return Ok((*number).into()),
            (_, Err(refusal)) => return Err(refusal.clone()),
            (_, Ok(bytes)) => bytes,
        };
        Ok(self.to_bytes(bytes))
    }

    fn to_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let lines = || bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
        match self {
            Self::Cut(at) => bytes[..at.index(bytes.len() + 1)].to_vec(),
            Self::Numbers(number) => numbers_changed(bytes, |_| true, number),
            Self::Number(at, number) => {
                let count = numbers(bytes).count();
                numbers_changed(bytes, |nth| count > 0 && nth == at.index(count), number)
            }
            Self::Flip(places) if !bytes.is_empty() => {
                let mut bytes = bytes.to_vec();
                for (at, value) in places {
                    let at = at.index(bytes.len());
                    bytes[at] = *value;
                }
                bytes
            }
            Self::LineLost(at) if !bytes.is_empty() => {
                let mut lines = lines();
                lines.remove(at.index(lines.len()));
                lines.concat()
            }
            Self::LineTwice(at) if !bytes.is_empty() => {
                let mut lines = lines();
                let at = at.index(lines.len());
                lines.insert(at, lines[at].clone());
                lines.concat()
            }
            Self::Bytes(Raw(bytes)) => bytes.clone(),
            _ => bytes.to_vec(),
        }
    }
}

/// The numbers of a text.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()).filter(|piece| piece[0].is_ascii_digit())
}

/// The text with some of its numbers, by their place among the numbers, replaced.
fn numbers_changed(bytes: &[u8], which: impl Fn(usize) -> bool, number: &str) -> Vec<u8> {
    let mut nth = 0;
    let mut changed = Vec::new();
    for piece in bytes.chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit()) {
        let is_number = piece[0].is_ascii_digit();
        changed.extend_from_slice(if is_number && which(nth) { number.as_bytes() } else { piece });
        nth += usize::from(is_number);
    }
    changed
}

/// One of the seeds, some of its answers damaged; now and then all of them alike.
#[derive(Clone, Debug)]
struct Machine {
    seed: usize,
    some: Vec<(Index, Damage)>,
    all: Option<Damage>,
}

fn machine() -> impl Strategy<Value = Machine> {
    let some = prop::collection::vec((any::<Index>(), damage()), 1..25);
    let all = prop::option::weighted(0.1, damage());
    // The first two are there on every machine that runs this, and the first has the most to get wrong.
    let seed = prop_oneof![2 => Just(0), 1 => Just(1), 3 => 0..seeds().len()];
    (seed, some, all).prop_map(|(seed, some, all)| Machine { seed, some, all })
}

impl Machine {
    fn answers(&self) -> Answers {
        let mut answers = seeds()[self.seed].clone();
        if let Some(damage) = &self.all {
            answers.values_mut().for_each(|answer| *answer = damage.to(answer));
        }
        for (at, damage) in &self.some {
            let at = at.index(answers.len());
            let answer = answers.values_mut().nth(at).unwrap();
            *answer = damage.to(answer);
        }
        answers
    }
}

/// Prints a report in both forms, and holds what is true of every one.
fn sound(report: &Report, rules: &RuleSet) -> Result<(), TestCaseError> {
    let style = Style { width: 60, height: None, colour: false, only_failed: true, verbose: false };
    let table = report::table(report, style);
    prop_assert!(table.contains(" not applicable"), "the summary is there");
    prop_assert!(!table.contains(|c: char| c.is_control() && c != '\n'), "{table}");
    let text = report::json(report, false, false).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    let judged: BTreeSet<&str> = report.findings.iter().map(|finding| finding.rule).collect();
    for rule in rules.iter() {
        prop_assert!(judged.contains(rule.id), "{} is lost", rule.id);
    }
    for finding in &report.findings {
        let what = format!("{finding:?}");
        match finding.outcome {
            // A value, or the sentence that says that it is not there and need not be.
            Outcome::Pass => prop_assert!(finding.now.is_some() || !finding.reason.is_empty(), "{what}"),
            Outcome::Warn | Outcome::Fail => prop_assert!(finding.now.is_some(), "{what}"),
            Outcome::Unknown => prop_assert!(finding.gap.is_some() && !finding.reason.is_empty(), "{what}"),
            Outcome::NotApplicable | Outcome::Waived => prop_assert!(!finding.reason.is_empty(), "{what}"),
        }
        let urgent = matches!(finding.outcome, Outcome::Warn | Outcome::Fail);
        prop_assert!(urgent || finding.fix.is_empty(), "a fix where nothing is to be done: {what}");
    }
    Ok(())
}

/// Audits, and holds that every pass rests on a value that was read, or on an absence that was seen.
fn audited(host: &dyn Host, rules: &RuleSet, workload: &Workload) -> Result<(), TestCaseError> {
    let Ok(report) = audit(host, rules, workload) else { return Ok(()) };
    sound(&report, rules)?;
    let Read { facts, .. } = read_all(host, rules, workload);
    for finding in report.findings.iter().filter(|finding| finding.outcome == Outcome::Pass) {
        match facts.value(&finding.fact) {
            Ok(value) => prop_assert_eq!(finding.now.as_ref(), Some(value)),
            Err(gap) => prop_assert_eq!(gap.cause, Cause::Absent, "{}: {}", finding.rule, gap),
        }
    }
    planned(Traffic::of(workload), &facts)
}

/// Plans, in every form.
fn planned(traffic: Traffic, facts: &Facts) -> Result<(), TestCaseError> {
    let found = capacity::solve(&traffic, facts);
    for step in &found.steps {
        prop_assert!(step.moves.iter().all(|moved| moved.to >= moved.from));
    }
    let (needs, settings) = (capacity::needs(&traffic), capacity::settings(&traffic));
    let sizing = Sizing { traffic, needs, settings, capacity: Some(found) };
    let style = Style { width: 80, height: None, colour: false, only_failed: false, verbose: false };
    prop_assert!(report::plan(&sizing, style).contains("load  "));
    prop_assert!(report::plan_html(&sizing).len() < 1 << 20);
    let written = report::plan_yaml(&sizing).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let again = file::traffic(&written, |role| rules().workload(role)).map(|again| again.concurrency);
    // Beyond it files in which every number is the largest one multiply to more than a file may say.
    if sizing.traffic.concurrency <= 1_000_000_000 {
        prop_assert_eq!(again, Ok(sizing.traffic.concurrency), "{}", written);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_machine_that_answers_anything_gets_a_report(machine in machine(), load in role()) {
        audited(&Told(machine.answers()), rules(), &load)?;
    }
}

#[test]
fn numbers_at_the_ends_of_what_can_be_held_end_no_audit() {
    let load = rules().workload(Role::Gateway);
    for (query, answer) in &seeds()[0] {
        for number in EXTREMES.iter().filter(|number| number.len() > 30) {
            let mut answers = seeds()[0].clone();
            answers.insert(query.clone(), Damage::Numbers(number).to(answer));
            assert!(audit(&Told(answers), rules(), &load).is_ok(), "{query:?}: {number}");
        }
    }
}

/// Netlink bytes: messages whose parts may each be wrong, or no messages at all.
fn netlink() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![4 => Just(88u32), 1 => 0..200u32, 1 => any::<u32>()];
    let body = prop::collection::vec(any::<u8>(), 0..100);
    let family = prop_oneof![Just(2u8), Just(10u8), any::<u8>()];
    let message = (length, any::<u16>(), family, body).prop_map(|(length, kind, family, mut body)| {
        if let Some(first) = body.first_mut() {
            *first = family;
        }
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &body].concat()
    });
    prop_oneof![
        3 => prop::collection::vec(message, 0..20).prop_map(|messages| messages.concat()),
        1 => prop::collection::vec(any::<u8>(), 0..500),
    ]
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn any_bytes_from_netlink_are_listeners_or_none(inet in netlink(), inet6 in netlink()) {
        for bytes in [&inet, &inet6] {
            let bodies: usize = sock_diag::messages(bytes).map(|(_, body)| body.len() + 16).sum();
            prop_assert!(bodies <= bytes.len());
        }
        let ask = |family: &str| (Ask::SockDiag, family.to_owned());
        let unix = Ok([inet.clone(), inet6.clone()].concat());
        let host = Told(BTreeMap::from([(ask("inet"), Ok(inet)), (ask("inet6"), Ok(inet6)), (ask("unix"), unix)]));
        let mut facts = Facts::default();
        facts::gather(&host, ["listener[*].backlog", "unix[*].queue"].into(), &mut facts);
        prop_assert_eq!(facts.subjects("unix[*].queue"), facts.subjects("unix[*].backlog"));
        let subjects = facts.subjects("listener[*].backlog");
        prop_assert_eq!(&subjects, &facts.subjects("listener[*].port"));
        for subject in subjects {
            let port = facts.number(&format!("listener[{subject}].port")).unwrap();
            prop_assert!((0..=65535).contains(&port));
            prop_assert!(subject.contains(&format!(":{port}")), "{subject} and {port}");
        }
    }
}

/// What a server of HTTP/2 may send: frames whose parts may each be wrong, or none at all.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![3 => Just(4u8), 1 => Just(8u8), 1 => Just(7u8), 1 => any::<u8>()];
    let number = prop_oneof![4 => 0..10u16, 1 => any::<u16>()];
    let value = prop_oneof![2 => Just(0u32), 2 => Just(16_384u32), 1 => any::<u32>()];
    let settings = prop::collection::vec((number, value), 0..6).prop_map(|all| {
        all.iter().flat_map(|(number, value)| [&number.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect()
    });
    let payload = prop_oneof![3 => settings, 1 => prop::collection::vec(any::<u8>(), 0..20)];
    let stream = prop_oneof![5 => Just(0u32), 1 => any::<u32>()];
    let flags = prop_oneof![3 => Just(0u8), 1 => any::<u8>()];
    let length = prop_oneof![5 => Just(None), 1 => any::<u32>().prop_map(Some)];
    let frame = (kind, flags, stream, payload, length).prop_map(|(kind, flags, stream, payload, length)| {
        let length = length.unwrap_or(u32::try_from(payload.len()).unwrap()).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), &payload].concat()
    });
    let frames = prop::collection::vec(frame, 0..5).prop_map(|frames| frames.concat());
    let begun = frames.prop_map(|frames| [&[0, 0, 0, 4, 0, 0, 0, 0, 0], frames.as_slice()].concat());
    prop_oneof![4 => begun, 1 => prop::collection::vec(any::<u8>(), 0..100)]
}

/// What a name server may send: an answer with one byte or two of it wrong, or anything.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let answer = b"\0\x07\x81\x80\0\x01\0\x03\0\0\0\0\x03api\x07example\0\0\x01\0\x01\
        \xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03lb1\xc0\x10\xc0\x29\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01\
        \xc0\x29\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x02";
    let wrong = prop::collection::vec((any::<Index>(), any::<u8>()), 0..3).prop_map(|wrong| {
        let mut bytes = answer.to_vec();
        for (at, byte) in wrong {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    });
    prop_oneof![4 => wrong, 1 => prop::collection::vec(any::<u8>(), 0..100)]
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn any_bytes_of_a_peer_are_settings_or_an_error_however_they_arrive(bytes in frames(), size in 1..30usize) {
        let (mut whole, mut parts) = (Talk::default(), Talk::default());
        let at_once = whole.take(&bytes);
        let in_parts = bytes.chunks(size).try_for_each(|part| parts.take(part));
        prop_assert_eq!(at_once.is_ok(), in_parts.is_ok(), "{:?} {:?}", at_once, in_parts);
        if let (Ok(()), Some(settings)) = (at_once, whole.settings()) {
            prop_assert_eq!(Some(settings), parts.settings());
            prop_assert!((16_384..=16_777_215).contains(&settings.max_frame_size()));
            prop_assert!(settings.initial_window_size() <= 0x7fff_ffff);
            prop_assert!((65_535..=0x7fff_ffff).contains(&settings.connection_window()));
        }
    }

    #[test]
    fn any_bytes_of_a_name_server_are_an_answer_or_none(bytes in answers()) {
        for kind in [dns::Kind::A, dns::Kind::Aaaa] {
            if let Ok(dns::Said::Addresses(addresses)) = dns::answer(&bytes, 7, "api.example", kind) {
                prop_assert!(addresses.iter().all(|address| address.is_ipv4() == (kind == dns::Kind::A)));
                prop_assert!(bytes.starts_with(&[0, 7]) && addresses.len() <= 64);
            }
        }
    }

    #[test]
    fn any_text_is_a_name_to_ask_for_or_none(name in any::<String>()) {
        dns::question(7, &name, dns::Kind::A);
    }
}

/// What is said of the owner of one socket: whole lines, parts of them, any bytes.
fn owners() -> impl Strategy<Value = Vec<u8>> {
    let inode =
        prop_oneof![3 => Just("77".to_owned()), 1 => any::<u128>().prop_map(|n| n.to_string()), 1 => "[ -9a-z]{0,9}"];
    let pid = prop_oneof![4 => any::<u32>().prop_map(|pid| pid.to_string()), 1 => "[ -9a-z]{0,9}"];
    let name = prop_oneof![1 => Just(b"nginx".to_vec()), 3 => prop::collection::vec(any::<u8>(), 0..20)];
    let owner = (inode, pid, name)
        .prop_map(|(inode, pid, name)| [inode.as_bytes(), b" ", pid.as_bytes(), b" ", &name, b"\n"].concat());
    let line = prop_oneof![6 => owner, 1 => Just(b"denied 3\n".to_vec()), 1 => Just(b"cut 1\n".to_vec())];
    prop_oneof![
        3 => prop::collection::vec(line, 0..5).prop_map(|lines| lines.concat()),
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

/// A machine of 1000 usable ports and so many TCP sockets that they are asked for.
fn busy(inet: Vec<u8>, inet6: Vec<u8>) -> Told {
    let read = |path: &str, text: &str| ((Ask::Read, path.to_owned()), Ok(text.into()));
    let netlink = |ask, of: &str, bytes| ((ask, of.to_owned()), Ok(bytes));
    Told(BTreeMap::from([
        read("/proc/sys/net/ipv4/ip_local_port_range", "1 1000"),
        read("/proc/sys/net/ipv4/ip_local_reserved_ports", ""),
        read("/proc/net/sockstat", "TCP: inuse 900 tw 100"),
        read("/proc/net/sockstat6", "TCP6: inuse 0"),
        netlink(Ask::SockDiag, "inet", Vec::new()),
        netlink(Ask::SockDiag, "inet6", Vec::new()),
        netlink(Ask::Connections, "inet/1-1000", inet),
        netlink(Ask::Connections, "inet6/1-1000", inet6),
    ]))
}

#[test]
fn the_seeds_hold_a_destination_that_is_near_its_end() {
    let report = audit(&Told(seeds()[0].clone()), rules(), &rules().workload(Role::Gateway)).unwrap();
    let found = report.findings.iter().find(|finding| finding.rule == "ports/use").unwrap();
    assert_eq!((found.subject.as_deref(), found.share), (Some("10.0.0.5:443 from 10.0.0.1"), Some(70)), "{found:?}");
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn any_bytes_about_owners_are_an_owner_or_a_reason(said in owners(), backlog in any::<u32>()) {
        let mut body = [0u8; 72];
        body[0] = 2;
        body[60..64].copy_from_slice(&backlog.to_ne_bytes());
        body[68..72].copy_from_slice(&77u32.to_ne_bytes());
        let message = [&88u32.to_ne_bytes()[..], &20u16.to_ne_bytes(), &[0; 10], &body].concat();
        let host = Told(BTreeMap::from([
            ((Ask::SockDiag, "inet".to_owned()), Ok(message)),
            ((Ask::SocketOwners, "77".to_owned()), Ok(said)),
            ((Ask::Read, "/proc/sys/net/core/somaxconn".to_owned()), Ok(b"4096\n".to_vec())),
        ]));
        let mut facts = Facts::default();
        facts::gather(&host, ["listener[*].knob"].into(), &mut facts);
        facts::derive(&mut facts);
        match facts.value("listener[0.0.0.0:0].owner") {
            Ok(owner) => {
                let owner = owner.plain();
                let (name, pid) = owner.rsplit_once(' ').unwrap();
                prop_assert!(!name.is_empty() && !name.contains('\n') && pid.parse::<u32>().is_ok(), "{owner:?}");
            }
            Err(gap) => prop_assert!(!gap.why.is_empty()),
        }
        prop_assert!(facts.text("listener[0.0.0.0:0].knob").is_some_and(|knob| !knob.contains("not read")));
        prop_assert!(facts.text("listener[0.0.0.0:0].limited_by").is_some());
    }

    #[test]
    fn any_bytes_from_netlink_are_connections_or_none(inet in netlink(), inet6 in netlink(), times in 1..40usize) {
        let host = busy(inet.repeat(times), inet6);
        let mut facts = Facts::default();
        let wanted = ["destination[*].ports", "destinations.count", "ports.bound"];
        facts::gather(&host, wanted.into(), &mut facts);
        let count = facts.number("destinations.count").unwrap();
        let subjects = facts.subjects("destination[*].ports");
        prop_assert!(i128::try_from(subjects.len()).unwrap() <= count.min(10));
        prop_assert_eq!(&subjects, &facts.subjects("destination[*].time_wait"));
        for subject in subjects {
            let [ports, waiting] = ["ports", "time_wait"].map(|key| facts.number(&format!("destination[{subject}].{key}")).unwrap());
            prop_assert!((1..=1000).contains(&ports) && (0..=ports).contains(&waiting), "{subject}: {ports}, {waiting}");
        }
    }
}

/// Writes a recording of these answers.
fn write_recording(answers: Answers, folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    let told = Told(answers);
    let recorder = Recorder::new(&told);
    for (ask, of) in told.0.keys() {
        let _ = recorder.ask(Query { ask: *ask, of });
    }
    write_snapshot(recorder, folder).unwrap();
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for path in entries(folder) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// A recording packed as `tar czf` packs it.
fn packed(folder: &Path) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    archive.append_dir_all("node", folder).unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn a_recording_replays_as_the_machine_it_was_taken_from(machine in machine(), load in role()) {
        // Only what is read as bytes is kept as bytes; names and links are text in the manifest.
        let kept = |(ask, _): &(Ask, String), answer: &Answer| {
            matches!(ask, Ask::Read | Ask::SockDiag | Ask::Connections) || answer.as_ref().map_or(true, |bytes| std::str::from_utf8(bytes).is_ok())
        };
        let answers: Answers = machine.answers().into_iter().filter(|(query, answer)| kept(query, answer)).collect();
        let folder = scratch("replayed").join("node");
        write_recording(answers.clone(), &folder);
        let archive = folder.with_extension("tar.gz");
        fs::write(&archive, packed(&folder)).unwrap();
        let shown = |host: &dyn Host| audit(host, rules(), &load).map(|mut report| {
            report.source = String::new();
            report::json(&report, true, false).unwrap()
        });
        let direct = shown(&Told(answers));
        for path in [&folder, &archive] {
            let replayed = shown(&Replay::open(path).unwrap());
            prop_assert_eq!(direct.is_ok(), replayed.is_ok());
            if let (Ok(direct), Ok(replayed)) = (&direct, replayed) {
                let differs = direct.lines().zip(replayed.lines()).find(|(one, other)| one != other);
                prop_assert!(direct == &replayed, "{:?}", differs);
            }
        }
    }

    #[test]
    fn a_recording_of_anything_opens_or_says_why_not(
        seed in any::<Index>(),
        hurt in prop::collection::vec((any::<Index>(), damage()), 1..6),
        manifest in prop::option::of(damage()),
        archive in damage(),
        load in role(),
    ) {
        let folder = scratch("damaged").join("node");
        write_recording(seed.get(seeds()).clone(), &folder);
        let change = |path: &Path, damage: &Damage| {
            if matches!(damage, Damage::Refused(_)) {
                return fs::remove_file(path).unwrap();
            }
            fs::write(path, damage.to_bytes(&fs::read(path).unwrap())).unwrap();
        };
        let files: Vec<_> = files_below(&folder).into_iter().filter(|path| !path.ends_with("manifest.json")).collect();
        for (at, damage) in &hurt {
            let path = at.get(&files);
            if path.exists() {
                change(path, damage);
            }
        }
        if let Some(damage) = &manifest {
            change(&folder.join("manifest.json"), damage);
        }
        let whole = packed(&folder);
        let path = folder.with_extension("tar.gz");
        fs::write(&path, archive.to_bytes(&whole)).unwrap();
        for path in [&folder, &path] {
            if let Ok(replay) = Replay::open(path) {
                audited(&replay, rules(), &load)?;
            }
        }
    }
}

/// A gzip file that ends early still gives what comes before.
#[test]
fn an_archive_that_ends_early_is_replayed_as_far_as_it_goes() {
    let folder = scratch("cut_archive").join("node");
    write_recording(seeds()[0].clone(), &folder);
    let whole = packed(&folder);
    let path = folder.with_extension("tar.gz");
    let (mut opened, mut told) = (0, 0);
    for tenths in 0..10 {
        fs::File::create(&path).unwrap().write_all(&whole[..whole.len() * tenths / 10]).unwrap();
        if let Ok(replay) = Replay::open(&path) {
            opened += 1;
            told += usize::from(replay.notes().iter().any(|note| note.contains("ends early")));
        }
    }
    assert_eq!(opened, told, "every one says that it is cut");
}

/// Text in which numbers, lines and bytes are out of order.
fn unsettled(texts: Vec<String>) -> impl Strategy<Value = String> {
    (select(texts), prop::collection::vec(damage(), 1..4)).prop_map(|(text, damages)| {
        let bytes = damages.iter().fold(text.into_bytes(), |bytes, damage| damage.to_bytes(&bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// One number of a text becomes another one, so that the rest still parses.
fn one_number(texts: Vec<String>) -> impl Strategy<Value = String> {
    let numbers = select(vec![
        "-1",
        "0",
        "1",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        ".nan",
        ".inf",
        "-.inf",
        "unlimited",
        "~",
    ]);
    (select(texts), any::<Index>(), numbers).prop_map(|(text, at, number)| {
        let starts: Vec<usize> = text
            .match_indices(|c: char| c.is_ascii_digit())
            .map(|(at, _)| at)
            .filter(|&at| text.as_bytes().get(at.wrapping_sub(1)).is_some_and(|byte| b" [".contains(byte)))
            .collect();
        if starts.is_empty() {
            return text;
        }
        let start = starts[at.index(starts.len())];
        let (before, from) = text.split_at(start);
        format!("{before}{number}{}", from.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.'))
    })
}

/// The built-in rule files, or the workload files among them.
fn rule_texts(workloads: bool) -> Vec<String> {
    let folders = entries(Path::new(ROOT).join("rules"));
    let kept = folders.iter().filter(|folder| folder.ends_with("workloads") == workloads);
    kept.flat_map(entries).map(|path| fs::read_to_string(path).unwrap()).collect()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_bytes_as_a_dump_are_audited(bytes in prop::collection::vec(any::<u8>(), 0..2000), load in role()) {
        if let Ok(dump) = Dump::parse("bytes", &bytes) {
            audited(&dump, rules(), &load)?;
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn any_text_as_a_rule_is_refused_or_judges(
        text in prop_oneof![
            1 => any::<String>(),
            2 => unsettled(rule_texts(false)),
            5 => one_number(rule_texts(false)),
        ],
        machine in machine(),
        load in role(),
    ) {
        let catalogue = facts::catalogue();
        let Ok((rule, doc)) = RuleSet::parse("any/rule", &text, catalogue) else { return Ok(()) };
        for example in &doc.examples {
            run_example(&rule, example, catalogue, |mut facts| {
                facts::declare(&mut facts, &load);
                facts::derive(&mut facts);
                facts
            });
        }
        let mut alone = rules().clone();
        alone.put(rule.clone(), doc);
        let Read { facts, place } = read_all(&Told(machine.answers()), &alone, &load);
        let context = Context { facts: &facts, place: &place, catalogue, role: load.role };
        for mut finding in evaluate(std::iter::once(&rule), context) {
            explain(&rule, &mut finding, context);
            actions(&rule, &finding, &Wishes::default(), Situation { facts: &facts, place: &place, catalogue });
        }
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn any_values_in_a_dump_are_audited(
        text in unsettled(vec![fs::read_to_string(Path::new(ROOT).join(WHOLE_DUMP)).unwrap()]),
        load in role(),
    ) {
        if let Ok(dump) = Dump::parse("values", text.as_bytes()) {
            audited(&dump, rules(), &load)?;
        }
    }

    #[test]
    fn any_text_as_a_workload_is_refused_or_declares(
        text in prop_oneof![
            1 => any::<String>(),
            2 => unsettled(rule_texts(true)),
            5 => one_number(rule_texts(true)),
        ],
        seed in any::<Index>(),
    ) {
        if let Ok(load) = file::workload(&text, |role| rules().workload(role)) {
            audited(&Told(seed.get(seeds()).clone()), rules(), &load)?;
        }
        if let Ok(traffic) = file::traffic(&text, |role| rules().workload(role)) {
            planned(traffic, &Facts::default())?;
        }
    }
}

#[test]
fn the_seed_with_every_limit_has_every_limit() {
    let Read { facts, .. } = read_all(&Told(seeds()[0].clone()), rules(), &rules().workload(Role::Server));
    for name in ["cpu.throttled_share", "memory.working_set", "memory.oom_kills", "pids.current", "pids.refused"] {
        assert!(facts.number(&format!("cgroup.{name}")).is_ok(), "{name}");
    }
    for name in [
        "cgroup.pressure.cpu.full.total",
        "pressure.io.some.total",
        "fds[nginx: worker 812].used",
        "cgroup.memory.events.high",
    ] {
        assert!(facts.number(name).is_ok(), "{name}");
    }
}
