//! What is typed for an audit of something else than what a shell was given.

use clap::Args;

use super::super::values::unit;

/// What else an audit can be of. `fix` knows a unit as the one that carries the load.
#[derive(Args, Clone, Debug, Default)]
pub(in super::super) struct TargetArgs {
    /// Audit the main process of this systemd service
    #[arg(long, value_name = "UNIT", help_heading = "What to read", group = "source", value_parser = unit)]
    pub(in super::super) unit: Option<String>,
    /// Audit the machine and every container and network namespace on it; with --name, where that runs
    #[arg(long, help_heading = "What to read", conflicts_with_all = ["snapshot", "root", "sysctl", "pid", "container", "pod", "unit", "sample", "interval", "count", "h2"])]
    pub(in super::super) all: bool,
}
