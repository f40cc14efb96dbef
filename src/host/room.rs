//! Whether there is room to work in. Without it a program is aborted by its runtime wherever it happens to be.

use std::hint::black_box;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use thiserror::Error;

/// Stack that every verb fits into, in KiB. Measured: 96 of a release.
const STACK: u64 = 256;
/// Memory that every verb fits into beside what it is told to read, in MiB.
const MEMORY: usize = 4;

/// There is too little room.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NoRoom {
    /// For calls, in KiB.
    #[error("the stack is limited to {0} KiB and {STACK} are needed: ulimit -s 8192, or LimitSTACK=8M of its unit")]
    Stack(u64),
    /// For what is read.
    #[error(
        "{MEMORY} MiB of memory are needed and refused: look for a limit on address space (ulimit -v, LimitAS= of its unit)"
    )]
    Memory,
}

/// Asks for room, and gives it back.
///
/// # Errors
/// [`NoRoom`].
pub fn room() -> Result<(), NoRoom> {
    match getrlimit(Resource::RLIMIT_STACK) {
        Ok((limit, _)) if limit >> 10 < STACK => return Err(NoRoom::Stack(limit >> 10)),
        _ => {}
    }
    // Where nothing limits it, it is not asked for: the allocator gives less back after a large piece was freed.
    if getrlimit(Resource::RLIMIT_AS).is_ok_and(|(limit, _)| limit == RLIM_INFINITY) {
        return Ok(());
    }
    let mut asked = Vec::<u8>::new();
    asked.try_reserve_exact(MEMORY << 20).map_err(|_| NoRoom::Memory)?;
    // Else it is optimized away.
    black_box(asked);
    Ok(())
}
