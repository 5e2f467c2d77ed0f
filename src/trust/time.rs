//! Times: seconds since 1970 as handed in, and as a person reads them. The door of the time crate.

use crate::document::policy::Until;
pub(super) use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// How far a verified time may lie ahead of the clock that was handed in, in seconds.
pub(super) const SKEW: i64 = 300;
const DAY: i64 = 86_400;

/// Returns `time` as RFC 3339 in UTC.
pub(super) fn rfc3339(time: i64) -> String {
    Timestamp::from_second(time).map_or_else(|_| format!("second {time}"), |at| at.to_string())
}

/// Returns whether the last day of `until` is over at `now`. A day that cannot be placed is over.
pub(super) fn over(until: Until, now: i64) -> bool {
    let Until::Day(year, month, day) = until else { return false };
    let start = || {
        let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    };
    start().is_none_or(|start| now >= start + DAY)
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
}
