//! Assignments of limits in unit files (systemd.syntax(7), src/shared/conf-parser.c and src/basic/rlimit-util.c of systemd).

/// Soft and hard limit, `i128::MAX` for infinity.
pub(super) type Limits = (i128, i128);

/// The limits after the assignments of a file. One that systemd cannot parse, an empty one among them, changes nothing.
pub(super) fn assigned(text: &str, section: &str, key: &str, before: Option<Limits>) -> Option<Limits> {
    // Most files name no limit, and a name is never broken over two lines: a backslash leaves a blank.
    if !text.contains(key) {
        return before;
    }
    let mut within = false;
    let mut limits = before;
    for line in lines(text.trim_start_matches('\u{feff}')) {
        let line = line.trim_matches(BLANKS);
        if let Some(header) = line.strip_prefix('[') {
            // The rest of a file with a header that is none is not read.
            let Some(name) = header.strip_suffix(']') else { break };
            within = name == section;
        } else if let Some((name, value)) = line.split_once('=')
            && within
            && name.trim_matches(BLANKS) == key
        {
            limits = pair(value.trim_matches(BLANKS)).or(limits);
        }
    }
    limits
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// Lines without comments. A backslash at the end of a line joins it to the next one, past comments.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut joined = String::new();
    for line in text.split(['\n', '\r', '\0']).map(|line| line.trim_start_matches(BLANKS)) {
        if line.starts_with(['#', ';']) {
            continue;
        }
        let escapes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
        match line.strip_suffix('\\').filter(|_| escapes % 2 == 1) {
            Some(part) => {
                joined += part;
                joined.push(' ');
            }
            None => lines.push(std::mem::take(&mut joined) + line),
        }
    }
    lines.push(joined);
    lines
}

/// `soft:hard`, or one value for both; a soft limit above the hard one is none.
fn pair(text: &str) -> Option<Limits> {
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let (soft, hard) = (limit(soft)?, limit(hard)?);
    (soft <= hard).then_some((soft, hard))
}

/// A number as strtoull(3) takes it, with its base before it.
fn limit(text: &str) -> Option<i128> {
    if text == "infinity" {
        return Some(i128::MAX);
    }
    let text = text.trim_start_matches(BLANKS);
    let digits = text.strip_prefix('+').unwrap_or(text);
    let (digits, base) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (digits.get(2..)?, 16),
        [b'0', b'b' | b'B', ..] => (digits.get(2..)?, 2),
        [b'0', b'o' | b'O', ..] => (digits.get(2..)?, 8),
        [b'0', _, ..] => (digits, 8),
        _ => (digits, 10),
    };
    let number = u64::from_str_radix(digits, base).ok().filter(|_| !digits.starts_with('+'))?;
    (number != u64::MAX).then_some(i128::from(number))
}
