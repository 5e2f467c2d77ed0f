//! Checks one volume as soon as it arrives, without the others: whether it is intact, and which one of which set it is.

use super::alone;
use super::blob_check::Ledger;
use super::feed::Feed;
use super::read_error::ReadError;
use super::reader::BundleReader;
use super::tables::Volume;
use super::volumes::{self, VolumeMark};
use crate::model::{Digest, Finding};
use std::path::{Path, PathBuf};

/// Which volume of which set a file says that it is. Nothing of it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeName {
    /// Number from 1.
    pub number: u32,
    /// Volumes of the set; `None` where this volume was written before that was known.
    pub total: Option<u32>,
    /// What is inside.
    pub bundle: Digest,
    /// Which physical cut.
    pub set_id: [u8; 32],
}

/// What a check of one volume found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedVolume {
    /// File.
    pub path: PathBuf,
    /// Which volume it is, where its header could be read.
    pub name: Option<VolumeName>,
    /// Size, and the digest of an intact table.
    pub mark: Option<VolumeMark>,
    /// Statement and envelope, where this is volume 1 and they could be read.
    pub head: Option<(Vec<u8>, Option<Vec<u8>>)>,
    /// All that is wrong; empty where the volume is intact.
    pub findings: Vec<Finding>,
}

/// Returns which volume a file says that it is.
pub fn volume_name(path: &Path) -> Result<VolumeName, ReadError> {
    let header = volumes::header_of(path)?;
    let stated = Some(header.total).filter(|total| *total > 0).or((header.volume_limit == 0).then_some(1));
    let total = stated.or(volumes::ends_set(path).then_some(header.number));
    let (number, set_id) = (header.number, header.set_id);
    Ok(VolumeName { number, total, bundle: Digest::Sha256(header.bundle_id), set_id })
}

/// Returns how a file names itself as volume `number`; `None` where it cannot be found.
pub(super) fn mark(path: &Path, number: u32) -> Option<VolumeMark> {
    let bytes = std::fs::metadata(path).ok()?.len();
    let digest = Volume::open(path).ok().map(|volume| volume.digest);
    Some(VolumeMark { number, path: path.to_owned(), bytes, digest })
}

/// Checks every byte of one volume against its own table; `moved` is told of bytes that were checked.
///
/// The digests of blobs and the signature of the author are not in a volume but the first: of that, the head is read too.
pub fn check_volume(path: &Path, moved: &(dyn Fn(u64) + Sync)) -> CheckedVolume {
    let ledger = Ledger::default();
    let name = volume_name(path).ok();
    alone::check(path, (&[], 0), &ledger, moved);
    let mark = name.as_ref().and_then(|name| mark(path, name.number));
    let mut findings = ledger.into_findings();
    let first = name.as_ref().is_some_and(|name| name.number == 1) && findings.is_empty();
    let head = first.then(|| BundleReader::start(Feed::files(vec![path.to_owned()]), Vec::new()));
    let head = match head {
        Some(Ok(reader)) => Some((reader.statement().to_vec(), reader.envelope().map(<[u8]>::to_vec))),
        // The head goes on in volume 2: volumes are smaller than the documents in front of the payload.
        Some(Err(ReadError::Missing { .. })) | None => None,
        Some(Err(error)) => {
            findings.push(error.finding());
            None
        }
    };
    CheckedVolume { path: path.to_owned(), name, mark, head, findings }
}
