//! Harbor's REST interface, as far as a preflight needs it: what the place is, projects, quotas, rights.
//!
//! Names go into paths encoded, the repository behind the project twice; `X-Is-Resource-Name` keeps a project whose
//! name is a number from being taken for an id.

use super::Shared;
use super::counters::Kind;
use super::exchange::{Call, Core, Host, Reply, Scope};
use super::guard;
use super::http::Verb;
use crate::model::descriptor::{Descriptor, MediaType};
use crate::model::digest::{Content, Digest};
use crate::model::fault::{Fault, FaultKind, printable};
use crate::model::limits;
use crate::model::port::{PlaceState, ProjectState};
use crate::model::reference::{Reference, Repository};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use url::Url;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES: u64 = 4 << 20;
/// Largest manifest that Harbor's blob engine takes, and other registries of its family.
const MANIFEST_LIMIT: u64 = limits::MANIFEST_WARN_BYTES;

/// What a Harbor says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Instance {
    /// There for everybody; what Harbor is known by.
    auth_mode: Option<String>,
    harbor_version: Option<String>,
    external_url: Option<String>,
    #[serde(default)]
    read_only: bool,
}

#[derive(Deserialize)]
struct ProjectForm {
    project_id: i64,
    #[serde(default)]
    registry_id: Option<i64>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct SummaryForm {
    #[serde(default)]
    quota: Option<QuotaForm>,
    #[serde(default)]
    registry: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct QuotaForm {
    #[serde(default)]
    hard: StorageForm,
    #[serde(default)]
    used: StorageForm,
}

#[derive(Default, Deserialize)]
struct StorageForm {
    #[serde(default)]
    storage: i64,
}

#[derive(Deserialize)]
struct ArtifactForm {
    digest: Digest,
    manifest_media_type: Option<MediaType>,
}

#[derive(Deserialize)]
struct RightForm {
    resource: String,
    action: String,
}

impl Core {
    /// Returns what the Harbor at this host says of itself; `None` where there is no Harbor.
    pub(super) async fn instance<'a>(&self, host: &'a Host) -> Result<Option<&'a Instance>, Fault> {
        let found = host.harbor.get_or_try_init(|| async {
            let reply = self.rest(host, Rest::get("systeminfo", "the registry did not say what it is")).await?;
            if !reply.good() {
                return Ok(None);
            }
            let form: Option<Instance> = read(reply).await.ok();
            Ok(form.filter(|form| form.auth_mode.is_some()))
        });
        found.await.map(Option::as_ref)
    }

    /// Returns what Harbor's database says of a reference, policies aside. The outer `None` means: no Harbor.
    ///
    /// The size is 0, because the interface tells only the size of everything together.
    pub(super) async fn artifact(
        &self,
        host: &Host,
        at: &Repository,
        reference: &Reference,
    ) -> Result<Option<Option<Descriptor>>, Fault> {
        let (Some(_), Some(repository)) = (self.instance(host).await?, at.below_project()) else { return Ok(None) };
        let what = "the artifact was not looked up";
        let repository = repository.replace('/', "%252F");
        let path = format!("projects/{}/repositories/{repository}/artifacts/{reference}", at.project());
        let reply = self.rest(host, Rest::get(&path, what)).await?;
        match reply.status() {
            200 => {
                let form: ArtifactForm = read(reply).await?;
                let media_type = form.manifest_media_type.unwrap_or_else(|| MediaType::new(""));
                Ok(Some(Some(Descriptor::new(media_type, Content { digest: form.digest, size: 0 }))))
            }
            404 => Ok(Some(None)),
            _ => Err(reply.refusal().await.fault(what)),
        }
    }

    /// Makes one call of the REST interface.
    async fn rest(&self, host: &Host, ask: Rest<'_>) -> Result<Reply, Fault> {
        let mut url = host.base.clone();
        url.set_path(&format!("/api/v2.0/{}", ask.path));
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query);
        }
        let mut call = Call::new(Kind::Rest, ask.verb, url, Scope::default(), ask.what)
            .with("accept", "application/json")
            .with("x-is-resource-name", "true");
        // What REST does not allow says nothing about the credentials; and a redirect leads to a page for people.
        (call.tentative, call.follow, call.rest) = (true, false, true);
        if let Some(body) = ask.body {
            call = call.with("content-type", "application/json");
            call.body = Some(Bytes::from(body));
        }
        self.call(host, &call).await
    }
}

/// One call of the REST interface.
struct Rest<'a> {
    verb: Verb,
    /// Behind `/api/v2.0/`.
    path: &'a str,
    query: &'a [(&'a str, &'a str)],
    body: Option<Vec<u8>>,
    what: &'static str,
}

impl<'a> Rest<'a> {
    /// Reads `path`; `what` says what did not happen if it fails.
    const fn get(path: &'a str, what: &'static str) -> Self {
        Self { verb: Verb::Get, path, query: &[], body: None, what }
    }
}

impl Shared {
    /// Returns what the place is; fails where it cannot be reached or refuses the credentials.
    pub(super) fn place(&self, name: &str) -> Result<PlaceState, Fault> {
        let host = self.core.host(name)?;
        self.block_on(async {
            self.core.enter(&host).await?;
            let Some(instance) = self.core.instance(&host).await? else {
                return Ok(PlaceState {
                    product: "OCI registry".to_owned(),
                    read_only: false,
                    manifest_limit: MANIFEST_LIMIT,
                    notes: Vec::new(),
                    disk: None,
                });
            };
            Ok(instance.state(&host))
        })
    }

    /// Returns the state of a project; `None` where it does not exist.
    pub(super) fn project(&self, at: &Repository) -> Result<Option<ProjectState>, Fault> {
        let host = self.core.host(at.host())?;
        self.block_on(async {
            if self.core.instance(&host).await?.is_none() {
                return Ok(Some(ProjectState { quota: None, used: 0, proxy: false, notes: Vec::new() }));
            }
            if !self.core.project_exists(&host, at).await? {
                return Ok(None);
            }
            let mut state = ProjectState { quota: None, used: 0, proxy: false, notes: Vec::new() };
            self.core.describe(&host, at, &mut state).await?;
            self.core.weigh(&host, at, &mut state).await?;
            Ok(Some(state))
        })
    }

    /// Creates a private project; one that is there already is fine.
    pub(super) fn create(&self, at: &Repository) -> Result<(), Fault> {
        let host = self.core.host(at.host())?;
        let what = "the project was not created";
        self.block_on(async {
            if self.core.instance(&host).await?.is_none() {
                return Ok(());
            }
            let body = serde_json::json!({"project_name": at.project(), "metadata": {"public": "false"}});
            let body = Some(body.to_string().into_bytes());
            let ask = Rest { verb: Verb::Post, path: "projects", query: &[], body, what };
            let reply = self.core.rest(&host, ask).await?;
            match reply.status() {
                201 | 409 => Ok(()),
                403 => {
                    let hint = "a robot of one project cannot create others: use a system robot or an administrator";
                    Err(reply.refusal().await.fault(what).with_hint(hint))
                }
                _ => Err(reply.refusal().await.fault(what)),
            }
        })
    }

    /// Fails where the credentials may not push. Leaves nothing behind.
    pub(super) fn may_push(&self, at: &Repository) -> Result<(), Fault> {
        let host = self.core.host(at.host())?;
        match self.block_on(self.core.rights(&host, at))? {
            Some(rights) => rights.check(&host, at),
            None => self.try_upload(at),
        }
    }
}

/// What the credentials may do in a project.
struct Rights(Vec<RightForm>);

impl Rights {
    fn check(&self, host: &Host, at: &Repository) -> Result<(), Fault> {
        let has = |action: &str| {
            self.0.iter().any(|r| r.resource == "repository" && matches!(&*r.action, a if a == action || a == "*"))
        };
        if has("push") {
            return Ok(());
        }
        let place = format!("{}/{}", host.name, at.project());
        let what = format!("the credentials lack repository:push in the project {:?}", at.project());
        Err(Fault::new(FaultKind::Unauthorized, place, what).with_hint("give the robot push and pull on the project"))
    }
}

impl Core {
    async fn project_exists(&self, host: &Host, at: &Repository) -> Result<bool, Fault> {
        let what = "the project was not looked up";
        let query = [("project_name", at.project())];
        let ask = Rest { verb: Verb::Head, path: "projects", query: &query, body: None, what };
        let reply = self.rest(host, ask).await?;
        match reply.status() {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(reply.refusal().await.fault(what)),
        }
    }

    async fn project_form(&self, host: &Host, at: &Repository) -> Result<Option<ProjectForm>, Fault> {
        let path = format!("projects/{}", at.project());
        let reply = self.rest(host, Rest::get(&path, "the project was not read")).await?;
        match reply.status() {
            200 => read(reply).await.map(Some),
            // Without the right to read it there is less to say before a run, and nothing to stop it.
            401 | 403 => Ok(None),
            _ => Err(reply.refusal().await.fault("the project was not read")),
        }
    }

    async fn describe(&self, host: &Host, at: &Repository, state: &mut ProjectState) -> Result<(), Fault> {
        match self.project_form(host, at).await? {
            Some(form) => {
                state.proxy = form.registry_id.is_some_and(|id| id > 0);
                state.notes.extend(gates(&form.metadata));
            }
            None => state.notes.push("the credentials may not read the project, so its gates are unknown".to_owned()),
        }
        Ok(())
    }

    async fn weigh(&self, host: &Host, at: &Repository, state: &mut ProjectState) -> Result<(), Fault> {
        let path = format!("projects/{}/summary", at.project());
        let reply = self.rest(host, Rest::get(&path, "the quota was not read")).await?;
        if !matches!(reply.status(), 200) {
            state.notes.push("the credentials may not read the quota, so it is unknown".to_owned());
            return Ok(());
        }
        let form: SummaryForm = read(reply).await?;
        state.proxy |= form.registry.is_some_and(|registry| !registry.is_null());
        match form.quota {
            Some(quota) => {
                state.quota = u64::try_from(quota.hard.storage).ok();
                state.used = u64::try_from(quota.used.storage).unwrap_or(0);
            }
            None => state.notes.push("the credentials may not read the quota, so it is unknown".to_owned()),
        }
        Ok(())
    }

    /// Returns the rights in the project; `None` where they cannot be read that way.
    async fn rights(&self, host: &Host, at: &Repository) -> Result<Option<Rights>, Fault> {
        if self.instance(host).await?.is_none() {
            return Ok(None);
        }
        let Some(form) = self.project_form(host, at).await? else { return Ok(None) };
        let scope = format!("/project/{}", form.project_id);
        let query = [("scope", scope.as_str()), ("relative", "true")];
        let what = "the rights were not read";
        let ask = Rest { query: &query, ..Rest::get("users/current/permissions", what) };
        let reply = self.rest(host, ask).await?;
        match reply.status() {
            200 => read(reply).await.map(Rights).map(Some),
            _ => Ok(None),
        }
    }
}

impl Instance {
    fn state(&self, host: &Host) -> PlaceState {
        let version = self.harbor_version.as_deref().map(version);
        let mut notes = Vec::new();
        if version.is_none() {
            notes.push("it does not tell its version to these credentials".to_owned());
        }
        if let Some(external) = &self.external_url
            && !Url::parse(external).is_ok_and(|url| guard::Origin::of(&url) == guard::Origin::of(&host.base))
        {
            let (external, ours) = (printable(external), guard::place(&host.base));
            notes.push(format!("it believes to be at {external}, and is used at {ours}"));
        }
        let product = version.map_or_else(|| "Harbor".to_owned(), |v| format!("Harbor {v}"));
        PlaceState { product, read_only: self.read_only, manifest_limit: MANIFEST_LIMIT, notes, disk: None }
    }
}

/// `v2.14.3-1a2b3c` → `2.14.3`.
fn version(text: &str) -> String {
    let bare = text.trim().trim_start_matches('v');
    printable(bare.split('-').next().unwrap_or(bare))
}

/// Says what in a project's settings will block pulls of what is imported.
fn gates(metadata: &BTreeMap<String, String>) -> Vec<String> {
    let on = |key: &str| metadata.get(key).is_some_and(|value| matches!(value.as_str(), "true" | "1" | "t" | "T"));
    let mut notes = Vec::new();
    if on("prevent_vul") {
        notes.push(match metadata.get("severity").map(String::as_str).filter(|s| !s.is_empty()) {
            None => "it blocks vulnerable images without saying from which severity on, which blocks every scanned image; \
                     set severity, for example to critical"
                .to_owned(),
            Some(severity) => format!(
                "it blocks the pull of images with vulnerabilities of severity {} or more, and of images not yet scanned",
                printable(severity)
            ),
        });
    }
    for (key, kind) in [("enable_content_trust", "Notation"), ("enable_content_trust_cosign", "cosign")] {
        if on(key) {
            notes.push(format!("it blocks the pull of images without a {kind} signature"));
        }
    }
    notes
}

async fn read<T: DeserializeOwned>(mut reply: Reply) -> Result<T, Fault> {
    let place = guard::place(reply.answer.url());
    let what = "the registry's REST interface gave an answer that does not parse";
    let bytes = reply.answer.read(ANSWER_BYTES).await.map_err(|e| *super::exchange::failed(e, &place, what).fault)?;
    serde_json::from_slice(&bytes).map_err(|e| Fault::new(FaultKind::Malformed, place, what).because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_shown_without_prefix_and_hash() {
        assert_eq!((version("v2.14.3-1a2b3c").as_str(), version("2.15.0").as_str()), ("2.14.3", "2.15.0"));
    }

    #[test]
    fn gates_that_block_what_was_imported_are_noted() {
        let noted = |pairs: &[(&str, &str)]| gates(&pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect());
        assert!(noted(&[("prevent_vul", "true")])[0].contains("set severity"));
        assert!(noted(&[("prevent_vul", "true"), ("severity", "high")])[0].contains("severity high"));
        assert_eq!(noted(&[("prevent_vul", "false"), ("public", "true")]), Vec::<String>::new());
        assert_eq!(noted(&[("enable_content_trust", "true"), ("enable_content_trust_cosign", "true")]).len(), 2);
    }
}
