//! Limits of a process and of a user that are near: memory mappings, tasks, kernel keys.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use crate::harness::{MOUNTS_AND_PROCESSES, Need, Place, Scene, program};
use crate::report::Run;

const NEEDS: &[Need] = &[Need::Root, Need::Program("python3")];
/// A user that owns nothing else here.
const USER: &str = "64321";

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "memory_mappings_of_a_process_are_counted",
        needs: NEEDS,
        own: MOUNTS_AND_PROCESSES,
        trial: memory_mappings_of_a_process_are_counted,
    },
    Place {
        name: "a_user_near_its_limit_of_tasks_is_told_by_all_its_threads",
        needs: NEEDS,
        own: &[],
        trial: a_user_near_its_limit_of_tasks_is_told_by_all_its_threads,
    },
    Place {
        name: "a_user_near_its_quota_of_kernel_keys_is_named",
        needs: NEEDS,
        own: &[],
        trial: a_user_near_its_quota_of_kernel_keys_is_named,
    },
];

/// A Python program as that user, which is ready once it has said so, and ends with its input.
struct Running(Child);

impl Running {
    fn as_user(text: &str) -> Self {
        let mut command = program("python3");
        // Its interpreter may lie where only root may go.
        let user = format!(
            "import os\nos.setgroups([])\nos.setresgid({USER}, {USER}, {USER})\nos.setresuid({USER}, {USER}, {USER})"
        );
        command.arg("-c").arg(format!("import ctypes, mmap, platform, resource, threading, time\n{user}\n{text}\nprint('ready', flush=True)\ninput()\n"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn finding(&self, scene: &Scene, rule: &str) -> serde_json::Value {
        let mut audit = scene.tunecheck();
        audit.args(["--format", "json", "--pid", &self.0.id().to_string()]);
        Run::of(audit).report().finding(rule).clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.stdin.take().map(|mut input| input.write_all(b"\n"));
        let _ = self.0.wait();
    }
}

fn memory_mappings_of_a_process_are_counted(scene: &Scene) {
    // Neighbours of different protection are not merged.
    let many = Running::as_user(
        "held = [mmap.mmap(-1, 4096, prot=mmap.PROT_READ | (mmap.PROT_WRITE if n % 2 else 0)) for n in range(3000)]",
    );
    let lines = fs::read_to_string(format!("/proc/{}/maps", many.0.id())).unwrap().lines().count();
    assert!(lines > 3000);
    let finding = many.finding(scene, "memory/max-map-count");
    assert_eq!((&finding["now"], &finding["outcome"]), (&lines.into(), &"pass".into()));
}

fn a_user_near_its_limit_of_tasks_is_told_by_all_its_threads(scene: &Scene) {
    let threads = "for n in range(20): threading.Thread(target=lambda: time.sleep(600), daemon=True).start()";
    let _neighbour = Running::as_user(threads);
    let text = format!("{threads}\nresource.setrlimit(resource.RLIMIT_NPROC, (50, 50))");
    let limited = Running::as_user(&text);
    let finding = limited.finding(scene, "process/nproc");
    // 21 tasks of each of the two.
    assert_eq!(
        (&finding["now"], &finding["want"]["limit"], &finding["outcome"], &finding["share_percent"]),
        (&42.into(), &50.into(), &"warn".into(), &84.into())
    );
}

fn a_user_near_its_quota_of_kernel_keys_is_named(scene: &Scene) {
    let most: u32 = fs::read_to_string("/proc/sys/kernel/keys/maxkeys").unwrap().trim().parse().unwrap();
    assert!(most <= 100_000, "too many keys to make: {most}");
    let wanted = most * 8 / 10 + 1;
    // add_key(2) into the keyring of the process, which ends with it.
    let _holder = Running::as_user(&format!(
        "libc = ctypes.CDLL(None)\nadd_key = {{'x86_64': 248, 'aarch64': 217}}[platform.machine()]\n\
         for n in range({wanted}): assert libc.syscall(add_key, b'user', b'k%d' % n, b'x', 1, -2) > 0"
    ));
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json"]);
    let report = Run::of(audit).report();
    let finding = report.finding("kernel/keyrings");
    let (outcome, says) = (finding["outcome"].as_str().unwrap(), finding["says"].as_str().unwrap());
    assert_eq!(outcome, "warn", "{finding:#}");
    assert!(says.starts_with(&format!("uid {USER} has ")) && says.contains(&format!(" of {most} keys")), "{says}");
}
