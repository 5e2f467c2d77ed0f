//! Reads the form of a mirror file: which fields there are, and what each may say.

use super::charts;
use super::made;
use super::selection::{CHOOSING, tag_wish};
use super::{
    All, BlueprintSource, CatalogueAt, DestinationRule, ExtraImage, IgnoreRule, Ignored, MirrorManifest, PathSource,
    PlatformException, PlatformRule, Platforms, Root, Scope, Source, Substitution, Wish, catalogue, flux, image_fields,
};
use crate::document::Envelope;
use crate::document::form::{Clerk, Form};
use crate::document::lock::SubsetDigest;
use crate::document::yaml::Node;
use crate::model::reference::check_host;
use crate::model::{ImageRef, Platform, Repository};

pub(super) const FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "images",
    "charts",
    "artifacts",
    "blueprints",
    "kubernetes",
    "kustomize",
    "flux",
    "imageFields",
    "extraImages",
    "platforms",
    "destinations",
    "substitute",
    "ignore",
    "rendering",
    "decisions",
];
pub(super) const IMAGE: &[&str] =
    &["ref", "repository", "tags", "regex", "semver", "newest", "since", "except", "list", "platforms"];
pub(super) const ARTIFACT: &[&str] =
    &["ref", "repository", "tags", "regex", "semver", "newest", "since", "except", "list"];
pub(super) const BLUEPRINTS: &[&str] =
    &["catalogue", "artifact", "roots", "all", "conditional", "values", "images", "include", "exclude", "graph"];
pub(super) const ROOT: &[&str] = &["blueprint", "version"];
pub(super) const EXTRA_IMAGE: &[&str] = &["ref", "for"];
pub(super) const PLATFORMS: &[&str] = &["only", "digest", "exceptions"];
pub(super) const EXCEPTION: &[&str] = &["match", "only", "digest"];
pub(super) const PLATFORM_RULE: &[&str] = &["only", "digest"];
pub(super) const DESTINATION: &[&str] = &["match", "host", "project", "prefix", "strip"];
pub(super) const SUBSTITUTION: &[&str] = &["from", "to"];
pub(super) const IGNORE: &[&str] = &["ref", "match", "reason"];

/// Reads the fields of the paper.
pub(super) fn mirror(envelope: Envelope, clerk: &Clerk<'_>, form: &Form<'_>) -> MirrorManifest {
    MirrorManifest {
        envelope,
        images: clerk.list(form.get("images"), |node| source(clerk, node, IMAGE)),
        charts: clerk.list(form.get("charts"), |node| charts::chart(clerk, node)),
        artifacts: clerk.list(form.get("artifacts"), |node| match made::is_file(node) {
            true => made::file(clerk, node),
            false => source(clerk, node, ARTIFACT),
        }),
        blueprints: clerk.list(form.get("blueprints"), |node| blueprints(clerk, node)),
        kubernetes: clerk.list(form.get("kubernetes"), |node| path(clerk, node)),
        kustomize: clerk.list(form.get("kustomize"), |node| path(clerk, node)),
        flux: clerk.list(form.get("flux"), |node| flux::read(clerk, node)),
        image_fields: clerk.list(form.get("imageFields"), |node| image_fields::read(clerk, node)),
        extra_images: clerk.list(form.get("extraImages"), |node| extra_image(clerk, node)),
        platforms: form.get("platforms").and_then(|node| platforms(clerk, node)).unwrap_or_default(),
        destinations: clerk.list(form.get("destinations"), |node| destination(clerk, node)),
        substitute: clerk.list(form.get("substitute"), |node| substitution(clerk, node)),
        ignore: clerk.list(form.get("ignore"), |node| ignore(clerk, node)),
        rendering: form.get("rendering").and_then(|node| charts::rendering(clerk, node)).unwrap_or_default(),
        decisions: clerk.list(form.get("decisions"), |node| charts::decision(clerk, node)),
    }
}

fn path(clerk: &Clerk<'_>, node: &Node) -> Option<PathSource> {
    Some(PathSource { line: node.line, path: clerk.text(node)? })
}

/// Reads a reference; Helm's `oci://` in front of it is allowed.
pub(super) fn reference(clerk: &Clerk<'_>, node: &Node) -> Option<ImageRef> {
    let text = clerk.text(node)?;
    match text.strip_prefix("oci://").unwrap_or(&text).parse() {
        Ok(reference) => Some(reference),
        Err(error) => {
            clerk.note(node, format!("{error}"));
            None
        }
    }
}

fn source(clerk: &Clerk<'_>, node: &Node, known: &[&str]) -> Option<Source> {
    if node.text().is_some() {
        let wish = Wish::Reference(reference(clerk, node)?);
        return Some(Source { line: node.line, wish, platforms: None });
    }
    let form = clerk.form(node, known)?;
    fields(clerk, node, &form)
}

/// Reads an entry in its long form.
pub(super) fn fields(clerk: &Clerk<'_>, node: &Node, form: &Form<'_>) -> Option<Source> {
    let platforms = form.get("platforms").map(|node| platform_rule(clerk, node));
    let forms = ["ref", "repository", "list"].map(|name| form.get(name));
    let chosen = CHOOSING.into_iter().find_map(|name| form.get(name));
    let wish = match (forms, chosen) {
        ([Some(one), None, None], None) => Wish::Reference(reference(clerk, one)?),
        ([None, None, Some(path)], None) => Wish::List(clerk.text(path)?),
        ([None, Some(name), None], _) => {
            Wish::Tags { repository: repository(clerk, name)?, tags: tag_wish(clerk, node, form)? }
        }
        ([Some(_), None, None] | [None, None, Some(_)], Some(field)) => {
            clerk.note(field, "fields that choose among tags belong to a repository");
            return None;
        }
        _ => {
            clerk.note(node, "exactly one of ref, repository and list is expected");
            return None;
        }
    };
    Some(Source { line: node.line, wish, platforms: platforms.flatten() })
}

fn repository(clerk: &Clerk<'_>, node: &Node) -> Option<Repository> {
    let name = reference(clerk, node)?;
    if name.tag.is_some() || name.digest.is_some() {
        clerk.note(node, "a repository has no tag and no digest; use ref for one artifact");
        return None;
    }
    Some(name.repository)
}

fn blueprints(clerk: &Clerk<'_>, node: &Node) -> Option<BlueprintSource> {
    let form = clerk.form(node, BLUEPRINTS)?;
    let catalogue = form.need("catalogue").and_then(|node| catalogue::read(clerk, node));
    let artifact = artifact(clerk, node, &form, catalogue.as_ref());
    let all = match form.get("all") {
        Some(node) => clerk.word(node, &[("true", All::Every), ("listed", All::Listed), ("false", All::None)])?,
        None => All::None,
    };
    if let (Some(CatalogueAt::Registry(_)), Some(field), true) = (&catalogue, form.get("all"), all != All::None) {
        clerk.note(field, "a registry does not say which Blueprints it has: name those that are wanted under roots");
    }
    let roots = clerk.list(form.get("roots"), |node| root(clerk, node));
    if form.get("roots").is_none() && all == All::None {
        clerk.note(node, "roots or all is expected: which Blueprints are wanted?");
    }
    if let (All::None, Some(field)) = (all, form.get("include").or_else(|| form.get("exclude"))) {
        clerk.note(field, "include and exclude choose among all: say all: true or all: listed");
    }
    let graph = match form.get("graph") {
        Some(node) => Some(catalogue::graph(clerk, node)?),
        None => None,
    };
    let conditional = form.get("conditional");
    let exclude = conditional.map(|node| clerk.word(node, &[("include", false), ("exclude", true)]));
    Some(BlueprintSource {
        line: node.line,
        catalogue: catalogue?,
        artifact: artifact?,
        roots,
        all,
        include: clerk.texts(form.get("include")),
        exclude: clerk.texts(form.get("exclude")),
        graph,
        exclude_conditional: exclude.unwrap_or(Some(false))?,
        uses: clerk.list(form.get("values"), |node| charts::blueprint_use(clerk, node)),
        images: form.get("images").map_or(Some(true), |node| charts::truth(clerk, node))?,
    })
}

/// Reads where the charts of a catalogue stand; a registry of charts says it by itself.
fn artifact(clerk: &Clerk<'_>, node: &Node, form: &Form<'_>, catalogue: Option<&CatalogueAt>) -> Option<String> {
    let Some(CatalogueAt::Registry(registry)) = catalogue else {
        let template = form.need_text("artifact")?;
        check_template(clerk, node, &template);
        return Some(template);
    };
    if let Some(field) = form.get("artifact") {
        clerk.note(field, format!("leave it out: the charts stand where the catalogue is, {}", registry.artifact()));
    }
    Some(registry.artifact())
}

fn check_template(clerk: &Clerk<'_>, node: &Node, template: &str) {
    let sample = template.replace("{chart}", "c").replace("{version}", "1.0.0");
    let sample = sample.strip_prefix("oci://").unwrap_or(&sample);
    if !template.contains("{chart}") || !template.contains("{version}") {
        clerk.note(node, format!("artifact {template:?} needs both {{chart}} and {{version}}"));
    } else if let Err(error) = sample.parse::<ImageRef>() {
        clerk.note(node, format!("artifact {template:?}: {error}"));
    }
}

fn root(clerk: &Clerk<'_>, node: &Node) -> Option<Root> {
    if node.text().is_some() {
        return Some(Root { line: node.line, blueprint: clerk.text(node)?, version: None });
    }
    let form = clerk.form(node, ROOT)?;
    Some(Root { line: node.line, blueprint: form.need_text("blueprint")?, version: form.text("version") })
}

fn extra_image(clerk: &Clerk<'_>, node: &Node) -> Option<ExtraImage> {
    if node.text().is_some() {
        return Some(ExtraImage { line: node.line, reference: reference(clerk, node)?, needed_by: None });
    }
    let form = clerk.form(node, EXTRA_IMAGE)?;
    let reference = form.need("ref").and_then(|node| reference(clerk, node));
    Some(ExtraImage { line: node.line, reference: reference?, needed_by: form.text("for") })
}

fn platforms(clerk: &Clerk<'_>, node: &Node) -> Option<Platforms> {
    if node.text().is_some() {
        return Some(Platforms { default: platform_rule(clerk, node)?, exceptions: Vec::new() });
    }
    let form = clerk.form(node, PLATFORMS)?;
    let default = platform_fields(clerk, node, &form)?;
    let exceptions = clerk.list(form.get("exceptions"), |node| {
        let form = clerk.form(node, EXCEPTION)?;
        let pattern = form.need_text("match");
        let rule = platform_fields(clerk, node, &form)?;
        Some(PlatformException { line: node.line, pattern: pattern?, rule })
    });
    Some(Platforms { default, exceptions })
}

/// Reads `all`, or a mapping of `only` and `digest`.
fn platform_rule(clerk: &Clerk<'_>, node: &Node) -> Option<PlatformRule> {
    if node.text().is_some() {
        return clerk.word(node, &[("all", ())]).map(|()| PlatformRule::All);
    }
    let form = clerk.form(node, PLATFORM_RULE)?;
    form.need("only")?;
    platform_fields(clerk, node, &form)
}

/// Reads `only` and `digest`; without `only` everything is kept.
fn platform_fields(clerk: &Clerk<'_>, node: &Node, form: &Form<'_>) -> Option<PlatformRule> {
    let Some(only) = form.get("only") else {
        if let Some(digest) = form.get("digest") {
            clerk.note(digest, "digest says what happens when platforms are left out; only is missing");
        }
        return Some(PlatformRule::All);
    };
    let texts = clerk.texts(Some(only));
    let mut platforms: Vec<Platform> = texts.iter().filter_map(|text| Platform::parse(text)).collect();
    if platforms.len() < texts.len() || platforms.is_empty() {
        clerk.note(only, "platforms are written os/architecture or os/architecture/variant: linux/amd64");
        return None;
    }
    platforms.sort();
    platforms.dedup();
    let Some(digest) = form.get("digest") else {
        let why = "digest is missing: an index that is cut down gets another digest; say single (the one platform's \
                   own manifest) or rewrite (a smaller index)";
        clerk.note(node, why);
        return None;
    };
    let digest = clerk.word(digest, &[("single", SubsetDigest::Single), ("rewrite", SubsetDigest::Rewrite)])?;
    if digest == SubsetDigest::Single && platforms.len() > 1 {
        clerk.note(only, "digest: single keeps one platform; name one, or say rewrite");
        return None;
    }
    Some(PlatformRule::Only { platforms, digest })
}

fn destination(clerk: &Clerk<'_>, node: &Node) -> Option<DestinationRule> {
    let form = clerk.form(node, DESTINATION)?;
    let scope = match (form.get("match"), form.get("host")) {
        (Some(pattern), None) => clerk.text(pattern).map(Scope::Pattern),
        (None, Some(host)) => {
            checked(clerk, host, |text| check_host(text).map_err(|(_, why)| why.to_owned())).map(Scope::Host)
        }
        _ => {
            clerk.note(node, "exactly one of match and host is expected");
            None
        }
    };
    let path = |name| form.get(name).map(|node| checked(clerk, node, check_path));
    let (project, prefix, strip) = (path("project"), path("prefix"), path("strip"));
    if let Some(Some(project)) = &project
        && project.contains('/')
    {
        clerk.note(node, format!("project {project:?} is one part; further parts are the prefix"));
    }
    if project.is_none() && prefix.is_none() && strip.is_none() {
        clerk.note(node, "the rule changes nothing: project, prefix or strip is expected");
    }
    Some(DestinationRule {
        line: node.line,
        scope: scope?,
        project: project.flatten(),
        prefix: prefix.flatten(),
        strip: strip.flatten(),
    })
}

fn checked(clerk: &Clerk<'_>, node: &Node, check: impl Fn(&str) -> Result<(), String>) -> Option<String> {
    let text = clerk.text(node)?;
    match check(&text) {
        Ok(()) => Some(text),
        Err(why) => {
            clerk.note(node, format!("{text:?}: {why}"));
            None
        }
    }
}

fn check_path(text: &str) -> Result<(), String> {
    Repository::new("h.example", text).map(drop).map_err(|error| error.why)
}

fn substitution(clerk: &Clerk<'_>, node: &Node) -> Option<Substitution> {
    let form = clerk.form(node, SUBSTITUTION)?;
    let [from, to] = ["from", "to"].map(|name| form.need(name).and_then(|node| place(clerk, node)));
    Some(Substitution { line: node.line, from: from?, to: to? })
}

/// Reads a host, or a host with a path, as written: `docker.io/press` is all of that organisation here, not the
/// official image `press`. A name without a host is a repository.
fn place(clerk: &Clerk<'_>, node: &Node) -> Option<String> {
    let check = |text: &str| match text.split_once('/') {
        Some((host, path)) => Repository::new(host, path).map(drop).map_err(|error| error.to_string()),
        None => check_host(text).map_err(|(_, why)| why.to_owned()),
    };
    match node.text() {
        Some(text) if begins_with_host(text) => checked(clerk, node, check),
        _ => repository(clerk, node).map(|repository| repository.to_string()),
    }
}

fn begins_with_host(text: &str) -> bool {
    let (first, more) = text.split_once('/').map_or((text, false), |(first, _)| (first, true));
    let name = first.rsplit_once(':').map_or(first, |(name, _)| name);
    name.contains('.') || name == "localhost" || (more && first.contains(':'))
}

fn ignore(clerk: &Clerk<'_>, node: &Node) -> Option<IgnoreRule> {
    let form = clerk.form(node, IGNORE)?;
    let what = match (form.text("ref"), form.text("match")) {
        (Some(text), None) => Some(Ignored::Text(text)),
        (None, Some(pattern)) => Some(Ignored::Pattern(pattern)),
        _ => {
            clerk.note(node, "exactly one of ref and match is expected");
            None
        }
    };
    let reason = form.need_text("reason");
    Some(IgnoreRule { line: node.line, what: what?, reason: reason? })
}
