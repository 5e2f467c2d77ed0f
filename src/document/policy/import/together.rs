//! Puts rules together of which every one that matches must be satisfied, for a language in which the most specific
//! one decides: each pattern takes over the duties of all wider patterns. Where two patterns may overlap and neither
//! is the wider one, both deny.

use super::Workshop;
use super::duty::Duty;
use crate::document::PaperError;
use crate::document::pattern::Pattern;
use crate::document::policy::{Mode, Rule};
use crate::document::yaml::Node;
use std::collections::BTreeSet;

/// One rule of a source.
pub(super) struct Obligation<'n> {
    pub node: &'n Node,
    pub patterns: Vec<String>,
    pub duty: Duty,
    pub mode: Mode,
}

/// How two patterns lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// The second is as wide or wider.
    Within,
    /// No name fits both.
    Apart,
    /// A name may fit both.
    Across,
}

/// Makes the rules.
pub(super) fn rules(workshop: &Workshop<'_>, obligations: Vec<Obligation<'_>>) -> Result<Vec<Rule>, PaperError> {
    let all: BTreeSet<&str> = obligations.iter().flat_map(|one| one.patterns.iter().map(String::as_str)).collect();
    let mut rules: Vec<Rule> = Vec::new();
    // In the order of the source, so that the result reads like it.
    let mut done = BTreeSet::new();
    for obligation in &obligations {
        for text in obligation.patterns.iter().filter(|text| all.contains(text.as_str())) {
            if !done.insert(text.as_str()) {
                continue;
            }
            let pattern: Pattern = text.parse().map_err(|error: crate::document::pattern::PatternError| {
                workshop.error(obligation.node, format!("{error}; another rule would decide in its stead"))
            })?;
            let (duty, mode) = duty(workshop, text, &obligations);
            let rule = duty.rule(vec![pattern.clone()], mode);
            match rules.iter_mut().find(|known| known.demand == rule.demand && known.mode == rule.mode) {
                Some(known) => known.patterns.push(pattern),
                None => rules.push(rule),
            }
        }
    }
    Ok(rules)
}

/// Returns what all rules about `text` demand together.
fn duty(workshop: &Workshop<'_>, text: &str, obligations: &[Obligation<'_>]) -> (Duty, Mode) {
    let mut together: Option<Duty> = None;
    let mut mode = Mode::Audit;
    for one in obligations {
        let lie = |other: &String| match lie(text, other) {
            // The narrower of the two has a rule of its own, which takes this duty over and decides.
            Lie::Across if lie(other, text) == Lie::Within => Lie::Apart,
            lie => lie,
        };
        let lies: Vec<Lie> = one.patterns.iter().map(lie).collect();
        let duty = if lies.contains(&Lie::Within) {
            one.duty.clone()
        } else if lies.contains(&Lie::Across) {
            workshop.deny(
                one.node,
                format!("its patterns and {text:?} may match the same name, and neither is the wider one"),
            )
        } else {
            continue;
        };
        if one.mode == Mode::Enforce {
            mode = Mode::Enforce;
        }
        together = Some(match together {
            None => duty,
            Some(so_far) => so_far.and(duty),
        });
    }
    (together.unwrap_or_else(|| Duty::Deny("no rule is about it".to_owned())), mode)
}

fn lie(narrow: &str, wide: &str) -> Lie {
    if narrow == wide || wide == "**" {
        return Lie::Within;
    }
    if let Some(folder) = wide.strip_suffix("/**")
        && !folder.contains('*')
        && narrow.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    {
        return Lie::Within;
    }
    let literal = |text: &str| text.split('*').next().unwrap_or_default().to_owned();
    let (a, b) = (literal(narrow), literal(wide));
    let apart = match (narrow.contains('*'), wide.contains('*')) {
        (true, true) => !a.starts_with(&b) && !b.starts_with(&a),
        (true, false) => !b.starts_with(&a),
        (false, true) => !a.starts_with(&b),
        // Two names that differ may be one with a tag and one without.
        (false, false) => repository(narrow) != repository(wide),
    };
    if apart { Lie::Apart } else { Lie::Across }
}

/// Writes a name or pattern out with the host that it means.
pub(super) fn hosted(text: &str) -> String {
    let text =
        text.strip_prefix("index.docker.io/").map_or_else(|| text.to_owned(), |rest| format!("docker.io/{rest}"));
    let (first, rest) = text.split_once('/').map_or((text.as_str(), None), |(first, rest)| (first, Some(rest)));
    let host = first.contains(['.', '[', '*']) || first == "localhost" || (rest.is_some() && first.contains(':'));
    match rest {
        Some(_) if host => text,
        Some(_) => format!("docker.io/{text}"),
        None if text.contains("**") => text,
        None => format!("docker.io/library/{text}"),
    }
}

fn repository(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_out_with_their_host() {
        for (text, expected) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1", "docker.io/library/nginx:1"),
            ("team/app", "docker.io/team/app"),
            ("index.docker.io/library/*", "docker.io/library/*"),
            ("localhost:5000/x", "localhost:5000/x"),
            ("**", "**"),
            ("ghcr.io/x/**", "ghcr.io/x/**"),
        ] {
            assert_eq!(hosted(text), expected, "{text}");
        }
    }

    #[test]
    fn patterns_are_within_apart_or_across() {
        for (narrow, wide, expected) in [
            ("a.example/x", "**", Lie::Within),
            ("a.example/x/**", "a.example/**", Lie::Within),
            ("a.example/x/y", "a.example/x/**", Lie::Within),
            ("a.example/x", "a.example/x/**", Lie::Apart),
            ("a.example/x/**", "b.example/**", Lie::Apart),
            ("a.example/xy/**", "a.example/x/**", Lie::Apart),
            ("a.example/x", "a.example/y", Lie::Apart),
            ("a.example/x:1", "a.example/x", Lie::Across),
            ("**/x", "a.example/**", Lie::Across),
            ("a.example/**", "a.example/x", Lie::Across),
            ("a.example/*/x", "a.example/y/*", Lie::Across),
            ("a.example/x*", "a.example/x/**", Lie::Across),
        ] {
            assert_eq!(lie(narrow, wide), expected, "{narrow} and {wide}");
        }
    }
}
