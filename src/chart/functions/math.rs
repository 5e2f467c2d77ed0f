//! Arithmetic: whole numbers are `int64`, the rest `float64`.

use super::convert::{float_of, int_of};
use super::function;
use crate::chart::template::{Arguments, Function, Trouble, Value};

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("add", |_, given| Ok(Value::Int64(given.0.iter().fold(0, |sum: i64, n| sum.wrapping_add(int_of(n)))))),
    function("add1", |_, given| Ok(Value::Int64(int_of(given.any(0)?).wrapping_add(1)))),
    function("sub", |_, given| Ok(Value::Int64(int_of(given.any(0)?).wrapping_sub(int_of(given.any(1)?))))),
    function("mul", |_, given| Ok(Value::Int64(given.0.iter().fold(1, |all: i64, n| all.wrapping_mul(int_of(n)))))),
    function("div", |_, given| {
        let by = int_of(given.any(1)?);
        let divided = int_of(given.any(0)?).checked_div(by);
        divided.map(Value::Int64).ok_or_else(|| "cannot divide by 0".into())
    }),
    function("mod", |_, given| {
        let by = int_of(given.any(1)?);
        let rest = int_of(given.any(0)?).checked_rem(by);
        rest.map(Value::Int64).ok_or_else(|| "cannot divide by 0".into())
    }),
    function("max", |_, given| whole(given, i64::max)),
    function("biggest", |_, given| whole(given, i64::max)),
    function("min", |_, given| whole(given, i64::min)),
    function("maxf", |_, given| real(given, f64::max)),
    function("minf", |_, given| real(given, f64::min)),
    function("addf", |_, given| Ok(Value::Float(decimal(given.0.iter().map(float_of).sum())))),
    function("add1f", |_, given| Ok(Value::Float(decimal(float_of(given.any(0)?) + 1.0)))),
    function("subf", |_, given| real(given, |a, b| decimal(a - b))),
    function("mulf", |_, given| real(given, |a, b| decimal(a * b))),
    function("divf", |_, given| {
        if given.rest(1).iter().any(|by| float_of(by) == 0.0) {
            return Err("cannot divide by 0".into());
        }
        real(given, |a, b| a / b)
    }),
    function("floor", |_, given| Ok(Value::Float(float_of(given.any(0)?).floor()))),
    function("ceil", |_, given| Ok(Value::Float(float_of(given.any(0)?).ceil()))),
    function("round", |_, given| {
        let power = 10_f64.powi(i32::try_from(given.int(1)?).map_err(|_| "so many digits cannot be kept")?);
        let on = given.rest(2).first().map_or(0.5, float_of);
        let scaled = float_of(given.any(0)?) * power;
        let rounded = if scaled.fract() >= on { scaled.ceil() } else { scaled.floor() };
        Ok(Value::Float(rounded / power))
    }),
];

fn whole(given: &Arguments, pick: fn(i64, i64) -> i64) -> Result<Value, Trouble> {
    Ok(Value::Int64(given.rest(1).iter().map(int_of).fold(int_of(given.any(0)?), pick)))
}

fn real(given: &Arguments, pick: fn(f64, f64) -> f64) -> Result<Value, Trouble> {
    Ok(Value::Float(given.rest(1).iter().map(float_of).fold(float_of(given.any(0)?), pick)))
}

/// Takes off what binary fractions add to decimal ones: 0.1 and 0.2 are 0.3, as in sprig's decimal numbers.
fn decimal(number: f64) -> f64 {
    format!("{number:.14e}").parse().unwrap_or(number)
}
