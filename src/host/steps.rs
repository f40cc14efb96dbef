//! A path opened part by part, each from the descriptor of the folder before it.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;

use super::below::kind;
use crate::model::bounds;

const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

/// What becomes of links in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// The folder stands for `/`: an absolute link begins there again, and nothing climbs above it.
    Inside,
    /// None is followed, and nothing leads out of the folder.
    Refused,
    /// The folder is `/` or the one where tunecheck was started. A link counts if this user made it, or nobody else can
    /// make one where it lies: what others put there would say where root writes.
    Trusted,
}

/// Where a path could not be followed any further.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) errno: Errno,
    /// The whole path, as far as links were followed: below the folder, or, of [`place`], of the machine.
    pub(super) at: String,
}

/// The folder that holds the last part of a path, and that part. Of `/` and `.` it is the folder itself and `.`.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: OwnedFd,
    pub(super) name: OsString,
}

/// Opens what is at a path. With `O_NOFOLLOW` a link at its end is opened itself.
///
/// # Errors
/// Those of openat(2); ELOOP for a link that is not to be followed, EXDEV for a way out of the folder.
pub(super) fn open(folder: &OwnedFd, path: &str, flags: OFlag, links: Links) -> Result<OwnedFd, Stop> {
    let mut way = Way::new(folder, OsStr::new(path), links)?;
    let place = way.walk(flags.contains(OFlag::O_NOFOLLOW))?;
    let opened = openat(&place.folder, place.name.as_os_str(), flags | OFlag::O_NOFOLLOW, Mode::empty());
    opened.map_err(|errno| way.stop(errno, Some(&place.name)))
}

/// The place of what is at a path, whether or not it is there. A link at its end is followed. The folder is the one of the
/// name `named`.
///
/// # Errors
/// As [`open`].
pub(super) fn place(folder: &OwnedFd, named: PathBuf, path: &OsStr) -> Result<Place, Stop> {
    let way = Way::new(folder, path, Links::Trusted)?;
    Way { above: named, ..way }.walk(false)
}

struct Way {
    root: OwnedFd,
    /// How the root is called.
    above: PathBuf,
    links: Links,
    /// Folders on the way, each with its name.
    passed: Vec<(OwnedFd, OsString)>,
    /// Parts of the path that are left, the next one last.
    rest: Vec<OsString>,
    followed: usize,
}

impl Way {
    fn new(folder: &OwnedFd, path: &OsStr, links: Links) -> Result<Self, Stop> {
        let root = folder.try_clone();
        let root = root.map_err(|_| Stop { errno: Errno::EMFILE, at: String::new() })?;
        Ok(Self { root, above: PathBuf::from("/"), links, passed: Vec::new(), rest: parts(path), followed: 0 })
    }

    fn here(&self) -> &OwnedFd {
        self.passed.last().map_or(&self.root, |(folder, _)| folder)
    }

    /// Goes on until one part is left that is no link to be followed.
    fn walk(&mut self, last_stays: bool) -> Result<Place, Stop> {
        loop {
            let Some(part) = self.rest.pop() else { return self.arrived(OsString::from(".")) };
            if part == ".." {
                self.climb()?;
                continue;
            }
            let is_last = self.rest.is_empty();
            let found = match openat(self.here(), part.as_os_str(), LOOK, Mode::empty()) {
                // It may be there to be made.
                Err(Errno::ENOENT) if is_last => return self.arrived(part),
                found => found.map_err(|errno| self.stop(errno, Some(&part)))?,
            };
            let stat = fstat(&found).map_err(|errno| self.stop(errno, Some(&part)))?;
            match (kind(&stat) == SFlag::S_IFLNK, is_last) {
                (true, true) if last_stays => return self.arrived(part),
                (true, _) => self.follow(&found, &stat, &part)?,
                (false, true) => return self.arrived(part),
                (false, false) => self.passed.push((found, part)),
            }
        }
    }

    fn climb(&mut self) -> Result<(), Stop> {
        match (self.passed.pop(), self.links) {
            (Some(_), _) | (None, Links::Inside) => Ok(()),
            (None, Links::Refused) => Err(self.stop(Errno::EXDEV, None)),
            (None, Links::Trusted) => {
                self.root = openat(&self.root, "..", LOOK, Mode::empty()).map_err(|errno| self.stop(errno, None))?;
                self.above.pop();
                Ok(())
            }
        }
    }

    fn follow(&mut self, link: &OwnedFd, stat: &FileStat, part: &OsStr) -> Result<(), Stop> {
        self.followed += 1;
        let refused = match self.links {
            Links::Inside => false,
            Links::Refused => true,
            Links::Trusted => stat.st_uid != geteuid().as_raw() && !is_ours_alone(self.here()),
        };
        if refused || bounds::LINKS.is_exceeded_by(self.followed) {
            return Err(self.stop(Errno::ELOOP, Some(part)));
        }
        let target = readlinkat(link, "").map_err(|errno| self.stop(errno, Some(part)))?;
        if target.as_bytes().starts_with(b"/") {
            self.passed.clear();
            if self.links == Links::Trusted {
                self.root = nix::fcntl::open("/", LOOK, Mode::empty()).map_err(|errno| self.stop(errno, None))?;
                self.above = PathBuf::from("/");
            }
        }
        self.rest.extend(parts(&target));
        Ok(())
    }

    fn arrived(&self, name: OsString) -> Result<Place, Stop> {
        let folder = self.here().try_clone().map_err(|_| self.stop(Errno::EMFILE, None))?;
        Ok(Place { folder, name })
    }

    fn stop(&self, errno: Errno, part: Option<&OsStr>) -> Stop {
        let names = self.passed.iter().map(|(_, name)| name.as_os_str());
        let all = names.chain(part).chain(self.rest.iter().rev().map(OsString::as_os_str));
        let at = all.fold(self.above.clone(), |path, name| path.join(name));
        Stop { errno, at: at.to_string_lossy().into_owned() }
    }
}

/// Whether nobody but root and this user can put anything into a folder.
pub(super) fn is_ours_alone(folder: &OwnedFd) -> bool {
    let others = Mode::S_IWGRP | Mode::S_IWOTH;
    fstat(folder).is_ok_and(|stat| {
        [0, geteuid().as_raw()].contains(&stat.st_uid) && !Mode::from_bits_truncate(stat.st_mode).intersects(others)
    })
}

/// The parts of a path, the first one last.
fn parts(path: &OsStr) -> Vec<OsString> {
    let all = path.as_bytes().split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    all.rev().map(|part| OsString::from_vec(part.to_vec())).collect()
}
