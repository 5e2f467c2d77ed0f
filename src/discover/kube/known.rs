//! Fields that the table of operators knows: what they name is certain.

use super::{Object, Walk};
use crate::discover::operators::NamedField;
use crate::discover::sighting::{Certainty, How, Need, Sighting, Spot};
use crate::document::yaml::Node;
use crate::model::Finding;
use crate::model::evidence::FindingClass;
use crate::model::fault::printable;

/// Images that an operator chooses by itself for one of its objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Choice {
    /// `Kind/name` of the object.
    pub object: String,
    /// What is said about it.
    pub finding: Finding,
}

impl<'n> Walk<'_, 'n> {
    /// Takes what the table knows about the object, and returns what its operator chooses by itself.
    pub(super) fn known_fields(&mut self, node: &'n Node) -> Option<Choice> {
        let object = self.object.clone();
        let told = self.looking.fields.look(&object.version, &object.kind, node);
        for named in told.named {
            self.settled.push(named.node);
            self.known_field(&object, &named);
        }
        let chosen = told.chosen?;
        let instead = match told.instead.is_empty() {
            true => String::new(),
            false => format!("set {}, or ", told.instead.join(", ")),
        };
        let shown = object.shown();
        let spot = Spot { path: String::new(), ..self.spot(node) };
        let what = format!("its operator chooses {chosen}: NOT included");
        let hint = format!("{instead}name the images under extraImages with for: {shown}");
        let finding = Finding::warning(FindingClass::Config, spot.to_string(), what).with_hint(hint);
        Some(Choice { object: shown, finding })
    }

    fn known_field(&mut self, object: &Object, named: &NamedField<'n>) {
        let within = self.shown_path();
        let path = if within.is_empty() { named.path.clone() } else { format!("{within}.{}", named.path) };
        let spot = Spot { path, object: object.shown(), ..self.spot(named.node) };
        if named.text.contains("://") {
            let what = format!("{} is fetched by the operator and is NOT included", printable(&named.text));
            return self.scan.findings.push(Finding::warning(FindingClass::Config, spot.to_string(), what));
        }
        if let Some(reference) = self.reference_at(&spot, &named.text) {
            self.scan.sightings.push(Sighting {
                text: named.text.clone(),
                reference: Some(reference),
                role: named.role,
                spot,
                how: How::Field,
                certainty: Certainty::Certain,
                need: object.need.max(Need::ByController),
                remark: String::new(),
            });
        }
    }

    /// Returns whether the table has said already what a node names.
    pub(super) fn is_settled(&self, node: &Node) -> bool {
        self.settled.iter().any(|known| std::ptr::eq(*known, node))
    }
}
