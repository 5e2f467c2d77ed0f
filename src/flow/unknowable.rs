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
