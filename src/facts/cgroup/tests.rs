use super::*;
use crate::host::{Answer, Host, Query, Refusal};
use crate::model::facts::Facts;

struct Files(&'static [(&'static str, &'static str)]);

impl Host for Files {
    fn ask(&self, query: Query<'_>) -> Answer {
        let file = self.0.iter().find(|(path, _)| *path == query.of);
        file.map(|(_, text)| text.as_bytes().to_vec()).ok_or(Refusal::Errno(2))
    }

    fn source(&self) -> String {
        String::new()
    }
}

fn read(files: &'static [(&'static str, &'static str)]) -> Facts {
    let mut facts = Facts::default();
    let wanted = ["cgroup.cpu.limit", "cgroup.memory.limit", "cgroup.pids.limit"];
    super::super::gather(&Files(files), wanted.into_iter().map(Into::into).collect(), &mut facts);
    facts
}

#[test]
fn the_limit_nearest_to_being_reached_binds_not_the_least() {
    let facts = read(&[
        (SELF, "0::/a/b\n"),
        ("/sys/fs/cgroup/cgroup.controllers", ""),
        ("/sys/fs/cgroup/a/memory.max", "1000"),
        ("/sys/fs/cgroup/a/memory.current", "990"),
        ("/sys/fs/cgroup/a/b/memory.max", "500"),
        ("/sys/fs/cgroup/a/b/memory.current", "100"),
        ("/sys/fs/cgroup/a/b/cpu.max", "lots 100000"),
    ]);
    assert_eq!(facts.number("cgroup.memory.limit"), Ok(1000));
    assert_eq!(facts.get("cgroup.memory.working_set").unwrap().source, "/sys/fs/cgroup/a");
    assert_eq!(facts.value("cgroup.pids.limit"), Ok(&Value::Unlimited));
    assert_eq!(facts.value("cgroup.cpu.limit").unwrap_err().cause, Cause::Unparsable);
}

#[test]
fn a_controller_of_version_2_beside_version_1_lies_below_unified() {
    let facts = read(&[
        (SELF, "2:memory:/m\n0::/u\n"),
        ("/sys/fs/cgroup/unified", ""),
        ("/sys/fs/cgroup/unified/u/pids.max", "64"),
        ("/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "4096"),
    ]);
    assert_eq!(facts.number("cgroup.pids.limit"), Ok(64));
    assert_eq!(facts.number("cgroup.memory.limit"), Ok(4096));
}

#[test]
fn limits_that_no_mount_shows_exist_all_the_same() {
    let facts = read(&[(SELF, "0::/\n")]);
    assert_eq!(facts.value("cgroup.memory.limit").unwrap_err().cause, Cause::NotVisibleHere);
}
