//! A machine with a kernel of its own: QEMU, which needs no right and no support of the processor.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::{panicking, sleep};
use std::time::{Duration, Instant};

use crate::debian::Root;
use crate::harness::{Need, Scene, done, program, script, timed};
use crate::report::Run;

pub(crate) const NEEDS: &[Need] = &[
    Need::Root,
    Need::Program("mmdebstrap"),
    Need::Program("qemu-system-x86_64"),
    Need::Program("mke2fs"),
    Need::Program("ssh"),
    Need::Program("ssh-keygen"),
    Need::Minutes(12),
];

/// Slow enough for a machine that does other work at the same time.
const LONGEST_BOOT: Duration = Duration::from_secs(180);
/// Without udev nothing loads the driver of the network card, and networkd would wait for it for ever.
const NETWORK: &str = "[Unit]
Before=ssh.service
[Service]
Type=oneshot
ExecStart=modprobe -a virtio_pci virtio_net
ExecStart=ip link set eth0 up
ExecStart=ip addr add 10.0.2.15/24 dev eth0
";
/// Tells on the console that ssh answers: who asks too early waits for a packet to be sent again.
const READY: &str = "[Unit]
After=network.service ssh.service
[Service]
Type=oneshot
ExecStart=sh -c 'echo READY > /dev/console'
";
/// The kernel has the drivers of NVMe and ext4 built in, so it needs no initramfs.
const QEMU: &[&str] = &[
    "-accel",
    "tcg,thread=multi",
    "-cpu",
    "max",
    "-smp",
    "2",
    "-m",
    "1024",
    "-display",
    "none",
    "-nodefaults",
    // After a reset the emulation is slower by an order of magnitude: every boot has a process of its own.
    "-no-reboot",
    "-serial",
    "file:console.log",
    "-kernel",
    "vmlinuz",
    "-append",
    "console=ttyS0 panic=-1 root=/dev/nvme0n1 rw",
    "-drive",
    "file=disk.img,if=none,id=disk,format=raw,cache=unsafe",
    "-device",
    "nvme,drive=disk,serial=disk",
    "-device",
    "virtio-net-pci,netdev=net,romfile=",
];

/// A running machine, until it is dropped.
pub(crate) struct Vm {
    qemu: Child,
    folder: PathBuf,
    port: u16,
}

impl Vm {
    /// Boots a root file system from a disk that is the machine's own.
    pub(crate) fn boot(scene: &Scene, root: &Root) -> Self {
        const PREPARE: &str = r#"
            cd "$1"
            ssh-keygen -q -t ed25519 -N '' -f user
            install -D -m 600 user.pub root/root/.ssh/authorized_keys
            cp root/boot/vmlinuz-* vmlinuz
            truncate -s 2G disk.img
            mke2fs -q -t ext4 -d root disk.img
        "#;
        root.put("/etc/fstab", "/dev/nvme0n1 / ext4 rw 0 1\n");
        root.enable("network.service", NETWORK);
        root.enable("ready.service", READY);
        // It would wait for a device that only udev announces.
        root.link("/etc/systemd/system/serial-getty@ttyS0.service", "/dev/null");
        let folder = scene.folder.clone();
        done(script(PREPARE, &[&folder]));
        let port = free_port();
        fs::write(folder.join("ssh.conf"), ssh_configuration(&folder, port)).unwrap();
        let mut vm = Self { qemu: start(&folder, port), folder, port };
        vm.wait();
        vm
    }

    /// Shuts the machine down as for a reboot, and boots it from its disk again.
    pub(crate) fn reboot(&mut self) {
        // The connection may end before the answer.
        self.ask("systemctl reboot");
        let qemu = &mut self.qemu;
        within(LONGEST_BOOT, || qemu.try_wait().unwrap().is_some());
        self.qemu = start(&self.folder, self.port);
        self.wait();
    }

    fn wait(&mut self) {
        let console = self.folder.join("console.log");
        let qemu = &mut self.qemu;
        within(LONGEST_BOOT, || {
            assert!(qemu.try_wait().unwrap().is_none(), "qemu has ended");
            fs::read(&console).is_ok_and(|log| String::from_utf8_lossy(&log).contains("READY"))
        });
    }

    /// All commands share a connection, as the handshake is what takes longest. Its socket has no room for a long path.
    fn ssh(&self, command: &str) -> Command {
        let mut ssh = timed(60, "ssh");
        ssh.arg("-F").arg(self.folder.join("ssh.conf")).args(["vm", command]).current_dir(&self.folder);
        ssh
    }

    /// What a command in the machine answers.
    pub(crate) fn ask(&self, command: &str) -> Run {
        Run::of(self.ssh(command))
    }

    /// What commands in the machine print, each of which has to succeed.
    pub(crate) fn run(&self, commands: &str) -> String {
        done(self.ssh(&format!("set -e\n{commands}")))
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        if panicking() {
            for log in ["qemu.log", "console.log"] {
                let text = fs::read(self.folder.join(log)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let lines: Vec<&str> = text.lines().collect();
                eprintln!("{log}:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
            }
        }
    }
}

fn start(folder: &Path, port: u16) -> Child {
    let mut qemu = program("qemu-system-x86_64");
    qemu.args(QEMU).arg("-netdev").arg(format!("user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"));
    // What the boot before has said is not said by this one.
    let _ = fs::remove_file(folder.join("console.log"));
    let log = File::create(folder.join("qemu.log")).unwrap();
    qemu.current_dir(folder).stdout(log.try_clone().unwrap()).stderr(log);
    qemu.spawn().unwrap()
}

fn within(time: Duration, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < time, "not within {time:?}");
        sleep(Duration::from_millis(100));
    }
}

/// A port of loopback that nothing listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn ssh_configuration(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "Host vm
HostName 127.0.0.1
Port {port}
User root
IdentityFile {folder}/user
IdentitiesOnly yes
UserKnownHostsFile {folder}/known
StrictHostKeyChecking accept-new
BatchMode yes
LogLevel ERROR
ConnectTimeout 30
ControlMaster auto
ControlPath mux
ControlPersist 60
"
    )
}
