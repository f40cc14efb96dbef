//! Ports of NAT gateways, for people: no audit can read them.

use crate::model::page::Page;

/// What `explain` says of limits that only a plan knows.
pub const PAGES: &[Page] = &[Page {
    id: "plan/nat-ports",
    title: "A NAT gateway has ports for the connections toward one destination",
    symptoms: &["ErrorPortAllocation", "SNAT port exhaustion", "nat_allocation_failed", "^OUT_OF_RESOURCES$"],
    why: "A NAT gateway gives each connection a port of one of its public addresses, for each destination address and port apart: \
          about 55,000 for an address at AWS, 64,512 at most anywhere. Some clouds allot ports to each VM beforehand, 64 at Google \
          Cloud NAT by default and 1,024 at most at Azure Load Balancer. A connection that has ended keeps its port for a while more. \
          No machine behind the gateway can see the count: it is the gateway's metric that says it.",
    change: "tunecheck plan --role client --nat-addresses N with your load says how many addresses and ports per VM it takes. Fewer: \
             kept connections, HTTP/2, or more destination addresses",
}];
