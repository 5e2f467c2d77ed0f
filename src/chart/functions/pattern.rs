//! Regular expressions in Go's syntax (RE2), and versions.

use super::function;
use crate::chart::template::{Arguments, Engine, Function, Trouble, Value};
use crate::chart::version::{Constraint, Version};
use regex::{Regex, RegexBuilder};
use std::rc::Rc;

/// Compiled size that one expression may have, in bytes.
const COMPILED: usize = 4 << 20;
/// Expressions that are kept compiled.
const KEPT: usize = 500;

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("regexMatch", |engine, given| {
        // A mistake in the expression is no match, as in sprig.
        Ok(compiled(engine, given.text(0)?).is_ok_and(|re| re.is_match(given.text(1).unwrap_or_default())).into())
    }),
    function("mustRegexMatch", |engine, given| Ok(compiled(engine, given.text(0)?)?.is_match(given.text(1)?).into())),
    function("regexFind", find),
    function("mustRegexFind", find),
    function("regexFindAll", find_all),
    function("mustRegexFindAll", find_all),
    function("regexReplaceAll", replace),
    function("mustRegexReplaceAll", replace),
    function("regexReplaceAllLiteral", replace_literal),
    function("mustRegexReplaceAllLiteral", replace_literal),
    function("regexSplit", split),
    function("mustRegexSplit", split),
    function("regexQuoteMeta", |_, given| {
        let meta = |c: char| r"\.+*?()|[]{}^$".contains(c);
        let signs = given.text(0)?.chars().flat_map(|c| meta(c).then_some('\\').into_iter().chain([c]));
        Ok(signs.collect::<String>().into())
    }),
    function("semver", |_, given| Ok(Value::Version(Rc::new(version(given.text(0)?)?)))),
    function("semverCompare", |_, given| {
        let range = given.text(0)?;
        let read =
            Constraint::parse(range).ok_or_else(|| Trouble::Wrong(format!("{range:?} is no range of versions")))?;
        Ok(read.holds(&version(given.text(1)?)?).into())
    }),
];

fn version(text: &str) -> Result<Version, Trouble> {
    Version::parse(text).ok_or_else(|| Trouble::Wrong(format!("{text:?} is no semantic version")))
}

fn compiled(engine: &mut Engine, pattern: &str) -> Result<Regex, Trouble> {
    if let Some(known) = engine.patterns.get(pattern) {
        return Ok(known.clone());
    }
    // Go ends a text only at its very end, and knows \z, but not \Z.
    let built = RegexBuilder::new(pattern).size_limit(COMPILED).nest_limit(50).build();
    let built = built.map_err(|why| Trouble::Wrong(format!("{pattern:?} is no regular expression: {why}")))?;
    if engine.patterns.len() >= KEPT {
        engine.patterns.clear();
    }
    engine.patterns.insert(pattern.into(), built.clone());
    Ok(built)
}

fn find(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let re = compiled(engine, given.text(0)?)?;
    Ok(Value::text(re.find(given.text(1)?).map_or("", |found| found.as_str())))
}

fn find_all(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let re = compiled(engine, given.text(0)?)?;
    let count = usize::try_from(given.int(2)?).unwrap_or(usize::MAX);
    Ok(Value::texts(re.find_iter(given.text(1)?).take(count).map(|found| found.as_str())))
}

fn replace(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let re = compiled(engine, given.text(0)?)?;
    let (text, by) = (given.text(1)?, given.text(2)?);
    let mut out = String::new();
    let mut end = 0;
    for found in re.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        let before = out.len();
        out.push_str(&text[end..whole.start()]);
        found.expand(by, &mut out);
        engine.take_bytes(out.len() - before)?;
        end = whole.end();
    }
    out.push_str(&text[end..]);
    Ok(out.into())
}

fn replace_literal(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let re = compiled(engine, given.text(0)?)?;
    let (text, by) = (given.text(1)?, given.text(2)?);
    engine.take_bytes(re.find_iter(text).count().saturating_mul(by.len()))?;
    Ok(Value::text(re.replace_all(text, regex::NoExpand(by))))
}

/// Go's `Split`: a negative count gives all parts, 0 none.
fn split(engine: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let re = compiled(engine, given.text(0)?)?;
    let (text, count) = (given.text(1)?, given.int(2)?);
    if count == 0 {
        return Ok(Value::Nil);
    }
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if !given.text(0)?.is_empty() && text.is_empty() {
        return Ok(Value::texts([""]));
    }
    let (mut parts, mut begin, mut end) = (Vec::new(), 0, 0);
    for found in re.find_iter(text) {
        if parts.len() + 1 >= count {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&text[begin..end]);
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(&text[begin..]);
    }
    Ok(Value::texts(parts))
}
