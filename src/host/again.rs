//! Calls that a signal broke off are made again.

use std::io;

use nix::errno::Errno;

use super::Refusal;
use crate::model::bounds;

/// What says that a call was broken off by a signal (EINTR), and had no effect.
pub(super) trait BrokenOff {
    fn is_broken_off(&self) -> bool;
}

impl BrokenOff for io::Error {
    fn is_broken_off(&self) -> bool {
        self.kind() == io::ErrorKind::Interrupted
    }
}

impl BrokenOff for Errno {
    fn is_broken_off(&self) -> bool {
        *self == Self::EINTR
    }
}

impl BrokenOff for Refusal {
    fn is_broken_off(&self) -> bool {
        *self == Self::Errno(Errno::EINTR as i32)
    }
}

/// The result of a call, which is made until no signal breaks it off: a file system of somebody else's may say so for ever.
pub(super) fn again<T, E: BrokenOff>(mut call: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 1..bounds::AGAIN.count() {
        match call() {
            Err(error) if error.is_broken_off() => {}
            other => return other,
        }
    }
    call()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_signal_broke_off_is_made_again_and_not_for_ever() {
        let mut calls = 0;
        let mut after = |least| {
            calls = 0;
            again(|| {
                calls += 1;
                if calls > least { Ok(calls) } else { Err(Errno::EINTR) }
            })
        };
        assert_eq!((after(0), after(3), after(1000)), (Ok(1), Ok(4), Err(Errno::EINTR)));
        assert_eq!(again(|| Err::<(), _>(Errno::EIO)), Err(Errno::EIO));
    }
}
