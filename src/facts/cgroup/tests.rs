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
    super::super::gather(&Files(files), wanted.into_iter().collect(), &mut facts);
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

/// Reads these facts, and what follows from them.
fn read_these(files: &'static [(&'static str, &'static str)], names: &[&'static str]) -> Facts {
    let mut facts = Facts::default();
    super::super::gather(&Files(files), names.iter().copied().collect(), &mut facts);
    super::super::derive(&mut facts);
    facts
}

#[test]
fn time_stood_still_is_microseconds_on_either_version() {
    let names = ["cgroup.cpu.throttled_share", "cgroup.cpu.throttled_usec"];
    let v1 = read_these(
        &[
            (SELF, "1:cpu,cpuacct:/c\n"),
            ("/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "50000\n"),
            ("/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/cpu/c/cpu.stat", "nr_periods 51\nnr_throttled 48\nthrottled_time 2405771206\n"),
        ],
        &names,
    );
    let v2 = read_these(
        &[
            (SELF, "0::/c\n"),
            ("/sys/fs/cgroup/c/cpu.max", "50000 100000\n"),
            (
                "/sys/fs/cgroup/c/cpu.stat",
                "usage_usec 2543190\nuser_usec 2540000\nsystem_usec 3190\nnr_periods 51\nnr_throttled 48\n\
                 throttled_usec 2405771\nnr_bursts 0\nburst_usec 0\n",
            ),
        ],
        &names,
    );
    for facts in [v1, v2] {
        assert_eq!(facts.number("cgroup.cpu.throttled_usec"), Ok(2_405_771));
        assert_eq!(facts.number("cgroup.cpu.periods"), Ok(51));
        assert_eq!(facts.number("cgroup.cpu.throttled_share"), Ok(94));
    }
}

#[test]
fn events_of_memory_are_read_without_a_limit_too() {
    const EVENTS: &str = "low 0\nhigh 812\nmax 3\noom 0\noom_kill 0\noom_group_kill 0\n";
    let names = ["cgroup.memory.events.high", "cgroup.memory.events.max", "cgroup.memory.failcnt"];
    let facts = read_these(
        &[(SELF, "0::/c\n"), ("/sys/fs/cgroup/c/memory.max", "max\n"), ("/sys/fs/cgroup/c/memory.events", EVENTS)],
        &names,
    );
    assert_eq!(facts.number("cgroup.memory.events.high"), Ok(812));
    assert_eq!(facts.number("cgroup.memory.events.max"), Ok(3));
    assert_eq!(facts.value("cgroup.memory.failcnt").unwrap_err().cause, Cause::Absent);
    let facts = read_these(
        &[
            (SELF, "4:memory:/c\n"),
            ("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "268435456\n"),
            ("/sys/fs/cgroup/memory/c/memory.failcnt", "77\n"),
        ],
        &names,
    );
    assert_eq!(facts.number("cgroup.memory.failcnt"), Ok(77));
    assert_eq!(facts.value("cgroup.memory.events.high").unwrap_err().cause, Cause::Absent);
}

#[test]
fn pressure_is_that_of_the_own_cgroup_of_version_2() {
    const NAME: &str = "cgroup.pressure.cpu.full.avg10";
    const PSI: &str =
        "some avg10=91.20 avg60=60.00 avg300=9.00 total=9\nfull avg10=88.71 avg60=50.00 avg300=8.00 total=8\n";
    let own = [
        (SELF, "2:memory:/m\n0::/u\n"),
        ("/sys/fs/cgroup/unified", ""),
        ("/sys/fs/cgroup/unified/cgroup.controllers", ""),
        ("/sys/fs/cgroup/unified/u/cpu.pressure", PSI),
    ];
    let facts = read_these(Box::leak(Box::new(own)), &[NAME, "cgroup.pressure.io.some.total"]);
    assert_eq!(facts.number(NAME), Ok(88));
    let off = facts.value("cgroup.pressure.io.some.total").unwrap_err();
    assert!(off.cause == Cause::Absent && off.why.contains("psi=1"), "{off}");
    let v1 = read_these(&[(SELF, "2:memory:/m\n0::/\n")], &[NAME]);
    assert_eq!(v1.value(NAME).unwrap_err(), Gap::new(Cause::Absent, "cgroup version 1 keeps no PSI"));
    let hidden = read_these(&[(SELF, "0::/\n")], &[NAME]);
    assert_eq!(hidden.value(NAME).unwrap_err().cause, Cause::NotVisibleHere);
}

#[test]
fn the_path_of_a_pod_tells_its_class() {
    let class = |path: &str| qos(path).map(|value| value.plain());
    assert_eq!(class("/kubepods/besteffort/pod1-2/abc"), Ok("besteffort".into()));
    assert_eq!(
        class("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-abc.scope"),
        Ok("burstable".into())
    );
    assert_eq!(class("/kubepods.slice/kubepods-pod1.slice/cri-containerd-abc.scope"), Ok("guaranteed".into()));
    assert_eq!(class("/kubepods/pod1-2/abc"), Ok("guaranteed".into()));
    for other in ["/", "", "/system.slice/ssh.service", "/docker/abc"] {
        assert!(qos(other).is_err(), "{other}");
    }
}

const PSI: &str =
    "some avg10=91.20 avg60=60.00 avg300=9.00 total=9\nfull avg10=88.71 avg60=50.00 avg300=8.00 total=8\n";

#[test]
fn the_pressure_of_the_root_cgroup_is_that_of_the_host_and_not_told_as_a_groups() {
    const NAME: &str = "cgroup.pressure.cpu.some.share";
    const ROOT_OF_ALL: [(&str, &str); 3] =
        [(SELF, "0::/\n"), ("/sys/fs/cgroup/cgroup.controllers", "cpu"), ("/sys/fs/cgroup/cpu.pressure", PSI)];
    let gap = read_these(&ROOT_OF_ALL, &[NAME]).value(NAME).unwrap_err();
    assert!(gap.cause == Cause::Absent && gap.why.contains("root cgroup"), "{gap}");
    // In a cgroup namespace every group that is its root has the path `/`.
    let [own, controllers, pressure] = ROOT_OF_ALL;
    let inside = [own, controllers, pressure, ("/sys/fs/cgroup/cgroup.events", "populated 1\n")];
    let facts = read_these(Box::leak(Box::new(inside)), &[NAME]);
    assert_eq!(facts.number("cgroup.pressure.cpu.some.total"), Ok(9));
    assert!(facts.value(NAME).unwrap_err().why.contains("second reading"));
}

#[test]
fn forks_refused_are_counted_where_the_kernel_counts_them() {
    let refused = |files| read_these(files, &["cgroup.pids.refused"]).number("cgroup.pids.refused");
    // The limit is that of the parent, and the child forked.
    let v1 = refused(&[
        (SELF, "5:pids:/a/b\n"),
        ("/sys/fs/cgroup/pids/a/pids.max", "20\n"),
        ("/sys/fs/cgroup/pids/a/pids.events", "max 0\n"),
        ("/sys/fs/cgroup/pids/a/b/pids.max", "max\n"),
        ("/sys/fs/cgroup/pids/a/b/pids.events", "max 2\n"),
    ]);
    assert_eq!(v1, Ok(2));
    let before_6_11 = refused(&[
        (SELF, "0::/a/b\n"),
        ("/sys/fs/cgroup/a/pids.max", "20\n"),
        ("/sys/fs/cgroup/a/pids.events", "max 0\n"),
        ("/sys/fs/cgroup/a/b/pids.max", "max\n"),
        ("/sys/fs/cgroup/a/b/pids.events", "max 2\n"),
    ]);
    assert_eq!(before_6_11, Ok(2));
    // Three at the own limit, which the parent's pids.events contains, two at the parent's.
    let since_6_11 = refused(&[
        (SELF, "0::/a/b\n"),
        ("/sys/fs/cgroup/a/pids.max", "20\n"),
        ("/sys/fs/cgroup/a/pids.events", "max 5\n"),
        ("/sys/fs/cgroup/a/pids.events.local", "max 2\n"),
        ("/sys/fs/cgroup/a/b/pids.max", "10\n"),
        ("/sys/fs/cgroup/a/b/pids.events", "max 3\n"),
        ("/sys/fs/cgroup/a/b/pids.events.local", "max 3\n"),
    ]);
    assert_eq!(since_6_11, Ok(5));
}

#[test]
fn events_of_memory_are_those_of_one_group_whichever_limit_is_nearest_to_being_reached() {
    const FILES: [(&str, &str); 7] = [
        (SELF, "0::/a/b\n"),
        ("/sys/fs/cgroup/a/memory.max", "1000"),
        ("/sys/fs/cgroup/a/memory.events", "max 9000\noom_kill 70\n"),
        ("/sys/fs/cgroup/a/memory.current", "990"),
        ("/sys/fs/cgroup/a/b/memory.max", "500"),
        ("/sys/fs/cgroup/a/b/memory.events", "max 3\noom_kill 1\n"),
        ("/sys/fs/cgroup/a/b/memory.current", "100"),
    ];
    let names = ["cgroup.memory.oom_kills", "cgroup.memory.events.max"];
    let mut other = FILES;
    other[6].1 = "499";
    for (files, limit) in [(FILES, 1000), (other, 500)] {
        let facts = read_these(Box::leak(Box::new(files)), &names);
        assert_eq!(facts.number("cgroup.memory.limit"), Ok(limit));
        assert_eq!(names.map(|name| facts.number(name)), [Ok(1), Ok(3)]);
    }
}

#[test]
fn every_group_with_a_quota_is_kept_and_the_one_throttled_most_is_told() {
    let facts = read_these(
        &[
            (SELF, "0::/a/b/c\n"),
            ("/sys/fs/cgroup/a/cpu.max", "100000 100000\n"),
            ("/sys/fs/cgroup/a/cpu.stat", "nr_periods 17\nnr_throttled 17\nthrottled_usec 5\n"),
            ("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/a/b/c/cpu.max", "50000 100000\n"),
            ("/sys/fs/cgroup/a/b/c/cpu.stat", "nr_periods 100\nnr_throttled 91\nthrottled_usec 7\n"),
        ],
        &["cgroup.cpu.throttled_share"],
    );
    assert_eq!(facts.number("cgroup.cpu[0].throttled"), Ok(91));
    assert_eq!(facts.number("cgroup.cpu[2].throttled"), Ok(17));
    assert_eq!(facts.number("cgroup.cpu.limit"), Ok(1000));
    assert_eq!(facts.get("cgroup.cpu.limit").unwrap().source, "/sys/fs/cgroup/a");
    assert_eq!(facts.number("cgroup.cpu.throttled_share"), Ok(100));
}

/// A process that is seen from another cgroup namespace.
struct Another(Files);

impl Host for Another {
    fn ask(&self, query: Query<'_>) -> Answer {
        self.0.ask(query)
    }

    fn source(&self) -> String {
        String::new()
    }

    fn process(&self) -> Option<String> {
        Some("812 java".to_owned())
    }
}

#[test]
fn the_readers_own_limits_are_not_told_of_another_process() {
    const FILES: &[(&str, &str)] =
        &[(SELF, "0::/../victim\n"), ("/sys/fs/cgroup/memory.max", "1000"), ("/sys/fs/cgroup/memory.current", "10")];
    let wanted = || ["cgroup.memory.limit"].into();
    let mut facts = Facts::default();
    super::super::gather(&Another(Files(FILES)), wanted(), &mut facts);
    assert_eq!(facts.value("cgroup.memory.limit").unwrap_err().cause, Cause::NotVisibleHere);
    let mut facts = Facts::default();
    super::super::gather(&Files(FILES), wanted(), &mut facts);
    assert_eq!(facts.number("cgroup.memory.limit"), Ok(1000), "of itself it is the best that can be seen");
}

#[test]
fn the_lowest_mark_of_memory_high_counts_wherever_it_is_set() {
    const FACTS: [&str; 3] = ["cgroup.memory.high", "cgroup.memory.high_working_set", "cgroup.memory.sock"];
    let marked = read_these(
        &[
            (SELF, "0::/a/b\n"),
            ("/sys/fs/cgroup/cgroup.controllers", ""),
            ("/sys/fs/cgroup/a/memory.high", "1000"),
            ("/sys/fs/cgroup/a/memory.current", "900"),
            ("/sys/fs/cgroup/a/memory.stat", "sock 1\ninactive_file 300\n"),
            ("/sys/fs/cgroup/a/b/memory.high", "max"),
            ("/sys/fs/cgroup/a/b/memory.stat", "sock 40\n"),
        ],
        &FACTS,
    );
    assert_eq!(FACTS.map(|name| marked.number(name)), [Ok(1000), Ok(600), Ok(40)]);
    let unmarked = read_these(&[(SELF, "0::/a\n"), ("/sys/fs/cgroup/cgroup.controllers", "")], &FACTS);
    assert_eq!(FACTS.map(|name| unmarked.value(name).unwrap_err().cause), [Cause::Absent; 3]);
}
