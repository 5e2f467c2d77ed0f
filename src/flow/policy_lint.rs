//! Looks for what a policy probably does not mean: rules that cannot decide, names that nothing uses, expressions that
//! match too much. Nothing is judged.

use crate::document::lock::Lock;
use crate::document::pattern::Pattern;
use crate::document::policy::{
    AcceptedSigner, Consent, Demand, Exemption, KeySource, LogDemand, Mode, PersonKey, Policy, Rule, SctDemand,
    SignedBy, TextMatch, TrustRootSource, Unsigned,
};
use crate::model::evidence::{FindingClass, Severity};
use crate::model::{Finding, ImageRef};
use std::collections::{BTreeMap, BTreeSet};

/// Days before the end of an exemption from which on it is mentioned.
const SOON: i64 = 30;
const DAY: i64 = 86_400;

/// Lints `policy` at `now`, in seconds since 1970; with a lock also what it is about. Worst first, then by place.
pub fn lint_policy(policy: &Policy, lock: Option<&Lock>, now: i64) -> Vec<Finding> {
    let mut report = Report { policy, findings: Vec::new() };
    report.modes();
    report.names();
    for (name, consent) in &policy.authorities {
        report.consent(&format!("{}: authorities.{name}", policy.place), consent);
    }
    for (at, rule) in policy.rules.iter().enumerate() {
        report.rule(at, rule, now);
    }
    report.roots(now);
    report.bundle(now);
    if let Some(lock) = lock {
        report.lock(lock);
    }
    report.findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.cmp(b)));
    report.findings.dedup();
    report.findings
}

struct Report<'a> {
    policy: &'a Policy,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn place(&self, at: usize, rule: &Rule) -> String {
        format!("{}:{} (rule {})", self.policy.place, rule.line, at + 1)
    }

    fn add(&mut self, severity: Severity, place: &str, what: impl Into<String>, hint: &str) {
        let finding = Finding { severity, ..Finding::error(FindingClass::Config, place, what) };
        self.findings.push(finding.with_hint(hint));
    }

    fn modes(&mut self) {
        let place = self.policy.place.clone();
        if self.policy.mode == Mode::Audit {
            self.add(
                Severity::Warning,
                &place,
                "mode: audit refuses nothing but damage",
                "mode: enforce refuses what the rules refuse",
            );
        }
        if self.policy.rules.is_empty() {
            self.add(Severity::Warning, &place, "it has no rules, so everything is refused", "");
        }
    }

    /// Names what is defined and never used.
    fn names(&mut self) {
        let mut used = Used::default();
        for rule in &self.policy.rules {
            for consent in consents(&rule.demand) {
                used.take(consent);
            }
        }
        let reached: Vec<&Consent> = self
            .policy
            .authorities
            .iter()
            .filter(|(name, _)| used.authorities.contains(*name))
            .map(|(_, c)| c)
            .collect();
        for consent in reached {
            used.take(consent);
        }
        let unused = |defined: Vec<&String>, used: &BTreeSet<String>| -> Vec<String> {
            defined.into_iter().filter(|name| !used.contains(*name)).cloned().collect()
        };
        let lists = [
            ("authorities", unused(self.policy.authorities.keys().collect(), &used.authorities)),
            ("keys", unused(self.policy.keys.keys().collect(), &used.keys)),
            ("trustRoots", unused(self.policy.trust_roots.keys().collect(), &used.roots)),
            ("trustStores", unused(self.policy.trust_stores.keys().collect(), &used.stores)),
        ];
        let place = self.policy.place.clone();
        for (field, names) in lists {
            for name in names {
                self.add(
                    Severity::Warning,
                    &place,
                    format!("{field}.{name} is used by no rule"),
                    "take it out, or name it in a rule",
                );
            }
        }
    }

    fn rule(&mut self, at: usize, rule: &Rule, now: i64) {
        let place = self.place(at, rule);
        for pattern in &rule.patterns {
            if let Some((other, by)) = self.shadow(at, pattern) {
                let what = format!(
                    "the pattern {pattern} never decides: {by} of rule {} is as specific and stands before it",
                    other + 1
                );
                self.add(
                    Severity::Error,
                    &place,
                    what,
                    "take one of them out, or write the rule that shall decide first",
                );
            }
        }
        if rule.mode == Some(Mode::Audit) && self.policy.mode != Mode::Audit {
            self.add(Severity::Warning, &place, "mode: audit: what it refuses is carried all the same", "");
        }
        match &rule.demand {
            Demand::Exempt(exemption) => self.exemption(&place, rule, exemption, now),
            Demand::Deny(_) => {}
            Demand::Evidence { signatures, max_age, .. } => {
                for consent in consents(&rule.demand) {
                    self.consent(&place, consent);
                }
                if max_age.is_some() && signatures.as_ref().is_some_and(|consent| self.is_timeless(consent)) {
                    let what =
                        "maxAge can never be met: no signer of it names a trust root, so nothing vouches for a time";
                    self.add(
                        Severity::Error,
                        &place,
                        what,
                        "give the keys a trustRoot, and sign with a log or a timestamp",
                    );
                }
            }
        }
    }

    /// Looks at who must have signed a bundle, now that some of their keys may have ended.
    fn bundle(&mut self, now: i64) {
        let Some(demand) = &self.policy.bundle else { return };
        let place = format!("{}: bundle", self.policy.place);
        let counts = |key: &&PersonKey| key.not_after.end().is_none_or(|end| end > now);
        let names = |keys: &[PersonKey], ended: bool| -> BTreeSet<String> {
            keys.iter().filter(|key| counts(key) != ended).map(|key| key.name.clone()).collect()
        };
        let authors = names(&demand.keys, false);
        if authors.len() < demand.threshold.max(1) && !demand.keys.is_empty() {
            let (needed, left) = (demand.threshold.max(1), authors.len());
            let what =
                format!("{needed} authors must have signed, and the keys of {left} still count: nothing is accepted");
            self.add(Severity::Error, &place, what, "give those whose keys ended new ones, under the same names");
        }
        for (field, keys) in [("keys", &demand.keys), ("countersigners", &demand.countersigners)] {
            for name in names(keys, true).difference(&names(keys, false)) {
                let (severity, effect) = match field {
                    "countersigners" => (Severity::Error, "no bundle is accepted"),
                    _ => (Severity::Warning, "they count no more"),
                };
                let what = format!("every key of {name} in {field} has ended: {effect}");
                self.add(severity, &place, what, "name a new key under the same name, or take the name out");
            }
        }
        if demand.unsigned == Unsigned::Allow {
            let what = "unsigned: allow: a bundle is taken without any signature of its authors";
            self.add(Severity::Warning, &place, what, "");
        }
    }

    fn exemption(&mut self, place: &str, rule: &Rule, exemption: &Exemption, now: i64) {
        let Exemption { reason, until } = exemption;
        match until.end() {
            None => self.add(
                Severity::Note,
                place,
                format!("an exemption without an end ({reason})"),
                "until: YYYY-MM-DD makes somebody look at it again",
            ),
            Some(end) if end <= now => {
                self.add(
                    Severity::Error,
                    place,
                    format!("the exemption ended on {until}; its rule refuses everything"),
                    "extend it, or have the artifacts signed",
                );
            }
            Some(end) if end - now <= SOON * DAY => {
                let days = (end - now + DAY - 1) / DAY;
                self.add(
                    Severity::Warning,
                    place,
                    format!("the exemption ends on {until}, in {days} days"),
                    "extend it, or have the artifacts signed",
                );
            }
            Some(_) => {}
        }
        if rule.patterns.iter().any(|pattern| pattern.as_str() == "**") {
            self.add(
                Severity::Warning,
                place,
                "everything that no other rule is about is carried without a signature",
                "name what is exempt",
            );
        }
    }

    /// Returns the pattern of another rule that always decides in the stead of `pattern`.
    fn shadow(&self, at: usize, pattern: &Pattern) -> Option<(usize, Pattern)> {
        let earlier = self.policy.rules.iter().enumerate().take(at);
        let mut others = earlier.flat_map(|(other, rule)| rule.patterns.iter().map(move |by| (other, by)));
        let hides = |by: &Pattern| {
            by.specificity() == pattern.specificity() && samples(pattern).iter().all(|name| by.matches(name))
        };
        others.find(|(_, by)| hides(by)).map(|(other, by)| (other, by.clone()))
    }

    fn consent(&mut self, place: &str, consent: &Consent) {
        match consent {
            Consent::Signer(signer) => self.signer(place, signer),
            Consent::Authority(_) => {}
            Consent::AnyOf(of) | Consent::AllOf(of) => of.iter().for_each(|one| self.consent(place, one)),
            Consent::Threshold(need, of) => {
                self.threshold(place, *need, of);
                of.iter().for_each(|one| self.consent(place, one));
            }
        }
    }

    fn threshold(&mut self, place: &str, need: usize, of: &[Consent]) {
        if need > of.len() {
            let what = format!("a threshold of {need} of {} can never be met", of.len());
            self.add(Severity::Error, place, what, "each of the list counts once");
            return;
        }
        let mut keys: BTreeMap<String, usize> = BTreeMap::new();
        for one in of {
            if let Some(key) = self.only_key(one) {
                *keys.entry(format!("{key:?}")).or_default() += 1;
            }
        }
        let doubled: usize = keys.values().map(|count| count - 1).sum();
        if doubled > 0 {
            let never = need > of.len() - doubled;
            let severity = if never { Severity::Error } else { Severity::Warning };
            let what = format!(
                "one key stands in a threshold of {need} more than once, and counts once{}",
                if never { ", so it can never be met" } else { "" }
            );
            self.add(severity, place, what, "name another key");
        }
    }

    /// Returns where the only key comes from that satisfies `consent`, where it is one key.
    fn only_key(&self, consent: &Consent) -> Option<&KeySource> {
        match consent {
            Consent::Signer(AcceptedSigner::Key(key)) => self.policy.keys.get(&key.name),
            Consent::Authority(name) => self.only_key(self.policy.authorities.get(name)?),
            Consent::AnyOf(of) if of.len() == 1 => self.only_key(&of[0]),
            _ => None,
        }
    }

    fn signer(&mut self, place: &str, signer: &AcceptedSigner) {
        match signer {
            AcceptedSigner::Key(key) if key.log == LogDemand::None => {
                let what = format!("signatures by the key {} need no log: when they were made is not known", key.name);
                self.add(Severity::Note, place, what, "");
            }
            AcceptedSigner::Key(_) | AcceptedSigner::Notation(_) => {}
            AcceptedSigner::Keyless(keyless) => {
                if keyless.log == LogDemand::None {
                    self.add(
                        Severity::Warning,
                        place,
                        "log: none: nobody can see afterwards what was signed in this name",
                        "log: promise, where the instance has a log",
                    );
                }
                if keyless.sct == SctDemand::None {
                    self.add(Severity::Warning, place, "sct: none: certificates need not be in a certificate log", "");
                }
                for (field, text) in [("identity", &keyless.identity), ("issuer", &keyless.issuer)] {
                    if let TextMatch::Regexp(regexp) = text
                        && let Some(why) = too_wide(regexp.as_str())
                    {
                        self.add(
                            Severity::Warning,
                            place,
                            format!("{field}Regexp {} {why}", regexp.as_str()),
                            "write hosts and owners out, dots with a backslash",
                        );
                    }
                }
            }
        }
    }

    /// Returns whether no signature that it accepts can have a trusted time.
    fn is_timeless(&self, consent: &Consent) -> bool {
        let mut timeless = true;
        consent.visit(&mut |one| match one {
            Consent::Signer(AcceptedSigner::Key(key)) => timeless &= key.trust_root.is_none(),
            Consent::Authority(name) => {
                timeless &= self.policy.authorities.get(name).is_some_and(|of| self.is_timeless(of))
            }
            _ => timeless = false,
        });
        timeless
    }

    fn roots(&mut self, now: i64) {
        let place = self.policy.place.clone();
        for (name, source) in &self.policy.trust_roots {
            let what = match (source, self.policy.max_root_age) {
                (TrustRootSource::File { fetched: Some(at), .. }, Some(most)) if now - at.second() > most.seconds() => {
                    Some((
                        Severity::Error,
                        format!(
                            "trustRoots.{name} was fetched on {at}, longer ago than maxRootAge: it decides nothing any more"
                        ),
                    ))
                }
                (TrustRootSource::File { fetched: None, .. }, Some(_)) => Some((
                    Severity::Error,
                    format!("trustRoots.{name} has no fetched, and maxRootAge is given: it decides nothing"),
                )),
                (TrustRootSource::Embedded(_), Some(_)) => Some((
                    Severity::Error,
                    format!("trustRoots.{name} is embedded, and maxRootAge is given: it decides nothing"),
                )),
                (TrustRootSource::Embedded(_), None) => Some((
                    Severity::Note,
                    format!("trustRoots.{name} is the snapshot inside this program and changes with its version"),
                )),
                (TrustRootSource::File { sha256: None, .. }, None) => {
                    Some((Severity::Note, format!("trustRoots.{name} is not pinned: any file of that name counts")))
                }
                _ => None,
            };
            if let Some((severity, what)) = what {
                self.add(severity, &place, what, "fetch the current trusted root, and write sha256 and fetched");
            }
        }
    }

    /// Compares patterns with what a lock names.
    fn lock(&mut self, lock: &Lock) {
        let names: Vec<&ImageRef> = lock.artifacts.iter().map(|artifact| &artifact.source).collect();
        let rules = &self.policy.rules;
        for (at, rule) in rules.iter().enumerate() {
            let place = self.place(at, rule);
            for pattern in rule.patterns.iter().filter(|pattern| !names.iter().any(|name| pattern.matches(name))) {
                self.add(
                    Severity::Warning,
                    &place,
                    format!("the pattern {pattern} matches nothing in the lock"),
                    "is it the source reference, as the lock has it?",
                );
            }
        }
        for name in names {
            if !rules.iter().any(|rule| rule.patterns.iter().any(|pattern| pattern.matches(name))) {
                let what = format!("no rule is about {name}, so it is refused");
                self.add(Severity::Warning, &self.policy.place.clone(), what, "name it in a rule");
            }
        }
    }
}

/// Names in use.
#[derive(Default)]
struct Used {
    authorities: BTreeSet<String>,
    keys: BTreeSet<String>,
    roots: BTreeSet<String>,
    stores: BTreeSet<String>,
}

impl Used {
    fn take(&mut self, consent: &Consent) {
        consent.visit(&mut |one| match one {
            Consent::Authority(name) => drop(self.authorities.insert(name.clone())),
            Consent::Signer(AcceptedSigner::Key(key)) => {
                self.keys.insert(key.name.clone());
                self.roots.extend(key.trust_root.clone());
            }
            Consent::Signer(AcceptedSigner::Keyless(keyless)) => drop(self.roots.insert(keyless.trust_root.clone())),
            Consent::Signer(AcceptedSigner::Notation(notation)) => {
                self.stores.extend(notation.trust_stores.iter().map(|store| store.name.clone()));
            }
            _ => {}
        });
    }
}

fn consents(demand: &Demand) -> Vec<&Consent> {
    let Demand::Evidence { signatures, attestations, .. } = demand else { return Vec::new() };
    let attesting = attestations.iter().filter_map(|attestation| match &attestation.signed_by {
        SignedBy::Same => None,
        SignedBy::Signers(consent) => Some(consent),
    });
    signatures.iter().chain(attesting).collect()
}

/// Returns names that `pattern` matches, so that a pattern that matches all of them matches all that it does.
fn samples(pattern: &Pattern) -> Vec<ImageRef> {
    let fill = |one: &str, several: &str| pattern.as_str().replace("**", several).replace('*', one);
    let texts = [fill("zz0", "zz1.example"), fill("zz2", "zz3.example/zz4/zz5"), fill("zz6", "zz7.example/zz8")];
    texts.iter().filter_map(|text| text.parse().ok()).filter(|name| pattern.matches(name)).collect()
}

/// Says what makes an expression match more than it seems to.
fn too_wide(regexp: &str) -> Option<&'static str> {
    let inner = regexp.trim_start_matches('^').trim_end_matches('$');
    if [".*", ".+"].contains(&inner) {
        return Some("matches anybody");
    }
    if inner.starts_with(".*") || inner.starts_with(".+") {
        return Some("does not say where the text begins, so another host can stand before it");
    }
    let host = inner.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let bytes = host.as_bytes();
    let bare = |at: &usize| bytes[*at] == b'.' && (*at == 0 || bytes[at - 1] != b'\\');
    if (0..bytes.len()).any(|at| bare(&at) && bytes.get(at + 1).is_some_and(|next| !b"*+?".contains(next))) {
        return Some("has a dot in its host that stands for any character");
    }
    if host.contains(".*") || host.contains(".+") {
        return Some("leaves the host open");
    }
    let path = inner.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
    match path {
        Some(".*" | ".+") => Some("matches everything on its host"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_match_too_much_are_told_apart() {
        for (regexp, wide) in [
            ("^.*$", true),
            ("^.*github\\.com/team/.*$", true),
            ("^https://github.com/team/.*$", true),
            ("^https://github\\.com/.*$", true),
            ("^https://.*\\.example/x$", true),
            ("^https://github\\.com/team/app/\\.github/workflows/.*@refs/tags/v.*$", false),
            ("^https://github\\.com/team/.+$", false),
            ("^[a-z]+@team\\.example$", false),
        ] {
            assert_eq!(too_wide(regexp).is_some(), wide, "{regexp}: {:?}", too_wide(regexp));
        }
    }
}
