//! Adds somebody's signature to a bundle that was verified, in a file beside it; no byte of the bundle is written.

use super::context::Context;
use super::error::FlowError;
use super::import::Medium;
use super::verify::{Request as VerifyRequest, Verified, verify};
use crate::bundle::{Countersigning, name_beside, write_countersignature};
use crate::document::Envelope;
use crate::document::countersignature::{
    CheckedBefore, CountersignatureStatement, KIND, PolicyReference, ReportReference,
};
use crate::model::{Digest, limits};
use crate::trust::{Authors, COUNTERSIGNATURE_STATEMENT, Judge, SigningKey, seal_by};
use std::path::PathBuf;

/// What is countersigned, by whom, and what is said about it.
pub struct Request<'a> {
    /// Volumes with the countersignatures they have, or a stream.
    pub from: Medium,
    /// Whose signature is accepted.
    pub authors: Authors,
    /// Policy of who countersigns, with its name and digest; `None` leaves it at bytes and signatures.
    pub policy: Option<(&'a Judge, PolicyReference)>,
    /// Keys that sign; one at least.
    pub keys: &'a [SigningKey],
    /// Report, and its bytes where they are carried.
    pub report: Option<(ReportReference, Vec<u8>)>,
    /// Words of who signs.
    pub words: Option<String>,
    /// File or folder to write to; beside the first volume where nothing is said.
    pub output: Option<PathBuf>,
    /// Now, RFC 3339.
    pub now: String,
}

/// What came of it.
pub struct Countersigned {
    /// What the verification found.
    pub verified: Verified,
    /// The file that was written and what it says; `None` where the bundle did not verify.
    pub written: Option<(PathBuf, CountersignatureStatement)>,
}

/// Verifies a bundle as `verify` does, and countersigns it where nothing is wrong.
pub fn countersign(request: Request<'_>, context: &Context<'_>) -> Result<Countersigned, FlowError> {
    let who = request.keys.first().map(|key| key.public().id().hex()[..8].to_owned());
    let who = who.ok_or_else(|| FlowError::Usage("no key was given to countersign with".to_owned()))?;
    let words = request.words.as_deref().unwrap_or_default();
    if words.len() > limits::COUNTERSIGNATURE_BYTES as usize / 4 {
        return Err(FlowError::Usage(format!("the statement has {} bytes, which is too long", words.len())));
    }
    let beside = match &request.from {
        Medium::Files(files) => files.first().map(|volume| name_beside(volume, &who)),
        Medium::Stream(_) => None,
    };
    let path = place(request.output, beside, &who)?;
    if path.exists() {
        let why = format!("{} exists and is not replaced; name another file, or take it away", path.display());
        return Err(FlowError::Usage(why));
    }
    let judge = request.policy.as_ref().map(|(judge, _)| *judge);
    let own: Vec<&Digest> = request.keys.iter().map(|key| key.public().id()).collect();
    let authors = request.authors.not_waiting_for(&own);
    let verified = verify(VerifyRequest { from: request.from, authors: &authors, judge, told: &[] }, context)?;
    let Some(bundle) = verified.bundle.clone().filter(|_| verified.holds()) else {
        return Ok(Countersigned { verified, written: None });
    };
    context.go_on()?;
    let (report, carried) = request.report.unzip();
    let statement = CountersignatureStatement {
        envelope: Envelope::new(KIND),
        bundle: bundle.clone(),
        signature: verified.signature.clone(),
        accepted: verified.accepted.clone(),
        checked: checked(&verified, request.policy.map(|(_, policy)| policy)),
        report,
        statement: request.words,
        claimed_time: request.now,
        tool: format!("airlift {}", env!("CARGO_PKG_VERSION")),
    };
    let bytes = sealed(&bundle, &statement, request.keys, carried.as_deref().unwrap_or_default())?;
    write_countersignature(&path, &bytes)?;
    Ok(Countersigned { verified, written: Some((path, statement)) })
}

fn checked(verified: &Verified, policy: Option<PolicyReference>) -> CheckedBefore {
    CheckedBefore {
        authenticity: verified.authenticity.clone().unwrap_or_default(),
        artifacts: verified.artifacts as u64,
        volumes: verified.volumes as u64,
        bytes: verified.bytes,
        policy,
    }
}

fn sealed(
    bundle: &Digest,
    statement: &CountersignatureStatement,
    keys: &[SigningKey],
    report: &[u8],
) -> Result<Vec<u8>, FlowError> {
    let statement = statement.to_bytes();
    let keys: Vec<&SigningKey> = keys.iter().collect();
    let envelope = seal_by(COUNTERSIGNATURE_STATEMENT, &statement, &keys)?;
    Ok(Countersigning { bundle, statement: &statement, envelope: &envelope, report }.to_bytes()?)
}

/// Decides on the file: as named, under its usual name in the folder that was named, or beside the first volume.
fn place(output: Option<PathBuf>, beside: Option<PathBuf>, who: &str) -> Result<PathBuf, FlowError> {
    match (output, beside) {
        (Some(output), beside) if output.is_dir() => {
            let name = beside.as_deref().and_then(|path| path.file_name()).map(ToOwned::to_owned);
            Ok(output.join(name.unwrap_or_else(|| format!("bundle.000.countersigned-{who}.airlift").into())))
        }
        (Some(output), _) => Ok(output),
        (None, Some(beside)) => Ok(beside),
        (None, None) => {
            Err(FlowError::Usage("a stream says not where its volumes are; name a file with --output-file".to_owned()))
        }
    }
}
