//! Reads attestations that must be there, with what their predicates must say.

use super::Desk;
use crate::document::form::Form;
use crate::document::policy::{
    AttestationDemand, Constraint, PredicateTypes, Provenance, Scale, SignedBy, Test, TextMatch, Vulnerabilities,
};
use crate::document::yaml::{Node, Value};
use crate::model::limits;

pub(in crate::document::policy) const ATTESTATION: &[&str] =
    &["predicateType", "type", "signedBy", "maxAge", "where", "provenance", "vulnerabilities"];
pub(in crate::document::policy) const CONSTRAINT: &[&str] =
    &["field", "equals", "oneOf", "pattern", "exists", "before", "after", "maxAge", "maxCount"];
pub(in crate::document::policy) const PROVENANCE: &[&str] =
    &["builder", "builderRegexp", "buildType", "buildTypeRegexp", "source", "sourceRegexp"];
pub(in crate::document::policy) const VULNERABILITIES: &[&str] = &["maxSeverity", "maxReportAge", "except"];

const TRUTH: &[(&str, bool)] = &[("true", true), ("false", false)];

impl Desk<'_> {
    /// Reads one attestation; `signed` says whether the rule wants signatures, so that `same` means somebody.
    pub(super) fn attestation(&self, node: &Node, signed: bool) -> Option<AttestationDemand> {
        let form = self.clerk.form(node, ATTESTATION)?;
        let types = self.types(node, &form);
        let signed_by = match form.get("signedBy") {
            None => Some(SignedBy::Same),
            Some(by) => self.signed_by(by),
        };
        if signed_by == Some(SignedBy::Same) && !signed {
            self.clerk.note(node, "signedBy: same needs signatures in the same rule");
        }
        let constraints = self.clerk.list(form.get("where"), |node| self.constraint(node));
        if constraints.len() > limits::CONSTRAINTS {
            self.clerk.note(node, format!("{} constraints, the limit is {}", constraints.len(), limits::CONSTRAINTS));
        }
        let demand = AttestationDemand {
            types: types?,
            signed_by: signed_by?,
            max_age: form.get("maxAge").and_then(|node| self.clerk.parsed(node)),
            constraints,
            provenance: form.get("provenance").and_then(|node| self.provenance(node)),
            vulnerabilities: form.get("vulnerabilities").and_then(|node| self.vulnerabilities(node)),
        };
        for (given, purpose) in [("provenance", "slsa"), ("vulnerabilities", "vulnerabilities")] {
            if let Some(node) = form.get(given).filter(|_| !demand.types.is_of(purpose)) {
                self.clerk.note(node, format!("{given} is about attestations of type {purpose}, not {}", demand.types));
            }
        }
        Some(demand)
    }

    fn types(&self, node: &Node, form: &Form<'_>) -> Option<PredicateTypes> {
        match (form.get("predicateType"), form.get("type")) {
            (Some(node), None) => self.clerk.text(node).map(PredicateTypes::One),
            (None, Some(node)) => {
                let name = self.clerk.text(node)?;
                let known = PredicateTypes::known(&name);
                if known.is_none() {
                    let names = PredicateTypes::names().join(", ");
                    self.clerk.note(node, format!("{name:?} is none of: {names}; others are named by predicateType"));
                }
                known
            }
            _ => {
                self.clerk.note(node, "exactly one of predicateType and type is expected");
                None
            }
        }
    }

    fn signed_by(&self, node: &Node) -> Option<SignedBy> {
        match node.text() {
            Some("same") => Some(SignedBy::Same),
            Some(other) => {
                self.clerk.note(node, format!("{other:?}: expected the word same, or signers"));
                None
            }
            None => self.consent(node).map(SignedBy::Signers),
        }
    }

    fn constraint(&self, node: &Node) -> Option<Constraint> {
        let form = self.clerk.form(node, CONSTRAINT)?;
        let field = form.need("field").and_then(|node| self.clerk.parsed(node));
        let tests: Vec<&str> = CONSTRAINT[1..].iter().copied().filter(|name| form.get(name).is_some()).collect();
        let [name] = tests[..] else {
            self.clerk.note(node, format!("exactly one test is expected: {}", CONSTRAINT[1..].join(", ")));
            return None;
        };
        let test = self.test(name, form.get(name)?);
        Some(Constraint { field: field?, test: test? })
    }

    fn test(&self, name: &str, node: &Node) -> Option<Test> {
        let clerk = self.clerk;
        match name {
            "equals" => self.scalar(node).map(|value| Test::OneOf(vec![value])),
            "oneOf" => {
                let values = clerk.list(Some(node), |item| self.scalar(item));
                if values.is_empty() {
                    clerk.note(node, "oneOf needs at least one value");
                }
                Some(Test::OneOf(values))
            }
            "pattern" => self.regexp(node).map(Test::Pattern),
            "exists" => clerk.word(node, TRUTH).map(Test::Exists),
            "before" => clerk.parsed(node).map(Test::Before),
            "after" => clerk.parsed(node).map(Test::After),
            "maxAge" => clerk.parsed(node).map(Test::MaxAge),
            _ => match clerk.text(node)?.parse() {
                Ok(count) => Some(Test::MaxCount(count)),
                Err(_) => {
                    clerk.note(node, "maxCount is a whole number");
                    None
                }
            },
        }
    }

    /// Reads a text, a number or a truth value; quotes make a text of either.
    fn scalar(&self, node: &Node) -> Option<serde_json::Value> {
        if matches!(node.value, Value::Text { .. }) {
            return Some(node.to_json());
        }
        self.clerk.note(node, format!("expected a text, a number or a truth value, found {}", node.kind()));
        None
    }

    fn provenance(&self, node: &Node) -> Option<Provenance> {
        let form = self.clerk.form(node, PROVENANCE)?;
        let text = |exact: &str, regexp: &str| match (form.get(exact), form.get(regexp)) {
            (Some(node), None) => self.clerk.text(node).map(TextMatch::Exact),
            (None, Some(node)) => self.regexp(node).map(TextMatch::Regexp),
            (None, None) => None,
            (Some(_), Some(second)) => {
                self.clerk.note(second, format!("give {exact} or {regexp}, not both"));
                None
            }
        };
        let provenance = Provenance {
            builder: text("builder", "builderRegexp"),
            build_type: text("buildType", "buildTypeRegexp"),
            source: text("source", "sourceRegexp"),
        };
        if node.entries().is_empty() {
            self.clerk.note(node, "provenance says nothing: builder, buildType or source is expected");
        }
        Some(provenance)
    }

    fn vulnerabilities(&self, node: &Node) -> Option<Vulnerabilities> {
        let form = self.clerk.form(node, VULNERABILITIES)?;
        let demand = Vulnerabilities {
            max_severity: form.get("maxSeverity").and_then(|node| self.clerk.word(node, &Scale::ALL)),
            max_report_age: form.get("maxReportAge").and_then(|node| self.clerk.parsed(node)),
            except: self.clerk.texts(form.get("except")),
        };
        if form.get("maxSeverity").is_none() && form.get("maxReportAge").is_none() {
            self.clerk.note(node, "vulnerabilities says nothing: maxSeverity or maxReportAge is expected");
        }
        Some(demand)
    }
}
