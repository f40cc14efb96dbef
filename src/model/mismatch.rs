//! What serde says of a file that is of another shape than expected, without what the file holds: the user may have named a
//! wrong file, with secrets in it, and errors go into logs that others read.

use super::text::distance;

/// Beginnings of what serde says, after the path of keys that some of its formats put before it.
const KINDS: [&str; 10] = [
    "invalid type: ",
    "invalid value: ",
    "invalid length ",
    "unknown field `",
    "unknown variant `",
    "missing field `",
    "duplicate field `",
    "duplicate entry ",
    "trailing characters",
    "expected ",
];

/// What serde calls a value, before the value itself.
const VALUES: [&str; 9] =
    ["string", "integer", "floating point", "boolean", "character", "byte array", "map", "sequence", "unit value"];

/// An error of serde in words that are not from the file: its place, but no path of keys, no key, no value. Keys and words
/// that would have been right come from this program.
pub fn without_content(error: &str) -> String {
    let is_place = |at: &str| at.split_whitespace().all(|word| word == "column" || word.parse::<usize>().is_ok());
    match error.rsplit_once(" at line ").filter(|(_, at)| is_place(at)) {
        Some((said, at)) => format!("{} at line {at}", words(said)),
        None => words(error),
    }
}

fn words(error: &str) -> String {
    let begins = |at: usize| at == 0 || error.get(..at).is_some_and(|before| before.ends_with(": "));
    let first = |kind: &'static str| error.match_indices(kind).map(|(at, _)| at).find(|&at| begins(at)).zip(Some(kind));
    let Some((at, kind)) = KINDS.into_iter().filter_map(first).min() else { return error.to_owned() };
    let said = error.get(at..).unwrap_or_default();
    let rest = said.get(kind.len()..).unwrap_or_default();
    let (found, wanted) = match rest.rfind(", expected ") {
        Some(comma) => rest.split_at(comma),
        None => (rest, ""),
    };
    let wanted = typed(wanted);
    match kind {
        "invalid type: " | "invalid value: " => {
            let value = VALUES.into_iter().find(|value| found.starts_with(value));
            format!("{kind}{}{wanted}", value.unwrap_or("another"))
        }
        "unknown field `" | "unknown variant `" => {
            let what = kind.trim_end_matches(" `");
            let key = found.trim_end_matches('`');
            let known = || wanted.split('`').skip(1).step_by(2);
            let near = known().min_by_key(|known| distance(known, key));
            let near = near.filter(|near| distance(near, key) * 2 < near.len());
            format!("{what}{wanted}{}", near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())
        }
        "duplicate entry " => "duplicate entry: a key is there twice".to_owned(),
        _ => said.to_owned(),
    }
}

/// What is expected, without names of types of this program.
fn typed(wanted: &str) -> String {
    match wanted.strip_prefix(", expected ") {
        Some(kind) if kind.starts_with("struct ") => ", expected a map".to_owned(),
        Some(kind) if kind.starts_with("enum ") => ", expected a word or a map".to_owned(),
        Some("u8" | "u16" | "u32" | "u64" | "usize") => ", expected a whole number from 0".to_owned(),
        Some("i8" | "i16" | "i32" | "i64") => ", expected a whole number".to_owned(),
        Some("f64") => ", expected a number".to_owned(),
        _ => wanted.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_file_holds_is_in_no_error() {
        for (said, told) in [
            ("invalid type: string \"hunter2\", expected struct WorkloadFile", "invalid type: string, expected a map"),
            ("a.hunter2: invalid type: string \"x, expected hunter2\", expected u64 at line 1 column 2", ""),
            ("invalid value: integer `-5`, expected u16", "invalid value: integer, expected a whole number from 0"),
            ("unknown field `hunter2`, there are no fields", "unknown field"),
            ("unknown field `hunter2`, expected one of `a`, `b`", "unknown field, expected one of `a`, `b`"),
            ("unknown field `hunter2`, expected `hunter`", "unknown field, expected `hunter`; did you mean `hunter`?"),
            ("hunter2: unknown variant `hunter2`, expected `a` or `b`", "unknown variant, expected `a` or `b`"),
            ("hunter2[0]: duplicate entry with key \"hunter2\"", "duplicate entry: a key is there twice"),
            ("hunter2: missing field `role`", "missing field `role`"),
            ("hunter2: expected a number or { of: FACT }", "expected a number or { of: FACT }"),
            (
                "unknown field `hunter2`, expected u8 at line 3 column 4",
                "unknown field, expected a whole number from 0 at line 3 column 4",
            ),
            ("did not find expected ',' or '}'", "did not find expected ',' or '}'"),
        ] {
            let words = without_content(said);
            assert!(!words.contains("hunter2") && (told.is_empty() || words == told), "{said}: {words}");
        }
    }
}
