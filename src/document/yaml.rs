//! YAML as people write it, with limits and places. The door of the YAML crate.
//!
//! Two ways in. [`parse`] fills a type and stops at the first mistake. [`documents`] gives each document as a
//! tree of [`Node`]s that know their line and column, for readers that report every mistake or walk what they
//! do not know. Both bound the size of the text, the nesting and what aliases expand to; both refuse a key
//! that stands twice.

use super::PaperError;
use crate::model::limits;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

/// Nodes of one document, aliases expanded.
pub const NODES: usize = 1_000_000;
/// Bytes of text that aliases may add to one document.
const ALIAS_BYTES: usize = 1 << 20;

/// A value with its place in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Line from 1.
    pub line: usize,
    /// Column from 1.
    pub column: usize,
    /// What stands there.
    pub value: Value,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text as written: numbers and truth values keep their spelling.
    Text {
        /// The text.
        text: String,
        /// Whether it stands without quotes, so that other readers may take it for a number.
        plain: bool,
    },
    /// Sequence.
    List(Vec<Node>),
    /// Mapping, in the order of the file; no key stands twice.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Key.
    pub key: String,
    /// Whether the key stands without quotes, so that other readers may take it for a number or a truth value.
    pub plain: bool,
    /// Line of the key, from 1.
    pub line: usize,
    /// Column of the key, from 1.
    pub column: usize,
    /// Value.
    pub value: Node,
}

impl Node {
    /// Returns the value under `key`, where this is a mapping that has it and it is not null.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries().iter().find(|entry| entry.key == key)?;
        Some(&entry.value).filter(|node| node.value != Value::Null)
    }

    /// Returns the value at the end of `path`.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Returns the text, where this is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Returns the entries; none where this is no mapping.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the items; none where this is no sequence.
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Returns whether other readers of YAML take this text for a number, and so may change its spelling.
    pub fn is_number(&self) -> bool {
        match &self.value {
            Value::Text { text, plain: true } => {
                let digits = text.replace('_', "");
                let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-'));
                let prefixed = ["0x", "0o", "0b"].iter().any(|prefix| {
                    digits.strip_prefix(prefix).is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()))
                });
                begins && (prefixed || digits.parse::<f64>().is_ok())
            }
            _ => false,
        }
    }

    /// Says in a word what this is.
    pub const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Text { .. } => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// What is made of a text that two readers could take for two things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reading {
    /// A key that stands twice and a tag that means nothing here are errors: for what people write for this program.
    #[default]
    Strict,
    /// The last of two equal keys counts and unknown tags are passed over, as Helm and Kubernetes tools read.
    Lenient,
}

/// Reads one YAML document from `text`, which a person calls `place`, into a type.
pub fn parse<T: DeserializeOwned>(text: &str, place: &str) -> Result<T, PaperError> {
    check_size(text.len(), place)?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: limits::NESTING,
            flow_nesting_limit: limits::NESTING,
            max_nodes: NODES,
            max_events: 4 * NODES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| typed(&error, place).quoting(text))
}

/// Reads the one document of `text`, which a person calls `place`. An empty file gives a null node.
pub fn document(text: &str, place: &str) -> Result<Node, PaperError> {
    let mut documents = documents(text, place)?;
    let first = documents.next().unwrap_or(Ok(Node { line: 1, column: 1, value: Value::Null }))?;
    match documents.next() {
        None => Ok(first),
        Some(Err(error)) => Err(error),
        Some(Ok(second)) => {
            let why = "a second document begins here, one is expected".to_owned();
            Err(syntax(place, second.line, second.column, why).quoting(text))
        }
    }
}

/// Reads the documents of `text` one after another. After an error nothing more comes.
pub fn documents<'t>(text: &'t str, place: &'t str) -> Result<Documents<'t>, PaperError> {
    documents_as(Reading::Strict, text, place)
}

/// Reads the documents of `text` one after another, as strictly as told. After an error nothing more comes.
pub fn documents_as<'t>(reading: Reading, text: &'t str, place: &'t str) -> Result<Documents<'t>, PaperError> {
    check_size(text.len(), place)?;
    let options = serde_saphyr::granit_parser::options! {
        flow_nesting_limit: limits::NESTING,
        block_nesting_limit: limits::NESTING,
        emit_comments: false,
    };
    Ok(Documents { parser: Parser::new_from_str_with_options(text, options), text, place, reading, ended: false })
}

/// Returns `value` as YAML, for a paper that a person may read and change.
pub fn write<T: Serialize>(value: &T) -> String {
    // Serialising our own values to memory fails only for keys that are no text, and no paper has one.
    serde_saphyr::to_string(value).unwrap_or_default()
}

/// Returns the text of a file: UTF-8, with or without a byte order mark.
pub fn decode<'b>(bytes: &'b [u8], place: &str) -> Result<&'b str, PaperError> {
    check_size(bytes.len(), place)?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(syntax(place, 1, 1, "the file is UTF-16; save it as UTF-8".to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = good.iter().filter(|b| **b == b'\n').count() + 1;
        let column = good.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        syntax(place, line, column, "this byte is no UTF-8".to_owned())
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Makes `---#` at the start of a line a document separator with a comment, as Kubernetes tools take it.
///
/// YAML itself would take it for text. Lines keep their numbers.
pub fn with_separators(text: &str) -> Cow<'_, str> {
    if text.starts_with("---#") || text.contains("\n---#") {
        let rest = text.replace("\n---#", "\n--- #");
        return match rest.strip_prefix("---#") {
            Some(rest) => format!("--- #{rest}").into(),
            None => rest.into(),
        };
    }
    Cow::Borrowed(text)
}

/// Returns the known name that is most like `name`, where one is near enough to be meant.
pub fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = name.to_lowercase();
    let near = |known: &&'k str| (distance(&name, &known.to_lowercase()), *known);
    let (steps, best) = known.iter().map(near).min()?;
    (steps <= 2.max(best.len() / 3) && steps < best.len()).then_some(best)
}

/// Counts the letters to change, add, drop or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut steps = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && *y == a[i - 1] {
                steps = steps.min(rows[i - 1][j - 1] + 1);
            }
            row.push(steps);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// The documents of a file, one after another.
pub struct Documents<'t> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    place: &'t str,
    reading: Reading,
    ended: bool,
}

impl Iterator for Documents<'_> {
    type Item = Result<Node, PaperError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let found = self.read().map_err(|error| error.quoting(self.text)).transpose();
        self.ended = !matches!(found, Some(Ok(_)));
        found
    }
}

impl Documents<'_> {
    fn read(&mut self) -> Result<Option<Node>, PaperError> {
        let mut tree = Tree { reading: self.reading, ..Tree::default() };
        for event in self.parser.by_ref() {
            let (event, span) = event.map_err(|error| scanned(&error, self.place))?;
            if matches!(event, Event::DocumentEnd) {
                return Ok(tree.root.take());
            }
            let (line, column) = place_of(&span);
            tree.take(event, line, column).map_err(|why| syntax(self.place, line, column, why))?;
        }
        Ok(None)
    }
}

/// What a subtree weighs: what an alias to it costs.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Weight {
    fn add(&mut self, child: Self) {
        self.nodes += child.nodes;
        self.bytes += child.bytes;
        self.depth = self.depth.max(child.depth + 1);
    }
}

struct Frame {
    node: Node,
    key: Option<Entry>,
    anchor: usize,
    weight: Weight,
}

/// A document that is being read.
#[derive(Default)]
struct Tree {
    open: Vec<Frame>,
    anchors: BTreeMap<usize, (Node, Weight)>,
    root: Option<Node>,
    reading: Reading,
    nodes: usize,
    aliased: usize,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, line: usize, column: usize) -> Result<(), String> {
        let node = |value| Node { line, column, value };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let quoted =
                    style != ScalarStyle::Plain || tag.as_ref().is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                self.check_tag(tag.as_deref())?;
                let weight = Weight { nodes: 1, bytes: text.len(), depth: 0 };
                self.put(node(scalar(text.into_owned(), quoted)), anchor, weight)
            }
            Event::SequenceStart(_, anchor, tag) => self.begin(node(Value::List(Vec::new())), anchor, tag.as_deref()),
            Event::MappingStart(_, anchor, tag) => self.begin(node(Value::Map(Vec::new())), anchor, tag.as_deref()),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor),
            _ => Ok(()),
        }
    }

    fn check_tag(&self, tag: Option<&YamlTag>) -> Result<(), String> {
        match tag {
            Some(tag) if self.reading == Reading::Strict && !tag.is_yaml_core_schema() && tag.original() != "!" => {
                Err(format!("the YAML tag {:?} means nothing here", tag.original()))
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, node: Node, anchor: usize, tag: Option<&YamlTag>) -> Result<(), String> {
        self.check_tag(tag)?;
        if self.open.len() >= limits::NESTING {
            return Err(format!("nested deeper than {}", limits::NESTING));
        }
        self.open.push(Frame { node, key: None, anchor, weight: Weight { nodes: 1, ..Weight::default() } });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(mut frame) = self.open.pop() else { return Ok(()) };
        if let Value::Map(entries) = &mut frame.node.value {
            merge(entries, self.reading)?;
        }
        self.put(frame.node, frame.anchor, frame.weight)
    }

    fn alias(&mut self, anchor: usize) -> Result<(), String> {
        let Some((node, weight)) = self.anchors.get(&anchor) else {
            return Err("an alias cannot stand inside of what it stands for".to_owned());
        };
        self.aliased += weight.bytes;
        if self.aliased > ALIAS_BYTES || self.nodes + weight.nodes > NODES {
            return Err("aliases expand to more than the limit".to_owned());
        }
        if self.open.len() + weight.depth > limits::NESTING {
            return Err(format!("aliases nest deeper than {}", limits::NESTING));
        }
        let (node, weight) = (node.clone(), *weight);
        self.nodes += weight.nodes - 1;
        self.put(node, 0, weight)
    }

    /// Puts a finished node into the collection around it.
    fn put(&mut self, node: Node, anchor: usize, weight: Weight) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(format!("more than {NODES} values in one document"));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.weight.add(weight);
        match (&mut frame.node.value, frame.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some(key)) => entries.push(Entry { value: node, ..key }),
            (_, _) => frame.key = Some(key_of(node)?),
        }
        Ok(())
    }
}

type YamlTag = serde_saphyr::granit_parser::Tag;

fn scalar(text: String, quoted: bool) -> Value {
    if !quoted && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Text { text, plain: !quoted }
}

fn key_of(node: Node) -> Result<Entry, String> {
    let (line, column) = (node.line, node.column);
    let (key, plain) = match node.value {
        Value::Text { text, plain } => (text, plain),
        Value::Null => ("null".to_owned(), false),
        _ => return Err("a key is a text, not a collection".to_owned()),
    };
    Ok(Entry { key, plain, line, column, value: Node { line, column, value: Value::Null } })
}

/// Refuses keys that stand twice, or drops all but the last, and takes in what `<<` names; what stands in the mapping itself wins.
fn merge(entries: &mut Vec<Entry>, reading: Reading) -> Result<(), String> {
    let mut seen = HashSet::new();
    if reading == Reading::Lenient {
        entries.reverse();
        entries.retain(|entry| seen.insert(entry.key.clone()));
        entries.reverse();
        seen.clear();
    }
    if let Some(twice) = entries.iter().find(|entry| !seen.insert(entry.key.clone())) {
        return Err(format!("the key {:?} stands a second time in line {}", twice.key, twice.line));
    }
    let Some(at) = entries.iter().position(|entry| entry.key == "<<") else { return Ok(()) };
    let merged = entries.remove(at).value;
    let maps = match merged.value {
        Value::List(items) => items,
        _ => vec![merged],
    };
    for map in maps {
        let Value::Map(more) = map.value else {
            return Err("<< takes a mapping or a list of mappings".to_owned());
        };
        entries.extend(more.into_iter().filter(|entry| seen.insert(entry.key.clone())));
    }
    Ok(())
}

fn check_size(size: usize, place: &str) -> Result<(), PaperError> {
    let size = size as u64;
    if size > limits::PAPER_BYTES {
        return Err(PaperError::TooLarge { place: place.to_owned(), size, limit: limits::PAPER_BYTES });
    }
    Ok(())
}

fn syntax(place: &str, line: usize, column: usize, why: String) -> PaperError {
    PaperError::Syntax { place: place.to_owned(), line, column, why, quote: None }
}

fn place_of(span: &Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

fn scanned(error: &ScanError, place: &str) -> PaperError {
    syntax(place, error.marker().line(), error.marker().col() + 1, error.info())
}

/// Puts an error of the crate into our words: one line, its place in front, a near name where a field is unknown.
fn typed(error: &serde_saphyr::Error, place: &str) -> PaperError {
    let error = error.without_snippet();
    let (line, column) = error.location().map_or((1, 1), |at| (at.line() as usize, at.column() as usize));
    let why = match error {
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => unknown_field(field, expected),
        other => {
            let words = other.to_string();
            words.strip_suffix(&format!(" at line {line}, column {column}")).unwrap_or(&words).to_owned()
        }
    };
    syntax(place, line, column, why)
}

/// Says that a field is unknown, and which one may be meant.
pub fn unknown_field(field: &str, known: &[&str]) -> String {
    match nearest(field, known) {
        Some(near) => format!("unknown field {field:?}; did you mean {near:?}?"),
        None => format!("unknown field {field:?}; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    fn one(text: &str) -> Node {
        document(text, "x.yaml").unwrap_or_else(|e| panic!("{e}"))
    }

    fn fails(text: &str) -> String {
        match documents(text, "x.yaml") {
            Ok(documents) => documents.filter_map(Result::err).map(|e| e.to_string()).next().expect(text),
            Err(error) => error.to_string(),
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Small {
        platforms: String,
    }

    #[test]
    fn values_keep_their_spelling_and_place() {
        let node = one("a: 1.10\nb:\n  - no\n  - \"7\"\nc:\n");
        assert_eq!(node.get("a").unwrap().text(), Some("1.10"));
        assert!(node.get("a").unwrap().is_number());
        let b = &node.get("b").unwrap().items()[1];
        assert_eq!((b.text(), b.is_number(), b.line, b.column), (Some("7"), false, 4, 5));
        assert!(node.get("c").is_none());
    }

    #[test]
    fn numbers_are_told_from_texts() {
        for number in ["1", "1.10", "1e3", "0x1F", "1_000", "-2", ".5", "007"] {
            assert!(one(number).is_number(), "{number}");
        }
        for text in ["1.2.0", "v1", "\"1.10\"", "inf", "nan", "^1", "1.x", "x"] {
            assert!(!one(text).is_number(), "{text}");
        }
    }

    #[test]
    fn an_unknown_field_is_named_with_its_place_and_the_nearest_name() {
        let error = parse::<Small>("\nplatfroms: x\n", "m.yaml").unwrap_err();
        assert_eq!(error.to_string(), "m.yaml:2:1: unknown field \"platfroms\"; did you mean \"platforms\"?");
        assert_eq!(parse::<Small>("platforms: 1.10\n", "m.yaml").unwrap().platforms, "1.10");
    }

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        let known = ["images", "platforms", "ignore", "newest"];
        assert_eq!(nearest("imgaes", &known), Some("images"));
        assert_eq!(nearest("Platform", &known), Some("platforms"));
        assert_eq!(nearest("zzz", &known), None);
    }

    #[test]
    fn documents_come_one_by_one_and_tabs_and_comments_do_no_harm() {
        let text = "a: x\t\n\t\nb:\ty\t# c\r\n---\n---# next\nc: 1\n...\n";
        let text = with_separators(text);
        let nodes: Vec<Node> = documents(&text, "x").unwrap().map(Result::unwrap).collect();
        assert_eq!(nodes.len(), 3);
        assert_eq!(nodes[0].get("b").unwrap().text(), Some("y"));
        assert_eq!(nodes[1].value, Value::Null);
        assert_eq!(nodes[2].get("c").unwrap().line, 6);
        assert_eq!(with_separators("---#x\na: 1"), "--- #x\na: 1");
    }

    #[test]
    fn mistakes_have_line_and_column() {
        assert_eq!(fails("a: 1\na: 2\n"), "x.yaml:3:1: the key \"a\" stands a second time in line 2");
        assert!(fails("a:\n\tb: c\n").starts_with("x.yaml:2:2: tabs disallowed"));
        assert!(fails("a: *b\n").starts_with("x.yaml:1:4: "));
        assert!(fails("a: !Ref x\n").contains("!Ref"));
        assert!(fails("? [a]\n: b\n").contains("a key is a text"));
        assert!(fails("a: &a [*a]\n").contains("alias"));
        assert!(document("a: 1\n---\nb: 1\n", "x").unwrap_err().to_string().contains("second document"));
    }

    #[test]
    fn merged_mappings_give_way_to_what_stands_in_the_mapping() {
        let node = one("d: &d {image: a, tag: b}\nx:\n  <<: *d\n  tag: c\n");
        let x = node.get("x").unwrap();
        assert_eq!((x.get("image").unwrap().text(), x.get("tag").unwrap().text()), (Some("a"), Some("c")));
        assert!(fails("x: {<<: 1}\n").contains("<<"));
    }

    #[test]
    fn an_alias_bomb_is_refused_before_it_costs_memory() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for i in 1..12 {
            let alias = format!("*a{}", i - 1);
            bomb += &format!("a{i}: &a{i} [{}]\n", vec![alias; 10].join(","));
        }
        assert!(fails(&bomb).contains("aliases expand"), "{}", fails(&bomb));
        assert!(parse::<BTreeMap<String, serde_json::Value>>(&bomb, "x").is_err());
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), vec!["*a"; 200].join(","));
        assert!(fails(&long).contains("aliases expand"));
        let mut ladder = "a0: &a0 [x]\n".to_owned();
        for i in 1..200 {
            ladder += &format!("a{i}: &a{i} [*a{}]\n", i - 1);
        }
        assert!(fails(&ladder).contains("nest deeper"));
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(document(&nested(limits::NESTING - 1), "x").is_ok());
        assert!(document(&nested(limits::NESTING + 1), "x").is_err());
        assert!(document(&nested(100_000), "x").is_err());
        assert!(document(&"- ".repeat(100_000), "x").is_err());
        assert!(parse::<serde_json::Value>(&nested(100_000), "x").is_err());
        assert!(document(&"a: {".repeat(100_000), "x").is_err());
    }

    #[test]
    fn other_encodings_are_named() {
        assert_eq!(decode(b"\xef\xbb\xbfa", "x").unwrap(), "a");
        assert!(decode(b"\xff\xfea\0", "x").unwrap_err().to_string().contains("UTF-16"));
        assert!(decode(b"a\nb\xc3\n", "x").unwrap_err().to_string().starts_with("x:2:2: "));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_errs_without_a_panic(text in "[-a-c:{}\\[\\],&*!#|>'\"% \\n\\t<?0-9.~\\PC]{0,60}") {
            for document in documents(&with_separators(&text), "x").unwrap() {
                let _ = document;
            }
            let _ = parse::<serde_json::Value>(&text, "x");
        }
    }
}
