use std::cell::Cell;

use super::*;
use crate::host::{Answer, Ask, Host, Query, Refusal};
use crate::model::bounds;
use crate::model::facts::Facts;

const ESTABLISHED: u8 = 1;
const TIME_WAIT_STATE: u8 = 6;
const CLOSE: u8 = 7;

/// A message as `connections` of `sock_diag` gives it. An address is of the family that it is written in.
fn message(state: u8, from: &str, to: &str) -> Vec<u8> {
    let octets = |address: IpAddr| match address {
        IpAddr::V4(address) => (2, [&address.octets()[..], &[0; 12]].concat()),
        IpAddr::V6(address) => (10, address.octets().to_vec()),
    };
    let [from, to]: [SocketAddr; 2] = [from, to].map(|text| text.parse().unwrap());
    let (family, source) = octets(from.ip());
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let body = [&[family, state, 0, 0][..], &ports, &source, &octets(to.ip()).1].concat();
    [&56u32.to_ne_bytes()[..], &20u16.to_ne_bytes(), &[0; 10], &body].concat()
}

/// A machine with the ports 40000 to 40099, of which something listens on one, 40050.
struct Machine {
    inet: Vec<u8>,
    inet6: Answer,
    in_use: usize,
    /// Connections that were ever opened here.
    opened: Option<usize>,
    release: &'static str,
    asked: Cell<usize>,
}

impl Machine {
    fn with(inet: Vec<Vec<u8>>) -> Self {
        Self {
            inet: inet.concat(),
            inet6: Ok(Vec::new()),
            in_use: 90,
            opened: None,
            release: "6.18.44",
            asked: Cell::default(),
        }
    }

    fn facts(&self) -> Facts {
        let wanted = [DESTINATION, COUNT, BOUND, BOUND_FIRST];
        let mut facts = Facts::default();
        super::super::gather(self, wanted.into(), &mut facts);
        facts
    }
}

impl Host for Machine {
    fn ask(&self, query: Query<'_>) -> Answer {
        let listener = || {
            let head = [&[2, 10, 0, 0][..], &40050u16.to_be_bytes(), &[0; 66]].concat();
            [&88u32.to_ne_bytes()[..], &20u16.to_ne_bytes(), &[0; 10], &head].concat()
        };
        match (query.ask, query.of) {
            (Ask::Read, "/proc/sys/net/ipv4/ip_local_port_range") => Ok(b"40000\t40109\n".to_vec()),
            (Ask::Read, "/proc/sys/net/ipv4/ip_local_reserved_ports") => Ok(b"40100-40109\n".to_vec()),
            (Ask::Read, "/proc/net/sockstat") => Ok(format!("TCP: inuse {} tw 0\n", self.in_use).into_bytes()),
            (Ask::Read, "/proc/net/snmp") => {
                let opened = self.opened.ok_or(Refusal::Errno(2))?;
                Ok(format!("Tcp: MaxConn ActiveOpens\nTcp: -1 {opened}\n").into_bytes())
            }
            (Ask::SockDiag, "inet") => Ok(listener()),
            (Ask::SockDiag, "inet6") => Ok(Vec::new()),
            (Ask::Uname, _) => Ok(format!("node\n{}\nx86_64", self.release).into_bytes()),
            (Ask::Connections, of) => {
                self.asked.set(self.asked.get() + 1);
                match of {
                    "inet/40000-40099" => Ok(self.inet.clone()),
                    "inet6/40000-40099" => self.inet6.clone(),
                    _ => panic!("asked for {of}"),
                }
            }
            _ => Err(Refusal::Errno(2)),
        }
    }

    fn source(&self) -> String {
        String::new()
    }
}

fn outgoing(ports: std::ops::Range<u16>, to: &str) -> Vec<Vec<u8>> {
    ports.map(|port| message(ESTABLISHED, &format!("10.0.0.1:{port}"), to)).collect()
}

fn of(facts: &Facts, subject: &str) -> (Option<i128>, Option<i128>) {
    let number = |key: &str| facts.number(&format!("destination[{subject}].{key}")).ok();
    (number("ports"), number("time_wait"))
}

#[test]
fn a_port_counts_once_whatever_family_and_state_hold_it() {
    let mut machine = Machine::with(outgoing(40000..40030, "10.0.0.5:443"));
    machine.inet.extend(message(TIME_WAIT_STATE, "10.0.0.1:40029", "10.0.0.5:443"));
    machine.inet.extend(message(TIME_WAIT_STATE, "10.0.0.1:40030", "10.0.0.5:443"));
    machine.inet6 = Ok([
        message(ESTABLISHED, "[::ffff:10.0.0.1]:40031", "[::ffff:10.0.0.5]:443"),
        message(ESTABLISHED, "[2001:db8::1]:40032", "[2001:db8::5]:443"),
    ]
    .concat());
    let facts = machine.facts();
    assert_eq!(of(&facts, "10.0.0.5:443 from 10.0.0.1"), (Some(32), Some(1)));
    assert_eq!(facts.number(COUNT), Ok(2));
    let named = ["10.0.0.5:443 from 10.0.0.1"];
    assert_eq!(facts.subjects(DESTINATION), named, "the other one is far from the limit");
}

#[test]
fn accepted_connections_and_ports_out_of_the_draw_are_no_outgoing_ones() {
    let mut machine = Machine::with(outgoing(40100..40110, "10.0.0.5:443"));
    for client in 1..60 {
        machine.inet.extend(message(ESTABLISHED, "10.0.0.1:40050", &format!("10.0.1.{client}:50000")));
    }
    let facts = machine.facts();
    assert_eq!(facts.number(COUNT), Ok(0));
    assert!(facts.subjects(DESTINATION).is_empty() && facts.family(DESTINATION).is_ok());
}

#[test]
fn a_server_that_opened_few_connections_is_not_asked_for_those_that_it_accepted() {
    let asked = |opened| {
        let machine = Machine { opened, ..Machine::with(outgoing(40000..40030, "10.0.0.5:443")) };
        let found = machine.facts().number(COUNT);
        (machine.asked.get(), found.map_err(|gap| gap.cause))
    };
    assert_eq!(asked(Some(24)), (0, Err(Cause::Absent)), "99 ports are usable");
    assert_eq!((asked(Some(25)), asked(None)), ((2, Ok(1)), (2, Ok(1))));
}

#[test]
fn the_busiest_is_named_and_others_from_a_quarter_on() {
    let machine = |sizes: &[u16]| {
        let all = sizes.iter().enumerate();
        Machine::with(all.flat_map(|(at, ports)| outgoing(40000..40000 + ports, &format!("10.0.0.{at}:443"))).collect())
    };
    let named = |sizes: &[u16]| machine(sizes).facts().subjects(DESTINATION);
    assert_eq!(named(&[24, 10, 25]), ["10.0.0.2:443 from 10.0.0.1"]);
    assert_eq!(named(&[26, 24, 25]), ["10.0.0.0:443 from 10.0.0.1", "10.0.0.2:443 from 10.0.0.1"]);
    assert_eq!(named(&[3, 4]), ["10.0.0.1:443 from 10.0.0.1"]);
    assert_eq!(named(&[30; 12]).len(), bounds::SOURCES.count());
}

#[test]
fn bound_sockets_are_told_apart_where_the_kernel_shows_them() {
    let bound = vec![message(CLOSE, "10.0.0.1:40001", "0.0.0.0:0"), message(CLOSE, "0.0.0.0:40001", "0.0.0.0:0")];
    let mut machine = Machine::with(bound.clone());
    let facts = machine.facts();
    assert_eq!((facts.number(BOUND), facts.number(COUNT)), (Ok(1), Ok(0)));
    machine.inet.clear();
    assert_eq!(machine.facts().number(BOUND), Ok(0));
    machine.release = "6.1.0-50-cloud-amd64";
    let gap = machine.facts().value(BOUND).unwrap_err();
    assert_eq!(gap.cause, Cause::Absent);
    assert!(gap.why.contains("kernel 6.1.0-50-cloud-amd64"), "{}", gap.why);
}

/// Connections from 10.0.0.1, each on the next of these ports, to so many destinations in turn.
fn in_turn(ports: impl Iterator<Item = u16>, destinations: u16) -> Vec<Vec<u8>> {
    let call = |(nth, port): (u16, u16)| {
        message(ESTABLISHED, &format!("10.0.0.1:{port}"), &format!("10.0.1.{}:443", nth % destinations))
    };
    (0..).zip(ports).map(call).collect()
}

const EVERY: &str = "every destination from 10.0.0.1";

/// Whether these sockets were bound first, and how many ports are taken from every destination then.
fn bound_first(inet: Vec<Vec<u8>>) -> (Option<i128>, Option<i128>) {
    let facts = Machine::with(inet).facts();
    (facts.number(BOUND_FIRST).ok(), of(&facts, EVERY).0)
}

#[test]
fn ports_of_the_other_parity_that_serve_one_destination_each_were_bound_first() {
    // As bind() draws them: odd ones first, none twice.
    assert_eq!(bound_first(in_turn((40001..40100).step_by(2), 5)), (Some(1), Some(50)));
    assert_eq!(bound_first(in_turn(40000..40100, 5)), (Some(1), Some(99)));
    // As connect() does: even ones, and the same toward each destination; odd ones only beyond half.
    let [one, two, busy] = ["10.0.1.1:443", "10.0.1.2:443", "10.0.1.3:443"];
    let even = |to| (40000..40100).step_by(2).map(move |port| message(ESTABLISHED, &format!("10.0.0.1:{port}"), to));
    assert_eq!(bound_first(even(one).chain(even(two)).collect()), (Some(0), None));
    let both = even(one).chain(even(two)).chain(outgoing(40000..40098, busy)).collect();
    assert_eq!(bound_first(both), (Some(0), None));
    // Odd ones that are shared were not bound, whoever drew them.
    let odd = |to| (40001..40100).step_by(2).map(move |port| message(ESTABLISHED, &format!("10.0.0.1:{port}"), to));
    assert_eq!(bound_first(odd(one).chain(odd(two)).collect()), (Some(0), None));
    // What is left toward a destination whose even ones were closed first.
    assert_eq!(bound_first(odd(one).collect()), (Some(0), None));
    // Beside others that connect.
    let mixed = in_turn((40001..40061).step_by(2), 3).into_iter().chain(even(one).take(40)).chain(even(two).take(40));
    assert_eq!(bound_first(mixed.collect()), (Some(1), Some(69)));
}

#[test]
fn waiting_bound_and_mapped_sockets_are_taken_from_every_destination_too() {
    let mut machine = Machine::with(in_turn((40001..40081).step_by(2), 4));
    let waiting = |port: u16| message(TIME_WAIT_STATE, &format!("10.0.0.1:{port}"), "10.0.1.9:443");
    machine.inet.extend((40081..40091).step_by(2).flat_map(waiting));
    machine.inet.extend(message(CLOSE, "10.0.0.1:40091", "0.0.0.0:0"));
    machine.inet.extend(message(CLOSE, "0.0.0.0:40093", "0.0.0.0:0"));
    machine.inet.extend(message(CLOSE, "10.0.0.2:40095", "0.0.0.0:0"));
    machine.inet6 = Ok(message(ESTABLISHED, "[::ffff:10.0.0.1]:40097", "[::ffff:10.0.1.1]:443"));
    let facts = machine.facts();
    assert_eq!(of(&facts, EVERY), (Some(40 + 5 + 2 + 1), Some(5)));
}

#[test]
fn a_kernel_that_prefers_no_parity_leaves_it_unknown_who_bound() {
    let release = "3.10.0-1160.el7.x86_64";
    let machine = |ports| Machine { release, ..Machine::with(in_turn(ports, 5)) };
    let facts = machine(40000..40098).facts();
    let gap = facts.value(&format!("destination[{EVERY}].ports")).unwrap_err();
    assert!(gap.why.starts_with("97 of 99 usable local ports") && gap.why.contains(release), "{}", gap.why);
    assert_eq!(facts.number(BOUND_FIRST), Ok(0));
    assert_eq!(machine(40000..40090).facts().subjects(DESTINATION).len(), 1, "there is room");
}

#[test]
fn few_sockets_are_not_asked_for() {
    for (in_use, asked) in [(24, 0), (25, 2)] {
        let machine = Machine { in_use, ..Machine::with(Vec::new()) };
        let facts = machine.facts();
        assert_eq!(machine.asked.get(), asked);
        assert_eq!(facts.number(COUNT).is_ok(), asked > 0);
    }
}

#[test]
fn half_a_dump_is_no_count() {
    let whole = Machine::with(outgoing(40000..40060, "10.0.0.5:443"));
    for (refusal, counted) in [(1, false), (97, true), (2, true)] {
        let facts =
            Machine { inet6: Err(Refusal::Errno(refusal)), inet: whole.inet.clone(), ..Machine::with(Vec::new()) }
                .facts();
        assert_eq!(facts.number(COUNT).is_ok(), counted);
        assert_eq!(facts.family(DESTINATION).is_ok(), counted);
    }
}
