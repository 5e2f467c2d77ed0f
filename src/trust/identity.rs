//! Identities: whether a verified certificate is one that a rule wants.

use crate::document::policy::{Claim, TextMatch};
use regex::Regex;
use sigstore_crypto::{CertificateInfo, FulcioCiClaims, SubjectAltName};
use std::collections::BTreeMap;

/// Memory that one compiled expression may take, in bytes.
const REGEXP_BYTES: usize = 1 << 20;

/// A [`TextMatch`], compiled.
pub(super) enum Matcher {
    Exact(String),
    Whole(Regex, String),
}

impl Matcher {
    /// Compiles `text`; the error is the compiler's.
    pub(super) fn new(text: &TextMatch) -> Result<Self, String> {
        match text {
            TextMatch::Exact(text) => Ok(Self::Exact(text.clone())),
            TextMatch::Regexp(pattern) => {
                let compile = |text: &str| {
                    let built = regex::RegexBuilder::new(text).size_limit(REGEXP_BYTES).build();
                    built.map_err(|e| format!("{pattern:?} does not compile: {e}"))
                };
                // By itself first, so that no parenthesis of it can close the group around it. The group keeps
                // `^a|b$` from meaning "begins with a, or ends with b".
                compile(pattern)?;
                Ok(Self::Whole(compile(&format!("^(?:{pattern})$"))?, pattern.clone()))
            }
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == text,
            Self::Whole(regex, _) => regex.is_match(text),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Exact(text) => text.clone(),
            Self::Whole(_, pattern) => format!("one that matches {pattern}"),
        }
    }
}

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
    pub issuer: Matcher,
    pub identity: Matcher,
    pub claims: BTreeMap<Claim, String>,
}

impl Wanted {
    /// Checks the holder, and returns the claims that were asked for, or the reason in words.
    pub(super) fn check(&self, named: &Named, claims: &FulcioCiClaims) -> Result<BTreeMap<String, String>, String> {
        let Named { identity, issuer } = named;
        if !self.identity.matches(identity) {
            return Err(format!("signed by {identity}, but the rule wants {}", self.identity.words()));
        }
        if !self.issuer.matches(issuer) {
            let words = self.issuer.words();
            return Err(format!("signed by {identity} of the issuer {issuer}, but the rule wants the issuer {words}"));
        }
        let mut used = BTreeMap::new();
        for (claim, wanted) in &self.claims {
            let name = claim_name(*claim);
            match claim_value(*claim, claims) {
                Some(value) if value == wanted => used.insert(name, value.clone()),
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
        format!("{} (issuer {})", self.identity.words(), self.issuer.words())
    }
}

fn claim_name(claim: Claim) -> String {
    serde_json::to_value(claim).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
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
    fn an_expression_is_about_the_whole_text_whatever_it_says() {
        let whole = |pattern: &str| Matcher::new(&TextMatch::Regexp(pattern.into())).unwrap();
        let alternatives = whole("^https://good.example/a|https://good.example/b$");
        assert!(alternatives.matches("https://good.example/b"));
        assert!(!alternatives.matches("https://good.example/a/../evil"));
        assert!(!alternatives.matches("https://evil.example/?https://good.example/b"));
        assert!(!whole("^https://good\\.example/.*$").matches("https://goodxexample/x"));
        assert!(!whole("^a$").matches("a\n"));
        assert!(Matcher::new(&TextMatch::Regexp("^(a{1000}){1000}$".into())).is_err());
        assert!(Matcher::new(&TextMatch::Regexp("^(?=a)$".into())).is_err());
        assert!(Matcher::new(&TextMatch::Regexp("^a)|(?:b$".into())).is_err());
    }

    #[test]
    fn a_scheme_is_what_makes_a_uri() {
        assert!(has_scheme("https://x") && has_scheme("spiffe://x") && has_scheme("urn:x"));
        assert!(!has_scheme("a@b.example") && !has_scheme("//x") && !has_scheme("1a:b"));
    }
}
