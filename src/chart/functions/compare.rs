//! Go's own functions: comparison, logic, `index`, `len`, `print`.

use super::function;
use crate::chart::template::{Arguments, Engine, Function, Trouble, Value, printf, show, sprint};
use std::cmp::Ordering;
use std::rc::Rc;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("eq", |_, given| {
        let first = given.any(0)?;
        if given.0.len() < 2 {
            return Err("needs something to compare with".into());
        }
        for other in given.rest(1) {
            if equal(first, other)? {
                return Ok(true.into());
            }
        }
        Ok(false.into())
    }),
    function("ne", |_, given| Ok((!equal(given.any(0)?, given.any(1)?)?).into())),
    function("lt", |_, given| Ok((order(given)? == Ordering::Less).into())),
    function("le", |_, given| Ok((order(given)? != Ordering::Greater).into())),
    function("gt", |_, given| Ok((order(given)? == Ordering::Greater).into())),
    function("ge", |_, given| Ok((order(given)? != Ordering::Less).into())),
    // `and` and `or` are evaluated step by step by the evaluator, these only give them names.
    function("and", |_, given| Ok(given.any(0)?.clone())),
    function("or", |_, given| Ok(given.any(0)?.clone())),
    function("not", |_, given| Ok((!given.any(0)?.is_true()).into())),
    function("len", length),
    function("index", index),
    function("print", |engine, given| checked(engine, sprint(&given.0)?)),
    function("println", |engine, given| {
        let texts = given.0.iter().map(show).collect::<Result<Vec<_>, _>>()?;
        checked(engine, format!("{}\n", texts.join(" ")))
    }),
    function("printf", |engine, given| {
        let text = printf(given.text(0)?, given.rest(1))?;
        checked(engine, text)
    }),
];

fn checked(engine: &mut Engine, text: String) -> Result<Value, Trouble> {
    engine.take_bytes(text.len())?;
    Ok(text.into())
}

/// What Go compares with what.
#[derive(PartialEq, Eq)]
enum Basic {
    Bool,
    Int,
    Float,
    Text,
}

fn basic(value: &Value) -> Option<Basic> {
    match value {
        Value::Bool(_) => Some(Basic::Bool),
        Value::Int(_) | Value::Int64(_) => Some(Basic::Int),
        Value::Float(_) => Some(Basic::Float),
        Value::Text(_) => Some(Basic::Text),
        _ => None,
    }
}

fn whole(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number,
        _ => 0,
    }
}

/// Returns whether `eq` holds.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, Trouble> {
    if matches!(a, Value::Nil) || matches!(b, Value::Nil) {
        return Ok(matches!((a, b), (Value::Nil, Value::Nil)));
    }
    let incomparable = |value: &Value| matches!(value, Value::List(_) | Value::Map(_) | Value::Bytes(_));
    if incomparable(a) {
        return Err(Trouble::Wrong(format!("a {} cannot be compared", a.type_name())));
    }
    match (basic(a), basic(b)) {
        (Some(x), Some(y)) if x != y => {
            Err(Trouble::Wrong(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())))
        }
        (Some(Basic::Int), Some(_)) => Ok(whole(a) == whole(b)),
        (Some(_), Some(_)) => Ok(a.same(b, 0)),
        (None, None) if incomparable(b) => Err(Trouble::Wrong(format!("a {} cannot be compared", b.type_name()))),
        (None, None) => Ok(a.same(b, 0)),
        _ => Err(Trouble::Wrong(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name()))),
    }
}

fn order(given: &Arguments) -> Result<Ordering, Trouble> {
    match (given.any(0)?, given.any(1)?) {
        (Value::Text(a), Value::Text(b)) => Ok(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b).unwrap_or(Ordering::Equal)),
        (a @ (Value::Int(_) | Value::Int64(_)), b @ (Value::Int(_) | Value::Int64(_))) => Ok(whole(a).cmp(&whole(b))),
        (a, b) => {
            Err(Trouble::Wrong(format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name())))
        }
    }
}

fn length(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let length = match given.any(0)? {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.items.len(),
        Value::Map(table) => table.entries.borrow().len(),
        other => return Err(Trouble::Wrong(format!("a {} has no length", other.type_name()))),
    };
    Ok(Value::Int(length as i64))
}

fn index(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let mut value = given.any(0)?.clone();
    if matches!(value, Value::Nil) {
        return Err("of nothing".into());
    }
    for key in given.rest(1) {
        value = step(&value, key)?;
    }
    Ok(value)
}

fn step(value: &Value, key: &Value) -> Result<Value, Trouble> {
    let place = |length: usize| {
        let (Value::Int(at) | Value::Int64(at)) = key else {
            return Err(Trouble::Wrong(format!("a {} is no place in a list", key.type_name())));
        };
        let found = usize::try_from(*at).ok().filter(|at| *at < length);
        found.ok_or_else(|| Trouble::Wrong(format!("place {at} of {length} is out of range")))
    };
    match (value, key) {
        (Value::Map(table), Value::Text(key)) => Ok(Value::lookup(table, key)),
        (Value::Map(_), other) => Err(Trouble::Wrong(format!("a {} is no key", other.type_name()))),
        (Value::List(list), _) => Ok(list.items[place(list.items.len())?].clone()),
        (Value::Bytes(bytes), _) => Ok(Value::Int(i64::from(bytes[place(bytes.len())?]))),
        (Value::Text(text), _) => Ok(Value::Int(i64::from(text.as_bytes()[place(text.len())?]))),
        (Value::Nil, _) => Err("of nothing".into()),
        (other, _) => Err(Trouble::Wrong(format!("of a {}", other.type_name()))),
    }
}

/// Returns a shared text.
pub(super) fn shared(text: &str) -> Rc<str> {
    text.into()
}
