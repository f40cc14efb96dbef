//! The terminal, taken over and given back on every way out.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Mutex;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use ratatui::crossterm::event::{self, Event, KeyEvent};
use ratatui::crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::crossterm::{cursor, execute, style};

use super::job::is_in_foreground;
use crate::cli::terminal::print_to_reader;

/// Keys that are taken before the picture is drawn anew: a paste is as long as it likes.
const AT_ONCE: usize = 256;
/// How long more keys are waited for that came with the first.
const GLANCE: Duration = Duration::from_millis(1);
/// The largest picture that is drawn, whatever a terminal says of itself: its cells are held in memory.
const LARGEST: (u16, u16) = (512, 256);

/// The modes of the terminal that we have, if we have one: a panic gives it back before its message is written.
static TAKEN: Mutex<Option<Modes>> = Mutex::new(None);

/// How a terminal treats what is typed.
#[derive(Debug)]
struct Modes {
    /// As it was.
    before: Termios,
    /// As we set it.
    ours: Termios,
}

/// The terminal in our modes: no echo, every key at once, a screen of its own. It gets its own back when this is dropped.
#[derive(Debug)]
pub(super) struct Taken(());

impl Taken {
    /// Takes it over.
    ///
    /// # Errors
    /// There is no terminal to read keys from, or it went away.
    pub(super) fn over() -> io::Result<Self> {
        // Whether to colour was decided from the arguments too.
        style::force_color_output(true);
        let taken = Self(());
        taken.again()?;
        Ok(taken)
    }

    /// Takes it over where somebody else may have had it meanwhile: after a stop that nothing can catch.
    ///
    /// # Errors
    /// It went away.
    pub(super) fn again(&self) -> io::Result<()> {
        let keyboard = tcgetattr(keyboard(&io::stdin(), &io::stdout()))?;
        if let Ok(mut taken) = TAKEN.lock() {
            let before = match taken.take() {
                // Nobody changed it: what was before is still what it gets back.
                Some(modes) if modes.ours == keyboard => modes.before,
                _ => keyboard,
            };
            *taken = Some(Modes { ours: raw(&before)?, before });
        }
        let mut out = Out::default();
        execute!(out, EnterAlternateScreen, cursor::Hide)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Where keys come from. What is written to may be another descriptor of the same terminal.
fn keyboard<'a>(stdin: &'a io::Stdin, stdout: &'a io::Stdout) -> BorrowedFd<'a> {
    if stdin.is_terminal() { stdin.as_fd() } else { stdout.as_fd() }
}

/// Sets modes, and gives them as the terminal has them then.
fn raw(before: &Termios) -> io::Result<Termios> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let keyboard = keyboard(&stdin, &stdout);
    let mut raw = before.clone();
    cfmakeraw(&mut raw);
    tcsetattr(keyboard, SetArg::TCSANOW, &raw)?;
    Ok(tcgetattr(keyboard)?)
}

/// Gives the terminal back. Where that fails there is none any more.
fn give_back() {
    let Some(modes) = TAKEN.try_lock().ok().and_then(|mut taken| taken.take()) else { return };
    let mut out = Out::default();
    let _ = execute!(out, LeaveAlternateScreen, cursor::Show);
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let keyboard = keyboard(&stdin, &stdout);
    // In the background other modes than ours are those of the shell that has the terminal now.
    if is_in_foreground() || tcgetattr(keyboard).is_ok_and(|now| now == modes.ours) {
        let _ = tcsetattr(keyboard, SetArg::TCSANOW, &modes.before);
    }
}

/// Has a panic give the terminal back. In a release nothing is dropped after one.
pub(super) fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        before(panic);
    }));
}

/// Standard output that writes when it is flushed: a picture arrives whole.
#[derive(Debug, Default)]
pub(super) struct Out(Vec<u8>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let told = print_to_reader(&self.0);
        self.0.clear();
        match told {
            // That the terminal was closed is asked for on its own; here it would be a complaint to nobody.
            Ok(_) => Ok(()),
            Err(_) if is_closed() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Empties it.
pub(super) fn clear() -> io::Result<()> {
    let mut out = Out::default();
    execute!(out, Clear(ClearType::All))
}

/// Columns and rows. A serial line knows none; the smallest usual terminal is assumed there.
pub(super) fn size() -> (u16, u16) {
    match terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns.min(LARGEST.0), rows.min(LARGEST.1)),
        _ => (80, 24),
    }
}

/// Keys that came, waiting at most this long for the first.
///
/// # Errors
/// Those of reading: EIO once the terminal was closed.
pub(super) fn keys(longest: Duration) -> io::Result<Vec<KeyEvent>> {
    let mut keys = Vec::new();
    // Waited for here: the library's own wait spins through its last millisecond.
    let longest = PollTimeout::try_from(longest).unwrap_or(PollTimeout::MAX);
    if !ready(PollFlags::POLLIN, longest).contains(PollFlags::POLLIN) {
        return Ok(keys);
    }
    while keys.len() < AT_ONCE && event::poll(GLANCE)? {
        if let Event::Key(key) = event::read()? {
            keys.push(key);
        }
    }
    Ok(keys)
}

fn ready(asked: PollFlags, longest: PollTimeout) -> PollFlags {
    let stdout = io::stdout();
    let mut wait = [PollFd::new(stdout.as_fd(), asked)];
    match poll(&mut wait, longest) {
        Ok(_) => wait.first().and_then(PollFd::revents).unwrap_or(PollFlags::empty()),
        // A signal.
        Err(_) => PollFlags::empty(),
    }
}

/// Whether the terminal was closed.
pub(super) fn is_closed() -> bool {
    ready(PollFlags::empty(), PollTimeout::ZERO)
        .intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL)
}

/// Whether this is what reading from a closed terminal comes to.
pub(super) fn says_closed(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EIO as i32)
}

/// Whether the terminal takes output: one whose reader stands still would hold us in the middle of a picture.
pub(super) fn takes_output() -> bool {
    ready(PollFlags::POLLOUT, PollTimeout::ZERO).contains(PollFlags::POLLOUT)
}
