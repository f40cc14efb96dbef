//! The heaps of Node and Go against the memory that their container gets.

use super::commands::{Run, program};
use super::pods::fault;
use super::quantity::shown;
use super::shell;
use super::variables::Variable;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};

const MEBIBYTE: f64 = 1_048_576.0;
/// Share of the limit from which on little is left for buffers and code, as rule runtime/node-heap has it.
const MOST_OF_LIMIT: f64 = 0.8;

pub(super) fn judge(
    subject: &str,
    variables: &[(Variable<'_>, Option<String>)],
    runs: &[Run],
    limit: Option<f64>,
    faults: &mut Vec<Fault>,
) {
    let Some(limit) = limit else { return };
    let variable = |name: &str| {
        let (variable, value) = variables.iter().rfind(|(variable, _)| variable.name == name)?;
        Some((value.as_deref()?, variable.mark))
    };
    let of_options = || {
        let (options, mark) = variable("NODE_OPTIONS")?;
        shell::words(options).iter().filter_map(|word| old_space(word)).next_back().map(|bytes| (bytes, mark))
    };
    // The command line wins over the variable.
    if let Some((heap, mark)) = runs.iter().find_map(of_node).or_else(of_options).filter(|(heap, _)| *heap > 0.0) {
        let says = format!("--max-old-space-size is {}, and the container gets {}", shown(heap), shown(limit));
        let told = if heap >= limit {
            Some((Outcome::Fail, format!("{says}: it is killed before V8 collects in earnest")))
        } else if heap >= limit * MOST_OF_LIMIT {
            Some((Outcome::Warn, format!("{says}: buffers, the young generation and code come on top of it")))
        } else {
            None
        };
        if let Some((outcome, says)) = told {
            let change = "at most three quarters of the limit, in MiB, or a higher limit".to_owned();
            faults.push(fault("runtime-memory", outcome, mark, subject.to_owned(), [says, change]));
        }
    }
    if let Some((most, mark)) = variable("GOMEMLIMIT").and_then(|(text, mark)| Some((of_go(text)?, mark)))
        && most >= limit
    {
        let says = format!(
            "GOMEMLIMIT is {}, and the container gets {}: it is killed before Go collects for want of memory",
            shown(most),
            shown(limit)
        );
        let change = "about nine tenths of the limit".to_owned();
        faults.push(fault("runtime-memory", Outcome::Warn, mark, subject.to_owned(), [says, change]));
    }
}

/// Bytes that a run of Node is told, before its script.
fn of_node(run: &Run) -> Option<(f64, Mark)> {
    let at = run.words.iter().position(|(word, _)| program(word) == "node")?;
    let options = run.words.iter().skip(at + 1).take_while(|(word, _)| word.starts_with('-'));
    options.filter_map(|(word, mark)| Some((old_space(word)?, *mark))).last()
}

/// Bytes of `--max-old-space-size=MiB`, which V8 takes with either stroke.
fn old_space(option: &str) -> Option<f64> {
    let (name, value) = option.split_once('=')?;
    (name.replace('_', "-") == "--max-old-space-size")
        .then(|| value.parse::<u32>().ok())?
        .map(|size| f64::from(size) * MEBIBYTE)
}

/// Bytes of an amount as the Go runtime reads it; none for `off` and for what it refuses.
fn of_go(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 6] = [
        ("TiB", 1_099_511_627_776.0),
        ("GiB", 1_073_741_824.0),
        ("MiB", MEBIBYTE),
        ("KiB", 1024.0),
        ("B", 1.0),
        ("", 1.0),
    ];
    let (digits, size) = UNITS.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, size)))?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<f64>().ok())?.map(|number| number * size)
}
