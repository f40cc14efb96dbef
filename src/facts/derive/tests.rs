use super::*;

#[test]
fn what_a_proc_of_processes_only_lacks_is_hidden_not_absent() {
    let mut facts = Facts::default();
    facts.put("namespace.pid.init", Ok(Value::Number(1)), "");
    for name in ["sysctl.net.core.somaxconn", "conntrack.count"] {
        facts.put(name, Err(Gap::new(Cause::Absent, "/proc/sys/net/x does not exist")), "");
    }
    for _ in 0..2 {
        derive(&mut facts);
        let gap = facts.value("conntrack.count").unwrap_err();
        assert_eq!(gap, Gap::new(Cause::NotVisibleHere, PROCESSES_ONLY));
    }
}
