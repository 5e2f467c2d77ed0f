//! What a verifier without a network cannot know, in words that go with its verdict; and doubts about its clock.

use crate::document::evidence::BundleEvidence;
use crate::model::Finding;
use crate::model::evidence::FindingClass;
use crate::trust::Judge;

/// Says what no check of a bundle can show where there is no network.
pub fn not_known(judge: &Judge) -> Vec<String> {
    let mut sentences = vec!["whether a key or certificate was revoked after it signed".to_owned()];
    for root in judge.root_ages() {
        let (name, newest) = (&root.name, &root.newest_start);
        sentences.push(format!("whether the trusted root {name:?} is current: its newest key counts from {newest}"));
    }
    if !judge.root_ages().is_empty() {
        sentences.push("whether the logs still show the entries that were checked".to_owned());
    }
    sentences.push("whether a newer signature or advisory withdraws what was signed".to_owned());
    sentences
}

/// Compares this machine's clock with times that lie in the past of every right clock: those that the author of a
/// bundle saw verified when he packed it, and the newest start in the trusted roots.
pub fn clock_doubts(judge: &Judge, author: &BundleEvidence) -> Vec<Finding> {
    let clock = judge.clock();
    let doubt = |what: String| {
        Finding::warning(FindingClass::Config, "clock of this machine", format!("it is {clock} here, but {what}"))
            .with_hint("set the clock: times of signatures, exemptions and trusted roots are judged by it")
    };
    let judged = author.artifacts.iter().flat_map(|artifact| &artifact.judged);
    let newest = judged.flat_map(|evidence| &evidence.times).map(|time| &time.at).max().filter(|at| **at > clock);
    let packed = newest.map(|at| doubt(format!("the bundle holds a signature that was made at {at}")));
    let ahead = judge.root_ages().into_iter().find(|root| root.newest_start > clock);
    let root =
        ahead.map(|root| doubt(format!("a key of the trusted root {:?} counts from {}", root.name, root.newest_start)));
    packed.into_iter().chain(root).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::evidence::ArtifactEvidence;
    use crate::document::policy::Policy;
    use crate::testkit::sigstore::{Leaf, World, referrer, statement};
    use crate::trust::Judge;

    const T0: i64 = 1_700_000_000;

    fn judge(world: &World, now: i64) -> Judge {
        let policy = "apiVersion: airlift/v1alpha1\nkind: Policy\ntrustRoots: {corporate: {file: root.json}}\nrules:\n  - match: [\"**\"]\n    signatures: [{keyless: {trustRoot: corporate, issuer: i, identity: \"https://who.example\"}}]\n";
        let root = world.root().to_string().into_bytes();
        Judge::new(&Policy::parse(policy, "policy.yaml").unwrap(), &mut |_: &str| Ok(root.clone()), now).unwrap()
    }

    #[test]
    fn a_clock_behind_what_has_happened_is_doubted() {
        let world = World::new(T0);
        let subject = crate::model::Descriptor::of(crate::model::MediaType::OCI_MANIFEST, b"the image");
        let leaf = Leaf::new("https://who.example", "i", T0 + 1000);
        let signs = statement(&subject.digest, "https://sigstore.dev/cosign/sign/v1");
        let found = referrer(&subject, &world.bundle(&leaf, &signs).to_string());
        let judgement = judge(&world, T0 + 9000).judge(&"h.example/a:1".parse().unwrap(), &subject, &[found]);
        assert!(judgement.accepted, "{judgement:?}");
        let author = BundleEvidence::new(vec![ArtifactEvidence {
            subject: subject.digest,
            rule: judgement.rule,
            attached: Vec::new(),
            judged: judgement.evidence,
            exemption: None,
            would_refuse: None,
        }]);
        assert!(clock_doubts(&judge(&world, T0 + 1060), &author).is_empty());
        let behind = clock_doubts(&judge(&world, T0 + 1059), &author);
        assert_eq!(behind.len(), 1);
        assert!(behind[0].what.contains("a signature that was made at 2023-11-14T22:31:00Z"), "{behind:?}");
        let before = clock_doubts(&judge(&world, T0 - 1), &author);
        assert!(before.len() == 2 && before[1].what.contains("counts from 2023-11-14T22:13:20Z"), "{before:?}");
        assert!(not_known(&judge(&world, T0)).iter().any(|said| said.contains("\"corporate\" is current")));
    }
}
