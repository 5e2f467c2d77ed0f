//! What judging one signature under one signer gives: a proof, or a refusal with its reason.

use super::time;
use crate::model::Verdict;
use crate::model::evidence::{CertificateFacts, LogEntry, RootUsed, Signer, TimeSource, VerifiedTime};

/// What was verified about a signature.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    /// Who signed.
    pub signer: Signer,
    /// What it is: see [`Meaning`].
    pub meaning: Meaning,
    /// How the log was checked.
    pub log: Log,
    /// Entry that was checked.
    pub entry: Option<LogEntry>,
    /// Root by which it was judged.
    pub root: Option<RootUsed>,
    /// Certificate under which it was signed.
    pub certificate: Option<CertificateFacts>,
    /// Verified times, earliest first.
    pub times: Vec<Moment>,
    /// Who vouches for the times, where it is not the log.
    pub time_source: Option<String>,
    /// What an offline verifier did not check.
    pub not_checked: Vec<&'static str>,
    /// What did not hold and was not enforced, in words.
    pub notes: Vec<String>,
}

/// A verified time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    /// In seconds since 1970.
    pub second: i64,
    /// Who vouches for it.
    pub source: TimeSource,
}

impl Moment {
    /// Returns it as it is recorded.
    pub(super) fn recorded(self) -> VerifiedTime {
        VerifiedTime { at: time::rfc3339(self.second), by: self.source }
    }
}

/// What a verified signature says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// That the signer signed the subject.
    Signature,
    /// That the signer stated something of this predicate type about the subject.
    Attestation(String),
}

/// How much the transparency log showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Log {
    /// Nothing, or nobody looked.
    None,
    /// A promise to take the entry.
    Promise,
    /// That the entry is in the log.
    Proof,
}

impl Log {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Promise => "promise",
            Self::Proof => "proof",
        }
    }
}

/// How close a refused signature came. Of several refusals the closest is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closeness {
    /// Made in another way than this signer signs.
    OtherWay,
    /// Cannot be read.
    Form,
    /// Read, and does not verify.
    Checked,
    /// Verified, and not by whom the rule wants.
    Signer,
}

/// Why a signature does not count under a signer.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub verdict: Verdict,
    pub closeness: Closeness,
    /// Reason, as a lower-case fragment.
    pub reason: String,
    /// What a person can do; may be empty.
    pub hint: &'static str,
    /// What was verified all the same.
    pub proof: Option<Box<Proof>>,
}

impl Refusal {
    /// It was checked and does not hold.
    pub(super) fn bad(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, closeness: Closeness::Checked, reason: reason.into(), hint: "", proof: None }
    }

    /// It cannot be judged by this version or with what it was given.
    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown, closeness: Closeness::Form, ..Self::bad(reason) }
    }

    /// It was made in another way than the signer signs.
    pub(super) fn other_way(reason: impl Into<String>) -> Self {
        Self { closeness: Closeness::OtherWay, ..Self::unknown(reason) }
    }

    /// It does not parse.
    pub(super) fn form(reason: impl Into<String>) -> Self {
        Self { closeness: Closeness::Form, ..Self::bad(reason) }
    }

    /// It holds, but `proof` shows a signer that the rule does not want.
    pub(super) fn signer(reason: impl Into<String>, proof: Proof) -> Self {
        Self { closeness: Closeness::Signer, proof: Some(Box::new(proof)), ..Self::bad(reason) }
    }

    #[must_use]
    pub(super) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = hint;
        self
    }
}

impl Proof {
    /// Names the signer for a person.
    pub(super) fn by(&self) -> String {
        match &self.signer {
            Signer::Key { name, .. } => format!("key {name}"),
            Signer::Certificate { identity, issuer, .. } => format!("{identity} (issuer {issuer})"),
            Signer::X509 { subject, issuer, .. } => format!("{subject} (certificate by {issuer})"),
        }
    }

    /// Says what it is: `signed`, or an attestation with its type.
    pub(super) fn what(&self) -> String {
        match &self.meaning {
            Meaning::Signature => "signed".to_owned(),
            Meaning::Attestation(kind) => format!("attestation of type {kind}, signed"),
        }
    }

    /// Says what was verified, as a fragment.
    pub(super) fn words(&self) -> String {
        let log = match self.log {
            Log::None => "",
            Log::Promise => ", promised by the log",
            Log::Proof => ", proven to be in the log",
        };
        let first = self.times.iter().map(|time| time.second).min();
        let at = first.map(|at| format!(" at {}", time::rfc3339(at))).unwrap_or_default();
        let notes: String = self.notes.iter().map(|note| format!("; {note}")).collect();
        format!("{} by {}{at}{log}{notes}", self.what(), self.by())
    }
}
