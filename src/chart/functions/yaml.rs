//! YAML out, as the Go library that Helm uses writes it: the same quotes, the same folding of long lines, lists not
//! indented below their key. Charts cut and compare such text, so it is meant to be equal to the byte.

use super::data::float;
use crate::chart::template::{self, Engine, Trouble, Value, WALK_DEPTH};
use crate::document::yaml_value::scalar;
use serde_json::Value as Json;

/// Column behind which a text is folded at its next blank.
const WIDTH: usize = 80;

/// Writes a value, without a line end behind it.
pub(super) fn write(engine: &mut Engine, value: &Value) -> Result<String, Trouble> {
    written(engine, value, false)
}

/// Writes a value with lists indented below their key.
pub(super) fn write_pretty(engine: &mut Engine, value: &Value) -> Result<String, Trouble> {
    written(engine, value, true)
}

fn written(engine: &mut Engine, value: &Value, pretty: bool) -> Result<String, Trouble> {
    let mut writer = Writer { engine, out: String::new(), pretty };
    writer.node(value, Place { indent: 0, depth: 0, column: 0 })?;
    Ok(writer.out.strip_suffix('\n').map(str::to_owned).unwrap_or(writer.out))
}

struct Writer<'e> {
    engine: &'e mut Engine,
    out: String,
    pretty: bool,
}

/// Where a node stands.
#[derive(Clone, Copy)]
struct Place {
    /// Columns in front of its lines.
    indent: usize,
    /// How deep it is.
    depth: usize,
    /// Column at which it begins.
    column: usize,
}

impl Writer<'_> {
    /// Writes a node that stands on a line of its own, or behind a dash.
    fn node(&mut self, value: &Value, place: Place) -> Result<(), Trouble> {
        if place.depth > WALK_DEPTH {
            return Err(Trouble::Limit("a value that holds itself, or nests too deep, is no YAML".to_owned()));
        }
        self.engine.take_bytes(place.indent + 8)?;
        match value {
            Value::Map(table) if !table.entries.borrow().is_empty() => {
                let mut entries = super::data::entries(table);
                entries.sort_by(|(a, _), (b, _)| order(a, b));
                self.map(entries.iter().map(|(key, item)| (&**key, item)), place)
            }
            Value::Record(record) => {
                let fields = record.fields.iter().filter(|(.., item)| item.is_true());
                self.map(fields.map(|(_, name, item)| (*name, item)), place)
            }
            Value::List(list) if !list.items.is_empty() => {
                for (at, item) in list.items.iter().enumerate() {
                    if at > 0 {
                        self.pad(place.indent);
                    }
                    self.out.push_str("- ");
                    let indent = place.indent + 2;
                    self.node(item, Place { indent, depth: place.depth + 1, column: indent })?;
                }
                Ok(())
            }
            other => {
                // A scalar behind a dash goes on below the dash's own text.
                let indent = if place.depth == 0 { place.indent } else { place.indent.saturating_sub(2) };
                self.scalar(other, Place { indent, ..place }, false)?;
                self.out.push('\n');
                Ok(())
            }
        }
    }

    fn map<'v>(&mut self, entries: impl Iterator<Item = (&'v str, &'v Value)>, place: Place) -> Result<(), Trouble> {
        for (at, (key, item)) in entries.enumerate() {
            if at > 0 {
                self.pad(place.indent);
            }
            let begin = self.out.len();
            self.text(key, place, true);
            self.out.push(':');
            let width = self.out[begin..].chars().count();
            self.value(item, Place { column: place.indent + width + 1, ..place })?;
        }
        Ok(())
    }

    /// Writes a value behind its key.
    fn value(&mut self, value: &Value, place: Place) -> Result<(), Trouble> {
        let depth = place.depth + 1;
        let extra = match value {
            Value::Map(table) if !table.entries.borrow().is_empty() => 2,
            Value::Record(_) => 2,
            Value::List(list) if !list.items.is_empty() => {
                if self.pretty {
                    2
                } else {
                    0
                }
            }
            other => {
                self.engine.take_bytes(place.indent + 8)?;
                self.out.push(' ');
                self.scalar(other, place, false)?;
                self.out.push('\n');
                return Ok(());
            }
        };
        let indent = place.indent + extra;
        self.out.push('\n');
        self.pad(indent);
        self.node(value, Place { indent, depth, column: indent })
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn scalar(&mut self, value: &Value, place: Place, is_key: bool) -> Result<(), Trouble> {
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(number) | Value::Int64(number) => self.out.push_str(&number.to_string()),
            Value::Float(number) => self.out.push_str(&number_text(*number)),
            Value::Text(text) => self.text(text, place, is_key),
            Value::List(_) => self.out.push_str("[]"),
            Value::Map(_) => self.out.push_str("{}"),
            Value::Bytes(bytes) => {
                use base64::Engine as _;
                self.text(&base64::engine::general_purpose::STANDARD.encode(bytes), place, is_key);
            }
            other => self.text(&template::show(other)?, place, is_key),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, place: Place, is_key: bool) {
        let about = About::of(text);
        if text.contains('\n') && about.block && !is_key {
            return self.literal(text, place.indent);
        }
        let style = style(text, &about, is_key);
        let fold = Fold { indent: if is_key { None } else { Some(place.indent + 2) }, column: place.column };
        match style {
            Style::Plain => self.folded(text, fold, false),
            Style::Single => {
                self.out.push('\'');
                self.folded(text, Fold { column: fold.column + 1, ..fold }, true);
                self.out.push('\'');
            }
            Style::Double => self.double(text, fold),
        }
    }

    /// Writes a text, broken at blanks behind [`WIDTH`].
    fn folded(&mut self, text: &str, fold: Fold, quoted: bool) {
        let signs: Vec<char> = text.chars().collect();
        let mut column = fold.column;
        let mut after_blank = false;
        let mut after_break = false;
        for (at, sign) in signs.iter().enumerate() {
            let inside = !quoted || (at > 0 && at + 1 < signs.len());
            let next_is_blank = signs.get(at + 1) == Some(&' ');
            match (sign, fold.indent) {
                (' ', Some(indent)) if !after_blank && column > WIDTH && inside && !next_is_blank => {
                    self.out.push('\n');
                    self.pad(indent);
                    column = indent;
                    after_blank = true;
                    after_break = false;
                    continue;
                }
                ('\'', _) if quoted => {
                    self.out.push_str("''");
                    column += 2;
                }
                ('\n', indent) => {
                    if !after_break {
                        self.out.push('\n');
                    }
                    self.out.push('\n');
                    column = indent.unwrap_or(0);
                }
                _ => {
                    if after_break {
                        self.pad(fold.indent.unwrap_or(0));
                    }
                    self.out.push(*sign);
                    column += 1;
                }
            }
            after_blank = *sign == ' ';
            after_break = *sign == '\n';
        }
    }

    fn double(&mut self, text: &str, fold: Fold) {
        self.out.push('"');
        let signs: Vec<char> = text.chars().collect();
        let mut column = fold.column + 1;
        let mut after_blank = false;
        for (at, sign) in signs.iter().enumerate() {
            let inside = at > 0 && at + 1 < signs.len();
            if *sign == ' '
                && !after_blank
                && column > WIDTH
                && inside
                && let Some(indent) = fold.indent
            {
                self.out.push('\n');
                self.pad(indent);
                column = indent;
                if signs.get(at + 1) == Some(&' ') {
                    self.out.push('\\');
                    column += 1;
                }
                after_blank = true;
                continue;
            }
            let before = self.out.len();
            escape(&mut self.out, *sign);
            column += self.out[before..].chars().count();
            after_blank = *sign == ' ';
        }
        self.out.push('"');
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            self.out.push('2');
        }
        if !text.ends_with('\n') {
            self.out.push('-');
        } else if text == "\n" || text.ends_with("\n\n") {
            self.out.push('+');
        }
        let body = text.strip_suffix('\n').unwrap_or(text);
        for line in body.split('\n') {
            self.out.push('\n');
            if !line.is_empty() {
                self.pad(indent + 2);
                self.out.push_str(line);
            }
        }
    }
}

/// How a text may be folded: columns in front of the next line, and where it begins.
#[derive(Clone, Copy)]
struct Fold {
    indent: Option<usize>,
    column: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
}

/// What a text allows.
struct About {
    plain: bool,
    single: bool,
    block: bool,
}

impl About {
    fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self { plain: false, single: true, block: false };
        }
        let signs: Vec<char> = text.chars().collect();
        let at = |place: usize| signs.get(place).copied();
        let blank_after = |place: usize| {
            at(place + 1).is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}'))
        };
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut special, mut space_break, mut break_space, mut breaks) = (false, false, false, false);
        for (place, sign) in signs.iter().enumerate() {
            let before = place.checked_sub(1).and_then(at);
            indicators |= match sign {
                '#' if place > 0 => before.is_some_and(|c| matches!(c, ' ' | '\t' | '\n')),
                ':' => blank_after(place),
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    place == 0
                }
                '?' | '-' => place == 0 && blank_after(place),
                _ => false,
            };
            match sign {
                '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                    breaks = true;
                    space_break |= before == Some(' ');
                }
                ' ' => break_space |= before == Some('\n'),
                other => special |= !printable(*other),
            }
        }
        let edges = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
        Self {
            plain: !(indicators || edges || breaks || special || space_break || break_space),
            single: !(break_space || space_break || special),
            block: !(text.ends_with(' ') || space_break || special),
        }
    }
}

fn printable(sign: char) -> bool {
    matches!(sign, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

fn style(text: &str, about: &About, is_key: bool) -> Style {
    let wanted = if means_something_else(text) { Style::Double } else { Style::Plain };
    match wanted {
        _ if text.contains('\n') => Style::Double,
        Style::Plain if about.plain => Style::Plain,
        Style::Double if !text.is_empty() => Style::Double,
        _ if about.single && !(is_key && text.contains('\n')) => {
            if text.is_empty() && !is_key {
                Style::Double
            } else {
                Style::Single
            }
        }
        _ => Style::Double,
    }
}

/// Returns whether a reader would take the text for a number, a truth value, a date or nothing.
fn means_something_else(text: &str) -> bool {
    !matches!(scalar(text), Some(Json::String(_))) || is_date(text) || is_base_60(text)
}

fn is_date(text: &str) -> bool {
    let digits = |text: &str, range: std::ops::RangeInclusive<usize>| {
        range.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let is_day = matches!(parts.as_slice(), [y, m, d] if digits(y, 4..=4) && digits(m, 1..=2) && digits(d, 1..=2));
    is_day
        && time.is_none_or(|time| {
            let clock = time.trim_end_matches('Z');
            let clock = clock.split(['+', '.']).next().unwrap_or(clock);
            let parts: Vec<&str> = clock.split(':').collect();
            parts.len() == 3 && parts.iter().all(|part| digits(part.split('-').next().unwrap_or(part), 1..=2))
        })
}

/// Numbers to the base of 60, which older readers know: `1:30`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (parts, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = parts.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let minutes = |part: &&str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [ten, digit] => (b'0'..=b'5').contains(ten) && digit.is_ascii_digit(),
        _ => false,
    };
    first.starts_with(|c: char| c.is_ascii_digit())
        && first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
        && !rest.is_empty()
        && rest.iter().all(minutes)
        && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// Returns a number as it stands in YAML: whole ones without a fraction.
fn number_text(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e18 { float(number) } else { template::float(number) }
}

fn escape(out: &mut String, sign: char) {
    match sign {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\0' => out.push_str("\\0"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\t' => out.push_str("\\t"),
        '\n' => out.push_str("\\n"),
        '\u{b}' => out.push_str("\\v"),
        '\u{c}' => out.push_str("\\f"),
        '\r' => out.push_str("\\r"),
        '\u{1b}' => out.push_str("\\e"),
        '\u{85}' => out.push_str("\\N"),
        '\u{a0}' => out.push_str("\\_"),
        '\u{2028}' => out.push_str("\\L"),
        '\u{2029}' => out.push_str("\\P"),
        other if printable(other) => out.push(other),
        other if u32::from(other) < 0x100 => out.push_str(&format!("\\x{:02X}", u32::from(other))),
        other if u32::from(other) < 0x1_0000 => out.push_str(&format!("\\u{:04X}", u32::from(other))),
        other => out.push_str(&format!("\\U{:08X}", u32::from(other))),
    }
}

/// Compares keys as the library sorts them: numbers in them by their size.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let digits = |text: &[char], at: usize| text[at..].iter().take_while(|c| c.is_ascii_digit()).collect::<String>();
    for at in 0..a.len().min(b.len()) {
        if a[at] == b[at] {
            continue;
        }
        let (letter_a, letter_b) = (a[at].is_alphabetic(), b[at].is_alphabetic());
        if letter_a && letter_b {
            return a[at].cmp(&b[at]);
        }
        if letter_a || letter_b {
            return letter_a.cmp(&letter_b);
        }
        let before = a[..at].iter().rev().take_while(|c| c.is_ascii_digit()).count();
        let (x, y) = (digits(&a, at - before), digits(&b, at - before));
        let (x, y) = (x.parse::<u128>().unwrap_or(0), y.parse::<u128>().unwrap_or(0));
        return x.cmp(&y).then(a[at].cmp(&b[at]));
    }
    a.len().cmp(&b.len())
}
