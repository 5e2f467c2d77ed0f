//! One certificate: what the checks need to know of it, read once from its DER.

use super::algorithm::{self, Algorithm};
use crate::document::policy::DistinguishedName;
use crate::model::fault::printable;
use crate::model::{Digest, limits};
use crate::trust::outcome::Refusal;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage,
};
use x509_cert::name::Name;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// Kind and size of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// RSA, with the bits of its modulus.
    Rsa(usize),
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Anything else.
    Other,
}

/// What a certificate says.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    /// The certificate itself.
    pub der: Vec<u8>,
    /// Name of its holder, encoded.
    pub subject: Vec<u8>,
    /// Name of its issuer, encoded.
    pub issuer: Vec<u8>,
    /// Serial number, as encoded.
    pub serial: Vec<u8>,
    /// First and last second of its validity.
    pub valid: (i64, i64),
    /// Kind of its key.
    pub key: Key,
    /// The key's bits.
    pub public: Vec<u8>,
    /// Extensions that matter.
    pub extensions: Extensions,
    names: (Name, Name),
    signed: Signed,
}

/// What the issuer did.
#[derive(Debug, Clone)]
struct Signed {
    body: Vec<u8>,
    algorithm: String,
    signature: Vec<u8>,
}

/// Extensions that a certificate has; the flag of each says whether it is critical.
#[derive(Debug, Clone, Default)]
pub(super) struct Extensions {
    /// What its key may do.
    pub key_usage: Option<(bool, KeyUsage)>,
    /// What it is for.
    pub extended: Option<(bool, Vec<String>)>,
    /// Whether it is an authority's.
    pub authority: bool,
    /// How many authorities may stand below it, where it says so.
    pub path_length: Option<u8>,
    /// Whether it names somebody who would know of its revocation.
    pub names_revocation: bool,
}

impl Certificate {
    /// Reads a certificate; `what` says which one it is, for the words of an error.
    pub(super) fn read(der: &[u8], what: &str) -> Result<Self, String> {
        if der.len() > limits::CERTIFICATE_BYTES {
            return Err(format!("{what} has {} bytes, the limit is {}", der.len(), limits::CERTIFICATE_BYTES));
        }
        let unreadable = |e: x509_cert::der::Error| format!("{what} cannot be read: {e}");
        let read = x509_cert::Certificate::from_der(der).map_err(unreadable)?;
        let body = read.tbs_certificate;
        let seconds =
            |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        Ok(Self {
            der: der.to_vec(),
            subject: body.subject.to_der().map_err(unreadable)?,
            issuer: body.issuer.to_der().map_err(unreadable)?,
            serial: body.serial_number.as_bytes().to_vec(),
            valid: (seconds(body.validity.not_before), seconds(body.validity.not_after)),
            key: key(&body.subject_public_key_info),
            public: body.subject_public_key_info.subject_public_key.raw_bytes().to_vec(),
            extensions: extensions(body.extensions.as_deref().unwrap_or_default()).map_err(unreadable)?,
            names: (body.subject, body.issuer),
            signed: Signed {
                body: raw_body(der).map_err(unreadable)?,
                algorithm: read.signature_algorithm.oid.to_string(),
                signature: read.signature.raw_bytes().to_vec(),
            },
        })
    }

    /// Returns the algorithm that its key signs envelopes with.
    pub(super) fn algorithm(&self) -> Result<Algorithm, Refusal> {
        Algorithm::of(self.key).ok_or_else(|| {
            let found = match self.key {
                Key::Rsa(bits) => format!("an RSA key of {bits} bits"),
                _ => "a key of another kind".to_owned(),
            };
            Refusal::bad(format!("its certificate has {found}; only RSA of 2048, 3072 or 4096 bits and ECDSA on P-256, P-384 or P-521 sign"))
        })
    }

    /// Returns whether `time` lies in its validity.
    pub(super) const fn is_valid_at(&self, time: i64) -> bool {
        self.valid.0 <= time && time <= self.valid.1
    }

    /// Returns whether its own key signed it, under its own name.
    pub(super) fn is_self_signed(&self) -> bool {
        let Signed { body, algorithm, signature } = &self.signed;
        self.subject == self.issuer && algorithm::issues(algorithm, self, body, signature)
    }

    /// Returns the SHA-256 of the certificate.
    pub(super) fn fingerprint(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// Names its holder for a person.
    pub(super) fn subject_text(&self) -> String {
        text(&self.names.0)
    }

    /// Names its issuer for a person.
    pub(super) fn issuer_text(&self) -> String {
        text(&self.names.1)
    }

    /// Returns its holder's attributes, to be compared with a policy; the reason where they leave a choice.
    pub(super) fn identity(&self) -> Result<DistinguishedName, &'static str> {
        let mut attributes = Vec::new();
        for part in &self.names.0.0 {
            let [attribute] = part.0.as_slice() else {
                return Err("joins several attributes, which cannot be compared");
            };
            let value = value(attribute).ok_or("has an attribute that is no text")?;
            attributes.push((attribute.oid.to_string(), value));
        }
        DistinguishedName::from_attributes(attributes).ok_or("has an attribute twice, which cannot be compared")
    }
}

/// Returns the first element of the certificate as it stands: what was signed is never encoded anew.
fn raw_body(der: &[u8]) -> x509_cert::der::Result<Vec<u8>> {
    use x509_cert::der::{Header, Reader, SliceReader};
    let mut reader = SliceReader::new(der)?;
    let header = Header::decode(&mut reader)?;
    reader.read_nested(header.length, |inner| {
        let body = inner.tlv_bytes()?.to_vec();
        inner.read_slice(inner.remaining_len())?;
        Ok(body)
    })
}

fn key(info: &SubjectPublicKeyInfoOwned) -> Key {
    let curve = || info.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    match info.algorithm.oid {
        RSA => modulus_bits(info.subject_public_key.raw_bytes()).map_or(Key::Other, Key::Rsa),
        ELLIPTIC => match curve() {
            Some(P256) => Key::P256,
            Some(P384) => Key::P384,
            Some(P521) => Key::P521,
            _ => Key::Other,
        },
        _ => Key::Other,
    }
}

/// Returns the bits of the modulus of an RSA key.
fn modulus_bits(key: &[u8]) -> Option<usize> {
    use x509_cert::der::asn1::UintRef;
    use x509_cert::der::{Reader, SliceReader};
    let mut reader = SliceReader::new(key).ok()?;
    let modulus = reader.sequence(|inner| {
        let modulus = UintRef::decode(inner)?.as_bytes().to_vec();
        UintRef::decode(inner)?;
        Ok(modulus)
    });
    let modulus = modulus.ok()?;
    let first = modulus.first()?;
    Some(modulus.len() * 8 - first.leading_zeros() as usize)
}

fn extensions(all: &[x509_cert::ext::Extension]) -> x509_cert::der::Result<Extensions> {
    let mut found = Extensions::default();
    for (at, extension) in all.iter().enumerate() {
        if all[..at].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
            return Err(Tag::Sequence.value_error());
        }
        let value = extension.extn_value.as_bytes();
        match extension.extn_id {
            KeyUsage::OID => found.key_usage = Some((extension.critical, KeyUsage::from_der(value)?)),
            ExtendedKeyUsage::OID => {
                let purposes = ExtendedKeyUsage::from_der(value)?.0.iter().map(ToString::to_string).collect();
                found.extended = Some((extension.critical, purposes));
            }
            BasicConstraints::OID => {
                let read = BasicConstraints::from_der(value)?;
                (found.authority, found.path_length) = (read.ca, read.path_len_constraint);
            }
            CrlDistributionPoints::OID => {
                found.names_revocation |= !CrlDistributionPoints::from_der(value)?.0.is_empty()
            }
            AuthorityInfoAccessSyntax::OID => {
                let named = AuthorityInfoAccessSyntax::from_der(value)?;
                found.names_revocation |= named.0.iter().any(|one| one.access_method == OCSP);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Short names for what a person reads; other attributes are shown by number.
const SHORT: [(&str, &str); 12] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.17", "POSTALCODE"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "EMAIL"),
];

fn text(name: &Name) -> String {
    let one = |attribute: &x509_cert::attr::AttributeTypeAndValue| {
        let id = attribute.oid.to_string();
        let short = SHORT.iter().find(|(known, _)| *known == id).map_or(id.as_str(), |(_, short)| short);
        format!("{short}={}", value(attribute).unwrap_or_else(|| "?".to_owned()))
    };
    let parts: Vec<String> = name.0.iter().map(|part| part.0.iter().map(one).collect::<Vec<_>>().join("+")).collect();
    if parts.is_empty() { "a holder without a name".to_owned() } else { printable(&parts.join(", ")) }
}

/// Returns the text of an attribute, in whichever of its alphabets it is written.
fn value(attribute: &x509_cert::attr::AttributeTypeAndValue) -> Option<String> {
    let bytes = attribute.value.value();
    match attribute.value.tag() {
        Tag::Utf8String => std::str::from_utf8(bytes).ok().map(str::to_owned),
        Tag::PrintableString | Tag::Ia5String | Tag::TeletexString if bytes.is_ascii() => {
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        }
        Tag::BmpString => {
            let units: Vec<u16> =
                bytes.chunks(2).map(|pair| pair.iter().fold(0, |sum, b| sum << 8 | u16::from(*b))).collect();
            String::from_utf16(&units).ok().filter(|_| bytes.len() % 2 == 0)
        }
        _ => None,
    }
}
