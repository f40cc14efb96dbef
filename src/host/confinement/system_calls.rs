//! System calls that change something are refused with `EPERM`: a
//! [seccomp filter](https://docs.kernel.org/userspace-api/seccomp_filter.html).
//!
//! The filter is a tree over the numbers of system calls, so that the kernel decides each in a few steps: it takes a
//! third of the time of a list to load.

use nix::libc::{self, c_long};
use seccompiler::{apply_filter, sock_filter};

use super::Allowed;

/// Restricts this thread and its children. A sentence about it.
pub(super) fn restrict(allowed: Allowed<'_>) -> String {
    let Some(architecture) = ARCHITECTURE else {
        return "system calls are not confined: no filter is known for this architecture".to_owned();
    };
    let loaded = program(architecture, allowed).map(|program| apply_filter(&program));
    match loaded {
        None => "system calls are not confined: the filter does not fit".to_owned(),
        Some(Ok(())) => {
            let mut refused = vec!["modules", "mounts", "programs", "tracing"];
            if allowed.makes.is_none() && !allowed.terminal {
                refused.push("writing to files");
            }
            if !allowed.network {
                refused.push("connections");
            }
            format!("no new privileges; refused are {} (seccomp)", refused.join(", "))
        }
        Some(Err(why)) => format!("system calls are not confined: {why}"),
    }
}

/// `AUDIT_ARCH_*` of linux/audit.h.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// The first number that was given to no system call when this was written. Libraries do without what is newer.
const FIRST_UNKNOWN: u32 = 463;

/// What is decided about a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Allow,
    /// `EPERM`.
    Refuse,
    /// `ENOSYS`, as an older kernel says.
    Unknown,
    /// Refused if the flags in this argument ask for more than reading.
    OnlyToRead(u32),
    /// Refused if the first argument is another family than netlink.
    OnlyNetlink,
    /// Refused if the third argument, new limits, is not null.
    OnlyToAsk,
}

/// Never needed: programs, other processes, mounts, the kernel itself, and system calls that take others along.
const NEVER: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Needed to make files.
const MAKING: &[c_long] = &[
    libc::SYS_fallocate,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_ftruncate,
    libc::SYS_linkat,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_removexattr,
    libc::SYS_renameat2,
    libc::SYS_setxattr,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    // 452 everywhere: fchmodat2.
    452,
];

/// The same by names that only older architectures have.
#[cfg(target_arch = "x86_64")]
const MAKING_BEFORE: &[c_long] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_creat,
    libc::SYS_futimesat,
    libc::SYS_lchown,
    libc::SYS_link,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_utime,
    libc::SYS_utimes,
];
#[cfg(not(target_arch = "x86_64"))]
const MAKING_BEFORE: &[c_long] = &[];

/// Needed to talk to others.
const TALKING: &[c_long] = &[libc::SYS_accept, libc::SYS_accept4, libc::SYS_connect, libc::SYS_listen];

/// The decision about each number from where it begins, sorted.
fn decisions(allowed: Allowed<'_>) -> Vec<(u32, Decision)> {
    let to_write = allowed.makes.is_some() || allowed.terminal;
    let refused = |calls: &'static [c_long]| calls.iter().map(|call| (*call, Decision::Refuse));
    let mut special: Vec<(c_long, Decision)> = refused(NEVER).collect();
    if allowed.makes.is_none() {
        special.extend(refused(MAKING).chain(refused(MAKING_BEFORE)));
    }
    if !to_write {
        special.push((libc::SYS_openat, Decision::OnlyToRead(2)));
        #[cfg(target_arch = "x86_64")]
        special.push((libc::SYS_open, Decision::OnlyToRead(1)));
    }
    if !allowed.network {
        special.extend(refused(TALKING));
        special.push((libc::SYS_socket, Decision::OnlyNetlink));
    }
    special.push((libc::SYS_prlimit64, Decision::OnlyToAsk));
    special.sort_unstable_by_key(|(call, _)| *call);

    let mut decisions = vec![(0, Decision::Allow)];
    for (call, decision) in special {
        let Ok(number) = u32::try_from(call) else { continue };
        // The one before ended its range by allowing what follows it.
        if decisions.last().is_some_and(|(start, _)| *start == number) {
            decisions.pop();
        }
        if decisions.last().is_none_or(|(_, last)| *last != decision) {
            decisions.push((number, decision));
        }
        decisions.push((number + 1, Decision::Allow));
    }
    decisions.push((FIRST_UNKNOWN, Decision::Unknown));
    decisions
}

// Where the kernel puts what it is asked about: struct seccomp_data of linux/seccomp.h.
const NUMBER: u32 = 0;
const CALLED_BY: u32 = 4;
const ARGUMENTS: u32 = 16;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const IF_ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

const ALLOW: sock_filter = step(RETURN, libc::SECCOMP_RET_ALLOW);
const REFUSE: sock_filter = step(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
const UNKNOWN: sock_filter = step(RETURN, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);

#[allow(clippy::cast_possible_truncation, reason = "codes of BPF take less than 16 bits")]
const fn step(code: u32, k: u32) -> sock_filter {
    branch(code, k, 0, 0)
}

#[allow(clippy::cast_possible_truncation, reason = "codes of BPF take less than 16 bits")]
const fn branch(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// The filter; none if a part of it is too long to jump over.
fn program(architecture: u32, allowed: Allowed<'_>) -> Option<Vec<sock_filter>> {
    let mut program = vec![step(LOAD, CALLED_BY), branch(IF_EQUAL, architecture, 1, 0), REFUSE, step(LOAD, NUMBER)];
    program.extend(tree(&decisions(allowed))?);
    Some(program)
}

/// The program that finds the last of these that begins at or below the number, by halves.
fn tree(decisions: &[(u32, Decision)]) -> Option<Vec<sock_filter>> {
    if let [(_, decision)] = decisions {
        return Some(end(*decision));
    }
    let (lower, upper) = decisions.split_at(decisions.len() / 2);
    let (start, _) = upper.first()?;
    let (below, above) = (tree(lower)?, tree(upper)?);
    let over = u8::try_from(below.len()).ok()?;
    Some([vec![branch(IF_AT_LEAST, *start, over, 0)], below, above].concat())
}

/// The end of a path through the tree.
fn end(decision: Decision) -> Vec<sock_filter> {
    let argument = |number: u32| ARGUMENTS + 8 * number;
    match decision {
        Decision::Allow => vec![ALLOW],
        Decision::Refuse => vec![REFUSE],
        Decision::Unknown => vec![UNKNOWN],
        Decision::OnlyToRead(number) => {
            let writing = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC).cast_unsigned();
            vec![step(LOAD, argument(number)), branch(IF_ANY_BIT, writing, 0, 1), REFUSE, ALLOW]
        }
        Decision::OnlyNetlink => {
            let family = libc::AF_NETLINK.cast_unsigned();
            vec![step(LOAD, argument(0)), branch(IF_EQUAL, family, 1, 0), REFUSE, ALLOW]
        }
        Decision::OnlyToAsk => vec![
            step(LOAD, argument(2)),
            branch(IF_EQUAL, 0, 0, 2),
            step(LOAD, argument(2) + 4),
            branch(IF_EQUAL, 0, 1, 0),
            REFUSE,
            ALLOW,
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::process::Command;
    use std::{io, thread};

    use nix::errno::Errno;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

    use super::*;

    const NONE: Allowed<'_> = Allowed { files: None, makes: None, network: false, terminal: false, processes: true };

    fn refused<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    /// What a program says of a system call: only what is used here is understood.
    fn said(program: &[sock_filter], number: u32, architecture: u32, arguments: [u64; 6]) -> u32 {
        let argument = |at: u32| {
            let whole = arguments[((at - ARGUMENTS) / 8) as usize];
            if at.is_multiple_of(8) { whole as u32 } else { (whole >> 32) as u32 }
        };
        let (mut at, mut loaded) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            let jump = |holds: bool| usize::from(if holds { jt } else { jf });
            at += 1 + match u32::from(code) {
                LOAD => {
                    loaded = match k {
                        NUMBER => number,
                        CALLED_BY => architecture,
                        other => argument(other),
                    };
                    0
                }
                IF_EQUAL => jump(loaded == k),
                IF_AT_LEAST => jump(loaded >= k),
                IF_ANY_BIT => jump(loaded & k != 0),
                RETURN => return k,
                other => panic!("code {other}"),
            };
        }
    }

    #[test]
    fn the_tree_decides_as_the_list_does() {
        let architecture = ARCHITECTURE.unwrap();
        let all = Allowed { makes: Some("/".as_ref()), network: true, terminal: true, ..NONE };
        for allowed in [NONE, all, Allowed { network: true, ..NONE }, Allowed { terminal: true, ..NONE }] {
            let (program, decisions) = (program(architecture, allowed).unwrap(), decisions(allowed));
            for number in (0..600).chain([0x4000_0000, 0x4000_0101, u32::MAX]) {
                let (_, decision) = decisions.iter().rfind(|(start, _)| *start <= number).unwrap();
                let expected = match decision {
                    Decision::Refuse => REFUSE.k,
                    Decision::Unknown => UNKNOWN.k,
                    // All arguments are zero: reading, no family of addresses, no new limits.
                    Decision::OnlyNetlink => REFUSE.k,
                    Decision::Allow | Decision::OnlyToRead(_) | Decision::OnlyToAsk => ALLOW.k,
                };
                assert_eq!(said(&program, number, architecture, [0; 6]), expected, "{number} with {allowed:?}");
                assert_eq!(said(&program, number, 0x4000_0003, [0; 6]), REFUSE.k, "{number} of another architecture");
            }
        }
        let program = program(architecture, NONE).unwrap();
        let openat = |flags: i32| said(&program, libc::SYS_openat as u32, architecture, [0, 0, flags as u64, 0, 0, 0]);
        for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, libc::O_TMPFILE | libc::O_RDWR] {
            assert_eq!(openat(flags | libc::O_CLOEXEC), REFUSE.k, "{flags:o}");
        }
        assert_eq!(openat(libc::O_CLOEXEC | libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW), ALLOW.k);
        let limits = |new| said(&program, libc::SYS_prlimit64 as u32, architecture, [0, 0, new, 0, 0, 0]);
        assert_eq!([limits(0), limits(1), limits(1 << 40)], [ALLOW.k, REFUSE.k, REFUSE.k]);
    }

    #[test]
    fn what_changes_something_is_refused_and_reading_is_not() {
        let folder = std::env::temp_dir().join(format!("tunecheck-calls-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("file");
        fs::write(&file, "before").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let limit = getrlimit(Resource::RLIMIT_CORE).unwrap();
                assert!(restrict(NONE).starts_with("no new privileges"));
                assert!(refused(File::create(&file)));
                assert!(refused(File::options().append(true).open(&file)));
                assert!(refused(File::create(folder.join("new"))));
                assert!(refused(fs::create_dir(folder.join("new"))));
                assert!(refused(fs::remove_file(&file)));
                assert!(refused(fs::rename(&file, folder.join("new"))));
                assert!(refused(fs::hard_link(&file, folder.join("new"))));
                assert!(refused(std::os::unix::fs::symlink(&file, folder.join("new"))));
                assert!(refused(fs::set_permissions(&file, fs::metadata(&file).unwrap().permissions())));
                assert!(refused(TcpStream::connect(address)));
                assert!(refused(UdpSocket::bind("127.0.0.1:0")));
                assert!(refused(listener.accept()));
                assert!(refused(Command::new("/bin/true").status()));
                assert_eq!(setrlimit(Resource::RLIMIT_CORE, limit.0, limit.1), Err(Errno::EPERM));
                assert_eq!(nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS), Err(Errno::EPERM));

                assert_eq!(fs::read_to_string(&file).unwrap(), "before");
                assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), limit);
                socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap();
                assert!(
                    thread::spawn(|| refused(File::create("/dev/null"))).join().unwrap(),
                    "threads are confined too"
                );
            });
        });
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }
}
