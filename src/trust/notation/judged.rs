//! A verified signature under one signer of a policy: authenticity, expiry, time and revocation, in that order. A check
//! that does not hold refuses the signature, or is written down, as the signer's level says.

use super::certificate::Certificate;
use super::envelope::Scheme;
use super::revocation;
use super::timestamp::{self, Stamp};
use super::{Store, Trusted, Verified};
use crate::document::policy::{Action, Identities, StoreKind, Validation, VerifyTimestamp};
use crate::model::evidence::{CertificateFacts, RootUsed, Signer, TimeSource};
use crate::trust::outcome::{Log, Meaning, Moment, Proof, Refusal};
use crate::trust::time;

/// What was found so far.
pub(super) struct Judged<'a> {
    verified: &'a Verified,
    trusted: &'a Trusted,
    now: i64,
    /// Store and certificate that vouch for the chain.
    root: Option<RootUsed>,
    stamp: Option<Stamp>,
    /// Verified time, and who vouches for it.
    time: Option<(i64, String)>,
    notes: Vec<String>,
    not_checked: Vec<&'static str>,
}

impl<'a> Judged<'a> {
    /// Makes all checks; the first that refuses is returned.
    pub(super) fn new(verified: &'a Verified, trusted: &'a Trusted, now: i64) -> Result<Self, Refusal> {
        let mut judged = Self {
            verified,
            trusted,
            now,
            root: None,
            stamp: None,
            time: None,
            notes: Vec::new(),
            not_checked: vec!["revocation"],
        };
        let authentic = judged.authenticity();
        judged.weigh(Validation::Authenticity, authentic)?;
        let expiry = judged.expiry();
        judged.weigh(Validation::Expiry, expiry)?;
        let time = judged.authentic_time();
        judged.weigh(Validation::AuthenticTimestamp, time)?;
        let stamped = judged.stamp.iter().flat_map(|stamp| &stamp.path);
        let revocation = revocation::check(verified.chain.iter().chain(stamped));
        judged.weigh(Validation::Revocation, revocation)?;
        Ok(judged)
    }

    /// Does with a check what the signer's level says.
    fn weigh(&mut self, check: Validation, result: Result<(), Refusal>) -> Result<(), Refusal> {
        let Err(refusal) = result else { return Ok(()) };
        match self.trusted.signer.action(check) {
            Action::Enforce => return Err(refusal),
            Action::Log => {
                self.notes.push(format!("{} was not enforced: {}", check.name(), refusal.reason));
                if check != Validation::Revocation {
                    self.not_checked.push(check.name());
                }
            }
            Action::Skip => {}
        }
        Ok(())
    }

    /// Checks that a store of the right kind vouches for the chain, and that the holder is one that is wanted.
    fn authenticity(&mut self) -> Result<(), Refusal> {
        let scheme = self.verified.envelope.scheme;
        let kind = match scheme {
            Scheme::X509 => StoreKind::Ca,
            Scheme::SigningAuthority => StoreKind::SigningAuthority,
        };
        let stores: Vec<&Store> = self.stores(kind).collect();
        if stores.is_empty() {
            return Err(Refusal::unknown(format!(
                "it is of the scheme {}, which stores of type {} are for, and the rule names none",
                scheme.name(),
                kind.name()
            )));
        }
        let found = stores.iter().find_map(|store| Some((store, store.vouches(&self.verified.chain)?)));
        let Some((store, by)) = found else {
            let root = self.verified.chain.last().map(Certificate::subject_text).unwrap_or_default();
            let names: Vec<String> = stores.iter().map(|store| store.name.to_string()).collect();
            return Err(Refusal::unknown(format!(
                "its certificate comes from {root}, and {} holds no certificate of its chain",
                names.join(" or ")
            ))
            .hint("is this the authority that you meant? Then its certificate belongs in the trust store"));
        };
        let root = RootUsed { name: store.name.to_string(), sha256: by.fingerprint() };
        self.identity(root)
    }

    fn identity(&mut self, root: RootUsed) -> Result<(), Refusal> {
        let leaf = &self.verified.leaf;
        let wanted = match &self.trusted.signer.identities {
            Identities::Any => {
                self.root = Some(root);
                return Ok(());
            }
            Identities::Subjects(wanted) => wanted,
        };
        let subject = leaf.subject_text();
        let own =
            leaf.identity().map_err(|why| Refusal::bad(format!("the subject {subject} of its certificate {why}")))?;
        if wanted.iter().any(|name| name.covers(&own)) {
            self.root = Some(root);
            return Ok(());
        }
        let names: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        let mut proof = self.proof();
        proof.root = Some(root);
        Err(Refusal::signer(format!("signed by {subject}, and the rule wants {}", names.join(" or ")), proof)
            .hint("is this who should have signed it? Then the rule must name it"))
    }

    fn stores(&self, kind: StoreKind) -> impl Iterator<Item = &'a Store> {
        self.trusted.stores.iter().map(AsRef::as_ref).filter(move |store: &&Store| store.name.kind == kind)
    }

    fn expiry(&self) -> Result<(), Refusal> {
        match self.verified.envelope.expiry {
            Some(end) if end <= self.now => {
                Err(Refusal::bad(format!("its signer let it end at {}", time::rfc3339(end)))
                    .hint("have the artifact signed again"))
            }
            _ => Ok(()),
        }
    }

    /// Checks that every certificate was valid when it was used, as far as somebody vouches for that time.
    fn authentic_time(&mut self) -> Result<(), Refusal> {
        match self.verified.envelope.scheme {
            Scheme::SigningAuthority => self.authority_time(),
            Scheme::X509 if self.wants_stamp() => self.stamped_time(),
            Scheme::X509 => {
                if self.verified.envelope.timestamp.is_some() {
                    self.not_checked.push("timestamp");
                }
                let now = self.now;
                self.valid(now, now).map_err(|why| {
                    Refusal::bad(format!(
                        "{why}, and no timestamp that the rule trusts shows that it was signed before"
                    ))
                })
            }
        }
    }

    /// Returns whether a countersignature has to be there.
    fn wants_stamp(&self) -> bool {
        let expired = || self.verified.chain.iter().any(|one| self.now > one.valid.1);
        self.stores(StoreKind::Tsa).next().is_some()
            && match self.trusted.signer.verify_timestamp {
                VerifyTimestamp::Always => true,
                VerifyTimestamp::AfterCertExpiry => expired(),
            }
    }

    fn stamped_time(&mut self) -> Result<(), Refusal> {
        let Some(token) = &self.verified.envelope.timestamp else {
            return Err(Refusal::bad("it has no timestamp, and the rule wants one")
                .hint("sign it with a timestamp authority, or leave tsa stores out of the rule"));
        };
        let roots: Vec<&Certificate> = self.stores(StoreKind::Tsa).flat_map(|store| &store.certificates).collect();
        let stamp = timestamp::verify(token, &self.verified.envelope.signature, &roots, self.now)?;
        self.valid(stamp.between.0, stamp.between.1).map_err(Refusal::bad)?;
        let by = stamp.path.first().map(Certificate::subject_text).unwrap_or_default();
        self.time = Some((stamp.at, format!("timestamp by {by}")));
        self.stamp = Some(stamp);
        Ok(())
    }

    fn authority_time(&mut self) -> Result<(), Refusal> {
        let Some(at) = self.verified.envelope.authentic_time else { return Err(Refusal::form("it states no time")) };
        if at > self.now.saturating_add(time::SKEW) {
            let (at, now) = (time::rfc3339(at), time::rfc3339(self.now));
            return Err(Refusal::bad(format!("it was signed in the future, at {at}; it is {now} here"))
                .hint("is the clock of this machine right?"));
        }
        self.valid(at, at).map_err(Refusal::bad)?;
        // Nobody vouches for the time where nobody vouches for the authority.
        if self.root.is_some() {
            self.time = Some((at, "signing authority".to_owned()));
        }
        Ok(())
    }

    fn valid(&self, first: i64, last: i64) -> Result<(), String> {
        let outside = |one: &&Certificate| !one.is_valid_at(first) || !one.is_valid_at(last);
        let Some(one) = self.verified.chain.iter().find(outside) else { return Ok(()) };
        let subject = one.subject_text();
        Err(if last > one.valid.1 {
            format!("the certificate of {subject} expired at {}", time::rfc3339(one.valid.1))
        } else {
            format!("the certificate of {subject} is valid from {} on only", time::rfc3339(one.valid.0))
        })
    }

    const fn time_source(&self) -> TimeSource {
        if self.stamp.is_some() { TimeSource::TimestampAuthority } else { TimeSource::SigningAuthority }
    }

    /// Says what was verified.
    pub(super) fn proof(&self) -> Proof {
        let leaf = &self.verified.leaf;
        let signer = Signer::X509 {
            subject: leaf.subject_text(),
            issuer: leaf.issuer_text(),
            sha256: leaf.fingerprint(),
            scheme: self.verified.envelope.scheme.name().to_owned(),
        };
        Proof {
            signer,
            meaning: Meaning::Signature,
            log: Log::None,
            entry: None,
            root: self.root.clone(),
            certificate: Some(CertificateFacts {
                sha256: Some(leaf.fingerprint()),
                not_before: time::rfc3339(leaf.valid.0),
                not_after: time::rfc3339(leaf.valid.1),
                claims: Default::default(),
            }),
            times: self.time.iter().map(|(at, _)| Moment { second: *at, source: self.time_source() }).collect(),
            time_source: self.time.as_ref().map(|(_, source)| source.clone()),
            not_checked: self.not_checked.clone(),
            notes: self.notes.clone(),
        }
    }
}
