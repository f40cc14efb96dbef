//! Folders that the user names to be written.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Makes a folder if it is missing. It has to be empty: nothing that is there is written over.
///
/// # Errors
/// A folder that holds something already, and those of making it.
pub(super) fn fresh(folder: &Path) -> Result<()> {
    if !folder.exists() {
        fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    if fs::read_dir(folder)?.next().is_some() {
        bail!("{} is not empty: name a new directory", folder.display());
    }
    Ok(())
}

/// Makes a file that the user named; one that is there is written over, as by a shell.
///
/// # Errors
/// Those of opening it for writing.
pub fn create(path: &Path) -> Result<Box<dyn Write>> {
    let file = fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Box::new(file))
}

/// Writes files, each as its path and its text, into a folder, which is made if it is missing and has to be empty.
///
/// # Errors
/// A folder that holds something already, and those of writing.
pub fn write_new(folder: &Path, files: &[(String, String)]) -> Result<()> {
    fresh(folder)?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
