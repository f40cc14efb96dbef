//! What an audit costs, in floors: the time of a static C program that only opens, reads and closes 39 small files.
//!
//! The programs run in turn, so that a slow moment meets all of them, and each ratio is taken within one turn. It says
//! what it measured and judges nothing: a time that has to hold on every machine fails on a busy one.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a program of its own, started by cargo bench")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TURNS: usize = 300;
const WARM_UP: usize = 20;
const TUNECHECK: &str = env!("CARGO_BIN_EXE_tunecheck");

fn main() -> Result<(), Box<dyn Error>> {
    let floor = compiled("floor")?;
    let mut programs = [Command::new(floor), audit("table"), audit("json")];
    let mut turns: Vec<[f64; 3]> = Vec::with_capacity(TURNS);
    for turn in 0..WARM_UP + TURNS {
        let mut times = [0.0; 3];
        for (program, time) in programs.iter_mut().zip(&mut times) {
            *time = timed(program)?.as_secs_f64();
        }
        if turn >= WARM_UP {
            turns.push(times);
        }
    }

    println!("{TURNS} turns; medians of each program and of its ratio to the floor in the same turn");
    for (name, column) in [("floor", 0), ("table", 1), ("json", 2)] {
        let time = median(turns.iter().filter_map(|times| times.get(column).copied()));
        let ratio = median(turns.iter().filter_map(|times| Some(times.get(column)? / times.first()?)));
        println!("{name:<6} {:6.2} ms {ratio:6.2} floors", time * 1e3);
    }
    let peak = compiled("peak")?;
    for format in ["table", "json"] {
        let output = Command::new(&peak).arg(TUNECHECK).args(audit(format).get_args()).output()?;
        println!("{format:<6} {} KiB at the peak", String::from_utf8(output.stdout)?.trim_end());
    }
    Ok(())
}

fn audit(format: &str) -> Command {
    let mut command = Command::new(TUNECHECK);
    command.args(["--format", format, "--fail-on", "never"]);
    command
}

fn timed(program: &mut Command) -> Result<Duration, Box<dyn Error>> {
    program.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = program.status()?;
    let time = start.elapsed();
    if status.success() { Ok(time) } else { Err(format!("{program:?}: {status}").into()) }
}

fn compiled(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench").join(name).with_extension("c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let status = Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(source).status()?;
    if status.success() { Ok(program) } else { Err(format!("cc: {status}").into()) }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
