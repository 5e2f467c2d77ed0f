//! The cryptography of one bundle: the library's checks, and the guards behind them.

use super::bundle03::unknown_log;
use super::keys::PublicKey;
use super::outcome::{Log, Moment, Refusal};
use super::roots::Root;
use super::time::{self, Timestamp};
use crate::document::policy::{LogDemand, SctDemand};
use crate::model::digest::hex;
use crate::model::evidence::{LogEntry, TimeSource};
use crate::model::fault::printable;
use sigstore_crypto::CertificateInfo;
use sigstore_types::{Artifact, Bundle};
use sigstore_verify::{
    CertificateError, Error, PublicKeyVerificationPolicy, TimestampError, TransparencyLogError, VerificationPolicy,
    VerificationResult,
};

/// What a signer demands of log and certificate, and what time it is.
#[derive(Clone, Copy)]
pub(super) struct Demands {
    pub log: LogDemand,
    pub sct: SctDemand,
    pub now: i64,
}

/// What was verified about a bundle, whoever signed it.
pub(super) struct Checked {
    pub log: Log,
    pub entry: Option<LogEntry>,
    pub times: Vec<Moment>,
}

/// Verifies a bundle that was signed under a certificate. Who holds the certificate is for the caller to judge.
pub(super) fn keyless(
    root: &Root,
    bundle: &Bundle,
    artifact: Artifact<'_>,
    demands: Demands,
) -> Result<(Checked, CertificateInfo), Refusal> {
    let log = enough_log(root, bundle, demands.log)?;
    let mut policy = VerificationPolicy::any_identity();
    if demands.log == LogDemand::None {
        policy = policy.skip_tlog_unsafe();
    }
    if demands.sct == SctDemand::None {
        policy = policy.skip_sct();
    }
    let result = root.verifier.verify(artifact, bundle, &policy).map_err(refused)?;
    let checked = checked(root, bundle, &result, log, demands.now)?;
    match result.certificate() {
        Some(certificate) if result.certificate_verified() && !checked.times.is_empty() => {
            Ok((checked, certificate.clone()))
        }
        _ => Err(Refusal::bad("nothing shows when the certificate was used")),
    }
}

/// Verifies a bundle that was signed by `key`, and what a log or a timestamp authority says about it.
pub(super) fn keyed(
    root: &Root,
    bundle: &Bundle,
    artifact: Artifact<'_>,
    key: &PublicKey,
    demands: Demands,
) -> Result<Checked, Refusal> {
    let log = enough_log(root, bundle, demands.log)?;
    let mut policy = PublicKeyVerificationPolicy::new(key.der().clone());
    if log == Log::None {
        policy = policy.skip_tlog_unsafe();
    }
    let result = root.verifier.verify(artifact, bundle, &policy).map_err(refused)?;
    checked(root, bundle, &result, log, demands.now)
}

/// Says how much the log shows, or that it is too little.
pub(super) fn enough_log(root: &Root, bundle: &Bundle, wanted: LogDemand) -> Result<Log, Refusal> {
    let entries = &bundle.verification_material.tlog_entries;
    if let Some(entry) = entries.iter().find(|entry| root.log(&entry.log_id).is_none()) {
        return Err(unknown_log(&hex(entry.log_id.key_id.as_bytes()), root));
    }
    let log = match entries.as_slice() {
        [] => Log::None,
        all if all.iter().all(|entry| entry.inclusion_proof.is_some()) => Log::Proof,
        _ => Log::Promise,
    };
    match (wanted, log) {
        (LogDemand::Promise | LogDemand::Proof, Log::None) => {
            Err(Refusal::bad("it has no log entry, and the rule wants one"))
        }
        (LogDemand::Proof, Log::Promise) => {
            Err(Refusal::bad("it has only the log's promise, and the rule wants a proof that the entry is in the log")
                .hint("sign it again with a current cosign, or set log: promise"))
        }
        _ => Ok(log),
    }
}

fn checked(root: &Root, bundle: &Bundle, result: &VerificationResult, log: Log, now: i64) -> Result<Checked, Refusal> {
    let times = result.verified_timestamps();
    for time in times {
        if time.as_second() > now.saturating_add(time::SKEW) {
            let (at, now) = (time::rfc3339(time.as_second()), time::rfc3339(now));
            return Err(Refusal::bad(format!("it was signed in the future, at {at}; it is {now} here"))
                .hint("is the clock of this machine right?"));
        }
    }
    within_log_windows(root, bundle, times, now)?;
    let entry = bundle
        .verification_material
        .tlog_entries
        .first()
        .map(|entry| LogEntry { log: hex(entry.log_id.key_id.as_bytes()), index: entry.log_index.get() });
    let logged: Vec<i64> = bundle
        .verification_material
        .tlog_entries
        .iter()
        .filter_map(|entry| entry.integrated_time.map(|time| time.as_second()))
        .collect();
    let source = |second| if logged.contains(&second) { TimeSource::Log } else { TimeSource::TimestampAuthority };
    let moment = |time: &Timestamp| Moment { second: time.as_second(), source: source(time.as_second()) };
    let mut times: Vec<Moment> = times.iter().map(moment).collect();
    times.sort_unstable();
    times.dedup();
    Ok(Checked { log, entry, times })
}

/// Checks that every log's key was in force at every verified time; the library looks at the start only.
fn within_log_windows(root: &Root, bundle: &Bundle, times: &[Timestamp], now: i64) -> Result<(), Refusal> {
    let now = Timestamp::from_second(now).unwrap_or(Timestamp::MAX);
    // Where nothing vouches for a time, only a key that is in force now can be told from one that has ended.
    let times = if times.is_empty() { std::slice::from_ref(&now) } else { times };
    for entry in &bundle.verification_material.tlog_entries {
        let window = root.log(&entry.log_id).and_then(|log| log.public_key.valid_for);
        if let Some(time) = times.iter().find(|time| window.is_some_and(|window| !window.contains(**time))) {
            let at = time::rfc3339(time.as_second());
            return Err(Refusal::bad(format!("the key of its log was not in force at {at}")));
        }
    }
    Ok(())
}

fn refused(error: Error) -> Refusal {
    let words = words(&error);
    match error {
        Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) => Refusal::unknown(words),
        Error::TransparencyLog(TransparencyLogError::UnknownLog { .. }) => {
            Refusal::unknown(words).hint("is the trusted root older than the signature?")
        }
        Error::Certificate(CertificateError::ChainInvalid(ref why)) => chain_refused(why, words),
        Error::Certificate(CertificateError::NoValidAuthority { .. }) => Refusal::bad(words)
            .hint("is the trusted root of another instance, or was the signature made outside its time?"),
        Error::Timestamp(TimestampError::NoVerifiedTimestamp(_)) => {
            Refusal::bad("nothing that can be checked says when it was signed (no log entry with a time, no timestamp)")
        }
        _ => Refusal::bad(words),
    }
}

/// Says in words what the certificate library names.
fn chain_refused(why: &str, words: String) -> Refusal {
    const KNOWN: [(&str, &str); 5] = [
        ("InvalidSignatureForPublicKey", "its certificate is not by the authority that it names"),
        ("CertExpired", "its certificate had expired when it was used"),
        ("CertNotValidYet", "its certificate had not begun when it was used"),
        ("RequiredEkuNotFound", "its certificate is not for code signing"),
        ("CaUsedAsEndEntity", "its certificate is that of an authority, which signs no artifacts"),
    ];
    if why.contains("UnknownIssuer") {
        return Refusal::unknown("its certificate is by an authority that the trusted root does not know")
            .hint("is the trusted root that of another instance, or older than the signature?");
    }
    Refusal::bad(KNOWN.iter().find(|(name, _)| why.contains(name)).map_or(words, |(_, said)| (*said).to_owned()))
}

fn words(error: &Error) -> String {
    let text = printable(&error.to_string());
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !chars.as_str().starts_with(|c: char| c.is_ascii_uppercase()) => {
            format!("{}{}", first.to_lowercase(), chars.as_str())
        }
        _ => text,
    }
}
