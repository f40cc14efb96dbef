//! What the command line of a server tells: which configuration it reads, and settings that win over it. Each names its file
//! in another way.

use super::super::{beginning, title_of};
use super::{Server, pairs};
use crate::host::below::Below;
use crate::host::{Ask, Query, Refusal};

fn words(pid: u32) -> Result<Vec<String>, Refusal> {
    let bytes = beginning(&format!("/proc/{pid}/cmdline"), 64 << 10)?;
    let words = bytes
        .split(|&byte| byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .filter(|word| !word.is_empty());
    Ok(words.collect())
}

fn elsewhere(why: &str) -> Refusal {
    Refusal::Unsupported(why.to_owned())
}

pub(super) fn haproxy(pid: u32) -> Result<Vec<String>, Refusal> {
    let words = words(pid)?;
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
pub(super) fn redis(pid: u32) -> Result<Vec<String>, Refusal> {
    let words = words(pid)?;
    if let Some(file) = words.get(1).filter(|word| word.starts_with('/')) {
        return Ok(vec![file.clone()]);
    }
    let title = words.first().cloned().unwrap_or_default();
    let port = title.split_whitespace().nth(1).and_then(|address| address.rsplit(':').next()).unwrap_or_default();
    let root = Below::process(pid)?;
    for file in ["/etc/redis/redis.conf", "/etc/redis.conf", "/usr/local/etc/redis/redis.conf"] {
        let Ok(bytes) = root.ask(Query { ask: Ask::Read, of: file }) else { continue };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let own = pairs(&text, &[]).into_iter().rev().find(|(_, key, _)| *key == "port").map(|(_, _, port)| port);
        if own.unwrap_or("6379") == port {
            return Ok(vec![file.to_owned()]);
        }
    }
    Err(elsewhere("its title hides which configuration it read, and none of the usual files has its port"))
}

/// What ALTER SYSTEM wrote comes after the file of the administrator.
pub(super) fn postgres(pid: u32) -> Result<Vec<String>, Refusal> {
    let words = words(pid)?;
    let folder = words
        .windows(2)
        .find(|pair| pair.first().is_some_and(|word| word == "-D"))
        .and_then(|pair| pair.get(1).cloned());
    let folder = folder.ok_or_else(|| elsewhere("its command line names no data directory (-D)"))?;
    let file =
        words.iter().find_map(|word| word.strip_prefix("config_file=").or_else(|| word.strip_prefix("--config_file=")));
    let file = file.map_or_else(|| format!("{folder}/postgresql.conf"), str::to_owned);
    let automatic = format!("{folder}/postgresql.auto.conf");
    match Below::process(pid)?.ask(Query { ask: Ask::Exists, of: &automatic }) {
        Ok(_) => Ok(vec![file, automatic]),
        Err(refusal) if refusal.is_absent() => Ok(vec![file]),
        Err(refusal) => Err(refusal),
    }
}

pub(super) fn pgbouncer(pid: u32) -> Result<Vec<String>, Refusal> {
    match words(pid)?.into_iter().skip(1).find(|word| word.starts_with('/')) {
        Some(file) => Ok(vec![file]),
        None => Err(elsewhere("its command line names no configuration by a whole path")),
    }
}

/// `php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)`; a child's parent is the master.
pub(super) fn php_fpm(pid: u32) -> Result<Vec<String>, Refusal> {
    let title = title_of(pid, "master process")?;
    let file = title.split_once('(').and_then(|(_, rest)| rest.split(')').next());
    match file.filter(|file| file.starts_with('/')) {
        Some(file) => Ok(vec![file.to_owned()]),
        None => Err(elsewhere("the title of its master names no configuration")),
    }
}

/// Settings that a command line gives, which win over those of files: `-c max_connections=N`, `--max-connections=N` and `-N N`
/// of PostgreSQL, `-n N` of HAProxy.
pub(super) fn settings(pid: u32, server: &Server) -> Result<Vec<(String, String)>, Refusal> {
    Ok(settings_in(&words(pid)?, server))
}

pub(super) fn settings_in(words: &[String], server: &Server) -> Vec<(String, String)> {
    let short = match server.name {
        "postgres" => ("-N", "max_connections"),
        "haproxy" => ("-n", "maxconn"),
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if word == short.0 {
            found.extend(words.get(at + 1).map(|value| (short.1.to_owned(), value.clone())));
        }
        let set = word.trim_start_matches("--").trim_start_matches("-c").split_once('=');
        let set = set.map(|(key, value)| (key.replace('-', "_"), value));
        if let Some((key, value)) = set.filter(|(key, _)| server.keys.iter().any(|(asked, _)| asked == key)) {
            found.push((key, value.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_line_sets_is_told() {
        let of = |name: &str, line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let server = super::super::SERVERS.iter().find(|server| server.name == name).unwrap();
            settings_in(&words, server).into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(of("haproxy", "haproxy -W -n 500 -f /h.cfg"), ["maxconn=500"]);
        let line = "postgres -D /d -c max_connections=5 --max-connections=6 -N 7 -c port=1";
        assert_eq!(of("postgres", line), ["max_connections=5", "max_connections=6", "max_connections=7"]);
        assert_eq!(of("redis", "redis-server -n 1 -N 2"), [""; 0]);
    }
}
