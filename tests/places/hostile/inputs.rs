//! Where tunecheck reads: what lies below a root, a tree or a recording leads to nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::dead::{asleep, tree};
use crate::harness::{MOUNTS, Need, Place, Running, Scene, done, program};
use crate::report::Run;

pub(super) const PLACES: &[Place] = &[
    Place {
        name: "a_link_in_a_recording_is_not_followed",
        needs: &[],
        own: &[],
        trial: a_link_in_a_recording_is_not_followed,
    },
    Place {
        name: "a_tree_whose_proc_is_a_link_does_not_show_this_machine",
        needs: &[Need::Program("strace")],
        own: &[],
        trial: a_tree_whose_proc_is_a_link_does_not_show_this_machine,
    },
    Place {
        name: "a_folder_that_is_exchanged_in_a_loop_never_shows_the_host_s_file",
        needs: &[
            Need::Root,
            Need::Program("busybox"),
            Need::Program("python3"),
            Need::Program("strace"),
            Need::Minutes(2),
        ],
        own: MOUNTS,
        trial: a_folder_that_is_exchanged_never_shows_the_host_s_file,
    },
];

const SECRET: &str = "TcpExt: hunter2\nTcpExt: 5\n";

fn replay(scene: &Scene, path: &Path) -> Run {
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json", "--snapshot"]).arg(path);
    Run::of(audit)
}

fn a_link_in_a_recording_is_not_followed(scene: &Scene) {
    let (folder, outside) = (scene.folder.join("recording"), scene.folder.join("outside"));
    let mut snapshot = scene.tunecheck();
    snapshot.arg("snapshot").arg(&folder);
    done(snapshot);
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("netstat"), SECRET).unwrap();
    let netstat = folder.join("files/proc/net/netstat");
    let kept = fs::read(&netstat).unwrap();
    let is_refused = |path: &Path, what: &str| {
        let run = replay(scene, path);
        let text = run.stdout.clone();
        let report = run.report();
        assert!(!text.contains("hunter2"), "{what}");
        assert!(report.notes().to_string().contains("files of the snapshot are links"), "{what}: {}", report.notes());
        assert_eq!(report.finding("listen/overflows")["outcome"], "unknown", "{what}");
        assert!(text.contains("is a link in this snapshot"), "{what}");
    };
    let elsewhere = fs::canonicalize(&outside).unwrap().join("netstat");
    for target in [elsewhere.as_path(), Path::new("../../../../outside/netstat"), Path::new("snmp")] {
        fs::remove_file(&netstat).unwrap();
        symlink(target, &netstat).unwrap();
        is_refused(&folder, &target.display().to_string());
    }
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    archive.follow_symlinks(false);
    archive.append_dir_all("node-a", &folder).unwrap();
    let packed = scene.folder.join("recording.tar.gz");
    fs::write(&packed, archive.into_inner().unwrap().finish().unwrap()).unwrap();
    is_refused(&packed, "an archive");
    // A folder on the way.
    fs::remove_file(&netstat).unwrap();
    fs::write(&netstat, kept).unwrap();
    fs::rename(folder.join("files/proc/net"), scene.folder.join("net")).unwrap();
    symlink(&outside, folder.join("files/proc/net")).unwrap();
    is_refused(&folder, "a folder");
    fs::remove_file(folder.join("manifest.json")).unwrap();
    symlink(outside.join("netstat"), folder.join("manifest.json")).unwrap();
    let run = replay(scene, &folder);
    assert!(run.complaint().contains("a link, which is not followed"), "{run:?}");
}

fn a_tree_whose_proc_is_a_link_does_not_show_this_machine(scene: &Scene) {
    let root = scene.folder.join("tree");
    fs::create_dir(&root).unwrap();
    let own = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    for target in ["/proc", "../../../../../../../../proc", "/proc/self/root/proc"] {
        symlink(target, root.join("proc")).unwrap();
        for refused in ["", "ENOSYS", "EPERM"] {
            let mut command = match refused {
                "" => scene.tunecheck(),
                error => {
                    let mut strace = program("strace");
                    strace.args(["-qq", "-o", "/dev/null", "-e", "trace=openat2"]);
                    strace.arg("-e").arg(format!("inject=openat2:error={error}")).arg(&scene.tunecheck);
                    strace
                }
            };
            command.args(["--format", "json", "--root"]).arg(&root);
            let run = Run::of(command);
            assert!(!run.stdout.contains(own.trim()));
            assert!(run.complaint().contains("holds nothing that an audit reads"), "{target} {refused}: {run:?}");
        }
        fs::remove_file(root.join("proc")).unwrap();
    }
}

/// Exchanges two names until a file `stop` appears.
const EXCHANGE: &str = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
one, other, stop = sys.argv[1:]
turns = 0
while turns < 50_000_000 and not os.path.exists(stop):
    for _ in range(100):
        assert libc.renameat2(-100, one.encode(), -100, other.encode(), 2) == 0
    turns += 100
";

fn servers(count: usize) -> String {
    (0..count).map(|number| format!("nameserver 192.0.2.{number}\n")).collect()
}

fn a_folder_that_is_exchanged_never_shows_the_host_s_file(scene: &Scene) {
    const INSIDE: usize = 4;
    const HOST: usize = 9;
    let root = tree(scene, "root");
    let host = scene.folder.join("host");
    fs::create_dir(&host).unwrap();
    fs::write(root.join("etc/resolv.conf"), servers(INSIDE)).unwrap();
    fs::write(host.join("resolv.conf"), servers(HOST)).unwrap();
    symlink(&host, root.join("link")).unwrap();
    let process = asleep(&root, &[]);
    let stop: PathBuf = scene.folder.join("stop");
    let mut python = program("python3");
    python.args(["-c", EXCHANGE]).arg(root.join("etc")).arg(root.join("link")).arg(&stop);
    let attacker = Running::start(python);
    let mut inside = 0;
    for turn in 0..30 {
        let mut command = match turn % 3 {
            0 => {
                let mut strace = program("strace");
                strace.args([
                    "-qq",
                    "-f",
                    "-o",
                    "/dev/null",
                    "-e",
                    "trace=openat2",
                    "-e",
                    "inject=openat2:error=ENOSYS",
                ]);
                strace.arg(&scene.tunecheck);
                strace
            }
            _ => scene.tunecheck(),
        };
        command.args(["--workload", "client", "--format", "json", "--pid", &process.0.id().to_string()]);
        let report = Run::of(command).report();
        let found = report.finding("dns/nameservers");
        let now = found["now"].as_u64();
        assert_ne!(now, Some(HOST as u64), "turn {turn}: {found:#}");
        inside += usize::from(now == Some(INSIDE as u64));
    }
    fs::write(stop, "").unwrap();
    drop(attacker);
    assert!(inside > 0, "the file inside was never there");
}
