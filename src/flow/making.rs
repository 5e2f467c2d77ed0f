//! Artifacts that are made out of a file: pinned when a lock is resolved, and given out under the ports as if they stood
//! in a registry, so that everything behind `resolve` treats them like any other.
//!
//! Nothing is kept of a file: whoever wants its bytes gets them from where it is, checked where they are written. Of a
//! chart archive only the beginning is read again, up to its `Chart.yaml`; the digest in the lock says whether what was
//! made of it is the same.

use crate::document::chart_yaml::ChartYaml;
use crate::document::lock::Lock;
use crate::document::made::{Made, MadeDocuments, MadeForm, MadeWish};
use crate::model::port::{BlobSource, FileSource, ImageSource, ManifestBytes, OpenFile, Source};
use crate::model::{
    Content, Descriptor, Digest, Digester, Fault, FaultKind, FileUrl, ImageRef, Reference, Repository, Tag, limits,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

/// A source that makes what its lock says is made, and asks another one for the rest.
pub struct Making<'a> {
    inner: &'a dyn Source,
    made: BTreeMap<(Repository, Digest), (Option<Tag>, Made)>,
    /// Repositories in which nothing but made artifacts is wanted.
    only: BTreeSet<Repository>,
    documents: Mutex<BTreeMap<Digest, MadeDocuments>>,
}

impl<'a> Making<'a> {
    /// Takes what `lock` says is made.
    pub fn new(inner: &'a dyn Source, lock: &Lock) -> Self {
        let (mut made, mut others) = (BTreeMap::new(), BTreeSet::new());
        for artifact in &lock.artifacts {
            let at = artifact.source.repository.clone();
            match &artifact.made {
                Some(own) => {
                    made.insert((at, artifact.digest.clone()), (artifact.source.tag.clone(), own.clone()));
                }
                None => drop(others.insert(at)),
            }
        }
        let only = made.keys().map(|(at, _)| at.clone()).filter(|at| !others.contains(at)).collect();
        Self { inner, made, only, documents: Mutex::default() }
    }

    /// Returns what is made in `at`, with the digests of the artifacts.
    fn in_repository(&self, at: &Repository) -> Vec<(&Digest, &Option<Tag>, &Made)> {
        let here = self.made.iter().filter(|((place, _), _)| place == at);
        here.map(|((_, digest), (tag, made))| (digest, tag, made)).collect()
    }

    fn find(&self, at: &Repository, reference: &Reference) -> Option<(&Digest, &Made)> {
        let named = |digest: &Digest, tag: &Option<Tag>| match reference {
            Reference::Digest(wanted) => wanted == digest,
            Reference::Tag(wanted) => tag.as_ref() == Some(wanted),
        };
        self.in_repository(at)
            .into_iter()
            .find(|(digest, tag, _)| named(digest, tag))
            .map(|(digest, _, made)| (digest, made))
    }

    /// Returns the documents of an artifact; made at most once in a run.
    fn documents(&self, digest: &Digest, made: &Made) -> Result<MadeDocuments, Fault> {
        let known = || self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(documents) = known().get(digest) {
            return Ok(documents.clone());
        }
        let documents = match made.file_documents() {
            Some(documents) => documents,
            None => {
                let archive = self.inner.pinned(&made.url, &made.digest, Some(made.size), 0)?.content;
                made.chart_documents(&ChartYaml::unpack(archive, made.url.as_str())?)
            }
        };
        if documents.manifest.descriptor.digest != *digest {
            let what =
                format!("the artifact made of it is {}, the lock has {digest}", documents.manifest.descriptor.digest);
            let fault = Fault::new(FaultKind::Damaged, made.url.as_str(), what);
            return Err(fault.with_hint("the file is another one now; look at it, then `airlift resolve --update`"));
        }
        known().insert(digest.clone(), documents.clone());
        Ok(documents)
    }

    /// Returns the rest of a configuration that one of the artifacts in `at` has.
    fn configuration(&self, at: &Repository, want: &Digest) -> Result<Option<Vec<u8>>, Fault> {
        for (digest, _, made) in self.in_repository(at) {
            let documents = self.documents(digest, made)?;
            if documents.config_descriptor.digest == *want {
                return Ok(Some(documents.config));
            }
        }
        Ok(None)
    }
}

impl BlobSource for Making<'_> {
    fn open(&self, at: &Repository, want: &Descriptor, from: u64) -> Result<Box<dyn Read + Send>, Fault> {
        if let Some((_, _, made)) = self.in_repository(at).into_iter().find(|(_, _, made)| made.digest == want.digest) {
            return Ok(self.inner.pinned(&made.url, &made.digest, Some(made.size), from)?.content);
        }
        match self.configuration(at, &want.digest)? {
            Some(mut config) => {
                config.drain(..usize::try_from(from).unwrap_or(usize::MAX).min(config.len()));
                Ok(Box::new(io::Cursor::new(config)))
            }
            None => self.inner.open(at, want, from),
        }
    }
}

impl ImageSource for Making<'_> {
    fn head(&self, at: &Repository, reference: &Reference) -> Result<Option<Descriptor>, Fault> {
        match self.find(at, reference) {
            Some((digest, made)) => Ok(Some(self.documents(digest, made)?.manifest.descriptor)),
            None if self.only.contains(at) => Ok(None),
            None => self.inner.head(at, reference),
        }
    }

    fn manifest(&self, at: &Repository, reference: &Reference) -> Result<ManifestBytes, Fault> {
        match self.find(at, reference) {
            Some((digest, made)) => Ok(self.documents(digest, made)?.manifest),
            None if self.only.contains(at) => {
                let what = "the artifacts of this name are made out of files; this is none of them";
                Err(Fault::new(FaultKind::Missing, format!("{at} {reference}"), what))
            }
            None => self.inner.manifest(at, reference),
        }
    }

    fn tags(&self, at: &Repository) -> Result<Vec<Tag>, Fault> {
        if !self.only.contains(at) {
            return self.inner.tags(at);
        }
        let mut tags: Vec<Tag> = self.in_repository(at).into_iter().filter_map(|(_, tag, _)| tag.clone()).collect();
        tags.sort();
        Ok(tags)
    }

    /// Nothing refers to what was made a moment ago.
    fn referrers(&self, at: &Repository, subject: &Digest) -> Result<Vec<Descriptor>, Fault> {
        match self.find(at, &Reference::Digest(subject.clone())) {
            Some(_) => Ok(Vec::new()),
            None if self.only.contains(at) => Ok(Vec::new()),
            None => self.inner.referrers(at, subject),
        }
    }
}

impl FileSource for Making<'_> {
    fn file(&self, url: &FileUrl, size: Option<u64>, from: u64) -> Result<OpenFile, Fault> {
        self.inner.file(url, size, from)
    }

    fn pinned(&self, url: &FileUrl, digest: &Digest, size: Option<u64>, from: u64) -> Result<OpenFile, Fault> {
        self.inner.pinned(url, digest, size, from)
    }
}

/// Makes an artifact for the first time, and returns what a lock says of it with its manifest.
///
/// A chart archive is read whole. So is a file up to [`limits::FILE_PROBE_BYTES`]; of a larger one only the size that the
/// server states is taken, and its bytes are checked against the digest when they are fetched to be packed.
pub fn make(name: &ImageRef, wish: &MadeWish, files: &dyn FileSource) -> Result<(Made, Descriptor), Fault> {
    let OpenFile { size, content } = match &wish.digest {
        Some(digest) => files.pinned(&wish.url, digest, None, 0)?,
        None => files.file(&wish.url, None, 0)?,
    };
    let made = |content: Content| Made {
        form: wish.form.clone(),
        url: wish.url.clone(),
        digest: content.digest,
        size: content.size,
    };
    let mut counted = Counted { content, digester: Digester::default(), size: 0 };
    if wish.form == MadeForm::Chart {
        let chart = ChartYaml::unpack(&mut counted, wish.url.as_str())?;
        agrees(name, &chart, &wish.url)?;
        let made = made(counted.finish(wish, limits::CHART_BYTES)?);
        let documents = made.chart_documents(&chart);
        return Ok((made, documents.manifest.descriptor));
    }
    let content = match (size, &wish.digest) {
        (Some(size), Some(digest)) if size > limits::FILE_PROBE_BYTES => Content { digest: digest.clone(), size },
        _ => counted.finish(wish, limits::FILE_PROBE_BYTES)?,
    };
    let made = made(content);
    let descriptor = made.file_documents().map(|documents| documents.manifest.descriptor);
    let none = || Fault::new(FaultKind::Malformed, wish.url.as_str(), "nothing can be made of it");
    Ok((made, descriptor.ok_or_else(none)?))
}

/// Refuses a chart that is called otherwise than its artifact: Helm looks for it under its own name.
fn agrees(name: &ImageRef, chart: &ChartYaml, url: &FileUrl) -> Result<(), Fault> {
    let last = name.repository.path().rsplit('/').next().unwrap_or_default();
    let tag = name.tag.as_ref().map(Tag::as_str).unwrap_or_default();
    if chart.name.to_ascii_lowercase() == last && chart.tag() == tag {
        return Ok(());
    }
    let what =
        format!("its Chart.yaml says {} {}, its name in the lock would be {last}:{tag}", chart.name, chart.version);
    let host = name.repository.host();
    let hint = format!("give the name: name: {host}/…/{}:{}", chart.name.to_ascii_lowercase(), chart.tag());
    Err(Fault::new(FaultKind::Malformed, url.as_str(), what).with_hint(hint))
}

/// Notes what the bytes that pass turn out to be.
struct Counted {
    content: Box<dyn Read + Send>,
    digester: Digester,
    size: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.digester.update(&buffer[..read]);
        self.size += read as u64;
        Ok(read)
    }
}

impl Counted {
    /// Reads to the end, which comes within `limit` bytes, and checks what `wish` promises.
    fn finish(mut self, wish: &MadeWish, limit: u64) -> Result<Content, Fault> {
        let place = wish.url.as_str();
        let room = (limit + 1).saturating_sub(self.size);
        let rest = io::copy(&mut self.by_ref().take(room), &mut io::sink());
        rest.map_err(|error| Fault::from_io(error, place, "ended early"))?;
        if self.size > limit {
            let what = format!("it has more than {limit} bytes, and the server does not state its size");
            return Err(Fault::new(FaultKind::TooLarge, place, what));
        }
        let content = self.digester.finish();
        match &wish.digest {
            Some(digest) if *digest != content.digest => {
                let what = format!("expected {digest}, received {} ({} bytes)", content.digest, content.size);
                Err(Fault::new(FaultKind::Damaged, place, what))
            }
            _ => Ok(content),
        }
    }
}
