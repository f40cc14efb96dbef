//! Two audits of one place, before and after a change.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{NETWORK, Need, Place, Scene};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[Place {
    name: "a_raised_sysctl_reads_better_and_backwards_worse",
    needs: &[Need::Root],
    own: NETWORK,
    trial: a_raised_sysctl_reads_better_and_backwards_worse,
}];

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
