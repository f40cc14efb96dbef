//! A plan as a workload file: what an audit and another plan read of it, then what was found out. Frozen as
//! `tunecheck.plan/v1`: a change that a reader could notice is a new version beside this one.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::fact::Unit;
use crate::model::sizing::{Amount, Capacity, Move, Need, Sizing};
use crate::model::traffic::Protocol;
use crate::report::json::text;
use crate::report::text::sanitized;

const SCHEMA: &str = "tunecheck.plan/v1";

#[derive(Serialize, JsonSchema)]
#[schemars(title = "tunecheck plan")]
struct PlanV1<'a> {
    /// Always `tunecheck.plan/v1`.
    schema: &'static str,
    /// The version of tunecheck that made it.
    tunecheck: &'static str,
    /// `client`, `server` or `gateway`.
    role: &'static str,
    /// Connections of one pod: those that a client opens, those that others accept.
    connections: u64,
    /// New connections at one pod before accept() is called again.
    burst: u64,
    /// Address:port pairs that outgoing connections go to.
    destinations: u64,
    /// Addresses of one pod that they come from.
    source_addresses: u64,
    /// Requests on one connection at the same time.
    streams: u64,
    /// Outgoing connections of one pod, where the role does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    outgoing: Option<u64>,
    /// Requests per second at one pod that have a connection of their own each; absent where connections are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    short_lived_per_second: Option<f64>,
    /// Ports on which the service listens.
    ports: &'a [u16],
    traffic: TrafficV1,
    /// What the traffic takes of each limit.
    needs: Vec<NeedV1<'a>>,
    /// How programs have to be set for one pod's share.
    settings: Vec<SettingV1<'a>>,
    /// What a machine carries of it; null without one.
    capacity: Option<CapacityV1<'a>>,
}

/// The traffic of all pods together.
#[derive(Serialize, JsonSchema)]
struct TrafficV1 {
    requests_in_flight: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_in_flight: Option<f64>,
    /// `h1` or `h2`.
    protocol: &'static str,
    incoming_streams: u64,
    short_lived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunk_bytes: Option<u64>,
    pods: u64,
    nodes: u64,
    nat_addresses: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_bits_per_second: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct NeedV1<'a> {
    limit: &'a str,
    /// `process`, `pod`, `node` or `NAT gateway`.
    per: &'static str,
    /// `count`, `bytes` or `bits-per-second`.
    unit: String,
    /// Null where an option that was not given would say it.
    need: Option<u64>,
    /// The formula in words, or that option.
    because: Cow<'a, str>,
    /// The rule that audits it.
    rule: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
struct SettingV1<'a> {
    program: &'static str,
    lines: &'a [String],
    note: &'static str,
}

#[derive(Serialize, JsonSchema)]
struct CapacityV1<'a> {
    node: Option<&'a str>,
    source: &'a str,
    notes: &'a [String],
    /// The most requests in flight; null where no limit that was read binds.
    requests_in_flight: Option<u64>,
    /// The limit that binds first comes first.
    limits: Vec<LimitV1<'a>>,
    /// Limits that this machine does not have.
    unlimited: Vec<WhyV1<'a>>,
    /// Limits that could not be read.
    unknown: Vec<WhyV1<'a>>,
    /// One change, then one more, and what each buys.
    steps: Vec<StepV1<'a>>,
    /// Limits that still stand below what is asked for once the last step is made.
    standing: Vec<StandingV1<'a>>,
}

#[derive(Serialize, JsonSchema)]
struct LimitV1<'a> {
    limit: &'a str,
    per: &'static str,
    unit: String,
    rule: Option<&'static str>,
    /// Null where it is unlimited.
    now: Option<u64>,
    source: &'a str,
    /// What the declared traffic takes.
    need: Option<u64>,
    /// Requests in flight; null where it is more than anybody can mean.
    carries: Option<u64>,
    /// Requests per second at that; null where nothing says a rate.
    requests_per_second: Option<f64>,
    slow_from: Option<u64>,
    change: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct WhyV1<'a> {
    limit: &'a str,
    why: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct StepV1<'a> {
    /// The limits to move, those that this step adds last.
    moves: Vec<MoveV1<'a>>,
    carries: u64,
    next: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct StandingV1<'a> {
    limit: &'a str,
    unit: String,
    /// What it would have to be.
    need: Option<u64>,
    /// Requests in flight that it carries: as it is, or as far as it goes.
    carries: u64,
    /// Whether that is as far as it goes here.
    ends: bool,
    change: &'a str,
}

#[derive(Serialize, JsonSchema)]
struct MoveV1<'a> {
    limit: &'a str,
    unit: String,
    rule: Option<&'static str>,
    from: Option<u64>,
    to: Option<u64>,
    /// Whether it goes no further.
    ends: bool,
    change: &'a str,
}

/// The plan as JSON.
///
/// # Errors
/// None in practice; the serialiser's type has one.
pub fn json(sizing: &Sizing) -> Result<String, serde_json::Error> {
    text(&plan(sizing), true)
}

/// The plan as YAML.
///
/// # Errors
/// None in practice; the serialiser's type has one.
pub fn yaml(sizing: &Sizing) -> Result<String, serde_yaml::Error> {
    let text = serde_yaml::to_string(&plan(sizing))?;
    // Names and notes come from outside, and YAML writes what reorders or hides text as it is.
    let text = sanitized(&text);
    Ok(format!(
        "# The load of one pod: tunecheck --workload FILE, in that pod. tunecheck plan --workload FILE takes it up again.\n{text}"
    ))
}

/// The JSON Schema of the plan.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(PlanV1<'_>)
}

fn plan(sizing: &Sizing) -> PlanV1<'_> {
    let traffic = &sizing.traffic;
    let load = traffic.workload();
    PlanV1 {
        schema: SCHEMA,
        tunecheck: env!("CARGO_PKG_VERSION"),
        role: load.role.word(),
        connections: load.connections,
        burst: load.burst,
        destinations: load.destinations,
        source_addresses: load.source_addresses,
        streams: load.streams,
        outgoing: load.outgoing,
        short_lived_per_second: Some(load.short_lived as f64 / 1000.0).filter(|&rate| rate > 0.0),
        ports: &traffic.ports,
        traffic: TrafficV1 {
            requests_in_flight: traffic.concurrency,
            // Thousandths and microseconds: exact up to 2^53.
            requests_per_second: traffic.rate.map(|rate| rate as f64 / 1000.0),
            seconds_in_flight: traffic.microseconds.map(|time| time as f64 / 1e6),
            protocol: match traffic.protocol {
                Protocol::H1 => "h1",
                Protocol::H2 => "h2",
            },
            incoming_streams: traffic.incoming_streams,
            short_lived: traffic.short_lived,
            response_bytes: traffic.response_bytes,
            request_bytes: traffic.request_bytes,
            chunk_bytes: traffic.chunk_bytes,
            pods: traffic.pods,
            nodes: traffic.nodes,
            nat_addresses: traffic.nat_addresses,
            link_bits_per_second: traffic.link_bits,
        },
        needs: sizing.needs.iter().filter_map(need).collect(),
        settings: sizing
            .settings
            .iter()
            .map(|setting| SettingV1 { program: setting.program, lines: &setting.lines, note: setting.note })
            .collect(),
        capacity: sizing.capacity.as_ref().map(capacity),
    }
}

fn need(need: &Need) -> Option<NeedV1<'_>> {
    let (amount, because) = match &need.amount {
        Amount::None => return None,
        Amount::Unsaid(option) => (None, Cow::Owned(format!("{option} would say it"))),
        Amount::Of(amount, because) => (plain(*amount), Cow::Borrowed(because.as_str())),
    };
    let unit = need.unit.to_string();
    Some(NeedV1 { limit: need.limit, per: need.per.word(), unit, need: amount, because, rule: need.rule })
}

fn capacity(capacity: &Capacity) -> CapacityV1<'_> {
    let unit = |unit: Unit| unit.to_string();
    let limits = capacity.carried.iter().map(|limit| LimitV1 {
        limit: limit.limit,
        per: limit.per.word(),
        unit: unit(limit.unit),
        rule: limit.rule,
        now: plain(limit.have),
        source: &limit.source,
        need: plain(limit.need),
        carries: limit.carries,
        requests_per_second: limit.rate.map(|rate| rate as f64 / 1000.0),
        slow_from: limit.slow_from,
        change: limit.change,
    });
    let moved = |one: &Move| MoveV1 {
        limit: one.limit,
        unit: unit(one.unit),
        rule: one.rule,
        from: plain(one.from),
        to: plain(one.to),
        ends: one.ends,
        change: one.change,
    };
    let steps = capacity.steps.iter().map(|step| StepV1 {
        moves: step.moves.iter().map(moved).collect(),
        carries: step.carries,
        next: step.next,
    });
    let standing = capacity.standing.iter().map(|one| StandingV1 {
        limit: one.limit,
        unit: unit(one.unit),
        need: plain(one.need),
        carries: one.carries,
        ends: one.ends,
        change: one.change,
    });
    CapacityV1 {
        node: capacity.node.as_deref(),
        source: &capacity.source,
        notes: &capacity.notes,
        requests_in_flight: capacity.first().and_then(|limit| limit.carries),
        limits: limits.collect(),
        unlimited: capacity.unlimited.iter().map(|(limit, why)| WhyV1 { limit, why }).collect(),
        unknown: capacity.unknown.iter().map(|(limit, gap)| WhyV1 { limit, why: &gap.why }).collect(),
        steps: steps.collect(),
        standing: standing.collect(),
    }
}

/// A number that every reader of JSON and YAML takes; `None` for what is without limit.
fn plain(amount: u128) -> Option<u64> {
    u64::try_from(amount).ok()
}
