//! Signals that ask this process to end or to go on, caught so that work can be put in order first.

use std::io;

use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::emulate_default_handler;

use super::{Ask, Host, Live, Query};

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Came {
    /// Its number.
    pub number: i32,
    /// Whether a process sent it. Those of a terminal come from the kernel.
    pub sent: bool,
}

/// Signals that no longer end this process by themselves.
#[derive(Debug)]
pub struct Signals(SignalsInfo<WithOrigin>);

/// Signals that end a program that does not catch them.
const ENDING: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM];
/// Those by which the kernel ends a process that used up its time, and the one that says that a stop is over.
const OF_ITSELF: [i32; 4] = [SIGXCPU, SIGVTALRM, SIGPROF, SIGCONT];

impl Signals {
    /// Catches those that ask a program to end. Those that whoever started this process has them ignore, as nohup does,
    /// stay ignored, also by a command that is started from here.
    ///
    /// # Errors
    /// Those of sigaction(2).
    pub fn caught() -> io::Result<Self> {
        Self::of(&ENDING)
    }

    /// As [`Signals::caught`], and with them all after which a terminal has to be put in order.
    ///
    /// # Errors
    /// Those of sigaction(2).
    pub fn caught_on_terminal() -> io::Result<Self> {
        Self::of(&[ENDING.as_slice(), &OF_ITSELF].concat())
    }

    fn of(numbers: &[i32]) -> io::Result<Self> {
        let ignored = Mask::of("self", "SigIgn:");
        let meant = numbers.iter().filter(|&&number| !ignored.holds(number));
        // Where the end of a child is ignored, nobody is told how it ended.
        SignalsInfo::new(meant.chain([&SIGCHLD])).map(Self)
    }

    /// Those that came since the last time.
    pub fn came(&mut self) -> Vec<Came> {
        let came = self.0.pending().filter(|origin| origin.signal != SIGCHLD);
        came.map(|origin| Came { number: origin.signal, sent: origin.process.is_some() }).collect()
    }
}

/// Ends this process by a signal that was caught, so that who waits for it learns of the signal. Returns only where the
/// signal does not end a process.
pub fn end_by(signal: i32) {
    let _ = emulate_default_handler(signal);
}

/// Signals of a process in one of the masks of proc_pid_status(5).
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask(u64);

impl Mask {
    /// The mask `name` of a process; an empty one if nobody can tell.
    pub(super) fn of(process: &str, name: &str) -> Self {
        let path = format!("/proc/{process}/status");
        let status = Live.ask(Query { ask: Ask::Read, of: &path }).unwrap_or_default();
        let status = String::from_utf8_lossy(&status).into_owned();
        let mask = status.lines().find_map(|line| line.strip_prefix(name));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
    }

    pub(super) fn holds(self, signal: i32) -> bool {
        u32::try_from(signal - 1).ok().and_then(|bit| self.0.checked_shr(bit)).is_some_and(|rest| rest & 1 == 1)
    }
}
