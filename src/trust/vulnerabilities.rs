//! Vulnerability reports inside verified statements: cosign's predicate around a report of Trivy or Grype, and the
//! in-toto predicate. A report of another form is no report that can be judged.

use super::time;
use crate::document::policy::{Scale, Vulnerabilities};
use serde_json::Value;

/// One vulnerability as a report names it. A severity that nobody knows is none.
struct Named<'v> {
    id: &'v str,
    severity: Option<Scale>,
}

/// Checks a report against what a rule lets through, at `now` in seconds.
pub(super) fn check(wanted: &Vulnerabilities, predicate: &Value, now: i64) -> Result<(), String> {
    if let Some(age) = wanted.max_report_age {
        let scanned = ["/metadata/scanFinishedOn", "/metadata/scanStartedOn"];
        let text = scanned.iter().find_map(|at| predicate.pointer(at).and_then(Value::as_str));
        let text =
            text.ok_or_else(|| format!("it does not say when it was made, the rule wants one of at most {age}"))?;
        let at = time::parse(text).ok_or_else(|| format!("it was made at {text:?}, which is no time"))?;
        if !time::fresh(at, age.seconds(), now) {
            return Err(format!("it was made at {}, the rule wants one of at most {age}", time::rfc3339(at)));
        }
    }
    let Some(most) = wanted.max_severity else { return Ok(()) };
    let named =
        named(predicate).ok_or("its report has a form that is not known here, so its severities cannot be read")?;
    let counts = |one: &&Named<'_>| {
        !wanted.except.iter().any(|except| except == one.id) && one.severity.is_none_or(|severity| severity > most)
    };
    let worse: Vec<&Named<'_>> = named.iter().filter(counts).collect();
    match worse.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(format!(
            "it names {} worse than {}, the first is {} ({})",
            if worse.len() == 1 { "1 vulnerability".to_owned() } else { format!("{} vulnerabilities", worse.len()) },
            word(most),
            crate::model::fault::printable(first.id),
            first.severity.map_or("of unknown severity", word)
        )),
    }
}

fn word(severity: Scale) -> &'static str {
    Scale::ALL.iter().find(|(_, known)| *known == severity).map_or("", |(word, _)| word)
}

/// Takes the vulnerabilities out of a report; `None` where its form is not known.
fn named(predicate: &Value) -> Option<Vec<Named<'_>>> {
    let result = predicate.pointer("/scanner/result")?;
    if let Some(list) = result.as_array() {
        return list.iter().map(in_toto).collect();
    }
    if let Some(matches) = result.get("matches").and_then(Value::as_array) {
        return matches.iter().map(|one| by_word(one.get("vulnerability")?, "id", "severity")).collect();
    }
    result.get("SchemaVersion")?;
    match result.get("Results") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(results) => trivy(results.as_array()?),
    }
}

fn trivy(results: &[Value]) -> Option<Vec<Named<'_>>> {
    let mut named = Vec::new();
    for result in results {
        match result.get("Vulnerabilities") {
            None | Some(Value::Null) => {}
            Some(list) => {
                for one in list.as_array()? {
                    named.push(by_word(one, "VulnerabilityID", "Severity")?);
                }
            }
        }
    }
    Some(named)
}

fn by_word<'v>(one: &'v Value, id: &str, severity: &str) -> Option<Named<'v>> {
    let severity = match one.get(severity).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase().as_str() {
        "negligible" | "low" => Some(Scale::Low),
        "medium" | "moderate" => Some(Scale::Medium),
        "high" | "important" => Some(Scale::High),
        "critical" => Some(Scale::Critical),
        _ => None,
    };
    Some(Named { id: one.get(id)?.as_str()?, severity })
}

/// The in-toto form has one or several scores by method; the worst counts. CVSS numbers are read as CVSS names them.
fn in_toto(one: &Value) -> Option<Named<'_>> {
    let scores = one.get("severity").and_then(Value::as_array)?;
    let read = |score: &Value| match score.get("score")? {
        Value::Number(number) => number.as_f64().and_then(cvss),
        Value::String(text) => match text.parse::<f64>() {
            Ok(number) => cvss(number),
            Err(_) => Scale::ALL.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, scale)| *scale),
        },
        _ => None,
    };
    let read: Vec<Option<Scale>> = scores.iter().map(read).collect();
    let severity = if read.contains(&None) { None } else { read.into_iter().flatten().max() };
    Some(Named { id: one.get("id")?.as_str()?, severity })
}

fn cvss(score: f64) -> Option<Scale> {
    match score {
        0.0 => Some(Scale::None),
        s if s > 0.0 && s < 4.0 => Some(Scale::Low),
        s if (4.0..7.0).contains(&s) => Some(Scale::Medium),
        s if (7.0..9.0).contains(&s) => Some(Scale::High),
        s if (9.0..=10.0).contains(&s) => Some(Scale::Critical),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_700_000_000; // 2023-11-14T22:13:20Z

    fn says(max: Scale, except: &[&str], result: Value) -> Result<(), String> {
        let except = except.iter().map(|id| (*id).to_owned()).collect();
        let wanted = Vulnerabilities { max_severity: Some(max), max_report_age: None, except };
        check(&wanted, &json!({"scanner": {"result": result}}), NOW)
    }

    fn trivy(severities: &[&str]) -> Value {
        let one = |severity: &&str| json!({"VulnerabilityID": "CVE-1", "Severity": severity});
        let list: Vec<Value> = severities.iter().map(one).collect();
        json!({"SchemaVersion": 2, "Results": [{"Target": "x"}, {"Target": "y", "Vulnerabilities": list}]})
    }

    #[test]
    fn severities_are_read_in_every_known_form() {
        let grype = |severity: &str| json!({"matches": [{"vulnerability": {"id": "CVE-1", "severity": severity}}]});
        let in_toto = |score: Value| json!([{"id": "CVE-1", "severity": [{"method": "CVSS_V3", "score": score}]}]);
        for (result, worst) in [
            (trivy(&["LOW", "HIGH"]), Scale::High),
            (grype("Negligible"), Scale::Low),
            (grype("Critical"), Scale::Critical),
            (in_toto(json!("6.9")), Scale::Medium),
            (in_toto(json!(9.8)), Scale::Critical),
            (in_toto(json!("high")), Scale::High),
        ] {
            assert_eq!(says(worst, &[], result.clone()), Ok(()), "{result}");
            let below = Scale::ALL.iter().rev().find(|(_, scale)| *scale < worst).unwrap().1;
            assert!(says(below, &[], result.clone()).is_err(), "{result}");
            assert_eq!(says(below, &["CVE-1"], result.clone()), Ok(()), "{result}");
        }
        assert_eq!(says(Scale::None, &[], json!({"SchemaVersion": 2})), Ok(()));
    }

    #[test]
    fn what_cannot_be_read_counts_as_the_worst() {
        assert!(says(Scale::Critical, &[], trivy(&["UNKNOWN"])).unwrap_err().contains("unknown severity"));
        for form in [
            json!("none found"),
            json!({"findings": []}),
            json!({"SchemaVersion": 2, "Results": {}}),
            json!({"SchemaVersion": 2, "Results": [{"Vulnerabilities": {}}]}),
            json!([{"id": "CVE-1"}]),
            json!({"matches": [{}]}),
        ] {
            assert!(says(Scale::Critical, &[], form.clone()).unwrap_err().contains("form that is not known"), "{form}");
        }
        let odd = json!([{"id": "x", "severity": [{"method": "m", "score": "11"}, {"method": "m", "score": "1"}]}]);
        assert!(says(Scale::Critical, &[], odd).is_err());
    }

    #[test]
    fn a_report_is_as_old_as_it_says() {
        let wanted = Vulnerabilities { max_report_age: "7d".parse().ok(), ..Vulnerabilities::default() };
        let at = |when: &str| check(&wanted, &json!({"metadata": {"scanFinishedOn": when}}), NOW);
        assert_eq!(at("2023-11-10T00:00:00Z"), Ok(()));
        assert!(at("2023-11-01T00:00:00Z").unwrap_err().contains("at most 7d"));
        assert!(at("2023-11-16T00:00:00Z").is_err() && at("yesterday").unwrap_err().contains("no time"));
        assert!(check(&wanted, &json!({}), NOW).unwrap_err().contains("does not say when"));
    }
}
