//! Whether a pattern is found in a line, and how much of the line it explains.

use super::line::Line;
use crate::model::symptom::{Part, Pattern};

/// Words that an address or a name may be cut into.
const LONGEST_NAME: usize = 24;
/// Letters from which the words of a pattern are telling wherever they stand.
const TELLING: usize = 16;
/// The part of a line's letters that a telling pattern has to explain, and that a short phrase has to.
const SHARES: (f64, f64) = (0.12, 0.6);

/// How much a pattern explains of a line in which it is found: letters of its words, then a point for a placeholder.
pub(super) fn explained(pattern: &Pattern, typed: &str, line: &Line) -> Option<usize> {
    let points = found(pattern, line)?;
    let letters: usize = pattern.words().map(str::len).sum();
    let (telling, short) = SHARES;
    let is_telling = letters >= TELLING || pattern.words().count() == 1 && is_symbol(typed);
    let is_message = pattern.from_start && pattern.to_end;
    let needed = if is_telling { telling } else { short };
    let share = letters as f64 / line.letters.max(1) as f64;
    (is_message || share >= needed).then_some(points)
}

/// Whether a word is no word of a language: `EMFILE`, `OOMKilled`, `nf_conntrack`.
fn is_symbol(word: &str) -> bool {
    let word = crate::model::symptom::plain(word);
    word.len() > 5 && (word.contains('_') || word.chars().skip(1).any(|c| c.is_ascii_uppercase()))
}

/// The most points with which a pattern is found anywhere in a line. Linear in the line.
fn found(pattern: &Pattern, line: &Line) -> Option<usize> {
    let count = line.words.len();
    // For each word: the points of the parts so far if they end before it.
    let mut before: Vec<Option<usize>> =
        if pattern.from_start { vec![None; count + 1] } else { vec![Some(0); count + 1] };
    if pattern.from_start {
        line.starts.iter().for_each(|start| before.iter_mut().skip(*start).take(1).for_each(|at| *at = Some(0)));
    }
    for part in &pattern.parts {
        let mut after = vec![None; count + 1];
        let mut passing = None;
        for (start, points) in before.iter().enumerate() {
            if *part == Part::Text {
                passing = passing.max(*points);
                better(&mut after, start, passing);
                continue;
            }
            let Some(points) = points else { continue };
            match part {
                Part::Word(word) => {
                    if line.words.get(start).is_some_and(|other| other.text == *word) {
                        better(&mut after, start + 1, Some(points + word.len()));
                    }
                }
                _ => (start + 1..=start + run(line, start))
                    .filter(|end| is(part, line, start, *end))
                    .for_each(|end| better(&mut after, end, Some(points + 1))),
            }
        }
        before = after;
    }
    if pattern.to_end {
        return line.ends.iter().filter_map(|end| *before.get(*end)?).max();
    }
    before.into_iter().flatten().max()
}

fn better(after: &mut [Option<usize>], at: usize, points: Option<usize>) {
    if let Some(known) = after.get_mut(at) {
        *known = (*known).max(points);
    }
}

/// How many words from this one on have no blank between them.
fn run(line: &Line, start: usize) -> usize {
    let rest = line.words.get(start..).unwrap_or_default();
    let glued = rest.iter().skip(1).take_while(|word| word.is_glued).count() + 1;
    glued.min(LONGEST_NAME).min(rest.len())
}

/// Whether words without a blank between them are what a placeholder stands for.
fn is(part: &Part, line: &Line, start: usize, end: usize) -> bool {
    let words = line.words.get(start..end).unwrap_or_default();
    let has_digit = |text: &str| text.contains(|c: char| c.is_ascii_digit());
    match part {
        Part::Number => words.iter().all(|word| word.text.starts_with(|c: char| c.is_ascii_digit())),
        Part::Address => words.len() > 1 || words.iter().all(|word| has_digit(&word.text) || word.text == "localhost"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(pattern: &str, line: &str) -> Option<usize> {
        explained(&Pattern::parse(pattern).unwrap(), pattern, &Line::read(line))
    }

    #[test]
    fn placeholders_stand_for_what_they_say() {
        let pattern = "flooding of many sockets on port <n>. Sending cookies";
        assert!(points(pattern, "TCP: flooding of many sockets on port 9735. Sending cookies.").is_some());
        assert_eq!(points(pattern, "TCP: flooding of many sockets on port smtp. Sending cookies."), None);
        let bind = "cannot bind <addr>:0: Address already in use";
        for address in ["10.0.0.5", "[2001:db8::1]", "localhost", "db.example"] {
            assert!(points(bind, &format!("cannot bind {address}:0: Address already in use")).is_some(), "{address}");
        }
        assert_eq!(points(bind, "cannot bind 10.0.0.5:8080: Address already in use"), None);
        let watch = "inotify_add_watch <name>: no space left on device";
        assert!(points(watch, "inotify_add_watch /sys/fs/cgroup/a-b.slice: no space left on device").is_some());
        assert_eq!(points(watch, "inotify_add_watch: write /var/log/x: no space left on device"), None);
        let text = "connect<text>cannot assign requested address";
        assert!(points(text, "connect: cannot assign requested address").is_some());
        assert!(points(text, "connect to a.example failed: Cannot assign requested address").is_some());
    }

    #[test]
    fn a_number_matches_as_a_whole() {
        assert_eq!(points("^104$", "1048576"), None);
        assert!(points("^104$", "104").is_some());
    }

    #[test]
    fn ends_hold_and_a_prefix_is_none() {
        assert!(points("^EAGAIN$", "Nov 30 09:58:15 node-a app[7]: EAGAIN").is_some());
        assert_eq!(points("^EAGAIN$", "recv failed: EAGAIN"), None);
        assert!(points("^fork: out of luck$", "{\"level\":\"warn\",\"msg\":\"fork: out of luck\",\"n\":1}").is_some());
    }

    #[test]
    fn a_short_phrase_has_to_be_most_of_the_line_and_a_telling_one_a_part() {
        assert!(points("slow handshakes", "slow handshakes").is_some());
        assert_eq!(points("slow handshakes", "the review of slow handshakes was moved to the end of next month"), None);
        assert!(
            points("OOMKilled", "the container of the pod that was last seen here is OOMKilled since Monday").is_some()
        );
        let telling = "accept4: too many open files";
        assert!(
            points(telling, "http: Accept error: accept tcp [::]:80: accept4: too many open files; retrying").is_some()
        );
        assert_eq!(
            points(telling, &format!("accept4: too many open files {}", "and much more prose ".repeat(20))),
            None
        );
    }
}
