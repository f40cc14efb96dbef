//! Every parser of tunecheck that takes bytes of others, under libFuzzer: one program, whose target is the one that
//! TUNECHECK_FUZZ names. Without a name it lists them.
//!
//! `tests/fuzz/run` builds and starts it; fixtures/fuzz/TARGET is where each begins.

#![no_main]

mod machine;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<targets::Target> = OnceLock::new();

fuzz_target!(
    init: {
        let all: Vec<(&str, targets::Target)> = targets::all().collect();
        let name = std::env::var("TUNECHECK_FUZZ").unwrap_or_default();
        match all.iter().find(|(target, _)| *target == name) {
            Some((_, target)) => {
                let _ = TARGET.set(*target);
            }
            None => {
                all.iter().for_each(|(name, _)| println!("{name}"));
                std::process::exit(i32::from(!name.is_empty()));
            }
        }
    },
    |bytes: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(bytes);
        }
    }
);
