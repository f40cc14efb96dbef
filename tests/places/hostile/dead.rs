//! A file system that never answers, below the root of a process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::fleet::Fleet;
use crate::harness::{MOUNTS, Need, Place, Running, Scene, eventually, program};
use crate::report::Run;

pub(super) const PLACES: &[Place] = &[Place {
    name: "a_dead_file_system_makes_its_own_facts_unknown_and_no_others",
    needs: &[
        Need::Root,
        Need::Machine,
        Need::Program("busybox"),
        Need::Program("python3"),
        Need::Program("chroot"),
        Need::Minutes(3),
    ],
    own: MOUNTS,
    trial: a_dead_file_system_makes_its_own_facts_unknown,
}];

/// A root file system with one program in it.
pub(super) fn tree(scene: &Scene, name: &str) -> PathBuf {
    let root = scene.folder.join(name);
    for folder in ["etc", "proc", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy(program("busybox").get_program(), root.join("busybox")).unwrap();
    root
}

/// A process with that root, in a network namespace of its own if it is told so.
pub(super) fn asleep(root: &Path, unshare: &[&str]) -> Running {
    let mut command = program("unshare");
    command.args(unshare).arg("--").arg(program("chroot").get_program()).arg(root);
    let process = Running::start({
        command.args(["/busybox", "sleep", "300"]);
        command
    });
    let link = format!("/proc/{}/exe", process.0.id());
    assert!(eventually(|| fs::read_link(&link).is_ok_and(|exe| exe.ends_with("busybox"))));
    process
}

/// Mounts a file system and never answers. `taken` answers that it is there, then takes each question and keeps it: not
/// even SIGKILL ends the wait for such an answer.
const DEAD: &str = "
import ctypes, os, struct, sys, time
fd = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other'
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mount(b'dead', sys.argv[1].encode(), b'fuse.dead', 6, options.encode()) == 0, ctypes.get_errno()
if sys.argv[2] == 'taken':
    unique = struct.unpack_from('<Q', os.read(fd, 1 << 17), 8)[0]
    out = struct.pack('<IIIIHHII', 7, 31, 65536, 0, 12, 9, 65536, 1) + bytes(36)
    os.write(fd, struct.pack('<IiQ', 16 + len(out), 0, unique) + out)
print('ready', flush=True)
while sys.argv[2] == 'taken':
    os.read(fd, 1 << 17)
time.sleep(300)
";

fn dead(at: &Path, how: &str) -> Running {
    let mut python = program("python3");
    let mut server = Running::start({
        python.args(["-c", DEAD]).arg(at).arg(how).stdout(Stdio::piped());
        python
    });
    let mut line = String::new();
    BufReader::new(server.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    server
}

fn a_dead_file_system_makes_its_own_facts_unknown(scene: &Scene) {
    let (well, ill) = (tree(scene, "well"), tree(scene, "ill"));
    fs::write(well.join("etc/resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
    for how in ["untaken", "taken"] {
        let server = dead(&ill.join("etc"), how);
        let own = ["--net"];
        let (healthy, waits) = (asleep(&well, &own), asleep(&ill, &own));
        let asked = |arguments: &[&str]| {
            let mut command = scene.tunecheck();
            command.args(["--workload", "client", "--format", "json"]).args(arguments);
            let began = Instant::now();
            let run = Run::of(command);
            assert!(began.elapsed() < Duration::from_secs(20), "{how} {arguments:?}: {:?}", began.elapsed());
            run
        };
        let pid = waits.0.id().to_string();
        let report = asked(&["--pid", &pid]).report();
        let found = report.finding("dns/nameservers");
        let why = found["gap"]["why"].as_str().unwrap_or_default();
        assert_eq!(found["outcome"], "unknown", "{how}: {found:#}");
        assert!(why.contains("does not respond (fuse.dead at "), "{how}: {why}");
        assert!(report.notes().to_string().contains("could not be read"), "{}", report.notes());
        assert!(report.finding("files/nofile-soft")["now"].is_number(), "{how}: what the kernel tells is known");
        // Both are told, and the other one is judged as ever.
        let fleet = Fleet::of(&asked(&["--all"]));
        let of = |process: &Running| fleet.section(&format!(" of {} busybox", process.0.id())).1;
        assert_eq!(of(&waits).finding("dns/nameservers")["outcome"], "unknown", "{how}");
        assert_eq!(of(&healthy).finding("dns/nameservers")["now"], 1, "{how}");
        // Its end ends the waiting.
        drop(server);
    }
}
