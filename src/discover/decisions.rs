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
    /// Whether it would leave out something that certainly runs.
    overruled: Cell<bool>,
}

impl<'m> Decisions<'m> {
    /// Takes the decisions of `mirror`.
    pub fn new(mirror: &'m MirrorManifest) -> Result<Self, RuleError> {
        let ready = |decision: &'m Decision| {
            let pattern = decision.is_pattern().then(|| decision.about.parse()).transpose();
            let pattern = pattern.map_err(|source| RuleError::Pattern { line: decision.line, source })?;
            let (used, overruled) = (Cell::new(false), Cell::new(false));
            Ok(Ready { decision, reference: decision.reference(), pattern, used, overruled })
        };
        Ok(Self(mirror.decisions.iter().map(ready).collect::<Result<_, RuleError>>()?))
    }

    /// Returns what was decided about something seen in `chart`; the first that fits.
    pub fn answer(&self, sighting: &Sighting, chart: Option<&str>) -> Option<&'m Answer> {
        let found = self.0.iter().find(|ready| ready.fits(sighting, chart))?;
        found.used.set(true);
        Some(&found.decision.answer)
    }

    /// Notes that something certainly runs: a decision cannot leave it out, and one that says so shall be told.
    pub fn overruled(&self, sighting: &Sighting, chart: Option<&str>) {
        let rejects = |ready: &&Ready<'_>| matches!(ready.decision.answer, Answer::Reject(_));
        self.0
            .iter()
            .filter(rejects)
            .filter(|ready| ready.fits(sighting, chart))
            .for_each(|ready| ready.overruled.set(true));
    }

    /// Returns the decisions that nothing met: each line, and whether it is about something that certainly runs.
    pub fn unused(&self) -> Vec<(usize, bool)> {
        let unused = self.0.iter().filter(|ready| !ready.used.get());
        unused.map(|ready| (ready.decision.line, ready.overruled.get())).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discover::sighting::{Certainty, How, Need, Spot};
    use crate::document::lock::Role;

    fn sighting(text: &str) -> Sighting {
        let spot = Spot { file: "x.yaml".into(), line: None, object: String::new(), path: "image".into() };
        Sighting {
            text: text.into(),
            reference: text.parse().ok(),
            role: Role::Image,
            spot,
            how: How::Field,
            certainty: Certainty::Uncertain,
            need: Need::ByController,
            remark: String::new(),
        }
    }

    fn mirror(decisions: &str) -> MirrorManifest {
        let text = format!("apiVersion: airlift/v1alpha1\nkind: Mirror\nimages: [x]\ndecisions:\n{decisions}");
        MirrorManifest::read(text.as_bytes(), "m.yaml").unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn the_first_decision_that_fits_text_name_or_pattern_counts() {
        let mirror = mirror(
            "- {reject: '${X}/y', reason: r}\n- {accept: 'docker.io/library/kiosk:1'}\n- {reject: 'h.example/**', reason: all}\n- \
             {accept: 'h.example/z:1'}\n",
        );
        let decisions = Decisions::new(&mirror).unwrap();
        let answer = |text| decisions.answer(&sighting(text), None);
        assert!(matches!(answer("${X}/y"), Some(Answer::Reject(_))));
        assert!(matches!(answer("kiosk:1"), Some(Answer::Accept(_))));
        assert!(matches!(answer("h.example/z:1"), Some(Answer::Reject(_))));
        assert!(answer("kiosk:2").is_none());
        assert_eq!(decisions.unused(), [(8, false)]);
        decisions.overruled(&sighting("h.example/z:1"), None);
        assert_eq!(decisions.unused(), [(8, false)], "an accepting decision loses nothing");
    }

    #[test]
    fn a_decision_about_one_chart_says_nothing_of_another() {
        let mirror = mirror("- {accept: 'x:1', chart: kiosk}\n");
        let decisions = Decisions::new(&mirror).unwrap();
        for (chart, fits) in [(Some("kiosk"), true), (Some("bp-kiosk"), true), (Some("press"), false), (None, false)] {
            assert_eq!(decisions.answer(&sighting("x:1"), chart).is_some(), fits, "{chart:?}");
        }
    }
}
