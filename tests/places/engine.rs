//! A container engine that is called by its plain name and still keeps its state with the trial.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{Scene, program};
use crate::report::Run;

/// An engine, and how it is told what to run.
pub(crate) struct Engine<'a> {
    pub(crate) scene: &'a Scene,
    pub(crate) name: &'static str,
    image: Vec<String>,
}

impl<'a> Engine<'a> {
    /// A program of the engine's name that stands before it in PATH and knows where its state is.
    pub(crate) fn of(scene: &'a Scene, command: &Command, image: &[&str]) -> Self {
        let name = if command.get_program().to_string_lossy().ends_with("podman") { "podman" } else { "docker" };
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let variables = command
            .get_envs()
            .map(|(name, value)| format!("{}={}", name.to_string_lossy(), value.unwrap_or_default().to_string_lossy()));
        let words: Vec<_> = variables.chain(words.map(|word| word.to_string_lossy().into_owned())).collect();
        stand_in(scene, name, &format!("exec env {} \"$@\"", words.join(" ")));
        let parent = format!("/{}", scene.token());
        let alone = ["--rm", "--network", "none", "--cgroup-parent", &parent];
        Self { scene, name, image: alone.iter().chain(image).map(|&word| word.to_owned()).collect() }
    }

    /// `run` with these flags.
    pub(crate) fn plainly(&self, flags: &[&str], command: &[&str]) -> Run {
        let mut run = Command::new(self.scene.folder.join("bin").join(self.name));
        run.arg("run").args(flags).args(&self.image).args(command);
        Run::of(run)
    }

    /// The script that was printed.
    pub(crate) fn by_script(&self, script: &Path, flags: &[&str], command: &[&str]) -> Run {
        let mut shell = program("sh");
        shell.arg(script).args(flags).args(&self.image).args(command);
        Run::of(on_path(self.scene, shell))
    }
}

/// Writes a program that stands before all others of its name.
pub(crate) fn stand_in(scene: &Scene, name: &str, text: &str) {
    let path = scene.folder.join("bin").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn on_path(scene: &Scene, mut command: Command) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", scene.folder.join("bin").display()));
    command
}
