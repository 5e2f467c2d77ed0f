//! Values as text, as Go's `fmt` writes them: `%v` and the other verbs, with flags, width and precision.

use super::eval::Trouble;
use super::value::{ListKind, Value, WALK_DEPTH};
use std::fmt::Write;

/// Widest field and longest fraction that a verb may ask for.
const WIDTH: usize = 10_000;

/// Returns a value as `%v` writes it.
pub(crate) fn show(value: &Value) -> Result<String, Trouble> {
    let mut out = String::new();
    write_value(&mut out, value, 0)?;
    Ok(out)
}

/// Returns values as Go's `Sprint` writes them: a blank between two that are no texts.
pub(crate) fn sprint(values: &[Value]) -> Result<String, Trouble> {
    let mut out = String::new();
    let mut before_is_text = true;
    for (at, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_));
        if at > 0 && !is_text && !before_is_text {
            out.push(' ');
        }
        write_value(&mut out, value, 0)?;
        before_is_text = is_text;
    }
    Ok(out)
}

fn write_value(out: &mut String, value: &Value, depth: usize) -> Result<(), Trouble> {
    if depth > WALK_DEPTH {
        return Err(Trouble::Limit("a value that holds itself, or nests too deep, cannot be printed".to_owned()));
    }
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) | Value::Int64(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Text(text) => out.push_str(text),
        Value::Bytes(bytes) => {
            let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
            out.push('[');
            out.push_str(&numbers.join(" "));
            out.push(']');
        }
        Value::List(list) => write_items(out, "[", "]", list.items.iter().map(|item| ("", item)), depth)?,
        Value::Map(table) => {
            let entries = table.entries.borrow();
            write_items(out, "map[", "]", entries.iter().map(|(key, item)| (&**key, item)), depth)?;
        }
        Value::Record(record) if record.name == "chartutil.KubeVersion" => {
            write_value(out, record.get("Version").unwrap_or(&Value::Nil), depth)?;
        }
        Value::Record(record) => {
            write_items(out, "{", "}", record.fields.iter().map(|(.., item)| ("", item)), depth)?;
        }
        Value::Version(version) => out.push_str(&version.to_string()),
        Value::Time(seconds) => {
            out.push_str(&crate::chart::functions::time::format(*seconds, "2006-01-02 15:04:05 -0700 MST"));
        }
    }
    Ok(())
}

fn write_items<'v>(
    out: &mut String,
    open: &str,
    close: &str,
    items: impl Iterator<Item = (&'v str, &'v Value)>,
    depth: usize,
) -> Result<(), Trouble> {
    out.push_str(open);
    for (at, (key, item)) in items.enumerate() {
        if at > 0 {
            out.push(' ');
        }
        if !key.is_empty() || open == "map[" {
            out.push_str(key);
            out.push(':');
        }
        write_value(out, item, depth + 1)?;
    }
    out.push_str(close);
    Ok(())
}

/// Returns a float as `%v` writes it: shortest digits, and an exponent from a million on.
pub(crate) fn float(number: f64) -> String {
    general(number, None)
}

/// `%g`: shortest digits, or so many of them.
fn general(number: f64, digits: Option<usize>) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let scientific = match digits {
        Some(digits) => format!("{number:.*e}", digits.max(1) - 1),
        None => format!("{number:e}"),
    };
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let limit = digits.map_or(6, |digits| i32::try_from(digits.max(1)).unwrap_or(i32::MAX));
    if exponent < -4 || exponent >= limit {
        let mantissa = if digits.is_some() { trimmed(mantissa) } else { mantissa.to_owned() };
        return format!("{mantissa}e{}", signed_exponent(exponent));
    }
    match digits {
        Some(digits) => {
            let decimals = i32::try_from(digits.max(1)).unwrap_or(i32::MAX) - 1 - exponent;
            trimmed(&format!("{number:.*}", usize::try_from(decimals.max(0)).unwrap_or_default()))
        }
        None => number.to_string(),
    }
}

fn trimmed(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

const fn special(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number == f64::INFINITY {
        Some("+Inf")
    } else if number == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// Writes an exponent with its sign and at least two digits.
pub(crate) fn signed_exponent(exponent: i32) -> String {
    format!("{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// Returns a text in Go's quotes (`%q`).
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for sign in text.chars() {
        match sign {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            other if other.is_control() && u32::from(other) < 0x80 => {
                push(&mut out, format_args!("\\x{:02x}", u32::from(other)))
            }
            other if unprintable(other) => push(&mut out, format_args!("\\u{:04x}", u32::from(other))),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn unprintable(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{a0}' | '\u{ad}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}' | '\u{e000}'..='\u{f8ff}')
}

fn push(out: &mut String, what: std::fmt::Arguments<'_>) {
    // A String takes everything, so this cannot fail.
    let _ = out.write_fmt(what);
}

/// Flags, width and precision of a verb.
#[derive(Debug, Clone, Copy, Default)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    zero: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Returns what Go's `Sprintf` makes of a format and its arguments.
pub(crate) fn printf(format: &str, values: &[Value]) -> Result<String, Trouble> {
    let mut out = String::new();
    let mut rest = format;
    let mut values = values.iter();
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let spec = spec(&mut rest, &mut values)?;
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        rest = &rest[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        match values.next() {
            Some(value) => {
                let text = verb_of(verb, spec, value)?;
                pad(&mut out, &text, spec, verb);
            }
            None => push(&mut out, format_args!("%!{verb}(MISSING)")),
        }
    }
    out.push_str(rest);
    let left = values.as_slice();
    if !left.is_empty() {
        let extra = |value: &Value| Ok(format!("{}={}", value.type_name(), show(value)?));
        let extra = left.iter().map(extra).collect::<Result<Vec<_>, Trouble>>()?;
        push(&mut out, format_args!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

fn spec(rest: &mut &str, values: &mut std::slice::Iter<'_, Value>) -> Result<Spec, Trouble> {
    let mut spec = Spec::default();
    while let Some(flag) = rest.chars().next() {
        match flag {
            '-' => spec.minus = true,
            '+' => spec.plus = true,
            '#' => spec.sharp = true,
            '0' => spec.zero = true,
            ' ' => spec.space = true,
            _ => break,
        }
        *rest = &rest[1..];
    }
    spec.width = amount(rest, values)?;
    if let Some(after) = rest.strip_prefix('.') {
        *rest = after;
        spec.precision = Some(amount(rest, values)?.unwrap_or(0));
    }
    Ok(spec)
}

fn amount(rest: &mut &str, values: &mut std::slice::Iter<'_, Value>) -> Result<Option<usize>, Trouble> {
    let too_wide = || Trouble::Limit(format!("a field of printf is wider than {WIDTH}"));
    if let Some(after) = rest.strip_prefix('*') {
        *rest = after;
        return match values.next() {
            Some(Value::Int(number)) => {
                let number = usize::try_from(*number).unwrap_or_default();
                if number > WIDTH { Err(too_wide()) } else { Ok(Some(number)) }
            }
            _ => Err("printf: * takes an int".into()),
        };
    }
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if digits == 0 {
        return Ok(None);
    }
    let number = rest[..digits].parse::<usize>().ok().filter(|number| *number <= WIDTH).ok_or_else(too_wide)?;
    *rest = &rest[digits..];
    Ok(Some(number))
}

fn pad(out: &mut String, text: &str, spec: Spec, verb: char) {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if spec.minus {
        out.push_str(text);
        out.extend(std::iter::repeat_n(' ', missing));
    } else if spec.zero && matches!(verb, 'd' | 'f' | 'F' | 'e' | 'E' | 'g' | 'G' | 'x' | 'X' | 'o' | 'b' | 'v' | 's') {
        let (sign, digits) = match text.chars().next() {
            Some(sign @ ('+' | '-')) if verb != 's' => (Some(sign), &text[1..]),
            _ => (None, text),
        };
        out.extend(sign);
        out.extend(std::iter::repeat_n('0', missing));
        out.push_str(digits);
    } else {
        out.extend(std::iter::repeat_n(' ', missing));
        out.push_str(text);
    }
}

fn verb_of(verb: char, spec: Spec, value: &Value) -> Result<String, Trouble> {
    let plus = |text: String| {
        if spec.plus && !text.starts_with('-') {
            format!("+{text}")
        } else if spec.space && !text.starts_with('-') {
            format!(" {text}")
        } else {
            text
        }
    };
    let cut = |text: String| match spec.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text,
    };
    Ok(match (verb, value) {
        ('T', _) => value.type_name().to_owned(),
        // Go writes a nil that meets another verb in its own way.
        ('v', Value::Nil) => "<nil>".to_owned(),
        (_, Value::Nil) => format!("%!{verb}(<nil>)"),
        ('v', Value::Int(_) | Value::Int64(_)) => plus(show(value)?),
        ('v', Value::Float(number)) => plus(general(*number, spec.precision)),
        ('v', Value::Text(text)) if spec.sharp => quote(text),
        ('v', _) => show(value)?,
        ('s', Value::Text(text)) => cut(text.to_string()),
        ('s', Value::Bytes(bytes)) => cut(String::from_utf8_lossy(bytes).into_owned()),
        ('s', Value::Record(_) | Value::Version(_) | Value::Time(_)) => show(value)?,
        ('q', Value::Text(text)) => quote(&cut(text.to_string())),
        ('q', Value::Int(number)) => {
            format!("'{}'", u32::try_from(*number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'))
        }
        ('s' | 'q' | 'd' | 't' | 'f' | 'g' | 'x', Value::List(_) | Value::Map(_)) => each(verb, spec, value)?,
        ('d', Value::Int(number) | Value::Int64(number)) => plus(number.to_string()),
        ('t', Value::Bool(truth)) => truth.to_string(),
        ('f' | 'F', Value::Float(number)) => plus(fixed(*number, spec.precision.unwrap_or(6))),
        ('e' | 'E', Value::Float(number)) => plus(scientific(*number, spec.precision.unwrap_or(6), verb)),
        ('g' | 'G', Value::Float(number)) => plus(general(*number, spec.precision)),
        ('x', Value::Int(number) | Value::Int64(number)) => radix(*number, 16),
        ('X', Value::Int(number) | Value::Int64(number)) => radix(*number, 16).to_uppercase(),
        ('o', Value::Int(number) | Value::Int64(number)) => radix(*number, 8),
        ('b', Value::Int(number) | Value::Int64(number)) => radix(*number, 2),
        ('c', Value::Int(number)) => {
            u32::try_from(*number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string()
        }
        ('x', Value::Text(text)) => crate::model::digest::hex(text.as_bytes()),
        ('X', Value::Text(text)) => crate::model::digest::hex(text.as_bytes()).to_uppercase(),
        (_, other) => format!("%!{verb}({}={})", other.type_name(), show(other)?),
    })
}

/// Applies a verb to each item.
fn each(verb: char, spec: Spec, value: &Value) -> Result<String, Trouble> {
    let spec = Spec { width: None, ..spec };
    Ok(match value {
        Value::List(list)
            if list.kind == ListKind::Any || list.items.iter().all(|item| matches!(item, Value::Text(_))) =>
        {
            let items = list.items.iter().map(|item| inner(verb, spec, item)).collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", items.join(" "))
        }
        Value::Map(table) => {
            let one = |(key, item): (&std::rc::Rc<str>, &Value)| {
                Ok(format!("{}:{}", verb_of(verb, spec, &Value::Text(key.clone()))?, inner(verb, spec, item)?))
            };
            let items = table.entries.borrow().iter().map(one).collect::<Result<Vec<_>, Trouble>>()?;
            format!("map[{}]", items.join(" "))
        }
        other => show(other)?,
    })
}

fn inner(verb: char, spec: Spec, item: &Value) -> Result<String, Trouble> {
    if matches!(item, Value::Nil) { Ok("<nil>".to_owned()) } else { verb_of(verb, spec, item) }
}

fn fixed(number: f64, precision: usize) -> String {
    special(number).map_or_else(|| format!("{number:.precision$}"), str::to_owned)
}

fn scientific(number: f64, precision: usize, verb: char) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let text = format!("{number:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}{verb}{}", signed_exponent(exponent.parse().unwrap_or_default()))
}

fn radix(number: i64, radix: u32) -> String {
    let size = number.unsigned_abs();
    let digits = match radix {
        16 => format!("{size:x}"),
        8 => format!("{size:o}"),
        _ => format!("{size:b}"),
    };
    if number < 0 { format!("-{digits}") } else { digits }
}
