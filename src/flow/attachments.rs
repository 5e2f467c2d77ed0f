//! Finds what refers to documents: by the referrers API or the tag that stands for it, and by cosign's tags. What
//! cannot be listed is an error, never "there are none".

use super::error::{FlowError, ItemFault};
use super::gather::{Collector, Place, keep_or_list};
use super::pool;
use super::shipment::judged_subject;
use crate::document::evidence::Attached;
use crate::document::lock::Lock;
use crate::model::evidence::{FindingClass, Severity};
use crate::model::port::{ManifestBytes, Source};
use crate::model::{Descriptor, Digest, Fault, FaultKind, Finding, Reference, Repository, Tag, limits};
use crate::trust::legacy_tags;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Questions that it took to find evidence. Reading what was found is not counted, nor are pages and repetitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Discovery {
    /// Artifacts that were judged.
    pub artifacts: u64,
    /// Questions about them: what refers to each, the tags of each repository, and single tags where those are not listed.
    pub for_artifacts: u64,
    /// Questions about what belongs to them: images of an index, and evidence that may be signed itself.
    pub for_parts: u64,
}

impl Discovery {
    const fn count(&mut self, artifact: bool, questions: u64) {
        if artifact {
            self.for_artifacts += questions;
        } else {
            self.for_parts += questions;
        }
    }

    /// States the numbers for who reads the report.
    pub fn note(&self) -> Finding {
        let Self { artifacts, for_artifacts, for_parts } = self;
        let what = format!(
            "{for_artifacts} questions about {artifacts} artifacts, {for_parts} about their images and about evidence itself"
        );
        Finding { severity: Severity::Note, ..Finding::error(FindingClass::Source, "looking for evidence", what) }
    }
}

impl Collector<'_> {
    /// Finds what refers to the documents gathered so far, and what refers to that, to the limit of depth.
    pub(super) fn attachments(&mut self, lock: &Lock) -> Result<(), FlowError> {
        self.judged = lock.artifacts.iter().map(|a| (a.source.repository.clone(), judged_subject(a).digest)).collect();
        self.discovery.artifacts = self.judged.len() as u64;
        let mut frontier = self.first_frontier(lock);
        let tags = self.tags_of(&frontier)?;
        for _ in 0..limits::REFERRER_DEPTH {
            frontier.retain(|place| !self.attached.contains_key(place));
            if frontier.is_empty() {
                return Ok(());
            }
            frontier = self.attach(&frontier, &tags)?;
        }
        match frontier.into_iter().find(|place| !self.attached.contains_key(place)) {
            None => Ok(()),
            Some((at, digest)) => Err(FlowError::Content {
                item: format!("{at}@{digest}"),
                why: format!("referrers of referrers are more than {} deep", limits::REFERRER_DEPTH),
            }),
        }
    }

    /// Returns every document of every tree with its repository, and the whole indexes behind subsets.
    fn first_frontier(&self, lock: &Lock) -> Vec<Place> {
        let mut places = BTreeSet::new();
        for artifact in &lock.artifacts {
            let at = &artifact.source.repository;
            if let Some(rule) = &artifact.subset {
                places.insert((at.clone(), rule.original.clone()));
            }
            let mut open = vec![artifact.digest.clone()];
            while let Some(digest) = open.pop() {
                let Some(document) = self.parsed.get(&digest) else { continue };
                if places.insert((at.clone(), digest)) {
                    open.extend(document.children().into_iter().map(|child| child.digest.clone()));
                }
            }
        }
        places.into_iter().collect()
    }

    /// Lists the tags of each repository once; `None` where a registry does not list them.
    fn tags_of(&mut self, places: &[Place]) -> Result<BTreeMap<Repository, Option<BTreeSet<Tag>>>, FlowError> {
        let repositories: Vec<Repository> =
            places.iter().map(|(at, _)| at.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        let source = self.source;
        self.discovery.for_artifacts += repositories.len() as u64;
        let lists = pool::all(&repositories, self.threads, |at| match source.tags(at) {
            Ok(tags) => Ok(Some(tags.into_iter().collect())),
            // Pulling may be allowed where listing is not; then each tag is asked for by name.
            Err(fault) if matches!(fault.kind, FaultKind::Unauthorized | FaultKind::Missing | FaultKind::Refused) => {
                Ok(None)
            }
            Err(fault) => Err(ItemFault { item: format!("tags of {at}"), fault }),
        });
        Ok(repositories.into_iter().zip(keep_or_list(lists)?).collect())
    }

    /// Collects what refers to each place, and returns the new places.
    fn attach(
        &mut self,
        frontier: &[Place],
        tags: &BTreeMap<Repository, Option<BTreeSet<Tag>>>,
    ) -> Result<Vec<Place>, FlowError> {
        let source = self.source;
        let found = pool::all(frontier, self.threads, |(at, subject)| {
            let fail = |fault| ItemFault { item: format!("what refers to {at}@{subject}"), fault };
            let referrers = source.referrers(at, subject).map_err(fail)?;
            let (tagged, asked) = tagged(source, at, subject, tags.get(at).and_then(Option::as_ref)).map_err(fail)?;
            Ok((referrers, tagged, asked))
        });
        let mut next = Vec::new();
        for ((at, subject), (referrers, tagged, asked)) in frontier.iter().zip(keep_or_list(found)?) {
            self.discovery.count(self.judged.contains(&(at.clone(), subject.clone())), 1 + asked);
            let mut attached = self.referring(at, subject, &referrers)?;
            for (tag, document) in tagged {
                attached.push(self.tagged(at, subject, tag, document)?);
            }
            next.extend(attached.iter().map(|a| (at.clone(), a.digest.clone())));
            self.attached.insert((at.clone(), subject.clone()), attached);
        }
        Ok(next)
    }

    fn referring(
        &mut self,
        at: &Repository,
        subject: &Digest,
        referrers: &[Descriptor],
    ) -> Result<Vec<Attached>, FlowError> {
        if referrers.len() > limits::REFERRERS_PER_SUBJECT {
            return Err(FlowError::Content {
                item: format!("{at}@{subject}"),
                why: format!("{} referrers, the limit is {}", referrers.len(), limits::REFERRERS_PER_SUBJECT),
            });
        }
        let wanted = referrers.iter().map(|d| (at.clone(), d.bare())).collect();
        let below = self.level(wanted)?;
        self.descend(below)?;
        let mut attached = Vec::new();
        for referrer in referrers {
            let Some(document) = self.parsed.get(&referrer.digest) else { continue };
            if document.subject().is_none_or(|about| about.digest != *subject) {
                let item = format!("{at}@{}", referrer.digest);
                let what = format!("is listed as a referrer of {subject}, but is about something else; left out");
                self.warnings.push(Finding::warning(FindingClass::Source, item, what));
                continue;
            }
            attached.push(Attached {
                subject: subject.clone(),
                media_type: referrer.media_type.clone(),
                digest: referrer.digest.clone(),
                size: referrer.size,
                artifact_type: document.artifact_type().cloned(),
                tag: None,
            });
        }
        Ok(attached)
    }

    fn tagged(
        &mut self,
        at: &Repository,
        subject: &Digest,
        tag: Tag,
        document: ManifestBytes,
    ) -> Result<Attached, FlowError> {
        let descriptor = document.descriptor.clone();
        if !self.parsed.contains_key(&descriptor.digest) {
            let below = self.take_up(at, &descriptor, document)?;
            self.descend(below)?;
        }
        Ok(Attached {
            subject: subject.clone(),
            artifact_type: self.parsed.get(&descriptor.digest).and_then(|d| d.artifact_type().cloned()),
            media_type: descriptor.media_type,
            digest: descriptor.digest,
            size: descriptor.size,
            tag: Some(tag),
        })
    }
}

/// Fetches the documents under cosign's tags of `subject`; only those that exist, where the tags are known. Says how
/// many tags it had to ask for without knowing.
fn tagged(
    source: &dyn Source,
    at: &Repository,
    subject: &Digest,
    tags: Option<&BTreeSet<Tag>>,
) -> Result<(Vec<(Tag, ManifestBytes)>, u64), Fault> {
    let mut found = Vec::new();
    let mut asked = 0;
    for (tag, _) in legacy_tags(subject) {
        if tags.is_some_and(|tags| !tags.contains(&tag)) {
            continue;
        }
        // What stands in the list is there: asking for it reads evidence, and does not look for it.
        asked += u64::from(tags.is_none());
        match source.manifest(at, &Reference::Tag(tag.clone())) {
            Ok(document) => found.push((tag, document)),
            Err(fault) if fault.kind == FaultKind::Missing => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok((found, asked))
}
