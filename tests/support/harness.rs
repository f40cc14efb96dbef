//! Trials, what they need, and the processes they run in.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::leftovers;
use crate::needs::{self, find};

/// Says to a process of this binary that it is one trial, by name.
const TRIAL: &str = "TUNECHECK_PLACES_TRIAL";
/// The folder of that trial. Every process that it starts inherits it, so what stays behind is known by it.
pub(crate) const FOLDER: &str = "TUNECHECK_PLACES_FOLDER";
/// Names another binary to test than the one that was built with the tests: a release.
const BINARY: &str = "TUNECHECK_BINARY";
/// How a line of a trial begins that is shown also where it passed: what it counted.
pub(crate) const COUNTED: &str = "counted: ";
/// A trial that takes longer hangs, unless it said before that it takes time.
const MINUTE: Duration = Duration::from_secs(60);

/// A network namespace of its own.
pub(crate) const NETWORK: &[&str] = &["--net"];
/// A mount namespace of its own, from which nothing reaches the machine.
pub(crate) const MOUNTS: &[&str] = &["--mount", "--propagation", "private"];
/// Both.
pub(crate) const NETWORK_AND_MOUNTS: &[&str] = &["--net", "--mount", "--propagation", "private"];
/// A mount namespace, and one of processes: what the trial starts ends with it, whatever becomes of it.
pub(crate) const MOUNTS_AND_PROCESSES: &[&str] =
    &["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// One trial.
pub(crate) struct Place {
    /// The behaviour that it proves.
    pub(crate) name: &'static str,
    /// Without these it is skipped.
    pub(crate) needs: &'static [Need],
    /// What unshare(1) is told.
    pub(crate) own: &'static [&'static str],
    /// The trial itself, which panics if it fails.
    pub(crate) trial: fn(&Scene),
}

impl Place {
    fn longest(&self) -> Duration {
        let minutes = self.needs.iter().filter_map(|need| match need {
            Need::Minutes(minutes) => Some(*minutes),
            _ => None,
        });
        MINUTE * minutes.max().unwrap_or(1)
    }
}

/// What a trial cannot do without.
#[derive(Clone, Copy)]
pub(crate) enum Need {
    /// The right to make namespaces and to mount.
    Root,
    /// A machine, not a container: the trial asserts what kind of place it is.
    Machine,
    /// A program.
    Program(&'static str),
    /// A sysctl that a kernel module brings.
    Sysctl(&'static str),
    /// More time than the minute that every trial has.
    Minutes(u32),
}

impl Need {
    fn met(self) -> bool {
        match self {
            Self::Root => {
                let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
                let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
                let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
                // CAP_NET_ADMIN and CAP_SYS_ADMIN.
                [12, 21].into_iter().all(|bit| mask >> bit & 1 == 1)
            }
            // The inode number of the first pid namespace is fixed: include/linux/proc_ns.h.
            Self::Machine => fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link == Path::new("pid:[4026531836]")),
            Self::Program(name) => find(name).is_some(),
            Self::Sysctl(name) => Path::new("/proc/sys").join(name.replace('.', "/")).exists(),
            Self::Minutes(_) => true,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Machine => "a machine around it, not a container",
            Self::Program(name) | Self::Sysctl(name) => name,
            Self::Minutes(_) => "time",
        }
    }
}

/// A program by its name.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(find(name).unwrap_or_else(|| panic!("there is no {name}")));
    command.stdin(Stdio::null());
    command
}

/// A program that is ended after so many seconds. It stays in this group of processes, to be ended with the trial.
pub(crate) fn timed(seconds: u32, name: &str) -> Command {
    let mut command = program("timeout");
    command.args(["--foreground", "--kill-after=5", &seconds.to_string()]).arg(program(name).get_program());
    command
}

/// A shell script with its arguments, which ends at the first command that fails.
pub(crate) fn script(text: &str, arguments: &[&Path]) -> Command {
    let mut shell = program("sh");
    shell.args(["-ec", text, "sh"]).args(arguments);
    shell
}

/// Runs a command that has to succeed, and gives what it printed.
pub(crate) fn done(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Waits for something for a few seconds.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > Duration::from_secs(5) {
            return false;
        }
        sleep(Duration::from_millis(10));
    }
}

/// A program that is ended when the trial is done with it.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a trial works with.
pub(crate) struct Scene {
    /// A folder of its own, which every user may enter.
    pub(crate) folder: PathBuf,
    /// The binary under test, where every user may run it.
    pub(crate) tunecheck: PathBuf,
}

impl Scene {
    fn at(folder: PathBuf) -> Self {
        let tunecheck = folder.parent().unwrap().join("tunecheck");
        Self { folder, tunecheck }
    }

    /// The binary under test.
    pub(crate) fn tunecheck(&self) -> Command {
        let mut command = Command::new(&self.tunecheck);
        command.stdin(Stdio::null());
        command
    }

    /// A name that nothing else on the machine has.
    pub(crate) fn token(&self) -> String {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        format!("{}-{}", name(self.folder.parent().unwrap()), name(&self.folder))
    }

    /// The binary under test at another path, for a root file system.
    pub(crate) fn put_tunecheck(&self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::hard_link(&self.tunecheck, path).unwrap();
    }
}

/// The folder of this run, with the binary in it.
fn run_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = env::temp_dir().join(format!("tunecheck-places-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        // Not where cargo built it: another user may not be able to enter those folders.
        let built = env::var_os(BINARY).map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_tunecheck")), PathBuf::from);
        fs::copy(built, folder.join("tunecheck")).unwrap();
        for path in [&folder, &folder.join("tunecheck")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        folder
    })
}

/// Runs one trial if this process is one, and else all of them, each in its process.
pub(crate) fn main(places: &[&'static [Place]]) {
    let places = || places.iter().copied().flatten();
    if let (Ok(name), Some(folder)) = (env::var(TRIAL), env::var_os(FOLDER)) {
        let place = places().find(|place| place.name == name).expect("a trial of that name");
        (place.trial)(&Scene::at(folder.into()));
        return;
    }
    let trials = places().map(trial).collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    let folder = env::temp_dir().join(format!("tunecheck-places-{}", std::process::id()));
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
    conclusion.exit()
}

fn trial(place: &'static Place) -> Trial {
    let missing: Vec<&str> = place.needs.iter().filter(|need| !need.met()).map(|need| need.words()).collect();
    needs::trial(place.name, &missing, needs::strict(), || enact(place))
}

/// Runs a trial in a process of its own, and sees to it that nothing stays behind.
fn enact(place: &Place) -> Result<(), Failed> {
    // With an ending, so that no name is the beginning of another one.
    let folder = run_folder().join(format!("{}.d", place.name));
    fs::create_dir(&folder)?;
    let log = folder.join("log");
    let this = env::current_exe()?;
    let mut command = match place.own {
        [] => Command::new(this),
        own => {
            let mut unshare = program("unshare");
            unshare.args(own).arg("--").arg(this);
            unshare
        }
    };
    command.env(TRIAL, place.name).env(FOLDER, &folder).env("RUST_BACKTRACE", "0").stdin(Stdio::null());
    command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?).process_group(0);
    let status = ended(command, place.longest())?;
    let said = fs::read(&log).unwrap_or_default();
    let left = leftovers::of(&Scene::at(folder.clone()));
    if !left.is_empty() {
        return Err(format!("left behind: {left:#?}\n{}", String::from_utf8_lossy(&said)).into());
    }
    fs::remove_dir_all(&folder)?;
    match status {
        Some(status) if status.success() => {
            let said = String::from_utf8_lossy(&said);
            said.lines()
                .filter_map(|line| line.strip_prefix(COUNTED))
                .for_each(|line| eprintln!("{}: {line}", place.name));
            Ok(())
        }
        Some(status) => Err(format!("{status}\n{}", String::from_utf8_lossy(&said)).into()),
        None => Err(format!("did not end within {:?}\n{}", place.longest(), String::from_utf8_lossy(&said)).into()),
    }
}

/// How a process ended; none if it had to be ended, with the group of processes that it leads.
fn ended(mut command: Command, longest: Duration) -> std::io::Result<Option<ExitStatus>> {
    let mut child = command.spawn()?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > longest {
            done(script(&format!("kill -s KILL -- -{}", child.id()), &[]));
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(5));
    }
}
