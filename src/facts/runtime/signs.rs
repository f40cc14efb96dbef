//! What a process is made of, as the host says it.

use super::absent;
use crate::model::fact::{Cause, Gap, Reading, Value};

/// The answer to [`crate::host::Ask::Runtime`].
pub(super) struct Signs(String);

impl Signs {
    pub(super) fn parse(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(super) fn has(&self, line: &str) -> bool {
        self.0.lines().any(|other| other == line)
    }

    pub(super) fn after(&self, start: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(start))
    }

    pub(super) fn threads(&self, kind: &str) -> i128 {
        self.after(&format!("thread {kind} ")).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// The runtime: what is mapped or built in says more than a name.
    pub(super) fn name(&self) -> &'static str {
        let exe = self.after("exe ").unwrap_or_default();
        let exe = exe.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        if self.has("lib j9") {
            return "openj9";
        }
        if self.has("lib jvm") || self.threads("jvm") > 0 {
            return "jvm";
        }
        if self.after("go ").is_some() {
            return "go";
        }
        if self.has("lib coreclr") {
            return "dotnet";
        }
        if let Some(server) = ["gunicorn", "uvicorn"].into_iter().find(|server| self.after("server ") == Some(*server))
        {
            return server;
        }
        match exe {
            "java" => "jvm",
            "haproxy" => "haproxy",
            "redis-server" | "valkey-server" | "redis-check-rdb" | "valkey-check-rdb" => "redis",
            "postgres" => "postgres",
            "pgbouncer" => "pgbouncer",
            "php-fpm" => "php-fpm",
            "dotnet" => "dotnet",
            "node" | "nodejs" => "node",
            "python" | "pypy" => "python",
            "nginx" => "nginx",
            "envoy" => "envoy",
            _ if self.threads("envoy") > 0 => "envoy",
            _ if self.threads("tokio") > 0 => "tokio",
            _ if self.has("rustc") => "rust",
            _ => "other",
        }
    }

    pub(super) fn version(&self) -> Reading {
        match self.after("go ") {
            Some("?") => Err(Gap::new(Cause::Unsupported, "its build information is stripped, or older than Go 1.18")),
            Some(version) => Ok(Value::Text(version.to_owned())),
            None => Err(absent("only of Go programs the release is known")),
        }
    }

    /// Serial has no thread of its own; Parallel has workers and nothing else. The JVM's own data, if it keeps any, says it
    /// outright.
    pub(super) fn collector(&self) -> Reading {
        const NAMES: [(&str, &str); 5] =
            [("serial", "Serial"), ("parallel", "Parallel"), ("g1", "G1"), ("z", "Z"), ("shenandoah", "Shenandoah")];
        let own = self.after("perf collector ");
        if let Some((_, name)) = NAMES.iter().find(|(word, _)| own == Some(*word)) {
            return Ok(Value::Text((*name).to_owned()));
        }
        let collectors = [("g1", "G1"), ("z", "Z"), ("shenandoah", "Shenandoah"), ("gc", "Parallel")];
        let found = collectors.iter().find(|(kind, _)| self.threads(kind) > 0).map(|(_, name)| *name);
        match found {
            Some(name) => Ok(Value::Text(name.to_owned())),
            None if self.threads("jvm") > 0 => Ok(Value::Text("Serial".to_owned())),
            None => Err(Gap::new(Cause::Unsupported, "its threads have no names that tell")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(lines: &str) -> &'static str {
        Signs(lines.to_owned()).name()
    }

    #[test]
    fn what_is_built_in_says_more_than_the_name() {
        assert_eq!(named("exe java\nthreads 12\nthread jvm 1\n"), "jvm");
        assert_eq!(named("exe launcher\nlib jvm\n"), "jvm");
        assert_eq!(named("exe java\nlib j9\nlib jvm\n"), "openj9");
        assert_eq!(named("exe node\ngo 1.22\n"), "go");
        assert_eq!(named("exe python3.11\n"), "python");
        assert_eq!(named("exe gateway\nrustc\nthreads 3\nthread tokio 2\n"), "tokio");
        assert_eq!(named("exe gateway\nrustc\nthreads 1\n"), "rust");
        assert_eq!(named("exe sleep\nthreads 1\n"), "other");
        assert_eq!(named(""), "other");
    }

    #[test]
    fn threads_tell_the_collector() {
        let collector = |lines: &str| Signs(lines.to_owned()).collector().map(|value| value.plain());
        assert_eq!(collector("thread g1 4\nthread gc 1\nthread jvm 1\n"), Ok("G1".into()));
        assert_eq!(collector("thread gc 2\nthread jvm 1\n"), Ok("Parallel".into()));
        assert_eq!(collector("thread jvm 1\n"), Ok("Serial".into()));
        assert!(collector("exe java\n").is_err());
    }
}
