//! Three directives of nginx, from the main file of its configuration.

use super::super::below::Below;
use super::super::{Answer, Ask, Host, Live, Query, Refusal};
use super::options::line;
use super::title_of;
use crate::model::bounds;

const USUAL: &str = "/etc/nginx/nginx.conf";
/// Directives, and the block in which each stands.
const ASKED: [(&str, &str); 3] =
    [("worker_processes", ""), ("worker_rlimit_nofile", ""), ("worker_connections", "events")];

/// Stands for every block in another one.
const DEEPER: &str = "/";

/// `conf DIRECTIVE VALUE`, a line each; `conf include ?` for each file that may hold one of them and is not read.
pub(super) fn answer(pid: u32) -> Answer {
    let mut text = Below::process(pid)?.ask(Query { ask: Ask::Read, of: &path(pid)? })?;
    let cut = bounds::SERVER_FILE.is_exceeded_by(text.len());
    text.truncate(bounds::SERVER_FILE.count());
    let mut lines = directives(&String::from_utf8_lossy(&text));
    if cut {
        lines.push_str("conf include ?\n");
    }
    Ok(lines.into_bytes())
}

/// Where the configuration is: the master's title, `nginx: master process nginx -c FILE`, tells; a worker's parent is it.
///
/// # Errors
/// It was built, or started, to look for it elsewhere.
fn path(pid: u32) -> Result<String, Refusal> {
    let words = title_of(pid, "master process")?;
    let words: Vec<&str> = words.split_whitespace().collect();
    let after = |option: &str| {
        let at = words.iter().position(|word| *word == option)?;
        words.get(at + 1).copied()
    };
    let exe = Live.ask(Query { ask: Ask::Link, of: &format!("/proc/{pid}/exe") })?;
    let distributed = exe.starts_with(b"/usr/sbin/nginx") || exe.starts_with(b"/usr/bin/nginx");
    match (after("-c"), after("-p")) {
        (Some(file), _) if file.starts_with('/') => Ok(file.to_owned()),
        (Some(file), Some(prefix)) => Ok(format!("{}/{file}", prefix.trim_end_matches('/'))),
        (Some(file), None) if distributed => Ok(format!("/etc/nginx/{file}")),
        (None, None) if distributed => Ok(USUAL.to_owned()),
        _ => Err(Refusal::Unsupported("this nginx looks for its configuration elsewhere: nginx -V, -p".to_owned())),
    }
}

pub(super) fn directives(text: &str) -> String {
    let mut lines = String::new();
    let mut blocks: Vec<String> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (_, '\\') => word.extend(chars.next()),
            (Some(mark), _) if c == mark => quote = None,
            (Some(_), _) => word.push(c),
            (None, '"' | '\'') if word.is_empty() => quote = Some(c),
            (None, '#') if word.is_empty() => {
                chars.by_ref().find(|c| *c == '\n');
            }
            (None, ';' | '{' | '}') => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
                let name = words.first().cloned().unwrap_or_default();
                let block = match blocks.as_slice() {
                    [] => "",
                    [block] => block,
                    _ => DEEPER,
                };
                match c {
                    ';' => tell(&mut lines, block, &name, words.get(1).map_or("", String::as_str)),
                    '{' => blocks.push(name),
                    _ => drop(blocks.pop()),
                }
                words.clear();
            }
            (None, _) if c.is_whitespace() => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
            }
            (None, _) => word.push(c),
        }
    }
    lines
}

fn tell(lines: &mut String, block: &str, name: &str, value: &str) {
    if ASKED.contains(&(name, block)) {
        line(lines, "conf", name, value);
    }
    // What is included below http cannot hold any of them.
    if name == "include"
        && ASKED.iter().any(|(_, asked)| *asked == block)
        && !["/modules-enabled/", "/nginx/modules/"].iter().any(|known| value.contains(known))
    {
        line(lines, "conf", "include", "?");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_without_end_cost_what_they_are_long() {
        // The names of all open blocks for each directive would be 40 GB here.
        assert_eq!(directives(&"{;".repeat(bounds::SERVER_FILE.count() / 4)), "");
    }

    #[test]
    fn directives_count_in_their_own_block_only() {
        let text = "user www-data; # worker_processes 9;\nworker_processes auto;\ninclude /etc/nginx/modules-enabled/*.conf;\n\
            worker_rlimit_nofile 65535;\nevents {\n  worker_connections 'hunter2';\n worker_connections 4096;\n}\n\
            http { include x.conf; proxy_set_header Authorization \"Basic hunter2; worker_processes 3;\"; \
            server { worker_connections 1; location ~ ^/a\\{2\\} { } } }\ninclude extra.conf;\n";
        assert_eq!(
            directives(text),
            "conf worker_processes auto\nconf worker_rlimit_nofile 65535\nconf worker_connections ?\n\
             conf worker_connections 4096\nconf include ?\n"
        );
        for odd in ["}}}}", "\\", "\"", "{{{{;", ";;;", "events{worker_connections", "#"] {
            assert_eq!(directives(odd), "");
        }
    }
}
