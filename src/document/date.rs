//! Moments that a person names: a day, or a time as RFC 3339 has it. The door of the time crate for papers.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fmt;
use std::str::FromStr;

/// Why a text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no date: expected 2026-01-31, or 2026-01-31T12:00:00Z")]
pub struct DateError(String);

/// A moment, with the text it was written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    text: String,
    at: Timestamp,
}

impl Moment {
    /// Returns whether `time`, RFC 3339, is this moment or a later one; `None` where it states no time.
    ///
    /// The start of 1970 and everything before it states none: builds that give the same bytes each time write it.
    pub fn is_reached(&self, time: &str) -> Option<bool> {
        let time: Timestamp = time.trim().parse().ok()?;
        (time > Timestamp::UNIX_EPOCH).then_some(time >= self.at)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Moment {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let error = || DateError(text.chars().take(64).collect());
        let at = match text.len() {
            10 => {
                let day: Date = text.parse().map_err(|_| error())?;
                day.to_zoned(TimeZone::UTC).map_err(|_| error())?.timestamp()
            }
            _ => text.parse().map_err(|_| error())?,
        };
        Ok(Self { text: text.to_owned(), at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_day_begins_at_midnight_utc_and_offsets_count() {
        let day: Moment = "2026-01-31".parse().unwrap();
        assert_eq!(day.is_reached("2026-01-31T00:00:00Z"), Some(true));
        assert_eq!(day.is_reached("2026-01-30T23:59:59.999Z"), Some(false));
        assert_eq!(day.is_reached("2026-01-31T01:00:00+02:00"), Some(false));
        let noon: Moment = "2026-01-31T12:00:00+01:00".parse().unwrap();
        assert_eq!(noon.is_reached("2026-01-31T11:00:00Z"), Some(true));
        assert_eq!(noon.to_string(), "2026-01-31T12:00:00+01:00");
    }

    #[test]
    fn no_time_is_not_an_early_time() {
        let day: Moment = "1960-01-01".parse().unwrap();
        for time in ["", "yesterday", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(day.is_reached(time), None, "{time}");
        }
        assert_eq!(day.is_reached("1980-01-01T00:00:00Z"), Some(true));
        for text in ["2026", "2026-13-01", "31.01.2026", "", "2026-01-31T12:00"] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_moment_or_an_error(text in "[0-9TZ:+. -]{0,30}|\\PC{0,12}") {
            if let Ok(moment) = text.parse::<Moment>() {
                let _ = moment.is_reached(&text);
            }
        }
    }
}
