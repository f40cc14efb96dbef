//! Job control: a stop that is asked for, and whether this job is the one that the terminal belongs to.

use std::io;

use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};

/// Signals that stop a job, taken as requests: the terminal is given back before this process stops. Those that the kernel
/// sends to a job in the background that touches the terminal never stop it: it looks first whose the terminal is.
#[derive(Debug)]
pub(super) struct Job {
    stops: SignalFd,
}

impl Job {
    /// Blocks these signals from here on.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub(super) fn controlled() -> io::Result<Self> {
        let mut blocked = stop();
        blocked.add(Signal::SIGTTIN);
        blocked.add(Signal::SIGTTOU);
        blocked.thread_block()?;
        let stops = SignalFd::with_flags(&stop(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { stops })
    }

    /// Whether a stop was asked for since the last time.
    pub(super) fn is_to_stop(&self) -> bool {
        let mut asked = false;
        while let Ok(Some(_)) = self.stops.read_signal() {
            asked = true;
        }
        asked
    }

    /// Stops this process, and returns once it goes on. As with any stop that a terminal asks for, the kernel lets go on
    /// what nobody could continue: a job without a shell.
    ///
    /// # Errors
    /// Those of sending a signal.
    pub(super) fn stop(&self) -> io::Result<()> {
        raise(Signal::SIGTSTP)?;
        self.until_continued()
    }

    /// As [`Job::stop`], for the whole job, as a terminal does for its key.
    ///
    /// # Errors
    /// Those of sending a signal.
    pub(super) fn stop_all(&self) -> io::Result<()> {
        kill(Pid::from_raw(0), Signal::SIGTSTP)?;
        self.until_continued()
    }

    /// Lets the signal do what it does. There it stops.
    fn until_continued(&self) -> io::Result<()> {
        stop().thread_unblock()?;
        stop().thread_block()?;
        Ok(())
    }
}

fn stop() -> SigSet {
    SigSet::from(Signal::SIGTSTP)
}

/// Whether the terminal belongs to this job. One that nobody controls belongs to who has it open.
pub(super) fn is_in_foreground() -> bool {
    tcgetpgrp(io::stdout()).map_or(true, |group| group == getpgrp())
}
