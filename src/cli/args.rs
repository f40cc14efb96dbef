//! What is typed. What it means is decided in `settings`.

mod diff;
mod help;
mod manifest;
mod plan;
mod probe;
mod rules;
mod targets;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use diff::{DiffArgs, DiffFailOn, DiffFormat};
pub(super) use help::HelpTopic;
pub(super) use manifest::{ManifestArgs, ManifestFormat};
pub(super) use plan::{PlanArgs, PlanFormat, ProtocolWord, TrafficArgs};
pub(super) use probe::{AskArgs, PeerArgs, ProbeArgs, ProbeCommand};
pub(super) use rules::RulesCommand;
pub(super) use targets::TargetArgs;
pub(super) use watch::{WatchArgs, WatchFormat, WatchGate};

use super::values::{Pid, count, count_or_none, duration, pid, pod, rate, release, targets, unit};
use crate::model::version::Version;

const EXAMPLES: &str = "\
Examples:
  tunecheck                                        audit here with the default workload (a server of 6,000 connections)
  tunecheck --connections 30000 --burst 2000 --port 8080
  tunecheck --workload gateway --destinations 4
  tunecheck --format json --fail-on warn           a CI gate: exit 1 on any warn or fail
  tunecheck --unit gateway                         the main process of a service: its limits, not this shell's
  tunecheck --all                                  the machine and every container and network namespace on it
  tunecheck --workload client --streams 100 --h2 https://api.example.com     also by what that peer allows
  tunecheck fix --to script > fix.sh               what to change, as a script that can undo it
  tunecheck explain EADDRNOTAVAIL                  what an error means and what to change
  tunecheck snapshot /tmp/node-a                   record; replay with: tunecheck --snapshot /tmp/node-a

Exit codes: 0 the gate holds, 1 the gate trips, 2 tunecheck could not do its work.
tunecheck opens nothing for writing on the machine it audits. Fixes are printed, never applied.";

const FIX_EXAMPLES: &str = "\
Examples:
  tunecheck fix                                         the plan, to read
  tunecheck fix --connections 30000 --to script > fix.sh
  sh fix.sh plan; sh fix.sh apply; sh fix.sh check; sh fix.sh undo
  tunecheck fix --to systemd --unit gateway.service     a drop-in for the service that carries the load
  tunecheck fix --from report.json --to kubernetes --kubernetes-version 1.34
  tunecheck fix --to script,systemd,ansible --output remedy    files, with a README

Exit codes: 0 printed (also where nothing is wrong), 2 tunecheck could not do its work.";

/// Audits the tuning of this host, container or pod for tens of thousands of connections.
#[derive(Debug, Parser)]
#[command(name = "tunecheck", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true, disable_help_subcommand = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// The arguments of an audit alone. Building the whole command line takes as long as reading ten files, so an audit is
/// tried with this first; whatever it does not take, help and errors included, is for [`Cli`].
#[derive(Debug, Parser)]
#[command(name = "tunecheck", disable_help_flag = true)]
pub(super) struct AuditOnly {
    #[command(flatten)]
    pub(super) audit: AuditArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Audit: which limits hold the declared load, and what to change (the default)
    #[command(after_help = EXAMPLES)]
    Audit(Box<AuditArgs>),
    /// Print what to change, as a script or as files, in the order in which to apply it; applies nothing
    #[command(after_help = FIX_EXAMPLES)]
    Fix(Box<FixArgs>),
    /// Watch limits: a live screen, a JSON object a second, or a command's load test with a verdict at its end
    #[command(after_help = watch::EXAMPLES)]
    Watch(Box<WatchArgs>),
    /// Compare two reports or snapshots: what changed, better or worse
    #[command(after_help = diff::EXAMPLES)]
    Diff(Box<DiffArgs>),
    /// Judge the pods of manifests before they are deployed: fields, sysctls, ports, JVM heaps
    #[command(after_help = manifest::EXAMPLES)]
    Manifest(Box<ManifestArgs>),
    /// Plan a load: what it needs of each limit; with --solve how much of it a machine carries, and what binds first
    #[command(after_help = plan::EXAMPLES)]
    Plan(Box<PlanArgs>),
    /// Ask the other end of the connections what it allows
    Probe {
        #[command(subcommand)]
        command: ProbeCommand,
    },
    /// Say what a log line, an errno, a rule or a check of manifests means, or that it is not known
    #[command(
        after_help = "Examples:\n  tunecheck explain EADDRNOTAVAIL\n  tunecheck explain \"table full, dropping packet\"\n  tunecheck explain conntrack/fill\n  tunecheck explain manifest/unsafe\n  dmesg | tunecheck explain -       every line that is known, each cause once\n  tunecheck explain                 everything that is known, with its symptoms\n  tunecheck explain manual          the tuning manual, and what tunecheck does about it\n  tunecheck explain manual 3.2      one section or row of it\n\nExit codes: 0 known, 1 not known, 2 tunecheck could not do its work."
    )]
    Explain {
        /// A log line, an errno, a rule's id or part of it, a sysctl; - for lines from standard input; or manual, and a
        /// section or row of it
        #[arg(value_name = "RULE|SYMPTOM", num_args = 0..)]
        words: Vec<String>,
        /// Add or replace rules by id (a file or a directory; may be repeated)
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
    },
    /// Record everything an audit reads into a new directory, for --snapshot
    #[command(
        after_help = "Examples:\n  tunecheck snapshot /tmp/node-a && tar czf node-a.tar.gz -C /tmp node-a\n  tunecheck --snapshot node-a.tar.gz\n\nA recording holds kernel settings, counters, listeners and the names of the commands that listen,\nsysctl.d files, TuneD's profile, resolv.conf and the host's name; where many TCP sockets are in use,\nalso the addresses of outgoing connections and of their peers; no command lines, no values of environment variables."
    )]
    Snapshot {
        /// The directory to make
        dir: PathBuf,
        /// Also record what these rules want (a file or a directory; may be repeated)
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
        /// The limits that tunecheck itself was given are meant, and not those of who listens here
        #[arg(long, value_name = "self", value_parser = ["self"])]
        pid: Option<String>,
    },
    /// For people who write rules
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Print the help of a command, or what tunecheck reads and follows at most: help limits
    #[command(after_help = help::EXAMPLES, disable_help_subcommand = true)]
    Help {
        #[command(subcommand)]
        topic: Option<HelpTopic>,
    },
    /// Print the completion script of a shell
    #[command(after_help = "Example:\n  tunecheck completions bash > /etc/bash_completion.d/tunecheck")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page
    #[command(
        after_help = "Examples:\n  tunecheck man > tunecheck.1 && man ./tunecheck.1\n  tunecheck man probe h2 > tunecheck-probe-h2.1"
    )]
    Man {
        /// The page of this command instead of the main one: fix, probe h2, probe-h2
        #[arg(num_args = 0..)]
        command: Vec<String>,
    },
}

#[derive(Args, Clone, Debug, Default)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    pub(super) load: LoadArgs,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) sample: SampleArgs,
    #[command(flatten)]
    pub(super) targets: TargetArgs,

    /// table for people, json for programs
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub(super) format: Format,
    /// Colour: auto asks the terminal and NO_COLOR
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    pub(super) color: Color,
    /// Show only what failed, warned, or could not be checked
    #[arg(long, help_heading = "Output")]
    pub(super) only_failed: bool,
    /// Show everything, with where each value was read; on standard error, what this run is confined to
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(super) verbose: bool,
    /// Exit 1 on: a fail, as without this; warn, also a warn; unknown, also what could not be checked; never. Says on
    /// standard error how much that was
    #[arg(long, value_enum, value_name = "OUTCOME", help_heading = "Output")]
    pub(super) fail_on: Option<FailOn>,
}

/// The declared load.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LoadArgs {
    /// client, server, gateway, or a YAML file
    #[arg(long, value_name = "ROLE|FILE", help_heading = "Workload")]
    pub(super) workload: Option<String>,
    /// Connections open at the same time
    #[arg(long, value_name = "N", help_heading = "Workload", value_parser = count)]
    pub(super) connections: Option<u64>,
    /// New connections that arrive before the application calls accept() again; where it is not said 600 of a server or
    /// gateway and 100 of a client, but not more than the connections
    #[arg(long, value_name = "N", help_heading = "Workload", value_parser = count)]
    pub(super) burst: Option<u64>,
    /// Different address:port pairs that outgoing connections go to
    #[arg(long, value_name = "N", help_heading = "Workload", value_parser = count)]
    pub(super) destinations: Option<u64>,
    /// Addresses of this machine that outgoing connections are bound to
    #[arg(long, value_name = "N", help_heading = "Workload", value_parser = count)]
    pub(super) source_addresses: Option<u64>,
    /// Concurrent HTTP/2 streams on one connection; 1 for HTTP/1.1
    #[arg(long, value_name = "N", help_heading = "Workload", value_parser = count)]
    pub(super) streams: Option<u64>,
    /// Outgoing connections, where they differ from what the role implies
    #[arg(long, value_name = "N", help_heading = "Workload", value_parser = count_or_none)]
    pub(super) outgoing: Option<u64>,
    /// Requests per second that each have a connection of their own: what has ended holds ports and conntrack entries
    #[arg(long, value_name = "N", help_heading = "Workload", value_parser = rate)]
    pub(super) short_lived_per_second: Option<u64>,
    /// Ports on which the service listens: a backlog below the burst is then a failure
    #[arg(long, value_name = "PORT", value_delimiter = ',', help_heading = "Workload", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: Vec<u16>,
}

/// What is read, and by which rules.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SourceArgs {
    /// Replay a recording: a directory, or a .tar.gz of one
    #[arg(long, value_name = "PATH", help_heading = "What to read", groups = ["source", "recorded"])]
    pub(super) snapshot: Option<PathBuf>,
    /// Audit a foreign tree: a sosreport, or a node's root mounted somewhere
    #[arg(long, value_name = "DIR", help_heading = "What to read", groups = ["source", "recorded"])]
    pub(super) root: Option<PathBuf>,
    /// Audit the output of `sysctl -a` in a file, or - for standard input
    #[arg(long, value_name = "FILE", help_heading = "What to read", groups = ["source", "recorded"])]
    pub(super) sysctl: Option<PathBuf>,
    /// Audit this process: its limits, network namespace, cgroup and files; self for tunecheck as it was started
    #[arg(long, value_name = "PID", help_heading = "What to read", group = "source", value_parser = pid)]
    pub(super) pid: Option<Pid>,
    /// Audit the process of this name (* and ? stand for any characters); of several the one that listens
    #[arg(long, value_name = "NAME", help_heading = "What to read", group = "source", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) name: Option<String>,
    /// Audit this container, by its id, the beginning of one, or its name
    #[arg(long, value_name = "ID|NAME", help_heading = "What to read", group = "source", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(super) container: Option<String>,
    /// Audit this pod of the node
    #[arg(long, value_name = "NAMESPACE/NAME", help_heading = "What to read", group = "source", value_parser = pod)]
    pub(super) pod: Option<String>,
    /// Add or replace rules by id (a file or a directory; may be repeated)
    #[arg(long, value_name = "PATH", help_heading = "What to read")]
    pub(super) rules: Vec<PathBuf>,
    /// Accept what a rule finds, whatever it is: it is counted as waived and trips no gate (may be repeated)
    #[arg(long, value_name = "RULE", value_delimiter = ',', help_heading = "What to read")]
    pub(super) waive: Vec<String>,
    #[command(flatten)]
    pub(super) peer: PeerArgs,
}

/// Whether counters are looked at for a while.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SampleArgs {
    /// Look at counters for this long: what rises meanwhile counts as happening (2s, 500ms, 1m)
    #[arg(long, value_name = "TIME", help_heading = "What to read", value_parser = duration, conflicts_with_all = ["recorded", "interval", "count"])]
    pub(super) sample: Option<Duration>,
    /// Time from one reading to the next, with --count
    #[arg(long, value_name = "TIME", help_heading = "What to read", value_parser = duration, conflicts_with = "recorded")]
    pub(super) interval: Option<Duration>,
    /// Readings: the first and the last make the window, the highest use counts
    #[arg(long, value_name = "N", help_heading = "What to read", value_parser = clap::value_parser!(u32).range(2..=100_000), conflicts_with = "recorded")]
    pub(super) count: Option<u32>,
}

#[derive(Args, Clone, Debug)]
pub(super) struct FixArgs {
    #[command(flatten)]
    pub(super) load: LoadArgs,
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Plan for a report that was recorded with --format json (- is standard input), instead of auditing
    #[arg(long, value_name = "REPORT", help_heading = "What to read", group = "source", conflicts_with_all = ["workload", "connections", "burst", "destinations", "source_addresses", "streams", "outgoing", "short_lived_per_second", "port", "h2"])]
    pub(super) from: Option<PathBuf>,

    /// The form of the fix (may be repeated with --output)
    #[arg(long, value_name = "TARGET", value_delimiter = ',', help_heading = "Output", value_parser = targets())]
    pub(super) to: Vec<String>,
    /// Write the files of every target into this new directory, with a README of what to apply where
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(super) output: Option<PathBuf>,
    /// How far to go: what asks for more thought stands in comments
    #[arg(long, value_enum, default_value_t = MaxSafety::Review, value_name = "SAFETY", help_heading = "Output")]
    pub(super) max_safety: MaxSafety,
    /// The oldest kubelet that may run the pods: it decides which sysctls a pod may set (kubectl get nodes)
    #[arg(long, value_name = "RELEASE", help_heading = "Output", value_parser = release)]
    pub(super) kubernetes_version: Option<Version>,
    /// The Pod Security level that the pod's namespace enforces
    #[arg(long, value_enum, default_value_t, value_name = "LEVEL", help_heading = "Output")]
    pub(super) pod_security: PodSecurity,
    /// The systemd service that carries the load (may be repeated)
    #[arg(long, value_name = "UNIT", value_delimiter = ',', help_heading = "Output", value_parser = unit)]
    pub(super) unit: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    #[default]
    Fail,
    Warn,
    Unknown,
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum MaxSafety {
    /// What has no side effect on what works now
    Safe,
    /// Also what has to be read first
    #[default]
    Review,
    /// Also what a person has to decide
    Manual,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum PodSecurity {
    #[default]
    Privileged,
    Baseline,
    Restricted,
}
