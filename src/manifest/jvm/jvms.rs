//! Who tells a JVM of its heap: the variables that it reads itself, the command line, and the variables that start
//! scripts hand over.

use super::super::commands::{Run, program};
use super::super::pods::JVM_OPTIONS;
use super::super::shell;
use super::super::tree::Node;
use super::super::variables::Variable;
use super::options::{Heap, is_of_heap};
use crate::model::java;
use crate::model::manifest::Mark;

/// Variables that the start scripts of usual images hand to `java`.
const OF_START_SCRIPTS: [&str; 24] = [
    "ACTIVEMQ_OPTS_MEMORY",
    "BOOKIE_MEM",
    "CATALINA_OPTS",
    "CONTROL_CENTER_HEAP_OPTS",
    "ES_JAVA_OPTS",
    "HEAP_OPTS",
    "INSTALL4J_ADD_VM_PARAMS",
    "JAVA_ARGS",
    "JAVA_OPTIONS",
    "JAVA_OPTS",
    "JAVA_OPTS_APPEND",
    "JENKINS_JAVA_OPTS",
    "JVMFLAGS",
    "JVM_ARGS",
    "JVM_OPTS",
    "KAFKAREST_HEAP_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_OPTS",
    "KSQL_HEAP_OPTS",
    "LS_JAVA_OPTS",
    "OPENSEARCH_JAVA_OPTS",
    "PULSAR_MEM",
    "SCHEMA_REGISTRY_HEAP_OPTS",
    "SERVER_JVMFLAGS",
];
/// Those whose name says nothing of the script that reads it, with programs whose scripts do: words in the name of an image
/// or of what a container runs.
const OF_SOME_SCRIPTS: [(&str, &[&str]); 9] = [
    ("HEAP_OPTS", &[]),
    ("JAVA_ARGS", &[]),
    ("JAVA_OPTIONS", &["jetty"]),
    ("JAVA_OPTS", &["catalina", "tomcat", "jboss", "wildfly", "standalone", "keycloak", "kc.sh", "jenkins"]),
    ("JAVA_OPTS_APPEND", &["keycloak", "kc.sh", "openjdk", "wildfly", "jboss", "run-java"]),
    ("JVMFLAGS", &["zookeeper", "zkserver"]),
    ("JVM_ARGS", &["jmeter", "fuseki"]),
    ("JVM_OPTS", &["cassandra"]),
    ("SERVER_JVMFLAGS", &["zookeeper", "zkserver"]),
];
/// Variables that the JVM or its launcher reads.
const OF_JVM: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];
/// Commands that name `java` and do not run it.
const NO_RUN: [&str; 8] = ["echo", "which", "command", "type", "[", "test", "printf", "ls"];

/// What one JVM is told.
#[derive(Clone, Debug)]
pub(super) struct Jvm {
    pub(super) heap: Heap,
    /// The variable that a start script may hand to it or not.
    pub(super) if_handed_over: Option<String>,
}

/// What is told to the JVMs of a container; nothing if nothing says that there is one.
pub(super) fn of(
    variables: &[(Variable<'_>, Option<String>)],
    runs: &[Run],
    image: &str,
    of_operator: Option<&[(String, Mark)]>,
) -> Vec<Jvm> {
    let options = |name: &str| -> Option<Vec<(String, Mark)>> {
        let (variable, value) = variables.iter().rfind(|(variable, _)| variable.name == name)?;
        Some(match value {
            Some(value) => shell::words(value).into_iter().map(|word| (word, variable.mark)).collect(),
            None => vec![("$".to_owned(), variable.mark)],
        })
    };
    let [tool, launcher, last] = OF_JVM.map(|name| options(name).unwrap_or_default());
    let jvm = |middle: &[(String, Mark)], if_handed_over| {
        let mut heap = Heap::default();
        for (option, mark) in tool.iter().chain(middle).chain(&last) {
            heap.take(option, *mark)?;
        }
        Some(Jvm { heap, if_handed_over })
    };
    let mut found = Vec::new();
    if let Some(options) = of_operator {
        found.extend(jvm(options, None));
    }
    let java: Vec<Java> = runs.iter().filter_map(java).collect();
    for Java { options, argument } in &java {
        let all: Vec<(String, Mark)> = launcher.iter().chain(options).cloned().collect();
        found.extend(jvm(&all, None).map(|mut jvm| {
            jvm.heap.argument.clone_from(argument);
            jvm
        }));
    }
    if !java.is_empty() || !found.is_empty() {
        return found;
    }
    let is_told = [&tool, &launcher, &last].into_iter().flatten().any(|(option, _)| is_of_heap(option));
    for (variable, value) in variables {
        let name = variable.name.as_ref();
        let is_usual = OF_START_SCRIPTS.contains(&name);
        let words = shell::words(value.as_deref().unwrap_or_default());
        if OF_JVM.contains(&name) || (is_told && !is_usual) || !words.iter().any(|word| is_of_heap(word)) {
            continue;
        }
        let words: Vec<(String, Mark)> = words.into_iter().map(|word| (word, variable.mark)).collect();
        let is_read = is_usual && is_read_by_script(name, image, runs);
        found.extend(jvm(&words, (!is_read).then(|| name.to_owned())));
    }
    if found.is_empty() && !(tool.is_empty() && launcher.is_empty() && last.is_empty()) {
        found.extend(jvm(&launcher, None));
    }
    found
}

/// Whether the start script of an image, or one that a container runs, is known to hand a variable over.
fn is_read_by_script(variable: &str, image: &str, runs: &[Run]) -> bool {
    let Some((_, programs)) = OF_SOME_SCRIPTS.iter().find(|(name, _)| *name == variable) else { return true };
    // The folders of a registry are no program.
    let image = program(image).to_ascii_lowercase();
    let words = runs.iter().flat_map(|run| &run.words).map(|(word, _)| program(word).to_ascii_lowercase());
    let names: Vec<String> = words.chain([image]).collect();
    programs.iter().any(|program| names.iter().any(|name| name.contains(program)))
}

/// What an operator's start script hands over.
pub(super) fn of_operator(container: Node<'_>) -> Option<Vec<(String, Mark)>> {
    let mut options = Vec::new();
    for (option, value) in container.get(JVM_OPTIONS)?.entries() {
        let Some(option) = option.scalar() else { continue };
        for (name, value) in value.entries() {
            if let (Some(name), Some(text)) = (name.scalar(), value.scalar()) {
                options.push((format!("{option}:{name}={text}"), value.mark()));
            }
        }
        options.extend(value.scalar().map(|text| (format!("{option}{text}"), value.mark())));
    }
    Some(options)
}

/// A run of `java`.
struct Java {
    options: Vec<(String, Mark)>,
    /// The first option for the heap that stands behind its program.
    argument: Option<(String, Mark)>,
}

fn java(run: &Run) -> Option<Java> {
    let at = run.words.iter().position(|(word, _)| program(word) == "java")?;
    if run.words.first().is_some_and(|(first, _)| NO_RUN.contains(&program(first))) {
        return None;
    }
    let mut options = Vec::new();
    let mut rest = run.words.iter().skip(at + 1);
    while let Some((word, mark)) = rest.next() {
        if java::WITH_VALUE.contains(&word.as_str()) {
            rest.next();
        } else if ["-version", "--version", "-help", "--help"].contains(&word.as_str()) {
            return None;
        } else if ["-jar", "-m", "--module"].contains(&word.as_str()) || !word.starts_with(['-', '@', '$']) {
            break;
        } else {
            options.push((word.clone(), *mark));
        }
    }
    let argument = rest.find(|(word, _)| is_of_heap(word)).cloned();
    Some(Java { options, argument })
}
