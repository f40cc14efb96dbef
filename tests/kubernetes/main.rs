//! What `tunecheck fix` writes for clusters and their nodes: no pod that a kubelet rejects, no list cut, no value
//! lowered, and every file what its reader takes.

#![allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test starts programs, writes files, and fails by panicking"
)]

mod manifests;
mod merge;
#[path = "../support/needs.rs"]
mod needs;
mod nodes;
mod platforms;
mod pods;
mod proxy;
mod reports;
mod schema;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use libtest_mimic::Arguments;

/// A behaviour, the programs it needs, whether CI has to have them, and its trial.
type Behaviour = (&'static str, &'static [&'static str], bool, fn());

fn main() -> ExitCode {
    let all = [pods::ALL, merge::ALL, proxy::ALL, nodes::ALL, platforms::ALL, schema::ALL, manifests::ALL].concat();
    let trials = all.into_iter().map(|(name, programs, in_ci, run)| {
        let missing: Vec<&str> = programs.iter().filter(|name| !there(name)).copied().collect();
        needs::trial(name, &missing, in_ci && needs::strict(), move || {
            run();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn there(program: &str) -> bool {
    match program {
        schema::KUBECTL => schema::kubectl_knows_components(),
        other => needs::find(other).is_some(),
    }
}
