//! Which failures are worth another try, and how long to wait. Pure: time and chance are handed in.

use std::time::{Duration, SystemTime};

/// What went wrong, as far as another try is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Answer with this status, and the wait that it asks for.
    Status(u16, Option<Duration>),
    /// No connection, a broken one, or a time limit.
    Network,
    /// The name was not found: a slip of a resolver, or of the keyboard.
    Name,
    /// A store behind a redirect refused an address that may have run out.
    Expired,
}

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Try again after this long.
    Wait(Duration),
    /// Not worth another try.
    GiveUp,
    /// The server asks for more patience than we have.
    TooLong(Duration),
}

/// The bounds within which tries are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Tries after the first one.
    pub(super) retries: u32,
    /// Middle of the first wait.
    pub(super) backoff: Duration,
    /// Longest wait a server may ask for.
    pub(super) patience: Duration,
}

/// Longest wait of our own choice.
const LONGEST: Duration = Duration::from_secs(60);
/// Tries of a name that does not resolve.
const NAME_TRIES: u32 = 2;

/// Decides what follows the `tries`-th failure (from 1); `chance` is uniform over all of `u64`.
pub(super) fn decide(trouble: Trouble, tries: u32, chance: u64, bounds: &Bounds) -> Decision {
    let asked = match trouble {
        Trouble::Status(429 | 503, asked) => asked,
        Trouble::Status(408 | 425 | 500 | 502 | 504, _) | Trouble::Network => None,
        Trouble::Expired if tries <= 1 => None,
        Trouble::Name if tries < NAME_TRIES => None,
        _ => return Decision::GiveUp,
    };
    if let Some(asked) = asked.filter(|asked| *asked > bounds.patience) {
        return Decision::TooLong(asked);
    }
    if tries > bounds.retries {
        return Decision::GiveUp;
    }
    let own = jitter(bounds.backoff, tries, chance);
    // The asked wait is a lower bound; the jitter on top keeps many workers from coming back at once.
    Decision::Wait(asked.map_or(own, |asked| asked.saturating_add(own.min(asked / 4))))
}

/// Full jitter: uniform between nothing and twice the middle, which doubles with each try.
fn jitter(backoff: Duration, tries: u32, chance: u64) -> Duration {
    let ceiling = backoff.saturating_mul(2u32.saturating_pow(tries.min(16))).min(LONGEST);
    let share = (chance >> 11) as f64 / (1u64 << 53) as f64;
    ceiling.mul_f64(share)
}

/// Reads `Retry-After`: seconds, or a date, which is taken against the answer's own `Date`.
///
/// So a wrong clock on either side does no harm. What is neither counts as absent; what is past, as no wait.
pub(super) fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.len() <= 10 && value.bytes().all(|b| b.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    let when = parse_date(value)?;
    let now = parse_date(date?.trim())?;
    Some(when.duration_since(now).unwrap_or_default())
}

fn parse_date(text: &str) -> Option<SystemTime> {
    // The three forms of RFC 9110 are at most 33 bytes; nothing longer reaches the parser.
    if text.len() > 40 { None } else { httpdate::parse_http_date(text).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOUNDS: Bounds =
        Bounds { retries: 5, backoff: Duration::from_millis(500), patience: Duration::from_secs(900) };
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again() {
        for code in [400, 401, 403, 404, 405, 409, 412, 413, 416, 501, 505] {
            assert_eq!(decide(Trouble::Status(code, None), 1, 0, &BOUNDS), Decision::GiveUp, "{code}");
        }
        for code in [408, 425, 429, 500, 502, 503, 504] {
            assert!(matches!(decide(Trouble::Status(code, None), 5, 0, &BOUNDS), Decision::Wait(_)), "{code}");
            assert_eq!(decide(Trouble::Status(code, None), 6, 0, &BOUNDS), Decision::GiveUp, "{code}");
        }
        assert_eq!(decide(Trouble::Name, 2, 0, &BOUNDS), Decision::GiveUp);
        assert_eq!(decide(Trouble::Expired, 2, 0, &BOUNDS), Decision::GiveUp);
    }

    #[test]
    fn waits_double_and_are_spread_over_their_whole_range() {
        let wait = |tries, chance| match decide(Trouble::Network, tries, chance, &BOUNDS) {
            Decision::Wait(wait) => wait.as_millis(),
            other => panic!("{other:?}"),
        };
        assert_eq!((wait(1, 0), wait(1, u64::MAX / 2), wait(1, u64::MAX)), (0, 500, 1000));
        assert_eq!((wait(2, u64::MAX), wait(3, u64::MAX)), (2000, 4000));
        let many = Bounds { retries: 100, ..BOUNDS };
        assert!(matches!(decide(Trouble::Network, 90, u64::MAX, &many), Decision::Wait(w) if w <= LONGEST));
    }

    #[test]
    fn a_server_is_heeded_up_to_our_patience() {
        let asked = |secs| decide(Trouble::Status(429, Some(Duration::from_secs(secs))), 1, u64::MAX, &BOUNDS);
        assert_eq!(asked(5), Decision::Wait(Duration::from_secs(6)));
        assert!(matches!(asked(900), Decision::Wait(w) if w >= Duration::from_secs(900)));
        assert_eq!(asked(901), Decision::TooLong(Duration::from_secs(901)));
        assert_eq!(asked(0), Decision::Wait(Duration::ZERO));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_against_the_servers_own_clock() {
        let secs = |value: &str, date| retry_after(value, date).map(|d| d.as_secs());
        assert_eq!(secs("5", None), Some(5));
        assert_eq!(secs(" 86400 ", None), Some(86400));
        assert_eq!(secs("Sun, 06 Nov 1994 08:50:07 GMT", Some(DATE)), Some(30));
        assert_eq!(secs("Sun, 06 Nov 1994 08:00:00 GMT", Some(DATE)), Some(0));
        assert_eq!(secs("Sun, 06 Nov 1994 08:50:07 GMT", None), None);
        for garbage in ["-1", "", "soon", "1e3", "5.5", "99999999999", "+5"] {
            assert_eq!(secs(garbage, Some(DATE)), None, "{garbage}");
        }
    }

    proptest! {
        #[test]
        fn any_retry_after_is_read_without_a_panic(value in "\\PC{0,60}", date in "\\PC{0,60}") {
            let _ = retry_after(&value, Some(&date));
        }
    }
}
