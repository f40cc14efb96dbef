//! How programs have to be set for one pod's share of the traffic, in their own words.
//!
//! Every name and default was read in the program's own source or seen while it ran. A number is never below what the
//! share takes, and a limit on what others may do is never below the program's default.

mod clients;
mod servers;

use crate::model::sizing::Setting;
use crate::model::traffic::{Protocol, Traffic};
use crate::model::workload::Role;

/// The largest number of an option that is an int: Java's and the kernel's backlog are, and no program means more.
const MOST: u64 = i32::MAX as u64;

/// The settings of clients' pools and of servers.
pub fn settings(traffic: &Traffic) -> Vec<Setting> {
    let mut settings = clients::settings(traffic);
    settings.extend(servers::settings(traffic));
    settings
}

/// A number that every option takes: neither 0, which often is "no limit", nor more than an int holds.
fn int(number: u64) -> u64 {
    number.clamp(1, MOST)
}

/// Requests on one connection that the traffic opens; `None` for HTTP/1.1 and where nothing is opened.
fn outgoing_streams(traffic: &Traffic) -> Option<u64> {
    (traffic.role != Role::Server && traffic.protocol == Protocol::H2).then(|| int(traffic.streams))
}

/// Requests on one connection that arrives; `None` for HTTP/1.1 and where none arrives.
fn incoming_streams(traffic: &Traffic) -> Option<u64> {
    match traffic.role {
        Role::Client => None,
        Role::Server => (traffic.protocol == Protocol::H2).then(|| int(traffic.streams)),
        Role::Gateway => (traffic.incoming_streams > 1).then(|| int(traffic.incoming_streams)),
    }
}

#[cfg(test)]
mod tests;
