//! System calls that change something are refused with `EPERM`: which ones.

use nix::libc::{self, c_long};
use seccompiler::apply_filter;

use super::Allowed;
use super::filter::{ARCHITECTURE, Decision, program};

/// Restricts this thread and its children. A sentence about it.
pub(super) fn restrict(allowed: Allowed<'_>) -> String {
    let Some(architecture) = ARCHITECTURE else {
        return "system calls are not confined: no filter is known for this architecture".to_owned();
    };
    let loaded = program(architecture, &decisions(allowed)).map(|program| apply_filter(&program));
    match loaded {
        None => "system calls are not confined: the filter does not fit".to_owned(),
        Some(Ok(())) => {
            let mut refused = vec!["modules", "mounts", "tracing"];
            if !allowed.others && !allowed.command {
                refused.push("programs");
            }
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

/// The first number that was given to no system call when this was written. Libraries do without what is newer.
const FIRST_UNKNOWN: u32 = 463;

/// Never needed: other processes, mounts, the kernel itself, and system calls that take others along.
const NEVER: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_ioprio_set,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_msgget,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_semget,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setpriority,
    libc::SYS_settimeofday,
    libc::SYS_shmget,
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

/// Needed to start programs.
const STARTING: &[c_long] = &[libc::SYS_execve, libc::SYS_execveat];

/// Needed to end a process.
const SIGNALLING: &[c_long] = &[
    libc::SYS_kill,
    libc::SYS_pidfd_send_signal,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_tgkill,
    libc::SYS_tkill,
];

/// Needed to talk to others.
const TALKING: &[c_long] = &[libc::SYS_accept, libc::SYS_accept4, libc::SYS_connect, libc::SYS_listen];

/// The decision about each number from where it begins, sorted.
pub(super) fn decisions(allowed: Allowed<'_>) -> Vec<(u32, Decision)> {
    let to_write = allowed.makes.is_some() || allowed.terminal;
    let refused = |calls: &'static [c_long]| calls.iter().map(|call| (*call, Decision::Refuse));
    let mut special: Vec<(c_long, Decision)> = refused(NEVER).collect();
    if allowed.makes.is_none() {
        special.extend(refused(MAKING).chain(refused(MAKING_BEFORE)));
    }
    if !to_write {
        // Its flags lie in memory, where no filter can see them. Who is told that the kernel has it not opens part by part.
        special.push((libc::SYS_openat2, Decision::Unknown));
        special.push((libc::SYS_openat, Decision::OnlyToRead(2)));
        #[cfg(target_arch = "x86_64")]
        special.push((libc::SYS_open, Decision::OnlyToRead(1)));
    }
    if !allowed.others && !allowed.command {
        special.extend(refused(STARTING));
    }
    if !allowed.others {
        special.push((libc::SYS_setns, Decision::Refuse));
    }
    if !allowed.others && !allowed.signals {
        special.extend(refused(SIGNALLING));
    }
    if !allowed.network {
        special.extend(refused(TALKING));
        special.push((libc::SYS_socket, Decision::OnlyNetlink));
    }
    // As of openat2; the C library takes clone instead.
    special.push((libc::SYS_clone3, Decision::Unknown));
    special.push((libc::SYS_clone, Decision::OnlyThreads));
    special.push((libc::SYS_ioctl, Decision::OnlyOutput));
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;
    use std::process::Command;
    use std::{io, thread};

    use nix::errno::Errno;
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, accept, connect, socket};

    use super::*;

    fn nothing() -> Allowed<'static> {
        Allowed { processes: true, ..Allowed::default() }
    }

    fn refused<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    #[test]
    fn what_changes_something_is_refused_and_reading_is_not() {
        let folder = std::env::temp_dir().join(format!("tunecheck-calls-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("file");
        fs::write(&file, "before").unwrap();
        let stream = |family| socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
        let before = stream(AddressFamily::Inet).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                let limit = getrlimit(Resource::RLIMIT_CORE).unwrap();
                assert!(restrict(nothing()).starts_with("no new privileges"));
                assert!(refused(File::create(&file)));
                assert!(refused(File::options().append(true).open(&file)));
                assert!(refused(File::create(folder.join("new"))));
                assert!(refused(fs::create_dir(folder.join("new"))));
                assert!(refused(fs::remove_file(&file)));
                assert!(refused(fs::rename(&file, folder.join("new"))));
                assert!(refused(fs::hard_link(&file, folder.join("new"))));
                assert!(refused(std::os::unix::fs::symlink(&file, folder.join("new"))));
                assert!(refused(fs::set_permissions(&file, fs::metadata(&file).unwrap().permissions())));
                let nobody = SockaddrIn::new(127, 0, 0, 1, 1);
                assert_eq!(connect(before.as_raw_fd(), &nobody), Err(Errno::EPERM));
                assert_eq!(accept(before.as_raw_fd()), Err(Errno::EPERM));
                for family in [AddressFamily::Inet, AddressFamily::Inet6, AddressFamily::Unix] {
                    assert_eq!(stream(family).map(drop), Err(Errno::EPERM), "{family:?}");
                }
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
