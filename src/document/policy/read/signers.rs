//! Reads signers, and how many of several must have signed.

use super::Desk;
use crate::document::form::Form;
use crate::document::policy::notation;
use crate::document::policy::{
    AcceptedSigner, Claim, Consent, KeySigner, KeylessSigner, LogDemand, NotationSigner, Regexp, SctDemand, TextMatch,
};
use crate::document::yaml::{Node, Value};
use crate::model::limits;
use std::collections::BTreeMap;

pub(in crate::document::policy) const CONSENT: &[&str] =
    &["key", "keyless", "notation", "authority", "anyOf", "allOf", "threshold", "of"];
pub(in crate::document::policy) const KEY_SIGNER: &[&str] = &["name", "log", "trustRoot"];
pub(in crate::document::policy) const KEYLESS: &[&str] =
    &["trustRoot", "issuer", "issuerRegexp", "identity", "identityRegexp", "claims", "log", "sct"];

const LOGS: &[(&str, LogDemand)] =
    &[("none", LogDemand::None), ("promise", LogDemand::Promise), ("proof", LogDemand::Proof)];
const SCTS: &[(&str, SctDemand)] = &[("required", SctDemand::Required), ("none", SctDemand::None)];

impl Desk<'_> {
    /// Reads whose signatures are wanted, within the limits of depth and number.
    pub(super) fn consent(&self, node: &Node) -> Option<Consent> {
        let consent = self.group(node, 0)?;
        let mut signers = 0;
        consent.visit(&mut |_| signers += 1);
        if signers > limits::SIGNERS_PER_RULE {
            let limit = limits::SIGNERS_PER_RULE;
            self.clerk.note(node, format!("it names {signers} signers, the limit is {limit}"));
        }
        Some(consent)
    }

    fn group(&self, node: &Node, depth: usize) -> Option<Consent> {
        if depth > limits::CONSENT_DEPTH {
            self.clerk.note(node, format!("groups of signers lie more than {} deep", limits::CONSENT_DEPTH));
            return None;
        }
        if matches!(node.value, Value::List(_)) {
            return self.members(node, depth).map(one_or(Consent::AnyOf));
        }
        let form = self.clerk.form(node, CONSENT)?;
        let given: Vec<&str> = CONSENT.iter().copied().filter(|name| form.get(name).is_some()).collect();
        match given[..] {
            ["key"] => self.key(form.get("key")?),
            ["keyless"] => self.keyless(form.get("keyless")?),
            ["notation"] => self.notation(form.get("notation")?),
            ["authority"] => self.authority(form.get("authority")?),
            ["anyOf"] => self.members(form.get("anyOf")?, depth).map(Consent::AnyOf),
            ["allOf"] => self.members(form.get("allOf")?, depth).map(Consent::AllOf),
            ["threshold", "of"] => self.threshold(&form, depth),
            _ => {
                let why = "expected one of: key, keyless, notation, authority, anyOf, allOf, or threshold with of";
                self.clerk.note(node, why);
                None
            }
        }
    }

    fn members(&self, node: &Node, depth: usize) -> Option<Vec<Consent>> {
        let members = self.clerk.list(Some(node), |item| self.group(item, depth + 1));
        if node.items().is_empty() {
            self.clerk.note(node, "the list names nobody");
        }
        (!members.is_empty()).then_some(members)
    }

    fn threshold(&self, form: &Form<'_>, depth: usize) -> Option<Consent> {
        let (number, of) = (form.get("threshold")?, form.get("of")?);
        let members = self.members(of, depth)?;
        // Members that could not be read are noted already, and then nodes and members no longer go together.
        let whole = members.len() == of.items().len();
        for (_, node) in members.iter().zip(of.items()).filter(|(member, _)| whole && !self.is_choice(member)) {
            self.clerk.note(node, "a threshold counts signers: its list has signers and anyOf groups of signers");
        }
        match self.clerk.text(number)?.parse::<usize>() {
            Ok(need @ 1..) => Some(Consent::Threshold(need, members)),
            _ => {
                self.clerk.note(number, "the threshold is a number from 1 on");
                None
            }
        }
    }

    /// Returns whether a threshold can count it: what one signer alone satisfies.
    pub(super) fn is_choice(&self, consent: &Consent) -> bool {
        match consent {
            Consent::Signer(_) => true,
            Consent::Authority(name) => self.authorities.get(name.as_str()).copied().unwrap_or(true),
            Consent::AnyOf(of) => of.iter().all(|one| self.is_choice(one)),
            Consent::AllOf(_) | Consent::Threshold(..) => false,
        }
    }

    fn authority(&self, node: &Node) -> Option<Consent> {
        let name = self.clerk.text(node)?;
        if !self.authorities.contains_key(name.as_str()) {
            self.clerk.note(node, format!("the authority {name:?} is not in authorities, or stands in one itself"));
        }
        Some(Consent::Authority(name))
    }

    fn key(&self, node: &Node) -> Option<Consent> {
        let (place, name, log, trust_root) = if node.text().is_some() {
            (node, self.clerk.text(node), None, None)
        } else {
            let form = self.clerk.form(node, KEY_SIGNER)?;
            let log = form.get("log").and_then(|node| self.clerk.word(node, LOGS));
            let root = form.get("trustRoot").and_then(|node| self.root(node));
            (node, form.need_text("name"), log, root)
        };
        let (name, log) = (name?, log.unwrap_or(LogDemand::None));
        if !self.keys.contains(name.as_str()) {
            self.clerk.note(place, format!("the key {name:?} is not in keys"));
        }
        if log != LogDemand::None && trust_root.is_none() {
            self.clerk.note(place, format!("the log of key {name:?} can only be checked with a trustRoot"));
        }
        Some(Consent::Signer(AcceptedSigner::Key(KeySigner { name, log, trust_root })))
    }

    fn root(&self, node: &Node) -> Option<String> {
        let name = self.clerk.text(node)?;
        if !self.roots.contains(name.as_str()) {
            self.clerk.note(node, format!("the trust root {name:?} is not in trustRoots"));
        }
        Some(name)
    }

    fn keyless(&self, node: &Node) -> Option<Consent> {
        let form = self.clerk.form(node, KEYLESS)?;
        let trust_root = form.need("trustRoot").and_then(|node| self.root(node));
        let issuer = self.named_text(node, &form, ("issuer", "issuerRegexp"));
        let identity = self.named_text(node, &form, ("identity", "identityRegexp"));
        let log = form.get("log").and_then(|node| self.clerk.word(node, LOGS)).unwrap_or(LogDemand::Promise);
        let sct = form.get("sct").and_then(|node| self.clerk.word(node, SCTS)).unwrap_or(SctDemand::Required);
        let claims = form.get("claims").map(|node| self.claims(node)).unwrap_or_default();
        let signer = KeylessSigner { trust_root: trust_root?, issuer: issuer?, identity: identity?, claims, log, sct };
        Some(Consent::Signer(AcceptedSigner::Keyless(signer)))
    }

    fn named_text(&self, node: &Node, form: &Form<'_>, (exact, regexp): (&str, &str)) -> Option<TextMatch> {
        match (form.get(exact), form.get(regexp)) {
            (Some(node), None) => self.clerk.text(node).map(TextMatch::Exact),
            (None, Some(node)) => self.regexp(node).map(TextMatch::Regexp),
            (Some(_), Some(second)) => {
                self.clerk.note(second, format!("give {exact} or {regexp}, not both"));
                None
            }
            (None, None) => {
                self.clerk.note(node, format!("a keyless signer needs {exact} or {regexp}"));
                None
            }
        }
    }

    fn notation(&self, node: &Node) -> Option<Consent> {
        let signer: NotationSigner = self.clerk.typed(node)?;
        if let Err(why) = notation::check(&self.stores, &signer) {
            self.clerk.note(node, why);
        }
        Some(Consent::Signer(AcceptedSigner::Notation(signer)))
    }

    pub(super) fn regexp(&self, node: &Node) -> Option<Regexp> {
        let text = self.clerk.text(node)?;
        Regexp::new(&text).map_err(|why| self.clerk.note(node, why)).ok()
    }

    fn claims(&self, node: &Node) -> BTreeMap<Claim, String> {
        let names: Vec<&str> = Claim::ALL.iter().map(|(name, _)| *name).collect();
        let Some(form) = self.clerk.form(node, &names) else { return BTreeMap::new() };
        Claim::ALL.iter().filter_map(|(name, claim)| Some((*claim, form.text(name)?))).collect()
    }
}

fn one_or(group: impl Fn(Vec<Consent>) -> Consent) -> impl Fn(Vec<Consent>) -> Consent {
    move |mut members| if members.len() == 1 { members.swap_remove(0) } else { group(members) }
}
