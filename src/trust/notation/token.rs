//! The token of a timestamp authority (RFC 3161, in CMS): what it says, before anything is verified. The door of the
//! CMS crate.

use super::algorithm::Hash;
use super::certificate::Certificate;
use crate::model::limits;
use crate::trust::outcome::Refusal;
use crate::trust::time;
use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use x509_cert::attr::Attributes;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, OctetString, OctetStringRef, UintRef};
use x509_cert::der::{Decode, Encode, Error as DerError, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::ext::Extension;
use x509_cert::spki::AlgorithmIdentifierOwned;

const fn id(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const SIGNED_DATA: ObjectIdentifier = id("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = id("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = id("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = id("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier = id("1.2.840.113549.1.9.16.2.47");
/// Policy of authorities that are right to the second where they don't say how right they are (ETSI).
const BASELINE: ObjectIdentifier = id("0.4.0.2023.1.1");

/// Hashes, and the signature algorithms that name them.
const HASHES: [(ObjectIdentifier, Hash); 9] = [
    (id("2.16.840.1.101.3.4.2.1"), Hash::Sha256),
    (id("2.16.840.1.101.3.4.2.2"), Hash::Sha384),
    (id("2.16.840.1.101.3.4.2.3"), Hash::Sha512),
    (id("1.2.840.113549.1.1.11"), Hash::Sha256),
    (id("1.2.840.113549.1.1.12"), Hash::Sha384),
    (id("1.2.840.113549.1.1.13"), Hash::Sha512),
    (id("1.2.840.10045.4.3.2"), Hash::Sha256),
    (id("1.2.840.10045.4.3.3"), Hash::Sha384),
    (id("1.2.840.10045.4.3.4"), Hash::Sha512),
];
/// RSA with PKCS#1 padding; the hash stands elsewhere.
const PLAIN_RSA: ObjectIdentifier = id("1.2.840.113549.1.1.1");

/// A token, parsed.
pub(super) struct Token {
    /// What the authority states, as it was signed.
    pub content: Vec<u8>,
    /// The same, read.
    pub stated: Stated,
    /// Certificates beside it.
    pub certificates: Vec<Certificate>,
    /// Attributes of the signature, as they were signed.
    pub attributes: Vec<u8>,
    /// Hash of the content, as an attribute says.
    pub content_hash: Vec<u8>,
    /// Which certificate signed: its hash, as an attribute says.
    pub signer_hash: (Hash, Vec<u8>),
    /// Which certificate signed: issuer and serial number, as encoded.
    pub signer: (Vec<u8>, Vec<u8>),
    /// Hash that the signature is over.
    pub hash: Hash,
    /// The signature.
    pub signature: Vec<u8>,
}

/// What an authority states.
pub(super) struct Stated {
    /// Hash of what was stamped.
    pub imprint: (Hash, Vec<u8>),
    /// First and last second at which it may have been.
    pub between: (i64, i64),
    /// Second that it names.
    pub at: i64,
}

/// Reads a token, within the limits.
pub(super) fn read(bytes: &[u8]) -> Result<Token, Refusal> {
    if bytes.len() > limits::TIMESTAMP_BYTES {
        let found = bytes.len();
        return Err(Refusal::form(format!(
            "its timestamp has {found} bytes, the limit is {}",
            limits::TIMESTAMP_BYTES
        )));
    }
    let data = signed_data(bytes).map_err(unreadable)?;
    let content =
        data.encap_content_info.econtent.as_ref().filter(|_| data.encap_content_info.econtent_type == TST_INFO);
    let content = content.ok_or_else(|| Refusal::form("its timestamp holds no statement of a time"))?;
    let content = content.decode_as::<OctetString>().map_err(unreadable)?.into_bytes();
    let [signer] = data.signer_infos.0.as_slice() else {
        return Err(Refusal::form("its timestamp has not exactly one signature"));
    };
    let SignerIdentifier::IssuerAndSerialNumber(named) = &signer.sid else {
        return Err(Refusal::unknown("its timestamp does not name its signer by issuer and serial number"));
    };
    let attributes = signer.signed_attrs.as_ref().ok_or_else(|| Refusal::form("its timestamp signs no attributes"))?;
    check_content_type(attributes)?;
    Ok(Token {
        stated: stated(&content).map_err(unreadable)?,
        content,
        certificates: certificates(&data)?,
        attributes: attributes.to_der().map_err(unreadable)?,
        content_hash: attribute(attributes, MESSAGE_DIGEST)?
            .decode_as::<OctetString>()
            .map_err(unreadable)?
            .into_bytes(),
        signer_hash: signer_hash(&attribute(attributes, SIGNING_CERTIFICATE)?.to_der().map_err(unreadable)?)
            .map_err(unreadable)?,
        signer: (named.issuer.to_der().map_err(unreadable)?, named.serial_number.as_bytes().to_vec()),
        hash: hash_of(signer)?,
        signature: signer.signature.as_bytes().to_vec(),
    })
}

fn unreadable(error: DerError) -> Refusal {
    Refusal::form(format!("its timestamp does not parse: {error}"))
}

fn signed_data(bytes: &[u8]) -> Result<SignedData, DerError> {
    let info = ContentInfo::from_der(bytes)?;
    if info.content_type != SIGNED_DATA {
        return Err(Tag::ObjectIdentifier.value_error());
    }
    info.content.decode_as()
}

fn certificates(data: &SignedData) -> Result<Vec<Certificate>, Refusal> {
    let all = data.certificates.as_ref().map_or(&[][..], |all| all.0.as_slice());
    if all.len() > limits::CERTIFICATE_CHAIN {
        let count = all.len();
        return Err(Refusal::form(format!(
            "its timestamp has {count} certificates, the limit is {}",
            limits::CERTIFICATE_CHAIN
        )));
    }
    let mut read = Vec::new();
    for one in all {
        let CertificateChoices::Certificate(one) = one else { continue };
        let der = one.to_der().map_err(unreadable)?;
        read.push(Certificate::read(&der, "a certificate of its timestamp").map_err(Refusal::form)?);
    }
    Ok(read)
}

/// Returns the only value of an attribute that stands there once.
fn attribute(attributes: &Attributes, wanted: ObjectIdentifier) -> Result<&x509_cert::der::Any, Refusal> {
    let mut found = attributes.iter().filter(|one| one.oid == wanted);
    match (found.next().map(|one| one.values.as_slice()), found.next()) {
        (Some([value]), None) => Ok(value),
        _ => Err(Refusal::form(format!("its timestamp has not exactly one attribute {wanted}"))),
    }
}

fn check_content_type(attributes: &Attributes) -> Result<(), Refusal> {
    match attribute(attributes, CONTENT_TYPE)?.decode_as::<ObjectIdentifier>() {
        Ok(TST_INFO) => Ok(()),
        _ => Err(Refusal::form("the signature of its timestamp is over something else than a time")),
    }
}

/// Reads ESSCertIDv2 (RFC 5816): the hash of the certificate that signed, by SHA-256 where nothing is said.
fn signer_hash(attribute: &[u8]) -> Result<(Hash, Vec<u8>), DerError> {
    let mut reader = SliceReader::new(attribute)?;
    reader.sequence(|outer| {
        let first = outer.sequence(|list| {
            let first = list.sequence(|one| {
                let by = if one.peek_tag()? == Tag::Sequence {
                    hash(&AlgorithmIdentifierOwned::decode(one)?)?
                } else {
                    Hash::Sha256
                };
                let value = OctetStringRef::decode(one)?.as_bytes().to_vec();
                one.read_slice(one.remaining_len())?;
                Ok((by, value))
            })?;
            list.read_slice(list.remaining_len())?;
            Ok(first)
        })?;
        outer.read_slice(outer.remaining_len())?;
        Ok(first)
    })
}

fn hash(algorithm: &AlgorithmIdentifierOwned) -> Result<Hash, DerError> {
    known(algorithm.oid).ok_or_else(|| Tag::ObjectIdentifier.value_error())
}

fn known(identifier: ObjectIdentifier) -> Option<Hash> {
    HASHES.into_iter().find(|(one, _)| *one == identifier).map(|(_, hash)| hash)
}

/// Returns the hash of the signature; where two places name one, they have to agree.
fn hash_of(signer: &SignerInfo) -> Result<Hash, Refusal> {
    let digest = known(signer.digest_alg.oid);
    let signature = match signer.signature_algorithm.oid {
        PLAIN_RSA => digest,
        other => known(other),
    };
    match (digest, signature) {
        (Some(digest), Some(signature)) if digest == signature => Ok(digest),
        _ => Err(Refusal::unknown(format!(
            "its timestamp is signed with {} over {}, which is not known here",
            signer.signature_algorithm.oid, signer.digest_alg.oid
        ))),
    }
}

/// Reads what the authority states (TSTInfo).
fn stated(content: &[u8]) -> Result<Stated, DerError> {
    let mut reader = SliceReader::new(content)?;
    let stated = reader.sequence(|info| {
        if UintRef::decode(info)?.as_bytes() != [1] {
            return Err(Tag::Integer.value_error());
        }
        let policy = ObjectIdentifier::decode(info)?;
        let imprint = info.sequence(|imprint| {
            Ok((
                hash(&AlgorithmIdentifierOwned::decode(imprint)?)?,
                OctetStringRef::decode(imprint)?.as_bytes().to_vec(),
            ))
        })?;
        AnyRef::decode(info)?.tag().assert_eq(Tag::Integer)?;
        let (at, part) = moment(AnyRef::decode(info)?)?;
        let mut accuracy = 0;
        while !info.is_finished() {
            let next = AnyRef::decode(info)?;
            match next.tag() {
                Tag::Sequence => accuracy = seconds(next.value())?,
                Tag::ContextSpecific { number: TagNumber::N1, .. } => check_extensions(next.value())?,
                _ => {}
            }
        }
        if accuracy == 0 && policy == BASELINE {
            accuracy = 1;
        }
        let between = (at.saturating_sub(accuracy), at.saturating_add(accuracy).saturating_add(i64::from(part)));
        Ok(Stated { imprint, between, at })
    })?;
    reader.finish(stated)
}

fn moment(value: AnyRef<'_>) -> Result<(i64, bool), DerError> {
    value.tag().assert_eq(Tag::GeneralizedTime)?;
    let read = std::str::from_utf8(value.value()).ok().and_then(time::generalized);
    read.ok_or_else(|| Tag::GeneralizedTime.value_error())
}

/// Reads an accuracy in whole seconds, rounded up.
fn seconds(accuracy: &[u8]) -> Result<i64, DerError> {
    let mut reader = SliceReader::new(accuracy)?;
    let mut seconds = 0_i64;
    while !reader.is_finished() {
        let part = AnyRef::decode(&mut reader)?;
        let number = part.value().iter().fold(0_i64, |sum, b| sum.saturating_mul(256).saturating_add(i64::from(*b)));
        let more = if part.tag() == Tag::Integer { number } else { i64::from(number != 0) };
        seconds = seconds.saturating_add(more);
    }
    Ok(seconds)
}

/// Refuses an extension that is critical: none is known here.
fn check_extensions(extensions: &[u8]) -> Result<(), DerError> {
    let mut reader = SliceReader::new(extensions)?;
    while !reader.is_finished() {
        if Extension::decode(&mut reader)?.critical {
            return Err(Tag::Sequence.value_error());
        }
    }
    Ok(())
}
