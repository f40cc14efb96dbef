//! A command that is run while limits are watched, and the signals that are meant for it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

/// A command that runs, with this process's own input, output and errors.
#[derive(Debug)]
pub struct Child(process::Child);

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its exit code.
    pub exit: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Child {
    /// Starts a command.
    ///
    /// # Errors
    /// Those of exec: no such program, not allowed.
    pub fn start(command: &[OsString]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        Command::new(program).args(arguments).spawn().map(Self)
    }

    /// How it ended; none while it runs.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn ended(&mut self) -> io::Result<Option<End>> {
        let status = self.0.try_wait()?;
        Ok(status.map(|status| End { exit: status.code(), signal: status.signal() }))
    }

    /// Sends it a signal. One that has ended gets none.
    pub fn signal(&self, number: i32) {
        if let (Ok(signal), Ok(pid)) = (Signal::try_from(number), i32::try_from(self.0.id())) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// Its number.
    pub number: i32,
    /// Whether a process sent it to this one alone. Those of a terminal reach the whole foreground group.
    pub sent: bool,
}

/// The signals that ask a program to end. From here on they no longer end this process by themselves.
#[derive(Debug)]
pub struct Signals(SignalsInfo<WithOrigin>);

impl Signals {
    /// Catches them.
    ///
    /// # Errors
    /// Those of sigaction(2).
    pub fn caught() -> io::Result<Self> {
        SignalsInfo::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]).map(Self)
    }

    /// Those that came since the last time.
    pub fn came(&mut self) -> Vec<Came> {
        self.0.pending().map(|origin| Came { number: origin.signal, sent: origin.process.is_some() }).collect()
    }
}
