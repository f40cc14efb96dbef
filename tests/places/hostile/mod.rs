//! Users that put links, folders and dead file systems where tunecheck reads and writes as root.

mod dead;
mod inputs;
mod outputs;

use crate::harness::Place;

pub(crate) const PLACES: &[&[Place]] = &[outputs::PLACES, inputs::PLACES, dead::PLACES];
