//! TOML out, as the Go library that Helm uses writes it: plain values first, then tables, indented.

use super::data::entries;
use crate::chart::template::{Engine, Trouble, Value, WALK_DEPTH, quote};

/// Writes a dictionary as TOML.
pub(super) fn write(engine: &mut Engine, value: &Value) -> Result<String, Trouble> {
    let mut writer = Writer { engine, out: String::new() };
    match value {
        Value::Map(_) => writer.table(value, &[])?,
        _ => return Err("takes a dictionary".into()),
    }
    Ok(writer.out)
}

struct Writer<'e> {
    engine: &'e mut Engine,
    out: String,
}

impl Writer<'_> {
    fn table(&mut self, value: &Value, path: &[String]) -> Result<(), Trouble> {
        let Value::Map(table) = value else { return Ok(()) };
        if path.len() > WALK_DEPTH {
            return Err(Trouble::Limit("a value that holds itself, or nests too deep, is no TOML".to_owned()));
        }
        let (tables, plain): (Vec<_>, Vec<_>) = entries(table).into_iter().partition(|(_, value)| is_table(value));
        let indent = "  ".repeat(path.len());
        for (key, value) in plain {
            if matches!(value, Value::Nil) {
                continue;
            }
            self.engine.take_bytes(indent.len() + key.len() + 8)?;
            let value = self.plain(&value, path.len())?;
            self.out.push_str(&format!("{indent}{} = {value}\n", name(&key)));
        }
        for (key, value) in tables {
            let path: Vec<String> = path.iter().cloned().chain([name(&key)]).collect();
            self.below(&value, &path)?;
        }
        Ok(())
    }

    fn below(&mut self, value: &Value, path: &[String]) -> Result<(), Trouble> {
        let indent = "  ".repeat(path.len() - 1);
        let one = std::slice::from_ref(value);
        let (items, open, close) = match value {
            Value::List(list) => (list.items.as_slice(), "[[", "]]"),
            _ => (one, "[", "]"),
        };
        for item in items {
            if !self.out.is_empty() {
                self.out.push('\n');
            }
            self.out.push_str(&format!("{indent}{open}{}{close}\n", path.join(".")));
            self.table(item, path)?;
        }
        Ok(())
    }

    fn plain(&mut self, value: &Value, depth: usize) -> Result<String, Trouble> {
        if depth > WALK_DEPTH {
            return Err(Trouble::Limit("a value that holds itself, or nests too deep, is no TOML".to_owned()));
        }
        Ok(match value {
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.1}"),
            Value::Float(number) => number.to_string(),
            Value::Text(text) => quote(text),
            Value::List(list) => {
                let items = list.items.iter().map(|item| self.plain(item, depth + 1)).collect::<Result<Vec<_>, _>>()?;
                format!("[{}]", items.join(", "))
            }
            Value::Map(table) => {
                let one = |(key, item): (std::rc::Rc<str>, Value)| {
                    Ok(format!("{} = {}", name(&key), self.plain(&item, depth + 1)?))
                };
                let items = entries(table).into_iter().map(one).collect::<Result<Vec<_>, Trouble>>()?;
                format!("{{{}}}", items.join(", "))
            }
            other => crate::chart::template::show(other)?,
        })
    }
}

fn is_table(value: &Value) -> bool {
    match value {
        Value::Map(_) => true,
        Value::List(list) => !list.items.is_empty() && list.items.iter().all(|item| matches!(item, Value::Map(_))),
        _ => false,
    }
}

fn name(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { quote(key) }
}
