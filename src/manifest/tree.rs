//! YAML to values that know where they stand.
//!
//! Values lie in one list and refer to each other by number, so that an alias is a number too: nothing is copied, however
//! often it is referred to. What walks a document pays for each step from the budget of its file, so that aliases of
//! aliases end.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::budget::Budget;
use super::scalar::is_text;
use crate::model::bounds;
use crate::model::manifest::Mark;

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
pub(super) struct Tree<'a> {
    values: Vec<Value<'a>>,
    root: Option<usize>,
    budget: &'a Budget<'a>,
}

#[derive(Debug)]
struct Value<'a> {
    mark: Mark,
    kind: Kind<'a>,
}

#[derive(Debug)]
enum Kind<'a> {
    Scalar { text: Cow<'a, str>, is_text: bool, is_block: bool },
    List(Vec<usize>),
    Map(Vec<(usize, usize)>),
}

/// A value of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    tree: &'a Tree<'a>,
    at: &'a Value<'a>,
    number: usize,
}

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Field(String),
    /// Into the one item of a list.
    Item,
}

/// Reads the documents of a text that begins at a place of its file, up to the first that is broken.
pub(super) fn read<'a>(text: &'a str, start: Mark, budget: &'a Budget<'a>) -> (Vec<Tree<'a>>, Option<Broken>) {
    let mut trees = Vec::new();
    let mut builder = Builder::new(start, budget);
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

struct Builder<'a> {
    start: Mark,
    budget: &'a Budget<'a>,
    values: Vec<Value<'a>>,
    root: Option<usize>,
    open: Vec<Open>,
    /// Finished values by the number of their anchor.
    anchors: HashMap<usize, usize>,
}

impl<'a> Builder<'a> {
    fn new(start: Mark, budget: &'a Budget<'a>) -> Self {
        Self { start, budget, values: Vec::new(), root: None, open: Vec::new(), anchors: HashMap::new() }
    }

    fn mark(&self, line: usize, column: usize) -> Mark {
        let line = line.max(1);
        let before = if line == 1 { self.start.column - 1 } else { 0 };
        Mark { line: self.start.line + line - 1, column: column + 1 + before }
    }

    fn broken(&self, error: &ScanError) -> Broken {
        Broken { mark: self.mark(error.marker().line(), error.marker().col()), what: error.info(), is_limit: false }
    }

    /// Takes an event; the last one of a document gives the document.
    fn take(&mut self, event: Event<'a>, span: Span) -> Result<Option<Tree<'a>>, Broken> {
        let mark = self.mark(span.start.line(), span.start.col());
        let broken = |what: &str| Err(Broken { mark, what: what.to_owned(), is_limit: false });
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = is_text(&text, style, tag.as_deref());
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let at = self.add(Value { mark, kind: Kind::Scalar { text, is_text, is_block } })?;
                self.finish(at, anchor)?;
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(&at) => self.place(at)?,
                None => return broken("an alias inside of what it refers to"),
            },
            Event::SequenceStart(_, anchor, _) => self.begin(mark, anchor, Kind::List(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => self.begin(mark, anchor, Kind::Map(Vec::new()))?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { at, anchor, .. }) = self.open.pop() {
                    self.finish(at, anchor)?;
                }
            }
            Event::DocumentEnd => {
                let done = std::mem::replace(self, Self::new(self.start, self.budget));
                return Ok(Some(Tree { values: done.values, root: done.root, budget: done.budget }));
            }
            _ => {}
        }
        Ok(None)
    }

    fn add(&mut self, value: Value<'a>) -> Result<usize, Broken> {
        if self.values.len() >= bounds::VALUES.count() {
            return Err(Broken::limit(value.mark, format!("more than {} values in one document", bounds::VALUES)));
        }
        self.values.push(value);
        Ok(self.values.len() - 1)
    }

    fn begin(&mut self, mark: Mark, anchor: usize, kind: Kind<'a>) -> Result<(), Broken> {
        if self.open.len() >= bounds::YAML_DEPTH.count() {
            return Err(Broken::limit(mark, format!("nested deeper than {}", bounds::YAML_DEPTH)));
        }
        let at = self.add(Value { mark, kind })?;
        self.open.push(Open { at, anchor, key: None });
        Ok(())
    }

    /// A value is whole: it can be referred to, and belongs to what is open around it.
    fn finish(&mut self, at: usize, anchor: usize) -> Result<(), Broken> {
        if anchor > 0 {
            self.anchors.insert(anchor, at);
        }
        self.place(at)
    }

    fn place(&mut self, at: usize) -> Result<(), Broken> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(at);
            return Ok(());
        };
        match (self.values.get_mut(open.at).map(|value| &mut value.kind), open.key.take()) {
            (Some(Kind::List(items)), _) => items.push(at),
            (Some(Kind::Map(entries)), Some(key)) => entries.push((key, at)),
            (Some(Kind::Map(_)), None) => match self.values.get(at) {
                // JSON, to which Kubernetes converts, has no such key.
                Some(Value { mark, kind: Kind::List(_) | Kind::Map(_) }) => {
                    return Err(Broken { mark: *mark, what: "invalid map key".to_owned(), is_limit: false });
                }
                _ => open.key = Some(at),
            },
            (Some(Kind::Scalar { .. }) | None, _) => {}
        }
        Ok(())
    }
}

impl<'a> Tree<'a> {
    /// Writes out what a patch says in one line: the value of a number below steps, all of which stand at a place. It is
    /// the root from then on.
    pub(super) fn graft(&mut self, steps: Vec<Step>, mark: Mark, number: usize) {
        let mut at = number;
        for step in steps.into_iter().rev() {
            let kind = match step {
                Step::Item => Kind::List(vec![at]),
                Step::Field(name) => {
                    let key = Kind::Scalar { text: Cow::Owned(name), is_text: true, is_block: false };
                    self.values.push(Value { mark, kind: key });
                    Kind::Map(vec![(self.values.len() - 1, at)])
                }
            };
            self.values.push(Value { mark, kind });
            at = self.values.len() - 1;
        }
        self.root = Some(at);
    }

    /// The document's value; none if it is empty.
    pub(super) fn root(&self) -> Option<Node<'_>> {
        self.node(self.root?)
    }

    fn node(&self, at: usize) -> Option<Node<'_>> {
        let value = self.values.get(at)?;
        let length = if let Kind::Scalar { text, .. } = &value.kind { text.len() as u64 } else { 0 };
        self.budget.take(1 + length / bounds::CHARACTERS_PER_STEP.most)?;
        Some(Node { tree: self, at: value, number: at })
    }
}

impl<'a> Node<'a> {
    /// Which value of its tree it is.
    pub(super) fn number(self) -> usize {
        self.number
    }

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
            Kind::Scalar { text, is_text: true, .. } => Some(text),
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

    /// Whether something else fills it in before Kubernetes sees it: a template's `{{ ... }}`, a substituted `${...}`.
    pub(super) fn is_placeholder(self) -> bool {
        self.scalar().is_some_and(|text| text.contains("{{") || text.contains("${"))
    }

    /// Whether it is a text that has lines of its own in the file.
    pub(super) fn is_block(self) -> bool {
        matches!(self.at.kind, Kind::Scalar { is_block: true, .. })
    }

    pub(super) fn is_map(self) -> bool {
        matches!(self.at.kind, Kind::Map(_))
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self.at.kind, Kind::List(_))
    }

    /// The fields of a map with their keys as they are written: merged maps (`<<`) count as a field.
    pub(super) fn entries(self) -> impl Iterator<Item = (Node<'a>, Node<'a>)> {
        let entries = match &self.at.kind {
            Kind::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().filter_map(move |&(key, value)| Some((self.tree.node(key)?, self.tree.node(value)?)))
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
        self.find(key, bounds::YAML_DEPTH.count())
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
