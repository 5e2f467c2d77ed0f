//! Writes a policy that flags or an import made, in the form in which a person would have written it.

use super::{
    AcceptedSigner, Age, AttestationDemand, BundleDemand, Claim, Consent, Constraint, Demand, EmbeddedRoot, Exemption,
    Instant, KeySource, LogDemand, Mode, NotationSigner, Policy, PredicateTypes, Provenance, Rule, Scale, SctDemand,
    SignedBy, SignedReference, Test, TextMatch, TrustRootSource, TrustStoreSource, Vulnerabilities,
};
use crate::document::pattern::Pattern;
use crate::document::{API_VERSION, yaml};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Returns the policy as YAML that reads back as the same policy.
pub(super) fn text(policy: &Policy) -> String {
    yaml::write(&Paper {
        api_version: API_VERSION,
        kind: super::KIND,
        mode: (policy.mode == Mode::Audit).then_some(policy.mode),
        max_root_age: policy.max_root_age,
        trust_roots: policy.trust_roots.iter().map(|(name, source)| (name.as_str(), Root::from(source))).collect(),
        trust_stores: &policy.trust_stores,
        keys: &policy.keys,
        authorities: &policy.authorities,
        bundle: policy.bundle.as_ref(),
        rules: policy.rules.iter().map(RuleForm::from).collect(),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Paper<'a> {
    api_version: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_root_age: Option<Age>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    trust_roots: BTreeMap<&'a str, Root<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    trust_stores: &'a BTreeMap<String, TrustStoreSource>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    keys: &'a BTreeMap<String, KeySource>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    authorities: &'a BTreeMap<String, Consent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<&'a BundleDemand>,
    rules: Vec<RuleForm<'a>>,
}

#[derive(Serialize, Default)]
struct Root<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<&'a Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedded: Option<EmbeddedRoot>,
}

impl<'a> From<&'a TrustRootSource> for Root<'a> {
    fn from(source: &'a TrustRootSource) -> Self {
        match source {
            TrustRootSource::File { file, sha256, fetched } => Self {
                file: Some(file),
                sha256: sha256.as_ref().map(crate::model::Digest::hex),
                fetched: fetched.as_ref(),
                embedded: None,
            },
            TrustRootSource::Embedded(root) => Self { embedded: Some(*root), ..Self::default() },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleForm<'a> {
    #[serde(rename = "match")]
    patterns: &'a [Pattern],
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<&'a Consent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_reference: Option<SignedReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<Age>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attestations: &'a [AttestationDemand],
    #[serde(skip_serializing_if = "Option::is_none")]
    exempt: Option<&'a Exemption>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deny: Option<Value>,
}

impl<'a> From<&'a Rule> for RuleForm<'a> {
    fn from(rule: &'a Rule) -> Self {
        let mut form = Self {
            patterns: &rule.patterns,
            mode: rule.mode,
            signatures: None,
            signed_reference: (rule.signed_reference != SignedReference::Any).then_some(rule.signed_reference),
            max_age: None,
            attestations: &[],
            exempt: None,
            deny: None,
        };
        match &rule.demand {
            Demand::Evidence { signatures, max_age, attestations } => {
                (form.signatures, form.max_age, form.attestations) = (signatures.as_ref(), *max_age, attestations);
            }
            Demand::Exempt(exemption) => form.exempt = Some(exemption),
            Demand::Deny(reason) if reason.is_empty() => form.deny = Some(json!(true)),
            Demand::Deny(reason) => form.deny = Some(json!(reason)),
        }
        form
    }
}

impl Serialize for Consent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        enum Group<'a> {
            Authority(&'a str),
            AnyOf(&'a [Consent]),
            AllOf(&'a [Consent]),
        }
        #[derive(Serialize)]
        struct Threshold<'a> {
            threshold: usize,
            of: &'a [Consent],
        }
        match self {
            Self::Signer(signer) => signer.serialize(serializer),
            Self::Authority(name) => Group::Authority(name).serialize(serializer),
            Self::AnyOf(of) => Group::AnyOf(of).serialize(serializer),
            Self::AllOf(of) => Group::AllOf(of).serialize(serializer),
            Self::Threshold(threshold, of) => Threshold { threshold: *threshold, of }.serialize(serializer),
        }
    }
}

impl Serialize for AcceptedSigner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Keyed<'a> {
            name: &'a str,
            log: LogDemand,
            #[serde(skip_serializing_if = "Option::is_none")]
            trust_root: Option<&'a str>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        enum Signer<'a> {
            Key(Keyed<'a>),
            #[serde(rename = "key")]
            Plain(&'a str),
            Keyless(Keyless<'a>),
            Notation(&'a NotationSigner),
        }
        match self {
            Self::Key(key) if key.log == LogDemand::None && key.trust_root.is_none() => Signer::Plain(&key.name),
            Self::Key(key) => {
                Signer::Key(Keyed { name: &key.name, log: key.log, trust_root: key.trust_root.as_deref() })
            }
            Self::Notation(notation) => Signer::Notation(notation),
            Self::Keyless(keyless) => Signer::Keyless(Keyless {
                trust_root: &keyless.trust_root,
                issuer: exact(&keyless.issuer),
                issuer_regexp: regexp(&keyless.issuer),
                identity: exact(&keyless.identity),
                identity_regexp: regexp(&keyless.identity),
                claims: &keyless.claims,
                log: keyless.log,
                sct: (keyless.sct == SctDemand::None).then_some(keyless.sct),
            }),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Keyless<'a> {
    trust_root: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_regexp: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_regexp: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    claims: &'a BTreeMap<Claim, String>,
    log: LogDemand,
    #[serde(skip_serializing_if = "Option::is_none")]
    sct: Option<SctDemand>,
}

fn exact(text: &TextMatch) -> Option<&str> {
    match text {
        TextMatch::Exact(text) => Some(text),
        TextMatch::Regexp(_) => None,
    }
}

fn regexp(text: &TextMatch) -> Option<&str> {
    match text {
        TextMatch::Exact(_) => None,
        TextMatch::Regexp(regexp) => Some(regexp.as_str()),
    }
}

impl Serialize for AttestationDemand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Form<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            predicate_type: Option<&'a str>,
            #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
            known: Option<&'a str>,
            signed_by: &'a SignedBy,
            #[serde(skip_serializing_if = "Option::is_none")]
            max_age: Option<Age>,
            #[serde(rename = "where", skip_serializing_if = "<[_]>::is_empty")]
            constraints: &'a [Constraint],
            #[serde(skip_serializing_if = "Option::is_none")]
            provenance: Option<&'a Provenance>,
            #[serde(skip_serializing_if = "Option::is_none")]
            vulnerabilities: Option<&'a Vulnerabilities>,
        }
        let (predicate_type, known) = match &self.types {
            PredicateTypes::One(text) => (Some(text.as_str()), None),
            PredicateTypes::Known(name) => (None, Some(*name)),
        };
        Form {
            predicate_type,
            known,
            signed_by: &self.signed_by,
            max_age: self.max_age,
            constraints: &self.constraints,
            provenance: self.provenance.as_ref(),
            vulnerabilities: self.vulnerabilities.as_ref(),
        }
        .serialize(serializer)
    }
}

impl Serialize for SignedBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Same => serializer.serialize_str("same"),
            Self::Signers(signers) => signers.serialize(serializer),
        }
    }
}

impl Serialize for Constraint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, value) = match &self.test {
            Test::OneOf(values) => match values.as_slice() {
                [one] => ("equals", one.clone()),
                several => ("oneOf", json!(several)),
            },
            Test::Pattern(regexp) => ("pattern", json!(regexp.as_str())),
            Test::Exists(there) => ("exists", json!(there)),
            Test::Before(at) => ("before", json!(at)),
            Test::After(at) => ("after", json!(at)),
            Test::MaxAge(age) => ("maxAge", json!(age)),
            Test::MaxCount(count) => ("maxCount", json!(count)),
        };
        serializer.collect_map([("field", json!(self.field)), (name, value)])
    }
}

impl Serialize for Provenance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = [
            ("builder", "builderRegexp", &self.builder),
            ("buildType", "buildTypeRegexp", &self.build_type),
            ("source", "sourceRegexp", &self.source),
        ];
        let given = fields.into_iter().filter_map(|(plain, pattern, text)| match text.as_ref()? {
            TextMatch::Exact(text) => Some((plain, text.as_str())),
            TextMatch::Regexp(regexp) => Some((pattern, regexp.as_str())),
        });
        serializer.collect_map(given)
    }
}

impl Serialize for Vulnerabilities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Form<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            max_severity: Option<Scale>,
            #[serde(skip_serializing_if = "Option::is_none")]
            max_report_age: Option<Age>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            except: &'a [String],
        }
        Form { max_severity: self.max_severity, max_report_age: self.max_report_age, except: &self.except }
            .serialize(serializer)
    }
}
