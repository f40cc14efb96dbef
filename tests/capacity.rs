//! Plans, worked out by hand; and that a plan and an audit never disagree on what a load needs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use tunecheck::capacity::{needs, rules, solve};
use tunecheck::facts::{declare, derive};
use tunecheck::model::check::Check;
use tunecheck::model::fact::{Cause, Gap, Value};
use tunecheck::model::facts::Facts;
use tunecheck::model::sizing::{Amount, Capacity, Carried};
use tunecheck::model::traffic::{Protocol, Traffic};
use tunecheck::model::workload::{Role, Workload};
use tunecheck::rules::RuleSet;

fn traffic(role: Role, concurrency: u64) -> Traffic {
    Traffic::of(&Workload { connections: concurrency, burst: concurrency / 10, ..Workload::none(role) })
}

#[track_caller]
fn need(traffic: &Traffic, limit: &str) -> u128 {
    let needs = needs(traffic);
    let need = needs.iter().find(|need| need.limit == limit);
    match need.map(|need| &need.amount) {
        Some(Amount::Of(amount, why)) => {
            assert!(!why.is_empty(), "{limit}");
            *amount
        }
        other => panic!("{limit}: {other:?}"),
    }
}

const FILES: &str = "open files of the process";
const PORTS: &str = "local ports toward a destination";
const SNAT: &str = "SNAT ports of a public address toward a destination";
const TRACKED: &str = "conntrack entries";

/// 500 requests/s of 20 s are 10,000 in flight; ten pods on two nodes open them to two addresses.
#[test]
fn a_client_of_a_streaming_api() {
    let client = Traffic {
        rate: Some(500_000),
        pods: 10,
        nodes: 2,
        destinations: 2,
        response_bytes: Some(20_000),
        ..traffic(Role::Client, 10_000)
    };
    assert_eq!(need(&client, "connections"), 1_000);
    assert_eq!(need(&client, FILES), 1_256);
    // 1,000 of a pod over 2 destinations; 10,000 of all at the NAT gateway over the same 2.
    assert_eq!(need(&client, PORTS), 500);
    assert_eq!(need(&client, SNAT), 5_000);
    // Five pods on a node.
    assert_eq!(need(&client, TRACKED), 5_000);
    assert_eq!(need(&client, "memory of idle sockets"), 1_000 * 3_584);
    assert_eq!(need(&client, "memory of the node for idle sockets"), 5_000 * 3_584);
    // 250 requests/s on a node. 20,000 bytes: 2 TLS records of 22 bytes more, 14 segments with 90 bytes around each.
    assert_eq!(need(&client, "bandwidth in"), 250 * (20_000 + 2 * 22 + 14 * 90) * 8);
    assert_eq!(need(&client, "bandwidth out"), 250 * 7 * 90 * 8, "7 acknowledgements");
    assert_eq!(need(&client, "packets per second, both ways"), 250 * 21);
}

/// The manual's 2.1: 1,000 connections of 100 streams carry 100,000 requests.
#[test]
fn streams_take_the_place_of_connections() {
    let client = Traffic { protocol: Protocol::H2, streams: 100, ..traffic(Role::Client, 100_000) };
    assert_eq!(need(&client, "connections"), 1_000);
    assert_eq!(need(&client, PORTS), 1_000);
    assert_eq!(need(&client, "HTTP/2 receive windows"), 1_000 * 65_535);
    assert_eq!(need(&client, "threads, where each request holds one"), 100_000);
}

/// 600 requests/s of 200 ms from 30 pods on 10 nodes: at a node 60 end in each second and hold their SNAT port for 120 s.
#[test]
fn pods_share_the_ports_of_their_node_and_a_cloud_gives_each_node_some() {
    let client = Traffic {
        rate: Some(600_000),
        microseconds: Some(200_000),
        short_lived: true,
        pods: 30,
        nodes: 10,
        ..traffic(Role::Client, 120)
    };
    assert_eq!(need(&client, "SNAT ports of a node toward a destination"), 12 + 60 * 120);
    assert_eq!(need(&client, "SNAT ports of a VM, where the cloud allots them"), 8192);
    let two = Traffic { destinations: 2, ..client };
    assert_eq!(need(&two, "SNAT ports of a node toward a destination"), (12 + 60 * 120) / 2);
    assert_eq!(need(&two, "SNAT ports of a VM, where the cloud allots them"), 4096);
}

/// 100 requests/s of 200 ms, each on its own connection: 20 are open, 6,000 in TIME_WAIT, 18,000 still counted as tracked.
#[test]
fn what_has_ended_takes_ports_and_entries_too() {
    let client = Traffic { rate: Some(100_000), short_lived: true, ..traffic(Role::Client, 20) };
    assert_eq!(need(&client, PORTS), 6_020);
    assert_eq!(need(&client, "TIME_WAIT sockets"), 6_000);
    assert_eq!(need(&client, TRACKED), 18_020);
    let gateway = Traffic { role: Role::Gateway, ..client };
    assert_eq!(need(&gateway, TRACKED), 2 * 18_020, "both sides of a proxy are tracked");
    assert_eq!(need(&gateway, "TIME_WAIT sockets"), 12_000, "a proxy may close first on both");
    // What a server accepted holds no port here, and what it opens besides is kept.
    let server = Traffic { role: Role::Server, outgoing: Some(50), ..gateway };
    assert_eq!((need(&server, PORTS), need(&server, SNAT)), (50, 50));
    assert_eq!(need(&server, TRACKED), 20 + 50 + 18_000);
    // Ten pods share a rate of 10 per second: 60 in TIME_WAIT at each.
    let slow = Traffic { rate: Some(10_000), pods: 10, role: Role::Client, outgoing: None, ..server };
    assert_eq!((need(&slow, "TIME_WAIT sockets"), need(&slow, SNAT)), (60, 10 + 600 + 10));
}

#[test]
fn a_gateway_has_two_sockets_for_each_request_unless_streams_share_them() {
    let gateway = traffic(Role::Gateway, 6_000);
    assert_eq!((need(&gateway, FILES), need(&gateway, TRACKED)), (12_256, 12_000));
    assert_eq!(need(&gateway, "accept queue"), 600);
    let shared = Traffic { streams: 100, incoming_streams: 50, ..gateway };
    assert_eq!(need(&shared, FILES), 60 + 120 + 256);
}

#[test]
fn what_is_not_said_is_told_by_the_option_that_would_say_it() {
    let short = Traffic { short_lived: true, ..traffic(Role::Client, 20) };
    let amount = |limit: &str| needs(&short).into_iter().find(|need| need.limit == limit).unwrap().amount;
    assert_eq!(amount(PORTS), Amount::Unsaid("--latency"));
    assert_eq!(amount("bandwidth in"), Amount::Unsaid("--response-bytes"));
}

fn machine(numbers: &[(&str, i128)]) -> Facts {
    let mut facts = Facts::default();
    for (name, number) in numbers {
        facts.put((*name).to_owned(), Ok(Value::Number(*number)), "");
    }
    facts
}

#[track_caller]
fn carried<'a>(all: &'a [Carried], limit: &str) -> &'a Carried {
    all.iter().find(|carried| carried.limit == limit).unwrap_or_else(|| panic!("{limit} in {all:#?}"))
}

#[test]
fn the_limit_that_binds_first_is_named_with_the_next_two() {
    let facts = machine(&[
        ("serving.nofile.soft", 1024),
        ("sysctl.fs.nr_open", 1_048_576),
        ("ports.usable", 28_232),
        ("ports.widest", 55_000),
        ("conntrack.max", 2_000),
        ("file.max", i64::MAX.into()),
    ]);
    let solved = solve(&traffic(Role::Client, 100_000), &facts);
    let order: Vec<(&str, Option<u64>)> = solved.carried.iter().map(|limit| (limit.limit, limit.carries)).collect();
    assert_eq!(
        order,
        [
            (FILES, Some(768)),
            (TRACKED, Some(2_000)),
            (PORTS, Some(28_232)),
            ("fs.nr_open", Some(1_048_320)),
            ("open files of the node", None)
        ]
    );
    assert_eq!(carried(&solved.carried, PORTS).slow_from, Some(14_116));
    let first = &solved.steps[0];
    assert_eq!((first.carries, first.next), (2_000, Some(TRACKED)));
    assert_eq!((first.moves[0].from, first.moves[0].to), (1_024, 2_256));
    let second = &solved.steps[1];
    assert_eq!((second.carries, second.next), (28_232, Some(PORTS)));
    let goals: Vec<(&str, u128)> = second.moves.iter().map(|moved| (moved.limit, moved.to)).collect();
    assert_eq!(goals, [(FILES, 28_488), (TRACKED, 28_232)]);
    // No more ports than the widest range has.
    let third = &solved.steps[2];
    assert_eq!((third.carries, third.next), (55_000, Some(PORTS)));
    let ends: Vec<bool> = third.moves.iter().map(|moved| moved.ends).collect();
    assert_eq!(ends, [false, false, true]);
    // What stands in the way of the rest is named: it goes no further here.
    let standing = |solved: &Capacity| -> Vec<(&str, u64, bool)> {
        solved.standing.iter().map(|one| (one.limit, one.carries, one.ends)).collect()
    };
    assert_eq!(standing(&solved), [(PORTS, 55_000, true)]);
    assert_eq!(standing(&solve(&traffic(Role::Client, 50_000), &facts)), []);
    // What is asked for is carried by the first two.
    assert_eq!(solve(&traffic(Role::Client, 6_000), &facts).steps.len(), 2);
    let unknown: Vec<&str> = solved.unknown.iter().map(|(limit, _)| *limit).collect();
    assert!(unknown.contains(&"memory of the node for idle sockets") && unknown.contains(&"CPU"), "{unknown:?}");
}

#[test]
fn ports_that_are_taken_again_after_a_second_carry_more() {
    let short = Traffic { rate: Some(100_000), short_lived: true, ..traffic(Role::Client, 20) };
    let carries = |more: &[(&str, i128)]| {
        let facts = machine(&[&[("ports.usable", 600)][..], more].concat());
        carried(&solve(&short, &facts).carried, PORTS).carries.unwrap()
    };
    // n requests in flight take n + 5 n x 60 ports, or n + 5 n.
    assert_eq!(carries(&[]), 1);
    let solved = solve(&short, &machine(&[("ports.usable", 600)]));
    // 9.966 a second: 598 ports in TIME_WAIT, and 2 that are open.
    assert_eq!(carried(&solved.carried, PORTS).rate, Some(9_966));
    let reuse = ("sysctl.net.ipv4.tcp_tw_reuse", 1);
    assert_eq!(carries(&[reuse, ("sysctl.net.ipv4.tcp_timestamps", 1)]), 100);
    assert_eq!(carries(&[reuse, ("sysctl.net.ipv4.tcp_timestamps", 0)]), 1, "timestamps are needed for it");
    assert_eq!(
        carries(&[reuse, ("sysctl.net.ipv4.tcp_timestamps", 1), ("sysctl.net.ipv4.tcp_tw_reuse_delay", 60_000)]),
        1
    );
    // That sockets beyond it skip TIME_WAIT is nothing to build on.
    assert_eq!(carries(&[("sysctl.net.ipv4.tcp_max_tw_buckets", 500)]), 1);
}

#[test]
fn the_memory_of_a_node_is_there_once_for_all_its_pods() {
    let pods = Traffic { pods: 10, ..traffic(Role::Server, 10_000) };
    let facts = machine(&[("memory.total", 3_584_000), ("cgroup.memory.limit", 358_400)]);
    let solved = solve(&pods, &facts);
    assert_eq!(carried(&solved.carried, "memory of the node for idle sockets").carries, Some(1_000));
    assert_eq!(carried(&solved.carried, "memory of idle sockets").carries, Some(1_000));
}

#[test]
fn a_machine_that_tracks_nothing_has_no_such_limit() {
    let mut facts = Facts::default();
    facts.put("conntrack.max", Err(Gap::new(Cause::Absent, "module nf_conntrack is not loaded")), "");
    let solved = solve(&traffic(Role::Client, 100), &facts);
    assert_eq!(solved.unlimited.len(), 1);
    assert_eq!(solved.unlimited[0].0, TRACKED);
}

#[test]
fn a_queue_holds_one_more_than_the_backlog_of_the_declared_port() {
    let mut facts = machine(&[
        ("listeners.count", 2),
        ("listener[0.0.0.0:8080].port", 8080),
        ("listener[0.0.0.0:8080].backlog", 128),
        ("listener[0.0.0.0:22].port", 22),
        ("listener[0.0.0.0:22].backlog", 8),
        ("sysctl.net.core.somaxconn", 4096),
    ]);
    let on = |ports: &[u16]| Traffic { ports: ports.to_vec(), ..traffic(Role::Server, 1_000) };
    let queue = |facts: &Facts, ports: &[u16]| carried(&solve(&on(ports), facts).carried, "accept queue").clone();
    // A burst is a tenth of the connections here.
    assert_eq!((queue(&facts, &[8080]).have, queue(&facts, &[8080]).carries), (129, Some(1_290)));
    assert_eq!(queue(&facts, &[8080, 22]).have, 9, "the shortest of them");
    assert_eq!(queue(&facts, &[]).have, 4_097);
    let silent = solve(&on(&[443]), &facts);
    assert!(silent.unknown.iter().any(|(limit, gap)| *limit == "accept queue" && gap.why.contains("443")));
    facts.put("listener[0.0.0.0:8080].backlog", Err(Gap::new(Cause::Denied, "x")), "");
    assert!(solve(&on(&[8080]), &facts).unknown.iter().any(|(limit, _)| *limit == "accept queue"));
}

fn any_traffic() -> impl Strategy<Value = Traffic> {
    let number = || prop_oneof![1..100_000u64, 1..=1_000_000_000u64];
    let role = prop::sample::select(vec![Role::Client, Role::Server, Role::Gateway]);
    let some = || prop::option::of(number());
    (
        (role, number(), number(), 1..200u64, 1..200u64),
        (1..50u64, 1..9u64, 1..500u64, 1..500u64),
        (some(), some(), some(), some(), any::<bool>()),
    )
        .prop_map(
            |(
                (role, concurrency, burst, streams, incoming_streams),
                (destinations, source_addresses, pods, nodes),
                (rate, response_bytes, chunk_bytes, outgoing, short_lived),
            )| Traffic {
                burst,
                streams,
                incoming_streams,
                destinations,
                source_addresses,
                pods,
                nodes,
                rate: rate.or(short_lived.then_some(1000)),
                response_bytes,
                chunk_bytes,
                outgoing,
                short_lived,
                ..traffic(role, concurrency)
            },
        )
}

fn amounts(traffic: &Traffic) -> Vec<(&'static str, u128)> {
    let all = needs(traffic).into_iter();
    all.filter_map(|need| match need.amount {
        Amount::Of(amount, _) => Some((need.limit, amount)),
        _ => None,
    })
    .collect()
}

/// What a rule fails below, for this load.
fn least(rules: &RuleSet, id: &str, load: &Workload) -> Option<i128> {
    let mut facts = Facts::default();
    declare(&mut facts, load);
    facts.put("process.meant", Ok(Value::Number(1)), "");
    // A plan counts TCP's buffers in pages.
    facts.put("memory.page", Ok(Value::Number(1)), "");
    facts.put("listener[x].declared_burst", Ok(Value::Number(load.burst.into())), "");
    derive(&mut facts);
    match &rules.get(id).unwrap().check {
        Check::Range { fail, warn } => {
            let bound = fail.at_least.as_ref().or(warn.at_least.as_ref())?;
            bound.amount(&facts, Some("x")).ok()
        }
        _ => None,
    }
}

proptest! {
    /// On one pod, a plan asks for what the rule of the same limit asks for.
    #[test]
    fn a_plan_and_an_audit_ask_for_the_same(traffic in any_traffic()) {
        let alone = Traffic { pods: 1, nodes: 1, ..traffic };
        let rules = RuleSet::built_in();
        let load = alone.workload();
        let mut compared = 0;
        for need in needs(&alone) {
            let (Some(id), Amount::Of(amount, _)) = (need.rule, &need.amount) else { continue };
            // A whole node has more files than those of one process; SYN queues are rounded otherwise.
            if ["files/file-max", "listen/syn-backlog", "conntrack/memory", "memory/sockets", "time-wait/buckets"].contains(&id) {
                continue;
            }
            prop_assert_eq!(Some(i128::try_from(*amount).unwrap()), least(&rules, id, &load), "{}", id);
            compared += 1;
        }
        prop_assert!(compared >= 4, "{}", compared);
    }

    /// More traffic never needs less: what a limit carries is found by halving.
    #[test]
    fn needs_grow_with_the_traffic(traffic in any_traffic(), one in 1..2_000_000_000u64, other in 1..2_000_000_000u64) {
        let (few, many) = (traffic.scaled(one.min(other)), traffic.scaled(one.max(other)));
        for (limit, amount) in amounts(&few) {
            let more = amounts(&many).into_iter().find(|(other, _)| *other == limit);
            prop_assert!(more.is_some_and(|(_, more)| more >= amount), "{} {:?} {}", limit, more, amount);
        }
    }

    /// What a limit carries fits, and one request more does not.
    #[test]
    fn what_is_carried_is_the_most_that_fits(traffic in any_traffic(), have in prop::collection::vec(0..5_000_000i128, 6)) {
        let names = ["serving.nofile.soft", "ports.usable", "conntrack.max", "ceiling.memory", "tcp_mem.ceiling", "sysctl.net.core.somaxconn"];
        let numbers: Vec<(&str, i128)> = names.into_iter().zip(have).collect();
        let solved = solve(&traffic, &machine(&numbers));
        for limit in &solved.carried {
            let at = |concurrency: u64| amounts(&traffic.scaled(concurrency)).into_iter().find(|(name, _)| *name == limit.limit);
            let Some(carries) = limit.carries else { continue };
            prop_assert!(carries == 0 || at(carries).is_some_and(|(_, need)| need <= limit.have));
            prop_assert!(at(carries + 1).is_some_and(|(_, need)| need > limit.have), "{:?}", limit);
        }
        for step in &solved.steps {
            prop_assert!(step.moves.iter().all(|moved| moved.to >= moved.from), "a step lowers nothing");
        }
        if let Some(last) = solved.steps.last() {
            let short = last.carries < traffic.concurrency;
            prop_assert_eq!(short, !solved.standing.is_empty(), "what the steps lack has a reason: {:?}", solved);
        }
    }
}

#[test]
fn every_limit_that_a_machine_tells_names_a_rule_that_exists() {
    let built_in = RuleSet::built_in();
    let named: Vec<&str> = rules().collect();
    assert!(named.len() >= 9, "{named:?}");
    assert!(named.iter().all(|id| built_in.get(id).is_some()), "{named:?}");
}
