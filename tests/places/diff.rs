//! Two audits of one place, before and after a change.

use std::fs;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

use crate::harness::{NETWORK, Need, Place, Scene};
use crate::overflow::{CLIENTS, overflowing, overflows};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "a_raised_sysctl_reads_better_and_backwards_worse",
        needs: &[Need::Root],
        own: NETWORK,
        trial: a_raised_sysctl_reads_better_and_backwards_worse,
    },
    Place {
        name: "totals_of_two_network_namespaces_are_not_subtracted",
        needs: &[Need::Root, Need::Program("ip")],
        own: NETWORK,
        trial: totals_of_two_network_namespaces_are_not_subtracted,
    },
];

const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";

fn a_raised_sysctl_reads_better_and_backwards_worse(scene: &Scene) {
    let (before, after) = (scene.folder.join("before.json"), scene.folder.join("after.json"));
    let (recorded, packed) = (scene.folder.join("after"), scene.folder.join("after.tar.gz"));
    let audit = |path: &Path| {
        let mut command = scene.tunecheck();
        command.args(["--format", "json", "--fail-on", "never"]);
        let run = Run::of(command);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        fs::write(path, run.stdout).unwrap();
    };
    fs::write(SOMAXCONN, "128").unwrap();
    audit(&before);
    fs::write(SOMAXCONN, "65535").unwrap();
    audit(&after);
    let mut snapshot = scene.tunecheck();
    snapshot.arg("snapshot").arg(&recorded);
    assert_eq!(Run::of(snapshot).code, Some(0));
    let mut tar = crate::harness::program("tar");
    tar.arg("czf").arg(&packed).arg("-C").arg(&scene.folder).arg("after");
    assert_eq!(Run::of(tar).code, Some(0));

    let diff = |a: &Path, b: &Path, args: &[&str]| {
        let mut command = scene.tunecheck();
        command.arg("diff").arg(a).arg(b).args(args);
        let run = Run::of(command);
        assert_eq!(run.stderr, "");
        run
    };
    let gate = |a: &Path, b: &Path, on: &str| diff(a, b, &["--fail-on", on]).code;
    for after in [&after, &recorded, &packed] {
        let told: Value = serde_json::from_str(&diff(&before, after, &["--format", "json"]).stdout).unwrap();
        let changes = told["changes"].as_array().unwrap();
        let change = changes.iter().find(|change| change["rule"] == "listen/somaxconn").unwrap();
        assert_eq!(
            (
                &change["kind"],
                &change["a"]["outcome"],
                &change["a"]["now"],
                &change["b"]["outcome"],
                &change["b"]["now"]
            ),
            (&"better".into(), &"fail".into(), &128.into(), &"pass".into(), &65535.into())
        );
        let loud = told["contrasts"].as_array().unwrap().iter().filter(|contrast| contrast["loud"] == true).count();
        assert_eq!((loud, &told["summary"]["worse"], &told["summary"]["new"]), (0, &0.into(), &0.into()), "{told:#}");
        assert_eq!((gate(&before, after, "worse"), gate(&before, after, "new")), (Some(0), Some(0)));
        assert_eq!((gate(after, &before, "worse"), gate(after, &before, "new")), (Some(1), Some(1)));
        assert_eq!(gate(after, &before, "never"), Some(0));
    }
    let text = diff(&after, &before, &[]).stdout;
    assert!(text.contains("│ worse ┆ listen/somaxconn ") && text.contains("\nFAIL listen/somaxconn\n"), "{text}");
}

fn totals_of_two_network_namespaces_are_not_subtracted(scene: &Scene) {
    const OVERFLOWS: &str = "netstat.TcpExt.ListenOverflows";
    let audit = |name: &str| {
        let path = scene.folder.join(name);
        let mut command = scene.tunecheck();
        command.args(["--format", "json", "--fail-on", "never"]);
        let run = Run::of(command);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let place = &report["place"];
        let link = fs::read_link("/proc/thread-self/ns/net").unwrap();
        assert_eq!(format!("net:[{}]", place["network_namespace_inode"]), link.to_str().unwrap());
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert_eq!(place["boot_id"], boot.trim());
        fs::write(&path, run.stdout).unwrap();
        path
    };
    let diff = |a: &Path, b: &Path, format: &str| {
        let mut command = scene.tunecheck();
        command.arg("diff").arg(a).arg(b).args(["--format", format]);
        let run = Run::of(command);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        run.stdout
    };
    let moved = |a: &Path, b: &Path| {
        let told: Value = serde_json::from_str(&diff(a, b, "json")).unwrap();
        let changes = told["changes"].as_array().unwrap();
        let change = changes.iter().find(|change| change["rule"] == "listen/overflows").unwrap();
        let moved = change["moved"].as_array().unwrap().iter().find(|moved| moved["fact"] == OVERFLOWS).unwrap();
        (moved["a"].as_u64().unwrap(), moved["b"].as_u64().unwrap(), moved["by"].clone(), moved["same_counter"].clone())
    };

    let first = overflowing(CLIENTS / 2);
    let before = audit("before.json");
    // A client that is turned away tries again after a second.
    let count = overflows();
    assert!(crate::harness::eventually(|| overflows() > count), "nobody tried again");
    let later = audit("later.json");
    let (a, b, by, same) = moved(&before, &later);
    assert_eq!((by, same), (json!(b - a), json!(true)));

    drop(first);
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let _second = overflowing(CLIENTS);
    assert!(crate::harness::eventually(|| overflows() > b), "as many in the second");
    let elsewhere = audit("elsewhere.json");
    let (_, there, by, same) = moved(&later, &elsewhere);
    assert!(there > b && by.is_null() && same == false, "{b} {there} {by} {same}");
    for format in ["table", "markdown"] {
        let text = diff(&later, &elsewhere, format);
        assert_eq!(text.matches("another network namespace").count(), 1, "{text}");
        assert!(!text.contains("ListenOverflows +"), "{text}");
    }
}
