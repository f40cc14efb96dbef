//! Whole machines: what is put into their files is in force after a boot.
//!
//! The trials are of the same kind as the hard places, and take more time: a root file system is made of packages, and
//! systemd boots from it, in a container or on a kernel of its own.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test starts programs, writes files, and fails by panicking"
)]

mod debian;
#[allow(dead_code, reason = "the hard places use the rest")]
#[path = "../support/harness.rs"]
mod harness;
mod kills;
#[path = "../support/leftovers.rs"]
mod leftovers;
#[path = "../support/needs.rs"]
mod needs;
mod nspawn;
mod reboot;
#[allow(dead_code, reason = "the hard places use the rest")]
#[path = "../support/report.rs"]
mod report;
mod services;
mod vm;
mod watch;

fn main() {
    let mut places = vec![reboot::PLACES, services::PLACES, watch::PLACES];
    // Hundreds of kills take many minutes: they are asked for by their number.
    if std::env::var_os("TUNECHECK_KILLS").is_some() {
        places.push(kills::PLACES);
    }
    harness::main(&places);
}
