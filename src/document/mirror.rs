//! The mirror file: what somebody wants mirrored (`mirror.yaml`, `kind: Mirror`).
//!
//! ```yaml
//! apiVersion: airlift/v1alpha1
//! kind: Mirror
//! images:                                   # container images, in one of three forms
//!   - docker.io/library/nginx:1.27.3
//!   - { ref: "ghcr.io/example/kiosk:1.2", platforms: { only: linux/amd64, digest: single } }
//!   - { repository: quay.io/example/press, tags: ["2.*", "1.9.4"], semver: ">=2.1", newest: 3 }
//!                                           # further: regex, since, except, newest: { count: 2, per: minor }
//!   - { list: images.txt }                  # one reference a line, # begins a comment
//! charts: [ "ghcr.io/example/charts/press:2.0.1" ]      # the same forms, for Helm charts, and more: `mirror/charts.rs`
//! artifacts:                                # the same forms, for anything else in a registry, and files by their address
//!   - ghcr.io/aquasecurity/trivy-db:2
//!   - { file: "https://get.example/tool/v1.2.3/tool.tar.gz", sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 }
//! blueprints:
//!   - catalogue: ./openova                  # folder with blueprint.yaml files, or one file of them
//!     artifact: "ghcr.io/openova-io/{chart}:{version}"
//!     roots: [ bp-kiosk, { blueprint: bp-paperboy, version: ^1.2 } ]
//!     all: listed                           # true: every Blueprint; listed: those with visibility listed
//!     conditional: include                  # or exclude: dependencies with a `when`
//!     values: [ { blueprint: bp-kiosk, values: [kiosk.yaml] } ]     # how the cluster uses their charts
//! kubernetes: [ ./deploy, "apps/**/*.yaml" ]            # files, folders, patterns
//! kustomize: [ ./overlays/site ]            # folders that Kustomize would build
//! flux: [ ./clusters/_template/bootstrap-kit ]          # folders of HelmReleases; see `mirror::flux` for more
//! imageFields: [ { group: press.example, kind: Kiosk, path: "spec.stands[*].picture" } ]
//! extraImages: [ { ref: "ghcr.io/example/runner:1.0", for: bp-kiosk } ]
//! platforms:                                # `all`, or platforms to keep
//!   only: [linux/amd64, linux/arm64]
//!   digest: rewrite                         # single: the one platform's own manifest; rewrite: a smaller index
//!   exceptions: [ { match: "ghcr.io/example/broken", only: linux/amd64, digest: single } ]
//! destinations:                             # first rule that fits; without one the path stays as it is
//!   - { match: "ghcr.io/openova-io/**", project: openova-io, strip: openova-io }
//!   - { host: ghcr.io, project: proxy-ghcr }
//! substitute: [ { from: docker.io/press/old, to: docker.io/presslegacy/old } ]
//! ignore: [ { ref: ubuntu-99.04, reason: name of a VM image } ]
//! rendering: { kubernetes: v1.34.1, apiVersions: [monitoring.coreos.com/v1] }
//! decisions: [ { accept: "ghcr.io/example/runner:1.0", chart: kiosk }, { reject: debian, reason: name of a VM image } ]
//! ```
//!
//! A pattern (`match`) is about `host/path` of a normalised name: `*` stays inside one part, `**` crosses parts.
//! Tags are texts: `1.10` and `no` need no quotes. Paths are relative to the folder of the mirror file.

mod catalogue;
mod charts;
mod flux;
mod image_fields;
mod made;
mod read;
mod selection;

pub use catalogue::{CatalogueAt, GitSource, Graph, RegistrySource};
pub use charts::{Answer, BlueprintUse, ChartSource, ChartUse, ChartWish, Decision, Layer, Rendering, ValueSetSource};
pub use flux::{FluxSource, SourceFolder};
pub use image_fields::ImageField;
pub use made::{derived_chart, derived_file};
pub use selection::{Newest, Per, TagWish};

use super::form::Clerk;
use super::lock::SubsetDigest;
use super::made::MadeWish;
use super::yaml::{self, Node};
use super::{Envelope, PaperError};
use crate::model::{ImageRef, Platform, Repository};

/// Kind of the paper.
pub const KIND: &str = "Mirror";

/// JSON Schema of the paper, for editors. What it cannot say, [`MirrorManifest::read`] checks.
pub const SCHEMA: &str = include_str!("mirror.schema.json");

/// Mirror file: `kind: Mirror`.
#[derive(Debug, Clone, PartialEq)]
pub struct MirrorManifest {
    /// Opening.
    pub envelope: Envelope,
    /// Container images.
    pub images: Vec<Source>,
    /// Helm charts.
    pub charts: Vec<ChartSource>,
    /// Anything else in registries.
    pub artifacts: Vec<Source>,
    /// Blueprints with what they depend on.
    pub blueprints: Vec<BlueprintSource>,
    /// Files, folders and patterns of Kubernetes YAML.
    pub kubernetes: Vec<PathSource>,
    /// Folders that Kustomize would build.
    pub kustomize: Vec<PathSource>,
    /// Folders of Flux objects.
    pub flux: Vec<FluxSource>,
    /// Fields of custom objects that name images, beyond those that are known.
    pub image_fields: Vec<ImageField>,
    /// Images that no file shows.
    pub extra_images: Vec<ExtraImage>,
    /// Which platforms are kept.
    pub platforms: Platforms,
    /// Where things go; the first rule that fits.
    pub destinations: Vec<DestinationRule>,
    /// Names that are replaced.
    pub substitute: Vec<Substitution>,
    /// Names that are left out.
    pub ignore: Vec<IgnoreRule>,
    /// How charts are rendered.
    pub rendering: Rendering,
    /// What was decided about what may be an image.
    pub decisions: Vec<Decision>,
}

/// One entry of `images`, `charts` or `artifacts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Line of the mirror file.
    pub line: usize,
    /// What is wanted.
    pub wish: Wish,
    /// Platforms, where this entry decides for itself.
    pub platforms: Option<PlatformRule>,
}

/// What an entry wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// One artifact.
    Reference(ImageRef),
    /// Tags of one repository.
    Tags {
        /// Where.
        repository: Repository,
        /// Which.
        tags: TagWish,
    },
    /// What a file of references names; the path as typed.
    List(String),
    /// An artifact that is made out of a file.
    Made {
        /// Its name: host, repository and tag.
        source: ImageRef,
        /// What it is made of.
        made: MadeWish,
    },
}

/// One entry of `blueprints`.
#[derive(Debug, Clone, PartialEq)]
pub struct BlueprintSource {
    /// Line of the mirror file.
    pub line: usize,
    /// Where its Blueprints stand.
    pub catalogue: CatalogueAt,
    /// Reference of a Blueprint's chart, with `{chart}` and `{version}`.
    pub artifact: String,
    /// Blueprints that are wanted.
    pub roots: Vec<Root>,
    /// Which Blueprints are wanted beside the roots.
    pub all: All,
    /// Of all: patterns of names, one of which must fit; none: every name.
    pub include: Vec<String>,
    /// Of all: patterns of names that are not wanted for themselves.
    pub exclude: Vec<String>,
    /// By which edges they need each other; absent: not said, by `depends`.
    pub graph: Option<Graph>,
    /// Whether dependencies with a condition are left out.
    pub exclude_conditional: bool,
    /// How the cluster uses their charts.
    pub uses: Vec<BlueprintUse>,
    /// Whether their charts are looked into.
    pub images: bool,
}

/// Blueprint that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Line of the mirror file.
    pub line: usize,
    /// Name, with or without `bp-`.
    pub blueprint: String,
    /// Range of versions, as typed; absent: any.
    pub version: Option<String>,
}

/// Which Blueprints of a catalogue are wanted beside the roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum All {
    /// None.
    #[default]
    None,
    /// Those whose visibility is `listed`.
    Listed,
    /// Every one.
    Every,
}

/// Path, or pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathSource {
    /// Line of the mirror file.
    pub line: usize,
    /// Path as typed.
    pub path: String,
}

/// Image that no file shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraImage {
    /// Line of the mirror file.
    pub line: usize,
    /// The image.
    pub reference: ImageRef,
    /// Who needs it.
    pub needed_by: Option<String>,
}

/// What is kept of an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum PlatformRule {
    /// Everything, byte for byte.
    #[default]
    All,
    /// Some platforms; the digest changes.
    Only {
        /// Platforms kept.
        platforms: Vec<Platform>,
        /// What becomes of the digest.
        digest: SubsetDigest,
    },
}

/// Platforms of all images, with exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Platforms {
    /// What holds where no exception fits.
    pub default: PlatformRule,
    /// Exceptions; the first that fits.
    pub exceptions: Vec<PlatformException>,
}

/// Exception for some images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformException {
    /// Line of the mirror file.
    pub line: usize,
    /// Pattern of `host/path`.
    pub pattern: String,
    /// What holds there.
    pub rule: PlatformRule,
}

/// Which names a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of a host.
    Host(String),
    /// Names whose `host/path` fits a pattern.
    Pattern(String),
}

/// Where some artifacts go: `project/prefix/<path without strip>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DestinationRule {
    /// Line of the mirror file.
    pub line: usize,
    /// What the rule is about.
    pub scope: Scope,
    /// First part of the new path: in Harbor, the project.
    pub project: Option<String>,
    /// Parts behind the project.
    pub prefix: Option<String>,
    /// Leading parts that are taken off the source's path.
    pub strip: Option<String>,
}

/// Name that is replaced, with all that is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substitution {
    /// Line of the mirror file.
    pub line: usize,
    /// `host` or `host/path`, normalised.
    pub from: String,
    /// `host` or `host/path`, normalised.
    pub to: String,
}

/// Names that are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreRule {
    /// Line of the mirror file.
    pub line: usize,
    /// Which.
    pub what: Ignored,
    /// Why.
    pub reason: String,
}

/// What an ignore rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ignored {
    /// A name as it is written where it was found, or normalised.
    Text(String),
    /// Names whose `host/path` fits a pattern.
    Pattern(String),
}

impl Default for MirrorManifest {
    fn default() -> Self {
        Self {
            envelope: Envelope::new(KIND),
            images: Vec::new(),
            charts: Vec::new(),
            artifacts: Vec::new(),
            blueprints: Vec::new(),
            kubernetes: Vec::new(),
            kustomize: Vec::new(),
            flux: Vec::new(),
            image_fields: Vec::new(),
            extra_images: Vec::new(),
            platforms: Platforms::default(),
            destinations: Vec::new(),
            substitute: Vec::new(),
            ignore: Vec::new(),
            rendering: Rendering::default(),
            decisions: Vec::new(),
        }
    }
}

impl MirrorManifest {
    /// Makes the paper of a one-off: `images`, everything else at its default.
    pub fn of_images(images: impl IntoIterator<Item = ImageRef>) -> Self {
        let source = |reference| Source { line: 1, wish: Wish::Reference(reference), platforms: None };
        Self { images: images.into_iter().map(source).collect(), ..Self::default() }
    }

    /// Reads the mirror file that a person calls `place`. All mistakes are named, not the first only.
    pub fn read(bytes: &[u8], place: &str) -> Result<Self, PaperError> {
        let text = yaml::decode(bytes, place)?;
        let node = yaml::document(text, place)?;
        let opening = |key| node.get(key).and_then(Node::text).unwrap_or_default().to_owned();
        let envelope = Envelope { api_version: opening("apiVersion"), kind: opening("kind") };
        envelope.expect(place, KIND)?;
        let clerk = Clerk::new(place).reading(text);
        let read = clerk.form(&node, read::FIELDS).map(|form| read::mirror(envelope, &clerk, &form));
        if clerk.is_content() && read.as_ref().is_some_and(Self::wants_nothing) {
            clerk.note(&node, "nothing is wanted: no images, charts, artifacts, blueprints, kubernetes, kustomize, flux or extraImages");
        }
        clerk.finish(read.unwrap_or_default())
    }

    const fn wants_nothing(&self) -> bool {
        self.images.is_empty()
            && self.charts.is_empty()
            && self.artifacts.is_empty()
            && self.blueprints.is_empty()
            && self.kubernetes.is_empty()
            && self.kustomize.is_empty()
            && self.flux.is_empty()
            && self.extra_images.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::charts::{BLUEPRINT_USE, CHART, DECISION, RENDERING, VALUE_SET};
    use super::read::*;
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<MirrorManifest, String> {
        let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\n{body}\n");
        MirrorManifest::read(text.as_bytes(), "mirror.yaml").map_err(|e| e.to_string())
    }

    fn good(body: &str) -> MirrorManifest {
        read(body).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn the_example_in_the_module_documentation_is_read() {
        let source = include_str!("mirror.rs");
        let lines = source.lines().skip_while(|l| *l != "//! ```yaml").skip(1).take_while(|l| *l != "//! ```");
        let text: String = lines.map(|l| format!("{}\n", l.trim_start_matches("//! "))).collect();
        let mirror = MirrorManifest::read(text.as_bytes(), "doc").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((mirror.images.len(), mirror.blueprints[0].roots.len(), mirror.destinations.len()), (4, 2, 2));
        let Wish::Tags { tags, .. } = &mirror.images[2].wish else { panic!() };
        assert_eq!((tags.names[0].as_str(), tags.patterns.len(), tags.newest.map(|n| n.count)), ("1.9.4", 1, Some(3)));
        assert_eq!(mirror.blueprints[0].all, All::Listed);
        let press = Wish::Reference("ghcr.io/example/charts/press:2.0.1".parse().unwrap());
        assert_eq!(mirror.charts[0].wish, ChartWish::Artifact(press));
    }

    #[test]
    fn the_schema_knows_the_same_fields() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let fields = |node: &serde_json::Value| {
            assert_eq!(node["additionalProperties"], false);
            node["properties"].as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>()
        };
        let known = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(fields(&schema), known(FIELDS));
        for (name, names) in [
            ("imageSource", IMAGE),
            ("artifactSource", ARTIFACT),
            ("newest", super::selection::NEWEST),
            ("file", super::made::FILE),
            ("chartFile", super::charts::CHART_FILE),
            ("blueprints", BLUEPRINTS),
            ("root", ROOT),
            ("extraImageOf", EXTRA_IMAGE),
            ("platforms", PLATFORMS),
            ("exception", EXCEPTION),
            ("platformRule", PLATFORM_RULE),
            ("destination", DESTINATION),
            ("substitution", SUBSTITUTION),
            ("ignore", IGNORE),
            ("chartSource", CHART),
            ("blueprintUse", BLUEPRINT_USE),
            ("valueSet", VALUE_SET),
            ("rendering", RENDERING),
            ("decision", DECISION),
            ("gitCatalogue", catalogue::GIT),
            ("fluxOf", flux::FLUX),
            ("fluxSource", flux::SOURCE),
            ("imageField", image_fields::IMAGE_FIELD),
        ] {
            assert_eq!(fields(&schema["$defs"][name]), known(names), "{name}");
        }
    }

    #[test]
    fn tags_keep_their_spelling() {
        let mirror = good("images:\n- {repository: nginx, tags: [1.10, no, 007, 1e3]}");
        let Wish::Tags { repository, tags } = &mirror.images[0].wish else { panic!() };
        assert_eq!(repository.to_string(), "docker.io/library/nginx");
        assert_eq!(tags.names.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["1.10", "no", "007", "1e3"]);
    }

    #[test]
    fn unknown_fields_are_refused_at_every_level_with_place_and_nearest_name() {
        for (body, said) in [
            ("imgaes: [x]\nimages: [x]", "mirror.yaml:3:1: unknown field \"imgaes\"; did you mean \"images\"?"),
            ("images: [{repositroy: x, tags: y}]", "3:11: unknown field \"repositroy\"; did you mean \"repository\"?"),
            ("charts: [{ref: x, platforms: all}]", "3:19: unknown field \"platforms\""),
            ("images: [x]\nplatforms: {onyl: linux/amd64}", "did you mean \"only\"?"),
            ("images: [x]\ndestinations: [{hots: x}]", "did you mean \"host\"?"),
            ("images: [x]\nignore: [{ref: x, reasons: y}]", "did you mean \"reason\"?"),
            ("blueprints: [{catalog: x}]", "did you mean \"catalogue\"?"),
            ("extraImages: [{reff: x}]", "did you mean \"ref\"?"),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.contains(said), "{body}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (body, said) in [
            ("", "nothing is wanted"),
            ("images: []", "nothing is wanted"),
            ("images: nginx", "expected a list, found a text"),
            ("images: [Nginx]", "lower case"),
            ("images: ['http://x/y']", "scheme"),
            ("images: [{}]", "exactly one of ref, repository and list"),
            ("images: [{ref: x, list: y}]", "exactly one of"),
            ("images: [{ref: x, newest: 2}]", "belong to a repository"),
            ("images: [{repository: x}]", "needs tags, regex, semver, newest or since"),
            ("images: [{repository: 'x:1', tags: y}]", "a repository has no tag"),
            ("images: [{repository: x, newest: 0}]", "at least 1"),
            ("images: [{repository: x, newest: many}]", "invalid digit"),
            ("images: [{repository: x, tags: ['-a']}]", "a tag begins"),
            ("images: [{ref: x, platforms: some}]", "none of: all"),
            ("images: [{ref: x, platforms: {digest: single}}]", "\"only\" is missing"),
            ("images: [x]\nplatforms: {only: linux/amd64}", "digest is missing"),
            ("images: [x]\nplatforms: {digest: single}", "only is missing"),
            ("images: [x]\nplatforms: {only: [linux/amd64, linux/arm64], digest: single}", "name one, or say rewrite"),
            ("images: [x]\nplatforms: {only: amd64, digest: single}", "os/architecture"),
            ("images: [x]\nplatforms: {only: [], digest: rewrite}", "os/architecture"),
            ("images: [x]\nplatforms: {only: linux/amd64, digest: both}", "none of: single, rewrite"),
            ("images: [x]\ndestinations: [{match: x, host: y, project: z}]", "exactly one of match and host"),
            ("images: [x]\ndestinations: [{host: y.example}]", "changes nothing"),
            ("images: [x]\ndestinations: [{host: y.example, project: a/b}]", "is one part"),
            ("images: [x]\ndestinations: [{host: y.example, project: ../b}]", "\"../b\""),
            ("images: [x]\ndestinations: [{host: 'y/z', project: b}]", "\"y/z\""),
            ("images: [x]\nsubstitute: [{from: x}]", "\"to\" is missing"),
            ("images: [x]\nsubstitute: [{from: 'x:1', to: y}]", "has no tag"),
            ("images: [x]\nignore: [{ref: x}]", "\"reason\" is missing"),
            ("images: [x]\nignore: [{reason: x}]", "exactly one of ref and match"),
            ("blueprints: [{catalogue: x, artifact: 'h.example/{chart}', roots: [a]}]", "needs both"),
            ("blueprints: [{catalogue: x, artifact: 'H/{chart}:{version}{x}', roots: [a]}]", "no image reference"),
            ("blueprints: [{catalogue: x, artifact: 'h.example/{chart}:{version}'}]", "which Blueprints are wanted"),
            (
                "blueprints: [{catalogue: x, artifact: 'h.example/{chart}:{version}', all: some}]",
                "none of: true, listed",
            ),
            ("blueprints: [{artifact: 'h.example/{chart}:{version}', roots: [a]}]", "\"catalogue\" is missing"),
            ("images: [x]\nimages: [y]", "a second time"),
            ("images: [x]\n---\nimages: [y]", "second document"),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.contains(said), "{body}: {error}");
            assert!(error.contains("mirror.yaml:"), "{error}");
        }
    }

    #[test]
    fn all_mistakes_are_named_in_one_run() {
        let error = read("images: [A, b, {ref: C}]\nkubernetes: [[x]]\nwhat: 1").unwrap_err();
        assert!(error.starts_with("4 mistakes\n  mirror.yaml:3:10: "), "{error}");
        let list = format!("images:\n{}", "- NO\n".repeat(300));
        assert!(read(&list).unwrap_err().ends_with("and 200 more"));
    }

    #[test]
    fn other_papers_and_later_versions_have_their_own_errors() {
        let paper = |text: &str| MirrorManifest::read(text.as_bytes(), "m");
        assert!(matches!(paper("apiVersion: airlift/v1alpha1\nkind: Lock\n"), Err(PaperError::Kind { .. })));
        assert!(matches!(paper("apiVersion: airlift/v9\nkind: Mirror\nnew: 1\n"), Err(PaperError::Version { .. })));
        assert!(matches!(paper(""), Err(PaperError::Kind { .. })));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(body in "[-a-z:{}\\[\\], \\n'\"*]{0,80}") {
            let _ = read(&body);
            let _ = read(&format!("images: [{{repository: x, tags: [{body}]}}]"));
            let _ = read(&format!("platforms: {{{body}}}\nimages: [x]"));
        }
    }
}
