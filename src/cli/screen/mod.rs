//! The live screen of `tunecheck watch`.

use std::time::Duration;

use anyhow::{Result, bail};

use super::exit::Exit;
use crate::rules::RuleSet;
use crate::watch::Watcher;

pub(super) fn run(
    _watcher: Watcher<'_>,
    _rules: &RuleSet,
    _interval: Duration,
    _duration: Option<Duration>,
) -> Result<Exit> {
    bail!("not drawn yet")
}
