//! Folders and files that the user names to be written.
//!
//! Whoever may write where the user names a path could put a link there, or another folder in its place: root would write
//! for him. So everything is made new, and by the descriptor of the folder that it is made in.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::below::kind;
use super::steps::{self, Place, is_ours_alone};

const FOLDER: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const NEW: OFlag =
    OFlag::O_WRONLY.union(OFlag::O_CREAT).union(OFlag::O_EXCL).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const EXISTING: OFlag = OFlag::O_WRONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// Who reads what is written, where this process's umask does not keep him from it. Nobody else writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    Owner,
    All,
}

impl Readers {
    /// The mode of a folder and of a script.
    fn with_execution(self) -> Mode {
        match self {
            Self::Owner => Mode::S_IRWXU,
            Self::All => Mode::from_bits_truncate(0o755),
        }
    }

    /// The mode of any other file.
    fn of_file(self) -> Mode {
        self.with_execution() & Mode::from_bits_truncate(0o666)
    }
}

/// A folder for new files, to which nobody else writes.
#[derive(Debug)]
pub(super) struct Folder {
    folder: OwnedFd,
    path: PathBuf,
    /// Where it lies, if it was made here.
    made: Option<Place>,
    /// What was made in it, in this order, each below the folder; folders end in a slash.
    within: RefCell<Vec<PathBuf>>,
    readers: Readers,
}

/// Makes a folder with what `fill` writes into it: all of it, or nothing.
///
/// # Errors
/// Those of [`Folder::new`] and of `fill`, which say what is left where it cannot be taken away again.
pub(super) fn filled<T>(path: &Path, readers: Readers, fill: impl FnOnce(&Folder) -> Result<T>) -> Result<T> {
    let folder = Folder::new(path, readers)?;
    fill(&folder).map_err(|error| match folder.remove() {
        Ok(()) => anyhow!("{error:#}: what was written of {} is removed again", path.display()),
        Err(errno) => anyhow!("{error:#}: {} is left half made ({}): remove it", path.display(), errno.desc()),
    })
}

impl Folder {
    /// Makes a folder. One that is there has to be empty, of this user and closed to others' writing; where its files are
    /// for their owner alone it becomes so as well.
    ///
    /// # Errors
    /// Another one is there, and those of making it.
    fn new(path: &Path, readers: Readers) -> Result<Self> {
        let shown = path.display();
        let place = place(path)?;
        let name = place.name.as_os_str();
        let is_new = match mkdirat(&place.folder, name, readers.with_execution()) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(errno) => return Err(io::Error::from(errno)).with_context(|| format!("cannot make {shown}")),
        };
        let folder = openat(&place.folder, name, FOLDER, Mode::empty());
        let folder = folder.map_err(io::Error::from).with_context(|| format!("cannot open {shown} as a directory"))?;
        if fstat(&folder)?.st_uid != geteuid().as_raw() || !is_ours_alone(&folder) {
            bail!("{shown} belongs to another user, or others may write to it: name a new directory");
        }
        if !is_empty(folder.try_clone()?)? {
            bail!("{shown} is not empty: name a new directory");
        }
        if readers == Readers::Owner {
            fchmod(&folder, readers.with_execution())?;
        }
        Ok(Self { folder, path: path.to_owned(), made: is_new.then_some(place), within: RefCell::default(), readers })
    }

    /// Takes away what was made, the last first.
    fn remove(&self) -> nix::Result<()> {
        for made in self.within.borrow().iter().rev() {
            let (parts, kind) = (made.iter().collect::<Vec<_>>(), removal(made.as_os_str().as_bytes().ends_with(b"/")));
            let Some((name, above)) = parts.split_last() else { continue };
            let mut folder = openat(&self.folder, ".", FOLDER, Mode::empty())?;
            for part in above {
                folder = openat(&folder, *part, FOLDER, Mode::empty())?;
            }
            unlinkat(&folder, *name, kind)?;
        }
        match &self.made {
            Some(place) => unlinkat(&place.folder, place.name.as_os_str(), UnlinkatFlags::RemoveDir),
            None => Ok(()),
        }
    }

    /// Writes a new file at a path below the folder. Folders on the way are made.
    ///
    /// # Errors
    /// Those of making them, a path that leads out of the folder, and a file that is there.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let shown = || format!("cannot write {}", self.path.join(name).display());
        let mut parts: Vec<&OsStr> = Vec::new();
        for part in Path::new(name).components() {
            match part {
                Component::Normal(part) => parts.push(part),
                _ => bail!("{}: it is no path below the directory", shown()),
            }
        }
        let file = parts.pop().with_context(shown)?;
        let folder = self.below(&parts).map_err(io::Error::from).with_context(shown)?;
        let is_script = Path::new(name).extension().is_some_and(|ending| ending == "sh");
        let mode = if is_script { self.readers.with_execution() } else { self.readers.of_file() };
        let made = openat(&folder, file, NEW, mode).map_err(io::Error::from).with_context(shown)?;
        self.within.borrow_mut().push(PathBuf::from(name));
        File::from(made).write_all(bytes).with_context(shown)
    }

    fn below(&self, parts: &[&OsStr]) -> nix::Result<OwnedFd> {
        let mut folder = openat(&self.folder, ".", FOLDER, Mode::empty())?;
        let mut path = PathBuf::new();
        for part in parts {
            path.push(part);
            match mkdirat(&folder, *part, self.readers.with_execution()) {
                Ok(()) => self.within.borrow_mut().push(path.join("")),
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
            folder = openat(&folder, *part, FOLDER, Mode::empty())?;
        }
        Ok(folder)
    }
}

fn removal(is_folder: bool) -> UnlinkatFlags {
    if is_folder { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir }
}

fn is_empty(folder: OwnedFd) -> nix::Result<bool> {
    for entry in Dir::from_fd(folder)?.iter() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes files, each as its path and its text, into a folder, which is made if it is missing and has to be empty. Whom the
/// umask lets reads them. A part of them could pass for all: where one cannot be written none stays.
///
/// # Errors
/// A folder that holds something already, or is another user's, and those of writing.
pub fn write_new(path: &Path, files: &[(String, String)]) -> Result<()> {
    filled(path, Readers::All, |folder| files.iter().try_for_each(|(name, text)| folder.write(name, text.as_bytes())))
}

/// A file that the user named, open for writing.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// While it lies beside the place where it comes to lie.
    beside: Option<Beside>,
}

#[derive(Debug)]
struct Beside {
    place: Place,
    name: OsString,
    /// Its whole path.
    path: PathBuf,
}

impl Output {
    /// Begins a file. It has its name, in the place of one that is there, from [`Self::put`] on: until then nothing is lost.
    /// What is no regular file, as /dev/stdout or a FIFO, is written to as it is.
    ///
    /// # Errors
    /// Those of making it; a link or a file of another user where others may put one.
    pub fn create(path: &Path) -> Result<Self> {
        let shown = || format!("cannot write {}", path.display());
        if let Some(file) = given(path) {
            return Ok(Self { file: file.with_context(shown)?, beside: None });
        }
        let place = place(path)?;
        let there = match fstatat(&place.folder, place.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(there) => Some(there),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(io::Error::from(errno)).with_context(shown),
        };
        match there {
            Some(there) if kind(&there) != SFlag::S_IFREG => Self::special(&place, &there).with_context(shown),
            Some(there) if !may_replace(&place, &there) => {
                bail!(
                    "{}: another user's file, which only he may replace in this directory (sticky): name a new one",
                    shown()
                )
            }
            there => Self::beside(place, there, path).map_err(io::Error::from).with_context(shown),
        }
    }

    fn special(place: &Place, there: &FileStat) -> Result<Self> {
        if there.st_uid != geteuid().as_raw() && !is_ours_alone(&place.folder) {
            bail!("another user put it there: name a new file");
        }
        let file = openat(&place.folder, place.name.as_os_str(), EXISTING, Mode::empty()).map_err(io::Error::from)?;
        if kind(&fstat(&file)?) == SFlag::S_IFREG {
            bail!("it was exchanged meanwhile");
        }
        Ok(Self { file: file.into(), beside: None })
    }

    fn beside(place: Place, there: Option<FileStat>, path: &Path) -> nix::Result<Self> {
        let name = OsString::from(format!(".tunecheck-{}.new", std::process::id()));
        let ours = there.filter(|there| there.st_uid == geteuid().as_raw());
        // As a shell makes it, without what an umask takes away; a file that is there keeps its mode.
        let mode = Mode::from_bits_truncate(0o666);
        let file = match openat(&place.folder, name.as_os_str(), NEW, mode) {
            // A run of the same number was ended before it was done.
            Err(Errno::EEXIST) => {
                unlinkat(&place.folder, name.as_os_str(), UnlinkatFlags::NoRemoveDir)?;
                openat(&place.folder, name.as_os_str(), NEW, mode)?
            }
            opened => opened?,
        };
        if let Some(there) = ours {
            fchmod(&file, Mode::from_bits_truncate(there.st_mode & 0o777))?;
        }
        // A link may have led elsewhere.
        let folder = std::fs::read_link(format!("/proc/self/fd/{}", place.folder.as_raw_fd()));
        let path = folder.map_or_else(|_| path.with_file_name(&name), |folder| folder.join(&name));
        Ok(Self { file: file.into(), beside: Some(Beside { place, name, path }) })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// Those of renaming it. What was written stays where it lies then, and is named.
    pub fn put(&mut self) -> Result<()> {
        let Some(Beside { place, name, path }) = self.beside.take() else { return Ok(()) };
        let renamed = renameat(&place.folder, name.as_os_str(), &place.folder, place.name.as_os_str());
        renamed
            .map_err(io::Error::from)
            .with_context(|| format!("{} could not get its name and is kept", path.display()))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(Beside { place, name, .. }) = &self.beside {
            let _ = unlinkat(&place.folder, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// A descriptor that whoever started this process gave it, if a path names one. Its position is shared with all that write
/// to it; of one that is neither standard output nor standard error there is another one, which writes at the end.
fn given(path: &Path) -> Option<io::Result<File>> {
    let number = match path.to_str()? {
        "/dev/stdout" => "1",
        "/dev/stderr" => "2",
        path => path.strip_prefix("/dev/fd/").or_else(|| path.strip_prefix("/proc/self/fd/"))?,
    };
    Some(match number {
        "1" => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        "2" => io::stderr().as_fd().try_clone_to_owned().map(File::from),
        _ => {
            let file = open(path, OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CLOEXEC, Mode::empty());
            file.map(File::from).map_err(io::Error::from)
        }
    })
}

/// Whether a file may be replaced by one of another name. In a sticky folder that is for its owner, the folder's, and root.
fn may_replace(place: &Place, there: &FileStat) -> bool {
    let user = geteuid();
    user.is_root()
        || there.st_uid == user.as_raw()
        || fstat(&place.folder).is_ok_and(|folder| {
            folder.st_uid == user.as_raw() || !Mode::from_bits_truncate(folder.st_mode).contains(Mode::S_ISVTX)
        })
}

/// The folder in which a path that the user named lies, and its last part.
fn place(path: &Path) -> Result<Place> {
    let named = if path.is_absolute() { PathBuf::from("/") } else { std::env::current_dir().unwrap_or_default() };
    let start = if path.is_absolute() { "/" } else { "." };
    let start = open(start, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let start = start.map_err(io::Error::from).context("cannot open the current directory")?;
    let found = steps::place(&start, named, path.as_os_str());
    found.map_err(|stop| match stop.errno {
        Errno::ELOOP => anyhow::anyhow!(
            "{}: {} is a link, or leads through one, where another user may put one: it is not followed; name a path without it",
            path.display(),
            stop.at
        ),
        errno => anyhow::Error::from(io::Error::from(errno)).context(format!("cannot write {}", path.display())),
    })
}

#[cfg(test)]
mod tests;
