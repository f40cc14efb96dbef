//! Drop-ins and files for systemd, read by systemd.

use std::fs;
use std::path::Path;

use crate::harness::{Need, Place, Scene, done, program};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[Place {
    name: "systemd_takes_the_drop_in_of_a_unit_and_knows_every_key",
    needs: &[Need::Program("systemd-analyze")],
    own: &[],
    trial: systemd_takes_the_drop_in_of_a_unit_and_knows_every_key,
}];

/// What systemd says of a unit with the drop-ins beside it.
fn verified(folder: &Path) -> Run {
    let mut verify = program("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(folder.join("gateway.service"));
    // An empty last part stands for the machine's own folders.
    verify.env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()));
    Run::of(verify)
}

fn systemd_takes_the_drop_in_of_a_unit_and_knows_every_key(scene: &Scene) {
    let mut fix = scene.tunecheck();
    let folder = scene.folder.join("out");
    fix.args(["fix", "--connections", "60000", "--to", "systemd", "--unit", "gateway", "--output"]).arg(&folder);
    fix.args(["--snapshot"]).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts/debian-systemd"));
    done(fix);
    let units = folder.join("systemd");
    fs::write(units.join("gateway.service"), "[Service]\nExecStart=/bin/true\n").unwrap();
    let drop_in = units.join("gateway.service.d/50-tunecheck.conf");
    let text = fs::read_to_string(&drop_in).unwrap();
    // The recording does not tell the unit's own limits: a person looks first, and takes the mark away.
    assert!(text.contains("[Service]\n# left to you: LimitNOFILE=") && !text.contains("infinity"), "{text}");
    let text = text.replace("# left to you: ", "");
    fs::write(&drop_in, &text).unwrap();
    let run = verified(&units);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    // It was read at all: a value that is none is told of.
    fs::write(&drop_in, text.replace("LimitNOFILE=", "LimitNOFILE=x")).unwrap();
    let run = verified(&units);
    assert!(run.stderr.contains("50-tunecheck.conf") && run.stderr.contains("x65535"), "{run:?}");

    let modules = fs::read_to_string(units.join("modules-load.d/tunecheck.conf")).unwrap();
    let lines: Vec<&str> = modules.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines, ["nf_conntrack"]);
}
