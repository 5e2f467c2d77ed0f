//! Whose signatures a bundle itself needs, and whether they are there: m of n authors, and countersigners by name.
//!
//! Decided from the statement and the signatures alone, before anything else of a bundle is parsed. Persons are
//! counted, not signatures: one of several keys of a name is enough, and more than one is not more. A signature that
//! was changed, or is about another bundle, refuses the bundle even where the others would be enough.

use super::keys::PublicKey;
use super::marks::{BundleSeals, Judged, Person, Reader};
use super::policy_files::PolicyFiles;
use super::seal::SealError;
use super::signers::TrustError;
use crate::document::countersignature::{Mark, MarkRole};
use crate::document::policy::{BundleDemand, KeySource, PersonKey, ReportDemand, Unsigned};
use crate::model::{Digest, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Whose signature over a bundle is accepted.
pub struct Authors {
    persons: Vec<Person>,
    /// Names of authors.
    authors: BTreeSet<String>,
    threshold: usize,
    /// Names of those who must have countersigned.
    countersigners: BTreeSet<String>,
    /// Who takes a bundle without its authors' signatures: a flag, a policy.
    unsigned: Option<String>,
    now: i64,
}

/// What became of the signatures over a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Whether the bundle is accepted and by whom it is signed, or why it is not, as a lower-case fragment.
    pub decision: Result<String, String>,
    /// Keys of authors that count, sorted.
    pub accepted: Vec<Digest>,
    /// Each signature by itself: those in the bundle first, then those beside it in the order of their files.
    pub marks: Vec<Mark>,
}

impl Authors {
    /// Makes a demand ready: `load` reads keys by the paths in it, `origin` names its policy, `now` is in seconds
    /// since 1970 and decides about keys that end.
    ///
    /// # Errors
    /// A key that cannot be read, or that stands under two names: it would count as two persons.
    pub fn new(demand: &BundleDemand, origin: &str, load: &mut dyn PolicyFiles, now: i64) -> Result<Self, TrustError> {
        let mut persons: Vec<Person> = Vec::new();
        let mut names: BTreeMap<Digest, String> = BTreeMap::new();
        for key in demand.keys.iter().chain(&demand.countersigners) {
            let person = person(key, load)?;
            let first = names.entry(person.key.id().clone()).or_insert_with(|| person.name.clone());
            if *first != person.name {
                return Err(TrustError::SameKey { first: first.clone(), second: person.name });
            }
            persons.push(person);
        }
        let unsigned = (demand.unsigned == Unsigned::Allow).then(|| origin.to_owned());
        let of = |keys: &[PersonKey]| keys.iter().map(|key| key.name.clone()).collect();
        let (authors, countersigners) = (of(&demand.keys), of(&demand.countersigners));
        Ok(Self { persons, authors, threshold: demand.threshold.max(1), countersigners, unsigned, now })
    }

    /// Accepts anything, for looking at a bundle without believing it.
    pub fn anyone() -> Self {
        let (authors, countersigners) = (BTreeSet::new(), BTreeSet::new());
        Self { persons: Vec::new(), authors, threshold: 1, countersigners, unsigned: None, now: 0 }
            .allowing_unsigned("whoever looks")
    }

    /// Takes a bundle without its authors' signatures too, because `by` says so. Countersigners are demanded all the same.
    #[must_use]
    pub fn allowing_unsigned(mut self, by: &str) -> Self {
        self.unsigned = Some(by.to_owned());
        self
    }

    /// Waits for no signature of those whose keys are `keys`: who signs cannot have done so before.
    #[must_use]
    pub fn not_waiting_for(mut self, keys: &[&Digest]) -> Self {
        let persons = self.persons.iter().filter(|person| keys.contains(&person.key.id()));
        let names: Vec<String> = persons.map(|person| person.name.clone()).collect();
        self.countersigners.retain(|name| !names.contains(name));
        let authors = names.iter().filter(|name| self.authors.contains(*name)).count();
        self.threshold = self.threshold.saturating_sub(authors).max(1);
        self
    }

    /// Returns whether any key is known to judge signatures by.
    pub fn knows_somebody(&self) -> bool {
        !self.persons.is_empty()
    }

    /// Returns whether nobody is known, and nothing was said about bundles without a signature.
    pub fn is_silent(&self) -> bool {
        !self.knows_somebody() && self.unsigned.is_none()
    }

    /// Judges the signatures over a bundle.
    pub fn judge(&self, seals: &BundleSeals<'_>) -> Approval {
        let reader = Reader { persons: &self.persons, now: self.now };
        let (mut judged, broken) = match reader.authors(seals) {
            Ok(judged) => (judged, None),
            Err((error, mark)) => (vec![mark], Some(error)),
        };
        judged.extend(seals.countersignatures.iter().flat_map(|one| reader.countersignature(seals, one)));
        let signed: Vec<(&str, &Digest)> = judged
            .iter()
            .filter(|one| one.mark.verdict == Verdict::Good)
            .filter_map(|one| Some((one.mark.name.as_deref()?, one.key.as_ref()?)))
            .filter(|(name, _)| self.authors.contains(*name))
            .collect();
        let decision = self.decide(seals, &judged, &signed, broken);
        let mut accepted: Vec<Digest> = signed.iter().map(|(_, key)| (*key).clone()).collect();
        accepted.sort();
        accepted.dedup();
        Approval { decision, accepted, marks: judged.into_iter().map(|one| one.mark).collect() }
    }

    fn decide(
        &self,
        seals: &BundleSeals<'_>,
        judged: &[Judged],
        signed: &[(&str, &Digest)],
        broken: Option<SealError>,
    ) -> Result<String, String> {
        let beside = || judged.iter().map(|one| &one.mark).filter(|mark| mark.role == MarkRole::Countersigner);
        if let Some(mark) = beside().find(|mark| mark.verdict == Verdict::Bad) {
            return Err(format!("the countersignature {} is not accepted: {}", mark.place, mark.reason));
        }
        let missed = self.countersigners.iter().filter_map(|name| self.countersigned(name, judged).err());
        let missed: Vec<String> = missed.collect();
        let authorship = match broken {
            Some(error) => Err(format!("the bundle's signature is not accepted: {error}")),
            None => self.authorship(seals, judged, signed),
        };
        let mut words = match (authorship, &self.unsigned) {
            (Ok(words), _) => words,
            (Err(why), Some(by)) => format!("not authentic, accepted by {by}: {why}"),
            (Err(why), None) => return Err([vec![why], missed].concat().join("; ")),
        };
        if !missed.is_empty() {
            return Err(missed.join("; "));
        }
        let others: BTreeSet<String> = beside()
            .filter(|mark| mark.verdict == Verdict::Good)
            .filter_map(|mark| {
                Some(format!("{} at {} (claimed)", mark.name.as_ref()?, mark.says.as_ref()?.claimed_time))
            })
            .collect();
        if !others.is_empty() {
            words.push_str(&format!("; countersigned by {}", listed(others.iter().map(String::as_str))));
        }
        Ok(words)
    }

    /// Decides whether enough authors signed.
    fn authorship(
        &self,
        seals: &BundleSeals<'_>,
        judged: &[Judged],
        signed: &[(&str, &Digest)],
    ) -> Result<String, String> {
        let names: BTreeSet<&str> = signed.iter().map(|(name, _)| *name).collect();
        if !self.authors.is_empty() && names.len() >= self.threshold {
            let keys: BTreeSet<String> =
                signed.iter().map(|(name, key)| format!("key {} ({name})", key.short())).collect();
            return Ok(format!("signed by {}", listed(keys.iter().map(String::as_str))));
        }
        if seals.envelope.is_none() && names.is_empty() {
            return Err("the bundle is not signed".to_owned());
        }
        if self.authors.is_empty() {
            return Err("the bundle is signed, but no key was given to check it with".to_owned());
        }
        let missing = self.authors.iter().map(String::as_str).filter(|name| !names.contains(name));
        if !names.is_empty() {
            let (threshold, there) = (self.threshold, names.len());
            let (there_are, missing) = (listed(names.iter().copied()), listed(missing));
            return Err(format!(
                "{threshold} persons must have signed, {there} did: {there_are}; not signed by {missing}"
            ));
        }
        let ended = judged.iter().find(|one| one.key.is_some() && one.mark.verdict == Verdict::Unknown);
        let why = ended.map_or_else(|| strangers(judged), |one| one.mark.reason.clone());
        Err(format!("the bundle's signature is not accepted: {why}"))
    }

    /// Checks that the person `name` countersigned as is demanded.
    fn countersigned(&self, name: &str, judged: &[Judged]) -> Result<(), String> {
        let theirs: Vec<&Judged> = judged
            .iter()
            .filter(|one| one.mark.role == MarkRole::Countersigner && one.mark.name.as_deref() == Some(name))
            .collect();
        let good: Vec<&&Judged> = theirs.iter().filter(|one| one.mark.verdict == Verdict::Good).collect();
        let names_report = |one: &Judged| one.mark.says.as_ref().is_some_and(|says| says.report.is_some());
        let needs = |one: &Judged| self.persons.iter().any(|p| p.needs_report && Some(p.key.id()) == one.key.as_ref());
        if good.iter().any(|one| names_report(one) || !needs(one)) {
            return Ok(());
        }
        if !good.is_empty() {
            return Err(format!("{name} countersigned the bundle and named no report, which is demanded"));
        }
        match theirs.first() {
            Some(one) => Err(format!("{name} countersigned the bundle, but {}", one.mark.reason)),
            None => Err(format!(
                "{name} must have countersigned the bundle and has not; name the countersignature's file beside the volumes"
            )),
        }
    }
}

fn person(written: &PersonKey, load: &mut dyn PolicyFiles) -> Result<Person, TrustError> {
    let name = || written.name.clone();
    let text = match &written.key {
        KeySource::Pem(text) => text.as_bytes().to_vec(),
        KeySource::File(file) => {
            load.read(file).map_err(|source| TrustError::KeyFile { name: name(), file: file.clone(), source })?
        }
    };
    let key = PublicKey::from_pem(&text).map_err(|source| TrustError::Key { name: name(), source })?;
    let needs_report = written.report == ReportDemand::Required;
    Ok(Person { name: name(), key, not_after: written.not_after, needs_report })
}

/// Says who made signatures that nobody here knows.
fn strangers(judged: &[Judged]) -> String {
    let stated = judged.iter().filter(|one| one.mark.role == MarkRole::Author).map(|one| one.mark.key.clone());
    SealError::UnknownSigner(stated.collect()).to_string()
}

/// Joins words: `a`, `a and b`, `a, b and c`.
fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}
