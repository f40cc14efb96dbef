//! Every system call of an audit.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::{Need, Place, Scene, script};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[Place {
    name: "an_audit_writes_nothing_but_its_report",
    needs: &[Need::Program("strace")],
    own: &[],
    trial: an_audit_writes_nothing_but_its_report,
}];

/// Calls that change nothing outside the process, whatever their arguments.
const HARMLESS: &[&str] = &[
    "access",
    "arch_prctl",
    "brk",
    "capget",
    // With prctl and seccomp: rights of its own are given up.
    "capset",
    "clock_gettime",
    "close",
    "exit_group",
    "faccessat",
    "faccessat2",
    "fstat",
    "fstatfs",
    "futex",
    "getdents64",
    "getegid",
    "geteuid",
    "getgid",
    "getpid",
    "getrandom",
    "gettid",
    "getuid",
    "lseek",
    "lstat",
    "madvise",
    "mprotect",
    "mremap",
    "munmap",
    "newfstatat",
    "poll",
    "ppoll",
    "prctl",
    "pread64",
    "read",
    "readlink",
    "readlinkat",
    "recvfrom",
    "recvmsg",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "sched_getaffinity",
    "sched_yield",
    "seccomp",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "stat",
    "statfs",
    "statx",
    "sysinfo",
    "uname",
];

/// What is wrong with one line of strace, if anything is. The text behind the name holds the arguments as strace spells
/// them.
fn objection(name: &str, rest: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| rest.contains(word));
    let bad = match name {
        _ if HARMLESS.contains(&name) => false,
        "open" | "openat" => has(&["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE"]),
        // Standard output and standard error. Decorated with what they are, as -y does: 1</a/path>.
        "write" => !(rest.starts_with("1<") || rest.starts_with("2<")),
        "socket" => !(has(&["AF_NETLINK"]) && has(&["NETLINK_SOCK_DIAG", "NETLINK_ROUTE"])),
        // strace takes a message apart like this on netlink sockets only.
        "sendto" => !(has(&[", [{nlmsg_len="]) && has(&["NLM_F_DUMP", "nlmsg_flags=NLM_F_REQUEST|0x300"])),
        "prlimit64" => !has(&[", NULL, {"]),
        "mmap" => has(&["MAP_SHARED"]),
        "fcntl" => !has(&["F_GETFD", "F_GETFL", "F_SETFD", "F_DUPFD"]),
        "ioctl" => !has(&["TCGETS", "TIOCGWINSZ"]),
        _ => return Some("is not known to be harmless"),
    };
    bad.then_some("changes something")
}

/// Everything in a run that is not known to be harmless.
fn objections(calls: &[(String, String)]) -> BTreeSet<String> {
    calls.iter().filter_map(|(name, rest)| Some(format!("{name}({rest} {}", objection(name, rest)?))).collect()
}

/// The calls of a run, as name and the rest of the line, from the start of tunecheck on.
fn calls(scene: &Scene, arguments: &str) -> Vec<(String, String)> {
    let log = scene.folder.join("trace");
    let run = Run::of(script(
        &format!("exec strace -f -y -s 200 -o \"$2\" sh -c 'exec \"$0\" {arguments}' \"$1\""),
        &[&scene.tunecheck, &log],
    ));
    assert!(
        matches!(run.code, Some(0 | 1)) && run.stderr.lines().all(|line| line.starts_with("confined: ")),
        "{run:?}"
    );
    let text = fs::read_to_string(log).unwrap();
    assert!(!text.contains("resumed>"), "one thread, so no call is told in two lines");
    let start = format!("execve(\"{}\"", scene.tunecheck.display());
    let own = text.lines().skip_while(|line| !line.contains(&start)).skip(1);
    let call = |line: &str| {
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let (name, rest) = line.split_once('(')?;
        name.chars().all(|c| c.is_alphanumeric() || c == '_').then(|| (name.to_owned(), rest.to_owned()))
    };
    own.filter_map(call).collect()
}

fn an_audit_writes_nothing_but_its_report(scene: &Scene) {
    let roles = ["server", "client", "gateway"].map(|role| format!("--workload {role} --verbose"));
    let runs = roles.iter().map(String::as_str).chain(["--format json", "audit --only-failed --port 443"]);
    for arguments in runs {
        let calls = calls(scene, arguments);
        assert_eq!(objections(&calls), BTreeSet::new(), "{arguments}");
        let files = calls.iter().filter(|(name, rest)| name == "openat" && rest.contains("\"/proc/sys/")).count();
        let answers =
            calls.iter().filter(|(name, rest)| name == "socket" && rest.contains("NETLINK_SOCK_DIAG")).count();
        let reports = calls.iter().filter(|(name, rest)| name == "write" && rest.starts_with("1<")).count();
        assert!(files > 20 && answers > 0 && reports == 1, "{files} sysctls, {answers} sockets, {reports} writes");
    }

    // Where a standard descriptor is closed the runtime of Rust puts /dev/null there before main, read and write, so
    // that no file of the program gets its number.
    let closed = objections(&calls(scene, ">&-"));
    assert_eq!(closed.len(), 1, "{closed:#?}");
    assert!(closed.first().unwrap().contains("\"/dev/null\", O_RDWR) = 1"), "{closed:#?}");

    // A recording is written, and that shows: the judgement above can fail.
    let written = objections(&calls(scene, &format!("snapshot {} 2> /dev/null", scene.folder.join("new").display())));
    for call in ["mkdirat(", "openat(", "write("] {
        assert!(written.iter().any(|objection| objection.starts_with(call)), "{call}: {written:#?}");
    }
}
