//! Files that lie below something that others control: the root of a process, a foreign tree, a recording.
//!
//! A path is resolved from a descriptor of that folder by openat2(2), and what was looked at is what is used: whoever
//! exchanges a part of the path meanwhile changes nothing. Before Linux 5.6, and where an old container runtime forbids
//! that call, each part of the path is opened by itself.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, makedev};
use nix::sys::statfs::{DEBUGFS_MAGIC, PROC_SUPER_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, fstatfs};

use super::live::{self, errno, refusal};
use super::steps::{self, Links};
use super::{Answer, Ask, Host, Live, Query, Refusal};
use crate::model::bounds;

/// What can be asked of a path without opening what is there: a device may act when it is opened, a FIFO waits.
const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);
const READ: OFlag = OFlag::O_NONBLOCK.union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);
/// Where a link leads by which systemd hides a file.
const NULL: &str = "/dev/null";

/// A folder, below which paths are resolved.
#[derive(Debug)]
pub(super) struct Below {
    folder: OwnedFd,
    /// How it is named to people.
    name: String,
    links: Links,
    /// Whether files of the kernel's own file systems are read, too. Some of them read as no other does: /proc/kmsg takes
    /// from the kernel's log what it gives.
    kernel: bool,
}

impl Below {
    /// A folder with everything in it as the machine that has it for its root sees it: an absolute link begins here, and
    /// nothing climbs above it.
    ///
    /// # Errors
    /// Those of opening the folder.
    pub(super) fn root(path: &str) -> Result<Self, Refusal> {
        Self::of(if path.is_empty() { "/" } else { path }, Links::Inside)
    }

    /// The root of a process.
    ///
    /// # Errors
    /// Those of opening it: without the right to look into the process, EACCES.
    pub(super) fn process(pid: u32) -> Result<Self, Refusal> {
        Self::root(&format!("/proc/{pid}/root"))
    }

    /// A recording, in which no link is followed.
    ///
    /// # Errors
    /// Those of opening the folder.
    pub(super) fn recording(path: &str) -> Result<Self, Refusal> {
        Self::of(path, Links::Refused)
    }

    fn of(path: &str, links: Links) -> Result<Self, Refusal> {
        let folder = open(path, LOOK | OFlag::O_DIRECTORY, Mode::empty()).map_err(errno)?;
        Ok(Self { folder, name: path.trim_end_matches('/').to_owned(), links, kernel: false })
    }

    /// Whether a procfs is mounted here, and no link leads to one.
    pub(super) fn has_procfs(&self) -> bool {
        let found = self.open_by("proc", LOOK | OFlag::O_DIRECTORY, Links::Refused);
        found.is_ok_and(|folder| fstatfs(&folder).is_ok_and(|fs| fs.filesystem_type() == PROC_SUPER_MAGIC))
    }

    /// The same, with what the kernel tells in /proc and /sys.
    pub(super) fn with_kernel(self) -> Self {
        Self { kernel: true, ..self }
    }

    /// Answers a question about a path.
    pub(super) fn ask(&self, query: Query<'_>) -> Answer {
        let of = query.of;
        match query.ask {
            Ask::Read => self.read(of),
            Ask::List => self.list(of).map_err(|error| refusal(&error)),
            Ask::Link => {
                let link = self.open(of, LOOK | OFlag::O_NOFOLLOW).map_err(errno)?;
                readlinkat(&link, "").map(OsStringExt::into_vec).map_err(|error| match error {
                    // So says an empty path of what is no link.
                    Errno::ENOENT => errno(Errno::EINVAL),
                    error => errno(error),
                })
            }
            Ask::Exists => match self.open(of, LOOK) {
                Err(Errno::ENOENT) if self.is_hidden(of) => Ok(Vec::new()),
                found => found.map(|_| Vec::new()).map_err(errno),
            },
            Ask::Size | Ask::Writable | Ask::Statfs => {
                let found = self.open(of, LOOK).map_err(errno)?;
                Live.ask(Query { ask: query.ask, of: &by_descriptor(&found) })
            }
            _ => Err(Refusal::Unsupported("that is no question about a file".to_owned())),
        }
    }

    fn read(&self, of: &str) -> Answer {
        let file = match self.look(of) {
            Err(Errno::ENOENT) if self.is_hidden(of) => return Ok(Vec::new()),
            Ok((_, stat)) if is_null(&stat) => return Ok(Vec::new()),
            found => self.regular(of, found.map_err(errno)?)?,
        };
        live::content(file, of.starts_with("/proc/sys/"), bounds::FILE.count()).map_err(|error| refusal(&error))
    }

    /// A regular file with at most `most` bytes.
    ///
    /// # Errors
    /// It is larger, or no regular file, or cannot be read.
    pub(super) fn file(&self, path: &str, most: u64) -> Answer {
        let file = self.regular(path, self.look(path).map_err(errno)?)?;
        let mut content = Vec::new();
        file.take(most + 1).read_to_end(&mut content).map_err(|error| refusal(&error))?;
        if content.len() as u64 > most { Err(errno(Errno::EFBIG)) } else { Ok(content) }
    }

    fn look(&self, path: &str) -> nix::Result<(OwnedFd, FileStat)> {
        let found = self.open(path, LOOK)?;
        let stat = fstat(&found)?;
        Ok((found, stat))
    }

    /// Opens what was looked at, if it is a regular file.
    fn regular(&self, path: &str, (found, stat): (OwnedFd, FileStat)) -> Result<File, Refusal> {
        let kernels = [PROC_SUPER_MAGIC, SYSFS_MAGIC, TRACEFS_MAGIC, DEBUGFS_MAGIC];
        let of_kernel = || fstatfs(&found).map_or(true, |fs| kernels.contains(&fs.filesystem_type()));
        let expected = self.kernel && ["/proc/", "/sys/"].iter().any(|start| path.starts_with(start));
        if kind(&stat) != SFlag::S_IFREG || (!expected && of_kernel()) {
            let path = path.trim_start_matches('/');
            return Err(Refusal::Unsupported(format!("{}/{path} is not a regular file", self.name)));
        }
        match open(by_descriptor(&found).as_str(), READ, Mode::empty()) {
            // There is no /proc here.
            Err(Errno::ENOENT) => {
                let file = self.open(path, READ).map_err(errno)?;
                let same = fstat(&file).is_ok_and(|now| (now.st_dev, now.st_ino) == (stat.st_dev, stat.st_ino));
                if same { Ok(File::from(file)) } else { Err(errno(Errno::EAGAIN)) }
            }
            opened => opened.map(File::from).map_err(errno),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut folder = Dir::from_fd(self.open(path, READ | OFlag::O_DIRECTORY)?)?;
        let names = folder.iter().map(|entry| Ok(entry?.file_name().to_bytes().to_vec()));
        live::listed(path, names.filter(|name| !matches!(name.as_deref(), Ok(b"." | b".."))))
    }

    /// Whether a file that is missing is a link to /dev/null, by which systemd hides one: a tree need not hold a /dev.
    fn is_hidden(&self, path: &str) -> bool {
        let is_link = self.open(path, LOOK | OFlag::O_NOFOLLOW).is_ok();
        is_link && steps::open(&self.folder, path, LOOK, self.links).is_err_and(|stop| stop.at == NULL)
    }

    fn open(&self, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        self.open_by(path, flags, self.links)
    }

    fn open_by(&self, path: &str, flags: OFlag, links: Links) -> nix::Result<OwnedFd> {
        let resolve = match links {
            Links::Inside => ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS,
            _ => ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS,
        };
        match openat2(&self.folder, path, OpenHow::new().flags(flags).resolve(resolve)) {
            // Before Linux 5.6; forbidden by an old container runtime; folders are moved while they are passed.
            Err(Errno::ENOSYS | Errno::EPERM | Errno::EAGAIN) => {
                steps::open(&self.folder, path, flags, links).map_err(|stop| stop.errno)
            }
            opened => opened,
        }
    }
}

/// The path by which this process can use a descriptor again.
fn by_descriptor(descriptor: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

/// What kind of file it is.
pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn is_null(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFCHR && stat.st_rdev == makedev(1, 3)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn both_ways_to_resolve_a_path_lead_to_the_same() {
        let folder = std::env::temp_dir().join(format!("tunecheck-below-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        std::fs::write(folder.join("a/file"), "own").unwrap();
        for (target, name) in [
            ("/a/file", "absolute"),
            ("../file", "relative"),
            ("../../../../../../a/file", "climbing"),
            ("loop", "loop"),
            ("/etc/hostname", "elsewhere"),
            ("/proc/self/root/etc/passwd", "magic"),
            ("/a", "folder"),
            ("absolute", "chain"),
        ] {
            symlink(target, folder.join("a/b").join(name)).unwrap();
        }
        let path = folder.to_str().unwrap();
        let below = Below::root(path).unwrap();
        let strict = Below::recording(path).unwrap();
        let end = |opened: nix::Result<OwnedFd>| opened.map(|found| fstat(&found).unwrap().st_ino);
        let names = ["absolute", "relative", "climbing", "loop", "elsewhere", "magic", "folder", "chain", "none"];
        let mut all: Vec<String> = names.iter().map(|name| format!("/a/b/{name}")).collect();
        all.extend(
            [
                "/a/b/folder/file",
                "/a/file",
                "/a/file/x",
                "/a/./b/../file",
                "/../../a/file",
                "/",
                "/a/b/folder/b/../../a",
            ]
            .map(str::to_owned),
        );
        for path in &all {
            for more in [OFlag::empty(), OFlag::O_NOFOLLOW, OFlag::O_DIRECTORY] {
                let kernel = end(below.open(path, LOOK | more));
                let steps =
                    end(steps::open(&below.folder, path, LOOK | more, Links::Inside).map_err(|stop| stop.errno));
                assert_eq!(kernel, steps, "{path} {more:?}");
            }
            let path = path.trim_start_matches('/');
            if !path.is_empty() {
                let kernel = end(strict.open(path, LOOK));
                let steps = end(steps::open(&strict.folder, path, LOOK, Links::Refused).map_err(|stop| stop.errno));
                assert_eq!(kernel, steps, "{path}, without links");
            }
        }
        assert_eq!(end(below.open("/a/b/chain", LOOK)), end(below.open("/a/file", LOOK)));
        assert_eq!(strict.open("a/b/absolute", LOOK).unwrap_err(), Errno::ELOOP);
        assert_eq!(strict.open("a/b/folder/file", LOOK).unwrap_err(), Errno::ELOOP);
        assert_eq!(strict.open("../x", LOOK).unwrap_err(), Errno::EXDEV);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let root = Below::root("").unwrap();
        let read = |path| root.ask(Query { ask: Ask::Read, of: path });
        assert_eq!(read("/dev/null"), Ok(Vec::new()));
        for path in ["/dev/zero", "/proc/kmsg", "/proc/self/status", "/etc"] {
            assert!(
                matches!(read(path), Err(Refusal::Unsupported(why)) if why.contains("not a regular file")),
                "{path}"
            );
        }
        assert!(root.ask(Query { ask: Ask::Link, of: "/etc/passwd" }).is_err_and(|refusal| refusal.is_no_link()));
    }
}
