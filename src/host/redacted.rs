//! What a recording keeps of a file that may hold more than a rule asks about: a unit's environment has passwords in it, a
//! boot file or a comment tokens, the kernel's command line addresses with keys, a mount the names of shares and users.

use std::borrow::Cow;

use crate::model::sysctl::{self, known};

/// Where systemd's own configuration and its units lie.
const SYSTEMD: [&str; 5] =
    ["/etc/systemd/", "/run/systemd/", "/usr/local/lib/systemd/", "/usr/lib/systemd/", "/lib/systemd/"];
/// What is asked of them.
const OF_SYSTEMD: [&str; 2] = ["LimitNOFILE", "DefaultLimitNOFILE"];

/// The name of TuneD's profile.
const ACTIVE: &str = "/etc/tuned/active_profile";
/// What is asked of its files beside sysctls.
const OF_TUNED: [&str; 4] = ["include", "type", "reapply_sysctl", "reapply_sysctl_exclude"];
/// What is asked of resolv.conf.
const OF_RESOLVER: [&[u8]; 4] = [b"nameserver", b"search", b"domain", b"options"];
/// Mounts that tell a container's runtime. Others name servers, users and shares.
const OF_MOUNTS: [&[u8]; 5] = [b"/", b"/etc/hosts", b"/etc/hostname", b"/etc/resolv.conf", b"/dev/termination-log"];

/// The bytes of a file as a recording keeps them: each line where it was, and empty if no rule asks about it.
pub(super) fn kept<'a>(path: &str, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    if path.contains("/sysctl.d/") || path == "/etc/sysctl.conf" {
        return lines(bytes, sets_what_is_recorded).into();
    }
    if SYSTEMD.iter().any(|folder| path.starts_with(folder)) {
        let mut joined = false;
        let mut keeps = false;
        // A backslash joins a line to the next one, which is no assignment of its own then (systemd.syntax(7)).
        return lines(bytes, |line| {
            keeps = if joined { keeps } else { is_of_limit(line) };
            joined = line.trim_ascii_end().ends_with(b"\\");
            keeps
        })
        .into();
    }
    if path.starts_with("/etc/tuned/") || path.starts_with("/usr/lib/tuned/") {
        // The one that names the profile has nothing else in it.
        return if path == ACTIVE { bytes.into() } else { lines(bytes, is_of_tuned).into() };
    }
    if path.contains("/modules-load.d/") || path == "/etc/modules" {
        return lines(bytes, |line| !line.trim_ascii().is_empty() && line.iter().all(|&byte| is_of_module(byte)))
            .into();
    }
    if path == "/etc/resolv.conf" {
        return lines(bytes, |line| OF_RESOLVER.iter().any(|key| line.trim_ascii_start().starts_with(key))).into();
    }
    if path == "/proc/self/mountinfo" {
        return lines(bytes, is_of_mount).into();
    }
    if path == "/proc/cmdline" {
        let words = bytes.split(u8::is_ascii_whitespace).filter(|word| loads_modules(word));
        return words.collect::<Vec<_>>().join(&b' ').into();
    }
    bytes.into()
}

fn lines(bytes: &[u8], mut is_kept: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let all = bytes.split(|&byte| byte == b'\n');
    let kept = all.map(|line| if is_kept(line) { line } else { &[] });
    kept.collect::<Vec<_>>().join(&b'\n')
}

/// What stands before the first `=`.
fn key(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line.split(|&byte| byte == b'=').next().unwrap_or_default())
}

fn sets_what_is_recorded(line: &[u8]) -> bool {
    known::is_recorded(&sysctl::dotted(key(line).trim().trim_start_matches('-').trim()))
}

fn is_of_limit(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"[") || OF_SYSTEMD.contains(&key(line).trim())
}

fn is_of_tuned(line: &[u8]) -> bool {
    let key = key(line);
    line.trim_ascii_start().starts_with(b"[") || OF_TUNED.contains(&key.trim()) || sets_what_is_recorded(line)
}

/// Of a name of a module, and of nothing longer.
fn is_of_module(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_- \t\r".contains(&byte)
}

fn is_of_mount(line: &[u8]) -> bool {
    line.split(|&byte| byte == b' ').nth(4).is_some_and(|at| OF_MOUNTS.contains(&at))
}

fn loads_modules(word: &[u8]) -> bool {
    let name = key(word);
    ["modules_load", "modules-load"].contains(&name.strip_prefix("rd.").unwrap_or(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &str, text: &str) -> String {
        String::from_utf8_lossy(&kept(path, text.as_bytes())).into_owned()
    }

    #[test]
    fn of_a_unit_its_limit_is_kept_and_not_its_environment() {
        let unit = "[Service]\nEnvironment=PASSWORD=hunter2 \\\n  LimitNOFILE=1\n# hunter2\nLimitNOFILE = \\\n 65536\nExecStart=/bin/a --token hunter2\n";
        let path = "/etc/systemd/system/a.service.d/o.conf";
        assert_eq!(text(path, unit), "[Service]\n\n\n\nLimitNOFILE = \\\n 65536\n\n");
        let manager = "[Manager]\nDefaultEnvironment=KEY=hunter2\nDefaultLimitNOFILE=1024:524288";
        assert_eq!(text("/usr/lib/systemd/system.conf", manager), "[Manager]\n\nDefaultLimitNOFILE=1024:524288");
    }

    #[test]
    fn of_boot_files_and_of_the_command_line_what_a_rule_asks_about_is_kept() {
        let boot = "# hunter2\nnet.core.somaxconn = 1\nkernel.core_pattern = |/bin/x hunter2\n-vm.swappiness=1\n";
        assert_eq!(text("/etc/sysctl.d/a.conf", boot), "\nnet.core.somaxconn = 1\n\n-vm.swappiness=1\n");
        let words = "root=/dev/vda talos.config=https://x/?t=hunter2 rd.modules_load=a modules-load=nf_conntrack,b\n";
        assert_eq!(text("/proc/cmdline", words), "rd.modules_load=a modules-load=nf_conntrack,b");
        assert_eq!(text("/proc/net/dev", "as it is\n"), "as it is\n");
        let profile = "[main]\nsummary=hunter2\ninclude=base\n[sysctl]\nvm.swappiness=1\nkernel.core_pattern=hunter2\n[script]\nscript=hunter2\n";
        let kept = "[main]\n\ninclude=base\n[sysctl]\nvm.swappiness=1\n\n[script]\n\n";
        assert_eq!(text("/etc/tuned/ours/tuned.conf", profile), kept);
        assert_eq!(text("/etc/tuned/active_profile", "ours\n"), "ours\n");
        assert_eq!(text("/etc/tuned/tuned-main.conf", "x = hunter2\nreapply_sysctl = 0\n"), "\nreapply_sysctl = 0\n");
        assert_eq!(text("/etc/modules-load.d/a.conf", "# hunter2\nnf_conntrack\n; x=hunter2\n"), "\nnf_conntrack\n\n");
        let resolver = "; hunter2\nnameserver 192.0.2.1\n#hunter2\noptions ndots:2\n";
        assert_eq!(text("/etc/resolv.conf", resolver), "\nnameserver 192.0.2.1\n\noptions ndots:2\n");
        let share = "9 1 0:5 / /data rw - cifs //host/share rw,username=hunter2\n";
        let root = "8 1 0:5 / / rw - overlay overlay rw,lowerdir=/a\n";
        assert_eq!(text("/proc/self/mountinfo", &format!("{share}{root}")), format!("\n{root}"));
    }
}
