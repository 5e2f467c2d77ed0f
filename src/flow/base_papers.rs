//! Reads the papers that a delta is based on and accepts them before anything is built on them; asks no network.
//!
//! What each kind proves: a receipt, that its artifacts with all their blobs were at its destination; a bundle, that
//! whoever imported it has all that its inventory lists; a lock, that its artifacts were wanted, and it is taken at the
//! word of the person who names it. A registry is asked later. Whatever a base says, an import asks again.

use super::error::FlowError;
use super::opened::open;
use super::plan_delivery::Prefix;
use super::signed_paper::{ReceiptDemand, accept_receipt, read_signed, signature_path};
use super::wanted::read_paper;
use crate::bundle::Input;
use crate::document::base::{BaseKind, BasePaper};
use crate::document::lock::{self, Lock};
use crate::document::receipt::{self, Receipt};
use crate::document::{Envelope, PaperError};
use crate::model::{Digest, json};
use crate::trust::{Authors, LOCK_STATEMENT, PublicKey};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A base as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBase {
    /// Site that it is about, where the person names one.
    pub site: Option<String>,
    /// What it is.
    pub from: BaseFrom,
}

/// Where the knowledge of a base comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseFrom {
    /// A receipt or a lock.
    Paper(PathBuf),
    /// Volumes of another bundle, of which only the head is read.
    Bundle(Vec<PathBuf>),
    /// A registry that can be asked.
    Registry(Prefix),
}

/// Whose word is good enough to leave something out.
pub struct BaseDemand<'a> {
    /// Keys, one of which must have signed a receipt or a lock.
    pub keys: &'a [PublicKey],
    /// Authors whose bundles are accepted: the same keys.
    pub authors: &'a Authors,
    /// Whether a paper without a signature is taken; a signature that is there must hold all the same.
    pub allow_unsigned: bool,
    /// Now, RFC 3339.
    pub now: &'a str,
}

/// A base that was accepted.
pub struct Base {
    pub(super) site: Site,
    pub(super) paper: BasePaper,
    pub(super) holds: Holds,
}

/// Site of a base: papers of one site know together what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Site {
    /// By the name that a person gave, or by the destination that a paper is about.
    Named(String),
    /// By itself: a paper that is about no place. Its number among all bases, and what it is called.
    Alone(usize, String),
}

/// Blobs with the repositories, behind the prefix of an import, that have them.
pub(super) type Places = BTreeMap<Digest, BTreeSet<String>>;

/// What a base holds, or how to find out.
pub(super) enum Holds {
    Blobs(Places),
    Lock(Lock),
    Registry(Prefix),
}

/// Reads all bases and refuses those that are not accepted.
pub fn read_bases(named: &[NamedBase], demand: &BaseDemand<'_>) -> Result<Vec<Base>, FlowError> {
    named.iter().enumerate().map(|(number, base)| read(number, base, demand)).collect()
}

fn read(number: usize, base: &NamedBase, demand: &BaseDemand<'_>) -> Result<Base, FlowError> {
    let (paper, holds, file) = match &base.from {
        BaseFrom::Registry(prefix) => {
            let destination = Some(prefix.to_string());
            let paper = BasePaper { destination, ..plain(BaseKind::Registry) };
            (paper, Holds::Registry(prefix.clone()), PathBuf::new())
        }
        BaseFrom::Paper(path) => {
            demand.says_something(path)?;
            let (paper, holds) = paper(path, demand)?;
            (paper, holds, path.clone())
        }
        BaseFrom::Bundle(volumes) => {
            let first = volumes.first().cloned().unwrap_or_default();
            demand.says_something(&first)?;
            let (paper, places) = bundle(volumes, demand.authors)?;
            (paper, Holds::Blobs(places), first)
        }
    };
    // All folders are called `layout`: the name of one says nothing about another.
    let destination = paper.destination.clone().filter(|destination| destination != "layout");
    let site = match base.site.clone().or(destination) {
        Some(name) => Site::Named(name),
        None => Site::Alone(number, file.file_name().unwrap_or_default().to_string_lossy().into_owned()),
    };
    Ok(Base { site, paper, holds })
}

impl BaseDemand<'_> {
    fn says_something(&self, path: &Path) -> Result<(), FlowError> {
        if self.keys.is_empty() && !self.allow_unsigned {
            return Err(FlowError::UnacceptedPaper {
                path: path.display().to_string(),
                why: "a base decides what is left out, and nothing says whose word counts: name a --base-key, or pass \
                      --allow-unsigned-base"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// A signature that is there is never passed over, unless there is no key to judge it by.
    fn takes_unsigned(&self, path: &Path) -> bool {
        self.allow_unsigned && (self.keys.is_empty() || !signature_path(path).exists())
    }
}

fn plain(kind: BaseKind) -> BasePaper {
    BasePaper { kind, digest: None, bundle: None, destination: None, finished: None, keys: Vec::new() }
}

fn paper(path: &Path, demand: &BaseDemand<'_>) -> Result<(BasePaper, Holds), FlowError> {
    let place = path.display().to_string();
    let bytes = read_paper(path)?;
    let kind = json::parse::<Envelope>(&bytes).map(|envelope| envelope.kind).unwrap_or_default();
    match kind.as_str() {
        receipt::KIND => {
            let (receipt, keys) = if demand.takes_unsigned(path) {
                (Receipt::read(&bytes, &place)?, Vec::new())
            } else {
                let demand = ReceiptDemand { keys: demand.keys, now: demand.now, ..ReceiptDemand::default() };
                let accepted = accept_receipt(path, &demand)?;
                (accepted.receipt, accepted.keys)
            };
            Ok((of_receipt(&receipt, keys), Holds::Blobs(places(&receipt))))
        }
        lock::KIND => {
            let (bytes, keys) = if demand.takes_unsigned(path) {
                (bytes, Vec::new())
            } else {
                let (bytes, sealed) = read_signed(path, LOCK_STATEMENT, demand.keys)?;
                (bytes, sealed.keys)
            };
            let paper = BasePaper { digest: Some(Digest::of(&bytes)), keys: sorted(keys), ..plain(BaseKind::Lock) };
            Ok((paper, Holds::Lock(Lock::read(&bytes, &place)?)))
        }
        _ => Err(PaperError::Kind { place, found: kind, expected: "Receipt or Lock" }.into()),
    }
}

fn of_receipt(receipt: &Receipt, keys: Vec<Digest>) -> BasePaper {
    BasePaper {
        digest: Some(Digest::of(&receipt.to_bytes())),
        bundle: receipt.bundle.clone(),
        destination: Some(receipt.destination.clone()),
        finished: Some(receipt.finished.clone()),
        keys: sorted(keys),
        ..plain(BaseKind::Receipt)
    }
}

fn sorted(mut keys: Vec<Digest>) -> Vec<Digest> {
    keys.sort();
    keys.dedup();
    keys
}

/// Returns what arrived by a receipt; what failed or waits is not there.
fn places(receipt: &Receipt) -> Places {
    let mut places = Places::new();
    for arrival in receipt.artifacts.iter().filter(|arrival| arrival.outcome.is_there()) {
        let repository = below(&receipt.destination, &arrival.destination);
        for blob in &arrival.blobs {
            places.entry(blob.clone()).or_default().extend(repository.map(str::to_owned));
        }
    }
    places
}

/// Returns the repository of a full reference, behind host and prefix.
fn below<'a>(prefix: &str, reference: &'a str) -> Option<&'a str> {
    let path = reference.strip_prefix(prefix)?.strip_prefix('/')?;
    let path = path.split_once('@').map_or(path, |(path, _)| path);
    Some(path.split_once(':').map_or(path, |(path, _)| path))
}

fn bundle(volumes: &[PathBuf], authors: &Authors) -> Result<(BasePaper, Places), FlowError> {
    let opened = open(Input::Files(volumes.to_vec()), authors)?;
    if opened.base.as_ref().is_some_and(|base| base.supplements.is_some()) {
        let what = "is a bundle by request and completes another one: name that one as the base";
        return Err(FlowError::Usage(format!("bundle {} {what}", opened.bundle_id)));
    }
    let mut places = Places::new();
    for (at, artifact) in opened.shipment.lock.artifacts.iter().enumerate() {
        for blob in opened.shipment.blobs_of_artifact(at) {
            places.entry(blob.descriptor.digest).or_default().insert(artifact.destination.repository.clone());
        }
    }
    let bundle = Some(opened.bundle_id);
    Ok((BasePaper { bundle, keys: sorted(opened.accepted), ..plain(BaseKind::Bundle) }, places))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_found_behind_host_and_prefix() {
        for (prefix, reference, found) in [
            ("h:5000", "h:5000/a/b:1", Some("a/b")),
            ("h:5000/p", "h:5000/p/a:1", Some("a")),
            ("h/p", "h/p/a@sha256:00", Some("a")),
            ("h/p", "h/p/a:1@sha256:00", Some("a")),
            ("h/p", "h/pq/a:1", None),
            ("h", "i/a:1", None),
        ] {
            assert_eq!(below(prefix, reference), found, "{reference}");
        }
    }

    #[test]
    fn nobody_s_word_is_taken_unasked() {
        let authors = Authors::anyone();
        let demand = BaseDemand { keys: &[], authors: &authors, allow_unsigned: false, now: "" };
        let base = NamedBase { site: None, from: BaseFrom::Paper("none.json".into()) };
        let error = read_bases(&[base], &demand).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains("none.json") && error.contains("--base-key"), "{error}");
        let registry = NamedBase { site: None, from: BaseFrom::Registry(Prefix::parse("h.example/p").unwrap()) };
        let bases = read_bases(&[registry], &demand).unwrap();
        assert_eq!(bases[0].site, Site::Named("h.example/p".to_owned()), "a registry speaks for itself");
    }
}
