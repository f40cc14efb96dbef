//! A process that may hardly open anything.

use crate::harness::{Place, Scene, script};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[
    Place { name: "five_descriptors_are_enough", needs: &[], own: &[], trial: five_descriptors_are_enough },
    Place { name: "without_a_free_descriptor_it_exits_2", needs: &[], own: &[], trial: without_a_free_descriptor },
];

fn with_descriptors(scene: &Scene, most: u32) -> Run {
    Run::of(script(&format!("ulimit -n {most}; exec \"$1\" --pid self --format json"), &[&scene.tunecheck]))
}

fn five_descriptors_are_enough(scene: &Scene) {
    let plenty = with_descriptors(scene, 64).report();
    let five = with_descriptors(scene, 5).report();
    assert_eq!(plenty.outcomes(), five.outcomes());
    for rule in ["files/nofile-soft", "files/nofile-hard"] {
        assert_eq!(five.finding(rule)["now"], 5);
        assert_eq!(five.finding(rule)["outcome"], "fail");
    }
}

/// The three that every process has are taken, so not one file can be opened.
fn without_a_free_descriptor(scene: &Scene) {
    let run = with_descriptors(scene, 3);
    let line = run.complaint();
    assert!(line.contains("Too many open files"), "{line}");
}
