//! What one imported rule demands, before rules are put together.

use super::Workshop;
use crate::document::pattern::Pattern;
use crate::document::policy::{
    AcceptedSigner, AttestationDemand, Consent, Demand, EmbeddedRoot, Exemption, KeySigner, KeySource, LogDemand, Mode,
    Regexp, Rule, TextMatch, TrustRootSource, Until,
};
use crate::document::yaml::Node;

/// Demand of one rule of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Duty {
    /// Signatures and attestations; who signs an attestation is always written out.
    Evidence(Option<Consent>, Vec<AttestationDemand>),
    /// Nothing, and why.
    Nothing(String),
    /// It cannot be satisfied here, and why.
    Deny(String),
}

impl Duty {
    /// Returns the duty that is met when both are.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Deny(why), _) | (_, Self::Deny(why)) => Self::Deny(why),
            (Self::Nothing(_), other) => other,
            (one, Self::Nothing(_)) => one,
            (Self::Evidence(a, mut attestations), Self::Evidence(b, more)) => {
                attestations
                    .extend(more.into_iter().filter(|demand| !attestations.contains(demand)).collect::<Vec<_>>());
                Self::Evidence(all_of(a.into_iter().chain(b).collect()), attestations)
            }
        }
    }

    /// Returns the rule that demands it of what matches `patterns`.
    pub(super) fn rule(self, patterns: Vec<Pattern>, mode: Mode) -> Rule {
        let demand = match self {
            Self::Evidence(signatures, attestations) => Demand::Evidence { signatures, max_age: None, attestations },
            Self::Nothing(reason) => Demand::Exempt(Exemption { reason, until: Until::Never }),
            Self::Deny(why) => Demand::Deny(why),
        };
        Rule { mode: (mode == Mode::Audit).then_some(mode), ..Rule::new(patterns, demand) }
    }
}

/// Returns the consent of all of these; `None` where there are none.
pub(super) fn all_of(mut of: Vec<Consent>) -> Option<Consent> {
    let mut seen: Vec<Consent> = Vec::new();
    of.retain(|consent| {
        let new = !seen.contains(consent);
        seen.push(consent.clone());
        new
    });
    if of.len() > 1 { Some(Consent::AllOf(of)) } else { of.pop() }
}

/// Returns the consent of any of these; `None` where there are none.
pub(super) fn any_of(mut of: Vec<Consent>) -> Option<Consent> {
    if of.len() > 1 { Some(Consent::AnyOf(of)) } else { of.pop() }
}

/// Makes a signer of a key; where the source wants a log, it is the log of `root`.
pub(super) fn key(name: String, root: Option<String>) -> Consent {
    let log = if root.is_some() { LogDemand::Promise } else { LogDemand::None };
    Consent::Signer(AcceptedSigner::Key(KeySigner { name, log, trust_root: root }))
}

/// Makes the expression that finds what a search for `text` finds; `None` where it does not compile here.
pub(super) fn search(text: &str) -> Option<TextMatch> {
    let whole = text.starts_with('^') && text.ends_with('$');
    // By itself first: no parenthesis of it may close the group around it.
    Regexp::new(&format!("^(?:){text}$")).ok()?;
    let text = if whole { text.to_owned() } else { format!("^.*(?:{text}).*$") };
    Regexp::new(&text).ok().map(TextMatch::Regexp)
}

/// Makes the match of a text in which `*` stands for any characters and `?` for one.
pub(super) fn wildcard(text: &str) -> TextMatch {
    if !text.contains(['*', '?']) {
        return TextMatch::Exact(text.to_owned());
    }
    let one = |c: char| match c {
        '*' => ".*".to_owned(),
        '?' => ".".to_owned(),
        c if c.is_alphanumeric() || matches!(c, '/' | ':' | '@' | '_' | '-' | ' ') => c.to_string(),
        c => format!("\\{c}"),
    };
    let regexp = Regexp::new(&format!("^{}$", text.chars().map(one).collect::<String>()));
    regexp.map_or_else(|_| TextMatch::Exact(text.to_owned()), TextMatch::Regexp)
}

impl Workshop<'_> {
    /// Takes one or several PEM blocks into the policy, and returns the signers; `None` where it is none.
    pub(super) fn pem_keys(&self, wish: &str, text: &str, root: Option<&str>) -> Option<Vec<Consent>> {
        let blocks: Vec<&str> = text.split_inclusive("-----END PUBLIC KEY-----").map(str::trim).collect();
        let blocks: Vec<&str> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
        let good = |block: &&str| {
            block.starts_with("-----BEGIN PUBLIC KEY-----") && block.ends_with("-----END PUBLIC KEY-----")
        };
        if blocks.is_empty() || !blocks.iter().all(good) {
            return None;
        }
        let signer = |block: &str| key(self.key(wish, KeySource::Pem(format!("{block}\n"))), root.map(str::to_owned));
        Some(blocks.into_iter().map(signer).collect())
    }

    /// Names the root of Sigstore's public instance.
    pub(super) fn public_root(&self) -> String {
        self.root("public-good", TrustRootSource::Embedded(EmbeddedRoot::PublicGood))
    }

    /// Notes that a rule becomes one that denies, and returns it.
    pub(super) fn deny(&self, node: &Node, what: impl Into<String>) -> Duty {
        let what = what.into();
        self.note(node, format!("{what}; what it is about is denied"));
        Duty::Deny(format!("cannot be taken over: {what}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_and_wildcards_match_what_they_matched_before_and_no_more() {
        let found = search("github.com/team/").unwrap();
        assert!(found.matches("https://github.com/team/app") && !found.matches("https://github.com/teams"));
        assert!(
            search("^https://a$").unwrap().matches("https://a")
                && !search("^https://a$").unwrap().matches("https://ab")
        );
        assert!(search("^a").unwrap().matches("ab") && !search("^a").unwrap().matches("ba"));
        assert!(search("a)|(b").is_none() && search("(?=a)").is_none());
        let any = wildcard("https://github.com/team/*@refs/tags/v?");
        assert!(
            any.matches("https://github.com/team/a/b@refs/tags/v1")
                && !any.matches("https://githubxcom/team/a@refs/tags/v1")
        );
        assert_eq!(wildcard("a.b"), TextMatch::Exact("a.b".into()));
    }
}
