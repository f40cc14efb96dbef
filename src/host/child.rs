//! A command that is run while limits are watched, and the signals that are meant for it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

use super::{Ask, Host, Live, Query};

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

/// Signals that end a program that does not catch them.
const ENDING: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM];

impl Signals {
    /// Catches them. Those that whoever started this process has them ignore, as nohup does, stay ignored, also by a
    /// command that is started from here.
    ///
    /// # Errors
    /// Those of sigaction(2).
    pub fn caught() -> io::Result<Self> {
        let ignored = ignored();
        let meant = ENDING.into_iter().filter(|number| ignored >> (number - 1) & 1 == 0);
        // Where the end of a child is ignored, nobody is told how it ended.
        SignalsInfo::new(meant.chain([SIGCHLD])).map(Self)
    }

    /// Those that came since the last time.
    pub fn came(&mut self) -> Vec<Came> {
        let came = self.0.pending().filter(|origin| origin.signal != SIGCHLD);
        came.map(|origin| Came { number: origin.signal, sent: origin.process.is_some() }).collect()
    }
}

/// The signals that this process ignores, as a bit mask; none if nobody can tell.
fn ignored() -> u64 {
    let status = Live.ask(Query { ask: Ask::Read, of: "/proc/self/status" }).unwrap_or_default();
    let status = String::from_utf8_lossy(&status).into_owned();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
