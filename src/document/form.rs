//! Reading the fields of a paper that a person wrote, and collecting every mistake instead of the first.
//!
//! A reader of a paper asks a [`Form`] for its fields; what is unknown, missing or of the wrong shape is noted
//! with line and column and reading goes on.

use super::PaperError;
use super::yaml::{self, Node, Value};
use std::cell::RefCell;
use std::fmt::Display;
use std::str::FromStr;

/// Mistakes that are listed; more are counted only.
const LISTED: usize = 100;

/// Collects the mistakes of one paper.
pub struct Clerk<'p> {
    place: &'p str,
    text: &'p str,
    mistakes: RefCell<Vec<PaperError>>,
}

impl<'p> Clerk<'p> {
    /// Begins with the paper that a person calls `place`.
    pub const fn new(place: &'p str) -> Self {
        Self { place, text: "", mistakes: RefCell::new(Vec::new()) }
    }

    /// Quotes the lines of `text`, which is what the paper says, where mistakes are shown to people.
    #[must_use]
    pub fn reading(self, text: &'p str) -> Self {
        Self { text, ..self }
    }

    /// Returns the paper's name.
    pub const fn place(&self) -> &'p str {
        self.place
    }

    /// Notes a mistake at `node`.
    pub fn note(&self, node: &Node, why: impl Into<String>) {
        self.note_at(node.line, node.column, why.into());
    }

    fn note_at(&self, line: usize, column: usize, why: String) {
        self.mistakes.borrow_mut().push(PaperError::Syntax {
            place: self.place.to_owned(),
            line,
            column,
            why,
            quote: None,
        });
    }

    /// Returns whether no mistake was noted so far.
    pub fn is_content(&self) -> bool {
        self.mistakes.borrow().is_empty()
    }

    /// Returns `value` when no mistake was noted.
    pub fn finish<T>(self, value: T) -> Result<T, PaperError> {
        let mut mistakes = self.mistakes.into_inner();
        match mistakes.len() {
            0 => Ok(value),
            1 => Err(mistakes.remove(0).quoting(self.text)),
            count => {
                mistakes.sort_by_key(|mistake| match mistake {
                    PaperError::Syntax { line, column, .. } => (*line, *column),
                    _ => (0, 0),
                });
                mistakes.truncate(LISTED);
                Err(PaperError::Several { count, first: mistakes }.quoting(self.text))
            }
        }
    }

    /// Opens the mapping `node`, whose fields are `known`.
    pub fn form<'a>(&'a self, node: &'a Node, known: &[&str]) -> Option<Form<'a>> {
        let Value::Map(entries) = &node.value else {
            self.note(node, format!("expected a mapping with {}, found {}", known.join(", "), node.kind()));
            return None;
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            self.note_at(entry.line, entry.column, yaml::unknown_field(&entry.key, known));
        }
        Some(Form { clerk: self, node })
    }

    /// Reads a list, one item at a time; an item that is wrong is noted and left out.
    pub fn list<T>(&self, node: Option<&Node>, read: impl FnMut(&Node) -> Option<T>) -> Vec<T> {
        let Some(node) = node else { return Vec::new() };
        if !matches!(node.value, Value::List(_)) {
            self.note(node, format!("expected a list, found {}", node.kind()));
        }
        node.items().iter().filter_map(read).collect()
    }

    /// Reads a text.
    pub fn text(&self, node: &Node) -> Option<String> {
        match node.text() {
            Some("") => self.note(node, "the text is empty"),
            Some(text) => return Some(text.to_owned()),
            None => self.note(node, format!("expected a text, found {}", node.kind())),
        }
        None
    }

    /// Reads a text that has a form of its own.
    pub fn parsed<T: FromStr<Err: Display>>(&self, node: &Node) -> Option<T> {
        match self.text(node)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(node, error.to_string());
                None
            }
        }
    }

    /// Reads one text or a list of texts.
    pub fn texts(&self, node: Option<&Node>) -> Vec<String> {
        match node {
            Some(one) if one.text().is_some() => self.text(one).into_iter().collect(),
            other => self.list(other, |item| self.text(item)),
        }
    }

    /// Reads one of some words.
    pub fn word<T: Copy>(&self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.note(node, format!("{text:?} is none of: {}", known.join(", ")));
        }
        found.map(|(_, value)| *value)
    }
}

/// A mapping whose fields are asked for one by one.
pub struct Form<'a> {
    clerk: &'a Clerk<'a>,
    node: &'a Node,
}

impl<'a> Form<'a> {
    /// Returns the field `name`, where it has a value.
    pub fn get(&self, name: &str) -> Option<&'a Node> {
        self.node.get(name)
    }

    /// Returns the field `name`, or notes that it is missing.
    pub fn need(&self, name: &str) -> Option<&'a Node> {
        let found = self.get(name);
        if found.is_none() {
            self.clerk.note(self.node, format!("the field {name:?} is missing"));
        }
        found
    }

    /// Reads the text `name`, where it is given.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|node| self.clerk.text(node))
    }

    /// Reads the text `name`, or notes that it is missing.
    pub fn need_text(&self, name: &str) -> Option<String> {
        self.need(name).and_then(|node| self.clerk.text(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_noted_in_the_order_of_the_file() {
        let node = yaml::document("b: []\nplatfrom: x\na:\n  - \"\"\n  - [1]\n  - y\n", "m.yaml").unwrap();
        let clerk = Clerk::new("m.yaml");
        let form = clerk.form(&node, &["platform", "a", "b"]).unwrap();
        assert_eq!(clerk.list(form.get("a"), |item| clerk.text(item)), ["y"]);
        assert!(form.need_text("platform").is_none());
        let text = clerk.finish(()).unwrap_err().to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[0].starts_with("4 mistakes"));
        assert!(lines[2].contains("m.yaml:2:1: unknown field \"platfrom\"; did you mean \"platform\"?"));
        assert!(lines[4].contains("m.yaml:5:5: expected a text, found a list"));
    }

    #[test]
    fn mistakes_past_the_limit_are_counted() {
        let node = yaml::document(&"- []\n".repeat(500), "m").unwrap();
        let clerk = Clerk::new("m");
        clerk.list(Some(&node), |item| clerk.text(item));
        let text = clerk.finish(()).unwrap_err().to_string();
        assert!(text.starts_with("500 mistakes") && text.ends_with("400 more"), "{text}");
    }
}
