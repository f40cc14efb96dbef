//! YAML to values that know where they stand.
//!
//! Values lie in one list and refer to each other by number, so that an alias is a number too: nothing is copied, however
//! often it is referred to. What walks a document pays for each step from a budget, so that aliases of aliases end.

use std::cell::Cell;
use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use crate::model::manifest::Mark;

/// Deepest nesting that is followed.
const DEEPEST: usize = 100;
/// Most values of one document.
const MOST_VALUES: usize = 500_000;
/// Steps that are taken in one document.
const STEPS: u32 = 5_000_000;

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) mark: Mark,
    pub(super) what: String,
    /// Whether it is a limit of this reader, and others may read it.
    pub(super) is_limit: bool,
}

impl Broken {
    fn limit(mark: Mark, what: String) -> Self {
        Self { mark, what, is_limit: true }
    }
}

/// A document.
#[derive(Debug)]
pub(super) struct Tree {
    values: Vec<Value>,
    root: Option<usize>,
    steps: Cell<u32>,
}

#[derive(Debug)]
struct Value {
    mark: Mark,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar { text: Box<str>, is_text: bool },
    List(Vec<usize>),
    Map(Vec<(usize, usize)>),
}

/// A value of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    tree: &'a Tree,
    at: &'a Value,
}

/// Reads the documents of a text, whose first line has the number `first`, up to the first that is broken.
pub(super) fn read(text: &str, first: usize) -> (Vec<Tree>, Option<Broken>) {
    let mut trees = Vec::new();
    let mut builder = Builder::new(first);
    for event in Parser::new_from_str(text) {
        let step = event.map_err(|error| builder.broken(&error)).and_then(|(event, span)| builder.take(event, span));
        match step {
            Ok(None) => {}
            Ok(Some(tree)) => trees.push(tree),
            Err(broken) => return (trees, Some(broken)),
        }
    }
    (trees, None)
}

/// A list or map that is being read.
struct Open {
    at: usize,
    anchor: usize,
    key: Option<usize>,
}

struct Builder {
    first: usize,
    values: Vec<Value>,
    root: Option<usize>,
    open: Vec<Open>,
    /// Finished values by the number of their anchor.
    anchors: HashMap<usize, usize>,
}

impl Builder {
    fn new(first: usize) -> Self {
        Self { first, values: Vec::new(), root: None, open: Vec::new(), anchors: HashMap::new() }
    }

    fn mark(&self, line: usize, column: usize) -> Mark {
        Mark { line: line.max(1) + self.first - 1, column: column + 1 }
    }

    fn broken(&self, error: &ScanError) -> Broken {
        Broken { mark: self.mark(error.marker().line(), error.marker().col()), what: error.info(), is_limit: false }
    }

    /// Takes an event; the last one of a document gives the document.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<Option<Tree>, Broken> {
        let mark = self.mark(span.start.line(), span.start.col());
        let broken = |what: &str| Err(Broken { mark, what: what.to_owned(), is_limit: false });
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = is_text(&text, style, tag.as_deref());
                let at = self.add(Value { mark, kind: Kind::Scalar { text: text.into(), is_text } })?;
                self.finish(at, anchor);
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(&at) => self.place(at),
                None => return broken("an alias inside of what it refers to"),
            },
            Event::SequenceStart(_, anchor, _) => self.begin(mark, anchor, Kind::List(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => self.begin(mark, anchor, Kind::Map(Vec::new()))?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { at, anchor, .. }) = self.open.pop() {
                    self.finish(at, anchor);
                }
            }
            Event::DocumentEnd => {
                let done = std::mem::replace(self, Self::new(self.first));
                return Ok(Some(Tree { values: done.values, root: done.root, steps: Cell::new(STEPS) }));
            }
            _ => {}
        }
        Ok(None)
    }

    fn add(&mut self, value: Value) -> Result<usize, Broken> {
        if self.values.len() >= MOST_VALUES {
            return Err(Broken::limit(value.mark, format!("more than {MOST_VALUES} values in one document")));
        }
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    fn begin(&mut self, mark: Mark, anchor: usize, kind: Kind) -> Result<(), Broken> {
        if self.open.len() >= DEEPEST {
            return Err(Broken::limit(mark, format!("nested deeper than {DEEPEST}")));
        }
        let at = self.add(Value { mark, kind })?;
        self.open.push(Open { at, anchor, key: None });
        Ok(())
    }

    /// A value is whole: it can be referred to, and belongs to what is open around it.
    fn finish(&mut self, at: usize, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, at);
        }
        self.place(at);
    }

    fn place(&mut self, at: usize) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(at);
            return;
        };
        match (self.values.get_mut(open.at).map(|value| &mut value.kind), open.key.take()) {
            (Some(Kind::List(items)), _) => items.push(at),
            (Some(Kind::Map(entries)), Some(key)) => entries.push((key, at)),
            (Some(Kind::Map(_)), None) => open.key = Some(at),
            (Some(Kind::Scalar { .. }) | None, _) => {}
        }
    }
}

/// Whether Kubernetes reads a scalar as text and not as a number, a truth value or nothing.
///
/// It converts YAML to JSON by the rules of YAML 1.1 (sigs.k8s.io/yaml), where `yes` is a truth value and `1_000` a
/// number.
fn is_text(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() => tag.suffix() == "str",
        _ if style != ScalarStyle::Plain => true,
        _ => !is_number(text) && !is_word(text),
    }
}

fn is_word(text: &str) -> bool {
    const WORDS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "null", "~"];
    text.is_empty() || WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let lower = digits.to_ascii_lowercase();
    let based = |&(prefix, base): &(&str, u32)| {
        lower.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)))
    };
    let begins = lower.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    [("0x", 16), ("0o", 8), ("0b", 2)].iter().any(based)
        || [".inf", ".nan"].contains(&lower.as_str())
        || (begins && lower.parse::<f64>().is_ok())
}

impl Tree {
    /// The document's value; none if it is empty.
    pub(super) fn root(&self) -> Option<Node<'_>> {
        self.node(self.root?)
    }

    /// Whether a walk ended for want of steps.
    pub(super) fn is_exhausted(&self) -> bool {
        self.steps.get() == 0
    }

    fn node(&self, at: usize) -> Option<Node<'_>> {
        self.steps.set(self.steps.get().checked_sub(1)?);
        Some(Node { tree: self, at: self.values.get(at)? })
    }
}

impl<'a> Node<'a> {
    /// Where it begins.
    pub(super) fn mark(self) -> Mark {
        self.at.mark
    }

    /// A scalar as it is written, without quotes.
    pub(super) fn scalar(self) -> Option<&'a str> {
        match &self.at.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// A text; none for a number, a truth value or nothing.
    pub(super) fn text(self) -> Option<&'a str> {
        match &self.at.kind {
            Kind::Scalar { text, is_text: true } => Some(text),
            _ => None,
        }
    }

    /// Whether it is `null`, or nothing at all.
    pub(super) fn is_null(self) -> bool {
        self.text().is_none()
            && self.scalar().is_some_and(|text| ["", "~"].contains(&text) || text.eq_ignore_ascii_case("null"))
    }

    /// Whether it is the truth value.
    pub(super) fn is_true(self) -> bool {
        self.text().is_none()
            && self
                .scalar()
                .is_some_and(|text| ["true", "yes", "on"].iter().any(|word| text.eq_ignore_ascii_case(word)))
    }

    pub(super) fn is_map(self) -> bool {
        matches!(self.at.kind, Kind::Map(_))
    }

    /// The values of a list; none for anything else.
    pub(super) fn items(self) -> impl Iterator<Item = Node<'a>> {
        let items = match &self.at.kind {
            Kind::List(items) => items.as_slice(),
            _ => &[],
        };
        items.iter().filter_map(move |&at| self.tree.node(at))
    }

    /// A field of a map, or of a map that it merges in (`<<`).
    pub(super) fn get(self, key: &str) -> Option<Node<'a>> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A field with its key. Where a key is there twice, the last one counts.
    pub(super) fn entry(self, key: &str) -> Option<(Node<'a>, Node<'a>)> {
        // Merged maps can merge others in; as deep as anything can be nested.
        self.find(key, DEEPEST)
    }

    fn find(self, key: &str, deep: usize) -> Option<(Node<'a>, Node<'a>)> {
        let Kind::Map(entries) = &self.at.kind else { return None };
        let mut merged = None;
        for &(name, value) in entries.iter().rev() {
            let name = self.tree.node(name)?;
            match name.scalar() {
                Some(text) if text == key => return Some((name, self.tree.node(value)?)),
                Some("<<") => merged = merged.or(Some(value)),
                _ => {}
            }
        }
        let (merged, deep) = (self.tree.node(merged?)?, deep.checked_sub(1)?);
        match &merged.at.kind {
            Kind::Map(_) => merged.find(key, deep),
            _ => merged.items().find_map(|map| map.find(key, deep)),
        }
    }
}
