//! A foreign tree: a sosreport, a node's root mounted at /host, an unpacked image.

use std::path::{Path, PathBuf};

use super::{Answer, Ask, Dump, Host, Live, Query, Refusal, input};

const PROC_MAGIC: &str = "magic=9fa0 ";
/// Where a sosreport keeps the sysctls.
const SOS_SYSCTL: &str = "sos_commands/kernel/sysctl_-a";
const LARGEST_DUMP: u64 = 4 << 20;

/// A machine as far as files below one directory show it.
#[derive(Debug)]
pub struct Tree {
    root: String,
    /// Whether `proc` below the root is a mounted procfs rather than copied files.
    mounted: bool,
    /// Whether that procfs shows the network namespace of the machine's first process to this reader.
    same_netns: bool,
    dump: Option<Dump>,
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
        let dump = input::read(&PathBuf::from(format!("{root}/{SOS_SYSCTL}")), LARGEST_DUMP).ok();
        Self { mounted, same_netns, dump: dump.map(|bytes| Dump::parse(SOS_SYSCTL, &bytes)), root }
    }

    /// The path below the root that speaks of the machine itself, or why none does.
    fn resolve(&self, path: &str) -> Result<String, Refusal> {
        let own = |what: &str| Refusal::NotVisibleHere(format!("a tree has no {what} to audit"));
        if path.starts_with("/proc/self/") {
            return Err(own("process"));
        }
        if !self.mounted {
            return Ok(format!("{}{path}", self.root));
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

impl Host for Tree {
    fn ask(&self, query: Query<'_>) -> Answer {
        match query.ask {
            Ask::Read | Ask::List | Ask::Link | Ask::Exists => {
                let path = self.resolve(query.of)?;
                if query.ask == Ask::Read && input::is_special(Path::new(&path)) {
                    return Err(Refusal::Unsupported(format!("{path} is not a regular file")));
                }
                let answer = Live.ask(Query { ask: query.ask, of: &path });
                let dumped = || self.dump.as_ref().and_then(|dump| dump.value(query.of));
                match answer {
                    Err(refusal) if refusal.is_absent() && query.ask == Ask::Read => match dumped() {
                        Some(value) => Ok(value.as_bytes().to_vec()),
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
