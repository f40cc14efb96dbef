//! A JVM's heap against the memory that its container gets.

mod jvms;
mod options;

use super::commands::{self, Run, prepares};
use super::heaps;
use super::pods::{Container, Spec, fault};
use super::quantity::{bytes, is_milli, shown};
use super::tree::Node;
use super::variables::Variable;
use crate::model::finding::Outcome;
use crate::model::manifest::{Fault, Mark};

use jvms::Jvm;
use options::{Heap, Setting};

const MEBIBYTE: f64 = 1_048_576.0;
/// Share of the limit that metaspace, threads and direct buffers need beside the heap, and its bounds: a program that does
/// nothing takes 36 MiB beside a heap of 64 (measured on 17), and what is needed does not grow with the heap for ever.
const REST: f64 = 0.15;
const LEAST_REST: f64 = 40.0 * MEBIBYTE;
const MOST_REST: f64 = 2048.0 * MEBIBYTE;
/// Up to this heap the share of small containers counts, which is half by default (measured on 17, the same on 25).
const SMALL_HEAP: f64 = 126.0 * MEBIBYTE;
const SHARE_OF_SMALL: f64 = 50.0;
/// The least share that is worth to be proposed.
const LEAST_SHARE: f64 = 10.0;
/// The share that is the heap where nothing is told.
const DEFAULT_SHARE: f64 = 25.0;

/// What bounds the memory of a container.
#[derive(Clone, Copy)]
struct Memory {
    limit: Option<f64>,
    /// Nothing bounds it, as far as can be told.
    is_free: bool,
}

pub(super) fn judge(spec: &Spec<'_>, faults: &mut Vec<Fault>) {
    let mut of_pod = Vec::new();
    for container in spec.containers() {
        let (variables, runs) = (commands::variables(spec, container), commands::of(spec, container));
        let of_container =
            limit(container.node).or_else(|| spec.default_memory().filter(|_| spec.is_whole()).and_then(bytes));
        let memory = Memory {
            // What the pod as a whole may use bounds each of its containers.
            limit: [of_container, limit(spec.node)].into_iter().flatten().reduce(f64::min),
            is_free: spec.is_whole() && !states_limit(container.node) && !states_limit(spec.node),
        };
        let subject = spec.subject_of(container);
        let image = container.node.get("image").and_then(Node::scalar).unwrap_or_default();
        heaps::judge(&subject, &variables, &runs, memory.limit, faults);
        for jvm in jvms::of(&variables, &runs, image, jvms::of_operator(container.node).as_deref()) {
            tell(&subject, memory, &jvm, faults);
            if let (Some((most, mark)), None, true) =
                (jvm.heap.most, &jvm.if_handed_over, runs_with_others(spec, container))
            {
                of_pod.push((most, mark));
            }
        }
    }
    together(spec, &of_pod, faults);
}

/// Judges a container of another platform by its memory limit.
pub(super) fn container(
    subject: &str,
    variables: &[(Variable<'_>, Option<String>)],
    (image, runs): (&str, &[Run]),
    limit: Option<f64>,
    faults: &mut Vec<Fault>,
) {
    heaps::judge(subject, variables, runs, limit, faults);
    for jvm in jvms::of(variables, runs, image, None) {
        tell(subject, Memory { limit, is_free: false }, &jvm, faults);
    }
}

fn tell(subject: &str, memory: Memory, jvm: &Jvm, faults: &mut Vec<Fault>) {
    let mut push = |outcome, mark, says: String, change: &str| {
        // Whether that variable reaches a JVM is the image's affair.
        let (outcome, says) = match &jvm.if_handed_over {
            Some(name) => {
                let says = format!("if the start script of the image hands {} to java: {says}", super::shown(name));
                (Outcome::Warn, says)
            }
            None => (outcome, says),
        };
        faults.push(fault("jvm", outcome, mark, subject.to_owned(), [says, change.to_owned()]));
    };
    one(memory, &jvm.heap, &mut push);
}

fn one(memory: Memory, heap: &Heap, push: &mut impl FnMut(Outcome, Mark, String, &str)) {
    if let Some((option, mark)) = heap.argument.as_ref().filter(|_| heap.most.is_none()) {
        let option = options::named(option);
        let says =
            format!("{option} stands behind the program: it is an argument of that, and the JVM does not read it");
        push(Outcome::Warn, *mark, says, "move it before -jar or the name of the class");
    }
    if let Some((says, mark)) = &heap.broken {
        return push(
            Outcome::Fail,
            *mark,
            format!("{says}: the JVM does not start"),
            "such as -Xmx512m, or \
                    -XX:MaxRAMPercentage=75 with a memory limit",
        );
    }
    if let (Some((least, mark)), Some((most, _))) = (heap.least, heap.most)
        && least > most
    {
        let says = format!("-Xms is {} and -Xmx {}: the JVM does not start", shown(least), shown(most));
        push(Outcome::Fail, mark, says, "-Xms at most -Xmx");
    }
    let Some(limit) = memory.limit else {
        let is_free = memory.is_free && !heap.is_unsure;
        if let (Some((percent, mark)), None) = (heap.percent.filter(|_| is_free), heap.most) {
            let says = format!("MaxRAMPercentage {percent} without a memory limit is that share of the node's memory");
            push(Outcome::Warn, mark, says, "set resources.limits.memory, or -Xmx");
        }
        return;
    };
    if heap.most.is_some() || !heap.is_unsure {
        within(heap, limit, push);
    }
}

/// The heap within a limit.
fn within(heap: &Heap, limit: f64, push: &mut impl FnMut(Outcome, Mark, String, &str)) {
    let change = |place: &str| match fitting(heap, limit) {
        Some(share) => format!("-XX:MaxRAMPercentage={share}{place}, or a higher limit"),
        None if beside(heap) > 0.0 => "a higher limit, or less of what is told beside the heap".to_owned(),
        None => "a higher limit".to_owned(),
    };
    let is_small = limit * SHARE_OF_SMALL / 100.0 < SMALL_HEAP;
    let default = limit * if is_small { SHARE_OF_SMALL } else { DEFAULT_SHARE } / 100.0;
    // Without -Xmx a heap that begins larger than the default is as large as it begins.
    let least = heap.least.filter(|(least, _)| heap.percent.is_none() && *least > default);
    let (name, told) = match (heap.most, least) {
        (Some(most), _) => ("-Xmx", Some(most)),
        (None, least) => ("-Xms, which is -Xmx too where that is not given,", least),
    };
    if let Some((most, mark)) = told {
        let share = |bytes: f64| (bytes / limit * 100.0).round();
        let sum = most + beside(heap);
        if most >= limit {
            let says = format!(
                "{name} is {}, and the container gets {}: it is killed before the heap is full",
                shown(most),
                shown(limit)
            );
            push(Outcome::Fail, mark, says, &change(" in place of -Xmx"));
        } else if does_not_fit(heap, sum, limit) {
            let says = format!(
                "{name}, MaxDirectMemorySize and MaxMetaspaceSize are {} together, {} % of the container's {}",
                shown(sum),
                share(sum),
                shown(limit)
            );
            push(Outcome::Warn, mark, says, "less of them, or a higher limit");
        } else if limit - most < rest(limit) {
            let says = format!(
                "{name} is {} % of the container's {}: metaspace, threads and direct buffers have to live in the {} that \
                 remain",
                share(most),
                shown(limit),
                shown(limit - most)
            );
            push(Outcome::Warn, mark, says, &change(" in place of -Xmx"));
        }
        return;
    }
    if let Some(mark) = heap.ignores_container {
        let says = format!(
            "-XX:-UseContainerSupport sizes the heap by the node's memory, and the container gets {}",
            shown(limit)
        );
        return push(Outcome::Warn, mark, says, "delete it, or set -Xmx");
    }
    let Some((percent, mark)) = heap.percent else { return };
    let of_small = heap.percent_of_small.map_or(SHARE_OF_SMALL, |(share, _)| share);
    if limit * of_small / 100.0 < SMALL_HEAP {
        if (percent - of_small).abs() > 0.5 {
            let says = format!(
                "MaxRAMPercentage is not used in a container of {}: below {} MinRAMPercentage ({of_small}) counts, and the \
                 heap is {}",
                shown(limit),
                shown(SMALL_HEAP * 100.0 / of_small),
                shown(limit * of_small / 100.0)
            );
            push(Outcome::Warn, mark, says, "-Xmx, or -XX:MinRAMPercentage");
        }
        return;
    }
    let most = limit * percent / 100.0;
    let sum = most + beside(heap);
    if limit - most < rest(limit) {
        let says = format!(
            "MaxRAMPercentage is {percent} of the container's {}: metaspace, threads and direct buffers have to live in \
             the rest",
            shown(limit)
        );
        push(Outcome::Warn, mark, says, &change(""));
    } else if does_not_fit(heap, sum, limit) {
        let says = format!(
            "MaxRAMPercentage, MaxDirectMemorySize and MaxMetaspaceSize are {} together, and the container gets {}",
            shown(sum),
            shown(limit)
        );
        push(Outcome::Warn, mark, says, &change(""));
    }
}

/// The heaps of containers that run at the same time, against what the pod as a whole may use.
fn together(spec: &Spec<'_>, heaps: &[(f64, Mark)], faults: &mut Vec<Fault>) {
    let (Some(limit), [_, _, ..]) = (limit(spec.node), heaps) else { return };
    let sum: f64 = heaps.iter().map(|(most, _)| most).sum();
    // One that is too large alone is told there.
    let (true, Some((_, mark))) = (sum >= limit && heaps.iter().all(|(most, _)| *most < limit), heaps.first()) else {
        return;
    };
    let says = format!(
        "-Xmx of {} containers are {} together, and the pod gets {}: it is killed before the heaps are full",
        heaps.len(),
        shown(sum),
        shown(limit)
    );
    let change = "smaller heaps, or a higher limit in spec.resources".to_owned();
    faults.push(fault("jvm", Outcome::Fail, *mark, spec.subject(), [says, change]));
}

/// Whether a container runs as long as the pod: one that prepares it ends before the others start.
fn runs_with_others(spec: &Spec<'_>, container: Container<'_>) -> bool {
    let always = container.node.get("restartPolicy").and_then(Node::scalar) == Some("Always");
    always || !prepares(spec, container)
}

fn amount(told: Setting) -> f64 {
    told.map_or(0.0, |(bytes, _)| bytes)
}

/// What is told of the memory beside the heap.
fn beside(heap: &Heap) -> f64 {
    amount(heap.direct) + amount(heap.metaspace)
}

/// Whether what is told of heap and direct buffers leaves no room for threads and code.
fn does_not_fit(heap: &Heap, sum: f64, limit: f64) -> bool {
    sum > limit || (heap.direct.is_some() && sum + LEAST_REST > limit)
}

/// The share for the heap, in steps of five and no more than 75, beside which everything else has room; none where there is
/// none, or where the share of small containers counts.
fn fitting(heap: &Heap, limit: f64) -> Option<f64> {
    let others = (beside(heap) + LEAST_REST).max(rest(limit));
    let share = (((limit - others) / limit * 20.0).floor() * 5.0).min(75.0);
    (share >= LEAST_SHARE && limit * SHARE_OF_SMALL / 100.0 >= SMALL_HEAP).then_some(share)
}

/// What has to remain beside the heap.
fn rest(limit: f64) -> f64 {
    (limit * REST).clamp(LEAST_REST, MOST_REST)
}

/// The memory limit of a container, or of a pod as a whole.
fn limit(part: Node<'_>) -> Option<f64> {
    let text = part.get("resources")?.get("limits")?.get("memory")?.scalar()?.trim();
    bytes(text).filter(|_| !is_milli(text))
}

/// Whether there is a limit, readable or not.
fn states_limit(part: Node<'_>) -> bool {
    let limits = part.get("resources").and_then(|resources| resources.get("limits"));
    limits.and_then(|limits| limits.get("memory")).is_some_and(|memory| !memory.is_null())
}
