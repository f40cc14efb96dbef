//! Markup that is whole by construction: what is opened is closed, and text stays text. It is HTML and XML at once.

use crate::model::text::is_hostile;

/// An attribute: its name, and any text as its value.
pub(super) type Attribute<'a> = (&'static str, &'a str);

/// A document that grows.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// The document.
    pub(super) fn finished(self) -> String {
        format!("<!DOCTYPE html>\n{}", self.0)
    }

    /// An element with what is inside it.
    pub(super) fn element(&mut self, tag: &'static str, attributes: &[Attribute<'_>], inside: impl FnOnce(&mut Self)) {
        self.open(tag, attributes);
        self.0.push('>');
        inside(self);
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push('>');
        // Between these a line feed is no blank that anybody sees.
        if matches!(tag, "h1" | "h2" | "p" | "li" | "tr" | "thead" | "tbody" | "section" | "style" | "head" | "html") {
            self.0.push('\n');
        }
    }

    /// An element that holds text alone.
    pub(super) fn words(&mut self, tag: &'static str, attributes: &[Attribute<'_>], text: &str) {
        self.element(tag, attributes, |html| html.text(text));
    }

    /// An element that holds nothing: one of those that HTML never closes, or a shape.
    pub(super) fn void(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.open(tag, attributes);
        self.0.push_str("/>");
    }

    /// Text, whatever it holds.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Texts here are words with single blanks: a line feed came from outside.
                '\n' => self.0.push_str("\\n"),
                c if is_hostile(c) || is_no_character(c) => self.0.extend(c.escape_unicode()),
                c => self.0.push(c),
            }
        }
    }

    /// A style sheet, which is ours and holds neither `<` nor `&`.
    pub(super) fn style(&mut self, sheet: &'static str) {
        self.element("style", &[], |html| html.0.push_str(sheet));
    }

    fn open(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.0.push('<');
        self.0.push_str(tag);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
    }
}

/// Code points that Unicode keeps from ever being characters, which a document must not hold.
fn is_no_character(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}
