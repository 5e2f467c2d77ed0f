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
use crate::document::PaperError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a policy demands of a bundle itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleDemand {
    /// Authors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<PersonKey>,
    /// Authors by different names that must have signed.
    #[serde(default = "one")]
    pub threshold: usize,
    /// Those who must have countersigned, all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countersigners: Vec<PersonKey>,
    /// What becomes of a bundle without enough signatures of its authors.
    #[serde(default)]
    pub unsigned: Unsigned,
}

const fn one() -> usize {
    1
}

/// A key of a person: `{name: alice, file: alice.pub}` or `{name: alice, pem: …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenPersonKey", into = "WrittenPersonKey")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportDemand {
    /// It may.
    #[default]
    Optional,
    /// It must.
    Required,
}

/// What becomes of a bundle without enough signatures of its authors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unsigned {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken, and every result says so.
    Allow,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenPersonKey {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_after: Option<Until>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    report: Option<ReportDemand>,
}

impl TryFrom<WrittenPersonKey> for PersonKey {
    type Error = String;

    fn try_from(written: WrittenPersonKey) -> Result<Self, String> {
        let key = match (written.file, written.pem) {
            (Some(file), None) => KeySource::File(file),
            (None, Some(pem)) => KeySource::Pem(pem),
            _ => return Err("a key is either a file or a pem".to_owned()),
        };
        let shown = |name: &str| !name.trim().is_empty() && !name.contains(char::is_control);
        if !shown(&written.name) {
            return Err(format!("{:?} is no name of a person", written.name));
        }
        Ok(Self {
            name: written.name,
            key,
            not_after: written.not_after.unwrap_or(Until::Never),
            report: written.report.unwrap_or_default(),
        })
    }
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

    /// Refuses what cannot be met or cannot be meant.
    pub(super) fn check(&self, place: &str) -> Result<(), PaperError> {
        let persons = self.authors().len();
        let why = if persons == 0 && self.unsigned == Unsigned::Refuse {
            "bundle: keys is empty, so no bundle could be accepted; unsigned: allow takes bundles without".to_owned()
        } else if self.threshold == 0 {
            "bundle: threshold: 0 would accept anything; unsigned: allow says that".to_owned()
        } else if persons > 0 && self.threshold > persons {
            format!("bundle: threshold: {} can never be met by {persons} different names in keys", self.threshold)
        } else if self.keys.iter().any(|key| key.report == ReportDemand::Required) {
            "bundle: report belongs to countersigners, not to keys".to_owned()
        } else {
            return Ok(());
        };
        Err(PaperError::Meaning { place: place.to_owned(), why })
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
    }

    #[test]
    fn what_cannot_be_met_or_meant_is_refused_in_words() {
        for (from, to, words) in [
            ("threshold: 2", "threshold: 3", "can never be met by 2"),
            ("threshold: 2", "threshold: 0", "would accept anything"),
            ("threshold: 2", "treshold: 2", "treshold"),
            ("name: alice, ", "", "name"),
            ("name: alice", "name: ' '", "no name of a person"),
            ("file: alice.pub", "file: a, pem: b", "either a file or a pem"),
            ("file: alice.pub", "file: a, report: required", "belongs to countersigners"),
            ("2027-01-31", "2027-13-01", "2027-13-01"),
        ] {
            let error = parse(&SECTION.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(words), "{to}: {error}");
        }
        assert!(parse("bundle: {}\n").unwrap_err().contains("keys is empty"));
        assert!(parse("bundle: {unsigned: allow}\n").is_ok());
    }
}
