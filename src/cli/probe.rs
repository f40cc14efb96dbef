//! `tunecheck probe`: what the other end of the connections says of itself.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::args::{AskArgs, Format, PeerArgs, ProbeArgs, ProbeCommand};
use super::exit::Exit;
use super::terminal::{Terminal, print};
use super::{settings, values};
use crate::host::peer::{self, Question};
use crate::model::peer::{Origin, Peers, Streams, Trust};
use crate::model::workload::Role;
use crate::report;

/// The longest that one address may take where nobody says so.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn run(command: &ProbeCommand) -> Result<Exit> {
    let ProbeCommand::H2(args) = command;
    let ProbeArgs { url, ask, format, color } = args.as_ref();
    let peers = asked(url, ask)?;
    let terminal = Terminal::stdout();
    let text = match format {
        Format::Table => report::peers(&peers, settings::plain_style(*color, terminal)),
        Format::Json => report::peers_json(&peers, terminal.interactive)?,
    };
    print(text.as_bytes()).context("cannot write what was found")?;
    Ok(if peers.all_answered() { Exit::Done } else { Exit::Failed })
}

/// Asks the peer that `--h2` names; none is named, nothing is sent.
pub(super) fn ask(args: &PeerArgs) -> Result<Option<Peers>> {
    args.h2.as_ref().map(|url| asked(url, &args.ask)).transpose()
}

/// As [`ask`], for whoever plays this role, with what a reader of a report has to know about it.
pub(super) fn ask_for(role: Role, args: &PeerArgs) -> Result<(Option<Peers>, Option<String>)> {
    if let (Role::Server, Some(url)) = (role, &args.h2) {
        let origin = origin(url)?;
        let why = "a server opens no connection to it (--workload client or gateway does)";
        return Ok((None, Some(format!("{origin} was not asked: {why}."))));
    }
    let peers = ask(args)?;
    let note = peers.as_ref().and_then(note);
    Ok((peers, note))
}

/// Requests that a peer takes at a time on one connection, the least of its addresses; none if it names no limit.
///
/// # Errors
/// No address answered, or they take none now.
pub(super) fn limit(peers: &Peers) -> Result<Option<u64>> {
    match peers.max_concurrent_streams() {
        Some(Streams::Limited(0)) => bail!("{} takes no request at all, for now: ask again later", peers.origin),
        Some(Streams::Limited(limit)) => Ok(Some(limit.into())),
        Some(Streams::Unlimited) => Ok(None),
        None => {
            let trouble = peers.peers.iter().find_map(|peer| Some((peer.address, peer.answer.as_ref().err()?)));
            match (&peers.nowhere, trouble) {
                (Some(why), _) => bail!("{why}"),
                (None, Some((address, trouble))) => bail!("{address}: {}; {}", trouble.what, trouble.next),
                (None, None) => bail!("{} was not asked", peers.origin),
            }
        }
    }
}

/// The addresses without an answer, as a clause; empty if all answered.
pub(super) fn silent(peers: &Peers) -> String {
    let silent = peers.peers.iter().filter_map(|peer| Some((peer.address, peer.answer.as_ref().err()?)));
    let silent: Vec<String> = silent.map(|(address, trouble)| format!("{address} ({})", trouble.what)).collect();
    if silent.is_empty() { String::new() } else { format!("; no answer from {}", silent.join(", ")) }
}

/// What a reader of a report has to know about who answered.
fn note(peers: &Peers) -> Option<String> {
    peers.answers().next()?;
    let why = match peers.trust {
        Trust::Cleartext => "it speaks in cleartext",
        Trust::Nothing => "its certificate was not judged (--insecure)",
        Trust::System(..) | Trust::BuiltIn(_) => return None,
    };
    Some(format!("Nobody proves that {} is who answered: {why}.", peers.origin))
}

/// Read here rather than by the parser of arguments, which shows what it refuses: a password may stand in a URL.
fn origin(url: &str) -> Result<Origin> {
    values::origin(url).map_err(|why| anyhow!("the URL is not taken: {why}"))
}

fn asked(url: &str, args: &AskArgs) -> Result<Peers> {
    let origin = &origin(url)?;
    let AskArgs { connect, cacert, insecure, timeout } = args;
    let timeout = timeout.unwrap_or(TIMEOUT);
    Ok(peer::ask(&Question { origin, connect, roots: cacert.as_deref(), verify: !insecure, timeout })?)
}
