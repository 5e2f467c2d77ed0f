//! Harbor's REST API, as far as a preflight and an import call it: the instance, who asks, repositories and
//! artifacts. Projects and quotas are in `rest_project`.

use super::accounts::Who;
use super::state::{Account, Artifact, Repo, State};
use super::{Harbor, answers, rest_project};
use crate::model::{Digest, Reference, Tag};
use crate::serve::{lock, query_of, read_body, unescape};
use axum::body::Body;
use axum::extract::Request;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use serde_json::{Value, json};

/// Largest body of a call.
const BODY_BYTES: u64 = 1 << 20;

/// A call, taken apart.
pub(super) struct Call<'a> {
    pub(super) harbor: &'a Harbor,
    pub(super) parts: &'a Parts,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Value,
    /// Who asks; anonymous calls have none.
    pub(super) account: Option<Account>,
}

impl Call<'_> {
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn header_is(&self, name: &str, wanted: &str) -> bool {
        self.parts.headers.get(name).is_some_and(|value| value == wanted)
    }

    /// Refuses anonymous calls.
    pub(super) fn known(&self) -> Result<&Account, Response> {
        self.account.as_ref().ok_or_else(|| answers::core(401, "UNAUTHORIZED", "unauthorized"))
    }

    /// Refuses calls of accounts that may not do this in the system.
    pub(super) fn may_system(&self, resource: &str, action: &str) -> Result<&Account, Response> {
        let account = self.known()?;
        match account.may_system(resource, action) {
            true => Ok(account),
            false => Err(answers::core(403, "FORBIDDEN", format!("{} is not allowed to do this", account.login))),
        }
    }
}

/// Answers a call.
pub(super) async fn answer(harbor: &Harbor, parts: Parts, body: Body) -> Response {
    let (parts, body) = (parts.clone(), Request::from_parts(parts, body));
    let Ok(bytes) = read_body(body, BODY_BYTES).await else {
        return answers::core(413, "REQUEST_ENTITY_TOO_LARGE", "the body is too large");
    };
    let account = match harbor.who(&parts.headers) {
        Who::Account(account) => Some(account),
        _ => None,
    };
    let body = match serde_json::from_slice(&bytes) {
        Ok(body) => body,
        Err(_) if bytes.is_empty() => Value::Null,
        Err(_) => return answers::core(422, "UNPROCESSABLE_ENTITY", "validation failure list:\nparsing body failed"),
    };
    let call = Call { harbor, parts: &parts, query: query_of(&parts.uri), body, account };
    route(&call).unwrap_or_else(|refusal| refusal)
}

fn route(call: &Call<'_>) -> Result<Response, Response> {
    let path = call.parts.uri.path().trim_start_matches("/api/v2.0/").trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let method = &call.parts.method;
    match (method, parts.as_slice()) {
        (&Method::GET, ["ping"]) => Ok(plain("Pong")),
        (&Method::GET, ["health"]) => Ok(answers::json_of(200, &health())),
        (&Method::GET, ["systeminfo"]) => Ok(answers::json_of(200, &system_info(call))),
        (&Method::GET, ["systeminfo", "volumes"]) => {
            call.may_system("system-volumes", "read")?;
            Ok(answers::json_of(200, &json!({ "storage": [{ "total": 1_u64 << 40, "free": 1_u64 << 39 }] })))
        }
        (&Method::GET, ["users", "current"]) => current_user(call),
        (&Method::GET, ["users", "current", "permissions"]) => permissions(call),
        (&Method::POST | &Method::PUT, ["system", "gc", "schedule"]) => collect(call),
        (&Method::PUT, ["configurations"]) => configure(call),
        (_, ["projects", ..]) => rest_project::route(call, &parts[1..]),
        (_, ["quotas", ..]) => rest_project::quotas(call, &parts[1..]),
        _ => Err(not_found()),
    }
}

pub(super) fn not_found() -> Response {
    answers::core(404, "NOT_FOUND", "path not found")
}

fn plain(text: &'static str) -> Response {
    let mut response = answers::empty(200);
    *response.body_mut() = Body::from(text);
    response
}

fn health() -> Value {
    let component = |name: &str| json!({ "name": name, "status": "healthy" });
    let components: Vec<Value> = ["core", "database", "jobservice", "registry", "redis"].map(component).into();
    json!({ "status": "healthy", "components": components })
}

/// Returns a time as the API writes it.
pub(super) fn time(seconds: u64) -> String {
    jiff::Timestamp::from_second(seconds as i64).unwrap().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

fn system_info(call: &Call<'_>) -> Value {
    let state = lock(&call.harbor.state);
    let mut info = json!({
        "auth_mode": "db_auth", "primary_auth_mode": false, "self_registration": false, "banner_message": "",
    });
    if call.account.is_some() {
        let own = match &call.harbor.options.locations {
            super::Locations::External(url) => url.clone(),
            _ => format!("http://{}", super::accounts::host(&call.parts.headers)),
        };
        let host = own.split("://").last().unwrap_or_default();
        let more = json!({
            "harbor_version": state.version.text(), "external_url": own, "registry_url": host,
            "read_only": state.read_only, "has_ca_root": false, "notification_enable": true,
            "project_creation_restriction": if state.admin_only_creation { "adminonly" } else { "everyone" },
            "registry_storage_provider_name": "filesystem", "current_time": time(state.now),
        });
        info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    info
}

fn current_user(call: &Call<'_>) -> Result<Response, Response> {
    let account = call.known()?;
    if account.robot {
        let why = "get current user not available for security context: robot";
        return Err(answers::core(412, "PRECONDITION", why));
    }
    Ok(answers::json_of(200, &json!({ "user_id": 1, "username": account.login, "sysadmin_flag": account.admin })))
}

/// Lists rights: those of a project by its id, or those of the system.
fn permissions(call: &Call<'_>) -> Result<Response, Response> {
    let account = call.known()?;
    let state = lock(&call.harbor.state);
    let scope = call.value("scope").unwrap_or("/system");
    let id = scope.strip_prefix("/project/").and_then(|id| id.parse::<u64>().ok());
    let project = id.and_then(|id| state.projects.iter().find(|(_, row)| row.id == id));
    let mut held: Vec<(String, String)> = match (project, scope) {
        (Some((name, _)), _) => rest_project::RIGHTS
            .iter()
            .filter(|(resource, action)| account.may(name, resource, action))
            .map(|(resource, action)| ((*resource).to_owned(), (*action).to_owned()))
            .collect(),
        (None, "/system") => {
            account.access.iter().filter(|(s, ..)| s == "/system").map(|(_, r, a)| (r.clone(), a.clone())).collect()
        }
        _ => Vec::new(),
    };
    held.sort();
    let prefix = if call.value("relative") == Some("true") { String::new() } else { format!("{scope}/") };
    let shown =
        held.iter().map(|(resource, action)| json!({ "resource": format!("{prefix}{resource}"), "action": action }));
    Ok(answers::json_of(200, &shown.collect()))
}

fn collect(call: &Call<'_>) -> Result<Response, Response> {
    call.may_system("garbage-collection", "create")?;
    if call.body["schedule"]["type"] == "Manual" && call.body["parameters"]["dry_run"] != true {
        call.harbor.collect_garbage(call.body["parameters"]["delete_untagged"] == true);
    }
    Ok(answers::empty(201))
}

fn configure(call: &Call<'_>) -> Result<Response, Response> {
    call.may_system("configuration", "update")?;
    if let Some(read_only) = call.body["read_only"].as_bool() {
        lock(&call.harbor.state).read_only = read_only;
    }
    Ok(answers::empty(200))
}

/// Answers calls below `projects/P/repositories`.
pub(super) fn repositories(call: &Call<'_>, project: &str, rest: &[&str]) -> Result<Response, Response> {
    let method = &call.parts.method;
    let [encoded, rest @ ..] = rest else {
        rest_project::may(call, project, "repository", "list")?;
        let state = lock(&call.harbor.state);
        let row = &state.projects[project];
        let shown = row.repositories.iter().map(|(name, repo)| repository_object(project, row.id, name, repo));
        return Ok(answers::page(shown.collect(), &call.query, call.parts.uri.path()));
    };
    let name = decode(encoded).ok_or_else(not_found)?;
    match (method, rest) {
        (&Method::GET, []) => {
            rest_project::may(call, project, "repository", "read")?;
            let state = lock(&call.harbor.state);
            let found = state
                .repo(project, &name)
                .map(|repo| repository_object(project, state.projects[project].id, &name, repo));
            let missing = || answers::core(404, "NOT_FOUND", format!("repository {project}/{name} not found"));
            Ok(answers::json_of(200, &found.ok_or_else(missing)?))
        }
        (&Method::GET, ["artifacts"]) => {
            rest_project::may(call, project, "artifact", "list")?;
            let state = lock(&call.harbor.state);
            let shown = state.repo(project, &name).map(|repo| listed(call, &state, (project, &name), repo));
            Ok(answers::page(shown.unwrap_or_default(), &call.query, call.parts.uri.path()))
        }
        (_, ["artifacts", reference, rest @ ..]) => artifact(call, (project, &name), reference, rest),
        _ => Err(not_found()),
    }
}

/// Undoes the encoding of a repository in a path. Only the double one is routed.
fn decode(text: &str) -> Option<String> {
    if text.to_ascii_lowercase().contains("%2f") {
        return None;
    }
    unescape(&unescape(text)?)
}

fn repository_object(project: &str, project_id: u64, name: &str, repo: &Repo) -> Value {
    let count = repo.artifacts.keys().filter(|digest| !repo.is_accessory(digest)).count();
    json!({
        "id": repo.id, "project_id": project_id, "name": format!("{project}/{name}"),
        "artifact_count": count, "pull_count": 0,
    })
}

/// Returns what a list of artifacts shows: no accessories, children only where they have a tag of their own.
fn listed(call: &Call<'_>, state: &State, at: (&str, &str), repo: &Repo) -> Vec<Value> {
    let children: Vec<Digest> =
        repo.artifacts.values().flat_map(Artifact::children).map(|child| child.digest).collect();
    let shown = |artifact: &&Artifact| {
        let digest = &artifact.descriptor.digest;
        let hidden = children.contains(digest) && repo.tags_of(digest).is_empty();
        !repo.is_accessory(digest) && !hidden
    };
    let found = repo.artifacts.values().filter(shown);
    found.map(|artifact| artifact_object(call, state, at, repo, artifact)).collect()
}

fn artifact_object(
    call: &Call<'_>,
    state: &State,
    (project, name): (&str, &str),
    repo: &Repo,
    artifact: &Artifact,
) -> Value {
    let digest = &artifact.descriptor.digest;
    let references: Vec<Value> = artifact
        .children()
        .iter()
        .map(|child| json!({ "parent_id": artifact.id, "child_digest": child.digest, "platform": child.platform }))
        .collect();
    let mut shown = json!({
        "id": artifact.id, "type": artifact.kind(), "media_type": artifact.media_type(),
        "manifest_media_type": artifact.descriptor.media_type, "artifact_type": artifact.document.artifact_type(),
        "project_id": state.projects[project].id, "repository_id": repo.id, "repository_name": format!("{project}/{name}"),
        "digest": digest, "size": artifact.size(), "annotations": artifact.document.annotations(),
        "push_time": time(state.now), "pull_time": "0001-01-01T00:00:00.000Z",
    });
    if !references.is_empty() {
        shown["references"] = Value::from(references);
    }
    if call.value("with_tag") != Some("false") {
        shown["tags"] = tags(call, state, (project, name), repo, digest);
    }
    if call.value("with_accessory") != Some("false") {
        shown["accessories"] = Value::from(accessories((project, name), repo, digest));
    }
    if let Some(scan) = artifact.scan.as_ref().filter(|_| call.value("with_scan_overview") == Some("true")) {
        let report = json!({ "scan_status": scan.status, "severity": scan.severity });
        shown["scan_overview"] = json!({ "application/vnd.security.vulnerability.report; version=1.1": report });
    }
    shown
}

fn tags(call: &Call<'_>, state: &State, (project, name): (&str, &str), repo: &Repo, digest: &Digest) -> Value {
    let computed = call.value("with_immutable_status") == Some("true");
    let immutable = |tag: &str| computed && state.projects[project].is_immutable(name, &tag.parse().unwrap());
    let shown = repo.tags_of(digest).into_iter().map(|tag| {
        json!({ "repository_id": repo.id, "artifact_id": repo.artifacts[digest].id, "name": tag, "immutable": immutable(&tag) })
    });
    shown.collect()
}

fn accessories((project, name): (&str, &str), repo: &Repo, subject: &Digest) -> Vec<Value> {
    let own = repo.accessories.iter().filter(|accessory| accessory.subject == *subject);
    let shown = own.map(|accessory| {
        json!({
            "artifact_id": repo.artifacts.get(&accessory.shown.digest).map(|artifact| artifact.id),
            "subject_artifact_id": repo.artifacts.get(subject).map(|artifact| artifact.id),
            "subject_artifact_digest": subject, "subject_artifact_repo": format!("{project}/{name}"),
            "size": accessory.shown.size, "digest": accessory.shown.digest, "type": accessory.kind,
        })
    });
    shown.collect()
}

/// Answers calls about one artifact.
fn artifact(call: &Call<'_>, at: (&str, &str), reference: &str, rest: &[&str]) -> Result<Response, Response> {
    let (project, name) = at;
    let (resource, action) = match (&call.parts.method, rest) {
        (&Method::GET, []) => ("artifact", "read"),
        (&Method::DELETE, []) => ("artifact", "delete"),
        (&Method::GET, ["tags"]) => ("tag", "list"),
        (&Method::POST, ["tags"]) => ("tag", "create"),
        (&Method::DELETE, ["tags", _]) => ("tag", "delete"),
        (&Method::GET, ["accessories"]) => ("accessory", "list"),
        _ => return Err(not_found()),
    };
    rest_project::may(call, project, resource, action)?;
    let parsed = if reference.contains(':') {
        reference.parse().map(Reference::Digest).ok()
    } else {
        reference.parse().map(Reference::Tag).ok()
    };
    let missing = || answers::no_artifact(&format!("{project}/{name}"), reference);
    let digest = {
        let state = lock(&call.harbor.state);
        let repo = state.repo(project, name).ok_or_else(missing)?;
        let found = parsed.as_ref().and_then(|parsed| repo.find(parsed)).ok_or_else(missing)?;
        match (&call.parts.method, rest) {
            (&Method::GET, []) => return Ok(answers::json_of(200, &artifact_object(call, &state, at, repo, found))),
            (&Method::GET, ["tags"]) => {
                let shown = tags(call, &state, at, repo, &found.descriptor.digest);
                return Ok(answers::page(shown.as_array().unwrap().clone(), &call.query, call.parts.uri.path()));
            }
            (&Method::GET, _) => {
                let shown = accessories(at, repo, &found.descriptor.digest);
                return Ok(answers::page(shown, &call.query, call.parts.uri.path()));
            }
            _ => found.descriptor.digest.clone(),
        }
    };
    match (&call.parts.method, rest) {
        (&Method::POST, _) => create_tag(call, at, &digest),
        (_, ["tags", tag]) => delete_tag(call, at, &digest, tag),
        _ => call
            .harbor
            .delete_artifact(project, name, &digest)
            .map(|()| answers::empty(200))
            .map_err(|refusal| *refusal),
    }
}

fn create_tag(call: &Call<'_>, (project, name): (&str, &str), digest: &Digest) -> Result<Response, Response> {
    let text = call.body["name"].as_str().unwrap_or_default();
    let tag: Tag = text.parse().map_err(|_| answers::core(400, "BAD_REQUEST", format!("invalid tag name: {text}")))?;
    let mut state = lock(&call.harbor.state);
    let row = state.projects.get_mut(project).ok_or_else(not_found)?;
    if row.proxy {
        return Err(answers::core(405, "METHOD_NOT_ALLOWED", "the operation isn't supported for a proxy project"));
    }
    let repo = row.repositories.get_mut(name).ok_or_else(not_found)?;
    if repo.tags.contains_key(&tag) {
        return Err(answers::core(409, "CONFLICT", format!("tag {tag} already exists")));
    }
    repo.tags.insert(tag, digest.clone());
    Ok(answers::empty(201))
}

fn delete_tag(
    call: &Call<'_>,
    (project, name): (&str, &str),
    digest: &Digest,
    tag: &str,
) -> Result<Response, Response> {
    let missing = || answers::core(404, "NOT_FOUND", format!("tag {tag} not found"));
    let tag: Tag = tag.parse().map_err(|_| missing())?;
    let mut state = lock(&call.harbor.state);
    let row = state.projects.get_mut(project).ok_or_else(not_found)?;
    if row.is_immutable(name, &tag) {
        return Err(answers::core(412, "PRECONDITION", super::state::immutable_sentence(name, &tag)));
    }
    let repo = row.repositories.get_mut(name).ok_or_else(not_found)?;
    if repo.tags.get(&tag) != Some(digest) {
        return Err(missing());
    }
    repo.tags.remove(&tag);
    Ok(answers::empty(200))
}
