//! What a process is made of, and the few options of its runtime that an audit asks about.
//!
//! A command line and an environment hold passwords. So they are read here, below every recorder, and only what
//! [`options`] lists leaves this module: numbers and switches, never a word that somebody chose.

mod elf;
mod nginx;
mod options;
mod perf;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use super::live::refusal;
use super::{Answer, Ask, Host, Live, Query};
pub(super) use options::answer as options;

/// Threads whose names are looked at; a process that has more is told from its first ones.
const THREADS: usize = 2048;
/// Lines of a memory map that are looked at.
const MAPS: usize = 20_000;

/// Threads by the beginning of their name, which the kernel cuts to 15 bytes, and the word for them. Seen in OpenJDK 17
/// and 25, Tokio up to 1.54 and Envoy.
const NAMED: [(&str, &str); 8] = [
    ("G1 ", "g1"),
    ("ZDriver", "z"),
    ("Shenandoah", "shenandoah"),
    ("GC Thread#", "gc"),
    ("VM Thread", "jvm"),
    ("tokio-runtime-w", "tokio"),
    ("tokio-rt-worker", "tokio"),
    ("wrk:worker_", "envoy"),
];

/// What the process of this number is made of, a sign a line, see [`super::Ask::Runtime`].
pub(super) fn signs(pid: u32) -> Answer {
    let ask = |ask, of: String| Live.ask(Query { ask, of: &of });
    let path = String::from_utf8_lossy(&ask(Ask::Link, format!("/proc/{pid}/exe"))?).into_owned();
    let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-+".contains(*c)).take(64).collect();
    let mut lines = vec![format!("exe {plain}")];
    // A library is mapped whether or not it is still on disk.
    if let Ok(maps) = File::open(format!("/proc/{pid}/maps")) {
        for line in BufReader::new(maps.take(4 << 20)).lines().take(MAPS).map_while(Result::ok) {
            // OpenJ9 has a library of this name as well, and other rules for its heap.
            let library = if line.contains("/libjvm.so") {
                "lib jvm"
            } else if line.contains("/libj9vm") {
                "lib j9"
            } else {
                continue;
            };
            if !lines.iter().any(|line| line == library) {
                lines.push(library.to_owned());
            }
        }
    }
    if let Ok(mut file) = File::open(format!("/proc/{pid}/exe")) {
        lines.extend(elf::signs(&mut file));
    }
    lines.extend(threads(pid));
    if lines.iter().any(|line| line == "lib jvm") {
        lines.extend(perf::signs(pid));
    }
    Ok((lines.join("\n") + "\n").into_bytes())
}

/// How many threads there are of each kind.
fn threads(pid: u32) -> Vec<String> {
    let mut counts = [0u32; NAMED.len()];
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut seen = 0usize;
    for task in tasks.take(THREADS).flatten() {
        seen += 1;
        let mut name = [0u8; 16];
        let Ok(count) = File::open(task.path().join("comm")).and_then(|mut file| file.read(&mut name)) else {
            continue;
        };
        let name = String::from_utf8_lossy(name.get(..count).unwrap_or_default()).into_owned();
        let kind = NAMED.iter().zip(&mut counts).find(|((start, _), _)| name.starts_with(start));
        if let Some((_, count)) = kind {
            *count += 1;
        }
    }
    let mut lines = vec![format!("threads {seen}")];
    let kinds = NAMED.iter().zip(counts).filter(|(_, count)| *count > 0);
    lines.extend(kinds.map(|((_, kind), count)| format!("thread {kind} {count}")));
    lines
}

/// A whole file, or as much of it as `most` bytes.
fn beginning(path: &str, most: u64) -> Answer {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| refusal(&error))?;
    file.take(most).read_to_end(&mut bytes).map_err(|error| refusal(&error))?;
    Ok(bytes)
}
