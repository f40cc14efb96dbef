//! What the output is connected to, and writing to it without being surprised.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// What is known about standard output.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terminal {
    /// Whether it is a terminal.
    pub(super) interactive: bool,
    /// Columns, if it is a terminal that says so.
    pub(super) columns: Option<u16>,
    /// Rows, if it is a terminal that says so.
    pub(super) rows: Option<u16>,
    /// Whether the environment asks for no colour (`NO_COLOR`, `TERM=dumb`).
    pub(super) plain: bool,
}

impl Terminal {
    /// Of standard output.
    pub(super) fn stdout() -> Self {
        Self::of(io::stdout())
    }

    /// Of standard error.
    pub(super) fn stderr() -> Self {
        Self::of(io::stderr())
    }

    fn of(stream: impl IsTerminal + AsFd) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let plain = set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let interactive = stream.is_terminal();
        let size = if interactive { terminal_size::terminal_size_of(stream) } else { None };
        // Behind a pager the terminal is still there, on another descriptor.
        let nearby = || terminal_size::terminal_size_of(io::stderr());
        let number = |name| std::env::var(name).ok().and_then(|value| value.parse().ok());
        let columns =
            size.map(|(width, _)| width.0).or_else(|| number("COLUMNS")).or_else(|| nearby().map(|(width, _)| width.0));
        Self { interactive, columns, rows: size.map(|(_, height)| height.0), plain }
    }
}

/// Writes all bytes to standard output. A reader that went away is no error; a pipe that is full is waited for.
///
/// # Errors
/// Those of writing: a full disk, a closed descriptor.
pub(super) fn print(bytes: &[u8]) -> io::Result<()> {
    print_to_reader(bytes).map(|_| ())
}

/// As [`print`], and says whether there is still a reader.
///
/// # Errors
/// Those of writing.
pub(super) fn print_to_reader(bytes: &[u8]) -> io::Result<bool> {
    write_to(io::stdout().as_fd(), bytes)
}

/// As [`print_to_reader`], to standard error: a result that stands beside the output of a command.
///
/// # Errors
/// Those of writing.
pub(super) fn print_beside(bytes: &[u8]) -> io::Result<bool> {
    write_to(io::stderr().as_fd(), bytes)
}

fn write_to(output: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<bool> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match nix::unistd::write(output, rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EPIPE) => return Ok(false),
            Err(Errno::EAGAIN) => {
                let mut wait = [PollFd::new(output, PollFlags::POLLOUT)];
                poll(&mut wait, PollTimeout::NONE)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Writes a line to standard error. Where that fails there is nobody left to tell.
pub(super) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
