//! Sysctls through which whoever sets them gets more than a limit: a program that the kernel starts, or a guard taken away.
//!
//! Sources: Documentation/admin-guide/sysctl/{kernel,fs,vm,net,user}.rst; kernel/umh.c, kernel/reboot.c, fs/coredump.c;
//! for what only a distribution has, its patches.

use super::dotted;

const STARTS: &str = "the kernel starts a program of its own accord, as root, by what stands there";
const GUARDS: &str = "it guards this machine against its own users and programs";

/// What begins with these makes the kernel start programs.
const STARTING: &[&str] = &[
    "fs.binfmt_misc.",
    "kernel.core_pattern",
    "kernel.core_pipe_limit",
    "kernel.cad_pid",
    "kernel.firmware_config.",
    "kernel.hotplug",
    "kernel.modprobe",
    "kernel.poweroff_cmd",
    "kernel.uevent_helper",
    "kernel.usermodehelper.",
];

/// What begins with these is a guard.
const GUARDING: &[&str] = &[
    "dev.tty.ldisc_autoload",
    "dev.tty.legacy_tiocsti",
    "fs.protected_",
    "fs.suid_dumpable",
    "kernel.apparmor_",
    "kernel.dmesg_restrict",
    "kernel.exec-shield",
    "kernel.io_uring_",
    "kernel.kexec_",
    "kernel.kptr_restrict",
    "kernel.modules_disabled",
    "kernel.perf_event_paranoid",
    "kernel.randomize_va_space",
    "kernel.sysctl_writes_strict",
    "kernel.sysrq",
    "kernel.seccomp.",
    "kernel.unprivileged_",
    "kernel.yama.",
    "net.core.bpf_jit_",
    "user.max_cgroup_namespaces",
    "user.max_ipc_namespaces",
    "user.max_mnt_namespaces",
    "user.max_net_namespaces",
    "user.max_pid_namespaces",
    "user.max_time_namespaces",
    "user.max_user_namespaces",
    "user.max_uts_namespaces",
    "vm.legacy_va_layout",
    "vm.memfd_noexec",
    "vm.mmap_min_addr",
    "vm.mmap_rnd_",
    "vm.unprivileged_",
];

/// Why a sysctl is dangerous to set, if it is: it can give somebody the machine. Such a change is a person's, always.
pub fn danger(name: &str) -> Option<&'static str> {
    let name = dotted(name);
    let is_among = |names: &[&str]| names.iter().any(|start| name.starts_with(start));
    if is_among(STARTING) {
        return Some(STARTS);
    }
    is_among(GUARDING).then_some(GUARDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_starts_programs_or_takes_guards_away_is_dangerous_in_every_spelling() {
        for name in ["kernel.core_pattern", "kernel/modprobe", "/kernel/usermodehelper/bset", "fs.binfmt_misc.register"]
        {
            assert_eq!(danger(name), Some(STARTS), "{name}");
        }
        for name in [
            "fs.suid_dumpable",
            "kernel.yama.ptrace_scope",
            "kernel.unprivileged_bpf_disabled",
            "user.max_user_namespaces",
        ] {
            assert_eq!(danger(name), Some(GUARDS), "{name}");
        }
        for name in ["net.core.somaxconn", "kernel.pid_max", "fs.nr_open", "user.name", "user.max_inotify_watches"] {
            assert_eq!(danger(name), None, "{name}");
        }
    }
}
