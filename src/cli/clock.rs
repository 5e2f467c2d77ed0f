//! The clock: asked here and nowhere else.

/// Returns now as RFC 3339 in UTC, to the second.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns now in seconds since 1970.
pub fn seconds() -> i64 {
    jiff::Timestamp::now().as_second()
}
