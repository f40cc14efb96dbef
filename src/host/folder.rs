//! The names in a folder.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::{Dir, Entry};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::again::again;

/// What lies in a folder, but for itself and the one above, in the order of the file system. That of the standard library
/// ends the program where a folder cannot be closed.
///
/// # Errors
/// Those of opening it; and an entry is one where the folder cannot be read on.
pub(super) fn entries(path: impl AsRef<Path>) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let folder = again(|| Dir::open(path.as_ref(), flags, Mode::empty()))?;
    let named =
        |entry: &io::Result<Entry>| !entry.as_ref().is_ok_and(|entry| [b".".as_slice(), b".."].contains(&bytes(entry)));
    Ok(folder.into_iter().map(|entry| entry.map_err(io::Error::from)).filter(named))
}

/// The name of an entry.
pub(super) fn name(entry: &Entry) -> &OsStr {
    OsStr::from_bytes(bytes(entry))
}

fn bytes(entry: &Entry) -> &[u8] {
    entry.file_name().to_bytes()
}

/// The number that a name is, as that of a process or a descriptor.
pub(super) fn number(entry: &Entry) -> Option<u32> {
    name(entry).to_str()?.parse().ok()
}
