//! Listening AF_UNIX sockets with their queue and their effective backlog, and those that wait for datagrams.

use super::listeners::told_apart;
use super::{Gather, Source};
use crate::host::{Ask, Host, Query, sock_diag};
use crate::model::catalogue::Entry;
use crate::model::fact::{Cause, Gap, Scope, Unit, Value};
use crate::model::facts::Name;

const fn entry(name: &'static str, meaning: &'static str) -> Entry {
    let document = "https://man7.org/linux/man-pages/man7/sock_diag.7.html";
    Entry { name, unit: Unit::Count, scope: Scope::Netns, meaning, read: "sock_diag, AF_UNIX, state LISTEN", document }
}

const RECEIVERS: &str = "unix.receivers";

pub(super) const SOURCE: Source = Source {
    families: &["unix"],
    read,
    entries: &[
        entry("unix[*].backlog", "effective backlog: the lesser of what listen() asked for and somaxconn then"),
        entry("unix[*].queue", "connections that wait for accept() now"),
        Entry {
            read: "sock_diag, AF_UNIX, those that do not listen and have no peer",
            ..entry(RECEIVERS, "AF_UNIX datagram sockets with a name, which others write to")
        },
    ],
};

fn read(gather: &mut Gather<'_>) {
    if gather.wants(RECEIVERS) {
        let count = ask(gather.host, "unix-bound").map(|bytes| {
            let receivers = sock_diag::messages(&bytes).filter(|(_, body)| is_receiver(body)).count();
            Value::Number(i128::try_from(receivers).unwrap_or(i128::MAX))
        });
        gather.put(RECEIVERS, count, "sock_diag");
    }
    let listening: Vec<Name> = gather.wanted("unix").into_iter().filter(|name| *name != RECEIVERS).collect();
    if listening.is_empty() {
        return;
    }
    let listeners = match ask(gather.host, "unix") {
        Ok(bytes) => sock_diag::messages(&bytes).filter_map(|(_, body)| listener(body)).collect(),
        Err(gap) => {
            return listening.into_iter().for_each(|name| gather.put(name, Err(gap.clone()), "sock_diag"));
        }
    };
    for (subject, listener) in told_apart(listeners, |listener: &Listener| listener.name.clone()) {
        for (key, number) in [("queue", listener.queue), ("backlog", listener.backlog)] {
            gather.put(format!("unix[{subject}].{key}"), Ok(Value::Number(number.into())), "sock_diag");
        }
    }
}

fn ask(host: &dyn Host, of: &str) -> Result<Vec<u8>, Gap> {
    host.ask(Query { ask: Ask::SockDiag, of }).map_err(|refusal| match refusal.is_absent() {
        true => Gap::new(Cause::Unsupported, "this kernel has no sock_diag for AF_UNIX (module unix_diag)"),
        false => refusal.gap("sock_diag for AF_UNIX"),
    })
}

/// Whether a `unix_diag_msg` is of a datagram socket that somebody gave a name, and that writes to none of its own. One that
/// the kernel names (autobind) is a sender's, for its answers.
fn is_receiver(body: &[u8]) -> bool {
    const SOCK_DGRAM: u8 = 2;
    let told = |kind| body.get(MESSAGE..).and_then(|attributes| sock_diag::attribute(attributes, kind));
    let by_kernel = |name: &[u8]| name.len() == 6 && name.first() == Some(&0);
    body.get(1) == Some(&SOCK_DGRAM)
        && told(UNIX_DIAG_NAME).is_some_and(|name| !by_kernel(name))
        && told(UNIX_DIAG_PEER).is_none()
}

/// Bytes of `unix_diag_msg` (linux/unix_diag.h), behind which its attributes begin.
const MESSAGE: usize = 16;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;

#[derive(Debug, PartialEq)]
struct Listener {
    name: String,
    queue: u32,
    backlog: u32,
}

/// Reads a `unix_diag_msg` and its attributes.
fn listener(body: &[u8]) -> Option<Listener> {
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

    #[test]
    fn a_receiver_of_datagrams_has_a_name_that_somebody_gave_it() {
        let of_kind = |kind: u8, name: &[u8]| {
            let mut body = message(name, 0, 0);
            body[1] = kind;
            is_receiver(&body)
        };
        assert!(of_kind(2, b"/run/systemd/journal/dev-log\0") && of_kind(2, b"\0collector"));
        assert!(!of_kind(1, b"/run/a\0"), "a stream");
        let mut sender = message(b"/run/mine\0", 0, 0);
        sender[1] = 2;
        sender.extend([8, 0, 2, 0, 7, 0, 0, 0]);
        assert!(!is_receiver(&sender), "it writes to another one");
        assert!(!of_kind(2, b"\x000002a"), "named by the kernel");
        assert!(!is_receiver(&[1, 2, 7]) && !is_receiver(&[]));
    }
}
