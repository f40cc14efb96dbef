//! Time that only goes forward, and waiting.

use std::time::{Duration, Instant};

/// A clock that began with it.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts it.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since it was started.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Waits until it shows this time; not at all if that is over.
    pub fn wait_until(self, time: Duration) {
        std::thread::sleep(time.saturating_sub(self.elapsed()));
    }
}
