//! What a verified predicate says, compared with what a rule wants of it.
//!
//! Called only for statements whose signature and subject were verified. A predicate that has another form than the
//! one that a demand is about fails, with the reason.

use super::time;
use super::vulnerabilities;
use crate::document::policy::{AttestationDemand, Constraint, FieldPath, Provenance, Step, Test, TextMatch};
use crate::model::fault::printable;
use serde_json::Value;

/// Values that one path may lead to.
const VALUES: usize = 100_000;

/// Checks that `predicate` is what `demand` wants, at `now` in seconds.
pub(super) fn check(demand: &AttestationDemand, predicate: &Value, now: i64) -> Result<(), String> {
    for constraint in &demand.constraints {
        constrain(constraint, predicate, now)?;
    }
    if let Some(provenance) = &demand.provenance {
        built(provenance, predicate)?;
    }
    match &demand.vulnerabilities {
        Some(wanted) => vulnerabilities::check(wanted, predicate, now),
        None => Ok(()),
    }
}

fn constrain(constraint: &Constraint, predicate: &Value, now: i64) -> Result<(), String> {
    let Constraint { field, test } = constraint;
    let found = find(predicate, field)?;
    let there: Vec<&Value> = found.iter().copied().filter(|value| !value.is_null()).collect();
    match test {
        Test::Exists(true) if there.is_empty() => {
            return Err(format!("its predicate has no {field}, the rule wants one"));
        }
        Test::Exists(false) if !there.is_empty() => {
            return Err(format!("its predicate has {field} {}, the rule wants none", shown(there[0])));
        }
        Test::Exists(_) => return Ok(()),
        Test::MaxCount(most) => {
            let count: usize = there.iter().map(|value| value.as_array().map_or(1, Vec::len)).sum();
            return if count <= *most {
                Ok(())
            } else {
                Err(format!("its predicate has {field} {count} times, the rule takes at most {most}"))
            };
        }
        _ => {}
    }
    if there.is_empty() {
        return Err(format!("its predicate has no {field}, the rule wants {}", wanted(test)));
    }
    match there.iter().find(|value| !passes(test, value, now)) {
        Some(value) => Err(format!("its {field} is {}, the rule wants {}", shown(value), wanted(test))),
        None => Ok(()),
    }
}

fn passes(test: &Test, value: &Value, now: i64) -> bool {
    let second = || value.as_str().and_then(time::parse);
    match test {
        Test::OneOf(values) => values.iter().any(|wanted| equal(wanted, value)),
        Test::Pattern(regexp) => value.as_str().is_some_and(|text| regexp.matches(text)),
        Test::Before(limit) => second().is_some_and(|at| at < limit.second()),
        Test::After(limit) => second().is_some_and(|at| at > limit.second()),
        Test::MaxAge(age) => second().is_some_and(|at| time::fresh(at, age.seconds(), now)),
        Test::Exists(_) | Test::MaxCount(_) => true,
    }
}

/// Numbers are equal by value, so that `1` and `1.0` are.
fn equal(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => wanted == found,
    }
}

fn wanted(test: &Test) -> String {
    match test {
        Test::OneOf(values) => values.iter().map(shown).collect::<Vec<_>>().join(" or "),
        Test::Pattern(regexp) => format!("one that matches {}", regexp.as_str()),
        Test::Before(limit) => format!("a time before {limit}"),
        Test::After(limit) => format!("a time after {limit}"),
        Test::MaxAge(age) => format!("a time at most {age} ago"),
        Test::Exists(_) | Test::MaxCount(_) => String::new(),
    }
}

/// Returns a value for a person: printable, and short.
fn shown(value: &Value) -> String {
    let text = printable(&value.to_string());
    if text.chars().count() > 120 { format!("{}…", text.chars().take(120).collect::<String>()) } else { text }
}

/// Follows a path. What is not there gives nothing; a path that leads to too much is an error.
fn find<'v>(predicate: &'v Value, path: &FieldPath) -> Result<Vec<&'v Value>, String> {
    let mut found = vec![predicate];
    for step in path.steps() {
        let mut next = Vec::new();
        for value in found {
            match step {
                Step::Name(name) => next.extend(value.get(name)),
                Step::At(at) => next.extend(value.get(*at)),
                Step::Each => next.extend(value.as_array().into_iter().flatten()),
            }
        }
        if next.len() > VALUES {
            return Err(format!("{path} leads to more than {VALUES} values"));
        }
        found = next;
    }
    Ok(found)
}

fn built(wanted: &Provenance, predicate: &Value) -> Result<(), String> {
    let text = |pointers: &[&str]| pointers.iter().find_map(|at| predicate.pointer(at).and_then(Value::as_str));
    let first = predicate.get("buildDefinition").is_some() || predicate.get("runDetails").is_some();
    let (builder, build_type, source): (&[&str], &[&str], &[&str]) = if first {
        (&["/runDetails/builder/id"], &["/buildDefinition/buildType"], &SOURCES)
    } else {
        (&["/builder/id"], &["/buildType"], &["/invocation/configSource/uri"])
    };
    let fields = [
        ("builder", &wanted.builder, builder),
        ("buildType", &wanted.build_type, build_type),
        ("source", &wanted.source, source),
    ];
    for (name, wanted, pointers) in fields {
        let Some(wanted) = wanted else { continue };
        match text(pointers) {
            Some(found) if wanted.matches(found) => {}
            Some(found) => return Err(format!("its {name} is {found:?}, the rule wants {}", words(wanted))),
            None => {
                return Err(format!("it names no {name} where a provenance has it, the rule wants {}", words(wanted)));
            }
        }
    }
    Ok(())
}

/// Where a version 1 provenance names its source: external parameters of the build types in use, the first that is
/// there. They alone are what the builder vouches for as input from outside.
const SOURCES: [&str; 4] = [
    "/buildDefinition/externalParameters/workflow/repository",
    "/buildDefinition/externalParameters/source/uri",
    "/buildDefinition/externalParameters/source",
    "/buildDefinition/externalParameters/configSource/uri",
];

fn words(text: &TextMatch) -> String {
    match text {
        TextMatch::Exact(text) => format!("{text:?}"),
        TextMatch::Regexp(_) => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::policy::{Demand, Policy};
    use serde_json::json;

    const NOW: i64 = 1_700_000_000; // 2023-11-14T22:13:20Z

    fn demand(fields: &str) -> AttestationDemand {
        let text = format!(
            "apiVersion: airlift/v1alpha1\nkind: Policy\nkeys: {{k: {{file: k.pub}}}}\nrules:\n  - match: [\"**\"]\n    attestations:\n      - {{signedBy: {{key: k}}, {fields}}}\n"
        );
        let policy = Policy::parse(&text, "policy.yaml").unwrap_or_else(|e| panic!("{e}"));
        let Demand::Evidence { attestations, .. } = &policy.rules[0].demand else { panic!() };
        attestations[0].clone()
    }

    fn says(fields: &str, predicate: &Value) -> Result<(), String> {
        check(&demand(fields), predicate, NOW)
    }

    #[test]
    fn every_test_passes_and_fails_where_it_should() {
        let predicate = json!({
            "builder": {"id": "https://b.example/1"}, "level": 3, "ok": true, "none": null, "list": [{"n": "a"}, {"n": "b"}],
            "at": "2023-11-10T00:00:00Z", "later": "2023-11-15T00:00:00Z", "x.y": 1.0,
        });
        for (test, passes) in [
            ("field: builder.id, equals: 'https://b.example/1'", true),
            ("field: builder.id, equals: 'https://b.example/'", false),
            ("field: builder.id, pattern: '^https://b\\.example/\\d$'", true),
            ("field: builder.id, pattern: '^https://b$'", false),
            ("field: level, equals: 3", true),
            ("field: level, equals: '3'", false),
            ("field: level, oneOf: [1, 2, 3]", true),
            ("field: level, oneOf: [1, 2]", false),
            ("field: ok, equals: true", true),
            ("field: ok, equals: 'true'", false),
            ("field: '[\"x.y\"]', equals: 1", true),
            ("field: builder, exists: true", true),
            ("field: none, exists: true", false),
            ("field: none, exists: false", true),
            ("field: builder, exists: false", false),
            ("field: absent, equals: x", false),
            ("field: 'list[*].n', oneOf: [a, b]", true),
            ("field: 'list[*].n', equals: a", false),
            ("field: 'list[0].n', equals: a", true),
            ("field: 'list[2].n', equals: a", false),
            ("field: list, maxCount: 2", true),
            ("field: list, maxCount: 1", false),
            ("field: 'list[*]', maxCount: 1", false),
            ("field: absent, maxCount: 0", true),
            ("field: at, before: 2023-11-11", true),
            ("field: at, before: 2023-11-10", false),
            ("field: at, after: 2023-11-09", true),
            ("field: at, after: '2023-11-10T00:00:00Z'", false),
            ("field: at, maxAge: 5d", true),
            ("field: at, maxAge: 4d", false),
            ("field: later, maxAge: 4d", false),
            ("field: level, maxAge: 4d", false),
        ] {
            let said = says(&format!("predicateType: t, where: [{{{test}}}]"), &predicate);
            assert_eq!(said.is_ok(), passes, "{test}: {said:?}");
        }
    }

    #[test]
    fn a_provenance_of_either_version_is_compared_where_it_has_its_fields() {
        let first = json!({
            "buildDefinition": {"buildType": "https://t.example/v1", "externalParameters": {"workflow": {"repository": "https://c.example/app"}}},
            "runDetails": {"builder": {"id": "https://b.example"}},
        });
        let older = json!({
            "builder": {"id": "https://b.example"}, "buildType": "https://t.example/v1",
            "invocation": {"configSource": {"uri": "https://c.example/app"}},
        });
        let wants = "type: slsa, provenance: {builder: 'https://b.example', buildType: 'https://t.example/v1', sourceRegexp: '^https://c\\.example/.*$'}";
        assert_eq!(says(wants, &first), Ok(()));
        assert_eq!(says(wants, &older), Ok(()));
        for (wants, words) in [
            ("builder: 'https://other.example'", "its builder is \"https://b.example\""),
            ("source: 'https://c.example'", "its source is"),
            ("buildType: x", "its buildType is"),
        ] {
            for predicate in [&first, &older] {
                let error = says(&format!("type: slsa, provenance: {{{wants}}}"), predicate).unwrap_err();
                assert!(error.contains(words), "{error}");
            }
        }
        // Fields of the one version do not count in the other.
        let mixed = json!({"buildDefinition": {}, "builder": {"id": "https://b.example"}});
        assert!(
            says("type: slsa, provenance: {builder: 'https://b.example'}", &mixed)
                .unwrap_err()
                .contains("names no builder")
        );
    }
}
