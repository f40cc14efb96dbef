//! Which file systems of a process may not answer.

use std::fmt;

use super::{Ask, Host, Live, Query};

/// File systems that answer from this machine itself, a disk of it included. An overlay answers as what lies under it.
const LOCAL: [&str; 47] = [
    "bcachefs",
    "bdev",
    "binder",
    "binfmt_misc",
    "bpf",
    "btrfs",
    "cgroup",
    "cgroup2",
    "configfs",
    "cpuset",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "jfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "ntfs3",
    "overlay",
    "pipefs",
    "proc",
    "pstore",
    "ramfs",
    "resctrl",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sockfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "udf",
    "vfat",
    "xfs",
    "zfs",
];
/// How many are named.
const NAMED: usize = 3;

/// File systems whose answers come from elsewhere, or from a process: each by its kind and where it is mounted.
#[derive(Clone, Debug)]
pub(super) struct Remote(Vec<String>);

impl Remote {
    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = self.0.iter().take(NAMED).map(String::as_str).collect();
        let more = self.0.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" or {more} more") } else { String::new() };
        write!(f, "{}{more}", named.join(" or "))
    }
}

/// Those that a process sees. Where that may not be read, one may be among them.
pub(super) fn remote(process: &str) -> Remote {
    match Live.ask(Query { ask: Ask::Read, of: &format!("/proc/{process}/mountinfo") }) {
        Ok(lines) => Remote(String::from_utf8_lossy(&lines).lines().filter_map(named).collect()),
        Err(refusal) => Remote(vec![format!("its mounts may not be read: {refusal}")]),
    }
}

/// A line of mountinfo in words, if that file system may not answer.
fn named(line: &str) -> Option<String> {
    let (mount, source) = line.split_once(" - ")?;
    let kind = source.split(' ').next()?;
    let at = mount.split(' ').nth(4)?;
    // systemd mounts what nobody used yet: an automount below /proc leads to a file system of the kernel.
    let local = LOCAL.contains(&kind) || (kind == "autofs" && at.starts_with("/proc/"));
    (!local).then(|| format!("{kind} at {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_others_are_named_and_those_of_the_machine_are_not() {
        for line in [
            "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw",
            "25 30 0:22 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw",
            "25 30 0:22 / / rw - overlay overlay rw,lowerdir=/a",
            "",
            "1 2 3 - ",
        ] {
            assert_eq!(named(line), None, "{line}");
        }
        for (line, name) in [
            ("9 1 0:5 / /data rw - nfs4 host:/x rw", "nfs4 at /data"),
            ("9 1 0:5 / /my\\040data rw shared:7 - fuse.s3fs s3 rw", "fuse.s3fs at /my\\040data"),
            ("9 1 0:5 / /home rw - autofs /etc/auto.home rw", "autofs at /home"),
        ] {
            assert_eq!(named(line).as_deref(), Some(name), "{line}");
        }
    }
}
