//! What the sections of an executable say about the language it was written in.
//!
//! Sources: elf(5); Go's debug/buildinfo (`.go.buildinfo`: a magic, 32 bytes of head, then two texts, each behind its
//! length as a varint, since Go 1.18); the compilers' own notes in `.comment`.

use std::io::{self, Read, Seek, SeekFrom};

use crate::model::bounds;

/// Characters of the name of a section that are told apart: those that are asked for are shorter.
const SECTION_NAME: usize = 32;
const GO_MAGIC: &[u8] = b"\xff Go buildinf:";
/// The package that sets GOMAXPROCS to the quota at start, for releases of Go that do not do so themselves.
const AUTOMAXPROCS: &[u8] = b"go.uber.org/automaxprocs\t";
/// Among the settings of the build where the program's go.mod asks for a release before 1.25: the quota is not followed.
const OLD_MAXPROCS: &[u8] = b"containermaxprocs=0";

/// `go VERSION` (or `go ?`), `automaxprocs`, `containermaxprocs=0`, `rustc`: a line for each that holds. Of what is no 64-bit little-endian ELF
/// file, none.
///
/// # Errors
/// Those of reading it.
pub(super) fn signs(file: &mut (impl Read + Seek)) -> io::Result<Vec<String>> {
    let Some(sections) = sections(file)? else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    let find = |name: &[u8]| sections.iter().find(|section| section.name == name);
    if let Some(section) = find(b".go.buildinfo") {
        let bytes = at(file, section.offset, section.size.min(bounds::SECTION.most))?;
        lines.extend(go(&bytes));
    }
    if lines.is_empty() && find(b".gopclntab").is_some() {
        lines.push("go ?".to_owned());
    }
    if let Some(section) = find(b".comment") {
        let bytes = at(file, section.offset, section.size.min(4096))?;
        if holds(&bytes, b"rustc version ") {
            lines.push("rustc".to_owned());
        }
    }
    Ok(lines)
}

struct Section {
    name: Vec<u8>,
    offset: u64,
    size: u64,
}

fn sections(file: &mut (impl Read + Seek)) -> io::Result<Option<Vec<Section>>> {
    let head = at(file, 0, 64)?;
    let Some(Table { start, size, count, names }) = Table::of(&head) else { return Ok(None) };
    let table = at(file, start, size.saturating_mul(count).min(bounds::SECTION.most))?;
    let rows: Vec<&[u8]> = table.chunks_exact(usize::try_from(size).unwrap_or(usize::MAX)).collect();
    let place = |row: &[u8]| Some((number(row, 24, 8)?, number(row, 32, 8)?));
    let texts = usize::try_from(names).ok().and_then(|names| place(rows.get(names)?));
    let Some((offset, length)) = texts else { return Ok(None) };
    let texts = at(file, offset, length.min(bounds::SECTION.most))?;
    let section = |row: &&[u8]| {
        let from = usize::try_from(number(row, 0, 4)?).ok()?;
        let name = texts.get(from..)?.iter().copied().take(SECTION_NAME).take_while(|&byte| byte != 0).collect();
        let (offset, size) = place(row)?;
        Some(Section { name, offset, size })
    };
    Ok(Some(rows.iter().filter_map(section).collect()))
}

/// Where the table of sections is, how large each of its rows, how many, and which holds the names.
struct Table {
    start: u64,
    size: u64,
    count: u64,
    names: u64,
}

impl Table {
    /// From the head of a 64-bit little-endian file.
    fn of(head: &[u8]) -> Option<Self> {
        let is_known = head.starts_with(b"\x7fELF\x02\x01");
        let (start, size) = (number(head, 40, 8)?, number(head, 58, 2)?);
        let (count, names) = (number(head, 60, 2)?.min(bounds::SECTIONS.most), number(head, 62, 2)?);
        (is_known && size >= 64).then_some(Self { start, size, count, names })
    }
}

/// The release of Go that built it, and whether it sets GOMAXPROCS by itself.
fn go(bytes: &[u8]) -> Vec<String> {
    if !bytes.starts_with(GO_MAGIC) {
        return Vec::new();
    }
    // Without this bit the texts are elsewhere, as before Go 1.18.
    let inline = bytes.get(15).is_some_and(|flags| flags & 2 != 0);
    let Some((version, rest)) = bytes.get(32..).filter(|_| inline).and_then(text) else {
        return vec!["go ?".to_owned()];
    };
    let version = String::from_utf8_lossy(version).into_owned();
    let version: String =
        version.trim_start_matches("go").chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '.').collect();
    let mut lines = vec![format!("go {}", if version.is_empty() { "?" } else { &version })];
    for (mark, line) in [(AUTOMAXPROCS, "automaxprocs"), (OLD_MAXPROCS, "containermaxprocs=0")] {
        if text(rest).is_some_and(|(modules, _)| holds(modules, mark)) {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// A text behind its length, and what follows.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0usize;
    for (at, &byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let rest = bytes.get(at + 1..)?;
            // The section may be cut: what is there counts.
            return Some(rest.split_at(length.min(rest.len())));
        }
    }
    None
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// As much of this part as there is.
fn at(file: &mut (impl Read + Seek), offset: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Nothing lies beyond what a file can have.
    if i64::try_from(offset).is_ok() {
        file.seek(SeekFrom::Start(offset))?;
        file.take(size).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn info(version: &str, modules: &str) -> Vec<u8> {
        let mut bytes = [GO_MAGIC, &[8, 2]].concat();
        bytes.resize(32, 0);
        bytes.push(u8::try_from(version.len()).unwrap());
        bytes.extend(version.as_bytes());
        bytes.extend([u8::try_from(modules.len() & 0x7f).unwrap() | 0x80, u8::try_from(modules.len() >> 7).unwrap()]);
        bytes.extend(modules.as_bytes());
        bytes
    }

    #[test]
    fn the_release_of_go_stands_in_its_build_information() {
        assert_eq!(go(&info("go1.25.3", "path\tx\n")), ["go 1.25.3"]);
        assert_eq!(go(&info("go1.22.1 X:nocoverageredesign", "")), ["go 1.22.1"]);
        let modules = "dep\tgo.uber.org/automaxprocs\tv1.5.3\th1:x\n";
        assert_eq!(go(&info("go1.19.8", modules)), ["go 1.19.8", "automaxprocs"]);
        assert_eq!(go(&[GO_MAGIC, &[8, 0]].concat()), ["go ?"], "before Go 1.18 it is elsewhere");
        let old = "path\tx\nbuild\tDefaultGODEBUG=containermaxprocs=0,decoratemappings=0\n";
        assert_eq!(go(&info("go1.25.3", old)), ["go 1.25.3", "containermaxprocs=0"]);
        assert!(go(b"something else").is_empty());
    }

    #[test]
    fn this_test_was_written_in_rust() {
        let mut file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(signs(&mut file).unwrap(), ["rustc"]);
    }

    #[test]
    fn no_bytes_of_an_executable_are_a_danger() {
        let whole = std::fs::read("/proc/self/exe").unwrap();
        let head = whole.get(..64).unwrap();
        for cut in 0..64 {
            let mut odd = head.to_vec();
            odd.truncate(cut);
            signs(&mut Cursor::new(&odd)).unwrap();
        }
        for at in 16..64 {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut odd = head.to_vec();
                if let Some(place) = odd.get_mut(at) {
                    *place = byte;
                }
                signs(&mut Cursor::new(&odd)).unwrap();
            }
        }
        for length in [&[0xff; 5][..], &[0xff, 0xff, 0xff, 0xff, 0x7f], &[0x80], &[]] {
            text(length);
        }
    }
}
