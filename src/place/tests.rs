use super::*;

fn facts(init_net: bool, init_pid: bool, more: &[(&'static str, Value)]) -> Facts {
    let mut facts = Facts::default();
    for name in HOST_ONLY {
        let reading = if init_net { Ok(Value::Number(1)) } else { Err(Gap::new(Cause::Absent, "")) };
        facts.put(name, reading, "");
    }
    facts.put("sysctl.net.core.somaxconn", Ok(Value::Number(4096)), "");
    facts.put("namespace.pid.init", Ok(Value::Number(i128::from(init_pid))), "");
    for (name, value) in more {
        facts.put(*name, Ok(value.clone()), "");
    }
    facts
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

const YES: Value = Value::Number(1);

#[test]
fn a_left_over_marker_makes_no_container() {
    let place = of(&facts(true, true, &[("sign.dockerenv", YES), ("cgroup.path", text("/process_api/37d6"))]));
    assert_eq!(place.kind, Kind::Host);
    assert!(place.because.iter().any(|clause| clause.contains("left over")));
}

#[test]
fn a_bare_runc_container_is_found_by_its_namespaces() {
    let place = of(&facts(false, false, &[("sign.procsys_readonly", YES), ("cgroup.path", text("/t1"))]));
    assert_eq!((place.kind, place.runtime, place.writable), (Kind::Container, None, Writable::ReadOnly));
}

#[test]
fn a_pod_is_found_without_token_or_variable() {
    let cgroup = text("/kubepods/burstable/pod1f/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    assert_eq!(of(&facts(false, false, &[("cgroup.path", cgroup.clone())])).kind, Kind::Pod);
    let host_network = of(&facts(true, true, &[("cgroup.path", cgroup)]));
    assert_eq!((host_network.kind, host_network.node), (Kind::HostNetworkPod, true));
    let mounted = text("/var/lib/kubelet/pods/1f/etc-hosts");
    assert_eq!(of(&facts(false, false, &[("sign.mount", mounted), ("cgroup.path", text("/"))])).kind, Kind::Pod);
}

#[test]
fn a_pod_is_found_by_any_of_its_files_and_on_a_file_system_of_the_kubelet() {
    for files in
        ["/etc/hostname\n/var/lib/kubelet/pods/1f/etc-hosts", "/pods/0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f/etc-hosts"]
    {
        let place = of(&facts(false, false, &[("sign.mount", text(files)), ("cgroup.path", text("/"))]));
        assert_eq!((place.kind, place.runtime.as_deref()), (Kind::Pod, Some("kubelet")), "{files}");
    }
    assert!(!of_kubelet("/pods/web/etc-hosts"));
}

#[test]
fn units_of_the_host_that_are_named_like_containers_are_none() {
    let id = "0123456789abcdef".repeat(4);
    for path in ["/system.slice/docker-compose@web.service", &format!("/machine.slice/libpod-conmon-{id}.scope")] {
        assert_eq!(of_cgroup(path), None, "{path}");
    }
    for (path, runtime) in [
        (format!("/system.slice/docker-{id}.scope"), "docker"),
        (format!("/docker/{id}"), "docker"),
        (format!("/libpod_parent/libpod-{id}"), "podman"),
        (format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"), "containerd"),
        (format!("/kubepods/burstable/pod1/{id}"), "kubelet"),
    ] {
        assert_eq!(of_cgroup(&path), Some(runtime), "{path}");
    }
}

#[test]
fn a_unit_is_the_service_at_the_end_that_serves_itself() {
    assert_eq!(service_of("/system.slice/nginx.service").as_deref(), Some("nginx.service"));
    for path in ["/user.slice/user@1000.service/app.slice/x.scope", "/system.slice/ssh.service", "/a.service/b"] {
        assert_eq!(service_of(path), None, "{path}");
    }
}

#[test]
fn a_proc_of_processes_only_says_nothing_of_the_network_namespace() {
    let mut facts = facts(false, true, &[]);
    for name in ["sysctl.net.core.somaxconn", "conntrack.count"] {
        let why = "/proc/sys/net/x does not exist";
        facts.put(name, Err(Gap::new(Cause::Absent, why)), "");
    }
    let place = of(&facts);
    assert_eq!((place.kind, place.netns), (Kind::Unknown, Netns::Unknown));
    facts.put("sysctl.net.ipv4.tcp_fin_timeout", Ok(Value::Number(60)), "");
    assert_eq!(of(&facts).netns, Netns::Child);
}

#[test]
fn a_variable_alone_makes_no_pod() {
    assert_eq!(of(&facts(true, true, &[("sign.kubernetes_env", YES)])).kind, Kind::Host);
    assert_eq!(of(&facts(false, true, &[("sign.kubernetes_env", YES)])).kind, Kind::Namespace);
}

#[test]
fn a_node_that_cannot_be_told_is_a_gap() {
    let mut known = facts(true, true, &[]);
    known.put("sign.kubelet", Err(Gap::new(Cause::Denied, "")), "");
    let place = of(&known);
    describe(&place, &mut known);
    assert_eq!(known.value("kubernetes.node").map_err(|gap| gap.cause), Err(Cause::Denied));
    known.put("sign.kubelet", Ok(YES), "");
    describe(&of(&known.clone()), &mut known);
    assert!(known.holds("kubernetes.node"));
}

#[test]
fn nothing_known_is_unknown() {
    let place = of(&Facts::default());
    assert_eq!((place.kind, place.netns, place.writable), (Kind::Unknown, Netns::Unknown, Writable::Unknown));
}

#[test]
fn a_marker_that_was_left_behind_makes_no_container_of_a_pid_namespace() {
    let mut facts = facts(false, false, &[("sign.dockerenv", YES), ("sign.containerenv", YES)]);
    assert_eq!(of(&facts).kind, Kind::Namespace);
    // A runtime mounts files of its own into a container, wherever it keeps them.
    facts.put("sign.mount", Ok(text("/data/engine/containers/0a/hosts")), "");
    assert_eq!((of(&facts).kind, of(&facts).runtime.as_deref()), (Kind::Container, Some("podman")));
}

#[test]
fn without_every_sign_of_containers_the_place_is_a_guess() {
    for sign in ["namespace.pid.init", "sign.mount", "sign.dockerenv"] {
        for init_net in [true, false] {
            let mut facts = facts(init_net, true, &[("sign.containerenv", Value::Number(0))]);
            facts.put(sign, Err(Gap::new(Cause::Unsupported, "Input/output error")), "");
            let place = of(&facts);
            assert_eq!(place.kind, Kind::Unknown, "{sign}");
            assert!(place.because.iter().any(|clause| clause.contains("Input/output error")), "{:?}", place.because);
        }
    }
}

#[test]
fn root_of_a_user_namespace_is_not_root_of_the_machine() {
    let own = [("namespace.user.init", Value::Number(0)), ("process.uid", Value::Number(0))];
    let place = of(&facts(false, true, &[own.as_slice(), &[("process.capabilities", Value::Number(-1))]].concat()));
    assert!(!place.is_root());
    assert_eq!(place.capabilities, ["CAP_NET_ADMIN"]);
}
