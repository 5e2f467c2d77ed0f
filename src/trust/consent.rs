//! How many of several must have signed: decides over what each signer was found to have signed.

use crate::model::evidence::Signer;
use std::collections::BTreeMap;

/// Whose signatures are wanted, with signers by their index in a rule.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    /// This signer.
    Signer(usize),
    /// An authority: its name, and who that is.
    Named(String, Box<Ask>),
    /// One of these.
    Any(Vec<Ask>),
    /// Each of these.
    All(Vec<Ask>),
    /// So many of these, each by another signer.
    Threshold(usize, Vec<Ask>),
}

/// A signature that holds: by whom in a form that two signers never share, and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holding {
    /// See [`person`].
    pub by: String,
    /// What was verified, for a person.
    pub words: String,
}

/// What holds under each signer of a rule.
pub(super) type Holders = BTreeMap<usize, Vec<Holding>>;

/// Returns what tells one signer from another, whatever a policy calls them: the key, or the identity with its issuer.
pub(super) fn person(signer: &Signer) -> String {
    match signer {
        Signer::Key { sha256, .. } => sha256.to_string(),
        Signer::Certificate { identity, issuer, .. } => format!("{issuer} {identity}"),
        // The name and not the certificate: one holder may have several.
        Signer::X509 { subject, issuer, .. } => format!("{issuer} {subject}"),
    }
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Enough signed: what was verified.
    Met(Vec<String>),
    /// Not enough: who signed of those that count, and how many are needed where it is a number.
    Lacking(String),
}

impl Ask {
    /// Decides whether what `holders` hold is enough.
    pub(super) fn answer(&self, holders: &Holders, name: &dyn Fn(usize) -> String) -> Answer {
        match self {
            Self::Signer(at) => match holders.get(at).and_then(|held| held.first()) {
                Some(holding) => Answer::Met(vec![holding.words.clone()]),
                None => Answer::Lacking(format!("none by {}", name(*at))),
            },
            Self::Named(_, ask) => ask.answer(holders, name),
            Self::Any(of) => {
                let mut met = of.iter().map(|ask| ask.answer(holders, name));
                let met = met.find(|answer| matches!(answer, Answer::Met(_)));
                met.unwrap_or_else(|| Answer::Lacking(format!("none by {}", self.words(name))))
            }
            Self::All(of) => all(of, holders, name),
            Self::Threshold(need, of) => threshold(*need, of, holders, name),
        }
    }

    /// Returns the indexes of the signers in it.
    pub(super) fn signers(&self) -> Vec<usize> {
        match self {
            Self::Signer(at) => vec![*at],
            Self::Named(_, ask) => ask.signers(),
            Self::Any(of) | Self::All(of) | Self::Threshold(_, of) => of.iter().flat_map(Self::signers).collect(),
        }
    }

    /// Names it for a person; `name` names a signer.
    pub(super) fn words(&self, name: &dyn Fn(usize) -> String) -> String {
        let joined = |of: &[Self], with: &str| of.iter().map(|ask| ask.part(name)).collect::<Vec<_>>().join(with);
        match self {
            Self::Signer(at) => name(*at),
            Self::Named(authority, ask) => format!("the authority {authority} ({})", ask.words(name)),
            Self::Any(of) => joined(of, " or "),
            Self::All(of) => joined(of, " and "),
            Self::Threshold(need, of) => format!("{need} different signers of {}", joined(of, ", ")),
        }
    }

    fn part(&self, name: &dyn Fn(usize) -> String) -> String {
        match self {
            Self::Signer(_) | Self::Named(..) => self.words(name),
            Self::Any(_) | Self::All(_) | Self::Threshold(..) => format!("[{}]", self.words(name)),
        }
    }
}

fn all(of: &[Ask], holders: &Holders, name: &dyn Fn(usize) -> String) -> Answer {
    let mut words = Vec::new();
    let mut lacking = Vec::new();
    for ask in of {
        match ask.answer(holders, name) {
            Answer::Met(more) => words.extend(more.into_iter().filter(|one| !words.contains(one)).collect::<Vec<_>>()),
            Answer::Lacking(why) => lacking.push(why),
        }
    }
    if lacking.is_empty() { Answer::Met(words) } else { Answer::Lacking(lacking.join(", ")) }
}

/// Gives each entry of the list a signer of its own, as many as can be: augmenting paths over a list of at most
/// a few dozen.
fn threshold(need: usize, of: &[Ask], holders: &Holders, name: &dyn Fn(usize) -> String) -> Answer {
    let options: Vec<Vec<&Holding>> = of
        .iter()
        .map(|ask| ask.signers().iter().flat_map(|at| holders.get(at).into_iter().flatten()).collect())
        .collect();
    let mut taken: BTreeMap<&str, (usize, &Holding)> = BTreeMap::new();
    for entry in 0..options.len() {
        give(entry, &options, &mut taken, &mut Vec::new());
    }
    let words: Vec<String> = taken.values().map(|(_, holding)| holding.words.clone()).collect();
    if taken.len() >= need {
        return Answer::Met(words);
    }
    let lacking: Vec<String> = (0..of.len())
        .filter(|entry| taken.values().all(|(taken, _)| taken != entry))
        .map(|entry| of[entry].part(name))
        .collect();
    let so_far = if words.is_empty() { String::new() } else { format!(" ({})", words.join("; ")) };
    Answer::Lacking(format!("{} of {need} different signers{so_far}; none yet by {}", taken.len(), lacking.join(", ")))
}

fn give<'h>(
    entry: usize,
    options: &[Vec<&'h Holding>],
    taken: &mut BTreeMap<&'h str, (usize, &'h Holding)>,
    tried: &mut Vec<&'h str>,
) -> bool {
    for holding in &options[entry] {
        if tried.contains(&holding.by.as_str()) {
            continue;
        }
        tried.push(&holding.by);
        let holder = taken.get(holding.by.as_str()).map(|(entry, _)| *entry);
        if holder.is_none_or(|other| give(other, options, taken, tried)) {
            taken.insert(&holding.by, (entry, holding));
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holders(held: &[(usize, &[&str])]) -> Holders {
        let holding = |by: &&str| Holding { by: (*by).to_owned(), words: format!("signed by {by}") };
        held.iter().map(|(at, by)| (*at, by.iter().map(holding).collect())).collect()
    }

    fn met(ask: &Ask, held: &[(usize, &[&str])]) -> bool {
        matches!(ask.answer(&holders(held), &|at| format!("s{at}")), Answer::Met(_))
    }

    fn signers(of: &[usize]) -> Vec<Ask> {
        of.iter().map(|at| Ask::Signer(*at)).collect()
    }

    #[test]
    fn any_all_and_groups_within_groups_decide_as_they_read() {
        let any = Ask::Any(vec![Ask::Signer(0), Ask::All(signers(&[1, 2]))]);
        assert!(met(&any, &[(0, &["a"])]) && met(&any, &[(1, &["b"]), (2, &["c"])]));
        assert!(!met(&any, &[(1, &["b"])]) && !met(&any, &[]));
        // One signature may satisfy two entries of an all-of; that is what tells it from a threshold.
        assert!(met(&Ask::All(signers(&[0, 1])), &[(0, &["a"]), (1, &["a"])]));
    }

    #[test]
    fn a_threshold_counts_different_signers_each_for_one_entry() {
        let two = Ask::Threshold(2, signers(&[0, 1, 2]));
        assert!(met(&two, &[(0, &["a"]), (2, &["c"])]));
        assert!(!met(&two, &[(0, &["a"])]));
        // The same key under two names is one signer, and two people under one entry are one entry.
        assert!(!met(&two, &[(0, &["a"]), (1, &["a"])]));
        assert!(!met(&two, &[(0, &["a", "b"])]));
        // Whoever could stand for two entries stands for the one that nobody else fills.
        assert!(met(&two, &[(0, &["a"]), (1, &["a", "b"])]));
        assert!(met(&Ask::Threshold(3, signers(&[0, 1, 2])), &[(0, &["a", "b"]), (1, &["a"]), (2, &["b", "c"])]));
        assert!(met(&Ask::Threshold(2, vec![Ask::Any(signers(&[0, 1])), Ask::Signer(2)]), &[(1, &["a"]), (2, &["b"])]));
    }

    #[test]
    fn what_is_lacking_is_said_with_what_is_there() {
        let two = Ask::Threshold(2, signers(&[0, 1]));
        let Answer::Lacking(words) = two.answer(&holders(&[(0, &["a"])]), &|at| format!("s{at}")) else { panic!() };
        assert_eq!(words, "1 of 2 different signers (signed by a); none yet by s1");
        assert_eq!(two.words(&|at| format!("s{at}")), "2 different signers of s0, s1");
    }
}
