//! Harbor's REST API: projects, their metadata, their quotas.

use super::answers;
use super::rest::{Call, not_found, repositories, time};
use super::state::{ImmutableRule, Project};
use crate::serve::lock;
use axum::http::Method;
use axum::http::header::LOCATION;
use axum::response::Response;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rights that can be held in a project, as far as this double asks for them.
pub(super) const RIGHTS: [(&str, &str); 24] = [
    ("accessory", "list"),
    ("artifact", "create"),
    ("artifact", "delete"),
    ("artifact", "list"),
    ("artifact", "read"),
    ("artifact-addition", "read"),
    ("immutable-tag", "create"),
    ("immutable-tag", "list"),
    ("metadata", "create"),
    ("metadata", "list"),
    ("metadata", "read"),
    ("metadata", "update"),
    ("project", "delete"),
    ("project", "read"),
    ("project", "update"),
    ("quota", "read"),
    ("repository", "delete"),
    ("repository", "list"),
    ("repository", "pull"),
    ("repository", "push"),
    ("repository", "read"),
    ("tag", "create"),
    ("tag", "delete"),
    ("tag", "list"),
];

const KEYS: [&str; 9] = [
    "public",
    "enable_content_trust",
    "enable_content_trust_cosign",
    "prevent_vul",
    "severity",
    "auto_scan",
    "auto_sbom_generation",
    "reuse_sys_cve_allowlist",
    "retention_id",
];

/// Refuses calls of accounts that may not do this in a project.
pub(super) fn may(call: &Call<'_>, project: &str, resource: &str, action: &str) -> Result<(), Response> {
    let account = call.known()?;
    match account.may(project, resource, action) {
        true => Ok(()),
        false => Err(answers::core(403, "FORBIDDEN", "forbidden")),
    }
}

/// Answers calls below `projects`.
pub(super) fn route(call: &Call<'_>, rest: &[&str]) -> Result<Response, Response> {
    let [name_or_id, rest @ ..] = rest else { return collection(call) };
    let name = find(call, name_or_id)?;
    match (&call.parts.method, rest) {
        (_, ["repositories", rest @ ..]) => repositories(call, &name, rest),
        (&Method::GET, []) => {
            may(call, &name, "project", "read")?;
            let state = lock(&call.harbor.state);
            Ok(answers::json_of(200, &object(&name, &state.projects[&name], state.now)))
        }
        (&Method::PUT, []) => {
            may(call, &name, "project", "update")?;
            let sent = strings(&call.body["metadata"]);
            lock(&call.harbor.state).projects.get_mut(&name).ok_or_else(not_found)?.metadata.extend(sent);
            Ok(answers::empty(200))
        }
        (&Method::DELETE, []) => {
            may(call, &name, "project", "delete")?;
            let mut state = lock(&call.harbor.state);
            if !state.projects[&name].repositories.is_empty() {
                return Err(answers::core(
                    412,
                    "PRECONDITION",
                    "the project contains repositories, can not be deleted",
                ));
            }
            state.projects.remove(&name);
            Ok(answers::empty(200))
        }
        (&Method::GET, ["summary"]) => summary(call, &name),
        (_, ["metadatas", rest @ ..]) => metadata(call, &name, rest),
        (&Method::POST, ["immutabletagrules"]) => add_immutable_rule(call, &name),
        _ => Err(not_found()),
    }
}

/// Returns the name of a project that is there. Those who may not know learn nothing.
fn find(call: &Call<'_>, name_or_id: &str) -> Result<String, Response> {
    let account = call.known()?;
    let digits = !name_or_id.is_empty() && name_or_id.bytes().all(|b| b.is_ascii_digit());
    let by_name = !digits || call.header_is("x-is-resource-name", "true");
    let state = lock(&call.harbor.state);
    let found = match by_name {
        true => state.projects.contains_key(name_or_id).then(|| name_or_id.to_owned()),
        false => state.projects.iter().find(|(_, row)| row.id.to_string() == name_or_id).map(|(name, _)| name.clone()),
    };
    found.ok_or_else(|| match account.admin {
        true => answers::core(404, "NOT_FOUND", format!("project {name_or_id} not found")),
        false => answers::core(403, "FORBIDDEN", "forbidden"),
    })
}

fn collection(call: &Call<'_>) -> Result<Response, Response> {
    match call.parts.method {
        Method::HEAD => {
            call.known()?;
            let there = call.value("project_name").is_some_and(|n| lock(&call.harbor.state).projects.contains_key(n));
            Ok(answers::empty(if there { 200 } else { 404 }))
        }
        Method::GET => {
            let state = lock(&call.harbor.state);
            let part = call.value("name").unwrap_or_default();
            let exact = call.value("q").and_then(|q| q.strip_prefix("name="));
            let seen = |name: &str, row: &Project| {
                row.is_set("public") || call.account.as_ref().is_some_and(|a| a.may(name, "project", "read"))
            };
            let fits = |name: &str| name.contains(part) && exact.is_none_or(|exact| exact == name);
            let rows = state.projects.iter().filter(|(name, row)| fits(name) && seen(name, row));
            let shown = rows.map(|(name, row)| object(name, row, state.now)).collect();
            Ok(answers::page(shown, &call.query, call.parts.uri.path()))
        }
        Method::POST => create(call),
        _ => Err(not_found()),
    }
}

fn create(call: &Call<'_>) -> Result<Response, Response> {
    let account = call.known()?;
    let may_all = account.may_system("project", "create");
    let project_robot = account.robot && !may_all;
    let mut state = lock(&call.harbor.state);
    if project_robot || (state.admin_only_creation && !may_all) {
        return Err(answers::core(403, "FORBIDDEN", "only system admin can create project"));
    }
    let name = call.body["project_name"].as_str().unwrap_or_default();
    let whole = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if name.len() > 255 || !name.split(['.', '_', '-']).all(whole) {
        return Err(answers::core(400, "BAD_REQUEST", format!("invalid project name: {name:?}")));
    }
    if state.projects.contains_key(name) {
        return Err(answers::core(409, "CONFLICT", format!("The project named {name} already exists")));
    }
    let mut metadata = strings(&call.body["metadata"]);
    let public = call.body["public"].as_bool().unwrap_or(false).to_string();
    metadata.entry("public".to_owned()).or_insert(public);
    let asked = call.body["storage_limit"].as_i64().filter(|limit| account.admin && *limit != 0);
    let proxy = call.body["registry_id"].is_u64();
    let id = state.add_project(name, metadata, asked.unwrap_or(-1), proxy);
    let last = if call.header_is("x-resource-name-in-location", "true") { name.to_owned() } else { id.to_string() };
    let mut response = answers::empty(201);
    answers::set(&mut response, LOCATION, &format!("/api/v2.0/projects/{last}"));
    Ok(response)
}

fn strings(object: &Value) -> BTreeMap<String, String> {
    let pairs = object.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn object(name: &str, row: &Project, now: u64) -> Value {
    let mut shown = json!({
        "project_id": row.id, "name": name, "owner_id": 1, "owner_name": "admin", "deleted": false,
        "creation_time": time(row.created), "update_time": time(now), "repo_count": row.repositories.len(),
        "metadata": row.metadata, "cve_allowlist": { "id": row.id, "project_id": row.id, "items": [] },
    });
    if row.proxy {
        shown["registry_id"] = json!(1);
    }
    shown
}

fn summary(call: &Call<'_>, name: &str) -> Result<Response, Response> {
    may(call, name, "project", "read")?;
    let state = lock(&call.harbor.state);
    let row = &state.projects[name];
    let mut shown = json!({ "repo_count": row.repositories.len() });
    if may(call, name, "quota", "read").is_ok() {
        shown["quota"] = json!({ "hard": { "storage": row.hard }, "used": { "storage": row.used } });
    }
    if row.proxy {
        shown["registry"] = json!({ "id": 1, "name": "upstream", "type": "docker-registry" });
    }
    Ok(answers::json_of(200, &shown))
}

fn metadata(call: &Call<'_>, name: &str, rest: &[&str]) -> Result<Response, Response> {
    let action = match call.parts.method {
        Method::GET if rest.is_empty() => "list",
        Method::GET => "read",
        Method::POST => "create",
        _ => "update",
    };
    may(call, name, "metadata", action)?;
    let mut state = lock(&call.harbor.state);
    let stored = &mut state.projects.get_mut(name).ok_or_else(not_found)?.metadata;
    let sent = strings(&call.body);
    match (&call.parts.method, rest) {
        (&Method::GET, []) => Ok(answers::json_of(200, &json!(stored))),
        (&Method::GET, [key]) => match stored.get(*key) {
            Some(value) => Ok(answers::json_of(200, &json!({ *key: value }))),
            None => Err(answers::core(404, "NOT_FOUND", format!("metadata {key} not found"))),
        },
        (&Method::POST, []) => match sent.first_key_value() {
            Some((key, value)) if sent.len() == 1 => {
                let value = checked(key, value)?;
                if stored.contains_key(key) {
                    return Err(answers::core(409, "CONFLICT", format!("metadata {key} already exists")));
                }
                stored.insert(key.clone(), value);
                Ok(answers::empty(200))
            }
            _ => Err(answers::core(400, "BAD_REQUEST", "only allow to add one metadata per request")),
        },
        (&Method::PUT, [key]) => {
            let bad = || answers::core(400, "BAD_REQUEST", format!("the body lacks {key}"));
            let value = checked(key, sent.get(*key).ok_or_else(bad)?)?;
            // A key that was never set is not set here either, and the answer is the same.
            if let Some(slot) = stored.get_mut(*key) {
                *slot = value;
            }
            Ok(answers::empty(200))
        }
        _ => Err(not_found()),
    }
}

/// Returns a metadata value as it is stored.
fn checked(key: &str, value: &str) -> Result<String, Response> {
    let bad = || answers::core(400, "BAD_REQUEST", format!("invalid value {value:?} of {key}"));
    match (key, value) {
        (key, _) if !KEYS.contains(&key) => Err(answers::core(400, "BAD_REQUEST", format!("invalid key: {key}"))),
        ("severity", "negligible") => Ok("none".to_owned()),
        ("severity", "none" | "low" | "medium" | "high" | "critical") | ("retention_id", _) => Ok(value.to_owned()),
        ("severity", _) => Err(bad()),
        (_, "true" | "false") => Ok(value.to_owned()),
        _ => Err(bad()),
    }
}

fn add_immutable_rule(call: &Call<'_>, name: &str) -> Result<Response, Response> {
    may(call, name, "immutable-tag", "create")?;
    let pattern = |selector: &Value| selector[0]["pattern"].as_str().unwrap_or("**").to_owned();
    let tags = pattern(&call.body["tag_selectors"]);
    let repositories = pattern(&call.body["scope_selectors"]["repository"]);
    if call.body["disabled"] != true {
        let mut state = lock(&call.harbor.state);
        state.projects.get_mut(name).ok_or_else(not_found)?.immutable.push(ImmutableRule { repositories, tags });
    }
    Ok(answers::empty(201))
}

/// Answers calls below `quotas`; the id of a quota is that of its project.
pub(super) fn quotas(call: &Call<'_>, rest: &[&str]) -> Result<Response, Response> {
    let object = |name: &str, row: &Project| {
        json!({
            "id": row.id, "ref": { "id": row.id, "name": name, "owner_name": "admin" },
            "hard": { "storage": row.hard }, "used": { "storage": row.used },
        })
    };
    match (&call.parts.method, rest) {
        (&Method::GET, []) => {
            call.may_system("quota", "list")?;
            let state = lock(&call.harbor.state);
            let wanted = call.value("reference_id");
            let rows = state.projects.iter().filter(|(_, row)| wanted.is_none_or(|id| row.id.to_string() == id));
            let shown = rows.map(|(name, row)| object(name, row)).collect();
            Ok(answers::page(shown, &call.query, call.parts.uri.path()))
        }
        (method, [id]) => {
            call.may_system("quota", if *method == Method::GET { "read" } else { "update" })?;
            let mut state = lock(&call.harbor.state);
            let found = state.projects.iter_mut().find(|(_, row)| row.id.to_string() == *id);
            let (name, row) = found.ok_or_else(|| answers::core(404, "NOT_FOUND", format!("quota {id} not found")))?;
            if *method == Method::GET {
                return Ok(answers::json_of(200, &object(name, row)));
            }
            match call.body["hard"]["storage"].as_i64() {
                Some(hard) if hard == -1 || hard > 0 => row.hard = hard,
                _ => return Err(answers::core(400, "BAD_REQUEST", "invalid hard limit")),
            }
            Ok(answers::empty(200))
        }
        _ => Err(not_found()),
    }
}
