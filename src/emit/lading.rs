//! The bill of lading: what a bundle holds, by whose word, and what could not be checked, as one page to read, print
//! and sign off. Nothing outside the page is loaded, and what a bundle says stands in it as text and nothing else.
//!
//! It states only what the head of the bundle and its signatures state; nothing is guessed.

use super::markup::Markup;
use crate::document::countersignature::{CountersignatureStatement, Mark, MarkRole, PolicyReference, ReportReference};
use crate::document::evidence::{ArtifactEvidence, Attached};
use crate::document::lock::{LockedArtifact, Role, SubsetDigest};
use crate::model::evidence::{CertificateFacts, EvidenceKind, Signer, TimeSource, VerifiedTime};
use crate::model::spoken::Spoken;
use crate::model::{Digest, Evidence, Verdict};
use std::collections::BTreeSet;

const STYLE: &str = include_str!("lading.css");

/// What the page is about.
#[derive(Debug, Clone)]
pub struct Lading<'a> {
    /// What the bundle is.
    pub bundle: &'a Digest,
    /// Who signed it, or why that is not accepted, or that it was not checked.
    pub authenticity: &'a str,
    /// Whether the signatures were checked and are accepted.
    pub authentic: bool,
    /// Each signature by itself.
    pub signatures: &'a [Mark],
    /// Volumes, in order; empty for a stream.
    pub volumes: Vec<VolumeLine>,
    /// Blobs in it.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What it leaves out, in words, where it is a delta.
    pub delta: Option<String>,
    /// Policy under which the author packed, where the bundle has it.
    pub policy: Option<&'a PolicyReference>,
    /// Artifacts, in the order of the lock.
    pub artifacts: Vec<Consignment<'a>>,
    /// Program that wrote the page.
    pub tool: &'a str,
}

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeLine {
    /// Number from 1.
    pub number: u32,
    /// Name of the file.
    pub file: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Checksum to be read aloud.
    pub checksum: String,
}

/// One artifact with what was found beside it.
#[derive(Debug, Clone, Copy)]
pub struct Consignment<'a> {
    /// What it is and where it goes.
    pub locked: &'a LockedArtifact,
    /// What was found beside it.
    pub evidence: &'a ArtifactEvidence,
    /// Bytes of its content, blobs shared with others counted each time.
    pub bytes: u64,
}

/// Writes the page.
pub fn page(lading: &Lading<'_>) -> String {
    let body = Markup::all([
        head(lading),
        volumes(&lading.volumes),
        signatures(lading.signatures),
        exemptions(&lading.artifacts),
        artifacts(&lading.artifacts),
        foot(lading),
    ]);
    Markup::page(format!("Bill of lading, bundle {}", lading.bundle.short()), STYLE, body)
}

fn text(words: impl std::fmt::Display) -> Markup {
    Markup::text(words)
}

fn code(words: impl std::fmt::Display) -> Markup {
    Markup::around("code", "", words)
}

fn section(title: &'static str, inside: impl IntoIterator<Item = Markup>) -> Markup {
    let title = Markup::around("h2", "", title);
    Markup::element("section", "", std::iter::once(title).chain(inside))
}

fn wide(table: Markup) -> Markup {
    Markup::element("div", "wide", [table])
}

/// Makes a list of facts; those without a value are left out.
fn facts(facts: Vec<(&'static str, Option<Markup>)>) -> Markup {
    let pair = |(name, value)| Markup::all([Markup::around("dt", "", name), Markup::element("dd", "", [value])]);
    let known = facts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Markup::element("dl", "facts", known.map(pair))
}

fn head(lading: &Lading<'_>) -> Markup {
    let good = lading.artifacts.iter().filter(|one| vouched(one.evidence)).count();
    let exempt = lading.artifacts.iter().filter(|one| one.evidence.exemption.is_some()).count();
    let artifacts = count(lading.artifacts.len() as u64, "artifact");
    let content = format!("{artifacts}, {}, {}", count(lading.blobs, "blob"), size(lading.bytes));
    let evidence = format!("{} with good evidence, {exempt} by exemption", count(good as u64, "artifact"));
    let state = if lading.authentic { "good" } else { "unknown" };
    let policy = lading.policy.map(|policy| Markup::all([text(format!("{}, ", policy.name)), code(&policy.digest)]));
    Markup::element(
        "header",
        "",
        [
            Markup::around("h1", "", "Bill of lading"),
            Markup::around("p", state, lading.authenticity),
            facts(vec![
                ("Bundle", Some(code(lading.bundle))),
                ("To read aloud", Some(Markup::around("code", "spoken", Spoken::of_digest(lading.bundle).to_string()))),
                ("Content", Some(text(content))),
                ("Delta", lading.delta.as_ref().map(text)),
                ("Evidence", Some(text(evidence))),
                ("Packed under", policy),
            ]),
        ],
    )
}

fn count(n: u64, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

/// Returns a size with a binary unit and one decimal, and the bytes themselves.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let step = ((63 - (bytes | 1).leading_zeros()) / 10).min(5);
    if step == 0 {
        return format!("{bytes} bytes");
    }
    let unit = 1_u64 << (10 * step);
    let (whole, tenth) = (bytes / unit, bytes % unit * 10 / unit);
    format!("{whole}.{tenth} {} ({bytes} bytes)", UNITS[step as usize])
}

fn volumes(volumes: &[VolumeLine]) -> Markup {
    if volumes.is_empty() {
        return section(
            "Volumes",
            [Markup::around("p", "quiet", "Read from a stream; its volumes were not looked at.")],
        );
    }
    let row = |volume: &VolumeLine| {
        vec![
            text(volume.number),
            code(&volume.file),
            text(size(volume.bytes)),
            Markup::around("code", "spoken", &volume.checksum),
        ]
    };
    let table = Markup::table("", &["No.", "File", "Size", "Checksum"], volumes.iter().map(row).collect());
    let note = "The checksum is the one that the volume states of itself, over the digests of all that it holds: \
                the receiving side finds the same with airlift inspect. Whether the content matches, airlift verify says.";
    section("Volumes", [wide(table), Markup::around("p", "quiet", note)])
}

fn signatures(marks: &[Mark]) -> Markup {
    if marks.is_empty() {
        return section("Signatures", [Markup::around("p", "unknown", "The bundle is not signed.")]);
    }
    let row = |mark: &Mark| {
        let role = match mark.role {
            MarkRole::Author => "author",
            MarkRole::Countersigner => "countersigner",
        };
        let who = mark.name.as_deref().unwrap_or("not known here");
        let who = Markup::all([text(who), text("\n"), code(&mark.key)]);
        let verdict = Markup::all([verdict(mark.verdict), text(format!(": {}", mark.reason))]);
        vec![text(role), who, verdict, mark.says.as_deref().map_or_else(Markup::default, says)]
    };
    let table = Markup::table("", &["Role", "Who", "Judgement", "What it says"], marks.iter().map(row).collect());
    section("Signatures", [wide(table)])
}

fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Good => Markup::around("span", "good", "good"),
        Verdict::Unknown => Markup::around("span", "unknown", "unknown"),
        Verdict::Bad => Markup::around("span", "bad", "bad"),
    }
}

fn says(says: &CountersignatureStatement) -> Markup {
    let checked = &says.checked;
    let policy = checked.policy.as_ref().map_or("no policy; artifacts were not judged".to_owned(), |policy| {
        format!("{}, {}", policy.name, policy.digest.short())
    });
    facts(vec![
        ("Time", Some(text(format!("{} (claimed)", says.claimed_time)))),
        ("Checked", Some(text(format!("{}, {}", count(checked.artifacts, "artifact"), size(checked.bytes))))),
        ("Under", Some(text(policy))),
        ("Saw", Some(text(&checked.authenticity))),
        ("Report", says.report.as_ref().map(report)),
        ("Words", says.statement.as_ref().map(text)),
    ])
}

fn report(report: &ReportReference) -> Markup {
    let name = report.name.as_deref().unwrap_or("named by its digest");
    let bytes = report.size.map_or("size not stated".to_owned(), size);
    let carried = if report.carried { "carried beside the bundle" } else { "not carried" };
    let kept = report.uri.as_ref().map(|uri| Markup::all([text("\nkept at "), code(uri)])).unwrap_or_default();
    let about = text(format!("{name}, {}, {bytes}, {carried}\n", report.media_type));
    Markup::all([about, code(&report.digest), kept])
}

fn exemptions(artifacts: &[Consignment<'_>]) -> Markup {
    let row = |one: &Consignment<'_>| {
        let exemption = one.evidence.exemption.as_ref()?;
        let (reason, until, rule) = (&exemption.reason, &exemption.until, &one.evidence.rule);
        Some(vec![code(&one.locked.source), text(reason), text(until), text(rule)])
    };
    let rows: Vec<Vec<Markup>> = artifacts.iter().filter_map(row).collect();
    if rows.is_empty() {
        return section(
            "Exemptions",
            [Markup::around("p", "quiet", "None: every artifact met what its rule demands.")],
        );
    }
    section("Exemptions", [wide(Markup::table("", &["Artifact", "Reason", "Until", "Rule"], rows))])
}

fn artifacts(artifacts: &[Consignment<'_>]) -> Markup {
    section("Artifacts", artifacts.iter().map(artifact))
}

fn artifact(one: &Consignment<'_>) -> Markup {
    let Consignment { locked, evidence, bytes } = *one;
    let tag = locked.destination.tag.as_ref().map_or(String::new(), |tag| format!(":{tag}"));
    let role = match locked.role {
        Role::Image => "container image",
        Role::Chart => "Helm chart",
        Role::Blueprint => "Blueprint",
        Role::Artifact => "artifact",
    };
    let items = |lines: Vec<String>| {
        (!lines.is_empty())
            .then(|| Markup::element("ul", "", lines.into_iter().map(|line| Markup::around("li", "", line))))
    };
    let why = locked.why.iter().map(|path| path.join(" → ")).collect();
    let facts = facts(vec![
        ("Kind", Some(text(role))),
        ("Digest", Some(code(&locked.digest))),
        ("Type", Some(text(&locked.media_type))),
        ("Size", Some(text(size(bytes)))),
        ("Goes to", Some(code(format!("{}{tag}", locked.destination.repository)))),
        ("Platforms", subset(locked)),
        ("Why", items(why)),
        ("Notes", items(locked.notes.clone())),
        ("Accepted by", Some(text(&evidence.rule))),
        ("Exemption", evidence.exemption.as_ref().map(|e| text(format!("until {}: {}", e.until, e.reason)))),
        ("Refused but watched", evidence.would_refuse.as_ref().map(|why| Markup::around("span", "bad", why))),
        ("Carried with it", carried(&evidence.attached)),
    ]);
    let heading = Markup::around("h3", "", &locked.source);
    Markup::element("article", "artifact", [heading, facts, judged(&evidence.judged)])
}

fn subset(locked: &LockedArtifact) -> Option<Markup> {
    let subset = locked.subset.as_ref()?;
    let platforms: Vec<String> = subset.platforms.iter().map(ToString::to_string).collect();
    let how = match subset.digest {
        SubsetDigest::Single => "this image in place of the index",
        SubsetDigest::Rewrite => "a new index over the index",
    };
    Some(Markup::all([text(format!("{}: {how} ", platforms.join(", "))), code(&subset.original)]))
}

fn carried(attached: &[Attached]) -> Option<Markup> {
    let digests: BTreeSet<&Digest> = attached.iter().map(|one| &one.digest).collect();
    let kinds: BTreeSet<String> =
        attached.iter().filter_map(|one| one.artifact_type.as_ref()).map(ToString::to_string).collect();
    let kinds = if kinds.is_empty() {
        String::new()
    } else {
        format!(": {}", kinds.into_iter().collect::<Vec<_>>().join(", "))
    };
    (!digests.is_empty()).then(|| text(format!("{}{kinds}", count(digests.len() as u64, "document"))))
}

fn judged(evidence: &[Evidence]) -> Markup {
    if evidence.is_empty() {
        return Markup::around("p", "quiet", "No signature or attestation was found beside it.");
    }
    let headings = ["Evidence", "Judgement", "Signer", "When", "Not checked"];
    wide(Markup::table("evidence", &headings, evidence.iter().map(piece).collect()))
}

fn piece(one: &Evidence) -> Vec<Markup> {
    let kind = match one.kind {
        EvidenceKind::CosignSignature => "cosign signature",
        EvidenceKind::CosignAttestation => "cosign attestation",
        EvidenceKind::SigstoreBundle => "Sigstore bundle",
        EvidenceKind::Notation => "Notation signature",
        EvidenceKind::Sbom => "SBOM, unsigned",
        EvidenceKind::Other => "other",
    };
    let predicate = one.predicate_type.as_ref().map(|kind| text(format!("\n{kind}"))).unwrap_or_default();
    let kind = Markup::all([text(kind), predicate, text("\n"), code(one.source.short())]);
    let log = one.log.as_ref().map(|log| text(format!("\nlog: {log}"))).unwrap_or_default();
    let root = one.trust_root.as_ref();
    let root = root.map(|root| text(format!("\nroot: {}, {}", root.name, root.sha256.short()))).unwrap_or_default();
    let judgement = Markup::all([verdict(one.verdict), text(format!(": {}", one.reason)), log, root]);
    let signer = one.signer.as_ref().map_or_else(|| text("not verified"), signer);
    let signer = Markup::all([signer, one.certificate.as_ref().map(certificate).unwrap_or_default()]);
    let times: Vec<String> = one.times.iter().map(time).collect();
    let when = if times.is_empty() { "no time is vouched for".to_owned() } else { times.join("\n") };
    vec![kind, judgement, signer, text(when), text(one.not_checked.join(", "))]
}

fn signer(signer: &Signer) -> Markup {
    match signer {
        Signer::Key { name, sha256 } => Markup::all([text(format!("key {name}\n")), code(sha256)]),
        Signer::Certificate { identity, issuer, claims } => {
            let claims = claims.iter().map(|(name, value)| text(format!("\n{name}: {value}")));
            let named = [code(identity), text(format!("\nvouched for by {issuer}"))];
            Markup::all(named.into_iter().chain(claims))
        }
        Signer::X509 { subject, issuer, sha256, scheme } => {
            let named = text(format!("{subject}\nissued by {issuer}\nscheme {scheme}\n"));
            Markup::all([named, code(sha256)])
        }
    }
}

fn certificate(facts: &CertificateFacts) -> Markup {
    let valid = text(format!("\ncertificate valid from {} to {}", facts.not_before, facts.not_after));
    let digest = facts.sha256.as_ref().map(|digest| Markup::all([text("\n"), code(digest)])).unwrap_or_default();
    Markup::all([valid, digest])
}

fn time(time: &VerifiedTime) -> String {
    let by = match time.by {
        TimeSource::Log => "transparency log",
        TimeSource::TimestampAuthority => "timestamp authority",
        TimeSource::SigningAuthority => "signing authority",
    };
    format!("{}, by a {by}", time.at)
}

/// Returns whether one piece of evidence of an artifact is good.
fn vouched(evidence: &ArtifactEvidence) -> bool {
    evidence.judged.iter().any(|one| one.verdict == Verdict::Good)
}

fn foot(lading: &Lading<'_>) -> Markup {
    let says = "This page repeats what the head of the bundle says, with the judgements of its author. It is no verification: \
                airlift verify reads every byte and judges every signature again, under the policy of whoever runs it. Whether \
                a key was revoked, a root is current, or a newer signature withdraws an older one cannot be known offline.";
    Markup::element(
        "footer",
        "",
        [Markup::around("p", "", says), Markup::around("p", "", format!("Written by {}.", lading.tool))],
    )
}
