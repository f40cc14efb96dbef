//! Patterns of names, as of glob(7).

/// Whether a text fits a pattern: `*` stands for any text, `?` for one character. `[...]` may stand for any one character,
/// so that no name it means is missed. Goes back to the last `*` only, so that no line of a file makes it slow.
pub fn fits(pattern: &str, text: &str) -> bool {
    let pattern = without_sets(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == c => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern.iter().skip(p).all(|rest| *rest == '*')
}

/// The pattern with every `[...]` as `?`.
fn without_sets(pattern: &str) -> Vec<char> {
    let mut out = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('[') {
        // A bracket that stands first in a set is one of its characters.
        let first = after.chars().take_while(|c| "!^]".contains(*c)).count();
        let Some(end) = after.get(first..).and_then(|tail| tail.find(']')) else { break };
        out.extend(before.chars().chain(['?']));
        rest = after.get(first + end + 1..).unwrap_or_default();
    }
    out.extend(rest.chars());
    out
}
