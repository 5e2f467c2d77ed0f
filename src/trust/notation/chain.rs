//! Chains of certificates: of signers as they stand in envelopes, and of timestamp authorities as they are found. The
//! door of the chain library.
//!
//! The library builds and verifies the path: signatures, validity, authorities, lengths, names, critical extensions
//! that it doesn't know. Beyond it stand the rules of the specification, which are narrower: an order, key usages, and
//! purposes that must not be there.

use super::certificate::Certificate;
use crate::model::limits;
use crate::trust::outcome::Refusal;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use std::time::Duration;
use webpki::aws_lc_rs as by;
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

/// Algorithms that issue certificates: nothing below SHA-256 and RSA of 2048 bits.
static ISSUING: [&dyn SignatureVerificationAlgorithm; 18] = [
    by::ECDSA_P256_SHA256,
    by::ECDSA_P256_SHA384,
    by::ECDSA_P256_SHA512,
    by::ECDSA_P384_SHA256,
    by::ECDSA_P384_SHA384,
    by::ECDSA_P384_SHA512,
    by::ECDSA_P521_SHA256,
    by::ECDSA_P521_SHA384,
    by::ECDSA_P521_SHA512,
    by::RSA_PKCS1_2048_8192_SHA256,
    by::RSA_PKCS1_2048_8192_SHA384,
    by::RSA_PKCS1_2048_8192_SHA512,
    by::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    by::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    by::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    by::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    by::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    by::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";
/// The same as the library wants them: encoded.
const CODE_SIGNING_BYTES: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
const TIME_STAMPING_BYTES: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];
/// Purposes that a signer's certificate must not have: any, servers, clients, e-mail, timestamps, OCSP.
const FOREIGN: [&str; 6] =
    ["2.5.29.37.0", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4", TIME_STAMPING, "1.3.6.1.5.5.7.3.9"];

/// Reads the certificates of an envelope, within the limits.
pub(super) fn read(certificates: &[Vec<u8>]) -> Result<Vec<Certificate>, Refusal> {
    if certificates.len() > limits::CERTIFICATE_CHAIN {
        let count = certificates.len();
        return Err(Refusal::form(format!("it has {count} certificates, the limit is {}", limits::CERTIFICATE_CHAIN)));
    }
    let read = |(at, der): (usize, &Vec<u8>)| Certificate::read(der, &format!("certificate {} of its chain", at + 1));
    certificates.iter().enumerate().map(read).collect::<Result<_, _>>().map_err(Refusal::form)
}

/// Checks that `chain` is whole: each certificate issued by the next, the last by itself, all of them as the
/// specification wants them. Whether any of them is trusted, and when it was used, is not looked at.
pub(super) fn check(chain: &[Certificate]) -> Result<(), Refusal> {
    let ([leaf, ..], [below @ .., root]) = (chain, chain) else { return Err(Refusal::form("it holds no certificate")) };
    for pair in chain.windows(2) {
        if let [one, next] = pair
            && one.issuer != next.subject
        {
            let (one, next) = (one.subject_text(), next.subject_text());
            return Err(Refusal::bad(format!("its chain is broken: {one} is not issued by {next}, which comes next")));
        }
    }
    if !root.is_self_signed() {
        return Err(Refusal::bad(format!(
            "its chain does not end with a root: {} is not self-signed",
            root.subject_text()
        )));
    }
    if let Some(early) = below.iter().find(|one| one.is_self_signed()) {
        let early = early.subject_text();
        return Err(Refusal::bad(format!("its chain goes on behind {early}, which is self-signed")));
    }
    signer(leaf).map_err(|why| refused(leaf, why))?;
    for (below, one) in chain.iter().skip(1).enumerate() {
        let critical = one.extensions.key_usage.is_some_and(|(critical, _)| critical);
        let own = if critical { authority(one) } else { Err("issues certificates, and has no critical key usage") };
        own.map_err(|why| refused(one, why))?;
        // The library takes a root for granted, and with it the length that it allows.
        if one.extensions.path_length.is_some_and(|most| usize::from(most) < below) {
            return Err(refused(one, "allows fewer authorities below it than there are"));
        }
    }
    let start = chain.iter().map(|one| one.valid.0).max().unwrap_or_default();
    if chain.iter().any(|one| one.valid.1 < start) {
        return Err(Refusal::bad("its certificates were never valid at the same time"));
    }
    let whole = |path: &VerifiedPath<'_>| {
        let between = below.get(1..).unwrap_or_default();
        let same = path
            .intermediate_certificates()
            .map(|one| one.der().to_vec())
            .eq(between.iter().map(|one| one.der.clone()));
        if same { Ok(()) } else { Err(Error::UnknownIssuer) }
    };
    let between: Vec<&Certificate> = below.iter().skip(1).collect();
    let usage = KeyUsage::required_if_present(CODE_SIGNING_BYTES);
    path(leaf, &between, &[root], start, usage, &whole).map_err(|e| Refusal::bad(words("its certificate", &e)))
}

/// Finds the way from the certificate of a timestamp authority to one of `roots`, valid at `time`; returns all
/// certificates on it, the root last.
pub(super) fn stamping(
    leaf: &Certificate,
    others: &[Certificate],
    roots: &[&Certificate],
    time: i64,
) -> Result<Vec<Certificate>, Refusal> {
    stamper(leaf).map_err(|why| refused(leaf, why))?;
    let others: Vec<&Certificate> = others.iter().filter(|one| one.der != leaf.der).collect();
    let found = std::cell::RefCell::new(Vec::new());
    let note = |path: &VerifiedPath<'_>| {
        let known = |der: &[u8]| others.iter().copied().find(|one| one.der == der);
        let mut on_it: Vec<&Certificate> =
            path.intermediate_certificates().filter_map(|one| known(&one.der())).collect();
        let last = on_it.last().copied().unwrap_or(leaf);
        on_it.extend(roots.iter().find(|root| root.subject == last.issuer));
        *found.borrow_mut() = on_it.into_iter().cloned().collect();
        Ok(())
    };
    path(leaf, &others, roots, time, KeyUsage::required(TIME_STAMPING_BYTES), &note).map_err(|e| match e {
        Error::UnknownIssuer => Refusal::unknown(format!(
            "its timestamp is by {}, whom no tsa store of the rule vouches for",
            leaf.subject_text()
        )),
        e => Refusal::bad(words("the certificate of its timestamp", &e)),
    })?;
    let path: Vec<Certificate> = std::iter::once(leaf.clone()).chain(found.into_inner()).collect();
    for one in path.get(1..).unwrap_or_default() {
        authority(one).map_err(|why| refused(one, why))?;
    }
    Ok(path)
}

fn path(
    leaf: &Certificate,
    between: &[&Certificate],
    roots: &[&Certificate],
    time: i64,
    usage: KeyUsage,
    accept: &dyn Fn(&VerifiedPath<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let encoded =
        |all: &[&Certificate]| all.iter().map(|one| CertificateDer::from(one.der.clone())).collect::<Vec<_>>();
    let (roots, between) = (encoded(roots), encoded(between));
    let anchors = roots.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>()?;
    let leaf = CertificateDer::from(leaf.der.as_slice());
    let time = UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time).unwrap_or_default()));
    let leaf = EndEntityCert::try_from(&leaf)?;
    leaf.verify_for_usage(&ISSUING, &anchors, &between, time, usage, None, Some(accept)).map(|_| ())
}

/// What the certificate of a signer must be.
fn signer(leaf: &Certificate) -> Result<(), &'static str> {
    if leaf.extensions.authority {
        return Err("is an authority's, which signs no artifacts");
    }
    match leaf.extensions.key_usage {
        None => return Err("says nothing of its key's usage"),
        Some((false, _)) => return Err("has a key usage that is not critical"),
        Some((true, usage)) => only_signs(usage)?,
    }
    let Some((_, purposes)) = &leaf.extensions.extended else { return Ok(()) };
    if purposes.iter().any(|purpose| FOREIGN.contains(&purpose.as_str())) {
        return Err("has a purpose besides code signing that is not allowed");
    }
    if purposes.iter().all(|purpose| purpose != CODE_SIGNING) {
        return Err("is not for code signing");
    }
    Ok(())
}

/// What the certificate of a timestamp authority must be (RFC 3161, 2.3).
fn stamper(leaf: &Certificate) -> Result<(), &'static str> {
    if leaf.extensions.authority {
        return Err("is an authority's, which stamps nothing itself");
    }
    let (_, usage) = leaf.extensions.key_usage.ok_or("says nothing of its key's usage")?;
    only_signs(usage)?;
    match &leaf.extensions.extended {
        Some((true, purposes)) if purposes.as_slice() == [TIME_STAMPING] => Ok(()),
        Some((false, purposes)) if purposes.as_slice() == [TIME_STAMPING] => {
            Err("is for timestamps, but does not say so in a critical extension")
        }
        _ => Err("is not for timestamps alone"),
    }
}

fn only_signs(usage: x509_cert::ext::pkix::KeyUsage) -> Result<(), &'static str> {
    if !usage.digital_signature() {
        return Err("is not for signatures");
    }
    let more = usage.key_encipherment()
        || usage.data_encipherment()
        || usage.key_agreement()
        || usage.key_cert_sign()
        || usage.crl_sign()
        || usage.encipher_only()
        || usage.decipher_only();
    if more { Err("has a key that does more than sign") } else { Ok(()) }
}

/// What the certificate of an authority must be.
fn authority(one: &Certificate) -> Result<(), &'static str> {
    if !one.extensions.authority {
        return Err("issues certificates, and is no authority's");
    }
    match one.extensions.key_usage {
        Some((_, usage)) if usage.key_cert_sign() => Ok(()),
        _ => Err("issues certificates, and its key is not for that"),
    }
}

fn refused(one: &Certificate, why: &str) -> Refusal {
    Refusal::bad(format!("the certificate of {} {why}", one.subject_text()))
}

/// Says in words what the library names.
fn words(what: &str, error: &Error) -> String {
    match error {
        Error::InvalidSignatureForPublicKey => format!("{what} is not by the authority that it names"),
        Error::CertExpired { .. } => format!("{what} had expired when it was used"),
        Error::CertNotValidYet { .. } => format!("{what} had not begun when it was used"),
        Error::RequiredEkuNotFoundContext(_) => format!("{what} is not for this purpose, or an authority of it is not"),
        Error::PathLenConstraintViolated => format!("the chain of {what} is longer than one of its authorities allows"),
        Error::UnsupportedSignatureAlgorithmContext(_) | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            format!("{what} is issued with an algorithm that does not count")
        }
        Error::UnsupportedCriticalExtension => format!("{what} has a critical extension that is not known here"),
        Error::UnknownIssuer => format!("the chain of {what} is broken"),
        other => format!("the chain of {what} does not hold: {other}"),
    }
}
