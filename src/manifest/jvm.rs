//! A JVM's heap against the memory that its container gets.

use super::pods::{Container, JVM_OPTIONS, Spec, fault};
use super::quantity::{bytes, of_jvm, shown};
use super::tree::Node;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};

/// Share of the limit above which too little is left for metaspace, threads and direct buffers.
const MOST_HEAP: f64 = 0.85;
/// Options of `java` whose value is the next word.
const WITH_VALUE: [&str; 9] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--enable-native-access",
    "--source",
];

/// What the JVM is told of its heap; of each option the last one counts.
#[derive(Clone, Copy, Debug, Default)]
struct Heap {
    most: Option<(f64, Mark)>,
    least: Option<(f64, Mark)>,
    percent: Option<(f64, Mark)>,
    ignores_container: Option<Mark>,
}

pub(super) fn judge(spec: &Spec<'_>, container: Container<'_>, faults: &mut Vec<Fault>) {
    let Some(heap) = heap(spec, container) else { return };
    let mut push = |outcome, mark, says: String, change: &str| {
        faults.push(fault("jvm", outcome, mark, spec.subject_of(container), [says, change.to_owned()]));
    };
    if let (Some((least, mark)), Some((most, _))) = (heap.least, heap.most)
        && least > most
    {
        let says = format!("-Xms is {} and -Xmx {}: the JVM does not start", shown(least), shown(most));
        push(Outcome::Fail, mark, says, "-Xms at most -Xmx");
    }
    if let Some((percent, mark)) = heap.percent.filter(|(percent, _)| !(0.0..=100.0).contains(percent)) {
        let says = format!("MaxRAMPercentage is {percent}, beyond 0 to 100: the JVM does not start");
        return push(Outcome::Fail, mark, says, "70 to 75 with a memory limit");
    }
    let of_container = limit(container.node).or_else(|| spec.default_memory().and_then(bytes));
    let limits = [of_container, limit(spec.node)].into_iter().flatten();
    // What the pod as a whole may use bounds each of its containers.
    let Some(limit) = limits.reduce(f64::min) else {
        let whole = spec.is_whole() && !states_limit(container.node) && !states_limit(spec.node);
        if let (Some((percent, mark)), None) = (heap.percent.filter(|_| whole), heap.most) {
            let says = format!("MaxRAMPercentage {percent} without a memory limit is that share of the node's memory");
            push(Outcome::Warn, mark, says, "set resources.limits.memory, or -Xmx");
        }
        return;
    };
    let percent = |share: f64| (share * 100.0).round();
    match (heap.most, heap.percent, heap.ignores_container) {
        (Some((most, mark)), ..) if most >= limit => {
            let says = format!(
                "-Xmx is {}, and the container gets {}: it is killed before the heap is full",
                shown(most),
                shown(limit)
            );
            push(Outcome::Fail, mark, says, "-XX:MaxRAMPercentage=75 in place of -Xmx, or a higher limit");
        }
        (Some((most, mark)), ..) if most > limit * MOST_HEAP => {
            let says = format!(
                "-Xmx is {} % of the container's {}: metaspace, threads and direct buffers have to live in the rest",
                percent(most / limit),
                shown(limit)
            );
            push(Outcome::Warn, mark, says, "-XX:MaxRAMPercentage=75 in place of -Xmx, or a higher limit");
        }
        (Some(_), ..) => {}
        (None, _, Some(mark)) => {
            let says = format!(
                "-XX:-UseContainerSupport sizes the heap by the node's memory, and the container gets {}",
                shown(limit)
            );
            push(Outcome::Warn, mark, says, "delete it, or set -Xmx");
        }
        (None, Some((share, mark)), None) if share > MOST_HEAP * 100.0 => {
            let says = format!(
                "MaxRAMPercentage is {share} of the container's {}: metaspace, threads and direct buffers have to live in \
                 the rest",
                shown(limit)
            );
            push(Outcome::Warn, mark, says, "70 to 75");
        }
        (None, ..) => {}
    }
}

/// The memory limit of a container, or of a pod as a whole.
fn limit(part: Node<'_>) -> Option<f64> {
    bytes(part.get("resources")?.get("limits")?.get("memory")?.scalar()?.trim())
}

/// Whether there is a limit, readable or not.
fn states_limit(part: Node<'_>) -> bool {
    let limits = part.get("resources").and_then(|resources| resources.get("limits"));
    limits.and_then(|limits| limits.get("memory")).is_some_and(|memory| !memory.is_null())
}

/// What a container tells a JVM. None if nothing says that there is one, or if not everything that is told is here.
fn heap<'a>(spec: &Spec<'a>, container: Container<'a>) -> Option<Heap> {
    let variables = spec.variables(container);
    let container = container.node;
    let mut heap = Heap::default();
    let mut told = false;
    // The operator's start script hands these over as a variable.
    for (option, value) in container.get(JVM_OPTIONS).into_iter().flat_map(Node::entries) {
        told = true;
        for (name, value) in value.entries() {
            heap.take(&format!("{}:{}={}", option.scalar()?, name.scalar()?, value.scalar()?), value.mark())?;
        }
        heap.take(&format!("{}{}", option.scalar()?, value.scalar().unwrap_or_default()), value.mark())?;
    }
    // Later ones win: the JVM reads its variable first, the launcher puts its own before the command line, and
    // _JAVA_OPTIONS is read after that.
    for (name, words) in [
        ("JAVA_TOOL_OPTIONS", None),
        ("JDK_JAVA_OPTIONS", None),
        ("", command_line(container)),
        ("_JAVA_OPTIONS", None),
    ] {
        for (word, mark) in words.unwrap_or_default() {
            told = true;
            heap.take(&word, mark)?;
        }
        let Some(variable) = variables.iter().rfind(|variable| !name.is_empty() && variable.name == name) else {
            continue;
        };
        let value = variable.value?;
        told = true;
        for word in value.split_ascii_whitespace() {
            heap.take(unquoted(word), variable.mark)?;
        }
    }
    told.then_some(heap)
}

impl Heap {
    /// Takes an option into account; none if what it says is not known here.
    fn take(&mut self, option: &str, mark: Mark) -> Option<()> {
        let size = |text: &str| Some(Some((of_jvm(text)?, mark)));
        // A file of options, a variable that is filled in later, or other memory than the container's to take shares of.
        if option.starts_with('@')
            || option.starts_with('$')
            || option.starts_with("-XX:MaxRAM=")
            || option.starts_with("-XX:Flags=")
            || option.starts_with("-XX:VMOptionsFile=")
        {
            return None;
        }
        let prefixed = |prefixes: [&str; 2]| prefixes.into_iter().find_map(|prefix| option.strip_prefix(prefix));
        if let Some(text) = prefixed(["-Xmx", "-XX:MaxHeapSize="]) {
            self.most = size(text)?;
        } else if let Some(text) = prefixed(["-Xms", "-XX:InitialHeapSize="]) {
            self.least = size(text)?;
        } else if let Some(text) = option.strip_prefix("-XX:MaxRAMPercentage=") {
            self.percent = Some((text.parse().ok()?, mark));
        } else if option == "-XX:-UseContainerSupport" {
            self.ignores_container = Some(mark);
        } else if option == "-XX:+UseContainerSupport" {
            self.ignores_container = None;
        }
        Some(())
    }
}

/// The options of `java` in a container's command and args, each with the place of what holds it.
fn command_line(container: Node<'_>) -> Option<Vec<(String, Mark)>> {
    let lists = ["command", "args"].into_iter().filter_map(|list| container.get(list)).flat_map(Node::items);
    let given: Vec<(&str, Mark)> = lists.filter_map(|item| Some((item.scalar()?, item.mark()))).collect();
    let shell = given.first().is_some_and(|(word, _)| ["sh", "bash", "ash", "dash"].contains(&program(word)));
    let words: Vec<(String, Mark)> = match shell {
        // A script with several commands is read as one: up to the first word that ends a command.
        true => given
            .iter()
            .flat_map(|(text, mark)| text.split_whitespace().map(|word| (unquoted(word).to_owned(), *mark)))
            .collect(),
        false => given.iter().map(|(word, mark)| ((*word).to_owned(), *mark)).collect(),
    };
    let at = words.iter().position(|(word, _)| program(word) == "java")?;
    let mut options = Vec::new();
    let mut rest = words.into_iter().skip(at + 1);
    while let Some((word, mark)) = rest.next() {
        if WITH_VALUE.contains(&word.as_str()) {
            rest.next();
        } else if ["-jar", "-m", "--module", "-version", "--version"].contains(&word.as_str()) {
            break;
        } else if word.starts_with(['-', '@', '$']) {
            options.push((word, mark));
        } else {
            break;
        }
    }
    Some(options)
}

/// The name of a program without its folder.
fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\''])
}
