//! Lists. None is changed in place.

use super::convert::{int_of, texts_of};
use super::function;
use crate::chart::template::{Arguments, Engine, Function, List, ListKind, Trouble, Value};
use std::rc::Rc;

/// Longest list that `until` and its kin may make.
const LONGEST: i64 = 1_000_000;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("list", |_, given| Ok(Value::list(given.0.clone()))),
    function("tuple", |_, given| Ok(Value::list(given.0.clone()))),
    function("first", |_, given| Ok(given.list(0)?.first().cloned().unwrap_or(Value::Nil))),
    function("mustFirst", |_, given| Ok(given.list(0)?.first().cloned().unwrap_or(Value::Nil))),
    function("last", |_, given| Ok(given.list(0)?.last().cloned().unwrap_or(Value::Nil))),
    function("mustLast", |_, given| Ok(given.list(0)?.last().cloned().unwrap_or(Value::Nil))),
    function("rest", |_, given| Ok(Value::list(given.list(0)?.into_iter().skip(1).collect()))),
    function("mustRest", |_, given| Ok(Value::list(given.list(0)?.into_iter().skip(1).collect()))),
    function("initial", initial),
    function("mustInitial", initial),
    function("append", append),
    function("mustAppend", append),
    function("push", append),
    function("mustPush", append),
    function("prepend", prepend),
    function("mustPrepend", prepend),
    function("concat", |_, given| {
        let mut all = Vec::new();
        for at in 0..given.0.len() {
            all.extend(given.list(at)?);
        }
        Ok(Value::list(all))
    }),
    function("reverse", reverse),
    function("mustReverse", reverse),
    function("uniq", uniq),
    function("mustUniq", uniq),
    function("without", without),
    function("mustWithout", without),
    function("has", has),
    function("mustHas", has),
    function("compact", compact),
    function("mustCompact", compact),
    function("slice", slice),
    function("mustSlice", slice),
    function("chunk", chunk),
    function("mustChunk", chunk),
    function("sortAlpha", |_, given| {
        let mut texts = texts_of(given.any(0)?)?;
        texts.sort();
        Ok(Value::texts(texts))
    }),
    function("join", |engine, given| {
        let texts = texts_of(given.any(1)?)?;
        let separator = given.text(0)?;
        engine.take_bytes(separator.len().saturating_mul(texts.len()))?;
        Ok(texts.join(separator).into())
    }),
    function("until", |engine, given| {
        let end = given.int(0)?;
        numbers(engine, (0, end, if end < 0 { -1 } else { 1 }))
    }),
    function("untilStep", |engine, given| numbers(engine, (given.int(0)?, given.int(1)?, given.int(2)?))),
    function("seq", seq),
];

fn initial(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let mut items = given.list(0)?;
    items.pop();
    Ok(Value::list(items))
}

fn append(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let mut items = given.list(0)?;
    items.push(given.any(1)?.clone());
    Ok(Value::list(items))
}

fn prepend(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let mut items = given.list(0)?;
    items.insert(0, given.any(1)?.clone());
    Ok(Value::list(items))
}

fn reverse(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    Ok(Value::list(given.list(0)?.into_iter().rev().collect()))
}

fn contains(items: &[Value], value: &Value) -> bool {
    items.iter().any(|item| item.same(value, 0))
}

/// Counts the comparisons of each item with each other.
fn take_square(engine: &mut Engine, a: usize, b: usize) -> Result<(), Trouble> {
    engine.take_steps((a as u64).saturating_mul(b as u64))
}

fn uniq(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let items = given.list(0)?;
    let mut kept: Vec<Value> = Vec::new();
    for item in items {
        take_square(engine, 1, kept.len())?;
        if !contains(&kept, &item) {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

fn without(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let items = given.list(0)?;
    take_square(engine, items.len(), given.rest(1).len())?;
    Ok(Value::list(items.into_iter().filter(|item| !contains(given.rest(1), item)).collect()))
}

fn has(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    if matches!(given.any(1)?, Value::Nil) {
        return Ok(false.into());
    }
    let items = given.list(1)?;
    take_square(engine, items.len(), 1)?;
    Ok(contains(&items, given.any(0)?).into())
}

fn compact(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    Ok(Value::list(given.list(0)?.into_iter().filter(Value::is_true).collect()))
}

/// `slice` of a list; Go's own function of that name, for texts, is hidden by this one.
fn slice(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let items = given.list(0)?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let bound = |at: usize, otherwise: usize| match given.rest(at).first() {
        Some(value) => usize::try_from(int_of(value)).map_err(|_| Trouble::from("a place is negative")),
        None => Ok(otherwise),
    };
    let (from, to) = (bound(1, 0)?, bound(2, items.len())?);
    let part = items.get(from..to).ok_or_else(|| Trouble::Wrong(format!("{from} to {to} of {} items", items.len())))?;
    Ok(Value::list(part.to_vec()))
}

fn chunk(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let items = given.list(1)?;
    let size =
        usize::try_from(given.int(0)?).ok().filter(|size| *size > 0).ok_or("the size of a chunk is at least 1")?;
    Ok(Value::list(items.chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect()))
}

fn range(bounds: (i64, i64, i64)) -> Result<Vec<i64>, Trouble> {
    let (start, stop, step) = bounds;
    let up = stop >= start;
    if step == 0 || (up && step < 0) || (!up && step > 0) {
        return Ok(Vec::new());
    }
    let count = (i128::from(stop) - i128::from(start)).abs() / i128::from(step).abs() + 1;
    if count > i128::from(LONGEST) {
        return Err(Trouble::Limit(format!("a list of more than {LONGEST} numbers")));
    }
    let inside = |at: &i64| if up { *at < stop } else { *at > stop };
    let numbers = std::iter::successors(Some(start), |at| at.checked_add(step));
    Ok(numbers.take_while(inside).collect())
}

fn numbers(engine: &mut Engine, bounds: (i64, i64, i64)) -> Result<Value, Trouble> {
    let numbers = range(bounds)?;
    engine.take_bytes(32 * numbers.len())?;
    let items = numbers.into_iter().map(Value::Int).collect();
    Ok(Value::List(Rc::new(List { items, kind: ListKind::Any })))
}

fn seq(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let numbers = (0..given.0.len()).map(|at| given.int(at)).collect::<Result<Vec<_>, _>>()?;
    let toward = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let found = match *numbers.as_slice() {
        [end] => range((1, end.saturating_add(toward(1, end)), toward(1, end)))?,
        [start, end] => range((start, end.saturating_add(toward(start, end)), toward(start, end)))?,
        [start, step, end] if end < start && step > 0 => Vec::new(),
        [start, step, end] => range((start, end.saturating_add(toward(start, end)), step))?,
        _ => Vec::new(),
    };
    engine.take_bytes(8 * found.len())?;
    Ok(found.iter().map(i64::to_string).collect::<Vec<_>>().join(" ").into())
}
