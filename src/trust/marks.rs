//! Judges each signature over a bundle by itself: who made it, and whether it is about this bundle.

use super::keys::PublicKey;
use super::seal::{BUNDLE_STATEMENT, COUNTERSIGNATURE_STATEMENT, SealError, SealSignature, signatures};
use super::time;
use crate::document::countersignature::{CountersignatureStatement, Mark, MarkRole};
use crate::document::policy::Until;
use crate::model::{Content, Digest, Verdict};

/// Name of the slot in a bundle that its author signs in.
const SLOT: &str = "airlift/head.sig";

/// Everything that is signed about a bundle, and the signatures.
#[derive(Debug, Clone, Copy)]
pub struct BundleSeals<'a> {
    /// Bytes of `airlift/head.json`.
    pub statement: &'a [u8],
    /// The author's envelope, where there is one.
    pub envelope: Option<&'a [u8]>,
    /// Countersignatures that came with the bundle.
    pub countersignatures: &'a [Countersigned<'a>],
}

/// A countersignature as it came with a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Countersigned<'a> {
    /// File, or `stream`.
    pub place: &'a str,
    /// Statement.
    pub statement: &'a [u8],
    /// Envelope over the statement.
    pub envelope: &'a [u8],
    /// What the report is that it carries, where it carries one.
    pub report: Option<&'a Content>,
}

/// A key with the name of its person.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub name: String,
    pub key: PublicKey,
    pub not_after: Until,
    pub needs_report: bool,
}

/// One signature, judged, with the key that made it where that is known.
pub(super) struct Judged {
    pub mark: Mark,
    pub key: Option<Digest>,
}

/// Judges signatures by the keys of some persons, at one time.
pub(super) struct Reader<'a> {
    pub persons: &'a [Person],
    pub now: i64,
}

impl Reader<'_> {
    /// Judges what stands in the slot of the bundle.
    pub(super) fn authors(&self, seals: &BundleSeals<'_>) -> Result<Vec<Judged>, (SealError, Judged)> {
        let Some(envelope) = seals.envelope else { return Ok(Vec::new()) };
        match signatures(BUNDLE_STATEMENT, seals.statement, envelope, &self.keys()) {
            Ok(found) => Ok(found.into_iter().map(|one| self.judged(MarkRole::Author, SLOT, one, None)).collect()),
            Err(error) => {
                let mark = bad(MarkRole::Author, SLOT, error.to_string());
                Err((error, mark))
            }
        }
    }

    /// Judges one countersignature. What is not about this bundle, or was changed, is bad whoever made it.
    pub(super) fn countersignature(&self, seals: &BundleSeals<'_>, one: &Countersigned<'_>) -> Vec<Judged> {
        let role = MarkRole::Countersigner;
        let says = match about(seals, one) {
            Ok(says) => says,
            Err(why) => return vec![bad(role, one.place, why)],
        };
        match signatures(COUNTERSIGNATURE_STATEMENT, one.statement, one.envelope, &self.keys()) {
            Ok(found) => found.into_iter().map(|found| self.judged(role, one.place, found, Some(&says))).collect(),
            Err(error) => vec![bad(role, one.place, error.to_string())],
        }
    }

    fn keys(&self) -> Vec<PublicKey> {
        self.persons.iter().map(|person| person.key.clone()).collect()
    }

    fn judged(
        &self,
        role: MarkRole,
        place: &str,
        found: SealSignature,
        says: Option<&CountersignatureStatement>,
    ) -> Judged {
        let person = found.key.as_ref().and_then(|key| self.persons.iter().find(|person| person.key.id() == key));
        let (verdict, reason) = match person {
            None => (Verdict::Unknown, "the key is none that is known here".to_owned()),
            Some(person) if time::over(person.not_after, self.now) => (
                Verdict::Unknown,
                format!("the key of {} counted until {} and counts no more", person.name, person.not_after),
            ),
            Some(_) => (Verdict::Good, "the signature holds".to_owned()),
        };
        let mark = Mark {
            role,
            place: place.to_owned(),
            name: person.map(|person| person.name.clone()),
            key: found.key.as_ref().map_or(found.stated, ToString::to_string),
            verdict,
            reason,
            says: says.cloned().map(Box::new),
        };
        Judged { mark, key: found.key }
    }
}

fn bad(role: MarkRole, place: &str, reason: String) -> Judged {
    let (place, key) = (place.to_owned(), "not known".to_owned());
    Judged { mark: Mark { role, place, name: None, key, verdict: Verdict::Bad, reason, says: None }, key: None }
}

/// Reads a countersignature's statement, and says why it is not about this bundle as it is here.
fn about(seals: &BundleSeals<'_>, one: &Countersigned<'_>) -> Result<CountersignatureStatement, String> {
    let says = CountersignatureStatement::read(one.statement, one.place).map_err(|error| error.to_string())?;
    let bundle = Digest::of(seals.statement);
    if says.bundle != bundle {
        return Err(format!("it is about bundle {}, and this is bundle {}", says.bundle.short(), bundle.short()));
    }
    if says.signature != seals.envelope.map(Digest::of) {
        return Err("it was made over another signature of the author than this bundle has".to_owned());
    }
    let carried = says.report.as_ref().filter(|report| report.carried);
    let same = match (carried, one.report) {
        (None, None) => true,
        (Some(named), Some(found)) => named.digest == found.digest && named.size == Some(found.size),
        _ => false,
    };
    if same { Ok(says) } else { Err("the report that it carries is not the one that it names".to_owned()) }
}
