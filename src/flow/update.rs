//! Which pins of an existing lock move when it is resolved again.

use super::error::FlowError;
use crate::discover::Pattern;
use crate::document::lock::LockedArtifact;
use crate::model::ImageRef;

/// Which pins of an existing lock move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Update {
    /// None: the lock is only completed.
    #[default]
    Nothing,
    /// Those that are called so, and everything that came in because of them.
    Named(Vec<String>),
    /// All.
    Everything,
}

impl Update {
    /// Returns whether the pin of `source`, which came in by the paths `why`, moves.
    ///
    /// A name is a part of the source, a pattern over `host/path` or `host/path:tag`, or a chart or Blueprint on a path.
    pub fn moves(&self, source: &ImageRef, why: &[Vec<String>]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Named(names) => names.iter().any(|name| is_called(name, source, why)),
        }
    }

    /// Refuses names that nothing is called: they are mistyped, and a pin that somebody wants moved would stay.
    pub fn check(&self, artifacts: &[LockedArtifact]) -> Result<(), FlowError> {
        let Self::Named(names) = self else { return Ok(()) };
        let unknown = names.iter().filter(|name| !artifacts.iter().any(|a| is_called(name, &a.source, &a.why)));
        let unknown: Vec<String> = unknown.map(|name| format!("{name:?}")).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let why = "name a part of a source, a pattern, or a chart or Blueprint that leads to it";
        Err(FlowError::Usage(format!("nothing that is wanted is called {}; {why}", unknown.join(", "))))
    }
}

fn is_called(name: &str, source: &ImageRef, why: &[Vec<String>]) -> bool {
    if name.contains('*') {
        let tagged = ImageRef { digest: None, ..source.clone() }.to_string();
        let texts = [source.repository.to_string(), tagged];
        return name.parse::<Pattern>().is_ok_and(|pattern| texts.iter().any(|text| pattern.fits(text)));
    }
    source.to_string().contains(name) || why.iter().flatten().any(|step| has_word(step, name))
}

/// Returns whether `name` stands in `text` with nothing beside it that could belong to a longer name.
fn has_word(text: &str, name: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    !name.is_empty()
        && text
            .match_indices(name)
            .any(|(at, _)| !inside(text[..at].chars().next_back()) && !inside(text[at + name.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &str, source: &str, why: &[&str]) -> bool {
        let why = vec![why.iter().map(|step| (*step).to_owned()).collect()];
        Update::Named(vec![name.to_owned()]).moves(&source.parse().unwrap(), &why)
    }

    #[test]
    fn a_name_is_a_part_of_the_source_a_pattern_or_what_led_to_it() {
        let why = ["mirror.yaml: blueprints[0]", "bp-kiosk 1.1.4", "bp-ink ^1"];
        assert!(called("press/ink", "h.example/press/ink:1", &[]));
        assert!(
            called("h.example/*/ink", "h.example/press/ink:1", &[]) && called("**:1", "h.example/press/ink:1", &[])
        );
        assert!(called("bp-kiosk", "h.example/x:1", &why) && called("bp-ink", "h.example/x:1", &why));
        assert!(!called("bp-ki", "h.example/x:1", &why) && !called("kiosk", "h.example/x:1", &why), "whole names only");
        assert!(!called("h.example/*", "h.example/press/ink:1", &[]));
    }

    #[test]
    fn all_and_none_are_what_they_say() {
        let source = "h.example/x:1".parse().unwrap();
        assert!(Update::Everything.moves(&source, &[]) && !Update::Nothing.moves(&source, &[]));
        assert!(Update::Named(vec!["x".into()]).check(&[]).unwrap_err().to_string().contains("\"x\""));
    }
}
