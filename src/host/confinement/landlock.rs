//! Files that were not named cannot be read or written: [Landlock](https://docs.kernel.org/userspace-api/landlock.html).

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest that is asked for; an older kernel gives what it has.
const NEWEST: ABI = ABI::V6;

/// Restricts this thread and its children. A sentence about it.
pub(super) fn restrict(files: &[&Path], makes: Option<&Path>, network: bool) -> String {
    match enforced(files, makes, network) {
        Ok(RulesetStatus::FullyEnforced) => "files: none but those that were named (Landlock)".to_owned(),
        Ok(RulesetStatus::PartiallyEnforced) => {
            "files: none but those that were named, as far as Landlock of this kernel goes".to_owned()
        }
        Ok(RulesetStatus::NotEnforced) => {
            "files are not confined: this kernel has no Landlock, or refuses it".to_owned()
        }
        Err(why) => format!("files are not confined: {why}"),
    }
}

fn enforced(files: &[&Path], makes: Option<&Path>, network: bool) -> Result<RulesetStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if !network {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut created = ruleset.create()?;
    for file in files {
        created = with(created, file, AccessFs::from_read(NEWEST) & !AccessFs::Execute)?;
    }
    if let Some(made) = makes {
        let written = AccessFs::from_all(NEWEST) & !AccessFs::Execute;
        created = with(created, made, written)?;
        created =
            with(created, made.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new(".")), written)?;
    }
    Ok(created.restrict_self()?.ruleset)
}

/// With a file that may be used so. One that cannot be opened is refused when it is read, with the reason; a pipe that
/// the shell opened is under no rule.
fn with(created: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else { return Ok(created) };
    if !path.is_file() && !path.is_dir() {
        return Ok(created);
    }
    // What only folders allow is no right to a file.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    created.add_rule(PathBeneath::new(opened, access))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    #[test]
    fn only_files_that_were_named_can_be_read_and_only_what_is_made_is_written() {
        let folder = std::env::temp_dir().join(format!("tunecheck-landlock-{}", std::process::id()));
        let (named, made) = (folder.join("named"), folder.join("out/made"));
        fs::create_dir_all(folder.join("out")).unwrap();
        fs::create_dir_all(&named).unwrap();
        fs::write(named.join("file"), "named").unwrap();
        fs::write(folder.join("other"), "other").unwrap();
        std::os::unix::fs::symlink(folder.join("other"), named.join("link")).unwrap();
        let denied = |result: std::io::Result<()>| {
            result.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                let missing = folder.join("missing");
                let said = restrict(&[&named, &missing], Some(&made), false);
                if said.contains("no Landlock") {
                    return;
                }
                assert_eq!(fs::read_to_string(named.join("file")).unwrap(), "named");
                assert!(denied(fs::read(folder.join("other")).map(drop)));
                assert!(denied(fs::read(named.join("link")).map(drop)));
                assert!(denied(fs::read("/etc/passwd").map(drop)));
                assert!(denied(fs::read_dir(&folder).map(drop)));
                assert!(denied(fs::write(named.join("new"), "")));
                assert!(denied(fs::remove_file(named.join("file"))));
                fs::create_dir(&made).unwrap();
                fs::write(made.join("file"), "made").unwrap();
            });
        });
        assert_eq!(fs::read_dir(&named).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }
}
