//! How a report for people is to look.

/// How the report is to look.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns to fill.
    pub width: u16,
    /// Rows of the terminal; passes fold to one line if they would not fit.
    pub height: Option<u16>,
    /// Whether to colour.
    pub colour: bool,
    /// Only what failed, warned, or could not be checked.
    pub only_failed: bool,
    /// Everything, with provenance.
    pub verbose: bool,
}
