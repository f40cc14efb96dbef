//! What the work of a run costs, beside the least that it can cost: C programs that make the same system calls and nothing
//! of what they give.
//!
//! The two run in turn, so that a slow moment meets both, and each ratio is taken within one turn. It says what it measured
//! and judges nothing: a time that has to hold on every machine fails on a busy one. Worlds to audit are made in network
//! namespaces of their own and end with them. `cargo bench --bench floor -- WORD` measures only the work whose name holds the
//! word, and with it what is too large for every day.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a program of its own, started by cargo bench")]

use std::env;
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TURNS: usize = 300;
const WARM_UP: usize = 20;
const TUNECHECK: &str = env!("CARGO_BIN_EXE_tunecheck");
/// Set in a process that measures in a network namespace of its own: the number of the work.
const WITHIN: &str = "TUNECHECK_BENCH_WORK";

/// One row of the table.
struct Work {
    name: &'static str,
    /// Arguments of world.c.
    world: &'static [&'static str],
    /// What tunecheck is told.
    audit: &'static [&'static str],
    /// The C program that it is compared with, and its arguments.
    limit: &'static [&'static str],
    /// What it should cost at most, in words.
    goal: &'static str,
    turns: usize,
    /// Whether both are kept on one CPU.
    alone: bool,
    /// Whether it is only measured when it is asked for by name.
    large: bool,
}

const SMALL: Work = Work {
    name: "",
    world: &["nothing"],
    audit: &[],
    limit: &["limit", "reads"],
    goal: "1.25 and 3 MiB",
    turns: 100,
    alone: false,
    large: false,
};

const WORKS: &[Work] = &[
    Work { name: "idle network namespace, table", ..SMALL },
    Work { name: "idle network namespace, JSON", audit: &["--format", "json"], ..SMALL },
    Work {
        name: "40 processes, a listener warns",
        world: &["processes", "40", "10", "listening"],
        goal: "1.25 and 0.3 floors",
        ..SMALL
    },
    Work {
        name: "1,000 processes with 100 descriptors, a listener warns",
        world: &["processes", "1000", "100", "listening"],
        limit: &["limit", "descriptors"],
        goal: "10 ms on cgroup v2, 20 ms on v1",
        turns: 30,
        ..SMALL
    },
    Work {
        name: "--all, 300 network namespaces, one CPU",
        world: &["namespaces", "300"],
        audit: &["--all"],
        limit: &["limit", "namespaces"],
        goal: "1.2",
        turns: 7,
        alone: true,
        ..SMALL
    },
    Work {
        name: "--all, 300 network namespaces, all CPUs",
        world: &["namespaces", "300"],
        audit: &["--all"],
        limit: &["limit", "namespaces"],
        goal: "0.7 with two",
        turns: 7,
        ..SMALL
    },
    Work {
        name: "--all, 1,000 processes",
        world: &["processes", "1000", "4"],
        audit: &["--all"],
        limit: &["limit", "descriptors"],
        goal: "25 ms",
        turns: 20,
        ..SMALL
    },
    Work {
        name: "client with 70,000 sockets",
        world: &["client", "70000"],
        audit: &["--workload", "client"],
        limit: &["limit", "established"],
        goal: "1.2",
        turns: 10,
        ..SMALL
    },
    Work {
        name: "server with 70,000 sockets, a listener warns",
        world: &["server", "70000"],
        limit: &["limit", "listeners"],
        goal: "2 ms",
        turns: 20,
        ..SMALL
    },
    Work {
        name: "replay of a recording",
        audit: &["--snapshot", "RECORDING"],
        limit: &["floor"],
        goal: "1.5 ms",
        turns: 50,
        ..SMALL
    },
    Work {
        name: "large: --all, 10,000 processes",
        world: &["processes", "10000", "4"],
        audit: &["--all"],
        limit: &["limit", "descriptors"],
        goal: "ten times as long as 1,000, 32 MiB",
        turns: 3,
        large: true,
        ..SMALL
    },
    Work {
        name: "large: --all, 2,000 network namespaces",
        world: &["namespaces", "2000"],
        audit: &["--all"],
        limit: &["limit", "namespaces"],
        goal: "0.7 with two CPUs, 32 MiB",
        turns: 3,
        large: true,
        ..SMALL
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(number) = env::var(WITHIN).ok().and_then(|number| number.parse::<usize>().ok()) {
        return within(WORKS.get(number).ok_or("no such work")?);
    }
    let word = env::args().skip(1).find(|word| !word.starts_with("--"));
    ["floor", "peak", "limit", "world"].into_iter().try_for_each(compile)?;
    if word.is_none() {
        against_the_floor()?;
    }

    println!("\nmedians, paired in turn; the limit is a C program that makes the same system calls");
    println!("{:<56} {:>11} {:>11} {:>7} {:>10}  goal", "work", "tunecheck", "limit", "ratio", "peak");
    for (number, work) in WORKS.iter().enumerate() {
        let asked = word.as_deref().map_or(!work.large, |word| work.name.contains(word));
        if asked && !alone_in_network(number)? {
            println!("{:<56} needs root, or a user who may make namespaces, and ip(8)", work.name);
        }
    }
    Ok(())
}

/// Tables and reports of this machine as it is, in floors.
fn against_the_floor() -> Result<(), Box<dyn Error>> {
    let mut programs = [Command::new(program("floor")), audit(&["--format", "table"]), audit(&["--format", "json"])];
    let turns = measured(&mut programs, WARM_UP, TURNS)?;
    println!("{TURNS} turns; medians of each program and of its ratio to the floor in the same turn");
    let [floor, table, json]: [fn(&[f64; 3]) -> f64; 3] =
        [|[time, ..]| *time, |[_, time, _]| *time, |[.., time]| *time];
    for (name, of) in [("floor", floor), ("table", table), ("json", json)] {
        let (time, ratio) = (median(&turns, of), median(&turns, |times| of(times) / floor(times)));
        println!("{name:<6} {:6.2} ms {ratio:6.2} floors", time * 1e3);
    }
    for format in ["table", "json"] {
        println!("{format:<6} {} KiB at the peak", peak(&["--format", format])?);
    }
    Ok(())
}

/// Measures one work in a network namespace of its own, and ends it. False where there can be none.
fn alone_in_network(number: usize) -> Result<bool, Box<dyn Error>> {
    let unshare = |more: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(more).arg("--net").stdin(Stdio::null());
        command
    };
    let may = |more: &[&str]| unshare(more).arg("true").stderr(Stdio::null()).status().is_ok_and(|end| end.success());
    let Some(more) = [&[][..], &["--map-root-user"]].into_iter().find(|more| may(more)) else { return Ok(false) };
    let status = unshare(more).arg(env::current_exe()?).env(WITHIN, number.to_string()).status()?;
    Ok(status.success())
}

/// Makes the world of a work here, and measures in it.
fn within(work: &Work) -> Result<(), Box<dyn Error>> {
    let recording = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recording");
    let world = World::of(work.world)?;
    let mut told: Vec<&str> = work.audit.to_vec();
    if let Some(at) = told.iter_mut().find(|word| **word == "RECORDING") {
        if recording.exists() {
            fs::remove_dir_all(&recording)?;
        }
        let made = Command::new(TUNECHECK).arg("snapshot").arg(&recording).stderr(Stdio::null()).status()?;
        *at = recording.to_str().filter(|_| made.success()).ok_or("no recording was made")?;
    }
    let (name, arguments) = work.limit.split_first().ok_or("nothing to compare with")?;
    let mut limit = Command::new(program(name));
    limit.args(arguments);
    let mut programs = [limit, audit(&told)].map(|command| if work.alone { on_one_cpu(&command) } else { command });
    let turns = measured(&mut programs, 2, work.turns)?;
    let ratio = median(&turns, |[limit, audit]| audit / limit);
    let (least, time) = (median(&turns, |[limit, _]| *limit) * 1e3, median(&turns, |[_, audit]| *audit) * 1e3);
    let peak = peak(&told)?;
    println!("{:<56} {time:8.2} ms {least:8.2} ms {ratio:7.2} {peak:>6} KiB  {}", work.name, work.goal);
    drop(world);
    Ok(())
}

/// What is audited, until it is dropped.
struct World(Child);

impl World {
    fn of(arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(program("world"));
        let world = Self(command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        world.ready()
    }

    fn ready(mut self) -> Result<Self, Box<dyn Error>> {
        let mut line = String::new();
        BufReader::new(self.0.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        if line.trim() == "ready" { Ok(self) } else { Err("the world was not made".into()) }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // How it ended makes no difference any more.
        let _ = self.0.wait();
    }
}

fn audit(told: &[&str]) -> Command {
    let mut command = Command::new(TUNECHECK);
    command.args(told).args(["--fail-on", "never"]);
    command
}

fn on_one_cpu(command: &Command) -> Command {
    let mut alone = Command::new("taskset");
    alone.args(["--cpu-list", "0"]).arg(command.get_program()).args(command.get_args());
    alone
}

/// The times of programs that run in turn, in seconds.
fn measured<const N: usize>(
    programs: &mut [Command; N],
    warm_up: usize,
    turns: usize,
) -> Result<Vec<[f64; N]>, Box<dyn Error>> {
    let mut all = Vec::with_capacity(turns);
    for turn in 0..warm_up + turns {
        let mut times = [0.0; N];
        for (program, time) in programs.iter_mut().zip(&mut times) {
            *time = timed(program)?.as_secs_f64();
        }
        if turn >= warm_up {
            all.push(times);
        }
    }
    Ok(all)
}

fn timed(program: &mut Command) -> Result<Duration, Box<dyn Error>> {
    program.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = program.status()?;
    let time = start.elapsed();
    if status.success() { Ok(time) } else { Err(format!("{program:?}: {status}").into()) }
}

/// KiB of memory that an audit holds at its peak.
fn peak(told: &[&str]) -> Result<u64, Box<dyn Error>> {
    let audit = audit(told);
    let output = Command::new(program("peak")).arg(TUNECHECK).args(audit.get_args()).output()?;
    Ok(String::from_utf8(output.stdout)?.trim_end().parse()?)
}

fn compile(name: &str) -> Result<(), Box<dyn Error>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench").join(name).with_extension("c");
    let status = Command::new("cc").args(["-O2", "-static", "-o"]).arg(program(name)).arg(source).status()?;
    if status.success() { Ok(()) } else { Err(format!("cc: {status}").into()) }
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn median<const N: usize>(turns: &[[f64; N]], of: impl Fn(&[f64; N]) -> f64) -> f64 {
    let mut values: Vec<f64> = turns.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
