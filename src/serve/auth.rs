//! Who may do what: nobody is asked, one user with a password, or tokens from an endpoint of this server.
//!
//! Basic follows RFC 7617, Bearer RFC 6750 with the token endpoint that container tools share: `GET /token` with
//! Basic credentials, `service` and any number of `scope`s. A token grants its scopes and nothing else.

use super::errors::Refusal;
use super::folder::unguessable;
use super::names::{Name, Target};
use super::users::Users;
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, Method, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

const SERVICE: &str = "airlift";

/// How clients prove who they are.
#[derive(Clone, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// By name and password in every request.
    Basic {
        /// Name.
        user: String,
        /// Password.
        password: String,
    },
    /// By name and password in every request, of one of several users.
    Users(Arc<Users>),
    /// By a token that name and password buy at `/token`.
    Bearer {
        /// Name.
        user: String,
        /// Password.
        password: String,
        /// Life of a token.
        expires_in: Duration,
    },
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Basic { user, .. } => write!(f, "Basic({user:?})"),
            Self::Users(users) => write!(f, "Users({users:?})"),
            Self::Bearer { user, expires_in, .. } => write!(f, "Bearer({user:?}, {expires_in:?})"),
        }
    }
}

struct Grant {
    scopes: Vec<String>,
    until: Instant,
}

/// Lets requests in or refuses them.
pub(super) struct Gate {
    auth: Auth,
    /// How clients speak to it: `http` or `https`.
    scheme: &'static str,
    grants: Mutex<HashMap<String, Grant>>,
}

impl Gate {
    pub(super) fn new(auth: Auth, scheme: &'static str) -> Self {
        Self { auth, scheme, grants: Mutex::default() }
    }

    /// Refuses a request whose credentials do not suffice for `target`, or for `from` in a mount.
    pub(super) fn admit(
        &self,
        method: &Method,
        headers: &HeaderMap,
        target: &Target,
        from: Option<&Name>,
    ) -> Result<(), Refusal> {
        match &self.auth {
            Auth::None => Ok(()),
            Auth::Basic { user, password } => match basic(headers) {
                Some((name, word)) if same(&name, user) && same(&word, password) => Ok(()),
                _ => Err(unauthorized("authentication required").header(WWW_AUTHENTICATE, "Basic realm=\"airlift\"")),
            },
            Auth::Users(users) => {
                // The hash is slow on purpose; other requests go on meanwhile.
                let right = |(name, word): (String, String)| tokio::task::block_in_place(|| users.admit(&name, &word));
                match basic(headers).map(right) {
                    Some(true) => Ok(()),
                    _ => {
                        let refusal = unauthorized("authentication required");
                        Err(refusal.header(WWW_AUTHENTICATE, "Basic realm=\"airlift\""))
                    }
                }
            }
            Auth::Bearer { .. } if *target == Target::Token => Ok(()),
            Auth::Bearer { .. } => self.admit_token(headers, &needs(method, target, from)),
        }
    }

    fn admit_token(&self, headers: &HeaderMap, needed: &[(String, &'static str)]) -> Result<(), Refusal> {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        grants.retain(|_, grant| grant.until > now);
        let host = headers.get(HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost");
        let mut challenge = format!("Bearer realm=\"{}://{host}/token\",service=\"{SERVICE}\"", self.scheme);
        let scopes: Vec<String> = needed.iter().map(|(name, actions)| format!("repository:{name}:{actions}")).collect();
        if !scopes.is_empty() {
            challenge.push_str(&format!(",scope=\"{}\"", scopes.join(" ")));
        }
        let refuse =
            |why: &str, error: &str| Err(unauthorized(why).header(WWW_AUTHENTICATE, &format!("{challenge}{error}")));
        let Some(token) = bearer(headers) else { return refuse("authentication required", "") };
        let Some(grant) = grants.get(token) else {
            return refuse("the token is unknown or has expired", ",error=\"invalid_token\"");
        };
        if needed.iter().all(|(name, actions)| grants_all(&grant.scopes, name, actions)) {
            Ok(())
        } else {
            refuse("the token does not grant this", ",error=\"insufficient_scope\"")
        }
    }

    /// Sells a token: the answer of `GET /token`.
    pub(super) fn token(&self, headers: &HeaderMap, query: &[(String, String)]) -> Result<Value, Refusal> {
        let Auth::Bearer { user, password, expires_in } = &self.auth else {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "no tokens are needed here"));
        };
        match basic(headers) {
            Some((name, word)) if same(&name, user) && same(&word, password) => {}
            _ => return Err(unauthorized("wrong name or password").header(WWW_AUTHENTICATE, "Basic realm=\"airlift\"")),
        }
        let scopes = query.iter().filter(|(key, _)| key == "scope");
        let scopes = scopes.flat_map(|(_, value)| value.split(' ').map(str::to_owned)).collect();
        let token = unguessable();
        let grant = Grant { scopes, until: Instant::now() + *expires_in };
        self.grants.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), grant);
        Ok(json!({ "token": token, "access_token": token, "expires_in": expires_in.as_secs() }))
    }

    /// Forgets every token: the next request with one is refused.
    pub(super) fn revoke(&self) {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Returns what a request needs: repositories with actions.
fn needs(method: &Method, target: &Target, from: Option<&Name>) -> Vec<(String, &'static str)> {
    let actions = match *method {
        Method::GET | Method::HEAD if !matches!(target, Target::Upload(..)) => "pull",
        Method::DELETE if !matches!(target, Target::Upload(..)) => "delete",
        _ => "pull,push",
    };
    let own = target.name().map(|name| (name.to_string(), actions));
    own.into_iter().chain(from.map(|name| (name.to_string(), "pull"))).collect()
}

fn grants_all(scopes: &[String], name: &str, actions: &str) -> bool {
    let granted = |action: &str| {
        scopes.iter().any(|scope| {
            let parts: Vec<&str> = scope.splitn(3, ':').collect();
            matches!(parts.as_slice(), ["repository", n, a] if *n == name && a.split(',').any(|a| a == action || a == "*"))
        })
    };
    actions.split(',').all(granted)
}

fn unauthorized(why: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", why)
}

/// Returns name and password of a request with Basic credentials.
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let pair = credentials(headers, "basic")?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(pair.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    credentials(headers, "bearer").map(str::trim)
}

fn credentials<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    let (stated, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    stated.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Compares without telling by its duration where two texts differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_grants_its_actions_in_its_repository_only() {
        let scopes = ["repository:a/b:pull,push".to_owned()];
        assert!(grants_all(&scopes, "a/b", "pull"));
        assert!(grants_all(&scopes, "a/b", "pull,push"));
        assert!(!grants_all(&scopes, "a/b", "delete"));
        assert!(!grants_all(&scopes, "a", "pull"));
    }

    #[test]
    fn passwords_do_not_print() {
        let auth = Auth::Basic { user: "u".into(), password: "secret-canary".into() };
        assert!(!format!("{auth:?}").contains("canary"));
    }
}
