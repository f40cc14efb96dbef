//! Listening AF_UNIX sockets with their queue and their effective backlog.

use super::listeners::told_apart;
use super::{Gather, Source};
use crate::host::{Ask, Query, sock_diag};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man7/sock_diag.7.html";
    Entry { name, unit: Unit::Count, scope: Scope::Netns, meaning, read: "sock_diag, AF_UNIX, state LISTEN", document }
}

pub(super) const SOURCE: Source = Source {
    families: &["unix"],
    read,
    entries: &[
        entry("unix[*].backlog", "effective backlog: the lesser of what listen() asked for and somaxconn then"),
        entry("unix[*].queue", "connections that wait for accept() now"),
    ],
};

fn read(gather: &mut Gather<'_>) {
    let answer = gather.host.ask(Query { ask: Ask::SockDiag, of: "unix" });
    let listeners = match answer {
        Ok(bytes) => sock_diag::messages(&bytes).filter_map(|(_, body)| listener(body)).collect(),
        Err(refusal) => {
            let gap = match refusal.is_absent() {
                true => Gap::new(Cause::Unsupported, "this kernel has no sock_diag for AF_UNIX (module unix_diag)"),
                false => refusal.gap("sock_diag for AF_UNIX"),
            };
            return gather.wanted("unix").into_iter().for_each(|name| gather.put(name, Err(gap.clone()), "sock_diag"));
        }
    };
    for (subject, listener) in told_apart(listeners, |listener: &Listener| listener.name.clone()) {
        for (key, number) in [("queue", listener.queue), ("backlog", listener.backlog)] {
            gather.put(format!("unix[{subject}].{key}"), Ok(Value::Number(number.into())), "sock_diag");
        }
    }
}

#[derive(Debug, PartialEq)]
struct Listener {
    name: String,
    queue: u32,
    backlog: u32,
}

/// Reads a `unix_diag_msg` and its attributes (linux/unix_diag.h).
fn listener(body: &[u8]) -> Option<Listener> {
    const MESSAGE: usize = 16;
    const UNIX_DIAG_NAME: u16 = 0;
    const UNIX_DIAG_RQLEN: u16 = 4;
    let attributes = body.get(MESSAGE..)?;
    let lengths = sock_diag::attribute(attributes, UNIX_DIAG_RQLEN)?;
    let number = |at: usize| Some(u32::from_ne_bytes(*lengths.get(at..)?.first_chunk()?));
    let name = sock_diag::attribute(attributes, UNIX_DIAG_NAME).map_or_else(|| "unnamed".to_owned(), name);
    Some(Listener { name, queue: number(0)?, backlog: number(4)? })
}

/// A path, or as `ss` writes it `@` and an abstract name. Whatever is no plain character is escaped.
fn name(bytes: &[u8]) -> String {
    let (mark, rest) = match bytes.split_first() {
        Some((0, rest)) => ("@", rest),
        _ => ("", bytes.strip_suffix(&[0]).unwrap_or(bytes)),
    };
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    mark.to_owned() + &super::text(rest).chars().map(shown).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as the kernel gives it.
    fn message(name: &[u8], queue: u32, backlog: u32) -> Vec<u8> {
        let mut body = vec![0; 16];
        let mut attribute = |kind: u16, value: &[u8]| {
            body.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
            body.resize(body.len().next_multiple_of(4), 0);
        };
        attribute(0, name);
        attribute(4, &[queue.to_ne_bytes(), backlog.to_ne_bytes()].concat());
        body
    }

    #[test]
    fn a_listener_has_a_name_a_queue_and_a_backlog() {
        let read = |name: &[u8]| listener(&message(name, 6, 5)).unwrap();
        let path = read(b"/run/php/php8.2-fpm.sock\0");
        assert_eq!(path, Listener { name: "/run/php/php8.2-fpm.sock".into(), queue: 6, backlog: 5 });
        assert_eq!(read(b"\0containerd-shim\n]").name, "@containerd-shim\\n]");
        assert_eq!(read(b"\0").name, "@");
        assert_eq!(read(b"/run/\xff\x1b[2J").name, "/run/\u{fffd}\\u{1b}[2J");
        assert_eq!(listener(&message(b"/run/a", 6, 5)[..24]), None, "cut before its numbers");
    }
}
