//! tunecheck audits the tuning of Linux hosts, containers and Kubernetes pods that hold tens of thousands of
//! connections: will it carry the declared load, which limit binds first, what proves it, and what to change, where.
//!
//! ```text
//!  rules/*.yaml ──build──► built-in rules ─┐
//!  --rules DIR  ──────────► user rules ────┴─► RuleSet ──────────────┐
//!                               │ wanted facts                       │
//!  machine ─┐                   ▼                                    ▼
//!           ├─► Host ──► facts::gather ──► Facts ──► Place ──► evaluate ──► Findings ──► remedy ──► Report ──► report
//!  snapshot ┘                                ▲                                                        │
//!  workload flags or file ───────────────────┘                     recorded report ──► remedy::Plan ◄─┘
//!                                                                                          └──► remedy::target
//!                                    two recorded reports ──► compare ──► Diff ──► report::diff
//!                          traffic, facts ──► capacity ──► Sizing ──► report::plan
//!                                    manifests ──► manifest ──► Manifests ──► report::manifest
//!                          log line, topics of rules and checks ──► symptoms ──► Answer ──► report::explain
//! ```
//!
//! One direction, no back edges. Only [`host`] touches the machine; everything after it is a pure function, so the
//! same bytes give the same report on a laptop, in CI and in a bug report.
//!
//! | word | meaning |
//! |---|---|
//! | host | what is read: the live machine, a snapshot, a foreign tree, a sysctl dump |
//! | fact | one named value with unit and provenance: `sysctl.net.core.somaxconn` |
//! | reading | a value, or the reason why there is none |
//! | place | where the audit stands: host, network namespace, container, pod |
//! | workload | what the machine is asked to carry, in connections: the load of one pod |
//! | traffic | what clients ask of all pods of a service, in requests, seconds and bytes; the workload follows from it |
//! | limit | something that is used up, of a process, a pod, a node or a NAT gateway |
//! | need | how much of a limit the traffic takes, with the formula in words |
//! | capacity | how many requests in flight the limits of a machine carry |
//! | sizing | needs, settings and capacity: what the command `tunecheck plan` prints |
//! | rule | when it applies, which fact, which bound, why, what to do, worked examples |
//! | manual | the tuning manual that the rules encode, row by row, with verbs and departures |
//! | outcome | pass, warn, fail, unknown, not-applicable, waived |
//! | finding | rule, subject, outcome, now, want, evidence, owner, fix |
//! | evidence | counters and usage that prove or disprove pressure, with the window they cover |
//! | peer | the server of HTTP/2 behind a URL that the user names: nothing is sent to anybody else |
//! | fix | actions as data: what to change in this place, who, cost, safety, effect, proof, undo |
//! | site | where a change has to be made: this host, a unit, the pod's manifest, the kubelet, kube-proxy, ... |
//! | plan | the changes of all findings, each once, in order, by site: what the command `tunecheck fix` prints |
//! | target | a form in which a plan is written: a script, sysctl.d, systemd, docker, kubernetes, ansible, a node platform |
//! | diff | what changed from one audit to another, finding by finding: worse, appeared, better, gone, ... |
//! | manifest | objects for Kubernetes in YAML or JSON, before they are deployed |
//! | fault | what is wrong at a place in a manifest |
//! | symptom | what people see when a limit is hit: a log line or a phrase, as a pattern |
//! | topic | what can be explained: a rule, or a page |
//! | page | what is explained and is no rule: a check of manifests, a limit that only a plan knows |
//! | snapshot | the raw bytes of everything an audit reads, errors included |

mod audit;
pub mod capacity;
pub mod cli;
pub mod compare;
pub mod evaluate;
pub mod facts;
pub mod host;
pub mod manifest;
pub mod model;
pub mod place;
pub mod remedy;
pub mod report;
pub mod rules;
pub mod symptoms;
mod watch;

pub use audit::{NoSuchRule, NothingReadable, Read, audit, read, read_more, recalled};
