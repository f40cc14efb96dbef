//! Where an audit stands.

use super::version::Version;

/// Stands for the audited process where nobody knows which one is meant.
pub const NOBODY: &str = "?";

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A machine, physical or virtual, seen from its own namespaces.
    Host,
    /// A network namespace of its own on a host, without a container around it.
    Namespace,
    /// A container that Kubernetes does not manage.
    Container,
    /// A Kubernetes pod with a network namespace of its own.
    Pod,
    /// A Kubernetes pod in the network namespace of its node.
    HostNetworkPod,
    /// Files that stand for a machine, and nothing says where they were taken; or a sign of it could not be read.
    Unknown,
}

/// Which network namespace it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netns {
    /// The first one, in which host-wide network sysctls are visible.
    Init,
    /// Any other.
    Child,
    /// Nothing says which.
    Unknown,
}

/// Whether sysctls could be written from here. Found without writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writable {
    /// Yes.
    Yes,
    /// /proc/sys is mounted read-only.
    ReadOnly,
    /// The user may not.
    NotPermitted,
    /// Nothing says.
    Unknown,
}

/// Where the audit stands, and how that is known.
#[derive(Clone, Debug)]
pub struct Place {
    /// The kind of place.
    pub kind: Kind,
    /// The network namespace.
    pub netns: Netns,
    /// Whether this is the first pid namespace.
    pub init_pidns: Option<bool>,
    /// Whether this is the first user namespace: root of any other is not root of the machine.
    pub init_userns: Option<bool>,
    /// The container runtime, if there is a container and its name shows.
    pub runtime: Option<String>,
    /// Whether the machine is a Kubernetes node.
    pub node: bool,
    /// The systemd unit whose cgroup this is.
    pub unit: Option<String>,
    /// `v1`, `v2` or `hybrid`.
    pub cgroup: Option<String>,
    /// The audited process as its number and its name; none where tunecheck audits what it was itself given.
    pub process: Option<String>,
    /// The user id of the audited process.
    pub uid: Option<u32>,
    /// Capabilities that matter and are held: `CAP_NET_ADMIN`, `CAP_SYS_ADMIN`, `CAP_SYS_RESOURCE`.
    pub capabilities: Vec<&'static str>,
    /// Whether sysctls could be written.
    pub writable: Writable,
    /// The kernel release.
    pub kernel: Option<Version>,
    /// Observations the answer rests on, one clause each.
    pub because: Vec<String>,
    /// The kernel's random name of this boot.
    pub boot: Option<String>,
    /// The inode number of the network namespace. A later namespace may get the number of one that is gone.
    pub netns_inode: Option<u64>,
    /// The cgroup of the process, as its cgroup namespace shows it.
    pub cgroup_path: Option<String>,
}

impl Place {
    /// The place of a worked example: a host, root, everything visible.
    pub fn plain_host() -> Self {
        Self {
            kind: Kind::Host,
            netns: Netns::Init,
            init_pidns: Some(true),
            init_userns: Some(true),
            runtime: None,
            node: false,
            unit: None,
            cgroup: None,
            process: None,
            uid: Some(0),
            capabilities: Vec::new(),
            writable: Writable::Yes,
            kernel: None,
            because: Vec::new(),
            boot: None,
            netns_inode: None,
            cgroup_path: None,
        }
    }

    /// Whether a process stands there, and a sign of where that is could not be read. What would be changed, and by whom, is
    /// then a guess.
    pub fn is_guess(&self) -> bool {
        let seen = self.uid.is_some()
            || self.init_pidns.is_some()
            || self.init_userns.is_some()
            || self.netns_inode.is_some()
            || self.cgroup_path.is_some();
        self.kind == Kind::Unknown && seen
    }

    /// The number of the audited process, where it is another one than tunecheck.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref()?.split(' ').next()?.parse().ok()
    }

    /// Whether the audited process is root of the machine, as far as that is known.
    pub fn is_root(&self) -> bool {
        self.uid == Some(0) && self.init_userns != Some(false)
    }

    /// The kind as a person says it.
    pub fn words(&self) -> String {
        let runtime = |what: &str| match &self.runtime {
            Some(runtime) => format!("{runtime} {what}"),
            None => what.to_owned(),
        };
        match self.kind {
            Kind::Host if self.node => "host, Kubernetes node".into(),
            Kind::Host => "host".into(),
            // No process stands there: a dump shows the namespace, and not whether a container is around it.
            Kind::Namespace if self.uid.is_none() => "place unknown".into(),
            Kind::Namespace => "on a host".into(),
            Kind::Container => runtime("container"),
            Kind::Pod => "Kubernetes pod".into(),
            Kind::HostNetworkPod => "Kubernetes pod with hostNetwork".into(),
            Kind::Unknown => "place unknown".into(),
        }
    }
}

/// The systemd service that a cgroup path ends in. Those that only start what somebody asks them to are not meant:
/// a setting of theirs would be one for every login or job.
pub fn service_of(path: &str) -> Option<String> {
    const OF_OTHERS: [&str; 5] = ["user@", "ssh", "getty@", "serial-getty@", "cron"];
    let last = path.rsplit('/').next().filter(|part| part.ends_with(".service"))?;
    (!OF_OTHERS.iter().any(|start| last.starts_with(start))).then(|| last.to_owned())
}
