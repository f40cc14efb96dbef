//! A real sshd on loopback.

use std::fs;
use std::process::{Child, Command};

use crate::harness::{NETWORK_AND_MOUNTS, Need, Place, Scene, done, eventually, program, script};
use crate::namespaces::{loopback_up, report};
use crate::report::{Run, assert_same};

pub(crate) const PLACES: &[Place] = &[Place {
    name: "report_and_exit_code_arrive_over_ssh",
    needs: &[Need::Root, Need::Program("ip"), Need::Program("ssh"), Need::Program("ssh-keygen"), Need::Program("sshd")],
    own: NETWORK_AND_MOUNTS,
    trial: report_and_exit_code_arrive_over_ssh,
}];

const PREPARE: &str = r#"
    cd "$1"
    mount -t tmpfs none /run
    mkdir /run/sshd
    # sshd lets nobody into an account that is locked, and on some machines root's is.
    sed 's/^root:[^:]*:/root:*:/' /etc/shadow > shadow
    mount --bind shadow /etc/shadow
    ssh-keygen -q -t ed25519 -N '' -f user
    ssh-keygen -q -t ed25519 -N '' -f host
    cp user.pub authorized
    cat > sshd.conf <<CONFIGURATION
Port 2222
ListenAddress 127.0.0.1
HostKey $1/host
AuthorizedKeysFile $1/authorized
PasswordAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
PidFile none
CONFIGURATION
    cat > ssh.conf <<CONFIGURATION
Host node
HostName 127.0.0.1
Port 2222
User root
IdentityFile $1/user
IdentitiesOnly yes
UserKnownHostsFile $1/known
StrictHostKeyChecking accept-new
BatchMode yes
LogLevel ERROR
CONFIGURATION
"#;

/// The daemon, until it is dropped.
struct Sshd(Child);

impl Sshd {
    fn start(scene: &Scene) -> Self {
        let mut sshd = program("sshd");
        sshd.arg("-D").arg("-f").arg(scene.folder.join("sshd.conf")).arg("-E").arg(scene.folder.join("sshd.log"));
        let daemon = Self(sshd.spawn().unwrap());
        // Asked without connecting, which would leave a socket in TIME_WAIT for the report to show.
        let listens = || fs::read_to_string("/proc/net/tcp").is_ok_and(|sockets| sockets.contains(" 0100007F:08AE "));
        assert!(eventually(listens), "sshd does not listen");
        daemon
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ssh(scene: &Scene, arguments: &str) -> Command {
    let mut ssh = program("ssh");
    ssh.arg("-F").arg(scene.folder.join("ssh.conf")).arg("node");
    ssh.arg(format!("{} {arguments}", scene.tunecheck.display()));
    ssh
}

fn report_and_exit_code_arrive_over_ssh(scene: &Scene) {
    loopback_up();
    done(script(PREPARE, &[&scene.folder]));
    let _sshd = Sshd::start(scene);
    let here = report(scene.tunecheck(), &[]);
    let log = || fs::read_to_string(scene.folder.join("sshd.log")).unwrap_or_default();
    let there = Run::of(ssh(scene, "--format json"));
    assert!(there.stderr.is_empty() && !there.stdout.is_empty(), "{there:?}\n{}", log());
    let there = there.report();
    assert!(there.subjects("listen/backlog").contains(&"127.0.0.1:2222"));
    assert_same(&here.at_rest(), &there.at_rest());

    // Nobody can be ready for so many, so the gate trips for sure.
    let load = "--connections 1000000000 --burst 1000000000";
    for (gate, code) in [("fail", 1), ("never", 0)] {
        let run = Run::of(ssh(scene, &format!("{load} --fail-on {gate}")));
        let told = run.stderr.is_empty() || run.stderr.contains("checks could not be made");
        assert!(run.code == Some(code) && told, "--fail-on {gate}: {run:?}");
        assert!(run.stdout.starts_with("tunecheck ") && run.stdout.ends_with(" not applicable\n"), "{}", run.stdout);
    }
    Run::of(ssh(scene, "--snapshot /nowhere")).complaint();
}
