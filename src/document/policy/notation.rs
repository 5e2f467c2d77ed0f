//! Signers of the Notary Project (Notation), and the trust stores that they are judged by.
//!
//! The words are those of the Notary Project's trust policy: stores `ca:acme`, identities `x509.subject: …`, levels
//! and overrides. What differs is where they stand: a statement's `registryScopes` are the patterns of a rule, and
//! they are about the **source** reference of the lock, on both sides of the gap. Its level `skip` is an exemption,
//! which has a reason and an end.
//!
//! ```yaml
//! trustStores:
//!   acme: {type: ca, files: [acme.pem]}
//!   stamps: {type: tsa, folder: x509/tsa/stamps}
//! rules:
//!   - match: ["registry.example/team/**"]
//!     signatures:
//!       - notation:
//!           trustStores: [ca:acme, tsa:stamps]
//!           identities: ["x509.subject: C=US, ST=WA, O=acme"]
//!           level: strict
//!           override: {revocation: log}
//!           verifyTimestamp: always
//! ```

use super::distinguished_name::DistinguishedName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What begins an identity that names a certificate's subject.
const SUBJECT: &str = "x509.subject:";

/// Kind of a trust store: what its certificates vouch for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StoreKind {
    /// Authorities of signers; signatures of the scheme `notary.x509`.
    #[serde(rename = "ca")]
    Ca,
    /// Authorities of signing services that also vouch for the time; scheme `notary.x509.signingAuthority`.
    #[serde(rename = "signingAuthority")]
    SigningAuthority,
    /// Authorities of timestamps.
    #[serde(rename = "tsa")]
    Tsa,
}

impl StoreKind {
    /// Returns the word for it in stores and policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::SigningAuthority => "signingAuthority",
            Self::Tsa => "tsa",
        }
    }
}

/// A trust store: `{type: ca, files: [acme.pem]}`, `{type: ca, folder: x509/ca/acme}` or `{type: ca, pem: …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenStore", into = "WrittenStore")]
pub struct TrustStoreSource {
    /// What its certificates vouch for.
    pub kind: StoreKind,
    /// Where they are.
    pub certificates: CertificateSource,
}

/// Where the certificates of a store are. Paths are as written; whoever loads them says what they are relative to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// Files, each with one or more certificates in PEM, or one in DER.
    Files(Vec<String>),
    /// A folder in which every file is such a file, as the Notary Project lays stores out.
    Folder(String),
    /// PEM text itself.
    Pem(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenStore {
    #[serde(rename = "type")]
    kind: StoreKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pem: Option<String>,
}

impl TryFrom<WrittenStore> for TrustStoreSource {
    type Error = String;

    fn try_from(written: WrittenStore) -> Result<Self, String> {
        let certificates = match (written.files, written.folder, written.pem) {
            (Some(files), None, None) if files.is_empty() => return Err("the trust store is empty".to_owned()),
            (Some(files), None, None) => CertificateSource::Files(files),
            (None, Some(folder), None) => CertificateSource::Folder(folder),
            (None, None, Some(pem)) => CertificateSource::Pem(pem),
            _ => return Err("a trust store has one of: files, folder, pem".to_owned()),
        };
        Ok(Self { kind: written.kind, certificates })
    }
}

impl From<TrustStoreSource> for WrittenStore {
    fn from(source: TrustStoreSource) -> Self {
        let mut written = Self { kind: source.kind, files: None, folder: None, pem: None };
        match source.certificates {
            CertificateSource::Files(files) => written.files = Some(files),
            CertificateSource::Folder(folder) => written.folder = Some(folder),
            CertificateSource::Pem(pem) => written.pem = Some(pem),
        }
        written
    }
}

/// Name of a store as signers write it: `ca:acme`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreName {
    /// Kind that the store must have.
    pub kind: StoreKind,
    /// Name in `trustStores`.
    pub name: String,
}

impl std::str::FromStr for StoreName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kinds = [StoreKind::Ca, StoreKind::SigningAuthority, StoreKind::Tsa];
        let read = text.split_once(':').and_then(|(kind, name)| {
            let kind = kinds.into_iter().find(|known| known.name() == kind)?;
            is_store_name(name).then(|| Self { kind, name: name.to_owned() })
        });
        read.ok_or_else(|| {
            format!("{text:?} is no trust store; expected ca:NAME, signingAuthority:NAME or tsa:NAME, the name of letters, digits, _ . -")
        })
    }
}

fn is_store_name(name: &str) -> bool {
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    letters && !name.is_empty() && name != "." && name != ".."
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.name(), self.name)
    }
}

impl TryFrom<String> for StoreName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<StoreName> for String {
    fn from(name: StoreName) -> Self {
        name.to_string()
    }
}

/// Whose certificates are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub enum Identities {
    /// `*`: anybody's whom an authority of the stores vouches for.
    Any,
    /// Certificates whose subject has all attributes of any of these.
    Subjects(Vec<DistinguishedName>),
}

impl TryFrom<Vec<String>> for Identities {
    type Error = String;

    fn try_from(written: Vec<String>) -> Result<Self, String> {
        match written.as_slice() {
            [] => return Err("identities is empty".to_owned()),
            [star] if star == "*" => return Ok(Self::Any),
            all if all.iter().any(|text| text == "*") => return Err("the identity \"*\" stands alone".to_owned()),
            _ => {}
        }
        let mut names: Vec<DistinguishedName> = Vec::new();
        for text in &written {
            let name = text
                .strip_prefix(SUBJECT)
                .ok_or_else(|| format!("the identity {text:?} does not begin with {SUBJECT}, and is not \"*\""))?;
            let name: DistinguishedName = name.parse().map_err(|e| format!("the identity {text:?}: {e}"))?;
            if let Some(other) = names.iter().find(|other| other.covers(&name) || name.covers(other)) {
                return Err(format!("the identities {other} and {name} overlap: one says all of the other"));
            }
            names.push(name);
        }
        Ok(Self::Subjects(names))
    }
}

impl From<Identities> for Vec<String> {
    fn from(identities: Identities) -> Self {
        match identities {
            Identities::Any => vec!["*".to_owned()],
            Identities::Subjects(names) => names.into_iter().map(|name| format!("{SUBJECT} {name}")).collect(),
        }
    }
}

/// Which checks refuse a signature, before overrides. Integrity refuses on every level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// All checks refuse.
    #[default]
    Strict,
    /// Authenticity refuses; time, expiry and revocation are written down.
    Permissive,
    /// Nothing but integrity refuses: anybody's signature counts.
    Audit,
}

/// Checks that an override can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Validation {
    /// Whether a trusted authority vouches for a wanted signer.
    Authenticity,
    /// Whether the certificates were valid when it was signed.
    AuthenticTimestamp,
    /// Whether the signature's own end is over.
    Expiry,
    /// Whether a certificate was revoked. Offline this is unknown where a certificate names who would know.
    Revocation,
}

impl Validation {
    /// Returns the word for it in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authenticity => "authenticity",
            Self::AuthenticTimestamp => "authenticTimestamp",
            Self::Expiry => "expiry",
            Self::Revocation => "revocation",
        }
    }
}

/// What a check that does not hold does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The signature does not count.
    Enforce,
    /// It is written down.
    Log,
    /// It is not made.
    Skip,
}

/// When a countersignature of a timestamp authority must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum VerifyTimestamp {
    /// For every signature, where a `tsa` store is named.
    #[default]
    #[serde(rename = "always")]
    Always,
    /// Only where a certificate of the chain has expired.
    #[serde(rename = "afterCertExpiry")]
    AfterCertExpiry,
}

/// Signature of the Notary Project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenNotation", into = "WrittenNotation")]
pub struct NotationSigner {
    /// Stores by which it is judged; one at least is no `tsa` store.
    pub trust_stores: Vec<StoreName>,
    /// Whose certificates are accepted.
    pub identities: Identities,
    /// Which checks refuse.
    pub level: Level,
    /// Checks that do something else than the level says.
    pub overrides: BTreeMap<Validation, Action>,
    /// When a countersignature must be there.
    pub verify_timestamp: VerifyTimestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenNotation {
    trust_stores: Vec<StoreName>,
    identities: Identities,
    #[serde(default)]
    level: WrittenLevel,
    #[serde(default, rename = "override", skip_serializing_if = "BTreeMap::is_empty")]
    overrides: BTreeMap<Validation, Action>,
    #[serde(default)]
    verify_timestamp: VerifyTimestamp,
}

/// A level, or the one that is refused with advice.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenLevel {
    #[default]
    Strict,
    Permissive,
    Audit,
    Skip,
}

impl TryFrom<WrittenNotation> for NotationSigner {
    type Error = String;

    fn try_from(written: WrittenNotation) -> Result<Self, String> {
        if written.trust_stores.iter().all(|store| store.kind == StoreKind::Tsa) {
            return Err("a notation signer names one store at least that is no tsa store".to_owned());
        }
        for (at, store) in written.trust_stores.iter().enumerate() {
            if written.trust_stores[..at].contains(store) {
                return Err(format!("the trust store {store} stands there twice"));
            }
        }
        if let Some((check, _)) =
            written.overrides.iter().find(|(check, act)| **act == Action::Skip && **check != Validation::Revocation)
        {
            return Err(format!("override {}: skip is for revocation only; write enforce or log", check.name()));
        }
        let level = match written.level {
            WrittenLevel::Strict => Level::Strict,
            WrittenLevel::Permissive => Level::Permissive,
            WrittenLevel::Audit => Level::Audit,
            WrittenLevel::Skip => {
                return Err("level: skip asks for no signature; write exempt: {reason: …, until: …} instead".to_owned());
            }
        };
        Ok(Self {
            trust_stores: written.trust_stores,
            identities: written.identities,
            level,
            overrides: written.overrides,
            verify_timestamp: written.verify_timestamp,
        })
    }
}

impl From<NotationSigner> for WrittenNotation {
    fn from(signer: NotationSigner) -> Self {
        Self {
            trust_stores: signer.trust_stores,
            identities: signer.identities,
            level: match signer.level {
                Level::Strict => WrittenLevel::Strict,
                Level::Permissive => WrittenLevel::Permissive,
                Level::Audit => WrittenLevel::Audit,
            },
            overrides: signer.overrides,
            verify_timestamp: signer.verify_timestamp,
        }
    }
}

impl NotationSigner {
    /// Returns what `check` does when it does not hold: as the override says, else as the level does.
    pub fn action(&self, check: Validation) -> Action {
        let by_level = match (self.level, check) {
            (Level::Strict, _) | (Level::Permissive, Validation::Authenticity) => Action::Enforce,
            (Level::Permissive | Level::Audit, _) => Action::Log,
        };
        self.overrides.get(&check).copied().unwrap_or(by_level)
    }
}

/// Refuses a store's name that no signer could write.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if is_store_name(name) {
        Ok(())
    } else {
        Err(format!("{name:?} is no name of a trust store: letters, digits, _ . - make one"))
    }
}

/// Refuses a signer whose stores the policy does not have, or has as stores of another kind.
pub(super) fn check(stores: &BTreeMap<String, TrustStoreSource>, signer: &NotationSigner) -> Result<(), String> {
    for store in &signer.trust_stores {
        match stores.get(&store.name) {
            None => return Err(format!("the trust store {:?} is not in trustStores", store.name)),
            Some(found) if found.kind != store.kind => {
                let kind = found.kind.name();
                return Err(format!("the trust store {store} is of type {kind} in trustStores"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::policy::Policy;

    const TEXT: &str = r#"
apiVersion: airlift/v1alpha1
kind: Policy
trustStores:
  acme: {type: ca, files: [acme.pem, acme2.pem]}
  service: {type: signingAuthority, folder: x509/signingAuthority/service}
  stamps: {type: tsa, folder: x509/tsa/stamps}
rules:
  - match: ["registry.example/team/**"]
    signatures:
      - notation:
          trustStores: [ca:acme, tsa:stamps]
          identities: ["x509.subject: C=US, ST=WA, O=acme", "x509.subject: C=US, ST=WA, O=other"]
          level: permissive
          override: {revocation: skip, expiry: enforce}
          verifyTimestamp: afterCertExpiry
      - notation: {trustStores: ["signingAuthority:service"], identities: ["*"]}
"#;

    fn signers(policy: &Policy) -> Vec<NotationSigner> {
        let super::super::Demand::Evidence { signatures: Some(wanted), .. } = &policy.rules[0].demand else { panic!() };
        let mut found = Vec::new();
        wanted.visit(&mut |one| match one {
            super::super::Consent::Signer(super::super::AcceptedSigner::Notation(signer)) => found.push(signer.clone()),
            other => panic!("{other:?}"),
        });
        found
    }

    #[test]
    fn a_signer_is_read_in_full_and_levels_say_what_refuses() {
        let policy = Policy::parse(TEXT, "policy.yaml").unwrap();
        let [one, two] = signers(&policy).try_into().unwrap();
        assert_eq!(one.trust_stores, ["ca:acme".parse().unwrap(), "tsa:stamps".parse().unwrap()]);
        assert!(matches!(&one.identities, Identities::Subjects(names) if names.len() == 2));
        assert_eq!(one.verify_timestamp, VerifyTimestamp::AfterCertExpiry);
        let actions = |signer: &NotationSigner| {
            use Validation::{AuthenticTimestamp, Authenticity, Expiry, Revocation};
            [Authenticity, AuthenticTimestamp, Expiry, Revocation].map(|check| signer.action(check))
        };
        assert_eq!(actions(&one), [Action::Enforce, Action::Log, Action::Enforce, Action::Skip]);
        assert_eq!((two.level, two.verify_timestamp), (Level::Strict, VerifyTimestamp::Always));
        assert_eq!(two.identities, Identities::Any);
        assert_eq!(actions(&two), [Action::Enforce; 4]);
        let audit = NotationSigner { level: Level::Audit, ..two };
        assert_eq!(actions(&audit), [Action::Log; 4]);
        assert_eq!(
            policy.trust_stores["acme"].certificates,
            CertificateSource::Files(vec!["acme.pem".into(), "acme2.pem".into()])
        );
    }

    #[test]
    fn a_signer_reads_back_as_it_is_written() {
        for signer in signers(&Policy::parse(TEXT, "policy.yaml").unwrap()) {
            let text = serde_json::to_string(&signer).unwrap();
            assert_eq!(serde_json::from_str::<NotationSigner>(&text).unwrap(), signer, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_words() {
        for (from, to, words) in [
            ("ca:acme", "ca:acmee", "\"acmee\" is not in trustStores"),
            ("ca:acme,", "ca:stamps,", "ca:stamps is of type tsa"),
            ("ca:acme,", "ca:a/b,", "is no trust store"),
            ("ca:acme,", "root:acme,", "is no trust store"),
            ("[ca:acme, tsa:stamps]", "[tsa:stamps]", "no tsa store"),
            ("[ca:acme, tsa:stamps]", "[ca:acme, ca:acme]", "twice"),
            ("[\"*\"]", "[]", "identities is empty"),
            ("[\"*\"]", "[\"*\", \"*\"]", "stands alone"),
            ("O=other", "O=acme, OU=build", "overlap"),
            ("x509.subject: C=US, ST=WA, O=other", "C=US, ST=WA, O=other", "does not begin with x509.subject:"),
            ("x509.subject: C=US, ST=WA, O=other", "x509.subject: C=US, O=other", "ST is missing"),
            ("level: permissive", "level: skip", "exempt:"),
            ("level: permissive", "level: lax", "lax"),
            ("expiry: enforce", "expiry: skip", "is for revocation only"),
            ("expiry: enforce", "integrity: log", "integrity"),
            ("afterCertExpiry", "never", "never"),
            ("files: [acme.pem, acme2.pem]", "files: []", "the trust store is empty"),
            ("files: [acme.pem, acme2.pem]", "files: [a], folder: b", "has one of"),
            ("type: ca", "type: root", "root"),
            ("stamps: {", "\"../x\": {type: ca, files: [a]}\n  stamps: {", "is no name of a trust store"),
        ] {
            let text = TEXT.replacen(from, to, 1);
            assert_ne!(text, TEXT, "{from:?} does not stand in the example");
            let error = Policy::parse(&text, "policy.yaml").unwrap_err().to_string();
            assert!(error.contains(words), "{to:?} gives {error:?}, expected {words:?}");
        }
    }
}
