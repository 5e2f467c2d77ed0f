//! A door for the fuzz targets: parsers of what servers send, which nobody else may call.
//!
//! Each function gives what it is handed to one parser, as if the registry at `https://registry.example/` had sent
//! it, and returns only what a target needs to check a promise. It is hidden, and no part of the interface.

use super::retry::{self, Bounds, Decision, Trouble};
use super::{auth, challenge, refusal, wire};
use crate::model::Fault;
use secrecy::SecretString;
use std::collections::BTreeSet;
use std::time::Duration;
use url::Url;

/// Returns the root of the registry that "sent" it all.
fn base() -> Option<Url> {
    Url::parse("https://registry.example/").ok()
}

/// Reads a `WWW-Authenticate`; returns the token service that it leads to, and whether that may see credentials.
pub fn challenge(header: &str) -> Option<(String, bool)> {
    let base = base()?;
    let service = auth::parse_offer(&base, std::iter::once(header)).ok()?.tokens?;
    Some((service.realm.to_string(), challenge::trusts(&base, &service.realm, &BTreeSet::new())))
}

/// Reads a token service's answer; returns whether there is a token in it.
pub fn token(body: &[u8]) -> bool {
    auth::read_token(body).is_some()
}

/// Reads a `Link`; returns the target of `rel="next"` as it stands there.
pub fn next_link(header: &str) -> Option<String> {
    wire::next_link([header])
}

/// Reads the `Location` of an upload; returns the URL at which the upload goes on.
pub fn upload_location(header: &str) -> Option<String> {
    let base = base()?;
    let asked = base.join("v2/team/app/blobs/uploads/").ok()?;
    wire::upload_location(&base, &asked, header).ok().map(String::from)
}

/// Reads a `Content-Range` and the `Range` of an upload: first and last byte, and the byte that stands.
pub fn ranges(header: &str) -> (Option<(u64, u64)>, Option<u64>) {
    (wire::content_range(header).map(|range| (range.first, range.last)), wire::upload_end(header))
}

/// Reads a `Retry-After` beside a `Date`; returns how long the first try after a 429 waits, `None` for no other try.
pub fn retry_after(header: &str, date: Option<&str>, patience: Duration) -> Option<Duration> {
    let bounds = Bounds { retries: 5, backoff: Duration::from_millis(500), patience };
    match retry::decide(Trouble::Status(429, retry::retry_after(header, date)), 1, u64::MAX, &bounds) {
        Decision::Wait(wait) => Some(wait),
        Decision::GiveUp | Decision::TooLong(_) => None,
    }
}

/// Reads the body of a refusal of a request that showed `secret`.
pub fn refusal(status: u16, body: &[u8], secret: &str) -> Fault {
    let place = "https://registry.example/v2/team/app".to_owned();
    refusal::Refusal::read(status, place, body, &[SecretString::from(secret)]).fault("the blob was not taken")
}
