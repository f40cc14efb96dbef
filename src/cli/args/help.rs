use clap::Subcommand;

pub(in super::super) const EXAMPLES: &str = "\
Examples:
  tunecheck help limits       how much of everything is read and followed, why, and what happens beyond it
  tunecheck help probe h2     the same as: tunecheck probe h2 --help";

/// What help is about.
#[derive(Clone, Debug, Subcommand)]
pub(in super::super) enum HelpTopic {
    /// How much of everything is read, kept and followed at most, why, and what happens beyond it
    Limits,
    /// A command
    #[command(external_subcommand)]
    Command(Vec<String>),
}
