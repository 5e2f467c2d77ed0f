//! Faults on demand: a script of rules, so that a client can be tried against every way a registry fails.
//!
//! ```
//! use airlift::serve::{Answer, Faults, Rule};
//! use std::time::Duration;
//!
//! let faults = Faults::none()
//!     .with(Rule::on("GET", "/v2/*/blobs/*").nth(2).cut(1024))
//!     .with(Rule::on("*", "/v2/*").first(3).answer(Answer::new(429).header("Retry-After", "1")))
//!     .with(Rule::on("HEAD", "/v2/*").share(10, 7).stall(Duration::from_millis(5)));
//! assert_eq!(faults.rules().len(), 3);
//! ```

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A script: of the rules that are due for a request, the first one acts.
///
/// A rule about an answer's body leaves answers without a body as they are.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Vec<Rule>,
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a rule behind the others.
    #[must_use]
    pub fn with(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Returns the rules in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// An answer that is given instead of the registry's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    /// Answers with `status` and an empty body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// Sets a page as a proxy before the registry shows it.
    #[must_use]
    pub fn html(self, title: &str) -> Self {
        let page = format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>");
        self.header("Content-Type", "text/html").body(&page)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.body).into_response();
        response.headers_mut().remove(axum::http::header::CONTENT_TYPE);
        for (name, value) in &self.headers {
            set_header(&mut response, name, Some(value));
        }
        response
    }
}

/// Sets or removes a header; a name or value that cannot stand in a header is left out.
pub(super) fn set_header(response: &mut Response, name: &str, value: Option<&str>) {
    let Ok(name) = name.parse::<HeaderName>() else { return };
    match value.map(HeaderValue::from_str) {
        Some(Ok(value)) => drop(response.headers_mut().insert(name, value)),
        Some(Err(_)) => {}
        None => drop(response.headers_mut().remove(name)),
    }
}

/// Which of the requests that fit a rule it acts on; they count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Every,
    Nth(u64),
    First(u64),
    From(u64),
    /// So many of a hundred, by a seeded coin.
    Share(u64, u64),
}

impl When {
    const fn is_due(self, count: u64) -> bool {
        match self {
            Self::Every => true,
            Self::Nth(n) => count == n,
            Self::First(n) => count <= n,
            Self::From(n) => count >= n,
            Self::Share(percent, seed) => mix(seed ^ mix(count)) % 100 < percent,
        }
    }
}

/// Spreads a number over all 64 bits (the finaliser of SplitMix64).
const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Answer(Answer),
    AnswerAfterwards(Answer),
    Stall(Duration),
    StallBody(u64, Duration),
    Cut(u64),
    Reset(u64),
    Flip(u64),
    Shorten(u64),
    Lengthen(u64),
    Hang,
    DropConnection,
    ResetUpload(u64),
    Header(String, Option<String>),
}

/// One rule: which requests, which of them, and what goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    start: RuleStart,
    act: Act,
}

/// A rule without its ending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleStart {
    method: String,
    path: String,
    when: When,
}

impl Rule {
    /// Begins a rule for requests with `method` (`*` for any) whose path is like `path`, where `*` stands for
    /// any characters. Where `path` has a `?`, the query is compared as well.
    pub fn on(method: &str, path: &str) -> RuleStart {
        RuleStart { method: method.to_owned(), path: path.to_owned(), when: When::Every }
    }

    fn fits(&self, method: &str, path_and_query: &str) -> bool {
        let path = path_and_query.split('?').next().unwrap_or_default();
        let subject = if self.start.path.contains('?') { path_and_query } else { path };
        (self.start.method == "*" || self.start.method == method) && is_like(&self.start.path, subject)
    }
}

impl RuleStart {
    /// Acts on the `n`th request only.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        Self { when: When::Nth(n), ..self }
    }

    /// Acts on the first `n` requests.
    #[must_use]
    pub fn first(self, n: u64) -> Self {
        Self { when: When::First(n), ..self }
    }

    /// Acts on the `n`th request and all later ones.
    #[must_use]
    pub fn from(self, n: u64) -> Self {
        Self { when: When::From(n), ..self }
    }

    /// Acts on about `percent` of a hundred requests; `seed` decides on which.
    #[must_use]
    pub fn share(self, percent: u64, seed: u64) -> Self {
        Self { when: When::Share(percent, seed), ..self }
    }

    /// Answers so, and does nothing of what was asked.
    pub fn answer(self, answer: Answer) -> Rule {
        self.ends(Act::Answer(answer))
    }

    /// Does what was asked, and answers so all the same: a gateway that gave up waiting.
    pub fn answer_afterwards(self, answer: Answer) -> Rule {
        self.ends(Act::AnswerAfterwards(answer))
    }

    /// Waits before it does anything.
    pub fn stall(self, time: Duration) -> Rule {
        self.ends(Act::Stall(time))
    }

    /// Waits in the answer's body, after `at` bytes.
    pub fn stall_body(self, at: u64, time: Duration) -> Rule {
        self.ends(Act::StallBody(at, time))
    }

    /// Closes the connection after exactly `after` bytes of the answer's body.
    pub fn cut(self, after: u64) -> Rule {
        self.ends(Act::Cut(after))
    }

    /// Resets the connection after `after` bytes of the answer's body; bytes under way may be lost.
    pub fn reset(self, after: u64) -> Rule {
        self.ends(Act::Reset(after))
    }

    /// Changes the byte at offset `at` of the answer's body.
    pub fn flip(self, at: u64) -> Rule {
        self.ends(Act::Flip(at))
    }

    /// Gives `by` bytes less than the whole body, and states that as its length.
    pub fn shorten(self, by: u64) -> Rule {
        self.ends(Act::Shorten(by))
    }

    /// Gives `by` bytes more than the whole body, and states that as its length.
    pub fn lengthen(self, by: u64) -> Rule {
        self.ends(Act::Lengthen(by))
    }

    /// Never answers; the connection stays open.
    pub fn hang(self) -> Rule {
        self.ends(Act::Hang)
    }

    /// Closes the connection without an answer.
    pub fn drop_connection(self) -> Rule {
        self.ends(Act::DropConnection)
    }

    /// Resets the connection after `after` bytes of the request's body.
    pub fn reset_upload(self, after: u64) -> Rule {
        self.ends(Act::ResetUpload(after))
    }

    /// Sets a header of the answer.
    pub fn set_header(self, name: &str, value: &str) -> Rule {
        self.ends(Act::Header(name.to_owned(), Some(value.to_owned())))
    }

    /// Removes a header from the answer.
    pub fn remove_header(self, name: &str) -> Rule {
        self.ends(Act::Header(name.to_owned(), None))
    }

    const fn ends(self, act: Act) -> Rule {
        Rule { start: self, act }
    }
}

/// A script in use: counts which rule saw how many requests.
#[derive(Debug, Default)]
pub(super) struct Script {
    lines: Vec<(Rule, AtomicU64, AtomicU64)>,
}

impl Script {
    pub(super) fn new(faults: &Faults) -> Self {
        Self { lines: faults.rules.iter().map(|rule| (rule.clone(), AtomicU64::new(0), AtomicU64::new(0))).collect() }
    }

    /// Returns what goes wrong with a request. Every rule that fits counts it; the first one that is due acts.
    pub(super) fn due(&self, method: &str, path_and_query: &str) -> Option<Act> {
        let mut act = None;
        for (rule, seen, fired) in &self.lines {
            if !rule.fits(method, path_and_query) {
                continue;
            }
            let count = seen.fetch_add(1, Ordering::Relaxed) + 1;
            if act.is_none() && rule.start.when.is_due(count) {
                fired.fetch_add(1, Ordering::Relaxed);
                act = Some(rule.act.clone());
            }
        }
        act
    }

    /// Returns how often each rule acted.
    pub(super) fn fired(&self) -> Vec<u64> {
        self.lines.iter().map(|(_, _, fired)| fired.load(Ordering::Relaxed)).collect()
    }
}

/// Returns whether `text` is like `pattern`, in which `*` stands for any characters.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text) in [
            ("/v2/*/blobs/*", "/v2/a/b/blobs/sha256:00"),
            ("*", ""),
            ("/v2/", "/v2/"),
            ("*x*y", "axbxcy"),
            ("/v2/*", "/v2/"),
        ] {
            assert!(is_like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("/v2/", "/v2/a"), ("/v2/*/blobs/*", "/v2/blobs/x"), ("*x", "xy"), ("a*ba", "aba2")] {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn every_fitting_rule_counts_and_the_first_due_one_acts() {
        let faults = Faults::none()
            .with(Rule::on("GET", "/a").nth(2).cut(1))
            .with(Rule::on("*", "/a").first(3).hang())
            .with(Rule::on("GET", "/a?x=1").from(2).flip(0));
        let script = Script::new(&faults);
        assert_eq!(script.due("GET", "/a?x=1"), Some(Act::Hang));
        assert_eq!(script.due("GET", "/a?x=1"), Some(Act::Cut(1)));
        assert_eq!(script.due("GET", "/a?x=1"), Some(Act::Hang));
        assert_eq!(script.due("GET", "/a?x=1"), Some(Act::Flip(0)));
        assert_eq!(script.due("GET", "/b"), None);
        assert_eq!(script.fired(), [1, 2, 1]);
    }

    #[test]
    fn a_share_is_about_as_large_as_asked_and_the_same_for_the_same_seed() {
        let hits = |seed| (1..=10_000).filter(|n| When::Share(10, seed).is_due(*n)).collect::<Vec<_>>();
        assert!((800..1200).contains(&hits(1).len()), "{}", hits(1).len());
        assert_eq!(hits(1), hits(1));
        assert_ne!(hits(1), hits(2));
    }
}
