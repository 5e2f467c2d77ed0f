//! Dictionaries. `set`, `unset`, `merge` change the one that they are given, for all who hold it.

use super::convert::{text_of, texts};
use super::function;
use crate::chart::template::{Arguments, Engine, Function, Table, Trouble, Value, WALK_DEPTH};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("dict", |_, given| {
        let mut entries = BTreeMap::new();
        for pair in given.0.chunks(2) {
            let value = pair.get(1).cloned().unwrap_or_else(|| Value::text(""));
            entries.insert(text_of(&pair[0])?.into(), value);
        }
        Ok(Value::map(entries))
    }),
    function("get", |_, given| {
        let key = given.text(1)?;
        Ok(given.map(0)?.entries.borrow().get(key).cloned().unwrap_or_else(|| Value::text("")))
    }),
    function("set", |_, given| {
        let table = given.map(0)?;
        if matches!(given.any(0)?, Value::Nil) {
            return Err("there is no dictionary to put anything into".into());
        }
        table.entries.borrow_mut().insert(given.text(1)?.into(), given.any(2)?.clone());
        Ok(Value::Map(table))
    }),
    function("unset", |_, given| {
        let table = given.map(0)?;
        table.entries.borrow_mut().remove(given.text(1)?);
        Ok(Value::Map(table))
    }),
    function("hasKey", |_, given| Ok(given.map(0)?.entries.borrow().contains_key(given.text(1)?).into())),
    function("pluck", |_, given| {
        let key = given.text(0)?;
        let found = (1..given.0.len()).map(|at| Ok(given.map(at)?.entries.borrow().get(key).cloned()));
        let found = found.collect::<Result<Vec<Option<Value>>, Trouble>>()?;
        Ok(Value::list(found.into_iter().flatten().collect()))
    }),
    function("keys", |_, given| {
        let mut keys: Vec<Rc<str>> = Vec::new();
        for at in 0..given.0.len() {
            keys.extend(given.map(at)?.entries.borrow().keys().cloned());
        }
        Ok(Value::texts(keys))
    }),
    function("values", |_, given| Ok(Value::list(given.map(0)?.entries.borrow().values().cloned().collect()))),
    function("pick", |_, given| {
        let keys = texts(given, 1)?;
        Ok(filtered(given.map(0)?.as_ref(), |key| keys.contains(&key)))
    }),
    function("omit", |_, given| {
        let keys = texts(given, 1)?;
        Ok(filtered(given.map(0)?.as_ref(), |key| !keys.contains(&key)))
    }),
    function("merge", |engine, given| merge(engine, given, false)),
    function("mustMerge", |engine, given| merge(engine, given, false)),
    function("mergeOverwrite", |engine, given| merge(engine, given, true)),
    function("mustMergeOverwrite", |engine, given| merge(engine, given, true)),
    function("deepCopy", |engine, given| copy(engine, given.any(0)?, 0)),
    function("mustDeepCopy", |engine, given| copy(engine, given.any(0)?, 0)),
    function("dig", dig),
];

fn filtered(table: &Table, keep: impl Fn(&str) -> bool) -> Value {
    let entries = table.entries.borrow();
    Value::map(entries.iter().filter(|(key, _)| keep(key)).map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn too_deep() -> Trouble {
    Trouble::Limit("a dictionary that holds itself, or nests too deep".to_owned())
}

fn copy(engine: &mut Engine, value: &Value, depth: usize) -> Result<Value, Trouble> {
    if depth > WALK_DEPTH {
        return Err(too_deep());
    }
    engine.take_bytes(32)?;
    Ok(match value {
        Value::List(list) => {
            Value::list(list.items.iter().map(|item| copy(engine, item, depth + 1)).collect::<Result<_, _>>()?)
        }
        Value::Map(table) => {
            let entries = table.entries.borrow();
            let copied = entries.iter().map(|(key, item)| Ok((key.clone(), copy(engine, item, depth + 1)?)));
            Value::table(copied.collect::<Result<_, Trouble>>()?, table.kind)
        }
        other => other.clone(),
    })
}

fn merge(engine: &mut Engine, given: &Arguments, overwrite: bool) -> Result<Value, Trouble> {
    let into = given.map(0)?;
    for at in 1..given.0.len() {
        merge_into(engine, &into, &given.map(at)?, (overwrite, 0))?;
    }
    Ok(Value::Map(into))
}

/// Merges as the Go library mergo does: an empty value counts as none, and without `overwrite` gives way.
fn merge_into(engine: &mut Engine, into: &Rc<Table>, from: &Rc<Table>, how: (bool, usize)) -> Result<(), Trouble> {
    let (overwrite, depth) = how;
    if depth > WALK_DEPTH {
        return Err(too_deep());
    }
    if Rc::ptr_eq(into, from) {
        return Ok(());
    }
    let entries: Vec<(Rc<str>, Value)> =
        from.entries.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in entries {
        engine.take_steps(1)?;
        let old = into.entries.borrow().get(&key).cloned();
        let old_is_empty = old.as_ref().is_none_or(|old| !old.is_true());
        match (&value, old) {
            (Value::Nil, _) if overwrite => put(into, key, value),
            (Value::Nil, _) => {}
            (Value::Map(from), Some(Value::Map(old))) if !old_is_empty => {
                merge_into(engine, &old, from, (overwrite, depth + 1))?;
            }
            (_, _) if overwrite || old_is_empty => put(into, key, value),
            _ => {}
        }
    }
    Ok(())
}

fn put(table: &Table, key: Rc<str>, value: Value) {
    table.entries.borrow_mut().insert(key, value);
}

fn dig(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let [keys @ .., default, dict] = given.0.as_slice() else {
        return Err("needs a key, a default and a dictionary".into());
    };
    let mut value = dict.clone();
    for key in keys {
        let (Value::Text(key), Value::Map(table)) = (key, &value) else {
            return Err(Trouble::Wrong(format!("goes through dictionaries, found {}", value.type_name())));
        };
        let found = table.entries.borrow().get(key).cloned();
        match found {
            Some(found) => value = found,
            None => return Ok(default.clone()),
        }
    }
    Ok(value)
}
