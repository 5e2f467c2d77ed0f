//! What was found in files of other tools, behind the ports of a source: everything that reads a registry reads it too.
//!
//! Documents are looked through once, to know what refers to what; payload is opened where it lies. Nothing is trusted
//! for being in a file: documents are checked against their digest here, payload where it is written down.

use super::contents::{Contents, Held, Listed, type_of};
use super::form::Form;
use super::name::{Name, Naming};
use super::survey::{Surveyed, Unpacking};
use crate::model::evidence::FindingClass;
use crate::model::port::{BlobSource, FileSource, ImageSource, ManifestBytes, OpenFile};
use crate::model::{
    Content, Descriptor, Digest, Fault, FaultKind, FileUrl, Finding, ImageDocument, ImageRef, MediaType, Reference,
    Repository, Tag, limits,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Names that are shown where one is not found.
const SHOWN: usize = 10;

/// Content of one or several sources.
#[derive(Debug)]
pub struct Trove {
    sources: Vec<Found>,
    blobs: BTreeMap<Digest, Held>,
    types: BTreeMap<Digest, MediaType>,
    names: BTreeMap<Repository, BTreeMap<Tag, BTreeSet<Digest>>>,
    /// What refers to each subject.
    subjects: BTreeMap<Digest, BTreeMap<Digest, Descriptor>>,
    /// Documents that an index names and that are not there, each with one such index.
    absent: BTreeMap<Digest, Digest>,
    offers: Vec<Offer>,
    /// Names of what is offered and has no whole name.
    unnamed: BTreeSet<String>,
    findings: Vec<Finding>,
    /// What was read, for as long as it may be read again: runs that fill a folder are kept out of it.
    _kept: Vec<Surveyed>,
}

/// A source that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Form that it has.
    pub form: Form,
    /// What a lock calls it: the last part of its path.
    pub label: String,
    /// Artifacts that it offers under a whole name.
    pub artifacts: usize,
}

/// An artifact that a source offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// Name, and the digest where it has no tag.
    pub name: ImageRef,
    /// Source that it is in, as a lock calls it.
    pub label: String,
}

impl Trove {
    /// Reads the sources, one after another.
    pub fn read(sources: Vec<Surveyed>, naming: &Naming, unpacking: Unpacking<'_>) -> Result<Self, Fault> {
        let contents = sources.iter().map(|source| source.read(unpacking)).collect::<Result<_, _>>()?;
        Ok(Self { _kept: sources, ..Self::of(contents, naming)? })
    }

    /// Puts together what was read.
    pub(super) fn of(contents: Vec<Contents>, naming: &Naming) -> Result<Self, Fault> {
        let mut trove = Self::empty();
        for contents in contents {
            trove.take_up(contents, naming)?;
        }
        trove.say_what_stays_behind();
        trove.offers.sort();
        trove.offers.dedup();
        Ok(trove)
    }

    const fn empty() -> Self {
        Self {
            sources: Vec::new(),
            blobs: BTreeMap::new(),
            types: BTreeMap::new(),
            names: BTreeMap::new(),
            subjects: BTreeMap::new(),
            absent: BTreeMap::new(),
            offers: Vec::new(),
            unnamed: BTreeSet::new(),
            findings: Vec::new(),
            _kept: Vec::new(),
        }
    }

    /// Returns the sources in the order in which they were named.
    pub fn sources(&self) -> &[Found] {
        &self.sources
    }

    /// Returns everything that the sources offer, sorted by name. What refers to something else comes with that.
    pub fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// Returns what is offered without a host, or without any name, as it is called there.
    pub fn unnamed(&self) -> impl Iterator<Item = &str> {
        self.unnamed.iter().map(String::as_str)
    }

    /// Returns what a person should know.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    fn take_up(&mut self, contents: Contents, naming: &Naming) -> Result<(), Fault> {
        let Contents { form, label, place, blobs, listed, partial, findings } = contents;
        self.findings.extend(findings);
        for (digest, held) in blobs {
            if let Some(known) = self.blobs.get(&digest).filter(|known| known.size() != held.size()) {
                let what = format!("{digest} has {} bytes here, and {} in another source", held.size(), known.size());
                return Err(Fault::new(FaultKind::Damaged, place, what));
            }
            self.blobs.entry(digest).or_insert(held);
        }
        let (here, elsewhere): (Vec<Listed>, Vec<Listed>) =
            listed.into_iter().partition(|listed| self.blobs.contains_key(&listed.digest));
        self.check_elsewhere(&elsewhere, partial, &place)?;
        let mut children = BTreeSet::new();
        for listed in &here {
            self.look_through(listed, &place, &mut children)?;
        }
        let before = self.offers.len();
        let untagged = self.name(&here, &children, naming, &label);
        if untagged > 0 {
            let what =
                format!("{untagged} documents without a tag are left out; a reference by digest takes one of them");
            self.findings.push(Finding::warning(FindingClass::Source, place, what));
        }
        self.sources.push(Found { form, label, artifacts: self.offers.len() - before });
        Ok(())
    }

    /// Deals with what is listed and not there: an error, but where earlier archives carried it.
    fn check_elsewhere(&mut self, listed: &[Listed], partial: bool, place: &str) -> Result<(), Fault> {
        let Some(first) = listed.first() else { return Ok(()) };
        if !partial {
            let what = format!("it lists {} as {}, which is not in it", first.digest, first.name.shown());
            return Err(Fault::new(FaultKind::Damaged, place, what));
        }
        let tags = listed.iter().filter(|listed| listed.offered).count();
        if tags > 0 {
            let what =
                format!("{tags} tags name what only an earlier archive carried, {} among them", first.name.shown());
            let hint = "name the earlier archives as well, or have oc-mirror write one that holds everything (--since)";
            self.findings.push(Finding::warning(FindingClass::Source, place, what).with_hint(hint));
        }
        Ok(())
    }

    /// Reads a listed document and the documents below it, and notes what they are about.
    fn look_through(&mut self, listed: &Listed, place: &str, children: &mut BTreeSet<Digest>) -> Result<(), Fault> {
        if let Some((media_type, size)) = &listed.stated {
            let found = self.blobs.get(&listed.digest).map_or(0, Held::size);
            if found != *size {
                let what = format!("it lists {} with {size} bytes, and it has {found}", listed.digest);
                return Err(Fault::new(FaultKind::Damaged, place, what));
            }
            self.types.entry(listed.digest.clone()).or_insert_with(|| media_type.clone());
        }
        let top = self.document(&listed.digest).map_err(|fault| Fault { place: place.to_owned(), ..fault })?;
        let media_type = top.descriptor.media_type;
        if !media_type.is_document() {
            let what = format!("{} is {media_type}, neither an image manifest nor an index", listed.name.shown());
            self.findings.push(Finding::warning(FindingClass::Source, place, what));
            return Ok(());
        }
        let mut open = vec![(listed.digest.clone(), 0)];
        while let Some((digest, depth)) = open.pop() {
            // Too deep an index is refused where it is asked for; here it only ends the look.
            if depth > limits::INDEX_DEPTH {
                continue;
            }
            for child in self.below(&digest, place)? {
                let known = self.types.contains_key(&child.digest);
                children.insert(child.digest.clone());
                if !self.blobs.contains_key(&child.digest) {
                    self.absent.entry(child.digest).or_insert_with(|| digest.clone());
                } else if !known {
                    self.types.insert(child.digest.clone(), child.media_type);
                    open.push((child.digest, depth + 1));
                }
            }
        }
        Ok(())
    }

    /// Reads one document, notes its subject, and returns the documents below it.
    fn below(&mut self, digest: &Digest, place: &str) -> Result<Vec<Descriptor>, Fault> {
        let document = self.document(digest).map_err(|fault| Fault { place: place.to_owned(), ..fault })?;
        let parsed = ImageDocument::parse(&document.bytes, &document.descriptor.media_type)
            .map_err(|error| Fault::new(FaultKind::Malformed, place, format!("{digest}: {error}")))?;
        self.types.entry(digest.clone()).or_insert_with(|| document.descriptor.media_type.clone());
        if let Some(subject) = parsed.subject() {
            let artifact_type = parsed.artifact_type().cloned();
            let annotations = parsed.annotations().clone();
            let referrer = Descriptor { artifact_type, annotations, ..document.descriptor };
            self.subjects.entry(subject.digest.clone()).or_default().insert(digest.clone(), referrer);
        }
        match parsed {
            ImageDocument::Image(_) => Ok(Vec::new()),
            ImageDocument::Index(index) => {
                Ok(index.manifests.into_iter().filter(|child| child.media_type.is_document()).collect())
            }
        }
    }

    /// Gives names, and returns how many documents have a place and no tag there.
    fn name(&mut self, listed: &[Listed], children: &BTreeSet<Digest>, naming: &Naming, label: &str) -> usize {
        let about: BTreeSet<Digest> = self.subjects.values().flat_map(|referrers| referrers.keys().cloned()).collect();
        let tagged: BTreeSet<&Digest> = listed.iter().filter(|l| l.offered).map(|l| &l.digest).collect();
        let mut untagged = 0;
        for Listed { name, digest, offered, .. } in listed {
            let whole = naming.apply(name);
            if let Some((repository, Some(tag))) = &whole {
                let tags = self.names.entry(repository.clone()).or_default();
                tags.entry(tag.clone()).or_default().insert(digest.clone());
            }
            // Evidence has a tag that says what it is about. Where it has no whole name, its tag still finds it.
            let mark = match name {
                Name::Whole(_, Some(tag)) | Name::Path(_, Some(tag)) | Name::Tag(tag) => evidence_of(tag, digest),
                _ => None,
            };
            if let (Some(_), Name::Path(_, Some(tag)) | Name::Tag(tag), None) = (&mark, name, &whole) {
                self.nowhere(tag, digest);
            }
            let attached = mark.is_some() || about.contains(digest);
            if attached || !offered {
                untagged += usize::from(!attached && !children.contains(digest) && !tagged.contains(digest));
                continue;
            }
            match whole {
                None => _ = self.unnamed.insert(name.shown()),
                Some((repository, tag)) => {
                    let tag = tag.filter(|tag| !is_digest_tag(tag, digest));
                    let digest = tag.is_none().then(|| digest.clone());
                    let name = ImageRef { repository, tag, digest };
                    self.offers.push(Offer { name, label: label.to_owned() });
                }
            }
        }
        untagged
    }

    /// Says how much evidence is about something that no source holds: it goes with nothing, and so it stays behind.
    fn say_what_stays_behind(&mut self) {
        let tagged = self.names.values().flatten().filter_map(|(tag, found)| Some((subject_of(tag)?, found)));
        let tagged = tagged.flat_map(|(about, found)| found.iter().map(move |digest| (about.clone(), digest)));
        let referring =
            self.subjects.iter().flat_map(|(about, found)| found.keys().map(|digest| (about.clone(), digest)));
        let behind: BTreeSet<&Digest> = tagged
            .chain(referring)
            .filter(|(about, digest)| about != *digest && !self.blobs.contains_key(about))
            .map(|(_, digest)| digest)
            .collect();
        if !behind.is_empty() {
            let what = format!(
                "{} signatures or the like are about something that is not in it; they stay behind",
                behind.len()
            );
            self.findings.push(Finding::warning(FindingClass::Source, self.place(), what));
        }
    }

    /// Keeps a tag of evidence that belongs to no repository.
    fn nowhere(&mut self, tag: &Tag, digest: &Digest) {
        if let Ok(nowhere) = Repository::new("localhost", "nowhere") {
            self.names.entry(nowhere).or_default().entry(tag.clone()).or_default().insert(digest.clone());
        }
    }

    /// Returns what `tag` names at `at`. Evidence is taken from any repository: its tag holds the digest that it is about.
    fn tagged(&self, at: &Repository, tag: &Tag) -> Result<Option<&Digest>, Fault> {
        let here = self.names.get(at).and_then(|tags| tags.get(tag));
        let anywhere: BTreeSet<Digest>;
        let found = match here {
            Some(found) => found,
            None if subject_of(tag).is_some() => {
                anywhere = self.names.values().filter_map(|tags| tags.get(tag)).flatten().cloned().collect();
                return self
                    .only(at, tag, &anywhere)
                    .map(|found| self.blobs.get_key_value(found?).map(|(known, _)| known));
            }
            None => return Ok(None),
        };
        self.only(at, tag, found)
    }

    /// Returns the one thing that a name stands for.
    fn only<'a>(&self, at: &Repository, tag: &Tag, found: &'a BTreeSet<Digest>) -> Result<Option<&'a Digest>, Fault> {
        if found.len() < 2 {
            return Ok(found.first());
        }
        let all: Vec<String> = found.iter().map(ToString::to_string).collect();
        let what = format!("{at}:{tag} stands for several things: {}", all.join(", "));
        Err(Fault::new(FaultKind::Malformed, self.place(), what).with_hint("name the one that is meant by its digest"))
    }

    fn document(&self, digest: &Digest) -> Result<ManifestBytes, Fault> {
        let held = self.blobs.get(digest).ok_or_else(|| self.missing(digest))?;
        let fault = |fault: Fault| Fault { place: self.place(), what: format!("{digest}: {}", fault.what), ..fault };
        let bytes = held.document().map_err(fault)?;
        let found = Digest::of_with(digest.algorithm(), &bytes);
        if found != *digest {
            return Err(Fault::new(FaultKind::Damaged, self.place(), format!("{digest}: its bytes are {found}")));
        }
        let unknown = || Fault::new(FaultKind::Malformed, self.place(), format!("{digest} is no document of an image"));
        let media_type = self.types.get(digest).cloned().or_else(|| type_of(&bytes)).ok_or_else(unknown)?;
        let content = Content { digest: digest.clone(), size: bytes.len() as u64 };
        Ok(ManifestBytes { descriptor: Descriptor::new(media_type, content), bytes })
    }

    /// Says that something is not there, and who named it.
    fn missing(&self, digest: &Digest) -> Fault {
        let fault = |what: String| Fault::new(FaultKind::Missing, self.place(), what);
        match self.absent.get(digest) {
            None => fault(format!("{digest} is not in it")),
            Some(index) => fault(format!("{digest} is not in it, although the index {index} in it names it"))
                .with_hint("some tools save one platform of an index; --platform takes only that"),
        }
    }

    /// Lists what is there, in place of a name that is not.
    fn instead(&self, wanted: &str) -> Fault {
        let mut names: Vec<String> = self.offers.iter().map(|offer| offer.name.to_string()).collect();
        names.extend(self.unnamed.iter().cloned());
        let more = names.len().saturating_sub(SHOWN);
        names.truncate(SHOWN);
        let mut there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        if more > 0 {
            there.push_str(&format!(" and {more} more"));
        }
        let hint =
            if self.unnamed.is_empty() { "" } else { "names without a host get one with --name [PATH=]HOST[/PATH]" };
        Fault::new(FaultKind::Missing, self.place(), format!("{wanted} is not in it; there is {there}")).with_hint(hint)
    }

    fn place(&self) -> String {
        let labels: Vec<&str> = self.sources.iter().map(|source| source.label.as_str()).collect();
        if labels.is_empty() { "the source".to_owned() } else { labels.join(" + ") }
    }

    /// Returns everything that `top` needs and that is not there, with what needs it.
    pub fn lacks(&self, top: &Digest) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![top.clone()];
        while let Some(digest) = open.pop() {
            if !seen.insert(digest.clone()) {
                continue;
            }
            let parsed = self.document(&digest).and_then(|document| {
                ImageDocument::parse(&document.bytes, &document.descriptor.media_type)
                    .map_err(|error| Fault::new(FaultKind::Malformed, self.place(), format!("{digest}: {error}")))
            });
            let parsed = match parsed {
                Ok(parsed) => parsed,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            for child in parsed.children() {
                if child.media_type.is_document() {
                    open.push(child.digest.clone());
                } else if !child.media_type.is_non_distributable() && seen.insert(child.digest.clone()) {
                    faults.extend(self.check_blob(child, &digest).err());
                }
            }
        }
        faults
    }

    fn check_blob(&self, want: &Descriptor, by: &Digest) -> Result<(), Fault> {
        match self.blobs.get(&want.digest) {
            None => {
                let what = format!("{want} is not in it; {by} needs it");
                Err(Fault::new(FaultKind::Missing, self.place(), what))
            }
            Some(held) if held.size() != want.size => {
                let what = format!("{want} has {} bytes in it; {by} needs it", held.size());
                Err(Fault::new(FaultKind::Damaged, self.place(), what))
            }
            Some(_) => Ok(()),
        }
    }
}

/// Returns the digest that the tag of evidence is about: `sha256-HEX`, with `.sig`, `.att` or `.sbom` behind it.
fn subject_of(tag: &Tag) -> Option<Digest> {
    let text = tag.as_str();
    let stem = [".sig", ".att", ".sbom"].into_iter().find_map(|ending| text.strip_suffix(ending)).unwrap_or(text);
    stem.replacen('-', ":", 1).parse().ok()
}

/// Returns whether `tag` only repeats the digest of what it names, as tools tag what was pulled by digest.
fn is_digest_tag(tag: &Tag, digest: &Digest) -> bool {
    subject_of(tag).is_some_and(|named| named == *digest)
}

/// Returns what a tagged document is about, where its tag says so.
fn evidence_of(tag: &Tag, digest: &Digest) -> Option<Digest> {
    subject_of(tag).filter(|subject| subject != digest)
}

impl BlobSource for Trove {
    fn open(&self, _: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault> {
        let held = self.blobs.get(&want.digest).ok_or_else(|| self.missing(&want.digest))?;
        if held.size() != want.size {
            let what = format!("expected {want}, and it has {} bytes", held.size());
            return Err(Fault::new(FaultKind::Damaged, self.place(), what));
        }
        held.open(from).map_err(|error| Fault::from_io(error, &self.place(), "cannot be read"))
    }
}

impl FileSource for Trove {
    fn file(&self, url: &FileUrl, _: Option<u64>, _: u64) -> Result<OpenFile, Fault> {
        let what = format!("it holds no files by their address, and so not {url}");
        Err(Fault::new(FaultKind::Missing, self.place(), what))
    }
}

impl ImageSource for Trove {
    fn head(&self, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault> {
        let digest = match reference {
            Reference::Digest(digest) => Some(digest),
            Reference::Tag(tag) => self.tagged(at, tag)?,
        };
        match digest.filter(|digest| self.blobs.contains_key(digest)) {
            Some(digest) => Ok(Some(self.document(digest)?.descriptor)),
            None => Ok(None),
        }
    }

    fn manifest(&self, at: &Repository, reference: &Reference) -> Result<ManifestBytes, Fault> {
        match reference {
            Reference::Digest(digest) => self.document(digest),
            Reference::Tag(tag) => match self.tagged(at, tag)? {
                Some(digest) => self.document(digest),
                None => Err(self.instead(&format!("{at}:{tag}"))),
            },
        }
    }

    fn tags(&self, at: &Repository) -> Result<Vec<Tag>, Fault> {
        let here = self.names.get(at).into_iter().flat_map(BTreeMap::keys);
        let evidence = self.names.values().flat_map(BTreeMap::keys).filter(|tag| subject_of(tag).is_some());
        Ok(here.chain(evidence).cloned().collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn referrers(&self, _: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Fault> {
        Ok(self.subjects.get(subject).into_iter().flat_map(|found| found.values().cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fuzzing::archive;
    use super::*;
    use crate::testkit::archives::{Files, called, layout, tar};
    use crate::testkit::image::{Sample, SampleImage};
    use serde_json::json;

    fn image(seed: u64) -> Sample {
        SampleImage::new(seed).layer(500).build()
    }

    fn trove(files: &Files) -> Trove {
        archive(&tar(files), "").unwrap()
    }

    fn at(path: &str) -> Repository {
        Repository::new("ghcr.io", path).unwrap()
    }

    fn tag(text: &str) -> Reference {
        Reference::Tag(text.parse().unwrap())
    }

    fn blob_of(digest: &Digest) -> String {
        format!("blobs/sha256/{}", digest.hex())
    }

    #[test]
    fn documents_and_blobs_are_given_out_as_a_registry_would() {
        let index = Sample::index(&[image(1), image(2)]);
        let trove = trove(&layout(&[(called("ghcr.io/a/b:1"), &index)]));
        let found = trove.manifest(&at("a/b"), &tag("1")).unwrap();
        assert_eq!((&found.descriptor.digest, found.bytes.as_slice()), (index.digest(), index.root().bytes.as_slice()));
        assert_eq!(trove.head(&at("a/b"), &tag("1")).unwrap().unwrap(), found.descriptor);
        let child = trove.manifest(&at("a/b"), &image(2).reference()).unwrap();
        assert_eq!(child.descriptor.media_type, MediaType::OCI_MANIFEST.into());
        let blob = index.blobs()[1].clone();
        for from in [0, 1, blob.descriptor.size] {
            let mut bytes = Vec::new();
            trove.open(&at("a/b"), &blob.descriptor, from).unwrap().read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, blob.bytes[from as usize..]);
        }
        assert_eq!(trove.head(&at("a/b"), &tag("2")).unwrap(), None);
        let url = "https://example.com/x".parse().unwrap();
        assert_eq!(trove.file(&url, None, 0).err().unwrap().kind, FaultKind::Missing);
    }

    #[test]
    fn a_name_that_is_not_there_is_answered_with_those_that_are() {
        let many: Vec<Sample> = (0..12).map(image).collect();
        let entries: Vec<_> =
            many.iter().enumerate().map(|(n, image)| (called(&format!("ghcr.io/a/b:{n}")), image)).collect();
        let fault = trove(&layout(&entries)).manifest(&at("a/c"), &tag("1")).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Missing);
        for words in ["ghcr.io/a/c:1 is not in it", "ghcr.io/a/b:0", "and 2 more"] {
            assert!(fault.what.contains(words), "{fault}");
        }
        let fault = trove(&layout(&[(called("a/b:1"), &image(1))])).manifest(&at("a/b"), &tag("1")).unwrap_err();
        assert!(fault.hint.contains("--name") && fault.what.contains("there is a/b:1"), "{fault}");
    }

    #[test]
    fn a_name_that_stands_for_two_things_is_taken_by_digest_only() {
        let (one, two) = (image(1), image(2));
        let trove = trove(&layout(&[(called("ghcr.io/a/b:1"), &one), (called("ghcr.io/a/b:1"), &two)]));
        let fault = trove.manifest(&at("a/b"), &tag("1")).unwrap_err();
        assert!(fault.kind == FaultKind::Malformed && fault.what.contains("several things"), "{fault}");
        assert!(trove.manifest(&at("a/b"), &one.reference()).is_ok());
    }

    #[test]
    fn what_refers_to_something_is_found_and_is_no_artifact_of_its_own() {
        let subject = image(1);
        let sbom = Sample::referrer(&subject, "application/spdx+json", b"{}");
        let signature = image(3);
        let signed = format!("sha256-{}.sig", subject.digest().hex());
        let files = layout(&[
            (called("ghcr.io/a/b:1"), &subject),
            (json!({}), &sbom),
            (called(&format!("a/b:{signed}")), &signature),
        ]);
        let trove = trove(&files);
        assert_eq!(trove.offers().len(), 1);
        assert_eq!(trove.unnamed().count(), 0);
        let referrers = trove.referrers(&at("a/b"), subject.digest()).unwrap();
        assert_eq!(referrers.iter().map(|r| &r.digest).collect::<Vec<_>>(), [sbom.digest()]);
        assert_eq!(referrers[0].artifact_type.as_ref().unwrap().as_str(), "application/spdx+json");
        // The tag of a signature holds what it is about: it is found from any repository.
        for path in ["a/b", "elsewhere"] {
            assert!(trove.tags(&at(path)).unwrap().iter().any(|tag| tag.as_str() == signed));
            assert_eq!(trove.manifest(&at(path), &tag(&signed)).unwrap().descriptor.digest, *signature.digest());
        }
    }

    #[test]
    fn evidence_about_something_that_is_not_there_stays_behind_and_is_said() {
        let sbom = Sample::referrer(&image(1), "application/spdx+json", b"{}");
        let signed = format!("ghcr.io/a/b:sha256-{}.sig", Digest::of(b"elsewhere").hex());
        let trove =
            trove(&layout(&[(json!({}), &sbom), (called(&signed), &image(2)), (called("ghcr.io/a/b:1"), &image(3))]));
        assert_eq!(trove.offers().len(), 1);
        assert!(trove.findings()[0].what.starts_with("2 signatures or the like"), "{:?}", trove.findings());
    }

    #[test]
    fn what_lies_about_its_content_is_refused() {
        let image = image(1);
        let files = || layout(&[(called("ghcr.io/a/b:1"), &image)]);
        let manifest = blob_of(image.digest());
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut files = files();
            change(files.get_mut(&manifest).unwrap());
            archive(&tar(&files), "").err().unwrap()
        };
        for change in
            [&|bytes: &mut Vec<u8>| bytes.push(b' ') as _, &|bytes: &mut Vec<u8>| _ = bytes.pop(), &Vec::clear]
                as [&dyn Fn(&mut Vec<u8>); 3]
        {
            assert!(refused(change).what.contains("and it has"));
        }
        let fault = refused(&|bytes| bytes[5] ^= 1);
        assert!(fault.kind == FaultKind::Damaged && fault.what.contains("its bytes are"), "{fault}");
        let mut absent = files();
        absent.remove(&manifest);
        assert!(archive(&tar(&absent), "").err().unwrap().what.contains("which is not in it"));
        let blob = image.blobs()[1].descriptor.clone();
        let mut longer = files();
        longer.get_mut(&blob_of(&blob.digest)).unwrap().push(0);
        let trove = archive(&tar(&longer), "").unwrap();
        assert_eq!(trove.open(&at("a/b"), &blob, 0).err().unwrap().kind, FaultKind::Damaged);
        assert_eq!(trove.lacks(image.digest())[0].kind, FaultKind::Damaged);
    }

    #[test]
    fn a_document_of_two_meanings_is_refused_with_its_whole_source() {
        let both = br#"{"schemaVersion":2,"config":{},"manifests":[],"layers":[]}"#;
        let digest = Digest::of(both);
        let mut files = layout(&[]);
        files.insert(blob_of(&digest), both.to_vec());
        for media_type in [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX] {
            let index = json!({ "manifests": [{ "mediaType": media_type, "digest": digest, "size": both.len() }] });
            files.insert("index.json".to_owned(), index.to_string().into_bytes());
            assert_eq!(archive(&tar(&files), "").err().unwrap().kind, FaultKind::Malformed);
        }
        // What is listed and no document is said and left out: it cannot refer to anything.
        let index = json!({ "manifests": [{ "mediaType": "text/plain", "digest": digest, "size": both.len() }] });
        files.insert("index.json".to_owned(), index.to_string().into_bytes());
        let trove = archive(&tar(&files), "h.example/x").unwrap();
        assert!(trove.findings()[0].what.contains("neither an image manifest nor an index"));
    }

    #[test]
    fn all_that_is_missing_is_listed_with_what_needs_it() {
        let (one, two) = (image(1), image(2));
        let index = Sample::index(&[one.clone(), two.clone()]);
        let mut files = layout(&[(called("ghcr.io/a/b:1"), &index)]);
        files.remove(&blob_of(one.digest()));
        let layer = &two.blobs()[1].descriptor.digest;
        files.remove(&blob_of(layer));
        let trove = trove(&files);
        let lacks = trove.lacks(index.digest());
        let words: Vec<String> = lacks.iter().map(ToString::to_string).collect();
        assert_eq!(words.len(), 2, "{words:?}");
        assert!(words.iter().any(|w| w.contains(&one.digest().to_string()) && w.contains(&index.digest().to_string())));
        assert!(words.iter().any(|w| w.contains(&layer.to_string()) && w.contains(&two.digest().to_string())));
        assert!(lacks.iter().any(|fault| fault.hint.contains("--platform")));
        assert!(trove.lacks(two.digest()).len() == 1);
    }

    #[test]
    fn two_sources_are_one_where_they_agree() {
        let (one, two) = (image(1), image(2));
        let contents = |files: &Files, name: &str| {
            let joined = std::sync::Arc::new(super::super::joined::Joined::memory(&tar(files)));
            let archives = [(joined, super::super::unpack::Packing::Plain, name.to_owned())];
            let stop = std::sync::atomic::AtomicBool::new(false);
            let unpacking = Unpacking { folder: std::path::Path::new("/nowhere"), stop: &stop };
            super::super::survey::read_archive(&super::super::form::SourceName::parse(name), &archives, unpacking)
                .unwrap()
        };
        let first = layout(&[(called("ghcr.io/a/b:1"), &one)]);
        let second = layout(&[(called("ghcr.io/a/b:1"), &one), (called("ghcr.io/a/c:1"), &two)]);
        let both = Trove::of(vec![contents(&first, "first.tar"), contents(&second, "second.tar")], &Naming::default());
        assert_eq!(both.unwrap().offers().len(), 3, "each with its source");
        let mut lies = layout(&[(called("ghcr.io/a/d:1"), &image(3))]);
        lies.insert(blob_of(&one.blobs()[1].descriptor.digest), b"short".to_vec());
        let fault = Trove::of(vec![contents(&first, "first.tar"), contents(&lies, "lies.tar")], &Naming::default());
        assert!(fault.err().unwrap().what.contains("in another source"));
    }
}
