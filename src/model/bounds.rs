//! What tunecheck reads, keeps and follows at most, in one table: `tunecheck help limits` prints it.
//!
//! What is audited may belong to somebody who wants the audit to take for ever or to eat the memory of the node. So whatever
//! grows with its input has a bound here. A bound that is reached is told, and what lies beyond it is unknown: never a pass.

use std::fmt;

/// What a bound counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Bytes.
    Bytes,
    /// Things of a kind: files, lines, links.
    Things,
    /// Milliseconds.
    Milliseconds,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// At most so many.
    pub most: u64,
    /// Of what.
    pub counted: Counted,
    /// What is bounded, and for what: a file, a target, a run.
    pub what: &'static str,
    /// Why there, and not lower.
    pub why: &'static str,
    /// What happens when it is reached.
    pub reached: &'static str,
}

impl Bound {
    /// The number for something that is in memory.
    #[expect(clippy::cast_possible_truncation, reason = "the tests hold every number below 2^32")]
    pub const fn count(self) -> usize {
        self.most as usize
    }

    /// Whether a count or a length is beyond it.
    pub const fn is_exceeded_by(self, count: usize) -> bool {
        count as u64 > self.most
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.most;
        match self.counted {
            Counted::Bytes if most.is_multiple_of(1 << 20) => write!(f, "{} MiB", most >> 20),
            Counted::Bytes if most.is_multiple_of(1 << 10) => write!(f, "{} KiB", most >> 10),
            Counted::Bytes => write!(f, "{most} bytes"),
            Counted::Things => f.write_str(&super::facts::grouped(most.into())),
            Counted::Milliseconds => write!(f, "{most} ms"),
        }
    }
}

/// Declares the bounds and lists them, so that none is missing from the table.
macro_rules! bounds {
    ($($title:literal { $($name:ident = $most:expr, $counted:ident, $what:literal, $why:literal, $reached:literal;)* })*) => {
        $($(
            #[doc = concat!($what, ": ", $why, ".")]
            pub const $name: Bound = Bound {
                most: $most, counted: Counted::$counted, what: $what, why: $why, reached: $reached,
            };
        )*)*

        /// Every bound, in parts with a title.
        pub const TABLE: &[(&str, &[Bound])] = &[$(($title, &[$($name),*])),*];
    };
}

bounds! {
    "A target: the machine, or one process, container or namespace on it" {
        FILE = 4 << 20, Bytes, "one file", "nothing that an audit reads is near it",
            "the file is refused, and what it holds is unknown";
        TARGET_BYTES = 96 << 20, Bytes, "all answers of one target, which are kept until its report is made",
            "both dumps of 300,000 sockets of both families fit",
            "what is asked after it is unknown";
        TARGET_QUESTIONS = 20_000, Things, "files, folders, links and other questions of one target",
            "an audit asks some 200, and a few for each unit and each line of sysctl.d",
            "what is asked after it is unknown";
        CONFIGURATION_BYTES = 16 << 20, Bytes, "all files of one target that are not the kernel's: sysctl.d, units, TuneD",
            "such files are small, and these are thousands of them",
            "what is asked after it is unknown";
        FOLDER = 10_000, Things, "names in one folder",
            "folders of units and of sysctl.d have hundreds, /sys/class/net one for each pod",
            "the folder is refused, and what it holds is unknown";
        FOLDER_OF_PROC = 4_000_000, Things, "names in one folder of /proc", "a process with a million open files can be counted",
            "the folder is refused, and what it holds is unknown";
        LINKS = 40, Things, "links in one path", "the kernel's own bound", "the path is refused, as by the kernel (ELOOP)";
        WAITED = 3_000, Milliseconds, "waiting for file systems that may not answer (NFS, FUSE), for one target",
            "a mount that works answers in a few", "the files of the target are unknown";
        WAITED_ANSWER = 64 << 20, Bytes, "one answer of such a file system", "more than any file and folder that is read",
            "it is unknown";
        SOCKET_DUMP = 16 << 20, Bytes, "one dump of sockets", "300,000 connections", "who listens or connects is unknown";
        TORN_DUMPS = 3, Things, "tries to dump sockets while they change", "a dump is torn where sockets come and go meanwhile",
            "who listens or connects is unknown";
        DESCRIPTORS = 1024, Things, "descriptors of one process that are looked at for the owner of a socket",
            "a server opens its listeners first", "the process is counted as not looked through, and the owner may be unknown";
        DESCRIPTORS_IN_ALL = 20_000, Things, "descriptors of all processes that are looked at for owners",
            "each costs some microseconds", "the rest is counted as not looked through, and owners may be unknown";
        CGROUP_FOLDERS = 1_000, Things, "cgroups with others below them that are looked through for owners of sockets",
            "a machine without containers has some ten, a node one for each pod", "owners are looked for among all processes";
        LISTENING_PROCESSES = 64, Things, "processes that listen whose open files are judged", "a machine has some ten",
            "the open files of the rest are unknown";
        AGAIN = 100, Things, "times that a call is made which signals break off", "one that is broken off is rare",
            "what it asks for is unknown";
        CANDIDATES = 200, Things, "processes of one container or namespace that are looked into for who listens",
            "each costs up to a millisecond", "the oldest is audited, and the report says that not all were looked into";
        DEVICES = 256, Things, "interfaces with drops that are looked at", "a node has hundreds of interfaces and few cards",
            "drops of interfaces are unknown";
        INTERFACES = 1024, Things, "interfaces whose reverse path filter is looked at", "a node has one for each pod",
            "on which interfaces it is in force is unknown";
        UNITS = 1000, Things, "units whose LimitNOFILE is read", "a machine's own are some ten",
            "the highest limit that a unit asks for is unknown";
        UNIT_ALIASES = 8, Things, "aliases of aliases of a unit", "systemd's own units have one", "the unit is unknown";
        UNIT_PREFIXES = 16, Things, "dashes in the name of a unit, of which each is a folder of drop-ins",
            "real names have three", "the unit is unknown";
        PROFILES = 64, Things, "files of TuneD's profiles, which include each other", "real ones include two",
            "what TuneD sets is unknown";
        LINES = 4_000, Things, "lines of sysctl.d", "distributions ship some tens", "what a boot sets is unknown";
        PATTERNS = 64, Things, "lines of sysctl.d that stand for several sysctls", "distributions have some five",
            "what a boot sets is unknown";
        LEVELS = 16, Things, "nested cgroups that are asked for a CPU quota", "systemd and Kubernetes nest five or six deep",
            "the quota of groups above them is not looked at, and the report says so";
        USERS = 100, Things, "users whose inotify instances are told apart", "a node has some ten that hold any",
            "the rest is summed up";
        SOURCES = 10, Things, "source addresses, and destinations of each, that are judged for their ports",
            "those with the most connections come first", "the rest has fewer connections than these";
        FULLEST = 10, Things, "processes nearest to their limit on open files that are judged", "the nearest come first",
            "the rest is further from its limit";
    }
    "What a runtime or server was told" {
        COMMAND_LINE = 1 << 20, Bytes, "one command line or environment", "Linux takes 2 MiB of both by default",
            "options beyond it are unknown";
        PROGRAM = 4096, Bytes, "the first word of a command line", "the kernel's longest path", "the rest is not a program's name";
        SERVER_FILE = 1 << 20, Bytes, "one configuration file of a server", "real ones have some 10 KiB",
            "settings beyond it are unknown";
        SERVER_FILES = 64, Things, "files that a configuration includes", "real ones include some ten",
            "settings in the rest are unknown";
        MAPPINGS = 20_000, Things, "mappings that are looked at for a runtime's library", "a JVM with many threads has 3,000",
            "a runtime that is mapped after them is not recognised";
        THREADS = 2048, Things, "threads whose names are looked at", "each costs ten microseconds",
            "threads beyond it are not counted";
        SECTIONS = 512, Things, "sections of an executable", "real ones have some forty", "a Go or Rust program is not recognised";
        SECTION = 256 << 10, Bytes, "one section of an executable", "the list of modules of a large Go program has 50 KiB",
            "what follows is not looked at";
        PERF_ENTRIES = 4096, Things, "entries of a JVM's performance data, and names in its folder", "a JVM writes some 300",
            "the heap is judged by options alone";
    }
    "A run over a whole machine (--all, watch)" {
        TARGETS = 2_000, Things, "targets of one run", "a node has some hundreds, and each costs up to some milliseconds", "the rest is counted in the report";
        WORKERS = 16, Things, "threads that audit targets at once", "one for each CPU; the kernel's locks let more gain little",
            "a target waits for one that is free";
        SUCCESSORS = 3, Things, "processes that are tried where the one chosen ends meanwhile", "one that ends is rare",
            "the target is counted as ended";
        SHARED_ANSWERS = 4_000, Things, "answers that are kept for all targets", "some hundred of the machine, and six for each cgroup",
            "the rest is asked for each target";
        SHARED_ANSWER = 64 << 10, Bytes, "one of these", "they are asked again otherwise", "it is asked for each target";
        WAITED_IN_ALL = 30_000, Milliseconds, "waiting for file systems that may not answer, for all targets",
            "ten that do not answer", "the files of the rest that lie on such file systems are unknown";
        KEPT_FILES = 200, Things, "files that watch keeps open", "below the usual limit of 1,024", "the rest is opened each time";
        STATE_FILE = 16 << 20, Bytes, "one state file of a container engine", "real ones have some 100 KiB",
            "its containers are called by their id";
        TRACES = 500, Things, "limits and subjects that watch follows", "a machine may have any number of listeners",
            "a nearer one takes the place of the furthest";
        SPANS = 60, Things, "spans of a chart", "a terminal is no wider", "two become one";
        LISTED = 10, Things, "processes, containers and units that a refusal lists", "a screen", "the rest is counted";
    }
    "A recording, a tree, a dump, a report" {
        RECORDING = 96 << 20, Bytes, "all files of a recording that is a directory, and their names",
            "as much as is read of one target", "the rest of it is unknown, and the report says how many files were cut";
        RECORDED_FILE = 16 << 20, Bytes, "one file of such a recording", "a dump of sockets", "what it holds is unknown";
        ARCHIVE = 12 << 20, Bytes, "all files that are kept of a recording that is an archive, and their names",
            "recordings that were seen have less than 1 MiB, and judging takes several times as much memory",
            "the rest of it is unknown, and the report says how many files were cut";
        ARCHIVED_FILE = 8 << 20, Bytes, "one file in an archive", "a dump of 100,000 sockets", "what it holds is unknown";
        RECORDING_MANIFEST = 4 << 20, Bytes, "the manifest.json of a recording", "recordings that were seen have 12 KiB", "it is refused";
        RECORDED_ANSWERS = 20_000, Things, "answers in a recording, and entries in its archive", "recordings that were seen have some 100",
            "a manifest is refused; an archive counts as ending there";
        UNPACKED = 128 << 20, Bytes, "what an archive unpacks to, its padding and what is passed over included",
            "ten times what is kept", "the archive counts as ending there";
        PATH = 4096, Bytes, "a name in an archive", "the kernel's own bound", "the archive counts as damaged there";
        EXTENSIONS = 64 << 10, Bytes, "the extended header of an entry in an archive", "tar writes some 200 bytes",
            "the archive counts as damaged there";
        DUMP = 16 << 20, Bytes, "the output of sysctl -a, unpacked", "real ones have 100 KiB", "it is refused";
        REPORT = 64 << 20, Bytes, "a report that is read back", "room for a report of a whole machine", "it is refused";
        JSON_DEPTH = 127, Things, "nesting of JSON", "reports and recordings nest some ten deep", "it is refused";
    }
    "Manifests" {
        MANIFEST_FILE = 512 << 20, Bytes, "one file, or standard input", "a whole cluster's objects", "it is not read, and the run ends with 2";
        MANIFEST_FILES = 100_000, Things, "files of one run", "far more than a repository is expected to hold",
            "the folder is not read, and the run ends with 2";
        DOCUMENT = 64 << 20, Bytes, "one document", "etcd takes 1.5 MiB", "it is told as unknown";
        VALUES = 3_000_000, Things, "values of one document", "one of 64 MiB has as many", "it is told as unknown";
        YAML_DEPTH = 100, Things, "nesting of YAML", "real ones nest some twenty deep", "it is told as unknown";
        POD_DEPTH = 32, Things, "depth at which a pod is looked for", "operators nest pods some ten deep", "no pod is found below it";
        STEPS = 200_000, Things, "steps through values of a run, beside those for each byte", "for many small files",
            "the file is told as unknown";
        STEPS_PER_BYTE = 32, Things, "steps through values for each byte of a file", "a document is walked several times",
            "the file is told as unknown";
        CHARACTERS_PER_STEP = 256, Things, "characters of a value that one step looks at", "real values are shorter",
            "a longer value takes so many steps more";
        STARTED = 2 << 20, Bytes, "arguments and variables of one container with references filled in", "Linux' own bound (ARG_MAX)",
            "what follows is not looked at";
        VARIABLE = 16 << 10, Bytes, "one value of a ConfigMap that a variable may take", "no variable for a JVM is longer",
            "what refers to it is not judged";
        BROKEN_DOCUMENTS = 20, Things, "broken documents of one file", "a person mends them one by one", "the rest of the file is told as unknown";
        FAULTS = 1000, Things, "faults of one file", "nobody reads more", "the rest of the file is told as unknown";
    }
    "Rules and explanations" {
        RULE_FILE = 64 << 10, Bytes, "one rule or workload file", "real ones have 5 KiB", "it is refused, with the line";
        RULE_DEPTH = 16, Things, "brackets in one", "real ones have 3", "it is refused, with the line";
        LOG = 64 << 20, Bytes, "log lines from standard input", "a kernel's log has 1 MiB", "they are refused";
        LOG_LINE = 16 << 10, Bytes, "one log line", "journald's lines are shorter", "the rest of the line is not looked at";
        LOG_WORDS = 64, Things, "words before a log line's message", "real prefixes have some ten", "the rest is the message";
        BRACKET_WORDS = 8, Things, "words in a bracket before the message", "real ones have three", "the bracket is part of the message";
    }
    "A peer" {
        ADDRESSES = 16, Things, "addresses of a peer that are asked", "a name has some four", "the rest is counted in the report";
        ANSWER_ADDRESSES = 64, Things, "addresses of one DNS answer", "a name has some four", "the rest is not kept";
        RESOLVER_FILE = 4 << 20, Bytes, "hosts and resolv.conf", "real ones have some KiB", "it is taken for empty";
        PEER_BYTES = 256 << 10, Bytes, "what a peer sends", "a handshake with a long chain of certificates takes 10 KiB",
            "the connection is closed, and the peer is unknown";
        PEER_FRAMES = 32, Things, "frames that a peer sends unasked", "servers send three to five",
            "the connection is closed, and the peer is unknown";
        PEER_SETTINGS = 32, Things, "settings without a known name that are kept of a peer", "servers send two", "the rest is counted";
        CERTIFICATES = 4 << 20, Bytes, "a file of certificates", "a system's own has 200 KiB", "it is refused";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_says_what_why_and_what_then() {
        let rows: Vec<&Bound> = TABLE.iter().flat_map(|(_, rows)| *rows).collect();
        for row in &rows {
            assert!((1..1 << 32).contains(&row.most), "{row:?}");
            let words = [row.what, row.why, row.reached];
            assert!(words.iter().all(|words| words.len() > 4 && !words.ends_with('.')), "{row:?}");
        }
        let mut told: Vec<&str> = rows.iter().map(|row| row.what).collect();
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len(), rows.len(), "each says another thing");
    }

    #[test]
    fn a_number_is_written_with_its_unit() {
        assert_eq!([FILE, PROGRAM, TARGETS].map(|bound| bound.to_string()), ["4 MiB", "4 KiB", "2,000"]);
    }
}
