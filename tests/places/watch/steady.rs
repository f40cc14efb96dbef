//! Two hours of readings, one a second, in the shortest time.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::ALONE;
use crate::harness::{Need, Place, Scene};
use crate::namespaces::loopback_up;

pub(crate) const PLACES: &[Place] = &[Place {
    name: "thousands_of_readings_take_no_more_memory_or_descriptors_than_the_first",
    needs: &[Need::Root, Need::Program("ip"), Need::Minutes(6)],
    own: ALONE,
    trial: thousands_of_readings_take_no_more_memory,
}];

const READINGS: usize = 6000;

/// Resident memory in kilobytes, and the descriptors that are kept open: those of one reading come and go.
fn uses(process: u32) -> (u64, usize) {
    let open = || fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    let kept = (0..50).map(|_| {
        sleep(Duration::from_millis(5));
        open()
    });
    let descriptors = kept.min().unwrap();
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (resident.trim().strip_suffix(" kB").unwrap().parse().unwrap(), descriptors)
}

fn thousands_of_readings_take_no_more_memory(scene: &Scene) {
    loopback_up();
    let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut watch = scene.tunecheck();
    watch.args(["watch", "--interval", "10ms", "--format", "ndjson"]).stdout(Stdio::piped());
    let mut watch = watch.spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut read = |count: usize| assert_eq!(lines.by_ref().take(count).map(Result::unwrap).count(), count);
    read(READINGS / 6);
    let early = uses(watch.id());
    read(READINGS - READINGS / 6);
    let late = uses(watch.id());
    kill(Pid::from_raw(watch.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    for line in lines {
        line.unwrap();
    }
    assert_eq!(watch.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    assert!(late.0 * 10 < early.0 * 11, "{} kB after a sixth, {} kB at the end", early.0, late.0);
    assert_eq!(late.1, early.1, "descriptors");
}
