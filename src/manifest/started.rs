//! What containers of Compose files and ECS tasks are started with: variables and a command, within a memory limit.

use super::commands;
use super::jvm;
use super::quantity::of_docker;
use super::shell;
use super::tree::Node;
use super::variables::Variable;
use crate::model::bounds;
use crate::model::manifest::{Fault, Mark};

const MEBIBYTE: f64 = 1_048_576.0;

/// Judges a service of a Compose file, where `$$` is a dollar sign.
pub(super) fn service(subject: &str, service: Node<'_>, faults: &mut Vec<Fault>) {
    let environment = service.get("environment");
    let of_map = environment.into_iter().flat_map(Node::entries).filter_map(|(name, value)| {
        Some(Variable {
            name: name.scalar()?.into(),
            value: value.scalar().filter(|_| !value.is_null()),
            mark: value.mark(),
        })
    });
    let of_list = environment.into_iter().flat_map(Node::items).filter_map(|item| {
        let text = item.scalar()?;
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        Some(Variable { name: name.into(), value, mark: item.mark() })
    });
    let words = ["entrypoint", "command"].into_iter().filter_map(|list| service.get(list)).flat_map(|list| {
        let whole = list
            .scalar()
            .filter(|text| text.len() < bounds::STARTED.count())
            .map(|text| (shell::words(text), list.mark()));
        let whole = whole.into_iter().flat_map(|(words, mark)| words.into_iter().map(move |word| (word, mark)));
        whole.chain(listed(list))
    });
    let limits = service.get("deploy").and_then(|deploy| deploy.get("resources")?.get("limits")?.get("memory"));
    let bytes = |node: Option<Node<'_>>| node.and_then(Node::scalar).and_then(of_docker);
    let limit = [bytes(limits), bytes(service.get("mem_limit"))].into_iter().flatten().reduce(f64::min);
    let image = service.get("image").and_then(Node::scalar).unwrap_or_default();
    judge(subject, of_map.chain(of_list), (image, words), |text| text.replace("$$", "$"), limit, faults);
}

/// Judges a container of an ECS task, whose limits are in MiB; `get` reads a field.
pub(super) fn definition<'a>(
    subject: &str,
    [task, definition]: [Node<'a>; 2],
    get: fn(Node<'a>, &str) -> Option<Node<'a>>,
    faults: &mut Vec<Fault>,
) {
    let variables = get(definition, "environment").into_iter().flat_map(Node::items).filter_map(|entry| {
        let value = get(entry, "value")?;
        Some(Variable { name: get(entry, "name")?.scalar()?.into(), value: value.scalar(), mark: value.mark() })
    });
    let words = ["entryPoint", "command"].into_iter().filter_map(|list| get(definition, list)).flat_map(listed);
    let mebibytes = |of| get(of, "memory").and_then(Node::scalar)?.trim().parse::<u32>().ok();
    let limit = [mebibytes(definition), mebibytes(task)].into_iter().flatten().filter(|size| *size > 0).min();
    let image = get(definition, "image").and_then(Node::scalar).unwrap_or_default();
    judge(subject, variables, (image, words), str::to_owned, limit.map(|size| f64::from(size) * MEBIBYTE), faults);
}

fn listed(list: Node<'_>) -> impl Iterator<Item = (String, Mark)> {
    list.items().filter_map(|item| Some((item.scalar()?.to_owned(), item.mark())))
}

fn judge<'a>(
    subject: &str,
    variables: impl Iterator<Item = Variable<'a>>,
    (image, words): (&str, impl Iterator<Item = (String, Mark)>),
    text: fn(&str) -> String,
    limit: Option<f64>,
    faults: &mut Vec<Fault>,
) {
    let variables: Vec<(Variable<'_>, Option<String>)> =
        variables.map(|variable| (variable.clone(), variable.value.map(text))).collect();
    let runs = commands::runs(words.map(|(word, mark)| (text(&word), mark)).collect(), &commands::known(&variables));
    jvm::container(subject, &variables, (image, &runs), limit, faults);
}
