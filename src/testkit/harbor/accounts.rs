//! Who asks: Basic credentials are checked with every request, tokens come from `/service/token`.

use super::state::{Account, State};
use super::{Harbor, HarborVersion, answers};
use crate::serve::{basic, lock, query_of, unguessable};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde_json::json;

/// Leeway between a token's birth and its project's, in seconds.
const LEEWAY: u64 = 60;

/// What a token grants: actions in repositories.
#[derive(Debug, Clone)]
pub(super) struct Token {
    grants: Vec<(String, Vec<&'static str>)>,
    issued: u64,
}

/// Who asks. Bad credentials make a request anonymous; it is refused only where that does not suffice.
#[derive(Debug, Clone)]
pub(super) enum Who {
    Nobody,
    Account(Account),
    Bearer(Token),
}

impl Who {
    /// Returns whether this one may do something in a repository.
    pub(super) fn may(&self, state: &State, project: &str, repository: &str, action: &str) -> bool {
        let Some(row) = state.projects.get(project) else { return false };
        let public = action == "pull" && row.is_set("public");
        match self {
            Self::Nobody => public,
            Self::Account(account) => public || account.may(project, "repository", action),
            Self::Bearer(token) => {
                let name = format!("{project}/{repository}");
                let old = state.version >= HarborVersion::V2_13_5 && token.issued + LEEWAY < row.created;
                let granted = token.grants.iter().any(|(n, actions)| *n == name && actions.contains(&action));
                public || (granted && !old)
            }
        }
    }

    pub(super) const fn account(&self) -> Option<&Account> {
        match self {
            Self::Account(account) => Some(account),
            _ => None,
        }
    }
}

impl Harbor {
    /// Returns who asks.
    pub(super) fn who(&self, headers: &HeaderMap) -> Who {
        if let Some((login, secret)) = basic(headers) {
            let state = lock(&self.state);
            let good = |a: &&Account| a.login == login && a.secret == secret && !a.disabled;
            return state.accounts.iter().find(good).cloned().map_or(Who::Nobody, Who::Account);
        }
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = header.strip_prefix("Bearer ").and_then(|token| lock(&self.tokens).get(token).cloned());
        token.map_or(Who::Nobody, Who::Bearer)
    }

    /// Returns the challenge for a request; one that had an `Authorization` header is asked for Basic.
    pub(super) fn challenge(&self, headers: &HeaderMap, scope: Option<&str>) -> String {
        if headers.contains_key(AUTHORIZATION) {
            return "Basic realm=\"harbor\"".to_owned();
        }
        let scope = scope.map(|scope| format!(",scope=\"{scope}\"")).unwrap_or_default();
        let base = match (&self.options.locations, self.options.version >= HarborVersion::V2_14_3) {
            (super::Locations::External(url), false) => url.clone(),
            _ => format!("http://{}", host(headers)),
        };
        format!("Bearer realm=\"{base}/service/token\",service=\"harbor-registry\"{scope}")
    }

    /// Answers `GET /service/token`. The actions asked for are ignored; a token carries what the account holds.
    pub(super) fn token(&self, headers: &HeaderMap, uri: &Uri) -> Response {
        let query = query_of(uri);
        let value = |key: &str| query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str());
        if value("service") != Some("harbor-registry") {
            return answers::core(400, "BAD_REQUEST", "unable to handle the service");
        }
        let who = self.who(headers);
        let scopes: Vec<&str> =
            query.iter().filter(|(key, _)| key == "scope").flat_map(|(_, v)| v.split(' ')).collect();
        if scopes.is_empty() && who.account().is_none() {
            return answers::unauthorized("unauthorized", "");
        }
        let state = lock(&self.state);
        let grant = |scope: &&str| {
            let name = scope.split(':').nth(1)?;
            let (project, repository) = name.split_once('/')?;
            let held = ["pull", "push", "delete"].into_iter().filter(|a| who.may(&state, project, repository, a));
            Some((name.to_owned(), held.collect()))
        };
        let token = Token { grants: scopes.iter().filter_map(grant).collect(), issued: state.now };
        let text = unguessable();
        lock(&self.tokens).insert(text.clone(), token);
        let issued_at = super::rest::time(state.now);
        answers::json_of(200, &json!({ "token": text, "access_token": "", "expires_in": 1800, "issued_at": issued_at }))
    }
}

/// Returns the host that the client asked.
pub(super) fn host(headers: &HeaderMap) -> String {
    headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost").to_owned()
}
