//! What a process is made of, and the few options of its runtime that an audit asks about.
//!
//! A command line and an environment hold passwords. So they are read here, below every recorder, and only what
//! [`options`] lists leaves this module: numbers and switches, never a word that somebody chose.

mod elf;
mod nginx;
mod options;
mod perf;
mod servers;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::again::again;
use super::live::refusal;
use super::{Answer, Ask, Host, Live, Query, Refusal, folder, processes};
use crate::model::bounds;
pub(super) use options::answer as options;

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

/// Takes any bytes as what a process is made of, and as its configuration.
#[cfg(fuzzing)]
pub(super) const PARSERS: [(&str, super::fuzzing::Parser); 5] = [
    ("elf", |bytes| drop(elf::signs(&mut std::io::Cursor::new(bytes)))),
    ("hsperfdata", |bytes| drop(perf::lines(bytes))),
    ("nginx", |bytes| drop(nginx::directives(&String::from_utf8_lossy(bytes)))),
    ("options", options::any),
    ("servers", servers::any),
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
    let maps = File::open(format!("/proc/{pid}/maps")).map_err(|error| refusal(&error))?;
    for line in BufReader::new(maps.take(bounds::FILE.most)).split(b'\n').take(bounds::MAPPINGS.count()) {
        let line = line.map_err(|error| refusal(&error))?;
        let line = String::from_utf8_lossy(&line);
        // OpenJ9 has a library of this name as well, and other rules for its heap.
        let library = if line.contains("/libcoreclr.so") {
            "lib coreclr"
        } else if line.contains("/libjvm.so") {
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
    let mut exe = File::open(format!("/proc/{pid}/exe")).map_err(|error| refusal(&error))?;
    lines.extend(elf::signs(&mut exe).map_err(|error| refusal(&error))?);
    lines.extend(threads(pid).map_err(|error| refusal(&error))?);
    if plain.starts_with("python") {
        lines.extend(python_server(pid)?.map(|server| format!("server {server}")));
    }
    if lines.iter().any(|line| line == "lib jvm") {
        lines.extend(perf::signs(pid)?);
    }
    Ok((lines.join("\n") + "\n").into_bytes())
}

/// How many threads there are of each kind.
fn threads(pid: u32) -> io::Result<Vec<String>> {
    let mut counts = [0u32; NAMED.len()];
    let folder = format!("/proc/{pid}/task");
    let mut seen = 0usize;
    for task in folder::entries(&folder)?.take(bounds::THREADS.count()) {
        let task = Path::new(&folder).join(folder::name(&task?)).join("comm");
        seen += 1;
        let mut name = [0u8; 16];
        let count = match File::open(task).and_then(|mut file| again(|| file.read(&mut name))) {
            // It has ended.
            Err(error) if processes::has_ended(&error) => continue,
            other => other?,
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
    Ok(lines)
}

/// The title that a process wrote over its command line; that of its parent, where only that one has these words.
fn title_of(pid: u32, words: &str) -> Result<String, Refusal> {
    let title = |pid: u32| -> Result<String, Refusal> {
        let bytes = beginning(&format!("/proc/{pid}/cmdline"), 64 << 10)?;
        Ok(String::from_utf8_lossy(&bytes).replace('\0', " "))
    };
    let own = title(pid)?;
    if own.contains(words) {
        return Ok(own);
    }
    let status = Live.ask(Query { ask: Ask::Read, of: &format!("/proc/{pid}/status") })?;
    let status = String::from_utf8_lossy(&status).into_owned();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    match parent.filter(|parent| *parent != 0).map(title) {
        Some(title) => Ok(Some(title?).filter(|title| title.contains(words)).unwrap_or(own)),
        None => Ok(own),
    }
}

/// The server of a Python program: the script that the interpreter runs, the module after `-m`, or the title that it gave
/// itself.
fn python_server(pid: u32) -> Result<Option<&'static str>, Refusal> {
    const SERVERS: [&str; 2] = ["gunicorn", "uvicorn"];
    let bytes = beginning(&format!("/proc/{pid}/cmdline"), 64 << 10)?;
    let words: Vec<String> =
        bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let named = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or_default();
        SERVERS.into_iter().find(|server| name == *server || name.starts_with(&format!("{server}: ")))
    };
    Ok(words.iter().take(3).find_map(|word| named(word)))
}

/// A whole file, or as much of it as `most` bytes.
fn beginning(path: &str, most: u64) -> Answer {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| refusal(&error))?;
    file.take(most).read_to_end(&mut bytes).map_err(|error| refusal(&error))?;
    Ok(bytes)
}
