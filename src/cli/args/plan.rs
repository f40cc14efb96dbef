//! What is typed to plan a load.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Color, SourceArgs};
use crate::cli::values::{bits, count, count_or_none, rate, time, unit};
use crate::model::traffic::Protocol;
use crate::model::workload::Role;

pub(super) const EXAMPLES: &str = "\
Examples:
  tunecheck plan --role client --rps 500 --latency 1s --duration-of-stream 20s --pods 10
  tunecheck plan --role server --concurrency 100000 --protocol h2 --streams 100 --nodes 4 --pods 8
  tunecheck plan --concurrency 30k --latency 20s --response-bytes 20k --request-bytes 4k --link 10G
  tunecheck plan --role client --concurrency 100000 --h2 https://api.example.com    with as many streams as it takes
  tunecheck plan --solve --port 8080                 how much this machine carries, and which limit binds first
  tunecheck plan --solve --snapshot node-a.tar.gz --role gateway
  tunecheck plan --rps 500 --latency 20s --format yaml > load.yaml
  tunecheck --workload load.yaml; tunecheck fix --workload load.yaml
  tunecheck plan --solve --format html > capacity.html

Requests in flight are rate x duration (Little's law): 500 requests/s of 20 s are 10,000 at any moment.

Exit codes: 0 printed; 2 tunecheck could not do its work. To be stopped by a limit, audit with the workload file.";

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct PlanArgs {
    #[command(flatten)]
    pub(in crate::cli) traffic: TrafficArgs,
    /// How much of this traffic a machine carries: this one, or what is named under "What to read"
    #[arg(long, help_heading = "What to read")]
    pub(in crate::cli) solve: bool,
    #[command(flatten)]
    pub(in crate::cli) source: SourceArgs,
    /// Look at the main process of this service: its limits, network namespace and cgroup
    #[arg(long, value_name = "UNIT", help_heading = "What to read", group = "source", value_parser = unit)]
    pub(in crate::cli) unit: Option<String>,

    /// table for people; html, a page with a chart; yaml or json, a file for --workload
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub(in crate::cli) format: PlanFormat,
    /// Colour: auto asks the terminal and NO_COLOR
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    pub(in crate::cli) color: Color,
}

/// What clients ask of the service, all pods together.
#[derive(Args, Clone, Debug, Default)]
pub(in crate::cli) struct TrafficArgs {
    /// The side of the connections: client opens, server accepts, gateway does both
    #[arg(long, value_enum, help_heading = "Traffic", conflicts_with = "workload")]
    pub(in crate::cli) role: Option<RoleWord>,
    /// client, server, gateway, or a YAML file, as an audit takes it or plan --format yaml wrote it
    #[arg(long, value_name = "ROLE|FILE", help_heading = "Traffic")]
    pub(in crate::cli) workload: Option<String>,
    /// Requests in flight at the same time, open streams among them
    #[arg(long, value_name = "N", help_heading = "Traffic", value_parser = count, conflicts_with = "connections")]
    pub(in crate::cli) concurrency: Option<u64>,
    /// Connections open at the same time, instead of requests
    #[arg(long, value_name = "N", help_heading = "Traffic", value_parser = count, conflicts_with = "rps")]
    pub(in crate::cli) connections: Option<u64>,
    /// Requests per second
    #[arg(long, value_name = "N", help_heading = "Traffic", value_parser = rate)]
    pub(in crate::cli) rps: Option<u64>,
    /// Time that a request takes to its end; to the first byte of its stream with --duration-of-stream, where it may be left out
    #[arg(long, value_name = "TIME", help_heading = "Traffic", value_parser = time)]
    pub(in crate::cli) latency: Option<Duration>,
    /// Time that a response streams, on top of --latency
    #[arg(long, value_name = "TIME", help_heading = "Traffic", value_parser = time)]
    pub(in crate::cli) duration_of_stream: Option<Duration>,
    /// h1: one request at a time on each connection; h2: one on each stream
    #[arg(long, value_enum, help_heading = "Traffic")]
    pub(in crate::cli) protocol: Option<ProtocolWord>,
    /// Requests on one HTTP/2 connection at the same time; 100 if h2 is all that is said
    #[arg(long, value_name = "N", help_heading = "Traffic", value_parser = count)]
    pub(in crate::cli) streams: Option<u64>,
    /// Requests on one connection that a gateway accepts, where those are HTTP/2; 1 unless it is said
    #[arg(long, value_name = "N", help_heading = "Traffic", value_parser = count)]
    pub(in crate::cli) incoming_streams: Option<u64>,
    /// Connections are kept and used again (the default)
    #[arg(long, help_heading = "Traffic", conflicts_with = "short_lived")]
    pub(in crate::cli) keepalive: bool,
    /// Every request has a connection of its own
    #[arg(long, help_heading = "Traffic")]
    pub(in crate::cli) short_lived: bool,
    /// New connections before the application calls accept() again; a tenth of all, or half a second of short-lived ones
    #[arg(long, value_name = "N", help_heading = "Traffic", value_parser = count)]
    pub(in crate::cli) burst: Option<u64>,
    /// Outgoing connections, where they differ from what the role implies
    #[arg(long, value_name = "N", help_heading = "Traffic", value_parser = count_or_none)]
    pub(in crate::cli) outgoing: Option<u64>,
    /// Ports on which the service listens
    #[arg(long, value_name = "PORT", value_delimiter = ',', help_heading = "Traffic", value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) port: Vec<u16>,

    /// Bytes of one response (20k is 20,000)
    #[arg(long, value_name = "N", help_heading = "Sizes", value_parser = count)]
    pub(in crate::cli) response_bytes: Option<u64>,
    /// Bytes of one request
    #[arg(long, value_name = "N", help_heading = "Sizes", value_parser = count)]
    pub(in crate::cli) request_bytes: Option<u64>,
    /// Bytes that a streamed response sends at once, as the event of one token
    #[arg(long, value_name = "N", help_heading = "Sizes", value_parser = count, requires = "response_bytes")]
    pub(in crate::cli) chunk_bytes: Option<u64>,
    /// Speed of a node's network link (10G, 2500M)
    #[arg(long, value_name = "BITS", help_heading = "Sizes", value_parser = bits)]
    pub(in crate::cli) link: Option<u64>,

    /// Pods that share the traffic evenly
    #[arg(long, value_name = "N", help_heading = "Spread", value_parser = count)]
    pub(in crate::cli) pods: Option<u64>,
    /// Nodes that share the pods evenly
    #[arg(long, value_name = "N", help_heading = "Spread", value_parser = count)]
    pub(in crate::cli) nodes: Option<u64>,
    /// Different address:port pairs that outgoing connections go to
    #[arg(long, value_name = "N", help_heading = "Spread", value_parser = count)]
    pub(in crate::cli) destinations: Option<u64>,
    /// Addresses of one pod that its outgoing connections are bound to
    #[arg(long, value_name = "N", help_heading = "Spread", value_parser = count)]
    pub(in crate::cli) source_addresses: Option<u64>,
    /// Public addresses of the NAT gateway that outgoing connections pass
    #[arg(long, value_name = "N", help_heading = "Spread", value_parser = count)]
    pub(in crate::cli) nat_addresses: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum PlanFormat {
    #[default]
    Table,
    Json,
    Yaml,
    Html,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum RoleWord {
    Client,
    Server,
    Gateway,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Client => Self::Client,
            RoleWord::Server => Self::Server,
            RoleWord::Gateway => Self::Gateway,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ProtocolWord {
    H1,
    H2,
}

impl From<ProtocolWord> for Protocol {
    fn from(word: ProtocolWord) -> Self {
        match word {
            ProtocolWord::H1 => Self::H1,
            ProtocolWord::H2 => Self::H2,
        }
    }
}
