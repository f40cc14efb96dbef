//! Hard places, each the real thing: namespaces, containers, a real sshd, a full pipe, a damaged recording.
//!
//! A trial is a function that runs in a process of its own, inside the namespaces that it names. What it mounts, sets
//! or listens on ends with that process, and the harness looks afterwards whether anything stayed behind.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test starts programs, writes files, and fails by panicking"
)]

mod ansible;
mod containers;
mod engine;
mod engines;
mod fix;
mod harness;
mod leftovers;
mod limits;
mod namespaces;
#[path = "../support/needs.rs"]
mod needs;
mod output;
mod overflow;
mod readonly;
mod recordings;
mod report;
mod ssh;
mod sysctl_files;
mod units;

fn main() {
    harness::main(&[
        namespaces::PLACES,
        containers::PLACES,
        fix::PLACES,
        ssh::PLACES,
        overflow::PLACES,
        sysctl_files::PLACES,
        limits::PLACES,
        output::PLACES,
        readonly::PLACES,
        recordings::PLACES,
        leftovers::PLACES,
        engines::PLACES,
        units::PLACES,
        ansible::PLACES,
    ]);
}
