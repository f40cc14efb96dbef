//! What `fix` writes for machines that people reported: nothing that the machine disproves, no limit raised that is too
//! high already, and every step that a form leaves out is named.

#![allow(clippy::panic, reason = "fails by panicking")]

mod support;

use support::{case, run};

/// The plan, or a form, for a case: what is written, and what is said of the rest.
fn fix(name: &str, arguments: &[&str]) -> (String, String) {
    let folder = case(name);
    let folder = folder.to_str().unwrap_or_default();
    let made = run([["fix", "--snapshot", folder].as_slice(), arguments].concat());
    (made.stdout, made.stderr)
}

const PLATFORMS: [&str; 8] = ["eks", "bottlerocket", "gke", "aks", "openshift", "talos", "k3s", "butane"];

#[test]
fn a_limit_that_is_too_high_comes_down_and_is_raised_by_nobody() {
    for (name, says) in [
        ("05-nofile-too-high", "in the image's entrypoint: ulimit -Sn 65536; exec \"$@\""),
        ("nofile-soft-low-hard-too-high", "in the image's entrypoint: ulimit -Sn 65536; exec \"$@\""),
        ("nofile-too-high-container", "--ulimit nofile=65536:524288"),
        ("nofile-too-high-service", "[Service] LimitNOFILE=1048576:1048576"),
    ] {
        let (plan, _) = fix(name, &[]);
        let steps: Vec<&str> = plan.split("```text").filter(|step| step.contains("\nopen files: ")).collect();
        let [step] = steps.as_slice() else { panic!("{name}: one finding, one step: {plan}") };
        assert!(
            step.contains(says)
                && !step.rsplit("  change").next().unwrap_or_default().contains("raise")
                && !plan.contains("$(ulimit -Hn)"),
            "{name}: {plan}"
        );
        assert!(!plan.contains("\nfs.nr_open: "), "{name}: it need not reach what comes down: {plan}");
    }
    let (entrypoint, _) = fix("05-nofile-too-high", &["--to", "kubernetes", "--kubernetes-version", "1.33"]);
    assert!(entrypoint.contains("\nulimit -Sn 65536 ") && entrypoint.contains("ulimit -Hn 524288\n"), "{entrypoint}");
    for platform in PLATFORMS {
        let (_, said) = fix("05-nofile-too-high", &["--to", platform, "--kubernetes-version", "1.33"]);
        let left = said.lines().find(|line| line.contains("left out: open files: 1073741816")).unwrap_or_default();
        assert!(left.contains("entrypoint lowers it") && !left.contains("raise"), "{platform}: {said}");
    }
    let (flags, _) = fix("nofile-too-high-container", &["--to", "podman"]);
    assert!(flags.contains("set -- --ulimit nofile=65536:524288"), "{flags}");
}

#[test]
fn what_a_step_says_and_what_its_entrypoint_gives_is_one_number() {
    let load = ["--workload", "gateway", "--connections", "4000", "--destinations", "20"];
    let (plan, _) = fix("06-nofile-soft-low", &load);
    assert!(plan.contains("open files: 1024 soft, 524288 hard -> 65535 soft, 524288 hard"), "{plan}");
    assert!(plan.contains("ulimit -Sn 65535; exec \"$@\"") && !plan.contains("$(ulimit -Hn)"), "{plan}");
    assert!(plan.contains("an image without a shell: the program itself"), "{plan}");
    // What cannot be raised within the hard limit takes whoever gives the hard one.
    let (plan, _) = fix("nofile-20000", &[]);
    assert!(!plan.contains("ulimit -Sn") && plan.contains("RLIMIT_NOFILE soft 65535 hard 524288"), "{plan}");
}

#[test]
fn a_line_that_kube_proxy_wrote_over_is_not_written_again() {
    let why = "/etc/sysctl.d/999-sysctl-aks.conf:5 gives it 1048576 already and does not hold: kube-proxy wrote 32768 x 8 CPUs";
    let load = ["--connections", "30000", "--kubernetes-version", "1.33"];
    let (plan, _) = fix("01-aks-overwritten", &load);
    let step = plan.split("```text").find(|step| step.contains("\nnet.netfilter.nf_conntrack_max: 262144 -> 1048576"));
    let step = step.unwrap_or_default();
    assert!(step.contains(why) && step.contains("conntrack.min: 1048576"), "{plan}");
    assert!(!step.contains(".conf: net.netfilter.nf_conntrack_max = "), "{step}");
    // The hash is that of the table which the boot file asks for, and both findings name one cause.
    assert!(plan.contains("\nnet.netfilter.nf_conntrack_buckets: 65536 -> 262144\n"), "{plan}");
    let drift = plan.split("```text").find(|step| step.contains("\n  rules    boot/drift\n")).unwrap_or_default();
    let drift = drift.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(drift.contains("Why: kube-proxy wrote 32768 x 8 CPUs over it at its start."), "{drift}");
    for platform in ["aks", "gke", "talos"] {
        let (written, said) = fix("01-aks-overwritten", &[["--to", platform].as_slice(), &load].concat());
        assert!(
            !written.contains("ConntrackMax\"") && !written.contains("nf_conntrack_max:  "),
            "{platform}: {written}"
        );
        assert!(
            said.contains(&format!("left out: net.netfilter.nf_conntrack_max: 262144 -> 1048576: {why}")),
            "{said}"
        );
    }
    let (written, _) = fix("01-aks-overwritten", &[["--to", "kubernetes"].as_slice(), &load].concat());
    assert!(written.contains("conntrack:\n  min: 1048576\n") && written.contains(why), "{written}");
}

#[test]
fn a_table_that_is_full_at_the_cap_of_kube_proxy_grows() {
    let of = |release: &str| fix("conntrack-at-the-cap", &["--to", "kubernetes", "--kubernetes-version", release]).0;
    assert!(of("1.35").contains("conntrack:\n  min: 2097152\n"));
    assert!(of("1.36").contains("conntrack:\n  maxPerCore: 1\n  min: 2097152\n"));
    let (k3s, _) = fix("conntrack-at-the-cap", &["--to", "k3s"]);
    assert!(
        k3s.contains("- conntrack-min=2097152\n") && k3s.contains("\nnet.netfilter.nf_conntrack_buckets = 524288\n"),
        "{k3s}"
    );
}

#[test]
fn a_form_says_everything_that_it_leaves_out() {
    for target in ["openshift", "kubernetes", "eks", "docker", "systemd", "sysctl.d", "limits.d", "ansible"] {
        let (_, said) = fix("19-pids-pod", &["--to", target, "--kubernetes-version", "1.33"]);
        for limit in ["podPidsLimit of the kubelet", "pids_limit of CRI-O"] {
            assert!(said.contains(limit), "{target} leaves out words for a person: {said}");
        }
    }
}

#[test]
fn a_change_whose_share_of_the_memory_is_unknown_is_never_safe() {
    for (dump, asked) in [("whole", "net.core.somaxconn"), ("few-watches", "fs.inotify.max_user_watches")] {
        let made = run(["fix", "--sysctl", &format!("fixtures/dumps/{dump}.txt")]);
        let heavy: Vec<&str> = made.stdout.split("```text").filter(|step| step.contains(" more for ")).collect();
        assert!(heavy.iter().any(|step| step.contains(asked)), "{}", made.stdout);
        for step in heavy {
            assert!(!step.contains("safety   safe") && step.contains("is not known"), "{step}");
        }
    }
}

#[test]
fn the_two_names_of_the_conntrack_limit_are_one_and_the_line_that_wins_is_changed() {
    let step = |name: &str| {
        let (plan, _) = fix(name, &["--connections", "30000"]);
        let step = plan.split("```text").find(|step| step.contains("\nnet.netfilter.nf_conntrack_max: "));
        step.unwrap_or_else(|| panic!("{name}: {plan}")).to_owned()
    };
    // Never below what a line gives already; why that does not hold is named, and no second line is written.
    for (name, file) in [("13-alias-too-late", "99"), ("13-alias-before", "10"), ("13-usual-name", "10")] {
        let step = step(name);
        assert!(
            step.contains("262144 -> 4194304") && step.contains("modules-load.d/nf_conntrack.conf"),
            "{name}: {step}"
        );
        assert!(step.contains(&format!("/etc/sysctl.d/{file}-conntrack.conf:1 sets that at boot")), "{name}: {step}");
        assert!(!step.contains("90-tunecheck.conf"), "{name}: {step}");
    }
    let lower = step("13-alias-lower");
    let line = "/etc/sysctl.d/99-conntrack.conf:1: net.nf_conntrack_max = 262144   (that line sets it now)";
    assert!(lower.contains("131072 -> 262144") && lower.contains(line), "{lower}");
}
