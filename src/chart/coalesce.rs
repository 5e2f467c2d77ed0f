//! Which values a chart and the charts below it see: Helm's rules for laying the parent's values over those of a
//! subchart, with `global` handed down.
//!
//! Two ways, as in Helm: merging keeps nulls for a later step, coalescing removes what a null stands over.

use super::load::Chart;
use serde_json::{Map, Value};

/// A mapping of values.
pub(super) type Table = Map<String, Value>;

/// What becomes of a null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// It stays.
    Keep,
    /// It removes what it stands over.
    Remove,
}

/// Returns `values` with those of `chart` and of the charts below it under them.
pub(super) fn coalesce(chart: &Chart, values: &Table, nulls: Nulls) -> Result<Table, String> {
    let mut all = values.clone();
    into(chart, &mut all, nulls)?;
    Ok(all)
}

fn into(chart: &Chart, values: &mut Table, nulls: Nulls) -> Result<(), String> {
    own_values(chart, values, nulls);
    for below in &chart.dependencies {
        let name = &below.metadata.name;
        let global = values.get("global").cloned();
        let part = values.entry(name.clone()).or_insert_with(|| Value::Object(Table::new()));
        let Value::Object(part) = part else {
            return Err(format!("the values under {name:?} are for the chart of that name, so they are a mapping"));
        };
        hand_down(global, part);
        into(below, part, nulls)?;
    }
    Ok(())
}

/// Puts the values of the chart itself under `values`.
fn own_values(chart: &Chart, values: &mut Table, nulls: Nulls) {
    let Value::Object(own) = chart.values() else { return };
    for (key, value) in own {
        match (values.get_mut(key), value) {
            (None, _) => {
                values.insert(key.clone(), value.clone());
            }
            (Some(Value::Null), _) if nulls == Nulls::Remove => {
                values.remove(key);
            }
            (Some(Value::Object(over)), Value::Object(under)) => {
                // What is for a subchart keeps its nulls until that chart's own values are under it.
                let child = chart.dependencies.iter().any(|below| below.metadata.name == *key);
                lay_under(over, under.clone(), if child { Nulls::Keep } else { nulls });
            }
            _ => {}
        }
    }
}

/// Puts `under` below `over`, which wins.
pub(super) fn lay_under(over: &mut Table, mut under: Table, nulls: Nulls) {
    let said: Vec<String> = under.iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()).collect();
    for (key, _) in over.iter().filter(|(_, value)| value.is_null()) {
        under.insert(key.clone(), Value::Null);
    }
    for (key, value) in under {
        match (over.get_mut(&key), value) {
            (None, value) => {
                over.insert(key, value);
            }
            (Some(Value::Null), _) if nulls == Nulls::Remove && said.contains(&key) => {
                over.remove(&key);
            }
            (Some(Value::Object(over)), Value::Object(under)) => lay_under(over, under, nulls),
            _ => {}
        }
    }
}

/// Hands the parent's `global` to a subchart; the parent wins.
fn hand_down(global: Option<Value>, part: &mut Table) {
    let mut below = match part.get("global") {
        None => Table::new(),
        Some(Value::Object(table)) => table.clone(),
        Some(_) => return,
    };
    let above = match global {
        None => Table::new(),
        Some(Value::Object(table)) => table,
        Some(_) => return,
    };
    for (key, value) in above {
        match (value, below.get(&key)) {
            (Value::Object(mut table), Some(Value::Object(old))) => {
                lay_under(&mut table, old.clone(), Nulls::Keep);
                below.insert(key, Value::Object(table));
            }
            (Value::Object(_), Some(_)) => {}
            (value, Some(Value::Object(_))) if !value.is_object() => {}
            (value, _) => {
                below.insert(key, value);
            }
        }
    }
    part.insert("global".to_owned(), Value::Object(below));
}

/// Returns the table at `path`, parted by dots.
pub(super) fn table_at<'v>(values: &'v Table, path: &str) -> Option<&'v Table> {
    path.split('.').try_fold(values, |table, part| table.get(part)?.as_object())
}

/// Returns what stands at `path`, parted by dots, where that is no table.
pub(super) fn value_at<'v>(values: &'v Table, path: &str) -> Option<&'v Value> {
    let (table, key) = match path.rsplit_once('.') {
        Some((path, key)) => (table_at(values, path)?, key),
        None => (values, path),
    };
    table.get(key).filter(|value| !value.is_object())
}
