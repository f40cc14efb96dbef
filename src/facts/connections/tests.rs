use std::cell::Cell;

use super::*;
use crate::host::{Answer, Host, Refusal};
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

/// A machine with 100 usable ports, 40000 to 40099, and a listener on one of them, 40050.
struct Machine {
    inet: Vec<u8>,
    inet6: Answer,
    in_use: usize,
    release: &'static str,
    asked: Cell<usize>,
}

impl Machine {
    fn with(inet: Vec<Vec<u8>>) -> Self {
        Self { inet: inet.concat(), inet6: Ok(Vec::new()), in_use: 90, release: "6.18.44", asked: Cell::default() }
    }

    fn facts(&self) -> Facts {
        let wanted = [DESTINATION, COUNT, BOUND].map(Name::from);
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
    assert_eq!(facts.subjects(DESTINATION).len(), 1, "the other one is far from the limit");
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
fn the_busiest_is_named_and_others_from_a_quarter_on() {
    let machine = |sizes: &[u16]| {
        let all = sizes.iter().enumerate();
        Machine::with(all.flat_map(|(at, ports)| outgoing(40000..40000 + ports, &format!("10.0.0.{at}:443"))).collect())
    };
    let named = |sizes: &[u16]| machine(sizes).facts().subjects(DESTINATION);
    assert_eq!(named(&[24, 10, 25]), ["10.0.0.2:443 from 10.0.0.1"]);
    assert_eq!(named(&[26, 24, 25]), ["10.0.0.0:443 from 10.0.0.1", "10.0.0.2:443 from 10.0.0.1"]);
    assert_eq!(named(&[3, 4]), ["10.0.0.1:443 from 10.0.0.1"]);
    assert_eq!(named(&[30; 12]).len(), NAMED);
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
