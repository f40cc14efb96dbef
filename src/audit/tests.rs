use super::*;
use crate::host::{Answer, Ask, Query, Recorder, Refusal};
use crate::model::catalogue::Catalogue;
use crate::model::fact::{Cause, Gap, Value};
use crate::model::place::Place;
use crate::model::workload::Role;

/// A machine with a listener of this backlog at this address, and else nothing but a somaxconn.
struct Listening(u32, [u8; 4]);

const ANYWHERE: [u8; 4] = [0; 4];
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

impl Host for Listening {
    fn ask(&self, query: Query<'_>) -> Answer {
        match (query.ask, query.of) {
            (Ask::Read, "/proc/sys/net/core/somaxconn") => Ok(b"65535\n".to_vec()),
            (Ask::SockDiag, "inet") => {
                let zeroes = [0u8; 48];
                let header = [&88u32.to_ne_bytes()[..], &20u16.to_ne_bytes(), &[0; 10], &[2, 0, 0, 0]].concat();
                Ok([
                    &header,
                    &[0u8; 4][..],
                    &self.1[..],
                    &zeroes[..],
                    &self.0.to_ne_bytes(),
                    &[0; 4],
                    &7u32.to_ne_bytes(),
                ]
                .concat())
            }
            (Ask::SocketOwners, "7/0") => Ok(b"7 812 nginx\n".to_vec()),
            _ => Err(Refusal::Errno(2)),
        }
    }

    fn source(&self) -> String {
        String::new()
    }
}

/// Whether it was asked who listens, and who that is by the report.
fn heard(backlog: u32, at: [u8; 4], told: Told) -> (bool, Option<String>) {
    let rules = RuleSet::built_in();
    let host = Listening(backlog, at);
    let recorder = Recorder::new(&host);
    let report = audit_over(&recorder, &rules, &rules.workload(Role::Server), Beside::default(), told).unwrap();
    let finding = report.findings.iter().find(|finding| finding.rule == "listen/backlog").unwrap();
    assert_eq!(finding.outcome, if backlog < 600 { Outcome::Warn } else { Outcome::Pass });
    let process = finding.listener.clone().map(|listener| listener.process.unwrap());
    (recorder.into_answers().keys().any(|(ask, _)| *ask == Ask::SocketOwners), process)
}

#[test]
fn of_tunecheck_itself_no_runtime_is_asked_for() {
    let (rules, host) = (RuleSet::built_in(), Listening(4096, LOOPBACK));
    let recorder = Recorder::new(&host);
    let report =
        audit_over(&recorder, &rules, &rules.workload(Role::Server), Beside::default(), Told::Everything).unwrap();
    let finding = report.findings.iter().find(|finding| finding.rule == "runtime/jvm-heap").unwrap();
    assert_eq!(finding.outcome, Outcome::NotApplicable);
    let asked = recorder.into_answers();
    assert!(!asked.keys().any(|(ask, of)| {
        matches!(ask, Ask::Runtime | Ask::Options) || of.ends_with("/environ") || of == "/etc/resolv.conf"
    }));
}

#[test]
fn who_listens_is_asked_where_somebody_may_serve_or_everything_is_to_be_told() {
    let nginx = || Some("nginx 812".to_owned());
    assert_eq!(heard(4096, LOOPBACK, Told::Wrong), (false, None));
    assert_eq!(heard(4096, LOOPBACK, Told::Everything), (true, nginx()));
    // Its limits are judged.
    assert_eq!(heard(4096, ANYWHERE, Told::Wrong), (true, nginx()));
    assert_eq!(heard(128, ANYWHERE, Told::Wrong), (true, nginx()));
}

#[test]
fn a_line_with_a_rule_of_its_own_is_told_once() {
    let mut facts = Facts::default();
    let text = |text: &str| Ok(Value::Text(text.into()));
    for key in ["net.ipv4.tcp_tw_recycle", "net.ipv4.tcp_low_latency"] {
        facts.put(format!("boot[{key}].value"), text("1"), "/etc/sysctl.d/a.conf:1");
        facts.put(format!("boot[{key}].idle"), text("Linux took it out"), "/etc/sysctl.d/a.conf:1");
        facts.put(format!("boot[{key}].mend"), text("take it out"), "/etc/sysctl.d/a.conf:1");
    }
    facts.put("sysctl.net.ipv4.tcp_tw_recycle", Err(Gap::new(Cause::Absent, "this kernel has none")), "");
    facts::derive(&mut facts);
    let rules = RuleSet::built_in();
    let (place, catalogue) = (Place::plain_host(), Catalogue::EMPTY);
    let context = Context { facts: &facts, place: &place, catalogue, role: Role::Server };
    let told = |ids: &[&str]| -> Vec<(Outcome, String)> {
        let findings = evaluate(rules.iter().filter(|rule| ids.contains(&rule.id)), context);
        findings.into_iter().map(|f| (f.outcome, f.subject.unwrap_or_default())).collect()
    };
    let (other, recycle) = ("net.ipv4.tcp_low_latency".to_owned(), "net.ipv4.tcp_tw_recycle".to_owned());
    assert_eq!(
        told(&["boot/ineffective", "time-wait/tw-recycle"]),
        [(Outcome::Warn, other.clone()), (Outcome::Warn, String::new()), (Outcome::NotApplicable, recycle.clone())]
    );
    assert_eq!(told(&["boot/ineffective"]), [(Outcome::Warn, other), (Outcome::Warn, recycle)], "nobody else does");
}
