//! `tunecheck probe`: what the other end of the connections says of itself.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use super::args::{AskArgs, Format, PeerArgs, ProbeArgs, ProbeCommand};
use super::exit::Exit;
use super::terminal::{Terminal, print};
use super::{settings, values};
use crate::host::peer::{self, Question};
use crate::model::peer::{Peers, Streams, Trust};
use crate::report;

/// The longest that one address may take where nobody says so.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn run(command: &ProbeCommand) -> Result<Exit> {
    let ProbeCommand::H2(args) = command;
    let ProbeArgs { url, ask, timeout, format, color } = args.as_ref();
    let peers = asked(url, ask, *timeout)?;
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
    args.h2.as_ref().map(|url| asked(url, &args.ask, TIMEOUT)).transpose()
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

/// What a reader of a report has to know about who was asked.
pub(super) fn note(peers: &Peers) -> Option<String> {
    let why = match peers.trust {
        Trust::Cleartext => "it speaks in cleartext",
        Trust::Nothing => "its certificate was not judged (--insecure)",
        Trust::System(..) | Trust::BuiltIn(_) => return None,
    };
    Some(format!("Nobody proves that {} is who answered: {why}.", peers.origin))
}

/// Read here rather than by the parser of arguments, which shows what it refuses: a password may stand in a URL.
fn asked(url: &str, args: &AskArgs, timeout: Duration) -> Result<Peers> {
    let origin = &values::origin(url).map_err(|why| anyhow!("the URL is not taken: {why}"))?;
    let AskArgs { connect, cacert, insecure } = args;
    Ok(peer::ask(&Question { origin, connect, roots: cacert.as_deref(), verify: !insecure, timeout })?)
}
