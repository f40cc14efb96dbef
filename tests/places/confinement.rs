//! What a run gives up before it reads, as the kernel is asked for it.

use crate::harness::{Need, Place, Scene, script};
use crate::report::Run;

pub(crate) const PLACES: &[Place] = &[
    Place {
        name: "each_verb_keeps_only_the_rights_that_it_needs",
        needs: &[Need::Root],
        own: &[],
        trial: each_verb_keeps_only_the_rights_that_it_needs,
    },
    Place {
        name: "a_kernel_that_confines_nothing_changes_no_answer",
        needs: &[Need::Root, Need::Program("strace")],
        own: &[],
        trial: a_kernel_that_confines_nothing_changes_no_answer,
    },
];

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/hosts/in-trouble");

fn run(scene: &Scene, arguments: &str) -> Run {
    Run::of(script(&format!("exec \"$1\" {}", arguments.replace("RECORDED", RECORDED)), &[&scene.tunecheck]))
}

/// What a run says that it is confined to.
fn confined(run: &Run) -> Vec<&str> {
    run.stderr.lines().filter_map(|line| line.strip_prefix("confined: ")).collect()
}

fn each_verb_keeps_only_the_rights_that_it_needs(scene: &Scene) {
    let made = scene.folder.join("made");
    let made = made.display();
    let live = ["", "--pid self", "--root /", "fix", "plan --solve", "watch --duration 20ms"].map(str::to_owned);
    let named = [
        "--snapshot RECORDED",
        "fix --snapshot RECORDED",
        "plan --solve --snapshot RECORDED",
        "plan",
        "diff RECORDED RECORDED",
        "manifest RECORDED/manifest.json",
        "explain EADDRNOTAVAIL",
        "rules list",
        "completions bash",
        "man",
    ]
    .map(str::to_owned);
    let kept = |names: &str| format!("no capabilities but {names}");
    let calls =
        "no new privileges; refused are modules, mounts, tracing, programs, writing to files, connections (seccomp)";
    for arguments in &live {
        let run = run(scene, &format!("{arguments} -v"));
        assert_eq!(confined(&run), [&kept("CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE"), calls], "{arguments}: {run:?}");
    }
    for arguments in &named {
        let run = run(scene, &format!("{arguments} -v"));
        let files = "files: none but those that were named (Landlock)";
        assert_eq!(confined(&run), [&kept("CAP_DAC_READ_SEARCH"), files, calls], "{arguments}: {run:?}");
    }
    // What makes files may make them, and what talks to a peer may talk.
    for (arguments, without) in [
        (format!("fix --snapshot RECORDED --output {made}"), "writing to files"),
        (format!("snapshot {made}-too"), "writing to files"),
        ("--all".to_owned(), "programs"),
        ("--pid 1".to_owned(), "programs"),
        ("watch -v -- true".to_owned(), "programs"),
        ("probe h2 http://127.0.0.1:1".to_owned(), "connections"),
        ("--workload client --h2 http://127.0.0.1:1".to_owned(), "connections"),
    ] {
        let run = run(scene, &format!("{arguments} -v"));
        let said = confined(&run).last().copied().unwrap_or_default().to_owned();
        assert!(said.contains("mounts, tracing") && !said.contains(without), "{arguments}: {run:?}");
    }
}

fn a_kernel_that_confines_nothing_changes_no_answer(scene: &Scene) {
    let refusing = "strace -f -qq -o /dev/null -e inject=seccomp:error=EINVAL -e inject=landlock_create_ruleset:error=ENOSYS \
                    -e inject=capset:error=EPERM";
    for arguments in ["--snapshot RECORDED", "fix --snapshot RECORDED", "explain EADDRNOTAVAIL"] {
        let here = run(scene, arguments);
        let text = format!("exec {refusing} \"$1\" {arguments} -v").replace("RECORDED", RECORDED);
        let there = Run::of(script(&text, &[&scene.tunecheck]));
        assert_eq!(here.code, there.code, "{there:?}");
        let said = confined(&there);
        assert_eq!(said.len(), 3, "{said:?}");
        for (part, why) in ["capabilities were not dropped", "files are not confined", "system calls are not confined"]
            .iter()
            .zip(["not permitted", "no Landlock", "nvalid argument"])
        {
            assert!(said.iter().any(|line| line.starts_with(part) && line.contains(why)), "{part}: {said:?}");
        }
        if !arguments.starts_with("--") {
            assert_eq!(here.stdout, there.stdout);
        }
    }
}
