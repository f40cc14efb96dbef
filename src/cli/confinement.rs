//! What each verb may do, from what was typed. Everything else is given up before the first byte of others is read.

use std::path::Path;

use super::args::{AuditArgs, Cli, Command, LoadArgs, RulesCommand, SourceArgs, WatchArgs, WatchFormat};
use super::terminal::{Terminal, complain};
use super::values::Pid;
use crate::host::{Allowed, confine, has_procfs, own_processes};
use crate::model::workload::Role;

/// What a verb may do.
#[derive(Default)]
struct Needs<'a> {
    /// Files and folders that were named.
    files: Vec<&'a Path>,
    /// Whether it reads any file.
    any_file: bool,
    makes: Option<&'a Path>,
    network: bool,
    terminal: bool,
    processes: bool,
    others: bool,
    command: bool,
    signals: bool,
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

    /// Where the settings come from.
    fn source(mut self, source: &'a SourceArgs) -> Self {
        let live = source.snapshot.is_none() && source.sysctl.is_none() && source.root.is_none();
        // A tree with a mounted procfs shows processes.
        self.processes = live || source.root.as_deref().is_some_and(has_procfs);
        // Roots of certificates and name servers are the machine's.
        self.network = source.peer.h2.is_some();
        self.any_file = self.processes || self.network;
        let named = source.name.is_some() || source.container.is_some() || source.pod.is_some();
        // Inside of a container the process that does the work there is looked for.
        self.others = live && (named || matches!(source.pid, Some(Pid::Of(_))) || own_processes().unwrap_or(true));
        self.named(source.snapshot.iter().chain(&source.root).chain(&source.sysctl).chain(&source.rules))
    }

    fn audit(args: &'a AuditArgs) -> Self {
        let needs = Self::default().source(&args.source).workload(args.load.workload.as_ref());
        let others = needs.others || args.targets.all || args.targets.unit.is_some();
        Self { others, ..needs }
    }

    /// The machine, as a verb reads it that takes no other source.
    fn machine() -> Self {
        Self { any_file: true, processes: true, others: own_processes().unwrap_or(true), ..Self::default() }
    }

    fn watch(args: &'a WatchArgs) -> Self {
        let screen = args.format == WatchFormat::Screen
            || (args.format == WatchFormat::Auto && Terminal::stdout().interactive && args.output.is_none());
        let command = !args.command.is_empty();
        // Without a command it ends by the signal that ended it.
        Self { makes: args.output.as_deref(), terminal: screen, command, signals: true, ..Self::machine() }
    }

    fn of(command: &'a Command) -> Self {
        let load = |load: &'a LoadArgs| load.workload.as_ref();
        match command {
            Command::Audit(args) => Self::audit(args),
            Command::Fix(args) => {
                let needs = Self::default().source(&args.source).workload(load(&args.load)).named(&args.from);
                let needs = Self { makes: args.output.as_deref(), ..needs };
                if args.from.is_some() { needs.recorded() } else { needs }
            }
            Command::Watch(args) => Self::watch(args),
            Command::Diff(args) => {
                Self::default().named([&args.a, &args.b]).named(&args.rules).workload(load(&args.load))
            }
            Command::Manifest(args) => Self::default().named(&args.paths).workload(load(&args.load)),
            Command::Plan(args) => {
                let needs = Self::default().source(&args.source).workload(args.traffic.workload.as_ref());
                let needs = Self { others: needs.others || args.unit.is_some(), ..needs };
                if args.solve { needs } else { needs.recorded() }
            }
            Command::Probe { .. } => Self { any_file: true, network: true, ..Self::default() },
            Command::Explain { rules, .. } => Self::default().named(rules),
            Command::Snapshot { dir, rules, .. } => Self { makes: Some(dir), ..Self::machine() }.named(rules),
            Command::Rules { command } => match command {
                RulesCommand::List { rules } | RulesCommand::Show { rules, .. } => Self::default().named(rules),
                RulesCommand::Check { paths } => Self::default().named(paths),
                RulesCommand::Facts | RulesCommand::Schema { .. } => Self::default(),
            },
            Command::Completions { .. } | Command::Help { .. } | Command::Man { .. } => Self::default(),
        }
    }

    /// The same where the machine is not read after all.
    fn recorded(self) -> Self {
        Self { any_file: self.network, processes: false, others: false, ..self }
    }

    fn enter(self, verbose: bool) {
        let Self { files, any_file, makes, network, terminal, processes, others, command, signals } = self;
        let files = (!any_file).then_some(files.as_slice());
        let said = confine(Allowed { files, makes, network, terminal, processes, others, command, signals });
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
