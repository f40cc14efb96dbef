//! Files and folders that the user names: rules, workloads, dumps.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, access};

use super::folder::{entries, name};
use crate::model::bounds;

/// Reads a file that the user named, or standard input for `-`, up to `cap` bytes.
///
/// # Errors
/// Those of reading; a file larger than `cap` is refused, and so is a FIFO or a device.
pub fn read(path: &Path, cap: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let reader: Box<dyn Read> = if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(permitted(path)?) };
    reader.take(cap + 1).read_to_end(&mut content)?;
    if content.len() as u64 > cap {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {} KiB", cap >> 10)));
    }
    Ok(content)
}

/// Opens a file that is read in parts, under bounds of its reader.
///
/// # Errors
/// Those of opening; a FIFO or a device is refused.
pub(super) fn open(path: &Path) -> io::Result<File> {
    regular(path)
}

/// As [`regular`]. What this user may read and tunecheck gave up to read is a link's target outside of what was named: the error
/// says which.
fn permitted(path: &Path) -> io::Result<File> {
    regular(path).map_err(|error| {
        let is_given_up = error.kind() == io::ErrorKind::PermissionDenied && access(path, AccessFlags::R_OK).is_ok();
        let target = || Some(fs::canonicalize(path).ok()?.display().to_string());
        match is_given_up.then(target).flatten() {
            Some(target) => io::Error::new(
                error.kind(),
                format!(
                    "a link to {target}, outside of what was named, and tunecheck confined itself (Landlock) to that: name {target} too"
                ),
            ),
            None => error,
        }
    })
}

/// Opens a regular file. Another kind may keep its reader waiting for ever, and a device may act when it is opened. What the
/// shell opened already, such as `<(command)`, does not.
fn regular(path: &Path) -> io::Result<File> {
    let opened = path == Path::new("/dev/stdin") || path.starts_with("/dev/fd");
    let is_special = |meta: &fs::Metadata| !meta.is_file() && !meta.is_dir();
    let special = || io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
    if opened {
        return File::open(path);
    }
    if fs::metadata(path).is_ok_and(|meta| is_special(&meta)) {
        return Err(special());
    }
    // It may have been exchanged since.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if is_special(&file.metadata()?) { Err(special()) } else { Ok(file) }
}

/// Every `*.yaml` and `*.yml` file at or below a path, sorted.
///
/// # Errors
/// Those of reading the directories.
pub fn yaml_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    files(path, &["yaml", "yml"])
}

/// A file itself, or every file at or below a directory whose name ends so, sorted. Links to directories are not
/// followed, so that a loop cannot hold it up.
///
/// # Errors
/// Those of reading the directories.
pub fn files(path: &Path, endings: &[&str]) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            let path = folder.join(name(&entry?));
            if fs::symlink_metadata(&path)?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| endings.iter().any(|ending| end == *ending)) {
                found.push(path);
                if bounds::MANIFEST_FILES.is_exceeded_by(found.len()) {
                    let what = format!("more than {} files (tunecheck help limits)", bounds::MANIFEST_FILES);
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a path is a directory, or a link to one.
pub fn is_folder(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_dir())
}
