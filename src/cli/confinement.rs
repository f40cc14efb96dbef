//! What each verb may do, from what was typed. Everything else is given up before the first byte of others is read.

use std::path::Path;

use super::args::{AuditArgs, Cli, Command, LoadArgs, RulesCommand, SourceArgs, WatchArgs, WatchFormat};
use super::terminal::{Terminal, complain};
use super::values::Pid;
use crate::host::{Allowed, confine, own_processes};
use crate::model::workload::Role;

/// What a verb may do.
#[derive(Default)]
struct Needs<'a> {
    /// Files and folders that were named.
    files: Vec<&'a Path>,
    /// Whether it reads the machine: any file, and other processes.
    machine: bool,
    makes: Option<&'a Path>,
    network: bool,
    terminal: bool,
    /// Whether it starts itself once more: to read files of another process, on a file system that may never answer, or
    /// to see what is sent to its group.
    programs: bool,
}

impl<'a> Needs<'a> {
    fn named(mut self, files: impl IntoIterator<Item = &'a (impl AsRef<Path> + ?Sized + 'a)>) -> Self {
        self.files.extend(files.into_iter().map(AsRef::as_ref));
        self
    }

    /// A workload is a role or a file.
    fn workload(self, workload: Option<&'a String>) -> Self {
        self.named(workload.filter(|named| Role::of(named).is_none()))
    }

    /// Where the settings come from. A tree is read as the machine is: it may hold a mounted procfs.
    fn source(mut self, source: &'a SourceArgs) -> Self {
        self.machine = source.snapshot.is_none() && source.sysctl.is_none();
        let process = source.name.is_some() || source.container.is_some() || source.pod.is_some();
        // Inside of a container the process that does the work there is looked for.
        self.programs = process || matches!(source.pid, Some(Pid::Of(_))) || (self.machine && own_processes());
        // Roots of certificates, name servers and the like are the machine's.
        self.network = source.peer.h2.is_some();
        self.machine |= self.network;
        self.named(source.snapshot.iter().chain(&source.root).chain(&source.sysctl).chain(&source.rules))
    }

    fn audit(args: &'a AuditArgs) -> Self {
        let needs = Self::default().source(&args.source).workload(args.load.workload.as_ref());
        let programs = needs.programs || args.targets.all || args.targets.unit.is_some();
        Self { programs, ..needs }
    }

    fn watch(args: &'a WatchArgs) -> Self {
        let screen = args.format == WatchFormat::Screen
            || (args.format == WatchFormat::Auto && Terminal::stdout().interactive && args.output.is_none());
        let programs = !args.command.is_empty();
        Self { machine: true, makes: args.output.as_deref(), terminal: screen, programs, ..Self::default() }
    }

    fn of(command: &'a Command) -> Self {
        let load = |load: &'a LoadArgs| load.workload.as_ref();
        match command {
            Command::Audit(args) => Self::audit(args),
            Command::Fix(args) => {
                let needs = Self::default().source(&args.source).workload(load(&args.load)).named(&args.from);
                let machine = needs.machine && args.from.is_none();
                Self { machine, makes: args.output.as_deref(), ..needs }
            }
            Command::Watch(args) => Self::watch(args),
            Command::Diff(args) => {
                Self::default().named([&args.a, &args.b]).named(&args.rules).workload(load(&args.load))
            }
            Command::Manifest(args) => Self::default().named(&args.paths).workload(load(&args.load)),
            Command::Plan(args) => {
                let needs = Self::default().source(&args.source).workload(args.traffic.workload.as_ref());
                let machine = needs.machine && (args.solve || needs.network);
                Self { machine, programs: needs.programs || args.unit.is_some(), ..needs }
            }
            Command::Probe { .. } => Self { machine: true, network: true, ..Self::default() },
            Command::Explain { rules, .. } => Self::default().named(rules),
            Command::Snapshot { dir, .. } => Self { machine: true, makes: Some(dir), ..Self::default() },
            Command::Rules { command } => match command {
                RulesCommand::List { rules } | RulesCommand::Show { rules, .. } => Self::default().named(rules),
                RulesCommand::Check { paths } => Self::default().named(paths),
                RulesCommand::Facts | RulesCommand::Schema { .. } => Self::default(),
            },
            Command::Completions { .. } | Command::Help { .. } | Command::Man { .. } => Self::default(),
        }
    }

    fn enter(self, verbose: bool) {
        let Self { files, machine, makes, network, terminal, programs } = self;
        let files = (!machine).then_some(files.as_slice());
        let said = confine(Allowed { files, makes, network, terminal, processes: machine, programs });
        if verbose {
            said.iter().for_each(|sentence| complain(&format!("confined: {sentence}")));
        }
    }
}

/// Gives up what this command line does not need. A command that is watched is started first: it is not confined.
pub(super) fn enter(cli: &Cli) {
    match &cli.command {
        Some(Command::Watch(args)) if !args.command.is_empty() => {}
        Some(command) => Needs::of(command).enter(cli.audit.verbose),
        None => enter_audit(&cli.audit),
    }
}

/// As [`enter`], for an audit.
pub(super) fn enter_audit(args: &AuditArgs) {
    Needs::audit(args).enter(args.verbose);
}

/// As [`enter`], once the command that is watched runs.
pub(super) fn enter_watch(args: &WatchArgs, verbose: bool) {
    Needs::watch(args).enter(verbose);
}
