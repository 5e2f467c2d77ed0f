//! Texts.

use super::convert::text_of;
use super::function;
use crate::chart::template::{Arguments, Engine, Function, TableKind, Trouble, Value, quote, show};
use std::rc::Rc;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("hello", |_, _| Ok(Value::text("Hello!"))),
    function("trim", |_, given| Ok(Value::text(given.text(0)?.trim()))),
    function("trimAll", trim_all),
    function("trimall", trim_all),
    function("trimSuffix", |_, given| {
        let text = given.text(1)?;
        Ok(Value::text(text.strip_suffix(given.text(0)?).unwrap_or(text)))
    }),
    function("trimPrefix", |_, given| {
        let text = given.text(1)?;
        Ok(Value::text(text.strip_prefix(given.text(0)?).unwrap_or(text)))
    }),
    function("upper", |_, given| Ok(given.text(0)?.to_uppercase().into())),
    function("lower", |_, given| Ok(given.text(0)?.to_lowercase().into())),
    function("title", |_, given| Ok(title(given.text(0)?).into())),
    function("untitle", |_, given| Ok(each_word(given.text(0)?, |c| c.to_lowercase().collect()).into())),
    function("swapcase", |_, given| Ok(given.text(0)?.chars().map(swapped).collect::<String>().into())),
    function("nospace", |_, given| {
        Ok(given.text(0)?.chars().filter(|c| !c.is_whitespace()).collect::<String>().into())
    }),
    function("initials", |_, given| {
        Ok(given.text(0)?.split_whitespace().filter_map(|word| word.chars().next()).collect::<String>().into())
    }),
    function("snakecase", |_, given| Ok(parted(given.text(0)?, '_').into())),
    function("kebabcase", |_, given| Ok(parted(given.text(0)?, '-').into())),
    function("camelcase", |_, given| Ok(pascal(given.text(0)?).into())),
    function("contains", |_, given| Ok(given.text(1)?.contains(given.text(0)?).into())),
    function("hasPrefix", |_, given| Ok(given.text(1)?.starts_with(given.text(0)?).into())),
    function("hasSuffix", |_, given| Ok(given.text(1)?.ends_with(given.text(0)?).into())),
    function("quote", |_, given| each_quoted(given, |value| Ok(quote(&text_of(value)?)))),
    function("squote", |_, given| each_quoted(given, |value| Ok(format!("'{}'", show(value)?)))),
    function("cat", |_, given| {
        let texts = given.0.iter().filter(|value| !matches!(value, Value::Nil)).map(show);
        Ok(texts.collect::<Result<Vec<_>, _>>()?.join(" ").into())
    }),
    function("indent", |engine, given| Ok(indented(engine, given)?.into())),
    function("nindent", |engine, given| Ok(format!("\n{}", indented(engine, given)?).into())),
    function("replace", replace),
    function("repeat", |engine, given| {
        let count = usize::try_from(given.int(0)?).map_err(|_| "cannot repeat a text a negative number of times")?;
        let text = given.text(1)?;
        engine.take_bytes(text.len().saturating_mul(count))?;
        Ok(text.repeat(count).into())
    }),
    function("trunc", |_, given| Ok(truncated(given.int(0)?, given.text(1)?).into())),
    function("substr", substring),
    function("abbrev", |_, given| {
        let (width, text) = (given.int(0)?, given.text(1)?);
        let whole = width < 4 || text.len() as i64 <= width;
        Ok(if whole { Value::text(text) } else { format!("{}...", truncated(width - 3, text)).into() })
    }),
    function("abbrevboth", |_, given| Ok(Value::text(given.text(2)?))),
    function("plural", |_, given| Ok(given.any(usize::from(given.int(2)? != 1))?.clone())),
    function("split", |_, given| Ok(numbered(given.text(1)?.split(given.text(0)?)))),
    function("splitn", |_, given| {
        let count = usize::try_from(given.int(1)?).unwrap_or(usize::MAX);
        Ok(numbered(given.text(2)?.splitn(count, given.text(0)?)))
    }),
    function("splitList", |_, given| Ok(split_list(given.text(0)?, given.text(1)?))),
    function("wrap", |_, given| Ok(wrapped(given.text(1)?, given.int(0)?, "\n").into())),
    function("wrapWith", |_, given| Ok(wrapped(given.text(2)?, given.int(0)?, given.text(1)?).into())),
];

fn trim_all(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let signs: Vec<char> = given.text(0)?.chars().collect();
    Ok(Value::text(given.text(1)?.trim_matches(signs.as_slice())))
}

fn title(text: &str) -> String {
    each_word(text, |c| c.to_uppercase().collect())
}

/// Changes the first letter of each word.
fn each_word(text: &str, change: fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for sign in text.chars() {
        let inside = before.is_alphanumeric() || matches!(before, '_' | '\'');
        if inside {
            out.push(sign)
        } else {
            out.push_str(&change(sign))
        }
        before = sign;
    }
    out
}

fn swapped(sign: char) -> char {
    let other = if sign.is_uppercase() { sign.to_lowercase().next() } else { sign.to_uppercase().next() };
    other.unwrap_or(sign)
}

/// Writes `someName` as `some_name`, or with another sign.
fn parted(text: &str, sign: char) -> String {
    let signs: Vec<char> = text.chars().collect();
    let mut out = String::new();
    for (at, c) in signs.iter().enumerate() {
        if matches!(c, '_' | '-' | ' ') {
            out.push(sign);
            continue;
        }
        let before = at.checked_sub(1).map(|at| signs[at]);
        let after = signs.get(at + 1);
        let begins = c.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase() || b.is_ascii_digit() || (b.is_uppercase() && after.is_some_and(|a| a.is_lowercase()))
            });
        if begins && !out.ends_with(sign) {
            out.push(sign);
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn pascal(text: &str) -> String {
    let mut out = String::new();
    let mut begins = true;
    for c in text.chars() {
        match c {
            '_' | '-' | ' ' => begins = true,
            c if begins => {
                out.extend(c.to_uppercase());
                begins = false;
            }
            c => out.push(c),
        }
    }
    out
}

fn each_quoted(given: &Arguments, with: fn(&Value) -> Result<String, Trouble>) -> Result<Value, Trouble> {
    let texts = given.0.iter().filter(|value| !matches!(value, Value::Nil)).map(with);
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join(" ").into())
}

fn indented(engine: &mut Engine, given: &Arguments) -> Result<String, Trouble> {
    let text = given.text(1)?;
    let count = usize::try_from(given.int(0)?).map_err(|_| "cannot indent by a negative number")?;
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    engine.take_bytes(count.saturating_mul(lines))?;
    let pad = " ".repeat(count);
    Ok(format!("{pad}{}", text.replace('\n', &format!("\n{pad}"))))
}

fn replace(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let (old, new, text) = (given.text(0)?, given.text(1)?, given.text(2)?);
    engine.take_bytes(new.len().saturating_mul(text.matches(old).count()))?;
    Ok(text.replace(old, new).into())
}

/// Cuts a text to so many bytes, from its end where the number is negative; a sign that is cut apart is left out.
fn truncated(count: i64, text: &str) -> String {
    let length = text.len() as i64;
    let (mut from, mut to) = (0, text.len());
    if count < 0 && length + count > 0 {
        from = usize::try_from(length + count).unwrap_or(0);
    } else if count >= 0 && length > count {
        to = usize::try_from(count).unwrap_or(0);
    }
    String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned()
}

fn substring(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let (start, end, text) = (given.int(0)?, given.int(1)?, given.text(2)?);
    let at = |place: i64| usize::try_from(place).ok().filter(|at| *at <= text.len());
    let (from, to) = match (start, end) {
        (..0, end) => (Some(0), at(end)),
        (start, end) if end < 0 || end > text.len() as i64 => (at(start), Some(text.len())),
        (start, end) => (at(start), at(end)),
    };
    let part = from.zip(to).and_then(|(from, to)| text.as_bytes().get(from..to));
    let part = part.ok_or_else(|| Trouble::Wrong(format!("{start} to {end} of {} bytes", text.len())))?;
    Ok(String::from_utf8_lossy(part).into_owned().into())
}

fn numbered<'t>(parts: impl Iterator<Item = &'t str>) -> Value {
    let named = parts.enumerate().map(|(at, part)| (Rc::from(format!("_{at}")), Value::text(part)));
    Value::table(named.collect(), TableKind::Texts)
}

/// Go splits by nothing into signs, without empty ends.
fn split_list(separator: &str, text: &str) -> Value {
    if separator.is_empty() {
        return Value::texts(text.chars().map(String::from));
    }
    Value::texts(text.split(separator))
}

fn wrapped(text: &str, width: i64, line_end: &str) -> String {
    let width = usize::try_from(width).unwrap_or(1).max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join(line_end)
}
