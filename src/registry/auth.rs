//! What is shown at a host's door: nothing, user and password, or a token; and how often.
//!
//! - With user and password in hand, and a host that takes them on every request (Harbor does, although it asks
//!   for a token first), they are sent on every request, after `GET /v2/` has confirmed them once.
//! - Else a `Bearer` challenge is followed: one token for each host and scope, renewed before it ends and once
//!   after a 401.
//! - A credential that was refused [`MOST_REFUSALS`] times at a host is not shown there again in this run, so no
//!   account gets locked.

use super::challenge::{self, Offer, TokenService};
use super::counters::Kind;
use super::credentials::{self, Credential};
use super::exchange::{Core, Failure, Host, Scope, failed};
use super::guard;
use super::http::{Answer, Ask, Payload, Verb};
use super::refusal::Refusal;
use super::retry::{Trouble, retry_after};
use crate::model::fault::{Fault, FaultKind, printable};
use crate::model::limits;
use base64::Engine as _;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// Times that one host may refuse our credentials.
const MOST_REFUSALS: u32 = 2;
/// Life of a token that states none (token specification of the distribution project).
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// Longest life that is believed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a confirmation of credentials counts before a 401 makes us look again.
const CONFIRMED_FOR: Duration = Duration::from_secs(60);

type Slot = Arc<tokio::sync::Mutex<Option<Token>>>;

/// What is known about a host's door.
#[derive(Default)]
pub(super) struct Door {
    offer: tokio::sync::Mutex<Option<Offer>>,
    tokens: Mutex<HashMap<String, Slot>>,
    refusals: AtomicU32,
    /// Accounts that `GET /v2/` confirmed, and when.
    confirmed: tokio::sync::Mutex<HashMap<String, Instant>>,
}

/// A token, and when to ask for the next one.
pub(super) struct Token {
    secret: SecretString,
    renew: Instant,
}

/// What one request shows.
pub(super) struct Shown {
    /// Value of the `Authorization` header.
    pub(super) header: SecretString,
    /// What must not stand in anything that is kept: the secrets in all their spellings.
    pub(super) echoes: Vec<SecretString>,
    /// Whether another one could be had.
    how: How,
}

enum How {
    Basic,
    /// A token, fetched for this very call or earlier.
    Token {
        fresh: bool,
    },
}

#[derive(Deserialize)]
struct TokenForm {
    #[serde(default, deserialize_with = "credentials::secret")]
    token: Option<SecretString>,
    #[serde(default, deserialize_with = "credentials::secret")]
    access_token: Option<SecretString>,
    #[serde(default)]
    expires_in: serde_json::Value,
}

impl Core {
    /// Returns what to show for `scope`, asking the host and its token service where necessary.
    pub(super) async fn authorization(&self, host: &Host, scope: &Scope) -> Result<Option<Shown>, Failure> {
        let offer = self.offer(host).await?;
        let credential = self.credential(host, scope)?;
        if let Some(Credential::Basic { user, password }) = &credential
            && takes_basic(host, &offer)
        {
            self.confirm(host, user, password, false).await?;
            return Ok(Some(Shown::basic(user, password)));
        }
        match &offer.tokens {
            Some(service) => self.token(host, service, scope, credential.as_ref(), false).await.map(Some),
            None => Ok(None),
        }
    }

    /// Returns user and password, where the host takes them, for what is beside the protocol of registries.
    pub(super) async fn account(&self, host: &Host, scope: &Scope) -> Result<Option<Shown>, Failure> {
        // Nothing to show, and a token service need not give a token for nothing.
        if self.credential(host, scope)?.is_none() {
            return self.offer(host).await.map(|_| None);
        }
        let shown = self.authorization(host, scope).await?;
        Ok(shown.filter(|shown| matches!(shown.how, How::Basic)))
    }

    /// Makes sure that the host can be reached and does not refuse the credentials.
    pub(super) async fn enter(&self, host: &Host) -> Result<(), Fault> {
        let scope = Scope::default();
        self.insist(host, true, async || self.account(host, &scope).await.map(drop)).await
    }

    /// Looks at a 401: returns what to show instead, or `None` where the answer stands.
    pub(super) async fn challenged(
        &self,
        host: &Host,
        scope: &Scope,
        answer: &Answer,
        shown: Option<&Shown>,
    ) -> Result<Option<Shown>, Failure> {
        let offer = read_offer(&host.base, answer)?;
        let credential = self.credential(host, scope)?;
        match (shown.map(|s| &s.how), &credential, &offer.tokens) {
            // The host knew us, and still says no: wrong by now, or no right to this repository.
            (Some(How::Basic), Some(Credential::Basic { user, password }), None) => {
                self.confirm(host, user, password, true).await.map(|()| None)
            }
            (Some(How::Token { fresh: true }), ..) => Ok(None),
            (_, Some(Credential::Basic { user, password }), _) if shown.is_none() && takes_basic(host, &offer) => {
                *host.door.offer.lock().await = Some(offer);
                self.confirm(host, user, password, false).await?;
                Ok(Some(Shown::basic(user, password)))
            }
            (_, _, Some(service)) => {
                let renewed = self.token(host, service, scope, credential.as_ref(), true).await?;
                *host.door.offer.lock().await = Some(offer);
                Ok(Some(renewed))
            }
            _ => Ok(None),
        }
    }

    fn credential(&self, host: &Host, scope: &Scope) -> Result<Option<Credential>, Failure> {
        self.settings.credentials.find(&host.name, scope.path()).map_err(|e| {
            let fault = Fault::new(FaultKind::Unauthorized, &host.name, format!("credentials cannot be used: {e}"));
            Failure::last(fault.because(e))
        })
    }

    /// Asks the host once what it takes.
    async fn offer(&self, host: &Host) -> Result<Offer, Failure> {
        let mut known = host.door.offer.lock().await;
        if let Some(offer) = &*known {
            return Ok(offer.clone());
        }
        let answer = self.ping(host, None).await?;
        let offer = match answer.status() {
            401 => read_offer(&host.base, &answer)?,
            _ => Offer::default(),
        };
        Ok(known.insert(offer).clone())
    }

    async fn ping(&self, host: &Host, authorization: Option<SecretString>) -> Result<Answer, Failure> {
        let mut url = host.base.clone();
        url.set_path("/v2/");
        let what = "the registry did not answer";
        let place = guard::place(&url);
        let ask = Ask {
            kind: Kind::Ping,
            verb: Verb::Get,
            manner: self.manner(host, &url),
            url,
            headers: vec![("accept-encoding", "identity".to_owned())],
            authorization,
            payload: Payload::Nothing,
        };
        let answer = self.http.send(ask).await.map_err(|e| failed(e, &place, what))?;
        unless_passing(answer, &place, what, &[]).await
    }

    /// Makes sure that the host knows this account, by an address that asks for one.
    ///
    /// Elsewhere a wrong password may quietly count as no password. With `again` a confirmation that is older than
    /// [`CONFIRMED_FOR`] does not count.
    async fn confirm(&self, host: &Host, user: &str, password: &SecretString, again: bool) -> Result<(), Failure> {
        let mut confirmed = host.door.confirmed.lock().await;
        if let Some(at) = confirmed.get(user)
            && (!again || at.elapsed() < CONFIRMED_FOR)
        {
            return Ok(());
        }
        host.door.may_show(host)?;
        let shown = Shown::basic(user, password);
        let answer = self.ping(host, Some(shown.header.clone())).await?;
        if matches!(answer.status(), 401 | 403) {
            confirmed.remove(user);
            return Err(host.door.refused(host, user, answer, &shown.echoes).await);
        }
        confirmed.insert(user.to_owned(), Instant::now());
        Ok(())
    }

    /// Returns a token for `scope`; with `renew` one that was fetched just now.
    async fn token(
        &self,
        host: &Host,
        service: &TokenService,
        scope: &Scope,
        credential: Option<&Credential>,
        renew: bool,
    ) -> Result<Shown, Failure> {
        let slot = host.door.slot(scope);
        let mut kept = slot.lock().await;
        if let Some(token) = kept.as_ref().filter(|token| !renew && token.renew > Instant::now()) {
            return Ok(Shown::token(&token.secret, false));
        }
        let token = self.fetch_token(host, service, scope, credential).await?;
        Ok(Shown::token(&kept.insert(token).secret, true))
    }

    async fn fetch_token(
        &self,
        host: &Host,
        service: &TokenService,
        scope: &Scope,
        credential: Option<&Credential>,
    ) -> Result<Token, Failure> {
        let trusted = challenge::trusts(&host.base, &service.realm, &self.settings.token_hosts);
        let used = credential.filter(|_| trusted);
        if used.is_some() {
            host.door.may_show(host)?;
        }
        let place = guard::place(&service.realm);
        let what = "no token was given";
        let (ask, echoes) = self.token_request(host, service, scope, used);
        let answer = self.http.send(ask).await.map_err(|e| failed(e, &place, what))?;
        let mut answer = unless_passing(answer, &place, what, &echoes).await?;
        if matches!(answer.status(), 400 | 401 | 403) && used.is_some() {
            return Err(host.door.refused(host, account(used), answer, &echoes).await);
        }
        let body = answer.read(limits::TOKEN_BYTES as u64).await.map_err(|e| failed(e, &place, what))?;
        if answer.status() != 200 {
            let fault =
                Refusal::read(answer.status(), place, &body[..body.len().min(limits::ERROR_BODY_BYTES)], &echoes)
                    .fault(what);
            return Err(Failure::last(match (credential, trusted) {
                (Some(_), false) => fault.with_hint(untrusted(&service.realm)),
                _ => fault,
            }));
        }
        read_token(&body).ok_or_else(|| {
            let fault = Fault::new(FaultKind::Unauthorized, place, "the token service gave an answer without a token");
            Failure::last(fault)
        })
    }

    fn token_request(
        &self,
        host: &Host,
        service: &TokenService,
        scope: &Scope,
        used: Option<&Credential>,
    ) -> (Ask, Vec<SecretString>) {
        let scopes = scope.parts.iter().map(|(path, actions)| format!("repository:{path}:{actions}"));
        let mut url = service.realm.clone();
        let mut headers = vec![("accept-encoding", "identity".to_owned()), ("accept", "application/json".to_owned())];
        let (mut authorization, mut payload, mut verb, mut echoes) = (None, Payload::Nothing, Verb::Get, Vec::new());
        if let Some(Credential::Identity(token)) = used {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").append_pair("client_id", "airlift");
            form.extend_pairs(service.service.iter().map(|service| ("service", service)));
            form.append_pair("scope", &scopes.collect::<Vec<_>>().join(" "));
            form.append_pair("refresh_token", token.expose_secret());
            payload = Payload::Bytes(Bytes::from(form.finish()));
            headers.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
            verb = Verb::Post;
            echoes.push(token.clone());
        } else {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(service.service.iter().map(|service| ("service", service)));
            query.extend_pairs(scopes.map(|scope| ("scope", scope)));
        }
        if let Some(Credential::Basic { user, password }) = used {
            let shown = Shown::basic(user, password);
            (authorization, echoes) = (Some(shown.header), shown.echoes);
        }
        let manner = self.manner(host, &url);
        (Ask { kind: Kind::Token, verb, url, headers, authorization, payload, manner }, echoes)
    }
}

impl Door {
    fn slot(&self, scope: &Scope) -> Slot {
        let mut parts: Vec<String> = scope.parts.iter().map(|(path, actions)| format!("{path}:{actions}")).collect();
        parts.sort_unstable();
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.entry(parts.join(" ")).or_default().clone()
    }

    /// Fails where the host has refused often enough.
    fn may_show(&self, host: &Host) -> Result<(), Failure> {
        if self.refusals.load(Ordering::Relaxed) < MOST_REFUSALS {
            return Ok(());
        }
        let what = format!("the credentials were refused {MOST_REFUSALS} times and are not tried again");
        Err(Failure::last(
            Fault::new(FaultKind::Unauthorized, &host.name, what).with_hint("log in again, then run again"),
        ))
    }

    async fn refused(&self, host: &Host, user: &str, mut answer: Answer, echoes: &[SecretString]) -> Failure {
        self.refusals.fetch_add(1, Ordering::Relaxed);
        let body = answer.read(limits::ERROR_BODY_BYTES as u64).await.unwrap_or_default();
        let place = guard::place(answer.url());
        let refusal = Refusal::read(401, place, &body[..body.len().min(limits::ERROR_BODY_BYTES)], echoes);
        let mut fault = refusal.fault("");
        fault.what =
            format!("{} refused the credentials of {:?} (HTTP {})", host.name, printable(user), answer.status());
        Failure::last(fault)
    }
}

impl Shown {
    fn basic(user: &str, password: &SecretString) -> Self {
        let pair = SecretString::from(format!("{user}:{}", password.expose_secret()));
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair.expose_secret());
        let header = SecretString::from(format!("Basic {encoded}"));
        Self { header, echoes: vec![encoded.into(), password.clone()], how: How::Basic }
    }

    fn token(token: &SecretString, fresh: bool) -> Self {
        let header = SecretString::from(format!("Bearer {}", token.expose_secret()));
        Self { header, echoes: vec![token.clone()], how: How::Token { fresh } }
    }
}

fn takes_basic(host: &Host, offer: &Offer) -> bool {
    offer.basic || offer.tokens.as_ref().is_some_and(|service| service.is_harbor(&host.base))
}

fn account(credential: Option<&Credential>) -> &str {
    match credential {
        Some(Credential::Basic { user, .. }) => user,
        _ => "<token>",
    }
}

fn untrusted(realm: &Url) -> String {
    let host = realm.host_str().unwrap_or_default();
    format!(
        "the credentials were not shown to {host}, because it does not belong to the registry by its name; allow it if it does"
    )
}

/// Turns an answer that will pass by itself into a failure that is tried again.
async fn unless_passing(
    mut answer: Answer,
    place: &str,
    what: &str,
    echoes: &[SecretString],
) -> Result<Answer, Failure> {
    let status = answer.status();
    if !matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504) {
        return Ok(answer);
    }
    let after = answer.header("retry-after").and_then(|v| retry_after(v, answer.header("date")));
    let body = answer.read(limits::ERROR_BODY_BYTES as u64).await.unwrap_or_default();
    let refusal = Refusal::read(status, place.to_owned(), &body[..body.len().min(limits::ERROR_BODY_BYTES)], echoes);
    Err(Failure::again(refusal.fault(what), Trouble::Status(status, after)))
}

fn read_offer(base: &Url, answer: &Answer) -> Result<Offer, Failure> {
    parse_offer(base, answer.headers("www-authenticate")).map_err(|why| {
        Failure::last(Fault::new(FaultKind::Unauthorized, guard::place(answer.url()), format!("bad challenge: {why}")))
    })
}

/// Reads all challenges of an answer. One that does not parse, or a realm that may not be followed, is an error.
pub(super) fn parse_offer<'a>(base: &Url, headers: impl Iterator<Item = &'a str>) -> Result<Offer, String> {
    let mut offer = Offer::default();
    let mut length = 0;
    for header in headers.filter(|header| !header.trim().is_empty()) {
        length += header.len();
        if length > limits::CHALLENGE_BYTES {
            return Err(format!("it is longer than {} bytes", limits::CHALLENGE_BYTES));
        }
        let challenges = http_auth::parse_challenges(header).map_err(|_| printable(header))?;
        for one in challenges {
            let parameter = |name: &str| one.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            if one.scheme.eq_ignore_ascii_case("basic") {
                offer.basic = true;
            } else if one.scheme.eq_ignore_ascii_case("bearer") && offer.tokens.is_none() {
                let Some((_, realm)) = parameter("realm") else {
                    return Err("a bearer challenge without a realm".into());
                };
                let realm = challenge::realm(base, &realm.to_unescaped()).map_err(|e| e.to_string())?;
                let service = parameter("service").map(|(_, value)| value.to_unescaped());
                offer.tokens = Some(TokenService { realm, service });
            }
        }
    }
    Ok(offer)
}

/// Reads a token service's answer: `token`, else `access_token`; a life that is no sensible number is the default.
pub(super) fn read_token(body: &[u8]) -> Option<Token> {
    if body.len() > limits::TOKEN_BYTES {
        return None;
    }
    let form: TokenForm = serde_json::from_slice(body).ok()?;
    let some = |secret: Option<SecretString>| secret.filter(|s| !s.expose_secret().is_empty());
    let secret = some(form.token).or_else(|| some(form.access_token))?;
    Some(Token { secret, renew: Instant::now() + usable(&form.expires_in) })
}

/// Returns how long a token is used: its life but for the last quarter, at most the last minute.
fn usable(expires_in: &serde_json::Value) -> Duration {
    let seconds = match expires_in {
        serde_json::Value::Number(number) => number.as_f64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let life = match seconds {
        Some(seconds) if seconds <= 0.0 => Duration::ZERO,
        Some(seconds) => Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE),
        None => DEFAULT_LIFE,
    };
    life - (life / 4).min(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(headers: &[&str]) -> Result<Offer, String> {
        parse_offer(&Url::parse("https://h.example/").unwrap(), headers.iter().copied())
    }

    #[test]
    fn challenges_are_read_in_any_order_and_number() {
        let bearer = r#"Bearer realm="https://h.example/token",service="s",scope="repository:x:pull""#;
        let both = offer(&[&format!("{bearer}, Basic realm=\"x\"")]).unwrap();
        assert!(both.basic && both.tokens.as_ref().unwrap().service.as_deref() == Some("s"));
        assert_eq!(offer(&["Basic realm=\"x\"", bearer]).unwrap(), both);
        assert_eq!(offer(&["Negotiate", ""]).unwrap(), Offer::default());
        assert!(offer(&["bEaReR realm=\"https://a.example/\""]).unwrap().tokens.is_some());
    }

    #[test]
    fn a_challenge_that_leads_astray_is_an_error() {
        for wrong in [
            "Bearer realm=\"http://h.example/token\"",
            "Bearer realm=\"https://u:p@h.example/\"",
            "Bearer realm=\"/token\"",
            "Bearer realm=\"https://h.example/",
            "Bearer service=\"x\"",
            "Bearer realm=\"https://169.254.169.254/\"",
        ] {
            assert!(offer(&[wrong]).is_err(), "{wrong}");
        }
        let realm = |length: usize| format!("Bearer realm=\"https://h.example/{}\"", "x".repeat(length));
        let frame = realm(0).len();
        assert!(offer(&[&realm(limits::CHALLENGE_BYTES - frame)]).is_ok());
        assert!(offer(&[&realm(limits::CHALLENGE_BYTES - frame + 1)]).is_err());
    }

    #[test]
    fn a_token_is_read_from_either_field_with_any_life() {
        let token = |text: &str| read_token(text.as_bytes()).map(|t| t.secret.expose_secret().to_owned());
        assert_eq!(token(r#"{"token":"a","access_token":"","expires_in":1800}"#).unwrap(), "a");
        assert_eq!(token(r#"{"access_token":"b"}"#).unwrap(), "b");
        assert_eq!(token(r#"{"token":"a","access_token":"b"}"#).unwrap(), "a");
        for none in ["{}", "<html>", "", r#"{"token":""}"#, r#"{"token":7}"#] {
            assert_eq!(token(none), None, "{none}");
        }
        let life = |text: &str| usable(&serde_json::from_str(text).unwrap()).as_secs();
        assert_eq!((life("1800"), life("300"), life("\"300\""), life("40")), (1740, 240, 240, 30));
        assert_eq!((life("null"), life("\"x\""), life("-1"), life("0")), (45, 45, 0, 0));
        assert!(life("1e18") <= LONGEST_LIFE.as_secs());
        let answer = |length: usize| format!(r#"{{"token":"{}"}}"#, "x".repeat(length - r#"{"token":""}"#.len()));
        assert!(token(&answer(limits::TOKEN_BYTES)).is_some());
        assert_eq!(token(&answer(limits::TOKEN_BYTES + 1)), None);
    }

    proptest! {
        #[test]
        fn any_challenge_is_read_or_refused_without_a_panic(text in "\\PC{0,120}") {
            let _ = offer(&[&text, &format!("Bearer realm=\"{text}\"")]);
        }
    }
}
