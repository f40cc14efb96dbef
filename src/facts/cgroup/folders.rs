//! Where the files of a controller lie: each may be on version 1 or on version 2.

use procfs::{ProcessCGroup, ProcessCGroups};

use super::super::Gather;
use super::{ROOT, UNIFIED};
use crate::model::bounds;
use crate::model::fact::{Cause, Gap};

/// A `0::` line alone does not mean version 2: it is there as soon as the kernel has it.
///
/// # Errors
/// Whether both are there cannot be read.
pub(super) fn version(gather: &Gather<'_>, groups: &ProcessCGroups) -> Result<&'static str, Gap> {
    let on_v1 = |group: &ProcessCGroup| group.controllers.iter().any(|name| !name.starts_with("name="));
    match (groups.0.iter().any(on_v1), groups.0.iter().any(|group| group.hierarchy == 0)) {
        (true, true) if exists(gather, UNIFIED)? => Ok("hybrid"),
        (true, _) => Ok("v1"),
        (false, _) => Ok("v2"),
    }
}

/// Whether a file is there; what a recording or a tree cannot tell is not.
pub(super) fn exists(gather: &Gather<'_>, path: &str) -> Result<bool, Gap> {
    match gather.host.exists(path).map_err(|refusal| refusal.gap(path)) {
        Err(gap) if !gap.is_failure() => Ok(false),
        other => other,
    }
}

/// Folders of one controller, the process's own first, then those above it.
pub(super) struct Folders {
    pub(super) v2: bool,
    pub(super) paths: Vec<String>,
}

impl Folders {
    pub(super) fn of(gather: &Gather<'_>, groups: &ProcessCGroups, controller: &str) -> Result<Self, Gap> {
        let v1 = groups.0.iter().find(|group| group.controllers.iter().any(|name| name == controller));
        let v2 = || groups.0.iter().find(|group| group.hierarchy == 0);
        // The kernel's own paths are no longer; one of a recording may be.
        let group = v1.or_else(v2).filter(|group| !bounds::PATH.is_exceeded_by(group.pathname.len()));
        let Some(group) = group else { return Ok(Self { v2: false, paths: Vec::new() }) };
        let root = match (v1, version(gather, groups)?) {
            (Some(_), _) => format!("{ROOT}/{controller}"),
            // Beside version 1 the tree of version 2 is mounted one level down.
            (None, "hybrid") => UNIFIED.to_owned(),
            (None, _) => ROOT.to_owned(),
        };
        let mut paths = Vec::new();
        // A path with `..` lies outside this cgroup namespace, and the mount's root is the best that can be seen.
        let outside = group.pathname.split('/').any(|part| part == "..");
        let mut below = if outside { "" } else { group.pathname.trim_end_matches('/') };
        while !below.is_empty() {
            paths.push(format!("{root}{below}"));
            below = below.rsplit_once('/').map_or("", |(above, _)| above);
        }
        paths.push(root);
        Ok(Self { v2: v1.is_none(), paths })
    }

    /// The file of a folder by its name on the version that the controller is on.
    pub(super) fn file(&self, folder: &str, v1: &str, v2: &str) -> String {
        format!("{folder}/{}", if self.v2 { v2 } else { v1 })
    }
}

/// The folders that set a limit, each with it, the process's own first. A folder without the file sets none.
///
/// # Errors
/// Without any folder at all nothing is known: there are limits whether or not they can be seen.
pub(super) fn limits<'a>(
    gather: &Gather<'_>,
    folders: &'a Folders,
    limit_in: impl Fn(&str) -> Result<Option<i128>, Gap>,
) -> Result<Vec<(&'a str, i128)>, Gap> {
    let mut found = Vec::new();
    let mut seen = false;
    for path in &folders.paths {
        match limit_in(path) {
            Ok(limit) => found.extend(limit.map(|limit| (path.as_str(), limit))),
            Err(gap) if gap.cause == Cause::Absent => continue,
            Err(gap) => return Err(gap),
        }
        seen = true;
    }
    // A root cgroup has no limit files: its presence is enough to say that there is no limit.
    if let Some(root) = folders.paths.last().filter(|_| !seen) {
        seen = exists(gather, folders.file(root, "", "cgroup.controllers").trim_end_matches('/'))?;
    }
    if seen { Ok(found) } else { Err(Gap::new(Cause::NotVisibleHere, format!("{ROOT} is not mounted here"))) }
}
