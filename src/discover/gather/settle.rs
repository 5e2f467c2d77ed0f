//! What was seen becomes what is wanted: by its certainty, by the rules and decisions of the mirror file.

use super::super::kube::KubeError;
use super::super::sighting::{Certainty, How, Need, Sighting};
use super::super::{DiscoverError, Found, Problem, Want, note};
use super::{Cause, Discovering};
use crate::discover::operators::Table;
use crate::document::lock::Role;
use crate::document::mirror::Answer;
use crate::model::{Finding, ImageRef, Repository};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Places of one image in one chart that a lock lists.
const PLACES: usize = 8;
/// Images that a note names.
const NAMED: usize = 4;

/// Something seen, with the path that leads to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// What was seen.
    #[serde(flatten)]
    pub sighting: Sighting,
    /// Name of the chart that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chart: Option<String>,
    /// The path from the mirror file down to the file.
    pub why: Vec<String>,
}

/// A chart that was looked into.
#[derive(Debug, Clone)]
pub struct ChartOrigin {
    /// Place of its wish among what was found.
    pub at: usize,
    /// Its name, as its own file says it.
    pub name: String,
    /// What a person calls it: reference or file, with the version.
    pub shown: String,
}

impl Discovering<'_> {
    /// Returns what was found so far: charts among it wait for what they run.
    pub fn found(&self) -> &[Found] {
        &self.out.found
    }

    /// Fails where something stands in the way already, so that nothing is asked of a network for it.
    pub fn check(&mut self) -> Result<(), DiscoverError> {
        let problems = std::mem::take(&mut self.problems);
        if problems.is_empty() { Ok(()) } else { Err(DiscoverError { problems, findings: self.findings().to_vec() }) }
    }

    /// Returns what a person should know so far.
    pub fn findings(&self) -> &[Finding] {
        &self.out.findings
    }

    /// Returns the fields of custom objects that are known to name images.
    pub const fn fields(&self) -> &Table {
        &self.fields
    }

    /// Says that some charts could not be looked into: which rules meet nothing is not known then.
    pub const fn lacks_charts(&mut self) {
        self.whole = false;
    }

    /// Adds what a person should know.
    pub fn tell(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.out.findings.extend(findings);
    }

    /// Takes what a chart names, and why some of it is no image. Returns what it runs; who asked puts it in place.
    pub fn chart_seen(&mut self, origin: &ChartOrigin, sightings: Vec<Sighting>, errors: Vec<KubeError>) -> Vec<Found> {
        for error in errors {
            match self.excused(&error) {
                Some((place, what)) => self.out.findings.push(note(place, what)),
                None => self.problems.push(Problem::Chart { chart: origin.shown.clone(), source: error }),
            }
        }
        let mut why = self.out.found.get(origin.at).map_or_else(Vec::new, |found| found.why.clone());
        why.push(origin.shown.clone());
        let before = self.out.found.len();
        for group in grouped(sightings.into_iter().map(|sighting| self.classed(sighting)).collect()) {
            for (at, sighting) in group.iter().take(PLACES).enumerate() {
                let mut sighting = sighting.clone();
                if at + 1 == PLACES && group.len() > PLACES {
                    let more = group.len() - PLACES;
                    sighting.spot.path.push_str(&format!(" and {more} more places"));
                }
                self.sighted(sighting, Some(&origin.name), &why);
            }
        }
        self.out.found.split_off(before)
    }

    /// Puts what charts run and the charts themselves in the place of the wishes for them, by their places.
    pub fn put_in_place(&mut self, mut charts: BTreeMap<usize, Vec<Found>>) {
        let found = std::mem::take(&mut self.out.found);
        let placed =
            found.into_iter().enumerate().flat_map(|(at, found)| charts.remove(&at).unwrap_or_else(|| vec![found]));
        self.out.found = placed.collect();
    }

    /// Returns whether somebody named images that a chart does not show.
    pub fn is_completed(&self, chart: &str) -> bool {
        let named = self.mirror.extra_images.iter().filter_map(|extra| extra.needed_by.as_deref());
        named.into_iter().any(|by| by == chart || crate::discover::blueprint::canonical(by) == chart)
    }

    /// Returns what is said instead of an error, where a rule says that its text is none of ours.
    fn excused(&self, error: &KubeError) -> Option<(String, String)> {
        let (KubeError::Image { place, text, .. } | KubeError::Placeholder { place, text, .. }) = error else {
            return None;
        };
        let reason = self.rules.ignored_text(text)?;
        Some((place.clone(), format!("{text:?} is ignored: {reason}")))
    }

    /// Rules out what runs only when nobody wants it to.
    fn classed(&self, mut sighting: Sighting) -> Sighting {
        let rendering = &self.mirror.rendering;
        let why = match sighting.need {
            Need::Test if !rendering.tests => "chart tests are not wanted: rendering.tests",
            Need::DeleteHook if !rendering.delete_hooks => "removal hooks are not wanted: rendering.deleteHooks",
            _ => return sighting,
        };
        (sighting.certainty, sighting.remark) = (Certainty::Out, why.to_owned());
        sighting
    }

    /// Wants what is sure enough or accepted; keeps the rest for the end. `why` leads to the file.
    pub(super) fn sighted(&mut self, mut sighting: Sighting, chart: Option<&str>, why: &[String]) {
        if let Some(reason) = self.rules.ignored_text(&sighting.text) {
            let what = format!("{:?} is ignored: {reason}", sighting.text);
            return self.out.findings.push(note(sighting.spot.to_string(), what));
        }
        let answer =
            if sighting.certainty == Certainty::Certain { None } else { self.decisions.answer(&sighting, chart) };
        let mut notes: Vec<String> = sighting.need.note().map(str::to_owned).into_iter().collect();
        match (answer, &sighting.reference) {
            (Some(Answer::Accept(role)), Some(_)) => {
                (sighting.role, sighting.certainty) = (*role, Certainty::Certain);
                notes.push("accepted by a decision".to_owned());
            }
            (Some(Answer::Reject(reason)), _) => {
                let what = format!("{:?} is rejected: {reason}", sighting.text);
                return self.out.findings.push(note(sighting.spot.to_string(), what));
            }
            _ if sighting.certainty == Certainty::Probable => notes.push(format!("probable: {}", sighting.remark)),
            _ if sighting.certainty == Certainty::Certain => self.decisions.overruled(&sighting, chart),
            _ => {}
        }
        match (&sighting.reference, sighting.is_wanted()) {
            (Some(reference), true) => {
                let reference = reference.clone();
                let mut why = why.to_vec();
                why.push(sighting.spot.to_string());
                let seen = Some((sighting.certainty, sighting.need));
                let cause = Cause { notes, seen, ..Cause::new(sighting.role, why) };
                self.reference(reference, cause);
            }
            _ => self.seen.push(Seen { sighting, chart: chart.map(str::to_owned), why: why.to_vec() }),
        }
    }

    /// Says what waits for a decision, unless another source wants it, and what was ruled out.
    pub(super) fn undecided(&mut self) {
        let wanted: BTreeSet<&ImageRef> = self.out.found.iter().filter_map(super::one).collect();
        let places: BTreeSet<&Repository> = self.out.found.iter().filter_map(place).collect();
        let settled = |seen: &Seen| match &seen.sighting.reference {
            Some(reference) if reference.tag.is_none() && reference.digest.is_none() => {
                places.contains(&reference.repository)
            }
            Some(reference) => wanted.contains(reference),
            None => false,
        };
        let open = self.seen.iter().filter(|seen| !settled(seen)).cloned();
        let (out, open): (Vec<Seen>, Vec<Seen>) = open.partition(|seen| seen.sighting.certainty == Certainty::Out);
        self.out.findings.extend(ruled_out(&out));
        (self.out.undecided, self.out.ruled_out) = (open, out);
    }
}

fn place(found: &Found) -> Option<&Repository> {
    match &found.want {
        Want::Reference(ImageRef { repository, .. }) | Want::Tags { repository, .. } => Some(repository),
        Want::Chart(_) | Want::Made { .. } => None,
    }
}

/// Tells what was ruled out: each by itself, but what the files of one chart only name in one line.
fn ruled_out(out: &[Seen]) -> Vec<Finding> {
    let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut told = Vec::new();
    for Seen { sighting, chart, .. } in out {
        let text = if sighting.text.is_empty() { "an image".to_owned() } else { format!("{:?}", sighting.text) };
        match (&sighting.how, chart) {
            (How::Values | How::Template | How::Declared, Some(chart)) => {
                named.entry(chart).or_default().insert(&sighting.text);
            }
            _ => told.push(note(sighting.spot.to_string(), format!("{text} is not included: {}", sighting.remark))),
        }
    }
    told.extend(named.into_iter().map(|(chart, texts)| {
        let few: Vec<&str> = texts.iter().copied().take(NAMED).collect();
        let more = if texts.len() > NAMED { ", …" } else { "" };
        let what = format!(
            "{} of the images that its files name are not run with these values and not included: {}{more}",
            texts.len(),
            few.join(", ")
        );
        note(chart, what).with_hint("airlift resolve --list -o json says where each stands")
    }));
    told
}

/// Puts the sightings of one text together, the surest first; less sure ones of the same text say nothing new.
fn grouped(sightings: Vec<Sighting>) -> Vec<Vec<Sighting>> {
    let mut groups: Vec<Vec<Sighting>> = Vec::new();
    let mut places: BTreeMap<(String, Role), usize> = BTreeMap::new();
    for sighting in sightings {
        let name = sighting.reference.as_ref().map_or_else(|| sighting.text.clone(), ToString::to_string);
        let at = *places.entry((name, sighting.role)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[at].push(sighting);
    }
    for group in &mut groups {
        let surest = group.iter().map(|s| s.certainty).min().unwrap_or(Certainty::Out);
        group
            .retain(|s| s.certainty == surest || (surest <= Certainty::Probable && s.certainty <= Certainty::Probable));
        let soonest = group.iter().map(|s| s.need).min().unwrap_or(Need::Runtime);
        group.iter_mut().for_each(|s| s.need = soonest);
        let mut known = BTreeSet::new();
        group.retain(|s| known.insert(s.spot.clone()));
    }
    groups
}
