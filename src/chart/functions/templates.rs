//! Functions that call templates, and those that refuse: `include`, `tpl`, `required`, `fail`, `lookup`.

use super::{find, function};
use crate::chart::template::{Engine, Fail, Function, Scope, Trouble, Value, parse, show};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("include", |engine, given| {
        let name = given.text(0)?.to_owned();
        Ok(engine.call(&name, given.any(1)?)?.into())
    }),
    function("tpl", |engine, given| {
        let text = given.text(0)?.to_owned();
        Ok(evaluate(engine, &text, given.any(1)?)?.into())
    }),
    function("required", |_, given| match given.any(1)? {
        Value::Nil => Err(Trouble::Refused(given.text(0)?.to_owned())),
        Value::Text(text) if text.is_empty() => Err(Trouble::Refused(given.text(0)?.to_owned())),
        value => Ok(value.clone()),
    }),
    function("fail", |_, given| Err(Trouble::Refused(show(given.any(0)?)?))),
    // There is no cluster to look into; helm template gives an empty dictionary too.
    function("lookup", |_, _| Ok(Value::map(BTreeMap::new()))),
];

/// Evaluates a text as a template; what it defines is known to itself only.
fn evaluate(engine: &mut Engine, text: &str, dot: &Value) -> Result<String, Trouble> {
    // Most values are no templates.
    if !text.contains("{{") {
        return Ok(text.replace("<no value>", ""));
    }
    engine.take_bytes(text.len())?;
    let file: Rc<str> = format!("{} (tpl)", engine.running).into();
    let parsed = parse(text, &find).map_err(|(line, why)| {
        Trouble::Inside(Box::new(Fail { template: file.clone(), line, trouble: Trouble::Wrong(why) }))
    })?;
    let around = engine.scope.clone();
    let inner = Rc::new(Scope::within(around.clone()));
    inner.add(&file, parsed);
    engine.scope = inner;
    let out = engine.call(&file, dot);
    engine.scope = around;
    Ok(out?.replace("<no value>", ""))
}
