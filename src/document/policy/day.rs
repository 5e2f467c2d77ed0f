//! Spans and points of time as a policy writes them: `90d`, `2027-01-31`, `2026-11-20T08:00:00Z`.
//!
//! Times are seconds since 1970 in UTC; the clock is handed in by whoever judges.

use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const DAY: i64 = 86_400;

/// Span of time: a whole number of minutes (`m`), hours (`h`), days (`d`) or weeks (`w`), at most a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    seconds: i64,
}

impl Age {
    /// Returns the span in seconds.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Makes the span of so many days.
    pub const fn days(days: u16) -> Self {
        Self { seconds: days as i64 * DAY }
    }
}

const UNITS: [(char, i64); 4] = [('w', 7 * DAY), ('d', DAY), ('h', 3600), ('m', 60)];

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            let (unit, length) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
            let digits = text.strip_suffix(unit)?;
            let number: i64 = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
            let seconds = number.checked_mul(length)?;
            (1..=36_525 * DAY).contains(&seconds).then_some(Self { seconds })
        };
        read().ok_or_else(|| format!("{text:?} is no span of time; expected one like 12h, 90d or 4w"))
    }
}

impl fmt::Display for Age {
    /// Writes it in the largest unit that fits, days rather than weeks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, length): &(char, i64)| self.seconds % length == 0;
        let (unit, length) = UNITS.into_iter().skip(1).find(fits).unwrap_or(('m', 60));
        write!(f, "{}{unit}", self.seconds / length)
    }
}

impl Serialize for Age {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Point in time, as it was written: a day (its first second) or RFC 3339 with `Z` or an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instant {
    text: String,
    second: i64,
}

impl Instant {
    /// Returns it in seconds since 1970.
    pub const fn second(&self) -> i64 {
        self.second
    }
}

impl FromStr for Instant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let second = match text.split_once(['T', 't']) {
            None => day(text).map(|(year, month, day)| start_of(year, month, day)),
            Some((date, time)) => day(date).and_then(|(y, m, d)| Some(start_of(y, m, d) + seconds_of_day(time)?)),
        };
        let second = second
            .ok_or_else(|| format!("{text:?} is no point in time; expected 2027-01-31 or 2027-01-31T12:00:00Z"))?;
        Ok(Self { text: text.to_owned(), second })
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// End of an exemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// Last day on which it holds: year, month, day.
    Day(u16, u8, u8),
    /// No end.
    Never,
}

impl Until {
    /// Returns the first second after it, or `None` where there is no end.
    pub fn end(self) -> Option<i64> {
        match self {
            Self::Day(year, month, day) => Some(start_of(year, month, day) + DAY),
            Self::Never => None,
        }
    }
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let (year, month, day) =
            day(text).ok_or_else(|| format!("{text:?} is no day; expected one like 2027-01-31, or never"))?;
        Ok(Self::Day(year, month, day))
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Day(year, month, day) => write!(f, "{year:04}-{month:02}-{day:02}"),
            Self::Never => f.write_str("never"),
        }
    }
}

impl Serialize for Until {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads `YYYY-MM-DD`, from 1970 on.
fn day(text: &str) -> Option<(u16, u8, u8)> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    if !shaped {
        return None;
    }
    let (year, month, day) = (text[..4].parse().ok()?, text[5..7].parse().ok()?, text[8..].parse().ok()?);
    (year >= 1970 && (1..=12).contains(&month) && (1..=days(year, month)).contains(&day)).then_some((year, month, day))
}

const fn days(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the first second of a day of the Gregorian calendar from 1970 on.
fn start_of(year: u16, month: u8, day: u8) -> i64 {
    let before = i64::from(year) - 1;
    let leaps = |years: i64| years / 4 - years / 100 + years / 400;
    let years = (i64::from(year) - 1970) * 365 + leaps(before) - leaps(1969);
    let months: i64 = (1..month).map(|month| i64::from(days(year, month))).sum();
    (years + months + i64::from(day) - 1) * DAY
}

/// Reads `hh:mm:ss[.fraction](Z|±hh:mm)` as seconds after the start of the day in UTC.
fn seconds_of_day(text: &str) -> Option<i64> {
    let number = |text: &str, below: i64| {
        let value: i64 = (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())??;
        (value < below).then_some(value)
    };
    let at = text.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = text.split_at(at);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let [hours, minutes, seconds] = clock.split(':').collect::<Vec<_>>().try_into().ok()?;
    let of_day = number(hours, 24)? * 3600 + number(minutes, 60)? * 60 + number(seconds, 61)?;
    let offset = match zone {
        "Z" | "z" => 0,
        _ => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let offset = number(hours, 24)? * 3600 + number(minutes, 60)? * 60;
            if zone.starts_with('-') { -offset } else { offset }
        }
    };
    Some(of_day - offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_are_read_and_written_in_the_unit_that_fits() {
        for (text, seconds, again) in
            [("90m", 5400, "90m"), ("12h", 43_200, "12h"), ("90d", 7_776_000, "90d"), ("2w", 1_209_600, "14d")]
        {
            let age: Age = text.parse().unwrap();
            assert_eq!((age.seconds(), age.to_string().as_str()), (seconds, again), "{text}");
        }
        for text in ["", "d", "0d", "-1d", "1.5h", "90", "90 d", "1y", "36526d", "99999999999999999999d"] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }

    #[test]
    fn points_in_time_are_read_with_their_offset() {
        let second = |text: &str| text.parse::<Instant>().unwrap().second();
        assert_eq!(second("1970-01-01"), 0);
        assert_eq!(second("2027-02-01"), 1_801_440_000);
        assert_eq!(second("2027-02-01T00:00:00Z"), 1_801_440_000);
        assert_eq!(second("2027-02-01T01:30:00.123+01:30"), 1_801_440_000);
        assert_eq!(second("2027-01-31T22:00:00-02:00"), 1_801_440_000);
        assert_eq!(second("2000-03-01"), second("2000-02-29") + DAY);
        for text in
            ["", "2027-1-1", "2027-02-30", "2027-02-01T", "2027-02-01T00:00Z", "2027-02-01T00:00:00", "1969-12-31"]
        {
            assert!(text.parse::<Instant>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_exemption_ends_after_its_last_day() {
        let until: Until = "2027-01-31".parse().unwrap();
        assert_eq!(until.end(), Some(1_801_440_000));
        assert_eq!("never".parse::<Until>().unwrap().end(), None);
        assert!("2027-02-29".parse::<Until>().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC{0,30}", more in "[0-9TZ:.+-]{0,30}") {
            for text in [text, more] {
                let _ = (text.parse::<Age>(), text.parse::<Instant>(), text.parse::<Until>());
            }
        }

        #[test]
        fn days_follow_one_another(days in 0_i64..60_000) {
            let mut at = 0;
            let mut date = (1970_u16, 1_u8, 1_u8);
            // Steps month by month, which is independent of the closed form above.
            while at + i64::from(super::days(date.0, date.1)) <= days {
                at += i64::from(super::days(date.0, date.1));
                date = if date.1 == 12 { (date.0 + 1, 1, 1) } else { (date.0, date.1 + 1, 1) };
            }
            let day = u8::try_from(days - at).unwrap() + 1;
            prop_assert_eq!(start_of(date.0, date.1, day), days * DAY);
        }
    }
}
