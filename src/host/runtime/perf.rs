//! What a HotSpot JVM says of itself in its performance data: the heap in force, and its collector.
//!
//! The file also holds the command line, so only these two leave this module. Its form is that of `PerfMemory` and
//! `jvmstat` of OpenJDK, version 2.0; sizes and names as seen with JDK 17.

use super::super::below::Below;
use super::super::{Answer, Ask, Host, Live, Query, Refusal};
use crate::model::bounds;
use crate::model::fact::Cause;

const LOOP: Refusal = Refusal::Errno(nix::errno::Errno::ELOOP as i32);
/// Names begin with it in `/tmp`, and end with the user's.
const FOLDER: &str = "hsperfdata_";
/// The policies by which both generations together are the heap.
const TWO_PARTS: [&str; 2] = ["Copy:MSC", "ParScav:MSC"];
/// Collectors by the beginning of a name.
const COLLECTORS: [(&str, &str); 5] =
    [("Serial", "serial"), ("Parallel", "parallel"), ("G1", "g1"), ("Z ", "z"), ("Shenandoah", "shenandoah")];

/// Lines `perf heap BYTES` and `perf collector WORD`; none where the JVM keeps no such file, keeps it elsewhere, or shows it
/// to others than this user.
///
/// # Errors
/// Those of reading it.
pub(super) fn signs(pid: u32) -> Result<Vec<String>, Refusal> {
    let status = Live.ask(Query { ask: Ask::Read, of: &format!("/proc/{pid}/status") })?;
    let status = String::from_utf8_lossy(&status).into_owned();
    // The number that the process has in its own pid namespace.
    let number = status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().next_back());
    let number: Option<u32> = number.and_then(|number| number.parse().ok());
    let shown = |answer: Answer| match answer {
        // Anybody may put something into /tmp that is no such file.
        Err(refusal) if refusal == LOOP || refusal.gap("").cause != Cause::Failed => Ok(None),
        other => other.map(Some),
    };
    let root = Below::process(pid)?;
    let names = shown(root.ask(Query { ask: Ask::List, of: "/tmp" }))?.unwrap_or_default();
    let files = names
        .split(|&byte| byte == 0)
        .take(bounds::PERF_ENTRIES.count())
        .filter_map(|name| std::str::from_utf8(name).ok())
        .filter(|name| name.starts_with(FOLDER))
        .filter_map(|name| Some(format!("/tmp/{name}/{}", number?)));
    for path in files {
        if let Some(bytes) = shown(root.ask(Query { ask: Ask::Read, of: &path }))? {
            return Ok(lines(&bytes).unwrap_or_default());
        }
    }
    Ok(Vec::new())
}

/// What a file tells; none if it is not of that form.
pub(super) fn lines(bytes: &[u8]) -> Option<Vec<String>> {
    let data = Data::of(bytes)?;
    let mut lines = Vec::new();
    let parts = [0, 1].map(|number| data.number(&format!("sun.gc.generation.{number}.maxCapacity")).unwrap_or(0));
    let heap = match data.text("sun.gc.policy.name") {
        Some(policy) if TWO_PARTS.contains(&policy) => parts.iter().fold(0i64, |sum, part| sum.saturating_add(*part)),
        _ => parts.into_iter().max().unwrap_or(0),
    };
    // G1 adds a few bytes to it.
    let heap = heap / 4096 * 4096;
    if heap > 0 {
        lines.push(format!("perf heap {heap}"));
    }
    let names = (0..3).filter_map(|number| data.text(&format!("sun.gc.collector.{number}.name")));
    let found = names.filter_map(|name| COLLECTORS.iter().find(|(start, _)| name.starts_with(start))).next();
    lines.extend(found.map(|(_, word)| format!("perf collector {word}")));
    Some(lines)
}

/// A file of performance data, in the byte order that it names.
struct Data<'a> {
    bytes: &'a [u8],
    little: bool,
    first: usize,
    count: usize,
}

/// An entry: the place of its value, the number of elements (0 for a single one), and their kind.
struct Entry {
    value: usize,
    elements: usize,
    kind: u8,
}

impl<'a> Data<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        const MAGIC: [u8; 4] = [0xca, 0xfe, 0xc0, 0xc0];
        let (major, accessible) = (*bytes.get(5)?, *bytes.get(7)?);
        if *bytes.first_chunk()? != MAGIC || major != 2 || accessible != 1 {
            return None;
        }
        let little = *bytes.get(4)? == 1;
        let mut data = Self { bytes, little, first: 0, count: 0 };
        (data.first, data.count) = (data.size(24)?, data.size(28)?);
        Some(data)
    }

    fn size(&self, at: usize) -> Option<usize> {
        let word: [u8; 4] = *self.bytes.get(at..at.checked_add(4)?)?.first_chunk()?;
        usize::try_from(if self.little { i32::from_le_bytes(word) } else { i32::from_be_bytes(word) }).ok()
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let mut at = self.first;
        for _ in 0..self.count.min(bounds::PERF_ENTRIES.count()) {
            let length = self.size(at).filter(|length| *length >= 20)?;
            let begins = at.checked_add(self.size(at + 4)?)?;
            let rest = self.bytes.get(begins..)?;
            let is_it = rest.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0));
            let entry = Entry {
                value: at.checked_add(self.size(at + 16)?)?,
                elements: self.size(at + 8)?,
                kind: *self.bytes.get(at + 12)?,
            };
            if is_it {
                return Some(entry);
            }
            at = at.checked_add(length)?;
        }
        None
    }

    fn number(&self, name: &str) -> Option<i64> {
        let entry = self.entry(name).filter(|entry| entry.kind == b'J' && entry.elements == 0)?;
        let word: [u8; 8] = *self.bytes.get(entry.value..)?.first_chunk()?;
        Some(if self.little { i64::from_le_bytes(word) } else { i64::from_be_bytes(word) })
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        let entry = self.entry(name).filter(|entry| entry.kind == b'B')?;
        let value = self.bytes.get(entry.value..entry.value.checked_add(entry.elements)?)?;
        std::str::from_utf8(value.split(|&byte| byte == 0).next()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Value {
        Number(i64),
        Text(&'static str),
    }

    /// A file in the form of version 2.0, little-endian.
    fn file(entries: &[(&str, Value)]) -> Vec<u8> {
        let mut bytes = vec![0xca, 0xfe, 0xc0, 0xc0, 1, 2, 0, 1];
        bytes.extend([0; 16]);
        bytes.extend(32i32.to_le_bytes());
        bytes.extend(i32::try_from(entries.len()).unwrap().to_le_bytes());
        for (name, value) in entries {
            let (kind, elements, value) = match value {
                Value::Number(number) => (b'J', 0, number.to_le_bytes().to_vec()),
                Value::Text(text) => (b'B', text.len() + 1, [text.as_bytes(), &[0]].concat()),
            };
            let mut name = [name.as_bytes(), &[0]].concat();
            name.resize((20 + name.len()).next_multiple_of(8) - 20, 0);
            let offset = 20 + name.len();
            let length = (offset + value.len()).next_multiple_of(4);
            let mut entry = Vec::new();
            for number in [length, 20, elements] {
                entry.extend(i32::try_from(number).unwrap().to_le_bytes());
            }
            entry.extend([kind, 0, 1, 1]);
            entry.extend(i32::try_from(offset).unwrap().to_le_bytes());
            entry.extend([name, value].concat());
            entry.resize(length, 0);
            bytes.extend(entry);
        }
        bytes
    }

    const SECRET: (&str, Value) = ("sun.rt.javaCommand", Value::Text("app.jar --password=hunter2"));

    #[test]
    fn the_heap_is_both_parts_of_some_collectors_and_the_larger_of_others() {
        let parts = |young, old| {
            [
                ("sun.gc.generation.0.maxCapacity", Value::Number(young)),
                ("sun.gc.generation.1.maxCapacity", Value::Number(old)),
            ]
        };
        let told = |policy, collector, [young, old]: [(&'static str, Value); 2]| {
            let policy = ("sun.gc.policy.name", Value::Text(policy));
            lines(&file(&[SECRET, young, policy, ("sun.gc.collector.0.name", Value::Text(collector)), old])).unwrap()
        };
        // As JDK 17 says it with -Xmx200m.
        let serial = told("Copy:MSC", "Serial young collection pauses", parts(69_861_376, 139_853_824));
        assert_eq!(serial, ["perf heap 209715200", "perf collector serial"]);
        let g1 = told("GarbageFirst", "G1 young collection pauses", parts(209_715_224, 209_715_208));
        assert_eq!(g1, ["perf heap 209715200", "perf collector g1"]);
    }

    #[test]
    fn names_without_end_cost_no_more_than_others() {
        // Entries whose names all are the rest of the file: to look for their ends would be 17 GB for each that is sought.
        let mut bytes = file(&[]);
        bytes[28..32].copy_from_slice(&4096i32.to_le_bytes());
        for _ in 0..4096 {
            bytes.extend([20i32, 1 << 17, 0].iter().flat_map(|number| number.to_le_bytes()));
            bytes.extend([0; 8]);
        }
        bytes.resize(4 << 20, b'x');
        assert_eq!(lines(&bytes), Some(Vec::new()));
    }

    #[test]
    fn any_bytes_are_data_or_none() {
        let whole = file(&[SECRET, ("sun.gc.generation.1.maxCapacity", Value::Number(4096))]);
        for end in 0..whole.len() {
            let told = lines(&whole[..end]).unwrap_or_default();
            assert!(told.iter().all(|line| !line.contains("hunter2")), "{told:?}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0xff] {
                let mut odd = whole.clone();
                odd[at] = byte;
                let _ = lines(&odd);
            }
        }
        assert_eq!(lines(b""), None);
    }
}
