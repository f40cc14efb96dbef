//! A [seccomp filter](https://docs.kernel.org/userspace-api/seccomp_filter.html): a program that the kernel runs before
//! each system call.
//!
//! It is a tree over their numbers, so that each is decided in a few steps: the kernel tries all of them when it loads
//! the filter.

use nix::libc;
use seccompiler::sock_filter;

/// `AUDIT_ARCH_*` of linux/audit.h.
pub(super) const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// What is decided about a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
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
    /// Refused if the first argument makes new namespaces.
    OnlyThreads,
    /// Refused if the second argument puts input into a terminal.
    OnlyOutput,
}

// Where the kernel puts what it is asked about: struct seccomp_data of linux/seccomp.h.
const NUMBER: u32 = 0;
const CALLED_BY: u32 = 4;
const ARGUMENTS: u32 = 16;

// asm-generic/ioctls.h: input that looks typed, and the selection of a console.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

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

/// The filter by decisions about each number from where it begins, sorted; none if a part of it is too long to jump over.
pub(super) fn program(architecture: u32, decisions: &[(u32, Decision)]) -> Option<Vec<sock_filter>> {
    let mut program = Vec::with_capacity(4 * decisions.len());
    program.extend([step(LOAD, CALLED_BY), branch(IF_EQUAL, architecture, 1, 0), REFUSE, step(LOAD, NUMBER)]);
    tree(decisions, &mut program)?;
    Some(program)
}

/// The program that finds the last of these that begins at or below the number, by halves.
fn tree(decisions: &[(u32, Decision)], program: &mut Vec<sock_filter>) -> Option<()> {
    if let [(_, decision)] = decisions {
        end(*decision, program);
        return Some(());
    }
    let (lower, upper) = decisions.split_at(decisions.len() / 2);
    let (start, _) = upper.first()?;
    let at = program.len();
    program.push(branch(IF_AT_LEAST, *start, 0, 0));
    tree(lower, program)?;
    let below = program.len() - at - 1;
    program.get_mut(at)?.jt = u8::try_from(below).ok()?;
    tree(upper, program)
}

/// The end of a path through the tree.
fn end(decision: Decision, program: &mut Vec<sock_filter>) {
    let argument = |number: u32| ARGUMENTS + 8 * number;
    match decision {
        Decision::Allow => program.push(ALLOW),
        Decision::Refuse => program.push(REFUSE),
        Decision::Unknown => program.push(UNKNOWN),
        Decision::OnlyToRead(number) => {
            let writing = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC).cast_unsigned();
            program.extend([step(LOAD, argument(number)), branch(IF_ANY_BIT, writing, 0, 1), REFUSE, ALLOW]);
        }
        Decision::OnlyNetlink => {
            let family = libc::AF_NETLINK.cast_unsigned();
            program.extend([step(LOAD, argument(0)), branch(IF_EQUAL, family, 1, 0), REFUSE, ALLOW]);
        }
        Decision::OnlyThreads => {
            let namespaces = (libc::CLONE_NEWNS
                | libc::CLONE_NEWCGROUP
                | libc::CLONE_NEWUTS
                | libc::CLONE_NEWIPC
                | libc::CLONE_NEWUSER
                | libc::CLONE_NEWPID
                | libc::CLONE_NEWNET)
                .cast_unsigned();
            program.extend([step(LOAD, argument(0)), branch(IF_ANY_BIT, namespaces, 0, 1), REFUSE, ALLOW]);
        }
        Decision::OnlyOutput => program.extend([
            step(LOAD, argument(1)),
            branch(IF_EQUAL, TIOCSTI, 1, 0),
            branch(IF_EQUAL, TIOCLINUX, 0, 1),
            REFUSE,
            ALLOW,
        ]),
        Decision::OnlyToAsk => program.extend([
            step(LOAD, argument(2)),
            branch(IF_EQUAL, 0, 0, 2),
            step(LOAD, argument(2) + 4),
            branch(IF_EQUAL, 0, 1, 0),
            REFUSE,
            ALLOW,
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Allowed;
    use super::super::system_calls::decisions;
    use super::*;

    fn nothing() -> Allowed<'static> {
        Allowed { processes: true, ..Allowed::default() }
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
        let all = Allowed { makes: Some("/".as_ref()), network: true, terminal: true, ..nothing() };
        for allowed in [nothing(), all, Allowed { network: true, ..nothing() }, Allowed { terminal: true, ..nothing() }]
        {
            let decisions = decisions(allowed);
            let program = program(architecture, &decisions).unwrap();
            for number in (0..600).chain([0x4000_0000, 0x4000_0101, u32::MAX]) {
                let (_, decision) = decisions.iter().rfind(|(start, _)| *start <= number).unwrap();
                let expected = match decision {
                    Decision::Refuse => REFUSE.k,
                    Decision::Unknown => UNKNOWN.k,
                    // All arguments are zero: reading, no family of addresses, no new limits.
                    Decision::OnlyNetlink => REFUSE.k,
                    Decision::Allow
                    | Decision::OnlyToRead(_)
                    | Decision::OnlyToAsk
                    | Decision::OnlyThreads
                    | Decision::OnlyOutput => ALLOW.k,
                };
                assert_eq!(said(&program, number, architecture, [0; 6]), expected, "{number} with {allowed:?}");
                assert_eq!(said(&program, number, 0x4000_0003, [0; 6]), REFUSE.k, "{number} of another architecture");
            }
        }
        let program = program(architecture, &decisions(nothing())).unwrap();
        let openat = |flags: i32| said(&program, libc::SYS_openat as u32, architecture, [0, 0, flags as u64, 0, 0, 0]);
        for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC, libc::O_TMPFILE | libc::O_RDWR] {
            assert_eq!(openat(flags | libc::O_CLOEXEC), REFUSE.k, "{flags:o}");
        }
        assert_eq!(openat(libc::O_CLOEXEC | libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW), ALLOW.k);
        let limits = |new| said(&program, libc::SYS_prlimit64 as u32, architecture, [0, 0, new, 0, 0, 0]);
        assert_eq!([limits(0), limits(1), limits(1 << 40)], [ALLOW.k, REFUSE.k, REFUSE.k]);
        let terminal = |request| said(&program, libc::SYS_ioctl as u32, architecture, [1, request, 0, 0, 0, 0]);
        assert_eq!([0x5412, 0x541c, 0x5413].map(terminal), [REFUSE.k, REFUSE.k, ALLOW.k]);
        let clone = |flags: i32| said(&program, libc::SYS_clone as u32, architecture, [flags as u64, 0, 0, 0, 0, 0]);
        assert_eq!([libc::CLONE_NEWUSER, libc::CLONE_VM | libc::CLONE_THREAD].map(clone), [REFUSE.k, ALLOW.k]);
        for call in [libc::SYS_openat2, libc::SYS_clone3] {
            assert_eq!(said(&program, call as u32, architecture, [0; 6]), UNKNOWN.k, "{call}");
        }
    }
}
