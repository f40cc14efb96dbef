//! How much of everything is read, kept and followed at most.

use super::text::hanging;
use crate::model::bounds::{Bound, TABLE};

/// Columns of a number with its unit, and of what stands before the other lines.
const NUMBER: usize = 12;

/// The whole table as text.
pub fn print(width: usize) -> String {
    let mut text = hanging("", ABOUT, width) + "\n";
    for (title, bounds) in TABLE {
        text.push_str(&format!("\n{}\n", title.to_uppercase()));
        for bound in *bounds {
            text.push_str(&row(bound, width));
        }
    }
    text
}

const ABOUT: &str = "What is audited may belong to somebody who wants the audit to take for ever or to use up the memory. \
                     So everything that grows with its input has a limit. What lies beyond one is unknown: never a pass.";

fn row(bound: &Bound, width: usize) -> String {
    let Bound { what, why, reached, .. } = bound;
    let first = hanging(&format!("  {:>NUMBER$}  ", bound.to_string()), what, width);
    let blanks = " ".repeat(NUMBER + 4);
    let rest =
        [("why", why), ("beyond", reached)].map(|(word, words)| hanging(&format!("{blanks}{word:<8}"), words, width));
    format!("{first}\n{}\n{}\n", rest[0], rest[1])
}
