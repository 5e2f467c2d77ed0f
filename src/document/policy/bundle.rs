//! The section `bundle` of a policy: whose signatures a bundle itself needs before anything in it is believed.
//!
//! ```yaml
//! bundle:
//!   keys:                               # authors; those of one name are one person
//!     - {name: alice, file: alice.pub}
//!     - {name: bob, file: bob-old.pub, notAfter: 2027-01-31}
//!     - {name: bob, file: bob-new.pub}
//!   threshold: 2                        # how many persons must have signed; 1 where nothing is said
//!   countersigners:                     # each of these names must have countersigned
//!     - {name: dmz, file: dmz.pub, report: required}
//! ```
//!
//! Persons are counted, not signatures: alice's signature in the bundle and her countersignature are one. A key with
//! `notAfter` counts through that day by the clock of who reads, for old bundles as for new ones: a seal carries no
//! time that anybody else vouches for. To change a key, list old and new under one name, and give the old one an end.
//! `unsigned: allow` takes a bundle without its authors' signatures; countersigners are demanded all the same.

use super::{KeySource, Until};
use crate::document::form::{Clerk, Form};
use crate::document::yaml::Node;
use serde::Serialize;
use std::collections::BTreeSet;

pub(super) const BUNDLE: &[&str] = &["keys", "threshold", "countersigners", "unsigned"];
pub(super) const AUTHOR: &[&str] = &["name", "file", "pem", "notAfter"];
pub(super) const COUNTERSIGNER: &[&str] = &["name", "file", "pem", "notAfter", "report"];
const REPORTS: &[(&str, ReportDemand)] = &[("optional", ReportDemand::Optional), ("required", ReportDemand::Required)];
const UNSIGNED: &[(&str, Unsigned)] = &[("refuse", Unsigned::Refuse), ("allow", Unsigned::Allow)];

/// What a policy demands of a bundle itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleDemand {
    /// Authors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<PersonKey>,
    /// Authors by different names that must have signed.
    pub threshold: usize,
    /// Those who must have countersigned, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub countersigners: Vec<PersonKey>,
    /// What becomes of a bundle without enough signatures of its authors.
    pub unsigned: Unsigned,
}

/// A key of a person: `{name: alice, file: alice.pub}` or `{name: alice, pem: …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "WrittenPersonKey")]
pub struct PersonKey {
    /// Name; several keys of one name are one person.
    pub name: String,
    /// Where the public key comes from.
    pub key: KeySource,
    /// Last day on which it counts.
    pub not_after: Until,
    /// Whether a countersignature by it must name a report.
    pub report: ReportDemand,
}

/// Whether a countersignature must name a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportDemand {
    /// It may.
    #[default]
    Optional,
    /// It must.
    Required,
}

/// What becomes of a bundle without enough signatures of its authors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unsigned {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken, and every result says so.
    Allow,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenPersonKey {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<Until>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<ReportDemand>,
}

impl From<PersonKey> for WrittenPersonKey {
    fn from(key: PersonKey) -> Self {
        let (file, pem) = match key.key {
            KeySource::File(file) => (Some(file), None),
            KeySource::Pem(pem) => (None, Some(pem)),
        };
        let not_after = Some(key.not_after).filter(|until| *until != Until::Never);
        let report = Some(key.report).filter(|report| *report == ReportDemand::Required);
        Self { name: key.name, file, pem, not_after, report }
    }
}

impl BundleDemand {
    /// Returns the names of the authors, each once, sorted.
    pub fn authors(&self) -> BTreeSet<&str> {
        self.keys.iter().map(|key| key.name.as_str()).collect()
    }
}

/// Reads the section, and refuses what cannot be met or cannot be meant.
pub(super) fn read(clerk: &Clerk<'_>, node: &Node) -> Option<BundleDemand> {
    let form = clerk.form(node, BUNDLE)?;
    let demand = BundleDemand {
        keys: clerk.list(form.get("keys"), |node| person(clerk, node, AUTHOR)),
        threshold: form.get("threshold").map_or(Some(1), |node| clerk.parsed(node))?,
        countersigners: clerk.list(form.get("countersigners"), |node| person(clerk, node, COUNTERSIGNER)),
        unsigned: form.get("unsigned").and_then(|node| clerk.word(node, UNSIGNED)).unwrap_or_default(),
    };
    let persons = demand.authors().len();
    if !clerk.is_content() {
        return Some(demand);
    }
    if persons == 0 && demand.unsigned == Unsigned::Refuse {
        clerk.note(node, "without keys no bundle could be accepted; unsigned: allow takes bundles without");
    } else if demand.threshold == 0 {
        clerk.note(node, "threshold: 0 would accept anything; unsigned: allow says that");
    } else if persons > 0 && demand.threshold > persons {
        let what = format!("threshold: {} can never be met by {persons} different names in keys", demand.threshold);
        clerk.note(node, what);
    }
    Some(demand)
}

fn person(clerk: &Clerk<'_>, node: &Node, fields: &[&str]) -> Option<PersonKey> {
    let form = clerk.form(node, fields)?;
    let name = form.need_text("name")?;
    if name.trim().is_empty() || name.contains(char::is_control) {
        clerk.note(node, format!("{name:?} is no name of a person"));
    }
    let not_after = form.get("notAfter").map_or(Some(Until::Never), |node| clerk.parsed(node))?;
    let report = form.get("report").and_then(|node| clerk.word(node, REPORTS)).unwrap_or_default();
    Some(PersonKey { name, key: source(clerk, &form, node)?, not_after, report })
}

fn source(clerk: &Clerk<'_>, form: &Form<'_>, node: &Node) -> Option<KeySource> {
    match (form.text("file"), form.text("pem")) {
        (Some(file), None) => Some(KeySource::File(file)),
        (None, Some(pem)) => Some(KeySource::Pem(pem)),
        _ => {
            clerk.note(node, "a key is either a file or a pem");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::*;

    const SECTION: &str = "\
bundle:
  keys:
    - {name: alice, file: alice.pub}
    - {name: bob, file: old.pub, notAfter: 2027-01-31}
    - {name: bob, file: new.pub}
  threshold: 2
  countersigners:
    - {name: dmz, pem: PEM, report: required}
";

    fn parse(section: &str) -> Result<Option<BundleDemand>, String> {
        let text =
            format!("apiVersion: airlift/v1alpha1\nkind: Policy\n{section}rules:\n  - {{match: ['**'], deny: true}}\n");
        Policy::parse(&text, "policy.yaml").map(|policy| policy.bundle).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_of_one_name_are_one_person() {
        let demand = parse(SECTION).unwrap().unwrap();
        assert_eq!(demand.authors(), ["alice", "bob"].into());
        assert_eq!((demand.threshold, demand.unsigned), (2, Unsigned::Refuse));
        assert_eq!(demand.keys[1].not_after, Until::Day(2027, 1, 31));
        assert_eq!(demand.countersigners[0].report, ReportDemand::Required);
        assert_eq!(demand.countersigners[0].key, KeySource::Pem("PEM".into()));
        assert_eq!(parse("").unwrap(), None);
        let written = crate::document::yaml::write(&std::collections::BTreeMap::from([("bundle", &demand)]));
        assert_eq!(parse(&written).unwrap().unwrap(), demand);
    }

    #[test]
    fn what_cannot_be_met_or_meant_is_refused_in_words() {
        for (from, to, words) in [
            ("threshold: 2", "threshold: 3", "can never be met by 2"),
            ("threshold: 2", "threshold: 0", "would accept anything"),
            ("threshold: 2", "treshold: 2", "treshold"),
            ("name: alice, ", "", "\"name\" is missing"),
            ("name: alice", "name: ' '", "no name of a person"),
            ("file: alice.pub", "file: a, pem: b", "either a file or a pem"),
            ("file: alice.pub", "file: a, report: required", "report"),
            ("2027-01-31", "2027-13-01", "2027-13-01"),
        ] {
            let error = parse(&SECTION.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(words), "{to}: {error}");
        }
        assert!(parse("bundle: {}\n").unwrap_err().contains("without keys"));
        assert!(parse("bundle: {unsigned: allow}\n").is_ok());
    }
}
