//! Times in UTC. `now` is always the same instant, so that a chart renders the same way every time.

use super::convert::int_of;
use super::function;
use crate::chart::template::{Arguments, Engine, Function, Trouble, Value};

/// The group.
pub(super) const FUNCTIONS: &[Function] = &[
    function("now", |engine, _| Ok(Value::Time(engine.now))),
    function("date", |engine, given| Ok(format(seconds(engine, given.any(1)?), given.text(0)?).into())),
    function("dateInZone", |engine, given| Ok(format(seconds(engine, given.any(1)?), given.text(0)?).into())),
    function("date_in_zone", |engine, given| Ok(format(seconds(engine, given.any(1)?), given.text(0)?).into())),
    function("htmlDate", |engine, given| Ok(format(seconds(engine, given.any(0)?), "2006-01-02").into())),
    function("htmlDateInZone", |engine, given| Ok(format(seconds(engine, given.any(0)?), "2006-01-02").into())),
    function("dateModify", modified),
    function("date_modify", modified),
    function("mustDateModify", modified),
    function("must_date_modify", modified),
    function("toDate", |_, given| to_date(given)),
    function("mustToDate", |_, given| to_date(given)),
    function("unixEpoch", |_, given| match given.any(0)? {
        Value::Time(seconds) => Ok(seconds.to_string().into()),
        other => Err(Trouble::Wrong(format!("takes a time, found {}", other.type_name()))),
    }),
    function("ago", |engine, given| {
        let past = engine.now - seconds(engine, given.any(0)?);
        Ok(span(past).into())
    }),
    function("duration", |_, given| Ok(span(int_of(given.any(0)?)).into())),
    function("durationRound", |engine, given| {
        let seconds = match given.any(0)? {
            Value::Text(text) => duration(text).unwrap_or_default(),
            Value::Time(at) => engine.now - at,
            Value::Int64(nanoseconds) => nanoseconds / 1_000_000_000,
            _ => 0,
        };
        Ok(rounded(seconds.unsigned_abs()).into())
    }),
];

fn seconds(engine: &Engine, value: &Value) -> i64 {
    match value {
        Value::Time(seconds) | Value::Int(seconds) | Value::Int64(seconds) => *seconds,
        _ => engine.now,
    }
}

fn modified(_: &mut Engine, given: &Arguments) -> Result<Value, Trouble> {
    let Value::Time(seconds) = given.any(1)? else { return Err("takes a time".into()) };
    Ok(Value::Time(seconds + duration(given.text(0)?).unwrap_or_default()))
}

/// Reads a duration such as `-1h30m`, in seconds.
fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    rest = rest.strip_prefix('+').unwrap_or(rest);
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit = rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |at| digits + at);
        let size = match &rest[digits..unit] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += rest[..digits].parse::<f64>().ok()? * size;
        rest = &rest[unit..];
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds are kept")]
    let sum = sum as i64;
    Some(if negative { -sum } else { sum })
}

/// Writes a duration as Go does.
fn span(seconds: i64) -> String {
    let (sign, left) = (if seconds < 0 { "-" } else { "" }, seconds.unsigned_abs());
    let (hours, minutes, seconds) = (left / 3600, left / 60 % 60, left % 60);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

fn rounded(seconds: u64) -> String {
    const DAY: u64 = 24 * 3600;
    let units = [(365 * DAY, "y"), (30 * DAY, "mo"), (DAY, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let unit = units.into_iter().find(|(size, _)| seconds > *size);
    unit.map_or_else(|| "0s".to_owned(), |(size, name)| format!("{}{name}", seconds / size))
}

/// Year, month and day of a day counted from 1970.
const fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let month_of_year = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + (month_of_year <= 2) as i64, month_of_year, of_year - (153 * month + 2) / 5 + 1)
}

/// Day counted from 1970.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Pieces of a layout, longer ones first where one begins another.
const PIECES: [&str; 27] = [
    "January", "Jan", "Monday", "Mon", "MST", "2006", "-07:00", "-0700", "Z07:00", "Z0700", "002", "01", "02", "03",
    "04", "05", "06", "15", "PM", "pm", "_2", "1", "2", "3", "4", "5", "-07",
];

fn pieces(layout: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = layout;
    while let Some(sign) = rest.chars().next() {
        let piece = PIECES.into_iter().find(|piece| rest.starts_with(piece));
        let (piece, after) = rest.split_at(piece.map_or(sign.len_utf8(), str::len));
        out.push(piece);
        rest = after;
    }
    out
}

/// Writes a time in a layout of Go.
pub(crate) fn format(seconds: i64, layout: &str) -> String {
    let (day, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, of_month) = civil(day);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let name =
        |names: &[&'static str], at: i64| usize::try_from(at).ok().and_then(|at| names.get(at)).copied().unwrap_or("");
    let month_name = name(&MONTHS, month - 1);
    let weekday = name(&WEEKDAYS, day.rem_euclid(7));
    let write = |piece: &str| match piece {
        "2006" => format!("{year:04}"),
        "06" => format!("{:02}", year.rem_euclid(100)),
        "January" => month_name.to_owned(),
        "Jan" => month_name[..3].to_owned(),
        "01" => format!("{month:02}"),
        "1" => month.to_string(),
        "Monday" => weekday.to_owned(),
        "Mon" => weekday[..3].to_owned(),
        "02" => format!("{of_month:02}"),
        "_2" => format!("{of_month:2}"),
        "2" => of_month.to_string(),
        "002" => format!("{:03}", day - days(year, 1, 1) + 1),
        "15" => format!("{hour:02}"),
        "03" => format!("{half:02}"),
        "3" => half.to_string(),
        "04" => format!("{minute:02}"),
        "4" => minute.to_string(),
        "05" => format!("{second:02}"),
        "5" => second.to_string(),
        "PM" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "pm" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        "MST" => "UTC".to_owned(),
        "-0700" => "+0000".to_owned(),
        "-07:00" => "+00:00".to_owned(),
        "-07" => "+00".to_owned(),
        "Z07:00" | "Z0700" => "Z".to_owned(),
        other => other.to_owned(),
    };
    pieces(layout).into_iter().map(write).collect()
}

fn to_date(given: &Arguments) -> Result<Value, Trouble> {
    let (layout, text) = (given.text(0)?, given.text(1)?);
    let wrong = || Trouble::Wrong(format!("{text:?} is no time of the form {layout:?} that is understood"));
    parse(layout, text).map(Value::Time).ok_or_else(wrong)
}

fn parse(layout: &str, text: &str) -> Option<i64> {
    let (mut year, mut month, mut day, mut of_day) = (1970, 1, 1, 0);
    let mut rest = text;
    for piece in pieces(layout) {
        let width = match piece {
            "2006" => 4,
            "01" | "02" | "15" | "04" | "05" | "06" => 2,
            "Z07:00" | "Z0700" => {
                rest = rest.strip_prefix('Z')?;
                continue;
            }
            other => {
                rest = rest.strip_prefix(other)?;
                continue;
            }
        };
        let number: i64 = rest.get(..width)?.parse().ok()?;
        rest = &rest[width..];
        match piece {
            "2006" => year = number,
            "06" => year = 2000 + number,
            "01" => month = number,
            "02" => day = number,
            "15" => of_day += number * 3600,
            "04" => of_day += number * 60,
            _ => of_day += number,
        }
    }
    let possible = rest.is_empty() && (1..=12).contains(&month) && (1..=31).contains(&day) && of_day < 86_400;
    possible.then(|| days(year, month, day) * 86_400 + of_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_the_layouts_of_go() {
        let at = days(2024, 2, 29) * 86_400 + 13 * 3600 + 5 * 60 + 9;
        assert_eq!(format(at, "2006-01-02T15:04:05Z07:00"), "2024-02-29T13:05:09Z");
        assert_eq!(format(at, "Mon, 2 Jan 06 3:04PM MST"), "Thu, 29 Feb 24 1:05PM UTC");
        assert_eq!(parse("2006-01-02 15:04:05", "2024-02-29 13:05:09"), Some(at));
        assert_eq!(civil(days(1999, 12, 31)), (1999, 12, 31));
        assert_eq!((duration("1h30m"), duration("-2s"), duration("x")), (Some(5400), Some(-2), None));
        assert_eq!((span(5400), rounded(90_000)), ("1h30m0s".to_owned(), "1d".to_owned()));
    }
}
