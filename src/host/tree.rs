//! A foreign tree: a sosreport, a node's root mounted at /host, an unpacked image.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::{Answer, Ask, Dump, Host, Live, Query, Refusal, input};

const PROC_MAGIC: &str = "magic=9fa0 ";
/// Where a sosreport keeps the sysctls.
const SOS_SYSCTL: &str = "sos_commands/kernel/sysctl_-a";
/// Links that are followed in one path; the kernel's own bound.
const LINKS: usize = 40;
const LARGEST_DUMP: u64 = 4 << 20;

/// A machine as far as files below one directory show it.
#[derive(Debug)]
pub struct Tree {
    root: String,
    /// Whether `proc` below the root is a mounted procfs rather than copied files.
    mounted: bool,
    /// Whether that procfs shows the network namespace of the machine's first process to this reader.
    same_netns: bool,
    /// What `sysctl -a` said, if the tree has it; or why that is no dump.
    dump: Option<Result<Dump, String>>,
}

impl Tree {
    /// The tree below `root`.
    pub fn new(root: PathBuf) -> Self {
        let root = root.to_string_lossy().trim_end_matches('/').to_owned();
        let ask = |ask, of: String| Live.ask(Query { ask, of: &of });
        let mounted = ask(Ask::Statfs, format!("{root}/proc"))
            .is_ok_and(|fs| String::from_utf8_lossy(&fs).starts_with(PROC_MAGIC));
        let theirs = ask(Ask::Link, format!("{root}/proc/1/ns/net"));
        let same_netns = theirs.is_ok() && theirs == ask(Ask::Link, "/proc/self/ns/net".into());
        let dump = followed(&root, SOS_SYSCTL, true)
            .ok()
            .and_then(|path| input::read(&PathBuf::from(format!("{root}{path}")), LARGEST_DUMP).ok());
        let parsed = |bytes: Vec<u8>| Dump::parse(SOS_SYSCTL, &bytes).map_err(|error| format!("{SOS_SYSCTL}: {error}"));
        Self { mounted, same_netns, dump: dump.map(parsed), root }
    }

    /// The path below the root that speaks of the machine itself, or why none does.
    fn resolve(&self, path: &str) -> Result<String, Refusal> {
        let own = |what: &str| Refusal::NotVisibleHere(format!("a tree has no {what} to audit"));
        if path.starts_with("/proc/self/") {
            return Err(own("process"));
        }
        if path.starts_with("/proc/sys/net/") && !self.same_netns {
            return Err(Refusal::NotVisibleHere(
                "/proc/sys/net below a mounted root shows the namespace of the reader, not that machine's".into(),
            ));
        }
        // Counters below /proc/PID/net follow that process, whoever reads them.
        match path.strip_prefix("/proc/net/") {
            Some(rest) => Ok(format!("{}/proc/1/net/{rest}", self.root)),
            None => Ok(format!("{}{path}", self.root)),
        }
    }
}

/// Follows the links in a path below `root` as that machine would: an absolute target starts at its root again, and
/// nothing climbs above it. Followed by the kernel they would lead to files of this machine. The last part is followed
/// too if `last`. Gives the path below the root.
pub(super) fn followed(root: &str, path: &str, last: bool) -> Result<String, Refusal> {
    let mut rest: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = rest.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => done.push(part),
        }
        if rest.is_empty() && !last {
            break;
        }
        let here = format!("{root}/{}", done.join("/"));
        let Ok(target) = Live.ask(Query { ask: Ask::Link, of: &here }) else { continue };
        links += 1;
        if links > LINKS {
            return Err(Refusal::Errno(Errno::ELOOP as i32));
        }
        let target = String::from_utf8_lossy(&target).into_owned();
        done.pop();
        if target.starts_with('/') {
            done.clear();
        }
        rest.extend(target.split('/').rev().map(str::to_owned));
    }
    Ok(format!("/{}", done.join("/")))
}

impl Host for Tree {
    fn ask(&self, query: Query<'_>) -> Answer {
        match query.ask {
            Ask::Read | Ask::List | Ask::Link | Ask::Exists => {
                let copied = !self.mounted || !(query.of.starts_with("/proc/") || query.of.starts_with("/sys/"));
                let path = if copied && !query.of.starts_with("/proc/self/") {
                    let path = followed(&self.root, query.of, query.ask != Ask::Link)?;
                    // Whether the tree holds a /dev or not: systemd hides a file by such a link.
                    match (path.as_str(), query.ask) {
                        ("/dev/null", Ask::Read | Ask::Exists) => return Ok(Vec::new()),
                        _ => format!("{}{path}", self.root),
                    }
                } else {
                    self.resolve(query.of)?
                };
                if query.ask == Ask::Read && input::is_special(Path::new(&path)) {
                    return Err(Refusal::Unsupported(format!("{path} is not a regular file")));
                }
                let answer = Live.ask(Query { ask: query.ask, of: &path });
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

    fn source(&self) -> String {
        format!("tree {}", if self.root.is_empty() { "/" } else { &self.root })
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
        let tree = Tree::new(root.to_owned());
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
