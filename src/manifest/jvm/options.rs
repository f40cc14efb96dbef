//! What a JVM is told of its memory, option by option; of each the last one counts.

use super::super::quantity::{of_jvm, shown};
use crate::model::manifest::Mark;

/// The smallest heap with which HotSpot starts (measured on 17).
const LEAST_HEAP: f64 = 2.0 * 1_048_576.0;

/// An amount or a share, and where it stands.
pub(super) type Setting = Option<(f64, Mark)>;

/// What is told of the heap and of the memory beside it.
#[derive(Clone, Debug, Default)]
pub(super) struct Heap {
    pub(super) most: Setting,
    pub(super) least: Setting,
    pub(super) percent: Setting,
    /// Of small containers.
    pub(super) percent_of_small: Setting,
    pub(super) direct: Setting,
    pub(super) metaspace: Setting,
    pub(super) ignores_container: Option<Mark>,
    /// Why the JVM does not start.
    pub(super) broken: Option<(String, Mark)>,
    /// Something that is not known here may say otherwise: what was told before it does not count.
    pub(super) is_unsure: bool,
    /// An option for the heap that stands behind the program, and is an argument of it.
    pub(super) argument: Option<(String, Mark)>,
}

/// Whether an option is about the heap.
pub(super) fn is_of_heap(option: &str) -> bool {
    ["-Xmx", "-Xms", "-XX:MaxHeapSize=", "-XX:MaxRAMPercentage=", "-XX:-UseContainerSupport"]
        .iter()
        .any(|prefix| option.starts_with(prefix))
}

impl Heap {
    /// Takes an option into account; none if nothing can be told any more.
    pub(super) fn take(&mut self, option: &str, mark: Mark) -> Option<()> {
        // A file of options may hold the program's name, behind which nothing is an option.
        if option.starts_with('@') {
            return None;
        }
        // A variable that is filled in elsewhere: what comes behind it wins over whatever it holds.
        if option.starts_with('$') || option.starts_with("{{") {
            *self = Self { is_unsure: true, ..Self::default() };
            return Some(());
        }
        if option.starts_with("-XX:MaxRAM=")
            || option.starts_with("-XX:Flags=")
            || option.starts_with("-XX:VMOptionsFile=")
        {
            self.is_unsure = true;
            return Some(());
        }
        let prefixed = |prefixes: &[&str]| prefixes.iter().find_map(|prefix| option.strip_prefix(prefix));
        if let Some(text) = prefixed(&["-Xmx", "-XX:MaxHeapSize="]) {
            self.most = self.size(text, option, LEAST_HEAP, mark);
        } else if let Some(text) = prefixed(&["-Xms", "-XX:InitialHeapSize="]) {
            self.least = self.size(text, option, 0.0, mark);
        } else if let Some(text) = prefixed(&["-XX:MaxDirectMemorySize="]) {
            self.direct = self.size(text, option, 0.0, mark);
        } else if let Some(text) = prefixed(&["-XX:MaxMetaspaceSize="]) {
            self.metaspace = self.size(text, option, 0.0, mark);
        } else if let Some(text) = prefixed(&["-XX:MaxRAMPercentage="]) {
            self.percent = self.share(text, option, mark);
        } else if let Some(text) = prefixed(&["-XX:MinRAMPercentage="]) {
            self.percent_of_small = self.share(text, option, mark);
        } else if option == "-XX:-UseContainerSupport" {
            self.ignores_container = Some(mark);
        } else if option == "-XX:+UseContainerSupport" {
            self.ignores_container = None;
        }
        Some(())
    }

    fn size(&mut self, text: &str, option: &str, least: f64, mark: Mark) -> Setting {
        if is_filled_in(text) {
            self.is_unsure = true;
            return None;
        }
        match of_jvm(text) {
            Some(size) if size >= least => return Some((size, mark)),
            Some(size) => {
                let says = format!("{} is {}, and a heap has at least {}", named(option), shown(size), shown(least));
                self.broken = Some((says, mark));
            }
            None => {
                self.broken = Some((format!("the size of {} is none: digits, then k, m, g or t", named(option)), mark))
            }
        }
        None
    }

    fn share(&mut self, text: &str, option: &str, mark: Mark) -> Setting {
        if is_filled_in(text) {
            self.is_unsure = true;
            return None;
        }
        let share = text.parse::<f64>().ok().filter(|share| share.is_finite());
        match share.filter(|_| text.bytes().all(|byte| byte.is_ascii_digit() || b".-+".contains(&byte))) {
            Some(share) if (0.0..=100.0).contains(&share) => return Some((share, mark)),
            Some(share) => self.broken = Some((format!("{} is {share}, beyond 0 to 100", named(option)), mark)),
            None => self.broken = Some((format!("{} is no number: it has no unit", named(option)), mark)),
        }
        None
    }
}

/// An option without its value.
pub(super) fn named(option: &str) -> &str {
    match option.strip_prefix("-XX:") {
        Some(option) => option.split('=').next().unwrap_or(option),
        None => option.get(..4).unwrap_or(option),
    }
}

fn is_filled_in(text: &str) -> bool {
    text.contains(['$', '{', '<', '`']) || text.contains("__")
}
