//! Papers with a signature beside them: receipts and locks, each with its seal in a file `NAME.sig`.
//!
//! The paper itself stays as it is, so programs that read it need not know of the signature. A receipt that is to
//! serve as a base passes [`accept_receipt`] first.

use super::error::FlowError;
use super::publish::publish;
use super::wanted::read_paper;
use crate::document::receipt::Receipt;
use crate::model::Digest;
use crate::trust::{PublicKey, RECEIPT_STATEMENT, SealError, Sealed, SigningKey, seal_by, unseal};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Longest seal, in bytes; one more is read to tell that it is too long.
const SEAL: u64 = 4096;

/// Returns where the signature of the paper at `path` stands.
pub fn signature_path(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.sig", path.display()))
}

/// Writes a paper, and its seal beside it where there are keys.
pub fn publish_signed(path: &Path, bytes: &[u8], kind: &str, keys: &[SigningKey]) -> Result<(), FlowError> {
    let keys: Vec<&SigningKey> = keys.iter().collect();
    let sealed = (!keys.is_empty()).then(|| seal_by(kind, bytes, &keys)).transpose()?;
    publish(path, bytes)?;
    let Some(mut seal) = sealed else { return Ok(()) };
    seal.push(b'\n');
    publish(&signature_path(path), &seal)
}

/// Reads a paper and checks that one of the `accepted` keys sealed it as a `kind`.
pub fn read_signed(path: &Path, kind: &str, accepted: &[PublicKey]) -> Result<(Vec<u8>, Sealed), FlowError> {
    let bytes = read_paper(path)?;
    let beside = signature_path(path);
    let mut seal = Vec::new();
    match File::open(&beside) {
        Ok(file) => {
            file.take(SEAL + 1).read_to_end(&mut seal).map_err(|e| FlowError::file(&beside, "cannot be read", e))?;
        }
        // As an empty seal it is refused below, in the words for a paper that is not signed.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(FlowError::file(&beside, "cannot be read", error)),
    }
    let sealed = unseal(kind, &bytes, &seal, accepted).map_err(|error| unaccepted(path, words(&error, &beside)))?;
    Ok((bytes, sealed))
}

fn words(error: &SealError, beside: &Path) -> String {
    match error {
        SealError::Unsigned => format!("it is not signed; its signature should stand in {}", beside.display()),
        other => other.to_string(),
    }
}

fn unaccepted(path: &Path, why: String) -> FlowError {
    FlowError::UnacceptedPaper { path: path.display().to_string(), why }
}

/// What a receipt must be before anything is built on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReceiptDemand<'a> {
    /// Keys, one of which must have signed it.
    pub keys: &'a [PublicKey],
    /// Destination that it must be about, as the import named it.
    pub destination: Option<&'a str>,
    /// Bundle that it must be about.
    pub bundle: Option<&'a Digest>,
    /// Time (RFC 3339, UTC, to the second) before which it must not have ended: the end of the newest one that was
    /// accepted for that destination. An older one is offered again, and the destination may have changed since.
    pub not_before: Option<&'a str>,
    /// Now, in the same form; a receipt from the future is refused.
    pub now: &'a str,
}

/// A receipt that was accepted.
#[derive(Debug, Clone)]
pub struct AcceptedReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// Keys that signed it.
    pub keys: Vec<Digest>,
}

/// Reads the receipt at `path` and accepts it only as what `demand` asks for: signed, of that destination and
/// bundle, not older than one that was accepted before, and not of a later time than now.
///
/// What a receipt says was so when it was written. Whoever leaves something out of a bundle because of it must ask
/// the destination for it again before importing.
pub fn accept_receipt(path: &Path, demand: &ReceiptDemand<'_>) -> Result<AcceptedReceipt, FlowError> {
    let (bytes, sealed) = read_signed(path, RECEIPT_STATEMENT, demand.keys)?;
    let receipt = Receipt::read(&bytes, &path.display().to_string())?;
    match objection(&receipt, demand) {
        Some(why) => Err(unaccepted(path, why)),
        None => Ok(AcceptedReceipt { receipt, keys: sealed.keys }),
    }
}

fn objection(receipt: &Receipt, demand: &ReceiptDemand<'_>) -> Option<String> {
    if let Some(expected) = demand.destination.filter(|expected| *expected != receipt.destination) {
        return Some(format!("it is about {}, not about {expected}", receipt.destination));
    }
    if let Some(expected) = demand.bundle.filter(|expected| receipt.bundle.as_ref() != Some(*expected)) {
        let found = receipt.bundle.as_ref().map_or("no bundle".to_owned(), |found| format!("bundle {}", found.short()));
        return Some(format!("it is about {found}, not about bundle {}", expected.short()));
    }
    // Times of one form compare as their texts do.
    let finished = receipt.finished.as_str();
    if !is_time(finished) {
        return Some(format!("{finished:?} is no time"));
    }
    if let Some(newest) = demand.not_before.filter(|newest| finished < *newest) {
        return Some(format!(
            "it ended at {finished}, and one that ended at {newest} is known: an old one is offered again"
        ));
    }
    (!demand.now.is_empty() && finished > demand.now)
        .then(|| format!("it ended at {finished}, which is later than now ({})", demand.now))
}

/// Returns whether `text` is a time as receipts have it: `2027-01-31T12:00:00Z`.
pub fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00Z";
    text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form })
}
