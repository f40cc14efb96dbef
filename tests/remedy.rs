//! A fix never lowers a value, never drops an entry of a list, and is only printed where it can work: over every
//! built-in rule, and random machines in random places.
//!
//! The cases are the same in every run. PROPTEST_RNG_SEED and PROPTEST_CASES look at others.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "fails by panicking"
)]

use std::collections::BTreeSet;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;
use tunecheck::evaluate::{Context, evaluate};
use tunecheck::facts;
use tunecheck::model::action::{Action, Edit, NofileEdit, Site, SysctlEdit};
use tunecheck::model::catalogue::Catalogue;
use tunecheck::model::fact::{Cause, Gap, Reading, Scope, Unit, Value};
use tunecheck::model::facts::Facts;
use tunecheck::model::finding::Finding;
use tunecheck::model::fix::{Change, Pod};
use tunecheck::model::place::{Kind, Netns, Place, Writable};
use tunecheck::model::ports::Ports;
use tunecheck::model::rule::Rule;
use tunecheck::model::workload::{Role, Workload};
use tunecheck::remedy::{Situation, Wishes, actions};
use tunecheck::rules::RuleSet;

fn rules() -> &'static RuleSet {
    static RULES: OnceLock<RuleSet> = OnceLock::new();
    RULES.get_or_init(RuleSet::built_in)
}

fn catalogue() -> &'static Catalogue {
    facts::catalogue()
}

/// Every fact that is read rather than derived, subjects written out.
fn names() -> Vec<String> {
    let subjects = |name: &str| match name.split_once("[*]") {
        Some(("listener", tail)) => ["0.0.0.0:8080", "[::]:40000"].map(|at| format!("listener[{at}]{tail}")).to_vec(),
        Some(("destination", tail)) => vec![format!("destination[10.0.0.5:443 from 10.0.0.1]{tail}")],
        Some(("boot", tail)) => {
            ["net.core.somaxconn", "vm.swappiness"].map(|key| format!("boot[{key}]{tail}")).to_vec()
        }
        _ => vec![name.to_owned()],
    };
    let more = [
        "listener[*].port",
        "cpu.online",
        "kernel.release",
        "sysctl.net.ipv4.ip_local_port_range",
        "sysctl.net.ipv4.ip_unprivileged_port_start",
        "sysctl.net.ipv4.tcp_mem",
        "sysctl.net.ipv4.tcp_keepalive_time",
        "sysctl.net.ipv4.tcp_keepalive_intvl",
        "sysctl.net.ipv4.tcp_keepalive_probes",
        "conntrack.count",
        "boot[net.core.somaxconn].value",
        "boot[net.netfilter.nf_conntrack_max].value",
    ];
    let wanted = rules().iter().flat_map(|rule| {
        rule.judged_by().into_iter().map(str::to_owned).chain(rule.mended_by().into_iter().map(String::from))
    });
    let wanted = wanted.chain(more.map(str::to_owned));
    // Left out half of the time each, these are worked out from the others.
    let derived = |name: &String| name.starts_with("workload.") || name.ends_with("declared_burst");
    let all: BTreeSet<String> = wanted.filter(|name| !derived(name)).flat_map(|name| subjects(&name)).collect();
    all.into_iter().collect()
}

/// A size as machines have them: of any magnitude, often a round one, now and then one of the ends.
fn size() -> impl Strategy<Value = i128> {
    prop_oneof![
        8 => (0..62u32, 0.0..1.0f64).prop_map(|(bits, part)| (1i128 << bits) + ((1i128 << bits) as f64 * part) as i128),
        4 => select(vec![128, 1024, 4096, 20_000, 32_768, 65_535, 65_536, 131_072, 262_144, 524_288, 1_048_576]),
        1 => Just(0),
        1 => Just(i128::from(i64::MAX)),
    ]
}

fn ports() -> impl Strategy<Value = Value> {
    let range = (1..=65535u16, 0..2000u16).prop_map(|(low, more)| Ports::range(low, low.saturating_add(more)));
    let several = prop::collection::vec(range, 0..4);
    several.prop_map(|ranges| Value::Ports(ranges.iter().fold(Ports::default(), |all, range| all.union(range))))
}

/// A value of a fact as a kernel could give it.
fn value(name: &str) -> BoxedStrategy<Value> {
    let unit = catalogue().find(name).map_or(Unit::Count, |entry| entry.unit);
    let number = || size().prop_map(Value::Number);
    if name.ends_with("ip_local_port_range") {
        let ends = (1..=65535i128).prop_flat_map(|low| (Just(low), low..=65535));
        let usual = select(vec![(32768, 60999), (1024, 65535), (10240, 65535), (1, 65534)]);
        return prop_oneof![ends, usual].prop_map(|(low, high)| Value::Numbers(vec![low, high])).boxed();
    }
    if name.ends_with("ip_unprivileged_port_start") {
        return prop_oneof![Just(1024), Just(0), 0..=65535i128].prop_map(Value::Number).boxed();
    }
    if name.ends_with("tcp_mem") || name.ends_with("tcp_rmem") || name.ends_with("tcp_wmem") {
        let three = prop::collection::vec(size(), 3);
        return three
            .prop_map(|mut three| {
                three.sort_unstable();
                Value::Numbers(three)
            })
            .boxed();
    }
    if name.starts_with("limit.") || name.ends_with("limit") || name == "conntrack.max" {
        return prop_oneof![6 => number(), 1 => Just(Value::Unlimited)].boxed();
    }
    if name.starts_with("listener[") && name.ends_with("].port") {
        let port = if name.contains("8080") { 8080 } else { 40000 };
        return Just(Value::Number(port)).boxed();
    }
    if name == "bridge.name" {
        return Just(Value::Text("cni0".into())).boxed();
    }
    match unit {
        Unit::Mode => (0..4i128).prop_map(Value::Number).boxed(),
        Unit::Percent => (0..=100i128).prop_map(Value::Number).boxed(),
        Unit::Ports => ports().boxed(),
        Unit::Text if name == "bridge.name" => {
            select(vec!["cni0", "docker0"]).prop_map(|text| Value::Text(text.into())).boxed()
        }
        Unit::Text if !name.starts_with("boot[") => select(vec!["cubic", "bbr", "6.12.1", "5.4.0", "3.10.0", ""])
            .prop_map(|text| Value::Text(text.into()))
            .boxed(),
        _ => number().boxed(),
    }
}

fn reading(name: &str) -> impl Strategy<Value = Option<Reading>> + use<> {
    let causes = [Cause::Absent, Cause::Denied, Cause::Unparsable, Cause::NotVisibleHere, Cause::Unsupported];
    let gap = select(causes.to_vec()).prop_map(|cause| Some(Err(Gap::new(cause, "does not exist"))));
    prop_oneof![12 => value(name).prop_map(|value| Some(Ok(value))), 1 => gap, 1 => Just(None)]
}

fn load() -> impl Strategy<Value = Workload> {
    let number = || prop_oneof![1..100_000u64, 1..=1_000_000_000u64];
    let role = select(vec![Role::Client, Role::Server, Role::Gateway]);
    let ports = prop_oneof![Just(vec![]), Just(vec![8080]), Just(vec![40000, 1])];
    (role, number(), number(), 1..50u64, 1..9u64, 1..200u64, prop::option::of(number()), 0..9_000_000u64, ports)
        .prop_map(
            |(role, connections, burst, destinations, source_addresses, streams, outgoing, short_lived, ports)| {
                Workload {
                    role,
                    connections,
                    burst,
                    destinations,
                    source_addresses,
                    streams,
                    outgoing,
                    short_lived,
                    ports,
                }
            },
        )
}

fn place() -> impl Strategy<Value = Place> {
    let stands = select(vec![
        (Kind::Host, Netns::Init, false),
        (Kind::Host, Netns::Init, true),
        (Kind::Namespace, Netns::Child, false),
        (Kind::Container, Netns::Child, false),
        (Kind::Container, Netns::Init, false),
        (Kind::Pod, Netns::Child, false),
        (Kind::HostNetworkPod, Netns::Init, true),
        (Kind::Unknown, Netns::Unknown, false),
    ]);
    let writable = select(vec![Writable::Yes, Writable::ReadOnly, Writable::NotPermitted, Writable::Unknown]);
    let runtime = select(vec![None, Some("docker"), Some("podman"), Some("containerd")]);
    // What a kernel has lost is changed on one that still has it.
    let kernel = select(vec!["6.12", "6.12", "3.10"]);
    (stands, writable, runtime, any::<bool>(), kernel).prop_map(
        |((kind, netns, node), writable, runtime, able, kernel)| Place {
            kind,
            netns,
            node,
            writable,
            runtime: runtime.filter(|_| kind == Kind::Container).map(str::to_owned),
            init_pidns: Some(matches!(kind, Kind::Host | Kind::Namespace)),
            capabilities: if able { vec!["CAP_SYS_RESOURCE", "CAP_NET_ADMIN"] } else { Vec::new() },
            kernel: kernel.parse().ok(),
            ..Place::plain_host()
        },
    )
}

/// A machine: what was read of it, what it is asked to carry, and where the audit stands.
#[derive(Clone, Debug)]
struct Machine {
    read: Vec<(String, Reading)>,
    load: Workload,
    place: Place,
}

fn machine() -> impl Strategy<Value = Machine> {
    let names = names();
    let readings: Vec<_> = names.iter().map(|name| reading(name).boxed()).collect();
    (readings, load(), place()).prop_map(move |(readings, load, place)| {
        let read = names.iter().cloned().zip(readings).filter_map(|(name, reading)| Some((name, reading?)));
        Machine { read: read.collect(), load, place }
    })
}

impl Machine {
    fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        for (name, reading) in &self.read {
            let at = if name.starts_with("boot[") { "/etc/sysctl.d/99-ours.conf:3" } else { "/proc" };
            facts.put(name.clone(), reading.clone(), at);
        }
        // A process's soft limit is never above its hard one, whether both were read or follow from another.
        let bounded = |facts: &mut Facts| {
            if let (Ok(soft), Ok(hard)) = (facts.number("serving.nofile.soft"), facts.number("serving.nofile.hard"))
                && soft > hard
            {
                let hard = facts.value("serving.nofile.hard").cloned();
                facts.put("serving.nofile.soft", hard, "/proc");
            }
        };
        bounded(&mut facts);
        tunecheck::place::describe(&self.place, &mut facts);
        facts::declare(&mut facts, &self.load);
        facts::derive(&mut facts);
        bounded(&mut facts);
        facts
    }
}

/// What is true of a change of a sysctl.
fn never_lowers(rule: &Rule, action: &Action, facts: &Facts) -> Result<(), TestCaseError> {
    let Edit::Sysctl(SysctlEdit { name, old, new, .. }) = &action.edit else { return Ok(()) };
    let fix = rule.fix.sysctl.iter().find(|fix| fix.name == *name).unwrap();
    let live = facts.value(&format!("sysctl.{name}")).ok();
    prop_assert_eq!(old.as_ref(), live, "the former value is the live one");
    prop_assert!(old.as_ref() != Some(new), "nothing changes");
    match (&fix.change, old, new) {
        (Change::Raise(_), Some(Value::Number(old)), Value::Number(new)) => prop_assert!(new > old, "{old} to {new}"),
        // What may be higher already is raised by a command that looks first.
        (Change::Raise(_), None, Value::Number(_)) => {
            let writes = action.lines.iter().filter(|line| line.contains("sysctl -w"));
            prop_assert!(writes.clone().all(|line| line.contains("\" -ge ")), "{:?}", action.lines);
            let kept = action.lines.iter().any(|line| line.contains(&format!("{name} = ")));
            prop_assert!(!kept, "a line in a file could lower it at boot: {:?}", action.lines);
        }
        (Change::Set(value), _, new) => prop_assert_eq!(&value.value(), new),
        (Change::Widen(..), Some(Value::Numbers(old)), Value::Numbers(new)) => {
            let (old, new) = (<[i128; 2]>::try_from(old.clone()).unwrap(), <[i128; 2]>::try_from(new.clone()).unwrap());
            prop_assert!(new[0] <= old[0] && new[1] >= old[1], "{old:?} to {new:?}");
            // What the kernel takes: ports, the lower end not below the first unprivileged one unless it is already.
            let floor = facts.number("sysctl.net.ipv4.ip_unprivileged_port_start").unwrap_or(1024);
            prop_assert!(new[0] >= 1 && new[1] <= 65535 && new[0] >= floor.min(old[0]), "{old:?} to {new:?}, {floor}");
        }
        (Change::Add(needed), Some(Value::Ports(old)), Value::Ports(new)) => {
            prop_assert!(old.difference(new).is_empty(), "{old} to {new}");
            prop_assert!(facts.ports(needed).unwrap().difference(new).is_empty());
        }
        other => prop_assert!(false, "no such change is allowed: {other:?}"),
    }
    prop_assert!(action.lines.iter().any(|line| line.contains(&new.plain())), "{:?} says {new:?}", action.lines);
    Ok(())
}

/// What is true of a change of the limits on open files.
fn nofile_never_lowers(action: &Action, facts: &Facts) -> Result<(), TestCaseError> {
    let Edit::Nofile(NofileEdit { soft, hard, .. }) = action.edit else { return Ok(()) };
    let ceiling = facts.number("sysctl.fs.nr_open");
    let old_soft = facts.number("serving.nofile.soft").unwrap();
    // Unlimited is as much as fs.nr_open lets through.
    let old_hard = match facts.number("serving.nofile.hard").unwrap() {
        i128::MAX => ceiling.clone().unwrap_or(hard),
        limit => limit,
    };
    prop_assert!(soft >= old_soft && hard >= old_hard, "{old_soft}:{old_hard} to {soft}:{hard}");
    prop_assert!((soft, hard) != (old_soft, old_hard) && soft <= hard, "{old_soft}:{old_hard} to {soft}:{hard}");
    if let Ok(ceiling) = ceiling {
        let first = action
            .lines
            .first()
            .is_some_and(|line| line.contains("raise fs.nr_open") && line.contains(&format!(" to {hard} or more")));
        prop_assert_eq!(hard > ceiling, first, "the kernel refuses a limit above fs.nr_open: {:?}", &action.lines);
    }
    prop_assert!(
        action.site != Site::PodManifest || hard == old_hard,
        "an entrypoint cannot raise the hard limit: {:?}",
        action
    );
    prop_assert!(action.lines.iter().any(|line| line.contains(&soft.to_string())), "{:?}", action.lines);
    to_a_number(action)
}

/// Only a hard limit comes down that programs do not bear, to what carries the load.
fn nofile_comes_down_where_it_is_too_high(action: &Action, facts: &Facts) -> Result<(), TestCaseError> {
    let Edit::LowerNofile(NofileEdit { old_soft, old_hard, soft, hard, .. }) = action.edit else { return Ok(()) };
    let need = facts.number("workload.sockets").unwrap() + 256;
    prop_assert!(old_hard > need.max(1_048_576) && hard < old_hard, "{old_hard} to {hard}");
    prop_assert!(soft >= need && soft <= hard, "{old_soft}:{old_hard} to {soft}:{hard}");
    // A soft limit that carries the load, and that programs bear, stays.
    let stays = (need.max(65_535)..=need.max(1_048_576)).contains(&old_soft);
    prop_assert!(!stays || soft == old_soft, "{old_soft}:{old_hard} to {soft}:{hard}");
    prop_assert!(!action.lines.iter().any(|line| line.contains("raise")), "{:?}", action.lines);
    to_a_number(action)
}

/// The hard limit can be so high that programs do not bear it, on another node if not here.
fn to_a_number(action: &Action) -> Result<(), TestCaseError> {
    prop_assert!(!action.lines.iter().any(|line| line.contains("$(ulimit -Hn)")), "{:?}", action.lines);
    Ok(())
}

/// What is true of the form that a change takes in a place.
fn fits_the_place(rule: &Rule, action: &Action, before: &[Action], place: &Place) -> Result<(), TestCaseError> {
    let what = format!("{:?} in {:?}", action, place.kind);
    prop_assert!(!action.who.is_empty() && !action.lines.is_empty(), "{what}");
    prop_assert!(action.lines.iter().all(|line| !line.is_empty()), "{what}");
    // Inside tunecheck this number stands for unlimited. It is nothing to type.
    let endless = i128::MAX.to_string();
    let mut typed = action.lines.iter().map(String::as_str).chain([action.undo.as_ref(), action.prove.as_ref()]);
    prop_assert!(!typed.any(|text| text.contains(&endless)), "{what}");
    let Edit::Sysctl(SysctlEdit { name, .. }) = &action.edit else { return Ok(()) };
    prop_assert!(!action.cost.is_empty() && !action.undo.is_empty() && !action.prove.is_empty(), "{what}");
    let host_wide = catalogue().find(&format!("sysctl.{name}")).is_some_and(|entry| entry.scope == Scope::Host);
    match action.site {
        Site::PodManifest => {
            prop_assert!(place.kind == Kind::Pod && !host_wide, "{what}");
            match &rule.pod {
                Some(Pod::Unsafe) => {
                    let admits = |other: &Action| matches!(&other.edit, Edit::AllowUnsafe { name: of } if of == name);
                    prop_assert!(before.iter().any(admits), "an unsafe sysctl alone is a pod that never starts: {what}")
                }
                Some(Pod::Safe { .. }) => {}
                other => prop_assert!(false, "{other:?}: {what}"),
            }
        }
        Site::ContainerRun => prop_assert!(
            place.kind == Kind::Container && place.netns == Netns::Child && !host_wide,
            "no runtime takes it: {what}"
        ),
        Site::Here => {
            let reaches = matches!(place.kind, Kind::Host | Kind::Unknown)
                || (place.kind == Kind::Namespace && (!host_wide || !name.starts_with("net.")));
            prop_assert!(reaches, "{what}");
        }
        Site::KubeProxy => {
            let writes = ["nf_conntrack_max", "nf_conntrack_tcp_timeout_established"];
            let its = writes.iter().any(|end| name.ends_with(end));
            prop_assert!((place.node || place.kind == Kind::Pod) && its, "{what}");
        }
        Site::Node => prop_assert!(!matches!(place.kind, Kind::Host | Kind::Unknown), "{what}"),
        Site::Tuned => prop_assert!(matches!(place.kind, Kind::Host | Kind::Unknown), "{what}"),
        other => prop_assert!(false, "no sysctl is changed at {other:?}: {what}"),
    }
    Ok(())
}

/// Once a sysctl has its new value, the same fix asks for nothing more of it.
fn settles(rule: &Rule, finding: &Finding, action: &Action, facts: &Facts, place: &Place) -> Result<(), TestCaseError> {
    let Edit::Sysctl(SysctlEdit { name, new, .. }) = &action.edit else { return Ok(()) };
    // What is raised in steps of itself, as long as it is nearly used up, settles with its use.
    let own = |change: &Change| matches!(change, Change::Raise(bound) if bound.of.and_then(|of| of.strip_prefix("sysctl.")) == Some(name));
    if rule.fix.sysctl.iter().any(|fix| fix.name == *name && own(&fix.change)) {
        return Ok(());
    }
    let mut after = facts.clone();
    after.put(format!("sysctl.{name}"), Ok(new.clone()), "/proc");
    let again = actions(rule, finding, &Wishes::default(), Situation { facts: &after, place, catalogue: catalogue() });
    let same = again.iter().find(|again| matches!(&again.edit, Edit::Sysctl(other) if other.name == *name));
    prop_assert!(same.is_none(), "after {:?} comes {:?}", action.edit, same.map(|action| &action.edit));
    Ok(())
}

fn config() -> ProptestConfig {
    let told = ProptestConfig::default();
    let rng_seed = if told.rng_seed == RngSeed::Random { RngSeed::Fixed(65_535) } else { told.rng_seed };
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if asked { told.cases } else { 500 }, rng_seed, failure_persistence: None, ..told }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_fix_never_lowers_never_drops_and_fits_its_place(machine in machine()) {
        let facts = machine.facts();
        let place = &machine.place;
        let context = Context { facts: &facts, place, catalogue: catalogue(), role: machine.load.role };
        for finding in evaluate(rules().iter(), context) {
            let rule = rules().get(finding.rule).unwrap();
            let situation = Situation { facts: &facts, place, catalogue: catalogue() };
            let actions = actions(rule, &finding, &Wishes::default(), situation);
            for (index, action) in actions.iter().enumerate() {
                let whole = || {
                    never_lowers(rule, action, &facts)?;
                    nofile_never_lowers(action, &facts)?;
                    nofile_comes_down_where_it_is_too_high(action, &facts)?;
                    fits_the_place(rule, action, &actions[..index], place)?;
                    settles(rule, &finding, action, &facts, place)
                };
                whole().map_err(|error: TestCaseError| TestCaseError::fail(format!("{}: {error}", rule.id)))?;
            }
        }
    }
}

/// The random machines reach every change that a built-in rule can make; else the property above says nothing of it.
#[test]
fn the_random_machines_reach_every_sysctl_of_every_fix() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let strategy = machine();
    let all =
        rules().iter().flat_map(|rule| rule.fix.sysctl.iter().map(|fix| (rule.id.to_owned(), fix.name.to_owned())));
    let mut missing: BTreeSet<(String, String)> = all.collect();
    let (mut nofile, mut lowered, mut removed) = (false, false, false);
    for _ in 0..600 {
        let machine = strategy.new_tree(&mut runner).unwrap().current();
        let (facts, place) = (machine.facts(), &machine.place);
        let context = Context { facts: &facts, place, catalogue: catalogue(), role: machine.load.role };
        for finding in evaluate(rules().iter(), context) {
            let rule = rules().get(finding.rule).unwrap();
            for action in
                actions(rule, &finding, &Wishes::default(), Situation { facts: &facts, place, catalogue: catalogue() })
            {
                match action.edit {
                    Edit::Sysctl(edit) => _ = missing.remove(&(rule.id.to_owned(), edit.name)),
                    Edit::Nofile(_) => nofile = true,
                    Edit::LowerNofile(_) => lowered = true,
                    Edit::RemoveLine { .. } => removed = true,
                    Edit::AllowUnsafe { .. } | Edit::Ndots(_) | Edit::Advice => {}
                }
            }
        }
    }
    assert!(
        missing.is_empty() && nofile && lowered && removed,
        "never reached: {missing:?}, nofile {nofile}, lowered {lowered}, removal {removed}"
    );
}
