//! Harbor's tables: projects with quotas, artifacts with tags and accessories, blobs, accounts; and what the
//! rules say about them. Nothing here speaks HTTP.

use super::HarborVersion;
use crate::model::{Descriptor, Digest, ImageDocument, MediaType, Tag};
use globset::GlobBuilder;
use std::collections::{BTreeMap, BTreeSet};

/// Time after which an untouched blob may be collected, in seconds.
const GC_WINDOW: u64 = 2 * 3600;

/// What an account may do where: `("/project/apps", "repository", "push")`, `("/system", "quota", "list")`.
pub(super) type Access = (String, String, String);

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) login: String,
    pub(super) secret: String,
    pub(super) admin: bool,
    pub(super) robot: bool,
    pub(super) disabled: bool,
    pub(super) access: Vec<Access>,
}

impl Account {
    pub(super) fn may(&self, project: &str, resource: &str, action: &str) -> bool {
        let fits = |(scope, r, a): &Access| {
            let here = scope == "/project/*" || *scope == format!("/project/{project}");
            // Harbor grants a project robot that may push the right to pull.
            let implied = scope != "/project/*" && (r.as_str(), a.as_str(), action) == ("repository", "push", "pull");
            here && r == resource && (a == action || implied)
        };
        self.admin || self.access.iter().any(fits)
    }

    pub(super) fn may_system(&self, resource: &str, action: &str) -> bool {
        self.admin || self.access.iter().any(|(scope, r, a)| scope == "/system" && r == resource && a == action)
    }
}

/// Row of the blob table of the whole instance.
#[derive(Debug, Clone)]
pub(super) struct BlobRow {
    pub(super) size: u64,
    pub(super) touched: u64,
    /// Being deleted by the garbage collector, since when.
    pub(super) deleting: Option<u64>,
}

#[derive(Debug, Clone)]
pub(super) struct Accessory {
    pub(super) subject: Digest,
    pub(super) shown: Descriptor,
    pub(super) kind: &'static str,
}

/// Report of a scan.
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) status: String,
    pub(super) severity: String,
}

#[derive(Debug, Clone)]
pub(super) struct Artifact {
    pub(super) id: u64,
    pub(super) descriptor: Descriptor,
    pub(super) document: ImageDocument,
    pub(super) scan: Option<Scan>,
}

impl Artifact {
    /// Blobs that this keeps alive, its own document included.
    pub(super) fn blobs(&self) -> BTreeSet<Digest> {
        let own = std::iter::once(self.descriptor.digest.clone());
        own.chain(self.document.children().into_iter().map(|child| child.digest.clone())).collect()
    }

    pub(super) fn children(&self) -> Vec<Descriptor> {
        match &self.document {
            ImageDocument::Index(index) => index.manifests.clone(),
            ImageDocument::Image(_) => Vec::new(),
        }
    }

    /// Size as Harbor shows it: the document and everything it points to.
    pub(super) fn size(&self) -> u64 {
        self.descriptor.size + self.document.children().iter().map(|child| child.size).sum::<u64>()
    }

    /// Type of the configuration.
    pub(super) fn media_type(&self) -> String {
        match &self.document {
            ImageDocument::Image(image) => image.config.media_type.to_string(),
            ImageDocument::Index(index) => index.media_type.to_string(),
        }
    }

    /// Kind as Harbor names it.
    pub(super) fn kind(&self) -> String {
        match self.media_type().as_str() {
            MediaType::OCI_CONFIG | MediaType::DOCKER_CONFIG | MediaType::OCI_INDEX | MediaType::DOCKER_LIST => "IMAGE",
            MediaType::HELM_CONFIG => "CHART",
            _ => "UNKNOWN",
        }
        .to_owned()
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Repo {
    pub(super) id: u64,
    pub(super) artifacts: BTreeMap<Digest, Artifact>,
    pub(super) tags: BTreeMap<Tag, Digest>,
    pub(super) accessories: Vec<Accessory>,
}

impl Repo {
    pub(super) fn find(&self, reference: &crate::model::Reference) -> Option<&Artifact> {
        let digest = match reference {
            crate::model::Reference::Digest(digest) => digest,
            crate::model::Reference::Tag(tag) => self.tags.get(tag)?,
        };
        self.artifacts.get(digest)
    }

    pub(super) fn tags_of(&self, digest: &Digest) -> Vec<String> {
        self.tags.iter().filter(|(_, named)| *named == digest).map(|(tag, _)| tag.to_string()).collect()
    }

    fn is_child(&self, digest: &Digest) -> bool {
        self.artifacts.values().any(|artifact| artifact.children().iter().any(|child| child.digest == *digest))
    }

    /// Returns whether an artifact is a signature by its first accessory record.
    pub(super) fn is_signature(&self, digest: &Digest) -> bool {
        let own = self.accessories.iter().find(|accessory| accessory.shown.digest == *digest);
        own.is_some_and(|accessory| accessory.kind.starts_with("signature."))
    }

    pub(super) fn is_accessory(&self, digest: &Digest) -> bool {
        self.accessories.iter().any(|accessory| accessory.shown.digest == *digest)
    }
}

#[derive(Debug, Clone)]
pub(super) struct ImmutableRule {
    pub(super) repositories: String,
    pub(super) tags: String,
}

#[derive(Debug, Clone)]
pub(super) struct Project {
    pub(super) id: u64,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) proxy: bool,
    /// -1 for no limit.
    pub(super) hard: i64,
    pub(super) used: u64,
    pub(super) created: u64,
    pub(super) blobs: BTreeSet<Digest>,
    pub(super) repositories: BTreeMap<String, Repo>,
    pub(super) immutable: Vec<ImmutableRule>,
}

impl Project {
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.metadata.get(key).is_some_and(|value| value == "true")
    }

    /// Returns Harbor's sentence where `more` bytes do not fit.
    pub(super) fn refuses(&self, more: u64) -> Option<String> {
        let limit = u64::try_from(self.hard).ok()?;
        (self.used + more > limit).then(|| {
            format!(
                "adding {} of storage resource, which when updated to current usage of {} will exceed the configured upper limit of {}.",
                human(more),
                human(self.used + more),
                human(limit)
            )
        })
    }

    /// Returns whether an enabled rule covers a tag that exists.
    pub(super) fn is_immutable(&self, repository: &str, tag: &Tag) -> bool {
        let exists = self.repositories.get(repository).is_some_and(|repo| repo.tags.contains_key(tag));
        let covers =
            |rule: &ImmutableRule| is_like(&rule.repositories, repository) && is_like(&rule.tags, tag.as_str());
        exists && self.immutable.iter().any(covers)
    }
}

/// Returns bytes as Harbor's messages show them.
fn human(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

fn is_like(pattern: &str, text: &str) -> bool {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build().unwrap();
    glob.compile_matcher().is_match(text)
}

/// Everything that Harbor's database holds.
#[derive(Debug)]
pub(super) struct State {
    pub(super) version: HarborVersion,
    pub(super) projects: BTreeMap<String, Project>,
    pub(super) blobs: BTreeMap<Digest, BlobRow>,
    pub(super) accounts: Vec<Account>,
    pub(super) read_only: bool,
    pub(super) admin_only_creation: bool,
    /// Whether a scanner is there that can handle images.
    pub(super) scanner: bool,
    /// Seconds, moved by the test.
    pub(super) now: u64,
    pub(super) next_id: u64,
}

impl State {
    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn add_project(
        &mut self,
        name: &str,
        metadata: BTreeMap<String, String>,
        hard: i64,
        proxy: bool,
    ) -> u64 {
        let (id, created) = (self.id(), self.now);
        let project = Project {
            id,
            metadata,
            proxy,
            hard,
            used: 0,
            created,
            blobs: BTreeSet::new(),
            repositories: BTreeMap::new(),
            immutable: Vec::new(),
        };
        self.projects.insert(name.to_owned(), project);
        id
    }

    pub(super) fn repo(&self, project: &str, repository: &str) -> Option<&Repo> {
        self.projects.get(project)?.repositories.get(repository)
    }

    /// Takes quota for a blob that is new to the project: how much, or Harbor's sentence where it does not fit.
    pub(super) fn reserve(&mut self, project: &str, digest: &Digest, size: u64) -> Result<u64, String> {
        let Some(project) = self.projects.get_mut(project) else { return Ok(0) };
        let need = if project.blobs.contains(digest) { 0 } else { size };
        if need > 0
            && let Some(sentence) = project.refuses(need)
        {
            return Err(sentence);
        }
        project.used += need;
        Ok(need)
    }

    /// Returns whether a blob is being deleted; after two hours nobody waits for that any more.
    pub(super) fn is_deleting(&self, digest: &Digest) -> bool {
        let since = self.blobs.get(digest).and_then(|row| row.deleting);
        since.is_some_and(|since| self.now < since + GC_WINDOW)
    }

    /// Notes that a blob is there, and in the project.
    pub(super) fn note_blob(&mut self, project: &str, digest: &Digest, size: u64) {
        let touched = self.now;
        let row = self.blobs.entry(digest.clone()).or_insert(BlobRow { size, touched, deleting: None });
        (row.touched, row.deleting) = (touched, None);
        if let Some(project) = self.projects.get_mut(project) {
            project.blobs.insert(digest.clone());
        }
    }

    /// Returns what a document costs that is new to the project: itself and its blobs that are not there yet.
    pub(super) fn cost(&self, project: &str, descriptor: &Descriptor, document: &ImageDocument) -> u64 {
        let Some(project) = self.projects.get(project) else { return 0 };
        if project.blobs.contains(&descriptor.digest) {
            return 0;
        }
        let counted =
            |child: &&Descriptor| !child.media_type.is_non_distributable() && !project.blobs.contains(&child.digest);
        let children: BTreeMap<&Digest, u64> =
            document.children().into_iter().filter(counted).map(|child| (&child.digest, child.size)).collect();
        descriptor.size + if matches!(document, ImageDocument::Image(_)) { children.values().sum() } else { 0 }
    }

    /// Makes rows for a document that the engine took: artifact, tags, accessory.
    pub(super) fn note_document(
        &mut self,
        (project, repository): (&str, &str),
        descriptor: &Descriptor,
        document: &ImageDocument,
        tag: Option<&Tag>,
    ) {
        self.note_blob(project, &descriptor.digest, descriptor.size);
        if let ImageDocument::Image(image) = document {
            for child in std::iter::once(&image.config).chain(&image.layers) {
                if !child.media_type.is_non_distributable() {
                    self.note_blob(project, &child.digest, child.size);
                }
            }
        }
        let (artifact_id, repo_id) = (self.id(), self.id());
        let accessory = self.accessory(descriptor, document, tag);
        let Some(project) = self.projects.get_mut(project) else { return };
        let repo = project.repositories.entry(repository.to_owned()).or_insert(Repo { id: repo_id, ..Repo::default() });
        let row = Artifact { id: artifact_id, descriptor: descriptor.clone(), document: document.clone(), scan: None };
        repo.artifacts.entry(descriptor.digest.clone()).or_insert(row);
        if let Some(tag) = tag {
            repo.tags.insert(tag.clone(), descriptor.digest.clone());
        }
        let known = |a: &Accessory, b: &Accessory| a.subject == b.subject && a.shown.digest == b.shown.digest;
        if let Some(accessory) = accessory.filter(|new| !repo.accessories.iter().any(|old| known(old, new))) {
            repo.accessories.push(accessory);
        }
    }

    /// Returns the accessory that a document is, by its tag or its subject.
    fn accessory(&self, descriptor: &Descriptor, document: &ImageDocument, tag: Option<&Tag>) -> Option<Accessory> {
        let mut shown = descriptor.bare();
        shown.artifact_type = document.artifact_type().cloned();
        shown.annotations = document.annotations().clone();
        if let Some(subject) = document.subject() {
            let stated = shown.artifact_type.as_ref().map(MediaType::as_str).unwrap_or_default();
            let kind = self.version.accessory_kind(stated);
            return Some(Accessory { subject: subject.digest.clone(), shown, kind });
        }
        let hex = tag?.as_str().strip_prefix("sha256-")?.strip_suffix(".sig")?;
        let subject = format!("sha256:{hex}").parse().ok()?;
        let ImageDocument::Image(image) = document else { return None };
        let signs = image.layers.iter().any(|l| l.media_type.as_str() == MediaType::COSIGN_SIMPLE_SIGNING);
        signs.then_some(Accessory { subject, shown, kind: "signature.cosign" })
    }

    /// Deletes an artifact with its tags and accessories.
    pub(super) fn delete_artifact(&mut self, project: &str, repository: &str, digest: &Digest) {
        let Some(project) = self.projects.get_mut(project) else { return };
        let mut freed = BTreeSet::new();
        if let Some(repo) = project.repositories.get_mut(repository) {
            let mut open = vec![digest.clone()];
            while let Some(digest) = open.pop() {
                let Some(artifact) = repo.artifacts.remove(&digest) else { continue };
                freed.extend(artifact.blobs());
                repo.tags.retain(|_, named| *named != digest);
                open.extend(repo.accessories.iter().filter(|a| a.subject == digest).map(|a| a.shown.digest.clone()));
                repo.accessories.retain(|a| a.subject != digest && a.shown.digest != digest);
            }
        }
        let kept: BTreeSet<Digest> =
            project.repositories.values().flat_map(|repo| repo.artifacts.values()).flat_map(Artifact::blobs).collect();
        project.blobs.retain(|blob| kept.contains(blob) || !freed.contains(blob));
        // Harbor counts anew here, and so forgets what a refused mount had taken.
        project.used = project.blobs.iter().filter_map(|blob| self.blobs.get(blob)).map(|row| row.size).sum();
    }

    /// Returns why an artifact may not be deleted: status, code, message.
    pub(super) fn forbids_deletion(
        &self,
        project: &str,
        repository: &str,
        digest: &Digest,
    ) -> Option<(u16, &'static str, String)> {
        let repo = self.repo(project, repository)?;
        if repo.is_child(digest) {
            let why = format!("artifact {digest} is referenced by an index");
            return Some((412, "VIOLATE_FOREIGN_KEY_CONSTRAINT", why));
        }
        let immutable = |tag: &&Tag| self.projects[project].is_immutable(repository, tag);
        let tag = repo.tags.iter().filter(|(_, named)| *named == digest).map(|(tag, _)| tag).find(immutable)?;
        Some((412, "PRECONDITION", immutable_sentence(repository, tag)))
    }

    /// Collects garbage: with `untagged` artifacts without a tag first, then blobs that nothing needs and nobody
    /// touched for two hours. Returns the blobs.
    pub(super) fn collect(&mut self, untagged: bool) -> Vec<Digest> {
        if untagged {
            for (project, repository, digest) in self.untagged() {
                self.delete_artifact(&project, &repository, &digest);
            }
        }
        let repos = || self.projects.values().flat_map(|project| project.repositories.values());
        let needed: BTreeSet<Digest> =
            repos().flat_map(|repo| repo.artifacts.values()).flat_map(Artifact::blobs).collect();
        let old = |row: &BlobRow| row.touched + GC_WINDOW < self.now;
        let dead: Vec<Digest> = self
            .blobs
            .iter()
            .filter(|(digest, row)| !needed.contains(*digest) && old(row))
            .map(|(d, _)| d.clone())
            .collect();
        for digest in &dead {
            self.blobs.remove(digest);
            for project in self.projects.values_mut() {
                project.blobs.remove(digest);
            }
        }
        dead
    }

    fn untagged(&self) -> Vec<(String, String, Digest)> {
        let mut found = Vec::new();
        for (project, row) in &self.projects {
            for (repository, repo) in &row.repositories {
                let spared = |d: &Digest| !repo.tags_of(d).is_empty() || repo.is_child(d) || repo.is_accessory(d);
                let dead = repo.artifacts.keys().filter(|digest| !spared(digest));
                found.extend(dead.map(|digest| (project.clone(), repository.clone(), digest.clone())));
            }
        }
        found
    }
}

/// Returns Harbor's sentence about an immutable tag; the repository stands in it without its project.
pub(super) fn immutable_sentence(repository: &str, tag: &Tag) -> String {
    format!("Failed to process request due to '{repository}:{tag}' configured as immutable.")
}

/// Returns the rank of a severity.
pub(super) fn rank(severity: &str) -> u32 {
    match severity.to_ascii_lowercase().as_str() {
        "" | "none" | "unknown" => 0,
        "negligible" => 1,
        "low" => 2,
        "medium" => 3,
        "high" => 4,
        "critical" => 5,
        _ => 99,
    }
}
