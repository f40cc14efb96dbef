//! Where tunecheck writes: nobody else decides where that leads.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{NETWORK_AND_MOUNTS, Need, Place, Running, Scene, done, eventually, program, script};
use crate::report::Run;

pub(super) const PLACES: &[Place] = &[
    Place {
        name: "a_folder_that_others_made_or_may_write_to_takes_no_files",
        needs: &[Need::Root, Need::Program("setpriv")],
        own: &[],
        trial: a_folder_of_others_takes_no_files,
    },
    Place {
        name: "nobody_who_exchanges_the_folder_in_a_loop_has_root_write_for_him",
        needs: &[Need::Root, Need::Program("setpriv"), Need::Program("python3")],
        own: &[],
        trial: nobody_who_exchanges_the_folder_has_root_write_for_him,
    },
    Place {
        name: "a_report_goes_to_files_pipes_and_links_of_ones_own_and_through_no_link_of_others",
        needs: &[Need::Root, Need::Program("setpriv")],
        own: &[],
        trial: a_report_goes_through_no_link_of_others,
    },
    Place {
        name: "no_secret_of_the_machine_s_configuration_is_in_a_recording",
        needs: &[Need::Root, Need::Program("mount")],
        own: NETWORK_AND_MOUNTS,
        trial: no_secret_is_in_a_recording,
    },
    Place {
        name: "a_recording_is_for_its_owner_alone_and_a_fix_for_whom_the_umask_lets",
        needs: &[],
        own: &[],
        trial: a_recording_is_for_its_owner_alone_and_a_fix_for_whom_the_umask_lets,
    },
    Place {
        name: "a_verdict_that_cannot_get_its_place_is_refused_at_first_or_told_at_the_end",
        needs: &[Need::Root, Need::Program("setpriv")],
        own: &[],
        trial: a_verdict_that_cannot_get_its_place_is_told,
    },
];

const VICTIM: &str = "nobody may change this\n";

fn nobody(text: &str, arguments: &[&Path]) -> Command {
    let mut command = program("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    command.arg(program("sh").get_program()).args(["-ec", text, "sh"]).args(arguments);
    command
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// A folder that everybody may write to, and beside it a folder of root's with a file that nobody may write to.
fn places(scene: &Scene) -> (PathBuf, PathBuf) {
    let (open, closed) = (scene.folder.join("open"), scene.folder.join("closed"));
    done(nobody("true", &[]));
    fs::create_dir(&open).unwrap();
    std::os::unix::fs::chown(&open, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("victim"), VICTIM).unwrap();
    (open, closed)
}

fn snapshot(scene: &Scene, path: &Path) -> Run {
    let mut command = scene.tunecheck();
    command.arg("snapshot").arg(path);
    Run::of(command)
}

fn fix(scene: &Scene, path: &Path) -> Run {
    let mut command = scene.tunecheck();
    command.args(["fix", "--connections", "90000", "--output"]).arg(path);
    Run::of(command)
}

fn a_folder_of_others_takes_no_files(scene: &Scene) {
    let (open, closed) = places(scene);
    done(nobody(
        "cd \"$1\"; mkdir -m 777 theirs; mkdir -m 700 closed; ln -s \"$2\" link; ln -s nowhere/at/all dangling",
        &[&open, &closed],
    ));
    let shared = scene.folder.join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, PermissionsExt::from_mode(0o777)).unwrap();
    let refused = [
        (open.join("theirs"), "belongs to another user"),
        (open.join("closed"), "belongs to another user"),
        (shared, "others may write"),
        (open.join("link"), "is a link"),
        (open.join("link/"), "is a link"),
        (open.join("link/below"), "is a link"),
        (open.join("dangling"), "is a link"),
        (closed.clone(), "is not empty"),
        (closed.join("victim"), "as a directory"),
    ];
    for (path, says) in &refused {
        for run in [snapshot(scene, path), fix(scene, path)] {
            let line = run.complaint();
            assert!(line.contains(says) && line.contains(path.to_str().unwrap()), "{says}: {line}");
        }
    }
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 1);
    for name in ["theirs", "closed"] {
        assert_eq!(fs::read_dir(open.join(name)).unwrap().count(), 0, "{name}");
    }
    // A new one in the same folder is root's.
    assert_eq!(snapshot(scene, &open.join("new")).code, Some(0));
    assert_eq!(mode(&open.join("new")), 0o700);
}

/// Makes, fills and moves what is called `node-a` as fast as it can, until a file `stop` appears beside it.
const ATTACK: &str = "
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
place, closed = sys.argv[1:]
path = place + '/node-a'
turn = 0
while turn < 2_000_000 and not os.path.exists(place + '/stop'):
    turn += 1
    for attempt in (
        lambda: turn % 3 == 0 and os.mkdir(path, 0o777),
        lambda: turn % 3 == 1 and os.symlink(closed, path),
        lambda: os.symlink(closed + '/victim', path + '/manifest.json'),
        lambda: os.symlink(closed, path + '/files'),
        lambda: turn % 2 and os.rename(path, place + '/moved'),
        lambda: os.unlink(path),
    ):
        try: attempt()
        except OSError: pass
";

fn nobody_who_exchanges_the_folder_has_root_write_for_him(scene: &Scene) {
    let (open, closed) = places(scene);
    let mut python = program("python3");
    python.args(["-c", ATTACK]).args([&open, &closed]);
    let attacker = Running::start(python);
    assert!(eventually(|| open.join("node-a").symlink_metadata().is_ok() || open.join("moved").exists()));
    let (mut made, mut refused) = (0, 0);
    for _ in 0..12 {
        match snapshot(scene, &open.join("node-a")).code {
            Some(0) => made += 1,
            Some(2) => refused += 1,
            other => panic!("exit code {other:?}"),
        }
    }
    fs::write(open.join("stop"), "").unwrap();
    drop(attacker);
    assert_eq!(made + refused, 12);
    assert_eq!(fs::read_to_string(closed.join("victim")).unwrap(), VICTIM);
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 1, "nothing was made in root's folder");
    // Whatever root wrote, and wherever it was moved to, is root's alone.
    let mut folders = vec![open];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let meta = entry.path().symlink_metadata().unwrap();
            assert!(meta.uid() != 0 || meta.mode() & 0o077 == 0 || entry.file_name() == "stop", "{:?}", entry.path());
            assert!(meta.uid() == 0 || !meta.is_file(), "{:?}", entry.path());
            if meta.is_dir() {
                folders.push(entry.path());
            }
        }
    }
}

fn watch(scene: &Scene, path: &Path) -> Run {
    let mut command = scene.tunecheck();
    command.args(["watch", "--format", "json", "--settle", "10ms", "--output"]).arg(path).args(["--", "true"]);
    Run::of(command)
}

fn a_report_goes_through_no_link_of_others(scene: &Scene) {
    let (open, closed) = places(scene);
    let victim = closed.join("victim");
    done(nobody(
        "cd \"$1\"; ln -s \"$2\" link; ln -s \"$3\" folder; mkfifo fifo; echo old > file",
        &[&open, &victim, &closed],
    ));
    for (name, says) in [("link", "is a link"), ("folder/new.json", "is a link"), ("fifo", "another user put it there")]
    {
        let run = watch(scene, &open.join(name));
        assert!(run.complaint().contains(says), "{run:?}");
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), VICTIM);
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 1);
    let is_verdict =
        |path: &Path| assert!(fs::read_to_string(path).unwrap().contains("tunecheck.verdict/v1"), "{path:?}");
    // A file of another user is replaced, not written to: who holds it open reads nothing.
    let held = fs::File::open(open.join("file")).unwrap();
    assert_eq!(watch(scene, &open.join("file")).code, Some(0));
    is_verdict(&open.join("file"));
    assert_eq!((held.metadata().unwrap().nlink(), held.metadata().unwrap().len()), (0, 4));

    let own = scene.folder.join("own.json");
    fs::write(&own, "old").unwrap();
    fs::set_permissions(&own, PermissionsExt::from_mode(0o640)).unwrap();
    let link = scene.folder.join("link.json");
    symlink("own.json", &link).unwrap();
    for path in [&own, &link] {
        assert_eq!(watch(scene, path).code, Some(0));
        is_verdict(&own);
        assert_eq!(mode(&own), 0o640);
    }
    assert!(link.is_symlink());
    let out = watch(scene, Path::new("/dev/stdout"));
    assert!(out.code == Some(0) && out.stdout.contains("tunecheck.verdict/v1"), "{out:?}");
    let through = "mkfifo \"$2\"; cat \"$2\" > \"$3\" & exec 3<>\"$2\"; \
         \"$1\" watch --format json --settle 10ms --output \"$2\" -- true; exec 3>&-; wait";
    // Nothing that is there is written over, by whichever name the descriptor is called.
    let log = scene.folder.join("log");
    let behind = "echo before > \"$2\"
         for name in /dev/stdout /dev/fd/1 /proc/self/fd/1 /dev/stderr /dev/fd/3; do
             \"$1\" watch --format json --settle 10ms --output $name -- echo within 2>> \"$2\" 3>> \"$2\" >> \"$2\"
         done
         echo \"$(\"$1\" watch --format json --settle 10ms --output /dev/stdout -- echo within)\" >> \"$2\"
         { echo and; \"$1\" watch --format json --settle 10ms --output /dev/stdout -- echo within; } > \"$2.new\"";
    done(script(behind, &[&scene.tunecheck, &log]));
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("before\nwithin\n{"), "{text}");
    assert_eq!([text.matches("within\n{").count(), text.matches("tunecheck.verdict/v1").count()], [6, 6], "{text}");
    let text = fs::read_to_string(scene.folder.join("log.new")).unwrap();
    assert!(text.starts_with("and\nwithin\n{") && text.contains("tunecheck.verdict/v1"), "{text}");
    let read = scene.folder.join("read");
    done(script(through, &[&scene.tunecheck, &scene.folder.join("pipe"), &read]));
    is_verdict(&read);
    // What could not be made leaves nothing beside, and a folder is no file.
    assert!(watch(scene, &closed).code == Some(2));
    let left = fs::read_dir(&scene.folder).unwrap().flatten().map(|entry| entry.file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(".tunecheck-")));
}

fn a_verdict_that_cannot_get_its_place_is_told(scene: &Scene) {
    let (open, _) = places(scene);
    fs::set_permissions(&open, PermissionsExt::from_mode(0o1777)).unwrap();
    std::os::unix::fs::chown(&open, Some(0), Some(0)).unwrap();
    fs::write(open.join("g"), "old").unwrap();
    // What cannot be done at the end is refused before the command runs.
    let began = open.join("began");
    let typed = "cd \"$1\"; ! \"$2\" watch --format table --output g -- touch began 2> said";
    done(nobody(typed, &[&open, &scene.tunecheck]));
    let said = fs::read_to_string(open.join("said")).unwrap();
    assert!(said.contains("another user's file") && said.contains("g: "), "{said}");
    assert!(!began.exists());
    assert_eq!(fs::read_to_string(open.join("g")).unwrap(), "old");

    let taken = scene.folder.join("taken");
    let mut command = scene.tunecheck();
    command.args(["watch", "--format", "json", "--settle", "10ms", "--output"]).arg(&taken).args(["--", "mkdir"]);
    let run = Run::of({
        command.arg(&taken);
        command
    });
    assert!(run.code == Some(2) && run.stderr.contains("tunecheck.verdict/v1"), "{run:?}");
    let named = run.stderr.lines().last().unwrap();
    let kept = named.split(' ').find(|word| word.contains("/.tunecheck-")).unwrap();
    assert!(named.contains("is kept"), "{named}");
    assert!(fs::read_to_string(kept).unwrap().contains("tunecheck.verdict/v1"), "{named}");
}

/// Whether all below a folder, and itself, has these modes: of folders, of scripts and of other files.
fn has_modes(folder: PathBuf, [of_folder, of_script, of_file]: [u32; 3]) {
    let mut folders = vec![folder];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), of_folder, "{}", folder.display());
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let script = path.extension().is_some_and(|ending| ending == "sh");
            assert_eq!(mode(&path), if script { of_script } else { of_file }, "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 3, "{count} files");
}

fn a_recording_is_for_its_owner_alone_and_a_fix_for_whom_the_umask_lets(scene: &Scene) {
    let recording = scene.folder.join("recording");
    fs::create_dir(&recording).unwrap();
    assert_eq!(snapshot(scene, &recording).code, Some(0));
    has_modes(recording, [0o700, 0o700, 0o600]);
    let trouble = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts/in-trouble");
    let typed = "umask $3; \"$1\" fix --snapshot \"$4\" --output \"$2\"";
    for (umask, modes) in
        [("022", [0o755, 0o755, 0o644]), ("002", [0o755, 0o755, 0o644]), ("027", [0o750, 0o750, 0o640])]
    {
        let files = scene.folder.join(umask);
        done(script(typed, &[&scene.tunecheck, &files, Path::new(umask), &trouble]));
        has_modes(files, modes);
    }
    // A folder that is there keeps its mode.
    let files = scene.folder.join("files");
    fs::create_dir(&files).unwrap();
    fs::set_permissions(&files, PermissionsExt::from_mode(0o751)).unwrap();
    assert_eq!(fix(scene, &files).code, Some(0));
    assert_eq!(mode(&files), 0o751);
}

/// Files with what rules ask about, and with what nobody may ask about.
const PLANTED: &[(&str, &str)] = &[
    ("sysctl.conf", "# hunter2\nnet.core.somaxconn = 4096\nkernel.core_pattern = |/bin/dump --key hunter2\n"),
    ("sysctl.d/50-a.conf", "net.ipv4.tcp_fastopen_key = hunter2\nkernel.x = hunter2\nvm.swappiness = 10 \n"),
    ("systemd/system.conf", "[Manager]\nDefaultEnvironment=KEY=hunter2\nDefaultLimitNOFILE=1024:524288\n"),
    ("systemd/system/ssh.service.d/a.conf", "[Service]\nEnvironment=KEY=hunter2 \\\n LimitNOFILE=hunter2\n"),
    ("systemd/system/ssh.service", "[Service]\nExecStart=/bin/x --token hunter2\nEnvironmentFile=/etc/hunter2\n"),
    ("tuned/active_profile", "ours\n"),
    ("tuned/ours/tuned.conf", "[main]\nsummary=hunter2\n[sysctl]\nvm.swappiness=1\n[script]\nscript=hunter2\n"),
    ("modules-load.d/a.conf", "# hunter2\nnf_conntrack\n"),
    ("resolv.conf", "# hunter2\nnameserver 192.0.2.1\n"),
];

fn no_secret_is_in_a_recording(scene: &Scene) {
    const KEY: &str = "/proc/sys/net/ipv4/tcp_fastopen_key";
    fs::write(KEY, "68756e74-65723200-68756e74-65723200").unwrap();
    let etc = scene.folder.join("etc");
    for (name, text) in PLANTED {
        let path = etc.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let bind = "mount --bind \"$1\" /etc; mkdir -p \"$1/hunter2\"; mount -t tmpfs hunter2 \"$1/hunter2\"";
    done(script(bind, &[&etc]));
    let recording = scene.folder.join("recording");
    let mut command = scene.tunecheck();
    command.env("DATABASE_PASSWORD", "hunter2").arg("snapshot").arg(&recording);
    assert_eq!(Run::of(command).code, Some(0));
    let mut folders = vec![recording.clone()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert!(!text.contains("hunter2") && !text.contains("68756e74"), "{}: {text}", path.display());
        }
    }
    let kept = fs::read_to_string(recording.join("files/etc/sysctl.conf")).unwrap();
    assert!(kept.contains("net.core.somaxconn = 4096"), "what a rule asks about is there: {kept}");
}
