//! The options of runtimes that an audit asks about: a closed list, and values that can only be numbers or switches.

use super::super::{Answer, Ask, Host, Live, Query, Refusal};
use super::{beginning, nginx, servers};
use crate::model::bounds;
use crate::model::java;

/// One runtime's options.
struct Runtime {
    /// The word to ask by.
    name: &'static str,
    /// Options of a command line, or of the variables below, that a number follows at once.
    numbers: &'static [&'static str],
    /// Options whose value is one of these words: told as a switch of that name, and any other as `other`.
    choice: (&'static [&'static str], &'static [&'static str]),
    /// Options that name a file with further options.
    files: &'static [&'static str],
    /// Names of switches of the JVM, `-XX:+NAME` and `-XX:-NAME`.
    switches: &'static [&'static str],
    /// Variables that hold options, and whether they act before the command line: the later one wins.
    holders: &'static [(&'static str, bool)],
    /// Variables that hold one number.
    variables: &'static [&'static str],
    /// Whether options end where the name of a program begins.
    ends: bool,
}

const NONE: Runtime = Runtime {
    name: "",
    numbers: &[],
    choice: (&[], &[]),
    files: &[],
    switches: &[],
    holders: &[],
    variables: &[],
    ends: false,
};

const RUNTIMES: &[Runtime] = &[
    Runtime {
        name: "jvm",
        numbers: &[
            "-Xmx",
            "-Xms",
            "-XX:MaxHeapSize=",
            "-XX:InitialHeapSize=",
            "-XX:MaxRAM=",
            "-XX:MaxRAMPercentage=",
            "-XX:MinRAMPercentage=",
            "-XX:MaxRAMFraction=",
            "-XX:MaxGCPauseMillis=",
            "-XX:ActiveProcessorCount=",
            "-Dio.netty.eventLoopThreads=",
            "-Dreactor.netty.ioWorkerCount=",
        ],
        switches: &[
            "UseContainerSupport",
            "UseSerialGC",
            "UseParallelGC",
            "UseG1GC",
            "UseZGC",
            "UseShenandoahGC",
            "UseEpsilonGC",
            "UseConcMarkSweepGC",
        ],
        holders: &[("JAVA_TOOL_OPTIONS", true), ("JDK_JAVA_OPTIONS", true), ("_JAVA_OPTIONS", false)],
        ends: true,
        ..NONE
    },
    Runtime {
        name: "node",
        numbers: &["--max-old-space-size="],
        holders: &[("NODE_OPTIONS", true)],
        variables: &["UV_THREADPOOL_SIZE"],
        ends: true,
        ..NONE
    },
    Runtime {
        name: "go",
        numbers: &["containermaxprocs="],
        holders: &[("GODEBUG", true)],
        variables: &["GOMAXPROCS"],
        ..NONE
    },
    Runtime {
        name: "gunicorn",
        numbers: &[
            "--workers=",
            "--workers ",
            "-w ",
            "--threads=",
            "--threads ",
            "--worker-connections=",
            "--worker-connections ",
        ],
        choice: (
            &["-k ", "--worker-class=", "--worker-class "],
            &["sync", "gthread", "gevent", "eventlet", "uvicorn.workers.UvicornWorker"],
        ),
        files: &["-c ", "--config=", "--config "],
        holders: &[("GUNICORN_CMD_ARGS", true)],
        variables: &["WEB_CONCURRENCY"],
        ..NONE
    },
    Runtime {
        name: "uvicorn",
        numbers: &["--workers=", "--workers ", "--limit-concurrency=", "--limit-concurrency "],
        variables: &["WEB_CONCURRENCY"],
        ..NONE
    },
    Runtime { name: "tokio", variables: &["TOKIO_WORKER_THREADS"], ..NONE },
    Runtime { name: "envoy", numbers: &["--concurrency=", "--concurrency "], ..NONE },
];

/// Options of `node` whose value is the next word.
const OF_NODE: &[&str] = &[
    "-e",
    "--eval",
    "--print",
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-C",
    "--conditions",
    "--env-file",
    "--inspect-port",
    "--icu-data-dir",
    "--openssl-config",
    "--title",
];

/// `WHERE OPTION VALUE`, a line each, in the order in which they take effect, see [`super::super::Ask::Options`].
pub(in super::super) fn answer(pid: u32, name: &str) -> Answer {
    if name == "nginx" {
        return nginx::answer(pid);
    }
    if servers::are_known(name) {
        return servers::answer(pid, name);
    }
    let Some(runtime) = RUNTIMES.iter().find(|runtime| runtime.name == name) else {
        return Err(Refusal::Unsupported(format!("no option of {name} is asked about")));
    };
    let words = beginning(&format!("/proc/{pid}/cmdline"), bounds::COMMAND_LINE.most)?;
    let environ = beginning(&format!("/proc/{pid}/environ"), bounds::COMMAND_LINE.most);
    let whole = |bytes: &Vec<u8>| bytes.len() < bounds::COMMAND_LINE.count();
    let mut lines = runtime.lines(&words, environ.ok().filter(whole).as_deref());
    if !whole(&words) {
        lines.push_str("arg unread ?\n");
    }
    // It takes this file from the folder in which it was started, without being told.
    let conf = format!("/proc/{pid}/cwd/gunicorn.conf.py");
    let may_be =
        || Live.ask(Query { ask: Ask::Exists, of: &conf }).map_or_else(|refusal| !refusal.is_absent(), |_| true);
    if name == "gunicorn" && may_be() {
        line(&mut lines, "conf", "include", "?");
    }
    Ok(lines.into_bytes())
}

impl Runtime {
    fn lines(&self, words: &[u8], environ: Option<&[u8]>) -> String {
        let mut lines = String::new();
        let variable = |name: &str| {
            let mut all = environ.unwrap_or_default().split(|&byte| byte == 0);
            all.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
        };
        let held = |lines: &mut String, before: bool| {
            for (holder, _) in self.holders.iter().filter(|(_, first)| *first == before) {
                let text = String::from_utf8_lossy(variable(holder).unwrap_or_default()).into_owned();
                // Quotes keep blanks together, and no option asked about has any. GODEBUG has commas.
                let apart = |c: char| c.is_whitespace() || (c == ',' && *holder == "GODEBUG");
                let words = text.split(apart).map(|word| word.trim_matches(['"', '\'']).to_owned());
                self.pick(lines, holder, words);
            }
        };
        if environ.is_none() {
            lines.push_str("environ unread ?\n");
        }
        held(&mut lines, true);
        self.command_line(&mut lines, words);
        held(&mut lines, false);
        for name in self.variables {
            if let Some(value) = variable(name) {
                line(&mut lines, "environ", name, &String::from_utf8_lossy(value));
            }
        }
        lines
    }

    fn command_line(&self, lines: &mut String, bytes: &[u8]) {
        let mut words: Vec<String> =
            bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        words.truncate(words.iter().rposition(|word| !word.is_empty()).map_or(0, |last| last + 1));
        // A program that writes a title over its arguments leaves one word with blanks.
        if self.ends && words.len() == 1 && words.iter().any(|word| word.contains(' ')) {
            lines.push_str("arg unread ?\n");
            return;
        }
        let mut rest = words.into_iter().skip(1).peekable();
        let mut own = Vec::new();
        while let Some(word) = rest.next() {
            if self.ends && [&java::WITH_VALUE, OF_NODE].iter().any(|options| options.contains(&word.as_str())) {
                rest.next();
                continue;
            }
            if self.ends
                && (word == "--"
                    || word == "-jar"
                    || word == "-m"
                    || word == "--module"
                    || !word.starts_with(['-', '@']))
            {
                break;
            }
            own.push(word);
        }
        self.pick(lines, "arg", own.into_iter());
    }

    /// The words, an option and a value that follows it as one.
    fn joined(&self, words: impl Iterator<Item = String>) -> Vec<String> {
        let takes = |word: &str| {
            let mut options = self.numbers.iter().chain(self.choice.0).chain(self.files);
            options.any(|option| option.strip_suffix(' ') == Some(word))
        };
        let mut joined = Vec::new();
        let mut words = words;
        while let Some(word) = words.next() {
            joined.push(if takes(&word) { format!("{word} {}", words.next().unwrap_or_default()) } else { word });
        }
        joined
    }

    fn pick(&self, lines: &mut String, place: &str, words: impl Iterator<Item = String>) {
        for word in self.joined(words) {
            if self.files.iter().any(|option| word.starts_with(option)) {
                line(lines, place, "include", "?");
            }
            if let Some(value) = self.choice.0.iter().find_map(|option| word.strip_prefix(option)) {
                let known = self.choice.1.iter().find(|known| **known == value);
                line(lines, place, known.copied().unwrap_or("other"), "on");
            }
            if self.name == "jvm"
                && (word.starts_with('@') || word.starts_with("-XX:Flags=") || word.starts_with("-XX:VMOptionsFile="))
            {
                line(lines, place, "file", "?");
            }
            // V8 takes both.
            let word = match self.name {
                "node" if word.starts_with("--max_old_space_size=") => word.replace('_', "-"),
                _ => word,
            };
            if let Some((option, value)) =
                self.numbers.iter().find_map(|option| Some((option, word.strip_prefix(option)?)))
            {
                line(lines, place, option.trim_end_matches(['=', ' ']), value);
            }
            let switch = word.strip_prefix("-XX:").and_then(|rest| {
                let name = rest.strip_prefix('+').or_else(|| rest.strip_prefix('-'))?;
                Some((self.switches.iter().find(|switch| **switch == name)?, rest.starts_with('+')))
            });
            if let Some((name, on)) = switch {
                line(lines, place, name, if on { "on" } else { "off" });
            }
        }
    }
}

/// One line. Of a value that is no number with at most a unit behind it nothing is told.
pub(super) fn line(lines: &mut String, place: &str, option: &str, value: &str) {
    let digits = value.trim_end_matches(|c: char| "kKmMgGtT".contains(c));
    let plain = !digits.is_empty()
        && value.len() <= 20
        && value.len() - digits.len() <= 1
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    let value = if plain || ["on", "off", "auto"].contains(&value) { value } else { "?" };
    lines.push_str(&format!("{place} {option} {value}\n"));
}

/// Takes any bytes as the command line and the environment of each runtime: what is told of them are numbers and switches.
#[cfg(fuzzing)]
pub(super) fn any(bytes: &[u8]) {
    let (words, environ) = bytes.split_at(bytes.len() / 2);
    for runtime in RUNTIMES {
        for environ in [None, Some(environ)] {
            for told in runtime.lines(words, environ).lines() {
                assert!(told.rsplit(' ').next().is_none_or(|value| value.len() <= 20), "{told}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(name: &str, words: &[&str], environ: &[&str]) -> String {
        let runtime = RUNTIMES.iter().find(|runtime| runtime.name == name).unwrap();
        let joined = |all: &[&str]| all.iter().flat_map(|word| [word.as_bytes(), &[0]].concat()).collect::<Vec<u8>>();
        runtime.lines(&joined(words), Some(&joined(environ)))
    }

    #[test]
    fn the_options_of_a_jvm_end_where_its_program_begins() {
        let words =
            ["java", "-cp", "/x/-Xmx9g", "-Xms1g", "-XX:+UseG1GC", "-XX:MaxRAMPercentage=75.0", "Main", "-Xmx2g"];
        assert_eq!(lines("jvm", &words, &[]), "arg -Xms 1g\narg UseG1GC on\narg -XX:MaxRAMPercentage 75.0\n");
        assert_eq!(lines("jvm", &["java", "-Xmx1g", "-jar", "a.jar", "-Xmx2g"], &[]), "arg -Xmx 1g\n");
        assert_eq!(lines("jvm", &["java", "@opts", "-XX:Flags=/f", "X"], &[]), "arg file ?\narg file ?\n");
    }

    #[test]
    fn variables_come_in_the_order_in_which_they_take_effect() {
        let environ = ["_JAVA_OPTIONS=-Xmx3g", "JAVA_TOOL_OPTIONS=-Xmx1g '-XX:-UseContainerSupport'", "X=-Xmx9g"];
        assert_eq!(
            lines("jvm", &["java", "-Xmx2g", "Main"], &environ),
            "JAVA_TOOL_OPTIONS -Xmx 1g\nJAVA_TOOL_OPTIONS UseContainerSupport off\narg -Xmx 2g\n_JAVA_OPTIONS -Xmx 3g\n"
        );
        assert_eq!(
            lines("node", &["node", "--max_old_space_size=300", "a.js"], &["NODE_OPTIONS=--max-old-space-size=200"]),
            "NODE_OPTIONS --max-old-space-size 200\narg --max-old-space-size 300\n"
        );
        let go = lines("go", &["x"], &["GODEBUG=gctrace=1,containermaxprocs=0", "GOMAXPROCS=4"]);
        assert_eq!(go, "GODEBUG containermaxprocs 0\nenviron GOMAXPROCS 4\n");
        let words = &["node", "-e", "x()", "--max-old-space-size=9", "--", "--max-old-space-size=1"];
        assert_eq!(lines("node", words, &[]), "arg --max-old-space-size 9\n");
        assert_eq!(lines("envoy", &["envoy", "-c", "x", "--concurrency", "4"], &[]), "arg --concurrency 4\n");
    }

    #[test]
    fn nothing_but_what_was_asked_for_is_told() {
        let words = ["java", "-Dpassword=hunter2", "-Xmxhunter2", "-XX:MaxRAMPercentage=75hunter2", "-jar", "hunter2"];
        let environ = ["API_KEY=hunter2", "JAVA_TOOL_OPTIONS=-Dtoken=hunter2 -Xms1g", "GOMAXPROCS=hunter2"];
        assert_eq!(
            lines("jvm", &words, &environ),
            "JAVA_TOOL_OPTIONS -Xms 1g\narg -Xmx ?\narg -XX:MaxRAMPercentage ?\n"
        );
        assert_eq!(lines("go", &words, &environ), "environ GOMAXPROCS ?\n");
        assert!(answer(std::process::id(), "API_KEY").is_err());
    }

    #[test]
    fn what_a_program_wrote_over_its_arguments_is_not_read_as_arguments() {
        assert_eq!(lines("node", &["my app --max-old-space-size=1"], &[]), "arg unread ?\n");
        let go = RUNTIMES.iter().find(|runtime| runtime.name == "go").unwrap();
        assert_eq!(go.lines(b"x\0", None), "environ unread ?\n");
    }
}
