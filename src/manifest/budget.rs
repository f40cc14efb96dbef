//! The steps that the documents of a file may take: what a run takes is linear in what it reads.

use std::cell::Cell;

use crate::model::bounds;

/// The steps that all files of a run share, beside those of their own.
#[derive(Debug)]
pub struct Steps(Cell<u64>);

impl Default for Steps {
    fn default() -> Self {
        Self(Cell::new(bounds::STEPS.most))
    }
}

/// The steps that are left for the documents of a file.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    own: Cell<u64>,
    shared: &'a Steps,
    is_exhausted: Cell<bool>,
}

impl<'a> Budget<'a> {
    /// For a file of so many bytes.
    pub(super) fn of(bytes: usize, shared: &'a Steps) -> Self {
        let own = Cell::new(bounds::STEPS_PER_BYTE.most * bytes as u64);
        Self { own, shared, is_exhausted: Cell::new(false) }
    }

    /// Whether a walk ended for want of steps.
    pub(super) fn is_exhausted(&self) -> bool {
        self.is_exhausted.get()
    }

    pub(super) fn take(&self, steps: u64) -> Option<()> {
        for left in [&self.own, &self.shared.0] {
            if let Some(rest) = left.get().checked_sub(steps) {
                left.set(rest);
                return Some(());
            }
        }
        self.is_exhausted.set(true);
        None
    }
}
