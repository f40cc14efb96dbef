//! Folders and files that the user names to be written.
//!
//! Whoever may write where the user names a path could put a link there, or another folder in its place: root would write
//! for him. So everything is made new, and by the descriptor of the folder that it is made in.

use std::cell::RefCell;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
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
const OURS: Mode = Mode::S_IRWXU;

/// A folder for new files, which nobody else reads or writes.
#[derive(Debug)]
pub(super) struct Folder {
    folder: OwnedFd,
    path: PathBuf,
    /// Where it lies, if it was made here.
    made: Option<Place>,
    /// What was made in it, in this order, each below the folder; folders end in a slash.
    within: RefCell<Vec<PathBuf>>,
}

/// Makes a folder with what `fill` writes into it: all of it, or nothing.
///
/// # Errors
/// Those of [`Folder::new`] and of `fill`, which say what is left where it cannot be taken away again.
pub(super) fn filled<T>(path: &Path, fill: impl FnOnce(&Folder) -> Result<T>) -> Result<T> {
    let folder = Folder::new(path)?;
    fill(&folder).map_err(|error| match folder.remove() {
        Ok(()) => anyhow!("{error:#}: what was written of {} is removed again", path.display()),
        Err(errno) => anyhow!("{error:#}: {} is left half made ({}): remove it", path.display(), errno.desc()),
    })
}

impl Folder {
    /// Makes a folder. One that is there has to be empty, of this user and closed to others' writing.
    ///
    /// # Errors
    /// Another one is there, and those of making it.
    fn new(path: &Path) -> Result<Self> {
        let shown = path.display();
        let place = place(path)?;
        let name = place.name.as_os_str();
        let is_new = match mkdirat(&place.folder, name, OURS) {
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
        fchmod(&folder, OURS)?;
        Ok(Self { folder, path: path.to_owned(), made: is_new.then_some(place), within: RefCell::default() })
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
        let mode = if is_script { OURS } else { Mode::S_IRUSR | Mode::S_IWUSR };
        let made = openat(&folder, file, NEW, mode).map_err(io::Error::from).with_context(shown)?;
        self.within.borrow_mut().push(PathBuf::from(name));
        File::from(made).write_all(bytes).with_context(shown)
    }

    fn below(&self, parts: &[&OsStr]) -> nix::Result<OwnedFd> {
        let mut folder = openat(&self.folder, ".", FOLDER, Mode::empty())?;
        let mut path = PathBuf::new();
        for part in parts {
            path.push(part);
            match mkdirat(&folder, *part, OURS) {
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

/// Writes files, each as its path and its text, into a folder, which is made if it is missing and has to be empty. A part
/// of them could pass for all: where one cannot be written none stays.
///
/// # Errors
/// A folder that holds something already, or is another user's, and those of writing.
pub fn write_new(path: &Path, files: &[(String, String)]) -> Result<()> {
    filled(path, |folder| files.iter().try_for_each(|(name, text)| folder.write(name, text.as_bytes())))
}

/// A file that the user named, open for writing.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// Where it comes to lie, while it lies beside.
    beside: Option<(Place, OsString)>,
}

impl Output {
    /// Begins a file. It has its name, in the place of one that is there, from [`Self::put`] on: until then nothing is lost.
    /// What is no regular file, as /dev/stdout or a FIFO, is written to as it is.
    ///
    /// # Errors
    /// Those of making it; a link or a file of another user where others may put one.
    pub fn create(path: &Path) -> Result<Self> {
        let shown = || format!("cannot write {}", path.display());
        // Opened by whoever started this process.
        let given = ["/dev/fd", "/proc/self/fd", "/dev/stdout", "/dev/stderr"];
        if given.iter().any(|given| path.starts_with(given)) {
            let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty());
            return Ok(Self { file: file.map_err(io::Error::from).with_context(shown)?.into(), beside: None });
        }
        let place = place(path)?;
        let there = match fstatat(&place.folder, place.name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(there) => Some(there),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(io::Error::from(errno)).with_context(shown),
        };
        match there {
            Some(there) if kind(&there) != SFlag::S_IFREG => Self::special(&place, &there).with_context(shown),
            there => Self::beside(place, there).map_err(io::Error::from).with_context(shown),
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

    fn beside(place: Place, there: Option<FileStat>) -> nix::Result<Self> {
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
        Ok(Self { file: file.into(), beside: Some((place, name)) })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// Those of renaming it.
    pub fn put(&mut self) -> io::Result<()> {
        if let Some((place, name)) = self.beside.take() {
            let renamed = renameat(&place.folder, name.as_os_str(), &place.folder, place.name.as_os_str());
            if renamed.is_err() {
                self.beside = Some((place, name));
            }
            renamed?;
        }
        Ok(())
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
        if let Some((place, name)) = &self.beside {
            let _ = unlinkat(&place.folder, name.as_os_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
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
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_that_cannot_be_filled_is_as_it_was_before() {
        let above = std::env::temp_dir().join(format!("tunecheck-filled-{}", std::process::id()));
        fs::create_dir_all(above.join("empty")).unwrap();
        for (name, stays) in [("new", false), ("empty", true)] {
            let path = above.join(name);
            let failed = filled(&path, |folder| -> Result<()> {
                folder.write("a/b/file", b"x")?;
                folder.write("a/other", b"x")?;
                folder.write("a/b/file", b"x")
            });
            let said = format!("{:#}", failed.unwrap_err());
            assert!(said.contains("File exists") && said.ends_with("is removed again"), "{said}");
            assert_eq!((path.exists(), fs::read_dir(&path).is_ok_and(|mut all| all.next().is_none())), (stays, stays));
        }
        let left = above.join("left");
        let failed = filled(&left, |folder| -> Result<()> {
            folder.write("a/file", b"x")?;
            fs::write(left.join("a/of-another"), "x")?;
            bail!("full")
        });
        let said = format!("{:#}", failed.unwrap_err());
        assert!(
            said.starts_with("full: ") && said.ends_with("is left half made (Directory not empty): remove it"),
            "{said}"
        );
        fs::remove_dir_all(&above).unwrap();
    }
}
