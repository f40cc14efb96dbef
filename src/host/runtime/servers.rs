//! Numbers that servers read from files of their own: how many connections, clients or children they admit.
//!
//! What is found is looked at below the root of the process, and nothing but the listed keys leaves this module.

mod command_line;
mod parts;

use self::parts::Defaults;
use super::super::below::Below;
use super::super::{Answer, Ask, Query, Refusal};
use super::options::line;
use crate::model::bounds;

/// The one key that may name a file that is not there.
const INCLUDE_IF_EXISTS: &str = "include_if_exists";
/// What stands for several names in a path.
const PATTERN: [char; 3] = ['*', '?', '['];

/// A server whose configuration is lines of a key and a value.
struct Server {
    name: &'static str,
    /// Keys asked about, each with the section in which it counts; empty for any.
    keys: &'static [(&'static str, &'static str)],
    /// Keys that name further files, or make what follows them depend on something else.
    includes: &'static [&'static str],
    /// Whether a file is named from the folder of the one that names it; else from a folder that nobody knows here.
    is_relative: bool,
    /// Words that begin a section, where `[name]` does not.
    sections: &'static [&'static str],
    /// The files, in the order in which they take effect.
    files: fn(u32) -> Result<Vec<String>, Refusal>,
}

const SERVERS: [Server; 5] = [
    Server {
        name: "haproxy",
        keys: &[("maxconn", "global")],
        includes: &[".if"],
        is_relative: false,
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
        files: command_line::haproxy,
    },
    Server {
        name: "redis",
        keys: &[("maxclients", "")],
        includes: &["include"],
        is_relative: false,
        sections: &[],
        files: command_line::redis,
    },
    Server {
        name: "postgres",
        keys: &[("max_connections", ""), ("superuser_reserved_connections", ""), ("reserved_connections", "")],
        includes: &["include", INCLUDE_IF_EXISTS, "include_dir"],
        is_relative: true,
        sections: &[],
        files: command_line::postgres,
    },
    Server {
        name: "pgbouncer",
        keys: &[("max_client_conn", "pgbouncer")],
        includes: &["%include"],
        is_relative: false,
        sections: &[],
        files: command_line::pgbouncer,
    },
    Server {
        name: "php-fpm",
        keys: &[("pm.max_children", "")],
        includes: &["include"],
        is_relative: false,
        sections: &[],
        files: command_line::php_fpm,
    },
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
    let root = Below::process(pid)?;
    let mut reading = Reading { server, root, lines: String::new(), files: 0, defaults: Defaults::default() };
    for file in (server.files)(pid)? {
        reading.file(&file)?;
    }
    let mut lines = reading.lines;
    for (key, value) in command_line::settings(pid, server)? {
        line(&mut lines, "arg", &key, &value);
    }
    Ok(lines.into_bytes())
}

struct Reading {
    server: &'static Server,
    root: Below,
    lines: String,
    files: usize,
    defaults: Defaults,
}

impl Reading {
    /// Takes one file and those it includes.
    ///
    /// # Errors
    /// It cannot be read.
    fn file(&mut self, path: &str) -> Result<(), Refusal> {
        self.files += 1;
        if self.files > bounds::SERVER_FILES.count() {
            self.unread();
            return Ok(());
        }
        let mut bytes = self.root.ask(Query { ask: Ask::Read, of: path })?;
        if bytes.len() > bounds::SERVER_FILE.count() {
            self.unread();
            bytes.truncate(bounds::SERVER_FILE.count());
        }
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let text = String::from_utf8_lossy(&bytes);
        let pairs = pairs(&text, self.server.sections);
        let parts = match self.server.name {
            "haproxy" => parts::frontends(&text, &mut self.defaults),
            "php-fpm" => parts::pools(pairs.iter()),
            _ => Vec::new(),
        };
        for part in parts {
            // Ports, commas and numbers: no value of the file as it stands there.
            self.lines.push_str(&format!("conf part {part}\n"));
        }
        for (section, key, value) in pairs {
            if self.server.keys.iter().any(|(asked, of)| *asked == key && (of.is_empty() || *of == section)) {
                line(&mut self.lines, "conf", key, value);
            }
            if self.server.includes.contains(&key) {
                match (value.starts_with('/'), self.server.is_relative) {
                    (true, _) => self.included(key, value),
                    (false, true) => self.included(key, &format!("{folder}/{value}")),
                    (false, false) => self.unread(),
                }
            }
        }
        Ok(())
    }

    /// Something that may hold one of the keys is not read.
    fn unread(&mut self) {
        line(&mut self.lines, "conf", "include", "?");
    }

    /// One file, a folder, or `FOLDER/*.conf`. None of them need be there: of a pattern and of a folder that is no error.
    fn included(&mut self, key: &str, path: &str) {
        let (folder, ending) = match path.rsplit_once("/*") {
            Some((folder, ending)) => (folder, ending),
            None if key == "include_dir" => (path, ".conf"),
            None if path.contains(PATTERN) => return self.unread(),
            None => {
                let may_lack = |refusal: &Refusal| key == INCLUDE_IF_EXISTS && refusal.is_absent();
                if self.file(path).is_err_and(|refusal| !may_lack(&refusal)) {
                    self.unread();
                }
                return;
            }
        };
        match self.root.ask(Query { ask: Ask::List, of: folder }) {
            _ if folder.contains(PATTERN) || ending.contains(PATTERN) || ending.contains('/') => self.unread(),
            Ok(names) => {
                let names = String::from_utf8_lossy(&names).into_owned();
                for name in names.split('\0').filter(|name| name.ends_with(ending) && !name.starts_with('.')) {
                    if self.file(&format!("{folder}/{name}")).is_err() {
                        self.unread();
                    }
                }
            }
            Err(refusal) if refusal.is_absent() => {}
            Err(_) => self.unread(),
        }
    }
}

/// Section, key and value of each line that has them: `key = value`, `key value`, with or without quotes.
fn pairs<'a>(text: &'a str, sections: &[&str]) -> Vec<(&'a str, &'a str, &'a str)> {
    let mut section = "";
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            section = name.trim();
            continue;
        }
        let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
        let (key, rest) = line.split_at_checked(end).unwrap_or((line, ""));
        if sections.contains(&key) {
            section = key;
            continue;
        }
        let rest = rest.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
        let value = match rest.chars().next() {
            Some(mark @ ('\'' | '"')) => rest.split(mark).nth(1),
            _ => rest.split(|c: char| c.is_whitespace() || c == '#' || c == ';').next(),
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            found.push((section, key, value));
        }
    }
    found
}

/// Takes any bytes as the configuration and as the command line of each server.
#[cfg(fuzzing)]
pub(super) fn any(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<String> = text.split('\0').map(str::to_owned).collect();
    for server in &SERVERS {
        for (section, key, value) in pairs(&text, server.sections) {
            assert!(!value.is_empty() && !section.contains('\n') && !key.contains('\n'));
        }
        command_line::settings_in(&words, server);
    }
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

    #[test]
    fn a_section_with_a_name_without_end_costs_what_it_is_long() {
        // The name for each line would be 60 GB here.
        let text = format!(
            "[{}]\n{}",
            "x".repeat(bounds::SERVER_FILE.count() / 2),
            "a b\n".repeat(bounds::SERVER_FILE.count() / 8)
        );
        assert_eq!(pairs(&text, &[]).len(), bounds::SERVER_FILE.count() / 8);
    }

    /// What is told of a configuration that begins with the first of these files, below a root of its own.
    fn told(name: &str, files: &[(&str, &str)]) -> String {
        let folder = std::env::temp_dir().join(format!("tunecheck-servers-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let server = SERVERS.iter().find(|server| server.name == name).unwrap();
        let root = Below::root(folder.to_str().unwrap()).unwrap();
        let mut reading = Reading { server, root, lines: String::new(), files: 0, defaults: Defaults::default() };
        reading.file(&format!("/{}", files[0].0)).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        reading.lines
    }

    #[test]
    fn an_included_file_that_is_not_read_is_told() {
        const UNREAD: &str = "conf include ?\n";
        let php = |include: &str| {
            told(
                "php-fpm",
                &[("e/fpm.conf", &format!("include={include}\n")), ("e/d/www.conf", "pm.max_children = 9\n")],
            )
        };
        assert_eq!(php("/e/d/*.conf"), "conf pm.max_children 9\n");
        assert_eq!(php("/e/d/www.conf"), "conf pm.max_children 9\n");
        // From the prefix that PHP was built with; patterns elsewhere than at the end; a file that is not there.
        for include in ["d/*.conf", "/e/*/www.conf", "/e/d/w*.conf", "/e/d/other.conf"] {
            assert_eq!(php(include), UNREAD, "{include}");
        }
        assert_eq!(php("/e/none/*.conf"), "", "a pattern that fits nothing includes nothing");
        let postgres = |text: &str| told("postgres", &[("d/p.conf", text), ("d/x.conf", "max_connections = 7\n")]);
        assert_eq!(postgres("include 'x.conf'\n"), "conf max_connections 7\n");
        assert_eq!(
            (postgres("include_if_exists 'y.conf'\n").as_str(), postgres("include 'y.conf'\n").as_str()),
            ("", UNREAD)
        );
        let conditional = "global\n.if defined(BIG)\n maxconn 9\n.endif\n";
        assert_eq!(told("haproxy", &[("h.cfg", conditional)]), format!("{UNREAD}conf maxconn 9\n"));
        let own = "include /r.conf\nmaxclients 5\n";
        assert_eq!(
            told("redis", &[("r.conf", own)]).matches("maxclients").count(),
            bounds::SERVER_FILES.count(),
            "a circle ends"
        );
        let long = format!("maxclients 5\n{}maxclients 6\n", "#\n".repeat(bounds::SERVER_FILE.count() / 2));
        assert_eq!(told("redis", &[("r.conf", &long)]), format!("{UNREAD}conf maxclients 5\n"));
    }
}
