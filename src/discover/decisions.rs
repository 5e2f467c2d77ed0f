//! What a person decided about what may be an image.

use super::blueprint::canonical;
use super::rules::RuleError;
use super::select::Pattern;
use super::sighting::Sighting;
use crate::document::mirror::{Answer, Decision, MirrorManifest};
use crate::model::ImageRef;
use std::cell::Cell;

/// Decisions of a mirror file, ready to use.
pub struct Decisions<'m>(Vec<Ready<'m>>);

struct Ready<'m> {
    decision: &'m Decision,
    reference: Option<ImageRef>,
    pattern: Option<Pattern>,
    used: Cell<bool>,
}

impl<'m> Decisions<'m> {
    /// Takes the decisions of `mirror`.
    pub fn new(mirror: &'m MirrorManifest) -> Result<Self, RuleError> {
        let ready = |decision: &'m Decision| {
            let pattern = decision.is_pattern().then(|| decision.about.parse()).transpose();
            let pattern = pattern.map_err(|source| RuleError::Pattern { line: decision.line, source })?;
            Ok(Ready { decision, reference: decision.reference(), pattern, used: Cell::new(false) })
        };
        Ok(Self(mirror.decisions.iter().map(ready).collect::<Result<_, RuleError>>()?))
    }

    /// Returns what was decided about something seen in `chart`; the first that fits.
    pub fn answer(&self, sighting: &Sighting, chart: Option<&str>) -> Option<&'m Answer> {
        let found = self.0.iter().find(|ready| ready.fits(sighting, chart))?;
        found.used.set(true);
        Some(&found.decision.answer)
    }

    /// Returns the lines of the decisions that nothing met.
    pub fn unused(&self) -> Vec<usize> {
        self.0.iter().filter(|ready| !ready.used.get()).map(|ready| ready.decision.line).collect()
    }
}

impl Ready<'_> {
    fn fits(&self, sighting: &Sighting, chart: Option<&str>) -> bool {
        let here = match (&self.decision.chart, chart) {
            (None, _) => true,
            (Some(named), Some(chart)) => named == chart || canonical(named) == chart,
            (Some(_), None) => false,
        };
        let place = sighting.reference.as_ref().map(|reference| reference.repository.to_string());
        here && match (&self.pattern, &self.reference) {
            (Some(pattern), _) => place.is_some_and(|place| pattern.fits(&place)),
            (None, own) => self.decision.about == sighting.text || (own.is_some() && *own == sighting.reference),
        }
    }
}
