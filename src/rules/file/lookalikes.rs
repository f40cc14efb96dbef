//! The table of what looks like a symptom and is none, as it is typed.

use serde::Deserialize;

use super::{Problem, kept, parse};
use crate::model::symptom::{Lookalike, Pattern};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LookalikeFile {
    line: String,
    is: String,
    #[serde(default)]
    one_of_several: bool,
}

/// Reads the table of lookalikes.
///
/// # Errors
/// What is no table, or a line that is no pattern, with the line where that is known.
pub fn lookalikes(text: &str) -> Result<Vec<Lookalike>, Problem> {
    let typed: Vec<LookalikeFile> = parse(text)?;
    let meant = |LookalikeFile { line, is, one_of_several }| match Pattern::parse(&line) {
        Ok(_) => Ok(Lookalike { line: kept(line), is: kept(is), is_one_of_several: one_of_several }),
        Err(what) => Err(Problem::at(text, &line, what)),
    };
    typed.into_iter().map(meant).collect()
}
