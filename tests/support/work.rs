//! How the work of a run grows with what it is given.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::{BINARY, ROOT};

/// User time of a run in ticks of the kernel's clock: what others do on the machine meanwhile is not in it.
pub(crate) fn ticks(args: &[impl AsRef<OsStr>]) -> u64 {
    let mut command = Command::new(BINARY);
    command.args(args).current_dir(ROOT).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    // Its figures are there until somebody takes note of its end.
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let status = child.wait().unwrap();
    assert!(matches!(status.code(), Some(0..=2)), "{command:?}: {status}");
    stat.rsplit(") ").next().unwrap().split(' ').nth(11).unwrap().parse().unwrap()
}

/// Four times the input takes at most seven times the work, where the square would take sixteen. Of several runs the best
/// counts.
pub(crate) fn assert_linear<A: AsRef<OsStr>>(name: &str, size: usize, args: impl Fn(usize) -> Vec<A>) {
    let (small, large) = (args(size), args(4 * size));
    let (mut once, mut four) = (u64::MAX, u64::MAX);
    for _ in 0..4 {
        (once, four) = (once.min(ticks(&small)), four.min(ticks(&large)));
        // A run of less than 50 ms says nothing; the larger one is then cheap as well.
        if four < 7 * once.max(5) {
            return;
        }
    }
    panic!("{name}: {once} and {four} ticks for {size} and {}", 4 * size);
}
