//! A double of Harbor: what it answers where it differs from a plain registry.
//!
//! Its rules are read from Harbor's sources; the embedded registry stands where Harbor's blob engine stands. It
//! covers what a preflight and an import meet: projects that must exist, robots with rights, both dialects of
//! refusal, quotas, immutable tags, pull policies, uploads that cannot be resumed, accessories by version,
//! garbage collection, read-only mode and proxy projects. Time stands still until a test moves it.

mod accounts;
mod answers;
mod documents;
mod registry;
mod rest;
mod rest_project;
mod state;

use crate::model::{Digest, MediaType, Reference};
use crate::serve::{Counters, EmbeddedRegistry, Exchange, Faults, Options, Registry, Running, lock};
use accounts::Token;
use axum::extract::{Request, State as Shared};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use state::{Account, ImmutableRule, Scan, State};
use std::collections::{BTreeMap, HashMap};
use std::hash::RandomState;
use std::sync::{Arc, Mutex, OnceLock};
use tempfile::TempDir;

/// Rights that an import needs in a project, as `resource:action`.
pub const IMPORT_RIGHTS: [&str; 11] = [
    "repository:list",
    "repository:read",
    "repository:pull",
    "repository:push",
    "artifact:read",
    "artifact:list",
    "accessory:list",
    "tag:list",
    "tag:create",
    "project:read",
    "quota:read",
];

/// Versions that differ in what an import meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HarborVersion {
    /// 2.12.4: old order of the vulnerability gate.
    V2_12_4,
    /// 2.13.5: tokens older than their project are refused.
    V2_13_5,
    /// 2.14.3: realm from the request's host, reports are read first.
    V2_14_3,
    /// 2.15.2: signature bundles of version 0.3 count as signatures.
    V2_15_2,
}

impl HarborVersion {
    /// Returns the version as `systeminfo` states it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::V2_12_4 => "v2.12.4-9c1bc9d5",
            Self::V2_13_5 => "v2.13.5-1d3a7b21",
            Self::V2_14_3 => "v2.14.3-4e0f5a6c",
            Self::V2_15_2 => "v2.15.2-7b2c8d90",
        }
    }

    fn accessory_kind(self, artifact_type: &str) -> &'static str {
        match artifact_type {
            "application/vnd.dev.cosign.artifact.sig.v1+json" => "signature.cosign",
            MediaType::SIGSTORE_BUNDLE if self >= Self::V2_15_2 => "signature.cosign",
            MediaType::NOTATION_SIGNATURE => "signature.notation",
            "application/vnd.goharbor.harbor.sbom.v1" => "sbom.harbor",
            _ => "subject.accessory",
        }
    }
}

/// How the `Location` of an upload looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locations {
    /// Absolute, with the host that the client asked.
    Host,
    /// Absolute, with the address that Harbor believes to have: `https://harbor.example`.
    External(String),
    /// Without scheme and host.
    Relative,
}

/// What a Harbor is to be like.
#[derive(Debug, Clone)]
pub struct HarborOptions {
    /// Version.
    pub version: HarborVersion,
    /// Form of upload locations.
    pub locations: Locations,
    /// Whether blobs are redirected to a storage that refuses credentials.
    pub redirect: bool,
    /// Whether only administrators create projects.
    pub admin_only_creation: bool,
    /// What goes wrong from the start.
    pub faults: Faults,
}

impl Default for HarborOptions {
    fn default() -> Self {
        Self {
            version: HarborVersion::V2_14_3,
            locations: Locations::Host,
            redirect: false,
            admin_only_creation: false,
            faults: Faults::none(),
        }
    }
}

/// What all requests share.
struct Harbor {
    state: Mutex<State>,
    tokens: Mutex<HashMap<String, Token>>,
    options: HarborOptions,
    engine: Arc<Registry>,
    key: RandomState,
    requests: Mutex<u64>,
}

/// Starts doubles.
#[derive(Debug)]
pub struct HarborDouble;

impl HarborDouble {
    /// Starts a Harbor with the project `library` and the administrator of [`RunningHarbor::user`].
    pub fn start(options: HarborOptions) -> RunningHarbor {
        let root = tempfile::tempdir().unwrap();
        let engine = Options { faults: options.faults.clone(), ..Options::new(root.path()) };
        let slot = OnceLock::new();
        let running = EmbeddedRegistry::start_with(engine, |router, engine| {
            let harbor = Arc::new(Harbor::new(options, Arc::clone(engine)));
            let harbor = slot.get_or_init(|| harbor);
            router.layer(from_fn_with_state(Arc::clone(harbor), answer))
        });
        let running = running.expect("the embedded registry starts");
        RunningHarbor { running, harbor: slot.into_inner().unwrap(), _root: root }
    }
}

impl Harbor {
    fn new(options: HarborOptions, engine: Arc<Registry>) -> Self {
        let admin = Account {
            login: "admin".to_owned(),
            secret: "Harbor12345".to_owned(),
            admin: true,
            robot: false,
            disabled: false,
            access: Vec::new(),
        };
        let mut state = State {
            version: options.version,
            projects: BTreeMap::new(),
            blobs: BTreeMap::new(),
            accounts: vec![admin],
            read_only: false,
            admin_only_creation: options.admin_only_creation,
            scanner: true,
            now: 1_700_000_000,
            next_id: 0,
        };
        let public = BTreeMap::from([("public".to_owned(), "true".to_owned())]);
        state.add_project("library", public, -1, false);
        Self {
            state: Mutex::new(state),
            tokens: Mutex::default(),
            options,
            engine,
            key: RandomState::new(),
            requests: Mutex::new(0),
        }
    }
}

/// Answers every request: the part before the engine.
async fn answer(Shared(harbor): Shared<Arc<Harbor>>, request: Request, next: Next) -> Response {
    let tracing = axum::http::HeaderName::from_static("x-request-id");
    let own = {
        let mut count = lock(&harbor.requests);
        *count += 1;
        format!("request-{count}")
    };
    let id = request.headers().get(&tracing).and_then(|id| id.to_str().ok()).map_or(own, str::to_owned);
    let mut response = registry::dispatch(harbor, request, next).await;
    answers::set(&mut response, tracing, &id);
    response
}

/// A Harbor that runs. It stops when this is dropped, and leaves nothing.
pub struct RunningHarbor {
    running: Running,
    harbor: Arc<Harbor>,
    _root: TempDir,
}

/// An artifact as Harbor's tables have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HarborArtifact {
    /// Repository with its project.
    pub repository: String,
    /// Digest.
    pub digest: Digest,
    /// Type of the document.
    pub media_type: String,
    /// Tags, sorted.
    pub tags: Vec<String>,
}

/// An accessory as Harbor's tables have it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HarborAccessory {
    /// Repository with its project.
    pub repository: String,
    /// What it is about.
    pub subject: Digest,
    /// What it is.
    pub digest: Digest,
    /// Kind: `signature.cosign`, `signature.notation`, `sbom.harbor`, `subject.accessory`.
    pub kind: String,
}

impl RunningHarbor {
    /// Returns the host as it stands in a reference: `127.0.0.1:41234`.
    pub fn host(&self) -> String {
        self.running.host()
    }

    /// Returns the administrator's name.
    pub const fn user(&self) -> &'static str {
        "admin"
    }

    /// Returns the administrator's password.
    pub const fn password(&self) -> &'static str {
        "Harbor12345"
    }

    /// Returns what it was asked so far; calls of the REST API count as `other`.
    pub fn counters(&self) -> Counters {
        self.running.counters()
    }

    /// Lets other things go wrong from now on.
    pub fn set_faults(&self, faults: &Faults) {
        self.running.set_faults(faults);
    }

    /// Returns how often each rule of the present faults acted.
    pub fn faults_fired(&self) -> Vec<u64> {
        self.running.faults_fired()
    }

    /// Keeps every request with its answer from now on.
    pub fn record(&self) {
        self.running.record();
    }

    /// Returns the requests since [`RunningHarbor::record`].
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.running.exchanges()
    }

    /// Stops.
    pub fn stop(self) {
        drop(self);
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut lock(&self.harbor.state))
    }

    fn change_project<T>(&self, project: &str, change: impl FnOnce(&mut state::Project) -> T) -> T {
        self.change(|state| change(state.projects.get_mut(project).expect("the project exists")))
    }

    /// Creates a private project without a limit.
    pub fn create_project(&self, name: &str) {
        let metadata = BTreeMap::from([("public".to_owned(), "false".to_owned())]);
        self.change(|state| state.add_project(name, metadata, -1, false));
    }

    /// Creates a proxy cache, into which nothing can be pushed.
    pub fn create_proxy_project(&self, name: &str) {
        self.change(|state| state.add_project(name, BTreeMap::new(), -1, true));
    }

    /// Deletes a project with everything in it.
    pub fn delete_project(&self, name: &str) {
        self.change(|state| state.projects.remove(name));
    }

    /// Limits a project to `bytes`; `None` takes the limit away.
    pub fn set_quota(&self, project: &str, bytes: Option<u64>) {
        let hard = bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap());
        self.change_project(project, |row| row.hard = hard);
    }

    /// Returns the bytes that a project's quota counts as used.
    pub fn used(&self, project: &str) -> u64 {
        self.change_project(project, |row| row.used)
    }

    /// Sets a metadata key of a project: `prevent_vul`, `severity`, `enable_content_trust_cosign`, `public`, ….
    pub fn set_metadata(&self, project: &str, key: &str, value: &str) {
        self.change_project(project, |row| row.metadata.insert(key.to_owned(), value.to_owned()));
    }

    /// Makes tags immutable, by patterns as Harbor's rules have them (`**`, `v*`).
    pub fn add_immutable_rule(&self, project: &str, repositories: &str, tags: &str) {
        let rule = ImmutableRule { repositories: repositories.to_owned(), tags: tags.to_owned() };
        self.change_project(project, |row| row.immutable.push(rule));
    }

    /// Creates a robot of a project with the given rights (`repository:push`) and returns its name and secret.
    pub fn add_robot(&self, project: &str, name: &str, rights: &[&str]) -> (String, String) {
        let login = format!("robot${project}+{name}");
        self.add_account(&login, &format!("/project/{project}"), rights, true)
    }

    /// Creates a robot of the system with the given rights in all projects, and `system` rights beyond.
    pub fn add_system_robot(&self, name: &str, rights: &[&str], system: &[&str]) -> (String, String) {
        let (login, secret) = self.add_account(&format!("robot${name}"), "/project/*", rights, true);
        let more: Vec<state::Access> = system.iter().map(|right| access("/system", right)).collect();
        self.change(|state| state.accounts.last_mut().unwrap().access.extend(more));
        (login, secret)
    }

    /// Creates a user with the given rights in one project.
    pub fn add_user(&self, login: &str, project: &str, rights: &[&str]) -> (String, String) {
        self.add_account(login, &format!("/project/{project}"), rights, false)
    }

    fn add_account(&self, login: &str, scope: &str, rights: &[&str], robot: bool) -> (String, String) {
        let secret = format!("Secret-{}", Digest::of(login.as_bytes()).short());
        let access = rights.iter().map(|right| access(scope, right)).collect();
        let account =
            Account { login: login.to_owned(), secret: secret.clone(), admin: false, robot, disabled: false, access };
        self.change(|state| state.accounts.push(account));
        (login.to_owned(), secret)
    }

    /// Makes an account's credentials worthless, or good again.
    pub fn disable_account(&self, login: &str, disabled: bool) {
        self.change(|state| {
            for account in state.accounts.iter_mut().filter(|account| account.login == login) {
                account.disabled = disabled;
            }
        });
    }

    /// Turns read-only mode on or off.
    pub fn set_read_only(&self, read_only: bool) {
        self.change(|state| state.read_only = read_only);
    }

    /// Connects or disconnects the scanner.
    pub fn set_scanner(&self, there: bool) {
        self.change(|state| state.scanner = there);
    }

    /// Gives an artifact the report of a scan: its status (`Success`, `Error`, …) and the worst severity.
    pub fn set_scan(&self, repository: &str, reference: &Reference, status: &str, severity: &str) {
        let (project, repository) = repository.split_once('/').expect("project/repository");
        let scan = Scan { status: status.to_owned(), severity: severity.to_owned() };
        self.change_project(project, |row| {
            let repo = row.repositories.get_mut(repository).expect("the repository exists");
            let digest = repo.find(reference).expect("the artifact exists").descriptor.digest.clone();
            repo.artifacts.get_mut(&digest).unwrap().scan = Some(scan);
        });
    }

    /// Moves time on.
    pub fn advance(&self, seconds: u64) {
        self.change(|state| state.now += seconds);
    }

    /// Lets the garbage collector mark a blob: for two hours it cannot be seen or pushed.
    pub fn mark_deleting(&self, digest: &Digest) {
        self.change(|state| {
            let now = state.now;
            if let Some(row) = state.blobs.get_mut(digest) {
                row.deleting = Some(now);
            }
        });
    }

    /// Runs the garbage collector and returns the blobs that went. With `untagged` it first deletes artifacts
    /// without a tag that are neither children of an index nor accessories.
    pub fn collect_garbage(&self, untagged: bool) -> Vec<Digest> {
        self.harbor.collect_garbage(untagged)
    }

    /// Returns the names of all projects, sorted.
    pub fn projects(&self) -> Vec<String> {
        self.change(|state| state.projects.keys().cloned().collect())
    }

    /// Returns the artifacts of a project, accessories included, sorted.
    pub fn artifacts(&self, project: &str) -> Vec<HarborArtifact> {
        self.change_project(project, |row| {
            let mut found = Vec::new();
            for (name, repo) in &row.repositories {
                found.extend(repo.artifacts.values().map(|artifact| HarborArtifact {
                    repository: format!("{project}/{name}"),
                    digest: artifact.descriptor.digest.clone(),
                    media_type: artifact.descriptor.media_type.to_string(),
                    tags: repo.tags_of(&artifact.descriptor.digest),
                }));
            }
            found.sort();
            found
        })
    }

    /// Returns the accessories of a project, sorted.
    pub fn accessories(&self, project: &str) -> Vec<HarborAccessory> {
        self.change_project(project, |row| {
            let mut found = Vec::new();
            for (name, repo) in &row.repositories {
                found.extend(repo.accessories.iter().map(|accessory| HarborAccessory {
                    repository: format!("{project}/{name}"),
                    subject: accessory.subject.clone(),
                    digest: accessory.shown.digest.clone(),
                    kind: accessory.kind.to_owned(),
                }));
            }
            found.sort();
            found
        })
    }

    /// Returns the blobs that a project's quota counts, sorted.
    pub fn blobs(&self, project: &str) -> Vec<Digest> {
        self.change_project(project, |row| row.blobs.iter().cloned().collect())
    }
}

fn access(scope: &str, right: &str) -> state::Access {
    let (resource, action) = right.split_once(':').expect("resource:action");
    (scope.to_owned(), resource.to_owned(), action.to_owned())
}
