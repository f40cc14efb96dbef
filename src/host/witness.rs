//! A process of this group that waits with every signal blocked. What is pending there was sent to the whole group.
//!
//! Nothing in a signal says whether it was sent to one process or to its group (sigaction(2)), and a command in the same
//! group, where a shell and a terminal expect it, must get those of the group once: from their sender, not from here.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::SigSet;

use super::signals::Mask;

/// The only argument of a process that is to be a witness.
pub const WITNESS: &str = "witness-of-signals";
/// This program, wherever it came from.
const ITSELF: &str = "/proc/self/exe";

/// A witness that runs. It ends with this value, or with this process.
#[derive(Debug)]
pub(super) struct Witness(Child);

impl Witness {
    /// Starts one.
    ///
    /// # Errors
    /// Those of exec: no /proc, no room for one more process.
    pub(super) fn start() -> io::Result<Self> {
        let mut command = Command::new(ITSELF);
        command.arg0("tunecheck").arg(WITNESS);
        // Not /dev/null: it would be opened for writing here, and a run may have given that up.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map(Self)
    }

    /// Whether a signal was sent to the group since the start.
    pub(super) fn saw(&self, signal: i32) -> bool {
        Mask::of(&self.0.id().to_string(), "ShdPnd:").holds(signal)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a witness does: nothing, until who started it is gone.
pub fn be_witness() {
    let _ = SigSet::all().thread_block();
    let _ = io::stdin().read(&mut [0]);
}
