//! What is typed to compare two audits.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Color, LoadArgs};

pub(super) const EXAMPLES: &str = "\
Examples:
  tunecheck --format json > before.json; sh fix.sh apply; tunecheck --format json > after.json
  tunecheck diff before.json after.json
  tunecheck diff baseline.json node-a.tar.gz --fail-on new     a CI gate: nothing new is wrong
  tunecheck diff node-a node-b --connections 30000             two snapshots under one load
  tunecheck --format json | tunecheck diff before.json - --format markdown >> comment.md

A snapshot beside a report is audited for the load of that report, unless the options say another.
Totals are subtracted only where both reports name one boot, and one network namespace or cgroup.
Something unknown in B that A could check is never better: it could not be checked any more.

Exit codes: 0 compared, and the gate holds; 1 the gate trips; 2 tunecheck could not do its work.";

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct DiffArgs {
    /// What was: a report of --format json (- is standard input), or a snapshot's folder or .tar.gz
    pub(in crate::cli) a: PathBuf,
    /// What is: likewise
    pub(in crate::cli) b: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) load: LoadArgs,
    /// Audit snapshots also by these rules (a file or a directory; may be repeated)
    #[arg(long, value_name = "PATH", help_heading = "What to read")]
    pub(in crate::cli) rules: Vec<PathBuf>,

    /// table for people, json for programs, markdown for a pull request
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub(in crate::cli) format: DiffFormat,
    /// Colour: auto asks the terminal and NO_COLOR
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    pub(in crate::cli) color: Color,
    /// Exit 1 on: new, a warn or fail where A had neither (WARN -> FAIL is worse, not new); worse, all of new, WARN ->
    /// FAIL, and what could not be checked any more; never
    #[arg(long, value_enum, default_value_t, value_name = "CHANGE", help_heading = "Output")]
    pub(in crate::cli) fail_on: DiffFailOn,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DiffFormat {
    #[default]
    Table,
    Json,
    Markdown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum DiffFailOn {
    New,
    Worse,
    #[default]
    Never,
}
