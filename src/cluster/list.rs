//! The list of pods, page by page; and what a server means when it refuses.

use super::http::{Answer, Http};
use super::pods::{self, Page};
use crate::model::running::{Merged, RunningImage};
use crate::model::{Fault, FaultKind, limits};
use serde::Deserialize;
use std::time::Duration;

/// Times that a list is begun anew because it grew too old.
const RESTARTS: usize = 3;
/// Tries of one page.
const TRIES: u32 = 4;
/// Longest wait that a server may ask for, in seconds.
const PATIENCE: u64 = 30;

/// Why a list ended early.
enum Stop {
    /// It grew too old, and is begun anew.
    Expired,
    Failed(Fault),
}

/// Lists what runs in `namespaces`; none means all.
pub(super) fn running(http: &Http, user: &str, namespaces: &[String], page: usize) -> Result<Vec<RunningImage>, Fault> {
    let paths: Vec<String> = match namespaces {
        [] => vec!["/api/v1/pods".to_owned()],
        some => some.iter().map(|name| format!("/api/v1/namespaces/{name}/pods")).collect(),
    };
    let mut all = Merged::default();
    for path in paths {
        all.extend(one_list(http, user, &path, page)?);
    }
    Ok(all.finish())
}

fn one_list(http: &Http, user: &str, path: &str, page: usize) -> Result<Merged, Fault> {
    for _ in 0..RESTARTS {
        match pages(http, user, path, page) {
            Ok(found) => return Ok(found),
            Err(Stop::Expired) => {}
            Err(Stop::Failed(fault)) => return Err(fault),
        }
    }
    let what = format!("the list of pods grew too old {RESTARTS} times before it ended");
    Err(Fault::new(FaultKind::Unavailable, http.place(path), what).with_hint("name namespaces with --namespace"))
}

fn pages(http: &Http, user: &str, path: &str, page: usize) -> Result<Merged, Stop> {
    let (limit, mut next) = (page.to_string(), String::new());
    let mut found = Merged::default();
    for _ in 0..limits::LIST_PAGES {
        let mut query = vec![("limit", limit.as_str())];
        if !next.is_empty() {
            query.push(("continue", next.as_str()));
        }
        let answer = patiently(http, path, &query).map_err(Stop::Failed)?;
        match answer.status {
            200 => {}
            410 => return Err(Stop::Expired),
            _ => return Err(Stop::Failed(refusal(http, user, path, &answer))),
        }
        let Page { pods, more } = pods::parse(&answer.body)
            .map_err(|why| Stop::Failed(Fault::new(FaultKind::Malformed, http.place(path), why)))?;
        pods.iter().for_each(|pod| pod.images(&mut found));
        match more {
            Some(more) if more == next => break,
            Some(more) => next = more,
            None => return Ok(found),
        }
    }
    let what = "the list of pods does not end".to_owned();
    Err(Stop::Failed(Fault::new(FaultKind::Malformed, http.place(path), what)))
}

/// Asks again where the server is busy or broken for the moment.
fn patiently(http: &Http, path: &str, query: &[(&str, &str)]) -> Result<Answer, Fault> {
    let mut tries = 1;
    loop {
        let answer = http.get(path, query)?;
        if !matches!(answer.status, 429 | 500 | 502..=504) || tries == TRIES {
            return Ok(answer);
        }
        let wait = answer.retry_after.unwrap_or(u64::from(tries)).min(PATIENCE);
        http.wait(Duration::from_secs(wait));
        tries += 1;
    }
}

/// What an API server says when it refuses.
#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    message: String,
}

fn refusal(http: &Http, user: &str, path: &str, answer: &Answer) -> Fault {
    let words = serde_json::from_slice::<Status>(&answer.body).unwrap_or_default().message;
    let fault = |kind, what: String| Fault::new(kind, http.place(path), what).with_words(&words);
    match answer.status {
        401 => fault(FaultKind::Unauthorized, format!("the credentials of user {user:?} are not accepted"))
            .with_hint("tokens and certificates run out: make a new one, and hand a token in with --token-file"),
        403 => fault(FaultKind::Unauthorized, format!("user {user:?} may not list pods")).with_hint(
            "a ClusterRole with the verb list on pods is enough; or name the namespaces that the user may read with --namespace",
        ),
        404 => fault(FaultKind::Missing, "nothing is there; is this the address of an API server?".to_owned()),
        301..=308 => fault(FaultKind::Refused, "the server sends us elsewhere, which is not followed".to_owned()),
        status => fault(FaultKind::Unavailable, format!("the server answers {status}")),
    }
}
