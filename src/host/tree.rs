//! A foreign tree: a sosreport, a node's root mounted at /host, an unpacked image.

use std::borrow::Cow;
use std::path::Path;

use super::below::Below;
use super::{Answer, Ask, Dump, Host, Live, Query, Refusal};

use crate::model::bounds;

/// Where a sosreport keeps the sysctls.
const SOS_SYSCTL: &str = "sos_commands/kernel/sysctl_-a";

/// A machine as far as files below one directory show it.
#[derive(Debug)]
pub struct Tree {
    path: String,
    root: Below,
    /// Whether `proc` below the root is a mounted procfs rather than copied files.
    mounted: bool,
    /// Whether that procfs shows the network namespace of the machine's first process to this reader.
    same_netns: bool,
    /// What `sysctl -a` said, if the tree has it; or why that is no dump.
    dump: Option<Result<Dump, String>>,
}

/// Whether a mounted procfs lies in a tree.
pub fn has_procfs(root: &Path) -> bool {
    root.to_str().is_some_and(|root| Below::root(root).is_ok_and(|root| root.has_procfs()))
}

impl Tree {
    /// The tree below `path`.
    ///
    /// # Errors
    /// Those of opening it: it is missing, no folder, or not to be entered.
    pub fn new(path: &str) -> Result<Self, Refusal> {
        let path = path.trim_end_matches('/').to_owned();
        let root = Below::root(&path)?;
        let mounted = root.has_procfs();
        let theirs = root.ask(Query { ask: Ask::Link, of: "/proc/1/ns/net" });
        let same_netns = theirs.is_ok() && theirs == Live.ask(Query { ask: Ask::Link, of: "/proc/self/ns/net" });
        let parsed = |bytes: Vec<u8>| Dump::parse(SOS_SYSCTL, &bytes).map_err(|error| format!("{SOS_SYSCTL}: {error}"));
        let dump = root.file(SOS_SYSCTL, bounds::FILE.most).ok().map(parsed);
        let root = if mounted { root.with_kernel() } else { root };
        Ok(Self { path, root, mounted, same_netns, dump })
    }

    /// The path below the root that speaks of the machine itself, or why none does.
    fn resolve<'a>(&self, path: &'a str) -> Result<Cow<'a, str>, Refusal> {
        if path.starts_with("/proc/self/") {
            return Err(Refusal::NotVisibleHere("a tree has no process to audit".to_owned()));
        }
        if self.mounted && path.starts_with("/proc/sys/net/") && !self.same_netns {
            return Err(Refusal::NotVisibleHere(
                "/proc/sys/net below a mounted root shows the namespace of the reader, not that machine's".into(),
            ));
        }
        // Counters below /proc/PID/net follow that process, whoever reads them.
        match path.strip_prefix("/proc/net/").filter(|_| self.mounted) {
            Some(rest) => Ok(format!("/proc/1/net/{rest}").into()),
            None => Ok(path.into()),
        }
    }
}

impl Host for Tree {
    fn ask(&self, query: Query<'_>) -> Answer {
        match query.ask {
            Ask::Read | Ask::List | Ask::Link | Ask::Exists => {
                let path = self.resolve(query.of)?;
                let answer = self.root.ask(Query { ask: query.ask, of: &path });
                let dumped = || match self.dump.as_ref()? {
                    Ok(dump) => dump.said(query.of),
                    Err(why) => query.of.starts_with("/proc/sys/").then(|| Err(Refusal::Unsupported(why.clone()))),
                };
                match answer {
                    Err(refusal) if refusal.is_absent() && query.ask == Ask::Read => match dumped() {
                        Some(answer) => answer,
                        None if self.mounted => Err(refusal),
                        None if query.of.starts_with("/proc/") || query.of.starts_with("/sys/") => {
                            Err(Refusal::Unsupported("the tree does not hold it".into()))
                        }
                        None => Err(refusal),
                    },
                    other => other,
                }
            }
            _ => Err(Refusal::Unsupported("a tree cannot tell".into())),
        }
    }

    fn is_tree(&self) -> bool {
        true
    }

    fn source(&self) -> String {
        format!("tree {}", if self.path.is_empty() { "/" } else { &self.path })
    }

    fn notes(&self) -> Vec<String> {
        let mut notes =
            vec!["A tree holds files only: the limits of a process and the listeners are unknown.".to_owned()];
        if self.mounted && !self.same_netns {
            notes.push(
                "Its network sysctls are not visible here: run tunecheck in that machine's network namespace \
                 (nsenter -t PID -n, or hostNetwork: true)."
                    .to_owned(),
            );
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::errno::Errno;

    use super::*;

    #[test]
    fn links_lead_to_files_of_the_tree_and_never_out_of_it() {
        let folder = std::env::temp_dir().join(format!("tunecheck-tree-{}", std::process::id()));
        let root = folder.as_path();
        std::fs::create_dir_all(root.join("etc/sysctl.d")).unwrap();
        std::fs::write(root.join("etc/sysctl.conf"), "own").unwrap();
        for (target, name) in [
            ("/etc/sysctl.conf", "absolute"),
            ("../sysctl.conf", "relative"),
            ("../../../../../../etc/sysctl.conf", "climbing"),
            ("/dev/null", "null"),
            ("loop", "loop"),
            ("/etc/hostname", "elsewhere"),
        ] {
            symlink(target, root.join("etc/sysctl.d").join(name)).unwrap();
        }
        symlink("/etc", root.join("conf")).unwrap();
        let tree = Tree::new(root.to_str().unwrap()).unwrap();
        let read = |path: &str| tree.ask(Query { ask: Ask::Read, of: path });
        for name in ["absolute", "relative", "climbing"] {
            assert_eq!(read(&format!("/etc/sysctl.d/{name}")), Ok(b"own".to_vec()), "{name}");
        }
        assert_eq!(read("/conf/sysctl.conf"), Ok(b"own".to_vec()));
        assert_eq!(read("/etc/sysctl.d/null"), Ok(Vec::new()));
        assert_eq!(read("/etc/sysctl.d/loop"), Err(Refusal::Errno(Errno::ELOOP as i32)));
        assert!(read("/etc/sysctl.d/elsewhere").is_err_and(|refusal| refusal.is_absent()));
        assert_eq!(tree.ask(Query { ask: Ask::Link, of: "/etc/sysctl.d/null" }), Ok(b"/dev/null".to_vec()));
        std::fs::remove_dir_all(root).unwrap();
    }
}
