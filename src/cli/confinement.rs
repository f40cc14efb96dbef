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
    named: Vec<&'a Path>,
    /// Whether it reads any other file too.
    any_file: bool,
    /// All else, with no word on files.
    allowed: Allowed<'a>,
}

impl<'a> Needs<'a> {
    fn named(mut self, files: impl IntoIterator<Item = &'a (impl AsRef<Path> + ?Sized + 'a)>) -> Self {
        self.named.extend(files.into_iter().map(AsRef::as_ref));
        self
    }

    /// A workload is a role or a file.
    fn workload(self, workload: Option<&'a String>) -> Self {
        self.named(workload.filter(|named| Role::of(named).is_none()))
    }

    fn allowed(self, more: impl FnOnce(&mut Allowed<'a>)) -> Self {
        let Self { named, any_file, mut allowed } = self;
        more(&mut allowed);
        Self { named, any_file, allowed }
    }

    /// Where the settings come from.
    fn source(source: &'a SourceArgs) -> Self {
        let live = source.snapshot.is_none() && source.sysctl.is_none() && source.root.is_none();
        // A tree with a mounted procfs shows processes.
        let processes = live || source.root.as_deref().is_some_and(has_procfs);
        // Roots of certificates and name servers are the machine's.
        let network = source.peer.h2.is_some();
        let named = source.name.is_some() || source.container.is_some() || source.pod.is_some();
        // Inside of a container the process that does the work there is looked for.
        let others = live && (named || matches!(source.pid, Some(Pid::Of(_))) || own_processes().unwrap_or(true));
        let allowed = Allowed { processes, network, others, ..Allowed::default() };
        Self { any_file: processes || network, allowed, ..Self::default() }
            .named(source.snapshot.iter().chain(&source.root).chain(&source.sysctl).chain(&source.rules))
    }

    fn audit(args: &'a AuditArgs) -> Self {
        let others = args.targets.all || args.targets.unit.is_some();
        Self::source(&args.source).workload(args.load.workload.as_ref()).allowed(|allowed| allowed.others |= others)
    }

    /// The machine, as a verb reads it that takes no other source.
    fn machine() -> Self {
        let allowed = Allowed { processes: true, others: own_processes().unwrap_or(true), ..Allowed::default() };
        Self { any_file: true, allowed, ..Self::default() }
    }

    fn watch(args: &'a WatchArgs) -> Self {
        let screen = args.format == WatchFormat::Screen
            || (args.format == WatchFormat::Auto && Terminal::stdout().interactive && args.output.is_none());
        Self::machine().allowed(|allowed| {
            allowed.makes = args.output.as_deref();
            allowed.terminal = screen;
            allowed.command = !args.command.is_empty();
            // Without a command it ends by the signal that ended it.
            allowed.signals = true;
        })
    }

    fn of(command: &'a Command) -> Self {
        let load = |load: &'a LoadArgs| load.workload.as_ref();
        match command {
            Command::Audit(args) => Self::audit(args),
            Command::Fix(args) => {
                let needs = Self::source(&args.source).workload(load(&args.load)).named(&args.from);
                let needs = needs.allowed(|allowed| allowed.makes = args.output.as_deref());
                if args.from.is_some() { needs.recorded() } else { needs }
            }
            Command::Watch(args) => Self::watch(args),
            Command::Diff(args) => {
                Self::default().named([&args.a, &args.b]).named(&args.rules).workload(load(&args.load))
            }
            Command::Manifest(args) => Self::default().named(&args.paths).workload(load(&args.load)),
            Command::Plan(args) => {
                let needs = Self::source(&args.source).workload(args.traffic.workload.as_ref());
                let needs = needs.allowed(|allowed| allowed.others |= args.unit.is_some());
                if args.solve { needs } else { needs.recorded() }
            }
            Command::Probe { .. } => {
                Self { any_file: true, ..Self::default() }.allowed(|allowed| allowed.network = true)
            }
            Command::Explain { rules, .. } => Self::default().named(rules),
            Command::Snapshot { dir, rules, .. } => {
                Self::machine().named(rules).allowed(|allowed| allowed.makes = Some(dir))
            }
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
        let allowed = Allowed { processes: false, others: false, ..self.allowed };
        Self { any_file: allowed.network, allowed, ..self }
    }

    fn enter(self, verbose: bool) {
        let files = (!self.any_file).then_some(self.named.as_slice());
        let said = confine(Allowed { files, ..self.allowed });
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
