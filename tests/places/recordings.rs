//! Recordings: replayed, packed, damaged.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::{NETWORK, Need, Place, Scene, done};
use crate::namespaces::{loopback_up, report};
use crate::report::{Report, Run, assert_same};

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "live_and_replayed_reports_are_the_same_but_for_the_source",
        needs: &[Need::Root, Need::Program("ip")],
        own: NETWORK,
        trial: live_and_replayed_reports_are_the_same,
    },
    Place {
        name: "a_cut_archive_is_refused_or_reported_as_far_as_it_goes",
        needs: &[],
        own: &[],
        trial: a_cut_archive_is_refused_or_reported_as_far_as_it_goes,
    },
    Place {
        name: "a_file_lost_from_a_recording_passes_nothing",
        needs: &[],
        own: &[],
        trial: a_file_lost_from_a_recording_passes_nothing,
    },
    Place {
        name: "damaged_files_in_a_recording_are_survived",
        needs: &[],
        own: &[],
        trial: damaged_files_in_a_recording_are_survived,
    },
    Place { name: "what_is_no_recording_is_refused", needs: &[], own: &[], trial: what_is_no_recording_is_refused },
];

fn record(scene: &Scene) -> PathBuf {
    let folder = scene.folder.join("recording");
    let mut snapshot = scene.tunecheck();
    snapshot.arg("snapshot").arg(&folder);
    done(snapshot);
    folder
}

fn replay(scene: &Scene, path: &Path) -> Run {
    let mut audit = scene.tunecheck();
    audit.args(["--format", "json", "--snapshot"]).arg(path);
    Run::of(audit)
}

/// Every file of a recording, by its path below the folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.path().strip_prefix(folder).unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}

/// A .tar.gz of a recording. With its manifest first a cut one is still a recording.
fn pack(folder: &Path, manifest_first: bool) -> Vec<u8> {
    let mut names = files(folder);
    names.sort_by_key(|name| (name == Path::new("manifest.json")) != manifest_first);
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for name in names {
        archive.append_path_with_name(folder.join(&name), Path::new("node-a").join(&name)).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn live_and_replayed_reports_are_the_same(scene: &Scene) {
    loopback_up();
    let _listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = record(scene);
    let live = report(scene.tunecheck(), &[]);
    let replayed = replay(scene, &folder).report();
    assert_eq!(replayed.notes(), live.notes());
    assert_same(&live.at_rest().without(&["source"]), &replayed.clone().at_rest().without(&["source"]));

    let packed = scene.folder.join("recording.tar.gz");
    for manifest_first in [true, false] {
        fs::write(&packed, pack(&folder, manifest_first)).unwrap();
        let unpacked = replay(scene, &packed).report();
        assert_same(&replayed.clone().without(&["source"]), &unpacked.without(&["source"]));
    }
    assert_same(&replayed, &replay(scene, &folder).report());

    // Another role, or another load, needs no other recording.
    for role in ["client", "gateway"] {
        let arguments = ["--workload", role, "--connections", "50000"];
        let live = report(scene.tunecheck(), &arguments);
        let mut audit = scene.tunecheck();
        audit.arg("--snapshot").arg(&folder);
        let replayed = report(audit, &arguments);
        assert_same(&live.at_rest().without(&["source"]), &replayed.at_rest().without(&["source"]));
    }
}

/// What passes in a report of less than everything has to pass in the whole one as well, with the same value.
#[track_caller]
fn assert_passes_only_what_passed(less: &Report, whole: &Report, what: &str) {
    for finding in less.findings().filter(|finding| finding["outcome"] == "pass") {
        let same = whole.findings().find(|other| ["rule", "subject"].iter().all(|key| other[*key] == finding[*key]));
        let passed = same.is_some_and(|other| other["outcome"] == "pass" && other["now"] == finding["now"]);
        assert!(passed, "{what}: {finding:#}\nin the whole report: {same:#?}");
    }
}

fn a_cut_archive_is_refused_or_reported_as_far_as_it_goes(scene: &Scene) {
    let folder = record(scene);
    let whole = replay(scene, &folder).report();
    let cut = scene.folder.join("cut.tar.gz");
    let (mut refused, mut reported) = (0, 0);
    for manifest_first in [true, false] {
        let packed = pack(&folder, manifest_first);
        let share = |percent: usize| packed.len() * percent / 100;
        let lengths = [0, 1, 9, 10, 100].into_iter().chain((10..100).step_by(10).map(share));
        for length in lengths.chain([packed.len() - 9, packed.len() - 1]) {
            fs::write(&cut, &packed[..length]).unwrap();
            let run = replay(scene, &cut);
            if run.code == Some(2) {
                let line = run.complaint();
                // Too short for its manifest, or for a single one of its files.
                let clear = ["ends early or is damaged", "is missing from this snapshot", "no .tar.gz of one"];
                assert!(clear.iter().any(|words| line.contains(words)), "{length} bytes: {line}");
                refused += 1;
                continue;
            }
            let report = run.report();
            assert_passes_only_what_passed(&report, &whole, &format!("{length} bytes"));
            let lost = report.findings().any(|finding| finding.to_string().contains("is missing from this snapshot"));
            assert!(!lost || report.notes().to_string().contains("ends early or is damaged"), "{}", report.notes());
            reported += usize::from(lost);
        }
    }
    assert!(refused > 5 && reported > 2, "{refused} refused, {reported} reported in part");
}

fn a_file_lost_from_a_recording_passes_nothing(scene: &Scene) {
    let folder = record(scene);
    let whole = replay(scene, &folder).report();
    let (file, aside) = (|name: &Path| folder.join(name), scene.folder.join("aside"));
    for name in files(&folder).iter().filter(|name| *name != Path::new("manifest.json")) {
        fs::rename(file(name), &aside).unwrap();
        let less = replay(scene, &folder).report();
        assert_passes_only_what_passed(&less, &whole, &name.display().to_string());
        let notes = less.notes().to_string();
        assert!(notes.contains("1 recorded file"), "{}: {notes}", name.display());
        fs::rename(&aside, file(name)).unwrap();
    }
    assert_same(&whole, &replay(scene, &folder).report());
    for below in ["files", "sock_diag"] {
        fs::remove_dir_all(folder.join(below)).unwrap();
    }
    let nothing = replay(scene, &folder);
    assert!(nothing.complaint().contains("holds nothing that an audit reads"), "{nothing:?}");
}

/// What a file becomes.
type Damage = fn(&[u8]) -> Vec<u8>;

fn damaged_files_in_a_recording_are_survived(scene: &Scene) {
    let folder = record(scene);
    let damages: [Damage; 4] = [
        |_| Vec::new(),
        |bytes| bytes[..bytes.len() / 2].to_vec(),
        |bytes| bytes.iter().rev().copied().collect(),
        |bytes| bytes.iter().map(|byte| byte ^ 0xa5).collect(),
    ];
    for damage in damages {
        let broken = scene.folder.join("broken");
        for name in files(&folder) {
            let (from, to) = (folder.join(&name), broken.join(&name));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let bytes = fs::read(from).unwrap();
            let bytes = if name == Path::new("manifest.json") { bytes } else { damage(&bytes) };
            File::create(to).unwrap().write_all(&bytes).unwrap();
        }
        let run = replay(scene, &broken);
        if run.code == Some(2) {
            run.complaint();
        } else {
            run.report();
        }
        fs::remove_dir_all(broken).unwrap();
    }
}

fn what_is_no_recording_is_refused(scene: &Scene) {
    let folder = record(scene);
    let manifest = folder.join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, &text.as_bytes()[..text.len() / 2]).unwrap();
    let cut = replay(scene, &folder);
    assert!(cut.complaint().contains("manifest.json"), "{cut:?}");
    fs::write(&manifest, text.replace("tunecheck.snapshot/v1", "tunecheck.snapshot/v9")).unwrap();
    let later = replay(scene, &folder);
    assert!(later.complaint().contains("is of another schema"), "{later:?}");
    // A manifest that points outside the recording reads nothing there.
    fs::write(&manifest, text.replace("\"files/proc/", "\"../../../../../../../../proc/")).unwrap();
    let outside = replay(scene, &folder);
    if outside.code != Some(2) {
        let report = outside.report();
        assert!(report.notes().to_string().contains("missing from the snapshot"), "{}", report.notes());
    }
    for path in ["/nowhere", "/proc/self/status", "/"] {
        replay(scene, Path::new(path)).complaint();
    }
}
