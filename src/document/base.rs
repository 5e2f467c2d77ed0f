//! The bases of a delta (`airlift/base.json`): by whose word which sites are believed to have what it leaves out.
//!
//! Canonical JSON. Written by `pack`; `import` finds in it where else at its destination a blob may stand. It proves
//! nothing: whatever is left out is asked for at the destination before anything is written there.

use super::{API_VERSION, PaperError};
use crate::model::{Digest, Repository};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Kind of the paper.
pub const KIND: &str = "BundleBase";

/// Bases of a delta: `kind: BundleBase`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleBase {
    api_version: String,
    kind: String,
    /// Delta that this one completes, where it was packed by a request: its artifacts may wait for that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supplements: Option<Digest>,
    /// Sites for which this was packed. What is left out was known at every one of them.
    pub sites: Vec<BaseSite>,
    /// Where blobs stand that no repository of this bundle's lock is known to have, in the order of the inventory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
}

/// One site: what all of its papers know together is known there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaseSite {
    /// What it is called: as the person named it, its destination, or the file of its only paper.
    pub name: String,
    /// Papers, in the order in which they were given; one at least.
    pub papers: Vec<BasePaper>,
}

/// One paper, or a registry that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasePaper {
    /// What it is.
    pub kind: BaseKind,
    /// Digest of its bytes; absent for a bundle, which has an identity, and for a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Bundle that it is, or that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Digest>,
    /// Host and prefix that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// When it was finished by its own word, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
    /// Keys that signed it and are accepted, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Digest>,
}

/// Kinds of bases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaseKind {
    /// Receipt of an import or a sync.
    Receipt,
    /// Lock.
    Lock,
    /// Another bundle.
    Bundle,
    /// Registry that was asked.
    Registry,
    /// Request of an import that found something missing.
    Request,
}

impl BaseKind {
    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receipt => "receipt",
            Self::Lock => "lock",
            Self::Bundle => "bundle",
            Self::Registry => "registry",
            Self::Request => "request",
        }
    }
}

/// A blob with repositories that are known to have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// Which blob.
    pub digest: Digest,
    /// Repositories behind the host and prefix of an import; one at least.
    pub repositories: Vec<String>,
}

impl BundleBase {
    /// Makes the paper of `sites`.
    pub fn new(supplements: Option<Digest>, sites: Vec<BaseSite>, elsewhere: Vec<Elsewhere>) -> Self {
        Self { api_version: API_VERSION.to_owned(), kind: KIND.to_owned(), supplements, sites, elsewhere }
    }

    /// Reads the paper from the bytes at `place`. Unknown fields are refused: they would say what this program ignores.
    pub fn read(bytes: &[u8], place: &str) -> Result<Self, PaperError> {
        let base: Self = super::read_json(bytes, place, KIND)?;
        base.objection().map_or(Ok(()), |why| Err(PaperError::Meaning { place: place.to_owned(), why }))?;
        Ok(base)
    }

    /// Returns the paper as canonical JSON with a newline at its end.
    pub fn to_bytes(&self) -> Vec<u8> {
        super::write_json(self)
    }

    /// Returns all papers.
    pub fn papers(&self) -> impl Iterator<Item = &BasePaper> {
        self.sites.iter().flat_map(|site| &site.papers)
    }

    fn objection(&self) -> Option<String> {
        if self.sites.is_empty() || self.sites.iter().any(|site| site.papers.is_empty()) {
            return Some("it names no base".to_owned());
        }
        let requests = self.papers().filter(|paper| paper.kind == BaseKind::Request).count();
        if (requests > 0) != self.supplements.is_some() || requests > 1 {
            return Some("a bundle by request completes one other, and no other bundle does".to_owned());
        }
        let mut seen = BTreeSet::new();
        for one in &self.elsewhere {
            let good = |path: &String| Repository::new("h", path).is_ok();
            if one.repositories.is_empty() || !one.repositories.iter().all(good) {
                return Some(format!("elsewhere: {} has no repository that can be one", one.digest));
            }
            if !seen.insert(&one.digest) {
                return Some(format!("elsewhere: {} stands there twice", one.digest));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paper(kind: BaseKind) -> BasePaper {
        BasePaper { kind, digest: None, bundle: None, destination: None, finished: None, keys: Vec::new() }
    }

    fn base() -> BundleBase {
        let full = BasePaper {
            digest: Some(Digest::of(b"p")),
            bundle: Some(Digest::of(b"b")),
            destination: Some("harbor.site.example/mirror".to_owned()),
            finished: Some("2027-01-31T12:00:00Z".to_owned()),
            keys: vec![Digest::of(b"k")],
            ..paper(BaseKind::Receipt)
        };
        let sites = vec![
            BaseSite { name: "north".to_owned(), papers: vec![full, paper(BaseKind::Lock)] },
            BaseSite { name: "south".to_owned(), papers: vec![paper(BaseKind::Registry)] },
        ];
        let elsewhere = vec![Elsewhere { digest: Digest::of(b"e"), repositories: vec!["team/old".to_owned()] }];
        BundleBase::new(None, sites, elsewhere)
    }

    #[test]
    fn bases_read_back_as_they_were_written() {
        let bytes = base().to_bytes();
        assert_eq!(BundleBase::read(&bytes, "x").unwrap(), base());
        assert_eq!(BundleBase::read(&bytes, "x").unwrap().to_bytes(), bytes);
    }

    #[test]
    fn unknown_fields_kinds_and_versions_are_refused() {
        let text = String::from_utf8(base().to_bytes()).unwrap();
        for (from, to) in [
            ("\"kind\":\"lock\"", "\"kind\":\"rumour\""),
            ("\"name\":\"north\"", "\"name\":\"north\",\"trust\":true"),
            ("\"sites\"", "\"places\""),
            ("airlift/v1alpha1", "airlift/v9"),
            ("BundleBase", "Lock"),
            ("\"kind\":\"registry\"", "\"kind\":\"registry\",\"kind\":\"lock\""),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(BundleBase::read(text.replacen(from, to, 1).as_bytes(), "x").is_err(), "{to}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |change: &dyn Fn(&mut BundleBase)| {
            let mut base = base();
            change(&mut base);
            BundleBase::read(&base.to_bytes(), "x").unwrap_err().to_string()
        };
        assert!(refused(&|base| base.sites.clear()).contains("no base"));
        assert!(refused(&|base| base.sites[1].papers.clear()).contains("no base"));
        assert!(refused(&|base| base.supplements = Some(Digest::of(b"d"))).contains("by request"));
        assert!(refused(&|base| base.sites[1].papers[0].kind = BaseKind::Request).contains("by request"));
        assert!(refused(&|base| base.elsewhere.push(base.elsewhere[0].clone())).contains("twice"));
        for path in ["../x", "/etc", "", "A b"] {
            let error = refused(&|base| base.elsewhere[0].repositories = vec![path.to_owned()]);
            assert!(error.contains("no repository"), "{path}: {error}");
        }
        assert!(refused(&|base| base.elsewhere[0].repositories.clear()).contains("no repository"));
    }

    proptest! {
        #[test]
        fn foreign_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = BundleBase::read(&bytes, "x");
        }

        #[test]
        fn what_reads_is_written_back_the_same(at in 0usize..400, byte in any::<u8>()) {
            let mut bytes = base().to_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(read) = BundleBase::read(&bytes, "x") {
                prop_assert_eq!(BundleBase::read(&read.to_bytes(), "y").unwrap(), read);
            }
        }
    }
}
