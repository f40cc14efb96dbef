//! Plain data that every other module speaks: facts, rules, places, findings, reports.

pub mod action;
pub mod catalogue;
pub mod check;
pub mod diff;
pub mod fact;
pub mod facts;
pub mod finding;
pub mod fix;
pub mod fleet;
pub mod listener;
pub mod manifest;
pub mod peer;
pub mod place;
pub mod pod_sysctl;
pub mod ports;
pub mod recorded;
pub mod report;
pub mod rule;
pub mod sysctl;
pub mod text;
pub mod version;
pub mod watch;
pub mod window;
pub mod workload;
