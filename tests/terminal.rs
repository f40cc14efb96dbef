//! The live screen in a pseudo terminal, and signals around a command: whatever ends it, the terminal is as it was, and
//! whoever waits learns what ended it.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "starts programs, fails by panicking"
)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use support::{BINARY, scratch};

/// What takes the screen, what gives it back, and what shows the cursor.
const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";
const SHOW: &str = "\x1b[?25h";
/// A picture that is there.
const PICTURE: &str = "q quit";
/// Ctrl-C and Ctrl-Z as they are typed.
const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

/// A pseudo terminal, read all the time.
struct Screen {
    /// The end that a user has. Without it the terminal has hung up.
    ours: Option<File>,
    its: OwnedFd,
    seen: Mutex<Vec<u8>>,
    before: Termios,
}

impl Screen {
    fn open(columns: u16, rows: u16) -> Self {
        // No program that is started inherits it: a terminal hangs up with the last descriptor of this end.
        let pty = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
        grantpt(&pty).unwrap();
        unlockpt(&pty).unwrap();
        let its =
            File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(ptsname_r(&pty).unwrap());
        let its = OwnedFd::from(its.unwrap());
        let before = tcgetattr(&its).unwrap();
        let ours = File::from(OwnedFd::from(pty));
        let screen = Self { ours: Some(ours), its, seen: Mutex::default(), before };
        screen.resize(columns, rows);
        screen
    }

    /// Starts a program as the leader of a session of its own, which this terminal controls if `controlled`.
    fn start(&self, controlled: bool, program: &[&str]) -> Child {
        let end = || Stdio::from(self.its.try_clone().unwrap());
        let mut command = Command::new("setsid");
        if controlled {
            command.arg("--ctty");
        }
        command.args(program).env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR");
        command.env("PS1", "ready> ").env("HISTFILE", "").current_dir(env!("CARGO_TARGET_TMPDIR"));
        command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    /// Takes in what was written.
    fn read(&self) -> String {
        let mut seen = self.seen.lock().unwrap();
        if let Some(mut ours) = self.ours.as_ref() {
            let mut bytes = [0; 65536];
            while is_readable(ours) {
                match ours.read(&mut bytes) {
                    Ok(count @ 1..) => seen.extend_from_slice(&bytes[..count]),
                    _ => break,
                }
            }
        }
        String::from_utf8_lossy(&seen).into_owned()
    }

    #[track_caller]
    fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let seen = self.read();
            if holds(&seen) {
                return seen;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "no sign of {what}: {seen:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn shows(&self, text: &str, times: usize) {
        self.until(text, |seen| seen.matches(text).count() >= times);
    }

    fn press(&self, keys: &str) {
        self.ours.as_ref().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    fn resize(&self, columns: u16, rows: u16) {
        let mut stty = Command::new("stty");
        stty.args(["rows", &rows.to_string(), "cols", &columns.to_string()]);
        assert!(stty.stdin(self.its.try_clone().unwrap()).status().unwrap().success());
    }

    /// Whether the screen was taken and given back so often, the cursor is shown, and every mode is as it was.
    #[track_caller]
    fn is_given_back(&self, what: &str, times: usize) {
        let seen = self.read();
        let count = |text: &str| seen.matches(text).count();
        assert_eq!((count(ENTER), count(LEAVE)), (times, times), "{what}: {seen:?}");
        let last = |text: &str| seen.rfind(text);
        assert!(last(SHOW) >= last("\x1b[?25l") && last(LEAVE) >= last(ENTER), "{what}: {seen:?}");
        assert_eq!(tcgetattr(&self.its).unwrap(), self.before, "{what}: modes");
    }

    fn hang_up(&mut self) {
        self.read();
        self.ours = None;
    }
}

fn is_readable(file: &File) -> bool {
    let mut wait = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    poll(&mut wait, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        && wait[0].revents().is_some_and(|ready| ready.contains(PollFlags::POLLIN))
}

fn send(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// How a child ended, with its terminal read so that it is not held up.
#[track_caller]
fn ended(what: &str, screen: &Screen, child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        screen.read();
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{what}: it goes on: {:?}", screen.read());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[track_caller]
fn eventually(what: &str, screen: &Screen, holds: impl Fn() -> bool) {
    screen.until(what, |_| holds());
}

const WATCH: [&str; 4] = [BINARY, "watch", "--interval", "100ms"];

#[test]
fn in_the_foreground_every_end_gives_the_terminal_back_and_tells_what_it_was() {
    use Signal::*;
    for key in ["q", CTRL_C, "\x1b"] {
        let screen = Screen::open(80, 24);
        let mut child = screen.start(true, &WATCH);
        screen.shows(PICTURE, 1);
        screen.press(key);
        assert_eq!(ended(key, &screen, &mut child).code(), Some(0), "{key:?}");
        screen.is_given_back(key, 1);
    }
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGXCPU, SIGVTALRM, SIGPROF] {
        let screen = Screen::open(80, 24);
        let mut child = screen.start(true, &WATCH);
        screen.shows(PICTURE, 1);
        send(child.id(), signal);
        let status = ended(signal.as_str(), &screen, &mut child);
        assert_eq!(status.signal(), Some(signal as i32), "{signal}: {status}");
        screen.is_given_back(signal.as_str(), 1);
    }
    let screen = Screen::open(80, 24);
    let mut child = screen.start(true, &[&WATCH[..], &["--duration", "300ms"]].concat());
    assert_eq!(ended("duration", &screen, &mut child).code(), Some(0));
    screen.is_given_back("duration", 1);
    // A session leader is a job that nobody could continue: as with any stop that a terminal asks for, it goes on.
    let screen = Screen::open(80, 24);
    let mut child = screen.start(true, &WATCH);
    screen.shows(PICTURE, 1);
    screen.press(CTRL_Z);
    screen.shows(ENTER, 2);
    screen.press("q");
    assert_eq!(ended("stop of an orphan", &screen, &mut child).code(), Some(0));
    screen.is_given_back("stop of an orphan", 2);
}

#[test]
fn a_terminal_that_hangs_up_ends_it_as_a_hang_up_does() {
    for controlled in [true, false] {
        let mut screen = Screen::open(80, 24);
        let mut child = screen.start(controlled, &WATCH);
        screen.shows(PICTURE, 1);
        screen.hang_up();
        let status = ended("hang-up", &screen, &mut child);
        assert_eq!(status.signal(), Some(Signal::SIGHUP as i32), "controlled {controlled}: {status}");
    }
}

#[test]
fn any_size_that_a_terminal_claims_is_drawn_in_bounded_memory() {
    let screen = Screen::open(u16::MAX, u16::MAX);
    let mut child = screen.start(true, &WATCH);
    screen.shows(PICTURE, 1);
    for (columns, rows) in [(1, 1), (u16::MAX, 1), (1, u16::MAX), (0, 0), (u16::MAX, u16::MAX), (24, 5), (80, 24)] {
        screen.resize(columns, rows);
        let seen = screen.read().len();
        screen.until("another picture", |all| all.len() > seen);
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 64 << 10, "{peak} KiB");
    screen.press("q");
    assert_eq!(ended("sizes", &screen, &mut child).code(), Some(0));
    screen.is_given_back("sizes", 1);
}

/// A shell with job control in a terminal, which keeps its modes as they are.
struct Shell {
    screen: Screen,
    shell: Child,
}

impl Shell {
    fn open() -> Self {
        let screen = Screen::open(80, 24);
        let shell = screen.start(true, &["bash", "--norc", "--noprofile", "--noediting", "-i"]);
        screen.shows("ready> ", 1);
        Self { screen, shell }
    }

    /// Types a command.
    fn types(&self, line: &str) {
        self.screen.press(&format!("{line}\n"));
    }

    /// Starts the screen, in the foreground or with `&` in the background, and gives its process.
    fn watches(&self, behind: &str) -> u32 {
        self.types(&format!("{} {behind}", WATCH.join(" ")));
        let shell = self.shell.id();
        let children = format!("/proc/{shell}/task/{shell}/children");
        let child = || fs::read_to_string(&children).unwrap().split_whitespace().next()?.parse().ok();
        self.screen.until("a process", |_| {
            child().is_some_and(|pid: u32| {
                fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with("tunecheck"))
            })
        });
        child().unwrap()
    }

    /// Waits for the end of a process, and for the shell to have taken the terminal back.
    #[track_caller]
    fn is_over(&self, what: &str, pid: u32, times: usize) {
        eventually(what, &self.screen, || state(pid).is_none());
        self.types("echo over $((1 + 1))");
        self.screen.shows("over 2", 1);
        self.screen.is_given_back(what, times);
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// A stop, as a key and as a signal that can be caught and that cannot be.
const STOPS: [Option<Signal>; 3] = [None, Some(Signal::SIGTSTP), Some(Signal::SIGSTOP)];

fn stopped(shell: &Shell, how: Option<Signal>) -> u32 {
    let pid = shell.watches("");
    shell.screen.shows(PICTURE, 1);
    match how {
        None => shell.screen.press(CTRL_Z),
        Some(signal) => send(pid, signal),
    }
    eventually("a stop", &shell.screen, || state(pid) == Some('T'));
    shell.screen.shows("Stopped", 1);
    pid
}

#[test]
fn a_stop_gives_the_terminal_back_first_and_fg_draws_anew() {
    for how in STOPS {
        let what = format!("{how:?}");
        let shell = Shell::open();
        let pid = stopped(&shell, how);
        if how != Some(Signal::SIGSTOP) {
            shell.screen.is_given_back(&what, 1);
        }
        shell.types("fg");
        shell.screen.shows(ENTER, 2);
        shell.screen.press("q");
        eventually(&what, &shell.screen, || state(pid).is_none());
        shell.types("echo over $((1 + 1))");
        shell.screen.shows("over 2", 1);
        let seen = shell.screen.read();
        assert!(
            seen.rfind(LEAVE) > seen.rfind(ENTER) && seen.rfind(SHOW) > seen.rfind("\x1b[?25l"),
            "{what}: {seen:?}"
        );
        assert_eq!(tcgetattr(&shell.screen.its).unwrap(), shell.screen.before, "{what}: modes");
    }
}

#[test]
fn what_is_stopped_or_in_the_background_ends_by_a_signal() {
    use Signal::*;
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
        for how in STOPS {
            let what = format!("{signal} after {how:?}");
            let shell = Shell::open();
            let pid = stopped(&shell, how);
            // As the shell's own kill does, for a job that is stopped.
            send(pid, signal);
            send(pid, SIGCONT);
            shell.is_over(&what, pid, 1);
        }
        let what = format!("{signal} after bg");
        let shell = Shell::open();
        let pid = stopped(&shell, None);
        shell.types("bg");
        eventually("readings in the background", &shell.screen, || state(pid) == Some('S'));
        thread::sleep(Duration::from_millis(300));
        send(pid, signal);
        shell.is_over(&what, pid, 1);
        let what = format!("{signal} after &");
        let shell = Shell::open();
        let pid = shell.watches("&");
        thread::sleep(Duration::from_millis(300));
        send(pid, signal);
        shell.types("wait %1; echo code $(($? - 128))");
        shell.screen.shows(&format!("code {}", signal as i32), 1);
        shell.is_over(&what, pid, 0);
    }
}

#[test]
fn from_the_background_it_comes_to_the_front() {
    let shell = Shell::open();
    let pid = shell.watches("&");
    thread::sleep(Duration::from_millis(300));
    assert!(!shell.screen.read().contains(ENTER), "nothing is drawn in the background");
    shell.types("fg");
    shell.screen.shows(PICTURE, 1);
    shell.screen.press("q");
    shell.is_over("fg", pid, 1);
}

#[test]
fn a_hang_up_ends_what_is_stopped_or_in_the_background() {
    for stopped_first in [true, false] {
        let mut shell = Shell::open();
        let pid = match stopped_first {
            true => stopped(&shell, None),
            false => shell.watches("&"),
        };
        thread::sleep(Duration::from_millis(200));
        shell.screen.hang_up();
        eventually("its end", &shell.screen, || state(pid).is_none_or(|state| state == 'Z'));
    }
}

/// Says that it is ready, and counts the signals SIGINT that reach it for some seconds.
const COUNTS: &str =
    "n=0; trap 'n=$((n+1))' INT; echo ready; i=0; while [ $i -lt 40 ]; do sleep 0.1; i=$((i+1)); done; echo INT $n";

#[test]
fn a_command_gets_a_signal_once_whomever_it_was_sent_to() {
    let folder = scratch("counts");
    fs::write(folder.join("counts.sh"), COUNTS).unwrap();
    let watch = format!("{BINARY} watch --settle 10ms -- sh counts.sh");
    let run = |text: &str| {
        let text = text.replace("WATCH", &watch).replace("READY", "until grep -qs ready out; do sleep 0.05; done");
        let _ = fs::remove_file(folder.join("out"));
        let mut bash = Command::new("bash");
        bash.args(["-c", &format!("set -m; {{ {text}; }} > out")]).current_dir(&folder).stderr(Stdio::null());
        assert!(bash.stdin(Stdio::null()).status().is_ok());
        fs::read_to_string(folder.join("out")).unwrap()
    };
    for (how, text, count) in [
        // To its process, and at once to the group that it leads.
        ("timeout", "timeout -s INT 2 WATCH", 1),
        ("timeout --foreground", "timeout --foreground -s INT 2 WATCH", 1),
        ("a group", "WATCH & READY; kill -INT -$!; wait", 1),
        ("a process", "WATCH & READY; kill -INT $!; wait", 1),
        ("a group, later a process", "WATCH & READY; kill -INT -$!; sleep 0.5; kill -INT $!; wait", 2),
        ("a process, later a group", "WATCH & READY; kill -INT $!; sleep 0.5; kill -INT -$!; wait", 2),
        ("a group twice", "WATCH & READY; kill -INT -$!; sleep 0.5; kill -INT -$!; wait", 2),
    ] {
        assert_eq!(run(text), format!("ready\nINT {count}\n"), "{how}");
    }
    let screen = Screen::open(80, 24);
    let file = folder.join("counts.sh");
    let mut child = screen.start(true, &[BINARY, "watch", "--settle", "10ms", "--", "sh", file.to_str().unwrap()]);
    screen.shows("ready", 1);
    screen.press(CTRL_C);
    ended("a key", &screen, &mut child);
    screen.shows("INT 1\r\n", 1);
}
