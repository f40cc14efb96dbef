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
mod boot_files;
mod boot_trees;
mod ceilings;
mod confinement;
mod containers;
mod counted;
mod descriptors;
mod diff;
mod engine;
mod engines;
mod faults;
mod fix;
mod fleet;
#[allow(dead_code, reason = "whole machines use the rest")]
#[path = "../support/harness.rs"]
mod harness;
mod hidden;
mod hostile;
mod interfaces;
#[path = "../support/leftovers.rs"]
mod leftovers;
mod limits;
mod listeners;
mod manifests;
mod namespaces;
#[path = "../support/needs.rs"]
mod needs;
mod output;
mod overflow;
mod page;
mod peers;
mod pools;
mod ports;
mod quotas;
mod readonly;
mod recordings;
#[path = "../support/report.rs"]
mod report;
mod runtimes;
mod screen;
mod servers;
mod service;
mod ssh;
mod sysctl_files;
mod tidiness;
mod unit_trees;
mod units;
mod unix;
mod watch;

fn main() {
    let mut places = vec![
        namespaces::PLACES,
        confinement::PLACES,
        faults::PLACES,
        containers::PLACES,
        fix::PLACES,
        screen::PLACES,
        service::PLACES,
        ssh::PLACES,
        overflow::PLACES,
        ceilings::PLACES,
        diff::PLACES,
        ports::PLACES,
        quotas::PLACES,
        sysctl_files::PLACES,
        limits::PLACES,
        counted::PLACES,
        hidden::PLACES,
        interfaces::PLACES,
        descriptors::PLACES,
        output::PLACES,
        readonly::PLACES,
        recordings::PLACES,
        tidiness::PLACES,
        engines::PLACES,
        unit_trees::PLACES,
        units::PLACES,
        unix::PLACES,
        ansible::PLACES,
        boot_files::PLACES,
        boot_trees::PLACES,
        watch::handshakes::PLACES,
        watch::connections::PLACES,
        watch::quota::PLACES,
        watch::passing::PLACES,
        watch::sampling::PLACES,
        watch::steady::PLACES,
        listeners::PLACES,
        manifests::PLACES,
        runtimes::PLACES,
        servers::PLACES,
        page::PLACES,
        pools::PLACES,
        peers::PLACES,
    ];
    places.extend(fleet::PLACES);
    if std::env::var_os("TUNECHECK_FAULTS").is_some() {
        places.push(faults::SWEEPS);
    }
    places.extend(hostile::PLACES);
    harness::main(&places);
}
