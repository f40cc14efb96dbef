//! What a trial cannot do without, and what becomes of a trial that lacks it.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::env;
use std::path::PathBuf;

use libtest_mimic::{Failed, Trial};

/// Where a program is: where the environment says (`TUNECHECK_NAME`), in the folders of PATH, or in those of root.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let told = env::var_os(format!("TUNECHECK_{}", name.to_uppercase().replace('-', "_"))).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from));
    told.into_iter().chain(folders.map(|folder| folder.join(name))).find(|path| path.is_file())
}

/// Whether everything has to be there: with CI set, what lacks a tool fails.
pub(crate) fn strict() -> bool {
    env::var_os("CI").is_some()
}

/// A trial; without what it needs it is listed as ignored, or fails if it is `strict` about it.
pub(crate) fn trial(
    name: &'static str,
    missing: &[&str],
    strict: bool,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    if missing.is_empty() {
        return Trial::test(name, run);
    }
    let missing = missing.join(", ");
    let reason = format!("needs {missing}");
    Trial::test(name, || Err(Failed::from(reason)))
        .with_kind(format!("skipped: needs {missing}"))
        .with_ignored_flag(!strict)
}
