//! The policy that flags stand for, where there is no policy file.

use super::{
    AcceptedSigner, Consent, Demand, EmbeddedRoot, Exemption, KeySigner, KeySource, KeylessSigner, LogDemand, Policy,
    Regexp, Rule, SctDemand, TextMatch, TrustRootSource, Until,
};
use crate::document::PaperError;
use crate::document::pattern::Pattern;
use std::collections::BTreeMap;

/// Name of the root that `--trusted-root` gives.
const ROOT: &str = "trusted-root";

/// What the command line says about signatures.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--key`: name and PEM text. Any of them is enough, for any artifact.
    pub keys: Vec<(String, String)>,
    /// `--certificate-identity…`, `--certificate-oidc-issuer…`, `--trusted-root`.
    pub keyless: Option<KeylessFlags>,
    /// `--allow-unsigned`: patterns that need no signature.
    pub allow_unsigned: Vec<String>,
}

/// Flags for a keyless signer: one of each pair. Regular expressions search anywhere in the text, as cosign's
/// flags of that name do; write `^…$` for the whole.
#[derive(Debug, Clone, Default)]
pub struct KeylessFlags {
    /// `--certificate-identity`.
    pub identity: Option<String>,
    /// `--certificate-identity-regexp`.
    pub identity_regexp: Option<String>,
    /// `--certificate-oidc-issuer`.
    pub issuer: Option<String>,
    /// `--certificate-oidc-issuer-regexp`.
    pub issuer_regexp: Option<String>,
    /// `--trusted-root`: a `trusted_root.json`; this program's snapshot of the public instance where it is not given.
    pub trusted_root: Option<String>,
}

/// Makes the policy of `flags`.
pub(super) fn policy(flags: &Flags) -> Result<Policy, PaperError> {
    let mut policy = Policy { place: "the command line".to_owned(), ..Policy::default() };
    for pattern in &flags.allow_unsigned {
        policy.rules.push(exemption(pattern)?);
    }
    let mut signatures = Vec::new();
    let mut origin = Vec::new();
    for (name, pem) in &flags.keys {
        if policy.keys.insert(name.clone(), KeySource::Pem(pem.clone())).is_some() {
            return Err(meaning("--key", format!("{name:?} is given twice")));
        }
        let signer = KeySigner { name: name.clone(), log: LogDemand::None, trust_root: None };
        signatures.push(Consent::Signer(AcceptedSigner::Key(signer)));
        origin.push(format!("--key {name}"));
    }
    if let Some(keyless) = &flags.keyless {
        let root = match &keyless.trusted_root {
            Some(file) => TrustRootSource::File { file: file.clone(), sha256: None, fetched: None },
            None => TrustRootSource::Embedded(EmbeddedRoot::PublicGood),
        };
        policy.trust_roots.insert(ROOT.to_owned(), root);
        signatures.push(Consent::Signer(AcceptedSigner::Keyless(signer(keyless)?)));
        origin.push("--certificate-identity".to_owned());
    }
    if !signatures.is_empty() {
        let signatures = if signatures.len() == 1 { signatures.pop() } else { Some(Consent::AnyOf(signatures)) };
        let demand = Demand::Evidence { signatures, max_age: None, attestations: Vec::new() };
        policy.rules.push(Rule { origin: origin.join(", "), ..Rule::new(vec![pattern("--key", "**")?], demand) });
    }
    Ok(policy)
}

fn exemption(text: &str) -> Result<Rule, PaperError> {
    let origin = format!("--allow-unsigned {text}");
    let reason = format!("allowed by {origin}");
    let demand = Demand::Exempt(Exemption { reason, until: Until::Never });
    Ok(Rule { origin, ..Rule::new(vec![pattern("--allow-unsigned", text)?], demand) })
}

fn pattern(flag: &str, text: &str) -> Result<Pattern, PaperError> {
    text.parse().map_err(|e: crate::document::pattern::PatternError| meaning(flag, e.to_string()))
}

fn signer(flags: &KeylessFlags) -> Result<KeylessSigner, PaperError> {
    Ok(KeylessSigner {
        trust_root: ROOT.to_owned(),
        issuer: text_match("--certificate-oidc-issuer", flags.issuer.as_ref(), flags.issuer_regexp.as_ref())?,
        identity: text_match("--certificate-identity", flags.identity.as_ref(), flags.identity_regexp.as_ref())?,
        claims: BTreeMap::new(),
        log: LogDemand::Promise,
        sct: SctDemand::Required,
    })
}

fn text_match(flag: &str, exact: Option<&String>, regexp: Option<&String>) -> Result<TextMatch, PaperError> {
    match (exact, regexp) {
        (Some(exact), None) => Ok(TextMatch::Exact(exact.clone())),
        (None, Some(regexp)) => {
            // By itself first: no parenthesis of it may close the group around it.
            let compiles = |text: &str| Regexp::new(text).map_err(|why| meaning(flag, why));
            compiles(&format!("^(?:){regexp}$"))?;
            let whole = regexp.starts_with('^') && regexp.ends_with('$');
            // A policy's expression is about the whole text; a flag's is a search.
            let text = if whole { regexp.clone() } else { format!("^.*(?:{regexp}).*$") };
            compiles(&text).map(TextMatch::Regexp)
        }
        (Some(_), Some(_)) => Err(meaning(flag, format!("give {flag} or {flag}-regexp, not both"))),
        (None, None) => Err(meaning(flag, format!("a keyless signer needs {flag} or {flag}-regexp"))),
    }
}

fn meaning(place: &str, why: String) -> PaperError {
    PaperError::Meaning { place: place.to_owned(), why }
}
