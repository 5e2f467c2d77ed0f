//! From a chart to what it runs: rendered once for each set of values, looked through, and checked for what else the
//! answer depends on.

use super::known::Known;
use crate::chart::{Chart, KubernetesVersion, RenderError, Rendered, Renderer, Request};
use crate::discover::kube::{self, Choice, KubeError, Looking};
use crate::discover::operators::Table;
use crate::discover::sighting::{Certainty, Need, Sighting};
use crate::discover::{ChartWant, ValueSet};
use crate::document::rendered::{RenderedWith, ValuesDigest};
use crate::model::evidence::{FindingClass, Severity};
use crate::model::{Digest, Finding, ImageRef, json};
use serde_json::Value;
use std::collections::BTreeSet;

/// Version of Kubernetes where none is named, and one to compare with where a chart asks for it.
const KUBERNETES: [&str; 2] = ["1.36.0", "1.31.0"];

/// What a chart runs and names.
#[derive(Debug, Default)]
pub struct Looked {
    /// Everything seen.
    pub sightings: Vec<Sighting>,
    /// Texts that must be images and are none.
    pub errors: Vec<KubeError>,
    /// What a person should know.
    pub findings: Vec<Finding>,
    /// What operators choose for its objects by themselves.
    pub choices: Vec<Choice>,
    /// Whether it brings a controller whose images only its program knows.
    pub incomplete: bool,
}

/// Why a chart does not say what it runs.
#[derive(Debug)]
pub struct Unrendered {
    /// Reason in words.
    pub why: String,
    /// What helps.
    pub advice: Advice,
}

/// What helps where a chart does not render.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Another value.
    Values,
    /// The version of the cluster.
    Kubernetes,
    /// Nothing beyond what the reason says.
    Nothing,
}

impl From<RenderError> for Unrendered {
    fn from(error: RenderError) -> Self {
        let advice = match &error {
            RenderError::Refused { .. }
            | RenderError::Template { .. }
            | RenderError::Values { .. }
            | RenderError::Program { .. } => Advice::Values,
            RenderError::Kubernetes { .. } => Advice::Kubernetes,
            _ => Advice::Nothing,
        };
        Self { why: error.to_string(), advice }
    }
}

/// Renders a chart with everything that it is used with.
pub struct Job<'a> {
    /// The chart.
    pub chart: &'a Chart,
    /// How it is used.
    pub want: &'a ChartWant,
    /// Fields of custom objects that name images.
    pub fields: &'a Table,
    /// Who renders.
    pub renderers: Renderers<'a>,
}

/// Who renders, and who must find the same images.
#[derive(Clone, Copy)]
pub struct Renderers<'a> {
    /// Whose result counts.
    pub renderer: &'a (dyn Renderer + Sync),
    /// Who is asked too.
    pub referee: Option<&'a (dyn Renderer + Sync)>,
}

/// What changes between two renders of one set of values.
#[derive(Clone, Copy, Default)]
struct Around<'a> {
    kubernetes: Option<&'a str>,
    further: &'a [String],
    upgrade: bool,
}

impl Job<'_> {
    /// Looks into the chart; fails with the reason, and the set of values where there are several.
    pub fn look(&self) -> Result<Looked, Unrendered> {
        let own = [ValueSet { name: String::new(), layers: Vec::new() }];
        let sets = if self.want.sets.is_empty() { &own[..] } else { &self.want.sets[..] };
        let (mut looked, mut templates) = (Looked::default(), BTreeSet::new());
        let known = Known::of(self.chart);
        let (mut defines, mut places) = (false, Places::default());
        for set in sets {
            let (whole, further) =
                self.look_with(set, &known).map_err(|error| match (set.name.as_str(), sets.len()) {
                    ("", _) | (_, 1) => error,
                    (name, _) => Unrendered { why: format!("with the values {name}: {}", error.why), ..error },
                })?;
            templates.extend(whole.templates);
            defines |= whole.defines;
            whole.sightings.into_iter().chain(further).for_each(|sighting| places.take(sighting, &set.name));
            looked.errors.extend(whole.errors);
            looked.findings.extend(whole.findings);
            looked.choices.extend(whole.choices);
        }
        looked.sightings = places.shown();
        looked.findings.extend(self.unchecked_values());
        looked.findings.sort();
        looked.findings.dedup();
        looked.choices.sort();
        looked.choices.dedup();
        let by_controller = looked.sightings.iter().any(|seen| seen.need == Need::ByController && seen.is_wanted());
        let runs = looked.sightings.iter().any(|seen| seen.need == Need::Runtime);
        looked.incomplete = defines && runs && !by_controller;
        let layers = sets.iter().flat_map(|set| &set.layers);
        looked.sightings.extend(known.beyond(self.chart, layers, (&looked.sightings, &templates)));
        Ok(looked)
    }

    /// Looks into the chart as one set of values makes it; returns what it shows, and what only other clusters would run.
    fn look_with(&self, set: &ValueSet, known: &Known) -> Result<(Scanned, Vec<Sighting>), Unrendered> {
        let values: Vec<Value> = set.layers.iter().map(|layer| layer.values.clone()).collect();
        let mut whole = self.scan(&values, Around::default())?;
        // Some charts refuse an upgrade without secrets of the release that is there; nothing can be compared then.
        if known.asks_for_upgrades
            && let Ok(upgraded) = self.scan(&values, Around { upgrade: true, ..Around::default() })
        {
            whole.take(upgraded);
        }
        let further = self.depends(&values, &whole, known)?;
        Ok((whole, further))
    }

    /// Says what a chart's schema asks of values that nobody who renders checks.
    fn unchecked_values(&self) -> Option<Finding> {
        let Renderers { renderer, referee } = self.renderers;
        let checked = renderer.checks_values() || referee.is_some_and(Renderer::checks_values);
        let asked = if checked { BTreeSet::new() } else { crate::chart::not_checked(self.chart) };
        let named: Vec<&str> = asked.iter().map(String::as_str).take(8).collect();
        let what = format!("what values.schema.json asks by {} is not checked here", named.join(", "));
        let finding = Finding::warning(FindingClass::Config, &self.chart.metadata.name, what);
        let finding = finding.with_hint("--renderer both lets the helm program check it");
        (!asked.is_empty()).then_some(Finding { severity: Severity::Note, ..finding })
    }

    /// Says what the chart was rendered with.
    pub fn record(&self, fetched: Vec<String>) -> RenderedWith {
        let digest = |set: &ValueSet| {
            let layers: Vec<&Value> = set.layers.iter().map(|layer| &layer.values).collect();
            ValuesDigest { name: set.name.clone(), digest: Digest::of(&json::canonical(&layers)) }
        };
        let mut values: Vec<ValuesDigest> = self.want.sets.iter().map(digest).collect();
        if values.is_empty() {
            values.push(digest(&ValueSet { name: String::new(), layers: Vec::new() }));
        }
        RenderedWith {
            renderer: self.renderers.renderer.name(),
            kubernetes: self.want.setting.kubernetes.clone(),
            api_versions: self.want.setting.api_versions.clone(),
            release: self.release().to_owned(),
            namespace: self.want.namespace.clone(),
            values,
            fetched,
        }
    }

    fn release(&self) -> &str {
        self.want.release.as_deref().unwrap_or(&self.chart.metadata.name)
    }

    fn scan(&self, values: &[Value], around: Around<'_>) -> Result<Scanned, Unrendered> {
        let own = self.render(values, around, self.renderers.renderer).map(|rendered| scan(&rendered, self.fields));
        let Some(referee) = self.renderers.referee else { return Ok(own?) };
        let theirs = self.render(values, around, referee).map(|rendered| scan(&rendered, self.fields));
        match (own, theirs) {
            (Ok(own), Ok(theirs)) => {
                refuse_disagreement(&own.wanted(), &theirs.wanted(), &referee.name())?;
                Ok(own)
            }
            (own, theirs) => {
                own?;
                theirs.map_err(Unrendered::from)
            }
        }
    }

    fn render(
        &self,
        values: &[Value],
        around: Around<'_>,
        renderer: &(dyn Renderer + Sync),
    ) -> Result<Rendered, RenderError> {
        let setting = &self.want.setting;
        let text = around.kubernetes.or(setting.kubernetes.as_deref()).unwrap_or(KUBERNETES[0]);
        let kubernetes: KubernetesVersion =
            text.parse().map_err(|why| RenderError::Values { chart: self.chart.metadata.name.clone(), why })?;
        let mut api_versions = setting.api_versions.clone();
        api_versions.extend(around.further.iter().cloned());
        let request = Request {
            release: self.release(),
            namespace: &self.want.namespace,
            values,
            kubernetes,
            api_versions: &api_versions,
            is_upgrade: around.upgrade,
        };
        renderer.render(self.chart, &request)
    }

    /// Renders for another cluster where the chart asks about it, and returns what only that one would run.
    ///
    /// Fails where the images depend on a version of Kubernetes that nobody named.
    fn depends(&self, values: &[Value], whole: &Scanned, known: &Known) -> Result<Vec<Sighting>, Unrendered> {
        let setting = &self.want.setting;
        let asks = known.asks_for_kubernetes && setting.kubernetes.is_none();
        let named = |api: &String| !setting.api_versions.contains(api);
        let further: Vec<String> = known.api_versions.iter().filter(|api| named(api)).cloned().collect();
        let other = |kubernetes: Option<&'static str>, further: &[String]| {
            // A chart that is not for such a cluster gives nothing to compare with.
            self.scan(values, Around { kubernetes, further, upgrade: false }).ok()
        };
        if asks && let Some(older) = other(Some(KUBERNETES[1]), &[]) {
            refuse_difference(&whole.wanted(), &older.wanted())?;
        }
        if further.is_empty() {
            return Ok(Vec::new());
        }
        let more = other(None, &further).unwrap_or_default();
        let (wanted, apis) = (whole.wanted(), further.join(", "));
        let certainty = if setting.api_versions.is_empty() { Certainty::Uncertain } else { Certainty::Out };
        let only = more.sightings.into_iter().filter(Sighting::is_wanted);
        let only = only.filter(|seen| seen.reference.as_ref().is_some_and(|reference| !wanted.contains(reference)));
        let remark = format!("it runs only where the cluster has one of {apis}; say it in rendering.apiVersions");
        Ok(only.map(|seen| Sighting { certainty, remark: remark.clone(), ..seen }).collect())
    }
}

fn refuse_difference(newer: &BTreeSet<ImageRef>, older: &BTreeSet<ImageRef>) -> Result<(), Unrendered> {
    let differing = |a: &BTreeSet<ImageRef>, b: &BTreeSet<ImageRef>| {
        a.difference(b).map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    if newer == older {
        return Ok(());
    }
    let [one, two] = KUBERNETES;
    let none = |text: String| if text.is_empty() { "nothing more".to_owned() } else { text };
    let why = format!(
        "its images depend on the version of Kubernetes, and none is named: {one} runs {}, {two} runs {}; name it: \
         rendering: {{ kubernetes: vX.Y.Z }}",
        none(differing(newer, older)),
        none(differing(older, newer))
    );
    Err(Unrendered { why, advice: Advice::Nothing })
}

/// Refuses what two renderers do not agree about.
fn refuse_disagreement(own: &BTreeSet<ImageRef>, theirs: &BTreeSet<ImageRef>, referee: &str) -> Result<(), Unrendered> {
    let only = |a: &BTreeSet<ImageRef>, b: &BTreeSet<ImageRef>| {
        let names: Vec<String> = a.difference(b).map(ToString::to_string).collect();
        if names.is_empty() { "nothing more".to_owned() } else { names.join(", ") }
    };
    if own == theirs {
        return Ok(());
    }
    let why = format!(
        "the own renderer and {referee} disagree about what it runs: the own one finds {}, {referee} finds {}; report it, \
         and name the images under extraImages until then",
        only(own, theirs),
        only(theirs, own)
    );
    Err(Unrendered { why, advice: Advice::Nothing })
}

/// What was seen, each with the sets of values that show it.
#[derive(Default)]
struct Places(Vec<(Sighting, Vec<String>)>);

impl Places {
    fn take(&mut self, sighting: Sighting, set: &str) {
        let at = self.0.iter().position(|(known, _)| *known == sighting).unwrap_or_else(|| {
            self.0.push((sighting, Vec::new()));
            self.0.len() - 1
        });
        let names = &mut self.0[at].1;
        if !set.is_empty() && !names.iter().any(|name| name == set) {
            names.push(set.to_owned());
        }
    }

    /// Names the sets behind the place.
    fn shown(self) -> Vec<Sighting> {
        let named = |(mut sighting, names): (Sighting, Vec<String>)| {
            if !names.is_empty() {
                sighting.spot.path.push_str(&format!(" (values {})", names.join(", ")));
            }
            sighting
        };
        self.0.into_iter().map(named).collect()
    }
}

/// What a render says.
#[derive(Debug, Default)]
struct Scanned {
    sightings: Vec<Sighting>,
    errors: Vec<KubeError>,
    findings: Vec<Finding>,
    choices: Vec<Choice>,
    templates: BTreeSet<String>,
    defines: bool,
}

impl Scanned {
    fn wanted(&self) -> BTreeSet<ImageRef> {
        self.sightings.iter().filter(|seen| seen.is_wanted()).filter_map(|seen| seen.reference.clone()).collect()
    }

    /// Takes in what another render says and this one does not.
    fn take(&mut self, other: Self) {
        let fresh: Vec<Sighting> = other.sightings.into_iter().filter(|seen| !self.sightings.contains(seen)).collect();
        self.sightings.extend(fresh);
        self.findings.extend(other.findings);
        self.choices.extend(other.choices);
        self.templates.extend(other.templates);
        self.defines |= other.defines;
    }
}

fn scan(rendered: &Rendered, fields: &Table) -> Scanned {
    let mut scanned = Scanned::default();
    for file in &rendered.files {
        scanned.templates.insert(file.template.clone());
        let name = file.template.to_ascii_lowercase();
        if name.ends_with(".md") || name.ends_with(".txt") {
            let what = "this is a text for people; no image is taken from it";
            let note = Finding::warning(FindingClass::Config, &file.template, what);
            scanned.findings.push(Finding { severity: Severity::Note, ..note });
            continue;
        }
        let looking = Looking { place: &file.template, rendered: true, ignored: &|_| None, fields };
        let scan = kube::parse(&file.text, &looking);
        scanned.sightings.extend(scan.sightings);
        scanned.errors.extend(scan.errors);
        scanned.findings.extend(scan.findings);
        scanned.choices.extend(scan.choices);
        scanned.defines |= scan.defines;
    }
    // Renderers put documents in orders of their own; a lock shall not tell which of them was at work.
    scanned.sightings.sort_by(|a, b| (&a.spot, &a.text).cmp(&(&b.spot, &b.text)));
    scanned.errors.sort_by_key(ToString::to_string);
    scanned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::RenderedFile;
    use crate::discover::{ChartPlace, RenderSetting, ValueLayer};
    use serde_json::json;
    use std::sync::Mutex;

    /// Gives an image that follows from what is asked, and remembers how often.
    struct Fake {
        follows: fn(&Request<'_>) -> Result<String, RenderError>,
        asked: Mutex<usize>,
    }

    impl Renderer for Fake {
        fn render(&self, _: &Chart, request: &Request<'_>) -> Result<Rendered, RenderError> {
            *self.asked.lock().unwrap() += 1;
            let image = (self.follows)(request)?;
            let text = format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{image: 'h.example/{image}'}}]}}\n"
            );
            Ok(Rendered { files: vec![RenderedFile { template: "press/templates/x.yaml".into(), text }] })
        }

        fn name(&self) -> String {
            "fake".to_owned()
        }
    }

    fn alone(renderer: &Fake) -> Renderers<'_> {
        Renderers { renderer, referee: None }
    }

    fn chart(template: &str) -> Chart {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("templates")).unwrap();
        std::fs::write(folder.path().join("Chart.yaml"), "apiVersion: v2\nname: press\nversion: 1.0.0\n").unwrap();
        std::fs::write(folder.path().join("templates/x.yaml"), template).unwrap();
        Chart::from_folder(folder.path()).unwrap()
    }

    fn want(setting: RenderSetting, sets: Vec<ValueSet>) -> ChartWant {
        let place = ChartPlace::Artifact("h.example/press:1.0.0".parse().unwrap());
        ChartWant { setting, sets, ..ChartWant::plain(place) }
    }

    fn look(
        template: &str,
        want: &ChartWant,
        follows: fn(&Request<'_>) -> Result<String, RenderError>,
    ) -> (Result<Looked, Unrendered>, usize) {
        let (chart, renderer) = (chart(template), Fake { follows, asked: Mutex::new(0) });
        let looked = Job { chart: &chart, want, fields: &Table::default(), renderers: alone(&renderer) }.look();
        let asked = *renderer.asked.lock().unwrap();
        (looked, asked)
    }

    fn images(looked: &Looked) -> Vec<String> {
        looked.sightings.iter().filter(|seen| seen.is_wanted()).map(|seen| seen.text.clone()).collect()
    }

    #[test]
    fn a_chart_that_asks_nothing_is_rendered_once_for_each_set() {
        let plain = want(RenderSetting::default(), Vec::new());
        let (looked, asked) = look("a: 1", &plain, |_| Ok("a:1".into()));
        assert_eq!((images(&looked.unwrap()), asked), (vec!["h.example/a:1".to_owned()], 1));
        let set = |name: &str, tag: u8| ValueSet {
            name: name.into(),
            layers: vec![ValueLayer { place: "v.yaml".into(), values: json!({"tag": tag}) }],
        };
        let two = want(RenderSetting::default(), vec![set("east", 1), set("west", 2)]);
        let (looked, asked) = look("a: 1", &two, |request| Ok(format!("a:{}", request.values[0]["tag"])));
        assert_eq!(
            (images(&looked.unwrap()), asked),
            (vec!["h.example/a:1".to_owned(), "h.example/a:2".to_owned()], 2)
        );
    }

    #[test]
    fn a_difference_between_versions_of_kubernetes_needs_one_to_be_named() {
        let follows: fn(&Request<'_>) -> Result<String, RenderError> =
            |request| Ok(format!("a:{}", request.kubernetes));
        let (looked, _) = look("{{ .Capabilities.KubeVersion }}", &want(RenderSetting::default(), Vec::new()), follows);
        let why = looked.unwrap_err().why;
        assert!(
            why.contains("1.36.0 runs h.example/a:1.36.0") && why.contains("1.31.0 runs h.example/a:1.31.0"),
            "{why}"
        );
        let named = RenderSetting { kubernetes: Some("v1.34.1".into()), ..RenderSetting::default() };
        let (looked, asked) = look("{{ .Capabilities.KubeVersion }}", &want(named, Vec::new()), follows);
        assert_eq!((images(&looked.unwrap()), asked), (vec!["h.example/a:1.34.1".to_owned()], 1));
    }

    #[test]
    fn what_only_an_upgrade_runs_is_wanted_and_a_refused_upgrade_is_no_error() {
        let template = "{{ if .Release.IsUpgrade }}";
        let plain = want(RenderSetting::default(), Vec::new());
        let (looked, _) = look(template, &plain, |request| Ok(if request.is_upgrade { "b:1" } else { "a:1" }.into()));
        assert_eq!(images(&looked.unwrap()), ["h.example/a:1", "h.example/b:1"]);
        let (looked, _) = look(template, &plain, |request| match request.is_upgrade {
            true => Err(RenderError::Values { chart: "press".into(), why: "passwords".into() }),
            false => Ok("a:1".into()),
        });
        assert_eq!(images(&looked.unwrap()), ["h.example/a:1"]);
    }

    #[test]
    fn further_interfaces_give_questions_and_named_ones_none() {
        let template = "{{ if .Capabilities.APIVersions.Has \"m.example/v1\" }}";
        let follows: fn(&Request<'_>) -> Result<String, RenderError> =
            |request| Ok(if request.api_versions.contains(&"m.example/v1".to_owned()) { "b:1" } else { "a:1" }.into());
        let (looked, asked) = look(template, &want(RenderSetting::default(), Vec::new()), follows);
        let looked = looked.unwrap();
        let open: Vec<&str> = looked
            .sightings
            .iter()
            .filter(|seen| seen.certainty == Certainty::Uncertain)
            .map(|seen| seen.text.as_str())
            .collect();
        assert_eq!((images(&looked), open, asked), (vec!["h.example/a:1".to_owned()], vec!["h.example/b:1"], 2));
        let other = RenderSetting { api_versions: vec!["x.example/v1".into()], ..RenderSetting::default() };
        let (looked, _) = look(template, &want(other, Vec::new()), follows);
        assert!(looked.unwrap().sightings.iter().any(|seen| seen.certainty == Certainty::Out));
        let own = RenderSetting { api_versions: vec!["m.example/v1".into()], ..RenderSetting::default() };
        let (looked, asked) = look(template, &want(own, Vec::new()), follows);
        assert_eq!((images(&looked.unwrap()), asked), (vec!["h.example/b:1".to_owned()], 1));
    }

    #[test]
    fn a_referee_that_finds_other_images_or_fails_is_heard() {
        let fake = |follows| Fake { follows, asked: Mutex::new(0) };
        let (chart, plain) = (chart("a: 1"), want(RenderSetting::default(), Vec::new()));
        let against = |referee: &Fake| {
            let own = fake(|_| Ok("a:1".into()));
            let renderers = Renderers { renderer: &own, referee: Some(referee) };
            Job { chart: &chart, want: &plain, fields: &Table::default(), renderers }.look()
        };
        assert_eq!(images(&against(&fake(|_| Ok("a:1".into()))).unwrap()), ["h.example/a:1"]);
        let why = against(&fake(|_| Ok("b:1".into()))).unwrap_err().why;
        assert!(why.contains("the own one finds h.example/a:1, fake finds h.example/b:1"), "{why}");
        let refuses = fake(|_| Err(RenderError::Values { chart: "press".into(), why: "schema".into() }));
        assert!(against(&refuses).unwrap_err().why.contains("schema"));
    }

    #[test]
    fn the_record_says_what_the_answer_depends_on() {
        let (chart, renderer) = (chart("a: 1"), Fake { follows: |_| Ok("a:1".into()), asked: Mutex::new(0) });
        let layer = ValueLayer { place: "v.yaml".into(), values: json!({"b": 1, "a": 2}) };
        let set = ValueSet { name: String::new(), layers: vec![layer] };
        let mut want = want(RenderSetting::default(), vec![set]);
        want.namespace = "shop".into();
        let record = Job { chart: &chart, want: &want, fields: &Table::default(), renderers: alone(&renderer) }
            .record(vec!["db 1.0.0".into()]);
        assert_eq!(
            (record.renderer.as_str(), record.release.as_str(), record.namespace.as_str()),
            ("fake", "press", "shop")
        );
        assert_eq!(record.values[0].digest, Digest::of(br#"[{"a":2,"b":1}]"#));
        assert_eq!((record.fetched.len(), record.kubernetes), (1, None));
    }
}
