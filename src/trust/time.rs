//! Times: seconds since 1970 as handed in, and as a person reads them. The door of the time crate.

use crate::document::policy::Until;
pub(super) use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// How far a verified time may lie ahead of the clock that was handed in, in seconds.
pub(super) const SKEW: i64 = 300;

/// Returns `time` as RFC 3339 in UTC.
pub(super) fn rfc3339(time: i64) -> String {
    Timestamp::from_second(time).map_or_else(|_| format!("second {time}"), |at| at.to_string())
}

/// Reads RFC 3339; parts of a second are cut off.
pub(super) fn parse(text: &str) -> Option<i64> {
    text.parse().ok().map(|at: Timestamp| at.as_second())
}

/// Reads the GeneralizedTime of a timestamp (`20270131120000.5Z`); returns the second, and whether a part of one
/// stands behind it.
pub(super) fn generalized(text: &str) -> Option<(i64, bool)> {
    let text = text.strip_suffix('Z')?;
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(part) {
        return None;
    }
    let number = |from: usize, to: usize| whole.get(from..to)?.parse::<i8>().ok();
    let date = Date::new(whole.get(..4)?.parse().ok()?, number(4, 6)?, number(6, 8)?).ok()?;
    let time = jiff::civil::Time::new(number(8, 10)?, number(10, 12)?, number(12, 14)?, 0).ok()?;
    let at = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    Some((at, part.bytes().any(|b| b != b'0')))
}

/// Returns whether the last day of `until` is over at `now`.
pub(super) fn over(until: Until, now: i64) -> bool {
    until.end().is_some_and(|end| now >= end)
}

/// Returns whether `time` lies at most `age` seconds before `now`, and not after it.
pub(super) const fn fresh(time: i64, age: i64, now: i64) -> bool {
    time <= now.saturating_add(SKEW) && now.saturating_sub(time) <= age
}

/// Says how long before `now` something was: days, or hours where it is less than two.
pub(super) fn ago(time: i64, now: i64) -> String {
    let seconds = now.saturating_sub(time).max(0);
    if seconds < 2 * 86_400 { format!("{} hours", seconds / 3600) } else { format!("{} days", seconds / 86_400) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exemption_holds_through_its_last_day() {
        let until = Until::Day(2027, 1, 31);
        let midnight = 1_801_440_000; // 2027-02-01T00:00:00Z
        assert_eq!(rfc3339(midnight), "2027-02-01T00:00:00Z");
        assert!(!over(until, midnight - 1));
        assert!(over(until, midnight));
        assert!(!over(Until::Never, i64::MAX));
    }

    #[test]
    fn fresh_is_neither_old_nor_from_the_future() {
        assert!(fresh(100, 50, 150) && !fresh(100, 49, 150));
        assert!(fresh(150 + SKEW, 50, 150) && !fresh(151 + SKEW, 50, 150));
        assert_eq!(parse("2027-02-01T00:00:00Z"), Some(1_801_440_000));
        assert_eq!(parse("2027-02-01"), None);
        assert_eq!((ago(0, 3 * 86_400), ago(0, 7200)), ("3 days".to_owned(), "2 hours".to_owned()));
    }

    #[test]
    fn times_of_timestamps_are_read_to_the_second() {
        assert_eq!(generalized("20270201000000Z"), Some((1_801_440_000, false)));
        assert_eq!(generalized("20270201000000.000Z"), Some((1_801_440_000, false)));
        assert_eq!(generalized("20270201000000.25Z"), Some((1_801_440_000, true)));
        for wrong in [
            "",
            "Z",
            "20270201000000",
            "20270230000000Z",
            "20270201250000Z",
            "2027020100000Z",
            "20270201000000.Z",
            "+0270201000000Z",
            "20270201000000+0100",
        ] {
            assert_eq!(generalized(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse("2027-02-01T00:00:00.9Z"), Some(1_801_440_000));
        assert_eq!(parse("2027-02-01"), None);
    }
}
