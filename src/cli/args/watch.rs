//! What is typed for `watch`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::values::duration;
use super::{Color, LoadArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  tunecheck watch                                  a live screen: every limit, worst first
  tunecheck watch --format ndjson --duration 1m    one JSON object a second
  tunecheck watch -- k6 run load.js                run a load test; then which limit was hit first, and what to change
  tunecheck watch --workload gateway --destinations 2 --fail-on fail -- wrk -c 5000 -d 30s http://10.0.0.5/
  tunecheck watch --format markdown --output verdict.md -- oha -n 100000 http://127.0.0.1:8080/

The command has this program's input, output and signals; the verdict goes to standard error, or to --output.
Local ports are watched where the declared load opens connections: --workload client or gateway, or --outgoing.
Exit codes: that of the command (128 and the signal that ended it); else 1 if --fail-on trips, 2 if the command could
not be started or watching failed.";

#[derive(Args, Clone, Debug)]
pub(in super::super) struct WatchArgs {
    #[command(flatten)]
    pub(in super::super) load: LoadArgs,
    /// Add or replace rules by id (a file or a directory; may be repeated)
    #[arg(long, value_name = "PATH", help_heading = "What to read")]
    pub(in super::super) rules: Vec<PathBuf>,
    /// Time from one reading to the next: a second, and a fifth of one around a command
    #[arg(long, value_name = "TIME", help_heading = "What to read", value_parser = duration)]
    pub(in super::super) interval: Option<Duration>,
    /// Stop after this time, where there is no command; without it, never
    #[arg(long, value_name = "TIME", help_heading = "What to read", value_parser = duration, conflicts_with = "command")]
    pub(in super::super) duration: Option<Duration>,
    /// Go on after the command has ended, while the load settles
    #[arg(long, value_name = "TIME", help_heading = "What to read", value_parser = duration, default_value = "1s")]
    pub(in super::super) settle: Duration,

    /// auto: a table after a command, else the screen on a terminal and ndjson elsewhere
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub(in super::super) format: WatchFormat,
    /// Colour: auto asks the terminal and NO_COLOR
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    pub(in super::super) color: Color,
    /// Write into this file instead: a new one takes the place of one that is there, /dev/stdout and FIFOs are written to,
    /// and a link that another user may have put there is refused
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(in super::super) output: Option<PathBuf>,
    /// Exit 1, where the command succeeded, if a limit was hit or was used up before
    #[arg(long, value_enum, default_value_t, value_name = "OUTCOME", help_heading = "Output")]
    pub(in super::super) fail_on: WatchGate,
    /// The command to run, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(in super::super) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum WatchFormat {
    #[default]
    Auto,
    /// A live screen
    Screen,
    /// One JSON object a reading
    Ndjson,
    /// The verdict for people
    Table,
    /// The verdict for programs
    Json,
    /// The verdict for a pull request
    Markdown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in super::super) enum WatchGate {
    #[default]
    Never,
    /// A limit was hit at which somebody is refused
    Fail,
    /// Also one at which nobody is
    Warn,
    /// Also one that could not be read
    Unknown,
}
