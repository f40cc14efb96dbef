//! Numbers that servers read from files of their own: how many connections, clients or children they admit.
//!
//! Each server names its file in another way. What is found is looked at below the root of the process, and nothing but the
//! listed keys leaves this module.

use super::super::live::read_regular;
use super::super::tree::followed;
use super::super::{Answer, Ask, Host, Live, Query, Refusal};
use super::options::line;
use super::{beginning, title_of};

/// Most of a file that is read, and how many files one configuration may take.
const LARGEST: usize = 1 << 20;
const FILES: usize = 64;

/// A server whose configuration is lines of a key and a value.
struct Server {
    name: &'static str,
    /// Keys asked about, each with the section in which it counts; empty for any.
    keys: &'static [(&'static str, &'static str)],
    /// Keys that name further files.
    includes: &'static [&'static str],
    /// Words that begin a section, where `[name]` does not.
    sections: &'static [&'static str],
    /// The files, in the order in which they take effect.
    files: fn(u32) -> Result<Vec<String>, Refusal>,
}

const SERVERS: [Server; 5] = [
    Server {
        name: "haproxy",
        keys: &[("maxconn", "global")],
        includes: &[],
        sections: &[
            "global",
            "defaults",
            "frontend",
            "backend",
            "listen",
            "peers",
            "resolvers",
            "userlist",
            "program",
            "cache",
        ],
        files: haproxy,
    },
    Server { name: "redis", keys: &[("maxclients", "")], includes: &["include"], sections: &[], files: redis },
    Server {
        name: "postgres",
        keys: &[("max_connections", ""), ("superuser_reserved_connections", ""), ("reserved_connections", "")],
        includes: &["include", "include_if_exists", "include_dir"],
        sections: &[],
        files: postgres,
    },
    Server {
        name: "pgbouncer",
        keys: &[("max_client_conn", "pgbouncer")],
        includes: &["%include"],
        sections: &[],
        files: pgbouncer,
    },
    Server { name: "php-fpm", keys: &[("pm.max_children", "")], includes: &["include"], sections: &[], files: php_fpm },
];

/// Whether the numbers of this program stand in a file that is known here.
pub(super) fn are_known(name: &str) -> bool {
    SERVERS.iter().any(|server| server.name == name)
}

/// `conf KEY VALUE`, a line each, in the order in which they take effect; `arg KEY VALUE` for those of the command line.
pub(super) fn answer(pid: u32, name: &str) -> Answer {
    let Some(server) = SERVERS.iter().find(|server| server.name == name) else {
        return Err(Refusal::Unsupported(format!("no configuration of {name} is read")));
    };
    let root = format!("/proc/{pid}/root");
    let mut reading = Reading { server, root, lines: String::new(), files: 0 };
    for file in (server.files)(pid)? {
        reading.file(&file, true)?;
    }
    let mut lines = reading.lines;
    for (key, value) in arguments(pid, server) {
        line(&mut lines, "arg", &key, &value);
    }
    Ok(lines.into_bytes())
}

struct Reading {
    server: &'static Server,
    root: String,
    lines: String,
    files: usize,
}

impl Reading {
    /// Takes one file and those it includes. A file that has to be there and cannot be read is an error.
    fn file(&mut self, path: &str, needed: bool) -> Result<(), Refusal> {
        self.files += 1;
        if self.files > FILES {
            line(&mut self.lines, "conf", "include", "?");
            return Ok(());
        }
        let read = followed(&self.root, path, true).and_then(|path| read_regular(&format!("{}{path}", self.root)));
        let mut bytes = match read {
            Ok(bytes) => bytes,
            Err(refusal) if needed => return Err(refusal),
            Err(refusal) if refusal.is_absent() => return Ok(()),
            Err(_) => {
                line(&mut self.lines, "conf", "include", "?");
                return Ok(());
            }
        };
        bytes.truncate(LARGEST);
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (section, key, value) in pairs(&String::from_utf8_lossy(&bytes), self.server.sections) {
            if self.server.keys.iter().any(|(asked, of)| *asked == key && (of.is_empty() || *of == section)) {
                line(&mut self.lines, "conf", &key, &value);
            }
            if self.server.includes.contains(&key.as_str()) {
                let below = if value.starts_with('/') { value } else { format!("{folder}/{value}") };
                self.included(&below, key == "include_dir")?;
            }
        }
        Ok(())
    }

    /// One file, a folder, or `FOLDER/*.conf`.
    fn included(&mut self, path: &str, is_folder: bool) -> Result<(), Refusal> {
        let (folder, ending) = match path.rsplit_once("/*") {
            Some((folder, ending)) => (folder, ending),
            None if is_folder => (path, ".conf"),
            None => return self.file(path, false),
        };
        let listed = followed(&self.root, folder, true)
            .and_then(|folder| Live.ask(Query { ask: Ask::List, of: &format!("{}{folder}", self.root) }));
        match listed {
            Ok(names) if !ending.contains(['*', '?', '[']) => {
                let names = String::from_utf8_lossy(&names).into_owned();
                for name in names.split('\0').filter(|name| name.ends_with(ending) && !name.starts_with('.')) {
                    self.file(&format!("{folder}/{name}"), false)?;
                }
            }
            Err(refusal) if refusal.is_absent() => {}
            _ => line(&mut self.lines, "conf", "include", "?"),
        }
        Ok(())
    }
}

/// Section, key and value of each line that has them: `key = value`, `key value`, with or without quotes.
fn pairs(text: &str, sections: &[&str]) -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim().to_owned();
            continue;
        }
        let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
        let (key, rest) = line.split_at_checked(end).unwrap_or((line, ""));
        if sections.contains(&key) {
            section = key.to_owned();
            continue;
        }
        let rest = rest.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
        let value = match rest.chars().next() {
            Some(mark @ ('\'' | '"')) => rest.split(mark).nth(1),
            _ => rest.split(|c: char| c.is_whitespace() || c == '#' || c == ';').next(),
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            found.push((section.clone(), key.to_owned(), value.to_owned()));
        }
    }
    found
}

fn words(pid: u32) -> Vec<String> {
    let bytes = beginning(&format!("/proc/{pid}/cmdline"), 64 << 10).unwrap_or_default();
    bytes
        .split(|&byte| byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

fn elsewhere(why: &str) -> Refusal {
    Refusal::Unsupported(why.to_owned())
}

fn haproxy(pid: u32) -> Result<Vec<String>, Refusal> {
    let words = words(pid);
    let files: Vec<String> = words
        .windows(2)
        .filter(|pair| pair.first().is_some_and(|word| word == "-f"))
        .filter_map(|pair| pair.get(1).cloned())
        .collect();
    match files.iter().all(|file| file.starts_with('/')) && !files.is_empty() {
        true => Ok(files),
        false => Err(elsewhere("its command line names no configuration by a whole path (-f)")),
    }
}

/// It writes its address over its command line, so a file counts only if it has that port.
fn redis(pid: u32) -> Result<Vec<String>, Refusal> {
    let words = words(pid);
    if let Some(file) = words.get(1).filter(|word| word.starts_with('/')) {
        return Ok(vec![file.clone()]);
    }
    let title = words.first().cloned().unwrap_or_default();
    let port = title.split_whitespace().nth(1).and_then(|address| address.rsplit(':').next()).unwrap_or_default();
    for file in ["/etc/redis/redis.conf", "/etc/redis.conf", "/usr/local/etc/redis/redis.conf"] {
        let root = format!("/proc/{pid}/root");
        let Ok(bytes) = followed(&root, file, true).and_then(|path| read_regular(&format!("{root}{path}"))) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let own = pairs(&text, &[]).into_iter().rev().find(|(_, key, _)| key == "port").map(|(_, _, port)| port);
        if own.as_deref().unwrap_or("6379") == port {
            return Ok(vec![file.to_owned()]);
        }
    }
    Err(elsewhere("its title hides which configuration it read, and none of the usual files has its port"))
}

/// What ALTER SYSTEM wrote comes after the file of the administrator.
fn postgres(pid: u32) -> Result<Vec<String>, Refusal> {
    let words = words(pid);
    let folder = words
        .windows(2)
        .find(|pair| pair.first().is_some_and(|word| word == "-D"))
        .and_then(|pair| pair.get(1).cloned());
    let folder = folder.ok_or_else(|| elsewhere("its command line names no data directory (-D)"))?;
    let file =
        words.iter().find_map(|word| word.strip_prefix("config_file=").or_else(|| word.strip_prefix("--config_file=")));
    let file = file.map_or_else(|| format!("{folder}/postgresql.conf"), str::to_owned);
    let automatic = format!("{folder}/postgresql.auto.conf");
    let exists = Live.ask(Query { ask: Ask::Exists, of: &format!("/proc/{pid}/root{automatic}") }).is_ok();
    Ok([file].into_iter().chain(exists.then_some(automatic)).collect())
}

fn pgbouncer(pid: u32) -> Result<Vec<String>, Refusal> {
    match words(pid).into_iter().skip(1).find(|word| word.starts_with('/')) {
        Some(file) => Ok(vec![file]),
        None => Err(elsewhere("its command line names no configuration by a whole path")),
    }
}

/// `php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)`; a child's parent is the master.
fn php_fpm(pid: u32) -> Result<Vec<String>, Refusal> {
    let title = title_of(pid, "master process");
    let file = title.split_once('(').and_then(|(_, rest)| rest.split(')').next());
    match file.filter(|file| file.starts_with('/')) {
        Some(file) => Ok(vec![file.to_owned()]),
        None => Err(elsewhere("the title of its master names no configuration")),
    }
}

/// Settings of PostgreSQL that its command line gives: `-c max_connections=N`, `--max_connections=N`, `-N N`.
fn arguments(pid: u32, server: &Server) -> Vec<(String, String)> {
    if server.name != "postgres" {
        return Vec::new();
    }
    let words = words(pid);
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if word == "-N" {
            found.extend(words.get(at + 1).map(|value| ("max_connections".to_owned(), value.clone())));
        }
        let set = word.trim_start_matches("--").trim_start_matches("-c").split_once('=');
        if let Some((key, value)) = set.filter(|(key, _)| server.keys.iter().any(|(asked, _)| asked == key)) {
            found.push((key.to_owned(), value.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, sections: &[&str]) -> Vec<String> {
        pairs(text, sections).into_iter().map(|(section, key, value)| format!("{section}/{key}={value}")).collect()
    }

    #[test]
    fn the_forms_in_which_servers_write_a_value_are_read() {
        assert_eq!(
            of("global\n  maxconn 4000 # all\nfrontend web\n  maxconn 10\n", &["global", "frontend"]),
            ["global/maxconn=4000", "frontend/maxconn=10"]
        );
        assert_eq!(
            of("max_connections = 200\t\t# (change requires restart)\nport=5432\n", &[]),
            ["/max_connections=200", "/port=5432"]
        );
        assert_eq!(
            of("include_dir = 'conf.d'\n;x = 1\n[www]\npm.max_children = 50\n", &[]),
            ["/include_dir=conf.d", "www/pm.max_children=50"]
        );
        assert_eq!(of("maxclients 10000\nmaxclients\n=\n\u{e9}\n[", &[]), ["/maxclients=10000"]);
    }
}
