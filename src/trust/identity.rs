//! Identities: whether a verified certificate is one that a rule wants.

use crate::document::policy::{Claim, TextMatch};
use sigstore_crypto::{CertificateInfo, FulcioCiClaims, SubjectAltName};
use std::collections::BTreeMap;

/// What a certificate says of its holder, in a form that can be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub identity: String,
    pub issuer: String,
}

/// Takes identity and issuer out of a certificate; both must be there and in their own form.
///
/// An e-mail address that reads like a URI, or a URI without a scheme, could pass for the other, so both are refused.
pub(super) fn named(certificate: &CertificateInfo) -> Result<Named, String> {
    let identity = match &certificate.identity {
        None => {
            return Err("the certificate names no identity that can be compared (a URI or an e-mail address)".into());
        }
        Some(SubjectAltName::Email(text)) if text.contains("://") => {
            return Err(format!("the certificate names the e-mail address {text:?}, which reads like a URI"));
        }
        Some(SubjectAltName::Uri(text)) if !has_scheme(text) => {
            return Err(format!("the certificate names the URI {text:?}, which has no scheme"));
        }
        Some(name) => name.as_str().to_owned(),
    };
    match &certificate.issuer {
        Some(issuer) => Ok(Named { identity, issuer: issuer.clone() }),
        None => Err(format!("the certificate of {identity} names no issuer")),
    }
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// What a rule wants of a certificate's holder.
pub(super) struct Wanted {
    pub issuer: TextMatch,
    pub identity: TextMatch,
    pub claims: BTreeMap<Claim, String>,
}

impl Wanted {
    /// Checks the holder, and returns the claims that were asked for, or the reason in words.
    pub(super) fn check(&self, named: &Named, claims: &FulcioCiClaims) -> Result<BTreeMap<String, String>, String> {
        let Named { identity, issuer } = named;
        if !self.identity.matches(identity) {
            return Err(format!("signed by {identity}, but the rule wants {}", self.identity));
        }
        if !self.issuer.matches(issuer) {
            let words = &self.issuer;
            return Err(format!("signed by {identity} of the issuer {issuer}, but the rule wants the issuer {words}"));
        }
        let mut used = BTreeMap::new();
        for (claim, wanted) in &self.claims {
            let name = claim.name();
            match claim_value(*claim, claims) {
                Some(value) if value == wanted => used.insert(name.to_owned(), value.clone()),
                Some(value) => {
                    return Err(format!("signed by {identity} with {name} {value:?}, but the rule wants {wanted:?}"));
                }
                None => {
                    return Err(format!(
                        "signed by {identity}, whose certificate has no {name}; the rule wants {wanted:?}"
                    ));
                }
            };
        }
        Ok(used)
    }

    /// Names the wanted signer for a person.
    pub(super) fn words(&self) -> String {
        format!("{} (issuer {})", self.identity, self.issuer)
    }
}

/// Returns every claim that a certificate makes, by the names that a policy has for them.
pub(super) fn claims(claims: &FulcioCiClaims) -> BTreeMap<String, String> {
    let made = |(name, claim): &(&str, Claim)| Some(((*name).to_owned(), claim_value(*claim, claims)?.clone()));
    Claim::ALL.iter().filter_map(made).collect()
}

const fn claim_value(claim: Claim, claims: &FulcioCiClaims) -> Option<&String> {
    let old = &claims.deprecated_github;
    let value = match claim {
        Claim::BuildSigner => &claims.build_signer_uri,
        Claim::BuildSignerDigest => &claims.build_signer_digest,
        Claim::RunnerEnvironment => &claims.runner_environment,
        Claim::SourceRepository => &claims.source_repository_uri,
        Claim::SourceCommit => &claims.source_repository_digest,
        Claim::SourceRef => &claims.source_repository_ref,
        Claim::SourceRepositoryId => &claims.source_repository_identifier,
        Claim::SourceOwner => &claims.source_repository_owner_uri,
        Claim::SourceOwnerId => &claims.source_repository_owner_identifier,
        Claim::BuildConfig => &claims.build_config_uri,
        Claim::BuildConfigDigest => &claims.build_config_digest,
        Claim::Trigger => &claims.build_trigger,
        Claim::Run => &claims.run_invocation_uri,
        Claim::Visibility => &claims.source_repository_visibility_at_signing,
        Claim::DeploymentEnvironment => &claims.deployment_environment,
        Claim::TokenSubject => &claims.token_subject,
        Claim::WorkflowTrigger => &old.workflow_trigger,
        Claim::WorkflowSha => &old.workflow_sha,
        Claim::WorkflowName => &old.workflow_name,
        Claim::WorkflowRepository => &old.workflow_repository,
        Claim::WorkflowRef => &old.workflow_ref,
    };
    value.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_what_makes_a_uri() {
        assert!(has_scheme("https://x") && has_scheme("spiffe://x") && has_scheme("urn:x"));
        assert!(!has_scheme("a@b.example") && !has_scheme("//x") && !has_scheme("1a:b"));
    }
}
