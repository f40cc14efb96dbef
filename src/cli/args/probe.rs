//! What is typed to ask a peer.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::super::values::{address, duration};
use super::{Color, Format};

pub(super) const EXAMPLES: &str = "\
Examples:
  tunecheck probe h2 https://api.example.com                      every address of the name, each for itself
  tunecheck probe h2 api.example.com --connect 203.0.113.7        this address, by that name
  tunecheck probe h2 https://gateway.internal:8443 --cacert ca.pem
  tunecheck probe h2 http://127.0.0.1:8080                        HTTP/2 in cleartext (h2c, prior knowledge)
  tunecheck probe h2 api.example.com --format json
  tunecheck --workload client --streams 100 --h2 https://api.example.com     judge the load by what the peer allows

Sent are the beginning of a connection (TLS, the preface of HTTP/2, empty SETTINGS and their ACK)
and GOAWAY: no request, and nothing of the URL but its host and port. Names are looked up in
/etc/hosts and by the name servers of /etc/resolv.conf.

Exit codes: 0 every address answered with SETTINGS; 2 one did not, or tunecheck could not do its work.";

#[derive(Debug, Subcommand)]
pub(in super::super) enum ProbeCommand {
    /// Ask a server of HTTP/2 for its SETTINGS: how many requests it takes at a time on one connection, and the like
    #[command(after_help = EXAMPLES)]
    H2(Box<ProbeArgs>),
}

#[derive(Args, Clone, Debug)]
pub(in super::super) struct ProbeArgs {
    /// https://HOST[:PORT], http://HOST[:PORT] for cleartext, or a bare HOST
    #[arg(id = "h2", value_name = "URL")]
    pub(in super::super) url: String,
    #[command(flatten)]
    pub(in super::super) ask: AskArgs,

    /// table for people, json for programs
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub(in super::super) format: Format,
    /// Colour: auto asks the terminal and NO_COLOR
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    pub(in super::super) color: Color,
}

/// A peer beside what is audited.
#[derive(Args, Clone, Debug, Default)]
pub(in super::super) struct PeerArgs {
    /// Ask this server of HTTP/2 for its SETTINGS, and judge the declared load by them (see: tunecheck probe h2 --help)
    #[arg(long, value_name = "URL", help_heading = "Peer")]
    pub(in super::super) h2: Option<String>,
    #[command(flatten)]
    pub(in super::super) ask: AskArgs,
}

/// How a peer is asked.
#[derive(Args, Clone, Debug, Default)]
pub(in super::super) struct AskArgs {
    /// Connect to this address in place of those of the name (may be repeated)
    #[arg(long, value_name = "ADDRESS[:PORT]", help_heading = "Peer", value_parser = address, requires = "h2")]
    pub(in super::super) connect: Vec<(IpAddr, Option<u16>)>,
    /// Trust the certificates in this file of PEM besides the machine's roots
    #[arg(long, value_name = "FILE", help_heading = "Peer", requires = "h2")]
    pub(in super::super) cacert: Option<PathBuf>,
    /// Do not judge the peer's certificate
    #[arg(long, help_heading = "Peer", requires = "h2")]
    pub(in super::super) insecure: bool,
    /// The longest that one address may take, all steps together; 5s if nothing is said
    #[arg(long, value_name = "TIME", help_heading = "Peer", value_parser = duration, requires = "h2")]
    pub(in super::super) timeout: Option<Duration>,
}
