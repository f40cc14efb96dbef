//! The steps that the documents of a file may take: what a run takes is linear in what it reads.

use std::cell::Cell;

/// Steps that are taken in any file, and for each byte of it.
const STEPS: u64 = 200_000;
const STEPS_PER_BYTE: u64 = 32;

/// The steps that are left for the documents of a file.
#[derive(Debug)]
pub(super) struct Budget(Cell<u64>);

impl Budget {
    /// For a file of so many bytes.
    pub(super) fn of(bytes: usize) -> Self {
        Self(Cell::new(STEPS + STEPS_PER_BYTE * bytes as u64))
    }

    /// Whether a walk ended for want of steps.
    pub(super) fn is_exhausted(&self) -> bool {
        self.0.get() == 0
    }

    pub(super) fn take_one(&self) -> Option<()> {
        self.0.set(self.0.get().checked_sub(1)?);
        Some(())
    }
}
