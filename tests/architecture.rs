//! The shape of the house, read from its sources: who may use whom, and who may touch the machine or the terminal.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "reads the sources, fails by panicking"
)]

mod support;

use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

use support::{ROOT, entries};

/// Each part of the library and the parts that it may use besides itself: the one direction of the flow.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("host", &["model"]),
    ("facts", &["model", "host"]),
    ("place", &["model"]),
    ("rules", &["model"]),
    ("evaluate", &["model"]),
    ("remedy", &["model"]),
    ("report", &["model"]),
    ("compare", &["model"]),
    ("manifest", &["model"]),
    ("capacity", &["model"]),
    ("symptoms", &["model"]),
    // The flow itself.
    ("audit", &["model", "host", "facts", "place", "rules", "evaluate", "remedy", "report"]),
    ("watch", &["model", "host", "facts", "place", "rules", "evaluate", "audit"]),
    (
        "cli",
        &[
            "model", "host", "facts", "place", "rules", "evaluate", "remedy", "report", "compare", "manifest",
            "capacity", "symptoms", "audit", "watch",
        ],
    ),
];
/// Where each outside thing may be used, and why nowhere else.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("std::fs", &["host"]),
    ("std::process::Command", &["host"]),
    ("std::os::unix::net", &["host"]),
    ("std::time::SystemTime", &["host"]),
    ("std::time::Instant", &["host"]),
    ("std::time::UNIX_EPOCH", &["host"]),
    ("std::io::stdin", &["host"]),
    ("std::io::stdout", &["cli"]),
    ("std::io::stderr", &["cli"]),
    // The modes of the terminal are those of its descriptor.
    ("io::stdin", &["host", "cli"]),
    // What reads for another answers there.
    ("io::stdout", &["cli", "host"]),
    // What is to be written there is written behind what others write.
    ("io::stderr", &["cli", "host"]),
    ("nix", &["host", "cli"]),
    ("signal_hook", &["host"]),
    ("sysinfo", &["host"]),
    ("rustls", &["host"]),
    ("rustls_native_certs", &["host"]),
    ("webpki_roots", &["host"]),
    ("simple_dns", &["host"]),
    // What of a URL counts.
    ("http::Uri", &["cli"]),
    ("caps", &["host"]),
    ("landlock", &["host"]),
    ("seccompiler", &["host"]),
    ("tar", &["host"]),
    ("flate2", &["host"]),
    // In remedy the tests of what is written read it back.
    ("serde_yaml", &["rules", "remedy", "report"]),
    // Values that know their line and column.
    ("granit_parser", &["manifest"]),
    // A manifest is built from Kubernetes' own types, so that no field can be written that it does not have.
    ("k8s_openapi", &["remedy"]),
    ("clap", &["cli"]),
    ("ratatui", &["cli"]),
    ("crossterm", &["cli"]),
    ("comfy_table", &["report"]),
    ("owo_colors", &["report"]),
];
/// Where sockets are opened, and only towards what the user names. Nowhere does anything listen.
const SOCKETS: &str = "host/peer";
/// What of std::net is data; everything else there opens sockets.
const ADDRESSES: &[&str] = &["IpAddr", "Ipv4Addr", "Ipv6Addr", "SocketAddr", "SocketAddrV4", "SocketAddrV6"];
/// Lines of a file, at most: one file is one idea.
const LONGEST: usize = 350;

/// A source file: its path below src/, the part it belongs to, and its code without comments and texts.
struct Source {
    path: PathBuf,
    part: String,
    code: String,
}

/// Every source of the library and the binary. The build script packs rules and is no part of either.
fn sources() -> Vec<Source> {
    let src = Path::new(ROOT).join("src");
    let mut found = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let below = path.strip_prefix(&src).unwrap().to_owned();
                let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
                let part = first.trim_end_matches(".rs").to_owned();
                found.push(Source { part, code: code(&fs::read_to_string(&path).unwrap()), path: below });
            }
        }
    }
    found.retain(|source| source.part != "build");
    assert!(found.len() > 30, "the sources are not where they are expected");
    found
}

/// Rust without comments and without the content of texts.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw(rest, &code) {
            let close = format!("\"{}", "#".repeat(hashes));
            let content = hashes + 2;
            rest[content..].find(&close).map_or(rest.len(), |end| content + end + close.len())
        } else if c == '"' {
            text_length(rest)
        } else if let Some(length) = character(rest) {
            length
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// The number of `#` of a raw text that starts here.
fn raw(rest: &str, before: &str) -> Option<usize> {
    let inside_a_word = before.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
    let hashes = rest.strip_prefix('r')?.chars().take_while(|&c| c == '#').count();
    (!inside_a_word && rest[1 + hashes..].starts_with('"')).then_some(hashes)
}

/// The length of a text in quotes, quotes included.
fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character in quotes; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.strip_prefix('\'')?.char_indices();
    let (_, first) = chars.next()?;
    match first {
        '\\' => rest.get(3..)?.find('\'').map(|end| end + 4),
        _ => chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 2),
    }
}

/// Every path in the code, those in braces written out: `use a::{b, c::d}` gives `a::b` and `a::c::d`.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(&c) = chars.peek() {
        if is_name(c) {
            path(&mut chars, String::new(), &mut found);
        } else {
            chars.next();
        }
    }
    found
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '*'
}

/// Reads one path, or a tree of them, that starts with a name.
fn path(chars: &mut Peekable<Chars<'_>>, before: String, found: &mut Vec<String>) {
    let mut path = before;
    loop {
        while chars.peek().is_some_and(|&c| is_name(c)) {
            path.extend(chars.next());
        }
        let mut ahead = chars.clone();
        if !(ahead.next() == Some(':') && ahead.next() == Some(':')) {
            return found.push(path);
        }
        *chars = ahead;
        path.push_str("::");
        match chars.peek() {
            Some('{') => {
                chars.next();
                return branches(chars, &path, found);
            }
            Some(&c) if is_name(c) => {}
            // A turbofish or a generic type.
            _ => return found.push(path.trim_end_matches("::").to_owned()),
        }
    }
}

/// Reads the branches of a tree up to its closing brace.
fn branches(chars: &mut Peekable<Chars<'_>>, before: &str, found: &mut Vec<String>) {
    while let Some(&c) = chars.peek() {
        match c {
            '}' => {
                chars.next();
                return;
            }
            c if is_name(c) => path(chars, before.to_owned(), found),
            _ => {
                chars.next();
            }
        }
    }
}

/// Whether a path is, or lies below, another.
fn below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn this_reader_of_sources_sees_what_rust_sees() {
    let text = r##"
        //! crate::cli in a comment
        use crate::{host::{Host, input}, model::fact};
        use std::{env, fs as files};
        fn f<'a>(x: &'a str) -> char { let _ = "crate::cli \" std::fs"; let _ = r#"std::net"#; x.chars().nth('"'.len_utf8()); '\'' }
        /* std::process::Command */
        fn g() { Vec::<crate::facts::Facts>::new(); std::time::Instant::now(); }
    "##;
    let found = paths(&code(text));
    let seen = |path: &str| found.iter().any(|other| other == path);
    for path in ["crate::host::Host", "crate::host::input", "crate::model::fact", "std::env", "std::fs"] {
        assert!(seen(path), "{path}: {found:?}");
    }
    assert!(seen("crate::facts::Facts") && seen("std::time::Instant::now"), "{found:?}");
    for path in ["crate::cli", "std::net", "std::process::Command"] {
        assert!(!found.iter().any(|other| below(other, path)), "{path}: {found:?}");
    }
}

#[test]
fn parts_depend_on_each_other_in_one_direction() {
    let mut wrong = Vec::new();
    for source in sources() {
        let shown = source.path.display();
        if ["main", "lib"].contains(&source.part.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(part, _)| *part == source.part) else {
            wrong.push(format!("{shown}: src/{} is new: say in tests/architecture.rs what it may use", source.part));
            continue;
        };
        for path in paths(&source.code) {
            let Some(used) = path.strip_prefix("crate::").and_then(|rest| rest.split("::").next()) else { continue };
            if used != source.part && !allowed.contains(&used) {
                wrong.push(format!("{shown} uses {path}: {} may use {allowed:?}", source.part));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_part_climbs_out_of_itself_by_super() {
    let mut wrong = Vec::new();
    for source in sources() {
        let depth = source.path.components().count();
        let of_its_folder = source.path.ends_with("mod.rs");
        // In src/a.rs and src/a/mod.rs `super` is the crate, in src/a/b.rs it is a.
        let steps_to_crate = if of_its_folder { depth - 1 } else { depth };
        let (body, tests) = source.code.split_once("mod tests {").unwrap_or((&source.code, ""));
        for (text, steps_to_crate) in [(body, steps_to_crate), (tests, steps_to_crate + 1)] {
            for path in paths(text) {
                let steps = path.split("::").take_while(|part| *part == "super").count();
                if steps >= steps_to_crate {
                    wrong.push(format!("{}: {path}: write crate::...", source.path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_host_touches_the_machine_and_only_cli_the_terminal() {
    let mut wrong = Vec::new();
    for source in sources() {
        for path in paths(&source.code) {
            let kept = ONLY_IN.iter().find(|(top, parts)| below(&path, top) && !parts.contains(&source.part.as_str()));
            if let Some((_, parts)) = kept {
                wrong.push(format!("{} uses {path}: only in {parts:?}", source.path.display()));
            }
            let socket = path
                .strip_prefix("std::net::")
                .is_some_and(|name| !ADDRESSES.contains(&name.split("::").next().unwrap_or_default()));
            let listens = path.ends_with("Listener") && path.contains("net::");
            if listens || (socket && !source.path.starts_with(SOCKETS)) || path == "std::net" {
                wrong.push(format!("{} uses {path}: only {SOCKETS} opens connections", source.path.display()));
            }
        }
        for name in ["print", "println", "eprint", "eprintln", "dbg"] {
            let called = source
                .code
                .match_indices(&format!("{name}!"))
                .any(|(at, _)| !source.code[..at].chars().next_back().is_some_and(is_name));
            if called && source.part != "cli" {
                wrong.push(format!("{} calls {name}!: only cli writes to the terminal", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_file_lies_one_folder_deep() {
    let rules = Path::new(ROOT).join("rules");
    let mut count = 0;
    // The table of the manual's rows is what the rules point to; the other is what no rule explains.
    let tables = ["manual.yaml", "lookalikes.yaml"];
    for folder in entries(&rules).into_iter().filter(|path| !tables.iter().any(|table| path.ends_with(table))) {
        assert!(folder.is_dir(), "{} is not in a subsystem's folder", folder.display());
        for file in entries(&folder) {
            let is_rule = file.is_file() && file.extension().is_some_and(|end| end == "yaml");
            assert!(is_rule, "{} is no rule file", file.display());
            count += 1;
        }
    }
    assert!(count > 30, "{count} rule files");
}

/// Numbers with such names that bound nothing of what is read: what others take or know, and lengths of what is printed.
const NO_BOUNDS: &[(&str, &str)] = &[
    ("host/peer/conf.rs", "MOST_SERVERS"),
    ("manifest/dns.rs", "MOST_NAMESERVERS"),
    ("manifest/dns.rs", "MOST_SEARCHES"),
    ("manifest/dns.rs", "MOST_CHARACTERS"),
    ("manifest/mod.rs", "LONGEST"),
    ("manifest/port_numbers.rs", "LONGEST_NAME"),
    ("rules/file/workload.rs", "MOST"),
    ("symptoms/near.rs", "MOST"),
    ("symptoms/fit.rs", "LONGEST_NAME"),
];

/// `tunecheck help limits` prints the table of bounds, and a number that stands elsewhere is missing there.
#[test]
fn every_bound_stands_in_the_table() {
    let parts = ["host", "facts", "manifest", "watch", "symptoms", "rules", "audit", "compare"];
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| parts.contains(&source.part.as_str())) {
        let body = source.code.split("mod tests {").next().unwrap_or_default();
        let shown = source.path.display().to_string();
        for (_, rest) in body.match_indices("const ").map(|(at, word)| (at, &body[at + word.len()..])) {
            let Some((name, rest)) = rest.split_once(':') else { continue };
            let number = ["u32 ", "u64 ", "usize "].iter().any(|kind| rest.trim_start().starts_with(kind));
            let bounds =
                ["MOST", "LARGEST", "LONGEST", "DEEPEST", "LINKS", "LIMIT"].iter().any(|word| name.contains(word));
            if number && bounds && !NO_BOUNDS.contains(&(shown.as_str(), name)) {
                wrong.push(format!("{shown}: {name}: put it into src/model/bounds.rs"));
            }
        }
        for (at, word) in body.match_indices(".take(").chain(body.match_indices(".truncate(")) {
            let number: String =
                body[at + word.len()..].chars().take_while(|c| c.is_ascii_digit() || *c == '_').collect();
            if number.replace('_', "").parse::<u64>().is_ok_and(|number| number > 128) {
                wrong.push(format!("{shown}: {word}{number}): put the number into src/model/bounds.rs"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Nothing is in the table that bounds nothing.
    let table = fs::read_to_string(Path::new(ROOT).join("src/model/bounds.rs")).unwrap();
    let code: String = sources()
        .iter()
        .filter(|source| !source.path.ends_with("model/bounds.rs"))
        .map(|source| source.code.as_str())
        .collect();
    let named = table.lines().filter_map(|line| line.trim_start().split_once(" = ").map(|(name, _)| name));
    let rows = named.filter(|name| name.len() > 2 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    let idle: Vec<&str> =
        rows.filter(|name| *name != "JSON_DEPTH" && !code.contains(&format!("bounds::{name}"))).collect();
    assert!(idle.is_empty(), "nothing refers to {idle:?}");
}

#[test]
fn a_source_file_is_one_idea() {
    let lines = |path: &Path| fs::read_to_string(Path::new(ROOT).join("src").join(path)).unwrap().lines().count();
    let long: Vec<String> = sources()
        .iter()
        .map(|source| (lines(&source.path), source.path.display()))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, path)| format!("{path} has {lines} lines"))
        .collect();
    assert!(long.is_empty(), "longer than {LONGEST} lines: {}", long.join(", "));
}
