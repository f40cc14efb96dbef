//! Numbers and texts in few columns. Pure.

use ratatui::text::Span;

use crate::report;

/// Signs that draw bars and cuts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signs {
    full: char,
    empty: char,
    heights: [char; 8],
    cut: char,
}

impl Signs {
    /// Blocks, which any terminal of today has.
    pub(super) const BLOCKS: Self =
        Self {
            full: '█', empty: '░', heights: ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'], cut: '…'
        };
    /// What a console without them has.
    pub(super) const ASCII: Self =
        Self { full: '#', empty: '.', heights: ['_', '.', ':', '-', '=', '+', '*', '#'], cut: '~' };

    /// Those that a terminal of this name has.
    pub(super) fn of(terminal: &str) -> Self {
        let poor = ["dumb", "linux", "ansi", "cons25"].contains(&terminal) || terminal.starts_with("vt");
        if poor { Self::ASCII } else { Self::BLOCKS }
    }

    /// A bar of so many cells, filled to a share in percent.
    pub(super) fn bar(self, share: i128, cells: usize) -> String {
        let most = i128::try_from(cells).unwrap_or(0);
        let filled = share.clamp(0, 100).saturating_mul(most);
        // Something is not nothing, and not full is not full.
        let filled = if share > 0 { (filled / 100).max(1) } else { 0 };
        let filled = usize::try_from(filled).unwrap_or(0).min(cells);
        let sign = |cell| if cell < filled { self.full } else { self.empty };
        (0..cells).map(sign).collect()
    }

    /// The last values in so many cells, one each; the tallest is `top` at least.
    pub(super) fn course(self, values: &[i128], top: i128, cells: usize) -> String {
        let last = values.get(values.len().saturating_sub(cells)..).unwrap_or_default();
        let top = last.iter().copied().max().unwrap_or(0).max(top).max(1);
        let height = |&value: &i128| {
            let height = value.clamp(0, top).saturating_mul(7) / top;
            // A rise of one among thousands is seen.
            let height = if value > 0 { height.max(1) } else { height };
            usize::try_from(height).ok().and_then(|height| self.heights.get(height)).copied().unwrap_or(' ')
        };
        let drawn: String = last.iter().map(height).collect();
        format!("{drawn:>cells$}")
    }

    /// Text in at most so many columns, its middle left out: addresses differ at their end.
    pub(super) fn fit(self, text: &str, columns: usize) -> String {
        if width(text) <= columns {
            return text.to_owned();
        }
        let Some(room) = columns.checked_sub(1) else { return String::new() };
        let (head, tail) = (room.div_ceil(2), room / 2);
        let mut out = taken(text.chars(), head);
        let end = taken(text.chars().rev(), tail);
        out.push(self.cut);
        out.extend(end.chars().rev());
        out
    }
}

/// The first of these characters that fit into so many columns.
fn taken(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|&c| {
            used += width(c.encode_utf8(&mut [0; 4]));
            used <= columns
        })
        .collect()
}

/// Columns of a text.
pub(super) fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// Text of others in one line that cannot drive the terminal.
pub(super) fn safe(text: &str) -> String {
    report::sanitized(text).replace('\n', "\\n")
}

/// A number in at most five columns: `12`, `1.2k`, `262k`.
pub(super) fn short(number: i128) -> String {
    const SIZES: [(i128, &str); 5] =
        [(1_000_000_000_000_000, "P"), (1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match SIZES.into_iter().find(|(size, _)| number >= *size) {
        Some((size, letter)) if number / size < 10 => {
            format!("{}.{}{letter}", number / size, number % size * 10 / size)
        }
        Some((size, letter)) if number / size < 10_000 => format!("{}{letter}", number / size),
        Some(_) => "much".to_owned(),
        None => number.to_string(),
    }
}

/// A rate given in tenths a second.
pub(super) fn rate(tenths: i128) -> String {
    match tenths {
        0 => "<0.1/s".to_owned(),
        1..100 => format!("{}.{}/s", tenths / 10, tenths % 10),
        _ => format!("{}/s", short(tenths / 10)),
    }
}

/// A time since the start in at most six columns: `12s`, `2m05s`, `3h07m`, `12d4h`.
pub(super) fn time(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// Lines of a text in so many columns, each with the indent that it had. In `prose` what does not fit goes on in the
/// next line of a paragraph, so that lines which were wrapped for a wider screen do not leave stumps.
pub(super) fn wrapped(text: &str, columns: usize, prose: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut carried: Option<(usize, String)> = None;
    for line in text.lines() {
        let body = line.trim_start();
        let indent = (line.len() - body.len()).min(columns / 2);
        let goes_on = body.starts_with(|c: char| c.is_alphanumeric() || "\"(/".contains(c));
        let mut rest = match carried.take() {
            Some((same, before)) if same == indent && goes_on => format!("{before} {body}"),
            Some((other, before)) => {
                lines.push(format!("{:other$}{before}", ""));
                body.to_owned()
            }
            None => body.to_owned(),
        };
        let room = columns.saturating_sub(indent).max(1);
        let mut broken = false;
        while width(&rest) > room {
            let fits = taken(rest.chars(), room).len().max(rest.chars().next().map_or(1, char::len_utf8));
            // A blank right after what fits is a good end too.
            let end = rest.get(..=fits).unwrap_or(&rest).rfind(' ').filter(|&at| at > 0).unwrap_or(fits);
            lines.push(format!("{:indent$}{}", "", rest.get(..end).unwrap_or_default()));
            rest = rest.get(end..).unwrap_or_default().trim_start().to_owned();
            broken = true;
        }
        // A line of a list is short, one of a paragraph was wrapped at the end of a wide page.
        let paragraph = prose && line.len() > 80 && !body.contains("  ");
        if broken && paragraph {
            carried = Some((indent, rest));
        } else {
            lines.push(format!("{:indent$}{rest}", ""));
        }
    }
    lines.extend(carried.map(|(indent, rest)| format!("{:indent$}{rest}", "")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_stay_short() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1.0k"), (262_144, "262k"), (i128::MAX, "much")] {
            assert_eq!(short(number), text);
        }
        for (tenths, text) in [(0, "<0.1/s"), (5, "0.5/s"), (120, "12/s"), (12_340, "1.2k/s")] {
            assert_eq!(rate(tenths), text);
        }
        for (at, text) in [(0, "0s"), (59_999, "59s"), (125_000, "2m05s"), (11_220_000, "3h07m"), (u64::MAX, "d")] {
            assert!(time(at).contains(text), "{}", time(at));
        }
    }

    #[test]
    fn a_bar_is_empty_only_at_nothing_and_full_only_at_the_limit() {
        let bar = |share| Signs::ASCII.bar(share, 4);
        assert_eq!([bar(0), bar(1), bar(99), bar(100), bar(900)], ["....", "#...", "###.", "####", "####"]);
        assert_eq!(Signs::ASCII.course(&[0, 50, 100, 1], 100, 6), "  _-#.");
    }

    #[test]
    fn a_long_name_keeps_its_two_ends() {
        assert_eq!(Signs::BLOCKS.fit("accept queue 127.0.0.1:8080", 11), "accep…:8080");
        assert_eq!(Signs::BLOCKS.fit("漢字漢字漢字", 7), "漢…字");
        assert_eq!(Signs::BLOCKS.fit("abc", 0), "");
    }

    #[test]
    fn paragraphs_are_wrapped_anew_and_lists_are_not_joined() {
        let long = format!("  {}\n  next\n\nHead\n  item", "word ".repeat(18).trim_end());
        let lines = wrapped(&long, 42, true);
        assert!(lines.iter().all(|line| width(line) <= 42), "{lines:#?}");
        assert_eq!(lines.iter().filter(|line| line.contains("next")).count(), 1);
        assert!(lines.iter().any(|line| line.ends_with("word next")), "{lines:#?}");
        assert_eq!(lines.get(lines.len() - 3..).unwrap(), ["", "Head", "  item"]);
        assert_eq!(wrapped("abcdefgh", 3, false), ["abc", "def", "gh"]);
    }
}
