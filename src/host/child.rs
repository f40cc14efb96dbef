//! A command that is run while limits are watched.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::signals::Came;
use super::witness::Witness;

/// A command that runs, with this process's own input, output and errors, and in its group.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    /// None where none could be started: what was sent to the group is then taken for sent to this process.
    witness: Option<Witness>,
}

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
        let process = Command::new(program).args(arguments).spawn()?;
        Ok(Self { process, witness: Witness::start().ok() })
    }

    /// How it ended; none while it runs.
    ///
    /// # Errors
    /// Those of waitpid(2).
    pub fn ended(&mut self) -> io::Result<Option<End>> {
        let status = self.process.try_wait()?;
        Ok(status.map(|status| End { exit: status.code(), signal: status.signal() }))
    }

    /// Passes signals on to it that were sent to this process alone, each number once: signals of one number that come
    /// together are one to any process. Those of a terminal or sent to the group have reached it.
    pub fn pass_on(&mut self, came: &[Came]) {
        let mut numbers: Vec<i32> = came.iter().map(|came| came.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let (of_group, alone): (Vec<i32>, Vec<i32>) =
            numbers.into_iter().partition(|&number| self.witness.as_ref().is_some_and(|witness| witness.saw(number)));
        for number in alone {
            if came.iter().any(|came| came.number == number && came.sent) {
                self.signal(number);
            }
        }
        if !of_group.is_empty() {
            self.witness = Witness::start().ok();
        }
    }

    /// Sends it a signal. One that has ended gets none.
    fn signal(&self, number: i32) {
        if let (Ok(signal), Ok(pid)) = (Signal::try_from(number), i32::try_from(self.process.id())) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}
