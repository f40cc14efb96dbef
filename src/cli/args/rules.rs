//! What is typed by people who write rules.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RulesCommand {
    /// List the rules
    List {
        /// Add or replace rules by id (a file or a directory; may be repeated)
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
    },
    /// Say everything about one rule
    Show {
        /// The rule's id
        id: String,
        /// Add or replace rules by id (a file or a directory; may be repeated)
        #[arg(long, value_name = "PATH")]
        rules: Vec<PathBuf>,
    },
    /// Check rule files and run their examples; without a path, the built-in rules
    Check {
        /// Files or directories
        paths: Vec<PathBuf>,
    },
    /// List every fact that a rule can name, with unit, scope and source
    Facts,
    /// Print the JSON Schema of a rule file
    Schema {
        /// The schema of a report instead
        #[arg(long, group = "of")]
        report: bool,
        /// The schema of what diff prints as JSON instead
        #[arg(long, group = "of")]
        diff: bool,
        /// The schema of what manifest prints as JSON instead
        #[arg(long, group = "of")]
        manifest: bool,
        /// The schema of a line that watch prints instead
        #[arg(long, group = "of")]
        tick: bool,
        /// The schema of what watch prints as JSON at the end instead
        #[arg(long, group = "of")]
        verdict: bool,
        /// The schema of what plan prints as JSON instead
        #[arg(long, group = "of")]
        plan: bool,
        /// The schema of what --all prints as JSON instead
        #[arg(long, group = "of")]
        fleet: bool,
        /// The schema of what probe prints as JSON instead
        #[arg(long, group = "of")]
        peer: bool,
    },
}
