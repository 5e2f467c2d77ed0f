//! What a server meant when it refused: from status, headers and body to a [`Fault`] with its own words.
//!
//! Bodies come in two JSON dialects (Harbor's core, and the blob engine with `detail`), as HTML of a proxy,
//! or not at all. Secrets that a server echoes are struck out before anything is kept.

use crate::model::fault::{Fault, FaultKind, printable};
use crate::model::limits;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// One refused request, as far as its meaning goes.
#[derive(Debug)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) status: u16,
    /// URL without credentials and query.
    pub(super) place: String,
    /// Errors of the body, where it was one of the JSON dialects.
    pub(super) errors: Vec<Stated>,
    /// What the body said, fit to be shown.
    pub(super) words: String,
    /// Whether the body was HTML: a proxy spoke, not the registry.
    pub(super) html: bool,
    /// Whether `WWW-Authenticate` was there and empty: Harbor's way to say that a project is missing.
    pub(super) empty_challenge: bool,
}

/// One error of a JSON body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Stated {
    /// Code as in the distribution specification or Harbor's own.
    #[serde(default)]
    pub(super) code: String,
    /// Text for people.
    #[serde(default)]
    message: serde_json::Value,
    /// Whatever the engine added.
    #[serde(default)]
    detail: serde_json::Value,
}

#[derive(Deserialize)]
struct Body {
    errors: Vec<Stated>,
}

impl Refusal {
    /// Reads a body that was cut at [`limits::ERROR_BODY_BYTES`]; `echoes` are the secrets of the request.
    pub(super) fn read(status: u16, place: String, body: &[u8], echoes: &[SecretString]) -> Self {
        let text = masked(&String::from_utf8_lossy(body), echoes);
        let errors = serde_json::from_str::<Body>(&text).map(|b| b.errors).unwrap_or_default();
        let html = errors.is_empty() && looks_like_html(&text);
        let words = match (errors.is_empty(), html) {
            (false, _) => said(&errors),
            (true, true) => html_text(&text),
            (true, false) => text,
        };
        // Once more: reading JSON undoes escapes (Go writes them for `&` and `<`), and printing drops hidden characters.
        let words = masked(&printable(&masked(&words, echoes)), echoes);
        Self { status, place, errors, words, html, empty_challenge: false }
    }

    /// Returns whether the body states `code`.
    pub(super) fn states(&self, code: &str) -> bool {
        self.errors.iter().any(|e| e.code.eq_ignore_ascii_case(code))
    }

    /// Returns the fault that this refusal of `what` (a fragment such as `the manifest was not read`) is.
    pub(super) fn fault(&self, what: &str) -> Fault {
        let (kind, reason, hint) = self.meaning();
        let said = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        Fault::new(kind, &self.place, format!("{what} (HTTP {}){said}", self.status))
            .with_words(&self.words)
            .with_hint(hint)
    }

    fn meaning(&self) -> (FaultKind, &'static str, &'static str) {
        match self.status {
            400 if self.states("DIGEST_INVALID") => (FaultKind::Damaged, "the server found another digest", ""),
            400 | 404 if self.states("MANIFEST_BLOB_UNKNOWN") => (
                FaultKind::Missing,
                "the server lacks content that it points to",
                "send the content named and try again",
            ),
            401 if self.empty_challenge => {
                (FaultKind::Missing, "the project does not exist", "create the project, or let --create-projects do it")
            }
            401 => (FaultKind::Unauthorized, "credentials are missing, wrong or do not suffice", ACCOUNT),
            403 => self.forbidden(),
            404 if self.words.contains("in GC") => {
                (FaultKind::Unavailable, "the registry is collecting garbage", "run again when that is over")
            }
            404 | 410 => (FaultKind::Missing, "it is not there", ""),
            413 => (
                FaultKind::Refused,
                "the body is larger than a limit on the way",
                "raise the body limit of the proxy in front of the registry, or upload in smaller pieces",
            ),
            407 => (FaultKind::Unavailable, "the proxy on the way asks for a password", "put it into the proxy's URL"),
            408 | 425 | 429 | 500..=599 => (FaultKind::Unavailable, "", ""),
            300..=399 => (FaultKind::Unavailable, "a redirect that leads nowhere", ""),
            200..=299 => (FaultKind::Malformed, "an answer that does not fit the request", ""),
            _ => (FaultKind::Refused, "", ""),
        }
    }

    fn forbidden(&self) -> (FaultKind, &'static str, &'static str) {
        let words = self.words.to_ascii_lowercase();
        if words.contains("exceed the configured upper limit") || words.contains("quota") {
            (
                FaultKind::Refused,
                "the quota of the project does not suffice",
                "raise the quota or free space in the project",
            )
        } else if words.contains("read only") || words.contains("read-only") || words.contains("readonly") {
            (FaultKind::Refused, "the registry is in read-only mode", "run again when the maintenance is over")
        } else if words.contains("proxy project") {
            (
                FaultKind::Refused,
                "the project is a proxy cache, into which nothing can be pushed",
                "choose another project",
            )
        } else if self.html {
            (FaultKind::Unauthorized, "something in front of the registry denies it", "")
        } else {
            (FaultKind::Unauthorized, "the credentials do not suffice", ACCOUNT)
        }
    }
}

const ACCOUNT: &str = "check the account, whether it expired, and that a `$` in a robot's name is quoted in the shell";

fn said(errors: &[Stated]) -> String {
    let blobs: Vec<&Stated> = errors.iter().filter(|e| e.code == "MANIFEST_BLOB_UNKNOWN").collect();
    if !blobs.is_empty() {
        // Only the digests matter to whoever sends them again, and only so many fit.
        let named: Vec<String> = blobs.iter().filter_map(|e| digest_in(&e.detail)).collect();
        return format!("MANIFEST_BLOB_UNKNOWN: {}", named.join(", "));
    }
    let one = |e: &Stated| {
        let message = plain(&e.message);
        match (e.code.as_str(), plain(&e.detail)) {
            (code, detail) if detail.is_empty() || detail == message => format!("{code}: {message}"),
            (code, detail) => format!("{code}: {message} ({detail})"),
        }
    };
    errors.iter().take(16).map(one).collect::<Vec<_>>().join("; ")
}

fn digest_in(detail: &serde_json::Value) -> Option<String> {
    match detail {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Object(map) => ["digest", "Digest", "name"].iter().find_map(|k| map.get(*k)).map(plain),
        _ => None,
    }
}

fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn looks_like_html(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(64).collect::<String>().to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head")
}

/// Returns the text between the tags: what a person would see of the page.
fn html_text(text: &str) -> String {
    let mut out = String::new();
    let mut tag = false;
    for c in text.chars().take(8 * limits::ERROR_WORDS_BYTES) {
        match c {
            '<' => {
                tag = true;
                out.push(' ');
            }
            '>' => tag = false,
            _ if !tag => out.push(c),
            _ => {}
        }
    }
    out
}

/// Strikes out each secret that stands in `text`, as it is or as our own JSON spells it.
pub(super) fn masked(text: &str, echoes: &[SecretString]) -> String {
    let mut out = text.to_owned();
    for secret in echoes.iter().map(|s| s.expose_secret()).filter(|s| s.len() >= 4) {
        let quoted = serde_json::Value::from(secret).to_string();
        out = out.replace(secret, "***").replace(&quoted[1..quoted.len() - 1], "***");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(status: u16, body: &str) -> Fault {
        Refusal::read(status, "https://h.example/v2/a/b".into(), body.as_bytes(), &[]).fault("the blob was not taken")
    }

    #[test]
    fn both_dialects_give_their_words() {
        let harbor = fault(404, "{\"errors\":[{\"code\":\"NOT_FOUND\",\"message\":\"artifact a/b:1 not found\"}]}\n");
        assert_eq!(harbor.kind, FaultKind::Missing);
        assert_eq!(harbor.words, "NOT_FOUND: artifact a/b:1 not found");
        let engine = fault(400, r#"{"errors":[{"code":"NAME_INVALID","message":"bad name","detail":{"x":1}}]}"#);
        assert_eq!((engine.kind, engine.words.as_str()), (FaultKind::Refused, r#"NAME_INVALID: bad name ({"x":1})"#));
        let digest = fault(400, r#"{"errors":[{"code":"DIGEST_INVALID","message":"m"}]}"#);
        assert_eq!(digest.kind, FaultKind::Damaged);
    }

    #[test]
    fn missing_content_is_named_by_digest_only() {
        let body = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown","detail":"sha256:aa"},
            {"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown","detail":{"digest":"sha256:bb"}}]}"#;
        let fault = fault(400, body);
        assert_eq!(fault.kind, FaultKind::Missing);
        assert_eq!(fault.words, "MANIFEST_BLOB_UNKNOWN: sha256:aa, sha256:bb");
    }

    #[test]
    fn a_denial_says_why() {
        let denied =
            |message: &str| fault(403, &format!(r#"{{"errors":[{{"code":"DENIED","message":"{message}"}}]}}"#));
        let quota = denied(
            "adding 10.0 MiB of storage resource, which when updated to current usage of 15.0 MiB will exceed the configured upper limit of 12.0 MiB.",
        );
        assert_eq!(quota.kind, FaultKind::Refused);
        assert!(quota.what.contains("quota") && quota.words.contains("12.0 MiB"), "{quota}");
        assert!(denied("The system is in read only mode.").what.contains("read-only"));
        assert!(denied("can not push artifact to a proxy project").what.contains("proxy cache"));
        assert_eq!(denied("no").kind, FaultKind::Unauthorized);
    }

    #[test]
    fn a_proxys_page_is_told_from_the_registry() {
        let page =
            "<html><head><title>413 Request Entity Too Large</title></head><body><h1>413</h1>nginx</body></html>";
        let refusal = Refusal::read(413, String::new(), page.as_bytes(), &[]);
        assert!(refusal.html);
        assert_eq!(refusal.words, "413 Request Entity Too Large 413 nginx");
        assert!(fault(413, page).hint.contains("proxy in front"));
    }

    #[test]
    fn an_empty_challenge_means_a_missing_project() {
        let mut refusal = Refusal::read(401, String::new(), b"", &[]);
        assert_eq!(refusal.fault("x").kind, FaultKind::Unauthorized);
        refusal.empty_challenge = true;
        assert_eq!(refusal.fault("x").kind, FaultKind::Missing);
        assert!(refusal.fault("x").hint.contains("--create-projects"));
    }

    #[test]
    fn words_are_cut_printable_and_without_secrets() {
        let body = format!("\u{1b}[31m\u{202e}token s3cr3t-canary {}", "x".repeat(5000));
        let refusal = Refusal::read(500, String::new(), body.as_bytes(), &["s3cr3t-canary".into()]);
        assert!(refusal.words.starts_with("[31mtoken *** x"), "{}", refusal.words);
        assert!(refusal.words.len() <= limits::ERROR_WORDS_BYTES + 4);
    }

    #[test]
    fn a_secret_that_json_spells_with_escapes_is_struck_out_too() {
        let words = |body: &str| Refusal::read(401, String::new(), body.as_bytes(), &["p&<\"w0rd".into()]).words;
        let go = r#"{"errors":[{"code":"X","message":"no user a with p\u0026\u003c\"w0rd"}]}"#;
        assert_eq!(words(go), "X: no user a with ***");
        let within = r#"{"errors":[{"code":"X","message":"m","detail":{"got":"p\u0026<\"w0rd"}}]}"#;
        assert_eq!(words(within), r#"X: m ({"got":"***"})"#);
    }

    #[test]
    fn a_secret_with_hidden_characters_between_its_own_is_struck_out_too() {
        let refusal =
            Refusal::read(403, String::new(), b"no: s3cr\0\x1b3t-can\xef\xbb\xbfary!", &["s3cr3t-canary".into()]);
        assert_eq!(refusal.words, "no: ***!");
    }

    #[test]
    fn a_hundred_thousand_errors_are_one_line() {
        let many = vec![r#"{"code":"X","message":"y"}"#; 1000].join(",");
        assert!(fault(500, &format!(r#"{{"errors":[{many}]}}"#)).words.len() < 200);
    }

    proptest! {
        #[test]
        fn any_body_gives_a_fault(status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let fault = Refusal::read(status, String::new(), &body, &[]).fault("x");
            prop_assert!(fault.words.len() <= limits::ERROR_WORDS_BYTES + 4);
        }
    }
}
